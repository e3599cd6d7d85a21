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
#include "lib/history_columns.h"
#include "lib/rule.h"
#include "lib/trajectory.h"
#include "tests/lib/frame.h"
#include "tests/lib/random_history.h"

#define NOW_NS 1700000000000000000ull
#define N_HOPS 4

/* --- Packets and their histories. -----------------------------------------
 */

struct shape {
    bool is_ip6;
    uint8_t proto;
    bool has_tag; /* The second switch pushes one, the last pops it. */
};

static const struct shape shapes[] = {
    {false, HDR_IP_TCP, false},  {true, HDR_IP_TCP, true},
    {false, HDR_IP_UDP, true},   {true, HDR_IP_UDP, false},
    {false, HDR_IP_ICMP, false}, {true, HDR_IP_ICMP6, true},
    {false, 50, true},           {true, 50, false},
};
#define N_SHAPES (sizeof shapes / sizeof shapes[0])

/* A packet of the flow, all that varies random. */
static struct frame
random_frame(const struct shape *shape, uint64_t *seed)
{
    struct frame f = frame_eth(shape->is_ip6 ? HDR_ETH_IP6 : HDR_ETH_IP4);
    uint8_t payload[300];

    for (size_t i = 0; i < sizeof payload; i++) {
        payload[i] = (uint8_t) random_u32(seed);
    }
    if (shape->is_ip6) {
        frame_ip6(&f, shape->proto, 64, "2001:db8::1", "2001:db8::2");
    } else {
        frame_ip4(&f, shape->proto, 64, "10.0.0.1", "10.0.0.2");
        bytes_put_be16(f.data + f.l3_ofs + 4, (uint16_t) random_u32(seed));
    }
    switch (shape->proto) {
    case HDR_IP_TCP:
        frame_tcp(&f, 4321, 80, random_u32(seed), random_u32(seed),
                  (uint8_t) (0x10 | (random_u32(seed) & 0xf)));
        if (random_u32(seed) & 1) {
            frame_tcp_options(&f, payload + 8, 12);
        }
        break;
    case HDR_IP_UDP:
        frame_udp(&f, 4321, 53);
        break;
    case HDR_IP_ICMP:
        frame_icmp(&f, 8, 0, random_u32(seed));
        break;
    case HDR_IP_ICMP6:
        frame_icmp(&f, 128, 0, random_u32(seed));
        break;
    default:
        break;
    }
    frame_bytes(&f, payload, random_u32(seed) % sizeof payload);
    frame_finish(&f);
    return f;
}

static void
set_address(struct rule *rule, const struct shape *shape)
{
    struct frame f = frame_eth(HDR_ETH_IP4);

    if (shape->is_ip6) {
        frame_ip6(&f, 0, 1, "2001:db8:ffff::7", "2001:db8::2");
        rule_add_set(rule, FIELD_IPV6_SRC, f.data + f.l3_ofs + 8, NULL);
    } else {
        frame_ip4(&f, 0, 1, "203.0.113.7", "10.0.0.2");
        rule_add_set(rule, FIELD_IPV4_SRC, f.data + f.l3_ofs + 12, NULL);
    }
}

/* Makes it a packet of any other flow that takes the same way. */
static void
change_flow(struct frame *f, const struct shape *shape, uint64_t *seed)
{
    uint8_t *ip = f->data + f->l3_ofs;
    size_t begin = shape->is_ip6 ? 8 : 12, end = shape->is_ip6 ? 40 : 20;

    for (size_t i = 0; i < 12; i++) {
        f->data[i] = (uint8_t) random_u32(seed);
    }
    for (size_t i = begin; i < end; i++) {
        ip[i] = (uint8_t) random_u32(seed);
    }
    ip[shape->is_ip6 ? 7 : 8] = (uint8_t) (random_u32(seed) % 255 + 1);
    if (shape->proto == HDR_IP_TCP || shape->proto == HDR_IP_UDP) {
        bytes_put_be16(ip + end, (uint16_t) random_u32(seed));
        bytes_put_be16(ip + end + 2, (uint16_t) random_u32(seed));
    }
    if (shape->is_ip6) {
        ip[2] = (uint8_t) random_u32(seed);
    } else {
        ip[1] = (uint8_t) random_u32(seed);
        ip[6] = random_u32(seed) & 0x40;
    }
    frame_finish(f);
}

