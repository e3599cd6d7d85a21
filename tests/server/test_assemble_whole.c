/* SPDX-License-Identifier: Apache-2.0 */
/* test_assemble_whole - visits of switches that know them: what they say
 * stands in the history, passes and meters join it, nothing else is waited
 * for. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "server/path_table.h"
#include "server/visit_table.h"
#include "tests/server/sketch.h"

static struct sketch s;
static struct path_table *pt;
static struct history *out[64];
static size_t n_out, n_packets;
static union hop_template_buf bufs[SKETCH_MAX_CARDS];

/* What a visit says; ports and versions end with 0. */
struct say {
    uint16_t flags;
    uint16_t ports[4];
    uint32_t versions[4];
    const char *reason;
    uint8_t out_flags, trail_flags;
    bool is_dropped; /* By a meter, after all. */
};

static struct postcard *
visit(uint64_t dpid, uint32_t in_port, uint64_t time_us,
      const struct say *said)
{
    struct postcard *p = sketch_card(&s, dpid, in_port, 0, 0, 64, time_us);
    union hop_template_buf *buf = &bufs[s.n_cards - 1];
    struct hop_output outputs[4];
    struct hop_trail trail[4] = {{0, 0, 0, 0}};
    struct hop_template_parts parts = {
        .dpid = dpid,
        .in_port = in_port,
        .flags = said->flags,
        .outputs = outputs,
        .trail = trail,
        .reason = said->reason,
        .reason_len = said->reason ? strlen(said->reason) : 0,
    };

    for (size_t i = 0; i < 4 && said->ports[i]; i++) {
        outputs[parts.n_outputs++] =
            (struct hop_output){said->ports[i], said->out_flags};
    }
    for (size_t i = 0; i < 4 && said->versions[i]; i++) {
        trail[parts.n_trail++] = (struct hop_trail){
            said->versions[i], (uint8_t) i,
            (uint8_t) (HOP_TRAIL_VERSION | said->trail_flags), 0};
    }
    hop_template_make(buf, &parts);
    postcard_set_visit(p, &buf->t, said->is_dropped);
    return p;
}

#define SAY(...) (&(struct say){__VA_ARGS__})

static const struct history *
only(void)
{
    const struct assemble_result *result = sketch_assemble(&s);

    ck_assert_uint_eq(result->n_histories, 1);
    return result->histories[0];
}

static void
emit(void *aux, struct history *h)
{
    out[n_out++] = h;
}

static void
emit_packet(void *aux, struct trajectory *t,
            const struct trajectory_packet *packet)
{
    n_packets++;
}

static void
setup(void)
{
    struct path_table_config config = {.emit = emit,
                                       .emit_packet = emit_packet,
                                       .find_rule = sketch_find_rule,
                                       .aux = &s};

    sketch_init(&s);
    n_packets = 0;
    pt = path_table_create(&config);
    path_table_set_topology(pt, s.topology);
}

static void
teardown(void)
{
    while (n_out) {
        history_destroy(out[--n_out]);
    }
    path_table_destroy(pt);
    sketch_uninit(&s);
}

START_TEST(says_every_port_and_rule)
{
    visit(1, 1, 0, SAY(.ports = {4, 2, 5}, .versions = {11, 12, 13}));
    visit(2, 1, 20, SAY(.ports = {3}, .versions = {21}));
    visit(3, 2, 30, SAY(.reason = "recursion too deep", .versions = {31}));

    const struct history *h = only();

    ck_assert_str_eq(sketch_tree(h), "1.1>2,4,5 (2.1>3 3.2>)");
    ck_assert_uint_eq(h->hops[0].n_versions, 3);
    ck_assert_uint_eq(h->hops[0].versions[2], 13);
    ck_assert_int_eq(h->hops[2].verdict.name, VERDICT_DROPPED);
    ck_assert_str_eq(h->verdict.reason, "recursion too deep");
    ck_assert(h->verdict.has_version && h->verdict.version == 31);
    /* Nothing was rewritten. */
    ck_assert(h->hops[0].has_header_out);
    ck_assert_uint_eq(h->hops[0].header_out_len, h->hops[0].caplen);
    ck_assert_mem_eq(h->hops[0].header_out, h->hops[0].header,
                     h->hops[0].caplen);
}
END_TEST

START_TEST(a_table_miss_is_told)
{
    visit(1, 1, 0, SAY(.versions = {11}, .trail_flags = HOP_TRAIL_MISS));
    ck_assert_str_eq(only()->verdict.reason, "table miss");
}
END_TEST

