/* SPDX-License-Identifier: Apache-2.0 */
/* rule_cache - the rules that versions name, as far as they are known here. */
#include <config.h>

#include "server/rule_cache.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/keyed_hash.h"
#include "lib/lh_alloc.h"
#include "lib/line_reader.h"

#define LOW_BITS  24
#define LOW_MASK  ((1u << LOW_BITS) - 1)
#define MIN_ORDER 10
#define HASH_MIX  UINT64_C(0x9e3779b97f4a7c15)

/* One version of one switch: a rule, or the question for it.  All versions of
 * a switch with the same low 24 bits are in one chain. */
struct entry {
    struct entry *next;          /* In the chain. */
    struct entry *older, *newer; /* By use. */
    uint64_t dpid;
    uint32_t version;
    struct rule *rule; /* Owned reference; NULL: not known. */
    bool is_asked;     /* The answer is awaited. */
    bool is_silent;    /* Stands and sends no postcards... */
    bool is_capped;    /* ...because of the cap. */
    uint64_t retry_ns; /* When to ask again, if neither. */
};

struct switch_info {
    uint64_t dpid;
    uint32_t newest;           /* Version known. */
    size_t n_silent, n_capped; /* Entries that are. */
};

struct rule_cache {
    struct rule_cache_config config;
    unsigned int order; /* 2^order chains. */
    struct entry **chains;
    size_t n_entries;
    struct entry *oldest, *newest; /* By use. */
    size_t n_waiting;
    size_t n_switches, allocated_switches;
    struct switch_info *switches; /* Sorted by dpid.  Owned. */
    struct rule_cache_counters counters;
    struct keyed_hash hash;
};

struct rule_cache *
rule_cache_create(const struct rule_cache_config *config)
{
    struct rule_cache *cache = lh_alloc_zero(sizeof *cache);

    cache->config = *config;
    if (!cache->config.max_rules) {
        cache->config.max_rules = RULE_CACHE_MAX;
    }
    cache->hash = keyed_hash_create();
    cache->order = MIN_ORDER;
    cache->chains =
        lh_alloc_zero(((size_t) 1 << cache->order) * sizeof *cache->chains);
    return cache;
}

static struct entry **
chain_of(const struct rule_cache *cache, uint64_t dpid, uint32_t version)
{
    uint64_t hash = keyed_hash_number(&cache->hash,
                                      dpid * HASH_MIX ^ (version & LOW_MASK));

    return &cache->chains[hash >> (64 - cache->order)];
}

static void
grow(struct rule_cache *cache)
{
    size_t n_old = (size_t) 1 << cache->order;
    struct entry **old = cache->chains;

    cache->order++;
    cache->chains =
        lh_alloc_zero(((size_t) 1 << cache->order) * sizeof *cache->chains);
    for (size_t i = 0; i < n_old; i++) {
        struct entry *next;

        for (struct entry *e = old[i]; e; e = next) {
            struct entry **chain = chain_of(cache, e->dpid, e->version);

            next = e->next;
            e->next = *chain;
            *chain = e;
        }
    }
    free(old);
}

static void
unlink_use(struct rule_cache *cache, struct entry *e)
{
    *(e->older ? &e->older->newer : &cache->oldest) = e->newer;
    *(e->newer ? &e->newer->older : &cache->newest) = e->older;
}

static void
link_use(struct rule_cache *cache, struct entry *e)
{
    e->older = cache->newest;
    e->newer = NULL;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = e;
    cache->newest = e;
}

