/* SPDX-License-Identifier: Apache-2.0 */
/* shard_commit - how far a shard has come, known to all, and changed by its
 * owner only.
 *
 * The record of a shard is a key of a bucket: the epoch of its owner and a
 * position.  An owner first claims it: reads it and writes it with its own
 * epoch, by compare-and-set.  From then on every change has the revision of
 * the change before, so that the next commit of a former owner fails, however
 * long it was stopped and whatever it believes.
 *
 *     SHARD_TAKEN:  shard_commit_claim(bus, bucket, shard, epoch, on_done, ..)
 *     on_done:      read from 'position' on
 *     blocks are durable: shard_commit_advance(commit, position)
 *     on_done:      acknowledge what is below 'position'
 *
 * One change is under way at a time.  A change that NATS did not answer is
 * looked up: it was done, or not and is tried again, or somebody else has the
 * record.  SHARD_COMMIT_FENCED is the end: what was not committed is not this
 * server's to keep.
 *
 * Threads: the bus's. */
#ifndef SERVER_SHARD_COMMIT_H
#define SERVER_SHARD_COMMIT_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/bus_kv.h"

struct shard_commit;

enum shard_commit_outcome {
    SHARD_COMMIT_CLAIMED, /* 'position' is that of the owner before; 0: there
                           * was none. */
    SHARD_COMMIT_DONE,    /* 'position' is committed. */
    SHARD_COMMIT_FENCED   /* Another epoch has the record. */
};

typedef void shard_commit_fn(void *aux, enum shard_commit_outcome,
                             uint64_t position);

/* Claims the record for 'epoch'; the bucket must be there.  Goes on trying
 * while NATS does not answer. */
struct shard_commit *shard_commit_claim(struct bus *, const char *bucket,
                                        uint32_t shard, uint64_t epoch,
                                        shard_commit_fn *, void *aux);
/* No callback comes any more; a change under way may be done. */
void shard_commit_destroy(struct shard_commit *);

/* Commits 'position', which never goes back.  EBUSY: the claim or a change is
 * under way.  EPERM: fenced. */
int shard_commit_advance(struct shard_commit *, uint64_t position);

#endif /* server/shard_commit.h */
