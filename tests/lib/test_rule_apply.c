/* SPDX-License-Identifier: Apache-2.0 */
/* test_rule_apply - a rule applied to a packet gives the packet that would
 * have been built with the new values, checksums and all. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/hdr.h"
#include "lib/of_port.h"
#include "lib/packet_id.h"
#include "lib/rule.h"
#include "tests/lib/frame.h"

static struct rule *rule;

static void
setup(void)
{
    rule = rule_create();
}

static void
teardown(void)
{
    rule_unref(rule);
}

static void
set(enum step_field field, const char *value)
{
    uint8_t bytes[16] = {0};
    size_t size = step_field_size(field);

    if (strpbrk(value, ".:")) {
        frame_address(value, bytes);
    } else {
        unsigned long number = strtoul(value, NULL, 0);

        for (size_t i = size; i-- > 0; number >>= 8) {
            bytes[i] = (uint8_t) number;
        }
    }
    rule_add_set(rule, field, bytes, NULL);
}

static struct frame
apply_n(const struct frame *in, size_t n_out, enum rule_apply_result result)
{
    struct frame out = {.len = 0};

    ck_assert_int_eq(rule_apply(rule, n_out, in->data, in->len, out.data,
                                sizeof out.data, &out.len),
                     result);
    return out;
}

static struct frame
apply(const struct frame *in)
{
    return apply_n(in, SIZE_MAX, RULE_APPLY_OK);
}

static void
check_equal(const struct frame *got, const struct frame *want)
{
    ck_assert_uint_eq(got->len, want->len);
    ck_assert_mem_eq(got->data, want->data, want->len);
}

enum l4 { L4_TCP, L4_UDP, L4_SCTP, L4_ICMP, N_L4 };

/* A packet of every field that rules edit. */
static struct frame
packet(enum l4 l4, bool is_ip6, const char *src, const char *dst, uint8_t ttl,
       uint16_t src_port, uint16_t dst_port)
{
    static const uint8_t protos[] = {HDR_IP_TCP, HDR_IP_UDP, HDR_IP_SCTP,
                                     HDR_IP_ICMP};
    struct frame f = frame_eth(is_ip6 ? HDR_ETH_IP6 : HDR_ETH_IP4);
    uint8_t proto = protos[l4];

    if (is_ip6) {
        proto = l4 == L4_ICMP ? HDR_IP_ICMP6 : proto;
        frame_ip6(&f, proto, ttl, src, dst);
    } else {
        frame_ip4(&f, proto, ttl, src, dst);
    }
    switch (l4) {
    case L4_TCP:
        frame_tcp(&f, src_port, dst_port, 1000, 2000, 0x18);
        break;
    case L4_UDP:
        frame_udp(&f, src_port, dst_port);
        break;
    case L4_SCTP:
        frame_sctp(&f, src_port, dst_port, 77);
        break;
    case L4_ICMP:
        frame_icmp(&f, 8, 0, 0x00010002);
        break;
    case N_L4:
    default:
        ck_abort();
    }
    frame_text(&f, "some payload!");
    frame_finish(&f);
    ck_assert(frame_check(f.data, f.len));
    return f;
}

START_TEST(nat_makes_the_packet_of_the_new_addresses)
{
    struct frame in = packet(_i, false, "10.0.0.1", "10.0.0.2", 64, 1, 2);
    struct frame want =
        packet(_i, false, "192.0.2.1", "198.51.100.7", 9, 61000, 8080);

    set(FIELD_IPV4_SRC, "192.0.2.1");
    set(FIELD_IPV4_DST, "198.51.100.7");
    set(FIELD_IP_TTL, "9");
    set(FIELD_TP_SRC, "61000");
    set(FIELD_TP_DST, "8080");

    struct frame out = apply(&in);

    check_equal(&out, &want);
}
END_TEST

START_TEST(nat_of_ip6_too)
{
    struct frame in = packet(_i, true, "2001:db8::1", "2001:db8::2", 64, 1, 2);
    struct frame want = packet(_i, true, "2001:db8:ffff::1",
                               "2001:db8:8000:1::7", 9, 61000, 8080);

    set(FIELD_IPV6_SRC, "2001:db8:ffff::1");
    set(FIELD_IPV6_DST, "2001:db8:8000:1::7");
    set(FIELD_IP_TTL, "9");
    set(FIELD_TP_SRC, "61000");
    set(FIELD_TP_DST, "8080");

    struct frame out = apply(&in);

    check_equal(&out, &want);
}
END_TEST

