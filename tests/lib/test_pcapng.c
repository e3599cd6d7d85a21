/* SPDX-License-Identifier: Apache-2.0 */
/* test_pcapng - the capture file is written as docs/formats/pcapng.md says. */
#include <config.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/pcapng.h"
#include "tests/lib/golden.h"

static uint16_t
get_u16(const uint8_t *data)
{
    uint16_t value;

    memcpy(&value, data, sizeof value);
    return value;
}

static bool
is_big_endian(void)
{
    return get_u16((const uint8_t[]){1, 0}) != 1;
}

/* The bytes as hex, a block a line. */
static char *
blocks_to_text(const struct byte_buf *buf)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    for (size_t ofs = 0; ofs < buf->len;) {
        uint32_t len, again;

        memcpy(&len, buf->data + ofs + 4, sizeof len);

        ck_assert_uint_ge(len, 12);
        ck_assert_uint_eq(len % 4, 0);
        ck_assert_uint_le(len, buf->len - ofs);
        memcpy(&again, buf->data + ofs + len - 4, sizeof again);
        ck_assert_uint_eq(again, len);
        for (uint32_t i = 0; i < len; i++) {
            fprintf(out, "%02x", buf->data[ofs + i]);
        }
        fputc('\n', out);
        ofs += len;
    }
    fclose(out);
    return text;
}

START_TEST(every_block_is_as_documented)
{
    static const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7};
    struct byte_buf buf = BYTE_BUF_INIT;
    struct pcapng_packet packet = {
        .time_ns = UINT64_C(1700000000123456789),
        .data = data,
        .caplen = sizeof data,
        .len = 60,
        .direction = PCAPNG_INBOUND,
        .has_packet_id = true,
        .packet_id = UINT64_C(0xfedcba9876543210),
        .comment = "path: s1 > s2",
    };
    char *text;

    pcapng_put_section(&buf, "netshark", "a filter");
    pcapng_put_interface(&buf, "s1:eth1", "port 1");
    pcapng_put_interface(&buf, "s2:eth1", NULL);
    pcapng_put_packet(&buf, &packet);
    packet =
        (struct pcapng_packet){.interface = 1, .direction = PCAPNG_OUTBOUND};
    pcapng_put_packet(&buf, &packet);
    packet.direction = PCAPNG_UNKNOWN;
    pcapng_put_packet(&buf, &packet);
    text = blocks_to_text(&buf);
    /* The golden file is of the more common byte order. */
    if (!is_big_endian()) {
        golden_check("pcapng.txt", text);
    }
    free(text);
    byte_buf_uninit(&buf);
}
END_TEST

START_TEST(a_long_comment_is_cut_between_characters)
{
    struct byte_buf buf = BYTE_BUF_INIT;
    char *comment = lh_alloc_zero(70001);
    size_t ofs = 28; /* Of the first option of a packet without bytes. */

    /* 65535 is the second byte of a character of two. */
    comment[0] = 'x';
    for (size_t i = 1; i < 70000; i += 2) {
        memcpy(comment + i, "\xc3\xa9", i + 1 < 70000 ? 2 : 1);
    }
    pcapng_put_packet(&buf, &(struct pcapng_packet){.comment = comment});
    ck_assert_uint_eq(get_u16(buf.data + ofs), 1);
    ck_assert_uint_eq(get_u16(buf.data + ofs + 2), 65535);
    byte_buf_clear(&buf);
    pcapng_put_packet(&buf, &(struct pcapng_packet){.comment = comment + 1});
    ck_assert_uint_eq(get_u16(buf.data + ofs + 2), 65534);
    free(blocks_to_text(&buf));
    free(comment);
    byte_buf_uninit(&buf);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("pcapng");
    TCase *tcase = tcase_create("pcapng");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_add_test(tcase, every_block_is_as_documented);
    tcase_add_test(tcase, a_long_comment_is_cut_between_characters);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
