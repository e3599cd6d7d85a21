/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of phf/query against a plain filter and sort. */
#include <config.h>

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/byte_buf.h"
#include "lib/lh_alloc.h"
#include "phf/query.h"
#include "tests/lib/archive_fixture.h"
#include "tests/lib/random_history.h"

#define N_HISTORIES 600

static char *dir;
static struct archive_writer *writer;
static struct archive_reader *reader;
static uint64_t times[N_HISTORIES]; /* Of history i, whose ID is i + 1. */

/* What a query gave. */
static struct {
    size_t n;
    uint64_t ids[N_HISTORIES + 1];
    uint64_t times[N_HISTORIES + 1];
    int n_busy; /* Times to be busy before the next is taken. */
} given;

static void
give(void *aux, const struct history *h)
{
    ck_assert_uint_le(given.n, N_HISTORIES);
    given.ids[given.n] = h->packet_id;
    given.times[given.n] = history_first_ns(h);
    given.n++;
}

static bool
is_busy(void *aux)
{
    return given.n_busy-- > 0;
}

/* Of clocks that were wrong: 1970, 2100, and further on. */
static const uint64_t absurd[] = {1, UINT64_C(4102444800000000000),
                                  UINT64_MAX >> 1, UINT64_C(1) << 63,
                                  UINT64_MAX - 1000000000};

/* An archive whose blocks overlap in time, the last part of it pending;
 * 'has_absurd': every 13th time is wrong. */
static void
fill(bool has_absurd)
{
    uint64_t seed = 5;

    dir = fixture_dir();
    writer = fixture_writer(dir, NULL);
    for (size_t i = 0; i < N_HISTORIES; i++) {
        times[i] =
            FIXTURE_NOW_NS + i * 1000000 + random_u32(&seed) % 90 * 1000000;
        if (has_absurd && i % 13 == 5) {
            times[i] = absurd[i / 13 % (sizeof absurd / sizeof absurd[0])];
        }

        struct history *h =
            line_history(i + 1, 1 + i % 3, times[i], 64 + i % 20);

        archive_writer_add(writer, h);
        history_destroy(h);
        if (i % 50 == 49 && i + 1 < N_HISTORIES) {
            archive_writer_round(writer, FIXTURE_NOW_NS);
        }
    }
    reader = fixture_reader(dir);
    memset(&given, 0, sizeof given);
}

static void
set_up(void)
{
    fill(false);
}

static void
set_up_absurd(void)
{
    fill(true);
}

static void
tear_down(void)
{
    archive_reader_close(reader);
    archive_writer_close(writer);
    fixture_remove(dir);
}

static struct query *
make(const char *filter, uint64_t since_ns, uint64_t until_ns, uint64_t limit,
     bool is_desc)
{
    struct query_config config = {
        .reader = reader,
        .since_ns = since_ns,
        .until_ns = until_ns,
        .limit = limit,
        .is_desc = is_desc,
        .give = give,
        .is_busy = is_busy,
    };

    config.pending = lh_alloc_zero(sizeof *config.pending);
    config.n_pending = 1;
    archive_writer_pending(writer, config.pending);
    ck_assert_int_eq(phf_compile(filter, NULL, &config.phf, NULL), 0);
    return query_create(&config);
}

static struct query_totals
run(struct query *q)
{
    enum query_state state;
    struct query_totals totals;

    while ((state = query_step(q)) != QUERY_DONE) {
        ck_assert(state == QUERY_MORE || given.n_busy >= 0);
    }
    totals = *query_totals(q);
    query_destroy(q);
    return totals;
}

/* Whether given[] is what a look at every history would give. */
static void
check_given(size_t min_hops, uint64_t since_ns, uint64_t until_ns,
            uint64_t limit, bool is_desc)
{
    size_t n = 0;

    for (size_t i = 0; i < N_HISTORIES; i++) {
        n += 1 + i % 3 >= min_hops && times[i] >= since_ns &&
             times[i] < until_ns;
    }
    ck_assert_uint_eq(given.n, limit && limit < n ? limit : n);
    for (size_t i = 0; i < given.n; i++) {
        uint64_t id = given.ids[i];
        size_t n_before = 0;

        ck_assert_uint_eq(given.times[i], times[id - 1]);
        if (i) {
            ck_assert(is_desc ? given.times[i] <= given.times[i - 1]
                              : given.times[i] >= given.times[i - 1]);
        }
        for (size_t j = 0; j < i; j++) {
            ck_assert_uint_ne(given.ids[j], id);
        }
        /* Nothing earlier was left out. */
        for (size_t j = 0; j < N_HISTORIES; j++) {
            n_before += 1 + j % 3 >= min_hops && times[j] >= since_ns &&
                        times[j] < until_ns &&
                        (is_desc ? times[j] > given.times[i]
                                 : times[j] < given.times[i]);
        }
        ck_assert_uint_le(n_before, i);
    }
}

