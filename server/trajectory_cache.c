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
#include "server/trajectory_cache_impl.h"

/* Bytes before the IP header at most. */
#define MAX_L2  64
#define ETH_LEN 14

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

void
trajectory_cache_drop(struct trajectory_cache *cache, struct entry **entry)
{
    if (*entry) {
        trajectory_path_unref((*entry)->path);
        free(*entry);
        *entry = NULL;
        cache->n.paths--;
        cache->n_changes++;
    }
}

static void
drop_flow(struct trajectory_cache *cache, struct trajectory **flow)
{
    if (*flow) {
        trajectory_unref(*flow);
        *flow = NULL;
        cache->n.flows--;
    }
}

void
trajectory_cache_clear(struct trajectory_cache *cache)
{
    for (size_t set = 0; cache->n.paths && set < N_PATH_SETS; set++) {
        for (size_t i = 0; i < N_WAYS; i++) {
            trajectory_cache_drop(cache, &cache->paths[set].entries[i]);
        }
    }
    for (size_t set = 0; cache->n.flows && set < N_FLOW_SETS; set++) {
        for (size_t i = 0; i < N_WAYS; i++) {
            drop_flow(cache, &cache->flows[set].flows[i]);
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
            struct trajectory **flow = &cache->flows[set].flows[i];

            if (*flow && passes(trajectory_path(*flow), is_changed, aux)) {
                drop_flow(cache, flow);
            }
        }
    }
    for (size_t set = 0; cache->n.paths && set < N_PATH_SETS; set++) {
        for (size_t i = 0; i < N_WAYS; i++) {
            struct entry **entry = &cache->paths[set].entries[i];

            if (*entry && passes((*entry)->path, is_changed, aux)) {
                trajectory_cache_drop(cache, entry);
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

void
path_set_note_used(struct path_set *set, uint64_t sum, struct entry *entry)
{
    size_t i = 0;

    while (i < N_WAYS - 1 && set->entries[i] != entry) {
        i++;
    }
    if (!i) {
        return;
    }
    for (; i; i--) {
        set->sums[i] = set->sums[i - 1];
        set->entries[i] = set->entries[i - 1];
    }
    set->sums[0] = sum;
    set->entries[0] = entry;
}

/* --- Flows. ---------------------------------------------------------------
 */

static struct flow_set *
flow_set(struct trajectory_cache *cache, uint64_t hash)
{
    return &cache->flows[hash & (N_FLOW_SETS - 1)];
}

static uint16_t
tail_of(const struct entry *entry)
{
    return entry->has_brief ? entry->brief.tail_ofs
                            : trajectory_path_split(entry->path)->tail_ofs;
}

/* Makes the hint that of a packet of the entry's path with this reference
 * header, which reaches to its tail, and asks for the place of its flow. */
static void
hint_flow(struct trajectory_hint *hint, struct trajectory_cache *cache,
          const struct entry *entry, const uint8_t *ref)
{
    const struct header_split *split,
        brief = {
            .kind = (enum header_kind) entry->brief.kind,
            .l3_ofs = entry->brief.l3_ofs,
            .tail_ofs = entry->brief.tail_ofs,
        };

    split = entry->has_brief ? &brief : trajectory_path_split(entry->path);
    header_split_constant(ref, split, hint->constants);
    hint->hash =
        XXH3_64bits_withSeed(hint->constants, split->tail_ofs,
                             cache->hash.key[0] ^ (uintptr_t) entry->path);
    hint->n_constants = split->tail_ofs;
    hint->entry = entry;
    hint->n_changes = cache->n_changes;
    __builtin_prefetch(flow_set(cache, hint->hash));
}

/* Once the place has come: asks for the flow. */
static void
prefetch_flow(struct trajectory_cache *cache,
              const struct trajectory_hint *hint)
{
    const struct flow_set *set = flow_set(cache, hint->hash);

    for (size_t i = 0; i < N_WAYS; i++) {
        if (set->hashes[i] == hint->hash && set->flows[i]) {
            trajectory_prefetch(set->flows[i]);
        }
    }
}

static struct trajectory *
find_flow(struct trajectory_cache *cache, const struct trajectory_hint *hint,
          struct trajectory_path *path, const uint8_t *ref, size_t ref_len)
{
    struct flow_set *set = flow_set(cache, hint->hash);
    struct trajectory *found = NULL;
    size_t at = N_WAYS - 1;

    for (size_t i = 0; i < N_WAYS; i++) {
        struct trajectory *t = set->flows[i];

        if (t && set->hashes[i] == hint->hash && trajectory_path(t) == path &&
            bytes_equal(trajectory_constants(t), hint->constants,
                        hint->n_constants)) {
            if (!i) {
                return t;
            }
            found = t;
            at = i;
            break;
        } else if (!t) {
            at = i;
        }
    }
    if (!found) {
        drop_flow(cache, &set->flows[at]);
        found = trajectory_of_path(path, ref, ref_len);
        cache->n.flows++;
    }
    for (; at; at--) {
        set->hashes[at] = set->hashes[at - 1];
        set->flows[at] = set->flows[at - 1];
    }
    set->hashes[0] = hint->hash;
    set->flows[0] = found;
    return found;
}

/* --- Finding. -------------------------------------------------------------
 */

uint64_t
trajectory_cache_list_keys(const struct trajectory_cache *cache,
                           const struct postcard_entry *first, bool is_narrow,
                           uint64_t *keys)
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
            uint16_t *minus, uint64_t *times_ns)
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
            minus[card->hop] = card->minus;
        }
    }
    return true;
}

