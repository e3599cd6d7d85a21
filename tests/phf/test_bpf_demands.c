/* SPDX-License-Identifier: Apache-2.0 */
/* test_bpf_demands - what a BPF program demands of addresses and ports is
 * never more than it does, and is all of it where nothing else matters. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/block_index.h"
#include "lib/bytes.h"
#include "lib/header_split.h"
#include "lib/lh_alloc.h"
#include "phf/block_sieve.h"
#include "phf/bpf.h"
#include "phf/phf.h"

#define N_ROUNDS 4000

static uint64_t seed = 99;

static uint32_t
pick(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t) (seed >> 33) % n;
}

/* Tags, or one label behind them. */
static void
put_tags(uint8_t *p, uint16_t l3_ofs, bool is_ip4)
{
    static const uint16_t types[] = {0x8100, 0x88a8, 0x9100, 0x8100};
    bool has_label = l3_ofs > 14 && !pick(3);

    for (uint16_t ofs = 12; ofs + 2 < l3_ofs; ofs = (uint16_t) (ofs + 4)) {
        bytes_put_be16(p + ofs, types[pick(4)]);
        bytes_put_be16(p + ofs + 2, (uint16_t) pick(3));
    }
    if (has_label) {
        bytes_put_be16(p + l3_ofs - 6, pick(2) ? 0x8847 : 0x8848);
        bytes_put_be32(p + l3_ofs - 4, (uint32_t) pick(3) << 12 | 0x100);
    } else {
        bytes_put_be16(p + l3_ofs - 2, is_ip4 ? 0x0800 : 0x86dd);
    }
}

/* A header of few addresses and ports, so that some fit. */
static size_t
make_header(uint8_t *p, uint16_t l3_ofs)
{
    static const uint8_t protos[] = {6, 17, 1, 50};
    bool is_ip4 = pick(2);
    uint8_t proto = protos[pick(4)];
    uint8_t *ip = p + l3_ofs, *l4 = ip + (is_ip4 ? 20 : 40);

    memset(p, 0, 120);
    put_tags(p, l3_ofs, is_ip4);
    if (is_ip4) {
        ip[0] = 0x45;
        bytes_put_be16(ip + 2, 60);
        ip[8] = 64;
        ip[9] = proto;
        bytes_put_be32(ip + 12, 0x0a000000u + pick(4));
        bytes_put_be32(ip + 16, 0x0a000000u + pick(4));
    } else {
        ip[0] = 0x60;
        bytes_put_be16(ip + 4, 40);
        ip[6] = proto == 1 ? 58 : proto;
        ip[7] = 64;
        bytes_put_be32(ip + 8, 0x20010db8);
        bytes_put_be32(ip + 24, 0x20010db8);
        ip[23] = (uint8_t) pick(4);
        ip[39] = (uint8_t) pick(4);
    }
    if (proto == 1) {
        l4[0] = pick(2) ? 128 : 8;
    } else {
        bytes_put_be16(l4, (uint16_t) (80 + pick(4)));
        bytes_put_be16(l4 + 2, (uint16_t) (80 + pick(4)));
    }
    l4[12] = 0x50;
    l4[13] = (uint8_t) pick(256);
    return (size_t) l3_ofs + (is_ip4 ? 20 : 40) + 20;
}

static struct flow_key
key_of(const uint8_t *p, const struct header_split *split)
{
    bool is_ip4 = header_kind_is_ip4(split->kind);
    size_t n_addr = is_ip4 ? 4 : 16;
    const uint8_t *addrs = p + split->l3_ofs + (is_ip4 ? 12 : 8);
    bool is_icmp =
        split->kind == HEADER_IP4_ICMP || split->kind == HEADER_IP6_ICMP;
    bool has_ports =
        split->kind != HEADER_IP4_OTHER && split->kind != HEADER_IP6_OTHER;
    struct flow_key key;

    memset(&key, 0, sizeof key);
    memcpy(key.bytes, addrs, 2 * n_addr);
    if (has_ports) {
        memcpy(key.bytes + 2 * n_addr, p + split->l4_ofs, is_icmp ? 2 : 4);
    }
    return key;
}

static bool
fits(const struct bpf_demands *keys, const struct flow_key *key)
{
    for (size_t i = 0; i < keys->n; i++) {
        if (bpf_demand_fits(&keys->all[i], key)) {
            return true;
        }
    }
    return keys->is_any;
}

