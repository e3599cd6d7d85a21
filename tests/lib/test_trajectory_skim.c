/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/trajectory_skim: what it tells of addresses and ports at each
 * hop is what the model of each flow has there. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/trajectory_shape.h"
#include "lib/trajectory_skim.h"
#include "tests/lib/flow_block.h"
#include "tests/lib/random_history.h"

#define N_FLOWS 120
#define NOW_NS  1700000000000000000ull

/* What the skim told of a shape. */
struct shape {
    size_t n_hops;
    enum header_kind kind;
    uint16_t l3_ofs;
    struct flow_key_at keys[FLOW_MAX_HOPS];
};

struct shapes {
    size_t n;
    struct shape all[4 * N_FLOWS];
};

static void
note(void *shapes_, const struct history *h,
     const struct trajectory_skim *skim)
{
    struct shapes *shapes = shapes_;
    struct shape *shape = &shapes->all[shapes->n++];

    ck_assert_uint_lt(shapes->n, 4 * N_FLOWS);
    ck_assert_uint_eq(trajectory_skim_n_hops(skim), h->n_hops);
    shape->n_hops = h->n_hops;
    shape->kind = trajectory_skim_kind(skim);
    shape->l3_ofs = trajectory_skim_l3_ofs(skim);
    for (size_t i = 0; i < h->n_hops; i++) {
        ck_assert_uint_eq(h->hops[i].caplen, 0);
        shape->keys[i] = trajectory_skim_keys(skim)[i];
    }
}

static struct flow_key
key_at(enum header_kind kind, uint16_t l3_ofs, const uint8_t *header)
{
    struct flow_bytes flow;
    struct flow_key key;

    memset(&key, 0, sizeof key);
    flow_bytes_take(&flow, kind, l3_ofs, header);
    memcpy(key.bytes, flow.addrs[0], flow.n_addr);
    memcpy(key.bytes + flow.n_addr, flow.addrs[1], flow.n_addr);
    memcpy(key.bytes + 2 * flow.n_addr, flow.ports, flow.n_ports);
    return key;
}

static struct flow_key
key_of(const struct column_key *from)
{
    struct flow_key key;

    memset(&key, 0, sizeof key);
    memcpy(key.bytes, from->src, from->n_addr);
    memcpy(key.bytes + from->n_addr, from->dst, from->n_addr);
    if (from->n_ports) {
        memcpy(key.bytes + 2 * from->n_addr, from->ports, from->n_ports);
    }
    return key;
}

/* Returns at how many hops the flow is another than at the reference. */
static size_t
check_flow(const struct shape *shape, const struct column_key *column_key,
           const struct history *model)
{
    struct flow_key flow = key_of(column_key);
    size_t n_own = 0;

    ck_assert_uint_eq(model->n_hops, shape->n_hops);
    for (size_t i = 0; i < model->n_hops; i++) {
        const struct history_hop *hop = &model->hops[i];
        const struct flow_key_at *at = &shape->keys[i];
        struct flow_key expected =
            key_at(shape->kind, at->l3_ofs, hop->header);
        struct header_split split;

        for (size_t w = 0; w < FLOW_KEY_WORDS; w++) {
            uint64_t own = at->is_own ? at->mask.words[w] : 0;
            uint64_t told = (flow.words[w] & ~own) |
                            (at->is_own ? at->own.words[w] & own : 0);

            ck_assert_uint_eq(told, expected.words[w]);
        }
        ck_assert(header_split(hop->header, hop->caplen, &split));
        ck_assert_uint_eq(split.l3_ofs, at->l3_ofs);
        ck_assert_uint_eq(split.kind, shape->kind);
        if (hop->has_header_out) {
            ck_assert(
                header_split(hop->header_out, hop->header_out_len, &split));
            ck_assert_uint_eq(split.l3_ofs, at->out_l3_ofs);
        } else {
            ck_assert_uint_eq(at->out_l3_ofs, 0);
        }
        n_own += at->is_own;
    }
    return n_own;
}

START_TEST(keys_are_those_of_models)
{
    struct flow *flows = lh_alloc_zero(N_FLOWS * sizeof *flows);
    struct shapes *shapes = lh_alloc_zero(sizeof *shapes);
    uint64_t seed = (uint64_t) _i + 3;
    struct column_decoder *d;
    struct flow_block block;
    size_t n_own = 0;

    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_init(&flows[i], &seed, NOW_NS);
    }
    flow_block_init(&block, flows, 0, N_FLOWS, 400, 0, &seed);
    d = flow_block_open(&block);
    ck_assert(!column_decoder_need_shapes(d, note, shapes, NULL));
    ck_assert_uint_eq(shapes->n, column_decoder_n_shapes(d));
    ck_assert(!column_decoder_need_keys(d, NULL));
    ck_assert(!column_decoder_need_models(d, NULL));
    for (size_t i = 0; i < column_decoder_n_flows(d); i++) {
        struct column_key key = column_decoder_key(d, i);

        n_own += check_flow(&shapes->all[column_decoder_flow(d, i)->shape],
                            &key, column_decoder_model(d, i));
    }
    ck_assert_uint_gt(n_own, 5);
    column_decoder_destroy(d);
    flow_block_uninit(&block);
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_uninit(&flows[i]);
    }
    free(shapes);
    free(flows);
}
END_TEST

/* ... and whatever is read after it is right again. */
START_TEST(what_is_no_shape_is_refused)
{
    struct trajectory_skim *skim = trajectory_skim_create();
    uint64_t seed = 9;

    for (int i = 0; i < 300; i++) {
        struct history *h = random_history(&seed, 9, NOW_NS);
        struct trajectory_shape *shape;
        bool is_shape =
            !trajectory_shape_create(history_clone(h), &shape, NULL);

        ck_assert(trajectory_skim_read(skim, h) == is_shape);
        if (is_shape) {
            trajectory_shape_destroy(shape);
        }
        history_destroy(h);
    }

    struct history *long_one =
        line_history(1, TRAJECTORY_MAX_HOPS + 1, NOW_NS, 8);

    ck_assert(!trajectory_skim_read(skim, long_one));
    history_destroy(long_one);
    trajectory_skim_destroy(skim);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("trajectory_skim");
    TCase *tc = tcase_create("all");

    tcase_add_loop_test(tc, keys_are_those_of_models, 0, 4);
    tcase_add_test(tc, what_is_no_shape_is_refused);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
