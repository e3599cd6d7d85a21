/* SPDX-License-Identifier: Apache-2.0 */
/* nats_fixture - a nats-server of the test's own: its port is one that was
 * free, its store a directory of the test, and it ends with the test.  The
 * program is the system's, or the one that LASTHOP_NATS_SERVER names.
 *
 * Threads: one. */
#ifndef TESTS_LIB_NATS_FIXTURE_H
#define TESTS_LIB_NATS_FIXTURE_H 1

#include <stdbool.h>
#include <sys/types.h>

#include "lib/bus.h"

struct nats {
    char dir[64];
    char url[64];
    int port;
    pid_t pid; /* 0: does not run. */
};

/* Starts it with JetStream, and waits until it listens; 'extra' are lines
 * for its configuration, or NULL.  Later starts have the same port and
 * store. */
void nats_start(struct nats *, const char *extra);
/* Kills it (SIGKILL) and waits for its end. */
void nats_kill(struct nats *);
/* The same, and removes its directory. */
void nats_end(struct nats *);
/* While it does not run: keeps a copy of its store, and puts the copy in the
 * place of the store, so that it has lost what it acknowledged since. */
void nats_keep_store(const struct nats *);
void nats_fall_back(const struct nats *);
/* The same of one stream; what is kept of others stays. */
void nats_stream_falls_back(const struct nats *, const char *stream);

/* Several that are one cluster, with a store each. */
#define NATS_MAX_NODES 5
struct nats_cluster {
    unsigned int n;
    struct nats nodes[NATS_MAX_NODES]; /* "n0", "n1" .. for each other. */
    char routes[NATS_MAX_NODES * 40];
    int route_ports[NATS_MAX_NODES];
    char urls[NATS_MAX_NODES * 40]; /* Of all, for bus_options. */
};

/* Starts 'n' and waits until each listens; JetStream answers when they have
 * found each other. */
void nats_cluster_start(struct nats_cluster *, unsigned int n);
/* Starts node 'i' again, which nats_kill() has ended. */
void nats_cluster_restart(struct nats_cluster *, unsigned int i);
void nats_cluster_end(struct nats_cluster *);

/* Opens a bus to it. */
struct bus *nats_open(const struct nats *, struct event_base *);
/* What a test of one bus has: NATS, a loop, a bus to it, and a bucket. */
void nats_set_up(struct nats *, struct event_base **, struct bus **,
                 const char *bucket);
void nats_tear_down(struct nats *, struct event_base *, struct bus *);
/* Makes a bucket of keys, for some MB. */
void nats_create_bucket(struct bus *, struct event_base *, const char *name);

/* Runs the loop until '*done', at most a minute, after which the test
 * fails. */
void nats_loop_until(struct event_base *, const bool *done);
/* The same until 'is_done'. */
void nats_loop_while(struct event_base *, bool (*is_going)(void *aux),
                     void *aux);

#endif /* tests/lib/nats_fixture.h */
