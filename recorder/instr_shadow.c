/* SPDX-License-Identifier: Apache-2.0 */
/* instr_shadow - the controller's own rules of one switch. */
#include <config.h>
#include "recorder/instr_shadow.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/shadow_edges.h"

#define MIN_BUCKETS 64

struct instr_shadow {
    size_t n, n_buckets; /* n_buckets is a power of two. */
    struct shadow_rule **by_key, **by_version; /* Owned. */
    struct shadow_table tables[256];
    struct of_tables reached; /* Those with n_reaches. */
    size_t n_write, n_recirc, n_select, n_in_port, n_gbp;
    size_t n_set_output, n_set_punt;
    struct of_tables lookups;
    struct shadow_edges *edges; /* Since a rule looks something up.  Owned. */
    struct shadow_rule **learners; /* Rules with learn.  Owned. */
    size_t n_learn, allocated_learners;
};

/* Most rules name no table and have no use for facts of their own. */
static const struct of_facts no_facts;

static const struct of_facts *
keep_facts(const struct of_facts *facts)
{
    return memcmp(facts, &no_facts, sizeof no_facts)
               ? lh_memdup(facts, sizeof *facts)
               : &no_facts;
}

static void
free_facts(const struct of_facts *facts)
{
    if (facts != &no_facts) {
        free((struct of_facts *) facts);
    }
}

struct shadow_rule *
shadow_rule_create(uint8_t table_id, uint16_t priority, struct of_match *match,
                   struct of_acts *acts)
{
    struct shadow_rule *rule = lh_alloc_zero(sizeof *rule);

    rule->table_id = table_id;
    rule->priority = priority;
    rule->match = match;
    shadow_rule_set_acts(rule, acts);
    return rule;
}

struct shadow_rule *
shadow_rule_clone(const struct shadow_rule *rule)
{
    struct shadow_rule *copy = lh_alloc(sizeof *copy);

    *copy = *rule;
    copy->match = of_match_clone(rule->match);
    of_acts_clone(&copy->acts, &rule->acts);
    copy->facts = keep_facts(rule->facts);
    copy->indexes = NULL;
    copy->n_indexes = copy->allocated_indexes = 0;
    copy->next_key = copy->next_version = NULL;
    copy->is_in = false;
    return copy;
}

void
shadow_rule_destroy(struct shadow_rule *rule)
{
    if (rule) {
        assert(!rule->is_in);
        of_match_destroy(rule->match);
        of_acts_uninit(&rule->acts);
        free_facts(rule->facts);
        free(rule->indexes);
        free(rule);
    }
}

void
shadow_rule_set_acts(struct shadow_rule *rule, struct of_acts *acts)
{
    struct of_facts facts;

    assert(!rule->is_in);
    of_acts_uninit(&rule->acts);
    of_acts_move(&rule->acts, acts);
    of_acts_facts(&rule->acts, rule->table_id, &facts);
    free_facts(rule->facts);
    rule->facts = keep_facts(&facts);
}

void
shadow_rule_to_flow(const struct shadow_rule *rule, struct of_flow *flow)
{
    of_flow_init(flow);
    flow->match = rule->match;
    flow->acts = rule->acts;
    flow->table_id = rule->table_id;
    flow->priority = rule->priority;
    flow->new_cookie = rule->cookie;
    flow->idle_timeout = rule->idle_timeout;
    flow->hard_timeout = rule->hard_timeout;
    flow->importance = rule->importance;
    flow->flags = rule->flags;
}

struct instr_shadow *
instr_shadow_create(void)
{
    struct instr_shadow *shadow = lh_alloc_zero(sizeof *shadow);

    shadow->n_buckets = MIN_BUCKETS;
    shadow->by_key = lh_alloc_zero(MIN_BUCKETS * sizeof *shadow->by_key);
    shadow->by_version =
        lh_alloc_zero(MIN_BUCKETS * sizeof *shadow->by_version);
    return shadow;
}

void
instr_shadow_destroy(struct instr_shadow *shadow)
{
    if (!shadow) {
        return;
    }
    for (size_t i = 0; i < shadow->n_buckets; i++) {
        struct shadow_rule *next;

        for (struct shadow_rule *r = shadow->by_key[i]; r; r = next) {
            next = r->next_key;
            r->is_in = false;
            shadow_rule_destroy(r);
        }
    }
    free(shadow->by_key);
    free(shadow->by_version);
    free(shadow->learners);
    shadow_edges_destroy(shadow->edges);
    free(shadow);
}

