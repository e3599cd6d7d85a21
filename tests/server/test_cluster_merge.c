/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_merge - postcards of several doors come out in the order of
 * time, none twice, and who is silent or wrong holds nobody up. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gen/gen_random.h"
#include "lib/card_batch.h"
#include "lib/hop_template.h"
#include "server/cluster_merge.h"
#include "server/cluster_wire.h"

#define S         UINT64_C(1000000000)
#define MS        UINT64_C(1000000)
#define T0        UINT64_C(1700000000000000000)
#define MAX_GIVEN 4096
#define ALL       100000

static const struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;
static struct cluster_merge *merge;
static uint64_t given[MAX_GIVEN]; /* Packet IDs. */
static size_t n_given;
static uint64_t last_ns;
static uint64_t next_seq;
static size_t max_bytes;

static bool
on_card(void *aux, const struct postcard *p, uint64_t time_ns)
{
    ck_assert_uint_lt(n_given, MAX_GIVEN);
    ck_assert_uint_ge(time_ns, last_ns);
    last_ns = time_ns;
    given[n_given++] = p->packet_id;
    return true;
}

static void
on_inner(void *aux, uint64_t inner, uint64_t outer, uint64_t time_ns)
{
}

static struct cluster_merge *
create(void)
{
    return cluster_merge_create(&(struct cluster_merge_config){
        .id_config = id_config,
        .max_bytes = max_bytes,
        .on_card = on_card,
        .on_inner = on_inner,
    });
}

static void
set_up(void)
{
    n_given = 0;
    last_ns = 0;
    next_seq = 1;
    max_bytes = 0;
    merge = create();
}

static void
tear_down(void)
{
    cluster_merge_destroy(merge);
}

/* A message as a door sends it, of postcards with the times (and, from 1 on,
 * packet IDs) 'times', in milliseconds after T0. */
static void
put_message(struct byte_buf *bytes, uint64_t door, uint64_t number,
            bool is_file, uint64_t watermark_ns, const uint32_t *times,
            size_t n)
{
    const struct cluster_cards_head head = {
        .door = door,
        .number = number,
        .is_file = is_file,
        .watermark_ns = watermark_ns,
    };
    struct card_batch_writer *w = card_batch_writer_create(&id_config);

    cluster_wire_put_cards(bytes, &head, NULL, 0);
    for (size_t i = 0; i < n; i++) {
        const struct postcard p = {
            .dpid = door,
            .packet_id = times[i],
            .has_id = true,
            .time_ns = T0 + times[i] * MS,
            .version_bits = 32,
        };

        ck_assert(card_batch_writer_add(w, &p));
    }
    if (n) {
        card_batch_writer_finish(w, bytes);
    }
    card_batch_writer_destroy(w);
}

static int
take(const struct byte_buf *bytes, uint64_t seq, uint64_t stored_ms)
{
    const struct cluster_merge_message message = {
        .seq = seq,
        .stored_ns = T0 + stored_ms * MS,
        .data = bytes->data,
        .size = bytes->len,
    };
    struct lh_error error;

    return cluster_merge_take(merge, &message, 1, &error);
}

/* Door 'door' sends; its watermark is 'at_ms', and NATS has it then. */
static void
say(uint64_t door, uint64_t number, uint64_t at_ms, size_t n,
    const uint32_t *times)
{
    struct byte_buf bytes = BYTE_BUF_INIT;

    put_message(&bytes, door, number, false, T0 + at_ms * MS, times, n);
    ck_assert_int_eq(take(&bytes, next_seq++, at_ms), 0);
    byte_buf_uninit(&bytes);
}

#define SAY(DOOR, NUMBER, AT_MS, ...)                                         \
    say(DOOR, NUMBER, AT_MS,                                                  \
        sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t),           \
        (const uint32_t[]){__VA_ARGS__})

static void
run(void)
{
    ck_assert(!cluster_merge_run(merge, 1, false, ALL));
}

static struct cluster_merge_counters
counters(void)
{
    struct cluster_merge_counters n;

    cluster_merge_get_counters(merge, &n);
    return n;
}

