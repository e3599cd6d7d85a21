/* SPDX-License-Identifier: Apache-2.0 */
/* test_path_table - when groups close, and that every postcard is accounted
 * for. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "server/path_table.h"
#include "tests/server/oracle.h"
#include "tests/server/sketch.h"

#define MS 1000000ULL

static struct sketch s;
static struct path_table *pt;
static struct history *out[4096];
static size_t n_out;
static size_t max_plain; /* Of the tables. */

static void
emit(void *aux, struct history *h)
{
    ck_assert_uint_lt(n_out, sizeof out / sizeof out[0]);
    out[n_out++] = h;
}

static void
drop_output(void)
{
    while (n_out > 0) {
        history_destroy(out[--n_out]);
    }
}

static uint64_t extra_ns; /* Windows are so much longer. */

static uint64_t
extra_window(void *aux, uint64_t now_ns)
{
    return extra_ns;
}

static void
create(size_t max_postcards)
{
    struct path_table_config config = {
        .max_plain = max_plain,
        .max_postcards = max_postcards,
        .emit = emit,
        .find_rule = sketch_find_rule,
        .extra_window = extra_window,
        .aux = &s,
    };

    path_table_destroy(pt);
    pt = path_table_create(&config);
    path_table_set_topology(pt, s.topology);
}

static void
setup(void)
{
    sketch_init(&s);
    create(0);
}

static void
setup_folding(void)
{
    max_plain = 1;
    setup();
}

static void
teardown(void)
{
    drop_output();
    path_table_destroy(pt);
    pt = NULL;
    sketch_uninit(&s);
}

static struct path_table_counters
counters(void)
{
    struct path_table_counters n;

    path_table_get_counters(pt, &n);
    ck_assert_uint_eq(n.in, n.out + n.duplicates + n.ambiguous +
                                n.dropped_full + n.dropped_memory +
                                n.sampled_out + n.held);
    return n;
}

/* A postcard, at once into the table. */
static void
add(uint64_t dpid, uint32_t in_port, uint32_t out_port, uint32_t version,
    uint64_t time_us)
{
    path_table_add(
        pt, sketch_card(&s, dpid, in_port, out_port, version, 64, time_us));
}

static void
two_rules(void)
{
    sketch_rule(&s, 1, 11, 1, 4);
    sketch_rule(&s, 2, 22, 1, 3);
}

START_TEST(a_complete_packet_closes_with_its_last_postcard)
{
    two_rules();
    add(2, 1, 3, 22, 10);
    ck_assert_uint_eq(n_out, 0);
    add(1, 1, 4, 11, 0);
    ck_assert_uint_eq(n_out, 1);
    ck_assert_str_eq(sketch_tree(out[0]), "1.1>4 (2.1>3)");
    ck_assert_uint_eq(counters().closed_early, 1);
    ck_assert_uint_eq(counters().held, 0);
    ck_assert_uint_eq(path_table_next_ns(pt), UINT64_MAX);
}
END_TEST

/* Who asks when something is due hears of what is not in a group yet. */
START_TEST(what_was_pushed_is_due_too)
{
    two_rules();
    path_table_push(pt, sketch_card(&s, 1, 1, 4, 11, 64, 0));
    ck_assert_uint_eq(path_table_next_ns(pt), SKETCH_T0 + 10 * MS);
    path_table_run_to(pt, SKETCH_T0 + 10 * MS);
    ck_assert_uint_eq(path_table_next_ns(pt), SKETCH_T0 + 1000 * MS);
}
END_TEST

static void
ignore_packet(void *aux, struct trajectory *t,
              const struct trajectory_packet *packet)
{
}

/* Two packets that share an ID, for what tells them apart is behind its
 * bytes. */
START_TEST(another_payload_is_no_double)
{
    struct path_table_config config = {
        .max_plain = max_plain,
        .emit = emit,
        .emit_packet = _i ? ignore_packet : NULL,
        .find_rule = sketch_find_rule,
        .aux = &s,
    };
    struct postcard *card;

    path_table_destroy(pt);
    pt = path_table_create(&config);
    path_table_set_topology(pt, s.topology);
    two_rules();
    add(1, 1, 4, 11, 0);
    add(2, 1, 3, 22, 10);
    for (uint64_t dpid = 1; dpid <= 2; dpid++) {
        card = sketch_card(&s, dpid, 1, dpid == 1 ? 4 : 3, dpid == 1 ? 11 : 22,
                           64, 100 + dpid);
        ((uint8_t *) card->header)[card->caplen - 1] ^= 1;
        path_table_add(pt, card);
    }
    path_table_run(pt, SKETCH_T0 + 2000 * MS);
    ck_assert_uint_eq(counters().histories, 2);
    ck_assert_uint_eq(counters().duplicates, 0);
}
END_TEST

