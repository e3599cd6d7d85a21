/* SPDX-License-Identifier: Apache-2.0 */
/* shard_commit - how far a shard has come, known to all, and changed by its
 * owner only.
 *
 * The record of a shard is a key of a bucket: the epoch of its owner, a
 * position, and a note of the owner's, bytes that mean nothing here.  An owner
 * first claims it: reads it and writes it with its own epoch, by
 * compare-and-set; position and note stay, with the epoch of the owner who
 * wrote them: one that claimed and died before its first commit leaves no
 * trace in them.  From then on every change has the revision of
 * the change before, so that the next commit of a former owner fails, however
 * long it was stopped and whatever it believes.
 *
 *     SHARD_TAKEN:  shard_commit_claim(bus, bucket, shard, epoch, on_done, ..)
 *     on_done:      read from 'position' on
 *     blocks are durable: shard_commit_advance(commit, position, note, n)
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
#include <stddef.h>
#include <stdint.h>

#include "lib/bus_kv.h"

#define SHARD_COMMIT_MAX_NOTE 32768 /* Bytes. */

struct shard_commit;

enum shard_commit_outcome {
    SHARD_COMMIT_CLAIMED, /* All is as the last owner who committed left it;
                           * 0 and nothing: none did. */
    SHARD_COMMIT_DONE,    /* 'position' and 'note' are committed. */
    SHARD_COMMIT_FENCED   /* Another epoch has the record, or it is not one
                           * that this version understands. */
};

/* 'position', 'note' and 'note_epoch', the epoch in which these two were
 * committed, are the last that are known of.  The note is lent. */
typedef void shard_commit_fn(void *aux, enum shard_commit_outcome,
                             uint64_t position, const uint8_t *note,
                             size_t n_note, uint64_t note_epoch);

/* Claims the record for 'epoch', which nobody else ever has; the bucket must
 * be there, with room for two of SHARD_COMMIT_MAX_NOTE and 512 bytes for each
 * shard.  Goes on trying while NATS does not answer. */
struct shard_commit *shard_commit_claim(struct bus *, const char *bucket,
                                        uint32_t shard, uint64_t epoch,
                                        shard_commit_fn *, void *aux);
/* No callback comes any more; a change under way may be done. */
void shard_commit_destroy(struct shard_commit *);

/* Commits 'position', which goes back only where messages are numbered from
 * lower than before, and 'note', which is copied.
 * EBUSY: the claim or a change is under way.  EPERM: fenced.  EMSGSIZE: the
 * note is longer than it may be. */
int shard_commit_advance(struct shard_commit *, uint64_t position,
                         const void *note, size_t n_note);

/* For who only looks: a record as bus_kv_get() gave it, whose key is
 * shard_commit_key().  False: it is none that is understood here; deleted ones
 * are all 0.  The note is lent. */
struct shard_commit_record {
    uint64_t epoch;      /* Of who has it. */
    uint64_t position;   /* With the note, committed in */
    uint64_t note_epoch; /* this epoch. */
    const uint8_t *note;
    size_t n_note;
};
#define SHARD_COMMIT_KEY_SIZE 32
void shard_commit_key(uint32_t shard, char key[SHARD_COMMIT_KEY_SIZE]);
bool shard_commit_read(const struct bus_kv_entry *,
                       struct shard_commit_record *);

#endif /* server/shard_commit.h */
