/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/shape_memo. */
#include <config.h>

#include <check.h>
#include <stdlib.h>

#include "lib/shape_memo.h"

#define N 3000

/* Puts the key of that number: some are the beginnings of others. */
static void
put_key(struct shape_memo *m, uint32_t number)
{
    struct byte_buf *key = shape_memo_key(m);

    byte_buf_put_u32(key, number / 3);
    for (uint32_t i = 0; i < number % 3; i++) {
        byte_buf_put_u8(key, 0);
    }
}

/* All that the memo tells of a shape follows from its number. */
static struct shape_memo_entry
entry_of(uint32_t number, uint8_t *bases)
{
    struct shape_memo_entry entry = {
        .n_hops = number % 7,
        .kind = (enum header_kind)(number % N_HEADER_KINDS),
        .l3_ofs = (uint16_t) (14 + number % 50),
        .bases = bases,
    };

    for (uint32_t i = 0; i < entry.n_hops; i++) {
        bases[i] = (uint8_t) (number + i);
    }
    return entry;
}

static void
add(struct shape_memo *m, uint32_t number)
{
    uint8_t bases[8];
    struct shape_memo_entry entry = entry_of(number, bases), none;

    put_key(m, number);
    ck_assert(!shape_memo_find(m, &none));
    shape_memo_add(m, &entry);
    ck_assert_uint_eq(entry.number, shape_memo_n(m) - 1);
}

START_TEST(what_was_added_is_found_and_nothing_else)
{
    struct shape_memo *m = shape_memo_create();

    for (uint32_t i = 0; i < N; i++) {
        add(m, i);
    }
    ck_assert_uint_eq(shape_memo_n(m), N);
    for (uint32_t i = 0; i < 2 * N; i++) {
        uint8_t bases[8];
        struct shape_memo_entry expected = entry_of(i, bases), entry;

        put_key(m, i);
        ck_assert(shape_memo_find(m, &entry) == (i < N));
        if (i < N) {
            ck_assert_uint_eq(entry.number, i);
            ck_assert_uint_eq(entry.n_hops, expected.n_hops);
            ck_assert_uint_eq(entry.kind, expected.kind);
            ck_assert_uint_eq(entry.l3_ofs, expected.l3_ofs);
            if (entry.n_hops) {
                ck_assert_mem_eq(entry.bases, bases, entry.n_hops);
            }
        }
    }
    shape_memo_destroy(m);
}
END_TEST

START_TEST(what_is_forgotten_is_numbered_anew)
{
    struct shape_memo *m = shape_memo_create();
    size_t size = shape_memo_size(m);

    for (uint32_t i = 0; i < N; i++) {
        add(m, i);
    }
    ck_assert_uint_gt(shape_memo_size(m), N * 8);
    shape_memo_forget(m);
    ck_assert_uint_eq(shape_memo_n(m), 0);
    ck_assert_uint_eq(shape_memo_size(m), size);
    for (uint32_t i = N; i-- > 0;) {
        add(m, i);
    }
    ck_assert_uint_eq(shape_memo_n(m), N);
    shape_memo_destroy(m);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("shape_memo");
    TCase *tc = tcase_create("all");

    tcase_add_test(tc, what_was_added_is_found_and_nothing_else);
    tcase_add_test(tc, what_is_forgotten_is_numbered_anew);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
