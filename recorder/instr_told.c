/* SPDX-License-Identifier: Apache-2.0 */
/* instr_told - what a switch has last told of each rule. */
#include <config.h>
#include "recorder/instr_told.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"

#define MIN_SLOTS 64

struct slot {
    uint64_t key; /* 0: free. */
    uint64_t content;
    bool is_gone;
};

struct instr_told {
    struct slot *slots; /* Open addressing.  Owned. */
    size_t n_slots;     /* A power of two. */
    size_t n_used;
};

struct instr_told *
instr_told_create(void)
{
    struct instr_told *told = lh_alloc_zero(sizeof *told);

    told->n_slots = MIN_SLOTS;
    told->slots = lh_alloc_zero(MIN_SLOTS * sizeof *told->slots);
    return told;
}

void
instr_told_destroy(struct instr_told *told)
{
    if (told) {
        free(told->slots);
        free(told);
    }
}

static struct slot *
find(const struct instr_told *told, uint64_t key)
{
    size_t i = (size_t) key & (told->n_slots - 1);

    while (told->slots[i].key && told->slots[i].key != key) {
        i = (i + 1) & (told->n_slots - 1);
    }
    return &told->slots[i];
}

/* Makes room, without those that are gone. */
static void
rebuild(struct instr_told *told)
{
    struct slot *old = told->slots;
    size_t n_old = told->n_slots, n = 0;

    for (size_t i = 0; i < n_old; i++) {
        n += old[i].key && !old[i].is_gone;
    }
    while (told->n_slots < 4 * (n + 1)) {
        told->n_slots *= 2;
    }
    told->slots = lh_alloc_zero(told->n_slots * sizeof *told->slots);
    told->n_used = n;
    for (size_t i = 0; i < n_old; i++) {
        if (old[i].key && !old[i].is_gone) {
            *find(told, old[i].key) = old[i];
        }
    }
    free(old);
}

static uint64_t
mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t
key_hash(const struct of_update *u)
{
    uint64_t hash = mix(of_match_hash64(u->match),
                        (uint64_t) u->table_id << 16 | u->priority);

    return hash ? hash : 1;
}

static uint64_t
content_hash(const struct of_update *u)
{
    char *text = of_acts_to_text(&u->acts);
    uint64_t hash = mix(1, u->cookie);

    for (const char *p = text; *p; p++) {
        hash = mix(hash, (uint8_t) *p);
    }
    free(text);
    return hash;
}

bool
instr_told_note(struct instr_told *told, const struct of_update *u)
{
    bool is_gone = u->event == OF_UPDATE_REMOVED;
    uint64_t content = is_gone ? 0 : content_hash(u);
    uint64_t key = key_hash(u);
    struct slot *slot;
    bool is_news;

    if (told->n_used * 2 >= told->n_slots) {
        rebuild(told);
    }
    slot = find(told, key);
    is_news = u->event != OF_UPDATE_MODIFIED || !slot->key || slot->is_gone ||
              slot->content != content;
    if (!slot->key) {
        slot->key = key;
        told->n_used++;
    }
    slot->content = content;
    slot->is_gone = is_gone;
    return is_news;
}
