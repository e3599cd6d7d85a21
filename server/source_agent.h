/* SPDX-License-Identifier: Apache-2.0 */
/* source_agent - takes postcards from lasthop-agents over TCP, or TLS.
 *
 * An agent says hello, is welcomed with the number of the last batch that was
 * taken from it, and sends on from there.  What was taken is acknowledged when
 * the book's file has it, four times a second, so that nothing that was
 * acknowledged is taken twice and nothing is asked for again that was.  While
 * the pipeline has no room nothing is read: TCP makes the agents wait.
 *
 * In a cluster a batch counts as taken when all its postcards are safe on the
 * bus; one that comes again before that is known, and waits for the same. What
 * an agent says that other servers have taken of it counts as taken here too.
 * While this server has a reason not to take agents, those that could go to
 * other servers are told so and sent away.
 *
 * What an agent may hold here is bounded: a frame, AGENT_FRAME_MAX bytes, and
 * as much again unread.  One that sends what is no frame is hung up on; a
 * batch that cannot be read is counted and acknowledged, or it would come for
 * ever.
 *
 * Without TLS an agent's address must be in the accept list; with it, it shows
 * a certificate that our CA signed.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_SOURCE_AGENT_H
#define SERVER_SOURCE_AGENT_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/lh_error.h"
#include "lib/tls.h"
#include "server/accept_list.h"
#include "server/agent_book.h"
#include "server/catch_up.h"
#include "server/counters.h"
#include "server/ingest.h"
#include "server/sample_gate.h"

struct event_base;

#define SOURCE_AGENT_MAX 1024 /* Connections at a time. */

struct source_agent_config {
    const char *listen;     /* "[tcp:|ssl:]ADDR:PORT", "[ADDR]:PORT". */
    struct tls_files files; /* For ssl:. */
    const char *book_path;  /* File of the book, or NULL: none. */
    struct packet_id_config id_config;
    const struct accept_list *accept; /* NULL: anybody, as with TLS. */
    struct agent_book *book;
    struct sample_gate *gate;
    struct catch_up *catch_up;
    struct ingest *ingest;
    void (*before)(void *aux, uint64_t now_ns); /* A batch is worked on. */
    bool (*has_room)(void *aux);                /* For some postcards more. */
    void (*after)(void *aux);
    /* Where postcards are not safe when they were taken, both: the number of
     * the last that was taken, and up to which all are safe; what is not is
     * not acknowledged.  NULL. */
    uint64_t (*taken)(void *aux);
    uint64_t (*safe)(void *aux);
    /* The postcards that come next are those of that frame of the agent, in
     * their order, from the first on.  May be NULL. */
    void (*begin)(void *aux, const uint8_t id[AGENT_ID_LEN], uint64_t seq);
    /* The agent says that postcards are lost.  May be NULL. */
    void (*lost)(void *aux, const uint8_t id[AGENT_ID_LEN],
                 const struct agent_loss *);
    /* Why agents should go to other servers; NULL: they need not.  May be
     * NULL. */
    const char *(*busy)(void *aux);
    void *aux;
};

struct source_agent;

/* Returns 0, EINVAL when the address or a file is no good, or the errno of the
 * socket, with the reason.  What the config points to must outlive it; its
 * strings need not. */
int source_agent_open(struct event_base *, const struct source_agent_config *,
                      struct source_agent **, struct lh_error *);
void source_agent_close(struct source_agent *);
/* Where it listens: differs from what was asked for with port 0. */
uint16_t source_agent_port(const struct source_agent *);
/* The threshold that all agents are told: the smallest that one of them wants,
 * or that is wanted elsewhere. */
uint32_t source_agent_threshold(const struct source_agent *);
/* The smallest that one of them wants, and what is wanted elsewhere. */
uint32_t source_agent_want(const struct source_agent *);
void source_agent_set_others(struct source_agent *, uint32_t threshold);
/* These servers of the cluster take agents from now on, this one among them
 * or not; all agents that want to know are told.  The texts are copied. */
void source_agent_set_servers(struct source_agent *,
                              const struct agent_server *, size_t n);
/* Sets those of '*counters' that are counted here. */
void source_agent_collect(const struct source_agent *, struct counters *);

#endif /* server/source_agent.h */
