/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of server/store_span, and of the note that has spans, against a plain
 * table of who has what. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/store_note.h"
#include "tests/lib/random_history.h"

#define N     200 /* Numbers of messages. */
#define DISKS 4

static enum store_disk_state states[DISKS];

static enum store_disk_state
state_of(void *aux, uint64_t disk)
{
    ck_assert_uint_lt(disk, DISKS);
    return states[disk];
}

static struct store_span
span_of(uint64_t disk, uint64_t from, uint64_t to)
{
    return (struct store_span){disk, from, to, from * 10, to * 10};
}

/* What is short, and what is to be fetched from whom, is what a look at each
 * number finds; what was fetched, piece by piece, makes it whole. */
START_TEST(a_plain_table_finds_the_same)
{
    uint64_t seed = _i;
    struct store_spans lists[2] = {{.n = 0}, {.n = 0}};
    const struct store_spans *both[2] = {&lists[0], &lists[1]};
    bool has[DISKS][N] = {{false}};
    struct store_span_question q = {.lists = both,
                                    .n_lists = 2,
                                    .until = N,
                                    .own = 0,
                                    .n_copies = 2,
                                    .state = state_of};
    struct store_span_answer answer;
    int n_pieces = 0;

    states[0] = STORE_DISK_THERE;
    for (int d = 1; d < DISKS; d++) {
        states[d] = random_u32(&seed) % 3;
    }
    for (int i = 0; i < 12; i++) {
        uint64_t d = random_u32(&seed) % DISKS;
        uint64_t from = random_u32(&seed) % N;
        uint64_t to = from + 1 + random_u32(&seed) % (N - from);
        struct store_span span = span_of(d, from, to);
        struct store_spans *list = &lists[random_u32(&seed) % 2];

        if (i % 4 == 3) {
            store_spans_cut(&lists[0], d, from, to);
            store_spans_cut(&lists[1], d, from, to);
            memset(&has[d][from], 0, to - from);
        } else {
            store_spans_add(list, &span);
            memset(&has[d][from], 1, to - from);
        }
    }
    for (;;) {
        bool is_short = false;
        uint64_t first = N;

        for (uint64_t x = 0; x < N; x++) {
            uint32_t n_there = 0, n = 0, n_sources = 0;

            for (int d = 0; d < DISKS; d++) {
                n_there += has[d][x] && states[d] == STORE_DISK_THERE;
                n += has[d][x] && states[d] != STORE_DISK_GONE;
                n_sources += d && has[d][x] && states[d] == STORE_DISK_THERE;
            }
            is_short |= n_there && n_there < 2;
            if (!has[0][x] && n < 2 && n_sources && first == N) {
                first = x;
            }
        }
        store_spans_ask(&q, &answer);
        ck_assert_int_eq(answer.is_short, is_short);
        ck_assert_int_eq(answer.has_piece, first < N);
        if (!answer.has_piece) {
            break;
        }
        ck_assert_uint_eq(answer.piece.from, first);
        for (uint64_t x = first; x < answer.piece.to; x++) {
            ck_assert(has[answer.piece.disk][x] && !has[0][x]);
            has[0][x] = true;
        }
        answer.piece.disk = 0;
        store_spans_add(&lists[1], &answer.piece);
        ck_assert_int_lt(++n_pieces, N);
    }
}
END_TEST

/* However many rounds there are, they stay few, and none is forgotten while
 * there are such that are next to each other. */
START_TEST(rounds_become_few_spans)
{
    struct store_spans s = {.n = 0};
    uint64_t covered = 0;

    for (uint64_t i = 0; i < 10000; i++) {
        struct store_span span = span_of(i % 1000 ? 1 : 2, i, i + 1);

        store_spans_add(&s, &span);
        ck_assert_uint_le(s.n, STORE_SPANS);
    }
    for (size_t i = 0; i < s.n; i++) {
        covered += s.all[i].to - s.all[i].from;
        ck_assert_uint_eq(s.all[i].min_ns, s.all[i].from * 10);
        ck_assert_uint_eq(s.all[i].max_ns, s.all[i].to * 10);
    }
    ck_assert_uint_eq(covered, 10000);
    ck_assert_uint_eq(s.horizon, 0);
    for (uint64_t i = 0; i < 100; i++) {
        struct store_span span = span_of(10 + i, 10000 + i, 10001 + i);

        store_spans_add(&s, &span);
    }
    ck_assert_uint_gt(s.horizon, 0);
}
END_TEST

