/* SPDX-License-Identifier: Apache-2.0 */
/* ring_reader - takes postcards out of a ring of a patched ovs-vswitchd.
 *
 *     while (ring_reader_next(reader, &item)) {
 *         .. item.postcard or item.loss ..
 *     }
 *     .. what was read is safe: ..
 *     ring_reader_publish(reader, now_ns);
 *
 * Reading does not free the ring: what was read and not published is read
 * again by who opens the ring next, so an agent that is killed loses nothing
 * that it had not made safe.  The switch drops when unpublished records fill
 * the ring; ring_reader_must_publish() says when to hurry.
 *
 * The writer may have died anywhere and may have written anything: what makes
 * no sense is skipped, counted and told as a loss.
 *
 * Ownership: a reader has the mapping and the descriptor.  The header of a
 * postcard lies in the ring and is good until publish; it may change under the
 * reader, so it is to be copied before it is looked at.  Templates are good
 * until publish.
 *
 * Threads: one. */
#ifndef AGENT_RING_READER_H
#define AGENT_RING_READER_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/ring_layout.h"
#include "lib/agent_batch.h"
#include "lib/agent_frame.h"
#include "lib/lh_error.h"

struct template_log;

/* The same for a ring as long as it is there, other than its descriptor. */
struct ring_name {
    uint64_t inode;
    uint64_t start_ns;
};

/* How far a ring was read. */
struct ring_position {
    struct ring_name name;
    uint64_t tail;
    uint64_t next_seq; /* Of the next postcard. */
};

enum ring_item_type {
    RING_ITEM_NONE, /* There is nothing more now. */
    RING_ITEM_POSTCARD,
    RING_ITEM_LOSS
};

struct ring_item {
    enum ring_item_type type;
    struct agent_postcard postcard;
    /* A loss at AGENT_PLACE_RING; its seq and switches are not set. */
    struct agent_loss loss;
    struct agent_loss_switch switches[64]; /* loss.n of them. */
};

struct ring_counters {
    uint64_t n_postcards; /* Read. */
    uint64_t n_lost;      /* By the ring, as far as told here. */
    uint64_t n_broken;    /* Times that the ring made no sense. */
    uint64_t n_malformed; /* Records that did not. */
    uint64_t n_blind;     /* Postcards whose template is not known. */
};

struct ring_reader;

/* Takes 'fd'.  Returns 0; EAGAIN when it is not a ring yet; EBUSY when another
 * process reads it; EPERM when its size is not sealed; EINVAL or another
 * errno; with the reason.  'fd' is closed then. */
int ring_reader_open(int fd, struct ring_reader **, struct lh_error *);
/* Detaches: another reader may go on.  Publishes nothing. */
void ring_reader_close(struct ring_reader *);

/* Begins to read at the tail of the ring or, when that is further on, where
 * 'position' says ('position' may be NULL); takes what 'log' (NULL: none;
 * borrowed) has of templates, and tells it new ones. */
void ring_reader_attach(struct ring_reader *,
                        const struct ring_position *position,
                        struct template_log *log);

enum ring_item_type ring_reader_next(struct ring_reader *, struct ring_item *);
/* Whether so much was read that the ring should be freed of it soon. */
bool ring_reader_must_publish(const struct ring_reader *);
void ring_reader_publish(struct ring_reader *, uint64_t now_ns);
void ring_reader_set_threshold(struct ring_reader *, uint32_t threshold);
/* When the writer is gone: what it dropped and did not come to tell.  False
 * when that is nothing. */
bool ring_reader_last_loss(struct ring_reader *, struct ring_item *);

struct ring_name ring_reader_name(const struct ring_reader *);
struct ring_position ring_reader_position(const struct ring_reader *);
const struct ring_counters *ring_reader_counters(const struct ring_reader *);
/* What the switch counted. */
uint64_t ring_reader_switch_counter(const struct ring_reader *,
                                    enum ring_counter);
/* Bytes written and not published, and of how many. */
uint64_t ring_reader_fill(const struct ring_reader *);
uint64_t ring_reader_size(const struct ring_reader *);
/* The switch said that it writes no more. */
bool ring_reader_is_closed(const struct ring_reader *);

#endif /* agent/ring_reader.h */
