/* SPDX-License-Identifier: Apache-2.0 */
/* archive_oldest - how far back an archive reaches.
 *
 * Threads: no hidden state. */
#ifndef LIB_ARCHIVE_OLDEST_H
#define LIB_ARCHIVE_OLDEST_H 1

#include <stdint.h>

#include "lib/lh_error.h"

/* Sets '*time_ns' to the earliest postcard of the oldest block of histories in
 * the archive 'dir'.  Returns 0, ENOENT when it has none, or another errno. */
int archive_oldest(const char *dir, uint64_t *time_ns, struct lh_error *);

#endif /* lib/archive_oldest.h */
