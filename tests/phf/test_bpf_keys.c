/* SPDX-License-Identifier: Apache-2.0 */
/* A packet without any of a BPF program's keys is one that it refuses. */
#include <config.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/gen_random.h"
#include "phf/bpf.h"
#include "phf/bpf_keys.h"
#include "tests/phf/random_bpf.h"

#define ROUNDS     400000
#define N_PACKETS  4000
#define MAX_PACKET 90

/* --- Which keys --------------------------------------------------------- */

static struct bpf_test *
compile(const char *expression)
{
    struct lh_error error;
    struct bpf_test *test;

    ck_assert_msg(
        !bpf_test_create(expression, strlen(expression), false, &test, &error),
        "%s: %s", expression, error.text);
    return test;
}

/* The keys as text: "[26:4]=1-2", "[14:ip+16:2]=80" behind an IPv4 header,
 * sorted as they come. */
static void
check_keys(const char *expression, const char *expected)
{
    struct bpf_test *test = compile(expression);
    const struct bpf_keys *keys = bpf_test_keys(test);
    char text[1000] = "none";

    for (size_t i = 0, len = 0; keys && i < keys->n; i++) {
        const struct bpf_key *k = &keys->keys[i];

        len += (size_t) snprintf(text + len, sizeof text - len, "%s[%s%u:%u]",
                                 i ? " " : "",
                                 k->field.base == UINT32_MAX ? "" : "ip+",
                                 k->field.ofs, k->field.size);
        len += (size_t) snprintf(text + len, sizeof text - len, "=%x", k->low);
        if (k->low != k->high) {
            len += (size_t) snprintf(text + len, sizeof text - len, "-%x",
                                     k->high);
        }
    }
    if (keys && !keys->n) {
        snprintf(text, sizeof text, "never");
    }
    ck_assert_msg(!strcmp(text, expected), "%s: %s", expression, text);
    bpf_test_unref(test);
}

START_TEST(expressions_have_the_keys_that_they_name)
{
    check_keys("ip src 10.0.0.1", "[26:4]=a000001");
    check_keys("ip host 10.0.0.1", "[26:4]=a000001 [30:4]=a000001");
    check_keys("ip dst net 10.1.0.0/16", "[30:4]=a010000-a01ffff");
    check_keys("ip and tcp dst port 80", "[ip+16:2]=50");
    check_keys("tcp dst port 80", "[56:2]=50 [ip+16:2]=50");
    check_keys("ip and udp src portrange 1000-1023", "[ip+14:2]=3e8-3ff");
    check_keys("ip src 10.0.0.1 and tcp dst port 80", "[26:4]=a000001");
    check_keys("ether proto 0x88b5", "[12:2]=88b5");
    check_keys("ip proto 89", "[23:1]=59");
    check_keys("ip[8] < 5", "[22:1]=0-4");
    check_keys("ether dst 02:00:00:00:00:07", "[2:4]=7");
    check_keys("not ip src 10.0.0.1", "none");
    check_keys("ip src 10.0.0.1 or len > 80", "none");
    check_keys("ip[4:2] & 7 = 1", "[12:2]=800");
    check_keys("ip src 10.0.0.1 and (tcp or len > 80)", "[26:4]=a000001");
}
END_TEST

START_TEST(protocols_go_with_the_keys)
{
    struct bpf_test *test = compile("tcp dst port 80");
    const struct bpf_keys *keys = bpf_test_keys(test);

    ck_assert_uint_eq(keys->n, 2);
    ck_assert_uint_eq(keys->keys[0].field.ethers, BPF_ETHER_IP6);
    ck_assert_uint_eq(keys->keys[0].field.protos, BPF_PROTO_TCP);
    ck_assert_uint_eq(keys->keys[1].field.ethers, BPF_ETHER_IP4);
    ck_assert_uint_eq(keys->keys[1].field.protos, BPF_PROTO_TCP);
    bpf_test_unref(test);
}
END_TEST

START_TEST(what_is_too_much_has_no_keys)
{
    char expression[2000] = "";
    struct bpf_test *test;

    for (int i = 0; i < BPF_KEYS_MAX; i++) {
        size_t len = strlen(expression);

        snprintf(expression + len, sizeof expression - len,
                 "%sip src 10.0.%d.7", i ? " or " : "", 2 * i);
    }
    test = compile(expression);
    ck_assert_ptr_nonnull(bpf_test_keys(test));
    ck_assert_uint_eq(bpf_test_keys(test)->n, BPF_KEYS_MAX);
    bpf_test_unref(test);
    snprintf(expression + strlen(expression),
             sizeof expression - strlen(expression), " or ip dst 10.9.9.9");
    test = compile(expression);
    /* The EtherType is still one. */
    ck_assert_ptr_nonnull(bpf_test_keys(test));
    ck_assert_uint_eq(bpf_test_keys(test)->n, 1);
    bpf_test_unref(test);
}
END_TEST

