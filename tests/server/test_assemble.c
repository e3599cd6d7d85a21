/* SPDX-License-Identifier: Apache-2.0 */
/* test_assemble - what is one visit and what became of it, by postcards
 * written down by hand. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hdr.h"
#include "lib/of_port.h"
#include "tests/lib/frame.h"
#include "tests/server/sketch.h"

static struct sketch s;

static void
setup(void)
{
    sketch_init(&s);
}

static void
teardown(void)
{
    sketch_uninit(&s);
}

/* Assembles and expects one history that reads as 'tree'. */
static const struct history *
one(const char *tree)
{
    const struct assemble_result *result = sketch_assemble(&s);

    ck_assert_uint_eq(result->n_histories, 1);
    ck_assert_str_eq(sketch_tree(result->histories[0]), tree);
    return result->histories[0];
}

#define EXPECT_VERDICT(V, NAME, DPID, PORT)                                   \
    do {                                                                      \
        ck_assert_str_eq(verdict_name_string((V)->name),                      \
                         verdict_name_string(NAME));                          \
        ck_assert_uint_eq((V)->dpid, DPID);                                   \
        ck_assert_uint_eq((V)->port, PORT);                                   \
    } while (0)

START_TEST(orders_by_links_against_time)
{
    sketch_rule(&s, 1, 11, 1, 4);
    sketch_rule(&s, 2, 22, 1, 2);
    sketch_rule(&s, 3, 33, 1, 3);
    sketch_card(&s, 3, 1, 3, 33, 64, 0);
    sketch_card(&s, 2, 1, 2, 22, 64, 10);
    sketch_card(&s, 1, 1, 4, 11, 64, 20);

    const struct history *h = one("1.1>4 (2.1>2 (3.1>3))");
    EXPECT_VERDICT(&h->verdict, VERDICT_DELIVERED, 3, 3);
    ck_assert_int_eq(s.result.state, ASSEMBLE_COMPLETE);
    ck_assert_uint_eq(h->hops[0].versions[0], 11);
    ck_assert(h->hops[0].has_header_out && !h->hops[0].is_after);
}
END_TEST

START_TEST(outputs_of_one_rule_are_one_visit)
{
    sketch_rule(&s, 1, 11, 2, 4, 2);
    sketch_rule(&s, 2, 22, 1, 3);
    sketch_card(&s, 1, 1, 4, 11, 64, 0);
    sketch_card(&s, 1, 1, 2, 11, 64, 1);
    sketch_card(&s, 2, 1, 3, 22, 64, 10);
    one("1.1>2,4 (2.1>3)");
    ck_assert_int_eq(s.result.state, ASSEMBLE_COMPLETE);
}
END_TEST

START_TEST(waits_for_every_output_of_a_rule)
{
    sketch_rule(&s, 1, 11, 2, 4, 2);
    sketch_rule(&s, 2, 22, 1, 3);
    sketch_card(&s, 1, 1, 4, 11, 64, 0);
    sketch_card(&s, 2, 1, 3, 22, 64, 10);
    /* The rule says what the lost postcard would have. */
    one("1.1>2,4 (2.1>3)");
    ck_assert_int_eq(s.result.state, ASSEMBLE_PARTIAL);
}
END_TEST

START_TEST(waits_for_a_rule_it_does_not_know)
{
    sketch_card(&s, 1, 1, 2, 11, 64, 0);
    one("1.1>2");
    ck_assert_int_eq(s.result.state, ASSEMBLE_WAITS_RULE);
}
END_TEST

START_TEST(an_equal_postcard_at_once_is_a_double)
{
    sketch_rule(&s, 1, 11, 1, 4);
    sketch_rule(&s, 2, 22, 1, 3);
    sketch_card(&s, 1, 1, 4, 11, 64, 0);
    sketch_card(&s, 1, 1, 4, 11, 64, 5);
    sketch_card(&s, 2, 1, 3, 22, 64, 10);
    one("1.1>4 (2.1>3)");
    ck_assert_uint_eq(s.result.n_duplicates, 1);
    ck_assert_uint_eq(s.result.n_ambiguous, 0);
    ck_assert_uint_eq(s.result.n_in_hops, 2);
}
END_TEST

