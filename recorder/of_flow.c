/* SPDX-License-Identifier: Apache-2.0 */
/* of_flow - flow-mods and flow-removed messages. */
#include <config.h>
#include "recorder/of_flow.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_ovs.h"
#include "recorder/of_wire.h"

void
of_flow_init(struct of_flow *flow)
{
    memset(flow, 0, sizeof *flow);
    flow->command = OF_FLOW_ADD;
    flow->buffer_id = OF_FLOW_NO_BUFFER;
    flow->out_port = OF_ACTS_ANY;
    flow->out_group = OF_ACTS_ANY;
}

void
of_flow_uninit(struct of_flow *flow)
{
    of_match_destroy(flow->match);
    flow->match = NULL;
    of_acts_uninit(&flow->acts);
}

static uint32_t
port_filter_from_ovs(ofp_port_t port)
{
    return port == OFPP_ANY ? OF_ACTS_ANY : of_ovs_u16(port);
}

static ofp_port_t
port_filter_to_ovs(uint32_t port)
{
    return port == OF_ACTS_ANY ? OFPP_ANY : of_ovs_port((uint16_t) port);
}

/* Takes the match of 'fm'. */
static void
flow_from_ovs(struct ofputil_flow_mod *fm, struct of_flow *flow)
{
    of_flow_init(flow);
    flow->match = of_match_take_mini(&fm->match);
    of_acts_from_ovs(&flow->acts, fm->ofpacts, fm->ofpacts_len);
    flow->command = (uint8_t) fm->command;
    flow->table_id = fm->table_id;
    flow->priority = (uint16_t) fm->priority;
    flow->cookie = of_ovs_u64(fm->cookie);
    flow->cookie_mask = of_ovs_u64(fm->cookie_mask);
    flow->new_cookie = of_ovs_u64(fm->new_cookie);
    flow->modify_cookie = fm->modify_cookie;
    flow->idle_timeout = fm->idle_timeout;
    flow->hard_timeout = fm->hard_timeout;
    flow->importance = fm->importance;
    flow->flags = (uint16_t) fm->flags;
    flow->buffer_id = fm->buffer_id;
    flow->out_port = port_filter_from_ovs(fm->out_port);
    flow->out_group = fm->out_group == OFPG_ANY ? OF_ACTS_ANY : fm->out_group;
}

/* 'fm' borrows the actions of 'flow'; its match is to be destroyed. */
static void
flow_to_ovs(const struct of_flow *flow, struct ofputil_flow_mod *fm)
{
    struct match match;

    memset(fm, 0, sizeof *fm);
    of_match_expand_wire(flow->match, &match);
    minimatch_init(&fm->match, &match);
    fm->ofpacts = flow->acts.data;
    fm->ofpacts_len = flow->acts.len;
    fm->command = flow->command;
    fm->table_id = flow->table_id;
    fm->priority = flow->priority;
    fm->cookie = of_ovs_be64(flow->cookie);
    fm->cookie_mask = of_ovs_be64(flow->cookie_mask);
    fm->new_cookie = of_ovs_be64(flow->new_cookie);
    fm->modify_cookie = flow->modify_cookie;
    fm->idle_timeout = flow->idle_timeout;
    fm->hard_timeout = flow->hard_timeout;
    fm->importance = flow->importance;
    fm->flags = flow->flags;
    fm->buffer_id = flow->buffer_id;
    fm->out_port = port_filter_to_ovs(flow->out_port);
    fm->out_group =
        flow->out_group == OF_ACTS_ANY ? OFPG_ANY : flow->out_group;
}

bool
of_flow_decode(const uint8_t *msg, size_t len, bool has_tid,
               struct of_flow *flow)
{
    uint64_t msg_stub[64], acts_stub[128]; /* Enough for most. */
    enum ofputil_protocol protocol = of_ovs_protocol(msg[0]);
    struct ofputil_flow_mod fm;
    struct ofpbuf b, ofpacts;
    enum ofptype type;
    bool ok = false;

