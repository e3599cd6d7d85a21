/* SPDX-License-Identifier: Apache-2.0 */
/* instr - one switch's OpenFlow, rewritten so that it emits postcards. */
#include <config.h>
#include "recorder/instr.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/packet_id.h"
#include "recorder/instr_state.h"
#include "recorder/instr_table.h"
#include "recorder/of_packet_out.h"
#include "recorder/of_wire.h"

struct instr *
instr_create(const struct instr_config *config)
{
    struct instr *instr = lh_alloc_zero(sizeof *instr);

    of_msg_init();
    instr->config = *config;
    instr->trace = (struct of_trace){.dpid = config->dpid,
                                     .switch_index = config->switch_index};
    if (!instr->config.snap_len) {
        instr->config.snap_len = PACKET_ID_SNAP;
    }
    instr->shadow = instr_shadow_create();
    instr->carry = instr_carry_create(&instr->config);
    instr->all_packets = of_match_create_all();
    instr->undo_tail = &instr->undo;
    instr->next_tag = 1;
    instr->next_index = 1;
    instr->index_table = N_TABLES - 1;
    instr->tlv_index = 63;
    return instr;
}

void
instr_destroy(struct instr *instr)
{
    if (!instr) {
        return;
    }
    while (instr->links) {
        instr_link_destroy(instr->links);
    }
    instr_undo_destroy(instr);
    instr_tomb_destroy(instr);
    instr_expiry_destroy(instr);
    instr_start_destroy(instr->start);
    instr_past_destroy(instr);
    instr_regroup_destroy(instr);
    instr_watch_destroy(instr);
    instr_shadow_destroy(instr->shadow);
    of_match_destroy(instr->all_packets);
    for (size_t i = 0; i < instr->n_groups; i++) {
        instr_group_destroy(instr->groups[i]);
    }
    free(instr->groups);
    instr_meter_destroy_all(instr);
    free(instr->meters);
    free(instr->ports);
    free(instr->flood);
    if (instr->indexes) {
        for (size_t i = 0; i <= MAX_INDEX; i++) {
            of_acts_uninit(&instr->indexes[i]);
        }
        free(instr->indexes);
        free(instr->index_refs);
    }
    free(instr->tlvs);
    free(instr->dead_indexes);
    free(instr->echoes);
    instr_inject_drop(instr);
    instr_carry_destroy(instr->carry);
    free(instr);
}

bool
instr_is_ready(const struct instr *instr)
{
    return instr->is_ready;
}

bool
instr_stands(const struct instr *instr, uint32_t version)
{
    if (instr_shadow_by_version(instr->shadow, version)) {
        return true;
    }
    for (unsigned int t = 0; t < 256; t++) {
        if (instr->miss[t].version == version) {
            return true;
        }
    }
    for (size_t g = 0; g < instr->n_groups; g++) {
        for (size_t i = 0; i < instr->groups[g]->n_buckets; i++) {
            if (instr->groups[g]->versions[i] == version) {
                return true;
            }
        }
    }
    return false;
}

const struct instr_counters *
instr_counters(const struct instr *instr)
{
    return &instr->counters;
}

/* The controller's messages. */

static void
set_config(struct instr_change *c, const uint8_t *msg, size_t len)
{
    if (len >= 12) {
        c->link->miss_len = of_wire_get16(msg + 10);
        instr_own_update(c);
    }
    instr_note(c, "set-config", msg, len);
    instr_pass(c, msg, len);
}

/* Nicira messages of 1.0 that say in which form flow-mods and flow-removed
 * messages come: between us and the switch that is settled. */
static bool
set_form(struct instr_link *link, enum of_kind kind, const uint8_t *msg,
         size_t len)
{
    if (kind == OF_SET_FLOW_FORMAT && len >= 20) {
        uint32_t format = of_wire_get32(msg + 16);

        link->wants_nicira = format == 2;
        return format == 0 || format == 2;
    }
    if (kind == OF_FLOW_MOD_TABLE_ID && len >= 17) {
        link->has_tid = msg[16] != 0;
        return true;
    }
    return false;
}

