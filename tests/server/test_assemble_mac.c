/* SPDX-License-Identifier: Apache-2.0 */
/* test_assemble_mac - histories of postcards that carry no in_port and no
 * flags, and whose rule a drop is.
 *
 *     host -- 3 s1 1 ---- 1 s2 2 ---- 1 s3 2 -- host      s4, alone, has
 *               2 \       3 |                             hosts at 1 and 2
 *                  s5 1    host
 *                  down: s1 9, and LOCAL everywhere */
#include <config.h>

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hdr.h"
#include "lib/of_port.h"
#include "server/assemble.h"
#include "tests/lib/frame.h"

#define MAX_CARDS 32
#define MAX_RULES 32

static struct topology *topology;
static struct assembler *assembler;
static struct rule *rules[MAX_RULES];
static size_t n_rules;
static struct postcard *cards[MAX_CARDS];
static size_t n_cards;
static struct assemble_result result;

static void
add_port(struct topology_builder *b, uint64_t dpid, uint16_t no, bool edge,
         bool down)
{
    topology_builder_add_port(b, dpid, no, NULL, edge);
    topology_builder_set_port_down(b, dpid, no, down);
}

static void
setup(void)
{
    struct topology_builder *b = topology_builder_create();

    for (uint64_t dpid = 1; dpid <= 5; dpid++) {
        topology_builder_add_switch(b, dpid, NULL, (uint16_t) dpid, NULL);
        add_port(b, dpid, OF_PORT_LOCAL, true, true);
    }
    topology_builder_add_link(b, 1, 1, 2, 1);
    topology_builder_add_link(b, 2, 2, 3, 1);
    topology_builder_add_link(b, 1, 2, 5, 1);
    add_port(b, 1, 3, true, false);
    add_port(b, 1, 9, true, true);
    add_port(b, 2, 3, true, false);
    add_port(b, 3, 2, true, false);
    add_port(b, 4, 1, true, false);
    add_port(b, 4, 2, true, false);
    topology = topology_build(b, 1);
    assembler = assembler_create();
    n_rules = n_cards = 0;
    memset(&result, 0, sizeof result);
}

static void
drop_histories(void)
{
    for (size_t i = 0; i < result.n_histories; i++) {
        history_destroy(result.histories[i]);
    }
    result.n_histories = 0;
}

static void
teardown(void)
{
    drop_histories();
    for (size_t i = 0; i < n_rules; i++) {
        rule_unref(rules[i]);
    }
    for (size_t i = 0; i < n_cards; i++) {
        free(cards[i]);
    }
    topology_unref(topology);
    assembler_destroy(assembler);
}

static void
set_text(char **textp, const char *text)
{
    free(*textp);
    *textp = strdup(text);
}

/* A rule of table 0 whose actions are dec_ttl and an output, OF_PORT_NONE for
 * neither. */
static struct rule *
rule(uint64_t dpid, uint32_t version, const char *match, uint32_t port)
{
    struct rule *r = rule_create();

    ck_assert_uint_lt(n_rules, MAX_RULES);
    r->dpid = dpid;
    r->version = version;
    set_text(&r->match, match);
    if (port != OF_PORT_NONE) {
        rule_add_plain(r, STEP_DEC_TTL, 0);
        rule_add_output(r, port);
    }
    rules[n_rules++] = r;
    return r;
}

static const struct rule *
find_rule(void *aux, uint64_t dpid, uint32_t version)
{
    for (size_t i = 0; i < n_rules; i++) {
        if (rules[i]->dpid == dpid && rules[i]->version == version) {
            return rules[i];
        }
    }
    return NULL;
}

/* A postcard as the mac encapsulation gives it, later than those before. */
static struct postcard *
card(uint64_t dpid, uint32_t version, uint32_t out_port, uint8_t ttl)
{
    struct frame f = frame_eth(HDR_ETH_IP4);
    struct postcard p = {
        .dpid = dpid,
        .packet_id = 7,
        .has_id = true,
        .time_ns = 1000000000 + 20000 * n_cards,
        .version = version,
        .version_bits = 32,
        .in_port = OF_PORT_UNKNOWN,
        .out_port = out_port,
    };

    ck_assert_uint_lt(n_cards, MAX_CARDS);
    frame_ip4(&f, HDR_IP_UDP, ttl, "10.0.0.1", "10.0.0.2");
    frame_udp(&f, 4000, 7777);
    frame_text(&f, "question");
    frame_finish(&f);
    memset(f.data, 0, 6);
    p.header = f.data;
    p.caplen = (uint16_t) f.len;
    cards[n_cards] = postcard_clone(&p);
    return cards[n_cards++];
}

