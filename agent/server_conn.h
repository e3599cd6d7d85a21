/* SPDX-License-Identifier: Apache-2.0 */
/* server_conn - one connection to a server: comes about, says hello, passes on
 * the frames that come, and ends when the server is silent.
 *
 * No callback comes from within server_conn_create().  After 'on_end', and
 * where 'on_frame' says so, the connection is its owner's to destroy, from
 * within the callback if it likes.
 *
 * Ownership: borrows what its configuration points to.
 *
 * Threads: that of the event loop. */
#ifndef AGENT_SERVER_CONN_H
#define AGENT_SERVER_CONN_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/agent_frame.h"
#include "lib/byte_buf.h"
#include "lib/host_port.h"

struct event_base;
struct evdns_base;
struct server_conn;
struct tls;

enum server_conn_end {
    SERVER_CONN_FAILED,
    SERVER_CONN_MALFORMED /* What came is no frame. */
};

struct server_conn_config {
    struct event_base *base;
    struct evdns_base *dns;
    struct tls *tls;                /* NULL: none. */
    const struct host_port *target; /* Not after it was created. */
    struct agent_hello hello;
    unsigned int ping_s, silent_s; /* A ping so often; it ends after. */
    /* A frame of the server.  False: the connection was destroyed. */
    bool (*on_frame)(void *aux, struct server_conn *,
                     const struct agent_frame *);
    void (*on_room)(void *aux, struct server_conn *); /* Little is unsent. */
    void (*on_end)(void *aux, struct server_conn *, enum server_conn_end,
                   const char *why);
    void *aux;
};

/* NULL: memory is short, or the address cannot be connected to. */
struct server_conn *server_conn_create(const struct server_conn_config *);
/* NULL is fine. */
void server_conn_destroy(struct server_conn *);

/* Sends the frames and empties 'out'; returns how many bytes that were. */
size_t server_conn_send(struct server_conn *, struct byte_buf *out);
/* Bytes that wait to be sent. */
size_t server_conn_unsent(const struct server_conn *);
/* It was welcomed: pings, and may end for silence, from now on as well. */
void server_conn_welcome(struct server_conn *);
bool server_conn_is_welcome(const struct server_conn *);
/* A ping so often from now on, and it ends after. */
void server_conn_set_pings(struct server_conn *, unsigned int ping_s,
                           unsigned int silent_s);

#endif /* agent/server_conn.h */
