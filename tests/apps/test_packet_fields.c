/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of apps/packet_fields: header fields and their places. */
#include <config.h>
#include "apps/packet_fields.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/frame.h"

static struct packet_field fields[PACKET_FIELDS_MAX];

static struct frame
make_frame(void)
{
    struct frame f = frame_eth(0x0800);

    frame_ip4(&f, 6, 64, "10.0.0.5", "203.0.113.9");
    frame_tcp(&f, 4321, 80, 1000, 0, 2);
    frame_text(&f, "hello");
    frame_finish(&f);
    return f;
}

START_TEST(fields_have_their_places_and_values)
{
    static const struct {
        const char *name;
        size_t ofs, len;
        const char *value;
    } wanted[] = {
        {"eth.dst", 0, 6, "02:00:00:00:00:02"},
        {"eth.type", 12, 2, "0x0800"},
        {"ip.ver", 14, 1, "4"},
        {"ip.ttl", 22, 1, "64"},
        {"ip.src", 26, 4, "10.0.0.5"},
        {"tcp.dst", 36, 2, "80"},
        {"tcp.seq", 38, 4, "1000"},
        {"tcp.flags", 47, 1, "S"},
        {"payload", 54, 5, "5 bytes"},
    };
    struct frame f = make_frame();
    size_t n = packet_fields_find(f.data, f.len, fields);

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const struct packet_field *field =
            packet_fields_named(fields, n, wanted[i].name);

        ck_assert_msg(field != NULL, "no %s", wanted[i].name);
        ck_assert_uint_eq(field->ofs, wanted[i].ofs);
        ck_assert_uint_eq(field->len, wanted[i].len);
        ck_assert_str_eq(field->value, wanted[i].value);
    }
    ck_assert_ptr_null(packet_fields_named(fields, n, "udp.src"));
}
END_TEST

/* Nothing is read, or said to be, behind the end of what was captured. */
START_TEST(captures_that_are_cut_short_have_what_is_whole)
{
    struct frame f = make_frame();

    for (size_t len = 0; len <= f.len; len++) {
        uint8_t *copy = malloc(len + !len);
        size_t n;

        memcpy(copy, f.data, len);
        n = packet_fields_find(copy, len, fields);
        for (size_t i = 0; i < n; i++) {
            ck_assert_uint_le(fields[i].ofs + fields[i].len, len);
            ck_assert_str_ne(fields[i].value, "");
        }
        free(copy);
    }
}
END_TEST

/* Bytes of any kind: a small generator of them, always the same. */
START_TEST(no_bytes_lead_astray)
{
    uint32_t random = 1;
    uint8_t data[96];

    for (int round = 0; round < 20000; round++) {
        size_t len, n;

        for (size_t i = 0; i < sizeof data; i++) {
            random = random * 1664525 + 1013904223;
            data[i] = (uint8_t) (random >> 24);
        }
        /* Half of them claim to be something that is looked into. */
        if (round % 2) {
            static const uint8_t types[][2] = {
                {8, 0}, {0x86, 0xdd}, {0x81, 0}, {0x88, 0x47}, {8, 6}};

            memcpy(data + 12, types[random % 5], 2);
        }
        len = random % (sizeof data + 1);
        n = packet_fields_find(data, len, fields);
        ck_assert_uint_le(n, PACKET_FIELDS_MAX);
        for (size_t i = 0; i < n; i++) {
            ck_assert_uint_le(fields[i].ofs + fields[i].len, len);
        }
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("packet_fields");
    TCase *tc = tcase_create("packet_fields");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_add_test(tc, fields_have_their_places_and_values);
    tcase_add_test(tc, captures_that_are_cut_short_have_what_is_whole);
    tcase_add_test(tc, no_bytes_lead_astray);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
