/* SPDX-License-Identifier: Apache-2.0 */
/* test_xid_map - whose answer is this? */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"
#include "recorder/xid_map.h"

START_TEST(entry_comes_back_with_what_it_was_given)
{
    struct xid_map *map = xid_map_create();
    uint32_t own = xid_map_add(map, true, 7, 0, NULL, 0);
    uint32_t theirs =
        xid_map_add(map, false, 8, 0xdeadbeef, lh_memdup("quote", 5), 5);
    const struct xid_entry *e = xid_map_find(map, theirs);

    ck_assert_uint_ne(own, theirs);
    ck_assert_uint_eq(e->xid, 0xdeadbeef);
    ck_assert_uint_eq(e->tag, 8);
    ck_assert(!e->is_own);
    ck_assert_uint_eq(e->quote_len, 5);
    ck_assert_mem_eq(e->quote, "quote", 5);
    e = xid_map_find(map, own);
    ck_assert(e->is_own);
    ck_assert_uint_eq(e->tag, 7);
    ck_assert_ptr_null(xid_map_find(map, theirs + 1));
    ck_assert_ptr_null(xid_map_find(map, 0));
    xid_map_destroy(map);
}
END_TEST

START_TEST(an_answer_settles_all_before_it)
{
    struct xid_map *map = xid_map_create();
    uint32_t fresh[4];

    for (uint64_t i = 0; i < 4; i++) {
        fresh[i] = xid_map_add(map, false, i, (uint32_t) i, NULL, 0);
    }
    ck_assert_uint_eq(xid_map_n_open(map), 4);
    xid_map_settle(map, fresh[2]);
    ck_assert_uint_eq(xid_map_n_open(map), 1);
    /* Settled ones are still known: a bundle's errors come late. */
    ck_assert_uint_eq(xid_map_find(map, fresh[0])->tag, 0);
    xid_map_settle(map, fresh[0]);
    xid_map_settle(map, 12345);
    ck_assert_uint_eq(xid_map_n_open(map), 1);
    xid_map_settle(map, fresh[3]);
    ck_assert_uint_eq(xid_map_n_open(map), 0);
    xid_map_destroy(map);
}
END_TEST

START_TEST(open_messages_are_never_forgotten_up_to_the_bound)
{
    struct xid_map *map = xid_map_create();
    uint32_t n = 0;

    while (!xid_map_is_full(map)) {
        n++;
        ck_assert_uint_le(n, XID_MAP_MAX);
        ck_assert_uint_eq(xid_map_add(map, false, n, ~n, NULL, 0), n);
    }
    ck_assert_uint_eq(n, XID_MAP_MAX - 1);
    for (uint32_t i = 1; i <= n; i++) {
        ck_assert_uint_eq(xid_map_find(map, i)->xid, ~i);
    }
    ck_assert_uint_eq(xid_map_n_lost(map), 0);

    /* Over the bound the oldest go, and are counted. */
    for (int i = 0; i < 10; i++) {
        xid_map_add(map, true, 1, 0, NULL, 0);
    }
    ck_assert_uint_eq(xid_map_n_lost(map), 9);
    ck_assert_uint_eq(xid_map_n_open(map), XID_MAP_MAX);
    ck_assert_ptr_null(xid_map_find(map, 9));
    ck_assert_ptr_nonnull(xid_map_find(map, 10));
    xid_map_settle(map, n + 10);
    ck_assert_uint_eq(xid_map_n_open(map), 0);
    ck_assert(!xid_map_is_full(map));
    xid_map_destroy(map);
}
END_TEST

START_TEST(ids_go_round_for_ever_in_bounded_memory)
{
    struct xid_map *map = xid_map_create();

    for (uint32_t i = 1; i < 200000; i++) {
        uint32_t fresh = xid_map_add(map, false, i, i, NULL, 0);

        ck_assert_uint_eq(xid_map_find(map, fresh)->xid, i);
        if (i % 50 == 0) {
            xid_map_settle(map, fresh);
            ck_assert_uint_eq(xid_map_n_open(map), 0);
        }
    }
    ck_assert_uint_eq(xid_map_n_lost(map), 0);
    xid_map_destroy(map);
}
END_TEST

