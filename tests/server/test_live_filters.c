/* SPDX-License-Identifier: Apache-2.0 */
/* test_live_filters - what a set of filters says of packets of trajectories is
 * what each filter says of their histories.
 *
 * Random traffic of generated networks goes through a path table that knows
 * trajectories; random filters, of which one goes or another comes every few
 * packets, look at what comes out, and names change under way, at other
 * moments. */
#include <config.h>

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "phf/phf_set.h"
#include "server/path_table.h"
#include "tests/server/oracle.h"
#include "tests/server/random_filter.h"

#define MS        1000000ULL
#define N_FILTERS 300
#define N_FLOWS   12
#define N_ROUNDS  50
#define N_AT_ONCE 6

static const char *const nets[] = {"line:5", "ring:6", "fat-tree:4"};
#define N_NETS (int) (sizeof nets / sizeof nets[0])

/* --- the two ways -------------------------------------------------------- */

struct live {
    struct oracle_net *net;
    const struct topology *names; /* What filters are matched with. */
    struct phf_set *set;
    struct {
        uint32_t id;
        struct phf *phf; /* Owned; NULL: none. */
    } filters[N_FILTERS];
    uint64_t n_packets, n_matches;
    struct path_table *table;
};

struct hits {
    size_t n;
    uint32_t ids[N_FILTERS];
    enum phf_result results[N_FILTERS];
};

static void
note_hit(void *hits_, uint32_t id, void *phf, enum phf_result result)
{
    struct hits *hits = hits_;

    ck_assert_uint_lt(hits->n, N_FILTERS);
    hits->results[hits->n] = result;
    hits->ids[hits->n++] = id;
}

static void
add_filter(struct live *live, size_t i)
{
    struct gen_random *r = oracle_net_random(live->net);
    struct lh_error error;
    struct random_filter filter;
    struct phf *phf;

    random_filter(&filter, r, oracle_net_topology(live->net));
    ck_assert_msg(!phf_compile(filter.text, NULL, &phf, &error), "%s: %s",
                  filter.text, error.text);
    ck_assert(!phf_compile(filter.text, NULL, &live->filters[i].phf, &error));
    live->filters[i].id = phf_set_add(live->set, phf, NULL);
}

static void
remove_filter(struct live *live, size_t i)
{
    ck_assert(phf_set_remove(live->set, live->filters[i].id));
    phf_destroy(live->filters[i].phf);
    live->filters[i].phf = NULL;
}

/* Asks every filter of the history, whether it is among the hits. */
static void
check_hits(struct live *live, const struct history *h, const struct hits *hits)
{
    size_t n_found = 0;

    for (size_t i = 0; i < N_FILTERS; i++) {
        enum phf_result result, said = PHF_MISS;

        if (!live->filters[i].phf) {
            continue;
        }
        result = phf_match(live->filters[i].phf, h, live->names);
        for (size_t k = 0; k < hits->n; k++) {
            if (hits->ids[k] == live->filters[i].id) {
                said = hits->results[k];
                n_found++;
            }
        }
        ck_assert_msg(said == result, "%s: set %d, alone %d",
                      phf_text(live->filters[i].phf), said, result);
        live->n_matches += result == PHF_MATCH;
    }
    ck_assert_uint_eq(n_found, hits->n);
    for (size_t k = 1; k < hits->n; k++) {
        ck_assert_uint_lt(hits->ids[k - 1], hits->ids[k]);
    }
}

static void
emit(void *live_, struct history *h)
{
    struct live *live = live_;
    struct hits hits = {0};

    phf_set_match(live->set, h, live->names, note_hit, &hits);
    check_hits(live, h, &hits);
    history_destroy(h);
}

static void
emit_packet(void *live_, struct trajectory *t,
            const struct trajectory_packet *packet)
{
    struct live *live = live_;
    struct history *h = trajectory_history(t, packet);
    struct hits hits = {0};

    phf_set_match_packet(live->set, t, packet, live->names, note_hit, &hits);
    check_hits(live, h, &hits);
    history_destroy(h);
    live->n_packets++;
}

