/* SPDX-License-Identifier: Apache-2.0 */
/* frame_pipe - frames, and the rules they need, from the process that makes
 * them to one that takes them, so that making them leaves nothing in the
 * caches of what is measured.
 *
 *     pipe = frame_pipe_create();            then fork
 *     frame_pipe_add(pipe, &frame); .. frame_pipe_end(pipe);
 *     frame_pipe_take(pipe, &portion, rules);    in the other one
 *
 * Ownership: the pipe belongs to both, and goes with the last of them.
 *
 * Threads: one on each side. */
#ifndef BENCH_FRAME_PIPE_H
#define BENCH_FRAME_PIPE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gen/gen.h"
#include "lib/rule.h"
#include "server/rule_cache.h"

#define FRAME_PIPE_FRAMES 256 /* Of a portion, at most. */
#define FRAME_PIPE_BYTES  (FRAME_PIPE_FRAMES * 320)

struct frame_portion {
    size_t n, n_bytes;
    struct gen_frame frames[FRAME_PIPE_FRAMES];
    uint8_t bytes[FRAME_PIPE_BYTES];
};

struct frame_pipe;

struct frame_pipe *frame_pipe_create(void);
/* In this process. */
void frame_pipe_destroy(struct frame_pipe *);

/* --- The process that makes frames. -------------------------------------- */

/* A rule that later frames need. */
void frame_pipe_add_rule(void *pipe, const struct rule *);
/* Adds a frame to the portion that is being filled; when that is full, it is
 * handed over.  False: there is no room until the other process has taken
 * some. */
bool frame_pipe_add(struct frame_pipe *, const struct gen_frame *,
                    bool *is_full);
/* Hands over what was begun. */
void frame_pipe_flush(struct frame_pipe *);
/* Nothing more comes. */
void frame_pipe_end(struct frame_pipe *);
/* Whether all that was handed over is done with. */
bool frame_pipe_is_empty(const struct frame_pipe *);

/* --- That which takes them. ---------------------------------------------- */

/* Copies the next portion, and adds the rules that came before it; false:
 * there is none yet. */
bool frame_pipe_take(struct frame_pipe *, struct frame_portion *,
                     struct rule_cache *);
/* What was taken last is done with. */
void frame_pipe_done(struct frame_pipe *);
/* Nothing comes any more. */
bool frame_pipe_has_ended(const struct frame_pipe *);

#endif /* bench/frame_pipe.h */
