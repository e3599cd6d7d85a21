/* SPDX-License-Identifier: Apache-2.0 */
/* fake_switch - what a switch does with flow-mods, for tests of instr. */
#include <config.h>
#include "tests/recorder/fake_switch.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/instr_shadow.h"
#include "recorder/of_flow.h"
#include "recorder/of_msg.h"
#include "recorder/of_wire.h"

struct held {
    uint8_t *msg;
    size_t len;
};

struct fake_switch {
    uint8_t version;
    bool has_tid;
    struct instr_shadow *flows;
    uint32_t n_installed;
    uint64_t refused_cookie;
    uint32_t age_s;
    struct of_tlv tlvs[64];
    size_t n_tlvs;
    struct held *held; /* Of the one bundle. */
    size_t n_held, allocated_held;

    void (*answer)(void *aux, uint8_t *msg, size_t len);
    void *aux;
};

struct fake_switch *
fake_switch_create(uint8_t version)
{
    struct fake_switch *sw = lh_alloc_zero(sizeof *sw);

    sw->version = version;
    sw->age_s = 1000;
    sw->flows = instr_shadow_create();
    return sw;
}

static void
drop_held(struct fake_switch *sw)
{
    for (size_t i = 0; i < sw->n_held; i++) {
        free(sw->held[i].msg);
    }
    sw->n_held = 0;
}

void
fake_switch_destroy(struct fake_switch *sw)
{
    drop_held(sw);
    free(sw->held);
    instr_shadow_destroy(sw->flows);
    free(sw);
}

void
fake_switch_refuse(struct fake_switch *sw, uint64_t cookie)
{
    sw->refused_cookie = cookie;
}

void
fake_switch_set_age(struct fake_switch *sw, uint32_t age_s)
{
    sw->age_s = age_s;
}

static void
reply(struct fake_switch *sw, uint8_t *msg, size_t len, uint32_t xid)
{
    of_wire_put32(msg + 4, xid);
    sw->answer(sw->aux, msg, len);
}

static void
install(struct fake_switch *sw, struct shadow_rule *rule)
{
    rule->version = ++sw->n_installed;
    shadow_rule_destroy(instr_shadow_insert(sw->flows, rule));
}

static void
add(struct fake_switch *sw, const struct of_flow *flow)
{
    struct of_acts acts;
    struct shadow_rule *rule;

    of_acts_clone(&acts, &flow->acts);
    rule = shadow_rule_create(
        flow->table_id == OF_FLOW_ALL_TABLES ? 0 : flow->table_id,
        flow->priority, of_match_clone(flow->match), &acts);
    rule->cookie = flow->new_cookie;
    rule->idle_timeout = flow->idle_timeout;
    rule->hard_timeout = flow->hard_timeout;
    rule->importance = flow->importance;
    rule->flags = flow->flags;
    install(sw, rule);
}

static void
modify(struct fake_switch *sw, const struct of_flow *flow)
{
    struct shadow_rule **rules;
    size_t n;

    rules = instr_shadow_select(sw->flows, flow, &n);
    if (!n && flow->new_cookie != UINT64_MAX && !flow->cookie_mask) {
        add(sw, flow);
    }
    for (size_t i = 0; i < n; i++) {
        struct shadow_rule *rule = shadow_rule_clone(rules[i]);
        struct of_acts acts;

        of_acts_clone(&acts, &flow->acts);
        shadow_rule_set_acts(rule, &acts);
        if (flow->modify_cookie && flow->new_cookie != UINT64_MAX) {
            rule->cookie = flow->new_cookie;
        }
        install(sw, rule);
    }
    free(rules);
}

static void
remove_flows(struct fake_switch *sw, const struct of_flow *flow)
{
    struct shadow_rule **rules;
    size_t n;

    rules = instr_shadow_select(sw->flows, flow, &n);
    for (size_t i = 0; i < n; i++) {
        instr_shadow_take(sw->flows, rules[i]);
        shadow_rule_destroy(rules[i]);
    }
    free(rules);
}

