/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/header_split and lib/trajectory. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/hdr.h"
#include "lib/header_split.h"
#include "lib/history.h"
#include "lib/rule.h"
#include "lib/trajectory.h"
#include "tests/lib/frame.h"
#include "tests/lib/random_history.h"
#include "tests/lib/way.h"

START_TEST(a_packet_comes_back_from_one_header)
{
    const struct way_shape *shape = &way_shapes[(size_t) _i % WAY_N_SHAPES];
    size_t snap = (size_t) _i < WAY_N_SHAPES ? 96 : 1500;
    uint64_t seed = (uint64_t) _i + 1, times_ns[WAY_HOPS];
    struct frame f = way_frame(shape, &seed);
    struct history *model = way_history(shape, &f, snap, &seed);
    struct trajectory *t = trajectory_create(model);
    struct trajectory *borrowed = trajectory_borrow(model);
    struct history *again = NULL;
    size_t n_predicted = 0;

    ck_assert_ptr_nonnull(t);
    ck_assert_ptr_nonnull(borrowed);
    ck_assert_ptr_eq(trajectory_model(borrowed), model);
    ck_assert_ptr_ne(trajectory_model(t), model);
    for (int n = 0; n < 2000; n++) {
        f = way_frame(shape, &seed);

        struct history *h = way_history(shape, &f, snap, &seed);

        ck_assert(way_is_predicted(t, h) == way_is_predicted(borrowed, h));
        if (way_is_predicted(t, h)) {
            struct trajectory_packet packet = way_packet(t, h, times_ns);
            struct history *back =
                trajectory_history(n % 2 ? t : borrowed, &packet);

            ck_assert(history_is_same(back, h));
            history_destroy(back);
            if (!again) {
                again = trajectory_history(t, &packet);
            }
            trajectory_refill(t, &packet, again);
            ck_assert(history_is_same(again, h));
            n_predicted++;
        }
        history_destroy(h);
    }
    /* What the model's length does not decide is predicted, but for sums of
     * zero. */
    ck_assert_uint_gt(n_predicted, 100);
    trajectory_unref(borrowed);
    history_destroy(again);
    history_destroy(model);
    trajectory_unref(t);
}
END_TEST

START_TEST(a_wide_path_holds_for_every_flow)
{
    const struct way_shape *shape = &way_shapes[(size_t) _i % WAY_N_SHAPES];
    size_t snap = (size_t) _i < WAY_N_SHAPES ? 96 : 1500;
    uint64_t seed = (uint64_t) _i + 1, times_ns[WAY_HOPS];
    struct frame f = way_frame(shape, &seed);
    struct history *model = way_history(shape, &f, snap, &seed);
    struct trajectory_path *path = trajectory_path_create(model);
    const struct rule *rules[WAY_HOPS];
    size_t n_taken = 0, n_refused = 0;

    for (size_t i = 0; i < WAY_HOPS; i++) {
        rules[i] = way_rule(shape, i);
    }
    ck_assert_ptr_nonnull(path);
    ck_assert(trajectory_path_widen(path, rules));
    for (int n = 0; n < 3000; n++) {
        f = way_frame(shape, &seed);
        way_change_flow(&f, shape, &seed);

        struct history *h = way_history(shape, &f, snap, &seed);
        const struct history_hop *ref = h ? &h->hops[0] : NULL;

        if (!h) {
            ck_assert(!trajectory_path_takes(path, f.data,
                                             f.len < snap ? f.len : snap));
            n_refused++;
            continue;
        }
        if (trajectory_path_takes(path, ref->header, ref->caplen)) {
            struct trajectory *t =
                trajectory_of_path(path, ref->header, ref->caplen);
            struct trajectory_packet packet = way_packet(t, h, times_ns);

            if (way_is_predicted(t, h)) {
                struct history *back = trajectory_history(t, &packet);

                ck_assert(history_is_same(back, h));
                history_destroy(back);
                n_taken++;
            }
            trajectory_unref(t);
        }
        history_destroy(h);
    }
    ck_assert_uint_gt(n_taken, 100);
    ck_assert_uint_gt(n_refused, 0);
    for (size_t i = 0; i < WAY_HOPS; i++) {
        rule_unref((struct rule *) rules[i]);
    }
    trajectory_path_unref(path);
    history_destroy(model);
}
END_TEST

START_TEST(a_path_that_rules_do_not_explain_stays_narrow)
{
    const struct way_shape *shape = &way_shapes[0];
    uint64_t seed = 1;
    struct frame f = way_frame(shape, &seed);
    struct history *h = way_history(shape, &f, 96, &seed);
    struct trajectory_path *path = trajectory_path_create(h);
    const struct rule *rules[WAY_HOPS];

    for (size_t i = 0; i < WAY_HOPS; i++) {
        rules[i] = way_rule(shape, i);
    }

    const struct rule *right = rules[2];

    rules[2] = NULL;
    ck_assert(!trajectory_path_widen(path, rules));
    rules[2] = rules[3];
    ck_assert(!trajectory_path_widen(path, rules));
    rules[2] = right;
    ck_assert(
        trajectory_path_takes(path, h->hops[0].header, h->hops[0].caplen));
    ck_assert(trajectory_path_predicts(path, 3, h->hops[0].header,
                                       h->hops[0].caplen, h->hops[3].header,
                                       h->hops[3].caplen));
    ck_assert(trajectory_path_widen(path, rules));
    for (size_t i = 0; i < WAY_HOPS; i++) {
        rule_unref((struct rule *) rules[i]);
    }
    trajectory_path_unref(path);
    history_destroy(h);
}
END_TEST