START_TEST(what_is_earlier_is_waited_for)
{
    SAY(1, 1, 30, 1, 20, 30);
    SAY(2, 1, 12, 11);
    run();
    ck_assert_uint_eq(n_given, 2); /* 1 and 11. */
    ck_assert_uint_eq(cluster_merge_clock_ns(merge), T0 + 12 * MS);
    ck_assert_uint_eq(cluster_merge_floor(merge, next_seq), 1);
    SAY(2, 2, 40, 15, 25);
    run();
    ck_assert_uint_eq(n_given, 6);
    for (size_t i = 1; i < n_given; i++) {
        ck_assert_uint_gt(given[i], given[i - 1]);
    }
    ck_assert_uint_eq(cluster_merge_clock_ns(merge), T0 + 30 * MS);
    ck_assert_uint_eq(cluster_merge_floor(merge, next_seq), next_seq);
    ck_assert_uint_eq(counters().late, 0);
}
END_TEST

/* An agent's postcard, stamped an hour before, which 'door' told between the
 * watermark before and 'at_ms'. */
static void
say_visit(uint64_t door, uint64_t number, uint64_t at_ms, uint64_t packet_id)
{
    const struct cluster_cards_head head = {
        .door = door, .number = number, .watermark_ns = T0 + at_ms * MS};
    struct card_batch_writer *w = card_batch_writer_create(&id_config);
    struct postcard p = {.packet_id = packet_id,
                         .has_id = true,
                         .time_ns = T0 - 3600 * S,
                         .version_bits = 32};
    struct byte_buf bytes = BYTE_BUF_INIT;
    struct hop_output output = {.port = 2};
    union hop_template_buf visit;

    hop_template_make(&visit, &(struct hop_template_parts){.dpid = door,
                                                           .in_port = 1,
                                                           .outputs = &output,
                                                           .n_outputs = 1});
    postcard_set_visit(&p, &visit.t, false);
    cluster_wire_put_cards(&bytes, &head, NULL, 0);
    ck_assert(card_batch_writer_add(w, &p));
    card_batch_writer_finish(w, &bytes);
    card_batch_writer_destroy(w);
    ck_assert_int_eq(take(&bytes, next_seq++, at_ms), 0);
    byte_buf_uninit(&bytes);
}

/* Their windows begin when they came, also those of the first of a shard. */
START_TEST(agents_postcards_are_of_when_they_came)
{
    say_visit(1, 1, 100, 1);
    run();
    ck_assert_uint_eq(n_given, 1);
    ck_assert_uint_eq(last_ns, T0 + 100 * MS);
    say_visit(1, 2, 5000, 2);
    run();
    ck_assert_uint_eq(n_given, 2);
    ck_assert_uint_eq(last_ns, T0 + 100 * MS);
    ck_assert_uint_eq(cluster_merge_clock_ns(merge), T0 + 5000 * MS);
    say_visit(2, 1, 5100, 3);
    SAY(1, 3, 5200);
    run();
    ck_assert_uint_eq(n_given, 3);
    ck_assert_uint_eq(last_ns, T0 + 5100 * MS);
}
END_TEST

START_TEST(a_copy_is_skipped)
{
    SAY(1, 1, 10, 1, 2);
    SAY(1, 1, 10, 1, 2);
    SAY(1, 3, 20, 11);
    SAY(1, 2, 20, 12);
    run();
    ck_assert_uint_eq(n_given, 3);
    ck_assert_uint_eq(counters().again, 2);
}
END_TEST

START_TEST(who_is_silent_is_not_waited_for)
{
    SAY(1, 1, 10, 1);
    SAY(2, 1, 10, 2);
    SAY(2, 2, 2010, 2009);
    run();
    ck_assert_uint_eq(n_given, 2);
    SAY(2, 3, 2011, 2010);
    run();
    ck_assert_uint_eq(n_given, 4);
    /* It comes again, too late. */
    SAY(1, 2, 2012, 500, 2012);
    run();
    ck_assert_uint_eq(n_given, 5);
    ck_assert_uint_eq(given[4], 500);
    ck_assert_uint_eq(counters().late, 1);
    SAY(2, 4, 2020, 2015);
    run();
    ck_assert_uint_eq(n_given, 6);
}
END_TEST

