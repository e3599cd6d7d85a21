/* SPDX-License-Identifier: Apache-2.0 */
/* tree - the way of postcards that travel through the network they tell of.
 *
 * A spanning tree of the switches that have a way to the root, the switch at
 * which the collector is.  Every switch has one way up, a shortest one; of
 * several the one by the neighbour with the lowest dpid, and there by its
 * lowest port.  So the tree depends on the topology alone, and when a link
 * goes, only switches whose way had it go another.
 *
 * Ownership: tree_destroy() frees; what the getters return lives as long.
 *
 * Threads: immutable once made. */
#ifndef RECORDER_TREE_H
#define RECORDER_TREE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct topology;
struct tree;

struct tree_switch {
    uint64_t dpid;
    unsigned int depth; /* Links to the root. */
    uint64_t parent;    /* 0 at the root. */
    uint16_t up;        /* Port towards the root; 0 at the root. */
    uint16_t *down;     /* Ports by which children send, ascending. */
    size_t n_down;
};

/* May the switch carry others' postcards, and send its own? */
typedef bool tree_takes(void *aux, uint64_t dpid);

/* Of those switches of the topology that 'takes' takes (all when it is NULL),
 * by links whose ports are both up. */
struct tree *tree_create(const struct topology *, uint64_t root, tree_takes *,
                         void *aux);
void tree_destroy(struct tree *);

/* In order of dpids. */
size_t tree_n_switches(const struct tree *);
const struct tree_switch *tree_switch_at(const struct tree *, size_t i);
/* NULL when it has no way to the root. */
const struct tree_switch *tree_find(const struct tree *, uint64_t dpid);

/* True when the child at port 'down' of the switch is there. */
bool tree_switch_has_down(const struct tree_switch *, uint16_t down);
/* True when both are the same in all that a switch has to do. */
bool tree_switch_equal(const struct tree_switch *, const struct tree_switch *);

#endif /* recorder/tree.h */
