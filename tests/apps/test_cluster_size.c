/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_size - what is calculated of a network adds up. */
#include <config.h>

#include <check.h>
#include <stdlib.h>

#include "apps/cluster_size.h"

static const struct cluster_size_input hundred = {.gbit = 100,
                                                  .packet_bytes = 625,
                                                  .hops = 5,
                                                  .snap = 64,
                                                  .days = 2,
                                                  .cores = 16,
                                                  .load = 0.5,
                                                  .copies = 1,
                                                  .replicas = 3,
                                                  .backlog_s = 10};

START_TEST(traffic_becomes_postcards)
{
    struct cluster_size s;

    cluster_size_calculate(&hundred, &s);
    ck_assert_double_eq_tol(s.packets_per_s, 20e6, 1);
    ck_assert_double_eq_tol(s.postcards_per_s, 100e6, 1);
    ck_assert_double_eq_tol(s.in_bytes_per_s, 100e6 * (64 + 78), 1);
    ck_assert_double_eq_tol(s.archive_bytes, 2 * s.archive_bytes_per_day, 1);
    ck_assert_double_eq_tol(s.bus_disk_bytes_per_s, 3 * s.bus_bytes_per_s, 1);
    ck_assert_double_eq_tol(s.bus_backlog_bytes, 30 * s.bus_bytes_per_s, 1);
}
END_TEST

/* Small packets are not filled up to the snap length. */
START_TEST(packets_may_be_smaller_than_the_snap)
{
    struct cluster_size_input in = hundred;
    struct cluster_size s;

    in.packet_bytes = 60;
    cluster_size_calculate(&in, &s);
    ck_assert_double_eq_tol(s.in_bytes_per_s / s.postcards_per_s, 138, 0.01);
}
END_TEST

START_TEST(cores_are_divided_among_servers)
{
    struct cluster_size_input in = hundred;
    struct cluster_size s, t;

    cluster_size_calculate(&in, &s);
    ck_assert_double_le(s.udp_cores + s.cluster_cores, s.servers_udp * 8);
    ck_assert_double_gt(s.udp_cores + s.cluster_cores,
                        (s.servers_udp - 1) * 7);
    ck_assert_double_lt(s.servers_ring, s.servers_udp);
    in.load = 1;
    cluster_size_calculate(&in, &t);
    ck_assert_double_le(t.servers_udp, s.servers_udp / 2 + 1);
    /* A longer snap is more work and more bytes. */
    in.snap = 96;
    cluster_size_calculate(&in, &s);
    ck_assert_double_gt(s.cluster_cores, t.cluster_cores);
    ck_assert_double_gt(s.bus_bytes_per_s, t.bus_bytes_per_s);
    ck_assert_double_gt(s.archive_bytes_per_day, t.archive_bytes_per_day);
}
END_TEST

/* One stream has one leader: more servers of NATS do not help. */
START_TEST(one_stream_is_not_enough_for_all)
{
    struct cluster_size_input in = hundred;
    struct cluster_size s;

    cluster_size_calculate(&in, &s);
    ck_assert_double_gt(s.clusters, 1);
    ck_assert_double_le(s.stream_bytes_per_s, s.clusters * 300e6);
    ck_assert_double_gt(s.stream_bytes_per_s, (s.clusters - 1) * 300e6);
    ck_assert_double_ge(s.nats_servers, 3 * s.clusters);
    ck_assert_double_ge(s.stream_backlog_gib * (1 << 30) * s.clusters,
                        s.stream_bytes_per_s * 10);
    in.gbit = 1;
    cluster_size_calculate(&in, &s);
    ck_assert_double_eq(s.clusters, 1);
    ck_assert_double_eq(s.stream_backlog_gib, 1);
}
END_TEST

START_TEST(never_less_than_one)
{
    struct cluster_size_input in = hundred;
    struct cluster_size s;

    in.gbit = 1e-3;
    cluster_size_calculate(&in, &s);
    ck_assert_double_eq(s.servers_udp, 1);
    ck_assert_double_eq(s.servers_ring, 1);
    ck_assert_double_eq(s.nats_servers, 3);
    ck_assert(s.is_one_enough_udp);
    ck_assert(s.is_one_enough_ring);
    cluster_size_calculate(&hundred, &s);
    ck_assert(!s.is_one_enough_ring);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_size");
    TCase *tcase = tcase_create("all");

    tcase_add_test(tcase, traffic_becomes_postcards);
    tcase_add_test(tcase, packets_may_be_smaller_than_the_snap);
    tcase_add_test(tcase, cores_are_divided_among_servers);
    tcase_add_test(tcase, one_stream_is_not_enough_for_all);
    tcase_add_test(tcase, never_less_than_one);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
