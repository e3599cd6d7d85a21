/* SPDX-License-Identifier: Apache-2.0 */
/* archive_span - which time an archive reaches back to, and where it ends.
 *
 * Both look at the headers of one file, or of as many as have nothing to
 * tell.
 *
 * Threads: no hidden state. */
#ifndef LIB_ARCHIVE_SPAN_H
#define LIB_ARCHIVE_SPAN_H 1

#include <stdint.h>

#include "lib/lh_error.h"

/* Sets '*time_ns' to the earliest postcard of the oldest block of histories in
 * the archive 'dir' that has one of before 'until_ns': later ones are of
 * clocks that were wrong.  Returns 0, ENOENT when there is none, or another
 * errno. */
int archive_span_oldest(const char *dir, uint64_t until_ns, uint64_t *time_ns,
                        struct lh_error *);
/* The same of the latest postcard in the newest file with histories. */
int archive_span_newest(const char *dir, uint64_t *time_ns, struct lh_error *);

#endif /* lib/archive_span.h */