START_TEST(marks_and_labels_of_ip)
{
    struct frame in = packet(L4_UDP, false, "10.0.0.1", "10.0.0.2", 64, 1, 2);
    struct frame want = in;

    want.data[15] = 0x2e << 2 | 1;
    frame_finish(&want);
    set(FIELD_IP_DSCP, "0x2e");
    set(FIELD_IP_ECN, "1");

    struct frame out = apply(&in);

    check_equal(&out, &want);

    in = packet(L4_UDP, true, "2001:db8::1", "2001:db8::2", 64, 1, 2);
    want = in;
    bytes_put_be32(want.data + 14, 0x6b9abcde);
    set(FIELD_IPV6_LABEL, "0xabcde");
    out = apply(&in);
    check_equal(&out, &want);
}
END_TEST

START_TEST(masks_leave_other_bits)
{
    struct frame in = packet(L4_TCP, false, "10.0.1.2", "10.0.0.2", 64, 1, 2);
    struct frame want =
        packet(L4_TCP, false, "192.0.1.2", "10.0.0.2", 64, 1, 2);

    rule_add_set(rule, FIELD_IPV4_SRC, (const uint8_t *) "\xc0\x00\x63\x63",
                 (const uint8_t *) "\xff\xff\x00\x00");

    struct frame out = apply(&in);

    check_equal(&out, &want);
}
END_TEST

START_TEST(dec_ttl_until_it_ends)
{
    struct frame in = packet(L4_UDP, _i, _i ? "2001:db8::1" : "10.0.0.1",
                             _i ? "2001:db8::2" : "10.0.0.2", 3, 1, 2);
    struct frame want = packet(L4_UDP, _i, _i ? "2001:db8::1" : "10.0.0.1",
                               _i ? "2001:db8::2" : "10.0.0.2", 1, 1, 2);

    rule_add_plain(rule, STEP_DEC_TTL, 0);
    rule_add_plain(rule, STEP_DEC_TTL, 0);
    rule_add_output(rule, 1);
    rule_add_plain(rule, STEP_DEC_TTL, 0);
    rule_add_output(rule, 2);

    struct frame out = apply_n(&in, 0, RULE_APPLY_OK);

    check_equal(&out, &want);
    out = apply_n(&in, 1, RULE_APPLY_TTL);
    check_equal(&out, &want);
}
END_TEST

START_TEST(outputs_see_what_came_before_them)
{
    struct frame in = packet(L4_TCP, false, "10.0.0.1", "10.0.0.2", 64, 1, 2);

    rule_add_output(rule, 1);
    set(FIELD_ETH_DST, "02:00:00:00:00:aa");
    rule_add_output(rule, 2);
    rule_add_unknown(rule, "ct(nat)");
    rule_add_output(rule, 3);

    struct frame out = apply_n(&in, 0, RULE_APPLY_OK);

    check_equal(&out, &in);
    out = apply_n(&in, 1, RULE_APPLY_OK);
    ck_assert_uint_eq(out.data[5], 0xaa);
    ck_assert_mem_eq(out.data + 6, in.data + 6, in.len - 6);
    apply_n(&in, 2, RULE_APPLY_UNKNOWN);
    apply_n(&in, SIZE_MAX, RULE_APPLY_UNKNOWN);
}
END_TEST

START_TEST(tags_are_pushed_popped_and_set)
{
    struct frame in = packet(L4_TCP, false, "10.0.0.1", "10.0.0.2", 64, 1, 2);
    struct frame want = in;

    frame_push_tag(&want, HDR_ETH_VLAN, 5);
    set(FIELD_VLAN_VID, "5");

    struct frame tagged = apply(&in);

    check_equal(&tagged, &want);

    /* Another priority, with the VLAN kept and DEI cleared. */
    tagged.data[14] |= 0x10;
    want.data[14] = 0x60;
    rule_unref(rule);
    rule = rule_create();
    set(FIELD_VLAN_PCP, "3");

    struct frame out = apply(&tagged);

    check_equal(&out, &want);

    /* A second tag, then both off. */
    frame_push_tag(&want, HDR_ETH_QINQ, 0);
    rule_add_plain(rule, STEP_PUSH_VLAN, HDR_ETH_QINQ);
    out = apply(&tagged);
    check_equal(&out, &want);
    rule_add_plain(rule, STEP_POP_VLAN, 0);
    rule_add_plain(rule, STEP_POP_VLAN, 0);
    rule_add_plain(rule, STEP_POP_VLAN, 0);
    out = apply(&tagged);
    check_equal(&out, &in);
}
END_TEST

