/* SPDX-License-Identifier: Apache-2.0 */
/* profile_copied - what histories of a shard that an archive has in two copies
 * sent over the links of a profile: each counts once (lib/copy_gate.h), so
 * they are read one by one, in order of time.
 *
 * Ownership: borrows the ask.
 *
 * Threads: made and destroyed by the owner of the reader, counted by any one
 * other meanwhile. */
#ifndef PHF_PROFILE_COPIED_H
#define PHF_PROFILE_COPIED_H 1

#include <stdatomic.h>
#include <stdint.h>

#include "lib/archive_reader.h"
#include "lib/lh_error.h"
#include "phf/profile_block.h"

struct profile_copied;

struct profile_copied_config {
    struct archive_reader *reader; /* Need not stay. */
    uint32_t shard;
    const struct profile_ask *ask;
};

struct profile_copied *
profile_copied_create(const struct profile_copied_config *);
/* NULL is fine. */
void profile_copied_destroy(struct profile_copied *);
/* Adds all to 'sums', unless it is cancelled before.  Returns how many blocks
 * could not be read, with the first named. */
uint64_t profile_copied_count(struct profile_copied *,
                              atomic_bool *is_cancelled, struct profile_sums *,
                              struct lh_error *);

#endif /* phf/profile_copied.h */
