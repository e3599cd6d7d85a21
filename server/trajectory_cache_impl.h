/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory_cache_impl - what the parts of trajectory_cache share.
 *
 *   trajectory_cache        life, keys, finding
 *   trajectory_cache_learn  ways that assembly found
 *
 * Included by trajectory_cache*.c only. */
#ifndef SERVER_TRAJECTORY_CACHE_IMPL_H
#define SERVER_TRAJECTORY_CACHE_IMPL_H 1

#include "lib/keyed_hash.h"
#include "lib/trajectory_path_brief.h"
#include "server/trajectory_cache.h"

#define N_WAYS      4
#define N_PATH_SETS (TRAJECTORY_CACHE_MAX_PATHS / N_WAYS)
#define N_FLOW_SETS (TRAJECTORY_CACHE_MAX_FLOWS / N_WAYS)
/* A line of the cache of the processor. */
#define LINE 64

struct card {
    uint64_t key;
    uint16_t minus; /* Of a brief: from the word with the TTL. */
    uint8_t hop;
    bool is_shown; /* Its header is the hop's. */
};

/* A path and the postcards that show it.  Allocated in one piece, at the
 * beginning of a line, so that most packets' are in two. */
struct entry {
    struct trajectory_path *path; /* Owned reference; NULL: such postcards
                                   * are looked for by their narrow keys. */
    uint8_t state;                /* enum assemble_state. */
    uint8_t n_hops, reference;    /* The path's. */
    uint8_t n_cards;
    uint8_t ref_card; /* Which of them shows the reference's header. */
    bool has_brief;
    struct trajectory_path_brief brief;
    struct card cards[];
};

/* Those that share a place, one line of each kind; the one that was used last
 * stands first.  Empty places have NULL. */
struct path_set {
    uint64_t sums[N_WAYS];
    struct entry *entries[N_WAYS]; /* Owned. */
} __attribute__((aligned(LINE)));

struct flow_set {
    uint64_t hashes[N_WAYS];
    struct trajectory *flows[N_WAYS]; /* Owned references. */
} __attribute__((aligned(LINE)));

struct trajectory_cache {
    struct path_set paths[N_PATH_SETS];
    struct flow_set flows[N_FLOW_SETS];
    struct keyed_hash hash;
    uint64_t n_changes; /* Of paths: what hints say holds no more. */
    struct trajectory_cache_counters n;
};

static inline struct path_set *
path_set_of(struct trajectory_cache *cache, uint64_t sum)
{
    return &cache->paths[sum & (N_PATH_SETS - 1)];
}

/* The entry of that sum, or NULL. */
static inline struct entry *
path_set_find(struct trajectory_cache *cache, uint64_t sum)
{
    struct path_set *set = path_set_of(cache, sum);

    for (size_t i = 0; i < N_WAYS; i++) {
        if (set->sums[i] == sum && set->entries[i]) {
            return set->entries[i];
        }
    }
    return NULL;
}

/* Puts the entry first that is there. */
void path_set_note_used(struct path_set *, uint64_t sum, struct entry *);

/* Frees '*entry', and sets it to NULL, if it is not NULL. */
void trajectory_cache_drop(struct trajectory_cache *, struct entry **entry);
/* The keys of the list: as they are, or narrow.  Returns their sum. */
uint64_t trajectory_cache_list_keys(const struct trajectory_cache *,
                                    const struct postcard_entry *first,
                                    bool is_narrow, uint64_t *keys);

#endif /* server/trajectory_cache_impl.h */
