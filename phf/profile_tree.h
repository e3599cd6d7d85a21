/* SPDX-License-Identifier: Apache-2.0 */
/* profile_tree - what a profile found, as the tree of JSON that docs/api.md
 * describes: the largest first.
 *
 * Threads: one. */
#ifndef PHF_PROFILE_TREE_H
#define PHF_PROFILE_TREE_H 1

#include <stddef.h>
#include <jansson.h>

#include "phf/profile_block.h"

struct profile_tree_config {
    const struct profile_ask *ask;
    const struct profile_table *table;
    const struct topology *topology; /* For names; may be NULL. */
    uint64_t top;                    /* Nodes of each parent at most, */
    size_t max_nodes;                /* and of all. */
    size_t n_intervals;              /* 0: no series. */
};

/* Sets "packets", "bytes", "tree" and, with intervals, "series" in 'to'. */
void profile_tree_put(const struct profile_tree_config *, json_t *to);

/* The word for a level ("ingress"), and back: false when there is none. */
const char *profile_level_name(enum profile_level);
bool profile_level_from_name(const char *name, enum profile_level *);

#endif /* phf/profile_tree.h */