START_TEST(an_incomplete_one_closes_with_its_window)
{
    two_rules();
    add(1, 1, 4, 11, 0);
    ck_assert_uint_eq(path_table_next_ns(pt), SKETCH_T0 + 1000 * MS);
    path_table_run(pt, SKETCH_T0 + 999 * MS);
    ck_assert_uint_eq(n_out, 0);
    ck_assert_uint_eq(counters().held, 1);
    path_table_run(pt, SKETCH_T0 + 1000 * MS);
    ck_assert_uint_eq(n_out, 1);
    ck_assert_int_eq(out[0]->verdict.name, VERDICT_LOST);
    ck_assert_uint_eq(counters().closed_window, 1);
}
END_TEST

START_TEST(a_window_may_be_longer_for_a_while)
{
    two_rules();
    extra_ns = 5000 * MS;
    add(1, 1, 4, 11, 0);
    path_table_run(pt, SKETCH_T0 + 1001 * MS);
    ck_assert_uint_eq(n_out, 0);
    ck_assert_uint_gt(path_table_next_ns(pt), SKETCH_T0 + 1001 * MS);
    ck_assert_uint_le(path_table_next_ns(pt), SKETCH_T0 + 2001 * MS);
    /* What comes then is whole. */
    path_table_add(pt, sketch_card(&s, 2, 1, 3, 22, 64, 4000000));
    path_table_run(pt, SKETCH_T0 + 4000 * MS);
    ck_assert_uint_eq(n_out, 1);
    ck_assert_int_eq(out[0]->verdict.name, VERDICT_DELIVERED);
    drop_output();
    add(1, 1, 4, 11, 5000000);
    path_table_run(pt, SKETCH_T0 + 9000 * MS);
    ck_assert_uint_eq(n_out, 0);
    extra_ns = 0;
    path_table_run(pt, SKETCH_T0 + 9000 * MS);
    ck_assert_uint_eq(n_out, 1);
    ck_assert_int_eq(out[0]->verdict.name, VERDICT_LOST);
    ck_assert_uint_eq(counters().held, 0);
}
END_TEST

START_TEST(what_may_have_more_tables_closes_when_quiet)
{
    sketch_rule(&s, 1, 11, 0)->table_id = 1;
    add(1, 1, OF_PORT_NONE, 11, 0);
    ck_assert_uint_eq(n_out, 0);
    ck_assert_uint_eq(path_table_next_ns(pt), SKETCH_T0 + 10 * MS);
    path_table_run(pt, SKETCH_T0 + 10 * MS);
    ck_assert_uint_eq(n_out, 1);
    ck_assert_uint_eq(counters().closed_settle, 1);
}
END_TEST

/* When it is closed does not depend on when somebody looks, so the same packet
 * once more, 12 ms later, is one of its own either way. */
START_TEST(what_is_due_closes_at_its_time)
{
    sketch_rule(&s, 1, 11, 0)->table_id = 1;
    add(1, 1, OF_PORT_NONE, 11, 0);
    if (_i) {
        path_table_run(pt, SKETCH_T0 + 10 * MS);
    }
    path_table_run(pt, SKETCH_T0 + 12 * MS);
    ck_assert_uint_eq(n_out, 1);
    add(1, 1, OF_PORT_NONE, 11, 12000);
    path_table_run(pt, SKETCH_T0 + 22 * MS);
    ck_assert_uint_eq(n_out, 2);
    ck_assert_uint_eq(counters().duplicates, 0);
}
END_TEST

START_TEST(a_rule_that_comes_late_closes_the_packet)
{
    add(1, 1, 2, 11, 0);
    path_table_run(pt, SKETCH_T0 + 10 * MS);
    ck_assert_uint_eq(n_out, 0);
    sketch_rule(&s, 1, 11, 1, 2);
    path_table_run(pt, path_table_next_ns(pt));
    ck_assert_uint_eq(n_out, 1);
    ck_assert_uint_eq(counters().closed_settle, 1);
}
END_TEST

