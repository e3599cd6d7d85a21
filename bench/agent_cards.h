/* SPDX-License-Identifier: Apache-2.0 */
/* agent_cards - postcards of patched switches, for bench_agent.
 *
 * Templates stay; `cards` are the program's, n_cards of them; set that to 0
 * to make others.
 *
 * Threads: one. */
#ifndef BENCH_AGENT_CARDS_H
#define BENCH_AGENT_CARDS_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/hop_template.h"
#include "lib/packet_id.h"

struct card {
    const struct hop_template *template;
    uint64_t time_ns;
    uint32_t packet_len;
    uint16_t caplen;
    uint8_t header[PACKET_ID_SNAP];
};

extern struct card *cards;
extern size_t n_cards;

/* Adds those of 'n_packets' packets of the preset mix; returns which traffic
 * that is. */
const char *agent_cards_make_mix(size_t n_packets);
/* Adds those of TCP connections over so many bridges, at most 16. */
void agent_cards_make_bulk(size_t n_packets, unsigned int n_bridges);

#endif /* bench/agent_cards.h */
