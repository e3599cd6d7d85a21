/* SPDX-License-Identifier: Apache-2.0 */
/* test_packet_id - what forwarding changes does not enter the packet ID, and
 * all else does. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/packet_id.h"
#include "tests/lib/frame.h"

#define VECTORS "tests/lib/vectors/packet-id.txt"

static const struct packet_id_config config = PACKET_ID_CONFIG_INIT;

static enum packet_id_result
id_of(const uint8_t *data, size_t len, uint64_t *idp)
{
    struct hdr h;

    hdr_parse(data, len, &h);
    return packet_id(&config, data, len, &h, idp);
}

static uint64_t
frame_id(const struct frame *f)
{
    uint64_t id;

    ck_assert_int_ne(id_of(f->data, f->len, &id), PACKET_ID_SHORT);
    ck_assert_uint_ne(id, 0);
    return id;
}

enum sample {
    SAMPLE_TCP,
    SAMPLE_TCP_OPTIONS,
    SAMPLE_UDP,
    SAMPLE_SCTP,
    SAMPLE_ICMP_ECHO,
    SAMPLE_ICMP_ERROR,
    SAMPLE_FRAGMENT,
    SAMPLE_OTHER_PROTO,
    SAMPLE_TCP6,
    SAMPLE_UDP6_CHAIN,
    SAMPLE_ICMP6_ERROR,
    SAMPLE_ND,
    SAMPLE_ARP,
    SAMPLE_LLDP,
    N_SAMPLES
};

/* 80 bytes of payload, so that the packet is longer than what is hashed. */
#define LONG_TEXT                                                             \
    "0123456789012345678901234567890123456789"                                \
    "0123456789012345678901234567890123456789"

static void
embed(struct frame *f, const struct frame *in, size_t n)
{
    frame_bytes(f, in->data + in->l3_ofs, n);
}

static struct frame
sample(enum sample which)
{
    struct frame f = frame_eth(HDR_ETH_IP4);
    struct frame in;

    switch (which) {
    case SAMPLE_TCP:
        frame_ip4(&f, HDR_IP_TCP, 64, "10.0.0.1", "10.0.0.2");
        frame_tcp(&f, 4321, 80, 1000, 2000, 0x18);
        frame_text(&f, LONG_TEXT);
        break;
    case SAMPLE_TCP_OPTIONS:
        frame_ip4(&f, HDR_IP_TCP, 64, "10.0.0.1", "10.0.0.2");
        frame_ip4_options(&f, "\x94\x04\x00\x00", 4);
        frame_tcp(&f, 4321, 80, 1000, 2000, 0x02);
        frame_tcp_options(&f, "\x02\x04\x05\xb4\x01\x01\x04\x02", 8);
        break;
    case SAMPLE_UDP:
        frame_ip4(&f, HDR_IP_UDP, 64, "10.0.0.1", "10.0.0.2");
        frame_udp(&f, 5353, 53);
        frame_text(&f, "question");
        break;
    case SAMPLE_SCTP:
        frame_ip4(&f, HDR_IP_SCTP, 64, "10.0.0.1", "10.0.0.2");
        frame_sctp(&f, 100, 200, 0xabcd);
        frame_bytes(&f, "\x00\x03\x00\x14\x00\x00\x00\x63sidsseqnppidDATA",
                    24);
        break;
    case SAMPLE_ICMP_ECHO:
        frame_ip4(&f, HDR_IP_ICMP, 64, "10.0.0.1", "10.0.0.2");
        frame_icmp(&f, 8, 0, 0x00070001);
        frame_text(&f, "ping ping");
        break;
    case SAMPLE_ICMP_ERROR:
        in = sample(SAMPLE_UDP);
        frame_ip4(&f, HDR_IP_ICMP, 64, "10.0.0.9", "10.0.0.1");
        frame_icmp(&f, 3, 3, 0);
        embed(&f, &in, 28 + 8);
        break;
    case SAMPLE_FRAGMENT:
        frame_ip4(&f, HDR_IP_UDP, 64, "10.0.0.1", "10.0.0.2");
        bytes_put_be16(f.data + f.l3_ofs + 6, 0x00b9);
        frame_text(&f, "rest of a large datagram");
        break;
    case SAMPLE_OTHER_PROTO:
        frame_ip4(&f, 89, 1, "10.0.0.1", "224.0.0.5");
        frame_text(&f, "open shortest path first");
        break;
    case SAMPLE_TCP6:
        f = frame_eth(HDR_ETH_IP6);
        frame_ip6(&f, HDR_IP_TCP, 64, "2001:db8::1", "2001:db8::2");
        frame_tcp(&f, 4321, 80, 1000, 2000, 0x18);
        frame_text(&f, LONG_TEXT);
        break;
    case SAMPLE_UDP6_CHAIN:
        f = frame_eth(HDR_ETH_IP6);
        frame_ip6(&f, HDR_IP_UDP, 64, "2001:db8::1", "2001:db8::2");
        frame_ip6_ext(&f, HDR_IP6_HOP_BY_HOP, "\0\x05\x02\0\0\x01\0", 7);
        frame_ip6_ext(&f, HDR_IP6_FRAGMENT, "\0\0\x01\xde\xad\xbe\xef", 7);
        frame_udp(&f, 5353, 53);
        frame_text(&f, "first fragment");
        break;
    case SAMPLE_ICMP6_ERROR:
        in = sample(SAMPLE_TCP6);
        f = frame_eth(HDR_ETH_IP6);
        frame_ip6(&f, HDR_IP_ICMP6, 64, "2001:db8::9", "2001:db8::1");
        frame_icmp(&f, 2, 0, 1280);
        embed(&f, &in, 60);
        break;
    case SAMPLE_ND:
        f = frame_eth(HDR_ETH_IP6);
        frame_ip6(&f, HDR_IP_ICMP6, 255, "fe80::1", "ff02::1:ff00:2");
        frame_icmp(&f, 135, 0, 0);
        frame_bytes(&f, "target.address..\x01\x01source", 24);
        break;
    case SAMPLE_ARP:
        f = frame_eth(HDR_ETH_ARP);
        frame_arp(&f, 1, "10.0.0.1", "10.0.0.2");
        return f;
    case SAMPLE_LLDP:
        f = frame_eth(0x88cc);
        frame_text(&f, "\x02\x07 link layer discovery");
        return f;
    case N_SAMPLES:
    default:
        ck_abort();
    }
    frame_finish(&f);
    return f;
}