static uint32_t
mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352dU;
    x ^= x >> 15;
    x *= 0x846ca68bU;
    return x ^ x >> 16;
}

static uint32_t
key_hash(uint8_t table_id, uint16_t priority, const struct of_match *match)
{
    return mix(of_match_hash(match) ^
               mix((uint32_t) table_id << 16 | priority));
}

static struct shadow_rule **
key_bucket(const struct instr_shadow *shadow, uint32_t hash)
{
    return &shadow->by_key[hash & (shadow->n_buckets - 1)];
}

static struct shadow_rule **
version_bucket(const struct instr_shadow *shadow, uint32_t version)
{
    return &shadow->by_version[mix(version) & (shadow->n_buckets - 1)];
}

static void
link_rule(struct instr_shadow *shadow, struct shadow_rule *rule)
{
    struct shadow_rule **bucket = key_bucket(shadow, rule->key_hash);

    rule->next_key = *bucket;
    *bucket = rule;
    bucket = version_bucket(shadow, rule->version);
    rule->next_version = *bucket;
    *bucket = rule;
}

static void
grow(struct instr_shadow *shadow)
{
    struct shadow_rule **old = shadow->by_key;
    size_t n_old = shadow->n_buckets;

    shadow->n_buckets *= 2;
    free(shadow->by_version);
    shadow->by_key = lh_alloc_zero(shadow->n_buckets * sizeof *shadow->by_key);
    shadow->by_version =
        lh_alloc_zero(shadow->n_buckets * sizeof *shadow->by_version);
    for (size_t i = 0; i < n_old; i++) {
        struct shadow_rule *next;

        for (struct shadow_rule *r = old[i]; r; r = next) {
            next = r->next_key;
            link_rule(shadow, r);
        }
    }
    free(old);
}

static void
count_edges(struct instr_shadow *shadow, const struct shadow_rule *rule,
            int sign)
{
    const uint64_t *calls = rule->facts->calls.bits;

    if (shadow->edges) {
        shadow_edges_count(shadow->edges, rule->table_id, rule->facts, sign);
    } else if (calls[0] | calls[1] | calls[2] | calls[3]) {
        shadow->edges = shadow_edges_create();
        for (size_t i = 0; i < shadow->n_buckets; i++) {
            for (const struct shadow_rule *r = shadow->by_key[i]; r;
                 r = r->next_key) {
                shadow_edges_count(shadow->edges, r->table_id, r->facts, 1);
            }
        }
    }
}

/* Adds ('sign' 1) or subtracts (-1) a rule in the counts.  It is linked. */
static void
count(struct instr_shadow *shadow, const struct shadow_rule *rule, int sign)
{
    const struct of_facts *f = rule->facts;
    size_t step = (size_t) sign;

    count_edges(shadow, rule, sign);
    shadow->n += step;
    shadow->tables[rule->table_id].n_rules += step;
    shadow->tables[rule->table_id].n_lowest += rule->priority ? 0 : step;
    shadow->n_write += f->has_write_actions ? step : 0;
    shadow->n_recirc += f->has_recirc ? step : 0;
    shadow->n_set_output += f->has_set_output ? step : 0;
    shadow->n_set_punt += f->has_set_punt ? step : 0;
    shadow->n_select += f->has_select ? step : 0;
    shadow->n_in_port += f->sets_in_port ? step : 0;
    shadow->n_gbp += f->has_gbp || of_match_has_gbp(rule->match) ? step : 0;
    for (unsigned int w = 0; w < 4; w++) {
        for (uint64_t bits = f->uses.bits[w]; bits; bits &= bits - 1) {
            unsigned int t = w * 64 + (unsigned int) __builtin_ctzll(bits);

            shadow->tables[t].n_uses += step;
            if (of_tables_has(&f->reaches, t)) {
                shadow->tables[t].n_reaches += step;
                if (shadow->tables[t].n_reaches) {
                    of_tables_add(&shadow->reached, t);
                } else {
                    of_tables_remove(&shadow->reached, t);
                }
            }
            if (of_tables_has(&f->resubmits, t)) {
                shadow->tables[t].n_resubmits += step;
            }
            if (of_tables_has(&f->missing, t)) {
                shadow->tables[t].n_missing += step;
            }
        }
    }
}