static const struct rule *
find_rule(void *live_, uint64_t dpid, uint32_t version)
{
    struct live *live = live_;

    return oracle_net_find_rule(live->net, dpid, version);
}

/* A few packets of any flows. */
static void
send_round(struct live *live, struct oracle_flow **flows, uint64_t *id,
           uint64_t time_ns)
{
    struct gen_random *r = oracle_net_random(live->net);

    for (size_t i = 0; i < N_AT_ONCE; i++) {
        struct oracle_packet *packet = oracle_send(
            flows[gen_random_pick(r, N_FLOWS)], ++*id * 0x9e3779b97f4a7c15ULL,
            time_ns, gen_random_pick(r, 3));

        for (size_t k = 0; k < packet->n_cards; k++) {
            path_table_add(live->table, &packet->cards[k].p);
        }
        path_table_run(live->table, time_ns + 5 * MS);
        oracle_packet_destroy(packet);
    }
}

/* The same network, where two switches have each other's names. */
static struct topology *
swap_names(const struct topology *topology)
{
    struct topology_builder *b = topology_builder_create();
    size_t n = topology_n_switches(topology);

    for (size_t i = 0; i < n; i++) {
        const struct topology_switch *sw = topology_switch_at(topology, i);
        size_t other = i < 2 ? 1 - i : i;

        topology_builder_add_switch(
            b, sw->dpid, topology_switch_at(topology, other)->name, 0, NULL);
    }
    return topology_build(b, 1);
}

START_TEST(a_set_says_of_packets_what_each_filter_says_of_histories)
{
    struct live live = {.net =
                            oracle_net_create(nets[_i], 77 + (uint64_t) _i)};
    struct gen_random *r = oracle_net_random(live.net);
    const struct topology *topology = oracle_net_topology(live.net);
    struct topology *swapped = swap_names(topology);
    struct path_table_config config = {.emit = emit,
                                       .emit_packet = emit_packet,
                                       .find_rule = find_rule,
                                       .aux = &live};
    struct oracle_flow *flows[N_FLOWS];
    struct phf_set_counters counters;
    uint64_t id = 1, time_ns = 1000000000ULL;
    size_t gone = 0;

    for (size_t i = 0; i < N_FLOWS; i++) {
        do {
            flows[i] = oracle_flow_create(
                live.net, i < N_FLOWS / 2 ? GEN_MIXED
                                          : (enum gen_kind) gen_random_pick(
                                                r, N_GEN_KINDS));
        } while (!flows[i]);
    }
    live.set = phf_set_create();
    live.table = path_table_create(&config);
    live.names = topology;
    path_table_set_topology(live.table, topology);
    for (size_t i = 0; i < N_FILTERS; i++) {
        add_filter(&live, i);
    }
    for (int round = 0; round < N_ROUNDS; round++) {
        send_round(&live, flows, &id, time_ns);
        time_ns += 20 * MS;
        if (round % 3 == 0) {
            gone = gen_random_pick(r, N_FILTERS);
            remove_filter(&live, gone);
        } else if (round % 3 == 1) {
            add_filter(&live, gone);
        } else if (round % 9 == 5) {
            live.names = live.names == swapped ? topology : swapped;
        }
    }
    path_table_flush(live.table);
    phf_set_get_counters(live.set, &counters);
    ck_assert_uint_gt(live.n_packets, N_ROUNDS);
    ck_assert_uint_gt(live.n_matches, N_ROUNDS * N_AT_ONCE);
    ck_assert_uint_eq(counters.matches, live.n_matches);
    ck_assert_uint_lt(counters.trajectories, live.n_packets);
    path_table_destroy(live.table);
    phf_set_destroy(live.set);
    for (size_t i = 0; i < N_FILTERS; i++) {
        phf_destroy(live.filters[i].phf);
    }
    topology_unref(swapped);
    oracle_net_destroy(live.net);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("live_filters");
    TCase *tc = tcase_create("live_filters");

    tcase_add_loop_test(
        tc, a_set_says_of_packets_what_each_filter_says_of_histories, 0,
        N_NETS);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