START_TEST(a_packet_wholly_doubled_is_counted_apart)
{
    sketch_rule(&s, 1, 11, 1, 4);
    sketch_rule(&s, 2, 22, 1, 3);
    for (int i = 0; i < 2; i++) {
        sketch_card(&s, 1, 1, 4, 11, 64, (uint64_t) i * 100);
        sketch_card(&s, 2, 1, 3, 22, 64, 10 + (uint64_t) i * 100);
    }
    one("1.1>4 (2.1>3)");
    ck_assert_uint_eq(s.result.n_ambiguous, 2);
    ck_assert_uint_eq(s.result.n_duplicates, 0);
}
END_TEST

START_TEST(equal_packets_some_time_apart_are_two)
{
    sketch_rule(&s, 1, 11, 1, 4);
    sketch_rule(&s, 2, 22, 1, 3);
    for (int i = 0; i < 2; i++) {
        sketch_card(&s, 1, 1, 4, 11, 64, (uint64_t) i * 2000);
        sketch_card(&s, 2, 1, 3, 22, 64, 10 + (uint64_t) i * 2000);
    }
    sketch_assemble(&s);
    ck_assert_uint_eq(s.result.n_histories, 2);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_str_eq(sketch_tree(s.result.histories[i]), "1.1>4 (2.1>3)");
        ck_assert_uint_eq(history_last_ns(s.result.histories[i]) -
                              history_first_ns(s.result.histories[i]),
                          10000);
    }
}
END_TEST

START_TEST(drop_marker_counts_only_without_outputs)
{
    struct rule *rule = sketch_rule(&s, 1, 11, 1, 2);

    rule->is_transit = true;
    sketch_rule(&s, 1, 12, 0)->table_id = 1;
    sketch_card(&s, 1, 1, 2, 11, 64, 0);
    sketch_card(&s, 1, 1, OF_PORT_NONE, 12, 64, 1);

    const struct history *h = one("1.1>2");
    EXPECT_VERDICT(&h->verdict, VERDICT_DELIVERED, 1, 2);
    ck_assert_uint_eq(h->hops[0].n_versions, 2);
}
END_TEST

START_TEST(no_output_is_a_drop_by_that_rule)
{
    sketch_rule(&s, 1, 11, 0);
    sketch_card(&s, 1, 1, OF_PORT_NONE, 11, 64, 0);

    const struct history *h = one("1.1>");
    EXPECT_VERDICT(&h->verdict, VERDICT_DROPPED, 1, OF_PORT_UNKNOWN);
    ck_assert(h->verdict.has_version);
    ck_assert_uint_eq(h->verdict.version, 11);
    ck_assert_str_eq(h->verdict.reason, "no output");
    ck_assert_int_eq(s.result.state, ASSEMBLE_COMPLETE);
}
END_TEST

START_TEST(a_drop_in_a_later_table_settles)
{
    sketch_rule(&s, 1, 11, 0)->table_id = 1;
    sketch_card(&s, 1, 1, OF_PORT_NONE, 11, 64, 0);
    one("1.1>");
    ck_assert_int_eq(s.result.state, ASSEMBLE_SETTLING);
}
END_TEST

START_TEST(a_miss_is_a_drop_with_that_reason)
{
    sketch_rule(&s, 1, 11, 0)->kind = RULE_MISS;
    sketch_card(&s, 1, 1, OF_PORT_NONE, 11, 64, 0);
    ck_assert_str_eq(one("1.1>")->verdict.reason, "table miss");
}
END_TEST

START_TEST(computed_drops_have_their_reason)
{
    static const struct {
        uint32_t port;
        const char *tree, *reason;
    } cases[] = {
        {1, "1.1>1", "output to the input port"},
        {9, "1.1>9", "output to a port that is down"},
        {77, "1.1>77", "output to a port that is not there"},
    };

    sketch_rule(&s, 1, 11, 1, cases[_i].port);
    sketch_card(&s, 1, 1, cases[_i].port, 11, 64, 0);

    const struct history *h = one(cases[_i].tree);
    EXPECT_VERDICT(&h->verdict, VERDICT_DROPPED, 1, cases[_i].port);
    ck_assert_str_eq(h->verdict.reason, cases[_i].reason);
    ck_assert_uint_eq(h->verdict.version, 11);
    ck_assert_int_eq(s.result.state, ASSEMBLE_COMPLETE);
}
END_TEST

