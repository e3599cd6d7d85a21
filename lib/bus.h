/* SPDX-License-Identifier: Apache-2.0 */
/* bus - a connection to NATS, on libevent's loop.
 *
 * Letters to subjects, requests that are answered or time out, and
 * subscriptions.  What JetStream adds stands on it: bus_stream.h (messages
 * that are kept), bus_pull.h (reading them in order), bus_kv.h (keys).
 *
 *     bus_open(base, &options, &bus, &error);
 *     bus_request(bus, &letter, 2000, take_reply, aux, &error);
 *
 * bus_open() does not wait for the connection, and no other function waits
 * for the network: a thread of the bus's own (lib/bus_wire.h) does.  When the
 * connection ends it is made again, for ever, and subscriptions come back;
 * what a subscription missed in between is its owner's to find out.  A
 * request has one outcome, at the latest 20 ms after its time-out.  After
 * ETIMEDOUT it is not known whether it was done.
 *
 * Memory is bounded by the options: letters that find no room are refused
 * (ENOBUFS), messages that find none are dropped; both are counted.
 *
 * Ownership: letters are copied, messages are lent to the callback.  Who has
 * requests open and goes calls bus_forget() first.
 *
 * Threads: that of the event loop; callbacks too.  No callback may close the
 * bus.  A process forked after a bus was opened has none, and can open none:
 * libnats's threads are not in it. */
#ifndef LIB_BUS_H
#define LIB_BUS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bus_message.h"
#include "lib/bus_wire.h"
#include "lib/lh_error.h"

struct bus;
struct bus_sub;
struct event_base;

struct bus_options {
    const char *urls;        /* "nats://[USER:PASSWORD@]HOST:PORT[,..]". */
    const char *name;        /* That the server shows; NULL: "lasthop". */
    const char *ca_cert;     /* PEM file, or NULL.  TLS: NATS must show a
                              * certificate of this CA with the name of HOST. */
    const char *private_key; /* PEM files, both or none: what proves us to */
    const char *certificate; /* a NATS that asks for it; with 'ca_cert'. */
    const char *credentials; /* A .creds file of NATS, or NULL. */
    uint32_t connect_ms;     /* For one attempt to connect; 0: 2,000. */
    uint32_t max_requests;   /* Open at a time; 0: 4,096. */
    size_t max_out_bytes;    /* Waiting to be sent; 0: 64 MiB. */
    size_t max_in_bytes;     /* Waiting for the loop; 0: 64 MiB. */
    /* Called at each change; may be NULL.  'why' when not connected. */
    void (*on_state)(void *aux, bool is_connected, const char *why);
    void *aux;
};

struct bus_counters {
    struct bus_wire_counters wire;
    uint64_t connects, disconnects;
    uint64_t requests, timeouts; /* Requests made; without an answer. */
    uint64_t refused;            /* Letters that found no room. */
    uint64_t late;               /* Answers that nobody waited for. */
};

/* 0; EINVAL (a file or an address cannot be used) or ENOMEM with the
 * reason. */
int bus_open(struct event_base *, const struct bus_options *, struct bus **,
             struct lh_error *);
/* Open requests end without their callbacks.  Waits for the thread, as
 * long as an attempt to connect may take at most. */
void bus_close(struct bus *);

bool bus_is_connected(const struct bus *);
struct event_base *bus_get_base(const struct bus *);
void bus_get_counters(const struct bus *, struct bus_counters *);

/* The outcome of a request: 0 with the answer; ETIMEDOUT; ECONNREFUSED:
 * nobody answers that subject; EMSGSIZE or EIO: it could not be sent.  The
 * reason is 'why', NULL when 0. */
typedef void bus_reply_fn(void *aux, int error_number, const char *why,
                          const struct bus_message *);

/* 0, or ENOBUFS with the reason: too many are open, or too much waits.  The
 * callback is then not called; otherwise exactly once, and not before this
 * returns. */
int bus_request(struct bus *, const struct bus_letter *, uint32_t timeout_ms,
                bus_reply_fn *, void *aux, struct lh_error *);
/* For what stands on the bus: as bus_request(), with one function more that
 * the callback is given, so that a request of theirs needs no memory but the
 * bus's.  'then' is a function of any type, cast back by 'reply'. */
typedef void bus_any_fn(void);
typedef void bus_then_fn(void *aux, bus_any_fn *then, int error_number,
                         const char *why, const struct bus_message *);
int bus_request_then(struct bus *, const struct bus_letter *,
                     uint32_t timeout_ms, bus_then_fn *reply, bus_any_fn *then,
                     void *aux, struct lh_error *);
/* No callback of a request of 'aux' comes any more. */
void bus_forget(struct bus *, const void *aux);

/* Without an answer; to 'reply' if that is not NULL.  0 or ENOBUFS.  Dropped
 * and counted when it cannot be sent within 'timeout_ms'. */
int bus_send(struct bus *, const struct bus_letter *, const char *reply,
             uint32_t timeout_ms, struct lh_error *);

typedef void bus_message_fn(void *aux, const struct bus_message *);

/* From when the server has heard of it; letters sent after it go after it. */
struct bus_sub *bus_subscribe(struct bus *, const char *subject,
                              bus_message_fn *, void *aux);
/* No message comes any more.  NULL is fine. */
void bus_unsubscribe(struct bus_sub *);

/* A subject that nobody else has; for free(). */
char *bus_new_inbox(struct bus *);

#endif /* lib/bus.h */
