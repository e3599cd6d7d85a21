/* SPDX-License-Identifier: Apache-2.0 */
/* instr_undo - changes of the shadow that the switch may still refuse.
 *
 * A switch answers in order: once it has answered something later, a change
 * that it did not refuse stands, and what the change replaced is freed. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "lib/rule_slab.h"

/* When so many changes wait, a barrier of ours makes the switch answer. */
#define BARRIER_EVERY 256

/* --- What stood before, by version. --- */

#define N_BUCKETS 4096

static struct shadow_rule **
bucket(const struct instr *instr, uint32_t version)
{
    return &instr->undone[version % N_BUCKETS];
}

static void
put_old(struct instr *instr, struct shadow_rule *old)
{
    struct shadow_rule **p;

    if (!instr->undone) {
        instr->undone = lh_alloc_zero(N_BUCKETS * sizeof *instr->undone);
    }
    p = bucket(instr, old->version);
    old->next_version = *p;
    *p = old;
}

/* The rule that stood before, now the caller's; NULL when there was none. */
static struct shadow_rule *
take_old(struct instr *instr, struct instr_undo *undo)
{
    struct shadow_rule *old = undo->old_rule;

    if (old) {
        struct shadow_rule **p = bucket(instr, old->version);

        while (*p != old) {
            p = &(*p)->next_version;
        }
        *p = old->next_version;
        undo->old_rule = NULL;
    }
    return old;
}

/* --- Changes. --- */

/* They come and go with the rules: from the heap they would leave holes
 * between rules that stay. */
static struct instr_undo *
create(void)
{
    struct rule_slab *slab;
    struct instr_undo *undo = rule_slab_alloc(sizeof *undo, &slab);

    if (undo) {
        undo->slab = slab;
    } else {
        undo = lh_alloc_zero(sizeof *undo);
    }
    return undo;
}

static void
push(struct instr_change *c, struct instr_undo *undo)
{
    struct instr *instr = c->instr;

    undo->link = c->link;
    undo->tag = c->tag;
    undo->in_bundle = c->in_bundle;
    c->link->n_unasked++;
    *instr->undo_tail = undo;
    instr->undo_tail = &undo->next;
}

void
instr_undo_rule(struct instr_change *c, struct shadow_rule *old,
                uint32_t new_version)
{
    struct instr_undo *undo = create();

    undo->old_rule = old;
    if (old) {
        put_old(c->instr, old);
    }
    undo->new_version = new_version;
    push(c, undo);
    if (!c->in_bundle &&
        ((old && old->n_indexes) || c->link->n_unasked >= BARRIER_EVERY)) {
        instr_change_barrier(c);
    }
}

void
instr_undo_group(struct instr_change *c, struct shadow_group *old, uint32_t id,
                 bool has_new)
{
    struct instr_undo *undo = create();

    undo->is_group = true;
    undo->old_group = old;
    undo->id = id;
    undo->has_new = has_new;
    push(c, undo);
    if (old && !c->in_bundle) {
        instr_change_barrier(c);
    }
}

void
instr_undo_meter(struct instr_change *c, struct of_meter *old, uint32_t id,
                 bool has_new)
{
    struct instr_undo *undo = create();

    undo->is_meter = true;
    undo->old_meter = old;
    undo->id = id;
    undo->has_new = has_new;
    push(c, undo);
}

static void
undo_free(struct instr *instr, struct instr_undo *undo)
{
    shadow_rule_destroy(take_old(instr, undo));
    instr_group_destroy(undo->old_group);
    instr_meter_destroy(undo->old_meter);
    if (undo->slab) {
        rule_slab_free(undo->slab);
    } else {
        free(undo);
    }
}

const struct shadow_rule *
instr_undo_find(const struct instr *instr, uint32_t version)
{
    const struct shadow_rule *old =
        instr->undone ? *bucket(instr, version) : NULL;

    while (old && old->version != version) {
        old = old->next_version;
    }
    return old;
}

const struct shadow_rule *
instr_undo_last(const struct instr *instr, uint8_t table_id, uint16_t priority,
                const struct of_match *match)
{
    const struct shadow_rule *found = NULL;

    for (const struct instr_undo *u = instr->undo; u; u = u->next) {
        const struct shadow_rule *old = u->old_rule;

        if (old && old->table_id == table_id && old->priority == priority &&
            of_match_equal(old->match, match)) {
            found = old;
        }
    }
    return found;
}

bool
instr_undo_may_fail(const struct instr *instr, uint32_t version)
{
    const struct instr_undo *undo = instr->undo;

    while (undo && undo->new_version != version) {
        undo = undo->next;
    }
    return undo != NULL;
}

void
instr_undo_confirm(struct instr_change *c, uint64_t tag)
{
    struct instr *instr = c->instr;
    struct instr_undo **p = &instr->undo;

    while (*p && (*p)->tag < tag) {
        struct instr_undo *undo = *p;

        if (undo->link != c->link) {
            p = &undo->next;
            continue;
        }
        *p = undo->next;
        if (!*p) {
            instr->undo_tail = p;
        }
        if (undo->old_rule) {
            instr_own_free_indexes(c, undo->old_rule->indexes,
                                   undo->old_rule->n_indexes);
            instr_past_put(instr, take_old(instr, undo));
        }
        if (undo->old_group) {
            instr_own_free_indexes(c, undo->old_group->indexes,
                                   undo->old_group->n_indexes);
        }
        undo_free(instr, undo);
    }
}

