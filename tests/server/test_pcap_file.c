/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of server/pcap_file, some of them against libpcap. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/pcap_file.h"

#define N_FRAMES 40
#define SECOND   UINT64_C(1000000000)
#define START_NS (UINT64_C(1700000000) * SECOND)
#define BIG      262144

static char path[] = "/tmp/test_pcap_file.XXXXXX";
static uint8_t noise[BIG];

/* How a file is written. */
struct kind {
    bool is_swapped, is_nano;
};

static void
put_u32(FILE *stream, const struct kind *kind, uint32_t value)
{
    if (kind->is_swapped) {
        value = __builtin_bswap32(value);
    }
    ck_assert_int_eq(fwrite(&value, sizeof value, 1, stream), 1);
}

static void
put_header(FILE *stream, const struct kind *kind, uint32_t snap,
           uint32_t link_type)
{
    uint16_t version[2] = {2, 4};

    if (kind->is_swapped) {
        version[0] = __builtin_bswap16(version[0]);
        version[1] = __builtin_bswap16(version[1]);
    }
    put_u32(stream, kind, kind->is_nano ? 0xa1b23c4d : 0xa1b2c3d4);
    ck_assert_int_eq(fwrite(version, sizeof version, 1, stream), 1);
    put_u32(stream, kind, 0);
    put_u32(stream, kind, 0);
    put_u32(stream, kind, snap);
    put_u32(stream, kind, link_type);
}

/* A frame of 'len' bytes of noise; its time is 'n' and a bit seconds. */
static void
put_frame(FILE *stream, const struct kind *kind, uint32_t n, uint32_t len)
{
    put_u32(stream, kind, (uint32_t) (START_NS / SECOND) + n);
    put_u32(stream, kind, n * 11);
    put_u32(stream, kind, len);
    put_u32(stream, kind, len + 5);
    ck_assert_int_eq(fwrite(noise + n, 1, len, stream), len);
}

static uint64_t
time_of(const struct kind *kind, uint32_t n)
{
    return START_NS + n * SECOND + n * 11 * (kind->is_nano ? 1u : 1000u);
}

static FILE *
create(void)
{
    FILE *stream = fopen(path, "w");

    ck_assert_ptr_nonnull(stream);
    return stream;
}

static void
set_up(void)
{
    for (size_t i = 0; i < sizeof noise; i++) {
        noise[i] = (uint8_t) (i * 2654435761u >> 11);
    }
}

/* Opens the file, which must be plain. */
static struct pcap_file *
open_plain(void)
{
    struct pcap_file *file;
    struct lh_error error;

    ck_assert_int_eq(pcap_file_open(path, &file, &error), 0);
    return file;
}

static void
check_frame(const struct pcap_file_frame *frame, uint64_t time_ns,
            const uint8_t *data, size_t len)
{
    ck_assert_uint_eq(frame->time_ns, time_ns);
    ck_assert_uint_eq(frame->len, len);
    ck_assert(!memcmp(frame->data, data, len));
}

/* Sizes from nothing to the largest, so that frames lie across pieces. */
static uint32_t
len_of(uint32_t n)
{
    return n == 7 ? BIG - N_FRAMES : n == 8 ? 0 : n * n * 173 % 70000;
}

START_TEST(every_kind_is_read_as_it_was_written)
{
    struct kind kind = {_i & 1, _i & 2};
    struct pcap_file_frame frame;
    FILE *stream = create();
    struct lh_error error;

    put_header(stream, &kind, BIG, 1);
    for (uint32_t i = 0; i < N_FRAMES; i++) {
        put_frame(stream, &kind, i, len_of(i));
    }
    fclose(stream);

    struct pcap_file *file = open_plain();

    for (uint32_t i = 0; i < N_FRAMES; i++) {
        ck_assert_int_eq(pcap_file_next(file, &frame, &error), 0);
        check_frame(&frame, time_of(&kind, i), noise + i, len_of(i));
    }
    ck_assert_int_eq(pcap_file_next(file, &frame, &error), ENODATA);
    ck_assert_int_eq(pcap_file_next(file, &frame, &error), ENODATA);
    pcap_file_close(file);
}
END_TEST

