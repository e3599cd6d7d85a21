/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory_cache - recognises packets that went the way of an earlier one.
 */
#include <config.h>

#include "server/trajectory_cache.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/bytes.h"
#include "lib/header_split.h"
#include "lib/huge_alloc.h"
#include "lib/keyed_hash.h"
#include "lib/lh_alloc.h"
#include "server/plain_way.h"

#define N_WAYS      4
#define N_PATH_SETS (TRAJECTORY_CACHE_MAX_PATHS / N_WAYS)
#define N_FLOW_SETS (TRAJECTORY_CACHE_MAX_FLOWS / N_WAYS)
/* Bytes before the IP header at most. */
#define MAX_L2  64
#define ETH_LEN 14

struct card {
    uint64_t key;
    uint8_t hop;
    bool is_shown; /* Its header is the hop's. */
};

/* A path and the postcards that show it.  Allocated in one piece. */
struct entry {
    struct trajectory_path *path; /* Owned reference; NULL: such postcards
                                   * are looked for by their narrow keys. */
    uint8_t state;                /* enum assemble_state. */
    uint8_t n_hops, reference;    /* The path's. */
    uint8_t n_cards;
    struct card cards[];
};

struct path_way {
    uint64_t sum;
    uint64_t used; /* Tick of the last use. */
    struct entry *entry;
};

struct flow_way {
    uint64_t hash;
    uint64_t used;
    struct trajectory *trajectory; /* Owned reference. */
};

struct trajectory_cache {
    struct keyed_hash hash;
    uint64_t tick;
    struct trajectory_cache_counters n;
    struct path_way paths[N_PATH_SETS][N_WAYS];
    struct flow_way flows[N_FLOW_SETS][N_WAYS];
};

/* --- Life. ----------------------------------------------------------------
 */

struct trajectory_cache *
trajectory_cache_create(void)
{
    struct trajectory_cache *cache = huge_alloc(sizeof *cache);

    if (cache) {
        cache->hash = keyed_hash_create();
    }
    return cache;
}

static void
drop_path(struct trajectory_cache *cache, struct path_way *way)
{
    if (way->entry) {
        trajectory_path_unref(way->entry->path);
        free(way->entry);
        *way = (struct path_way){0};
        cache->n.paths--;
    }
}

static void
drop_flow(struct trajectory_cache *cache, struct flow_way *way)
{
    if (way->trajectory) {
        trajectory_unref(way->trajectory);
        *way = (struct flow_way){0};
        cache->n.flows--;
    }
}

void
trajectory_cache_clear(struct trajectory_cache *cache)
{
    for (size_t set = 0; cache->n.paths && set < N_PATH_SETS; set++) {
        for (size_t i = 0; i < N_WAYS; i++) {
            drop_path(cache, &cache->paths[set][i]);
        }
    }
    for (size_t set = 0; cache->n.flows && set < N_FLOW_SETS; set++) {
        for (size_t i = 0; i < N_WAYS; i++) {
            drop_flow(cache, &cache->flows[set][i]);
        }
    }
}

static bool
passes(const struct trajectory_path *path,
       bool (*is_changed)(const void *aux, uint64_t dpid), const void *aux)
{
    const struct history *model = path ? trajectory_path_model(path) : NULL;

    for (size_t i = 0; model && i < model->n_hops; i++) {
        if (is_changed(aux, model->hops[i].dpid)) {
            return true;
        }
    }
    return !path;
}

void
trajectory_cache_forget(struct trajectory_cache *cache,
                        bool (*is_changed)(const void *aux, uint64_t dpid),
                        const void *aux)
{
    for (size_t set = 0; cache->n.flows && set < N_FLOW_SETS; set++) {
        for (size_t i = 0; i < N_WAYS; i++) {
            struct flow_way *way = &cache->flows[set][i];

            if (way->trajectory &&
                passes(trajectory_path(way->trajectory), is_changed, aux)) {
                drop_flow(cache, way);
            }
        }
    }
    for (size_t set = 0; cache->n.paths && set < N_PATH_SETS; set++) {
        for (size_t i = 0; i < N_WAYS; i++) {
            struct path_way *way = &cache->paths[set][i];

            if (way->entry && passes(way->entry->path, is_changed, aux)) {
                drop_path(cache, way);
            }
        }
    }
}

void
trajectory_cache_destroy(struct trajectory_cache *cache)
{
    if (cache) {
        trajectory_cache_clear(cache);
        huge_free(cache, sizeof *cache);
    }
}

void
trajectory_cache_get_counters(const struct trajectory_cache *cache,
                              struct trajectory_cache_counters *counters)
{
    *counters = cache->n;
}

