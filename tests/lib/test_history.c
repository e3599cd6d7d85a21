/* SPDX-License-Identifier: Apache-2.0 */
/* test_history - a history settles on its verdict, and its JSON says all of
 * it, both ways. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/history.h"
#include "tests/lib/golden.h"
#include "tests/lib/sample_history.h"

static struct lh_error error;

static const struct {
    const char *name;
    struct history *(*make)(void);
} samples[] = {
    {"history-nat.json", sample_history_nat},
    {"history-dropped.json", sample_history_dropped},
    {"history-flooded.json", sample_history_flooded},
    {"history-odd.json", sample_history_odd},
};

START_TEST(json_is_what_it_always_was)
{
    struct topology *t = sample_topology();
    struct history *h = samples[_i].make();

    golden_check_json(samples[_i].name, history_to_json(h, t));
    history_destroy(h);
    topology_unref(t);
}
END_TEST

START_TEST(json_goes_both_ways)
{
    json_t *json = golden_load_json(samples[_i].name);
    struct topology *t = sample_topology();
    struct history *h;
    json_t *again;

    ck_assert_msg(!history_from_json(json, &h, &error), "%s", error.text);
    again = history_to_json(h, t);
    ck_assert(json_equal(json, again));
    json_decref(json);
    json_decref(again);
    history_destroy(h);
    topology_unref(t);
}
END_TEST

START_TEST(a_clone_is_whole_and_apart)
{
    struct history *h = samples[_i].make();
    json_t *json = history_to_json(h, NULL);
    struct history *copy = history_clone(h);
    json_t *again;

    history_destroy(h);
    history_add_hop(copy)->parent = (int) copy->n_hops - 2;
    copy->n_hops--;
    again = history_to_json(copy, NULL);
    ck_assert(json_equal(json, again));
    json_decref(json);
    json_decref(again);
    history_destroy(copy);
}
END_TEST

START_TEST(the_verdict_is_the_gravest_of_the_hops)
{
    static const enum verdict_name rising[] = {
        VERDICT_DELIVERED, VERDICT_CONTROLLER, VERDICT_OPEN,
        VERDICT_LOST,      VERDICT_DROPPED,    VERDICT_LOOPED,
    };
    struct history *h = history_create(1);

    ck_assert_int_eq(h->verdict.name, VERDICT_NONE);
    history_settle(h);
    ck_assert_int_eq(h->verdict.name, VERDICT_NONE);
    history_add_hop(h);
    for (size_t i = 0; i < sizeof rising / sizeof rising[0]; i++) {
        struct history_hop *hop = history_add_hop(h);

        hop->parent = 0;
        verdict_set(&hop->verdict, rising[i], i, 0, "because");
        history_settle(h);
        ck_assert_int_eq(h->verdict.name, rising[i]);
        ck_assert_uint_eq(h->verdict.dpid, i);
        ck_assert_str_eq(h->verdict.reason, "because");
    }
    history_destroy(h);
}
END_TEST

START_TEST(one_lost_copy_counts_while_others_went_on)
{
    struct history *h = sample_history_nat();

    verdict_set(&h->hops[0].verdict, VERDICT_LOST, 1, 3, NULL);
    history_settle(h);
    ck_assert_int_eq(h->verdict.name, VERDICT_LOST);
    ck_assert_uint_eq(h->verdict.port, 3);
    history_destroy(h);
}
END_TEST

START_TEST(ports_are_a_sorted_set)
{
    static const uint32_t ports[] = {5, 1, 9, 5, 1, 7, 9, 0};
    static const uint32_t sorted[] = {0, 1, 5, 7, 9};
    struct history *h = history_create(1);
    struct history_hop *hop = history_add_hop(h);

    for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++) {
        history_hop_add_out(hop, ports[i]);
        history_hop_add_branch(hop, ports[i]);
    }
    ck_assert_uint_eq(hop->n_out, 5);
    ck_assert_mem_eq(hop->out_ports, sorted, sizeof sorted);
    ck_assert_uint_eq(hop->n_branches, 5);
    ck_assert_mem_eq(hop->branches, sorted, sizeof sorted);
    history_destroy(h);
}
END_TEST

START_TEST(versions_keep_their_order)
{
    struct history *h = history_create(1);
    struct history_hop *hop = history_add_hop(h);

    history_hop_add_version(hop, 9);
    history_hop_add_version(hop, 3);
    history_hop_add_version(hop, 9);
    ck_assert_uint_eq(hop->n_versions, 2);
    ck_assert_uint_eq(hop->versions[0], 9);
    ck_assert_uint_eq(hop->versions[1], 3);
    history_destroy(h);
}
END_TEST

START_TEST(leaves_and_times)
{
    struct history *h = sample_history_flooded();
    static const bool is_leaf[] = {false, false, false, true, true};

    for (size_t i = 0; i < h->n_hops; i++) {
        ck_assert_int_eq(history_is_leaf(h, i), is_leaf[i]);
    }
    h->hops[0].time_ns = 0;
    ck_assert_uint_eq(history_first_ns(h), h->hops[1].time_ns);
    ck_assert_uint_eq(history_last_ns(h), h->hops[4].time_ns);
    history_destroy(h);
    history_destroy(NULL);
}
END_TEST

START_TEST(readers_ignore_what_they_do_not_know)
{
    json_t *json = json_loads(
        "{\"packet_id\":null,\"verdict\":null,\"weather\":\"fine\","
        "\"hops\":[{\"dpid\":3,\"mood\":[1]},"
        "{\"parent\":0,\"dpid\":\"0x4\",\"verdict\":{\"name\":\"open\","
        "\"evidence\":\"hearsay\"}}]}",
        0, NULL);
    struct history *h;

    ck_assert_msg(!history_from_json(json, &h, &error), "%s", error.text);
    ck_assert(!h->has_packet_id);
    ck_assert_uint_eq(h->n_hops, 2);
    ck_assert_uint_eq(h->hops[0].dpid, 3);
    ck_assert_uint_eq(h->hops[0].in_port, OF_PORT_UNKNOWN);
    ck_assert_int_eq(h->hops[1].verdict.evidence, EVIDENCE_NONE);
    ck_assert_uint_eq(h->hops[1].verdict.port, OF_PORT_UNKNOWN);
    ck_assert(!h->hops[1].verdict.has_version);
    ck_assert(!h->hops[1].is_deduced);
    history_destroy(h);
    json_decref(json);
}
END_TEST

START_TEST(errors_name_the_member)
{
    static const struct {
        const char *json, *reason;
    } cases[] = {
        {"[]", "must be an object, not an array"},
        {"{}", "hops: is missing: must be an array"},
        {"{\"packet_id\":\"12\",\"hops\":[]}",
         "packet_id: must be 16 hex digits"},
        {"{\"hops\":[{}]}",
         "hops[0].dpid: is missing: must be a dpid (16 hex digits)"},
        {"{\"hops\":[{\"dpid\":1,\"in_port\":65536}]}",
         "hops[0].in_port: must be from 0 to 65535, not 65536"},
        {"{\"hops\":[{\"dpid\":1,\"out_ports\":[1,-1]}]}",
         "hops[0].out_ports[1]: must be from 0 to 65535, not -1"},
        {"{\"hops\":[{\"dpid\":1,\"header\":\"0g\"}]}",
         "hops[0].header: has no hex digit at offset 1"},
        {"{\"hops\":[{\"dpid\":1,\"n\":1}]}", "hops[0].n: must be 0"},
        {"{\"hops\":[{\"dpid\":1,\"parent\":0}]}",
         "hops[0].parent: hop 0 cannot follow hop 0 (hops stand in "
         "depth-first order)"},
        {"{\"hops\":[{\"dpid\":1},{\"dpid\":1,\"parent\":0},"
         "{\"dpid\":1,\"parent\":0},{\"dpid\":1,\"parent\":1}]}",
         "hops[3].parent: hop 3 cannot follow hop 1 (hops stand in "
         "depth-first order)"},
        {"{\"verdict\":{\"name\":\"eaten\"},\"hops\":[]}",
         "verdict.name: there is no verdict \"eaten\""},
        {"{\"hops\":[{\"dpid\":1,\"verdict\":\"lost\"}]}",
         "hops[0].verdict: must be an object, not a string"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *json = json_loads(cases[i].json, 0, NULL);
        struct history *h;

        ck_assert_msg(json != NULL, "%s", cases[i].json);
        ck_assert_int_eq(history_from_json(json, &h, &error), EINVAL);
        ck_assert_ptr_null(h);
        ck_assert_str_eq(error.text, cases[i].reason);
        json_decref(json);
    }
}
END_TEST

START_TEST(verdicts_have_names)
{
    enum verdict_name name;

    for (int i = VERDICT_DELIVERED; i <= VERDICT_LOOPED; i++) {
        ck_assert(verdict_name_from_string(verdict_name_string(i), &name));
        ck_assert_int_eq((int) name, i);
    }
    ck_assert(!verdict_name_from_string("none", &name));
    ck_assert(!verdict_name_from_string("", &name));
}
END_TEST

int
main(void)
{
    const int n_samples = sizeof samples / sizeof samples[0];
    Suite *suite = suite_create("history");
    TCase *tc = tcase_create("history");
    SRunner *runner;
    int n_failed;

    tcase_add_loop_test(tc, json_is_what_it_always_was, 0, n_samples);
    tcase_add_loop_test(tc, json_goes_both_ways, 0, n_samples);
    tcase_add_loop_test(tc, a_clone_is_whole_and_apart, 0, n_samples);
    tcase_add_test(tc, the_verdict_is_the_gravest_of_the_hops);
    tcase_add_test(tc, one_lost_copy_counts_while_others_went_on);
    tcase_add_test(tc, ports_are_a_sorted_set);
    tcase_add_test(tc, versions_keep_their_order);
    tcase_add_test(tc, leaves_and_times);
    tcase_add_test(tc, readers_ignore_what_they_do_not_know);
    tcase_add_test(tc, errors_name_the_member);
    tcase_add_test(tc, verdicts_have_names);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed != 0;
}