    if (msg[0] == OF_WIRE_10 && !has_tid) {
        protocol = OFPUTIL_P_OF10_NXM;
    }
    of_flow_init(flow);
    ofpbuf_use_stub(&b, msg_stub, sizeof msg_stub);
    ofpbuf_use_stub(&ofpacts, acts_stub, sizeof acts_stub);
    ofpbuf_put(&b, msg, len);
    if (!ofptype_decode(&type, b.data) && type == OFPTYPE_FLOW_MOD &&
        !ofputil_decode_flow_mod(&fm, b.data, protocol, NULL, NULL, &ofpacts,
                                 OFPP_MAX, 255)) {
        flow_from_ovs(&fm, flow);
        ok = true;
    }
    ofpbuf_uninit(&ofpacts);
    ofpbuf_uninit(&b);
    return ok;
}

int
of_flow_encode(const struct of_flow *flow, uint8_t version, uint32_t xid,
               uint8_t **msg, size_t *msg_len)
{
    struct ofputil_flow_mod fm;
    struct ofpbuf *b;

    flow_to_ovs(flow, &fm);
    b = ofputil_encode_flow_mod(&fm, of_ovs_protocol(version));
    minimatch_destroy(&fm.match);
    if (version == OF_WIRE_11) {
        b = of_match_widen_11(b, flow->match);
    }
    return of_ovs_take(b, xid, msg, msg_len);
}

/* Flow-mods of OpenFlow 1.2 and later. */
#define MOD_COOKIE      8
#define MOD_COOKIE_MASK 16
#define MOD_TABLE       24
#define MOD_COMMAND     25
#define MOD_BUFFER      32
#define MOD_OUT_PORT    36
#define MOD_OUT_GROUP   40
#define MOD_FLAGS       44
#define MOD_MATCH       48

int
of_flow_encode_like(const struct of_flow *flow, uint8_t version,
                    const uint8_t *like, size_t like_len, bool keeps_acts,
                    uint8_t **msg, size_t *msg_len)
{
    size_t match_len = 0;
    struct ofpbuf b;
    uint8_t *p;

    if (like && version >= OF_WIRE_12 && version == like[0] &&
        flow->command == OF_FLOW_ADD && like_len > MOD_MATCH) {
        match_len = of_match_wire_len(like + MOD_MATCH, like_len - MOD_MATCH);
    }
    if (!match_len) {
        return of_flow_encode(flow, version, 0, msg, msg_len);
    }
    ofpbuf_init(&b, like_len + (keeps_acts ? 0 : 256));
    ofpbuf_put(&b, like, keeps_acts ? like_len : MOD_MATCH + match_len);
    p = b.data;
    of_wire_put64(p + MOD_COOKIE, flow->new_cookie);
    of_wire_put64(p + MOD_COOKIE_MASK, flow->cookie_mask);
    p[MOD_TABLE] = flow->table_id;
    p[MOD_COMMAND] = flow->command;
    of_wire_put32(p + MOD_BUFFER, flow->buffer_id);
    of_wire_put32(p + MOD_OUT_PORT, UINT32_MAX);
    of_wire_put32(p + MOD_OUT_GROUP, UINT32_MAX);
    of_wire_put16(p + MOD_FLAGS, of_flow_wire_flags(flow->flags, version));
    if (!keeps_acts) {
        ofpacts_put_openflow_instructions(of_acts_ovs(&flow->acts),
                                          flow->acts.len, &b, version);
    }
    return of_ovs_take_data(&b, 0, msg, msg_len);
}

char *
of_flow_from_text(struct of_flow *flow, enum of_flow_command command,
                  const char *text)
{
    enum ofputil_protocol usable;
    struct ofputil_flow_mod fm;
    char *error;

    of_flow_init(flow);
    error = parse_ofp_flow_mod_str(&fm, text, NULL, NULL, command, &usable);
    if (!error) {
        flow_from_ovs(&fm, flow);
        free(fm.ofpacts);
    }
    return error;
}

char *
of_flow_to_text(const struct of_flow *flow)
{
    char *match = of_match_to_text(flow->match);
    char *acts = of_acts_to_text(&flow->acts);
    char *table = flow->table_id == OF_FLOW_ALL_TABLES
                      ? lh_strdup("")
                      : lh_asprintf("table=%d,", flow->table_id);
    char *text = lh_asprintf("%spriority=%d%s%s actions=%s", table,
                             flow->priority, *match ? "," : "", match, acts);

    free(match);
    free(acts);
    free(table);
    return text;
}