START_TEST(ttl_that_ends_is_a_drop_not_a_loss)
{
    struct rule *rule = sketch_rule(&s, 1, 11, 0);

    rule_add_plain(rule, STEP_DEC_TTL, 0);
    rule_add_output(rule, 4);
    sketch_card(&s, 1, 1, 4, 11, 1, 0);

    const struct history *h = one("1.1>4");
    ck_assert_int_eq(h->verdict.name, VERDICT_DROPPED);
    ck_assert_str_eq(h->verdict.reason, "ttl expired");
    ck_assert_int_eq(s.result.state, ASSEMBLE_COMPLETE);
}
END_TEST

START_TEST(output_to_the_input_port_beside_others_is_no_drop)
{
    sketch_rule(&s, 1, 11, 2, 1, 2);
    sketch_card(&s, 1, 1, 1, 11, 64, 0);
    sketch_card(&s, 1, 1, 2, 11, 64, 1);
    EXPECT_VERDICT(&one("1.1>1,2")->verdict, VERDICT_DELIVERED, 1, 2);
}
END_TEST

START_TEST(lost_says_where_and_how_sure)
{
    sketch_rule(&s, 1, 11, 1, 4);
    sketch_card(&s, 1, 1, 4, 11, 64, 0);

    const struct history *h = one("1.1>4");
    EXPECT_VERDICT(&h->verdict, VERDICT_LOST, 1, 4);
    ck_assert_int_eq(h->verdict.evidence, EVIDENCE_UNCERTAIN);
    ck_assert_str_eq(h->verdict.reason, "not seen at s2 port 1");
    s.is_lossless = true;
    ck_assert_int_eq(one("1.1>4")->verdict.evidence, EVIDENCE_COMPLETE);
}
END_TEST

START_TEST(nothing_is_lost_at_a_switch_that_is_silent)
{
    const struct history *h;

    sketch_rule(&s, 1, 11, 1, 4);
    sketch_rule(&s, 3, 33, 1, 3);
    sketch_card(&s, 1, 1, 4, 11, 64, 0);
    s.silent_dpid = 3;
    ck_assert_int_eq(one("1.1>4")->verdict.name, VERDICT_LOST);
    s.silent_dpid = 2;
    h = one("1.1>4");
    ck_assert_int_eq(h->verdict.name, VERDICT_OPEN);
    ck_assert_str_eq(h->verdict.reason, "the next switch does not send "
                                        "postcards of all packets");
    s.is_capped = true;
    ck_assert_ptr_nonnull(
        strstr(one("1.1>4")->verdict.reason, "by --max-postcards"));
    /* What went on is deduced as ever. */
    sketch_card(&s, 3, 1, 3, 33, 64, 10);
    h = one("1.1>4 (~2.1>2 (3.1>3))");
    ck_assert_int_eq(h->verdict.name, VERDICT_DELIVERED);
}
END_TEST

START_TEST(tables_of_one_switch_are_one_hop_in_their_order)
{
    struct rule *first = sketch_rule(&s, 1, 12, 1, 2);

    first->is_transit = true;
    sketch_rule(&s, 1, 11, 1, 4)->table_id = 1;
    sketch_rule(&s, 2, 22, 1, 3);
    sketch_card(&s, 1, 1, 4, 11, 64, 0);
    sketch_card(&s, 1, 1, 2, 12, 64, 1);
    sketch_card(&s, 2, 1, 3, 22, 64, 10);

    const struct history *h = one("1.1>2,4 (2.1>3)");
    ck_assert_uint_eq(h->hops[0].n_versions, 2);
    ck_assert_uint_eq(h->hops[0].versions[0], 12);
    ck_assert_uint_eq(h->hops[0].versions[1], 11);
}
END_TEST

START_TEST(two_rules_of_one_table_are_two_packets)
{
    sketch_rule(&s, 1, 11, 1, 2);
    sketch_rule(&s, 1, 12, 1, 9);
    sketch_card(&s, 1, 1, 2, 11, 64, 0);
    sketch_card(&s, 1, 1, 9, 12, 64, 3000);
    sketch_assemble(&s);
    ck_assert_uint_eq(s.result.n_histories, 2);
}
END_TEST

/* The last bytes of both addresses. */
static void
set_addresses(struct postcard *p, uint8_t src, uint8_t dst)
{
    ((uint8_t *) p->header)[29] = src;
    ((uint8_t *) p->header)[33] = dst;
}

