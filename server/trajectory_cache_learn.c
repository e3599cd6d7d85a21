/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory_cache_learn - ways that assembly found are kept. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "server/plain_way.h"
#include "server/trajectory_cache_impl.h"

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
        if (card->is_shown && hop == entry->reference) {
            entry->ref_card = (uint8_t) (entry->n_cards - 1);
        }
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

/* Notes what is taken from the TTL, where nothing else changes. */
static void
fill_brief(struct entry *entry)
{
    uint16_t minus[TRAJECTORY_MAX_HOPS];

    entry->has_brief =
        trajectory_path_brief_get(&entry->brief, entry->path, minus);
    for (uint8_t i = 0; entry->has_brief && i < entry->n_cards; i++) {
        entry->cards[i].minus = minus[entry->cards[i].hop];
    }
}

/* Puts an entry of 'path' (taken) under its sum; NULL: one that says to look
 * by narrow keys. */
static void
put(struct trajectory_cache *cache, const struct postcard_entry *first,
    size_t n, bool is_narrow, enum assemble_state state,
    const struct history *h, struct trajectory_path *path)
{
    uint64_t keys[TRAJECTORY_CACHE_MAX_CARDS];
    uint64_t sum = trajectory_cache_list_keys(cache, first, is_narrow, keys);
    struct path_set *set = path_set_of(cache, sum);
    struct entry *entry =
        lh_alloc_lines(LINE, sizeof *entry + n * sizeof entry->cards[0]);
    size_t at = N_WAYS - 1;

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
    if (path) {
        fill_brief(entry);
    }
    for (size_t i = 0; i < N_WAYS; i++) {
        if (set->entries[i] && set->sums[i] == sum) {
            at = i;
            break;
        } else if (!set->entries[i]) {
            at = i;
        }
    }
    trajectory_cache_drop(cache, &set->entries[at]);
    set->entries[at] = entry;
    path_set_note_used(set, sum, entry);
    cache->n.paths++;
    cache->n_changes++;
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
    const struct entry *known;

    if (n > TRAJECTORY_CACHE_MAX_CARDS || h->n_hops > TRAJECTORY_MAX_HOPS) {
        return;
    }
    for (const struct postcard_entry *e = first; e; e = e->next) {
        has_in_ports &= e->p.in_port != OF_PORT_UNKNOWN;
    }
    known = path_set_find(cache, sum);
    if ((known && known->path && known->state >= state) ||
        !plain_way_is(h, topology, has_in_ports) ||
        !(path = trajectory_path_create(h))) {
        return; /* Known, and this packet is not like it; or not regular. */
    }
    if ((!known || known->path) && trajectory_path_widen(path, rules)) {
        put(cache, first, n, false, state, h, path);
        return;
    }
    if (!known || known->path) {
        put(cache, first, n, false, state, h, NULL);
    }
    put(cache, first, n, true, state, h, path);
}
