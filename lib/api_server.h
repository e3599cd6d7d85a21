/* SPDX-License-Identifier: Apache-2.0 */
/* api_server - answers requests on a Unix socket, one JSON object per line
 * (docs/api.md).
 *
 *     server = api_server_create(base, &config);
 *     api_server_add_op(server, "stats", handle_stats, aux);
 *     retval = api_server_listen(server, path, &error);
 *
 * Each request goes to the handler of its `op`; lib/api_peer.h says how the
 * handler answers.  What every server answers is lib/api_service.h.  What is
 * no request gets an error answer and the connection goes on.  Requests of a
 * client that does not read its answers wait.  A client that ends its side
 * after its requests is served until it closes.
 *
 * Threads: that of the event loop. */
#ifndef LIB_API_SERVER_H
#define LIB_API_SERVER_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "lib/api_peer.h"
#include "lib/lh_error.h"

struct bufferevent;
struct event_base;

/* Members left 0 get the default. */
struct api_server_config {
    size_t max_line;   /* Bytes of a request; default 1 MiB. */
    size_t max_events; /* Bytes waiting for one client at which offered
                        * events are dropped and its requests wait; default
                        * 4 MiB. */
    size_t max_queue;  /* Bytes waiting for one client at which it is closed;
                        * default 256 MiB. */
    size_t max_peers;  /* Clients at a time; default 256. */
    unsigned int mode; /* Of the socket's file; default 0660. */
    bool has_group;    /* Its group is 'group', not the process's. */
    unsigned int group;
    const char *program;         /* What serves, for `hello`; borrowed. */
    const char *const *features; /* Ending in NULL, for `hello`; borrowed;
                                  * NULL: none. */

    /* Each may be NULL.  A client goes away: forget its pointer. */
    void (*on_close)(struct api_peer *, void *aux);
    /* A client's queue has room again. */
    void (*on_drain)(struct api_peer *, void *aux);
    void *aux;
};

struct api_server_counters {
    uint64_t peers;         /* Clients accepted. */
    uint64_t peers_refused; /* Too many, or no file descriptor. */
    uint64_t peers_slow;    /* Closed because too much waited for them. */
    uint64_t requests;
    uint64_t refusals; /* Error answers. */
    uint64_t events;
    uint64_t missed; /* Events dropped. */
};

/* Takes one request.  'request' is its JSON object, borrowed for this call;
 * 'call' must be ended with one answer, now or later. */
typedef void api_handler(struct api_call *call, const json_t *request,
                         void *aux);

struct api_server *api_server_create(struct event_base *,
                                     const struct api_server_config *);
/* Closes all clients (on_close is called) and removes the socket file. */
void api_server_destroy(struct api_server *);

/* 'op' must live as long as the server. */
void api_server_add_op(struct api_server *, const char *op, api_handler *,
                       void *aux);
/* Only clients with 'right' may ask for it; the others get `denied`. */
void api_server_require(struct api_server *, const char *op, enum api_right);
/* As api_socket_listen().  Who can open the socket may do everything. */
int api_server_listen(struct api_server *, const char *path,
                      struct lh_error *);
/* Serves the client at the other end of the stream socket 'fd', which is
 * taken. */
void api_server_adopt(struct api_server *, int fd);
/* Serves the client at the other end of 'stream', which is taken. */
void api_server_adopt_stream(struct api_server *, struct bufferevent *stream,
                             const char *address, unsigned int rights);
/* Calls 'f' for each client; it must not close any. */
void api_server_each(struct api_server *,
                     void (*f)(void *aux, struct api_peer *), void *aux);

const struct api_server_config *api_server_config(const struct api_server *);
size_t api_server_n_peers(const struct api_server *);
const struct api_server_counters *
api_server_counters(const struct api_server *);

#endif /* lib/api_server.h */