static const struct {
    const char *text;
    bool is_exact; /* Without tags only addresses and ports matter. */
} rows[] = {
    {"host 10.0.0.1", false}, /* ARP has addresses too. */
    {"ip host 10.0.0.1", true},
    {"src host 10.0.0.1 and dst host 10.0.0.2 and src port 80 and "
     "dst port 81",
     false}, /* Fragments have no ports. */
    {"ip6 host 2001:db8::2", true},
    {"ip6 src host 2001:db8::2 and ip6 dst host 2001:db8::3", true},
    {"net 10.0.0.0/31", false},
    {"port 80", false},
    {"tcp port 80 or udp port 81", false},
    {"not host 10.0.0.1", false},
    {"tcp[tcpflags] & tcp-syn != 0 and ip host 10.0.0.3", false},
    {"vlan and host 10.0.0.2", false},
    {"vlan and ip src host 10.0.0.1 and udp dst port 81", false},
    {"vlan and ip6 host 2001:db8::2", false},
    {"vlan and vlan and ip host 10.0.0.1", false},
    {"mpls and ip host 10.0.0.1", false},
    {"vlan and mpls and ip src host 10.0.0.1", false},
    {"ether[12:2] > 0x8100 and ip host 10.0.0.1", false},
    {"ether[12:2] = 0x8100 and ether[26:4] = 0x40069999", false},
    {"ether[16:2] = 0x800 and ether[30:4] = 0x0a000001", false},
    {"portrange 80-82 and dst port 83", false},
    {"icmp[icmptype] = icmp-echo", false},
    {"less 100 and dst port 80", false},
    {"tcp", true},
    {"not udp", true},
    {"ip[8] = 64 and ip src host 10.0.0.1", false},
    {"(ip src host 10.0.0.1 or ip src host 10.0.0.2) and ip dst host "
     "10.0.0.3",
     true},
    {"ether host 02:00:00:00:00:01 or ip host 10.0.0.1", false},
};

/* Each denies something of what is not split, and accepts some of it. */
static const char *const odd_rows[] = {
    "host 10.0.0.1",
    "src host 10.0.0.2 and dst host 10.0.0.3",
    "ip host 10.0.0.1",
    "arp host 10.0.0.1",
    "arp",
    "rarp",
    "ip",
    "ether proto 0x88cc",
    "ether[12:2] < 0x600",
    "ether[12:2] = 46",
    "ether[12:2] > 0x7fff",
    "ether[12:2] & 0xff = 46",
    "llc or arp src host 10.0.0.3",
    "vlan",
    "tcp src port 80",
    "sctp",
    "ip6",
    "src host 10.0.0.1 and tcp dst port 81",
    "ip[0] & 0xf > 5 and src host 10.0.0.1",
};

START_TEST(what_does_not_fit_is_not_accepted)
{
    struct bpf_test *test;
    size_t n_accepted = 0, n_fit = 0, n_ip = 0;

    ck_assert(!bpf_test_create(rows[_i].text, strlen(rows[_i].text), false,
                               &test, NULL));
    for (int i = 0; i < N_ROUNDS; i++) {
        struct header_split split;
        struct bpf_demands keys;
        uint8_t p[120];
        uint16_t l3_ofs = (uint16_t) (pick(3) ? 14 : 18 + 4 * pick(2));
        size_t len = make_header(p, l3_ofs);
        bool accepts = bpf_test_run(test, p, len), may;

        ck_assert(header_split(p, len, &split));

        struct flow_key key = key_of(p, &split);

        bpf_test_demands(test, split.kind, split.l3_ofs, &keys);
        may = fits(&keys, &key);
        ck_assert_msg(may || !accepts, "%s", rows[_i].text);
        if (rows[_i].is_exact && l3_ofs == 14 &&
            split.kind != HEADER_IP4_OTHER && split.kind != HEADER_IP6_OTHER) {
            ck_assert_msg(may == accepts, "%s", rows[_i].text);
        }
        n_accepted += accepts && l3_ofs == 14;
        n_fit += may && l3_ofs == 14;
        n_ip += l3_ofs == 14;
    }
    /* Or the rounds would show little. */
    ck_assert_uint_gt(n_ip, n_accepted);
    ck_assert_uint_ge(n_fit, n_accepted);
    bpf_test_unref(test);
}
END_TEST

/* Of four addresses each and four ports each, one in 256. */
/* Of headers with tags or labels as well; "vlan" looks behind one tag. */
START_TEST(an_address_is_demanded_behind_tags)
{
    static const struct {
        const char *text;
        uint16_t l3_ofs;
        size_t n;
    } told[] = {
        {"src host 10.0.0.1", 18, 0},
        {"src host 10.0.0.1", 22, 0},
        {"vlan and src host 10.0.0.1", 14, 0},
        {"vlan and src host 10.0.0.1", 18, 1},
        {"mpls and src host 10.0.0.1", 14, 0},
    };

    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        struct bpf_test *test;
        struct bpf_demands keys;

        ck_assert(!bpf_test_create(told[i].text, strlen(told[i].text), false,
                                   &test, NULL));
        bpf_test_demands(test, HEADER_IP4_UDP, told[i].l3_ofs, &keys);
        ck_assert_msg(!keys.is_any && keys.n == told[i].n, "%s at %d: %d",
                      told[i].text, told[i].l3_ofs, (int) keys.n);
        bpf_test_unref(test);
    }
}
END_TEST