/* Where the switch stands in, or belongs into, the array. */
static size_t
switch_index(const struct rule_cache *cache, uint64_t dpid)
{
    size_t low = 0, high = cache->n_switches;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (cache->switches[middle].dpid < dpid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Made when it is not there. */
static struct switch_info *
need_switch(struct rule_cache *cache, uint64_t dpid)
{
    size_t i = switch_index(cache, dpid);

    if (i == cache->n_switches || cache->switches[i].dpid != dpid) {
        cache->switches =
            lh_alloc_grow(cache->switches, cache->n_switches,
                          &cache->allocated_switches, sizeof *cache->switches);
        memmove(cache->switches + i + 1, cache->switches + i,
                (cache->n_switches - i) * sizeof *cache->switches);
        cache->switches[i] = (struct switch_info){.dpid = dpid};
        cache->n_switches++;
    }
    return &cache->switches[i];
}

/* Sets one of its flags, of which there are '*n'. */
static void
set_flag(bool *flag, bool value, size_t *n)
{
    if (*flag != value) {
        *flag = value;
        *n += value ? 1 : SIZE_MAX; /* SIZE_MAX: minus one. */
    }
}

static void
set_silent(struct rule_cache *cache, struct entry *e, bool is_silent,
           bool is_capped)
{
    struct switch_info *sw;

    if (e->is_silent == is_silent && e->is_capped == is_capped) {
        return;
    }
    sw = need_switch(cache, e->dpid);
    set_flag(&e->is_silent, is_silent, &sw->n_silent);
    set_flag(&e->is_capped, is_capped, &sw->n_capped);
}

static void
tell(const struct rule_cache *cache, enum rule_cache_change change,
     uint64_t dpid, uint32_t version, const struct rule *rule)
{
    if (cache->config.on_change) {
        cache->config.on_change(cache->config.aux, change, dpid, version,
                                rule);
    }
}

/* A rule that ends a packet's way and says nothing of it.  Of packets that hit
 * a conjunction another rule tells. */
static bool
is_silent_rule(const struct rule *rule)
{
    return rule->kind == RULE_FLOW && !rule->is_instrumented &&
           !rule->is_transit && !rule->removed_ns &&
           strncmp(rule->actions, "conjunction(", 12);
}

static void
remove_entry(struct rule_cache *cache, struct entry *e)
{
    struct entry **p = chain_of(cache, e->dpid, e->version);

    set_silent(cache, e, false, false);
    while (*p != e) {
        p = &(*p)->next;
    }
    *p = e->next;
    unlink_use(cache, e);
    cache->n_entries--;
    cache->n_waiting -= e->is_asked;
    cache->counters.rules -= e->rule != NULL;
    rule_unref(e->rule);
    free(e);
}

void
rule_cache_destroy(struct rule_cache *cache)
{
    if (cache) {
        while (cache->oldest) {
            remove_entry(cache, cache->oldest);
        }
        free(cache->chains);
        free(cache->switches);
        free(cache);
    }
}

static struct entry *
find_entry(const struct rule_cache *cache, uint64_t dpid, uint32_t version)
{
    struct entry *e = *chain_of(cache, dpid, version);

    while (e && (e->dpid != dpid || e->version != version)) {
        e = e->next;
    }
    return e;
}

/* The entry, now the last used; made when it is not there. */
static struct entry *
need_entry(struct rule_cache *cache, uint64_t dpid, uint32_t version)
{
    struct entry *e = find_entry(cache, dpid, version);

    if (e) {
        unlink_use(cache, e);
    } else {
        if (cache->n_entries >= cache->config.max_rules) {
            cache->counters.evicted++;
            remove_entry(cache, cache->oldest);
        }
        if (cache->n_entries >> cache->order) {
            grow(cache);
        }

        struct entry **chain = chain_of(cache, dpid, version);

        e = lh_alloc_zero(sizeof *e);
        e->dpid = dpid;
        e->version = version;
        e->next = *chain;
        *chain = e;
        cache->n_entries++;
    }
    link_use(cache, e);
    return e;
}

void
rule_cache_add(struct rule_cache *cache, struct rule *rule)
{
    struct entry *e = need_entry(cache, rule->dpid, rule->version);
    struct switch_info *sw = need_switch(cache, rule->dpid);
    bool is_silent = is_silent_rule(rule);

    if (rule->version > sw->newest) {
        sw->newest = rule->version;
    }
    set_silent(cache, e, is_silent,
               is_silent && !strcmp(rule->command, "capped"));
    if (e->rule) {
        rule_unref(e->rule);
    } else {
        cache->counters.rules++;
    }
    e->rule = rule;
    cache->n_waiting -= e->is_asked;
    e->is_asked = false;
    tell(cache, RULE_CACHE_ADDED, rule->dpid, rule->version, rule);
}

void
rule_cache_gone(struct rule_cache *cache, uint64_t dpid, uint32_t version)
{
    struct entry *e = find_entry(cache, dpid, version);

    if (e) {
        set_silent(cache, e, false, false);
        tell(cache, RULE_CACHE_GONE, dpid, version, NULL);
    }
}

void
rule_cache_restart(struct rule_cache *cache)
{
    for (struct entry *e = cache->oldest; e; e = e->newer) {
        e->is_silent = e->is_capped = false;
    }
    for (size_t i = 0; i < cache->n_switches; i++) {
        cache->switches[i].n_silent = cache->switches[i].n_capped = 0;
    }
    tell(cache, RULE_CACHE_RESTART, 0, 0, NULL);
}

bool
rule_cache_is_silent(const struct rule_cache *cache, uint64_t dpid)
{
    size_t i = switch_index(cache, dpid);

    return i < cache->n_switches && cache->switches[i].dpid == dpid &&
           cache->switches[i].n_silent;
}

bool
rule_cache_is_capped(const struct rule_cache *cache, uint64_t dpid)
{
    size_t i = switch_index(cache, dpid);

    return i < cache->n_switches && cache->switches[i].dpid == dpid &&
           cache->switches[i].n_capped;
}

void
rule_cache_deny(struct rule_cache *cache, uint64_t dpid, uint32_t version,
                uint64_t now_ns)
{
    struct entry *e = find_entry(cache, dpid, version);

    if (e && e->is_asked) {
        cache->counters.denied++;
        cache->n_waiting--;
        e->is_asked = false;
        e->retry_ns = now_ns + RULE_CACHE_RETRY_NS;
        tell(cache, RULE_CACHE_DENIED, dpid, version, NULL);
    }
}

const struct rule *
rule_cache_find(struct rule_cache *cache, uint64_t dpid, uint32_t version,
                uint64_t now_ns)
{
    struct entry *e = find_entry(cache, dpid, version);

    if (e && (e->rule || e->is_asked || now_ns < e->retry_ns)) {
        if (cache->newest != e) {
            unlink_use(cache, e);
            link_use(cache, e);
        }
        return e->rule;
    }
    if (cache->config.ask &&
        cache->config.ask(cache->config.aux, dpid, version)) {
        e = need_entry(cache, dpid, version);
        cache->counters.asked++;
        cache->n_waiting++;
        e->is_asked = true;
    }
    return NULL;
}

/* The version near 'newest' whose low bits are 'low'. */
static uint32_t
nearest(uint32_t newest, uint32_t low)
{
    const uint32_t step = 1u << LOW_BITS;
    uint32_t guess = (newest & ~LOW_MASK) | low;

    /* A version that was not heard of yet is a little above the newest. */
    if (guess > newest && guess - newest > step / 2 && guess >= step) {
        guess -= step;
    } else if (newest > guess && newest - guess > step / 2 &&
               guess <= UINT32_MAX - step) {
        guess += step;
    }
    return guess;
}

uint32_t
rule_cache_resolve(struct rule_cache *cache, uint64_t dpid, uint32_t low,
                   uint64_t time_ns)
{
    const struct rule *in_time = NULL, *any = NULL;

    low &= LOW_MASK;
    for (const struct entry *e = *chain_of(cache, dpid, low); e; e = e->next) {
        if (!e->rule || e->dpid != dpid || (e->version & LOW_MASK) != low) {
            continue;
        }
        if (e->rule->installed_ns <= time_ns &&
            (!in_time || e->version > in_time->version)) {
            in_time = e->rule;
        }
        if (!any || e->version > any->version) {
            any = e->rule;
        }
    }
    if (in_time || any) {
        return in_time ? in_time->version : any->version;
    }

    size_t i = switch_index(cache, dpid);

    cache->counters.guessed++;
    return i < cache->n_switches && cache->switches[i].dpid == dpid
               ? nearest(cache->switches[i].newest, low)
               : low;
}

/* Reads one line of a file of rules. */
static int
load_line(struct rule_cache *cache, const char *line, size_t len,
          struct lh_error *error)
{
    json_error_t why;
    json_t *json = json_loadb(line, len, JSON_REJECT_DUPLICATES, &why);
    struct rule *rule;
    int retval;

    if (!json) {
        lh_error_set(error, "%s", why.text);
        return EINVAL;
    }
    retval = rule_from_json(json, &rule, error);
    json_decref(json);
    if (!retval) {
        rule_cache_add(cache, rule);
    }
    return retval;
}

int
rule_cache_load(struct rule_cache *cache, const char *path,
                struct lh_error *error)
{
    struct line_reader lines = {.stream = fopen(path, "re")};
    int retval;

    if (!lines.stream) {
        retval = errno;
        lh_error_set(error, "%s: %s", path, strerror(retval));
        return retval;
    }
    while (!(retval = line_reader_next(&lines, error))) {
        if (lines.text[strspn(lines.text, " \t\r")]) {
            retval = load_line(cache, lines.text, lines.len, error);
            if (retval) {
                break;
            }
        }
    }
    if (retval == ENODATA) {
        retval = 0;
    } else if (ferror(lines.stream)) {
        lh_error_prefix(error, "%s", path);
    } else {
        lh_error_prefix(error, "%s:%zu", path, lines.n);
    }
    line_reader_uninit(&lines);
    fclose(lines.stream);
    return retval;
}

bool
rule_cache_is_asked(const struct rule_cache *cache, uint64_t dpid,
                    uint32_t version)
{
    const struct entry *e = find_entry(cache, dpid, version);

    return e && e->is_asked;
}

size_t
rule_cache_n_waiting(const struct rule_cache *cache)
{
    return cache->n_waiting;
}

void
rule_cache_get_counters(const struct rule_cache *cache,
                        struct rule_cache_counters *counters)
{
    *counters = cache->counters;
}
