/* SPDX-License-Identifier: Apache-2.0 */
/* test_postcard_mac - mac postcards are read as documented, and the packet is
 * given back as the switch saw it. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/of_port.h"
#include "lib/postcard_mac.h"
#include "tests/lib/frame.h"

#define VECTORS "tests/lib/vectors/postcard-mac.txt"
#define VLAN    2

static bool
find_switch(void *aux, uint16_t index, uint64_t *dpid)
{
    *dpid = index;
    return index != 0;
}

static bool
find_port(void *aux, uint64_t dpid, uint16_t code, uint32_t *port)
{
    *port = 5000;
    return dpid == 9 && code == 3000;
}

static const struct postcard_mac_config config = {
    .vlan = VLAN, .find_switch = find_switch, .find_port = find_port};

static struct postcard
sample(void)
{
    static struct frame f;

    f = frame_eth(0x0800);
    frame_ip4(&f, 17, 64, "10.0.0.1", "10.0.0.2");
    frame_udp(&f, 5353, 53);
    frame_text(&f, "question");
    frame_finish(&f);
    return (struct postcard){.dpid = 9,
                             .version = 0x89abcdef,
                             .out_port = 3,
                             .caplen = (uint16_t) f.len,
                             .header = f.data};
}

START_TEST(decodes_what_it_encodes)
{
    struct postcard p = sample(), back = {.time_ns = 5};
    uint8_t out[256], buf[256];
    size_t n = postcard_mac_encode(&p, VLAN, 9, 3, out, sizeof out);

    ck_assert_uint_eq(n, p.caplen + POSTCARD_MAC_OVERHEAD);
    ck_assert_int_eq(
        postcard_mac_decode(&config, out, n, buf, sizeof buf, &back),
        POSTCARD_OK);
    ck_assert_uint_eq(back.dpid, 9);
    ck_assert_uint_eq(back.version, 0xabcdef);
    ck_assert_uint_eq(back.version_bits, 24);
    ck_assert_uint_eq(back.out_port, 3);
    ck_assert_uint_eq(back.in_port, OF_PORT_UNKNOWN);
    ck_assert_uint_eq(back.time_ns, 5);
    ck_assert(!back.has_id);
    ck_assert_uint_eq(back.caplen, p.caplen);
    ck_assert_mem_eq(back.header, "\0\0\0\0\0", 6);
    ck_assert_mem_eq(back.header + 6, p.header + 6, p.caplen - 6u);
    ck_assert_uint_eq(postcard_mac_encode(&p, VLAN, 9, 3, out, n - 1), 0);
    p.caplen = 13;
    ck_assert_uint_eq(postcard_mac_encode(&p, VLAN, 9, 3, out, n), 0);
}
END_TEST

START_TEST(every_port_has_one_code)
{
    struct postcard p = sample(), back = {0};
    uint8_t out[256], buf[256];
    size_t n_ports = 0;

    for (uint32_t port = 0; port <= OF_PORT_UNKNOWN; port++) {
        uint16_t code;

        if (!postcard_mac_port_code(port, &code)) {
            continue;
        }

        size_t n = postcard_mac_encode(&p, VLAN, 1, code, out, sizeof out);

        ck_assert_int_eq(
            postcard_mac_decode(&config, out, n, buf, sizeof buf, &back),
            POSTCARD_OK);
        ck_assert_uint_eq(back.out_port, port);
        ck_assert_uint_eq(back.flags,
                          port == OF_PORT_GROUP ? POSTCARD_GROUP : 0);
        n_ports++;
    }
    ck_assert_uint_eq(n_ports, 4096);
}
END_TEST

START_TEST(published_codes_name_higher_ports)
{
    struct postcard p = sample(), back = {0};
    uint8_t out[256], buf[256];
    size_t n = postcard_mac_encode(&p, VLAN, 9, 3000, out, sizeof out);

    postcard_mac_decode(&config, out, n, buf, sizeof buf, &back);
    ck_assert_uint_eq(back.out_port, 5000);
    n = postcard_mac_encode(&p, VLAN, 8, 3000, out, sizeof out);
    postcard_mac_decode(&config, out, n, buf, sizeof buf, &back);
    ck_assert_uint_eq(back.out_port, 3000);
}
END_TEST

START_TEST(says_what_is_wrong)
{
    struct postcard p = sample(), back = {.dpid = 77};
    uint8_t out[256], buf[256];
    size_t n = postcard_mac_encode(&p, VLAN, 0, 3, out, sizeof out);

    ck_assert_int_eq(
        postcard_mac_decode(&config, out, n, buf, sizeof buf, &back),
        POSTCARD_UNKNOWN_SWITCH);
    ck_assert_int_eq(postcard_mac_decode(&config, p.header, p.caplen, buf,
                                         sizeof buf, &back),
                     POSTCARD_OTHER);
    n = postcard_mac_encode(&p, VLAN + 1, 9, 3, out, sizeof out);
    ck_assert_int_eq(
        postcard_mac_decode(&config, out, n, buf, sizeof buf, &back),
        POSTCARD_OTHER);
    ck_assert_uint_eq(back.dpid, 77);

    n = postcard_mac_encode(&p, VLAN, 9, 3, out, sizeof out);
    for (size_t len = 0; len <= n; len++) {
        uint8_t *copy = malloc(len + 1);

        memcpy(copy, out, len);

        enum postcard_result result =
            postcard_mac_decode(&config, copy, len, buf, sizeof buf, &back);

        ck_assert_int_eq(result, len < 18 ? POSTCARD_TRUNCATED : POSTCARD_OK);
        free(copy);
    }

    /* A small buffer cuts the copy. */
    ck_assert_int_eq(postcard_mac_decode(&config, out, n, buf, 20, &back),
                     POSTCARD_OK);
    ck_assert_uint_eq(back.caplen, 20);
}
END_TEST