static bool
has_at(const struct store_spans *s, uint64_t disk, uint64_t x)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->all[i].disk == disk && x >= s->all[i].from &&
            x < s->all[i].to) {
            return true;
        }
    }
    return false;
}

/* Whether who fetches all of the disk's spans asks for these times. */
static bool
has_times(const struct store_spans *s, uint64_t disk,
          const struct store_span *times)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->all[i].disk == disk && s->all[i].min_ns <= times->min_ns &&
            s->all[i].max_ns >= times->max_ns) {
            return true;
        }
    }
    return false;
}

/* What disks had above the new end is found by its times, and nothing else is
 * said of numbers that come again, or of those below. */
START_TEST(spans_fall_with_their_stream)
{
    uint64_t seed = _i;
    uint64_t end = 1 + random_u32(&seed) % N;
    struct store_spans before = {.n = 0}, after;

    for (int i = 0; i < 12; i++) {
        uint64_t from = random_u32(&seed) % N;
        struct store_span span = span_of(random_u32(&seed) % DISKS, from,
                                         from + 1 + random_u32(&seed) % 40);

        store_spans_add(&before, &span);
    }
    before.horizon = random_u32(&seed) % N;
    after = before;
    store_spans_fall(&after, end);
    ck_assert_uint_le(after.horizon, end);
    ck_assert_uint_le(after.horizon, before.horizon);
    for (uint64_t disk = 0; disk < DISKS; disk++) {
        for (uint64_t x = 0; x + 1 < end; x++) {
            ck_assert(has_at(&after, disk, x) == has_at(&before, disk, x));
        }
        for (uint64_t x = end; x < N + 40; x++) {
            ck_assert(!has_at(&after, disk, x));
        }
    }
    for (size_t i = 0; i < before.n; i++) {
        ck_assert(has_times(&after, before.all[i].disk, &before.all[i]));
    }
}
END_TEST

/* A note is read as it was written, and none that is cut short. */
START_TEST(a_note_comes_back)
{
    struct store_note note = {.cluster = 7,
                              .round = 3,
                              .n_ends = 1,
                              .ends = {{5, 2}},
                              .has_copies = true,
                              .read = 90,
                              .forced = 40,
                              .forced_read = 50};
    struct byte_buf out = BYTE_BUF_INIT;
    struct store_span span = span_of(1, 3, 90);
    struct store_note again;
    struct lh_error error;

    store_spans_add(&note.spans, &span);
    store_note_put(&note, &out);
    ck_assert_int_eq(store_note_read(&again, out.data, out.len, &error), 0);
    ck_assert(again.has_copies);
    ck_assert_uint_eq(again.read, 90);
    ck_assert_uint_eq(again.forced, 40);
    ck_assert_uint_eq(again.forced_read, 50);
    ck_assert_uint_eq(again.spans.n, 1);
    ck_assert_mem_eq(&again.spans.all[0], &span, sizeof span);
    store_note_uninit(&again);
    for (size_t len = 0; len < out.len; len++) {
        ck_assert_int_eq(store_note_read(&again, out.data, len, &error),
                         EBADMSG);
    }
    out.data[0] = 3;
    ck_assert_int_eq(store_note_read(&again, out.data, out.len, &error),
                     EPROTONOSUPPORT);
    byte_buf_uninit(&out);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("store_span");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int n_failed;

    tcase_add_loop_test(tc, a_plain_table_finds_the_same, 1, 60);
    tcase_add_test(tc, rounds_become_few_spans);
    tcase_add_loop_test(tc, spans_fall_with_their_stream, 1, 60);
    tcase_add_test(tc, a_note_comes_back);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
