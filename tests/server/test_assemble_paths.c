/* SPDX-License-Identifier: Apache-2.0 */
/* test_assemble_paths - how visits join, by postcards written down by hand. */
#include <config.h>

#include <check.h>
#include <stdlib.h>

#include "lib/of_port.h"
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

START_TEST(in_port_as_an_output_goes_back)
{
    sketch_rule(&s, 1, 11, 1, 4);
    sketch_rule(&s, 2, 22, 1, OF_PORT_IN_PORT);
    sketch_rule(&s, 1, 12, 1, 1);
    sketch_card(&s, 1, 1, 4, 11, 64, 0);
    sketch_card(&s, 2, 1, OF_PORT_IN_PORT, 22, 64, 10);
    sketch_card(&s, 1, 4, 1, 12, 64, 20);
    one("1.1>4 (2.1>IN_PORT (1.4>1))");
    ck_assert_int_eq(s.result.state, ASSEMBLE_COMPLETE);
}
END_TEST

START_TEST(lost_on_one_branch_is_the_verdict)
{
    sketch_rule(&s, 1, 11, 2, 4, 5);
    sketch_rule(&s, 2, 22, 1, 3);
    sketch_card(&s, 1, 1, 4, 11, 64, 0);
    sketch_card(&s, 1, 1, 5, 11, 64, 1);
    sketch_card(&s, 2, 1, 3, 22, 64, 10);

    const struct history *h = one("1.1>4,5 (2.1>3)");
    EXPECT_VERDICT(&h->hops[0].verdict, VERDICT_LOST, 1, 5);
    EXPECT_VERDICT(&h->hops[1].verdict, VERDICT_DELIVERED, 2, 3);
    EXPECT_VERDICT(&h->verdict, VERDICT_LOST, 1, 5);
}
END_TEST

START_TEST(one_missing_hop_is_deduced)
{
    sketch_rule(&s, 1, 11, 1, 4);
    sketch_rule(&s, 3, 33, 1, 3);
    sketch_card(&s, 1, 1, 4, 11, 64, 0);
    sketch_card(&s, 3, 1, 3, 33, 64, 20);

    const struct history *h = one("1.1>4 (~2.1>2 (3.1>3))");
    EXPECT_VERDICT(&h->verdict, VERDICT_DELIVERED, 3, 3);
    ck_assert_uint_eq(h->hops[1].n_versions, 0);
    ck_assert_int_eq(s.result.state, ASSEMBLE_PARTIAL);
}
END_TEST

START_TEST(a_lost_start_is_a_gap)
{
    sketch_rule(&s, 2, 22, 1, 3);
    sketch_card(&s, 2, 1, 3, 22, 64, 0);
    EXPECT_VERDICT(&one("|2.1>3")->verdict, VERDICT_DELIVERED, 2, 3);
}
END_TEST

START_TEST(a_flood_proves_what_went_on_and_what_did_not)
{
    /* The branch to s3 must have gone on to s2; the one to s2 did not. */
    sketch_rule(&s, 1, 11, 1, OF_PORT_FLOOD);
    sketch_card(&s, 1, 1, OF_PORT_FLOOD, 11, 64, 0);
    sketch_rule(&s, 2, 22, 1, 3);
    sketch_card(&s, 2, 2, 3, 22, 64, 20);

    const struct history *h = one("1.1>FLOOD (~3.2>1 (2.2>3))");
    ck_assert_uint_eq(h->hops[0].n_branches, 1);
    ck_assert_uint_eq(h->hops[0].branches[0], 5);
    EXPECT_VERDICT(&h->hops[0].verdict, VERDICT_LOST, 1, 4);
}
END_TEST

START_TEST(flood_branches_come_from_the_topology)
{
    sketch_rule(&s, 1, 11, 1, OF_PORT_FLOOD);
    sketch_rule(&s, 2, 22, 1, 3);
    sketch_rule(&s, 3, 33, 1, 3);
    sketch_card(&s, 1, 1, OF_PORT_FLOOD, 11, 64, 0);
    sketch_card(&s, 3, 2, 3, 33, 64, 10);
    one("1.1>FLOOD (3.2>3)");
    ck_assert_int_eq(s.result.state, ASSEMBLE_PARTIAL);
    sketch_card(&s, 2, 1, 3, 22, 64, 12);

    const struct history *h = one("1.1>FLOOD (2.1>3 3.2>3)");
    ck_assert_uint_eq(h->hops[0].n_branches, 2);
    ck_assert_int_eq(s.result.state, ASSEMBLE_COMPLETE);
    EXPECT_VERDICT(&h->hops[0].verdict, VERDICT_NONE, 1, OF_PORT_UNKNOWN);
}
END_TEST

