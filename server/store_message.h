/* SPDX-License-Identifier: Apache-2.0 */
/* store_message - what a stage-1 owner tells a stage-2 owner on lh.2.<m>:
 * tentative histories, and that a checkpoint was committed
 * (docs/formats/cluster.md).
 *
 * Threads: pure functions. */
#ifndef SERVER_STORE_MESSAGE_H
#define SERVER_STORE_MESSAGE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/lh_error.h"

#define STORE_MESSAGE_VERSION 1
/* Bytes before the histories of a tentative message. */
#define STORE_MESSAGE_HEADER 26

enum store_message_kind {
    STORE_TENTATIVE = 1, /* Histories that closed before checkpoint 'c' of
                          * 'k', which epoch 'e' has not committed yet. */
    STORE_MARKER = 2     /* 'e' has committed 'c', and whoever has 'k' now
                          * has epoch 'e_now'. */
};

/* Header of a marker: what a stage-2 shard has got of a stage-1 shard. */
#define STORE_PARTS_HEADER "Lh-Parts"
#define STORE_PARTS_SIZE   120

/* Of the last two checkpoints, up to that of the marker, that had messages for
 * this shard: which, and how many messages.  0: there was none. */
struct store_parts {
    uint64_t before; /* The one before these two. */
    uint64_t c[2];   /* The last one is the second. */
    uint32_t n[2];
};

struct store_message {
    enum store_message_kind kind;
    uint32_t k;
    uint64_t e, c;
    uint64_t stored_ns; /* When NATS had it, as its reader says; 0: unknown. */
    /* STORE_TENTATIVE. */
    uint32_t part;       /* Tells the messages of one checkpoint apart, on
                          * one subject. */
    const uint8_t *data; /* A history_batch. */
    size_t size;
    /* STORE_MARKER. */
    uint64_t e_now;
    bool has_parts; /* What its header told. */
    struct store_parts parts;
};

/* Appends all but 'data' of STORE_TENTATIVE, which the caller then appends
 * (history_batch_writer_finish() does), or all of STORE_MARKER. */
void store_message_put(const struct store_message *, struct byte_buf *out);

/* Returns 0 with '*message', whose data points into 'data'; EBADMSG with the
 * reason; or EPROTONOSUPPORT: of a newer version. */
int store_message_read(const uint8_t *data, size_t size,
                       struct store_message *message, struct lh_error *);

/* The header's value, and back; false: it is none.  NULL is none. */
void store_parts_put(const struct store_parts *, char text[STORE_PARTS_SIZE]);
bool store_parts_read(const char *text, struct store_parts *);

#endif /* server/store_message.h */