static void
run(void)
{
    static const struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;
    const struct assemble_env env = {
        .topology = topology,
        .id_config = &id_config,
        .find_rule = find_rule,
    };

    drop_histories();
    ck_assert_int_eq(assemble(assembler, &env,
                              (const struct postcard *const *) cards, n_cards,
                              ASSEMBLE_PARTIAL, &result),
                     0);
}

/* The hops of the only history, as "0 1.3>1; 1 2.1>2": parent's number plus
 * one, dpid.in>out, and '!' for a packet-out. */
static const struct history *
expect(const char *text)
{
    const struct history *h;
    char got[1024] = "";
    size_t len = 0;

    run();
    ck_assert_uint_eq(result.n_histories, 1);
    h = result.histories[0];
    for (size_t i = 0; i < h->n_hops; i++) {
        const struct history_hop *hop = &h->hops[i];

#define PUT(...)                                                              \
    len += (size_t) snprintf(got + len, sizeof got - len, __VA_ARGS__)
        PUT("%s%d %s%d.", i ? "; " : "", hop->parent + 1,
            hop->is_packet_out ? "!" : "", (int) hop->dpid);
        if (hop->in_port == OF_PORT_UNKNOWN) {
            PUT("?>");
        } else {
            PUT("%u>", hop->in_port);
        }
        for (size_t k = 0; k < hop->n_out; k++) {
            PUT("%s%u", k ? "," : "", hop->out_ports[k]);
        }
#undef PUT
    }
    ck_assert_str_eq(got, text);
    return h;
}

static void
expect_verdict(const struct history *h, enum verdict_name name, uint64_t dpid,
               uint32_t version, const char *reason)
{
    ck_assert_str_eq(verdict_name_string(h->verdict.name),
                     verdict_name_string(name));
    ck_assert_uint_eq(h->verdict.dpid, dpid);
    if (name == VERDICT_DROPPED) {
        ck_assert(h->verdict.has_version);
        ck_assert_uint_eq(h->verdict.version, version);
        ck_assert_str_eq(h->verdict.reason, reason);
    }
}

START_TEST(a_path_gets_its_in_ports_from_links)
{
    rule(1, 1, "udp", 1);
    rule(2, 1, "udp", 2);
    rule(3, 1, "udp", 2);
    card(1, 1, 1, 64);
    card(2, 1, 2, 63);
    card(3, 1, 2, 62);
    expect_verdict(expect("0 1.3>1; 1 2.1>2; 2 3.1>2"), VERDICT_DELIVERED, 3,
                   0, NULL);
    /* An earlier postcard may still come. */
    ck_assert_int_eq(result.state, ASSEMBLE_SETTLING);
}
END_TEST

#define LOOP                                                                  \
    "0 1.3>1; 1 2.1>65528; 2 1.1>65528; 3 2.1>65528; 4 1.1>65528; "           \
    "5 2.1>65528"

/* Times say nothing, matches name the in_port or do not. */
START_TEST(a_loop_by_in_port_is_one_history)
{
    bool is_shuffled = _i & 1;
    uint8_t ttls[6];

    rule(1, 1, "priority=100,udp,tp_dst=7777", 1);
    rule(1, 2, _i & 2 ? "priority=101,udp,in_port=1,tp_dst=7777" : "udp",
         OF_PORT_IN_PORT);
    rule(2, 1, "priority=100,udp,tp_dst=7777", OF_PORT_IN_PORT);
    card(1, 1, 1, 6);
    for (uint8_t ttl = 5; ttl > 0; ttl--) {
        card(ttl % 2 ? 2 : 1, ttl % 2 ? 1 : 2, OF_PORT_IN_PORT, ttl);
    }
    if (is_shuffled) {
        for (size_t i = 0; i < n_cards; i++) {
            cards[i]->time_ns = 1000000000 + i * 7 % 6 * 1000;
        }
    }

    const struct history *h = expect(LOOP);
    expect_verdict(h, VERDICT_LOOPED, 2, 0, NULL);
    for (size_t i = 0; i < 6; i++) {
        ttls[i] = h->hops[i].header[22];
    }
    ck_assert_mem_eq(ttls, ((uint8_t[]){6, 5, 4, 3, 2, 1}), 6);
}
END_TEST

