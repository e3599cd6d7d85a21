/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/history_batch: what goes in comes out, and damage is
 * refused. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/history_batch.h"
#include "lib/lh_alloc.h"
#include "tests/lib/flow_fixture.h"
#include "tests/lib/random_history.h"

#define NOW_NS  1700000000000000000ull
#define N_FLOWS 40
#define N_MAX   6000

#define GOLDEN "tests/lib/golden/histories-v%u.hex"

static struct packet_id_config config = {1234, 40};
static struct history *all[N_MAX]; /* What was added and not found again. */
static size_t n_all;
static uint64_t n_left_out; /* Of all together. */

static struct history_batch_writer *
create_writer(unsigned int version)
{
    struct history_batch_writer *w = history_batch_writer_create(&config);

    history_batch_writer_set_version(w, version);
    return w;
}

static void
take_off(const struct history *h)
{
    for (size_t i = 0; i < n_all; i++) {
        if (all[i] && all[i]->n_hops == h->n_hops &&
            all[i]->packet_id == h->packet_id &&
            history_first_ns(all[i]) == history_first_ns(h)) {
            ck_assert_msg(history_is_same(all[i], h), "history %zu", i);
            history_destroy(all[i]);
            all[i] = NULL;
            return;
        }
    }
    ck_abort_msg("a history that was never added");
}

/* Adds 'n' histories of flows, and any others between them: some as packets
 * whose trajectory is known. */
static void
fill(struct history_batch_writer *w, uint64_t seed, size_t n)
{
    struct flow *flows = lh_alloc_zero(N_FLOWS * sizeof *flows);

    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_init(&flows[i], &seed, NOW_NS);
    }
    n_all = 0;
    n_left_out = 0;
    for (size_t i = 0; i < n; i++) {
        struct flow *flow = &flows[random_u32(&seed) % N_FLOWS];
        struct history *h =
            random_u32(&seed) % 20
                ? flow_next(flow, &seed, seed % 2 ? 1000 : 1, &config)
                : random_history(&seed, 6, NOW_NS);
        struct trajectory_packet packet;
        uint64_t times_ns[FLOW_MAX_HOPS];
        struct trajectory *t =
            i % 2 && h->n_hops && h->n_hops <= FLOW_MAX_HOPS && i % 20
                ? flow_trajectory(flow, h, &packet, times_ns)
                : NULL;

        h->left_out = i % 5 ? (uint32_t) (seed % 3) : 0;
        packet.left_out = h->left_out;
        n_left_out += h->left_out;
        ck_assert_int_eq(t ? history_batch_writer_add_packet(w, t, &packet)
                           : history_batch_writer_add(w, h),
                         0);
        all[n_all++] = h;
    }
    ck_assert_uint_eq(history_batch_writer_n(w), n);
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_uninit(&flows[i]);
    }
    free(flows);
}

static void
read_again(const struct byte_buf *out)
{
    struct history_batch_reader *r = history_batch_reader_create();
    struct lh_error error = {.text = "-"};
    struct history_batch_item item;
    size_t n = 0;
    int retval;

    ck_assert_msg(!history_batch_reader_open(r, out->data, out->len, &error),
                  "%s", error.text);
    ck_assert_uint_eq(history_batch_reader_n(r), n_all);
    while (!(retval = history_batch_reader_next(r, &item, &error))) {
        n_left_out -= history_batch_reader_history(r, &item)->left_out;
        take_off(history_batch_reader_history(r, &item));
        n++;
    }
    ck_assert_int_eq(retval, ENODATA);
    ck_assert_int_eq(history_batch_reader_next(r, &item, &error), ENODATA);
    ck_assert_uint_eq(n, n_all);
    ck_assert_uint_eq(n_left_out, 0);
    history_batch_reader_destroy(r);
}

START_TEST(what_goes_in_comes_out)
{
    struct history_batch_writer *w = create_writer(1 + (unsigned int) _i % 2);
    struct byte_buf out = BYTE_BUF_INIT;

    /* One writer, many batches, also an empty one. */
    for (size_t n = 0; n < 400; n = n * 3 + 1) {
        byte_buf_clear(&out);
        fill(w, (uint64_t) _i * 10 + n + 1, n);
        ck_assert_int_eq(history_batch_writer_finish(w, &out, NULL), 0);
        ck_assert_uint_eq(history_batch_writer_n(w), 0);
        ck_assert_uint_eq(out.data[0], 1 + _i % 2);
        read_again(&out);
    }
    byte_buf_uninit(&out);
    history_batch_writer_destroy(w);
}
END_TEST

/* One reader of many batches of the same flows makes each trajectory once, and
 * of more than it remembers each comes out all the same. */