/* The same of a door that reads a file; 'at_ms' 0: it has read nothing. */
static void
say_of_file(uint64_t door, uint64_t number, uint64_t at_ms, uint32_t time_ms)
{
    struct byte_buf bytes = BYTE_BUF_INIT;

    put_message(&bytes, door, number, true, at_ms ? T0 + at_ms * MS : 0,
                &time_ms, at_ms ? 1 : 0);
    ck_assert_int_eq(take(&bytes, next_seq++, 100), 0);
    byte_buf_uninit(&bytes);
}

START_TEST(who_is_announced_is_waited_for)
{
    say_of_file(2, 1, 0, 0);
    say_of_file(1, 1, 10, 5);
    say_of_file(1, 2, 20, 15);
    run();
    ck_assert_uint_eq(n_given, 0);
    ck_assert_uint_eq(cluster_merge_clock_ns(merge), 0);
    say_of_file(2, 2, 30, 1);
    run();
    ck_assert_uint_eq(n_given, 3);
    ck_assert_uint_eq(given[0], 1);
    ck_assert_uint_eq(cluster_merge_clock_ns(merge), T0 + 20 * MS);
    /* Of one that comes later time does not begin anew. */
    say_of_file(3, 1, 0, 0);
    run();
    ck_assert_uint_eq(cluster_merge_clock_ns(merge), T0 + 20 * MS);
    ck_assert_uint_eq(counters().late, 0);
}
END_TEST

static void
say_behind(uint64_t number, uint64_t watermark_ms, uint64_t stored_ms,
           uint32_t time_ms)
{
    struct byte_buf bytes = BYTE_BUF_INIT;

    put_message(&bytes, 9, number, false, T0 + watermark_ms * MS, &time_ms, 1);
    ck_assert_int_eq(take(&bytes, next_seq++, stored_ms), 0);
    byte_buf_uninit(&bytes);
}

START_TEST(who_is_far_behind_is_not_waited_for)
{
    SAY(1, 1, 5000, 4990);
    say_behind(1, 2999, 5000, 2990);
    run();
    ck_assert_uint_eq(n_given, 2);
    ck_assert_uint_eq(counters().behind, 1);
    ck_assert_uint_eq(cluster_merge_clock_ns(merge), T0 + 5000 * MS);
    /* Another that was ahead and has gone does not make it so. */
    say_behind(2, 8000, 8000, 7999);
    run();
    ck_assert_uint_eq(counters().behind, 0);
    ck_assert_uint_eq(n_given, 3);
}
END_TEST

START_TEST(time_goes_on_when_live_doors_have_gone)
{
    SAY(1, 1, 100, 90);
    SAY(2, 1, 50, 45);
    ck_assert(!cluster_merge_run(merge, 1 * S, true, ALL));
    ck_assert_uint_eq(n_given, 1);
    ck_assert(!cluster_merge_run(merge, 1 * S + CLUSTER_MERGE_QUIET_NS - 1,
                                 true, ALL));
    ck_assert_uint_eq(n_given, 1);
    ck_assert(
        !cluster_merge_run(merge, 1 * S + CLUSTER_MERGE_QUIET_NS, true, ALL));
    ck_assert_uint_eq(n_given, 2);
    ck_assert_uint_eq(cluster_merge_clock_ns(merge),
                      T0 + 100 * MS + CLUSTER_MERGE_QUIET_NS);
    ck_assert(!cluster_merge_is_over(merge));
}
END_TEST

START_TEST(files_are_over_when_all_have_ended)
{
    static const uint32_t times[] = {1, 2, 3};
    struct byte_buf bytes = BYTE_BUF_INIT;

    put_message(&bytes, 1, 1, true, T0 + 3 * MS, times, 3);
    take(&bytes, 1, 3);
    byte_buf_clear(&bytes);
    put_message(&bytes, 2, 1, true, T0 + 2 * MS, times, 2);
    take(&bytes, 2, 3);
    run();
    ck_assert_uint_eq(n_given, 4);
    byte_buf_clear(&bytes);
    put_message(&bytes, 2, 2, true, CLUSTER_WATERMARK_END, NULL, 0);
    take(&bytes, 3, 3);
    run();
    ck_assert_uint_eq(n_given, 5);
    ck_assert(cluster_merge_has_file(merge));
    byte_buf_clear(&bytes);
    put_message(&bytes, 1, 2, true, CLUSTER_WATERMARK_END, NULL, 0);
    take(&bytes, 4, 3);
    ck_assert(!cluster_merge_run(merge, 1 * S, true, ALL));
    ck_assert(!cluster_merge_is_over(merge));
    ck_assert(
        !cluster_merge_run(merge, 1 * S + CLUSTER_MERGE_QUIET_NS, true, ALL));
    ck_assert(cluster_merge_is_over(merge));
    ck_assert(!cluster_merge_has_file(merge));
    ck_assert_uint_eq(cluster_merge_clock_ns(merge), T0 + 3 * MS);
    byte_buf_uninit(&bytes);
}
END_TEST