/* False: refused. */
static bool
flow_mod(struct fake_switch *sw, const uint8_t *msg, size_t len)
{
    struct of_flow flow;
    bool ok;

    if (!of_flow_decode(msg, len, sw->has_tid, &flow)) {
        return false;
    }
    ok = !sw->refused_cookie || flow.new_cookie != sw->refused_cookie ||
         flow.command >= OF_FLOW_DELETE;
    if (ok && flow.command == OF_FLOW_ADD &&
        flow.flags & OF_FLOW_CHECK_OVERLAP) {
        ok = !instr_shadow_overlaps(sw->flows, flow.table_id, flow.priority,
                                    flow.match);
    }
    if (ok && flow.command == OF_FLOW_ADD) {
        add(sw, &flow);
    } else if (ok && (flow.command == OF_FLOW_MODIFY ||
                      flow.command == OF_FLOW_MODIFY_STRICT)) {
        modify(sw, &flow);
    } else if (ok) {
        remove_flows(sw, &flow);
    }
    of_flow_uninit(&flow);
    return ok;
}

static void
error(struct fake_switch *sw, const uint8_t *msg, size_t len)
{
    size_t n = len < 64 ? len : 64;
    uint8_t *buf = lh_alloc(12 + n);

    of_wire_put_error(buf, sw->version, of_wire_xid(msg), 5, 1, msg, n);
    sw->answer(sw->aux, buf, 12 + n);
}

static void
bundle(struct fake_switch *sw, const uint8_t *msg, size_t len)
{
    struct of_bundle_control bc;
    uint8_t *out;

    if (!of_msg_bundle_control(msg, len, &bc)) {
        return;
    }
    if (bc.type == OF_BUNDLE_COMMIT_REQUEST) {
        bool ok = true;

        /* Only what is refused by cookie fails here: find it first, so that
         * nothing of the bundle is done. */
        for (size_t i = 0; ok && i < sw->n_held; i++) {
            struct of_flow flow;

            if (of_flow_decode(sw->held[i].msg, sw->held[i].len, sw->has_tid,
                               &flow)) {
                ok = !sw->refused_cookie ||
                     flow.new_cookie != sw->refused_cookie;
                of_flow_uninit(&flow);
            }
            if (!ok) {
                error(sw, sw->held[i].msg, sw->held[i].len);
            }
        }
        for (size_t i = 0; ok && i < sw->n_held; i++) {
            flow_mod(sw, sw->held[i].msg, sw->held[i].len);
        }
        drop_held(sw);
        if (!ok) {
            error(sw, msg, len);
            return;
        }
    } else {
        drop_held(sw);
    }
    bc.type++;
    of_msg_put_bundle_control(sw->version, of_wire_xid(msg), &bc, &out, &len);
    sw->answer(sw->aux, out, len);
}

static void
answer_part(void *sw_, uint8_t *msg, size_t len)
{
    struct fake_switch *sw = sw_;

    sw->answer(sw->aux, msg, len);
}

static void
flow_stats(struct fake_switch *sw, const uint8_t *msg, size_t len)
{
    struct of_flow_request request;
    struct of_flow_writer *writer;
    struct of_flow filter;
    struct shadow_rule **rules;
    uint64_t n_packets = 0;
    size_t n;

    if (!of_flow_request_decode(msg, len, &request)) {
        return;
    }
    of_flow_init(&filter);
    filter.command = OF_FLOW_DELETE;
    filter.match = request.match;
    filter.table_id = request.table_id;
    filter.cookie = request.cookie;
    filter.cookie_mask = request.cookie_mask;
    filter.out_port = request.out_port;
    filter.out_group = request.out_group;
    rules = instr_shadow_select(sw->flows, &filter, &n);
    writer = of_flow_writer_open(sw->version, request.is_nicira);
    for (size_t i = 0; i < n; i++) {
        const struct shadow_rule *r = rules[i];
        struct of_flow_record record = {.match = r->match,
                                        .acts = r->acts,
                                        .table_id = r->table_id,
                                        .priority = r->priority,
                                        .cookie = r->cookie,
                                        .idle_timeout = r->idle_timeout,
                                        .hard_timeout = r->hard_timeout,
                                        .importance = r->importance,
                                        .flags = r->flags,
                                        .duration_sec = sw->age_s,
                                        .idle_age = -1,
                                        .hard_age = -1,
                                        .n_packets = 3,
                                        .n_bytes = 180};

        of_flow_writer_add(writer, &record);
        n_packets += 3;
    }
    if (request.is_aggregate) {
        uint8_t *out;

        of_flow_writer_close(writer, 0, false, answer_part, sw);
        of_flow_aggregate(msg, len, n_packets, n_packets * 60, (uint32_t) n,
                          &out, &len);
        sw->answer(sw->aux, out, len);
    } else {
        of_flow_writer_close(writer, of_wire_xid(msg), false, answer_part, sw);
    }
    free(rules);
    of_flow_request_uninit(&request);
}