START_TEST(a_reader_remembers_trajectories)
{
    struct history_batch_writer *w = history_batch_writer_create(&config);
    struct history_batch_reader *r = history_batch_reader_create();
    struct trajectory *known[2][N_FLOWS] = {{NULL}};
    struct byte_buf out = BYTE_BUF_INIT;
    struct history_batch_item item;
    struct lh_error error;

    for (uint64_t i = 0; i < 600; i++) {
        /* Each seed has flows of its own; the first comes back. */
        bool is_first = i < 2;
        struct trajectory *last = NULL;
        size_t n_known = 0;

        byte_buf_clear(&out);
        fill(w, is_first ? 1 : i, 60);
        ck_assert_int_eq(history_batch_writer_finish(w, &out, NULL), 0);
        ck_assert_int_eq(
            history_batch_reader_open(r, out.data, out.len, &error), 0);
        while (!history_batch_reader_next(r, &item, &error)) {
            take_off(history_batch_reader_history(r, &item));
            if (is_first && item.trajectory && item.trajectory != last) {
                ck_assert_uint_lt(n_known, N_FLOWS);
                known[i][n_known++] = last = item.trajectory;
            }
        }
        for (size_t k = 0; k < n_all; k++) {
            ck_assert_ptr_null(all[k]);
        }
    }
    ck_assert_ptr_nonnull(known[0][0]);
    ck_assert_mem_eq(known[0], known[1], sizeof known[0]);
    byte_buf_uninit(&out);
    history_batch_reader_destroy(r);
    history_batch_writer_destroy(w);
}
END_TEST

/* A full batch says so before it is too long, and takes more after. */
START_TEST(a_full_one_is_finished_first)
{
    struct history_batch_writer *w = history_batch_writer_create(&config);
    struct byte_buf out = BYTE_BUF_INIT;
    uint64_t seed = 5;
    int n_full = 0;

    n_all = 0;
    while (n_full < 3) {
        struct history *h = random_history(&seed, 60, NOW_NS);
        int retval = history_batch_writer_add(w, h);

        if (retval) {
            ck_assert_int_eq(retval, ENOBUFS);
            byte_buf_clear(&out);
            ck_assert_int_eq(history_batch_writer_finish(w, &out, NULL), 0);
            ck_assert_uint_le(out.len, HISTORY_BATCH_MAX_SIZE);
            read_again(&out);
            n_all = 0;
            n_full++;
            ck_assert_int_eq(history_batch_writer_add(w, h), 0);
        }
        all[n_all++] = h;
        ck_assert_uint_lt(n_all, N_MAX);
    }
    while (n_all--) {
        history_destroy(all[n_all]);
    }
    byte_buf_uninit(&out);
    history_batch_writer_destroy(w);
}
END_TEST

/* What no message can hold is refused whole. */
START_TEST(one_that_is_too_large_is_refused)
{
    struct history_batch_writer *w = create_writer((unsigned int) _i);
    struct history *h = history_create(0);
    struct byte_buf out = BYTE_BUF_INIT;
    struct lh_error error = {.text = "-"};
    uint8_t header[1500];
    uint64_t seed = 7;

    for (int i = 0; i < 700; i++) {
        for (size_t j = 0; j < sizeof header; j++) {
            header[j] = (uint8_t) random_u32(&seed);
        }
        history_hop_set_header(history_add_hop(h), header, sizeof header);
    }
    byte_buf_put_u8(&out, 42);
    ck_assert_int_eq(history_batch_writer_add(w, h), 0);
    ck_assert_int_eq(history_batch_writer_finish(w, &out, &error), EFBIG);
    ck_assert_ptr_nonnull(strstr(error.text, "too large"));
    ck_assert_uint_eq(out.len, 1);
    ck_assert_uint_eq(history_batch_writer_n(w), 0);
    history_destroy(h);
    byte_buf_uninit(&out);
    history_batch_writer_destroy(w);
}
END_TEST

static int
read_all(const uint8_t *data, size_t len)
{
    struct history_batch_reader *r = history_batch_reader_create();
    struct lh_error error = {.text = ""};
    struct history_batch_item item;
    int retval = history_batch_reader_open(r, data, len, &error);

    while (!retval) {
        retval = history_batch_reader_next(r, &item, &error);
        if (!retval) {
            history_batch_reader_history(r, &item);
        }
    }
    ck_assert(retval == ENODATA || (retval == EBADMSG && error.text[0]));
    history_batch_reader_destroy(r);
    return retval;
}

START_TEST(damage_is_refused)
{
    struct history_batch_writer *w = create_writer((unsigned int) _i);
    struct byte_buf out = BYTE_BUF_INIT;
    uint64_t seed = 9;
    int n_refused = 0;

    fill(w, 3, 60);
    ck_assert_int_eq(history_batch_writer_finish(w, &out, NULL), 0);
    for (int i = 0; i < 800; i++) {
        size_t at = random_u32(&seed) % out.len;
        uint8_t *copy = lh_memdup(out.data, out.len);

        copy[at] ^= (uint8_t) (1 << random_u32(&seed) % 8);
        n_refused += read_all(copy, out.len) == EBADMSG;
        free(copy);
        copy = lh_memdup(out.data, at + 1);
        ck_assert_int_eq(read_all(copy, at), EBADMSG);
        free(copy);
    }
    /* zstd's last bits may have no meaning. */
    ck_assert_int_ge(n_refused, 780);
    while (n_all--) {
        history_destroy(all[n_all]);
    }
    byte_buf_uninit(&out);
    history_batch_writer_destroy(w);
}
END_TEST