START_TEST(after_the_controller_it_stays_open)
{
    sketch_rule(&s, 1, 11, 1, OF_PORT_CONTROLLER)->kind = RULE_MISS;
    sketch_rule(&s, 1, 12, 1, 4)->kind = RULE_PACKET_OUT;
    sketch_rule(&s, 2, 22, 1, 3);
    add(1, 1, OF_PORT_CONTROLLER, 11, 0);
    path_table_run(pt, SKETCH_T0 + 500 * MS);
    s.cards[0]->flags = 0;
    struct postcard *card = sketch_card(&s, 1, 1, 4, 12, 64, 600000);
    card->flags = POSTCARD_PACKET_OUT;
    path_table_add(pt, card);
    add(2, 1, 3, 22, 600010);
    ck_assert_uint_eq(n_out, 0);
    path_table_run(pt, SKETCH_T0 + 1000 * MS);
    ck_assert_uint_eq(n_out, 1);
    ck_assert_str_eq(sketch_tree(out[0]), "1.1>CONTROLLER (!1.1>4 (2.1>3))");
}
END_TEST

START_TEST(mac_postcards_close_when_quiet)
{
    two_rules();
    add(1, OF_PORT_UNKNOWN, 4, 11, 0);
    add(2, OF_PORT_UNKNOWN, 3, 22, 10);
    path_table_run(pt, SKETCH_T0 + 11 * MS);
    ck_assert_uint_eq(n_out, 1);
    ck_assert_str_eq(sketch_tree(out[0]), "1.?>4 (2.1>3)");
}
END_TEST

START_TEST(a_double_after_the_close_is_dropped)
{
    two_rules();
    add(1, 1, 4, 11, 0);
    add(2, 1, 3, 22, 10);
    add(2, 1, 3, 22, 20);
    path_table_run(pt, SKETCH_T0 + 5000 * MS);
    ck_assert_uint_eq(n_out, 1);
    ck_assert_uint_eq(counters().duplicates, 1);
    ck_assert_uint_eq(counters().late, 0);
}
END_TEST

START_TEST(a_late_postcard_makes_a_history_of_its_own)
{
    two_rules();
    sketch_rule(&s, 3, 33, 1, 3);
    add(1, 1, 4, 11, 0);
    add(2, 1, 3, 22, 10);
    add(3, 2, 3, 33, 30);
    path_table_run(pt, SKETCH_T0 + 5000 * MS);
    ck_assert_uint_eq(n_out, 2);
    ck_assert_str_eq(sketch_tree(out[1]), "|3.2>3");
    ck_assert_uint_eq(counters().late, 1);
}
END_TEST

START_TEST(an_equal_packet_after_the_close_is_not_late)
{
    two_rules();
    for (uint64_t i = 0; i < 2; i++) {
        add(1, 1, 4, 11, i * 2000);
        add(2, 1, 3, 22, i * 2000 + 10);
    }
    ck_assert_uint_eq(n_out, 2);
    ck_assert_uint_eq(counters().late, 0);
    ck_assert_uint_eq(counters().closed_early, 2);
}
END_TEST

START_TEST(an_equal_packet_at_once_cannot_be_told)
{
    two_rules();
    for (uint64_t i = 0; i < 2; i++) {
        add(1, 1, 4, 11, i * 100);
        add(2, 1, 3, 22, i * 100 + 10);
    }
    path_table_flush(pt);
    ck_assert_uint_eq(n_out, 1);
    ck_assert_uint_eq(counters().ambiguous, 2);
}
END_TEST

START_TEST(closed_ids_are_forgotten_after_a_window)
{
    two_rules();
    add(1, 1, 4, 11, 0);
    add(2, 1, 3, 22, 10);
    ck_assert_uint_eq(counters().closed_groups, 1);
    path_table_run(pt, SKETCH_T0 + 1001 * MS);
    ck_assert_uint_eq(counters().closed_groups, 0);
}
END_TEST

START_TEST(without_id_a_postcard_is_a_history)
{
    sketch_rule(&s, 1, 11, 1, 2);
    struct postcard *card = sketch_card(&s, 1, 1, 2, 11, 64, 0);

    card->has_id = false;
    path_table_add(pt, card);
    ck_assert_uint_eq(n_out, 1);
    ck_assert(!out[0]->has_packet_id);
    ck_assert_int_eq(out[0]->verdict.name, VERDICT_DELIVERED);
    ck_assert_uint_eq(counters().without_id, 1);
}
END_TEST

