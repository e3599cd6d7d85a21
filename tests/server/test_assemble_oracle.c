/* SPDX-License-Identifier: Apache-2.0 */
/* test_assemble_oracle - assembled histories equal what was, or say exactly
 * what is missing. */
#include <config.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "server/assemble.h"
#include "tests/server/oracle.h"
#include "tests/server/oracle_check.h"

/* Of each kind on each net; LASTHOP_ORACLE_PACKETS says how many else, and
 * LASTHOP_ORACLE_SEED which. */
#define N_PACKETS 300

static const char *const nets[] = {"line:2", "line:6", "ring:3", "ring:6",
                                   "fat-tree:4"};
#define N_NETS (int) (sizeof nets / sizeof nets[0])

/* How the postcards come. */
struct noise {
    uint32_t percent_lost;
    uint32_t percent_double;
    bool is_shuffled; /* Times say nothing. */
    bool is_blind;    /* As in a destination MAC. */
    bool is_skewed;   /* The switches' clocks differ. */
    bool is_whole;    /* Of switches that know their visits. */
};

static uint64_t
setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* All that came of some packets, for one assembly. */
struct group {
    struct oracle_packet *const *packets;
    size_t n_packets;
    struct oracle_net *net;
    size_t n_cards, n_doubles;
    const struct postcard *cards[ASSEMBLE_MAX];
};

static bool
has_lossless(void *aux, uint64_t dpid, uint64_t from_ns, uint64_t to_ns)
{
    const struct group *group = aux;

    for (size_t p = 0; p < group->n_packets; p++) {
        for (size_t i = 0; i < group->packets[p]->n_cards; i++) {
            const struct oracle_card *card = &group->packets[p]->cards[i];

            if (card->p.dpid == dpid && card->is_lost) {
                return false;
            }
        }
    }
    return true;
}

static const struct rule *
find_rule(void *aux, uint64_t dpid, uint32_t version)
{
    return oracle_net_find_rule(((struct group *) aux)->net, dpid, version);
}

static void
collect(struct group *group)
{
    struct gen_random *r = oracle_net_random(group->net);

    for (size_t p = 0; p < group->n_packets; p++) {
        for (size_t i = 0; i < group->packets[p]->n_cards; i++) {
            const struct oracle_card *card = &group->packets[p]->cards[i];

            if (!card->is_lost) {
                ck_assert_uint_lt(group->n_cards, ASSEMBLE_MAX);
                group->cards[group->n_cards++] = &card->p;
                group->n_doubles += card->is_double;
            }
        }
    }
    for (size_t i = group->n_cards; i > 1; i--) {
        size_t k = gen_random_pick(r, (uint32_t) i);
        const struct postcard *p = group->cards[i - 1];

        group->cards[i - 1] = group->cards[k];
        group->cards[k] = p;
    }
}

/* Times that say nothing, or, with loss, that are somewhat wrong from switch
 * to switch. */
static void
shuffle_times(struct oracle_packet *packet, struct gen_random *r,
              bool has_loss)
{
    uint64_t salt = gen_random_next(r);

    for (size_t i = 0; i < packet->n_cards; i++) {
        struct oracle_card *card = &packet->cards[i];

        card->p.time_ns =
            has_loss ? card->p.time_ns +
                           (salt * (uint64_t) (card->hop + 1) >> 40) % 15000
                     : 1000000000 + i + 1000 * gen_random_pick(r, 700);
    }
}

/* Every switch's clock is late by up to 200 us. */
static void
skew_times(struct oracle_packet *packet, struct gen_random *r)
{
    uint64_t salt = gen_random_next(r);

    for (size_t i = 0; i < packet->n_cards; i++) {
        struct postcard *p = &packet->cards[i].p;

        p->time_ns += gen_random_mix(salt + p->dpid) % 200000;
    }
}

static void
assemble_and_check(struct assembler *assembler, struct group *group,
                   bool has_loss, bool has_blind_rounds, bool is_blind)
{
    struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;
    struct assemble_env env = {
        .topology = oracle_net_topology(group->net),
        .id_config = &id_config,
        .find_rule = find_rule,
        .has_lossless = has_lossless,
        .aux = group,
    };
    struct assemble_result result;
    struct oracle_check c = {.packets = group->packets,
                             .n_packets = group->n_packets,
                             .has_blind_rounds = has_blind_rounds,
                             .is_blind = is_blind};
    struct lh_error error;

    collect(group);
    if (!group->n_cards) {
        return;
    }
    ck_assert_int_eq(assemble(assembler, &env, group->cards, group->n_cards,
                              ASSEMBLE_PARTIAL, &result),
                     0);
    c.histories = result.histories;
    c.n_histories = result.n_histories;
    ck_assert_uint_eq(result.n_in_hops + result.n_duplicates +
                          result.n_ambiguous,
                      group->n_cards);
    if (has_loss ? oracle_check_lossy(&c, &error)
                 : oracle_check_exact(&c, &error)) {
        oracle_check_dump(&c);
        ck_abort_msg("%s", error.text);
    }
    if (!has_loss) {
        ck_assert_uint_eq(result.n_duplicates + result.n_ambiguous,
                          group->n_doubles);
    }
    for (size_t i = 0; i < result.n_histories; i++) {
        history_destroy(result.histories[i]);
    }
}