START_TEST(a_translated_packet_kept_its_destination)
{
    sketch_rule(&s, 1, 11, 1, 4);
    sketch_rule(&s, 1, 12, 1, 4);
    /* Table 0 of s2 wrote the source. */
    sketch_rule(&s, 2, 21, 1, 3)->table_id = 1;
    sketch_rule(&s, 2, 22, 0)->table_id = 1;
    set_addresses(sketch_card(&s, 1, 1, 4, 11, 64, 0), 10, 1);
    set_addresses(sketch_card(&s, 1, 2, 4, 12, 64, 10), 20, 2);
    set_addresses(sketch_card(&s, 2, 1, 3, 21, 64, 20), 99, 1);
    set_addresses(sketch_card(&s, 2, 1, OF_PORT_NONE, 22, 64, 30), 88, 2);
    sketch_assemble(&s);
    ck_assert_uint_eq(s.result.n_histories, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct history *h = s.result.histories[i];

        ck_assert_uint_eq(h->n_hops, 2);
        ck_assert_uint_eq(h->hops[0].versions[0] + 10, h->hops[1].versions[0]);
    }
}
END_TEST

START_TEST(a_group_leaves_the_port_to_its_bucket)
{
    struct rule *rule = sketch_rule(&s, 1, 11, 0);
    struct step step = {.type = STEP_GROUP, .port = 5};

    rule_add_step(rule, &step);
    rule->is_transit = true;
    sketch_card(&s, 1, 1, OF_PORT_GROUP, 11, 64, 0)->flags = POSTCARD_GROUP;

    const struct history *h = one("1.1>GROUP");
    ck_assert_int_eq(h->verdict.name, VERDICT_OPEN);
    sketch_rule(&s, 1, 12, 1, 2)->kind = RULE_GROUP;
    sketch_card(&s, 1, 1, 2, 12, 64, 1);
    h = one("1.1>2");
    ck_assert_uint_eq(h->hops[0].versions[0], 11);
    ck_assert_uint_eq(h->hops[0].versions[1], 12);
    EXPECT_VERDICT(&h->verdict, VERDICT_DELIVERED, 1, 2);
    ck_assert_int_eq(s.result.state, ASSEMBLE_SETTLING);
}
END_TEST

START_TEST(punted_and_nothing_followed_is_controller)
{
    sketch_rule(&s, 1, 11, 1, OF_PORT_CONTROLLER)->kind = RULE_MISS;
    sketch_card(&s, 1, 1, OF_PORT_CONTROLLER, 11, 64, 0);
    EXPECT_VERDICT(&one("1.1>CONTROLLER")->verdict, VERDICT_CONTROLLER, 1,
                   OF_PORT_CONTROLLER);
    ck_assert_int_eq(s.result.state, ASSEMBLE_PARTIAL);
}
END_TEST

START_TEST(a_copy_to_the_controller_is_delivered)
{
    sketch_rule(&s, 1, 11, 2, OF_PORT_CONTROLLER, 2);
    sketch_card(&s, 1, 1, OF_PORT_CONTROLLER, 11, 64, 0);
    sketch_card(&s, 1, 1, 2, 11, 64, 0);
    EXPECT_VERDICT(&one("1.1>2,CONTROLLER")->verdict, VERDICT_DELIVERED, 1, 2);
}
END_TEST

START_TEST(header_out_is_null_where_it_cannot_be_computed)
{
    rule_add_unknown(sketch_rule(&s, 1, 11, 0), "ct(nat)");
    rule_add_output(s.rules[0], 2);
    sketch_card(&s, 1, 1, 2, 11, 64, 0);
    ck_assert(!one("1.1>2")->hops[0].has_header_out);
}
END_TEST

START_TEST(a_header_after_the_edits_is_the_header_out)
{
    sketch_rule(&s, 1, 11, 1, 2);
    sketch_card(&s, 1, 1, 2, 11, 64, 0)->flags = POSTCARD_AFTER;

    const struct history *h = one("1.1>2");
    ck_assert(h->hops[0].is_after && h->hops[0].has_header_out);
    ck_assert_uint_eq(h->hops[0].header_out_len, h->hops[0].caplen);
    ck_assert(
        !memcmp(h->hops[0].header_out, h->hops[0].header, h->hops[0].caplen));
}
END_TEST

START_TEST(what_nobody_knows_is_open)
{
    static const struct {
        uint64_t dpid;
        uint32_t port;
    } cases[] = {{1, 8}, {99, 4}, {1, OF_PORT_UNKNOWN}};

    sketch_rule(&s, cases[_i].dpid, 11, 1, cases[_i].port);
    sketch_card(&s, cases[_i].dpid, 1, cases[_i].port, 11, 64, 0);
    sketch_assemble(&s);
    ck_assert_int_eq(s.result.histories[0]->verdict.name, VERDICT_OPEN);
    ck_assert_ptr_nonnull(s.result.histories[0]->verdict.reason);
    ck_assert_int_eq(s.result.state, ASSEMBLE_PARTIAL);
}
END_TEST

