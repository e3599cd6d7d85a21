/* SPDX-License-Identifier: Apache-2.0 */
/* instr_start - the set-up: reads what the switch has and brings shadow, log
 * and switch in line. */
#include <config.h>
#include "recorder/instr_found.h"
#include "recorder/instr_state.h"
#include "recorder/instr_table.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "recorder/of_trace.h"
#include "recorder/of_wire.h"

#define NICIRA_VENDOR            0x2320
#define NICIRA_SET_CONTROLLER_ID 20

struct instr_start {
    uint64_t read_tag;              /* Of the requests. */
    uint64_t ready_tag;             /* Of the last barrier, 0 before. */
    struct of_flow_record *records; /* Owned. */
    size_t n_records, allocated_records;
    struct of_group **groups; /* Owned. */
    size_t n_groups, allocated_groups;
    struct of_meter **meters; /* Owned. */
    size_t n_meters, allocated_meters;
    const struct of_acts **indexed; /* By index, of 'index_table'. */
    uint8_t index_table;            /* T as it was. */
    uint16_t max_index;
};

void
instr_start_destroy(struct instr_start *start)
{
    if (start) {
        for (size_t i = 0; i < start->n_records; i++) {
            of_flow_record_uninit(&start->records[i]);
        }
        free(start->records);
        for (size_t i = 0; i < start->n_groups; i++) {
            of_group_destroy(start->groups[i]);
        }
        free(start->groups);
        for (size_t i = 0; i < start->n_meters; i++) {
            instr_meter_destroy(start->meters[i]);
        }
        free(start->meters);
        free(start->indexed);
        free(start);
    }
}

/* Packets for us go to no other connection. */
static void
set_controller_id(struct instr_change *c)
{
    size_t len = 24;
    uint8_t *msg = lh_alloc_zero(len);

    of_wire_put_header(msg, c->link->of_version, OF_WIRE_EXPERIMENTER,
                       (uint16_t) len, 0);
    of_wire_put32(msg + 8, NICIRA_VENDOR);
    of_wire_put32(msg + 12, NICIRA_SET_CONTROLLER_ID);
    of_wire_put16(msg + 22, OWN_CONTROLLER_ID);
    instr_emit_own(c, msg, len);
}

void
instr_start(struct instr_link *link, uint64_t now_ns, struct instr_out *out)
{
    struct instr *instr = link->instr;
    struct instr_change c;

    if (!link->is_known) {
        instr->is_ready = true;
        out->became_ready = true;
        return;
    }
    instr_change_init(&c, link, out, now_ns, "switch");
    instr_start_destroy(instr->start);
    instr->start = lh_alloc_zero(sizeof *instr->start);
    instr->start->read_tag = c.tag;
    instr->reader = link;
    if (instr->config.is_attached) {
        set_controller_id(&c);
    }
    instr_action_ask(&c);
    instr_ask_switch(&c);
    instr_ask_barrier(&c);
}

/* Reading. */

static void
read_flows(struct instr *instr, const uint8_t *msg, size_t len)
{
    struct of_flow_reader *reader = of_flow_reader_open(msg, len);
    struct instr_start *start = instr->start;
    struct of_flow_record record;

    while (of_flow_reader_next(reader, &record) > 0) {
        start->records =
            lh_alloc_grow(start->records, start->n_records,
                          &start->allocated_records, sizeof *start->records);
        start->records[start->n_records++] = record;
    }
    of_flow_reader_close(reader);
}

static void
keep_group(void *start_, struct of_group *group)
{
    struct instr_start *start = start_;

    start->groups =
        lh_alloc_grow(start->groups, start->n_groups, &start->allocated_groups,
                      sizeof *start->groups);
    start->groups[start->n_groups++] = group;
}

static void
keep_meter(void *start_, struct of_meter *meter)
{
    struct instr_start *start = start_;

    start->meters =
        lh_alloc_grow(start->meters, start->n_meters, &start->allocated_meters,
                      sizeof *start->meters);
    start->meters[start->n_meters++] = lh_memdup(meter, sizeof *meter);
}

