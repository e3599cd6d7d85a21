/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_cover - whether those who answered have all that a disk has
 * which did not, by what shards' records say. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <stdlib.h>

#include "server/cluster_cover.h"
#include "server/cluster_setup.h"
#include "server/shard_commit.h"
#include "server/store_note.h"
#include "tests/lib/nats_fixture.h"

#define SHARDS 3
#define COPIES 2
#define A      1 /* Disks. */
#define B      2
#define C      3

static struct nats nats;
static struct event_base *base;
static struct bus *bus;
static bool is_done;

static void
set_up(void)
{
    nats_set_up(&nats, &base, &bus, CLUSTER_BUCKET_COMMIT_2);
}

static void
tear_down(void)
{
    nats_tear_down(&nats, base, bus);
}

static void
on_commit(void *aux, enum shard_commit_outcome outcome, uint64_t position,
          const uint8_t *note, size_t n_note, uint64_t note_epoch)
{
    ck_assert_int_ne(outcome, SHARD_COMMIT_FENCED);
    is_done = true;
}

static void
wait_done(void)
{
    is_done = false;
    nats_loop_until(base, &is_done);
}

/* Writes the record of that copy of the shard. */
static void
commit_bytes(uint32_t shard, uint32_t copy, const void *data, size_t size)
{
    struct shard_commit *record =
        shard_commit_claim(bus, CLUSTER_BUCKET_COMMIT_2, shard + copy * SHARDS,
                           1, on_commit, NULL);

    wait_done();
    ck_assert_int_eq(shard_commit_advance(record, 1, data, size), 0);
    wait_done();
    shard_commit_destroy(record);
}

static void
commit(uint32_t shard, uint32_t copy, const struct store_span *spans, size_t n)
{
    struct store_note note = {.has_copies = true};
    struct byte_buf bytes = BYTE_BUF_INIT;

    for (size_t i = 0; i < n; i++) {
        store_spans_add(&note.spans, &spans[i]);
    }
    store_note_put(&note, &bytes);
    commit_bytes(shard, copy, bytes.data, bytes.len);
    byte_buf_uninit(&bytes);
}

static void
on_cover(void *aux)
{
    is_done = true;
}

static struct cluster_cover *
read_cover(void)
{
    struct cluster_cover *cover =
        cluster_cover_create(bus, SHARDS, COPIES, on_cover, NULL);

    wait_done();
    return cover;
}

/* --- Tests. -------------------------------------------------------------- */

/* Of a shard that changed hands before anything came: A read that nothing did,
 * and has nothing to vouch with; B has all that came, and C was a copy from
 * the beginning. */
START_TEST(nobody_vouches_for_messages_that_had_nothing)
{
    static const struct store_span first[] = {
        {A, 0, 1024, UINT64_MAX, 0},
        {B, 1024, 2364, 100, 190},
    };
    static const struct store_span second[] = {
        {C, 0, 2124, 100, 170},
        {C, 2124, 2364, 180, 190},
    };
    /* Nothing came on this one either, but that is another shard. */
    static const struct store_span other[] = {{A, 0, 3000, UINT64_MAX, 0}};
    struct store_vouch vouch = {.n = 0};
    const struct store_vouch_item of_b = {1, 1024, 2364, 0};
    struct cluster_cover *cover;

    commit(1, 0, first, 2);
    commit(1, 1, second, 2);
    commit(2, 0, other, 1);
    cover = read_cover();
    ck_assert_uint_eq(cluster_cover_oldest(cover, C), 100);
    ck_assert_uint_eq(cluster_cover_oldest(cover, A), UINT64_MAX);
    /* B does not answer either. */
    ck_assert_uint_eq(cluster_cover_from(cover, &vouch, C, 10, 500), 191);
    store_vouch_add_item(&vouch, &of_b);
    ck_assert_uint_eq(cluster_cover_from(cover, &vouch, C, 10, 500), 10);
    ck_assert_uint_eq(cluster_cover_from(cover, &vouch, 0, 10, 500), 10);
    ck_assert_uint_eq(cluster_cover_from(cover, &vouch, A, 10, 500), 10);
    store_vouch_uninit(&vouch);
    cluster_cover_destroy(cover);
}
END_TEST

/* The same, but A has something, and is not there. */
START_TEST(what_came_is_vouched_for_by_who_has_it)
{
    static const struct store_span first[] = {
        {A, 0, 1024, 90, 120},
        {B, 1024, 2364, 100, 190},
    };
    static const struct store_span second[] = {
        {C, 0, 2124, 90, 170},
        {C, 2124, 2364, 180, 190},
    };
    struct store_vouch vouch = {.n = 0};
    const struct store_vouch_item of_b = {1, 1024, 2364, 0};
    struct cluster_cover *cover;

    commit(1, 0, first, 2);
    commit(1, 1, second, 2);
    cover = read_cover();
    store_vouch_add_item(&vouch, &of_b);
    ck_assert_uint_eq(cluster_cover_from(cover, &vouch, C, 10, 500), 171);
    ck_assert_uint_eq(cluster_cover_from(cover, &vouch, A, 10, 500), 121);
    ck_assert_uint_eq(cluster_cover_from(cover, &vouch, B, 10, 500), 10);
    store_vouch_uninit(&vouch);
    cluster_cover_destroy(cover);
}
END_TEST

/* A server that was started again finds what is on its disk of shards that
 * others own now. */
START_TEST(what_a_disk_has_is_vouched_for)
{
    static const struct store_span first[] = {
        {A, 0, 40, 90, 120},
        {B, 40, 70, 130, 150},
    };
    static const struct store_span second[] = {
        {C, 0, 30, 90, 110},
        {B, 30, 70, 120, 150},
    };
    struct store_vouch vouch = {.n = 0};
    struct cluster_cover *cover;

    commit(1, 0, first, 2);
    commit(1, 1, second, 2);
    commit(2, 1, first, 1);
    cover = read_cover();
    ck_assert(cluster_cover_add(cover, A, &vouch));
    ck_assert_uint_eq(vouch.n, 2);
    ck_assert_uint_eq(cluster_cover_from(cover, &vouch, A, 10, 500), 10);
    ck_assert_uint_eq(cluster_cover_from(cover, &vouch, C, 10, 500), 10);
    ck_assert_uint_eq(cluster_cover_from(cover, &vouch, B, 10, 500), 151);
    store_vouch_uninit(&vouch);
    cluster_cover_destroy(cover);
}
END_TEST

START_TEST(a_record_that_cannot_be_read_may_say_anything)
{
    struct store_vouch vouch = {.n = 0};
    struct cluster_cover *cover = read_cover(); /* Of no record. */

    ck_assert_uint_eq(cluster_cover_from(cover, &vouch, C, 10, 500), 10);
    cluster_cover_destroy(cover);
    commit_bytes(2, 1, "?", 1);
    cover = read_cover();
    ck_assert_uint_eq(cluster_cover_from(cover, &vouch, C, 10, 500), 500);
    ck_assert(!cluster_cover_add(cover, C, &vouch));
    cluster_cover_destroy(cover);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_cover");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, nobody_vouches_for_messages_that_had_nothing);
    tcase_add_test(tcase, what_came_is_vouched_for_by_who_has_it);
    tcase_add_test(tcase, what_a_disk_has_is_vouched_for);
    tcase_add_test(tcase, a_record_that_cannot_be_read_may_say_anything);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
