/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_reach - how far the postcards of each agent have come to a stage-1
 * shard, so that what comes again by another door is known.
 *
 * An agent that changes its server sends again what it was not told of.  The
 * first server may have put that on the bus, or do so when it is back.  As the
 * messages of a door come in their order, and a door takes frames in theirs,
 * whatever is not above the highest place that was seen of an agent has been
 * there before, or is not needed: docs/decisions/cluster-agents.md.
 *
 * Messages are taken in the order of the stream, so that everybody who reads
 * it comes to the same result.  A successor who reads again from message
 * 'floor' on is told how things were before that.
 *
 * Threads: one. */
#ifndef SERVER_CLUSTER_REACH_H
#define SERVER_CLUSTER_REACH_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/bytes.h"
#include "server/cluster_wire.h"

/* Of agents that were not heard of for long the first is forgotten; each that
 * was not for that time.  No door sends what is older than an hour. */
#define CLUSTER_REACH_MAX 4096
#define CLUSTER_REACH_NS  UINT64_C(7200000000000)

struct cluster_reach;

struct cluster_reach *cluster_reach_create(void);
void cluster_reach_destroy(struct cluster_reach *);

/* A run of message 'seq', which never falls, that NATS stored at 'stored_ns'.
 * Returns how many of its first postcards were there before. */
uint32_t cluster_reach_take(struct cluster_reach *, uint64_t seq,
                            uint64_t stored_ns, const struct cluster_run *);

/* How many agents are known. */
size_t cluster_reach_n(const struct cluster_reach *);
/* Appends what was known before message 'floor', which never falls. */
void cluster_reach_put(struct cluster_reach *, uint64_t floor,
                       struct byte_buf *out);
/* Reads it, into one that has taken nothing.  Returns 0 or EBADMSG. */
int cluster_reach_read(struct cluster_reach *, struct bytes_reader *);

#endif /* server/cluster_reach.h */
