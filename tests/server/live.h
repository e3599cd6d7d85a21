/* SPDX-License-Identifier: Apache-2.0 */
/* live - a running lasthop-server for tests: a process of its own in a
 * directory of its own, and the switches of the scene that send to it.
 *
 * All waiting has a deadline; when it passes, the test fails.
 *
 * Threads: one. */
#ifndef TESTS_SERVER_LIVE_H
#define TESTS_SERVER_LIVE_H 1

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/api_client.h"
#include "tests/server/scene.h"

#define LIVE_DEADLINE_MS 20000

struct live {
    char *dir;     /* The run directory, with topology.json, rules.jsonl, log.
                    * Owned. */
    uint16_t port; /* UDP, at 127.0.0.1. */
    pid_t pid;     /* 0 when it does not run. */
    int fd;        /* Sends postcards. */
    char *arguments[32]; /* Owned. */
    int n_arguments;
};

/* Makes the directory and the sending socket.  The arguments, NULL at the end,
 * are added to --rundir, --listen and -v. */
void live_init(struct live *, const char *argument, ...)
    __attribute__((sentinel));
/* Kills what still runs and removes everything. */
void live_uninit(struct live *);

/* Starts the server and waits until it serves. */
void live_start(struct live *);
/* Sends the signal, waits for the end, returns the exit status, or 128 and
 * the signal that ended it. */
int live_stop(struct live *, int signal_number);
/* What it said so far, for free(). */
char *live_log(const struct live *);

/* A new connection. */
struct api_client *live_client(const struct live *);
/* One of the counters. */
uint64_t live_counter(struct api_client *, const char *name);
/* Waits until the counter is at least 'value'. */
void live_wait(struct api_client *, const char *name, uint64_t value);
/* Fails unless in = out + dropped + held, throughout. */
void live_check_sums(struct api_client *);

/* Sends the postcards of packet 'n' as seen by switches 1 to 'n_hops', the
 * last of which drops it or not. */
void live_send(struct live *, uint32_t n, uint64_t n_hops, bool drops);

/* The next event, or NULL when the query or trigger has ended; it must be
 * 'history', whose history is returned. */
json_t *live_next(struct api_client *);

#endif /* tests/server/live.h */
