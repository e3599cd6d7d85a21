/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_cover - whether those who answered have all that a disk has which
 * did not, where shards are kept in copies.
 *
 * What a disk has is in the shards' records.  They are read when it is asked
 * for, so what its server committed before it died is known.
 *
 * Threads: the bus's. */
#ifndef SERVER_CLUSTER_COVER_H
#define SERVER_CLUSTER_COVER_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/bus.h"
#include "server/store_vouch.h"

struct cluster_cover;

/* Reads the records of so many shards in so many copies; calls 'done' once,
 * not from here, when what can be read was. */
struct cluster_cover *cluster_cover_create(struct bus *, uint32_t n_shards,
                                           uint32_t n_copies,
                                           void (*done)(void *aux), void *aux);
/* 'done' is not called any more.  NULL is fine. */
void cluster_cover_destroy(struct cluster_cover *);

/* From when on, in the times from since_ns on, before until_ns, all that the
 * records say that 'disk' (0: any) has is vouched for, as store_vouch_from()
 * of each.  Messages that had nothing, as some record says, need nobody who
 * vouches for them.  until_ns where some record could not be read. */
uint64_t cluster_cover_from(const struct cluster_cover *,
                            const struct store_vouch *, uint64_t disk,
                            uint64_t since_ns, uint64_t until_ns);
/* Adds to 'vouch' what the records say that 'disk' has, of all times.  False:
 * some record could not be read, and may say more. */
bool cluster_cover_add(const struct cluster_cover *, uint64_t disk,
                       struct store_vouch *vouch);
/* The earliest time of histories that records say 'disk' has; UINT64_MAX:
 * none. */
uint64_t cluster_cover_oldest(const struct cluster_cover *, uint64_t disk);

#endif /* server/cluster_cover.h */
