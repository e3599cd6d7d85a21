/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/trajectory_path_brief: it says what the path says. */
#include <config.h>

#include <check.h>
#include <stdlib.h>

#include "lib/hdr.h"
#include "lib/history.h"
#include "lib/rule.h"
#include "lib/trajectory_path_brief.h"
#include "tests/lib/frame.h"
#include "tests/lib/random_history.h"
#include "tests/lib/way.h"

static const struct way_shape shapes[] = {
    {false, HDR_IP_TCP, false, WAY_PLAIN},
    {false, HDR_IP_UDP, false, WAY_PLAIN},
    {false, HDR_IP_ICMP, false, WAY_PLAIN},
    {false, 50, false, WAY_PLAIN},
    {true, HDR_IP_TCP, false, WAY_PLAIN},
    {true, HDR_IP_ICMP6, false, WAY_PLAIN},
};
#define N_SHAPES ((int) (sizeof shapes / sizeof shapes[0]))

/* A path that holds for all flows of the shape. */
static struct trajectory_path *
make_path(const struct way_shape *shape, size_t snap, uint64_t *seed)
{
    struct frame f = way_frame(shape, seed);
    struct history *model = way_history(shape, &f, snap, seed);
    struct trajectory_path *path = trajectory_path_create(model);
    const struct rule *rules[WAY_HOPS];

    for (size_t i = 0; i < WAY_HOPS; i++) {
        rules[i] = way_rule(shape, i);
    }
    ck_assert(trajectory_path_widen(path, rules));
    for (size_t i = 0; i < WAY_HOPS; i++) {
        rule_unref((struct rule *) rules[i]);
    }
    history_destroy(model);
    return path;
}

/* Changes a byte of one header, now and then. */
static void
disturb(struct history *h, uint64_t *seed)
{
    struct history_hop *hop = &h->hops[random_u32(seed) % WAY_HOPS];

    if (random_u32(seed) % 4 == 0) {
        hop->header[random_u32(seed) % hop->caplen] ^=
            (uint8_t) (1u << random_u32(seed) % 8);
    }
}

START_TEST(it_says_what_the_path_says)
{
    const struct way_shape *shape = &shapes[_i % N_SHAPES];
    size_t snap = _i < N_SHAPES ? 64 : 1500, n_foreseen = 0, n_other = 0;
    uint64_t seed = (uint64_t) _i + 1;
    struct trajectory_path *path = make_path(shape, snap, &seed);
    uint16_t minus[TRAJECTORY_MAX_HOPS];
    struct trajectory_path_brief brief;

    ck_assert(trajectory_path_brief_get(&brief, path, minus));
    for (int n = 0; n < 5000; n++) {
        struct frame f = way_frame(shape, &seed);
        struct history *h;

        way_change_flow(&f, shape, &seed);
        h = way_history(shape, &f, snap, &seed);
        if (!h) {
            continue;
        }
        disturb(h, &seed);

        const struct history_hop *ref =
            &h->hops[trajectory_path_reference(path)];
        bool takes = trajectory_path_takes(path, ref->header, ref->caplen);

        ck_assert_int_eq(
            trajectory_path_brief_takes(&brief, ref->header, ref->caplen),
            takes);
        for (size_t i = 0; takes && i < WAY_HOPS; i++) {
            const struct history_hop *hop = &h->hops[i];
            bool foresees = trajectory_path_predicts(
                path, i, ref->header, ref->caplen, hop->header, hop->caplen);

            ck_assert_int_eq(trajectory_path_brief_predicts(
                                 &brief, minus[i], ref->header, ref->caplen,
                                 hop->header, hop->caplen),
                             foresees);
            n_foreseen += foresees;
            n_other += !foresees;
        }
        n_other += !takes;
        history_destroy(h);
    }
    ck_assert_uint_gt(n_foreseen, 1000);
    ck_assert_uint_gt(n_other, 100);
    trajectory_path_unref(path);
}
END_TEST

START_TEST(what_changes_more_has_none)
{
    const struct way_shape *shape = &way_shapes[_i];
    uint64_t seed = (uint64_t) _i + 1;
    struct trajectory_path *path = make_path(shape, 96, &seed);
    uint16_t minus[TRAJECTORY_MAX_HOPS];
    struct trajectory_path_brief brief;

    ck_assert(!trajectory_path_brief_get(&brief, path, minus));
    trajectory_path_unref(path);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("trajectory_path_brief");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    tcase_add_loop_test(tcase, it_says_what_the_path_says, 0, 2 * N_SHAPES);
    tcase_add_loop_test(tcase, what_changes_more_has_none, 0, WAY_N_SHAPES);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
