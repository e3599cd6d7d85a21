/* SPDX-License-Identifier: Apache-2.0 */
/* app_link - a program's connection to a server: liblasthop, blocking, for
 * programs that Ctrl-C interrupts (apps/app_interrupt.h).
 *
 *     retval = app_link_open(&where, &link, &error);
 *     retval = app_link_call(link, "stats", NULL, &answer, &error);
 *
 * Nothing waits for a dead or hung server longer than where.timeout_ms.  A
 * connection that was lost stays so; another one is opened instead.
 *
 * SIGPIPE is kept away while the library writes, and is as it was else, so
 * that it ends a program whose output nobody reads.  Therefore callbacks of
 * requests must not print: they take a note, and who waits looks at it.
 *
 * Threads: one. */
#ifndef APPS_APP_LINK_H
#define APPS_APP_LINK_H 1

#include <stdbool.h>
#include <jansson.h>
#include <lasthop/client.h>

#include "lib/lh_error.h"

/* Where a server is and how it is asked; all borrowed. */
struct app_server {
    const char *address; /* A path, or tcp:HOST:PORT (mutual TLS). */
    const char *name;    /* What the program is called there. */
    int timeout_ms;
    /* PEM files for tcp:; NULL: those that the environment names. */
    const char *tls_key, *tls_cert, *tls_ca;
};

struct app_link;

/* Connects, and has said hello then.  0, EINTR, or another positive errno with
 * a reason that names the address. */
int app_link_open(const struct app_server *, struct app_link **,
                  struct lh_error *);
void app_link_close(struct app_link *);

/* For making requests; what is waited for is waited for by the functions
 * below. */
struct lasthop_client *app_link_client(struct app_link *);
/* False when the connection was lost, as far as is known without waiting. */
bool app_link_is_up(struct app_link *);

/* Waits until something has happened, up to 'timeout_ms' (negative: no
 * limit).  0, ETIMEDOUT, EINTR, or a positive errno with the reason when the
 * connection is lost. */
int app_link_wait(struct app_link *, int timeout_ms, struct lh_error *);
/* Starts 'request' and waits for its answer.  0, EINTR, or why not, as
 * <lasthop/client.h> has it. */
int app_link_ask(struct app_link *, struct lasthop_request *request,
                 struct lh_error *);
/* Asks 'op' with 'members' (NULL: none; taken); '*answer' (NULL: not wanted)
 * is a reference for the caller. */
int app_link_call(struct app_link *, const char *op, json_t *members,
                  json_t **answer, struct lh_error *);

#endif /* apps/app_link.h */