START_TEST(libpcap_reads_the_same)
{
    struct kind kind = {_i & 1, _i & 2};
    FILE *stream = create();

    /* A snap length of 100 cuts what is longer. */
    put_header(stream, &kind, _i & 4 ? 100 : 0, 1);
    for (uint32_t i = 0; i < N_FRAMES; i++) {
        put_frame(stream, &kind, i, len_of(i));
    }
    fclose(stream);

    char why[PCAP_ERRBUF_SIZE];
    pcap_t *pcap = pcap_open_offline_with_tstamp_precision(
        path, PCAP_TSTAMP_PRECISION_NANO, why);
    struct pcap_file *file = open_plain();
    struct pcap_file_frame frame;
    struct lh_error error;
    struct pcap_pkthdr *header;
    const u_char *data;
    size_t n = 0;

    ck_assert_ptr_nonnull(pcap);
    while (pcap_next_ex(pcap, &header, &data) == 1) {
        ck_assert_int_eq(pcap_file_next(file, &frame, &error), 0);
        check_frame(&frame,
                    (uint64_t) header->ts.tv_sec * SECOND +
                        (uint64_t) header->ts.tv_usec,
                    data, header->caplen);
        n++;
    }
    ck_assert_uint_eq(n, N_FRAMES);
    ck_assert_int_eq(pcap_file_next(file, &frame, &error), ENODATA);
    pcap_close(pcap);
    pcap_file_close(file);
}
END_TEST

START_TEST(a_cut_file_tells_where)
{
    struct kind kind = {false, true};
    FILE *stream = create();
    const uint32_t one = 16 + 50; /* Bytes of a frame in the file. */

    put_header(stream, &kind, BIG, 1);
    for (uint32_t i = 0; i < 3; i++) {
        put_frame(stream, &kind, i, 50);
    }
    fclose(stream);
    for (uint32_t len = 24 + 3 * one; len >= 24; len--) {
        uint32_t n_whole = (len - 24) / one, rest = (len - 24) % one;
        struct pcap_file_frame frame;
        struct lh_error error;
        char place[64];

        ck_assert_int_eq(truncate(path, len), 0);

        struct pcap_file *file = open_plain();

        for (uint32_t i = 0; i < n_whole; i++) {
            ck_assert_int_eq(pcap_file_next(file, &frame, &error), 0);
        }
        ck_assert_int_eq(pcap_file_next(file, &frame, &error),
                         rest ? EINVAL : ENODATA);
        if (rest) {
            snprintf(place, sizeof place, "ends at byte %u, inside %s %u", len,
                     rest < 16 ? "the header of a frame at byte"
                               : "a frame at byte",
                     24 + n_whole * one);
            ck_assert_msg(strstr(error.text, place), "%s", error.text);
        }
        pcap_file_close(file);
    }
}
END_TEST

START_TEST(a_frame_that_is_none_is_damage)
{
    struct kind kind = {false, false};
    struct pcap_file_frame frame;
    FILE *stream = create();
    struct lh_error error;

    put_header(stream, &kind, BIG, 1);
    put_frame(stream, &kind, 0, 10);
    put_u32(stream, &kind, 0);
    put_u32(stream, &kind, 0);
    put_u32(stream, &kind, BIG + 1);
    put_u32(stream, &kind, BIG + 1);
    fclose(stream);

    struct pcap_file *file = open_plain();

    ck_assert_int_eq(pcap_file_next(file, &frame, &error), 0);
    ck_assert_int_eq(pcap_file_next(file, &frame, &error), EINVAL);
    ck_assert_msg(strstr(error.text, "byte 50: no frame is 262145 bytes"),
                  "%s", error.text);
    pcap_file_close(file);
}
END_TEST

