/* SPDX-License-Identifier: Apache-2.0 */
/* backref - matches a program that has back-references. */
#include <config.h>
#include "phf/backref.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

#define N_GROUPS 9
/* Hops up to which it is quicker to look for a switch that stands twice. */
#define MAX_SHORT 32
/* Longer paths than configurations can count are given up on. */
#define MAX_PATH 65534
#define UNSET    65535

/* Where a match stands: plain bytes without padding, compared as such. */
struct config {
    uint16_t pc;
    uint16_t progress; /* Hops of a back-reference consumed so far. */
    /* Gaps between hops (0: before the first) where each group began and
     * ended; UNSET before that. */
    uint16_t begin[N_GROUPS], end[N_GROUPS];
};

/* A set of configurations, in order of arrival. */
struct configs {
    size_t n, allocated;
    struct config *list; /* Owned. */
    uint32_t *slots;     /* Index + 1 in 'list', or 0.  Owned. */
    size_t n_slots;
};

struct search {
    const struct program *program;
    struct hop_tests *tests;
    unsigned int tracked; /* Bit n: group n is referred to. */
    size_t n_path;
    size_t *path; /* Hops from a root to an end.  Owned. */
    enum verdict_name verdict;
    struct configs here, next;
    size_t n_steps;
};

static uint32_t
config_hash(const struct config *config)
{
    const uint16_t *p = (const uint16_t *) config;
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < sizeof *config / sizeof *p; i++) {
        hash = (hash ^ p[i]) * 16777619u;
    }
    return hash ^ hash >> 16;
}

/* Empties the set in time that is linear in what was in it. */
static void
configs_clear(struct configs *set)
{
    if (set->n_slots > 16 * (set->n + 4)) {
        free(set->slots);
        set->slots = NULL;
        set->n_slots = 0;
    } else if (set->n_slots) {
        memset(set->slots, 0, set->n_slots * sizeof *set->slots);
    }
    set->n = 0;
}

static void
configs_grow(struct configs *set)
{
    set->n_slots = set->n_slots ? 2 * set->n_slots : 64;
    free(set->slots);
    set->slots = lh_alloc_zero(set->n_slots * sizeof *set->slots);
    for (size_t i = 0; i < set->n; i++) {
        size_t slot = config_hash(&set->list[i]) & (set->n_slots - 1);

        while (set->slots[slot]) {
            slot = (slot + 1) & (set->n_slots - 1);
        }
        set->slots[slot] = (uint32_t) i + 1;
    }
}

static void
configs_add(struct configs *set, const struct config *config)
{
    size_t slot;

    if (2 * (set->n + 1) > set->n_slots) {
        configs_grow(set);
    }
    slot = config_hash(config) & (set->n_slots - 1);
    while (set->slots[slot]) {
        if (!memcmp(&set->list[set->slots[slot] - 1], config,
                    sizeof *config)) {
            return;
        }
        slot = (slot + 1) & (set->n_slots - 1);
    }
    set->list =
        lh_alloc_grow(set->list, set->n, &set->allocated, sizeof *set->list);
    set->list[set->n++] = *config;
    set->slots[slot] = (uint32_t) set->n;
}

static void
add_at(struct configs *set, struct config config, int pc)
{
    config.pc = (uint16_t) pc;
    configs_add(set, &config);
}

static uint64_t
dpid_at(const struct search *s, size_t i)
{
    return s->tests->history->hops[s->path[i]].dpid;
}

/* A configuration at a back-reference, before hop 'at' of the path. */
static void
step_backref(struct search *s, struct config config, unsigned int group,
             size_t at)
{
    size_t begin = config.begin[group - 1], end = config.end[group - 1];

    if (end == UNSET) {
        return;
    }
    if (begin == end) {
        add_at(&s->here, config, config.pc + 1);
    } else if (at < s->n_path &&
               dpid_at(s, begin + config.progress) == dpid_at(s, at)) {
        config.progress++;
        if (begin + config.progress == end) {
            config.progress = 0;
            config.pc++;
        }
        configs_add(&s->next, &config);
    }
}

/* Moves one configuration on, before hop 'at' of the path.  Returns whether
 * the match is complete. */
static bool
step(struct search *s, struct config config, size_t at)
{
    const struct program_instr *instr = &s->program->instrs[config.pc];
    int pc = config.pc;

    switch (instr->op) {
    case PROGRAM_HOP:
        if (at < s->n_path && hop_tests_get(s->tests, (uint32_t) instr->x,
                                            s->path[at], s->verdict)) {
            add_at(&s->next, config, pc + 1);
        }
        break;
    case PROGRAM_SPLIT:
        add_at(&s->here, config, pc + instr->x);
        add_at(&s->here, config, pc + instr->y);
        break;
    case PROGRAM_JUMP:
        add_at(&s->here, config, pc + instr->x);
        break;
    case PROGRAM_START:
        if (at == 0) {
            add_at(&s->here, config, pc + 1);
        }
        break;
    case PROGRAM_END:
        if (at == s->n_path) {
            add_at(&s->here, config, pc + 1);
        }
        break;
    case PROGRAM_OPEN:
        if (s->tracked >> instr->x & 1) {
            config.begin[instr->x - 1] = (uint16_t) at;
            config.end[instr->x - 1] = UNSET;
        }
        add_at(&s->here, config, pc + 1);
        break;
    case PROGRAM_CLOSE:
        if (s->tracked >> instr->x & 1) {
            config.end[instr->x - 1] = (uint16_t) at;
        }
        add_at(&s->here, config, pc + 1);
        break;
    case PROGRAM_BACKREF:
        step_backref(s, config, (unsigned int) instr->x, at);
        break;
    case PROGRAM_MATCH:
        return true;
    }
    return false;
}

