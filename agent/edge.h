/* SPDX-License-Identifier: Apache-2.0 */
/* edge - a host's interface as an observation point: what goes through it is
 * captured, and told as visits of a switch with one port to the network, 1,
 * and the host behind LOCAL.
 *
 * Ownership: edge_open() to edge_close().  A postcard is good during the call
 * that shows it; its template as long as the edge.
 *
 * Threads: one. */
#ifndef AGENT_EDGE_H
#define AGENT_EDGE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/agent_batch.h"
#include "lib/lh_error.h"
#include "lib/packet_id.h"

#define EDGE_DPID UINT64_C(0x1000000000000000) /* And its MAC address. */

struct edge;

struct edge_counters {
    uint64_t n_packets;   /* Captured, of this host. */
    uint64_t n_foreign;   /* Of others, seen by chance. */
    uint64_t n_unsampled; /* Above the threshold. */
};

/* 0, or an errno with a reason that says what to do. */
int edge_open(const char *interface, uint16_t snap,
              const struct packet_id_config *, struct edge **,
              struct lh_error *);
void edge_close(struct edge *);
/* Becomes readable. */
int edge_fd(const struct edge *);
uint64_t edge_dpid(const struct edge *);
/* Shows what was captured, at most 'max' packets.  Returns 0, or an errno when
 * the interface is gone. */
int edge_read(struct edge *, size_t max, uint32_t threshold,
              void (*visit)(void *aux, const struct agent_postcard *),
              void *aux);
/* Packets that the kernel dropped since the last call. */
uint64_t edge_lost(struct edge *);
const struct edge_counters *edge_counters(const struct edge *);

#endif /* agent/edge.h */
