/* SPDX-License-Identifier: Apache-2.0 */
/* replay - reads capture files of postcards, one after the other, as fast as
 * the pipeline takes them; the times in the files drive the clock.
 *
 * Works in slices on the event loop.  While rules that it needs are being
 * asked for it waits, so that a file is judged by the same rules as live
 * postcards are.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_REPLAY_H
#define SERVER_REPLAY_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/lh_error.h"
#include "server/ingest.h"
#include "server/pipeline.h"
#include "server/rule_cache.h"

struct event_base;

struct replay_config {
    const char *const *paths; /* Borrowed until the end. */
    size_t n_paths;
    enum ingest_encap encap;
    struct ingest *ingest;
    struct pipeline *pipeline;
    struct rule_cache *rules;
    /* Whether the next postcard finds room; NULL: the pipeline knows. */
    bool (*has_room)(void *aux);
    /* All was read and flushed, or, with 'error', as much as could be. */
    void (*on_end)(void *aux, const struct lh_error *error);
    void *aux;
};

struct replay;

/* Opens the first file, so that a name that is wrong is said at once.  Reading
 * begins with replay_start(). */
int replay_open(struct event_base *, const struct replay_config *,
                struct replay **, struct lh_error *);
void replay_start(struct replay *);
void replay_close(struct replay *);

uint64_t replay_frames(const struct replay *);

#endif /* server/replay.h */
