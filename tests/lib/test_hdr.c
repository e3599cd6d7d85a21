/* SPDX-License-Identifier: Apache-2.0 */
/* test_hdr - every layer is found where it is, and nothing past the end. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/hdr.h"
#include "tests/lib/frame.h"

static struct frame
tcp_frame(void)
{
    struct frame f = frame_eth(HDR_ETH_IP4);

    frame_ip4(&f, HDR_IP_TCP, 64, "10.0.0.1", "10.0.0.2");
    frame_tcp(&f, 4321, 80, 1000, 2000, 0x18);
    frame_text(&f, "GET /");
    frame_finish(&f);
    return f;
}

static struct frame
ip6_udp_frame(void)
{
    struct frame f = frame_eth(HDR_ETH_IP6);

    frame_ip6(&f, HDR_IP_UDP, 63, "2001:db8::1", "2001:db8::2");
    frame_udp(&f, 5353, 53);
    frame_text(&f, "question");
    frame_finish(&f);
    return f;
}

START_TEST(finds_tcp_over_ip4)
{
    struct frame f = tcp_frame();
    struct hdr h;

    frame_push_tag(&f, HDR_ETH_VLAN, 0x6005);
    frame_push_tag(&f, HDR_ETH_QINQ, 0x0064);
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_OK);
    ck_assert_uint_eq(h.n_tags, 2);
    ck_assert_uint_eq(h.tpid[0], 0x88a8);
    ck_assert_uint_eq(h.tci[0], 0x64);
    ck_assert_uint_eq(h.tci[1], 0x6005);
    ck_assert_uint_eq(h.eth_type, HDR_ETH_IP4);
    ck_assert(h.is_ip4 && !h.is_ip6 && !h.is_arp && hdr_has_l3(&h));
    ck_assert_uint_eq(h.l3_ofs, 22);
    ck_assert_uint_eq(h.l3_len, 20);
    ck_assert_uint_eq(h.own_len, 45);
    ck_assert_uint_eq(h.ttl, 64);
    ck_assert_uint_eq(h.frag_id, 0x1234);
    ck_assert(!h.is_frag);
    ck_assert_uint_eq(h.l4_ofs, 42);
    ck_assert_uint_eq(h.l4_len, 20);
    ck_assert_uint_eq(h.src_port, 4321);
    ck_assert_uint_eq(h.dst_port, 80);
    ck_assert_uint_eq(h.tcp_seq, 1000);
    ck_assert_uint_eq(h.tcp_ack, 2000);
    ck_assert_uint_eq(h.tcp_flags, 0x18);
    ck_assert_uint_eq(h.payload_ofs, 62);
}
END_TEST

START_TEST(finds_l4_behind_ip4_and_tcp_options)
{
    struct frame f = frame_eth(HDR_ETH_IP4);
    struct hdr h;

    frame_ip4(&f, HDR_IP_TCP, 64, "10.0.0.1", "10.0.0.2");
    frame_ip4_options(&f, "\x94\x04\x00\x00", 4);
    frame_tcp(&f, 1, 2, 3, 4, 2);
    frame_tcp_options(&f, "\x02\x04\x05\xb4\x01\x01\x04\x02", 8);
    frame_finish(&f);
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_OK);
    ck_assert_uint_eq(h.l3_len, 24);
    ck_assert_uint_eq(h.l4_ofs, 38);
    ck_assert_uint_eq(h.l4_len, 28);
    ck_assert_uint_eq(h.payload_ofs, f.len);
}
END_TEST

START_TEST(finds_l4_behind_ip6_extension_headers)
{
    struct frame f = frame_eth(HDR_ETH_IP6);
    struct hdr h;

    frame_ip6(&f, HDR_IP_TCP, 9, "2001:db8::1", "2001:db8::2");
    frame_ip6_ext(&f, HDR_IP6_HOP_BY_HOP, "\0\x05\x02\0\0\x01\0", 7);
    frame_ip6_ext(&f, HDR_IP6_ROUTING, "\x02\0\x01\0\0\0\0addressaddress..",
                  23);
    frame_ip6_ext(&f, HDR_IP6_DESTINATION, "\0\x01\x04\0\0\0\0", 7);
    frame_ip6_ext(&f, HDR_IP6_AH, "\x04\0\0SPI.SEQ.icv.icv.icv.", 23);
    frame_tcp(&f, 10, 20, 30, 40, 1);
    frame_finish(&f);
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_OK);
    ck_assert(h.is_ip6 && h.has_route);
    ck_assert_uint_eq(h.ip_proto, HDR_IP_TCP);
    ck_assert_uint_eq(h.l3_len, 40 + 8 + 24 + 8 + 24);
    ck_assert_uint_eq(h.l4_ofs, h.l3_ofs + h.l3_len);
    ck_assert_uint_eq(h.dst_port, 20);
    ck_assert_uint_eq(h.ttl, 9);
}
END_TEST

START_TEST(finds_fragments)
{
    struct frame f = tcp_frame();
    struct hdr h;

    bytes_put_be16(f.data + f.l3_ofs + 6, 0x2000);
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_OK);
    ck_assert(h.is_frag && h.more_frags);
    ck_assert_uint_ne(h.l4_ofs, 0);

    bytes_put_be16(f.data + f.l3_ofs + 6, 0x0010);
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_OK);
    ck_assert(h.is_frag && !h.more_frags);
    ck_assert_uint_eq(h.frag_ofs, 128);
    ck_assert_uint_eq(h.l4_ofs, 0);
    ck_assert_uint_eq(h.payload_ofs, 34);

    f = frame_eth(HDR_ETH_IP6);
    frame_ip6(&f, HDR_IP_UDP, 64, "2001:db8::1", "2001:db8::2");
    frame_ip6_ext(&f, HDR_IP6_FRAGMENT, "\0\x00\x09\xde\xad\xbe\xef", 7);
    frame_text(&f, "later fragment");
    frame_finish(&f);
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_OK);
    ck_assert(h.is_frag && h.more_frags);
    ck_assert_uint_eq(h.frag_ofs, 8);
    ck_assert_uint_eq(h.frag_id, 0xdeadbeef);
    ck_assert_uint_eq(h.ip_proto, HDR_IP_UDP);
    ck_assert_uint_eq(h.l4_ofs, 0);
    ck_assert_uint_eq(h.l3_len, 48);
}
END_TEST

START_TEST(finds_icmp_sctp_and_arp)
{
    struct frame f = frame_eth(HDR_ETH_IP4);
    struct hdr h;

    frame_ip4(&f, HDR_IP_ICMP, 64, "10.0.0.1", "10.0.0.2");
    frame_icmp(&f, 8, 0, 0x00070001);
    frame_finish(&f);
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_OK);
    ck_assert_uint_eq(h.icmp_type, 8);
    ck_assert_uint_eq(h.l4_ofs, 34);

    f = frame_eth(HDR_ETH_IP6);
    frame_ip6(&f, HDR_IP_ICMP6, 255, "fe80::1", "ff02::1");
    frame_icmp(&f, 135, 0, 0);
    frame_finish(&f);
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_OK);
    ck_assert_uint_eq(h.icmp_type, 135);

    f = frame_eth(HDR_ETH_IP4);
    frame_ip4(&f, HDR_IP_SCTP, 64, "10.0.0.1", "10.0.0.2");
    frame_sctp(&f, 100, 200, 7);
    frame_finish(&f);
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_OK);
    ck_assert_uint_eq(h.dst_port, 200);
    ck_assert_uint_eq(h.l4_len, 12);

    f = frame_eth(HDR_ETH_ARP);
    frame_arp(&f, 1, "10.0.0.1", "10.0.0.2");
    frame_bytes(&f, "padding", 7);
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_OK);
    ck_assert(h.is_arp);
    ck_assert_uint_eq(h.own_len, 28);
    ck_assert_uint_eq(h.payload_ofs, 42);
}
END_TEST

START_TEST(finds_ip_under_mpls)
{
    struct frame f = frame_eth(HDR_ETH_MPLS);
    struct hdr h;

    frame_label(&f, 100, false);
    frame_label(&f, 200, true);
    frame_ip4(&f, HDR_IP_UDP, 64, "10.0.0.1", "10.0.0.2");
    frame_udp(&f, 1, 2);
    frame_finish(&f);
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_OK);
    ck_assert_uint_eq(h.n_labels, 2);
    ck_assert_uint_eq(h.label[0], 100 << 12 | 64);
    ck_assert_uint_eq(h.label[1], 200 << 12 | 0x100 | 64);
    ck_assert_uint_eq(h.eth_type, HDR_ETH_IP4);
    ck_assert_uint_eq(h.l3_ofs, 22);

    f.data[22] = 0;
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_UNKNOWN);
    ck_assert_uint_eq(h.eth_type, HDR_ETH_MPLS);
    ck_assert(!hdr_has_l3(&h));
    ck_assert_uint_eq(h.payload_ofs, 22);
}
END_TEST

START_TEST(knows_802_3_and_snap)
{
    struct frame f = frame_eth(40);
    struct hdr h;

    frame_text(&f, "\x42\x42\x03 spanning tree");
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_UNKNOWN);
    ck_assert_uint_eq(h.eth_type, 40);
    ck_assert_uint_eq(h.own_len, 40);
    ck_assert_uint_eq(h.payload_ofs, 14);

    f = frame_eth(28 + 8);
    frame_bytes(&f, "\xaa\xaa\x03\0\0\0\x08\x00", 8);
    frame_ip4(&f, HDR_IP_UDP, 64, "10.0.0.1", "10.0.0.2");
    frame_udp(&f, 1, 2);
    frame_finish(&f);
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_OK);
    ck_assert_uint_eq(h.eth_type, HDR_ETH_IP4);
    ck_assert_uint_eq(h.l3_ofs, 22);
}
END_TEST

START_TEST(says_what_is_wrong)
{
    struct frame f = tcp_frame();
    struct hdr h;

    f.data[14] = 0x44; /* IHL of 16 bytes. */
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_MALFORMED);
    ck_assert(!hdr_has_l3(&h));
    f.data[14] = 0x65;
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_MALFORMED);
    f.data[14] = 0x45;
    bytes_put_be16(f.data + 16, 19); /* Shorter than its header. */
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_MALFORMED);
    bytes_put_be16(f.data + 16, 39); /* TCP does not fit. */
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_MALFORMED);
    ck_assert(h.is_ip4);
    ck_assert_uint_eq(h.l4_ofs, 0);

    f = tcp_frame();
    f.data[f.l4_ofs + 12] = 0x40; /* Data offset of 16 bytes. */
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_MALFORMED);
    ck_assert_uint_eq(h.dst_port, 80);
    ck_assert_uint_eq(h.l4_len, 20);

    f = tcp_frame();
    f.data[23] = 89;
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_UNKNOWN);
    ck_assert_uint_eq(h.payload_ofs, 34);
    ck_assert_uint_eq(h.l4_ofs, 0);

    f = tcp_frame();
    for (int i = 0; i < 4; i++) {
        frame_push_tag(&f, HDR_ETH_VLAN, 1);
    }
    ck_assert_int_eq(hdr_parse(f.data, f.len, &h), HDR_UNKNOWN);
    ck_assert_uint_eq(h.n_tags, HDR_MAX_TAGS);
}
END_TEST

