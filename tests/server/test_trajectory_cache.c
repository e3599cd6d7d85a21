/* SPDX-License-Identifier: Apache-2.0 */
/* test_trajectory_cache - recognised packets have the very histories that
 * assembly makes.
 *
 * The same postcards go through two path tables, one of which knows no
 * trajectories; what comes out of both must be equal, in every member and in
 * order. */
#include <config.h>

#include <check.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "server/path_table.h"
#include "tests/lib/random_history.h"
#include "tests/server/oracle.h"

#define MS        1000000ULL
#define N_FLOWS   12
#define N_ROUNDS  120
#define N_AT_ONCE 6

static const char *const nets[] = {"line:2", "line:6", "ring:6", "fat-tree:4"};
#define N_NETS (int) (sizeof nets / sizeof nets[0])

/* What the postcards suffer. */
struct noise {
    uint32_t percent_lost, percent_double;
    bool is_blind; /* As in a destination MAC. */
};

static const struct noise noises[] = {
    {0, 0, false}, {0, 0, true}, {5, 0, false}, {0, 10, false}, {3, 5, true}};
#define N_NOISES (int) (sizeof noises / sizeof noises[0])

struct output {
    size_t n, allocated;
    struct history **all; /* Owned. */
};

struct side {
    struct oracle_net *net;
    struct path_table *table;
    struct output out;
};

static void
emit(void *side_, struct history *h)
{
    struct output *out = &((struct side *) side_)->out;

    out->all =
        lh_alloc_grow(out->all, out->n, &out->allocated, sizeof *out->all);
    out->all[out->n++] = h;
}

static void
emit_packet(void *side, struct trajectory *t,
            const struct trajectory_packet *packet)
{
    emit(side, trajectory_history(t, packet));
}

static const struct rule *
find_rule(void *side, uint64_t dpid, uint32_t version)
{
    return oracle_net_find_rule(((struct side *) side)->net, dpid, version);
}

static void
side_init(struct side *side, struct oracle_net *net, bool has_trajectories)
{
    struct path_table_config config = {
        .emit = emit,
        .emit_packet = has_trajectories ? emit_packet : NULL,
        .find_rule = find_rule,
        .aux = side,
    };

    *side = (struct side){.net = net};
    side->table = path_table_create(&config);
    path_table_set_topology(side->table, oracle_net_topology(net));
}

static void
side_uninit(struct side *side)
{
    path_table_destroy(side->table);
    for (size_t i = 0; i < side->out.n; i++) {
        history_destroy(side->out.all[i]);
    }
    free(side->out.all);
}

/* Both have put out the same. */
static void
compare(struct side *a, struct side *b)
{
    ck_assert_uint_eq(a->out.n, b->out.n);
    for (size_t i = 0; i < a->out.n; i++) {
        ck_assert(history_is_same(a->out.all[i], b->out.all[i]));
        history_destroy(a->out.all[i]);
        history_destroy(b->out.all[i]);
    }
    a->out.n = b->out.n = 0;
}

/* A few packets of any flows, their postcards mixed. */
static void
send_round(struct side *a, struct side *b, struct oracle_flow **flows,
           const struct noise *noise, uint64_t *id, uint64_t time_ns)
{
    struct gen_random *r = oracle_net_random(a->net);
    struct oracle_packet *packets[N_AT_ONCE];
    struct oracle_card *cards[N_AT_ONCE * 512];
    size_t n = 0;

    for (size_t i = 0; i < N_AT_ONCE; i++) {
        struct oracle_flow *flow = flows[gen_random_pick(r, N_FLOWS)];

        packets[i] = oracle_send(flow, ++*id * 0x9e3779b97f4a7c15ULL,
                                 time_ns + i * 1000, gen_random_pick(r, 3));
        oracle_packet_double(packets[i], r, noise->percent_double);
        if (noise->is_blind) {
            oracle_packet_blind(packets[i]);
        }
        oracle_packet_lose(packets[i], r, noise->percent_lost);
        for (size_t k = 0; k < packets[i]->n_cards; k++) {
            if (!packets[i]->cards[k].is_lost) {
                ck_assert_uint_lt(n, N_AT_ONCE * 512);
                cards[n++] = &packets[i]->cards[k];
            }
        }
    }
    for (size_t i = n; i > 1; i--) {
        size_t k = gen_random_pick(r, (uint32_t) i);
        struct oracle_card *card = cards[i - 1];

        cards[i - 1] = cards[k];
        cards[k] = card;
    }
    for (size_t i = 0; i < n; i++) {
        path_table_add(a->table, &cards[i]->p);
        path_table_push(b->table, &cards[i]->p);
    }
    path_table_run(a->table, time_ns + 5 * MS);
    path_table_run(b->table, time_ns + 5 * MS);
    for (size_t i = 0; i < N_AT_ONCE; i++) {
        oracle_packet_destroy(packets[i]);
    }
}

/* Returns how many of how many histories were recognised. */
static uint64_t
run(int net_index, const struct noise *noise, uint64_t seed, bool is_unicast,
    uint64_t *n_histories)
{
    struct oracle_net *net = oracle_net_create(nets[net_index], seed);
    struct gen_random *r = oracle_net_random(net);
    struct oracle_flow *flows[N_FLOWS];
    struct path_table_counters counters;
    uint64_t id = seed, time_ns = 1000000000ULL;
    struct side plain, knowing;

    for (size_t i = 0; i < N_FLOWS; i++) {
        do {
            flows[i] = oracle_flow_create(
                net, is_unicast
                         ? GEN_MIXED
                         : (enum gen_kind) gen_random_pick(r, N_GEN_KINDS));
        } while (!flows[i]);
    }
    side_init(&plain, net, false);
    side_init(&knowing, net, true);
    for (int round = 0; round < N_ROUNDS; round++) {
        send_round(&plain, &knowing, flows, noise, &id, time_ns);
        time_ns += 20 * MS;
        compare(&plain, &knowing);
        if (round == N_ROUNDS / 2) { /* The same network, anew. */
            path_table_set_topology(plain.table, oracle_net_topology(net));
            path_table_set_topology(knowing.table, oracle_net_topology(net));
        }
    }
    path_table_flush(plain.table);
    path_table_flush(knowing.table);
    compare(&plain, &knowing);
    path_table_get_counters(knowing.table, &counters);
    *n_histories = counters.histories;
    side_uninit(&plain);
    side_uninit(&knowing);
    oracle_net_destroy(net);
    return counters.recognised;
}

START_TEST(recognised_or_assembled_is_the_same)
{
    const struct noise *noise = &noises[_i % N_NOISES];
    uint64_t n_histories, n_recognised = 0;

    for (uint64_t seed = 1; seed <= 4; seed++) {
        n_recognised += run(_i / N_NOISES, noise, seed * 1000 + (uint64_t) _i,
                            false, &n_histories);
    }
    ck_assert_uint_gt(n_recognised, 0);
}
END_TEST

START_TEST(most_packets_of_quiet_flows_are_recognised)
{
    uint64_t n_histories;
    uint64_t n = run(_i, &noises[0], 7 + (uint64_t) _i, true, &n_histories);

    ck_assert_uint_gt(n * 10, n_histories * 7);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("trajectory_cache");
    TCase *tc = tcase_create("trajectory_cache");

    tcase_add_loop_test(tc, recognised_or_assembled_is_the_same, 0,
                        N_NETS * N_NOISES);
    tcase_add_loop_test(tc, most_packets_of_quiet_flows_are_recognised, 0,
                        N_NETS);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