size_t
fake_switch_put_port(uint8_t version, uint16_t no, uint8_t *p)
{
    uint8_t letter =
        (uint8_t) ('a' + (no == FAKE_POSTCARD_PORT ? FAKE_PORTS : no - 1));

    memset(p, 0, 64);
    if (version == OF_WIRE_10) {
        of_wire_put16(p, no);
        p[7] = (uint8_t) no;
        p[8] = letter;
        return 48;
    }
    of_wire_put32(p, no);
    p[13] = (uint8_t) no;
    p[16] = letter;
    if (version >= OF_WIRE_14) {
        of_wire_put16(p + 4, 40);
        return 40;
    }
    return 64;
}

uint8_t *
fake_switch_port_status(uint8_t version, uint8_t reason, uint16_t no,
                        size_t *len)
{
    uint8_t *msg = lh_alloc_zero(80);

    *len = 16 + fake_switch_put_port(version, no, msg + 16);
    of_wire_put_header(msg, version, OF_WIRE_PORT_STATUS, (uint16_t) *len, 0);
    msg[8] = reason;
    return msg;
}

/* Ports as 1.0 to 1.2 put them into features and 1.3 into a description. */
static void
put_ports(struct fake_switch *sw, const uint8_t *request, uint8_t type)
{
    size_t len = type == OF_WIRE_FEATURES_REPLY ? 32 : 16;
    uint8_t *msg = lh_alloc_zero(len + (FAKE_PORTS + 1) * 64);

    for (unsigned int i = 0; i <= FAKE_PORTS; i++) {
        uint16_t no = i < FAKE_PORTS ? (uint16_t) (i + 1) : FAKE_POSTCARD_PORT;

        len += fake_switch_put_port(sw->version, no, msg + len);
    }
    of_wire_put_header(msg, sw->version, type, (uint16_t) len, 0);
    if (type != OF_WIRE_FEATURES_REPLY) {
        of_wire_put16(msg + 8, 13);
    }
    reply(sw, msg, len, of_wire_xid(request));
}

/* A port-mod for a port that is not there is refused. */
static bool
port_mod(const struct fake_switch *sw, const uint8_t *msg)
{
    uint32_t no = sw->version == OF_WIRE_10 ? of_wire_get16(msg + 8)
                                            : of_wire_get32(msg + 8);

    return no == FAKE_POSTCARD_PORT || (no && no <= FAKE_PORTS);
}

static void
tlv_mod(struct fake_switch *sw, const uint8_t *msg, size_t len)
{
    enum of_tlv_command command;
    uint16_t max_fields;
    struct of_tlv *tlvs;
    uint32_t space;
    size_t n;

    if (of_msg_tlv_decode(msg, len, &command, &tlvs, &n, &space,
                          &max_fields)) {
        for (size_t i = 0; command == OF_TLV_ADD && i < n; i++) {
            sw->tlvs[sw->n_tlvs++ % 64] = tlvs[i];
        }
        free(tlvs);
    }
}

static bool
run_small(struct fake_switch *sw, const uint8_t *msg, size_t len)
{
    uint8_t *out;

    if (msg[1] == of_wire_barrier_request(sw->version)) {
        out = lh_alloc(8);
        of_wire_put_header(out, sw->version,
                           of_wire_barrier_reply(sw->version), 8, 0);
        reply(sw, out, 8, of_wire_xid(msg));
        return true;
    }
    if (sw->version < OF_WIRE_13 && msg[1] == OF_WIRE_FEATURES_REQUEST) {
        put_ports(sw, msg, OF_WIRE_FEATURES_REPLY);
        return true;
    }
    if (sw->version != OF_WIRE_10 && msg[1] == 18 && len >= 16) {
        uint16_t type = of_wire_get16(msg + 8);

        if (type == 13) {
            put_ports(sw, msg, 19);
            return true;
        }
        if (type == 7) { /* Group description: there are none. */
            out = lh_alloc_zero(16);
            of_wire_put_header(out, sw->version, 19, 16, 0);
            of_wire_put16(out + 8, 7);
            reply(sw, out, 16, of_wire_xid(msg));
            return true;
        }
    }
    if (msg[1] == OF_WIRE_EXPERIMENTER && len >= 16 &&
        of_wire_get32(msg + 8) == 0x2320) {
        uint32_t subtype = of_wire_get32(msg + 12);

        if (subtype == 15 && len >= 24) { /* Table in the command. */
            sw->has_tid = msg[16];
        } else if (subtype == 25) { /* TLV map. */
            of_msg_tlv_reply(sw->version, of_wire_xid(msg), sw->tlvs,
                             sw->n_tlvs, 256, 64, &out, &len);
            sw->answer(sw->aux, out, len);
        }
    }
    return false;
}