/* Every offset within the capture, for every length of capture, read from
 * memory that ends there. */
static void
check_all_lengths(const struct frame *f)
{
    for (size_t len = 0; len <= f->len; len++) {
        uint8_t *copy = malloc(len + 1);
        struct hdr h;

        memcpy(copy, f->data, len);
        hdr_parse(copy, len, &h);
        ck_assert_uint_le(h.payload_ofs, len);
        ck_assert_uint_le((size_t) h.l3_ofs + h.l3_len, len);
        ck_assert_uint_le((size_t) h.l4_ofs + h.l4_len, len);
        ck_assert(!h.l4_ofs || h.l4_ofs >= h.l3_ofs + h.l3_len);

        size_t inner_ofs;
        uint16_t inner_type;
        uint32_t id;

        if (hdr_inner(copy, len, &h, &inner_ofs, &inner_type, &id)) {
            ck_assert_uint_lt(inner_ofs, len);
        }
        free(copy);
    }
}

START_TEST(stays_within_every_length)
{
    struct frame f = tcp_frame();

    frame_push_tag(&f, HDR_ETH_VLAN, 5);
    check_all_lengths(&f);
    f = ip6_udp_frame();
    check_all_lengths(&f);

    f = frame_eth(HDR_ETH_MPLS);
    frame_label(&f, 1, true);
    frame_ip6(&f, HDR_IP_TCP, 9, "2001:db8::1", "2001:db8::2");
    frame_ip6_ext(&f, HDR_IP6_DESTINATION, "\0\x01\x04\0\0\0\0", 7);
    frame_ip6_ext(&f, HDR_IP6_FRAGMENT, "\0\x00\x00\xde\xad\xbe\xef", 7);
    frame_tcp(&f, 10, 20, 30, 40, 1);
    frame_tcp_options(&f, "\x02\x04\x05\xb4", 4);
    frame_finish(&f);
    check_all_lengths(&f);

    f = frame_eth(HDR_ETH_ARP);
    frame_arp(&f, 1, "10.0.0.1", "10.0.0.2");
    check_all_lengths(&f);
}
END_TEST