/* --- Keys. ----------------------------------------------------------------
 */

uint64_t
trajectory_cache_key(const struct trajectory_cache *cache,
                     const struct card_kind *kind, const struct postcard *p)
{
    struct header_split split;
    const uint8_t *ip;
    size_t l3_len;
    uint64_t about, key;
    bool is_ip4;

    if (!header_split(p->header, p->caplen, &split) ||
        split.tail_ofs > TRAJECTORY_MAX_CONSTANT || split.l3_ofs > MAX_L2) {
        return 0;
    }
    ip = p->header + split.l3_ofs;
    is_ip4 = header_kind_is_ip4(split.kind);
    l3_len = (size_t) p->caplen - split.l3_ofs;
    about = ip[is_ip4 ? 9 : 6];
    about = about << 8 | (uint64_t) split.kind;
    about = about << 8 | split.l3_ofs;
    /* The TTL ends here, if the rule takes from it. */
    about = about << 8 | (ip[is_ip4 ? 8 : 7] <= 1);
    /* Captured of a packet that was longer. */
    about = about << 16 | (l3_len < split.own_len ? (uint16_t) l3_len : 0);
    if (split.kind == HEADER_IP4_ICMP || split.kind == HEADER_IP6_ICMP) {
        about = about << 16 | bytes_be16(p->header + split.l4_ofs);
    }
    key = keyed_hash_number(&cache->hash, kind->hash ^ about);
    if (split.l3_ofs > ETH_LEN) {
        key = XXH3_64bits_withSeed(p->header + 12, split.l3_ofs - 12u, key);
    }
    return key ? key : 1;
}

/* The key with the flow's constant bytes in it. */
static uint64_t
narrow_key(const struct trajectory_cache *cache,
           const struct postcard_entry *e)
{
    uint8_t constants[TRAJECTORY_MAX_CONSTANT];
    struct header_split split;

    header_split(e->p.header, e->p.caplen, &split);
    header_split_constant(e->p.header, &split, constants);
    return XXH3_64bits_withSeed(constants, split.tail_ofs,
                                cache->hash.key[0] ^ e->key);
}

static struct path_way *
path_set(struct trajectory_cache *cache, uint64_t sum)
{
    return cache->paths[sum & (N_PATH_SETS - 1)];
}

static struct path_way *
find_way(struct trajectory_cache *cache, uint64_t sum)
{
    struct path_way *set = path_set(cache, sum);

    for (size_t i = 0; i < N_WAYS; i++) {
        if (set[i].entry && set[i].sum == sum) {
            return &set[i];
        }
    }
    return NULL;
}

/* --- Flows. ---------------------------------------------------------------
 */

/* Where a packet's flow is, or goes. */
struct flow_place {
    uint8_t constants[TRAJECTORY_MAX_CONSTANT];
    uint64_t hash;
    struct flow_way *set;
};

/* Finds the place of a packet with this reference header on the path, and asks
 * for its memory. */
static void
flow_place_init(struct flow_place *place, struct trajectory_cache *cache,
                const struct trajectory_path *path, const uint8_t *ref)
{
    const struct header_split *split = trajectory_path_split(path);

    header_split_constant(ref, split, place->constants);
    place->hash = XXH3_64bits_withSeed(place->constants, split->tail_ofs,
                                       cache->hash.key[0] ^ (uintptr_t) path);
    place->set = cache->flows[place->hash & (N_FLOW_SETS - 1)];
    __builtin_prefetch(place->set);
    __builtin_prefetch((const uint8_t *) place->set + 64);
}

/* Once the place has come: asks for the flow. */
static void
flow_place_prefetch(const struct flow_place *place)
{
    for (size_t i = 0; i < N_WAYS; i++) {
        if (place->set[i].hash == place->hash) {
            __builtin_prefetch(place->set[i].trajectory);
            __builtin_prefetch((const uint8_t *) place->set[i].trajectory +
                               64);
        }
    }
}

static struct trajectory *
find_flow(struct trajectory_cache *cache, const struct flow_place *place,
          struct trajectory_path *path, const uint8_t *ref, size_t ref_len)
{
    size_t n_constants = trajectory_path_split(path)->tail_ofs;
    struct flow_way *set = place->set, *way = &set[0];

    for (size_t i = 0; i < N_WAYS; i++) {
        struct trajectory *t = set[i].trajectory;

        if (t && set[i].hash == place->hash && trajectory_path(t) == path &&
            bytes_equal(trajectory_constants(t), place->constants,
                        n_constants)) {
            set[i].used = ++cache->tick;
            return t;
        }
        if (set[i].used < way->used) {
            way = &set[i];
        }
    }
    drop_flow(cache, way);
    *way = (struct flow_way){place->hash, ++cache->tick,
                             trajectory_of_path(path, ref, ref_len)};
    cache->n.flows++;
    return way->trajectory;
}

