/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_accept - which of the messages on lh.2.<m> are to be archived, each
 * checkpoint exactly once, whatever was sent twice, late, or by an owner that
 * is none any more.
 *
 * A checkpoint c of a stage-1 shard k is sent as tentative messages, then
 * committed by compare-and-set, then told by a marker.  Owners die and wake in
 * between, and messages come again.  The rule (docs/decisions/
 * cluster-transactions.md says why it is enough):
 *
 * - Known per k is {c, e}: up to c all is decided, and epochs below e are
 * over.
 * - A tentative (k, e, c) not above that, in either, is dropped; a second one
 *   of the same part too; others wait.
 * - A marker (k, e, c, e_now): what waits of k and epoch e up to c is
 * accepted; of other epochs what is up to c, or of an epoch below e_now, is
 * dropped; known is then {c, e_now}.  A marker below what is known is dropped:
 *   of an epoch below e, or of e and a checkpoint below c.  A later epoch's
 *   that is below c says that k's record fell back, because NATS lost what it
 *   had acknowledged; what follows it is new, whatever its numbers.
 *
 * A marker may tell how many messages there are (struct store_parts).  Where
 * some have not come it waits, and what comes later of k behind it, until they
 * have, or it is given up.
 *
 * The state can be written down and taken up by a successor, who reads the
 * subject again from cluster_accept_floor().
 *
 * Ownership: messages are copied.  Threads: one. */
#ifndef SERVER_CLUSTER_ACCEPT_H
#define SERVER_CLUSTER_ACCEPT_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/bytes.h"
#include "server/store_message.h"

struct cluster_accept_counters {
    uint64_t tentative; /* Messages taken: */
    uint64_t accepted;  /* of these accepted, */
    uint64_t had;       /* known already, */
    uint64_t unlike;    /* of these with other contents than one that waits, */
    uint64_t dropped;   /* of epochs that did not commit them; */
    uint64_t waiting;   /* the rest waits. */
    uint64_t waiting_bytes;
    uint64_t markers, stale_markers;
    uint64_t set_back; /* Markers that said that a record fell back. */
    uint64_t held;     /* Markers that wait now, */
    uint64_t missing;  /* and messages that were not waited for any longer. */
};

struct cluster_accept;

struct cluster_accept *cluster_accept_create(void);
void cluster_accept_destroy(struct cluster_accept *);
/* Checkpoints before the last one of a marker may have been left out. */
void cluster_accept_skips(struct cluster_accept *);

/* Takes the message with number 'seq' in its stream; numbers rise.  'accept'
 * is called for each message accepted, in the order they came. */
void cluster_accept_take(
    struct cluster_accept *, uint64_t seq, const struct store_message *,
    void (*accept)(void *aux, const struct store_message *), void *aux);

/* Accepts of the markers that wait what has come, and goes on without what has
 * not: before that 'lose' is told of each marker how many messages are
 * missing, which NATS got since 'since_ns' (0: unknown). */
void cluster_accept_give_up(struct cluster_accept *,
                            void (*accept)(void *aux,
                                           const struct store_message *),
                            void (*lose)(void *aux,
                                         const struct store_message *marker,
                                         uint32_t n, uint64_t since_ns),
                            void *aux);

/* Tells of each marker that waits which checkpoints of k it waits for. */
void cluster_accept_each_wanted(const struct cluster_accept *,
                                void (*want)(void *aux, uint32_t k,
                                             uint64_t first, uint64_t last),
                                void *aux);

/* From where a successor with this state has to read: what waits, or, if
 * nothing does, 'next_seq'. */
uint64_t cluster_accept_floor(const struct cluster_accept *,
                              uint64_t next_seq);
/* Up to which checkpoint of 'k' all is decided; 0: nothing is. */
uint64_t cluster_accept_known(const struct cluster_accept *, uint32_t k,
                              uint64_t *epoch);

/* Appends what is known, and reads it back at the reader's place (nothing may
 * wait).  Returns 0 or EBADMSG. */
void cluster_accept_put(const struct cluster_accept *, struct byte_buf *out);
int cluster_accept_read(struct cluster_accept *, struct bytes_reader *);

void cluster_accept_get_counters(const struct cluster_accept *,
                                 struct cluster_accept_counters *);

#endif /* server/cluster_accept.h */
