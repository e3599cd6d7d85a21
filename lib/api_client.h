/* SPDX-License-Identifier: Apache-2.0 */
/* api_client - asks an API server and waits, with a deadline (docs/api.md).
 *
 *     retval = api_client_open(path, &client, &error);
 *     retval = api_client_call(client, "query",
 *                              json_pack("{s:s}", "phf", phf), 5000,
 *                              &answer, &error);
 *     id = api_client_last_id(client);
 *     while (!api_client_next_event(client, 1000, &event, &error)) ...
 *
 * For programs that do one thing at a time; daemons use lib/api_link.h. Events
 * that come while an answer is waited for are kept for
 * api_client_next_event(), up to API_CLIENT_MAX_KEPT; then the oldest go and
 * are counted.
 *
 * Every function that waits returns 0, or:
 *
 *     ETIMEDOUT   not within 'timeout_ms' (negative: no limit)
 *     EINTR       a signal came; nothing is lost
 *     ECONNRESET  the server closed the connection, and every call after it
 *     EPROTO      it sent something that is not the protocol
 *
 * Threads: one at a time. */
#ifndef LIB_API_CLIENT_H
#define LIB_API_CLIENT_H 1

#include <stdint.h>
#include <jansson.h>

#include "lib/lh_error.h"

#define API_CLIENT_MAX_KEPT 10000

struct api_client;

/* Connects; errors as api_socket_connect(). */
int api_client_open(const char *path, struct api_client **, struct lh_error *);
/* Takes the connected stream socket 'fd'. */
struct api_client *api_client_adopt(int fd);
void api_client_close(struct api_client *);

/* Sends request 'op' with 'members' (NULL: none; taken) under a fresh id and
 * waits for its answer.  On success '*answer' (NULL: not wanted) is a
 * reference for the caller.  When the server refuses, returns
 * api_code_errno() of its code, with its message and position in '*error'. */
int api_client_call(struct api_client *, const char *op, json_t *members,
                    int timeout_ms, json_t **answer, struct lh_error *);
/* The id of the last call, which its events carry. */
json_int_t api_client_last_id(const struct api_client *);

/* Waits for the next event; '*event' is a reference for the caller. */
int api_client_next_event(struct api_client *, int timeout_ms, json_t **event,
                          struct lh_error *);
/* Events dropped because nobody asked for them in time. */
uint64_t api_client_n_dropped(const struct api_client *);

/* For poll(): readable when api_client_next_event() may have news.  Ask it
 * with a timeout of 0 before sleeping. */
int api_client_fd(const struct api_client *);

#endif /* lib/api_client.h */
