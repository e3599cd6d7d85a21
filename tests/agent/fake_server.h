/* SPDX-License-Identifier: Apache-2.0 */
/* fake_server - the server that an agent ships to, as a test wants it.
 *
 * What it took is in `postcards`, one number for each: the first 8 bytes of
 * its header.
 *
 * Ownership: fake_server_create() to fake_server_destroy().
 *
 * Threads: that of the event loop. */
#ifndef TESTS_AGENT_FAKE_SERVER_H
#define TESTS_AGENT_FAKE_SERVER_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/agent_batch.h"
#include "lib/agent_frame.h"

struct event_base;
struct bufferevent;
struct evconnlistener;

struct fake_server {
    struct event_base *base;
    struct evconnlistener *listener; /* NULL: away. */
    struct bufferevent *stream;      /* NULL: nobody is here. */
    struct agent_batch_reader *reader;
    uint16_t port;

    /* What to do. */
    bool is_silent;        /* Takes nothing: neither reads nor answers. */
    bool withholds_acks;   /* Takes, but does not say so. */
    bool is_busy;          /* Refuses those who could go elsewhere. */
    const uint8_t *speech; /* Says this in place of a welcome ... */
    size_t speech_len;     /* ... of so many bytes. */
    uint32_t threshold;

    /* What there was. */
    uint64_t last_seq; /* Taken. */
    uint8_t id[AGENT_ID_LEN];
    uint64_t told_seq;  /* Taken, as the last hello said. */
    bool wants_servers; /* The same. */
    size_t n_hellos, n_pings, n_repeated, n_refused;
    uint32_t want, n_wants, batch_threshold;
    uint64_t *postcards;
    size_t n_postcards, allocated;
    uint64_t lost[N_AGENT_PLACES];
    uint64_t lost_of_a0[N_AGENT_PLACES]; /* Of switch a0. */
};

struct fake_server *fake_server_create(struct event_base *);
void fake_server_destroy(struct fake_server *);
/* Goes away, and comes back at the same port. */
void fake_server_stop(struct fake_server *);
void fake_server_start(struct fake_server *);
void fake_server_send(struct fake_server *, const void *, size_t);
/* Tells the agent that is here of those at these ports, 's' among them. */
void fake_server_tell(struct fake_server *, const uint16_t ports[], size_t n);
/* Whether each number below 'n' came exactly once. */
bool fake_server_has_each(const struct fake_server *, uint64_t n);

#endif /* tests/agent/fake_server.h */
