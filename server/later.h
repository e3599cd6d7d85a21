/* SPDX-License-Identifier: Apache-2.0 */
/* later - requests of clients that are tried again in a moment.
 *
 * What a request needs may not be had at once; who has the event loop does not
 * wait for it, but puts the request here, from where it goes to its handler
 * again.
 *
 * Ownership: calls are taken; they end with the handler, or with the server.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_LATER_H
#define SERVER_LATER_H 1

#include <stdbool.h>
#include <stddef.h>

#include "lib/api_server.h"

#define LATER_MAX 64 /* Requests. */

struct event_base;
struct later;

struct later *later_create(struct event_base *);
/* Answers what waits that the server ends. */
void later_destroy(struct later *);

/* Calls the handler again soon, unless the client has gone.  The request is
 * referred to.  False, and nothing is done: too many wait. */
bool later_add(struct later *, struct api_call *, const json_t *request,
               api_handler *, void *aux);
/* Ends the client's call with that id, which waits for this handler; false:
 * there is none. */
bool later_cancel(struct later *, const struct api_peer *, const json_t *id,
                  api_handler *);
size_t later_count(const struct later *);

#endif /* server/later.h */