START_TEST(a_copy_for_a_mirror_is_no_way_on)
{
    visit(1, 1, 0,
          SAY(.ports = {4}, .out_flags = HOP_OUTPUT_MIRROR, .versions = {11},
              .reason = "no output"));

    const struct history *h = only();

    ck_assert_str_eq(sketch_tree(h), "1.1>");
    ck_assert_int_eq(h->verdict.name, VERDICT_DROPPED);
    ck_assert_str_eq(h->verdict.reason, "no output");
}
END_TEST

/* Ports 4 and 5 lead to switches; a bond chose the first. */
START_TEST(what_a_bond_did_not_choose_is_not_lost)
{
    visit(
        1, 1, 0,
        SAY(.ports = {4, 5}, .out_flags = HOP_OUTPUT_MAYBE, .versions = {11}));
    visit(2, 1, 20, SAY(.ports = {3}, .versions = {21}));

    const struct history *h = only();

    ck_assert_int_eq(h->hops[0].verdict.name, VERDICT_NONE);
    ck_assert_int_eq(h->verdict.name, VERDICT_DELIVERED);
}
END_TEST

START_TEST(passes_are_one_hop)
{
    visit(1, 1, 0, SAY(.flags = HOP_CONTINUES, .versions = {11}));
    visit(1, 1, 0,
          SAY(.flags = HOP_CONTINUED | HOP_CONTINUES, .versions = {12}));
    visit(1, 1, 2,
          SAY(.flags = HOP_CONTINUED, .ports = {2}, .versions = {13, 14}));

    const struct history *h = only();

    ck_assert_str_eq(sketch_tree(h), "1.1>2");
    ck_assert_uint_eq(h->hops[0].n_versions, 4);
    ck_assert_int_eq(h->verdict.name, VERDICT_DELIVERED);
}
END_TEST

START_TEST(a_pass_that_is_missing_leaves_it_open)
{
    visit(1, 1, 0, SAY(.flags = HOP_CONTINUES, .versions = {11}));

    const struct history *h = only();

    ck_assert_int_eq(h->verdict.name, VERDICT_OPEN);
    ck_assert_uint_eq(h->hops[0].n_out, 1);
    ck_assert_uint_eq(h->hops[0].out_ports[0], OF_PORT_UNKNOWN);
}
END_TEST

/* A packet-out that was recirculated: the later pass does not say so. */
START_TEST(a_packet_out_goes_on_in_another_pass)
{
    visit(1, OF_PORT_UNKNOWN, 0,
          SAY(.flags = HOP_PACKET_OUT | HOP_CONTINUES, .versions = {11}));
    visit(1, OF_PORT_UNKNOWN, 3,
          SAY(.flags = HOP_CONTINUED, .ports = {2}, .versions = {12}));

    const struct history *h = only();

    ck_assert_uint_eq(h->n_hops, 1);
    ck_assert(h->hops[0].is_packet_out);
    ck_assert_uint_eq(h->hops[0].n_versions, 2);
    ck_assert_int_eq(h->verdict.name, VERDICT_DELIVERED);
}
END_TEST

START_TEST(a_meter_drops_what_it_said_to_send)
{
    visit(1, 1, 0, SAY(.flags = HOP_METER, .ports = {4}, .versions = {11}));
    visit(1, 1, 0,
          SAY(.flags = HOP_METER, .ports = {4}, .versions = {11},
              .is_dropped = true));

    const struct history *h = only();

    ck_assert_str_eq(sketch_tree(h), "1.1>");
    ck_assert_int_eq(h->verdict.name, VERDICT_DROPPED);
    ck_assert_str_eq(h->verdict.reason, "meter");
    ck_assert_uint_eq(h->verdict.version, 11);
    ck_assert(!h->hops[0].has_header_out);
}
END_TEST

/* The postcard before a meter's was lost: the drop alone says enough. */
START_TEST(a_meter_alone_tells_the_visit)
{
    visit(1, 1, 0,
          SAY(.flags = HOP_METER, .ports = {4}, .versions = {11},
              .is_dropped = true));

    const struct history *h = only();

    ck_assert_str_eq(sketch_tree(h), "1.1>");
    ck_assert_str_eq(h->verdict.reason, "meter");
}
END_TEST

START_TEST(back_to_its_port_is_told_as_the_port)
{
    visit(1, 1, 0, SAY(.ports = {4}, .versions = {11}));
    visit(2, 1, 20, SAY(.ports = {1}, .versions = {21}));
    visit(1, 4, 40, SAY(.ports = {2}, .versions = {12}));
    ck_assert_str_eq(sketch_tree(only()), "1.1>4 (2.1>1 (1.4>2))");
}
END_TEST