START_TEST(labels_are_pushed_popped_and_set)
{
    struct frame in = packet(L4_TCP, false, "10.0.0.1", "10.0.0.2", 33, 1, 2);
    struct frame want = frame_eth(HDR_ETH_MPLS);

    frame_label(&want, 16, false);
    frame_label(&want, 0, true);
    want.data[17] = want.data[21] = 33; /* TTL of the IP header. */
    frame_bytes(&want, in.data + 14, in.len - 14);

    rule_add_plain(rule, STEP_PUSH_MPLS, HDR_ETH_MPLS);
    rule_add_plain(rule, STEP_PUSH_MPLS, HDR_ETH_MPLS);
    set(FIELD_MPLS_LABEL, "16");

    struct frame out = apply(&in);

    check_equal(&out, &want);

    /* What is under a label is not the switch's to edit. */
    set(FIELD_MPLS_TC, "5");
    set(FIELD_MPLS_TTL, "7");
    set(FIELD_IPV4_SRC, "192.0.2.1");
    set(FIELD_TP_DST, "99");
    rule_add_plain(rule, STEP_DEC_TTL, 0);
    bytes_put_be32(want.data + 14, 16 << 12 | 5 << 9 | 7);
    out = apply(&in);
    check_equal(&out, &want);

    rule_add_plain(rule, STEP_POP_MPLS, HDR_ETH_MPLS);
    rule_add_plain(rule, STEP_POP_MPLS, HDR_ETH_IP4);
    rule_add_plain(rule, STEP_POP_MPLS, HDR_ETH_IP4);
    out = apply(&in);
    check_equal(&out, &in);

    /* Behind tags, with IPv6 and a DSCP. */
    in = packet(L4_UDP, true, "2001:db8::1", "2001:db8::2", 9, 1, 2);
    bytes_put_be32(in.data + 14, 0x6b800000);
    frame_push_tag(&in, HDR_ETH_VLAN, 5);
    want = frame_eth(HDR_ETH_MPLS_M);
    bytes_put_be32(want.data + 14, 2 << 12 | 6 << 9 | 0x100 | 9);
    want.len = 18;
    frame_bytes(&want, in.data + 18, in.len - 18);
    frame_push_tag(&want, HDR_ETH_VLAN, 5);
    rule_unref(rule);
    rule = rule_create();
    rule_add_plain(rule, STEP_PUSH_MPLS, HDR_ETH_MPLS_M);
    out = apply(&in);
    check_equal(&out, &want);
}
END_TEST

START_TEST(arp_fields)
{
    struct frame in = frame_eth(HDR_ETH_ARP);
    struct frame want = frame_eth(HDR_ETH_ARP);

    frame_arp(&in, 1, "10.0.0.1", "10.0.0.2");
    frame_arp(&want, 2, "10.0.0.2", "10.0.0.1");
    memcpy(want.data + 14 + 8, "\x02\0\0\0\0\x99", 6);
    memcpy(want.data + 14 + 18, "\x02\0\0\0\0\x01", 6);
    set(FIELD_ARP_OP, "2");
    set(FIELD_ARP_SPA, "10.0.0.2");
    set(FIELD_ARP_TPA, "10.0.0.1");
    set(FIELD_ARP_SHA, "02:00:00:00:00:99");
    set(FIELD_ARP_THA, "02:00:00:00:00:01");
    set(FIELD_IPV4_SRC, "192.0.2.1"); /* Not there. */
    set(FIELD_TP_SRC, "5");

    struct frame out = apply(&in);

    check_equal(&out, &want);
}
END_TEST

static struct frame
solicitation(const char *target, const char *mac)
{
    struct frame f = frame_eth(HDR_ETH_IP6);
    uint8_t bytes[16];

    frame_ip6(&f, HDR_IP_ICMP6, 255, "fe80::1", "ff02::1");
    frame_icmp(&f, 135, 0, 0);
    frame_address(target, bytes);
    frame_bytes(&f, bytes, 16);
    frame_bytes(&f, "\x0e\x01nonce.", 8);
    frame_address(mac, bytes);
    frame_bytes(&f, "\x01\x01", 2);
    frame_bytes(&f, bytes, 6);
    frame_finish(&f);
    return f;
}

