/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/history_columns: what goes in comes out. */
#include <config.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hdr.h"
#include "lib/history_columns.h"
#include "lib/lh_alloc.h"
#include "lib/section_list.h"
#include "tests/lib/flow_fixture.h"
#include "tests/lib/random_history.h"

#define NOW_NS    1700000000000000000ull
#define N_FLOWS   60
#define N_PACKETS 3000

static struct packet_id_config config = {1234, 40};

/* What was added, and what of it was found again. */
struct set {
    size_t n, n_rows, n_found;
    struct history *all[N_PACKETS + 100]; /* Owned. */
    bool is_found[N_PACKETS + 100];
};

static void
set_add(struct set *set, struct history *h)
{
    set->all[set->n++] = h;
}

/* Takes the history that is 'h' off the set: the first of those that are
 * left with its times. */
static void
set_find(struct set *set, const struct history *h)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct history *other = set->all[i];

        if (!set->is_found[i] && other->n_hops == h->n_hops &&
            other->packet_id == h->packet_id &&
            history_first_ns(other) == history_first_ns(h)) {
            ck_assert_msg(history_is_same(other, h), "history %zu", i);
            set->is_found[i] = true;
            set->n_found++;
            return;
        }
    }
    ck_abort_msg("a history that was never added");
}

static void
set_free(struct set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        history_destroy(set->all[i]);
    }
    free(set);
}

/* Whether the packet ID is what packet_id() makes of the header. */
static bool
is_own_id(const struct trajectory_packet *packet)
{
    struct hdr h;
    uint64_t id;

    hdr_parse(packet->header, packet->caplen, &h);
    return packet_id(&config, packet->header, packet->caplen, &h, &id) !=
               PACKET_ID_SHORT &&
           id == packet->packet_id;
}

/* Fills an encoder with packets of flows, and histories between them. */
static struct set *
fill(struct column_encoder *e, uint64_t seed, uint64_t unit_ns,
     size_t n_packets)
{
    struct flow *flows = lh_alloc_zero(N_FLOWS * sizeof *flows);
    struct set *set = lh_alloc_zero(sizeof *set);

    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_init(&flows[i], &seed, NOW_NS);
    }
    for (size_t i = 0; i < n_packets; i++) {
        struct flow *flow = &flows[random_u32(&seed) % N_FLOWS];
        struct history *h = flow_next(flow, &seed, unit_ns, &config);
        struct trajectory_packet packet;
        uint64_t times_ns[FLOW_MAX_HOPS];
        struct trajectory *t = flow_trajectory(flow, h, &packet, times_ns);

        if (t) {
            packet.has_own_id = i % 2 && is_own_id(&packet);
            column_encoder_add(e, t, &packet);
            set->n_rows++;
        } else {
            ck_assert_int_eq(column_encoder_add_history(e, h), 0);
        }
        set_add(set, h);
        if (random_u32(&seed) % 100 == 0) {
            h = random_history(&seed, 6, NOW_NS);
            ck_assert_int_eq(column_encoder_add_history(e, h), 0);
            set_add(set, h);
        }
    }
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_uninit(&flows[i]);
    }
    free(flows);
    ck_assert_uint_eq(column_encoder_totals(e)->n_records, set->n);
    return set;
}

/* A trajectory's packet has one length at all hops, also at the reference. */
static void
check_length(const struct history *h, uint32_t length)
{
    struct hdr hdr;
    size_t i = 0;

    while (i < h->n_hops - 1 && !h->hops[i].caplen) {
        i++;
    }
    hdr_parse(h->hops[i].header, h->hops[i].caplen, &hdr);
    ck_assert_uint_eq(hdr.own_len, length);
}