/* Sets the bits of a frame that forwarding may change, and nothing else, from
 * 'value' bytes.  Addresses inside ICMP errors are at fixed places of the
 * samples. */
static void
forward(struct frame *f, enum sample which, uint8_t value)
{
    uint8_t *l3 = f->data + f->l3_ofs;
    bool is_ip4 = l3[0] >> 4 == 4;

    memset(f->data, value, 12);
    if (which == SAMPLE_ARP || which == SAMPLE_LLDP) {
        return;
    }
    if (is_ip4) {
        l3[1] = value;
        l3[6] = (uint8_t) ((l3[6] & ~0x40) | (value & 0x40));
        l3[8] = value;
        memset(l3 + 10, value, 10);
    } else {
        l3[0] = (uint8_t) (0x60 | (value & 15));
        memset(l3 + 1, value, 3);
        memset(l3 + 7, value, 33);
    }
    if (!f->l4_ofs || which == SAMPLE_OTHER_PROTO) {
        return;
    }

    uint8_t *l4 = f->data + f->l4_ofs;

    if (f->proto == HDR_IP_ICMP || f->proto == HDR_IP_ICMP6) {
        memset(l4 + 2, value, 2);
    } else {
        memset(l4, value, 4);
    }
    if (f->proto == HDR_IP_TCP) {
        memset(l4 + 16, value, 2);
    } else if (f->proto == HDR_IP_UDP) {
        memset(l4 + 6, value, 2);
    } else if (f->proto == HDR_IP_SCTP) {
        memset(l4 + 8, value, 4);
    }
    if (which == SAMPLE_ICMP_ERROR) {
        l4[8 + 1] = value;
        l4[8 + 8] = value;
        memset(l4 + 8 + 10, value, 14);
        memset(l4 + 8 + 26, value, 2);
    } else if (which == SAMPLE_ICMP6_ERROR) {
        l4[8] = (uint8_t) (0x60 | (value & 15));
        memset(l4 + 8 + 1, value, 3);
        memset(l4 + 8 + 7, value, 37);
        memset(l4 + 8 + 56, value, 2);
    }
}

