/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of phf/block_sieve: a block that it denies has no match. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "phf/block_sieve.h"
#include "tests/lib/flow_block.h"
#include "tests/lib/random_history.h"

#define N_FLOWS  90
#define N_BLOCKS 6
#define NOW_NS   1700000000000000000ull

static struct flow flows[N_FLOWS];
static struct flow_block blocks[N_BLOCKS];

/* Blocks of flows that no other has; odd ones also of other histories. */
static void
set_up(void)
{
    uint64_t seed = 5;

    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_init(&flows[i], &seed, NOW_NS);
    }
    for (size_t i = 0; i < N_BLOCKS; i++) {
        flow_block_init(&blocks[i], flows, 15 * i, 15 * i + 15, 100,
                        i % 2 ? 20 : 0, &seed);
    }
}

static void
tear_down(void)
{
    for (size_t i = 0; i < N_BLOCKS; i++) {
        flow_block_uninit(&blocks[i]);
    }
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_uninit(&flows[i]);
    }
}

static enum block_sieve_answer
ask(const char *text, const struct flow_block *block, struct phf **phf)
{
    struct column_decoder *d = flow_block_open(block);
    struct block_index index;
    struct block_sieve *sieve;
    enum block_sieve_answer answer;
    struct lh_error error = {.text = "-"};

    ck_assert_msg(!phf_compile(text, NULL, phf, &error), "%s: %s", text,
                  error.text);
    ck_assert(!column_decoder_index(d, &index, NULL));
    sieve = block_sieve_create(*phf);
    answer = block_sieve_ask(sieve, &index);
    ck_assert_int_eq(answer, block_sieve_ask(sieve, &index));
    block_sieve_destroy(sieve);
    block_index_uninit(&index);
    column_decoder_destroy(d);
    return answer;
}

static char *
random_text(uint64_t *seed)
{
    static const char *const forms[] = {
        "{{--dpid %u --inport %u}}",
        "{{--dpid %u}}.*{{--version %u}}",
        "{{--bpf \"host 10.0.0.%u and port %u\"}}",
        "{{--bpf \"src host 10.0.0.%u\"}}{2}|{{--dpid %u}}{4}",
        "{{--bpf \"ip6 host 2001:db8::%u or dst port %u\"}}$",
        "^[^{{--version %u}}]{{--bpf \"src host 10.99.0.%u\"}}",
        "{{--version %u}}({{--dpid %u}}|$)",
        "{{--dpid %u --bpf \"dst host 10.0.0.%u and udp\"}}",
        "{{--dpid %u --bpf \"icmp and src host 10.0.0.%u\"}}",
        "{{--bpf \"tcp and not src host 10.0.0.%u\"}}{{--outport %u}}",
    };
    unsigned int a = 1 + random_u32(seed) % 15;
    unsigned int b = random_u32(seed) % 4 ? 1 + random_u32(seed) % 15 : 80;

    return lh_asprintf(forms[random_u32(seed) % 10], a, b);
}

START_TEST(what_it_denies_is_not_there)
{
    uint64_t seed = (uint64_t) _i + 1;
    size_t n_none = 0, n_all = 0;

    for (int n = 0; n < 120; n++) {
        const struct flow_block *block = &blocks[n % N_BLOCKS];
        char *text = random_text(&seed);
        struct phf *phf;
        enum block_sieve_answer answer = ask(text, block, &phf);
        size_t n_plain = 0, n_matches = 0;

        for (size_t i = 0; i < block->n; i++) {
            n_matches += phf_match(phf, block->all[i], NULL) == PHF_MATCH;
        }

        struct column_decoder *d = flow_block_open(block);
        struct history_decoder *plain;
        struct history_record record;

        ck_assert(!column_decoder_need_shapes(d, NULL, NULL, NULL));
        ck_assert(!column_decoder_plain(d, &plain, NULL));
        while (plain && !history_decoder_next(plain, &record, NULL)) {
            struct history *h;

            ck_assert(!history_decoder_read(plain, record.offset, &h, NULL));
            n_plain += phf_match(phf, h, NULL) == PHF_MATCH;
            history_destroy(h);
        }
        ck_assert_msg(answer != BLOCK_SIEVE_NONE || !n_matches, "%s", text);
        ck_assert_msg(answer != BLOCK_SIEVE_PLAIN || n_matches == n_plain,
                      "%s", text);
        n_none += answer == BLOCK_SIEVE_NONE;
        n_all += answer == BLOCK_SIEVE_ALL;
        column_decoder_destroy(d);
        phf_destroy(phf);
        free(text);
    }
    /* And it is of use. */
    ck_assert_uint_gt(n_none, 10);
    ck_assert_uint_gt(n_all, 10);
}
END_TEST

