/* SPDX-License-Identifier: Apache-2.0 */
/* test_hdr_text - packets and their differences as people read them. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/hdr.h"
#include "tests/lib/frame.h"

static void
check_text(const struct frame *f, const char *want)
{
    char text[512];

    ck_assert_uint_eq(hdr_format(f->data, f->len, text, sizeof text),
                      strlen(text));
    ck_assert_str_eq(text, want);
}

static void
check_diff(const struct frame *a, const struct frame *b, const char *want)
{
    char text[512];

    ck_assert_uint_eq(
        hdr_format_diff(a->data, a->len, b->data, b->len, text, sizeof text),
        strlen(text));
    ck_assert_str_eq(text, want);
}

static struct frame
tcp(const char *src, const char *dst, uint16_t src_port, uint16_t dst_port,
    uint8_t ttl, uint8_t flags)
{
    struct frame f = frame_eth(HDR_ETH_IP4);

    frame_ip4(&f, HDR_IP_TCP, ttl, src, dst);
    frame_tcp(&f, src_port, dst_port, 1000, 2000, flags);
    frame_finish(&f);
    return f;
}

static struct frame
udp(void)
{
    struct frame f = frame_eth(HDR_ETH_IP4);

    frame_ip4(&f, HDR_IP_UDP, 64, "10.0.0.1", "10.0.0.2");
    frame_udp(&f, 5353, 53);
    frame_text(&f, "question");
    frame_finish(&f);
    return f;
}

START_TEST(tcp_and_udp)
{
    struct frame f = tcp("10.0.0.1", "10.0.0.2", 4321, 80, 64, 0x02);

    check_text(&f, "10.0.0.1:4321 > 10.0.0.2:80 tcp SYN seq 1000 ttl 64");
    f = tcp("10.0.0.1", "10.0.0.2", 4321, 80, 64, 0x12);
    frame_push_tag(&f, HDR_ETH_VLAN, 0x6005);
    frame_push_tag(&f, HDR_ETH_QINQ, 100);
    check_text(&f, "10.0.0.1:4321 > 10.0.0.2:80 tcp SYN,ACK seq 1000 ack 2000 "
                   "ttl 64 vlan 100 vlan 5 pcp 3");
    f = udp();
    f.data[15] = 0xb9;
    check_text(&f, "10.0.0.1:5353 > 10.0.0.2:53 udp len 8 ttl 64 dscp 46 "
                   "ecn 1");

    f = frame_eth(HDR_ETH_IP6);
    frame_ip6(&f, HDR_IP_SCTP, 9, "2001:db8::1", "2001:db8::2");
    frame_sctp(&f, 100, 200, 7);
    frame_finish(&f);
    check_text(&f, "[2001:db8::1]:100 > [2001:db8::2]:200 sctp ttl 9");
}
END_TEST

START_TEST(icmp)
{
    struct frame in = udp();
    struct frame f = frame_eth(HDR_ETH_IP4);

    frame_ip4(&f, HDR_IP_ICMP, 64, "10.0.0.1", "10.0.0.2");
    frame_icmp(&f, 8, 0, 0x00070001);
    frame_finish(&f);
    check_text(&f, "10.0.0.1 > 10.0.0.2 icmp echo request id 7 seq 1 ttl 64");

    f = frame_eth(HDR_ETH_IP4);
    frame_ip4(&f, HDR_IP_ICMP, 64, "10.0.0.9", "10.0.0.1");
    frame_icmp(&f, 3, 3, 0);
    frame_bytes(&f, in.data + 14, 28);
    frame_finish(&f);
    check_text(&f, "10.0.0.9 > 10.0.0.1 icmp port unreachable (10.0.0.1:5353 "
                   "> 10.0.0.2:53 udp len 8 ttl 64) ttl 64");

    f = frame_eth(HDR_ETH_IP6);
    frame_ip6(&f, HDR_IP_ICMP6, 255, "fe80::1", "ff02::1:ff00:2");
    frame_icmp(&f, 135, 0, 0);
    frame_bytes(&f, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x02", 16);
    frame_finish(&f);
    check_text(&f, "fe80::1 > ff02::1:ff00:2 icmp6 neighbour solicitation who "
                   "has fe80::2 ttl 255");
}
END_TEST

START_TEST(arp)
{
    struct frame f = frame_eth(HDR_ETH_ARP);

    frame_arp(&f, 1, "10.0.0.1", "10.0.0.2");
    check_text(&f, "arp who-has 10.0.0.2 tell 10.0.0.1");
    f = frame_eth(HDR_ETH_ARP);
    frame_arp(&f, 2, "10.0.0.1", "10.0.0.2");
    check_text(&f, "arp reply 10.0.0.1 is-at 02:00:00:00:00:01");
}
END_TEST

START_TEST(tunnels_show_what_is_inside)
{
    struct frame in = udp();
    struct frame f = frame_eth(HDR_ETH_IP4);

    frame_ip4(&f, HDR_IP_UDP, 64, "192.0.2.1", "192.0.2.2");
    frame_udp(&f, 50000, 4789);
    frame_bytes(&f, "\x08\0\0\0\x00\x00\x05\0", 8);
    frame_bytes(&f, in.data, in.len);
    frame_finish(&f);
    check_text(&f, "192.0.2.1:50000 > 192.0.2.2:4789 udp len 58 ttl 64 vxlan "
                   "vni 5 (10.0.0.1:5353 > 10.0.0.2:53 udp len 8 ttl 64)");
}
END_TEST

START_TEST(what_is_not_ip)
{
    struct frame f = frame_eth(0x88cc);

    frame_text(&f, "\x02\x07 link layer discovery");
    check_text(&f, "02:00:00:00:00:01 > 02:00:00:00:00:02 lldp");
    memset(f.data, 0, 6);
    check_text(&f, "02:00:00:00:00:01 > ? lldp");
    f = frame_eth(38);
    frame_text(&f, "\x42\x42\x03 bridge");
    check_text(&f, "02:00:00:00:00:01 > 02:00:00:00:00:02 802.3 len 38 stp");
    f.len = 10;
    check_text(&f, "10 bytes [cut]");
}
END_TEST

START_TEST(labels_fragments_and_errors)
{
    struct frame in = udp();
    struct frame f = frame_eth(HDR_ETH_MPLS);

    frame_label(&f, 16, false);
    frame_label(&f, 17, true);
    frame_bytes(&f, in.data + 14, in.len - 14);
    check_text(&f, "10.0.0.1:5353 > 10.0.0.2:53 udp len 8 ttl 64 mpls 16/17");

    f = udp();
    bytes_put_be16(f.data + 20, 0x2010);
    check_text(&f, "10.0.0.1 > 10.0.0.2 udp ttl 64 frag id 0x1234 at 128+");
    f = udp();
    f.len = 40;
    check_text(&f, "10.0.0.1 > 10.0.0.2 udp ttl 64 [cut]");
    f = udp();
    bytes_put_be16(f.data + 16, 24);
    check_text(&f, "10.0.0.1 > 10.0.0.2 udp ttl 64 [malformed]");
}
END_TEST

START_TEST(differences_are_named)
{
    struct frame a = tcp("10.0.0.5", "10.0.0.2", 4321, 80, 64, 0x18);
    struct frame b = tcp("192.0.2.1", "10.0.0.2", 61000, 80, 63, 0x18);

    check_diff(&a, &a, "");
    b.data[5] = 0x99;
    check_diff(&a, &b,
               "eth_dst 02:00:00:00:00:02 -> 02:00:00:00:00:99, ip_src "
               "10.0.0.5 -> 192.0.2.1, ttl 64 -> 63, tp_src 4321 -> 61000");

    /* A lost destination is not a difference. */
    memset(b.data, 0, 6);
    check_diff(&a, &b,
               "ip_src 10.0.0.5 -> 192.0.2.1, ttl 64 -> 63, tp_src 4321 -> "
               "61000");

    b = a;
    frame_push_tag(&b, HDR_ETH_VLAN, 5);
    check_diff(&a, &b, "vlan none -> 5");
    check_diff(&b, &a, "vlan 5 -> none");
    struct frame c = b;
    c.data[14] = 0x60;
    frame_push_tag(&c, HDR_ETH_QINQ, 7);
    check_diff(&b, &c, "vlan 5 -> 7/5");

    b = a;
    b.data[15] = 0xb8;
    b.data[b.l4_ofs + 13] = 0x10;
    check_diff(&a, &b, "dscp 0 -> 46, tcp_flags 0x0018 -> 0x0010");
}
END_TEST