START_TEST(bytes_of_open_messages_are_bounded)
{
    struct xid_map *map = xid_map_create();
    uint32_t fresh = 0;
    size_t n = 0;

    while (!xid_map_is_full(map)) {
        fresh = xid_map_add(map, false, 1, 1, lh_alloc_zero(65535), 65535);
        n++;
    }
    ck_assert_uint_eq(n, XID_MAP_MAX_BYTES / 65535 + 1);
    ck_assert_uint_eq(xid_map_find(map, fresh)->quote_len, 65535);
    xid_map_settle(map, fresh - 1);
    ck_assert(!xid_map_is_full(map));
    ck_assert_uint_eq(xid_map_find(map, fresh)->quote_len, 65535);
    ck_assert_uint_eq(xid_map_find(map, fresh - 1)->quote_len, XID_MAP_QUOTE);
    xid_map_destroy(map);
}
END_TEST

static void
check_error(uint16_t type, const uint8_t *body, size_t body_len)
{
    static const uint8_t quote[] = {4, 14, 0, 96, 0, 0, 0, 99, 1, 2, 3};
    struct xid_map *map = xid_map_create();
    uint32_t fresh = xid_map_add(map, false, 1, 99,
                                 lh_memdup(quote, sizeof quote), sizeof quote);
    uint8_t msg[128], quoted[64];
    size_t len, n;
    uint8_t *out;

    /* What the switch quotes is what it was sent. */
    memset(quoted, 0xee, sizeof quoted);
    memcpy(quoted, body, body_len);
    len = of_wire_put_error(msg, 4, fresh, type, 5, quoted, sizeof quoted);
    n = xid_map_restore_error(xid_map_find(map, fresh), msg, len, &out);
    ck_assert_uint_eq(n, 12 + body_len + sizeof quote);
    ck_assert_uint_eq(of_wire_get16(out + 2), n);
    ck_assert_uint_eq(of_wire_xid(out), 99);
    ck_assert_uint_eq(of_wire_get16(out + 8), type);
    ck_assert_uint_eq(of_wire_get16(out + 10), 5);
    ck_assert_mem_eq(out + 12, body, body_len);
    ck_assert_mem_eq(out + 12 + body_len, quote, sizeof quote);
    free(out);
    xid_map_destroy(map);
}

START_TEST(error_quotes_the_controllers_own_bytes)
{
    check_error(3, (const uint8_t *) "", 0);
    check_error(0xffff, (const uint8_t *) "\0\0\x23\x20", 4);
    check_error(0xb0c2, (const uint8_t *) "\0\0\x23\x20\0\1\2\3", 8);
}
END_TEST

START_TEST(what_is_no_error_is_not_restored)
{
    struct xid_map *map = xid_map_create();
    uint32_t fresh = xid_map_add(map, false, 1, 99, NULL, 0);
    uint8_t *out;

    ck_assert_uint_eq(xid_map_restore_error(xid_map_find(map, fresh),
                                            (const uint8_t *) "\4\1\0\10abcd",
                                            8, &out),
                      0);
    ck_assert_ptr_null(out);
    xid_map_destroy(map);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("xid_map");
    TCase *tc = tcase_create("xid_map");

    tcase_add_test(tc, entry_comes_back_with_what_it_was_given);
    tcase_add_test(tc, an_answer_settles_all_before_it);
    tcase_add_test(tc, open_messages_are_never_forgotten_up_to_the_bound);
    tcase_add_test(tc, ids_go_round_for_ever_in_bounded_memory);
    tcase_add_test(tc, bytes_of_open_messages_are_bounded);
    tcase_add_test(tc, error_quotes_the_controllers_own_bytes);
    tcase_add_test(tc, what_is_no_error_is_not_restored);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? 1 : 0;
}
