/* SPDX-License-Identifier: Apache-2.0 */
/* archive_cut - takes back what was written to an archive last.
 *
 * A place is where a block begins, or where the next one would.  What stands
 * from there on goes: that file is cut, and later ones become empty; they stay
 * as names, so that no number of a file is used twice and readers that know
 * one see that it is shorter.
 *
 * Killed in between, cutting again at the same place ends it.
 *
 * Threads: no hidden state. */
#ifndef LIB_ARCHIVE_CUT_H
#define LIB_ARCHIVE_CUT_H 1

#include <stdint.h>

#include "lib/lh_error.h"

struct archive_place {
    uint64_t number; /* Of a file that is no merged one. */
    uint64_t offset; /* In it. */
};

/* Cuts the archive in 'dir', which nobody writes to.  '*n_cut' is set to how
 * many bytes went.  Returns 0; EBUSY: a server writes there; EINVAL: a merged
 * file has what should go; or another errno; with the reason. */
int archive_cut(const char *dir, const struct archive_place *, uint64_t *n_cut,
                struct lh_error *);

#endif /* lib/archive_cut.h */
