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
#include "server/cluster.h"
#include "server/queries.h"

#define PROFILES_MAX          16
#define PROFILES_MAX_PER_PEER 4

struct event_base;
struct profiles;

/* 'queries' (borrowed) knows the archive; 'cluster' (borrowed), unless NULL,
 * is asked in its place.  With 'n_threads' of 0, or none that could be made,
 * the event loop does their work. */
struct profiles *profiles_create(struct event_base *, struct queries *,
                                 const struct cluster *,
                                 unsigned int n_threads);
/* Ends what runs, with answers that say so; while clients are there. */
void profiles_end(struct profiles *);
void profiles_destroy(struct profiles *);
/* Handles the request; 'topology' (NULL: none known) gives names. */
void profiles_handle(struct profiles *, struct api_call *call,
                     const json_t *request, const struct topology *topology);
/* The client is gone: what runs for it ends. */
void profiles_forget_peer(struct profiles *, struct api_peer *);

#endif /* server/profiles.h */
