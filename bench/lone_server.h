/* SPDX-License-Identifier: Apache-2.0 */
/* lone_server - the first server of a cluster, in a process of its own on the
 * first core, which it has to itself, so that its caches hold what one server
 * has and nothing else.
 *
 *     l = lone_server_start(&rig);
 *     lone_server_order(l, LONE_OPEN);     ANNOUNCE, TELL ..
 *     lone_server_give(l, &frame); ..  lone_server_wake(l);
 *     lone_server_close(l);
 *
 * Its clock is its owner's (bench/slow_clock.h), who makes it go on.  It waits
 * for messages and frames as a server does.
 *
 * Threads: one. */
#ifndef BENCH_LONE_SERVER_H
#define BENCH_LONE_SERVER_H 1

#include <stdbool.h>
#include <stdint.h>

#include "bench/cluster_rig.h"
#include "lib/rule.h"

enum lone_order {
    LONE_OPEN = 1, /* The server, and the cluster's streams before it. */
    LONE_ANNOUNCE,
    LONE_TELL, /* What was used until now, where all that was given is fed. */
    LONE_END,  /* No more frames come. */
    LONE_CLOSE /* By lone_server_close(). */
};

/* CPU in seconds, user and system, without what only the benchmark needs. */
struct lone_used {
    double doors_s;  /* From frame to message. */
    double owners_s; /* The rest of the server's loop. */
    double others_s; /* Its other threads. */
    struct cluster_sum sum;
};

struct lone_server;

/* Forks; the process before must not have opened a bus.  Of the rig is needed
 * what is set before it is opened. */
struct lone_server *lone_server_start(const struct cluster_rig *);
/* Waits until it is carried out. */
void lone_server_order(struct lone_server *, enum lone_order);
/* Waits for the end of the process, and frees all but the clock, which who
 * follows it goes on reading. */
void lone_server_close(struct lone_server *);

/* A rule that later frames need. */
void lone_server_add_rule(void *l, const struct rule *);
/* Waits where there is no room. */
void lone_server_give(struct lone_server *, const struct gen_frame *);
/* The clock went on by so much that it may matter, without frames. */
void lone_server_wake(struct lone_server *);
/* Hands over what is less than a portion, too. */
void lone_server_flush(struct lone_server *);
/* Until it has fed all that was handed over. */
void lone_server_wait(struct lone_server *);

/* What the clock of both shows, for slow_clock_follow(). */
uint64_t *lone_server_clock(struct lone_server *);
/* As it was before it began to wait. */
void lone_server_get_sum(struct lone_server *, struct cluster_sum *);
/* At the last LONE_TELL. */
void lone_server_get_used(const struct lone_server *, struct lone_used *);

#endif /* bench/lone_server.h */
