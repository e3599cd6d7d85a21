/* SPDX-License-Identifier: Apache-2.0 */
/* set_paths - knows paths again by all that filters may ask of one, headers
 * apart: switches, ports, versions, verdicts and which hop follows which.
 *
 *     if (!set_paths_find(&paths, history, &number)) {
 *         number = ..;
 *         set_paths_add(&paths, number);
 *     }
 *
 * A path may be forgotten when another is added.  What is found is compared in
 * full, so that nobody can make one path be taken for another.
 *
 * Ownership: all zero to set_paths_uninit(); nothing is borrowed.
 *
 * Threads: one. */
#ifndef PHF_SET_PATHS_H
#define PHF_SET_PATHS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/history.h"

struct set_paths_place {
    size_t first, n; /* Its words; 0: nothing is here. */
    uint64_t hash;
    uint32_t number;
};

struct set_paths {
    struct set_paths_place *places; /* By hash; made when needed.  Owned. */
    size_t n_words, allocated_words;
    uint64_t *words; /* Of all paths, then of the one looked for.  Owned. */
    size_t n_asked;  /* Words of that one, ... */
    uint64_t hash;   /* ... and its hash. */
};

void set_paths_uninit(struct set_paths *);
/* Forgets all. */
void set_paths_clear(struct set_paths *);

/* Whether the path of 'history' is known; then '*number' is what it was added
 * with. */
bool set_paths_find(struct set_paths *, const struct history *,
                    uint32_t *number);
/* Adds the path that was looked for last. */
void set_paths_add(struct set_paths *, uint32_t number);

/* Words that are held. */
static inline size_t
set_paths_size(const struct set_paths *p)
{
    return p->n_words;
}

#endif /* phf/set_paths.h */