START_TEST(what_a_controller_sends_is_a_child)
{
    visit(1, 1, 0, SAY(.ports = {OF_PORT_CONTROLLER}, .versions = {11}));
    visit(1, 1, 400,
          SAY(.flags = HOP_PACKET_OUT, .ports = {4}, .versions = {12, 13}));
    visit(2, 1, 420, SAY(.ports = {3}, .versions = {21}));
    ck_assert_str_eq(sketch_tree(only()), "1.1>CONTROLLER (!1.1>4 (2.1>3))");
}
END_TEST

/* Stock switches beside others, and stock postcards of a switch that has just
 * begun to tell by itself. */
START_TEST(stock_postcards_mix_with_it)
{
    visit(1, 1, 0, SAY(.ports = {4}, .versions = {11}));
    sketch_card(&s, 1, 1, 4, 11, 64, 5);
    sketch_rule(&s, 2, 22, 1, 3);
    sketch_card(&s, 2, 1, 3, 22, 64, 20);

    const struct history *h = only();

    ck_assert_str_eq(sketch_tree(h), "1.1>4 (2.1>3)");
    ck_assert_uint_eq(h->hops[0].n_versions, 1);
    ck_assert_int_eq(h->verdict.name, VERDICT_DELIVERED);
}
END_TEST

START_TEST(a_header_is_computed_along_the_trail)
{
    struct rule *first = sketch_rule(&s, 1, 11, 0);
    struct rule *second = sketch_rule(&s, 1, 12, 0);
    uint8_t mac[6] = {2, 0, 0, 0, 0, 9}, dst[4] = {192, 0, 2, 1};

    first->is_transit = true;
    rule_add_set(first, FIELD_IPV4_DST, dst, NULL);
    rule_add_set(second, FIELD_ETH_DST, mac, NULL);
    rule_add_output(second, OF_PORT_NORMAL);
    visit(1, 1, 0,
          SAY(.ports = {2}, .versions = {11, 12},
              .out_flags = HOP_OUTPUT_REWRITTEN));

    const struct history *h = only();

    ck_assert(h->hops[0].has_header_out);
    ck_assert_mem_eq(h->hops[0].header_out, mac, 6);
    ck_assert_mem_eq(h->hops[0].header_out + 30, dst, 4);
}
END_TEST

/* A switch tells the controller of a TTL that ended; no rule says to. */
START_TEST(a_ttl_that_ended_is_a_drop)
{
    struct postcard *p;

    sketch_rule(&s, 1, 11, 1, 4);
    p = visit(1, 1, 0, SAY(.ports = {OF_PORT_CONTROLLER}, .versions = {11}));
    ((uint8_t *) p->header)[22] = 1;
    ck_assert_int_eq(only()->verdict.name, VERDICT_DROPPED);
    ck_assert_str_eq(only()->verdict.reason, "ttl expired");
}
END_TEST

START_TEST(a_rule_may_send_such_a_packet_to_the_controller)
{
    struct postcard *p;

    sketch_rule(&s, 1, 11, 1, OF_PORT_CONTROLLER);
    p = visit(1, 1, 0, SAY(.ports = {OF_PORT_CONTROLLER}, .versions = {11}));
    ((uint8_t *) p->header)[22] = 1;
    ck_assert_int_eq(only()->verdict.name, VERDICT_CONTROLLER);
}
END_TEST

/* No rule is asked for, and nothing waited for. */
START_TEST(closes_with_its_last_postcard)
{
    path_table_run(pt, SKETCH_T0);
    path_table_add(pt, visit(2, 1, 20, SAY(.ports = {3}, .versions = {9})));
    ck_assert_uint_eq(n_out, 0);
    path_table_add(pt, visit(1, 1, 0, SAY(.ports = {4}, .versions = {8})));
    ck_assert_uint_eq(n_out, 1);
    ck_assert_str_eq(sketch_tree(out[0]), "1.1>4 (2.1>3)");
}
END_TEST

START_TEST(waits_for_the_pass_that_follows)
{
    path_table_run(pt, SKETCH_T0);
    path_table_add(
        pt, visit(1, 1, 0, SAY(.flags = HOP_CONTINUES, .versions = {8})));
    ck_assert_uint_eq(n_out, 0);
    path_table_add(
        pt, visit(1, 1, 0,
                  SAY(.flags = HOP_CONTINUED, .ports = {2}, .versions = {9})));
    ck_assert_uint_eq(n_out, 1);
    ck_assert_str_eq(sketch_tree(out[0]), "1.1>2");
}
END_TEST

