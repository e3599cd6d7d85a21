/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_tally - how many postcards of each switch came to all doors of a
 * cluster, beside how many the switch says it sent: each server's ledger of
 * lost postcards (server/loss_ledger.h), for the owners of packets there.
 *
 *     cluster_tally_came(tally, dpid, time_ns, token);    at the door
 *     cluster_tally_lose(tally, dpid);                    the same
 *     cluster_tally_count(tally, dpid, ..);               with a recorder
 *     cluster_tally_run(tally, settled, now_ns);
 *
 * Each door tells all servers (lh.tally, docs/formats/cluster.md) what came,
 * in slots of 10 ms, when NATS has all of it; and up to when it has told all.
 * The ledger judges what all doors have told that were heard of in the last
 * CLUSTER_TALLY_SILENT_NS.  What is not told, by a door that died or because a
 * message was lost, counts as missing, and what comes too late makes the
 * ledger begin anew for the switch: nothing is ever taken for complete that is
 * not known to be.
 *
 * Nothing is counted before a recorder has told what a switch sent.
 *
 * Threads: the bus's. */
#ifndef SERVER_CLUSTER_TALLY_H
#define SERVER_CLUSTER_TALLY_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/lh_error.h"

#define CLUSTER_TALLY_SUBJECT   "lh.tally"
#define CLUSTER_TALLY_NS        UINT64_C(250000000) /* Between messages. */
#define CLUSTER_TALLY_SILENT_NS UINT64_C(3000000000)
#define CLUSTER_TALLY_MAX_DOORS 1024

struct bus;
struct cluster_tally;
struct loss_ledger;

/* 'bus' is borrowed; NULL: nothing is sent or heard, for tests. */
struct cluster_tally *cluster_tally_create(struct bus *);
/* NULL is fine. */
void cluster_tally_destroy(struct cluster_tally *);

/* A postcard of the switch came at 'time_ns', number 'token' of the door. */
void cluster_tally_came(struct cluster_tally *, uint64_t dpid,
                        uint64_t time_ns, uint64_t token);
/* Postcards of the switch that had come were lost before NATS had them. */
void cluster_tally_lose(struct cluster_tally *, uint64_t dpid);
/* See loss_ledger_count(): told to all. */
void cluster_tally_count(struct cluster_tally *, uint64_t dpid,
                         uint64_t asked_ns, uint64_t time_ns, uint64_t n_sent);

/* NATS has all up to number 'settled'; 'now_ns' is the system's clock.  Sends
 * what is due. */
void cluster_tally_run(struct cluster_tally *, uint64_t settled,
                       uint64_t now_ns);

/* The ledger; good as long as the tally. */
struct loss_ledger *cluster_tally_ledger(struct cluster_tally *);

/* What cluster_tally_run() does: appends the next message to 'out', and takes
 * one, which came at 'now_ns' of a clock that goes forward.  Returns 0,
 * EBADMSG, or ENOTSUP: a newer version wrote it. */
void cluster_tally_put(struct cluster_tally *, uint64_t settled,
                       uint64_t now_ns, struct byte_buf *out);
int cluster_tally_take(struct cluster_tally *, const uint8_t *data,
                       size_t size, uint64_t now_ns, struct lh_error *);

#endif /* server/cluster_tally.h */
