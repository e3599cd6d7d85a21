/* SPDX-License-Identifier: Apache-2.0 */
/* pass_messages - how instr treats OpenFlow messages, one by one.
 *
 * usage: pass_messages < MESSAGES
 *
 * Reads a message per line, in hexadecimal, and gives each to an instr of its
 * version on a switch that is empty, as if the controller had sent it and as
 * if the switch had.  What instr does not rewrite must come out byte by byte;
 * what it restores must say the same as ovs-ofctl prints it; a flow-mod,
 * group-mod or packet-out that adds something must be recorded as it was.
 * Prints a line per failure and a count; exits with 1 if there was a failure.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/instr.h"
#include "recorder/of_flow.h"
#include "recorder/of_group.h"
#include "recorder/of_msg.h"
#include "recorder/of_wire.h"

#define MAX_LINE (4 * 65536)

static uint32_t n_versions;
static unsigned int n_messages, n_failed, line_number;

struct bench {
    struct instr *instr;
    struct instr_link *link;
};

static uint32_t
next_version(void *aux)
{
    return ++n_versions;
}

static void
fail(const char *direction, const char *why, const char *a, const char *b)
{
    n_failed++;
    printf("message %u %s: %s\n%s%s%s%s", line_number, direction, why,
           a ? a : "", a ? "\n" : "", b ? b : "", b ? "\n" : "");
}

/* An instr that is ready; without 'port' it has no rules of its own. */
static void
set_up(struct bench *b, uint8_t version, uint32_t port)
{
    struct instr_config config = {.dpid = 0x1122,
                                  .ports = {{.is_wanted = true, .no = port}},
                                  .next_version = next_version};
    uint8_t barrier[OF_WIRE_HEADER_LEN];

    b->instr = instr_create(&config);
    b->link = instr_link_create(b->instr, version, false, NULL);
    of_wire_put_header(barrier, version, of_wire_barrier_reply(version),
                       OF_WIRE_HEADER_LEN, 0);
    for (int i = 0; !instr_is_ready(b->instr) && i < 4; i++) {
        static uint64_t tag;
        struct instr_out out = INSTR_OUT_INIT;

        if (!i) {
            instr_start(b->link, 1, &out);
        } else {
            instr_from_switch(b->link, barrier, OF_WIRE_HEADER_LEN, tag, 1,
                              &out);
        }
        if (out.n_to_switch) {
            tag = out.to_switch[out.n_to_switch - 1].tag;
        }
        instr_out_uninit(&out);
    }
    if (!instr_is_ready(b->instr)) {
        fail("set-up", "not ready", NULL, NULL);
    }
}

static void
tear_down(struct bench *b)
{
    instr_destroy(b->instr);
}

static void
check_whole(const char *direction, const struct instr_msg *messages, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (of_wire_frame(messages[i].data, messages[i].len) !=
            (int) messages[i].len) {
            fail(direction, "gave a message that is not whole", NULL, NULL);
        }
    }
}

static void
check_same_bytes(const char *direction, const struct instr_msg *messages,
                 size_t n, const uint8_t *msg, size_t len)
{
    if (n != 1 || messages[0].len != len ||
        memcmp(messages[0].data, msg, len)) {
        char *text = of_msg_to_text(msg, len);
        char *got =
            n ? of_msg_to_text(messages[0].data, messages[0].len) : NULL;

        fail(direction, "should have passed as it was", text, got);
        free(text);
        free(got);
    }
}

static void
check_same_text(const char *direction, const struct instr_msg *messages,
                size_t n, const uint8_t *msg, size_t len)
{
    char *want = of_msg_to_text(msg, len);
    char *got = n == 1 ? of_msg_to_text(messages[0].data, messages[0].len)
                       : lh_strdup("");

    if (strcmp(want, got)) {
        fail(direction, "should say the same", want, got);
    }
    free(want);
    free(got);
}

/* What instr does to messages of a controller. */
enum treatment { PASSES, REWRITTEN, RECORDED };

static enum treatment
treatment_down(enum of_kind kind)
{
    switch ((int) kind) {
    case OF_FLOW_MOD:
    case OF_GROUP_MOD:
    case OF_PACKET_OUT:
        return RECORDED;
    case OF_FLOW_STATS_REQUEST:
    case OF_AGGREGATE_REQUEST:
    case OF_TABLE_STATS_REQUEST:
    case OF_BUNDLE_CONTROL:
    case OF_BUNDLE_ADD:
    case OF_TLV_MOD:
    case OF_SET_FLOW_FORMAT:
    case OF_FLOW_MOD_TABLE_ID:
    case OF_MONITOR_REQUEST:
    case OF_MONITOR_CANCEL:
        return REWRITTEN;
    default:
        return PASSES;
    }
}