static void
dispatch_down(struct instr_change *c, enum of_kind kind, const uint8_t *msg,
              size_t len)
{
    struct instr *instr = c->instr;

    switch ((int) kind) {
    case OF_FLOW_MOD:
        instr_flow_mod(c, msg, len);
        break;
    case OF_GROUP_MOD:
        instr_group_mod(c, msg, len);
        break;
    case OF_PACKET_OUT:
        instr_packet_out(c, msg, len);
        break;
    case OF_PORT_MOD:
        instr_ports_mod(c, msg, len);
        break;
    case OF_QUEUE_STATS_REQUEST:
    case OF_QUEUE_CONFIG_REQUEST:
        instr_ports_queues(c, kind, msg, len);
        break;
    case OF_METER_MOD:
        instr_meter_mod(c, msg, len);
        break;
    case OF_TABLE_MOD:
        instr_table_mod(c, msg, len);
        break;
    case OF_SET_ASYNC:
        instr_note(c, "set-async", msg, len);
        instr_pass(c, msg, len);
        instr_forward_configured(c, msg, len);
        break;
    case OF_SET_CONFIG:
        set_config(c, msg, len);
        break;
    case OF_FLOW_STATS_REQUEST:
    case OF_AGGREGATE_REQUEST:
        instr_stats_request(c, msg, len);
        break;
    case OF_TABLE_STATS_REQUEST:
        instr_stats_tables_request(c, msg, len);
        break;
    case OF_BUNDLE_CONTROL:
        instr_bundle_control(c, msg, len);
        break;
    case OF_BUNDLE_ADD:
        instr_bundle_add(c, msg, len);
        break;
    case OF_MONITOR_REQUEST:
        instr_monitor_request(c, msg, len);
        break;
    case OF_MONITOR_CANCEL:
        instr_monitor_cancel(c, msg, len);
        break;
    case OF_TLV_MOD:
        instr_tlv_mod(c, msg, len);
        break;
    case OF_SET_FLOW_FORMAT:
    case OF_FLOW_MOD_TABLE_ID:
        if (!set_form(c->link, kind, msg, len)) {
            instr_pass(c, msg, len);
        }
        break;
    default:
        if (kind == OF_MALFORMED) {
            instr->counters.passed_malformed++;
        } else {
            instr->counters.passed_unknown++;
        }
        instr_pass(c, msg, len);
        break;
    }
}

/* What the switch refuses to slaves. */
static bool
is_for_masters(enum of_kind kind)
{
    switch ((int) kind) {
    case OF_FLOW_MOD:
    case OF_GROUP_MOD:
    case OF_PACKET_OUT:
    case OF_PORT_MOD:
    case OF_METER_MOD:
    case OF_BUNDLE_CONTROL:
    case OF_BUNDLE_ADD:
        return true;
    default:
        return false;
    }
}

void
instr_from_controller(struct instr_link *link, const uint8_t *msg, size_t len,
                      uint64_t now_ns, const char *who, struct instr_out *out)
{
    struct instr *instr = link->instr;
    struct instr_change c;
    enum of_kind kind;

    instr->counters.from_controller++;
    instr_change_init(&c, link, out, now_ns, who);
    c.tag &= ~UINT64_C(1);
    c.original = msg;
    c.original_len = len;
    if (!link->is_known || msg[0] != link->of_version) {
        instr->counters.passed_unknown++;
        instr_pass(&c, msg, len);
        return;
    }
    kind = of_msg_kind(msg, len);
    if (instr_role_request(&c, msg, len) ||
        (instr_role_is_slave(link) && is_for_masters(kind))) {
        instr_pass(&c, msg, len);
    } else {
        dispatch_down(&c, kind, msg, len);
        if (kind == OF_FLOW_MOD) {
            instr_burst_note(&c);
        }
    }
    instr_owed_pay(instr, now_ns, out);
}

/* The switch's messages. */

static void
pass_up(struct instr_change *c, const uint8_t *msg, size_t len)
{
    instr_emit_up(c, lh_memdup(msg, len), len);
}

static void
port_status(struct instr_change *c, const uint8_t *msg, size_t len)
{
    c->out->ports_changed = true;
    if (instr_ports_status(c, msg, len) && c->instr->is_ready) {
        instr_owe(c->instr, OWES_LISTS);
    }
}