START_TEST(flood_given_as_a_list_is_complete_with_all_ports)
{
    sketch_rule(&s, 2, 22, 1, OF_PORT_ALL);
    sketch_rule(&s, 3, 33, 1, 3);
    sketch_rule(&s, 1, 11, 1, 1);
    sketch_card(&s, 2, 3, 1, 22, 64, 0);
    sketch_card(&s, 1, 4, 1, 11, 64, 10);
    one("2.3>1,2 (1.4>1)");
    ck_assert_int_eq(s.result.state, ASSEMBLE_PARTIAL);
    sketch_card(&s, 2, 3, 2, 22, 64, 1);
    sketch_card(&s, 3, 1, 3, 33, 64, 11);
    one("2.3>1,2 (1.4>1 3.1>3)");
    ck_assert_int_eq(s.result.state, ASSEMBLE_COMPLETE);
}
END_TEST

START_TEST(normal_is_proven_by_the_next_hop)
{
    sketch_rule(&s, 1, 11, 1, OF_PORT_NORMAL);
    sketch_rule(&s, 2, 22, 1, OF_PORT_NORMAL);
    sketch_card(&s, 1, 1, OF_PORT_NORMAL, 11, 64, 0);
    sketch_card(&s, 2, 1, OF_PORT_NORMAL, 22, 64, 10);

    const struct history *h = one("1.1>NORMAL (2.1>NORMAL)");
    ck_assert_uint_eq(h->hops[0].n_branches, 1);
    ck_assert_uint_eq(h->hops[0].branches[0], 4);
    EXPECT_VERDICT(&h->verdict, VERDICT_DELIVERED, 2, 3);
    ck_assert_int_eq(s.result.state, ASSEMBLE_SETTLING);
}
END_TEST

START_TEST(a_loop_is_the_same_port_twice)
{
    struct rule *rules[3];

    for (uint32_t i = 0; i < 3; i++) {
        rules[i] = sketch_rule(&s, i + 1, 10, 0);
        rule_add_plain(rules[i], STEP_DEC_TTL, 0);
    }
    rule_add_output(rules[0], 4);
    rule_add_output(rules[1], 2);
    rule_add_output(rules[2], 2);
    sketch_card(&s, 1, 1, 4, 10, 5, 0);
    sketch_card(&s, 2, 1, 2, 10, 4, 10);
    sketch_card(&s, 3, 1, 2, 10, 3, 20);
    sketch_card(&s, 1, 5, 4, 10, 2, 30);
    sketch_card(&s, 2, 1, 2, 10, 1, 40);

    const struct history *h = one("1.1>4 (2.1>2 (3.1>2 (1.5>4 (2.1>2))))");
    EXPECT_VERDICT(&h->verdict, VERDICT_LOOPED, 2, 1);
    ck_assert_str_eq(h->verdict.reason,
                     "in a loop; it ended dropped: ttl expired");
    ck_assert_int_eq(s.result.state, ASSEMBLE_COMPLETE);
}
END_TEST

START_TEST(a_loop_is_ordered_by_ttl_against_time)
{
    struct rule *a = sketch_rule(&s, 1, 10, 0);
    struct rule *b = sketch_rule(&s, 2, 10, 0);

    rule_add_plain(a, STEP_DEC_TTL, 0);
    rule_add_output(a, OF_PORT_IN_PORT);
    rule_add_plain(b, STEP_DEC_TTL, 0);
    rule_add_output(b, OF_PORT_IN_PORT);
    sketch_rule(&s, 1, 11, 1, 4);
    sketch_card(&s, 1, 1, 4, 11, 9, 50);
    sketch_card(&s, 2, 1, OF_PORT_IN_PORT, 10, 9, 40);
    sketch_card(&s, 1, 4, OF_PORT_IN_PORT, 10, 8, 30);
    sketch_card(&s, 2, 1, OF_PORT_IN_PORT, 10, 7, 20);
    sketch_card(&s, 1, 4, OF_PORT_IN_PORT, 10, 6, 10);

    const struct history *h =
        one("1.1>4 (2.1>IN_PORT (1.4>IN_PORT (2.1>IN_PORT (1.4>IN_PORT))))");
    ck_assert_int_eq(h->verdict.name, VERDICT_LOOPED);
    for (size_t i = 1; i < 5; i++) {
        ck_assert_uint_eq(h->hops[i].header[22], 10 - i);
    }
}
END_TEST

