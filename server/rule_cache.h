/* SPDX-License-Identifier: Apache-2.0 */
/* rule_cache - the rules that versions name, as far as they are known here.
 *
 * Filled by the recorder's events or from a file.  A version that is asked for
 * and not there is asked of the recorder through 'ask', once, and again after
 * RULE_CACHE_RETRY_NS when the answer was no.  Bounded: what was not used for
 * the longest time goes first, and is asked for again when needed.
 *
 * Ownership: the cache holds a reference to each rule.
 *
 * Threads: one. */
#ifndef SERVER_RULE_CACHE_H
#define SERVER_RULE_CACHE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/lh_error.h"
#include "lib/rule.h"

#define RULE_CACHE_MAX      500000
#define RULE_CACHE_RETRY_NS UINT64_C(1000000000)

enum rule_cache_change {
    RULE_CACHE_ADDED,
    RULE_CACHE_DENIED,
    RULE_CACHE_GONE,
    RULE_CACHE_RESTART
};

struct rule_cache_config {
    size_t max_rules; /* 0: RULE_CACHE_MAX. */
    /* Asks for a rule, to be given by rule_cache_add() or
     * rule_cache_deny() later; false when that is not possible now.  May be
     * NULL: never. */
    bool (*ask)(void *aux, uint64_t dpid, uint32_t version);
    /* Told of each call of the functions that change what is known, after it,
     * so that other caches can follow; 'rule' (borrowed) of RULE_CACHE_ADDED
     * only.  May be NULL. */
    void (*on_change)(void *aux, enum rule_cache_change, uint64_t dpid,
                      uint32_t version, const struct rule *rule);
    void *aux;
};

struct rule_cache_counters {
    uint64_t rules;   /* Held now. */
    uint64_t asked;   /* Calls of 'ask' that were possible. */
    uint64_t denied;  /* Nobody knew. */
    uint64_t evicted; /* Gone to make room. */
    uint64_t guessed; /* 24-bit versions resolved without knowing the rule. */
};

struct rule_cache;

struct rule_cache *rule_cache_create(const struct rule_cache_config *);
void rule_cache_destroy(struct rule_cache *);

/* Takes the reference; a rule of the same switch and version is replaced. */
void rule_cache_add(struct rule_cache *, struct rule *);
/* Adds each line of the file, docs/formats/rule.md as one JSON object per
 * line.  Returns 0, an errno, or EINVAL with the line at fault. */
int rule_cache_load(struct rule_cache *, const char *path, struct lh_error *);
/* There was no answer, or nobody knows it.  No effect on a version that is not
 * waited for. */
void rule_cache_deny(struct rule_cache *, uint64_t dpid, uint32_t version,
                     uint64_t now_ns);

/* The rule stands no more; it stays known. */
void rule_cache_gone(struct rule_cache *, uint64_t dpid, uint32_t version);
/* All rules that stand are about to be added anew. */
void rule_cache_restart(struct rule_cache *);
/* True when a rule stands at the switch that may be a packet's last one there
 * and sends no postcards: it is not selected, paused or made by learn. */
bool rule_cache_is_silent(const struct rule_cache *, uint64_t dpid);
/* True when there is one that the cap (--max-postcards) has stopped. */
bool rule_cache_is_capped(const struct rule_cache *, uint64_t dpid);

/* Borrowed until the next call; NULL when not known, or not yet. */
const struct rule *rule_cache_find(struct rule_cache *, uint64_t dpid,
                                   uint32_t version, uint64_t now_ns);

/* The whole version of 'dpid' whose low 24 bits are 'low': the newest that
 * was installed not after 'time_ns', else the newest of all; where none is
 * known the one nearest to the newest version of that switch. */
uint32_t rule_cache_resolve(struct rule_cache *, uint64_t dpid, uint32_t low,
                            uint64_t time_ns);

/* True for a version that was asked for and not answered yet. */
bool rule_cache_is_asked(const struct rule_cache *, uint64_t dpid,
                         uint32_t version);
/* Versions that were asked for and not answered yet. */
size_t rule_cache_n_waiting(const struct rule_cache *);
void rule_cache_get_counters(const struct rule_cache *,
                             struct rule_cache_counters *);

#endif /* server/rule_cache.h */