/* Reads all of a payload and holds it against the set. */
static void
check_all(struct set *set, const uint8_t *payload, size_t len,
          size_t table_len, size_t min_rows)
{
    struct column_decoder *d;
    struct history_decoder *plain;
    struct history_record record;
    struct lh_error error = {.text = "-"};
    size_t n_rows = 0;

    memset(set->is_found, 0, sizeof set->is_found);
    set->n_found = 0;
    ck_assert_msg(!column_decoder_open(payload, len, table_len, &d, &error),
                  "%s", error.text);
    ck_assert_msg(!column_decoder_need_times(d, &error), "%s", error.text);
    ck_assert_msg(!column_decoder_need_lengths(d, &error), "%s", error.text);
    ck_assert_msg(!column_decoder_need_rows(d, &error), "%s", error.text);
    for (size_t i = 0; i < column_decoder_n_flows(d); i++) {
        const struct column_flow *flow = column_decoder_flow(d, i);

        ck_assert_uint_eq(flow->first_row, n_rows);
        n_rows += flow->n_rows;
        for (size_t row = 0; row < flow->n_rows; row++) {
            const struct history *h;

            ck_assert_msg(!column_decoder_history(d, i, row, &h, &error), "%s",
                          error.text);
            ck_assert_uint_eq(history_first_ns(h),
                              column_decoder_first_ns(d, i, row));
            ck_assert_uint_eq(history_last_ns(h),
                              column_decoder_last_ns(d, i, row));
            check_length(h, column_decoder_lengths(d, i)[row]);
            set_find(set, h);
        }
    }
    ck_assert_uint_ge(n_rows, min_rows);
    ck_assert_int_eq(column_decoder_plain(d, &plain, &error), 0);
    while (plain && !history_decoder_next(plain, &record, &error)) {
        struct history *h;

        ck_assert_int_eq(
            history_decoder_read(plain, record.offset, &h, &error), 0);
        set_find(set, h);
        history_destroy(h);
    }
    ck_assert_uint_eq(set->n_found, set->n);
    column_decoder_destroy(d);
}

START_TEST(what_goes_in_comes_out)
{
    struct column_encoder *e =
        column_encoder_create(&config, COLUMN_UNIT_AUTO);
    uint64_t unit_ns = _i % 2 ? 1000 : 1;

    for (int round = 0; round < 3; round++) {
        struct byte_buf out = BYTE_BUF_INIT;
        struct set *set = fill(e, (uint64_t) (_i * 10 + round + 1), unit_ns,
                               round ? N_PACKETS : 5);
        size_t table_len = column_encoder_finish(e, 0, &out);
        size_t raw_len = out.len;

        check_all(set, out.data, out.len, table_len, set->n_rows * 9 / 10);
        byte_buf_clear(&out);
        table_len = column_encoder_finish(e, 3, &out);
        ck_assert_uint_lt(out.len, raw_len);
        check_all(set, out.data, out.len, table_len, set->n_rows * 9 / 10);
        byte_buf_uninit(&out);
        column_encoder_reset(e);
        ck_assert_uint_eq(column_encoder_totals(e)->n_records, 0);
        set_free(set);
    }
    column_encoder_destroy(e);
}
END_TEST

START_TEST(microseconds_are_kept_when_asked)
{
    struct column_encoder *e = column_encoder_create(&config, COLUMN_UNIT_US);
    struct byte_buf out = BYTE_BUF_INIT;
    struct set *set = fill(e, 7, 1, 400);
    size_t table_len = column_encoder_finish(e, 3, &out);
    uint64_t min_ns = UINT64_MAX, max_ns = 0;
    bool had_more = false;

    /* What is below them is cut off of every time, and nothing else. */
    for (size_t i = 0; i < set->n; i++) {
        struct history *h = set->all[i];

        for (size_t k = 0; k < h->n_hops; k++) {
            had_more |= h->hops[k].time_ns % 1000 != 0;
            h->hops[k].time_ns -= h->hops[k].time_ns % 1000;
        }
        if (history_first_ns(h) < min_ns) {
            min_ns = history_first_ns(h);
        }
        if (history_last_ns(h) > max_ns) {
            max_ns = history_last_ns(h);
        }
    }
    ck_assert(had_more);
    check_all(set, out.data, out.len, table_len, set->n_rows * 9 / 10);
    ck_assert_uint_eq(column_encoder_totals(e)->min_ns, min_ns);
    ck_assert_uint_eq(column_encoder_totals(e)->max_ns, max_ns);
    byte_buf_uninit(&out);
    set_free(set);
    column_encoder_destroy(e);
}
END_TEST

