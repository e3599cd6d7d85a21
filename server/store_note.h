/* SPDX-License-Identifier: Apache-2.0 */
/* store_note - what the owner of a stage-2 shard writes into the shard's
 * record with each commit (server/shard_commit.h): what its successor goes on
 * with, and what former owners learn which of their rounds counted.
 *
 * Ownership: store_note_uninit() frees it; all zero is an empty one.
 *
 * Threads: plain data. */
#ifndef SERVER_STORE_NOTE_H
#define SERVER_STORE_NOTE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/archive_commit.h"
#include "lib/byte_buf.h"
#include "lib/lh_error.h"
#include "server/cluster_accept.h"
#include "server/store_span.h"

/* Former owners at most. */
#define STORE_NOTE_ENDS 256

struct store_note {
    uint64_t cluster; /* Made up when the record was new. */
    uint64_t round;   /* Counts commits, over all owners. */
    size_t n_ends;
    struct store_end {
        uint64_t epoch, round; /* An owner, and its last commit. */
    } ends[STORE_NOTE_ENDS];   /* Oldest first. */
    struct byte_buf accept;    /* cluster_accept_put().  Owned. */

    /* Where there are copies of the shard; otherwise all 0. */
    bool has_copies;
    uint64_t read; /* All that was accepted by messages below is stored. */
    /* Below 'forced' messages were removed that another copy may not have
     * read; what was accepted by messages from 'forced_read' on can be read in
     * full from 'forced' on. */
    uint64_t forced, forced_read;
    struct store_spans spans; /* That owners of this copy stored. */
};

void store_note_uninit(struct store_note *);
/* Makes '*to' a copy. */
void store_note_copy(struct store_note *to, const struct store_note *from);
void store_note_put(const struct store_note *, struct byte_buf *out);
/* Returns 0, EBADMSG or EPROTONOSUPPORT with the reason; then it is empty. */
int store_note_read(struct store_note *, const uint8_t *data, size_t size,
                    struct lh_error *);
/* The owner of 'epoch' wrote this note last, and another one goes on. */
void store_note_end(struct store_note *, uint64_t epoch);

/* Whether the round that 'commit' tells of counts, by the last note, NULL if
 * there is none, which 'note_epoch' wrote.  It must be certain that no note of
 * commit->epoch can follow: a later epoch has the record. */
bool store_note_counts(const struct store_note *, uint64_t note_epoch,
                       const struct archive_commit *commit);

#endif /* server/store_note.h */
