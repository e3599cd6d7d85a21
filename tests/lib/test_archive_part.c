/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/archive_part: an archive that several threads add to. */
#include <config.h>

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/archive_part.h"
#include "lib/history_columns.h"
#include "tests/lib/archive_fixture.h"
#include "tests/lib/random_history.h"

#define N_THREADS 4
#define N_EACH    400

/* One thread's share: histories with packet IDs from 'first_id' on. */
struct adder {
    struct archive_part *part;
    uint64_t first_id;
    atomic_bool has_ended;
};

static struct history *
make(uint64_t id)
{
    uint64_t seed = id;
    struct history *h = random_history(&seed, 4, FIXTURE_NOW_NS + id);

    h->packet_id = id;
    h->has_packet_id = true;
    return h;
}

static void
add(struct archive_part *part, uint64_t id)
{
    struct history *h = make(id);

    archive_part_add(part, h);
    history_destroy(h);
}

static void *
run(void *adder_)
{
    struct adder *adder = adder_;

    for (uint64_t i = 0; i < N_EACH; i++) {
        add(adder->part, adder->first_id + i);
        if (i % 50 == 49) {
            archive_part_seal(adder->part);
        }
    }
    atomic_store(&adder->has_ended, true);
    return NULL;
}

START_TEST(what_threads_add_is_read_once_each)
{
    char *dir = fixture_dir();
    struct archive_writer *w = fixture_writer(dir, NULL);
    struct archive_writer_counters c;
    struct archive_part_counters part;
    struct adder adders[N_THREADS];
    pthread_t threads[N_THREADS];
    uint8_t n_seen[N_THREADS * N_EACH] = {0};
    uint64_t n_in = 0, n_refused = 0;

    for (size_t i = 0; i < N_THREADS; i++) {
        adders[i].part = archive_part_create(w);
        adders[i].first_id = 1 + i * N_EACH;
        atomic_init(&adders[i].has_ended, false);
        pthread_create(&threads[i], NULL, run, &adders[i]);
    }
    /* Rounds while they add, as another thread makes them. */
    for (size_t i = 0; i < N_THREADS; i++) {
        do {
            archive_writer_round(w, FIXTURE_NOW_NS);
            archive_writer_peek(w, &c);
        } while (!atomic_load(&adders[i].has_ended));
        pthread_join(threads[i], NULL);
    }
    for (size_t i = 0; i < N_THREADS; i++) {
        archive_part_get_counters(adders[i].part, &part);
        n_in += part.in;
        n_refused += part.refused;
        archive_part_destroy(adders[i].part);
    }
    archive_writer_round(w, FIXTURE_NOW_NS);
    ck_assert(archive_writer_peek(w, &c));
    ck_assert_uint_eq(n_in, N_THREADS * N_EACH);
    ck_assert_uint_eq(n_in, c.durable + c.lost + n_refused);
    ck_assert_uint_eq(c.held, 0);
    archive_writer_close(w);

    struct archive_reader *r = fixture_reader(dir);
    size_t n;
    struct history **all = fixture_read_all(r, &n);

    ck_assert_uint_eq(archive_reader_n_damages(r), 0);
    ck_assert_uint_eq(n, N_THREADS * N_EACH);
    for (size_t i = 0; i < n; i++) {
        uint64_t id = all[i]->packet_id;
        struct history *same = make(id);

        ck_assert_uint_le(id, N_THREADS * N_EACH);
        ck_assert_uint_eq(n_seen[id - 1]++, 0);
        ck_assert(history_is_same(all[i], same));
        history_destroy(same);
    }
    fixture_free_all(all, n);
    archive_reader_close(r);
    fixture_remove(dir);
}
END_TEST

START_TEST(what_a_part_holds_is_pending_until_it_is_sealed)
{
    char *dir = fixture_dir();
    struct archive_writer *w = fixture_writer(dir, NULL);
    struct archive_part *part = archive_part_create(w);
    struct archive_pending pending;
    struct column_decoder *d;

    archive_part_pending(part, &pending);
    ck_assert_ptr_null(pending.payload);
    add(part, 1);
    add(part, 2);
    archive_part_pending(part, &pending);
    ck_assert_int_eq(column_decoder_open(pending.payload, pending.len,
                                         pending.table_len, &d, NULL),
                     0);
    column_decoder_destroy(d);
    free(pending.payload);

    struct archive_reader *r = fixture_reader(dir);

    ck_assert_uint_eq(fixture_count(r), 0);
    archive_part_seal(part);
    archive_part_pending(part, &pending);
    ck_assert_ptr_null(pending.payload);
    ck_assert_int_eq(archive_reader_refresh(r, NULL), 0);
    ck_assert_uint_eq(fixture_count(r), 2);
    archive_reader_close(r);
    archive_part_destroy(part);
    archive_writer_close(w);
    fixture_remove(dir);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("archive_part");
    TCase *tc = tcase_create("all");

    tcase_add_test(tc, what_threads_add_is_read_once_each);
    tcase_add_test(tc, what_a_part_holds_is_pending_until_it_is_sealed);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
