/* SPDX-License-Identifier: Apache-2.0 */
/* server - all parts of lasthop-server, put together as the options say.
 *
 *     sources -> ingest -> pipeline -> triggers, archive
 *                   ^          ^           |        |
 *                   +-- rules, topology    +- API --+-- queries
 *
 * Threads: that of the event loop. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H 1

#include "lib/lh_error.h"
#include "server/counters.h"
#include "server/options.h"

struct event_base;
struct server;

/* Opens everything the options name; nothing runs before the event loop does.
 * 'on_end' (may be NULL without files to read) is called when all files were
 * read, with the error that stopped it, or NULL; and when a cluster refuses
 * this server.  'options' must stay. Returns 0, or an errno with what and
 * where in '*error'. */
int server_open(struct event_base *, const struct options *options,
                void (*on_end)(void *aux, const struct lh_error *error),
                void *aux, struct server **, struct lh_error *);
/* In a cluster: receives no more, gives everything away and then calls
 * 'on_left' (not from in here).  False: there is nothing to give away, and
 * nothing was done. */
bool server_leave(struct server *, void (*on_left)(void *aux), void *aux);
/* Takes what has been received, flushes and ends. */
void server_close(struct server *);

void server_collect(struct server *, struct counters *);
/* False when the output of --json failed. */
bool server_json_is_ok(const struct server *);

#endif /* server/server.h */