START_TEST(the_dictionary_tells_all_that_is_constant)
{
    struct column_encoder *e = column_encoder_create(&config, COLUMN_UNIT_NS);
    struct byte_buf out = BYTE_BUF_INIT;
    struct column_decoder *d;
    struct set *set = fill(e, 11, 1, 1000);
    size_t table_len = column_encoder_finish(e, 3, &out);

    ck_assert(!column_decoder_open(out.data, out.len, table_len, &d, NULL));
    ck_assert(!column_decoder_need_times(d, NULL));
    ck_assert(!column_decoder_need_rows(d, NULL));
    for (size_t i = 0; i < column_decoder_n_flows(d); i++) {
        const struct history *model = column_decoder_model(d, i);
        const struct history *h;

        ck_assert(!column_decoder_history(d, i, 0, &h, NULL));
        ck_assert_uint_eq(model->n_hops, h->n_hops);
        for (size_t hop = 0; hop < h->n_hops; hop++) {
            struct header_split a, b;
            uint8_t bytes[2][600];

            ck_assert(header_split(model->hops[hop].header,
                                   model->hops[hop].caplen, &a));
            ck_assert(
                header_split(h->hops[hop].header, h->hops[hop].caplen, &b));
            ck_assert_uint_eq(a.kind, b.kind);
            ck_assert_uint_eq(a.tail_ofs, b.tail_ofs);
            header_split_constant(model->hops[hop].header, &a, bytes[0]);
            header_split_constant(h->hops[hop].header, &b, bytes[1]);
            ck_assert_mem_eq(bytes[0], bytes[1], a.tail_ofs);
        }
    }
    column_decoder_destroy(d);
    byte_buf_uninit(&out);
    set_free(set);
    column_encoder_destroy(e);
}
END_TEST

/* A packet of 'flow' on a path found with another flow, if it takes that. */
static bool
add_on_path(struct column_encoder *e, struct trajectory_path *path,
            struct trajectory **tp, const struct history *h)
{
    const struct history_hop *ref = &h->hops[trajectory_path_reference(path)];
    uint64_t times_ns[FLOW_MAX_HOPS];
    struct trajectory_packet packet = {
        .packet_id = h->packet_id,
        .header = ref->header,
        .caplen = ref->caplen,
        .times_ns = times_ns,
    };

    if (!trajectory_path_takes(path, ref->header, ref->caplen)) {
        return false;
    }
    for (size_t i = 0; i < h->n_hops; i++) {
        times_ns[i] = h->hops[i].time_ns;
        if (!trajectory_path_predicts(path, i, ref->header, ref->caplen,
                                      h->hops[i].header, h->hops[i].caplen)) {
            return false;
        }
    }
    if (!*tp) {
        *tp = trajectory_of_path(path, ref->header, ref->caplen);
    }
    column_encoder_add(e, *tp, &packet);
    return true;
}

START_TEST(flows_on_one_path_share_what_they_can)
{
    struct column_encoder *e =
        column_encoder_create(&config, COLUMN_UNIT_AUTO);
    struct byte_buf out = BYTE_BUF_INIT;
    struct set *set = lh_alloc_zero(sizeof *set);
    struct trajectory *trajectories[20] = {NULL};
    struct trajectory_path *path = NULL;
    const struct rule *rules[FLOW_MAX_HOPS];
    uint64_t seed = (uint64_t) _i + 1;
    struct flow flows[20];
    size_t n_rows = 0;

    flow_init(&flows[0], &seed, NOW_NS);
    for (size_t i = 1; i < 20; i++) {
        flows[i] = flows[0];
        flows[i].src_port = (uint16_t) random_u32(&seed);
        flows[i].src[strlen(flows[i].src) - 1] = (char) ('1' + i % 9);
        for (size_t k = 0; k < flows[0].n_hops; k++) {
            rule_ref(flows[i].rules[k]);
            rules[k] = flows[i].rules[k];
        }
    }
    for (size_t i = 0; i < 600; i++) {
        size_t k = random_u32(&seed) % 20;
        struct history *h = flow_next(&flows[k], &seed, 1, &config);

        if (!path) {
            path = trajectory_path_create(h);
            ck_assert(!path || trajectory_path_widen(path, rules));
        }
        if (path && add_on_path(e, path, &trajectories[k], h)) {
            n_rows++;
        } else {
            column_encoder_add_history(e, h);
        }
        set_add(set, h);
    }

    size_t table_len = column_encoder_finish(e, 3, &out);

    check_all(set, out.data, out.len, table_len, n_rows);
    for (size_t i = 0; i < 20; i++) {
        trajectory_unref(trajectories[i]);
        flow_uninit(&flows[i]);
    }
    trajectory_path_unref(path);
    byte_buf_uninit(&out);
    set_free(set);
    column_encoder_destroy(e);
}
END_TEST