START_TEST(a_switch_twice_by_other_ports_is_no_loop)
{
    sketch_rule(&s, 1, 11, 1, 4);
    sketch_rule(&s, 2, 22, 1, 2);
    sketch_rule(&s, 3, 33, 1, 2);
    sketch_rule(&s, 1, 12, 1, 2);
    sketch_card(&s, 1, 1, 4, 11, 64, 0);
    sketch_card(&s, 2, 1, 2, 22, 64, 10);
    sketch_card(&s, 3, 1, 2, 33, 64, 20);
    sketch_card(&s, 1, 5, 2, 12, 64, 30);
    EXPECT_VERDICT(&one("1.1>4 (2.1>2 (3.1>2 (1.5>2)))")->verdict,
                   VERDICT_DELIVERED, 1, 2);
}
END_TEST

START_TEST(a_packet_out_is_the_child_of_the_packet_in)
{
    sketch_rule(&s, 1, 11, 1, OF_PORT_CONTROLLER)->kind = RULE_MISS;
    sketch_rule(&s, 1, 12, 1, 4)->kind = RULE_PACKET_OUT;
    sketch_rule(&s, 2, 22, 1, 3);
    sketch_card(&s, 1, 1, OF_PORT_CONTROLLER, 11, 64, 0);
    sketch_card(&s, 1, 1, 4, 12, 64, 800)->flags = POSTCARD_PACKET_OUT;
    sketch_card(&s, 2, 1, 3, 22, 64, 810);

    const struct history *h = one("1.1>CONTROLLER (!1.1>4 (2.1>3))");
    EXPECT_VERDICT(&h->verdict, VERDICT_DELIVERED, 2, 3);
    ck_assert_int_eq(h->hops[0].verdict.name, VERDICT_NONE);
}
END_TEST

START_TEST(a_packet_out_is_a_start)
{
    sketch_rule(&s, 1, 12, 1, 4)->kind = RULE_PACKET_OUT;
    sketch_rule(&s, 2, 22, 1, 3);
    sketch_card(&s, 1, OF_PORT_CONTROLLER, 4, 12, 64, 800)->flags =
        POSTCARD_PACKET_OUT;
    sketch_card(&s, 2, 1, 3, 22, 64, 810);
    one("!1.65533>4 (2.1>3)");
    ck_assert_int_eq(s.result.state, ASSEMBLE_COMPLETE);
}
END_TEST

START_TEST(a_packet_out_to_the_tables_is_one_hop_with_its_rule)
{
    sketch_rule(&s, 1, 11, 1, OF_PORT_CONTROLLER)->kind = RULE_MISS;
    sketch_rule(&s, 1, 12, 0)->kind = RULE_PACKET_OUT;
    sketch_rule(&s, 1, 13, 1, 2);
    sketch_card(&s, 1, 1, OF_PORT_CONTROLLER, 11, 64, 0);
    sketch_card(&s, 1, 1, OF_PORT_TABLE, 12, 64, 800)->flags =
        POSTCARD_PACKET_OUT;
    sketch_card(&s, 1, 1, 2, 13, 64, 801);

    const struct history *h = one("1.1>CONTROLLER (!1.1>2)");
    ck_assert_uint_eq(h->hops[1].n_versions, 2);
    EXPECT_VERDICT(&h->verdict, VERDICT_DELIVERED, 1, 2);
}
END_TEST

START_TEST(an_unseen_packet_out_is_a_gap_after_the_packet_in)
{
    sketch_rule(&s, 1, 11, 1, OF_PORT_CONTROLLER)->kind = RULE_MISS;
    sketch_rule(&s, 1, 13, 1, 2);
    sketch_card(&s, 1, 1, OF_PORT_CONTROLLER, 11, 64, 0);
    sketch_card(&s, 1, 1, 2, 13, 64, 801);
    one("1.1>CONTROLLER (|!1.1>2)");
}
END_TEST