START_TEST(truncated_is_not_malformed)
{
    struct frame f = tcp_frame();
    struct hdr h;

    ck_assert_int_eq(hdr_parse(f.data, 13, &h), HDR_TRUNCATED);
    ck_assert_int_eq(hdr_parse(f.data, 33, &h), HDR_TRUNCATED);
    ck_assert(!hdr_has_l3(&h));
    ck_assert_int_eq(hdr_parse(f.data, 53, &h), HDR_TRUNCATED);
    ck_assert(h.is_ip4);
    ck_assert_uint_eq(h.l4_ofs, 0);
    ck_assert_int_eq(hdr_parse(f.data, 54, &h), HDR_OK);
    ck_assert_uint_eq(h.own_len, 45);
    ck_assert_uint_eq(h.payload_ofs, 54);
}
END_TEST

START_TEST(parses_from_l3_on)
{
    struct frame f = ip6_udp_frame();
    struct hdr h;

    ck_assert_int_eq(hdr_parse_l3(f.data + 14, f.len - 14, HDR_ETH_IP6, &h),
                     HDR_OK);
    ck_assert(hdr_has_l3(&h));
    ck_assert_uint_eq(h.l3_ofs, 0);
    ck_assert_uint_eq(h.l4_ofs, 40);
    ck_assert_uint_eq(h.src_port, 5353);
}
END_TEST