static void
dispatch_up(struct instr_change *c, enum of_kind kind, const uint8_t *msg,
            size_t len, uint64_t tag)
{
    struct instr *instr = c->instr;
    size_t hidden_len;
    uint8_t *hidden;

    switch ((int) kind) {
    case OF_PACKET_IN:
        if (instr_packet_in(c, msg, len)) {
            instr->counters.hidden++;
        } else {
            instr_packet_in_pass(c, msg, len);
        }
        return;
    case OF_FLOW_REMOVED:
        instr_flow_removed(c, msg, len);
        return;
    case OF_FLOW_STATS_REPLY:
        if (instr_stats_reply(c, msg, len, tag)) {
            return;
        }
        break;
    case OF_TABLE_STATS_REPLY:
        instr_stats_tables_reply(c, msg, len);
        return;
    case OF_GROUP_DESC_REPLY:
        instr_group_desc(c, msg, len);
        return;
    case OF_TLV_REPLY:
        instr_tlv_reply(c, msg, len);
        return;
    case OF_MONITOR_REPLY:
        instr_monitor_reply(c, msg, len, tag);
        return;
    case OF_MONITOR_PAUSED:
    case OF_MONITOR_RESUMED:
        if (!instr_monitor_pause(c->link, kind == OF_MONITOR_PAUSED)) {
            instr->counters.hidden++;
            return;
        }
        break;
    case OF_BARRIER_REPLY:
        if (instr_refuse_reply(c, tag)) {
            return;
        }
        break;
    case OF_GET_ASYNC_REPLY:
        instr_forward_restore(c, msg, len);
        return;
    case OF_REQUEST_FORWARD:
        if (!instr_forward_heard(c, msg, len)) {
            instr->counters.hidden++;
            return;
        }
        break;
    case OF_BUNDLE_CONTROL:
        if (instr_bundle_swallow(c, msg, len, tag)) {
            instr->counters.hidden++;
            return;
        }
        break;
    case OF_PORT_STATUS:
        port_status(c, msg, len);
        /* Fall through. */
    case OF_FEATURES_REPLY:
    case OF_PORT_DESC_REPLY:
    case OF_PORT_STATS_REPLY:
    case OF_QUEUE_STATS_REPLY:
    case OF_QUEUE_DESC_REPLY:
        hidden = instr_ports_hide(c, kind, msg, len, &hidden_len);
        if (hidden) {
            instr_emit_up(c, hidden, hidden_len);
        } else {
            instr->counters.hidden++;
        }
        return;
    default:
        break;
    }
    pass_up(c, msg, len);
}

static void
take_from_switch(struct instr_change *c, const uint8_t *msg, size_t len,
                 uint64_t tag)
{
    enum of_kind kind;

    if (!tag && !c->link->base.is_full && of_monitor_is_abbrev(msg, len)) {
        return; /* What came by this link is known. */
    }
    kind = of_msg_kind(msg, len);
    if (tag && of_wire_is_last_reply(msg, len)) {
        instr_undo_confirm(c, tag);
        instr_monitor_confirm(c->link, tag);
        instr_fence_answered(c, tag);
        if (kind == OF_BUNDLE_CONTROL) {
            instr_fence_committed(c, msg, len, tag);
        }
    }
    if (tag && instr_start_reply(c, kind, msg, len, tag)) {
        return;
    }
    instr_watch_keep(c);
    if (kind == OF_GROUP_DESC_REPLY && instr_regroup_reply(c, msg, len, tag)) {
        return;
    }
    if (kind == OF_GROUP_STATS_REPLY) {
        instr_counts_reply(c, msg, len, tag);
        return;
    }
    if (instr_is_own_tag(tag) && kind == OF_BARRIER_REPLY) {
        instr_select_answer(c->instr, tag, false);
        instr_carry_answer(c, tag);
        instr_monitor_passed(c, tag);
        instr_detach_passed(c, tag);
        instr_expiry_passed(c, tag);
        instr_tlv_move_passed(c, tag);
        return;
    }
    if (instr_counters_reply(c, msg, len, tag) ||
        (instr_is_own_tag(tag) && kind != OF_FLOW_STATS_REPLY &&
         kind != OF_MONITOR_REPLY)) {
        return;
    }
    instr_role_reply(c, msg, len, tag);
    dispatch_up(c, kind, msg, len, tag);
}