/* A flow-mod that adds: the rule recorded is the one it wrote. */
static void
check_flow(const struct instr_out *out, const uint8_t *msg, size_t len)
{
    struct of_flow flow, made;
    char *want, *got;

    if (!of_flow_decode(msg, len, false, &flow)) {
        check_same_bytes("down", out->to_switch, out->n_to_switch, msg, len);
        return;
    }
    if (flow.command == OF_FLOW_ADD) {
        if (flow.table_id == OF_FLOW_ALL_TABLES) {
            flow.table_id = 0;
        }
        for (size_t i = 0; i < out->n_made; i++) {
            const struct rule *rule = out->made[i];

            if (rule->kind != RULE_FLOW ||
                !of_flow_decode(rule->raw, rule->raw_len, true, &made)) {
                continue;
            }
            want = of_flow_to_text(&flow);
            got = of_flow_to_text(&made);
            if (strcmp(want, got)) {
                fail("down", "recorded otherwise", want, got);
            }
            free(want);
            free(got);
            of_flow_uninit(&made);
            of_flow_uninit(&flow);
            return;
        }
        fail("down", "not recorded", NULL, NULL);
    }
    of_flow_uninit(&flow);
}

static void
check_group(const struct instr_out *out, const uint8_t *msg, size_t len)
{
    struct of_group *group = of_group_decode(msg, len);
    size_t n = 0;

    if (!group) {
        check_same_bytes("down", out->to_switch, out->n_to_switch, msg, len);
        return;
    }
    if (of_group_command(group) == OF_GROUP_ADD) {
        for (size_t i = 0; i < out->n_made; i++) {
            n += out->made[i]->kind == RULE_GROUP;
        }
        if (n != of_group_n_buckets(group)) {
            fail("down", "not every bucket is recorded", NULL, NULL);
        }
    }
    of_group_destroy(group);
}

static void
run_down(const uint8_t *msg, size_t len, uint32_t port)
{
    enum of_kind kind = of_msg_kind(msg, len);
    struct instr_out out = INSTR_OUT_INIT;
    struct bench b;

    set_up(&b, msg[0], port);
    instr_from_controller(b.link, msg, len, 5, "test", &out);
    check_whole("down", out.to_switch, out.n_to_switch);
    if (treatment_down(kind) == PASSES) {
        check_same_bytes("down", out.to_switch, out.n_to_switch, msg, len);
    } else if (kind == OF_FLOW_MOD) {
        check_flow(&out, msg, len);
    } else if (kind == OF_GROUP_MOD) {
        check_group(&out, msg, len);
    } else if (kind == OF_PACKET_OUT && out.n_made != 1) {
        check_same_bytes("down", out.to_switch, out.n_to_switch, msg, len);
    }
    instr_out_uninit(&out);
    tear_down(&b);
}

/* True when instr takes such a message of the switch apart. */
static bool
is_taken_apart(enum of_kind kind)
{
    switch ((int) kind) {
    case OF_FLOW_STATS_REPLY:
    case OF_GROUP_DESC_REPLY:
    case OF_TABLE_STATS_REPLY:
    case OF_TLV_REPLY:
    case OF_FLOW_REMOVED:
        return true;
    default:
        return false;
    }
}

/* Those of flow monitors reach only a controller that has one. */
static bool
is_of_monitor(enum of_kind kind)
{
    return kind == OF_MONITOR_REPLY || kind == OF_MONITOR_PAUSED ||
           kind == OF_MONITOR_RESUMED;
}

/* The controller wants flow-removed messages of 1.0 in Nicira's form. */
static void
set_nicira(struct bench *b)
{
    uint8_t msg[20] = {OF_WIRE_10, OF_WIRE_EXPERIMENTER, 0, 20};
    struct instr_out out = INSTR_OUT_INIT;

    of_wire_put32(msg + 8, 0x2320);
    of_wire_put32(msg + 12, 12);
    of_wire_put32(msg + 16, 2);
    instr_from_controller(b->link, msg, sizeof msg, 5, "test", &out);
    instr_out_uninit(&out);
}

