/* SPDX-License-Identifier: Apache-2.0 */
/* triggers - live filters of clients, and the events they cause.
 *
 * A trigger belongs to the client that added it and ends with it.  A client
 * that is too slow loses events, which are counted and told to it (`missed`),
 * never the pipeline its speed.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_TRIGGERS_H
#define SERVER_TRIGGERS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "lib/api_peer.h"
#include "lib/history.h"
#include "lib/topology.h"

#define TRIGGERS_MAX          8192
#define TRIGGERS_MAX_PER_PEER 2048

struct triggers_counters {
    uint64_t triggers; /* Now. */
    uint64_t hits;     /* Histories that a trigger matched. */
    uint64_t missed;   /* Of these, not told: the client was too slow. */
    uint64_t limits;   /* Matchings that gave up. */
};

struct triggers;

struct triggers *triggers_create(void);
void triggers_destroy(struct triggers *);

/* Handlers of the requests; 'triggers' is a struct triggers. */
void triggers_handle_add(struct api_call *, const json_t *request,
                         void *triggers);
void triggers_handle_delete(struct api_call *, const json_t *request,
                            void *triggers);
void triggers_handle_list(struct api_call *, const json_t *request,
                          void *triggers);
/* The client is gone, and its triggers with it. */
void triggers_forget_peer(struct triggers *, struct api_peer *);

/* Takes a reference of its own; NULL: none known. */
void triggers_set_topology(struct triggers *, const struct topology *);
/* Sends 'h' to the clients whose triggers it matches. */
void triggers_offer(struct triggers *, const struct history *h);

void triggers_get_counters(const struct triggers *,
                           struct triggers_counters *);

#endif /* server/triggers.h */
