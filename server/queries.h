/* SPDX-License-Identifier: Apache-2.0 */
/* queries - the queries of all clients, run beside the reception of postcards.
 *
 * Blocks of the archive are read and matched by threads of their own, which
 * run only where no other thread wants the processor or the disk
 * (lib/crew.h).  What they find is given out by the event loop, of which each
 * turn gives one query a slice of QUERIES_SLICE_NS; a query whose client does
 * not read waits.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_QUERIES_H
#define SERVER_QUERIES_H 1

#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "lib/api_peer.h"
#include "lib/archive_reader.h"
#include "lib/api_server.h"
#include "lib/archive_writer.h"
#include "lib/lh_error.h"
#include "lib/topology.h"
#include "phf/query.h"
#include "server/counters.h"

struct event_base;

#define QUERIES_SLICE_NS     UINT64_C(1000000)
#define QUERIES_MAX          64
#define QUERIES_MAX_PER_PEER 16

struct pipeline;
struct queries;

struct queries *queries_create(struct event_base *);
void queries_destroy(struct queries *);

/* Where to look: the archive in 'dir', which the pipeline writes, with so many
 * threads.  Both must stay until the end; without this call every query is
 * refused. */
void queries_set_archive(struct queries *, const char *dir, struct pipeline *,
                         unsigned int n_threads);
/* Takes a reference of its own; NULL: none known. */
void queries_set_topology(struct queries *, const struct topology *);
/* As triggers_set_told(). */
void queries_set_told(struct queries *, const struct topology *);

/* Makes the archive readable up to now: what is in its files, and what is not
 * yet ('*pending' is the caller's, with the payloads), at one moment.  Returns
 * 0, ENOENT when there is none, EAGAIN when a thread is busy with the disk
 * (see queries_again()), or another errno, with the reason. */
int queries_look(struct queries *, struct archive_reader **,
                 struct archive_pending **pending, size_t *n_pending,
                 struct lh_error *);

/* Hands the request to its handler again in a moment; fails it when too many
 * wait. */
void queries_again(struct queries *, struct api_call *, const json_t *request,
                   api_handler *, void *aux);
/* NULL: none known. */
const struct topology *queries_topology(const struct queries *);

/* Who takes what a query finds where that is no client: 'aux' is given to
 * each.  'end' is not called after queries_stop(). */
struct queries_sink {
    void (*give)(void *aux, const struct history *);
    bool (*is_busy)(void *aux);
    void (*progress)(void *aux, const struct query_totals *);
    void (*end)(void *aux, const struct query_totals *);
};

struct queries_running;

/* Reads the members of a request `query` but its filter. */
int queries_read_members(const json_t *request, struct query_config *,
                         struct lh_error *);
/* Which query a request `cancel` means, borrowed; NULL: it does not say, and
 * the call has failed. */
const json_t *queries_read_id(struct api_call *, const json_t *request);
/* Begins a query; of '*config' the filter (taken on success), the times,
 * limit and order are read.  Returns 0 or as queries_look(): EAGAIN: try again
 * in a moment. */
int queries_start(struct queries *, struct query_config *config,
                  const struct queries_sink *, void *aux,
                  struct queries_running **, struct lh_error *);
/* Ends it at once; not from the sink. */
void queries_stop(struct queries_running *);
/* The sink is not busy any more. */
void queries_wake(struct queries_running *);

/* Handlers of the requests; 'queries' is a struct queries. */
void queries_handle_query(struct api_call *, const json_t *request,
                          void *queries);
void queries_handle_cancel(struct api_call *, const json_t *request,
                           void *queries);
/* The client is gone, and its queries with it. */
void queries_forget_peer(struct queries *, struct api_peer *);
/* The client reads again. */
void queries_wake_peer(struct queries *, struct api_peer *);

/* Sets those of '*counters' that are counted here. */
void queries_collect(const struct queries *, struct counters *);

#endif /* server/queries.h */