START_TEST(all_are_given_once_and_in_order)
{
    bool is_desc = _i;
    struct query_totals t = run(make(".*", 0, UINT64_MAX, 0, is_desc));

    check_given(0, 0, UINT64_MAX, 0, is_desc);
    ck_assert_uint_eq(t.n, N_HISTORIES);
    ck_assert_uint_eq(t.scanned, N_HISTORIES);
    ck_assert_uint_eq(t.n_blocks, 12);
    ck_assert_uint_eq(t.n_read, 12);
    ck_assert_uint_eq(t.damaged, 0);
    ck_assert(!t.is_truncated);
}
END_TEST

START_TEST(filter_time_and_limit_agree_with_a_plain_search)
{
    uint64_t seed = (uint64_t) _i;

    for (int round = 0; round < 20; round++) {
        static const char *const filters[] = {".*", "..", "..."};
        size_t filter = random_u32(&seed) % 3;
        uint64_t since_ns =
            FIXTURE_NOW_NS + random_u32(&seed) % 600 * 1000000u;
        uint64_t until_ns = since_ns + random_u32(&seed) % 300 * 1000000u;
        uint64_t limit = random_u32(&seed) % 2 ? random_u32(&seed) % 40 : 0;
        bool is_desc = random_u32(&seed) % 2;

        memset(&given, 0, sizeof given);
        given.n_busy = (int) (random_u32(&seed) % 3);
        run(make(filters[filter], since_ns, until_ns, limit, is_desc));
        check_given(filter ? filter + 1 : 0, since_ns, until_ns, limit,
                    is_desc);
    }
}
END_TEST

START_TEST(a_limit_ends_it_early)
{
    struct query_totals t = run(make(".*", 0, UINT64_MAX, 5, true));

    ck_assert_uint_eq(t.n, 5);
    ck_assert(t.is_truncated);
    ck_assert_uint_lt(t.n_read, 5);
}
END_TEST

START_TEST(time_skips_blocks)
{
    struct query_totals t =
        run(make(".*", FIXTURE_NOW_NS, FIXTURE_NOW_NS + 60000000, 0, false));

    ck_assert_uint_lt(t.n_blocks, 4);
    ck_assert_uint_eq(t.n_read, t.n_blocks);
}
END_TEST

START_TEST(what_comes_later_is_not_seen_twice)
{
    struct query *q = make(".*", 0, UINT64_MAX, 0, false);

    ck_assert_int_eq(query_step(q), QUERY_MORE);
    /* What was pending becomes a block, and more comes. */
    fixture_add(writer, 100000, 10);
    archive_writer_round(writer, FIXTURE_NOW_NS);
    ck_assert_int_eq(archive_reader_refresh(reader, NULL), 0);
    run(q);
    check_given(0, 0, UINT64_MAX, 0, false);
}
END_TEST

START_TEST(a_damaged_block_is_counted_and_the_rest_given)
{
    char *path = archive_dir_segment(
        dir, &(struct archive_segment){.first = 1, .last = 1});
    off_t at = (off_t) archive_reader_entry(reader, 3)->offset + 100;
    int fd = open(path, O_RDWR);
    uint8_t byte;

    ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
    byte ^= 4;
    ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
    close(fd);
    free(path);

    struct query_totals t = run(make(".*", 0, UINT64_MAX, 0, false));

    ck_assert_uint_eq(t.damaged, 1);
    ck_assert_ptr_nonnull(strstr(t.damage.text, "it held times from"));
    ck_assert_uint_eq(t.n, N_HISTORIES - 50);
}
END_TEST

START_TEST(a_query_can_be_dropped_at_any_step)
{
    for (int n_steps = 0; n_steps < 60; n_steps++) {
        struct query *q = make(".*", 0, UINT64_MAX, 0, n_steps % 2);

        memset(&given, 0, sizeof given);
        for (int i = 0; i < n_steps; i++) {
            query_step(q);
        }
        query_destroy(q);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("query");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, all_are_given_once_and_in_order, 0, 2);
    tcase_add_loop_test(tc, filter_time_and_limit_agree_with_a_plain_search, 0,
                        5);
    tcase_add_test(tc, a_limit_ends_it_early);
    tcase_add_test(tc, time_skips_blocks);
    tcase_add_test(tc, what_comes_later_is_not_seen_twice);
    tcase_add_test(tc, a_damaged_block_is_counted_and_the_rest_given);
    tcase_add_test(tc, a_query_can_be_dropped_at_any_step);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);

    /* The same, where some times are absurd. */
    TCase *tc_absurd = tcase_create("absurd times");

    tcase_add_checked_fixture(tc_absurd, set_up_absurd, tear_down);
    tcase_add_loop_test(tc_absurd, all_are_given_once_and_in_order, 0, 2);
    tcase_add_loop_test(
        tc_absurd, filter_time_and_limit_agree_with_a_plain_search, 0, 10);
    suite_add_tcase(suite, tc_absurd);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