/* --- Whether they are right --------------------------------------------- */

/* Values that expressions name, so that some packets are accepted. */
static void
make_packet(uint8_t *packet, struct gen_random *r)
{
    static const uint8_t protos[] = {1, 6, 6, 17, 17, 58, 132, 47};
    static const uint8_t ethers[][2] = {
        {8, 0}, {8, 0}, {8, 0}, {0x86, 0xdd}, {0x86, 0xdd}, {8, 6}, {0x81, 0}};
    const uint8_t *ether = ethers[gen_random_pick(r, 7)];
    size_t l3 = 14;

    for (size_t i = 0; i < MAX_PACKET; i++) {
        packet[i] = (uint8_t) gen_random_pick(r, 3);
    }
    memcpy(packet + 12, ether, 2);
    if (ether[0] == 0x81) {
        memcpy(packet + 16, ethers[gen_random_pick(r, 5)], 2);
        l3 = 18;
    }
    packet[l3] = (uint8_t) (0x45 + (gen_random_pick(r, 4) ? 0 : 1));
    packet[l3 + 9] = protos[gen_random_pick(r, 8)];
    packet[l3 + 6] = protos[gen_random_pick(r, 8)];
    for (size_t i = l3 + 12; i + 4 < l3 + 44; i += 4) {
        if (gen_random_pick(r, 2)) { /* 10.0.0.x, ports 80 and the like. */
            packet[i] = 10;
        }
    }
    for (size_t i = l3 + 20; i + 1 < MAX_PACKET; i += 2) {
        if (gen_random_pick(r, 2)) {
            packet[i] = (uint8_t) (gen_random_pick(r, 2) * 4);
            packet[i + 1] = (uint8_t) (78 + gen_random_pick(r, 4));
        }
    }
}

static const char *const expressions[] = {
    "host 10.0.0.1",
    "net 10.0.0.0/24",
    "net 10.0.0.0/31 and not host 10.0.0.1",
    "tcp port 80",
    "port 80",
    "not port 80",
    "udp portrange 79-81",
    "portrange 1000-1200 or dst port 80",
    "tcp src port 80 or udp dst port 81",
    "ip6 and port 80",
    "ip6 net 0a00::/8",
    "arp or host 10.0.1.1",
    "vlan and host 10.0.0.1",
    "vlan 258 and tcp port 80",
    "ether host 00:01:02:01:02:01",
    "tcp[0:2] = 80 or udp[2:2] = 80",
    "tcp[13] & 2 != 0 and host 10.0.0.1",
    "ip[12:4] & 0xffffff00 = 0x0a000000",
    "ip[12:4] & 0xff = 1",
    "ip[8] > 0 and ip[8] <= 1",
    "icmp[0] = 1 or icmp6[0] = 1",
    "ip proto 47 or ip6 proto 47",
    "sctp port 80",
    "ip[9] = 6 or ip[9] = 17",
    "ip src 10.0.0.1 or ip6[8] = 10",
    "tcp[0] > 3 and tcp[0] < 5 and tcp[1] >= 79",
    "len > 60 and tcp port 80",
    "ether[12:2] > 0x700 and ether[12:2] < 0x8100 and ip src 10.0.0.2",
};
#define N_EXPRESSIONS (sizeof expressions / sizeof *expressions)

START_TEST(what_an_expression_accepts_has_one_of_its_keys)
{
    struct gen_random r = {7};
    size_t n_accepted = 0, n_without = 0;

    for (size_t i = 0; i < N_EXPRESSIONS; i++) {
        struct bpf_test *test = compile(expressions[i]);
        const struct bpf_keys *keys = bpf_test_keys(test);

        for (size_t j = 0; j < N_PACKETS; j++) {
            uint8_t packet[MAX_PACKET];
            size_t caplen = gen_random_pick(&r, 3)
                                ? MAX_PACKET
                                : 1 + gen_random_pick(&r, MAX_PACKET - 1);
            bool is_accepted, has_key;

            make_packet(packet, &r);
            is_accepted = bpf_test_run(test, packet, caplen);
            has_key = !keys || random_bpf_has_key(keys, packet, caplen);
            ck_assert_msg(has_key || !is_accepted, "%s", expressions[i]);
            n_accepted += is_accepted;
            n_without += !has_key;
        }
        bpf_test_unref(test);
    }
    ck_assert_uint_gt(n_accepted, N_EXPRESSIONS * N_PACKETS / 50);
    ck_assert_uint_gt(n_without, N_EXPRESSIONS * N_PACKETS / 4);
}
END_TEST

