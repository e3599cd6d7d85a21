/* SPDX-License-Identifier: Apache-2.0 */
/* retain - tells the recorder how far back the archive reaches, so that it
 * keeps the tables of that time.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_RETAIN_H
#define SERVER_RETAIN_H 1

#include <stdint.h>

struct recorder_link;

/* All zero at first. */
struct retain {
    uint64_t told_ns; /* When it was told last. */
};

/* Once a minute, while the recorder (may be NULL) is there; 'archive' is its
 * directory or NULL. */
void retain_tell(struct retain *, struct recorder_link *, const char *archive,
                 uint64_t now_ns);

#endif /* server/retain.h */