START_TEST(neighbour_discovery_and_icmp_fields)
{
    struct frame in = solicitation("fe80::2", "02:00:00:00:00:01");
    struct frame want = solicitation("2001:db8::9", "02:00:00:00:00:77");

    set(FIELD_ND_TARGET, "2001:db8::9");
    set(FIELD_ND_SLL, "02:00:00:00:00:77");
    set(FIELD_ND_TLL, "02:00:00:00:00:78"); /* Not there. */

    struct frame out = apply(&in);

    check_equal(&out, &want);
    set(FIELD_ICMP_TYPE, "129");
    set(FIELD_ICMP_CODE, "3");
    want.data[want.l4_ofs] = 129;
    want.data[want.l4_ofs + 1] = 3;
    frame_finish(&want);
    out = apply(&in);
    check_equal(&out, &want);
}
END_TEST

START_TEST(no_udp_checksum_stays_none)
{
    struct frame in = packet(L4_UDP, false, "10.0.0.1", "10.0.0.2", 64, 1, 2);
    struct frame want =
        packet(L4_UDP, false, "192.0.2.1", "10.0.0.2", 64, 1, 80);

    bytes_put_be16(in.data + in.l4_ofs + 6, 0);
    bytes_put_be16(want.data + want.l4_ofs + 6, 0);
    set(FIELD_IPV4_SRC, "192.0.2.1");
    set(FIELD_TP_DST, "80");

    struct frame out = apply(&in);

    check_equal(&out, &want);
}
END_TEST

START_TEST(wrong_checksums_stay_wrong)
{
    struct frame in = packet(L4_TCP, false, "10.0.0.1", "10.0.0.2", 64, 1, 2);

    in.data[in.l4_ofs + 17] ^= 1;
    set(FIELD_IPV4_SRC, "192.0.2.1");

    struct frame out = apply(&in);

    ck_assert(!frame_check(out.data, out.len));
}
END_TEST

START_TEST(impossible_tcp_has_no_ports)
{
    struct frame in = packet(L4_TCP, false, "10.0.0.1", "10.0.0.2", 64, 1, 2);

    in.data[in.l4_ofs + 12] = 0x40;
    set(FIELD_TP_DST, "80");

    struct frame out = apply(&in);

    check_equal(&out, &in);
}
END_TEST

START_TEST(later_fragments_have_no_ports)
{
    struct frame in = packet(L4_TCP, false, "10.0.0.1", "10.0.0.2", 64, 1, 2);
    struct frame want =
        packet(L4_TCP, false, "192.0.2.1", "10.0.0.2", 64, 1, 2);

    bytes_put_be16(in.data + in.l3_ofs + 6, 0x0010);
    memcpy(want.data + want.l4_ofs, in.data + in.l4_ofs, 20);
    bytes_put_be16(want.data + want.l3_ofs + 6, 0x0010);
    frame_finish(&in);
    frame_finish(&want);
    set(FIELD_IPV4_SRC, "192.0.2.1");
    set(FIELD_TP_DST, "80");

    struct frame out = apply(&in);

    check_equal(&out, &want);
}
END_TEST

START_TEST(routing_header_keeps_the_checksum)
{
    struct frame in = frame_eth(HDR_ETH_IP6), want;

    frame_ip6(&in, HDR_IP_UDP, 9, "2001:db8::1", "2001:db8::2");
    frame_ip6_ext(&in, HDR_IP6_ROUTING, "\x02\0\x01\0\0\0\0addressaddress..",
                  23);
    frame_udp(&in, 1, 2);
    frame_finish(&in);
    want = in;
    frame_address("2001:db8::9", want.data + in.l3_ofs + 24);
    set(FIELD_IPV6_DST, "2001:db8::9");

    struct frame out = apply(&in);

    check_equal(&out, &want);
}
END_TEST