/* What was there is given, and then it is said; '_i' bytes into a page. */
START_TEST(a_file_that_is_cut_while_read_does_not_kill)
{
    struct kind kind = {false, false};
    struct pcap_file_frame frame;
    FILE *stream = create();
    struct lh_error error;
    uint32_t n = 0;
    int retval;

    put_header(stream, &kind, BIG, 1);
    for (uint32_t i = 0; i < N_FRAMES; i++) {
        put_frame(stream, &kind, i, 3000);
    }
    fclose(stream);

    struct pcap_file *file = open_plain();

    ck_assert_int_eq(pcap_file_next(file, &frame, &error), 0);
    ck_assert_int_eq(truncate(path, 40960 + _i), 0);
    do {
        retval = pcap_file_next(file, &frame, &error);
    } while (!retval && ++n < N_FRAMES);
    ck_assert_int_eq(retval, EINVAL);
    ck_assert_msg(strstr(error.text, "cut while it was read: it ends at byte"),
                  "%s", error.text);
    ck_assert_uint_ge(n, 40960 / 3016 - 1);
    ck_assert_uint_le(n, 40960 / 3016 + 1);
    pcap_file_close(file);
}
END_TEST

START_TEST(two_frames_of_a_window_stay)
{
    struct kind kind = {false, false};
    struct pcap_file_frame frames[2];
    FILE *stream = create();
    struct lh_error error;
    struct file_map *window;

    put_header(stream, &kind, BIG, 1);
    put_frame(stream, &kind, 0, 10);
    put_frame(stream, &kind, 1, 20);
    fclose(stream);

    struct pcap_file *file = open_plain();
    struct pcap_file *clone = pcap_file_clone(file, pcap_file_size(file));

    for (size_t i = 0; i < 2; i++) {
        ck_assert(pcap_file_has_next(clone) == (i != 0));
        ck_assert_int_eq(pcap_file_next(clone, &frames[i], &error), 0);
    }
    ck_assert(!pcap_file_has_next(clone));
    window = file_map_ref(pcap_file_window(clone));
    ck_assert_int_eq(pcap_file_next(clone, &frames[0], &error), ENODATA);
    pcap_file_close(clone);
    check_frame(&frames[1], time_of(&kind, 1), noise + 1, 20);
    ck_assert_uint_eq(pcap_file_time(file, frames[1].data), frames[1].time_ns);
    file_map_unref(window);
    pcap_file_close(file);
}
END_TEST

START_TEST(other_files_are_left_to_libpcap)
{
    struct kind kind = {false, false};
    struct pcap_file *file;
    struct lh_error error;
    FILE *stream = create();

    fclose(stream); /* Empty. */
    ck_assert_int_eq(pcap_file_open(path, &file, &error), ENOTSUP);

    stream = create();
    put_header(stream, &kind, BIG, 113); /* Linux cooked capture. */
    fclose(stream);
    ck_assert_int_eq(pcap_file_open(path, &file, &error), ENOTSUP);

    stream = create();
    put_u32(stream, &kind, 0x0a0d0d0a); /* pcapng. */
    put_header(stream, &kind, BIG, 1);
    fclose(stream);
    ck_assert_int_eq(pcap_file_open(path, &file, &error), ENOTSUP);

    ck_assert_int_eq(pcap_file_open("/tmp", &file, &error), ENOTSUP);
    ck_assert_int_eq(pcap_file_open("/nowhere/x", &file, &error), ENOENT);
    ck_assert_ptr_null(file);
    ck_assert_str_eq(error.text, "/nowhere/x: No such file or directory");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("pcap_file");
    TCase *tcase = tcase_create("core");
    int fd = mkstemp(path);

    if (fd < 0) {
        abort();
    }
    close(fd);
    tcase_add_unchecked_fixture(tcase, set_up, NULL);
    tcase_add_loop_test(tcase, every_kind_is_read_as_it_was_written, 0, 4);
    tcase_add_loop_test(tcase, libpcap_reads_the_same, 0, 8);
    tcase_add_test(tcase, a_cut_file_tells_where);
    tcase_add_test(tcase, a_frame_that_is_none_is_damage);
    tcase_add_loop_test(tcase, a_file_that_is_cut_while_read_does_not_kill, 0,
                        3);
    tcase_add_test(tcase, two_frames_of_a_window_stay);
    tcase_add_test(tcase, other_files_are_left_to_libpcap);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    unlink(path);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