/* The shadow has what was told of the meters. */
static void
start_meters(struct instr *instr)
{
    struct instr_start *start = instr->start;

    for (size_t i = 0; i < start->n_meters; i++) {
        instr_meter_insert(instr, start->meters[i]);
    }
    start->n_meters = 0;
}

/* Rules of ours as they stand. */

static bool
is_own(const struct of_flow_record *record, enum own_kind kind)
{
    return record->cookie == (OWN_COOKIE | kind);
}

static void
index_records(struct instr_start *start)
{
    start->indexed = lh_alloc_zero((MAX_INDEX + 1) * sizeof *start->indexed);
    for (size_t i = 0; i < start->n_records; i++) {
        const struct of_flow_record *record = &start->records[i];
        unsigned int index;
        char *text;

        if (!is_own(record, OWN_INDEX)) {
            continue;
        }
        text = of_match_to_text(record->match);
        if (sscanf(text, "in_port=%u", &index) == 1 && index <= MAX_INDEX) {
            start->indexed[index] = &record->acts;
            start->index_table = record->table_id;
            if (index > start->max_index) {
                start->max_index = (uint16_t) index;
            }
        }
        free(text);
    }
}

static const struct of_acts *
find_indexed(void *start_, uint8_t table_id, uint16_t index)
{
    const struct instr_start *start = start_;

    return start->index_table && table_id == start->index_table &&
                   index <= MAX_INDEX
               ? start->indexed[index]
               : NULL;
}

/* Versions that stand in the switch must not be given again, also when the
 * log that gave them is lost. */
static void
skip_versions(const struct instr *instr)
{
    const struct instr_start *start = instr->start;
    uint32_t version, highest = 0;
    struct of_acts acts;

    for (size_t i = 0; i < start->n_records; i++) {
        if (of_trace_find_version(&instr->trace, &start->records[i].acts, NULL,
                                  NULL, &version) &&
            version > highest) {
            highest = version;
        }
    }
    for (size_t i = 0; i < start->n_groups; i++) {
        for (size_t j = 0; j < of_group_n_buckets(start->groups[i]); j++) {
            of_group_get_bucket(start->groups[i], j, &acts);
            if (of_trace_find_version(&instr->trace, &acts, NULL, NULL,
                                      &version) &&
                version > highest) {
                highest = version;
            }
        }
    }
    if (highest && instr->config.skip_version) {
        instr->config.skip_version(instr->config.aux, highest);
    }
}

/* Flows. */

/* Whoever was here before may have rewritten 'rule'. */
static void
recall_time(struct instr_change *c, struct shadow_rule *rule,
            const struct of_flow_record *record)
{
    uint64_t age_ns =
        c->now_ns > rule->installed_ns ? c->now_ns - rule->installed_ns : 0;

    if (age_ns / 1000000000 <= (uint64_t) record->duration_sec + 1) {
        instr_expiry_begin(c, rule, age_ns);
        instr_expiry_renewed(c, rule);
    } else {
        instr_expiry_begin(c, rule, 0); /* One clock or the other is wrong. */
    }
}

/* Takes over what the log says the rule of 'record' is.  False: the log says
 * nothing, or something else. */
