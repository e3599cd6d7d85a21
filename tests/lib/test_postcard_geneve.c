/* SPDX-License-Identifier: Apache-2.0 */
/* test_postcard_geneve - Geneve postcards are read as documented, and nothing
 * else is taken for one. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/of_port.h"
#include "lib/postcard_geneve.h"
#include "tests/lib/frame.h"

#define VECTORS "tests/lib/vectors/postcard-geneve.txt"

static struct frame
copied(void)
{
    struct frame f = frame_eth(HDR_ETH_IP4);

    frame_ip4(&f, HDR_IP_UDP, 64, "10.0.0.1", "10.0.0.2");
    frame_udp(&f, 5353, 53);
    frame_text(&f, "question");
    frame_finish(&f);
    return f;
}

static struct postcard
postcard_of(const struct frame *f)
{
    return (struct postcard){.dpid = 0xfedcba9876543210,
                             .version = 0xdeadbeef,
                             .in_port = 1,
                             .out_port = OF_PORT_NONE,
                             .flags = POSTCARD_AFTER,
                             .version_bits = 32,
                             .caplen = (uint16_t) f->len,
                             .header = f->data};
}

static void
check_same(const struct postcard *got, const struct postcard *want)
{
    ck_assert_uint_eq(got->dpid, want->dpid);
    ck_assert_uint_eq(got->version, want->version);
    ck_assert_uint_eq(got->version_bits, 32);
    ck_assert_uint_eq(got->in_port, want->in_port);
    ck_assert_uint_eq(got->out_port, want->out_port);
    ck_assert_uint_eq(got->flags, want->flags);
    ck_assert(!got->has_id);
    ck_assert_uint_eq(got->caplen, want->caplen);
    ck_assert_mem_eq(got->header, want->header, want->caplen);
}

START_TEST(decodes_what_it_encodes)
{
    struct frame f = copied();
    struct postcard p = postcard_of(&f), back = {.time_ns = 5};
    uint8_t out[256];
    size_t n = postcard_geneve_encode(&p, out, sizeof out);

    ck_assert_uint_eq(n, f.len + POSTCARD_GENEVE_OVERHEAD);
    ck_assert_int_eq(postcard_geneve_decode(out, n, &back), POSTCARD_OK);
    check_same(&back, &p);
    ck_assert_uint_eq(back.time_ns, 5);
    ck_assert_uint_eq(postcard_geneve_encode(&p, out, n - 1), 0);
}
END_TEST

static const struct postcard_geneve_path path = {
    .eth_src = {2, 0, 0, 0, 0, 0x51},
    .eth_dst = {2, 0, 0, 0, 0, 0x52},
    .ip_src = 0xc0000201,
    .ip_dst = 0xc0000202,
    .udp_src = 50000,
};

START_TEST(decodes_whole_frames)
{
    struct frame f = copied();
    struct postcard p = postcard_of(&f), back = {0};
    uint8_t out[256];
    struct hdr outer;
    size_t n = postcard_geneve_encode_frame(&p, &path, out, sizeof out);

    ck_assert_uint_eq(n, f.len + POSTCARD_GENEVE_FRAME_OVERHEAD);
    ck_assert(frame_check(out, n));
    ck_assert_int_eq(postcard_geneve_decode_frame(out, n, &outer, &back),
                     POSTCARD_OK);
    check_same(&back, &p);
    ck_assert_uint_eq(bytes_be32(out + outer.l3_ofs + 12), path.ip_src);

    /* Padding behind the datagram is not part of the copy. */
    out[n] = 0xee;
    ck_assert_int_eq(postcard_geneve_decode_frame(out, n + 1, &outer, &back),
                     POSTCARD_OK);
    check_same(&back, &p);
    ck_assert_uint_eq(postcard_geneve_encode_frame(&p, &path, out, n - 1), 0);
}
END_TEST

/* Whether the quick way agrees with the other one about the frame; true when
 * it took it. */