START_TEST(a_flow_is_told_from_most_others)
{
    const char *text = "src host 10.0.0.1 and dst host 10.0.0.2 and src port "
                       "80 and dst port 81";
    struct bpf_test *test;
    struct bpf_demands keys;

    ck_assert(!bpf_test_create(text, strlen(text), false, &test, NULL));
    bpf_test_demands(test, HEADER_IP4_TCP, 14, &keys);
    ck_assert(!keys.is_any);
    ck_assert_uint_eq(keys.n, 1);
    ck_assert_uint_eq(keys.all[0].mask.words[0], UINT64_MAX);
    ck_assert_uint_eq(keys.all[0].mask.bytes[8], 0xff);
    ck_assert_uint_eq(keys.all[0].mask.bytes[11], 0xff);
    ck_assert_uint_eq(keys.all[0].value.bytes[3], 1);
    ck_assert_uint_eq(keys.all[0].value.bytes[7], 2);
    ck_assert_uint_eq(keys.all[0].value.bytes[9], 80);
    ck_assert_uint_eq(keys.all[0].value.bytes[11], 81);
    bpf_test_demands(test, HEADER_IP6_TCP, 14, &keys);
    ck_assert(!keys.is_any && !keys.n);
    bpf_test_unref(test);
}
END_TEST

/* A header that is not split, or not always: of ARP, a fragment, SCTP, IPv4
 * with options, LLC, tags, cut anywhere. */
static size_t
make_odd_header(uint8_t *p)
{
    static const uint16_t types[] = {0x0800, 0x0806, 0x8035, 0x86dd,
                                     0x8100, 0x88cc, 46,     0x5ff};
    size_t len = make_header(p, pick(4) ? 14 : 18);

    switch (pick(6)) {
    case 0: /* ARP's addresses are there, whatever the type. */
    case 1:
        memset(p + 12, 0, 108);
        bytes_put_be16(p + 12, pick(2) ? 0x0806 : types[pick(8)]);
        bytes_put_be16(p + 14, 1);
        bytes_put_be16(p + 16, 0x0800);
        p[18] = 6;
        p[19] = 4;
        p[21] = 1;
        bytes_put_be32(p + 28, 0x0a000000u + pick(4));
        bytes_put_be32(p + 38, 0x0a000000u + pick(4));
        len = 42;
        break;
    case 2: /* Options, or less than a header. */
        p[14] = (uint8_t) (0x40 | pick(16));
        break;
    case 3:
        bytes_put_be16(p + 20, (uint16_t) pick(2)); /* A fragment. */
        break;
    case 4:
        p[23] = pick(2) ? 132 : 44;
        p[20] = p[23];
        break;
    default:
        bytes_put_be16(p + 12, types[pick(8)]);
        break;
    }
    return pick(3) ? len : 1 + pick((uint32_t) len);
}

/* Of blocks with one history, which is no trajectory's. */
START_TEST(what_an_index_denies_is_not_accepted)
{
    char *text = lh_asprintf("{{--bpf \"%s\"}}", odd_rows[_i]);
    struct block_index_maker *m = block_index_maker_create();
    struct block_sieve *sieve;
    size_t n_accepted = 0, n_denied = 0;
    struct phf *phf;

    ck_assert(!phf_compile(text, NULL, &phf, NULL));
    sieve = block_sieve_create(phf);
    for (int i = 0; i < N_ROUNDS; i++) {
        struct byte_buf buf = BYTE_BUF_INIT;
        struct history *h = history_create(7);
        struct history_hop *hop = history_add_hop(h);
        enum block_sieve_answer answer;
        struct block_index index;
        uint8_t p[120], *raw;
        size_t len;
        bool accepts;

        history_hop_set_header(hop, p, make_odd_header(p));
        history_settle(h);
        block_index_maker_reset(m);
        block_index_maker_add_history(m, h);
        block_index_maker_finish(m, 1, pick(2) ? 256 : 4096, &buf);
        raw = byte_buf_take(&buf, &len);
        ck_assert(!block_index_parse(&index, raw, len, NULL));
        answer = block_sieve_ask(sieve, &index);
        accepts = phf_match(phf, h, NULL) == PHF_MATCH;
        ck_assert_msg(!accepts || answer != BLOCK_SIEVE_NONE, "%s", text);
        n_accepted += accepts;
        n_denied += answer == BLOCK_SIEVE_NONE;
        block_index_uninit(&index);
        history_destroy(h);
    }
    ck_assert_uint_gt(n_accepted, 0);
    ck_assert_msg(n_denied > N_ROUNDS / 4, "%s: %zu", text, n_denied);
    block_sieve_destroy(sieve);
    phf_destroy(phf);
    block_index_maker_destroy(m);
    free(text);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("bpf_demands");
    TCase *tc = tcase_create("bpf_demands");

    tcase_add_loop_test(tc, what_does_not_fit_is_not_accepted, 0,
                        (int) (sizeof rows / sizeof rows[0]));
    tcase_add_test(tc, an_address_is_demanded_behind_tags);
    tcase_add_test(tc, a_flow_is_told_from_most_others);
    tcase_add_loop_test(tc, what_an_index_denies_is_not_accepted, 0,
                        (int) (sizeof odd_rows / sizeof odd_rows[0]));
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
