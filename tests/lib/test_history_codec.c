/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/history_codec. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/history_codec.h"
#include "lib/lh_alloc.h"
#include "tests/lib/random_history.h"

#define NOW_NS 1700000000000000000ull

/* Encodes 'n' random histories. */
static struct history **
encode_random(uint64_t seed, size_t n, size_t max_hops, struct byte_buf *out)
{
    struct history **all = lh_alloc_array(NULL, n, sizeof *all);
    struct history_encoder *e = history_encoder_create();

    for (size_t i = 0; i < n; i++) {
        all[i] = random_history(&seed, max_hops, NOW_NS + i * 1000);
        ck_assert_int_eq(history_encoder_add(e, all[i]), 0);
    }
    ck_assert_uint_eq(history_encoder_totals(e)->n_records, n);
    history_encoder_finish(e, out);
    ck_assert_uint_le(out->len, history_encoder_totals(e)->size);
    history_encoder_destroy(e);
    return all;
}

static void
destroy_all(struct history **all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        history_destroy(all[i]);
    }
    free(all);
}

START_TEST(every_member_comes_back)
{
    struct byte_buf buf = BYTE_BUF_INIT;
    size_t n = 500;
    struct history **all = encode_random((uint64_t) _i, n, 12, &buf);
    struct history_decoder *d;
    struct history_record record;
    struct lh_error error;

    ck_assert_int_eq(history_decoder_create(buf.data, buf.len, &d, &error), 0);
    for (size_t i = 0; i < n; i++) {
        struct history *h;

        ck_assert_int_eq(history_decoder_next(d, &record, &error), 0);
        ck_assert_uint_eq(record.first_ns, history_first_ns(all[i]));
        ck_assert_uint_eq(record.last_ns, history_last_ns(all[i]));
        ck_assert_int_eq(history_decoder_read(d, record.offset, &h, &error),
                         0);
        ck_assert(history_is_same(h, all[i]));
        history_destroy(h);
    }
    ck_assert_int_eq(history_decoder_next(d, &record, &error), ENODATA);
    history_decoder_destroy(d);
    byte_buf_uninit(&buf);
    destroy_all(all, n);
}
END_TEST

START_TEST(a_form_adds_what_its_history_would)
{
    struct byte_buf expected = BYTE_BUF_INIT, buf = BYTE_BUF_INIT;
    size_t n = 300;
    struct history **all = encode_random((uint64_t) _i, n, 12, &expected);
    struct history_encoder *e = history_encoder_create();

    for (size_t i = 0; i < n; i++) {
        struct history_form *form = history_form_create(all[i]);

        ck_assert_ptr_nonnull(form);
        history_encoder_add_form(e, form);
        history_form_destroy(form);
    }
    ck_assert_uint_eq(history_encoder_totals(e)->n_records, n);
    ck_assert_uint_ge(history_encoder_totals(e)->size, expected.len);
    history_encoder_finish(e, &buf);
    ck_assert_uint_eq(buf.len, expected.len);
    ck_assert_mem_eq(buf.data, expected.data, buf.len);
    history_encoder_destroy(e);
    byte_buf_uninit(&expected);
    byte_buf_uninit(&buf);
    destroy_all(all, n);
}
END_TEST

START_TEST(totals_count_what_was_added)
{
    struct history_encoder *e = history_encoder_create();
    const struct history_encoder_totals *totals = history_encoder_totals(e);
    struct history *late = line_history(1, 3, NOW_NS + 5000, 64);
    struct history *early = line_history(2, 2, NOW_NS, 64);

    ck_assert_int_eq(history_encoder_add(e, late), 0);
    ck_assert_int_eq(history_encoder_add(e, early), 0);
    ck_assert_uint_eq(totals->n_records, 2);
    ck_assert_uint_eq(totals->n_hops, 5);
    ck_assert_uint_eq(totals->min_ns, NOW_NS);
    ck_assert_uint_eq(totals->max_ns, NOW_NS + 7000);
    history_encoder_reset(e);
    ck_assert_uint_eq(totals->n_records, 0);
    ck_assert_int_eq(history_encoder_add(e, early), 0);
    ck_assert_uint_eq(totals->max_ns, NOW_NS + 1000);
    history_destroy(late);
    history_destroy(early);
    history_encoder_destroy(e);
}
END_TEST