/* Loops whose rounds are all alike, and tables entered by a packet-out, can
 * be told only by time. */
static bool
needs_time(enum gen_kind kind)
{
    return kind == GEN_LOOP || kind == GEN_PACKET_OUT_TABLE;
}

/* Where no link could be taken twice, nor all links at once: there unknown
 * in_ports and loss together leave too much open for a check. */
static bool
is_on_a_way(enum gen_kind kind)
{
    return !needs_time(kind) && kind != GEN_LOOP_TTL &&
           kind != GEN_LOOP_IN_PORT && kind != GEN_FLOOD && kind != GEN_TREE &&
           kind != GEN_TWICE;
}

static void
try_seed(int net_i, enum gen_kind kind, const struct noise *noise,
         uint64_t seed, int n_packets)
{
    struct assembler *assembler = assembler_create();
    struct oracle_net *net = NULL;
    struct gen_random *r = NULL;

    for (int i = 0; i < n_packets; i++) {
        struct oracle_flow *flow;
        struct oracle_packet *packet;
        struct group *group;

        if (i % 50 == 0) {
            oracle_net_destroy(net);
            net = oracle_net_create(nets[net_i], seed + (uint64_t) i);
            r = oracle_net_random(net);
        }
        flow = oracle_flow_create(net, kind);
        if (!flow) {
            break;
        }
        packet = noise->is_whole
                     ? oracle_send_whole(flow, 7, 1000000000, (uint32_t) i)
                     : oracle_send(flow, 7, 1000000000, (uint32_t) i);
        if (noise->is_shuffled && (noise->percent_lost || !needs_time(kind))) {
            shuffle_times(packet, r, noise->percent_lost);
        }
        if (kind != GEN_LOOP) {
            if (noise->is_skewed && !needs_time(kind)) {
                skew_times(packet, r);
            }
            oracle_packet_double(packet, r, noise->percent_double);
        }
        if (noise->is_blind) {
            oracle_packet_blind(packet);
        }
        oracle_packet_lose(packet, r, noise->percent_lost);
        group = lh_alloc_zero(sizeof *group);
        group->packets = &packet;
        group->n_packets = 1;
        group->net = net;
        assemble_and_check(assembler, group, noise->percent_lost > 0,
                           kind == GEN_LOOP, noise->is_blind);
        free(group);
        oracle_packet_destroy(packet);
    }
    oracle_net_destroy(net);
    assembler_destroy(assembler);
}

static void
try_kind(int net_i, enum gen_kind kind, const struct noise *noise)
{
    uint64_t seed = (uint64_t) net_i * 1000003 + (uint64_t) kind * 31 +
                    noise->percent_lost +
                    setting("LASTHOP_ORACLE_SEED", 0) * 7919;

    try_seed(net_i, kind, noise, seed,
             (int) setting("LASTHOP_ORACLE_PACKETS", N_PACKETS));
}

static void
try_all_kinds(int net, const struct noise *noise)
{
    for (enum gen_kind kind = 0; kind < GEN_TUNNEL; kind++) {
        if (!noise->is_blind || !noise->percent_lost || is_on_a_way(kind)) {
            try_kind(net, kind, noise);
        }
    }
}

START_TEST(equals_the_truth_in_any_order)
{
    try_all_kinds(_i, &(struct noise){.is_shuffled = true});
}
END_TEST

START_TEST(equals_the_truth_with_doubles)
{
    try_all_kinds(_i, &(struct noise){.percent_double = 15});
}
END_TEST

START_TEST(equals_the_truth_without_in_ports)
{
    try_all_kinds(_i, &(struct noise){.is_blind = true});
}
END_TEST

START_TEST(equals_the_truth_with_doubles_without_in_ports)
{
    try_all_kinds(_i, &(struct noise){.is_blind = true, .percent_double = 15});
}
END_TEST

START_TEST(says_what_is_missing)
{
    try_all_kinds(_i, &(struct noise){.percent_lost = 12});
}
END_TEST

/* A flood of which much is missing is told by time. */
START_TEST(says_what_is_missing_when_clocks_differ)
{
    for (enum gen_kind kind = 0; kind < GEN_TUNNEL; kind++) {
        if (kind != GEN_TREE && kind != GEN_FLOOD) {
            try_kind(_i, kind,
                     &(struct noise){.percent_lost = 8, .is_skewed = true});
        }
    }
}
END_TEST

START_TEST(says_when_much_is_missing)
{
    try_all_kinds(_i,
                  &(struct noise){.percent_lost = 25, .is_shuffled = true});
}
END_TEST

START_TEST(says_what_is_missing_without_in_ports)
{
    try_all_kinds(_i, &(struct noise){.percent_lost = 12, .is_blind = true});
}
END_TEST