START_TEST(works_without_a_topology)
{
    struct topology *topology = s.topology;

    sketch_rule(&s, 1, 11, 1, 4);
    sketch_card(&s, 1, 1, 4, 11, 64, 0);
    s.topology = NULL;
    one("1.1>4");
    s.topology = topology;
    ck_assert_int_eq(s.result.histories[0]->verdict.name, VERDICT_OPEN);
}
END_TEST

START_TEST(a_tunnel_packet_names_what_it_carries)
{
    struct packet_id_config config = PACKET_ID_CONFIG_INIT;
    struct frame inner = frame_eth(HDR_ETH_IP4);
    struct frame outer = frame_eth(HDR_ETH_IP4);
    static const uint8_t vxlan[8] = {8, 0, 0, 0, 0, 0, 5, 0};
    struct postcard p = {.dpid = 1,
                         .packet_id = 9,
                         .has_id = true,
                         .time_ns = SKETCH_T0,
                         .version = 11,
                         .in_port = 1,
                         .out_port = 2};
    struct hdr h;
    uint64_t id;

    frame_ip4(&inner, HDR_IP_UDP, 64, "10.0.0.1", "10.0.0.2");
    frame_udp(&inner, 4000, 53);
    frame_text(&inner, "question");
    frame_finish(&inner);
    hdr_parse(inner.data, inner.len, &h);
    packet_id(&config, inner.data, inner.len, &h, &id);
    frame_ip4(&outer, HDR_IP_UDP, 64, "192.0.2.1", "192.0.2.2");
    frame_udp(&outer, 50000, 4789);
    frame_bytes(&outer, vxlan, sizeof vxlan);
    frame_bytes(&outer, inner.data, inner.len);
    frame_finish(&outer);
    p.header = outer.data;
    p.caplen = (uint16_t) outer.len;
    s.cards[s.n_cards++] = postcard_clone(&p);
    sketch_rule(&s, 1, 11, 1, 2);
    ck_assert_uint_eq(one("1.1>2")->carries, id);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("assemble");
    TCase *tc = tcase_create("assemble");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, orders_by_links_against_time);
    tcase_add_test(tc, outputs_of_one_rule_are_one_visit);
    tcase_add_test(tc, waits_for_every_output_of_a_rule);
    tcase_add_test(tc, waits_for_a_rule_it_does_not_know);
    tcase_add_test(tc, an_equal_postcard_at_once_is_a_double);
    tcase_add_test(tc, a_packet_wholly_doubled_is_counted_apart);
    tcase_add_test(tc, equal_packets_some_time_apart_are_two);
    tcase_add_test(tc, drop_marker_counts_only_without_outputs);
    tcase_add_test(tc, no_output_is_a_drop_by_that_rule);
    tcase_add_test(tc, a_drop_in_a_later_table_settles);
    tcase_add_test(tc, a_miss_is_a_drop_with_that_reason);
    tcase_add_loop_test(tc, computed_drops_have_their_reason, 0, 3);
    tcase_add_test(tc, ttl_that_ends_is_a_drop_not_a_loss);
    tcase_add_test(tc, output_to_the_input_port_beside_others_is_no_drop);
    tcase_add_test(tc, lost_says_where_and_how_sure);
    tcase_add_test(tc, nothing_is_lost_at_a_switch_that_is_silent);
    tcase_add_test(tc, tables_of_one_switch_are_one_hop_in_their_order);
    tcase_add_test(tc, two_rules_of_one_table_are_two_packets);
    tcase_add_test(tc, a_translated_packet_kept_its_destination);
    tcase_add_test(tc, a_group_leaves_the_port_to_its_bucket);
    tcase_add_test(tc, punted_and_nothing_followed_is_controller);
    tcase_add_test(tc, a_copy_to_the_controller_is_delivered);
    tcase_add_test(tc, header_out_is_null_where_it_cannot_be_computed);
    tcase_add_test(tc, a_header_after_the_edits_is_the_header_out);
    tcase_add_loop_test(tc, what_nobody_knows_is_open, 0, 3);
    tcase_add_test(tc, works_without_a_topology);
    tcase_add_test(tc, a_tunnel_packet_names_what_it_carries);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
