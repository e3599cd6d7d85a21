/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch - hands what was received to all workers, in order.
 *
 * Packets are gathered in batches, undecoded, each with whose share it surely
 * is; each batch goes to every worker.
 * A worker that has not worked on so many gets no more: its share of a batch
 * is then looked at here, counted as dropped, and nobody waits.  Packets of a
 * file wait instead, until dispatch_has_room(): the worker that is ahead gets
 * a few batches, so that it finds them in its caches, and the one that is
 * behind may be so by many.
 *
 * Ownership: batches are the dispatcher's; workers give them back.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_DISPATCH_H
#define SERVER_DISPATCH_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/topology.h"
#include "server/ingest.h"
#include "server/split_file.h"
#include "server/worker.h"

struct dispatch;

/* 'door' counts what a worker has no room for; both are borrowed.  'id_bytes'
 * of a packet its ID is of. */
struct dispatch *dispatch_create(struct worker *const *workers,
                                 size_t n_workers, bool is_file,
                                 struct ingest *door, uint32_t id_bytes);
/* After the workers. */
void dispatch_destroy(struct dispatch *);

/* Whether the next packet finds room with all workers. */
bool dispatch_has_room(struct dispatch *);
/* Of a file, where there is no room: asks for the workers' 'on_room', and
 * returns true when it is worth to wait for that. */
bool dispatch_want_room(struct dispatch *);
/* Adds a copy of a packet. */
void dispatch_add(struct dispatch *, const struct ingest_packet *);
/* Lets workers read the file up to 'end'; it must stay until they have.
 * 'is_last': nothing comes after that, so that each closes what is open and
 * writes it while others still read. */
void dispatch_read(struct dispatch *, struct split_file *, uint64_t end,
                   bool is_last);

/* Whether one of the following finds room. */
bool dispatch_can_tell(struct dispatch *);
/* The following are false, and nothing done, when there is no room. */
bool dispatch_topology(struct dispatch *, const struct topology *,
                       uint64_t now_ns);
bool dispatch_run(struct dispatch *, uint64_t now_ns);
bool dispatch_round(struct dispatch *, void *round);
bool dispatch_flush(struct dispatch *, uint64_t now_ns);

/* Hands over what was added, at the latest now ... */
void dispatch_send(struct dispatch *);
/* ... or when a worker has little to do. */
void dispatch_send_if_idle(struct dispatch *);

/* Whether all that was added has been worked on; the second one hands it over
 * before. */
bool dispatch_is_done(struct dispatch *);
bool dispatch_is_idle(struct dispatch *);
/* All that came before this time has been worked on; UINT64_MAX: all. */
uint64_t dispatch_done_ns(struct dispatch *);

#endif /* server/dispatch.h */