static struct shadow_rule *
find_key(const struct instr_shadow *shadow, uint32_t hash, uint8_t table_id,
         uint16_t priority, const struct of_match *match)
{
    struct shadow_rule *r = *key_bucket(shadow, hash);

    while (r &&
           !(r->key_hash == hash && r->table_id == table_id &&
             r->priority == priority && of_match_equal(r->match, match))) {
        r = r->next_key;
    }
    return r;
}

struct shadow_rule *
instr_shadow_insert(struct instr_shadow *shadow, struct shadow_rule *rule)
{
    struct shadow_rule *old;

    assert(!rule->is_in);
    rule->key_hash = key_hash(rule->table_id, rule->priority, rule->match);
    old = find_key(shadow, rule->key_hash, rule->table_id, rule->priority,
                   rule->match);
    if (old) {
        instr_shadow_take(shadow, old);
    }
    if (shadow->n >= shadow->n_buckets) {
        grow(shadow);
    }
    link_rule(shadow, rule);
    rule->is_in = true;
    count(shadow, rule, 1);
    if (rule->facts->has_learn) {
        shadow->learners = lh_alloc_grow(shadow->learners, shadow->n_learn,
                                         &shadow->allocated_learners,
                                         sizeof *shadow->learners);
        shadow->learners[shadow->n_learn++] = rule;
    }
    return old;
}

void
instr_shadow_take(struct instr_shadow *shadow, struct shadow_rule *rule)
{
    struct shadow_rule **p = key_bucket(shadow, rule->key_hash);

    assert(rule->is_in);
    while (*p != rule) {
        p = &(*p)->next_key;
    }
    *p = rule->next_key;
    p = version_bucket(shadow, rule->version);
    while (*p != rule) {
        p = &(*p)->next_version;
    }
    *p = rule->next_version;
    rule->is_in = false;
    count(shadow, rule, -1);
    for (size_t i = 0; rule->facts->has_learn && i < shadow->n_learn; i++) {
        if (shadow->learners[i] == rule) {
            shadow->learners[i] = shadow->learners[--shadow->n_learn];
            break;
        }
    }
}

struct shadow_rule *
instr_shadow_find(const struct instr_shadow *shadow, uint8_t table_id,
                  uint16_t priority, const struct of_match *match)
{
    return find_key(shadow, key_hash(table_id, priority, match), table_id,
                    priority, match);
}

struct shadow_rule *
instr_shadow_by_version(const struct instr_shadow *shadow, uint32_t version)
{
    struct shadow_rule *r = *version_bucket(shadow, version);

    while (r && r->version != version) {
        r = r->next_version;
    }
    return r;
}

bool
instr_shadow_overlaps(const struct instr_shadow *shadow, uint8_t table_id,
                      uint16_t priority, const struct of_match *match)
{
    if (instr_shadow_find(shadow, table_id, priority, match)) {
        return false; /* It will be replaced. */
    }
    for (size_t i = 0; i < shadow->n_buckets; i++) {
        for (struct shadow_rule *r = shadow->by_key[i]; r; r = r->next_key) {
            if (r->table_id == table_id && r->priority == priority &&
                of_match_overlaps(r->match, match)) {
                return true;
            }
        }
    }
    return false;
}

static int
compare_rules(const void *a_, const void *b_)
{
    const struct shadow_rule *a = *(const struct shadow_rule *const *) a_;
    const struct shadow_rule *b = *(const struct shadow_rule *const *) b_;

    if (a->table_id != b->table_id) {
        return a->table_id < b->table_id ? -1 : 1;
    }
    return a->version < b->version ? -1 : a->version > b->version;
}

static bool
selected(const struct shadow_rule *r, const struct of_flow *flow)
{
    bool is_strict = flow->command == OF_FLOW_MODIFY_STRICT ||
                     flow->command == OF_FLOW_DELETE_STRICT;
    bool is_delete = flow->command == OF_FLOW_DELETE ||
                     flow->command == OF_FLOW_DELETE_STRICT;

    return (flow->table_id == OF_FLOW_ALL_TABLES ||
            flow->table_id == r->table_id) &&
           !((r->cookie ^ flow->cookie) & flow->cookie_mask) &&
           (is_strict ? r->priority == flow->priority &&
                            of_match_equal(r->match, flow->match)
                      : of_match_covers(flow->match, r->match)) &&
           (!is_delete ||
            of_acts_pass_filter(&r->acts, flow->out_port, flow->out_group));
}