START_TEST(full_drops_the_oldest)
{
    create(3);
    for (uint64_t i = 0; i < 5; i++) {
        struct postcard *card = sketch_card(&s, 1, 1, 4, 11, 64, i);

        card->packet_id = i;
        path_table_add(pt, card);
    }
    ck_assert_uint_eq(counters().dropped_full, 2);
    ck_assert_uint_eq(counters().held, 3);
    path_table_flush(pt);
    ck_assert_uint_eq(n_out, 3);
    ck_assert_uint_eq(out[0]->packet_id, 2);
}
END_TEST

START_TEST(a_group_has_a_largest_size)
{
    struct postcard *card = sketch_card(&s, 1, 1, 4, 11, 64, 0);

    for (uint64_t i = 0; i < ASSEMBLE_MAX; i++) {
        card->time_ns = SKETCH_T0 + i * 2 * MS;
        path_table_add(pt, card);
    }
    ck_assert_uint_eq(counters().closed_size, 1);
    ck_assert_uint_eq(counters().held, 0);
}
END_TEST

START_TEST(a_clock_that_steps_back_starts_windows_anew)
{
    add(1, 1, 4, 11, 5000000);
    path_table_run(pt, SKETCH_T0 + 4800 * MS);
    ck_assert_uint_eq(path_table_next_ns(pt), SKETCH_T0 + 6000 * MS);
    path_table_run(pt, SKETCH_T0);
    ck_assert_uint_eq(path_table_next_ns(pt), SKETCH_T0 + 1000 * MS);
    path_table_run(pt, SKETCH_T0 + 1000 * MS);
    ck_assert_uint_eq(n_out, 1);
}
END_TEST

START_TEST(a_new_topology_judges_open_packets)
{
    two_rules();
    path_table_set_topology(pt, NULL);
    add(1, 1, 4, 11, 0);
    add(2, 1, 3, 22, 10);
    ck_assert_uint_eq(n_out, 0);
    path_table_set_topology(pt, s.topology);
    path_table_run(pt, SKETCH_T0 + 11 * MS);
    ck_assert_uint_eq(n_out, 1);
    ck_assert_str_eq(sketch_tree(out[0]), "1.1>4 (2.1>3)");
}
END_TEST

START_TEST(a_long_header_is_kept_whole)
{
    uint8_t *bytes = lh_alloc_zero(9000);
    struct postcard *card = sketch_card(&s, 1, 1, 4, 11, 64, 0);
    const uint8_t *header = card->header;
    uint16_t caplen = card->caplen;

    memcpy(bytes, header, caplen);
    bytes[8999] = 42;
    card->header = bytes;
    card->caplen = 9000;
    path_table_add(pt, card);
    card->header = header;
    card->caplen = caplen;
    memset(bytes, 0xff, 9000);
    path_table_flush(pt);
    ck_assert_uint_eq(out[0]->hops[0].caplen, 9000);
    ck_assert_uint_eq(out[0]->hops[0].header[8999], 42);
    free(bytes);
}
END_TEST

/* --- Many packets at once. ------------------------------------------------
 */

struct arrival {
    const struct oracle_card *card;
};

static int
compare_arrivals(const void *a_, const void *b_)
{
    const struct arrival *a = a_, *b = b_;
    uint64_t x = a->card->p.time_ns, y = b->card->p.time_ns;

    return x != y ? (x < y ? -1 : 1) : 0;
}

/* What the oracle's truth for 'id' is. */
static const struct history *
find_truth(struct oracle_packet *const *packets, size_t n, uint64_t id)
{
    for (size_t i = 0; i < n; i++) {
        if (packets[i]->truth->packet_id == id) {
            return packets[i]->truth;
        }
    }
    return NULL;
}