/* A hop that was not observed has no time, which is not an early one. */
START_TEST(a_hop_without_time_is_not_the_first)
{
    struct history_encoder *e = history_encoder_create();
    struct byte_buf payload = BYTE_BUF_INIT;
    struct history *h = history_create(1), *back;
    struct history_decoder *d;
    struct history_record record;

    history_add_hop(h)->time_ns = 1000;
    history_add_hop(h)->parent = 0;
    history_add_hop(h)->parent = 1;
    h->hops[2].time_ns = 3000;
    ck_assert(!history_encoder_add(e, h));
    ck_assert_uint_eq(history_encoder_totals(e)->min_ns, 1000);
    ck_assert_uint_eq(history_encoder_totals(e)->max_ns, 3000);
    history_encoder_finish(e, &payload);
    ck_assert(!history_decoder_create(payload.data, payload.len, &d, NULL));
    ck_assert(!history_decoder_next(d, &record, NULL));
    ck_assert_uint_eq(record.first_ns, 1000);
    ck_assert_uint_eq(record.last_ns, 3000);
    ck_assert(!history_decoder_read(d, record.offset, &back, NULL));
    ck_assert_uint_eq(back->hops[0].time_ns, 1000);
    ck_assert_uint_eq(back->hops[1].time_ns, 0);
    ck_assert_uint_eq(back->hops[2].time_ns, 3000);
    history_destroy(back);
    history_destroy(h);
    history_decoder_destroy(d);
    history_encoder_destroy(e);
    byte_buf_uninit(&payload);
}
END_TEST

/* Encodes 'before', if any, and 'h'; appends the key of 'h'. */
static void
put_key(const struct history *before, const struct history *h,
        struct byte_buf *key)
{
    struct history_encoder *e = history_encoder_create();
    struct byte_buf payload = BYTE_BUF_INIT;
    struct history_decoder *d;
    struct history_record record;

    if (before) {
        ck_assert(!history_encoder_add(e, before));
    }
    ck_assert(!history_encoder_add(e, h));
    history_encoder_finish(e, &payload);
    ck_assert(!history_decoder_create(payload.data, payload.len, &d, NULL));
    if (before) {
        ck_assert(!history_decoder_next(d, &record, NULL));
    }
    ck_assert(!history_decoder_next(d, &record, NULL));
    ck_assert(history_decoder_key(d, record.offset, key));
    history_decoder_destroy(d);
    history_encoder_destroy(e);
    byte_buf_uninit(&payload);
}

static bool
is_same_key(const struct byte_buf *a, const struct byte_buf *b)
{
    return a->len == b->len && !memcmp(a->data, b->data, a->len);
}

/* Whatever switches stand before it in the dictionary, and whenever it
 * began. */
START_TEST(a_history_has_one_key_in_all_payloads)
{
    uint64_t seed = (uint64_t) _i + 50;

    for (int i = 0; i < 300; i++) {
        struct history *h = random_history(&seed, 12, NOW_NS);
        struct history *before = random_history(&seed, 12, NOW_NS);
        struct byte_buf keys[3] = {BYTE_BUF_INIT, BYTE_BUF_INIT,
                                   BYTE_BUF_INIT};
        bool is_timed = true;

        put_key(NULL, h, &keys[0]);
        put_key(before, h, &keys[1]);
        ck_assert(is_same_key(&keys[0], &keys[1]));
        for (size_t k = 0; k < h->n_hops; k++) {
            is_timed = is_timed && h->hops[k].time_ns;
            h->hops[k].time_ns += 123456789;
        }
        if (is_timed) {
            put_key(before, h, &keys[2]);
            ck_assert(is_same_key(&keys[0], &keys[2]));
        }
        for (size_t k = 0; k < 3; k++) {
            byte_buf_uninit(&keys[k]);
        }
        history_destroy(before);
        history_destroy(h);
    }
}
END_TEST

START_TEST(another_history_has_another_key)
{
    struct byte_buf keys[2] = {BYTE_BUF_INIT, BYTE_BUF_INIT};
    struct history *h = line_history(7, 4, NOW_NS, 40);
    size_t n = 0;

    put_key(NULL, h, &keys[0]);
    for (int i = 0; i < 12; i++) {
        struct history *other = history_clone(h);
        struct history_hop *hop = &other->hops[2];

        switch (i) {
        case 0:
            hop->dpid++;
            break;
        case 1:
            hop->in_port++;
            break;
        case 2:
            hop->out_ports[0]++;
            break;
        case 3:
            hop->versions[0]++;
            break;
        case 4:
            hop->header[39]++;
            break;
        case 5:
            hop->is_deduced = true;
            break;
        case 6:
            verdict_set(&hop->verdict, VERDICT_DROPPED, 3, 4, "full");
            break;
        case 7:
            hop->parent = 0;
            break;
        case 8:
            other->packet_id++;
            break;
        case 9:
            other->verdict.dpid++;
            break;
        case 10:
            history_hop_add_out(hop, 9);
            break;
        default:
            history_add_hop(other)->time_ns = NOW_NS;
            break;
        }
        byte_buf_clear(&keys[1]);
        put_key(NULL, other, &keys[1]);
        ck_assert_msg(!is_same_key(&keys[0], &keys[1]), "change %d", i);
        history_destroy(other);
        n++;
    }
    ck_assert_uint_eq(n, 12);
    history_destroy(h);
    byte_buf_uninit(&keys[0]);
    byte_buf_uninit(&keys[1]);
}
END_TEST