/* What switch 'i' does: all but the first route, one translates. */
static struct rule *
make_rule(const struct shape *shape, size_t i)
{
    struct rule *rule = rule_create();
    uint8_t port[2] = {0xf0, 0x01};
    uint8_t mac[6] = {2, 0, 0, 0, 0xff, (uint8_t) i};
    uint8_t tos = 0x2e;

    if (i) {
        rule_add_plain(rule, STEP_DEC_TTL, 0);
    }
    if (i == 2) {
        rule_add_set(rule, FIELD_ETH_SRC, mac, NULL);
        rule_add_set(rule, FIELD_IP_DSCP, &tos, NULL);
    }
    if (i == 1) {
        set_address(rule, shape);
        if (shape->proto == HDR_IP_TCP || shape->proto == HDR_IP_UDP) {
            rule_add_set(rule, FIELD_TP_SRC, port, NULL);
        }
        if (shape->has_tag) {
            rule_add_plain(rule, STEP_PUSH_VLAN, HDR_ETH_VLAN);
        }
    }
    if (i == N_HOPS - 1 && shape->has_tag) {
        rule_add_plain(rule, STEP_POP_VLAN, 0);
    }
    rule_add_output(rule, 2);
    return rule;
}

/* The history of 'f' through N_HOPS switches of which each captures at most
 * 'snap' bytes, NULL when its TTL does not last. */
static struct history *
make_history(const struct shape *shape, const struct frame *f, size_t snap,
             uint64_t *seed)
{
    struct history *h = history_create((uint64_t) random_u32(seed) << 32 | 1);
    uint64_t time_ns = NOW_NS + random_u32(seed);
    uint8_t now[4096];
    size_t len = f->len;

    memcpy(now, f->data, len);
    for (size_t i = 0; i < N_HOPS; i++) {
        struct history_hop *hop = history_add_hop(h);
        struct rule *rule = make_rule(shape, i);
        uint8_t out[4096];
        size_t captured = len < snap ? len : snap, out_len;

        hop->parent = (int) i - 1;
        hop->dpid = i + 1;
        hop->in_port = 1;
        hop->time_ns = time_ns += 5000 + random_u32(seed) % 45000;
        history_hop_add_out(hop, 2);
        history_hop_add_version(hop, 7);
        history_hop_set_header(hop, now, captured);
        if (rule_apply(rule, 0, now, captured, out, sizeof out, &out_len) !=
            RULE_APPLY_OK) {
            rule_unref(rule);
            history_destroy(h);
            return NULL;
        }
        history_hop_set_header_out(hop, out, out_len);
        hop->has_header_out = true;
        ck_assert_int_eq(
            rule_apply(rule, 0, now, len, out, sizeof out, &out_len),
            RULE_APPLY_OK);
        memcpy(now, out, out_len);
        len = out_len;
        rule_unref(rule);
    }
    verdict_set(&h->hops[N_HOPS - 1].verdict, VERDICT_DELIVERED, N_HOPS, 2,
                NULL);
    history_settle(h);
    return h;
}

static bool
is_predicted(const struct trajectory *t, const struct history *h)
{
    const struct history_hop *ref = &h->hops[trajectory_reference(t)];

    for (size_t i = 0; i < h->n_hops; i++) {
        if (!trajectory_predicts(t, i, ref->header, ref->caplen,
                                 h->hops[i].header, h->hops[i].caplen)) {
            return false;
        }
    }
    return true;
}

static struct trajectory_packet
packet_of(const struct trajectory *t, const struct history *h,
          uint64_t *times_ns)
{
    const struct history_hop *ref = &h->hops[trajectory_reference(t)];

    for (size_t i = 0; i < h->n_hops; i++) {
        times_ns[i] = h->hops[i].time_ns;
    }
    return (struct trajectory_packet){
        .packet_id = h->packet_id,
        .header = ref->header,
        .caplen = ref->caplen,
        .times_ns = times_ns,
    };
}

/* --- Tests. ---------------------------------------------------------------
 */