START_TEST(forwarding_does_not_change_it)
{
    struct frame f = sample(_i);
    uint64_t id = frame_id(&f);

    for (unsigned int value = 0; value < 256; value += 51) {
        struct frame g = f;

        forward(&g, _i, (uint8_t) value);
        ck_assert_uint_eq(frame_id(&g), id);
        for (int n_tags = 1; n_tags <= HDR_MAX_TAGS; n_tags++) {
            frame_push_tag(&g, n_tags == 1 ? HDR_ETH_VLAN : HDR_ETH_QINQ,
                           (uint16_t) (value * 17));
            ck_assert_uint_eq(frame_id(&g), id);
        }
    }
}
END_TEST

/* Every bit that forward() does not touch counts, as far as it is hashed. */
START_TEST(all_else_changes_it)
{
    struct frame f = sample(_i);
    struct frame zeros = f, ones = f;
    uint64_t id = frame_id(&f);
    size_t hashed_end = f.l3_ofs ? f.l3_ofs + PACKET_ID_BYTES : f.len;

    forward(&zeros, _i, 0);
    forward(&ones, _i, 0xff);
    for (size_t i = 12; i < f.len && i < hashed_end; i++) {
        /* The version, header and total lengths decide what is hashed; they
         * are for the vectors. */
        if (f.l3_ofs &&
            (i < f.l3_ofs + 4 || (i >= f.l3_ofs + 4 && i < f.l3_ofs + 7 &&
                                  f.data[f.l3_ofs] >> 4 == 6))) {
            continue;
        }
        /* What hop-by-hop options say is for routers. */
        if (_i == SAMPLE_UDP6_CHAIN && i >= 54 + 2 && i < 54 + 8) {
            continue;
        }
        if (zeros.data[i] == ones.data[i]) {
            struct frame g = f;

            g.data[i] ^= 0x01;
            ck_assert_msg(frame_id(&g) != id, "byte %zu does not count", i);
        }
    }
}
END_TEST

START_TEST(padding_and_longer_captures_do_not_change_it)
{
    struct frame f = sample(_i);
    struct frame padded = f;
    uint64_t id = frame_id(&f);
    uint64_t other;
    struct hdr h;

    if (_i != SAMPLE_LLDP) {
        frame_text(&padded, "padding that is not part of the packet");
        ck_assert_uint_eq(frame_id(&padded), id);
    }
    if (_i == SAMPLE_LLDP) {
        return;
    }
    hdr_parse(f.data, f.len, &h);

    size_t need =
        h.l3_ofs + (h.own_len < PACKET_ID_BYTES ? h.own_len : PACKET_ID_BYTES);

    for (size_t len = 0; len <= f.len; len++) {
        uint8_t *copy = malloc(len + 1);

        memcpy(copy, f.data, len);
        if (len < need) {
            ck_assert_int_eq(id_of(copy, len, &other), PACKET_ID_SHORT);
            ck_assert_uint_eq(other, 0);
        } else {
            ck_assert_int_eq(id_of(copy, len, &other), PACKET_ID_OK);
            ck_assert_uint_eq(other, id);
        }
        free(copy);
    }
}
END_TEST

START_TEST(labels_do_not_change_it)
{
    struct frame f = sample(_i);
    struct frame g = frame_eth(HDR_ETH_MPLS);

    if (_i == SAMPLE_ARP || _i == SAMPLE_LLDP) {
        return; /* Only IP is known under a label. */
    }
    frame_label(&g, 16, false);
    frame_label(&g, 17, true);
    frame_bytes(&g, f.data + 14, f.len - 14);
    ck_assert_uint_eq(frame_id(&g), frame_id(&f));
}
END_TEST

START_TEST(samples_have_ids_of_their_own)
{
    uint64_t ids[N_SAMPLES];

    for (int i = 0; i < N_SAMPLES; i++) {
        struct frame f = sample(i);

        ids[i] = frame_id(&f);
        for (int j = 0; j < i; j++) {
            ck_assert_uint_ne(ids[i], ids[j]);
        }
    }
}
END_TEST

START_TEST(a_seed_makes_other_ids)
{
    struct packet_id_config other = PACKET_ID_CONFIG_INIT;
    struct frame f = sample(SAMPLE_TCP);
    struct hdr h;
    uint64_t id;

    other.seed++;
    hdr_parse(f.data, f.len, &h);
    ck_assert_int_eq(packet_id(&other, f.data, f.len, &h, &id), PACKET_ID_OK);
    ck_assert_uint_ne(id, frame_id(&f));
}
END_TEST