START_TEST(a_loop_without_ttl_is_told_by_doubles)
{
    for (size_t i = 0; i < 2; i++) {
        rule(i + 1, 1, "udp", i ? OF_PORT_IN_PORT : 1);
        rules[i]->n_steps = 0;
        rule_add_output(rules[i], i ? OF_PORT_IN_PORT : 1);
    }
    rule(1, 2, "in_port=1,udp", OF_PORT_IN_PORT);
    rules[2]->n_steps = 0;
    rule_add_output(rules[2], OF_PORT_IN_PORT);
    card(1, 1, 1, 64);
    for (int i = 0; i < 5; i++) {
        card(i % 2 ? 1 : 2, i % 2 ? 2 : 1, OF_PORT_IN_PORT, 64);
    }
    ck_assert_str_eq(verdict_name_string(expect(LOOP)->verdict.name),
                     "looped");
}
END_TEST

START_TEST(a_packet_out_is_told_by_its_rule)
{
    rule(1, 1, "udp", OF_PORT_CONTROLLER)->n_steps = 1;
    rules[0]->n_steps = 0;
    rule_add_output(rules[0], OF_PORT_CONTROLLER);
    rule(1, 2, "", 1)->kind = RULE_PACKET_OUT;
    rules[1]->n_steps = 0;
    rule_add_output(rules[1], 1);
    rule(2, 1, "udp", 2);
    rule(3, 1, "udp", 2);
    card(1, 1, OF_PORT_CONTROLLER, 64);
    card(1, 2, 1, 64);
    card(2, 1, 2, 64);
    card(3, 1, 2, 63);
    expect_verdict(expect("0 1.3>65533; 1 !1.?>1; 2 2.1>2; 3 3.1>2"),
                   VERDICT_DELIVERED, 3, 0, NULL);
}
END_TEST

START_TEST(a_flood_gets_its_in_ports_from_links)
{
    rule(1, 1, "arp", OF_PORT_FLOOD);
    rule(2, 1, "arp,in_port=1", 2);
    rule_add_output(rules[1], 3);
    rule(3, 1, "arp", 2);
    rule(5, 1, "arp", OF_PORT_NONE);
    card(1, 1, OF_PORT_FLOOD, 64);
    card(5, 1, OF_PORT_NONE, 63);
    card(2, 1, 2, 63);
    card(2, 1, 3, 63);
    card(3, 1, 2, 62);
    expect_verdict(expect("0 1.3>65531; 1 2.1>2,3; 2 3.1>2; 1 5.1>"),
                   VERDICT_DROPPED, 5, 1, "no output");
}
END_TEST

START_TEST(a_miss_at_the_first_switch_has_its_port)
{
    rule(1, 1, "", OF_PORT_NONE)->kind = RULE_MISS;
    card(1, 1, OF_PORT_NONE, 64);
    expect_verdict(expect("0 1.3>"), VERDICT_DROPPED, 1, 1, "table miss");
}
END_TEST

START_TEST(a_match_tells_the_first_in_port)
{
    rule(4, 1, "priority=7,ip,in_port=2", 1);
    card(4, 1, 1, 64);
    expect("0 4.2>1");
}
END_TEST

START_TEST(a_match_names_a_reserved_port)
{
    rule(4, 1, "in_port=LOCAL", 1);
    card(4, 1, 1, 64);
    expect("0 4.65534>1");
}
END_TEST

START_TEST(no_other_word_of_a_match_is_an_in_port)
{
    rule(4, 1, "xin_port=2,in_port=\"eth0\"", 1);
    card(4, 1, 1, 64);
    expect("0 4.?>1");
}
END_TEST

START_TEST(two_edge_ports_leave_it_unknown)
{
    rule(4, 1, "ip", 1);
    card(4, 1, 1, 64);
    expect("0 4.?>1");
}
END_TEST

START_TEST(what_leaves_by_the_only_edge_port_came_by_a_link)
{
    rule(3, 1, "ip", 2);
    card(3, 1, 2, 64);
    expect_verdict(expect("0 3.?>2"), VERDICT_DELIVERED, 3, 0, NULL);
}
END_TEST

START_TEST(what_may_come_from_a_lost_hop_has_no_in_port)
{
    rule(5, 1, "ip", 1);
    rule(3, 1, "ip", OF_PORT_CONTROLLER);
    card(5, 1, 1, 64);
    card(3, 1, OF_PORT_CONTROLLER, 61);
    run();
    ck_assert_uint_eq(result.n_histories, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct history *h = result.histories[i];

        if (h->hops[0].dpid == 3) {
            ck_assert_uint_eq(h->hops[0].in_port, OF_PORT_UNKNOWN);
        }
    }
}
END_TEST