START_TEST(what_finds_no_room_does_not_wait)
{
    cluster_merge_destroy(merge);
    max_bytes = 1;
    merge = create();
    SAY(2, 1, 1, 1);
    SAY(1, 1, 100, 50, 60);
    run();
    ck_assert_uint_eq(n_given, 3);
    ck_assert_uint_eq(counters().hurried, 2);
}
END_TEST

START_TEST(a_clock_that_was_far_ahead_is_put_back)
{
    SAY(1, 1, 3600000, 3599999);
    run();
    SAY(2, 1, 100, 90);
    last_ns = 0;
    run();
    ck_assert_uint_eq(cluster_merge_clock_ns(merge), T0 + 3600000 * MS);
    /* That door has gone: 2 is not far behind any more. */
    SAY(3, 1, 3603000, 3602999);
    run();
}
END_TEST

/* The door goes on, as NTP has put its clock right. */
START_TEST(a_door_whose_clock_is_put_back_goes_on)
{
    uint64_t first_ns;

    SAY(1, 1, 3600000, 3599990, 3599999);
    run();
    for (uint32_t i = 1; i <= 20; i++) {
        uint32_t at_ms = 100 + 200 * i;
        struct byte_buf bytes = BYTE_BUF_INIT;

        put_message(&bytes, 1, 1 + i, false, T0 + at_ms * MS,
                    &(uint32_t){at_ms - 10}, 1);
        ck_assert_int_eq(take(&bytes, next_seq++, at_ms), 0);
        byte_buf_uninit(&bytes);
        last_ns = 0;
        run();
        ck_assert_uint_eq(n_given, 2 + i);
        first_ns = i == 1 ? cluster_merge_clock_ns(merge) : first_ns;
    }
    ck_assert_uint_eq(first_ns, T0 + 300 * MS);
    ck_assert_uint_eq(cluster_merge_clock_ns(merge), T0 + 4100 * MS);
    ck_assert_uint_eq(counters().late, 1);
}
END_TEST

/* --- Successors. ----------------------------------------------------------
 */

#define N_DOORS    3
#define N_MESSAGES 46

/* Messages of three doors; their postcards have all times but some.  In the
 * first and last of each there are none. */
static size_t
make_messages(struct gen_random *r, struct byte_buf *messages)
{
    uint64_t at[N_DOORS] = {0}, number[N_DOORS] = {0};
    size_t n_all = 0;

    for (size_t i = 0; i < N_MESSAGES; i++) {
        bool is_end = i >= N_MESSAGES - N_DOORS;
        bool is_edge = i < N_DOORS || is_end;
        size_t door = is_edge ? i % N_DOORS : gen_random_pick(r, N_DOORS);
        size_t n = 0, n_max = is_edge ? 0 : gen_random_pick(r, 8);
        uint64_t until = is_end ? 100000 : i * 10;
        uint32_t times[8];

        while (n < n_max && at[door] + 4 < until) {
            at[door] += 1 + gen_random_pick(r, 3);
            times[n++] = (uint32_t) (at[door] * N_DOORS + door);
        }
        messages[i] = (struct byte_buf) BYTE_BUF_INIT;
        put_message(&messages[i], door + 1, ++number[door], false,
                    T0 + (until * N_DOORS + N_DOORS) * MS, times, n);
        at[door] = until + 1;
        n_all += n;
    }
    return n_all;
}