/* More histories, or fewer, than it says. */
START_TEST(a_wrong_number_is_refused)
{
    struct history_batch_writer *w = create_writer((unsigned int) _i);
    struct byte_buf out = BYTE_BUF_INIT;

    fill(w, 4, 30);
    ck_assert_int_eq(history_batch_writer_finish(w, &out, NULL), 0);
    ck_assert_int_eq(read_all(out.data, out.len), ENODATA);
    for (uint32_t n = 29; n <= 31; n += 2) {
        if (_i == 1) {
            bytes_put_be32(out.data + 2, n);
        } else {
            out.data[9] = (uint8_t) n;
            bytes_put_be64(out.data + 1, XXH64(out.data + 9, out.len - 9, 0));
        }
        ck_assert_int_eq(read_all(out.data, out.len), EBADMSG);
    }
    while (n_all--) {
        history_destroy(all[n_all]);
    }
    byte_buf_uninit(&out);
    history_batch_writer_destroy(w);
}
END_TEST

/* Tables of sections that are none, with the checksum they should have. */
START_TEST(a_wrong_table_is_refused)
{
    struct history_batch_writer *w = create_writer(2);
    struct byte_buf out = BYTE_BUF_INIT;
    uint64_t seed = 11;
    int n_refused = 0;

    fill(w, 4, 60);
    ck_assert_int_eq(history_batch_writer_finish(w, &out, NULL), 0);
    for (int i = 0; i < 2000; i++) {
        size_t at = 9 + random_u32(&seed) % 100;
        uint8_t *copy = lh_memdup(out.data, out.len);

        copy[at] ^= (uint8_t) (1 + random_u32(&seed) % 255);
        bytes_put_be64(copy + 1, XXH64(copy + 9, out.len - 9, 0));
        n_refused += read_all(copy, out.len) == EBADMSG;
        free(copy);
    }
    /* Lengths that fit by chance, and the order of sections. */
    ck_assert_int_ge(n_refused, 1500);
    while (n_all--) {
        history_destroy(all[n_all]);
    }
    byte_buf_uninit(&out);
    history_batch_writer_destroy(w);
}
END_TEST

/* What each version wrote is read for good. */
START_TEST(what_was_written_once_is_read)
{
    struct history_batch_writer *w = create_writer((unsigned int) _i);
    static char text[1u << 16]; /* Zeros. */
    static uint8_t data[1u << 15];
    struct byte_buf out = BYTE_BUF_INIT;
    char *name = lh_asprintf("%s/" GOLDEN, getenv("srcdir"), _i);
    FILE *file;
    size_t len;

    fill(w, 21, 100);
    if (getenv("GOLDEN_UPDATE")) {
        ck_assert_int_eq(history_batch_writer_finish(w, &out, NULL), 0);
        ck_assert_uint_lt(2 * out.len, sizeof text);
        bytes_to_hex(out.data, out.len, text);
        file = fopen(name, "w");
        ck_assert_ptr_nonnull(file);
        ck_assert_int_gt(fprintf(file, "%s\n", text), 0);
        fclose(file);
        byte_buf_clear(&out);
    }
    file = fopen(name, "r");
    ck_assert_ptr_nonnull(file);
    len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[strcspn(text, "\n")] = '\0';
    len = bytes_from_hex(text, data, sizeof data);
    ck_assert_uint_ne(len, SIZE_MAX);
    ck_assert_uint_eq(data[0], _i);
    byte_buf_put(&out, data, len);
    read_again(&out);
    byte_buf_uninit(&out);
    history_batch_writer_destroy(w);
    free(name);
}
END_TEST

/* Writes what fuzz_history_batch takes. */
START_TEST(a_corpus_is_written)
{
    struct history_batch_writer *w = history_batch_writer_create(&config);

    for (size_t i = 5; i < 10; i++) {
        char *path =
            lh_asprintf("%s/batch-%zu", getenv("LASTHOP_WRITE_CORPUS"), i + 1);
        struct byte_buf out = BYTE_BUF_INIT;
        FILE *file = fopen(path, "w");

        fill(w, i + 1, (i - 5) * (i - 5));
        ck_assert_int_eq(history_batch_writer_finish(w, &out, NULL), 0);
        ck_assert(file && fwrite(out.data, 1, out.len, file) == out.len);
        fclose(file);
        while (n_all--) {
            history_destroy(all[n_all]);
        }
        byte_buf_uninit(&out);
        free(path);
    }
    history_batch_writer_destroy(w);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("history_batch");
    TCase *tc = tcase_create("all");

    tcase_add_loop_test(tc, what_goes_in_comes_out, 0, 4);
    tcase_add_test(tc, a_reader_remembers_trajectories);
    tcase_add_test(tc, a_full_one_is_finished_first);
    tcase_add_loop_test(tc, one_that_is_too_large_is_refused, 1, 3);
    tcase_add_loop_test(tc, damage_is_refused, 1, 3);
    tcase_add_loop_test(tc, a_wrong_number_is_refused, 1, 3);
    tcase_add_test(tc, a_wrong_table_is_refused);
    tcase_add_loop_test(tc, what_was_written_once_is_read, 1, 3);
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
