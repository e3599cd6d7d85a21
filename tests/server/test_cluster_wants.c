/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_wants - the smallest threshold that agents anywhere want is
 * that of all, as long as somebody says so. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "server/cluster_wants.h"

#define S UINT64_C(1000000000)

static struct cluster_wants *a, *b;
static struct byte_buf out = BYTE_BUF_INIT;
static uint32_t told; /* To b's agents. */
static size_t n_told;

static void
on_change(void *aux, uint32_t others)
{
    if (aux) {
        told = others;
        n_told++;
    }
}

static void
set_up(void)
{
    a = cluster_wants_create(NULL, on_change, NULL);
    b = cluster_wants_create(NULL, on_change, &told);
    told = UINT32_MAX;
    n_told = 0;
}

static void
tear_down(void)
{
    cluster_wants_destroy(a);
    cluster_wants_destroy(b);
    byte_buf_uninit(&out);
}

/* What 'from' has to say is heard by both. */
static bool
tell(struct cluster_wants *from, uint32_t want, uint64_t now_ns)
{
    struct lh_error error;

    byte_buf_clear(&out);
    cluster_wants_put(from, want, now_ns, &out);
    if (out.len) {
        ck_assert_int_eq(
            cluster_wants_take(a, out.data, out.len, now_ns, &error), 0);
        ck_assert_int_eq(
            cluster_wants_take(b, out.data, out.len, now_ns, &error), 0);
    }
    return out.len;
}

START_TEST(the_smallest_counts_while_it_is_told)
{
    struct cluster_wants *c = cluster_wants_create(NULL, on_change, NULL);

    ck_assert(!tell(a, UINT32_MAX, S)); /* Nothing to say. */
    ck_assert(tell(a, 1000, S));
    ck_assert_uint_eq(told, 1000);
    ck_assert(!tell(a, 1000, S + S / 2));
    ck_assert(tell(c, 500, S));
    ck_assert_uint_eq(told, 500);
    ck_assert(tell(b, 100, S)); /* Its own, which it knows. */
    ck_assert_uint_eq(cluster_wants_others(b), 500);
    ck_assert_uint_eq(cluster_wants_others(a), 100);

    /* One changes its mind, is told again, and dies. */
    ck_assert(tell(c, 2000, 2 * S));
    ck_assert_uint_eq(told, 1000);
    ck_assert(tell(a, UINT32_MAX, 2 * S));
    ck_assert_uint_eq(told, 2000);
    ck_assert(tell(c, 2000, 3 * S));
    cluster_wants_run(b, 100, 3 * S + CLUSTER_WANTS_SILENT_NS);
    ck_assert_uint_eq(told, 2000);
    cluster_wants_run(b, 100, 3 * S + CLUSTER_WANTS_SILENT_NS + 1);
    ck_assert_uint_eq(told, UINT32_MAX);
    ck_assert_uint_eq(n_told, 5);
    cluster_wants_destroy(c);
}
END_TEST

START_TEST(what_is_old_or_malformed_is_not_taken)
{
    struct byte_buf first = BYTE_BUF_INIT;
    struct lh_error error;

    cluster_wants_put(a, 1000, S, &first);
    ck_assert(tell(a, 3000, S));
    ck_assert_uint_eq(told, 3000);
    ck_assert_int_eq(cluster_wants_take(b, first.data, first.len, S, &error),
                     0);
    ck_assert_uint_eq(told, 3000);
    ck_assert_int_eq(cluster_wants_take(b, out.data, out.len - 1, S, &error),
                     EBADMSG);
    out.data[0] = 2;
    ck_assert_int_eq(cluster_wants_take(b, out.data, out.len, S, &error),
                     ENOTSUP);
    ck_assert_uint_eq(n_told, 1);
    byte_buf_uninit(&first);
}
END_TEST

START_TEST(more_servers_than_there_may_be_are_not_heard)
{
    struct lh_error error;
    uint8_t message[21] = {1};

    for (uint32_t i = 0; i < CLUSTER_WANTS_MAX + 10; i++) {
        bytes_put_be64(message + 1, i + 1);
        bytes_put_be64(message + 9, 1);
        bytes_put_be32(message + 17, 100000 - i);
        ck_assert_int_eq(
            cluster_wants_take(b, message, sizeof message, S, &error), 0);
    }
    ck_assert_uint_eq(told, 100000 - CLUSTER_WANTS_MAX + 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_wants");
    TCase *tcase = tcase_create("cluster_wants");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, the_smallest_counts_while_it_is_told);
    tcase_add_test(tcase, what_is_old_or_malformed_is_not_taken);
    tcase_add_test(tcase, more_servers_than_there_may_be_are_not_heard);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