static bool
check_plain(const uint8_t *data, size_t len)
{
    struct postcard quick = {.time_ns = 5}, slow = {.time_ns = 5};
    const uint8_t *ip_src = NULL;
    struct hdr outer;

    if (!postcard_geneve_decode_plain_frame(data, len, &ip_src, &quick)) {
        ck_assert_ptr_null(quick.header);
        return false;
    }
    ck_assert_int_eq(postcard_geneve_decode_frame(data, len, &outer, &slow),
                     POSTCARD_OK);
    check_same(&quick, &slow);
    ck_assert_ptr_eq(quick.header, slow.header);
    ck_assert_uint_eq(quick.time_ns, 5);
    ck_assert_uint_eq(quick.packet_id, 0);
    ck_assert_ptr_eq(ip_src, data + outer.l3_ofs + 12);
    slow = (struct postcard){0};
    ck_assert(postcard_geneve_decode_plain(data + 42, len - 42, &slow));
    ck_assert_uint_eq(slow.dpid, quick.dpid);
    ck_assert_ptr_eq(slow.header, quick.header);
    return true;
}

START_TEST(the_quick_way_agrees_whatever_byte_is_wrong)
{
    struct frame f = copied();
    struct postcard p = postcard_of(&f);
    uint8_t out[256];
    size_t n = postcard_geneve_encode_frame(&p, &path, out, sizeof out);
    int n_taken = 0;

    ck_assert(check_plain(out, n));
    ck_assert(check_plain(out, n + 1)); /* Padding. */
    for (size_t len = 0; len < n; len++) {
        uint8_t *copy = malloc(len + 1);

        memcpy(copy, out, len);
        ck_assert_int_eq(check_plain(copy, len),
                         len > POSTCARD_GENEVE_FRAME_OVERHEAD);
        free(copy);
    }
    for (size_t i = 0; i < POSTCARD_GENEVE_FRAME_OVERHEAD; i++) {
        uint8_t right = out[i];

        for (int value = 0; value < 256; value++) {
            out[i] = (uint8_t) value;
            n_taken += check_plain(out, n);
        }
        out[i] = right;
    }
    /* Addresses, TTL, checksums, the option's body: it is not only what was
     * encoded that is taken. */
    ck_assert_int_gt(n_taken, 256 * 40);
}
END_TEST

/* From memory that ends where the capture does. */
START_TEST(every_shorter_capture_is_truncated_or_a_shorter_copy)
{
    struct frame f = copied();
    struct postcard p = postcard_of(&f), back = {0};
    uint8_t out[256];
    struct hdr outer;
    size_t n = postcard_geneve_encode_frame(&p, &path, out, sizeof out);

    for (size_t len = 0; len <= n; len++) {
        uint8_t *copy = malloc(len + 1);
        enum postcard_result result;

        memcpy(copy, out, len);
        result = postcard_geneve_decode_frame(copy, len, &outer, &back);
        if (len < 34) {
            /* Whose UDP it would be is not known yet. */
            ck_assert_int_eq(result, POSTCARD_OTHER);
        } else if (len <= POSTCARD_GENEVE_FRAME_OVERHEAD) {
            ck_assert_int_eq(result, POSTCARD_TRUNCATED);
        } else {
            ck_assert_int_eq(result, POSTCARD_OK);
            ck_assert_uint_eq(back.caplen,
                              len - POSTCARD_GENEVE_FRAME_OVERHEAD);
        }
        free(copy);
    }
}
END_TEST

/* What becomes of a postcard with one byte set to something else. */
static enum postcard_result
decode_with(size_t ofs, uint8_t value)
{
    struct frame f = copied();
    struct postcard p = postcard_of(&f), back = {.dpid = 77};
    uint8_t out[256];
    size_t n = postcard_geneve_encode(&p, out, sizeof out);

    out[ofs] = value;

    enum postcard_result result = postcard_geneve_decode(out, n, &back);

    ck_assert(result == POSTCARD_OK || back.dpid == 77);
    return result;
}

