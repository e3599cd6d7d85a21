/* SPDX-License-Identifier: Apache-2.0 */
/* What was put under a value, or under bounds around it, is found by it. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "gen/gen_random.h"
#include "phf/key_map.h"

#define N_NUMBERS 200
#define N_COLUMNS 3

struct gathering {
    struct key_map_found found; /* First. */
    unsigned int times[N_NUMBERS];
};

static void
gather(struct key_map_found *found, uint32_t number)
{
    struct gathering *g = (struct gathering *) found;

    if (number >= N_NUMBERS) {
        ck_abort_msg("number %u was never put there", number);
    }
    g->times[number]++;
}

/* Check tells its parent of each assertion: of millions there is one for all
 * the items of a value. */
static void
check_value(const struct key_map *map, const struct key_map_item *items,
            const struct gathering *all, uint32_t column, uint64_t value)
{
    struct gathering g = {{gather}, {0}};

    key_map_find(map, column, value, &g.found);
    for (size_t i = 0; i < N_NUMBERS; i++) {
        bool is_of = items[i].column == column;
        bool is_in = is_of && value >= items[i].low && value <= items[i].high;

        if (g.times[i] != is_in || all->times[i] != is_of) {
            ck_abort_msg("item %zu, column %u, value %u: %u and %u times", i,
                         column, (unsigned int) value, g.times[i],
                         all->times[i]);
        }
    }
}

/* Random keys: points and bounds, some of which go around many others. */
static void
fill(struct key_map *map, struct key_map_item *items, struct gen_random *r)
{
    for (uint32_t i = 0; i < N_NUMBERS; i++) {
        struct key_map_item *item = &items[i];
        uint32_t span = gen_random_pick(r, 4) * gen_random_pick(r, 100);

        item->column = gen_random_pick(r, N_COLUMNS);
        item->low = gen_random_pick(r, 300);
        item->high = item->low + (gen_random_pick(r, 3) ? 0 : span);
        item->number = i;
        key_map_add(map, item->column, item->low, item->high, i);
    }
    key_map_build(map, N_COLUMNS + 1);
}

START_TEST(what_was_put_there_is_found)
{
    struct gen_random r = {(uint64_t) _i};
    struct key_map_item items[N_NUMBERS];
    struct key_map map = {.n = 0};

    fill(&map, items, &r);
    ck_assert(!key_map_has_column(&map, N_COLUMNS));
    ck_assert(!key_map_has_column(&map, N_COLUMNS + 9));
    for (uint32_t column = 0; column <= N_COLUMNS; column++) {
        struct gathering all = {{gather}, {0}};

        key_map_find_all(&map, column, &all.found);
        for (uint64_t value = 0; value < 700; value++) {
            check_value(&map, items, &all, column, value);
        }
    }
    key_map_uninit(&map);
}
END_TEST

/* Bounds within bounds: more may be found, nothing is missing, and memory
 * stays linear. */
START_TEST(nested_bounds_are_found_and_bounded)
{
    struct key_map map = {.n = 0};
    const size_t n = 4000;

    for (uint32_t i = 0; i < n; i++) {
        key_map_add(&map, 0, i, 3 * n - i, i % N_NUMBERS);
    }
    key_map_build(&map, 1);

    const struct key_map_segments *s = &map.columns[0].segments;

    ck_assert_uint_le(s->ends[s->n - 1], 64 * n);
    for (uint64_t value = 0; value < 3 * n; value += 97) {
        struct gathering g = {{gather}, {0}};
        size_t n_told = 0, n_around = 0;

        key_map_find(&map, 0, value, &g.found);
        for (uint32_t i = 0; i < n; i++) {
            n_around += value >= i && value <= 3 * n - i;
        }
        for (size_t i = 0; i < N_NUMBERS; i++) {
            n_told += g.times[i];
        }
        ck_assert_uint_ge(n_told, n_around);
    }
    key_map_uninit(&map);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("key_map");
    TCase *tcase = tcase_create("key_map");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, what_was_put_there_is_found, 1, 20);
    tcase_add_test(tcase, nested_bounds_are_found_and_bounded);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
