/* SPDX-License-Identifier: Apache-2.0 */
/* phf_set - live filters that are matched together.
 *
 * What several filters ask of a hop is asked once for all of them.  A filter
 * that needs a hop of a certain switch (by dpid), port or version is run only
 * on histories that have one (phf/set_index.h).
 *
 *     struct phf_set *set = phf_set_create();
 *     uint32_t id = phf_set_add(set, phf, trigger);
 *     ...
 *     phf_set_match(set, history, topology, hit, server);
 *     phf_set_match_packet(set, trajectory, packet, topology, hit, server);
 *     phf_set_remove(set, id);
 *     phf_set_destroy(set);
 *
 * What they say of a trajectory is found once, until filters or the topology
 * change.  A packet of one that no filter can match costs a comparison; no
 * history is made of it.
 *
 * Ownership: phf_set_add() takes the filter; the set destroys it.
 *
 * Threads: used by one thread, that of the trajectories. */
#ifndef PHF_PHF_SET_H
#define PHF_PHF_SET_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/trajectory.h"
#include "phf/phf.h"

struct phf_set;

struct phf_set_counters {
    uint64_t histories; /* Matched, packets of trajectories too. */
    uint64_t runs;      /* Filters run on a history, ... */
    uint64_t skipped;   /* ... and not run, because they could not match. */
    uint64_t matches;
    uint64_t limits;       /* PHF_LIMIT results. */
    uint64_t paths;        /* That a verdict was found for, ... */
    uint64_t trajectories; /* ... and flows on them. */
    uint64_t written;      /* Packets whose history was made. */
};

struct phf_set *phf_set_create(void);
void phf_set_destroy(struct phf_set *);

/* Takes 'phf' and returns its number in the set, which is not 0 and never used
 * again.  'filter_aux' is handed to hits. */
uint32_t phf_set_add(struct phf_set *, struct phf *phf, void *filter_aux);

/* Takes the filter out and destroys it; false when it is not there. */
bool phf_set_remove(struct phf_set *, uint32_t id);

size_t phf_set_count(const struct phf_set *);
void phf_set_get_counters(const struct phf_set *, struct phf_set_counters *);

/* Calls 'hit' for every filter that matches, in the order in which they were
 * added, with PHF_MATCH, and for every one that gave up, with PHF_LIMIT.
 * 'hit' must not change the set.  'topology' may be NULL. */
void phf_set_match(struct phf_set *, const struct history *,
                   const struct topology *topology,
                   void (*hit)(void *aux, uint32_t id, void *filter_aux,
                               enum phf_result),
                   void *aux);
/* The same for a packet of a trajectory, with the answers that its history
 * would have. */
void phf_set_match_packet(struct phf_set *, struct trajectory *,
                          const struct trajectory_packet *,
                          const struct topology *topology,
                          void (*hit)(void *aux, uint32_t id, void *filter_aux,
                                      enum phf_result),
                          void *aux);

/* Within 'hit': the history that is matched, which for a packet is made when
 * this is first called. */
const struct history *phf_set_history(struct phf_set *);

#endif /* phf/phf_set.h */
