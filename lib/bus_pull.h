/* SPDX-License-Identifier: Apache-2.0 */
/* bus_pull - the messages of one subject of a stream, in order.
 *
 *     const struct bus_pull_options options = {
 *         .stream = "LH1", .subject = "lh.1.7", .name = "shard-7-2041",
 *         .start_seq = position, .on_message = take, .aux = aux};
 *
 *     pull = bus_pull_open(bus, &options);
 *     (what was told is durable, and committed) bus_stream_purge(.. seq ..);
 *
 * Each message is told once, in rising order of its number, and none is left
 * out but those that were purged before they were told.  A connection that
 * ends, a NATS server that starts anew, a consumer that somebody removed and
 * messages that found no room here cost time, not messages: it begins anew at
 * bus_pull_next_seq().
 *
 * Nothing is acknowledged: what was read is removed by purging, so that who
 * takes over reads from where the one before had committed.
 *
 * A stream that was made anew with the same name numbers from 1 again.  Its
 * messages below 'next_seq' are not told, only that there is this trouble,
 * and counted: positions that are kept elsewhere mean nothing for it.
 *
 * Memory: of one pull at most 'max_bytes' and 'max_messages' are under way;
 * where all pulls of a bus together find no room (bus_options.max_in_bytes),
 * what is dropped is read again.
 *
 * Threads: the bus's, callbacks too.  Callbacks may close the pull. */
#ifndef LIB_BUS_PULL_H
#define LIB_BUS_PULL_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bus.h"

struct bus_pull;

struct bus_pull_message {
    uint64_t seq;       /* In the stream. */
    uint64_t time_ns;   /* When it was stored, by NATS; since 1970. */
    uint64_t n_pending; /* That wait after it. */
    const uint8_t *data;
    size_t size;
    const struct bus_message *raw; /* For bus_message_header(). */
};

struct bus_pull_options {
    const char *stream, *subject;
    const char *name;      /* Of the consumer at NATS begins with it; letters,
                            * digits, '-' and '_', not more than 64. */
    uint64_t start_seq;    /* 0: 1. */
    size_t max_bytes;      /* Under way; 0: 1 MiB.  A message that is larger
                            * comes alone. */
    uint32_t max_messages; /* 0: 256. */
    bool has_no_data;      /* Messages are told without what they say. */
    void (*on_message)(void *aux, const struct bus_pull_message *);
    /* All there is has been told, after messages and after each beginning;
     * may be NULL. */
    void (*on_idle)(void *aux);
    /* It does not work at the moment, and goes on trying; may be NULL.  Told
     * once until it works again. */
    void (*on_trouble)(void *aux, const char *why);
    void *aux;
};

struct bus_pull_counters {
    uint64_t messages, bytes; /* Told. */
    uint64_t beginnings;      /* Consumers made; 1 when nothing went wrong. */
    uint64_t gaps;            /* Messages that did not arrive here. */
    uint64_t silences;        /* NATS said nothing when it should have. */
    uint64_t strange;         /* Messages that are not JetStream's. */
    uint64_t low;             /* Below 'next_seq', and not told. */
};

struct bus_pull *bus_pull_open(struct bus *, const struct bus_pull_options *);
/* Removes the consumer at NATS, if that can be reached; otherwise NATS removes
 * it a minute later.  No callback comes any more.  NULL is fine. */
void bus_pull_close(struct bus_pull *);

/* Back-pressure: while held it asks for no more.  What is under way is still
 * told. */
void bus_pull_hold(struct bus_pull *, bool holds);
/* The lowest that was not told yet: everything of the subject below it was
 * told, or was not there. */
uint64_t bus_pull_next_seq(const struct bus_pull *);
void bus_pull_get_counters(const struct bus_pull *,
                           struct bus_pull_counters *);

#endif /* lib/bus_pull.h */