static void
restore_rule(struct instr_change *c, struct instr_undo *undo)
{
    struct instr *instr = c->instr;
    struct shadow_rule *now =
        undo->new_version
            ? instr_shadow_by_version(instr->shadow, undo->new_version)
            : NULL;

    if (undo->new_version && !now) {
        return; /* Something later has replaced it already. */
    }
    if (now) {
        instr_shadow_take(instr->shadow, now);
        instr_gone(c->out, now->version, "error");
        instr_own_free_indexes(c, now->indexes, now->n_indexes);
        shadow_rule_destroy(now);
    }
    if (undo->old_rule) {
        struct shadow_rule *old = take_old(instr, undo);

        old->gone_by = (struct shadow_cause){0};
        shadow_rule_destroy(instr_shadow_insert(instr->shadow, old));
        instr_made(c->out, instr_rule_flow(c, old, "restored", c->who));
    }
}

/* The next change of the same group or meter, which may still be refused. */
static struct instr_undo *
find_later(const struct instr *instr, const struct instr_undo *undo)
{
    struct instr_undo *later = instr->undo;

    while (later && !(later->tag > undo->tag && later->id == undo->id &&
                      later->is_group == undo->is_group &&
                      later->is_meter == undo->is_meter)) {
        later = later->next;
    }
    return later;
}

static void
restore_group(struct instr_change *c, struct instr_undo *undo)
{
    struct instr *instr = c->instr;
    struct instr_undo *later = find_later(instr, undo);
    struct shadow_group *now = later ? later->old_group
                               : undo->has_new
                                   ? instr_group_take(instr, undo->id)
                                   : NULL;
    struct shadow_group *old = undo->old_group;

    if (later) { /* Which has replaced it already. */
        later->old_group = old;
        undo->old_group = now;
        if (now) {
            instr_own_free_indexes(c, now->indexes, now->n_indexes);
        }
        return;
    }
    for (size_t i = 0; now && i < now->n_buckets; i++) {
        if (!instr_group_has(old, now->versions[i])) {
            instr_gone(c->out, now->versions[i], "error");
        }
    }
    for (size_t i = 0; old && i < old->n_buckets; i++) {
        if (!instr_group_has(now, old->versions[i])) {
            instr_made(c->out,
                       instr_rule_bucket(c, old, i, "restored", c->who));
        }
    }
    if (now) {
        instr_own_free_indexes(c, now->indexes, now->n_indexes);
        instr_group_destroy(now);
    }
    if (old) {
        undo->old_group = NULL;
        instr_group_insert(instr, old);
        instr_object_group(c, old, "restored");
    } else {
        instr_object_gone(c->out, false, undo->id, "error");
    }
}

static void
restore_meter(struct instr_change *c, struct instr_undo *undo)
{
    struct instr_undo *later = find_later(c->instr, undo);

    if (later) {
        struct of_meter *now = later->old_meter;

        later->old_meter = undo->old_meter;
        undo->old_meter = now;
        return;
    }
    if (undo->has_new) {
        instr_meter_destroy(instr_meter_take(c->instr, undo->id));
    }
    if (undo->old_meter) {
        instr_meter_insert(c->instr, undo->old_meter);
        instr_object_meter(c->out, undo->old_meter, "restored");
        undo->old_meter = NULL;
    } else {
        instr_object_gone(c->out, true, undo->id, "error");
    }
}

bool
instr_undo_run(struct instr_change *c, uint64_t tag)
{
    struct instr *instr = c->instr;
    struct instr_undo *mine = NULL;
    struct instr_undo **p = &instr->undo;
    bool in_bundle = false;

    /* Take them out newest first, which is the order to undo in. */
    while (*p) {
        struct instr_undo *undo = *p;

        if (undo->tag == tag) {
            *p = undo->next;
            undo->next = mine;
            mine = undo;
        } else {
            p = &undo->next;
        }
    }
    instr->undo_tail = p;
    if (!mine) {
        return false;
    }
    instr->counters.rolled_back++;
    while (mine) {
        struct instr_undo *undo = mine;

        mine = undo->next;
        in_bundle |= undo->in_bundle;
        if (undo->is_group) {
            restore_group(c, undo);
        } else if (undo->is_meter) {
            restore_meter(c, undo);
        } else {
            restore_rule(c, undo);
        }
        undo_free(instr, undo);
    }
    if (in_bundle && instr->mixed_tag >= tag) {
        /* With the bundle the switch has refused what we put into it. */
        instr_owe(instr, OWES_ALL);
        if (instr->mixed_groups_tag >= tag) {
            instr_owe(instr, OWES_GROUPS);
        }
    }
    instr_own_update(c);
    instr->counters.rules = instr_shadow_count(instr->shadow);
    return true;
}

void
instr_undo_forget(struct instr_link *link)
{
    struct instr_undo **p = &link->instr->undo;

    while (*p) {
        struct instr_undo *undo = *p;

        if (undo->link == link) {
            *p = undo->next;
            undo_free(link->instr, undo);
        } else {
            p = &undo->next;
        }
    }
    link->instr->undo_tail = p;
}

void
instr_undo_destroy(struct instr *instr)
{
    while (instr->undo) {
        struct instr_undo *undo = instr->undo;

        instr->undo = undo->next;
        undo_free(instr, undo);
    }
    instr->undo_tail = &instr->undo;
    free(instr->undone);
    instr->undone = NULL;
}