void
fake_switch_run(struct fake_switch *sw, const uint8_t *msg, size_t len,
                void (*answer)(void *aux, uint8_t *msg, size_t len), void *aux)
{
    const uint8_t *inner;
    size_t inner_len;
    uint16_t flags;
    uint32_t id;

    sw->answer = answer;
    sw->aux = aux;
    if (run_small(sw, msg, len)) {
        return;
    }
    switch ((int) of_msg_kind(msg, len)) {
    case OF_FLOW_MOD:
        if (!flow_mod(sw, msg, len)) {
            error(sw, msg, len);
        }
        break;
    case OF_PORT_MOD:
        if (!port_mod(sw, msg)) {
            error(sw, msg, len);
        }
        break;
    case OF_FLOW_STATS_REQUEST:
    case OF_AGGREGATE_REQUEST:
        flow_stats(sw, msg, len);
        break;
    case OF_BUNDLE_CONTROL:
        bundle(sw, msg, len);
        break;
    case OF_BUNDLE_ADD:
        if (of_msg_bundle_add(msg, len, &id, &flags, &inner, &inner_len)) {
            sw->held = lh_alloc_grow(sw->held, sw->n_held, &sw->allocated_held,
                                     sizeof *sw->held);
            sw->held[sw->n_held++] =
                (struct held){lh_memdup(inner, inner_len), inner_len};
        }
        break;
    case OF_TLV_MOD:
        tlv_mod(sw, msg, len);
        break;
    default:
        break;
    }
}

static int
compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

char *
fake_switch_text(const struct fake_switch *sw)
{
    struct shadow_rule **rules;
    char *text = lh_strdup("");
    char **lines;
    size_t n;

    rules = instr_shadow_all(sw->flows, &n);
    lines = lh_alloc_array(NULL, n, sizeof *lines);
    for (size_t i = 0; i < n; i++) {
        struct of_flow flow;
        char *line;

        shadow_rule_to_flow(rules[i], &flow);
        line = of_flow_to_text(&flow);
        lines[i] = lh_asprintf("cookie=0x%llx,%s\n",
                               (unsigned long long) rules[i]->cookie, line);
        free(line);
    }
    if (n) {
        qsort(lines, n, sizeof *lines, compare_lines);
    }
    for (size_t i = 0; i < n; i++) {
        char *joined = lh_asprintf("%s%s", text, lines[i]);

        free(text);
        free(lines[i]);
        text = joined;
    }
    free(lines);
    free(rules);
    return text;
}

size_t
fake_switch_n_flows(const struct fake_switch *sw)
{
    return instr_shadow_count(sw->flows);
}

uint8_t *
fake_switch_expire(struct fake_switch *sw, uint64_t cookie, uint32_t age_s,
                   size_t *len)
{
    struct shadow_rule **rules;
    uint8_t *msg = NULL;
    size_t n;

    rules = instr_shadow_all(sw->flows, &n);
    for (size_t i = 0; i < n && !msg; i++) {
        struct shadow_rule *r = rules[i];

        if (r->cookie != cookie) {
            continue;
        }
        if (r->flags & OF_FLOW_SEND_REMOVED) {
            struct of_flow_removed removed = {
                .match = r->match,
                .table_id = r->table_id,
                .reason = OF_FLOW_HARD,
                .priority = r->priority,
                .cookie = r->cookie,
                .duration_ns = age_s * UINT64_C(1000000000)};

            of_flow_removed_encode(&removed, sw->version, &msg, len);
        }
        instr_shadow_take(sw->flows, r);
        shadow_rule_destroy(r);
        break;
    }
    free(rules);
    return msg;
}