static enum phf_result
match_path(struct search *s)
{
    struct config begin;

    memset(&begin, 0xff, sizeof begin);
    begin.pc = begin.progress = 0;
    configs_clear(&s->next);
    for (size_t at = 0; at <= s->n_path; at++) {
        struct configs swap = s->here;

        s->here = s->next;
        s->next = swap;
        configs_clear(&s->next);
        configs_add(&s->here, &begin);
        for (size_t i = 0; i < s->here.n; i++) {
            if (++s->n_steps > PHF_MAX_STEPS) {
                return PHF_LIMIT;
            }
            if (step(s, s->here.list[i], at)) {
                return PHF_MATCH;
            }
        }
    }
    return PHF_MISS;
}

/* Puts the hops from a root to 'end' into s->path. */
static void
set_path(struct search *s, int end)
{
    const struct history *h = s->tests->history;

    s->n_path = 0;
    for (int i = end; i >= 0; i = h->hops[i].parent) {
        s->path[s->n_path++] = (size_t) i;
    }
    for (size_t i = 0; i < s->n_path / 2; i++) {
        size_t swap = s->path[i];

        s->path[i] = s->path[s->n_path - 1 - i];
        s->path[s->n_path - 1 - i] = swap;
    }
}

static unsigned int
tracked_groups(const struct program *program)
{
    unsigned int tracked = 0;

    for (size_t pc = 0; pc < program->n; pc++) {
        if (program->instrs[pc].op == PROGRAM_BACKREF) {
            tracked |= 1u << program->instrs[pc].x;
        }
    }
    return tracked;
}

/* Whether the end of the group that begins at 'open' can be reached without
 * consuming a hop, when whatever may consume none does. */
static bool
group_can_be_empty(const struct program *program, size_t open)
{
    struct configs reached = {0, 0, NULL, NULL, 0};
    struct config config;
    bool is_empty = false;

    memset(&config, 0, sizeof config);
    add_at(&reached, config, (int) open + 1);
    for (size_t i = 0; i < reached.n && !is_empty; i++) {
        int pc = reached.list[i].pc;
        const struct program_instr *instr = &program->instrs[pc];

        if (instr->op == PROGRAM_SPLIT) {
            add_at(&reached, config, pc + instr->x);
            add_at(&reached, config, pc + instr->y);
        } else if (instr->op == PROGRAM_JUMP) {
            add_at(&reached, config, pc + instr->x);
        } else if (instr->op == PROGRAM_CLOSE &&
                   instr->x == program->instrs[open].x) {
            is_empty = true;
        } else if (instr->op != PROGRAM_HOP && instr->op != PROGRAM_MATCH) {
            add_at(&reached, config, pc + 1);
        }
    }
    free(reached.list);
    free(reached.slots);
    return is_empty;
}

bool
backref_groups_consume(const struct program *program)
{
    unsigned int tracked = tracked_groups(program);

    for (size_t pc = 0; pc < program->n; pc++) {
        const struct program_instr *instr = &program->instrs[pc];

        if (instr->op == PROGRAM_OPEN && tracked >> instr->x & 1 &&
            group_can_be_empty(program, pc)) {
            return false;
        }
    }
    return true;
}

bool
backref_is_needed(const struct history *h)
{
    if (h->n_hops > MAX_SHORT) {
        return true;
    }
    for (size_t i = 1; i < h->n_hops; i++) {
        for (size_t j = 0; j < i; j++) {
            if (h->hops[i].dpid == h->hops[j].dpid) {
                return true;
            }
        }
    }
    return false;
}

enum phf_result
backref_match(const struct program *program, struct hop_tests *tests)
{
    const struct history *h = tests->history;
    struct search s = {.program = program, .tests = tests};
    enum phf_result result = PHF_MISS;

    if (h->n_hops > MAX_PATH) {
        return PHF_LIMIT;
    }
    s.tracked = tracked_groups(program);
    s.path = lh_alloc(h->n_hops * sizeof *s.path);
    if (!h->n_hops) {
        result = match_path(&s);
    }
    for (size_t i = 0; i < h->n_hops && result == PHF_MISS; i++) {
        if (hop_tests_is_end(h, i)) {
            set_path(&s, (int) i);
            s.verdict = hop_tests_verdict(h, i);
            result = match_path(&s);
        }
    }
    free(s.path);
    free(s.here.list);
    free(s.here.slots);
    free(s.next.list);
    free(s.next.slots);
    return result;
}