START_TEST(the_double_of_a_packet_out_did_not_come_by_a_link)
{
    sketch_rule(&s, 1, 11, 1, 4);
    sketch_rule(&s, 2, 22, 1, 3)->kind = RULE_PACKET_OUT;
    sketch_card(&s, 1, 1, 4, 11, 64, 0);
    /* What went to the controller is missing. */
    sketch_card(&s, 2, 1, 3, 22, 64, 800)->flags = POSTCARD_PACKET_OUT;
    sketch_card(&s, 2, 1, 3, 22, 64, 900)->flags = POSTCARD_PACKET_OUT;
    sketch_assemble(&s);
    ck_assert_uint_eq(s.result.n_histories, 2);
    ck_assert_str_eq(sketch_tree(s.result.histories[0]), "1.1>4");
    ck_assert_str_eq(sketch_tree(s.result.histories[1]), "!2.1>3");
    ck_assert_uint_eq(s.result.n_duplicates, 1);
}
END_TEST

START_TEST(in_ports_that_mac_postcards_lack_come_from_links)
{
    sketch_rule(&s, 1, 11, 1, 4);
    sketch_rule(&s, 2, 22, 1, 2);
    sketch_rule(&s, 3, 33, 1, 2);
    sketch_rule(&s, 1, 12, 1, 2);
    sketch_card(&s, 1, OF_PORT_UNKNOWN, 4, 11, 64, 0);
    sketch_card(&s, 2, OF_PORT_UNKNOWN, 2, 22, 64, 10);
    sketch_card(&s, 3, OF_PORT_UNKNOWN, 2, 33, 64, 20);
    sketch_card(&s, 1, OF_PORT_UNKNOWN, 2, 12, 64, 30);
    EXPECT_VERDICT(&one("1.?>4 (2.1>2 (3.1>2 (1.5>2)))")->verdict,
                   VERDICT_DELIVERED, 1, 2);
    ck_assert_int_eq(s.result.state, ASSEMBLE_SETTLING);
}
END_TEST

START_TEST(tables_of_one_switch_join_without_in_port)
{
    sketch_rule(&s, 1, 12, 1, 2)->is_transit = true;
    sketch_rule(&s, 1, 11, 1, 4)->table_id = 1;
    sketch_rule(&s, 2, 22, 1, 3);
    sketch_card(&s, 1, OF_PORT_UNKNOWN, 4, 11, 64, 0);
    sketch_card(&s, 1, OF_PORT_UNKNOWN, 2, 12, 64, 1);
    sketch_card(&s, 2, OF_PORT_UNKNOWN, 3, 22, 64, 10);
    one("1.?>2,4 (2.1>3)");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("assemble_paths");
    TCase *tc = tcase_create("assemble_paths");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, in_port_as_an_output_goes_back);
    tcase_add_test(tc, lost_on_one_branch_is_the_verdict);
    tcase_add_test(tc, one_missing_hop_is_deduced);
    tcase_add_test(tc, a_lost_start_is_a_gap);
    tcase_add_test(tc, a_flood_proves_what_went_on_and_what_did_not);
    tcase_add_test(tc, flood_branches_come_from_the_topology);
    tcase_add_test(tc, flood_given_as_a_list_is_complete_with_all_ports);
    tcase_add_test(tc, normal_is_proven_by_the_next_hop);
    tcase_add_test(tc, a_loop_is_the_same_port_twice);
    tcase_add_test(tc, a_loop_is_ordered_by_ttl_against_time);
    tcase_add_test(tc, a_switch_twice_by_other_ports_is_no_loop);
    tcase_add_test(tc, a_packet_out_is_the_child_of_the_packet_in);
    tcase_add_test(tc, a_packet_out_is_a_start);
    tcase_add_test(tc, a_packet_out_to_the_tables_is_one_hop_with_its_rule);
    tcase_add_test(tc, an_unseen_packet_out_is_a_gap_after_the_packet_in);
    tcase_add_test(tc, the_double_of_a_packet_out_did_not_come_by_a_link);
    tcase_add_test(tc, in_ports_that_mac_postcards_lack_come_from_links);
    tcase_add_test(tc, tables_of_one_switch_join_without_in_port);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