static bool
recall_flow(struct instr_change *c, const struct of_flow_record *record,
            uint32_t version)
{
    struct instr *instr = c->instr;
    struct rule *rule = instr_found_rule(instr, version);
    struct shadow_rule *shadow;
    struct of_flow flow;
    bool ok = false;

    if (!rule || rule->kind != RULE_FLOW || !rule->raw ||
        rule->raw_len < OF_WIRE_HEADER_LEN ||
        of_wire_frame(rule->raw, rule->raw_len) != (int) rule->raw_len ||
        instr_shadow_by_version(instr->shadow, version) ||
        !of_flow_decode(rule->raw, rule->raw_len, true, &flow)) {
        rule_unref(rule);
        return false;
    }
    if (flow.table_id == record->table_id &&
        flow.priority == record->priority &&
        of_match_equal(flow.match, record->match)) {
        shadow = shadow_rule_create(record->table_id, record->priority,
                                    of_match_clone(record->match), &flow.acts);
        shadow->cookie = record->cookie;
        shadow->idle_timeout = record->idle_timeout;
        shadow->hard_timeout = record->hard_timeout;
        shadow->importance = record->importance;
        shadow->flags = flow.flags;
        shadow->version = version;
        shadow->change = rule->change;
        shadow->installed_ns = rule->installed_ns;
        shadow->is_instrumented = rule->is_instrumented;
        recall_time(c, shadow, record);
        shadow_rule_destroy(instr_shadow_insert(instr->shadow, shadow));
        if (rule->removed_ns) {
            instr_made(c->out,
                       instr_rule_flow(c, shadow, "restored", "switch"));
        }
        ok = true;
    }
    of_flow_uninit(&flow);
    rule_unref(rule);
    return ok;
}

/* A rule that somebody else made, or that we no longer know.  Returns its new
 * version. */
static uint32_t
find_flow(struct instr_change *c, const struct of_flow_record *record)
{
    struct instr *instr = c->instr;
    struct shadow_rule *shadow;
    struct of_acts acts;

    of_trace_strip(&instr->trace, &record->acts, find_indexed, instr->start,
                   &acts);
    shadow = shadow_rule_create(record->table_id, record->priority,
                                of_match_clone(record->match), &acts);
    shadow->cookie = record->cookie;
    shadow->idle_timeout = record->idle_timeout;
    shadow->hard_timeout = record->hard_timeout;
    shadow->importance = record->importance;
    shadow->flags = record->flags;
    shadow->version = instr->config.next_version(instr->config.aux);
    shadow->change = shadow->version;
    shadow->installed_ns = c->now_ns;
    shadow->is_instrumented = instr_select_emits(instr, shadow);
    instr_expiry_found(c, shadow, record);
    shadow_rule_destroy(instr_shadow_insert(instr->shadow, shadow));
    return shadow->version;
}

/* Installs the rule if the switch has it otherwise than we would. */
static void
compare_flow(struct instr_change *c, const struct of_flow_record *record,
             struct shadow_rule *shadow)
{
    struct of_acts acts;
    bool is_same, was_instrumented;

    if (shadow->facts->has_write_actions || c->instr->has_action_sets) {
        instr_flow_rewrite(c, shadow); /* Its indexes are new. */
        return;
    }
    was_instrumented = shadow->is_instrumented;
    instr_flow_inject(c, shadow, &acts);
    is_same = of_acts_equal(&acts, &record->acts);
    of_acts_uninit(&acts);
    if (!is_same) {
        instr_flow_rewrite(c, shadow);
    }
    if (shadow->is_instrumented != was_instrumented) {
        instr_made(c->out, instr_rule_flow(c, shadow, "selected", "recorder"));
    }
}

/* True when some rule carries a version, so that all of ours do. */
static bool
has_versions(const struct instr *instr)
{
    struct instr_start *start = instr->start;
    bool is_found = false;
    uint32_t version;

    for (size_t i = 0; !is_found && i < start->n_records; i++) {
        const struct of_flow_record *record = &start->records[i];

        is_found = (record->cookie & OWN_COOKIE_MASK) != OWN_COOKIE &&
                   of_trace_find_version(&instr->trace, &record->acts,
                                         find_indexed, start, &version);
    }
    return is_found;
}