/* Whatever the decoder accepts, it reads to the end or refuses. */
static void
read_all(const uint8_t *payload, size_t len, size_t table_len)
{
    struct column_decoder *d;
    struct history_decoder *plain;
    struct lh_error error;

    if (column_decoder_open(payload, len, table_len, &d, &error)) {
        return;
    }
    /* Who asks again hears the same. */
    int retval = column_decoder_need_shapes(d, NULL, NULL, &error);

    ck_assert_int_eq(column_decoder_need_shapes(d, NULL, NULL, &error),
                     retval);
    column_decoder_need_lengths(d, &error);
    if (!column_decoder_need_times(d, &error) &&
        !column_decoder_need_rows(d, &error)) {
        for (size_t i = 0; i < column_decoder_n_flows(d); i++) {
            for (size_t k = 0; k < column_decoder_flow(d, i)->n_rows; k++) {
                const struct history *h;

                if (column_decoder_history(d, i, k, &h, &error)) {
                    break;
                }
            }
        }
    }
    column_decoder_plain(d, &plain, &error);
    column_decoder_destroy(d);
}

START_TEST(damage_is_refused)
{
    struct column_encoder *e =
        column_encoder_create(&config, COLUMN_UNIT_AUTO);
    struct byte_buf out = BYTE_BUF_INIT;
    struct set *set = fill(e, 3, 1000, 100);
    size_t table_len = column_encoder_finish(e, 3, &out);
    uint64_t seed = 9;

    for (int i = 0; i < 600; i++) {
        size_t at = random_u32(&seed) % out.len;
        uint8_t bit = (uint8_t) (1 << random_u32(&seed) % 8);
        uint8_t *copy = lh_memdup(out.data, out.len);

        copy[at] ^= bit;
        read_all(copy, out.len, table_len);
        free(copy);
        if (i % 10 == 0) {
            copy = lh_memdup(out.data, at + 1);
            read_all(copy, at, table_len);
            free(copy);
        }
    }
    byte_buf_uninit(&out);
    set_free(set);
    column_encoder_destroy(e);
}
END_TEST

START_TEST(an_empty_one_is_read)
{
    struct column_encoder *e =
        column_encoder_create(&config, COLUMN_UNIT_AUTO);
    struct byte_buf out = BYTE_BUF_INIT;
    size_t table_len = column_encoder_finish(e, 3, &out);
    struct set *set = lh_alloc_zero(sizeof *set);

    check_all(set, out.data, out.len, table_len, 0);
    byte_buf_uninit(&out);
    set_free(set);
    column_encoder_destroy(e);
}
END_TEST

/* Writes what fuzz_history_columns takes. */
static void
write_corpus(const char *path, uint64_t seed, size_t n_packets)
{
    struct column_encoder *e =
        column_encoder_create(&config, COLUMN_UNIT_AUTO);
    struct byte_buf out = BYTE_BUF_INIT;
    struct set *set = fill(e, seed, seed % 2 ? 1000 : 1, n_packets);
    size_t table_len = column_encoder_finish(e, 0, &out);
    FILE *file = fopen(path, "w");
    struct section_list list;

    ck_assert(file && !section_list_parse(&list, out.data, table_len, NULL));
    for (size_t i = 0; i < list.n; i++) {
        const struct section *s = &list.sections[i];

        putc(s->id, file);
        putc((int) (s->raw_len >> 8), file);
        putc((int) (s->raw_len & 0xff), file);
        fwrite(out.data + table_len + s->offset, 1, s->raw_len, file);
    }
    fclose(file);
    byte_buf_uninit(&out);
    set_free(set);
    column_encoder_destroy(e);
}

START_TEST(a_corpus_is_written)
{
    for (uint64_t i = 1; i < 7; i++) {
        char *path = lh_asprintf("%s/flows-%d", getenv("LASTHOP_WRITE_CORPUS"),
                                 (int) i);

        write_corpus(path, i, i * i);
        free(path);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("history_columns");
    TCase *tc = tcase_create("all");

    tcase_add_loop_test(tc, what_goes_in_comes_out, 0, 6);
    tcase_add_test(tc, microseconds_are_kept_when_asked);
    tcase_add_test(tc, the_dictionary_tells_all_that_is_constant);
    tcase_add_loop_test(tc, flows_on_one_path_share_what_they_can, 0, 24);
    tcase_add_test(tc, damage_is_refused);
    tcase_add_test(tc, an_empty_one_is_read);
    if (getenv("LASTHOP_WRITE_CORPUS")) {
        tcase_add_test(tc, a_corpus_is_written);
    }
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