/* --- Finding. -------------------------------------------------------------
 */

/* The keys of the list: as they are, or narrow.  Returns their sum. */
static uint64_t
list_keys(const struct trajectory_cache *cache,
          const struct postcard_entry *first, bool is_narrow, uint64_t *keys)
{
    uint64_t sum = 0;
    size_t n = 0;

    for (const struct postcard_entry *e = first; e; e = e->next) {
        keys[n] = is_narrow ? narrow_key(cache, e) : e->key;
        sum += keys[n++];
    }
    return sum;
}

/* Gives every postcard its place.  False when one has none. */
static bool
place_cards(const struct entry *entry, const struct postcard_entry *first,
            const uint64_t *keys, const struct postcard **shown,
            uint64_t *times_ns)
{
    uint64_t taken = 0;
    size_t n = 0;

    memset(times_ns, 0, entry->n_hops * sizeof *times_ns);
    for (const struct postcard_entry *e = first; e; e = e->next, n++) {
        size_t i = n; /* Most come in the order they came in before. */

        if (entry->cards[i].key != keys[n] || taken & UINT64_C(1) << i) {
            i = 0;
            while (i < entry->n_cards && (entry->cards[i].key != keys[n] ||
                                          taken & UINT64_C(1) << i)) {
                i++;
            }
        }
        if (i == entry->n_cards) {
            return false;
        }
        taken |= UINT64_C(1) << i;

        const struct card *card = &entry->cards[i];
        uint64_t *time_ns = &times_ns[card->hop];

        if (!*time_ns || e->p.time_ns < *time_ns) {
            *time_ns = e->p.time_ns;
        }
        if (card->is_shown) {
            shown[card->hop] = &e->p;
        }
    }
    return true;
}

/* True when the path foresees every header. */
static bool
is_foreseen(const struct entry *entry, const struct postcard *const *shown,
            const struct flow_place *place)
{
    const struct trajectory_path *path = entry->path;
    const struct postcard *ref = shown[entry->reference];

    if (!trajectory_path_takes(path, ref->header, ref->caplen)) {
        return false;
    }
    for (size_t i = 0; i < entry->n_hops; i++) {
        if (i == entry->n_hops / 2u) {
            flow_place_prefetch(place);
        }
        if (!trajectory_path_predicts(path, i, ref->header, ref->caplen,
                                      shown[i]->header, shown[i]->caplen)) {
            return false;
        }
    }
    return true;
}

bool
trajectory_cache_find(struct trajectory_cache *cache,
                      const struct postcard_entry *first, size_t n,
                      uint64_t sum, enum assemble_state wanted,
                      struct trajectory_hit *hit)
{
    const struct postcard *shown[TRAJECTORY_MAX_HOPS], *ref;
    uint64_t keys[TRAJECTORY_CACHE_MAX_CARDS];
    struct path_way *way = find_way(cache, sum);
    bool is_narrow = way && !way->entry->path;
    const struct entry *entry;
    struct flow_place place;

    if (n <= TRAJECTORY_CACHE_MAX_CARDS && way) {
        sum = list_keys(cache, first, is_narrow, keys);
        if (is_narrow) {
            way->used = ++cache->tick;
            way = find_way(cache, sum);
        }
    }
    if (!way || way->entry->n_cards != n || way->entry->state < wanted) {
        return false;
    }
    entry = way->entry;
    if (!place_cards(entry, first, keys, shown, hit->times_ns)) {
        cache->n.unlike++;
        return false;
    }
    ref = shown[entry->reference];
    if (ref->caplen < trajectory_path_split(entry->path)->tail_ofs) {
        cache->n.unlike++;
        return false;
    }
    flow_place_init(&place, cache, entry->path, ref->header);
    if (!is_foreseen(entry, shown, &place)) {
        cache->n.unlike++;
        return false;
    }
    way->used = ++cache->tick;
    hit->trajectory =
        find_flow(cache, &place, entry->path, ref->header, ref->caplen);
    hit->packet = (struct trajectory_packet){
        .packet_id = ref->packet_id,
        .header = ref->header,
        .caplen = ref->caplen,
        .times_ns = hit->times_ns,
        .has_own_id = true,
    };
    return true;
}

/* --- Learning. ------------------------------------------------------------
 */

