/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_assemble - whatever postcards come, histories are well made and every
 * postcard is accounted for.
 *
 * Every 8 bytes are a postcard on a small network: switch and in_port,
 * out_port, version, TTL, time, flags and address, packet ID. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "lib/of_port.h"
#include "server/assemble.h"
#include "server/path_table.h"
#include "tests/fuzz/fuzz.h"

#define MAX_CARDS 600
#define N_RULES   16

static struct topology *topology;
static struct rule *rules[N_RULES];
static struct assembler *assembler;
static const struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;
static uint8_t headers[MAX_CARDS][64];
static struct postcard postcards[MAX_CARDS];

static const uint32_t ports[16] = {
    1,
    2,
    3,
    4,
    5,
    9,
    77,
    OF_PORT_NONE,
    OF_PORT_CONTROLLER,
    OF_PORT_FLOOD,
    OF_PORT_NORMAL,
    OF_PORT_IN_PORT,
    OF_PORT_TABLE,
    OF_PORT_GROUP,
    OF_PORT_LOCAL,
    OF_PORT_UNKNOWN,
};

static void
promise(bool is_kept)
{
    if (!is_kept) {
        abort();
    }
}

static void
init(void)
{
    struct topology_builder *b = topology_builder_create();

    for (uint64_t dpid = 1; dpid <= 4; dpid++) {
        topology_builder_add_switch(b, dpid, NULL, (uint16_t) dpid, NULL);
        topology_builder_add_port(b, dpid, 1, NULL, true);
        topology_builder_add_port(b, dpid, 9, NULL, true);
        topology_builder_set_port_down(b, dpid, 9, true);
        topology_builder_add_link(b, dpid, 2, dpid % 4 + 1, 3);
    }
    topology_builder_add_link(b, 1, 4, 3, 4);
    topology = topology_build(b, 1);
    for (uint32_t i = 1; i < N_RULES; i++) {
        struct rule *rule = rule_create();

        rule->version = i;
        rule->table_id = i % 5 == 0 ? 1 : 0;
        rule->is_transit = i % 4 == 1;
        rule->kind = i == 14   ? RULE_GROUP
                     : i == 15 ? RULE_PACKET_OUT
                     : i == 13 ? RULE_MISS
                               : RULE_FLOW;
        if (i % 3 == 0) {
            rule_add_plain(rule, STEP_DEC_TTL, 0);
        }
        rule_add_output(rule, ports[i - 1]);
        if (i % 2) {
            rule_add_output(rule, ports[(i * 7) % 16]);
        }
        rules[i] = rule;
    }
    assembler = assembler_create();
    promise(assembler != NULL);
}

static const struct rule *
find_rule(void *aux, uint64_t dpid, uint32_t version)
{
    return version < N_RULES ? rules[version] : NULL;
}

static bool
has_lossless(void *aux, uint64_t dpid, uint64_t from_ns, uint64_t to_ns)
{
    promise(from_ns <= to_ns);
    return dpid % 2;
}

static void
make_postcard(const uint8_t *in, size_t i)
{
    static const uint8_t frame[42] = {2,  0,  0, 0,    0,  2, 2,  0, 0,  0, 0,
                                      1,  8,  0, 0x45, 0,  0, 50, 0, 1,  0, 0,
                                      64, 17, 0, 0,    10, 0, 0,  1, 10, 0, 0,
                                      2,  16, 0, 0,    53, 0, 30, 0, 0};
    struct postcard *p = &postcards[i];

    memcpy(headers[i], frame, sizeof frame);
    headers[i][22] = in[3];
    headers[i][29] = in[6] & 3;
    *p = (struct postcard){
        .dpid = in[0] & 7,
        .in_port = ports[in[0] >> 4],
        .out_port = ports[in[1] & 15],
        .version = in[2] & 31,
        .version_bits = 32,
        .time_ns = 1000000000ULL + (uint64_t) in[4] * (in[5] + 1) * 10000,
        .flags = in[6] >> 5,
        .packet_id = in[7] & 3,
        .has_id = in[7] != 255,
        .caplen = in[6] & 16 ? in[3] % 64 : 64,
        .header = headers[i],
    };
}

static void
check_history(const struct history *h)
{
    enum verdict_name highest = VERDICT_NONE;

    promise(h->n_hops > 0);
    for (size_t i = 0; i < h->n_hops; i++) {
        const struct history_hop *hop = &h->hops[i];

        promise(i ? hop->parent >= 0 && hop->parent < (int) i
                  : hop->parent == -1);
        promise(hop->is_deduced ? !hop->n_versions && !hop->caplen
                                : hop->n_versions > 0);
        promise(!history_is_leaf(h, i) || hop->verdict.name != VERDICT_NONE);
        promise(hop->verdict.name != VERDICT_LOST ||
                hop->verdict.evidence != EVIDENCE_NONE);
        for (size_t k = 1; k < hop->n_out; k++) {
            promise(hop->out_ports[k - 1] < hop->out_ports[k]);
        }
        highest = hop->verdict.name > highest ? hop->verdict.name : highest;
    }
    promise(h->verdict.name == highest);
}

static void
try_assemble(size_t n)
{
    struct assemble_env env = {.topology = topology,
                               .id_config = &id_config,
                               .find_rule = find_rule,
                               .has_lossless = has_lossless};
    const struct postcard *cards[ASSEMBLE_MAX];
    struct assemble_result result;

    for (size_t i = 0; i < n; i++) {
        cards[i] = &postcards[i];
    }
    promise(!assemble(assembler, &env, cards, n, ASSEMBLE_PARTIAL, &result));
    promise(result.n_histories > 0);
    promise(result.n_in_hops + result.n_duplicates + result.n_ambiguous == n);
    for (size_t i = 0; i < result.n_histories; i++) {
        check_history(result.histories[i]);
        history_destroy(result.histories[i]);
    }
}

static void
emit(void *aux, struct history *h)
{
    check_history(h);
    history_destroy(h);
}

static void
try_table(size_t n, uint8_t how)
{
    struct path_table_config config = {
        .max_postcards = how & 1 ? 16 : 0,
        .emit = emit,
        .find_rule = find_rule,
        .has_lossless = has_lossless,
    };
    struct path_table *pt = path_table_create(&config);
    struct path_table_counters c;

    promise(pt != NULL);
    path_table_set_topology(pt, how & 2 ? NULL : topology);
    for (size_t i = 0; i < n; i++) {
        path_table_add(pt, &postcards[i]);
        if (i == n / 2) {
            path_table_set_topology(pt, topology);
        }
        path_table_run(pt, postcards[i].time_ns);
    }
    path_table_flush(pt);
    path_table_get_counters(pt, &c);
    promise(c.held == 0 && c.in == n);
    promise(c.in == c.out + c.duplicates + c.ambiguous + c.dropped_full +
                        c.dropped_memory);
    path_table_destroy(pt);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = size / 8 < MAX_CARDS ? size / 8 : MAX_CARDS;

    if (!topology) {
        init();
    }
    if (!n) {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        make_postcard(data + i * 8, i);
    }
    try_assemble(n < ASSEMBLE_MAX ? n : ASSEMBLE_MAX);
    try_table(n, data[size - 1]);
    return 0;
}