void
instr_from_switch(struct instr_link *link, const uint8_t *msg, size_t len,
                  uint64_t tag, uint64_t now_ns, struct instr_out *out)
{
    struct instr *instr = link->instr;
    struct instr_change c;

    instr->counters.from_switch++;
    instr_change_init(&c, link, out, now_ns, "recorder");
    c.is_unasked = true;
    if (!tag && msg[1] == OF_WIRE_ERROR && !instr_monitor_is_asking(link)) {
        instr->counters.hidden++; /* It answers nothing we know. */
        return;
    }
    if (!link->is_known || msg[0] != link->of_version) {
        pass_up(&c, msg, len);
        return;
    }
    take_from_switch(&c, msg, len, tag);
    instr_owed_pay(instr, now_ns, out);
}

/* True when the controller is to be told. */
static bool
take_error(struct instr_change *c, uint64_t tag, uint16_t type, uint16_t code)
{
    struct instr *instr = c->instr;
    struct instr_pending *p;

    if (instr->start && instr_start_reply(c, OF_OTHER, NULL, 0, tag)) {
        instr->counters.own_errors++;
        return false;
    }
    instr_role_error(c, tag, type, code);
    if (tag && tag == instr->tlv_tag) {
        /* Without its option no Geneve postcard can be made. */
        instr->counters.own_errors++;
        instr_inject_drop_one(instr, INSTR_GENEVE);
        return false;
    }
    if (instr_action_refused(instr, tag)) {
        return false;
    }
    instr_counts_refused(instr, tag);
    instr_monitor_refused(c, tag);
    instr_detach_refused(c, tag);
    instr_expiry_refused(instr, tag);
    instr_tlv_move_refused(instr, tag);
    if (tag && tag == c->instr->regroup_tag) {
        instr_regroup_destroy(c->instr);
    }
    if (tag && tag == c->instr->start_bundle) {
        /* One by one, then. */
        c->instr->start_bundle = 0;
        c->instr->counters.own_errors++;
        instr_own_reinstall(c, true);
        return false;
    }
    p = instr_pending_find(c->link, tag, PENDING_BUNDLE);
    if (p) {
        /* Each part of a bundle of ours may fail: tell it once. */
        bool is_first = !p->n_flows++;

        instr_undo_run(c, tag);
        return is_first;
    }
    if (instr_is_own_tag(tag)) {
        instr->counters.own_errors++;
        instr_select_answer(instr, tag, true);
        return false;
    }
    instr_undo_run(c, tag);
    return true;
}

bool
instr_error(struct instr_link *link, uint64_t tag, uint16_t type,
            uint16_t code, uint64_t now_ns, struct instr_out *out)
{
    struct instr_change c;
    bool tell;

    instr_change_init(&c, link, out, now_ns, "recorder");
    c.is_unasked = true;
    tell = take_error(&c, tag, type, code);
    instr_owed_pay(link->instr, now_ns, out);
    return tell;
}

void
instr_send_packet(struct instr *instr, uint16_t port, const uint8_t *frame,
                  size_t len, struct instr_out *out)
{
    struct instr_link *link = instr_link_choose(instr);
    struct of_packet_out po = {.in_port = 0xfffd,
                               .buffer_id = OF_FLOW_NO_BUFFER,
                               .frame = frame,
                               .len = len};
    struct instr_change c;
    size_t msg_len;
    uint8_t *msg;
    char *text;
    char *error;

    if (!link) {
        return;
    }
    instr_change_init(&c, link, out, 0, "recorder");
    text = lh_asprintf("output:%u", port);
    error = of_acts_from_text(&po.acts, text);
    if (!error &&
        !of_packet_out_encode(&po, link->of_version, 0, &msg, &msg_len)) {
        instr_emit_own(&c, msg, msg_len);
    }
    of_packet_out_uninit(&po);
    free(error);
    free(text);
}

void
instr_set_postcard_port(struct instr *instr,
                        enum instr_encapsulation encapsulation,
                        const struct instr_postcard_port *port,
                        uint64_t now_ns, struct instr_out *out)
{
    instr->config.ports[encapsulation] = *port;
    instr_ports_relist(instr);
    out->ports_changed = true;
    if (instr->is_ready && !instr->is_detached) {
        instr_inject_set(instr);
        instr_owe(instr, OWES_NO_FLOOD | OWES_UPDATE | OWES_REWRITE);
        instr_owed_pay(instr, now_ns, out);
    }
}