START_TEST(any_other_byte_is_noticed)
{
    const struct way_shape *shape = &way_shapes[(size_t) _i % WAY_N_SHAPES];
    uint64_t seed = (uint64_t) _i + 1;
    struct frame f = way_frame(shape, &seed);
    struct history *h = way_history(shape, &f, 1500, &seed);
    struct trajectory *t = trajectory_create(h);

    ck_assert_ptr_nonnull(t);
    ck_assert(way_is_predicted(t, h));
    for (size_t i = 0; i < h->n_hops; i++) {
        struct history_hop *hop = &h->hops[i];

        if (i == trajectory_reference(t)) {
            continue;
        }
        for (size_t k = 0; k < hop->caplen; k++) {
            hop->header[k] ^= 0x10;
            ck_assert(!way_is_predicted(t, h));
            hop->header[k] ^= 0x10;
        }
        hop->caplen--;
        ck_assert(!way_is_predicted(t, h));
        hop->caplen++;
    }
    history_destroy(h);
    trajectory_unref(t);
}
END_TEST

START_TEST(what_is_not_regular_is_no_model)
{
    uint64_t seed = 1;
    struct frame f = way_frame(&way_shapes[0], &seed);
    struct history *h = way_history(&way_shapes[0], &f, 96, &seed);
    struct trajectory *t;

    h->hops[2].header[60] ^= 1; /* Payload is changed on the way. */
    ck_assert_ptr_null(trajectory_create(h));
    h->hops[2].header[60] ^= 1;
    h->hops[1].is_deduced = true;
    ck_assert_ptr_null(trajectory_create(h));
    h->hops[1].is_deduced = false;
    h->carries = 5;
    ck_assert_ptr_null(trajectory_create(h));
    h->carries = 0;
    h->hops[0].header[14] = 0x46; /* IP options. */
    ck_assert_ptr_null(trajectory_create(h));
    h->hops[0].header[14] = 0x45;
    t = trajectory_create(h);
    ck_assert_ptr_nonnull(t);
    trajectory_unref(t);
    history_destroy(h);
}
END_TEST

START_TEST(every_cut_is_split_or_refused)
{
    uint64_t seed = (uint64_t) _i + 1;
    struct frame f = way_frame(&way_shapes[_i], &seed);

    frame_push_tag(&f, HDR_ETH_VLAN, 5);
    for (size_t len = 0; len <= f.len; len++) {
        uint8_t *copy = malloc(len + 1), constant[128];
        struct header_split split;

        memcpy(copy, f.data, len);
        if (header_split(copy, len, &split)) {
            ck_assert_uint_eq(split.l3_ofs, 18);
            ck_assert_uint_le(split.tail_ofs, len);
            ck_assert_uint_eq(split.tail_ofs - split.l3_ofs,
                              header_kind_fixed_len(split.kind));
            ck_assert_uint_eq(split.own_len, f.len - 18);
            header_split_constant(copy, &split, constant);
            header_split_copy_varying(split.kind, copy + 18, constant + 18);
            ck_assert_mem_eq(constant, copy, split.tail_ofs);
        } else {
            ck_assert_uint_lt(len, 18 + 60);
        }
        free(copy);
    }
}
END_TEST

START_TEST(label_stacks_are_skipped)
{
    struct frame f = frame_eth(HDR_ETH_MPLS);
    struct header_split split;

    frame_label(&f, 100, false);
    frame_label(&f, 101, true);
    frame_ip4(&f, HDR_IP_UDP, 64, "10.0.0.1", "10.0.0.2");
    frame_udp(&f, 1, 2);
    frame_finish(&f);
    ck_assert(header_split(f.data, f.len, &split));
    ck_assert_uint_eq(split.l3_ofs, 22);
    ck_assert_int_eq(split.kind, HEADER_IP4_UDP);
}
END_TEST

START_TEST(fragments_and_neighbor_discovery_are_not_split)
{
    struct frame f = frame_eth(HDR_ETH_IP4);
    struct header_split split;

    frame_ip4(&f, HDR_IP_UDP, 64, "10.0.0.1", "10.0.0.2");
    frame_udp(&f, 1, 2);
    frame_finish(&f);
    ck_assert(header_split(f.data, f.len, &split));
    f.data[20] = 0x20; /* More fragments. */
    ck_assert(!header_split(f.data, f.len, &split));
    f.data[20] = 0x40; /* DF. */
    ck_assert(header_split(f.data, f.len, &split));

    f = frame_eth(HDR_ETH_IP6);
    frame_ip6(&f, HDR_IP_ICMP6, 255, "fe80::1", "ff02::1");
    frame_icmp(&f, 135, 0, 0);
    frame_finish(&f);
    ck_assert(!header_split(f.data, f.len, &split));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("trajectory");
    TCase *tc = tcase_create("trajectory");

    tcase_add_loop_test(tc, a_packet_comes_back_from_one_header, 0,
                        2 * WAY_N_SHAPES);
    tcase_add_loop_test(tc, a_wide_path_holds_for_every_flow, 0,
                        2 * WAY_N_SHAPES);
    tcase_add_test(tc, a_path_that_rules_do_not_explain_stays_narrow);
    tcase_add_loop_test(tc, any_other_byte_is_noticed, 0, WAY_N_SHAPES);
    tcase_add_test(tc, what_is_not_regular_is_no_model);
    tcase_add_loop_test(tc, every_cut_is_split_or_refused, 0, WAY_N_SHAPES);
    tcase_add_test(tc, label_stacks_are_skipped);
    tcase_add_test(tc, fragments_and_neighbor_discovery_are_not_split);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
