/* SPDX-License-Identifier: Apache-2.0 */
/* server_link - the agent's connection to a server: says hello, sends what
 * the outbox has, hears what was taken, and comes again after a failure.
 *
 * Of several servers (agent/server_choice.h) it ships to its own.  When that
 * one hangs up, refuses, or is silent for four seconds, the next one is sent
 * all that was not acknowledged, and its own is tried every
 * SERVER_LINK_BACK_MS on a connection beside; it goes back as soon as it is
 * welcome there.
 *
 * Servers of a cluster tell which of them take agents.  When that changes and
 * another one is its own now, it goes there so too, after up to
 * SERVER_LINK_SPREAD_MS, so that not all agents do at once.  In a spool
 * the list is found again by the next agent.
 *
 * Servers are not trusted beyond what they are for: what makes no sense ends
 * the connection, and all that waits for them is bounded.
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

#define SERVER_LINK_BACK_MS   2000
#define SERVER_LINK_SPREAD_MS 5000

struct event_base;
struct tls;

struct server_link_config {
    const char *servers; /* See agent/server_choice.h. */
    const char *spool;   /* Where the list that was told is, or NULL. */
    struct tls *tls;     /* NULL: none. */
    struct outbox *outbox;
    /* The name in it is borrowed, and ends with a 0; what was taken, and
     * whether there are others, is filled in here. */
    struct agent_hello hello;
    /* The server's threshold changed, or it is away: UINT32_MAX. */
    void (*on_threshold)(void *aux, uint32_t threshold);
    /* That server is there, or is not any more. */
    void (*on_state)(void *aux, bool is_up, const char *server,
                     const char *text);
    void *aux;
};

struct server_link_counters {
    bool is_up;
    uint64_t n_connections; /* That a server welcomed. */
    uint64_t n_failures;    /* Connections that ended or were none. */
    uint64_t n_refused;     /* Of those, by the server's REFUSED. */
    uint64_t n_malformed;   /* Of those, because it made no sense. */
    uint64_t n_moves;       /* Welcomes by another server than before. */
    uint64_t n_told;        /* Servers that it was told of, now. */
    uint64_t n_sent;        /* Frames with postcards or losses. */
    uint64_t n_resent;      /* Of those, not the first time. */
    uint64_t bytes;         /* Sent. */
};

struct server_link;

/* 0, or EINVAL with the reason when 'servers' are no addresses. */
int server_link_create(struct event_base *, const struct server_link_config *,
                       struct server_link **, struct lh_error *);
void server_link_destroy(struct server_link *);
/* There is something new in the outbox. */
void server_link_kick(struct server_link *);
/* Tells the server what the CPU budget allows, now and when it is back. */
void server_link_want(struct server_link *, uint32_t threshold);
/* HOST:PORT of the server that it ships to, or tries. */
const char *server_link_server(const struct server_link *);
const struct server_link_counters *
server_link_counters(const struct server_link *);

#endif /* agent/server_link.h */