START_TEST(differences_of_others_are_named_too)
{
    struct frame a = frame_eth(HDR_ETH_ARP), b;

    frame_arp(&a, 1, "10.0.0.1", "10.0.0.2");
    b = a;
    b.data[21] = 2;
    b.data[31] = 9;
    check_diff(&a, &b, "arp_op 1 -> 2, arp_spa 10.0.0.1 -> 10.0.0.9");

    a = frame_eth(HDR_ETH_IP4);
    frame_ip4(&a, HDR_IP_ICMP, 64, "10.0.0.1", "10.0.0.2");
    frame_icmp(&a, 8, 0, 0x00070001);
    frame_text(&a, "ping");
    frame_finish(&a);
    b = a;
    b.data[b.l4_ofs + 7] = 2;
    b.data[b.l4_ofs + 8] = 'P';
    check_diff(&a, &b, "icmp_seq 1 -> 2, payload 1 of 4 bytes");

    b = frame_eth(HDR_ETH_MPLS);
    frame_label(&b, 16, true);
    frame_bytes(&b, a.data + 14, a.len - 14);
    check_diff(&a, &b, "mpls none -> 16");

    /* Padding and what only one has is no difference. */
    b = a;
    frame_text(&b, "padding");
    a.len -= 2;
    check_diff(&a, &b, "");
}
END_TEST

/* Both write what fits, and end it. */
START_TEST(small_buffers_cut)
{
    struct frame a = tcp("10.0.0.5", "10.0.0.2", 4321, 80, 64, 0x18);
    struct frame b = tcp("192.0.2.1", "10.0.0.2", 61000, 80, 63, 0x18);
    char whole[512], text[512];

    hdr_format(a.data, a.len, whole, sizeof whole);
    for (size_t size = 1; size < 60; size++) {
        memset(text, 'x', sizeof text);
        ck_assert_uint_eq(hdr_format(a.data, a.len, text, size), strlen(text));
        ck_assert_uint_lt(strlen(text), size);
        ck_assert_mem_eq(text, whole, strlen(text));
        ck_assert_int_eq(text[size], 'x');
        hdr_format_diff(a.data, a.len, b.data, b.len, text, size);
        ck_assert_uint_lt(strlen(text), size);
    }
    ck_assert_uint_eq(hdr_format(a.data, a.len, text, 0), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("hdr_text");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(tcase, tcp_and_udp);
    tcase_add_test(tcase, icmp);
    tcase_add_test(tcase, arp);
    tcase_add_test(tcase, tunnels_show_what_is_inside);
    tcase_add_test(tcase, what_is_not_ip);
    tcase_add_test(tcase, labels_fragments_and_errors);
    tcase_add_test(tcase, differences_are_named);
    tcase_add_test(tcase, differences_of_others_are_named_too);
    tcase_add_test(tcase, small_buffers_cut);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
