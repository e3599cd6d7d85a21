/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory_cache - recognises packets that went the way of an earlier one.
 *
 * A postcard's key is a keyed hash of switch, ports, rule, flags and of the
 * few header bytes that a path is bound to.  The sum of a packet's keys does
 * not depend on the order they came in; it finds the path that assembly once
 * found for such postcards, and then neither order nor links nor verdict have
 * to be found again.  A path that the rules do not explain (its headers change
 * in ways that are not known) is bound to one flow: its keys have the flow's
 * constant bytes in them too.
 *
 * A hit is checked: every postcard must have its place, and every header must
 * be what the path foresees, byte for byte.  What is not, is assembled as if
 * there were no cache.
 *
 * Only what assembly decided by links alone is learned: where two visits
 * could be taken for each other, time had a say, and the next packet may be
 * another case.
 *
 * Bounded: so many paths and flows; of those that share a place the one not
 * used for the longest time goes.
 *
 * Threads: used only by the thread that created it. */
#ifndef SERVER_TRAJECTORY_CACHE_H
#define SERVER_TRAJECTORY_CACHE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/history.h"
#include "lib/postcard.h"
#include "lib/rule.h"
#include "lib/topology.h"
#include "lib/trajectory.h"
#include "server/assemble.h"
#include "server/card_kind.h"
#include "server/postcard_pool.h"

#define TRAJECTORY_CACHE_MAX_PATHS 32768
#define TRAJECTORY_CACHE_MAX_FLOWS 65536
/* Postcards of a packet at most. */
#define TRAJECTORY_CACHE_MAX_CARDS 64

struct trajectory_cache_counters {
    uint64_t unlike; /* A path was known, a header was not as foreseen. */
    uint64_t paths;  /* Now. */
    uint64_t flows;  /* Now. */
};

/* One packet that was recognised; good until the next call of the cache, and
 * while its postcards are. */
struct trajectory_hit {
    struct trajectory *trajectory; /* Borrowed. */
    struct trajectory_packet packet;
    uint64_t times_ns[TRAJECTORY_MAX_HOPS];
};

/* What is known of a packet's flow before its path is looked at. */
struct trajectory_hint {
    const void *entry; /* The path that it holds for; NULL: none. */
    uint64_t n_changes;
    const struct postcard_entry *card; /* With the reference's header. */
    uint64_t hash;
    uint16_t n_constants;
    uint8_t constants[TRAJECTORY_MAX_CONSTANT];
};

struct trajectory_cache;

/* NULL when memory is short. */
struct trajectory_cache *trajectory_cache_create(void);
void trajectory_cache_destroy(struct trajectory_cache *);
/* Forgets all, because what assembly goes by has changed. */
void trajectory_cache_clear(struct trajectory_cache *);
/* Forgets what passes a switch of which 'is_changed' is true. */
void trajectory_cache_forget(struct trajectory_cache *,
                             bool (*is_changed)(const void *aux,
                                                uint64_t dpid),
                             const void *aux);

/* The key of a postcard of that kind; 0: a packet with this one is never
 * recognised. */
uint64_t trajectory_cache_key(const struct trajectory_cache *,
                              const struct card_kind *,
                              const struct postcard *);

/* For whoever will look for packets one after the other: four steps that ask
 * for the memory which the search of each will look at.  Each is to be called
 * when what the one before asked for has come; the third makes the hint, which
 * the fourth reads. */
void trajectory_cache_expect(struct trajectory_cache *, uint64_t sum);
void trajectory_cache_expect_path(struct trajectory_cache *, uint64_t sum);
void trajectory_cache_expect_flow(struct trajectory_cache *,
                                  const struct postcard_entry *first,
                                  uint64_t sum, struct trajectory_hint *);
void trajectory_cache_expect_trajectory(struct trajectory_cache *,
                                        const struct trajectory_hint *);

/* Looks for the packet whose 'n' postcards are the list at 'first', with keys
 * that add up to 'sum'; what was learned in a state below 'wanted' does not
 * count.  The hint is that of trajectory_cache_expect_flow() for the same
 * list, or all zero, and used up. */
bool trajectory_cache_find(struct trajectory_cache *,
                           const struct postcard_entry *first, size_t n,
                           uint64_t sum, enum assemble_state wanted,
                           struct trajectory_hint *, struct trajectory_hit *);

/* Learns that assembly made the one history 'h' of all these postcards, in
 * 'state'.  'rules' are those that sent each of its hops on, NULL where not
 * known; 'topology' is what assembly went by, or NULL. */
void trajectory_cache_learn(struct trajectory_cache *,
                            const struct postcard_entry *first, size_t n,
                            uint64_t sum, enum assemble_state state,
                            const struct history *h,
                            const struct topology *topology,
                            const struct rule *const *rules);

void trajectory_cache_get_counters(const struct trajectory_cache *,
                                   struct trajectory_cache_counters *);

#endif /* server/trajectory_cache.h */