START_TEST(a_packet_comes_back_from_one_header)
{
    const struct shape *shape = &shapes[(size_t) _i % N_SHAPES];
    size_t snap = (size_t) _i < N_SHAPES ? 96 : 1500;
    uint64_t seed = (uint64_t) _i + 1, times_ns[N_HOPS];
    struct frame f = random_frame(shape, &seed);
    struct history *model = make_history(shape, &f, snap, &seed);
    struct trajectory *t = trajectory_create(model);
    struct history *again = NULL;
    size_t n_predicted = 0;

    ck_assert_ptr_nonnull(t);
    for (int n = 0; n < 2000; n++) {
        f = random_frame(shape, &seed);

        struct history *h = make_history(shape, &f, snap, &seed);

        if (is_predicted(t, h)) {
            struct trajectory_packet packet = packet_of(t, h, times_ns);
            struct history *back = trajectory_history(t, &packet);

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
    history_destroy(again);
    history_destroy(model);
    trajectory_unref(t);
}
END_TEST

START_TEST(a_wide_path_holds_for_every_flow)
{
    const struct shape *shape = &shapes[(size_t) _i % N_SHAPES];
    size_t snap = (size_t) _i < N_SHAPES ? 96 : 1500;
    uint64_t seed = (uint64_t) _i + 1, times_ns[N_HOPS];
    struct frame f = random_frame(shape, &seed);
    struct history *model = make_history(shape, &f, snap, &seed);
    struct trajectory_path *path = trajectory_path_create(model);
    const struct rule *rules[N_HOPS];
    size_t n_taken = 0, n_refused = 0;

    for (size_t i = 0; i < N_HOPS; i++) {
        rules[i] = make_rule(shape, i);
    }
    ck_assert_ptr_nonnull(path);
    ck_assert(trajectory_path_widen(path, rules));
    for (int n = 0; n < 3000; n++) {
        f = random_frame(shape, &seed);
        change_flow(&f, shape, &seed);

        struct history *h = make_history(shape, &f, snap, &seed);
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
            struct trajectory_packet packet = packet_of(t, h, times_ns);

            if (is_predicted(t, h)) {
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
    for (size_t i = 0; i < N_HOPS; i++) {
        rule_unref((struct rule *) rules[i]);
    }
    trajectory_path_unref(path);
    history_destroy(model);
}
END_TEST

/* Some flows have from the start what a rule sets on the way. */
static void
make_alike(struct frame *f, const struct shape *shape, uint64_t *seed)
{
    static const uint8_t mac[6] = {2, 0, 0, 0, 0xff, 2};

    if (random_u32(seed) & 1) {
        memcpy(f->data + 6, mac, 6);
    }
    if (random_u32(seed) & 1 && !shape->is_ip6) {
        f->data[f->l3_ofs + 1] = 0x2e << 2;
        frame_finish(f);
    }
}

static void
check_columns(struct column_encoder *e, struct history **all, size_t n)
{
    struct byte_buf out = BYTE_BUF_INIT;
    size_t table_len = column_encoder_finish(e, 1, &out), n_found = 0;
    struct column_decoder *d;
    struct lh_error error;

    ck_assert(!column_decoder_open(out.data, out.len, table_len, &d, &error));
    ck_assert(!column_decoder_need_times(d, &error));
    ck_assert(!column_decoder_need_rows(d, &error));
    for (size_t i = 0; i < column_decoder_n_flows(d); i++) {
        for (size_t row = 0; row < column_decoder_flow(d, i)->n_rows; row++) {
            const struct history *h;
            size_t k = 0;

            ck_assert(!column_decoder_history(d, i, row, &h, &error));
            while (k < n && all[k]->hops[0].time_ns != h->hops[0].time_ns) {
                k++;
            }
            ck_assert_uint_lt(k, n);
            ck_assert(history_is_same(h, all[k]));
            n_found++;
        }
    }
    ck_assert_uint_gt(n_found, n / 2);
    column_decoder_destroy(d);
    byte_buf_uninit(&out);
}

START_TEST(flows_of_a_wide_path_are_stored_as_they_are)
{
    const struct shape *shape = &shapes[_i];
    uint64_t seed = (uint64_t) _i + 1, times_ns[N_HOPS];
    struct frame f = random_frame(shape, &seed);
    struct history *model = make_history(shape, &f, 96, &seed);
    struct trajectory_path *path = trajectory_path_create(model);
    struct packet_id_config id = PACKET_ID_CONFIG_INIT;
    struct column_encoder *e = column_encoder_create(&id, COLUMN_UNIT_NS);
    const struct rule *rules[N_HOPS];
    struct history *all[600];
    size_t n = 0;

    for (size_t i = 0; i < N_HOPS; i++) {
        rules[i] = make_rule(shape, i);
    }
    ck_assert(trajectory_path_widen(path, rules));
    while (n < 600) {
        f = random_frame(shape, &seed);
        change_flow(&f, shape, &seed);
        make_alike(&f, shape, &seed);

        struct history *h = make_history(shape, &f, 96, &seed);

        if (!h || !trajectory_path_takes(path, h->hops[0].header,
                                         h->hops[0].caplen)) {
            history_destroy(h);
            continue;
        }

        struct trajectory *t =
            trajectory_of_path(path, h->hops[0].header, h->hops[0].caplen);

        if (is_predicted(t, h)) {
            struct trajectory_packet packet = packet_of(t, h, times_ns);

            column_encoder_add(e, t, &packet);
            all[n++] = h;
        } else {
            history_destroy(h);
        }
        trajectory_unref(t);
    }
    check_columns(e, all, n);
    while (n > 0) {
        history_destroy(all[--n]);
    }
    for (size_t i = 0; i < N_HOPS; i++) {
        rule_unref((struct rule *) rules[i]);
    }
    column_encoder_destroy(e);
    trajectory_path_unref(path);
    history_destroy(model);
}
END_TEST

START_TEST(a_path_that_rules_do_not_explain_stays_narrow)
{
    const struct shape *shape = &shapes[0];
    uint64_t seed = 1;
    struct frame f = random_frame(shape, &seed);
    struct history *h = make_history(shape, &f, 96, &seed);
    struct trajectory_path *path = trajectory_path_create(h);
    const struct rule *rules[N_HOPS];

    for (size_t i = 0; i < N_HOPS; i++) {
        rules[i] = make_rule(shape, i);
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
    for (size_t i = 0; i < N_HOPS; i++) {
        rule_unref((struct rule *) rules[i]);
    }
    trajectory_path_unref(path);
    history_destroy(h);
}
END_TEST

START_TEST(any_other_byte_is_noticed)
{
    const struct shape *shape = &shapes[(size_t) _i % N_SHAPES];
    uint64_t seed = (uint64_t) _i + 1;
    struct frame f = random_frame(shape, &seed);
    struct history *h = make_history(shape, &f, 1500, &seed);
    struct trajectory *t = trajectory_create(h);

    ck_assert_ptr_nonnull(t);
    ck_assert(is_predicted(t, h));
    for (size_t i = 0; i < h->n_hops; i++) {
        struct history_hop *hop = &h->hops[i];

        if (i == trajectory_reference(t)) {
            continue;
        }
        for (size_t k = 0; k < hop->caplen; k++) {
            hop->header[k] ^= 0x10;
            ck_assert(!is_predicted(t, h));
            hop->header[k] ^= 0x10;
        }
        hop->caplen--;
        ck_assert(!is_predicted(t, h));
        hop->caplen++;
    }
    history_destroy(h);
    trajectory_unref(t);
}
END_TEST

START_TEST(what_is_not_regular_is_no_model)
{
    uint64_t seed = 1;
    struct frame f = random_frame(&shapes[0], &seed);
    struct history *h = make_history(&shapes[0], &f, 96, &seed);
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
    struct frame f = random_frame(&shapes[_i], &seed);

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
                        2 * N_SHAPES);
    tcase_add_loop_test(tc, a_wide_path_holds_for_every_flow, 0, 2 * N_SHAPES);
    tcase_add_loop_test(tc, flows_of_a_wide_path_are_stored_as_they_are, 0,
                        N_SHAPES);
    tcase_add_test(tc, a_path_that_rules_do_not_explain_stays_narrow);
    tcase_add_loop_test(tc, any_other_byte_is_noticed, 0, N_SHAPES);
    tcase_add_test(tc, what_is_not_regular_is_no_model);
    tcase_add_loop_test(tc, every_cut_is_split_or_refused, 0, N_SHAPES);
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