/* Adds a step drawn from 'seed'. */
static void
add_random_step(unsigned int *seed)
{
    static const uint16_t types[] = {HDR_ETH_VLAN, HDR_ETH_QINQ};
    static const enum step_field nat[] = {
        FIELD_ETH_SRC,  FIELD_ETH_DST,    FIELD_VLAN_VID, FIELD_VLAN_PCP,
        FIELD_IPV4_SRC, FIELD_IPV4_DST,   FIELD_IPV6_SRC, FIELD_IPV6_DST,
        FIELD_IP_DSCP,  FIELD_IPV6_LABEL, FIELD_IP_ECN,   FIELD_IP_TTL,
        FIELD_TP_SRC,   FIELD_TP_DST,
    };
    uint8_t value[16], mask[16];
    unsigned int what = (unsigned int) rand_r(seed) % 8;

    if (what == 0) {
        rule_add_plain(rule, STEP_PUSH_VLAN, types[rand_r(seed) % 2]);
    } else if (what == 1) {
        rule_add_plain(rule, STEP_POP_VLAN, 0);
    } else if (what == 2) {
        rule_add_plain(rule, STEP_PUSH_MPLS, HDR_ETH_MPLS);
    } else {
        for (size_t i = 0; i < 16; i++) {
            value[i] = (uint8_t) rand_r(seed);
            mask[i] = rand_r(seed) % 2 ? 0xff : (uint8_t) rand_r(seed);
        }
        rule_add_set(rule, nat[(size_t) rand_r(seed) % 14], value, mask);
    }
}

/* Any rule keeps checksums right and the packet ID; and what it makes of a
 * shorter capture is what it makes of the whole, cut. */
START_TEST(any_rule_keeps_checksums_and_packet_id)
{
    static const struct packet_id_config config = PACKET_ID_CONFIG_INIT;
    unsigned int seed = (unsigned int) _i;
    bool is_ip6 = rand_r(&seed) % 2;
    struct frame in =
        packet((enum l4)(rand_r(&seed) % N_L4), is_ip6,
               is_ip6 ? "2001:db8::1" : "10.0.0.1",
               is_ip6 ? "2001:db8::2" : "10.0.0.2", 64, 4321, 80);
    uint64_t id, id_out;
    struct hdr h;

    for (unsigned int i = 0; i < 6; i++) {
        add_random_step(&seed);
    }

    struct frame out = apply(&in);

    hdr_parse(in.data, in.len, &h);
    ck_assert_int_eq(packet_id(&config, in.data, in.len, &h, &id),
                     PACKET_ID_OK);
    hdr_parse(out.data, out.len, &h);
    if (h.n_tags < HDR_MAX_TAGS) {
        ck_assert_int_eq(packet_id(&config, out.data, out.len, &h, &id_out),
                         PACKET_ID_OK);
        ck_assert_uint_eq(id, id_out);
        ck_assert(frame_check(out.data, out.len));
    }
    for (size_t len = 0; len < in.len; len++) {
        uint8_t *copy = malloc(len + 1), *cut = malloc(len + 64);
        size_t cut_len;

        memcpy(copy, in.data, len);
        rule_apply(rule, SIZE_MAX, copy, len, cut, len + 64, &cut_len);
        ck_assert_uint_le(cut_len, out.len);
        if (len >= 14) {
            ck_assert_mem_eq(cut, out.data, cut_len < 14 ? cut_len : 14);
        }
        if (len >= 14 + 40) {
            ck_assert_mem_eq(cut, out.data, cut_len);
        }
        rule_apply(rule, SIZE_MAX, copy, len, cut, len, &cut_len);
        ck_assert_uint_le(cut_len, len);
        free(copy);
        free(cut);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("rule_apply");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, nat_makes_the_packet_of_the_new_addresses, 0,
                        N_L4);
    tcase_add_loop_test(tcase, nat_of_ip6_too, 0, N_L4);
    tcase_add_test(tcase, marks_and_labels_of_ip);
    tcase_add_test(tcase, masks_leave_other_bits);
    tcase_add_loop_test(tcase, dec_ttl_until_it_ends, 0, 2);
    tcase_add_test(tcase, outputs_see_what_came_before_them);
    tcase_add_test(tcase, tags_are_pushed_popped_and_set);
    tcase_add_test(tcase, labels_are_pushed_popped_and_set);
    tcase_add_test(tcase, arp_fields);
    tcase_add_test(tcase, neighbour_discovery_and_icmp_fields);
    tcase_add_test(tcase, no_udp_checksum_stays_none);
    tcase_add_test(tcase, wrong_checksums_stay_wrong);
    tcase_add_test(tcase, impossible_tcp_has_no_ports);
    tcase_add_test(tcase, later_fragments_have_no_ports);
    tcase_add_test(tcase, routing_header_keeps_the_checksum);
    tcase_add_loop_test(tcase, any_rule_keeps_checksums_and_packet_id, 0, 200);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