/* True when the path foresees every header. */
static bool
is_foreseen(const struct entry *entry, const struct postcard *const *shown,
            const uint16_t *minus, struct trajectory_cache *cache,
            const struct trajectory_hint *hint)
{
    const struct trajectory_path *path = entry->path;
    const struct trajectory_path_brief *brief =
        entry->has_brief ? &entry->brief : NULL;
    const struct postcard *ref = shown[entry->reference];

    if (brief ? !trajectory_path_brief_takes(brief, ref->header, ref->caplen)
              : !trajectory_path_takes(path, ref->header, ref->caplen)) {
        return false;
    }
    for (size_t i = 0; i < entry->n_hops; i++) {
        const struct postcard *p = shown[i];

        if (i == entry->n_hops / 2u) {
            prefetch_flow(cache, hint);
        }
        if (brief
                ? !trajectory_path_brief_predicts(brief, minus[i], ref->header,
                                                  ref->caplen, p->header,
                                                  p->caplen)
                : !trajectory_path_predicts(path, i, ref->header, ref->caplen,
                                            p->header, p->caplen)) {
            return false;
        }
    }
    return true;
}

void
trajectory_cache_expect(struct trajectory_cache *cache, uint64_t sum)
{
    __builtin_prefetch(path_set_of(cache, sum));
}

void
trajectory_cache_expect_path(struct trajectory_cache *cache, uint64_t sum)
{
    const struct entry *entry = path_set_find(cache, sum);

    if (entry) {
        __builtin_prefetch(entry);
        __builtin_prefetch((const uint8_t *) entry + LINE);
    }
}

void
trajectory_cache_expect_flow(struct trajectory_cache *cache,
                             const struct postcard_entry *first, uint64_t sum,
                             struct trajectory_hint *hint)
{
    const struct entry *entry = path_set_find(cache, sum);
    const struct postcard_entry *e = first;

    hint->entry = NULL;
    if (!entry || !entry->path) {
        return;
    }
    for (size_t i = 0; e && i < entry->ref_card; i++) {
        e = e->next;
    }
    if (e && e->key == entry->cards[entry->ref_card].key &&
        e->p.caplen >= tail_of(entry)) {
        hint_flow(hint, cache, entry, e->p.header);
        hint->card = e;
    }
}

void
trajectory_cache_expect_trajectory(struct trajectory_cache *cache,
                                   const struct trajectory_hint *hint)
{
    if (hint->entry) {
        prefetch_flow(cache, hint);
    }
}

bool
trajectory_cache_find(struct trajectory_cache *cache,
                      const struct postcard_entry *first, size_t n,
                      uint64_t sum, enum assemble_state wanted,
                      struct trajectory_hint *hint, struct trajectory_hit *hit)
{
    const struct postcard *shown[TRAJECTORY_MAX_HOPS], *ref;
    uint16_t minus[TRAJECTORY_MAX_HOPS];
    uint64_t keys[TRAJECTORY_CACHE_MAX_CARDS];
    struct entry *entry = path_set_find(cache, sum);
    bool is_narrow = entry && !entry->path;

    if (n <= TRAJECTORY_CACHE_MAX_CARDS && entry) {
        uint64_t wide = sum;

        sum = trajectory_cache_list_keys(cache, first, is_narrow, keys);
        if (is_narrow) {
            path_set_note_used(path_set_of(cache, wide), wide, entry);
            entry = path_set_find(cache, sum);
        }
    }
    if (!entry || entry->n_cards != n || entry->state < wanted) {
        return false;
    }
    if (!place_cards(entry, first, keys, shown, minus, hit->times_ns)) {
        cache->n.unlike++;
        return false;
    }
    ref = shown[entry->reference];
    if (ref->caplen < tail_of(entry)) {
        cache->n.unlike++;
        return false;
    }
    if (hint->entry != entry || hint->n_changes != cache->n_changes ||
        &hint->card->p != ref) {
        hint_flow(hint, cache, entry, ref->header);
    }
    if (!is_foreseen(entry, shown, minus, cache, hint)) {
        cache->n.unlike++;
        return false;
    }
    path_set_note_used(path_set_of(cache, sum), sum, entry);
    hit->trajectory =
        find_flow(cache, hint, entry->path, ref->header, ref->caplen);
    hit->packet = (struct trajectory_packet){
        .packet_id = ref->packet_id,
        .header = ref->header,
        .caplen = ref->caplen,
        .times_ns = hit->times_ns,
        .has_own_id = true,
    };
    return true;
}