/* The one hop that the postcard is part of, or -1. */
static int
hop_of(const struct history *h, const struct postcard *p)
{
    int found = -1;

    for (size_t i = 0; i < h->n_hops; i++) {
        const struct history_hop *hop = &h->hops[i];

        if (hop->dpid == p->dpid &&
            (p->in_port == OF_PORT_UNKNOWN || hop->in_port == p->in_port)) {
            if (found >= 0) {
                return -1;
            }
            found = (int) i;
        }
    }
    return found;
}

static bool
is_header_of(const struct history_hop *hop, const struct postcard *p)
{
    return hop->caplen == p->caplen &&
           hop->is_after == !!(p->flags & POSTCARD_AFTER) &&
           !memcmp(hop->header, p->header, p->caplen);
}

/* Fills the cards of the entry.  False when they do not explain the history
 * whole. */
static bool
fill_cards(struct entry *entry, const struct postcard_entry *first,
           const uint64_t *keys, const struct history *h)
{
    bool has_header[TRAJECTORY_MAX_HOPS] = {false};
    uint64_t times_ns[TRAJECTORY_MAX_HOPS] = {0};

    for (const struct postcard_entry *e = first; e; e = e->next) {
        struct card *card = &entry->cards[entry->n_cards];
        int hop = hop_of(h, &e->p);

        if (hop < 0) {
            return false;
        }
        card->key = keys[entry->n_cards++];
        card->hop = (uint8_t) hop;
        card->is_shown =
            !has_header[hop] && is_header_of(&h->hops[hop], &e->p);
        has_header[hop] |= card->is_shown;
        if (!times_ns[hop] || e->p.time_ns < times_ns[hop]) {
            times_ns[hop] = e->p.time_ns;
        }
        for (uint8_t i = 0; i + 1 < entry->n_cards; i++) {
            if (entry->cards[i].key == card->key) {
                return false;
            }
        }
    }
    for (size_t i = 0; i < h->n_hops; i++) {
        if (!has_header[i] || times_ns[i] != h->hops[i].time_ns) {
            return false;
        }
    }
    return true;
}

/* Puts an entry of 'path' (taken) under its sum; NULL: one that says to look
 * by narrow keys. */
static void
put(struct trajectory_cache *cache, const struct postcard_entry *first,
    size_t n, bool is_narrow, enum assemble_state state,
    const struct history *h, struct trajectory_path *path)
{
    uint64_t keys[TRAJECTORY_CACHE_MAX_CARDS];
    uint64_t sum = list_keys(cache, first, is_narrow, keys);
    struct entry *entry =
        lh_alloc_zero(sizeof *entry + n * sizeof entry->cards[0]);
    struct path_way *way = find_way(cache, sum);

    entry->path = path;
    entry->state = (uint8_t) state;
    if (path) {
        entry->n_hops = (uint8_t) trajectory_path_n_hops(path);
        entry->reference = (uint8_t) trajectory_path_reference(path);
    }
    if (path && !fill_cards(entry, first, keys, h)) {
        trajectory_path_unref(path);
        free(entry);
        return;
    }
    if (!way) {
        struct path_way *set = path_set(cache, sum);

        way = &set[0];
        for (size_t i = 1; i < N_WAYS; i++) {
            way = set[i].used < way->used ? &set[i] : way;
        }
    }
    drop_path(cache, way);
    *way = (struct path_way){sum, ++cache->tick, entry};
    cache->n.paths++;
}

void
trajectory_cache_learn(struct trajectory_cache *cache,
                       const struct postcard_entry *first, size_t n,
                       uint64_t sum, enum assemble_state state,
                       const struct history *h,
                       const struct topology *topology,
                       const struct rule *const *rules)
{
    bool has_in_ports = true;
    struct trajectory_path *path;
    const struct path_way *way;

    if (n > TRAJECTORY_CACHE_MAX_CARDS || h->n_hops > TRAJECTORY_MAX_HOPS) {
        return;
    }
    for (const struct postcard_entry *e = first; e; e = e->next) {
        has_in_ports &= e->p.in_port != OF_PORT_UNKNOWN;
    }
    way = find_way(cache, sum);
    if ((way && way->entry->path && way->entry->state >= state) ||
        !plain_way_is(h, topology, has_in_ports) ||
        !(path = trajectory_path_create(h))) {
        return; /* Known, and this packet is not like it; or not regular. */
    }
    if ((!way || way->entry->path) && trajectory_path_widen(path, rules)) {
        put(cache, first, n, false, state, h, path);
        return;
    }
    if (!way || way->entry->path) {
        put(cache, first, n, false, state, h, NULL);
    }
    put(cache, first, n, true, state, h, path);
}