START_TEST(a_successor_goes_on_where_it_was)
{
    struct gen_random r = {(uint64_t) _i};
    struct byte_buf messages[N_MESSAGES];
    size_t n_all = make_messages(&r, messages), n_moves = 0;
    uint64_t seq = 1;

    while (seq <= N_MESSAGES) {
        ck_assert_int_eq(take(&messages[seq - 1], seq, 1), 0);
        seq++;
        if (seq <= N_DOORS) {
            continue; /* None is known of that says nothing. */
        }
        cluster_merge_run(merge, 1, false, 1 + gen_random_pick(&r, 6));
        if (!gen_random_pick(&r, 5)) {
            struct byte_buf state = BYTE_BUF_INIT;
            struct bytes_reader in;

            seq = cluster_merge_floor(merge, seq);
            cluster_merge_put(merge, &state);
            cluster_merge_destroy(merge);
            merge = create();
            in = bytes_reader(state.data, state.len);
            ck_assert_int_eq(cluster_merge_read(merge, &in), 0);
            ck_assert_uint_eq(bytes_left(&in), 0);
            byte_buf_uninit(&state);
            n_moves++;
        }
    }
    while (cluster_merge_run(merge, 1, false, ALL)) {
    }
    ck_assert_uint_gt(n_moves, 0);
    ck_assert_uint_eq(n_given, n_all);
    for (size_t i = 1; i < n_given; i++) {
        ck_assert_uint_gt(given[i], given[i - 1]);
    }
    for (size_t i = 0; i < N_MESSAGES; i++) {
        byte_buf_uninit(&messages[i]);
    }
}
END_TEST

/* --- What others may send. ------------------------------------------------
 */

START_TEST(broken_messages_are_counted_and_skipped)
{
    struct gen_random r = {(uint64_t) _i};
    static const uint32_t times[] = {1, 2, 3, 4, 5};
    struct byte_buf bytes = BYTE_BUF_INIT;
    uint64_t n_broken = 0;

    for (uint64_t i = 1; i <= 200; i++) {
        byte_buf_clear(&bytes);
        put_message(&bytes, 1, i, false, T0 + i * MS, times, 5);
        if (gen_random_pick(&r, 2)) {
            bytes.data[gen_random_pick(&r, (uint32_t) bytes.len)] ^=
                (uint8_t) (1u << gen_random_pick(&r, 8));
        } else {
            bytes.len = gen_random_pick(&r, (uint32_t) bytes.len);
        }
        n_broken += take(&bytes, i, i) == EBADMSG;
        n_given = 0;
        last_ns = 0;
        while (cluster_merge_run(merge, 1, false, ALL)) {
        }
    }
    ck_assert_uint_gt(n_broken, 0);
    ck_assert_uint_ge(counters().broken, n_broken);
    ck_assert_ptr_nonnull(cluster_merge_trouble(merge));
    byte_buf_uninit(&bytes);
}
END_TEST

START_TEST(a_state_that_is_cut_is_refused)
{
    struct byte_buf state = BYTE_BUF_INIT;

    SAY(1, 1, 30, 1, 20, 30);
    SAY(2, 1, 12, 11);
    run();
    cluster_merge_put(merge, &state);
    for (size_t len = 0; len < state.len; len++) {
        struct cluster_merge *other = create();
        struct bytes_reader in = bytes_reader(state.data, len);

        ck_assert_int_eq(cluster_merge_read(other, &in), EBADMSG);
        cluster_merge_destroy(other);
    }
    byte_buf_uninit(&state);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_merge");
    TCase *tcase = tcase_create("all");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, what_is_earlier_is_waited_for);
    tcase_add_test(tcase, agents_postcards_are_of_when_they_came);
    tcase_add_test(tcase, a_copy_is_skipped);
    tcase_add_test(tcase, who_is_silent_is_not_waited_for);
    tcase_add_test(tcase, who_is_announced_is_waited_for);
    tcase_add_test(tcase, who_is_far_behind_is_not_waited_for);
    tcase_add_test(tcase, time_goes_on_when_live_doors_have_gone);
    tcase_add_test(tcase, files_are_over_when_all_have_ended);
    tcase_add_test(tcase, what_finds_no_room_does_not_wait);
    tcase_add_test(tcase, a_clock_that_was_far_ahead_is_put_back);
    tcase_add_test(tcase, a_door_whose_clock_is_put_back_goes_on);
    tcase_add_loop_test(tcase, a_successor_goes_on_where_it_was, 0, 100);
    tcase_add_loop_test(tcase, broken_messages_are_counted_and_skipped, 0, 10);
    tcase_add_test(tcase, a_state_that_is_cut_is_refused);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