/* Packets of which something false was said once. */
START_TEST(says_nothing_false_of_what_was_wrong_once)
{
    /* A way back to its first switch, whose end had an earlier time than its
     * beginning. */
    try_seed(3, GEN_TWICE,
             &(struct noise){.percent_lost = 8, .is_skewed = true}, 3096972,
             50);
    /* Several orphans that came by the same output. */
    try_seed(4, GEN_FLOOD,
             &(struct noise){.percent_lost = 25, .is_whole = true}, 4111777,
             50);
}
END_TEST

START_TEST(equals_the_truth_of_whole_visits)
{
    try_all_kinds(_i, &(struct noise){.is_whole = true});
}
END_TEST

START_TEST(equals_the_truth_of_whole_visits_with_doubles)
{
    try_all_kinds(_i, &(struct noise){.is_whole = true, .percent_double = 15});
}
END_TEST

START_TEST(says_which_whole_visits_are_missing)
{
    try_all_kinds(_i, &(struct noise){.is_whole = true, .percent_lost = 12});
}
END_TEST

START_TEST(says_when_many_whole_visits_are_missing)
{
    try_all_kinds(_i, &(struct noise){.is_whole = true, .percent_lost = 25});
}
END_TEST

/* Two packets of one ID: equal ones some time apart, or others by address.
 * With loss what remains of the two may fit together, so that only single
 * hops can be checked. */
static void
try_two(bool is_equal, uint32_t percent_lost)
{
    struct assembler *assembler = assembler_create();
    int n_packets = (int) setting("LASTHOP_ORACLE_PACKETS", N_PACKETS);

    for (int net_i = 0; net_i < N_NETS; net_i++) {
        struct oracle_net *net = oracle_net_create(
            nets[net_i],
            setting("LASTHOP_ORACLE_SEED", 0) * 7919 + (uint64_t) net_i);

        for (int i = 0; i < n_packets; i++) {
            struct oracle_flow *flow = oracle_flow_create(net, GEN_MIXED);
            struct oracle_flow *other =
                is_equal ? flow : oracle_flow_create(net, GEN_DROP);
            struct oracle_packet *packets[2];
            struct group *group = lh_alloc_zero(sizeof *group);

            packets[0] = oracle_send(flow, 7, 1000000000, 1);
            packets[1] =
                oracle_send(other, 7, is_equal ? 1005000000 : 1000010000,
                            is_equal ? 1 : 2);
            /* No two postcards at one time, so that they tell whose they
             * are. */
            for (int k = 0; k < 2; k++) {
                for (size_t m = 0; m < packets[k]->n_cards; m++) {
                    struct postcard *p = &packets[k]->cards[m].p;

                    p->time_ns = p->time_ns * 2 + (uint64_t) k;
                }
                oracle_packet_lose(packets[k], oracle_net_random(net),
                                   percent_lost);
            }
            group->packets = packets;
            group->n_packets = 2;
            group->net = net;
            assemble_and_check(assembler, group, percent_lost > 0,
                               percent_lost > 0, false);
            free(group);
            oracle_packet_destroy(packets[0]);
            oracle_packet_destroy(packets[1]);
        }
        oracle_net_destroy(net);
    }
    assembler_destroy(assembler);
}

START_TEST(tells_equal_packets_apart)
{
    try_two(true, 0);
}
END_TEST

START_TEST(tells_packets_of_one_id_apart)
{
    try_two(false, 0);
}
END_TEST

START_TEST(invents_nothing_of_equal_packets)
{
    try_two(true, 10);
}
END_TEST

START_TEST(invents_nothing_of_packets_of_one_id)
{
    try_two(false, 10);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("assemble_oracle");
    TCase *tc = tcase_create("oracle");
    SRunner *runner;
    int n_failed;

    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, equals_the_truth_in_any_order, 0, N_NETS);
    tcase_add_loop_test(tc, equals_the_truth_of_whole_visits, 0, N_NETS);
    tcase_add_loop_test(tc, equals_the_truth_of_whole_visits_with_doubles, 0,
                        N_NETS);
    tcase_add_loop_test(tc, says_which_whole_visits_are_missing, 0, N_NETS);
    tcase_add_loop_test(tc, says_when_many_whole_visits_are_missing, 0,
                        N_NETS);
    tcase_add_loop_test(tc, equals_the_truth_with_doubles, 0, N_NETS);
    tcase_add_loop_test(tc, equals_the_truth_without_in_ports, 0, N_NETS);
    tcase_add_loop_test(tc, equals_the_truth_with_doubles_without_in_ports, 0,
                        N_NETS);
    tcase_add_loop_test(tc, says_what_is_missing, 0, N_NETS);
    tcase_add_loop_test(tc, says_what_is_missing_when_clocks_differ, 0,
                        N_NETS);
    tcase_add_loop_test(tc, says_when_much_is_missing, 0, N_NETS);
    tcase_add_loop_test(tc, says_what_is_missing_without_in_ports, 0, N_NETS);
    tcase_add_test(tc, says_nothing_false_of_what_was_wrong_once);
    tcase_add_test(tc, tells_equal_packets_apart);
    tcase_add_test(tc, tells_packets_of_one_id_apart);
    tcase_add_test(tc, invents_nothing_of_equal_packets);
    tcase_add_test(tc, invents_nothing_of_packets_of_one_id);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