START_TEST(a_mix_of_packets_comes_out_true)
{
    enum { N = 2000 };
    static const enum gen_kind kinds[] = {GEN_MIXED, GEN_DROP, GEN_TO_ABSENT};
    struct oracle_net *net = oracle_net_create("fat-tree:4", 5);
    struct oracle_packet **packets = lh_alloc_zero(N * sizeof *packets);
    struct path_table_config config = {
        .max_plain = max_plain,
        .emit = emit,
        .find_rule = oracle_net_find_rule,
        .aux = net,
    };
    struct arrival *arrivals;
    size_t n_arrivals = 0, n_doubles = 0;

    path_table_destroy(pt);
    pt = path_table_create(&config);
    path_table_set_topology(pt, oracle_net_topology(net));
    for (int i = 0; i < N; i++) {
        struct oracle_flow *flow =
            oracle_flow_create(net, kinds[i % 7 ? 0 : i % 3]);

        ck_assert_ptr_nonnull(flow);
        packets[i] =
            oracle_send(flow, (uint64_t) i * 7919 + 1,
                        SKETCH_T0 + (uint64_t) i * 20000, (uint32_t) i);
        oracle_packet_double(packets[i], oracle_net_random(net), 5);
        n_arrivals += packets[i]->n_cards;
    }
    arrivals = lh_alloc_zero(n_arrivals * sizeof *arrivals);
    n_arrivals = 0;
    for (int i = 0; i < N; i++) {
        for (size_t k = 0; k < packets[i]->n_cards; k++) {
            n_doubles += packets[i]->cards[k].is_double;
            arrivals[n_arrivals++].card = &packets[i]->cards[k];
        }
    }
    qsort(arrivals, n_arrivals, sizeof *arrivals, compare_arrivals);
    for (size_t i = 0; i < n_arrivals; i++) {
        path_table_add(pt, &arrivals[i].card->p);
        path_table_run(pt, arrivals[i].card->p.time_ns);
    }
    path_table_run(pt, SKETCH_T0 + 5000 * MS);

    struct path_table_counters n = counters();
    ck_assert_uint_eq(n.in, n_arrivals);
    ck_assert_uint_eq(n.held, 0);
    ck_assert_uint_eq(n.out + n.duplicates + n.ambiguous, n_arrivals);
    ck_assert_uint_eq(n.histories, N);
    ck_assert_uint_eq(n.duplicates + n.ambiguous, n_doubles);
    ck_assert_uint_gt(n.closed_early, N / 2);
    for (size_t i = 0; i < n_out; i++) {
        const struct history *truth =
            find_truth(packets, N, out[i]->packet_id);

        ck_assert_ptr_nonnull(truth);
        ck_assert_uint_eq(out[i]->n_hops, truth->n_hops);
        ck_assert_int_eq(out[i]->verdict.name, truth->verdict.name);
    }
    for (int i = 0; i < N; i++) {
        oracle_packet_destroy(packets[i]);
    }
    free(packets);
    free(arrivals);
    oracle_net_destroy(net);
}
END_TEST

static TCase *
make_case(const char *name, void (*set_up)(void))
{
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, set_up, teardown);
    tcase_add_test(tc, a_complete_packet_closes_with_its_last_postcard);
    tcase_add_loop_test(tc, another_payload_is_no_double, 0, 2);
    tcase_add_test(tc, what_was_pushed_is_due_too);
    tcase_add_test(tc, an_incomplete_one_closes_with_its_window);
    tcase_add_test(tc, a_window_may_be_longer_for_a_while);
    tcase_add_test(tc, what_may_have_more_tables_closes_when_quiet);
    tcase_add_loop_test(tc, what_is_due_closes_at_its_time, 0, 2);
    tcase_add_test(tc, a_rule_that_comes_late_closes_the_packet);
    tcase_add_test(tc, after_the_controller_it_stays_open);
    tcase_add_test(tc, mac_postcards_close_when_quiet);
    tcase_add_test(tc, a_double_after_the_close_is_dropped);
    tcase_add_test(tc, a_late_postcard_makes_a_history_of_its_own);
    tcase_add_test(tc, an_equal_packet_after_the_close_is_not_late);
    tcase_add_test(tc, an_equal_packet_at_once_cannot_be_told);
    tcase_add_test(tc, closed_ids_are_forgotten_after_a_window);
    tcase_add_test(tc, without_id_a_postcard_is_a_history);
    tcase_add_test(tc, full_drops_the_oldest);
    tcase_add_test(tc, a_group_has_a_largest_size);
    tcase_add_test(tc, a_clock_that_steps_back_starts_windows_anew);
    tcase_add_test(tc, a_new_topology_judges_open_packets);
    tcase_add_test(tc, a_long_header_is_kept_whole);
    tcase_add_test(tc, a_mix_of_packets_comes_out_true);
    return tc;
}

int
main(void)
{
    Suite *suite = suite_create("path_table");
    SRunner *runner;
    int n_failed;

    suite_add_tcase(suite, make_case("path_table", setup));
    suite_add_tcase(suite, make_case("folding", setup_folding));
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