static void
start_flows(struct instr_change *c)
{
    struct instr *instr = c->instr;
    struct instr_start *start = instr->start;
    struct instr_shadow *standing =
        start->n_records ? instr_recall_open(instr, has_versions(instr))
                         : NULL;
    /* Versions, not pointers: a switch may list a rule twice, and then the
     * first one's memory may be the second one's. */
    uint32_t *found = lh_alloc_array(NULL, start->n_records, sizeof *found);

    for (size_t i = 0; i < start->n_records; i++) {
        const struct of_flow_record *record = &start->records[i];
        uint32_t version;

        found[i] = 0;
        if ((record->cookie & OWN_COOKIE_MASK) == OWN_COOKIE) {
            continue;
        }
        if (!of_trace_find_version(&instr->trace, &record->acts, find_indexed,
                                   start, &version)) {
            version = instr_recall_version(standing, record);
        }
        if (!version || !recall_flow(c, record, version)) {
            found[i] = find_flow(c, record);
        }
    }
    instr_shadow_destroy(standing);
    instr->keeps_in_port = instr_shadow_loses_in_port(instr->shadow);
    instr_sets_read(instr, start->groups, start->n_groups);
    instr_shadow_find_lookups(instr->shadow);
    instr_own_choose_table(instr, start->index_table, start->max_index);
    for (size_t i = 0; i < start->n_records; i++) {
        const struct of_flow_record *record = &start->records[i];
        struct shadow_rule *shadow = instr_shadow_find(
            instr->shadow, record->table_id, record->priority, record->match);

        if (shadow) {
            compare_flow(c, record, shadow);
        }
        if (shadow && shadow->version == found[i]) {
            instr_made(c->out, instr_rule_flow(c, shadow, "found", "switch"));
        }
    }
    free(found);
    instr->counters.rules = instr_shadow_count(instr->shadow);
}

/* Ours. */

/* Table-miss rules that stand as we would install them keep their version. */
static void
recall_misses(struct instr_change *c)
{
    struct instr *instr = c->instr;
    const struct instr_start *start = instr->start;

    for (size_t i = 0; i < start->n_records; i++) {
        const struct of_flow_record *record = &start->records[i];
        struct instr_miss *miss = &instr->miss[record->table_id];
        bool punts = instr_table_punts(instr, record->table_id);
        uint16_t miss_len = instr_link_miss_len(instr);
        struct rule *rule;
        struct of_acts acts;
        struct shadow_card card;
        uint32_t version;

        if (!is_own(record, OWN_MISS) ||
            !of_trace_find_version(&instr->trace, &record->acts, NULL, NULL,
                                   &version)) {
            continue;
        }
        rule = instr_found_rule(instr, version);
        card = instr_select_miss(instr, record->table_id);
        of_inject_miss(instr_inject_get(c, card), version, punts, miss_len,
                       &acts);
        of_inject_set_snap_len(instr_inject_get(c, card), card.len, &acts);
        if (rule && rule->kind == RULE_MISS && !rule->removed_ns &&
            of_flow_acts_same(&acts, &record->acts, c->link->of_version)) {
            miss->version = version;
            of_tables_add(&instr->misses, record->table_id);
            miss->to_controller = punts;
            miss->miss_len = miss_len;
            miss->card = card;
            miss->is_stale = false;
        }
        of_acts_uninit(&acts);
        rule_unref(rule);
    }
}

static bool
is_drop_in(const struct instr *instr, const struct of_match *match)
{
    bool is_one = false;

    for (size_t i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
        struct of_match *ours = of_match_create_in_port(instr->drop_in[i]);

        is_one |= instr->drop_in[i] && of_match_equal(match, ours);
        of_match_destroy(ours);
    }
    return is_one;
}