START_TEST(strange_packets_have_one_too)
{
    struct frame f = sample(SAMPLE_TCP);
    uint64_t id, other;

    f.data[14] = 0x43;
    ck_assert_int_eq(id_of(f.data, f.len, &id), PACKET_ID_NO_L3);
    f.data[0] ^= 1;
    ck_assert_int_eq(id_of(f.data, f.len, &other), PACKET_ID_NO_L3);
    ck_assert_uint_eq(id, other);
    ck_assert_int_eq(id_of(f.data, 13, &other), PACKET_ID_SHORT);

    /* An 802.3 frame has a length of its own. */
    f = frame_eth(11);
    frame_text(&f, "\x42\x42\x03 bridge.");
    id = frame_id(&f);
    frame_text(&f, "padding");
    ck_assert_uint_eq(frame_id(&f), id);
    ck_assert_int_eq(id_of(f.data, 20, &other), PACKET_ID_SHORT);
}
END_TEST

/* Lines "packet hex, hashed bytes hex, ID" with comments between. */
START_TEST(vectors_hold)
{
    const char *srcdir = getenv("srcdir");
    char path[4096], line[4096];
    size_t n_vectors = 0;

    snprintf(path, sizeof path, "%s/%s", srcdir ? srcdir : ".", VECTORS);

    FILE *file = fopen(path, "r");

    ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
    while (fgets(line, sizeof line, file)) {
        char packet_hex[1024], bytes_hex[512], id_hex[32], got[512];
        uint8_t packet[512], bytes[PACKET_ID_BYTES + PACKET_ID_EXTRA];
        struct hdr h;
        uint64_t id;

        if (line[0] == '#' || line[0] == '\n') {
            continue;
        }
        ck_assert_int_eq(
            sscanf(line, "%1023s %511s %31s", packet_hex, bytes_hex, id_hex),
            3);

        size_t len = bytes_from_hex(packet_hex, packet, sizeof packet);

        ck_assert_uint_ne(len, SIZE_MAX);
        hdr_parse(packet, len, &h);
        bytes_to_hex(bytes, packet_id_bytes(&config, packet, len, &h, bytes),
                     got);
        ck_assert_str_eq(got, bytes_hex);
        packet_id(&config, packet, len, &h, &id);
        snprintf(got, sizeof got, "%016" PRIx64, id);
        ck_assert_str_eq(got, id_hex);
        n_vectors++;
    }
    fclose(file);
    ck_assert_uint_ge(n_vectors, N_SAMPLES);
}
END_TEST

/* With tags, cut anywhere, of any number of bytes, and with each byte that
 * says what follows set at random. */
START_TEST(the_quick_way_is_the_same)
{
    uint64_t random = 88172645463325252ULL;
    size_t n_quick = 0;

    for (size_t round = 0; round < 20000; round++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;

        struct frame f = sample((enum sample)(random % N_SAMPLES));
        struct packet_id_config c = {
            PACKET_ID_SEED,
            (uint16_t) (PACKET_ID_MIN_BYTES + random / 31 % 120)};
        struct header_split split;
        uint64_t quick, slow;
        struct hdr h;

        if (random >> 32 & 1) {
            frame_push_tag(&f, HDR_ETH_VLAN, 5);
        }
        if (random >> 33 & 1) {
            f.data[(random >> 34) % f.len] ^= (uint8_t) (random >> 48);
        }
        if (random >> 40 & 1) {
            f.len -= (random >> 41) % f.len;
        }
        if (!header_split(f.data, f.len, &split) ||
            !packet_id_of_split(&c, f.data, f.len, &split, &quick)) {
            continue;
        }
        hdr_parse(f.data, f.len, &h);
        ck_assert_int_eq(packet_id(&c, f.data, f.len, &h, &slow),
                         PACKET_ID_OK);
        ck_assert_uint_eq(quick, slow);
        n_quick++;
    }
    ck_assert_uint_gt(n_quick, 2000);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("packet_id");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    tcase_add_loop_test(tcase, forwarding_does_not_change_it, 0, N_SAMPLES);
    tcase_add_loop_test(tcase, all_else_changes_it, 0, N_SAMPLES);
    tcase_add_loop_test(tcase, padding_and_longer_captures_do_not_change_it, 0,
                        N_SAMPLES);
    tcase_add_loop_test(tcase, labels_do_not_change_it, 0, N_SAMPLES);
    tcase_add_test(tcase, samples_have_ids_of_their_own);
    tcase_add_test(tcase, a_seed_makes_other_ids);
    tcase_add_test(tcase, strange_packets_have_one_too);
    tcase_add_test(tcase, vectors_hold);
    tcase_add_test(tcase, the_quick_way_is_the_same);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