START_TEST(too_big_is_refused_and_nothing_added)
{
    struct history_encoder *e = history_encoder_create();
    struct history *h = history_create(1);

    for (size_t i = 0; i <= HISTORY_CODEC_MAX_HOPS; i++) {
        history_add_hop(h);
    }
    ck_assert_int_eq(history_encoder_add(e, h), EFBIG);
    ck_assert_uint_eq(history_encoder_totals(e)->n_records, 0);
    history_destroy(h);
    history_encoder_destroy(e);
}
END_TEST

/* Reads all that can be read; it must end, and not read out of bounds (which
 * the sanitizer builds see). */
static size_t
read_all(const uint8_t *data, size_t len)
{
    struct history_decoder *d;
    struct history_record record;
    size_t n = 0;

    /* A copy of exactly this size, so that a read past it is found. */
    uint8_t *copy = lh_memdup(data, len);

    if (!history_decoder_create(copy, len, &d, NULL)) {
        while (!history_decoder_next(d, &record, NULL)) {
            struct history *h;

            if (!history_decoder_read(d, record.offset, &h, NULL)) {
                n++;
                history_destroy(h);
            }
        }
        history_decoder_destroy(d);
    }
    free(copy);
    return n;
}

START_TEST(any_cut_is_survived)
{
    struct byte_buf buf = BYTE_BUF_INIT;
    struct history **all = encode_random(7, 20, 6, &buf);

    for (size_t len = 0; len < buf.len; len++) {
        ck_assert_uint_lt(read_all(buf.data, len), 20);
    }
    ck_assert_uint_eq(read_all(buf.data, buf.len), 20);
    byte_buf_uninit(&buf);
    destroy_all(all, 20);
}
END_TEST

START_TEST(any_flipped_bit_is_survived)
{
    struct byte_buf buf = BYTE_BUF_INIT;
    struct history **all = encode_random(8, 10, 6, &buf);

    for (size_t i = 0; i < buf.len * 8; i++) {
        buf.data[i / 8] ^= (uint8_t) (1u << (i % 8));
        read_all(buf.data, buf.len);
        buf.data[i / 8] ^= (uint8_t) (1u << (i % 8));
    }
    ck_assert_uint_eq(read_all(buf.data, buf.len), 10);
    byte_buf_uninit(&buf);
    destroy_all(all, 10);
}
END_TEST

START_TEST(an_offset_that_is_no_record_is_an_error)
{
    struct byte_buf buf = BYTE_BUF_INIT;
    struct history **all = encode_random(9, 3, 6, &buf);
    struct history_decoder *d;
    struct history *h;
    struct lh_error error = {.text = ""};

    ck_assert_int_eq(history_decoder_create(buf.data, buf.len, &d, &error), 0);
    ck_assert_int_eq(history_decoder_read(d, buf.len + 100, &h, &error),
                     EBADMSG);
    ck_assert_ptr_null(h);
    ck_assert_str_ne(error.text, "");
    history_decoder_destroy(d);
    byte_buf_uninit(&buf);
    destroy_all(all, 3);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("history_codec");
    TCase *tc = tcase_create("all");

    tcase_add_loop_test(tc, every_member_comes_back, 0, 10);
    tcase_add_loop_test(tc, a_form_adds_what_its_history_would, 0, 4);
    tcase_add_test(tc, totals_count_what_was_added);
    tcase_add_test(tc, a_hop_without_time_is_not_the_first);
    tcase_add_loop_test(tc, a_history_has_one_key_in_all_payloads, 0, 4);
    tcase_add_test(tc, another_history_has_another_key);
    tcase_add_test(tc, too_big_is_refused_and_nothing_added);
    tcase_add_test(tc, any_cut_is_survived);
    tcase_add_test(tc, any_flipped_bit_is_survived);
    tcase_add_test(tc, an_offset_that_is_no_record_is_an_error);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