struct shadow_rule **
instr_shadow_select(const struct instr_shadow *shadow,
                    const struct of_flow *flow, size_t *n)
{
    struct shadow_rule **found = NULL;
    size_t allocated = 0;

    *n = 0;
    if ((flow->command == OF_FLOW_MODIFY_STRICT ||
         flow->command == OF_FLOW_DELETE_STRICT) &&
        flow->table_id != OF_FLOW_ALL_TABLES) {
        struct shadow_rule *r = instr_shadow_find(shadow, flow->table_id,
                                                  flow->priority, flow->match);

        if (r && selected(r, flow)) {
            found = lh_alloc_grow(found, *n, &allocated, sizeof *found);
            found[(*n)++] = r;
        }
        return found;
    }
    for (size_t i = 0; i < shadow->n_buckets; i++) {
        for (struct shadow_rule *r = shadow->by_key[i]; r; r = r->next_key) {
            if (selected(r, flow)) {
                found = lh_alloc_grow(found, *n, &allocated, sizeof *found);
                found[(*n)++] = r;
            }
        }
    }
    if (*n) {
        qsort(found, *n, sizeof *found, compare_rules);
    }
    return found;
}

struct shadow_rule **
instr_shadow_all(const struct instr_shadow *shadow, size_t *n)
{
    struct shadow_rule **all = lh_alloc_array(NULL, shadow->n, sizeof *all);

    *n = 0;
    for (size_t i = 0; i < shadow->n_buckets; i++) {
        for (struct shadow_rule *r = shadow->by_key[i]; r; r = r->next_key) {
            all[(*n)++] = r;
        }
    }
    if (*n) {
        qsort(all, *n, sizeof *all, compare_rules);
    }
    return all;
}

size_t
instr_shadow_count(const struct instr_shadow *shadow)
{
    return shadow->n;
}

const struct shadow_table *
instr_shadow_table(const struct instr_shadow *shadow, uint8_t table_id)
{
    return &shadow->tables[table_id];
}

const struct of_tables *
instr_shadow_reached(const struct instr_shadow *shadow)
{
    return &shadow->reached;
}

size_t
instr_shadow_n_write(const struct instr_shadow *shadow)
{
    return shadow->n_write;
}

size_t
instr_shadow_n_learn(const struct instr_shadow *shadow)
{
    return shadow->n_learn;
}

bool
instr_shadow_learns(const struct instr_shadow *shadow, uint8_t table_id,
                    uint16_t priority, uint64_t cookie)
{
    for (size_t i = 0; i < shadow->n_learn; i++) {
        if (of_acts_learns(&shadow->learners[i]->acts, table_id, priority,
                           cookie)) {
            return true;
        }
    }
    return false;
}

bool
instr_shadow_loses_in_port(const struct instr_shadow *shadow)
{
    return shadow->n_in_port && !shadow->n_gbp;
}

size_t
instr_shadow_n_recirc(const struct instr_shadow *shadow)
{
    return shadow->n_recirc;
}

bool
instr_shadow_mixes_sets(const struct instr_shadow *shadow,
                        const struct of_facts *more)
{
    return (shadow->n_set_punt || (more && more->has_set_punt)) &&
           (shadow->n_set_output || (more && more->has_set_output));
}

size_t
instr_shadow_n_select(const struct instr_shadow *shadow)
{
    return shadow->n_select;
}

const struct of_tables *
instr_shadow_lookups(const struct instr_shadow *shadow)
{
    return &shadow->lookups;
}

struct of_tables
instr_shadow_find_lookups(struct instr_shadow *shadow)
{
    struct of_tables changed = {{0}};

    if (shadow->edges && shadow_edges_has_news(shadow->edges)) {
        struct of_tables lookups = shadow_edges_lookups(shadow->edges);

        for (unsigned int w = 0; w < 4; w++) {
            changed.bits[w] = lookups.bits[w] ^ shadow->lookups.bits[w];
        }
        shadow->lookups = lookups;
    }
    return changed;
}