/* Packets of one way are recognised; another way by the same ports is not
 * taken for it. */
START_TEST(ways_are_recognised_by_what_visits_say)
{
    path_table_run(pt, SKETCH_T0);
    for (uint64_t id = 1; id <= 4; id++) {
        struct postcard *a, *b;

        a = visit(1, 1, id * 100,
                  SAY(.ports = {4}, .versions = {8, id == 4 ? 7 : 6}));
        b = visit(2, 1, id * 100 + 20, SAY(.ports = {3}, .versions = {9}));
        a->packet_id = b->packet_id = id;
        path_table_add(pt, a);
        path_table_add(pt, b);
    }
    ck_assert_uint_eq(n_out + n_packets, 4);
    ck_assert_uint_eq(n_packets, 2);
    ck_assert_uint_eq(out[1]->hops[0].versions[1], 7);
}
END_TEST

/* Stamps of long ago neither turn the clock back nor end a window. */
START_TEST(windows_go_by_arrival)
{
    uint64_t now = SKETCH_T0 + 60000000000;
    struct path_table_counters n;

    path_table_run(pt, now);
    for (uint64_t id = 1; id <= 12; id++) {
        struct postcard *p =
            visit(2, 1, id, SAY(.ports = {3}, .versions = {9}));

        p->packet_id = id;
        path_table_add(pt, p);
    }
    path_table_run(pt, now + PATH_TABLE_WINDOW_NS - 1);
    ck_assert_uint_eq(n_out, 0);
    path_table_add(pt, visit(1, 1, 0, SAY(.ports = {4}, .versions = {8})));
    path_table_run(pt, now + PATH_TABLE_WINDOW_NS);
    ck_assert_uint_eq(n_out, 12);
    path_table_get_counters(pt, &n);
    ck_assert_uint_eq(n.odd_times, 0);
}
END_TEST

START_TEST(a_visit_is_kept_once)
{
    struct visit_table *table = visit_table_create();
    const struct hop_template *first, *again;
    union hop_template_buf buf;

    hop_template_make(&buf, &(struct hop_template_parts){.dpid = 1});
    first = visit_table_get(table, &buf.t);
    again = visit_table_get(table, &buf.t);
    ck_assert_ptr_eq(first, again);
    ck_assert(hop_template_equal(first, &buf.t));
    visit_table_put(table, first);
    visit_table_put(table, again);
    ck_assert_ptr_eq(visit_table_get(table, &buf.t), first);
    for (uint64_t i = 2; i < 3 * VISIT_TABLE_SPARE; i++) {
        hop_template_make(&buf, &(struct hop_template_parts){.dpid = i});
        visit_table_put(table, visit_table_get(table, &buf.t));
    }
    ck_assert_uint_eq(visit_table_count(table), VISIT_TABLE_SPARE + 1);
    ck_assert_uint_eq(first->dpid, 1);
    visit_table_put(table, first);
    visit_table_destroy(table);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("assemble_whole");
    TCase *tc = tcase_create("assemble_whole");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, says_every_port_and_rule);
    tcase_add_test(tc, a_table_miss_is_told);
    tcase_add_test(tc, a_copy_for_a_mirror_is_no_way_on);
    tcase_add_test(tc, what_a_bond_did_not_choose_is_not_lost);
    tcase_add_test(tc, passes_are_one_hop);
    tcase_add_test(tc, a_pass_that_is_missing_leaves_it_open);
    tcase_add_test(tc, a_packet_out_goes_on_in_another_pass);
    tcase_add_test(tc, a_meter_drops_what_it_said_to_send);
    tcase_add_test(tc, a_meter_alone_tells_the_visit);
    tcase_add_test(tc, back_to_its_port_is_told_as_the_port);
    tcase_add_test(tc, what_a_controller_sends_is_a_child);
    tcase_add_test(tc, stock_postcards_mix_with_it);
    tcase_add_test(tc, a_header_is_computed_along_the_trail);
    tcase_add_test(tc, a_ttl_that_ended_is_a_drop);
    tcase_add_test(tc, a_rule_may_send_such_a_packet_to_the_controller);
    tcase_add_test(tc, closes_with_its_last_postcard);
    tcase_add_test(tc, waits_for_the_pass_that_follows);
    tcase_add_test(tc, ways_are_recognised_by_what_visits_say);
    tcase_add_test(tc, windows_go_by_arrival);
    tcase_add_test(tc, a_visit_is_kept_once);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