/* The controller wants to hear of meter-mods and group-mods of others. */
static void
ask_forwards(struct bench *b, uint8_t version)
{
    bool is_13 = version == OF_WIRE_13;
    size_t ofs = is_13 ? 16 : 8;
    uint8_t msg[32] = {version, is_13 ? OF_WIRE_EXPERIMENTER : 28};
    struct instr_out out = INSTR_OUT_INIT;

    of_wire_put16(msg + 2, (uint16_t) (ofs + 16));
    if (is_13) {
        of_wire_put32(msg + 8, 0x2320);
        of_wire_put32(msg + 12, 27);
    }
    for (uint16_t property = 10; property <= 11; property++, ofs += 8) {
        of_wire_put16(msg + ofs, property);
        of_wire_put16(msg + ofs + 2, 8);
        of_wire_put32(msg + ofs + 4, 3);
    }
    instr_from_controller(b->link, msg, ofs, 5, "test", &out);
    instr_out_uninit(&out);
}

/* Asks for flow statistics, so that a reply with ID 'xid' has somebody that
 * waits for it; its tag. */
static uint64_t
ask_flows(struct bench *b, const uint8_t *reply)
{
    struct of_flow_request request = {.match = of_match_create_all(),
                                      .table_id = OF_FLOW_ALL_TABLES,
                                      .out_port = OF_ACTS_ANY,
                                      .out_group = OF_ACTS_ANY};
    struct instr_out out = INSTR_OUT_INIT;
    uint64_t tag = 0;
    uint8_t *msg;
    size_t len;

    /* Of 1.0 the Nicira form has a vendor's number for a type. */
    of_flow_request_encode(&request, reply[0],
                           reply[0] != OF_WIRE_10 ||
                               of_wire_get16(reply + 8) == 0xffff,
                           of_wire_xid(reply), &msg, &len);
    if (reply[0] == OF_WIRE_10 && of_wire_get16(reply + 8) != 0xffff) {
        free(msg);
        request.is_nicira = false;
        of_flow_request_encode(&request, reply[0], false, of_wire_xid(reply),
                               &msg, &len);
    }
    instr_from_controller(b->link, msg, len, 5, "test", &out);
    if (out.n_to_switch) {
        tag = out.to_switch[out.n_to_switch - 1].tag;
    }
    instr_out_uninit(&out);
    of_flow_request_uninit(&request);
    free(msg);
    return tag;
}

static void
run_up(const uint8_t *msg, size_t len)
{
    enum of_kind kind = of_msg_kind(msg, len);
    struct instr_out out = INSTR_OUT_INIT;
    uint64_t tag = 0;
    struct bench b;

    set_up(&b, msg[0], 0);
    if (kind == OF_FLOW_STATS_REPLY) {
        tag = ask_flows(&b, msg);
    } else if (kind == OF_FLOW_REMOVED && msg[1] == OF_WIRE_EXPERIMENTER) {
        set_nicira(&b);
    } else if (kind == OF_REQUEST_FORWARD) {
        ask_forwards(&b, msg[0]);
    }
    instr_from_switch(b.link, msg, len, tag, 5, &out);
    check_whole("up", out.to_controller, out.n_to_controller);
    if (is_taken_apart(kind)) {
        check_same_text("up", out.to_controller, out.n_to_controller, msg,
                        len);
    } else if (!is_of_monitor(kind)) {
        check_same_bytes("up", out.to_controller, out.n_to_controller, msg,
                         len);
    }
    instr_out_uninit(&out);
    tear_down(&b);
}

/* The bytes of a line, or 0 when it is no whole message. */
static size_t
read_line(const char *line, uint8_t *msg)
{
    size_t len = 0;
    unsigned int byte;

    while (sscanf(line, "%2x", &byte) == 1 && line[1] && line[1] != '\n') {
        msg[len++] = (uint8_t) byte;
        line += 2;
    }
    return len >= OF_WIRE_HEADER_LEN && of_wire_frame(msg, len) == (int) len
               ? len
               : 0;
}

int
main(void)
{
    char *line = lh_alloc(MAX_LINE);
    uint8_t *room = lh_alloc(MAX_LINE / 2);

    of_msg_init();
    while (fgets(line, MAX_LINE, stdin)) {
        size_t len = read_line(line, room);

        line_number++;
        if (len && of_wire_is_known(room[0])) {
            /* A copy that ends where the allocation ends. */
            uint8_t *msg = lh_memdup(room, len);

            n_messages++;
            run_down(msg, len, 99);
            run_down(msg, len, 0);
            run_up(msg, len);
            free(msg);
        }
    }
    printf("%u messages, %u failures\n", n_messages, n_failed);
    free(line);
    free(room);
    return n_failed != 0;
}