/* Codes that keys are made of: loads where protocols and ports are, masks,
 * comparisons with few values, and what may stand between. */
static struct bpf_machine_code
random_code(struct gen_random *r, uint32_t left)
{
    static const uint32_t places[] = {0, 2, 12, 14, 16, 20, 23, 26};
    static const uint32_t values[] = {0, 1, 2, 6, 17, 0x800, 0x86dd, 0x100};
    static const uint32_t masks[] = {0xff00, 0xffffff00, 0xfe, 0xf0f0, 0};
    static const uint16_t loads[] = {0x20, 0x28, 0x30, 0x48, 0x50, 0x40};
    static const uint16_t jumps[] = {0x15, 0x15, 0x15, 0x25, 0x35,
                                     0x45, 0x1d, 0x2d, 0x3d};
    static const uint16_t moves[] = {0x02, 0x60, 0x07, 0x87, 0x03, 0x61,
                                     0x01, 0x00, 0x04, 0x5c, 0x81, 0x80};
    uint32_t reach = left < 6 ? left : 6;
    struct bpf_machine_code c = {.k = 0};

    switch (gen_random_pick(r, 10)) {
    case 0:
    case 1:
    case 2:
        c.code = loads[gen_random_pick(r, 6)];
        c.k = places[gen_random_pick(r, 8)];
        break;
    case 3:
        c.code = 0xb1;
        c.k = 14;
        break;
    case 4:
        c.code = 0x54;
        c.k = masks[gen_random_pick(r, 5)];
        break;
    case 5:
        c.code = moves[gen_random_pick(r, 12)];
        c.k = gen_random_pick(r, 2);
        break;
    default:
        c.code = jumps[gen_random_pick(r, 9)];
        c.k = values[gen_random_pick(r, 8)];
        c.jt = (uint8_t) gen_random_pick(r, reach);
        c.jf = (uint8_t) gen_random_pick(r, reach);
        break;
    }
    return c;
}

START_TEST(what_a_random_program_accepts_has_one_of_its_keys)
{
    struct gen_random r = {20261122};
    size_t n_accepted = 0, n_with = 0;

    for (size_t i = 0; i < ROUNDS; i++) {
        struct bpf_machine_code codes[24];
        uint32_t n = 4 + gen_random_pick(&r, 18), n_memory = 2;
        uint8_t packet[MAX_PACKET];
        struct bpf_machine *machine;
        struct bpf_keys keys;
        bool is_accepted;

        for (uint32_t j = 0; j < n; j++) {
            codes[j] = j < n_memory ? (struct bpf_machine_code){0x02, 0, 0, j}
                                    : random_code(&r, n + 1 - j);
        }
        /* The last two are the ends. */
        codes[n] = (struct bpf_machine_code){0x06, 0, 0, 0};
        codes[n + 1] = (struct bpf_machine_code){0x06, 0, 0, 1};
        machine = bpf_machine_create(codes, n + 2);
        ck_assert_ptr_nonnull(machine);
        make_packet(packet, &r);
        is_accepted =
            bpf_machine_run(machine, packet, MAX_PACKET, MAX_PACKET) != 0;
        if (bpf_keys_find(codes, n + 2, &keys)) {
            ck_assert(!is_accepted ||
                      random_bpf_has_key(&keys, packet, MAX_PACKET));
            n_with++;
            n_accepted += is_accepted;
        }
        bpf_machine_destroy(machine);
    }
    ck_assert_uint_gt(n_with, ROUNDS / 20);
    ck_assert_uint_gt(n_accepted, ROUNDS / 200);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("bpf_keys");
    TCase *tcase = tcase_create("bpf_keys");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, expressions_have_the_keys_that_they_name);
    tcase_add_test(tcase, protocols_go_with_the_keys);
    tcase_add_test(tcase, what_is_too_much_has_no_keys);
    tcase_add_test(tcase, what_an_expression_accepts_has_one_of_its_keys);
    tcase_add_test(tcase, what_a_random_program_accepts_has_one_of_its_keys);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
