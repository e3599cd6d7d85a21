/* SPDX-License-Identifier: Apache-2.0 */
/* path_kit - what path tables of one thread share: the ways and flows that
 * packets were seen to take, what postcards lead to, and scratch memory.
 *
 * Many small tables, each with a part of the same traffic, then learn a way
 * once, and look at one memory.
 *
 * Ownership: borrowed by the tables, destroyed after them.
 *
 * Threads: one, that of the tables. */
#ifndef SERVER_PATH_KIT_H
#define SERVER_PATH_KIT_H 1

#include <stdbool.h>

#include "lib/topology.h"

struct assembler;
struct card_kind_cache;
struct trajectory_cache;

struct path_kit {
    struct card_kind_cache *kinds;         /* Owned. */
    struct assembler *assembler;           /* Owned. */
    struct trajectory_cache *trajectories; /* Owned; NULL: not wanted. */
    struct topology *topology;             /* Owned reference, or NULL. */
};

/* 'has_trajectories': for tables that give packets of trajectories away.  NULL
 * when memory is short. */
struct path_kit *path_kit_create(bool has_trajectories);
/* NULL is fine. */
void path_kit_destroy(struct path_kit *);

/* All is judged by 'topology' from now on.  Nothing is done when it is
 * already. */
void path_kit_set_topology(struct path_kit *, const struct topology *);
/* The same, but what passes no switch that the topology says something new of
 * stays known. */
void path_kit_change_topology(struct path_kit *, const struct topology *);

#endif /* server/path_kit.h */
