/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of queries of an archive with two copies of its shards. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/archive_shards.h"
#include "phf/query.h"
#include "tests/lib/archive_fixture.h"
#include "tests/lib/random_history.h"

#define N 300

static char *dir;
static unsigned int n_given[N];
static uint64_t last_ns;
static bool is_desc;

static void
give(void *aux, const struct history *h)
{
    uint64_t ns = history_first_ns(h);

    ck_assert(!last_ns || (is_desc ? ns <= last_ns : ns >= last_ns));
    last_ns = ns;
    ck_assert_uint_lt(h->packet_id, N);
    n_given[h->packet_id]++;
}

static bool
is_busy(void *aux)
{
    return false;
}

/* Writes history 'i', five of which have the same time, 'n' times. */
static void
add(struct archive_writer *writer, uint64_t i, int n)
{
    struct history *h =
        line_history(i, 1 + i % 3, FIXTURE_NOW_NS + i / 5 * 1000, 64);

    for (int k = 0; k < n; k++) {
        archive_writer_add(writer, h);
    }
    history_destroy(h);
}

static struct archive_writer *
open_shard(uint32_t shard, uint32_t copy)
{
    char *path = archive_shards_path(dir, archive_shards_number(shard, copy));
    struct archive_writer *writer = fixture_writer(path, NULL);

    free(path);
    return writer;
}

static struct query_totals
run(uint64_t limit)
{
    struct archive_reader *reader = fixture_reader(dir);
    struct query_config config = {.reader = reader,
                                  .until_ns = UINT64_MAX,
                                  .limit = limit,
                                  .is_desc = is_desc,
                                  .give = give,
                                  .is_busy = is_busy};
    struct query_totals totals;
    struct query *q;

    memset(n_given, 0, sizeof n_given);
    last_ns = 0;
    ck_assert_int_eq(phf_compile(".*", NULL, &config.phf, NULL), 0);
    q = query_create(&config);
    query_run(q, NULL, NULL);
    totals = *query_totals(q);
    query_destroy(q);
    archive_reader_close(reader);
    return totals;
}

/* Two copies of a shard, each with a part that the other lacks and one history
 * of 10 twice; a shard with one copy has all of it as it is. */
static void
set_up(void)
{
    struct packet_id_config id = PACKET_ID_CONFIG_INIT;
    struct archive_writer *first, *second, *alone;

    dir = fixture_dir();
    ck_assert_int_eq(archive_meta_agree(dir, &id, NULL, FIXTURE_NOW_NS, NULL),
                     0);
    first = open_shard(3, 0);
    second = open_shard(3, 1);
    alone = open_shard(4, 1);
    for (uint64_t i = 0; i < N; i++) {
        int n = i % 10 == 7 ? 2 : 1;

        if (i % 3 == 0) {
            add(alone, i, n);
            continue;
        }
        if (i < 200) {
            add(first, i, n);
        }
        if (i >= 100) {
            add(second, i, i < 150 ? 1 : n);
        }
    }
    archive_writer_close(first);
    archive_writer_close(second);
    archive_writer_close(alone);
}

static void
tear_down(void)
{
    fixture_remove(dir);
}

START_TEST(each_is_given_as_often_as_one_copy_has_it)
{
    struct query_totals totals;

    is_desc = _i;
    totals = run(0);
    ck_assert_uint_eq(totals.n, N + N / 10);
    ck_assert_uint_eq(totals.damaged, 0);
    for (size_t i = 0; i < N; i++) {
        ck_assert_uint_eq(n_given[i], i % 10 == 7 ? 2 : 1);
    }
}
END_TEST

START_TEST(doubles_do_not_count_for_the_limit)
{
    struct query_totals totals;

    is_desc = _i;
    totals = run(N);
    ck_assert_uint_eq(totals.n, N);
    ck_assert(totals.is_truncated);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("query_copies");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, each_is_given_as_often_as_one_copy_has_it, 0, 2);
    tcase_add_loop_test(tc, doubles_do_not_count_for_the_limit, 0, 2);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