START_TEST(vectors_hold)
{
    const char *srcdir = getenv("srcdir");
    char file_name[4096], line[4096];
    size_t n_vectors = 0;

    snprintf(file_name, sizeof file_name, "%s/%s", srcdir ? srcdir : ".",
             VECTORS);

    FILE *file = fopen(file_name, "r");

    ck_assert_msg(file != NULL, "%s: %s", file_name, strerror(errno));
    while (fgets(line, sizeof line, file)) {
        char frame_hex[1024], packet_hex[1024];
        uint8_t frame[512], packet[512], buf[512];
        struct postcard got = {0};
        uint32_t version, out_port;
        uint64_t dpid;

        if (line[0] == '#' || line[0] == '\n') {
            continue;
        }
        ck_assert_int_eq(
            sscanf(line, "%1023s %" SCNx64 " %" SCNu32 " %" SCNu32 " %1023s",
                   frame_hex, &dpid, &version, &out_port, packet_hex),
            5);

        size_t len = bytes_from_hex(frame_hex, frame, sizeof frame);
        size_t packet_len = bytes_from_hex(packet_hex, packet, sizeof packet);

        ck_assert_int_eq(
            postcard_mac_decode(&config, frame, len, buf, sizeof buf, &got),
            POSTCARD_OK);
        ck_assert_uint_eq(got.dpid, dpid);
        ck_assert_uint_eq(got.version, version);
        ck_assert_uint_eq(got.out_port, out_port);
        ck_assert_uint_eq(got.caplen, packet_len);
        ck_assert_mem_eq(got.header, packet, packet_len);
        n_vectors++;
    }
    fclose(file);
    ck_assert_uint_ge(n_vectors, 5);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("postcard_mac");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(tcase, decodes_what_it_encodes);
    tcase_add_test(tcase, every_port_has_one_code);
    tcase_add_test(tcase, published_codes_name_higher_ports);
    tcase_add_test(tcase, says_what_is_wrong);
    tcase_add_test(tcase, vectors_hold);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
