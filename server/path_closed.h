/* SPDX-License-Identifier: Apache-2.0 */
/* path_closed - what is remembered of the packet IDs whose groups have closed.
 *
 * In order of closing, each until its time: hashes of the postcards that the
 * group held, by which a postcard that comes after is known to be the same
 * again.  Packet IDs are hashed under a key of its own, so that nobody who
 * makes up packets makes searches long.
 *
 * Threads: used only by the thread that created it. */
#ifndef SERVER_PATH_CLOSED_H
#define SERVER_PATH_CLOSED_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/path_group.h"

struct path_closed;

/* NULL when memory is short. */
struct path_closed *path_closed_create(void);
void path_closed_destroy(struct path_closed *);

size_t path_closed_count(const struct path_closed *);
/* Remembers the group until 'forget_ns', which must not be before that of any
 * other; its packet ID must not be remembered yet.  Where memory is short the
 * oldest is forgotten for it, or it is not remembered. */
void path_closed_add(struct path_closed *, const struct path_group *,
                     uint64_t forget_ns);
/* Remembers what another table did of 'id'; as path_closed_add(), and takes
 * '*seen'. */
void path_closed_put(struct path_closed *, uint64_t id, uint64_t forget_ns,
                     struct path_seen *seen);
/* Moves what is remembered of 'id' to '*seen', the caller's to
 * path_seen_uninit(), and sets '*forget_nsp'.  False: nothing is. */
bool path_closed_take(struct path_closed *, uint64_t id,
                      struct path_seen *seen, uint64_t *forget_nsp);
/* Calls 'fn' for all that is forgotten at 'from_ns' or later, in order. */
void path_closed_each(const struct path_closed *, uint64_t from_ns,
                      void (*fn)(void *aux, uint64_t id, uint64_t forget_ns,
                                 const struct path_seen *),
                      void *aux);
/* Asks for the memory that a search for 'id' looks at. */
void path_closed_prefetch(const struct path_closed *, uint64_t id);

/* Forgets what is due at 'now_ns'. */
void path_closed_expire(struct path_closed *, uint64_t now_ns);
/* Forgets the oldest until 'n' are left. */
void path_closed_limit(struct path_closed *, size_t n);
/* Forgets all at 'forget_ns', for the clock went back. */
void path_closed_restart(struct path_closed *, uint64_t forget_ns);

#endif /* server/path_closed.h */