/* Deletes those rules of ours that we have no use for any more. */
static void
sweep(struct instr_change *c)
{
    struct instr *instr = c->instr;
    const struct instr_start *start = instr->start;
    struct of_match *lldp =
        of_match_create_eth(instr->config.lldp_dst, instr->config.lldp_type);

    for (size_t i = 0; i < start->n_records; i++) {
        const struct of_flow_record *record = &start->records[i];
        struct of_flow flow;
        uint8_t *msg;
        size_t len;

        if ((record->cookie & OWN_COOKIE_MASK) != OWN_COOKIE ||
            (is_own(record, OWN_MISS) &&
             instr->miss[record->table_id].version) ||
            (is_own(record, OWN_DROP_IN) &&
             is_drop_in(instr, record->match)) ||
            (is_own(record, OWN_LLDP) && instr->lldp &&
             of_match_equal(record->match, lldp)) ||
            instr_carry_has(instr, (uint8_t) record->cookie, record->match)) {
            continue;
        }
        of_flow_init(&flow);
        flow.command = OF_FLOW_DELETE_STRICT;
        flow.match = record->match;
        flow.table_id = record->table_id;
        flow.priority = record->priority;
        flow.cookie = record->cookie;
        flow.cookie_mask = UINT64_MAX;
        if (!of_flow_encode(&flow, c->link->of_version, 0, &msg, &len)) {
            instr_emit_own(c, msg, len);
        }
    }
    of_match_destroy(lldp);
}

/* False: nothing is to be changed, and the instr is of no use. */
static bool
is_chosen(const struct instr *instr)
{
    const char *name = NULL;

    for (size_t i = 0; i < instr->n_ports; i++) {
        if (instr->ports[i].no == OF_PORT_LOCAL && instr->ports[i].name[0]) {
            name = instr->ports[i].name;
        }
    }
    return instr->is_again || !instr->config.is_chosen ||
           instr->config.is_chosen(instr->config.aux, name);
}

static void
finish_reading(struct instr_change *c)
{
    struct instr *instr = c->instr;
    struct instr_start *start = instr->start;

    c->is_unasked = false; /* It is by this link that it must go. */
    instr_again_reset(instr);
    index_records(start);
    skip_versions(instr);
    instr_tlv_set_up(c);
    instr_inject_set(instr);
    instr_ports_no_flood(c);
    instr_select_set_port(c);
    if (instr->config.is_attached) {
        instr->start_bundle = c->tag;
        instr_bundle_begin(c);
    }
    if (instr_inject_has(instr) && !instr_makes_cards(instr)) {
        recall_misses(c);
    }
    start_flows(c);
    start_meters(instr);
    instr_found_groups(c, start->groups, start->n_groups, find_indexed, start);
    instr_own_update(c);
    sweep(c);
    instr_bundle_end(c);
    instr_change_init(c, c->link, c->out, c->now_ns, c->who);
    start->ready_tag = c->tag;
    instr_ask_barrier(c);
}

bool
instr_start_reply(struct instr_change *c, enum of_kind kind,
                  const uint8_t *msg, size_t len, uint64_t tag)
{
    struct instr *instr = c->instr;
    struct instr_start *start = instr->start;

    if (!start || (tag != start->read_tag && tag != start->ready_tag)) {
        return false;
    }
    if (tag == start->read_tag && start->ready_tag) {
        return true; /* Reading is over. */
    }
    c->who = "switch";
    switch ((int) kind) {
    case OF_TLV_REPLY:
        instr_tlv_read(instr, msg, len);
        break;
    case OF_FEATURES_REPLY:
    case OF_PORT_DESC_REPLY:
        instr_ports_read(c, kind, msg, len);
        c->out->ports_changed = true;
        break;
    case OF_TABLE_STATS_REPLY:
        instr_table_read(instr, msg, len);
        break;
    case OF_GROUP_DESC_REPLY:
        of_group_read_desc(msg, len, keep_group, start);
        break;
    case OF_METER_CONFIG_REPLY:
        of_meter_read_config(msg, len, keep_meter, start);
        break;
    case OF_FLOW_STATS_REPLY:
        read_flows(instr, msg, len);
        break;
    case OF_BARRIER_REPLY:
        if (tag == start->ready_tag) {
            instr_start_destroy(start);
            instr->start = NULL;
            instr->is_ready = true;
            instr_carry_ready(c);
            instr_watch_keep(c);
            c->out->became_ready = true;
            c->out->released = true;
        } else if (is_chosen(instr)) {
            finish_reading(c);
        } else {
            c->out->is_left = true;
        }
        break;
    default:
        break;
    }
    return true;
}
