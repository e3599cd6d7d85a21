/* SPDX-License-Identifier: Apache-2.0 */
/* archive_commit - the file `commit` of an archive that is one shard of a
 * cluster: what of it counts only if the cluster's record says so
 * (docs/formats/archive.md).
 *
 * Written before each commit, when all up to 'after' is durable: if round
 * 'round' of epoch 'epoch' was committed the archive ends at 'after',
 * otherwise at 'before'.
 *
 * Threads: no hidden state. */
#ifndef LIB_ARCHIVE_COMMIT_H
#define LIB_ARCHIVE_COMMIT_H 1

#include <stdint.h>

#include "lib/archive_cut.h"
#include "lib/lh_error.h"

struct archive_commit {
    uint64_t cluster; /* Tells the records of one cluster from another's. */
    uint64_t epoch;   /* Of the owner. */
    uint64_t round;   /* Counts the owner's commits. */
    struct archive_place before, after;
};

/* Returns 0; ENOENT: there is none; EBADMSG: it is none, or damaged;
 * EPROTONOSUPPORT: a newer program wrote it; or another errno; with the
 * reason. */
int archive_commit_load(const char *dir, struct archive_commit *,
                        struct lh_error *);
/* Writes it whole or not at all, durably. */
int archive_commit_store(const char *dir, const struct archive_commit *,
                         struct lh_error *);

#endif /* lib/archive_commit.h */