/* Asked of a block of packets of trajectories and one packet of ARP. */
START_TEST(answers_are_these)
{
    static const struct {
        const char *text;
        enum block_sieve_answer answer;
    } rows[] = {
        {".", BLOCK_SIEVE_ALL},
        {"{{--dpid 4711}}", BLOCK_SIEVE_NONE},
        {"{{--dpid not 4711}}", BLOCK_SIEVE_ALL},
        {"[^{{--dpid 4711}}]", BLOCK_SIEVE_ALL},
        {"{{--dpid s4711}}", BLOCK_SIEVE_ALL},
        {"{{--outport DROP}}", BLOCK_SIEVE_NONE},
        {"{{--version 4711}}|{{--dpid 4711}}*", BLOCK_SIEVE_ALL},
        {"{{--version 4711}}|{{--dpid 4711}}+", BLOCK_SIEVE_NONE},
        {"{{--verdict looped}}", BLOCK_SIEVE_NONE},
        {"{{--verdict delivered}}", BLOCK_SIEVE_ALL},
        {"{{--bpf not \"host 192.0.2.77\"}}", BLOCK_SIEVE_ALL},
        {"{{--bpf \"vlan\"}}", BLOCK_SIEVE_ALL},
        {"{{--bpf \"arp\"}}", BLOCK_SIEVE_PLAIN},
        {"{{--bpf \"arp and host 10.0.0.200\"}}", BLOCK_SIEVE_PLAIN},
        {"{{--bpf \"arp and host 192.0.2.77\"}}", BLOCK_SIEVE_NONE},
        {"{{--dpid 4711 --bpf arp}}", BLOCK_SIEVE_NONE},
    };
    static const uint8_t arp[42] = {
        255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0,  1, 8, 6,
        0,   1,   8,   0,   6,   4,   0, 1, 2, 0, 0,  0, 0, 1,
        10,  0,   0,   200, 0,   0,   0, 0, 0, 0, 10, 0, 0, 201,
    };
    struct packet_id_config config = PACKET_ID_CONFIG_INIT;
    struct column_encoder *e = column_encoder_create(&config, COLUMN_UNIT_NS);
    struct history *h = line_history(1, 2, NOW_NS, 0);
    struct flow_block block = {.n = 0};
    uint64_t seed = 8;

    for (int i = 0; i < 100; i++) {
        struct flow *flow = &flows[random_u32(&seed) % N_FLOWS];
        struct history *packet = flow_next(flow, &seed, 1, &config);
        struct trajectory_packet of;
        uint64_t times_ns[FLOW_MAX_HOPS];
        struct trajectory *t = flow_trajectory(flow, packet, &of, times_ns);

        if (t) {
            column_encoder_add(e, t, &of);
        }
        history_destroy(packet);
    }
    for (size_t i = 0; i < h->n_hops; i++) {
        history_hop_set_header(&h->hops[i], arp, sizeof arp);
    }
    ck_assert(!column_encoder_add_history(e, h));
    history_destroy(h);
    ck_assert_uint_gt(column_encoder_totals(e)->n_rows, 50);
    block.table_len = column_encoder_finish(e, 1, &block.payload);
    column_encoder_destroy(e);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct phf *phf;
        enum block_sieve_answer answer = ask(rows[i].text, &block, &phf);

        ck_assert_msg(answer == rows[i].answer, "%s: %d", rows[i].text,
                      (int) answer);
        phf_destroy(phf);
    }
    flow_block_uninit(&block);
}
END_TEST

/* Also where headers have tags; some are not denied, by chance. */
START_TEST(most_addresses_that_are_not_there_are_denied)
{
    static const char *const forms[] = {
        "{{--bpf \"src host 192.0.2.%d\"}}",
        "{{--bpf \"ip host 192.0.2.%d and port 80\"}}",
        "{{--bpf \"vlan and dst host 192.0.2.%d\"}}",
        "{{--bpf \"src net 10.0.0.0/24 and dst host 192.0.2.%d\"}}",
    };

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        int n_none = 0;

        for (int n = 0; n < 50; n++) {
            char *text = lh_asprintf(forms[i], n);
            struct phf *phf;

            n_none +=
                ask(text, &blocks[n % N_BLOCKS], &phf) == BLOCK_SIEVE_NONE;
            phf_destroy(phf);
            free(text);
        }
        ck_assert_msg(n_none > 25, "%s: %d of 50", forms[i], n_none);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("block_sieve");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, what_it_denies_is_not_there, 0, 6);
    tcase_add_test(tc, most_addresses_that_are_not_there_are_denied);
    tcase_add_test(tc, answers_are_these);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