START_TEST(a_hop_between_is_deduced)
{
    rule(1, 1, "ip", 1);
    rule(3, 1, "ip", 2);
    card(1, 1, 1, 64);
    card(3, 1, 2, 62);
    ck_assert(expect("0 1.3>1; 1 2.1>2; 2 3.1>2")->hops[1].is_deduced);
}
END_TEST

/* --- Whose drop it was. ---------------------------------------------------
 */

/* A rule of table 0 that writes an action set and goes on, with the marker
 * that the set was empty at the end. */
static struct postcard *
marker(bool is_mac)
{
    struct postcard *p;

    rule(4, 10, "ip", OF_PORT_NONE)->is_transit = true;
    p = card(4, 10, OF_PORT_NONE, 64);
    if (!is_mac) {
        p->flags = POSTCARD_AFTER;
        p->in_port = 1;
    }
    return p;
}

START_TEST(the_table_that_ended_it_dropped_it)
{
    bool is_mac = _i & 1;
    struct rule *last = rule(4, 11, "ip", OF_PORT_NONE);
    const struct history *h;

    last->table_id = 1;
    last->kind = _i & 2 ? RULE_MISS : RULE_FLOW;
    marker(is_mac)->time_ns -= _i & 4 ? 10 : 0;
    card(4, 11, OF_PORT_NONE, 64)->in_port = is_mac ? OF_PORT_UNKNOWN : 1;
    h = expect(is_mac ? "0 4.?>" : "0 4.1>");
    expect_verdict(h, VERDICT_DROPPED, 4, 11,
                   _i & 2 ? "table miss" : "no output");
    /* In the order of the pipeline, at whose end the marker is. */
    ck_assert_uint_eq(h->hops[0].n_versions, 2);
    ck_assert_uint_eq(h->hops[0].versions[0], 11);
    ck_assert_uint_eq(h->hops[0].versions[1], 10);
    ck_assert(!h->hops[0].is_after);
}
END_TEST

START_TEST(an_empty_action_set_alone_is_a_drop)
{
    marker(_i & 1);
    expect_verdict(expect(_i & 1 ? "0 4.?>" : "0 4.1>"), VERDICT_DROPPED, 4,
                   10, "no output");
}
END_TEST

START_TEST(with_an_output_no_drop_counts)
{
    bool is_mac = _i & 1;

    rule(4, 11, "ip", 2)->table_id = 1;
    rule(4, 12, "ip", OF_PORT_NONE)->table_id = 2;
    marker(is_mac);
    card(4, 11, 2, 64)->in_port = is_mac ? OF_PORT_UNKNOWN : 1;
    rules[0]->is_transit = true;
    card(4, 12, OF_PORT_NONE, 63)->in_port = is_mac ? OF_PORT_UNKNOWN : 1;
    expect_verdict(expect(is_mac ? "0 4.?>2" : "0 4.1>2"), VERDICT_DELIVERED,
                   4, 0, NULL);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("assemble_mac");
    TCase *tc = tcase_create("mac");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_path_gets_its_in_ports_from_links);
    tcase_add_loop_test(tc, a_loop_by_in_port_is_one_history, 0, 4);
    tcase_add_test(tc, a_loop_without_ttl_is_told_by_doubles);
    tcase_add_test(tc, a_packet_out_is_told_by_its_rule);
    tcase_add_test(tc, a_flood_gets_its_in_ports_from_links);
    tcase_add_test(tc, a_miss_at_the_first_switch_has_its_port);
    tcase_add_test(tc, a_match_tells_the_first_in_port);
    tcase_add_test(tc, a_match_names_a_reserved_port);
    tcase_add_test(tc, no_other_word_of_a_match_is_an_in_port);
    tcase_add_test(tc, two_edge_ports_leave_it_unknown);
    tcase_add_test(tc, what_leaves_by_the_only_edge_port_came_by_a_link);
    tcase_add_test(tc, what_may_come_from_a_lost_hop_has_no_in_port);
    tcase_add_test(tc, a_hop_between_is_deduced);
    tcase_add_loop_test(tc, the_table_that_ended_it_dropped_it, 0, 8);
    tcase_add_loop_test(tc, an_empty_action_set_alone_is_a_drop, 0, 2);
    tcase_add_loop_test(tc, with_an_output_no_drop_counts, 0, 2);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