uint16_t
of_flow_wire_flags(uint16_t flags, uint8_t version)
{
    uint16_t wire = 0;

    if (flags & OFPUTIL_FF_SEND_FLOW_REM) {
        wire |= OFPFF_SEND_FLOW_REM;
    }
    if (flags & OFPUTIL_FF_CHECK_OVERLAP) {
        wire |= OFPFF_CHECK_OVERLAP;
    }
    if (flags & OFPUTIL_FF_RESET_COUNTS && version >= OF_WIRE_12) {
        wire |= OFPFF12_RESET_COUNTS;
    }
    if (version >= OF_WIRE_13) {
        if (flags & OFPUTIL_FF_NO_PKT_COUNTS) {
            wire |= OFPFF13_NO_PKT_COUNTS;
        }
        if (flags & OFPUTIL_FF_NO_BYT_COUNTS) {
            wire |= OFPFF13_NO_BYT_COUNTS;
        }
    }
    return wire;
}

/* Flow-removed. */

static bool
decode_removed(const uint8_t *msg, size_t len, struct ofputil_flow_removed *fr)
{
    struct ofpbuf *b = of_ovs_message(msg, len);
    enum ofptype type;
    bool ok = !ofptype_decode(&type, b->data) &&
              type == OFPTYPE_FLOW_REMOVED &&
              !ofputil_decode_flow_removed(fr, b->data);

    ofpbuf_delete(b);
    return ok;
}

bool
of_flow_removed_decode(const uint8_t *msg, size_t len,
                       struct of_flow_removed *removed)
{
    struct ofputil_flow_removed fr;

    memset(removed, 0, sizeof *removed);
    if (!decode_removed(msg, len, &fr)) {
        return false;
    }
    removed->match = of_match_from_ovs(&fr.match);
    removed->table_id = fr.table_id;
    removed->reason = fr.reason;
    removed->priority = fr.priority;
    removed->cookie = of_ovs_u64(fr.cookie);
    removed->n_packets = fr.packet_count == UINT64_MAX ? 0 : fr.packet_count;
    removed->duration_ns =
        fr.duration_sec * UINT64_C(1000000000) + fr.duration_nsec;
    return true;
}

void
of_flow_removed_uninit(struct of_flow_removed *removed)
{
    of_match_destroy(removed->match);
    removed->match = NULL;
}

void
of_flow_removed_encode(const struct of_flow_removed *removed, uint8_t version,
                       uint8_t **msg, size_t *msg_len)
{
    struct ofputil_flow_removed fr = {
        .cookie = of_ovs_be64(removed->cookie),
        .priority = removed->priority,
        .reason = removed->reason,
        .table_id = removed->table_id,
        .packet_count = removed->n_packets,
        .duration_sec = (uint32_t) (removed->duration_ns / 1000000000),
        .duration_nsec = (uint32_t) (removed->duration_ns % 1000000000)};

    of_match_expand(removed->match, &fr.match);
    of_ovs_take(ofputil_encode_flow_removed(&fr, of_ovs_protocol(version)), 0,
                msg, msg_len);
}

void
of_flow_removed_set_reason(uint8_t *msg, enum of_flow_reason reason)
{
    size_t ofs = msg[0] != OF_WIRE_10             ? 18
                 : msg[1] == OF_WIRE_EXPERIMENTER ? 26
                                                  : 58;

    msg[ofs] = (uint8_t) reason;
}

bool
of_flow_removed_standard(const uint8_t *msg, size_t len, uint8_t **standard,
                         size_t *standard_len)
{
    struct ofputil_flow_removed fr;

    if (!decode_removed(msg, len, &fr)) {
        return false;
    }
    return !of_ovs_take(ofputil_encode_flow_removed(&fr, OFPUTIL_P_OF10_STD),
                        of_wire_xid(msg), standard, standard_len);
}

bool
of_flow_acts_same(const struct of_acts *sent, const struct of_acts *seen,
                  uint8_t version)
{
    struct of_flow flow, back;
    bool is_same = of_acts_equal(sent, seen);
    uint8_t *msg;
    size_t len;

    if (is_same) {
        return true;
    }
    of_flow_init(&flow);
    flow.match = of_match_create_all();
    flow.acts = *sent;
    if (!of_flow_encode(&flow, version, 0, &msg, &len)) {
        if (of_flow_decode(msg, len, true, &back)) {
            is_same = of_acts_equal(&back.acts, seen);
            of_flow_uninit(&back);
        }
        free(msg);
    }
    of_match_destroy(flow.match);
    return is_same;
}
