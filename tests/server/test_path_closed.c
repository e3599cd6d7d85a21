/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of server/path_closed. */
#include <config.h>

#include "server/path_closed.h"

#include <check.h>
#include <stdlib.h>

/* Remembers a group of 'n' postcards without headers until 'forget_ns'. */
static void
add(struct path_closed *closed, uint64_t id, uint32_t n, uint64_t forget_ns)
{
    static struct postcard_entry cards[32];
    struct path_group g = {.id = id, .n_cards = n};

    ck_assert_uint_le(n, 32);
    for (uint32_t i = 0; i < n; i++) {
        cards[i].next = i + 1 < n ? &cards[i + 1] : NULL;
        cards[i].key = id + i;
        cards[i].p.header = cards[i].header;
    }
    g.first = n ? &cards[0] : NULL;
    path_closed_add(closed, &g, forget_ns);
}

static bool
take(struct path_closed *closed, uint64_t id, uint32_t *n, uint64_t *forget_ns)
{
    struct path_seen seen;

    if (!path_closed_take(closed, id, &seen, forget_ns)) {
        return false;
    }
    *n = seen.n;
    path_seen_uninit(&seen);
    return true;
}

START_TEST(what_was_added_is_taken_once)
{
    struct path_closed *closed = path_closed_create();
    uint64_t forget_ns;
    uint32_t n;

    add(closed, 7, 5, 100);
    add(closed, 8, 20, 101);
    ck_assert_uint_eq(path_closed_count(closed), 2);
    ck_assert(!take(closed, 9, &n, &forget_ns));
    ck_assert(take(closed, 8, &n, &forget_ns));
    ck_assert_uint_eq(n, 20);
    ck_assert_uint_eq(forget_ns, 101);
    ck_assert(!take(closed, 8, &n, &forget_ns));
    ck_assert(take(closed, 7, &n, &forget_ns));
    ck_assert_uint_eq(n, 5);
    ck_assert_uint_eq(path_closed_count(closed), 0);
    path_closed_destroy(closed);
}
END_TEST

START_TEST(each_is_forgotten_at_its_time)
{
    struct path_closed *closed = path_closed_create();
    uint64_t forget_ns;
    uint32_t n;

    for (uint64_t i = 0; i < 10; i++) {
        add(closed, i, 1, 100 + i);
    }
    ck_assert(take(closed, 2, &n, &forget_ns));
    path_closed_expire(closed, 104);
    ck_assert_uint_eq(path_closed_count(closed), 5);
    ck_assert(!take(closed, 4, &n, &forget_ns));
    path_closed_limit(closed, 2);
    ck_assert(!take(closed, 7, &n, &forget_ns));
    ck_assert(take(closed, 8, &n, &forget_ns));
    path_closed_restart(closed, 50);
    path_closed_expire(closed, 49);
    ck_assert_uint_eq(path_closed_count(closed), 1);
    path_closed_expire(closed, 50);
    ck_assert_uint_eq(path_closed_count(closed), 0);
    path_closed_destroy(closed);
}
END_TEST

/* Against a table of all IDs there can be, over many turns of the ring. */
START_TEST(it_is_what_a_plain_table_is)
{
    enum { N_IDS = 5000, N_STEPS = 60000 };
    static uint64_t until[N_IDS]; /* 0: not remembered. */
    struct path_closed *closed = path_closed_create();
    uint64_t now = 1, random = 88172645463325252ULL;
    size_t n_left = 0;

    for (size_t i = 0; i < N_STEPS; i++) {
        uint64_t forget_ns, id;
        uint32_t n;

        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        id = random % N_IDS;
        now += random >> 32 & 1;
        if (until[id] && until[id] <= now) {
            until[id] = 0;
        }
        path_closed_expire(closed, now);
        if (take(closed, id, &n, &forget_ns) != (until[id] != 0) ||
            (until[id] && forget_ns != until[id])) {
            ck_abort_msg("step %zu: ID %llu", i, (unsigned long long) id);
        }
        until[id] = 0;
        if (random >> 40 & 3) {
            until[id] = now + 2000;
            add(closed, id, (uint32_t) (random >> 44 & 15), until[id]);
        }
    }
    for (size_t id = 0; id < N_IDS; id++) {
        n_left += until[id] > now;
    }
    ck_assert_uint_eq(path_closed_count(closed), n_left);
    path_closed_destroy(closed);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("path_closed");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(tcase, what_was_added_is_taken_once);
    tcase_add_test(tcase, each_is_forgotten_at_its_time);
    tcase_add_test(tcase, it_is_what_a_plain_table_is);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
