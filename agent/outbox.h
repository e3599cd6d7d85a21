/* SPDX-License-Identifier: Apache-2.0 */
/* outbox - frames that the server has not taken yet, in their order: on disk
 * (agent/spool.h), or without a spool in memory.
 *
 * Ownership: outbox_open() to outbox_close().
 *
 * Threads: one. */
#ifndef AGENT_OUTBOX_H
#define AGENT_OUTBOX_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/ring_reader.h"
#include "lib/agent_frame.h"
#include "lib/byte_buf.h"
#include "lib/lh_error.h"

struct outbox;

/* With 'spool_dir' (NULL: in memory), at most 'max_bytes'. */
int outbox_open(const char *spool_dir, uint64_t max_bytes, struct outbox **,
                struct lh_error *);
void outbox_close(struct outbox *);

const uint8_t *outbox_agent_id(const struct outbox *);
/* Where what was lost for want of room was lost. */
enum agent_place outbox_place(const struct outbox *);
/* How far rings were read when a spool was last used. */
size_t outbox_positions(const struct outbox *, const struct ring_position **);

/* The sequence number that the next frame is to have. */
uint64_t outbox_next_seq(const struct outbox *);
/* Puts the frame with that number.  Returns 0, ENOSPC when there is no room
 * ('is_urgent' ones find some beyond the bound), or the errno of the disk;
 * nothing was put then. */
int outbox_put(struct outbox *, const struct byte_buf *frame,
               const struct ring_position *, size_t n_positions,
               bool is_urgent);
/* Appends the first frame above number 'seq' to 'out' and sets '*next' to its
 * number.  False when there is none. */
bool outbox_get(struct outbox *, uint64_t seq, struct byte_buf *out,
                uint64_t *next);
/* The number up to which all were taken; 0: none were. */
uint64_t outbox_taken_seq(const struct outbox *);
/* All up to 'seq' were taken; later numbers are above it. */
void outbox_ack(struct outbox *, uint64_t seq);

struct outbox_counters {
    uint64_t n_waiting;      /* Now: frames not taken. */
    uint64_t bytes;          /* Now: on disk or in memory. */
    uint64_t max_bytes;      /* And their bound. */
    uint64_t n_put, n_taken; /* Frames. */
    uint64_t n_errors;       /* Of the disk. */
};

struct outbox_counters outbox_counters(const struct outbox *);

#endif /* agent/outbox.h */
