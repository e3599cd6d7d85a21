/* SPDX-License-Identifier: Apache-2.0 */
/* Test of lib/history_columns with flows of one path. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/history.h"
#include "lib/history_columns.h"
#include "lib/trajectory.h"
#include "tests/lib/random_history.h"
#include "tests/lib/way.h"

/* Some flows have from the start what a rule sets on the way. */
static void
make_alike(struct frame *f, const struct way_shape *shape, uint64_t *seed)
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
check_columns(struct column_encoder *e, struct history **all, size_t n,
              size_t max_shapes)
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
    ck_assert_uint_le(column_decoder_n_shapes(d), max_shapes);
    column_decoder_destroy(d);
    byte_buf_uninit(&out);
}

/* Each shape captured whole and, of IPv6, up to the ports only. */
START_TEST(flows_of_a_wide_path_are_stored_as_they_are)
{
    const struct way_shape *shape = &way_shapes[_i / 2];
    uint16_t snap = _i % 2 ? 64 : 96;
    uint64_t seed = (uint64_t) _i + 1, times_ns[WAY_HOPS];
    struct frame f = way_frame(shape, &seed);
    struct history *model = way_history(shape, &f, snap, &seed);
    struct trajectory_path *path = trajectory_path_create(model);
    struct packet_id_config id = PACKET_ID_CONFIG_INIT;
    struct column_encoder *e = column_encoder_create(&id, COLUMN_UNIT_NS);
    const struct rule *rules[WAY_HOPS];
    struct history *all[600];
    size_t n = 0;

    if (!path) { /* Not even the ports were captured. */
        ck_assert_uint_eq(snap, 64);
        column_encoder_destroy(e);
        history_destroy(model);
        return;
    }
    for (size_t i = 0; i < WAY_HOPS; i++) {
        rules[i] = way_rule(shape, i);
    }
    ck_assert(trajectory_path_widen(path, rules));
    while (n < 600) {
        f = way_frame(shape, &seed);
        way_change_flow(&f, shape, &seed);
        make_alike(&f, shape, &seed);

        struct history *h = way_history(shape, &f, snap, &seed);

        if (!h || !trajectory_path_takes(path, h->hops[0].header,
                                         h->hops[0].caplen)) {
            history_destroy(h);
            continue;
        }

        struct trajectory *t =
            trajectory_of_path(path, h->hops[0].header, h->hops[0].caplen);

        if (way_is_predicted(t, h)) {
            struct trajectory_packet packet = way_packet(t, h, times_ns);

            column_encoder_add(e, t, &packet);
            all[n++] = h;
        } else {
            history_destroy(h);
        }
        trajectory_unref(t);
    }
    /* A flow has the MAC address and DSCP from the start, or has not; what
     * is set in part is the flow's. */
    check_columns(e, all, n,
                  shape->part == WAY_PART_OF_MAC ||
                          shape->part == WAY_PART_OF_ADDRESS
                      ? n
                      : 4);
    while (n > 0) {
        history_destroy(all[--n]);
    }
    for (size_t i = 0; i < WAY_HOPS; i++) {
        rule_unref((struct rule *) rules[i]);
    }
    column_encoder_destroy(e);
    trajectory_path_unref(path);
    history_destroy(model);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("trajectory_columns");
    TCase *tc = tcase_create("trajectory_columns");

    tcase_add_loop_test(tc, flows_of_a_wide_path_are_stored_as_they_are, 0,
                        2 * WAY_N_SHAPES);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
