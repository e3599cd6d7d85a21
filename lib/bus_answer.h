/* SPDX-License-Identifier: Apache-2.0 */
/* bus_answer - what JetStream answers, read.
 *
 * For lib/bus_*.c.
 *
 * Threads: any. */
#ifndef LIB_BUS_ANSWER_H
#define LIB_BUS_ANSWER_H 1

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/bus_message.h"
#include "lib/lh_error.h"

/* 0 with the answer, for json_decref(); otherwise '*answer' is NULL and the
 * reason is in NATS's words: ENOENT (no such stream, consumer or message),
 * EEXIST (it is there, and is another), ESTALE (another last message than
 * expected), ENOSPC (full), EPROTO (anything else, or no answer of
 * JetStream's). */
int bus_answer_read(const struct bus_message *, json_t **answer,
                    struct lh_error *);
/* The number at 'key'; 0: there is none. */
uint64_t bus_answer_number(const json_t *object, const char *key);

/* What is written in base64, from malloc(), with a NUL after its end; NULL: it
 * is none. */
uint8_t *bus_answer_bytes(const char *text, size_t *size);

/* What the subject that acknowledges a message of a consumer tells. */
struct bus_answer_numbers {
    uint64_t seq;     /* In the stream; not 0. */
    uint64_t cseq;    /* Of the consumer: 1, 2, 3 ... */
    uint64_t time_ns; /* When it was stored. */
    uint64_t pending; /* That wait after it. */
};

/* False: the subject is another. */
bool bus_answer_numbers(const char *subject, struct bus_answer_numbers *);

#endif /* lib/bus_answer.h */