START_TEST(says_what_is_wrong)
{
    ck_assert_int_eq(decode_with(0, 0x46), POSTCARD_UNKNOWN_FORMAT);
    ck_assert_int_eq(decode_with(0, 0x3f), POSTCARD_TRUNCATED);
    ck_assert_int_eq(decode_with(0, 0x05), POSTCARD_MALFORMED);
    ck_assert_int_eq(decode_with(0, 0x00), POSTCARD_NO_OPTION);
    ck_assert_int_eq(decode_with(2, 0x08), POSTCARD_OTHER);
    ck_assert_int_eq(decode_with(8, 0x01), POSTCARD_NO_OPTION);
    ck_assert_int_eq(decode_with(10, 0x02), POSTCARD_NO_OPTION);
    ck_assert_int_eq(decode_with(11, 0x06), POSTCARD_MALFORMED);
    ck_assert_int_eq(decode_with(11, 0x04), POSTCARD_MALFORMED);
    ck_assert_int_eq(decode_with(11, 0x00), POSTCARD_MALFORMED);
    ck_assert_int_eq(decode_with(12, 0x02), POSTCARD_UNKNOWN_FORMAT);
    ck_assert_int_eq(decode_with(14, 0xff), POSTCARD_OK);
}
END_TEST

START_TEST(other_traffic_is_other)
{
    struct frame f = copied();
    struct hdr outer;
    struct postcard p;

    ck_assert_int_eq(postcard_geneve_decode_frame(f.data, f.len, &outer, &p),
                     POSTCARD_OTHER);
    f = frame_eth(HDR_ETH_ARP);
    frame_arp(&f, 1, "10.0.0.1", "10.0.0.2");
    ck_assert_int_eq(postcard_geneve_decode_frame(f.data, f.len, &outer, &p),
                     POSTCARD_OTHER);
}
END_TEST

START_TEST(wrong_udp_lengths_are_malformed)
{
    struct frame f = copied();
    struct postcard p = postcard_of(&f), back;
    uint8_t out[256];
    struct hdr outer;
    size_t n = postcard_geneve_encode_frame(&p, &path, out, sizeof out);

    bytes_put_be16(out + 38, 7);
    ck_assert_int_eq(postcard_geneve_decode_frame(out, n, &outer, &back),
                     POSTCARD_MALFORMED);
    bytes_put_be16(out + 38, 2000);
    ck_assert_int_eq(postcard_geneve_decode_frame(out, n, &outer, &back),
                     POSTCARD_MALFORMED);
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
        char packet_hex[1024], in[16], copy_hex[1024];
        uint8_t packet[512], copy[512];
        struct postcard want = {0}, got = {0};
        unsigned int flags, out_port;

        if (line[0] == '#' || line[0] == '\n') {
            continue;
        }
        ck_assert_int_eq(
            sscanf(line, "%1023s %" SCNx64 " %" SCNu32 " %u %15s %u %1023s",
                   packet_hex, &want.dpid, &want.version, &flags, in,
                   &out_port, copy_hex),
            7);
        want.flags = (uint8_t) flags;
        want.out_port = out_port;
        want.in_port = in[0] == '-' ? OF_PORT_UNKNOWN : (uint32_t) atoi(in);
        want.caplen = (uint16_t) bytes_from_hex(copy_hex, copy, sizeof copy);
        want.header = copy;

        size_t len = bytes_from_hex(packet_hex, packet, sizeof packet);

        ck_assert_int_eq(postcard_geneve_decode(packet, len, &got),
                         POSTCARD_OK);
        check_same(&got, &want);
        n_vectors++;
    }
    fclose(file);
    ck_assert_uint_ge(n_vectors, 4);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("postcard_geneve");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(tcase, decodes_what_it_encodes);
    tcase_add_test(tcase, decodes_whole_frames);
    tcase_add_test(tcase, the_quick_way_agrees_whatever_byte_is_wrong);
    tcase_add_test(tcase,
                   every_shorter_capture_is_truncated_or_a_shorter_copy);
    tcase_add_test(tcase, says_what_is_wrong);
    tcase_add_test(tcase, other_traffic_is_other);
    tcase_add_test(tcase, wrong_udp_lengths_are_malformed);
    tcase_add_test(tcase, vectors_hold);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