static enum hdr_tunnel
inner(const struct frame *f, size_t *ofs, uint16_t *type, uint32_t *id)
{
    struct hdr h;

    hdr_parse(f->data, f->len, &h);
    return hdr_inner(f->data, f->len, &h, ofs, type, id);
}

START_TEST(finds_inner_packets)
{
    struct frame in = tcp_frame();
    struct frame f = frame_eth(HDR_ETH_IP4);
    size_t ofs;
    uint16_t type;
    uint32_t id;

    frame_ip4(&f, HDR_IP_UDP, 64, "192.0.2.1", "192.0.2.2");
    frame_udp(&f, 50000, 4789);
    frame_bytes(&f, "\x08\0\0\0\x00\x12\x34\0", 8);
    frame_bytes(&f, in.data, in.len);
    frame_finish(&f);
    ck_assert_int_eq(inner(&f, &ofs, &type, &id), HDR_TUNNEL_VXLAN);
    ck_assert_uint_eq(ofs, 50);
    ck_assert_uint_eq(type, 0);
    ck_assert_uint_eq(id, 0x1234);
    check_all_lengths(&f);

    f = frame_eth(HDR_ETH_IP4);
    frame_ip4(&f, HDR_IP_UDP, 64, "192.0.2.1", "192.0.2.2");
    frame_udp(&f, 50000, 6081);
    frame_bytes(&f, "\x01\0\x65\x58\x00\x00\x07\0opt4", 12);
    frame_bytes(&f, in.data, in.len);
    frame_finish(&f);
    ck_assert_int_eq(inner(&f, &ofs, &type, &id), HDR_TUNNEL_GENEVE);
    ck_assert_uint_eq(ofs, 54);
    ck_assert_uint_eq(id, 7);
    check_all_lengths(&f);

    f = frame_eth(HDR_ETH_IP6);
    frame_ip6(&f, HDR_IP_GRE, 64, "2001:db8::1", "2001:db8::2");
    frame_bytes(&f,
                "\xb0\0\x08\x00"
                "csumkey.seq.",
                16);
    frame_bytes(&f, in.data + 14, in.len - 14);
    frame_finish(&f);
    ck_assert_int_eq(inner(&f, &ofs, &type, &id), HDR_TUNNEL_GRE);
    ck_assert_uint_eq(ofs, 70);
    ck_assert_uint_eq(type, HDR_ETH_IP4);
    ck_assert_uint_eq(id, 0x6b65792e);
    check_all_lengths(&f);

    ck_assert_int_eq(inner(&in, &ofs, &type, &id), HDR_TUNNEL_NONE);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("hdr");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(tcase, finds_tcp_over_ip4);
    tcase_add_test(tcase, finds_l4_behind_ip4_and_tcp_options);
    tcase_add_test(tcase, finds_l4_behind_ip6_extension_headers);
    tcase_add_test(tcase, finds_fragments);
    tcase_add_test(tcase, finds_icmp_sctp_and_arp);
    tcase_add_test(tcase, finds_ip_under_mpls);
    tcase_add_test(tcase, knows_802_3_and_snap);
    tcase_add_test(tcase, says_what_is_wrong);
    tcase_add_test(tcase, stays_within_every_length);
    tcase_add_test(tcase, truncated_is_not_malformed);
    tcase_add_test(tcase, parses_from_l3_on);
    tcase_add_test(tcase, finds_inner_packets);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
