/* SPDX-License-Identifier: Apache-2.0 */
/* profiles - the requests `profile` of all clients, run beside the reception
 * of postcards.
 *
 * Blocks are read, and answers made, by threads of their own, which run only
 * where no other thread wants the processor or the disk (lib/crew.h).
 *
 * Threads: that of the event loop. */
#ifndef SERVER_PROFILES_H
#define SERVER_PROFILES_H 1

#include <jansson.h>

#include "lib/api_peer.h"
#include "lib/topology.h"
#include "server/queries.h"

#define PROFILES_MAX          16
#define PROFILES_MAX_PER_PEER 4

struct event_base;
struct profiles;

/* 'queries' (borrowed) knows the archive. */
struct profiles *profiles_create(struct event_base *, struct queries *);
/* Ends what runs, with answers that say so; while clients are there. */
void profiles_end(struct profiles *);
void profiles_destroy(struct profiles *);
/* Begins to have so many threads (0: one for each processor); without this
 * call the event loop does their work. */
void profiles_set_threads(struct profiles *, unsigned int n_threads);
/* Takes a reference of its own; NULL: none known. */
void profiles_set_topology(struct profiles *, const struct topology *);

/* The handler of the request; 'profiles' is a struct profiles. */
void profiles_handle(struct api_call *call, const json_t *request,
                     void *profiles);
/* The client is gone: what runs for it ends. */
void profiles_forget_peer(struct profiles *, struct api_peer *);

#endif /* server/profiles.h */
