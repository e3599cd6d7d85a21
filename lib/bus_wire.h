/* SPDX-License-Identifier: Apache-2.0 */
/* bus_wire - the door to libnats: a connection with a thread of its own.
 *
 * For lib/bus.c only; with bus_wire_options and bus_message all that includes
 * nats.h.  What libnats does may block (connecting, TLS, a full
 * socket), so a thread of the wire alone calls it.  What is to be sent waits
 * in a bounded list; what came is taken by the thread that was woken.  While
 * there is no connection letters wait until their deadline.
 *
 * Threads: one creates, posts, takes and destroys; 'wake' is called by
 * others. */
#ifndef LIB_BUS_WIRE_H
#define LIB_BUS_WIRE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bus_message.h"
#include "lib/lh_error.h"

struct bus_options;
struct bus_wire;

enum bus_in_kind {
    BUS_IN_MESSAGE, /* For the subscription 'tag'. */
    BUS_IN_FAILED,  /* The letter 'tag' was not sent: 'why'. */
    BUS_IN_DONE,    /* No message for the subscription 'tag' comes any more. */
    BUS_IN_UP,      /* Connected (again). */
    BUS_IN_DOWN     /* Not connected (any more): 'why'. */
};

struct bus_in {
    struct bus_in *next;
    enum bus_in_kind kind;
    uint64_t tag;
    struct bus_message message;
    char *why;       /* Owned. */
    void *nats_data; /* Owned: what 'message' points into. */
};

struct bus_wire_counters {
    uint64_t sent, sent_bytes;         /* Letters given to the connection. */
    uint64_t received, received_bytes; /* Messages that came. */
    uint64_t expired;                  /* Letters not sent in time. */
    uint64_t failed;                   /* Letters that libnats refused. */
    uint64_t dropped_in;               /* Messages that found no room here. */
    uint64_t dropped_slow;             /* The same, within libnats. */
    uint64_t max_payload; /* Bytes that NATS takes at once, as it said last. */
};

/* Starts the thread, which connects; the options have their bounds set. EINVAL
 * with a reason: what the options name cannot be used. */
int bus_wire_create(const struct bus_options *, void (*wake)(void *aux),
                    void *aux, struct bus_wire **, struct lh_error *);
/* Ends the thread, which takes as long as one attempt to connect may, at
 * most. */
void bus_wire_destroy(struct bus_wire *);

/* False: no room.  'tag' is for BUS_IN_FAILED; 0: that is not told. */
bool bus_wire_send(struct bus_wire *, const struct bus_letter *,
                   const char *reply, uint64_t tag, uint64_t deadline_ns);
/* Messages of 'is_reply' subscriptions always find room: their owner bounds
 * them. */
void bus_wire_subscribe(struct bus_wire *, const char *subject, uint64_t tag,
                        bool is_reply);
void bus_wire_unsubscribe(struct bus_wire *, uint64_t tag);

/* All that came, oldest first. */
struct bus_in *bus_wire_take(struct bus_wire *);
void bus_in_destroy(struct bus_in *);
void bus_wire_get_counters(struct bus_wire *, struct bus_wire_counters *);

#endif /* lib/bus_wire.h */
