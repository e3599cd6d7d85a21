/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_events - matches of live filters, told from server to server, and
 * what may not have been told.
 *
 * Who has a match sends it to the server whose client asked, which is a
 * *listener*: a name, and a session that its process drew.  NATS keeps none of
 * these letters, so each has its number, counted for each listener, and in the
 * second after the last one, and when the bus is back, a *beat* says how many
 * there were.  Who hears of a number that it did not expect has missed
 * matches; so has, perhaps, a listener whose own way to NATS was gone.  Both
 * are told as times: matches of packets seen in these may be missing.
 *
 * Each server sends a beat to itself each second, so that it knows since when
 * it may have missed something.
 *
 * A letter (lh.event.NAME: docs/formats/cluster.md) that finds no room is
 * numbered all the same.
 *
 * Threads: the bus's. */
#ifndef SERVER_CLUSTER_EVENTS_H
#define SERVER_CLUSTER_EVENTS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bus.h"
#include "lib/byte_buf.h"
#include "lib/history.h"

#define CLUSTER_EVENTS_SESSION_SIZE 17   /* With its NUL. */
#define CLUSTER_EVENTS_MAX_IDS      8192 /* In a letter. */

struct cluster_events;

struct cluster_events_config {
    struct bus *bus;
    const char *name; /* This server's. */
    /* 'h', which the callback owns, matches the filters 'ids'. */
    void (*on_match)(void *aux, const uint32_t *ids, size_t n,
                     struct history *h);
    /* Matches of packets of these times may be missing. */
    void (*on_missed)(void *aux, uint64_t since_ns, uint64_t until_ns);
    void *aux;
};

struct cluster_events *
cluster_events_create(const struct cluster_events_config *);
void cluster_events_destroy(struct cluster_events *);

/* This process's session: 16 hex digits. */
const char *cluster_events_session(const struct cluster_events *);

/* Tells a listener of a history, as lib/history_codec.h encodes one. */
void cluster_events_send(struct cluster_events *, const char *name,
                         const char *session, const uint32_t *ids, size_t n,
                         const struct byte_buf *history);
/* About once a second. */
void cluster_events_tick(struct cluster_events *);
/* The bus is connected, again or for the first time. */
void cluster_events_connected(struct cluster_events *);

#endif /* server/cluster_events.h */
