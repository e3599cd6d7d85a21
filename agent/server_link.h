/* SPDX-License-Identifier: Apache-2.0 */
/* server_link - the agent's connection to its server: says hello, sends what
 * the outbox has, hears what was taken, and comes again after a failure.
 *
 * The server is not trusted beyond what it is for: what makes no sense ends
 * the connection, and all that waits for it is bounded.
 *
 * Ownership: borrows the event base, TLS and the outbox.
 *
 * Threads: that of the event loop. */
#ifndef AGENT_SERVER_LINK_H
#define AGENT_SERVER_LINK_H 1

#include <stdbool.h>
#include <stdint.h>

#include "agent/outbox.h"
#include "lib/agent_frame.h"
#include "lib/lh_error.h"

struct event_base;
struct tls;

struct server_link_config {
    const char *server; /* HOST[:PORT], [ADDR][:PORT]. */
    struct tls *tls;    /* NULL: none. */
    struct outbox *outbox;
    struct agent_hello hello; /* The name in it is borrowed. */
    /* The server's threshold changed, or it is away: UINT32_MAX. */
    void (*on_threshold)(void *aux, uint32_t threshold);
    /* The server is there, or is not any more. */
    void (*on_state)(void *aux, bool is_up, const char *text);
    void *aux;
};

struct server_link_counters {
    bool is_up;
    uint64_t n_connections; /* That the server welcomed. */
    uint64_t n_failures;    /* Connections that ended or were none. */
    uint64_t n_refused;     /* Of those, by the server's REFUSED. */
    uint64_t n_malformed;   /* Of those, because it made no sense. */
    uint64_t n_sent;        /* Frames with postcards or losses. */
    uint64_t n_resent;      /* Of those, not the first time. */
    uint64_t bytes;         /* Sent. */
};

struct server_link;

/* 0, or EINVAL with the reason when 'server' is no address. */
int server_link_create(struct event_base *, const struct server_link_config *,
                       struct server_link **, struct lh_error *);
void server_link_destroy(struct server_link *);
/* There is something new in the outbox. */
void server_link_kick(struct server_link *);
/* Tells the server what the CPU budget allows, now and when it is back. */
void server_link_want(struct server_link *, uint32_t threshold);
const struct server_link_counters *
server_link_counters(const struct server_link *);

#endif /* agent/server_link.h */
