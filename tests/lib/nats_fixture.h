/* SPDX-License-Identifier: Apache-2.0 */
/* nats_fixture - a nats-server of the test's own: its port is one that was
 * free, its store a directory of the test, and it ends with the test.
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

/* Opens a bus to it. */
struct bus *nats_open(const struct nats *, struct event_base *);

/* Runs the loop until '*done', at most a minute, after which the test
 * fails. */
void nats_loop_until(struct event_base *, const bool *done);
/* The same until 'is_done'. */
void nats_loop_while(struct event_base *, bool (*is_going)(void *aux),
                     void *aux);

#endif /* tests/lib/nats_fixture.h */
