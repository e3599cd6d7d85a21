/* SPDX-License-Identifier: Apache-2.0 */
/* instr_group - the controller's groups: versions and injection by bucket. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

struct shadow_group *
instr_group_create(struct of_group *group)
{
    struct shadow_group *sg = lh_alloc_zero(sizeof *sg);

    of_group_set_command(group, OF_GROUP_ADD);
    sg->group = group;
    sg->id = of_group_id(group);
    sg->n_buckets = of_group_n_buckets(group);
    sg->versions = lh_alloc_array(NULL, sg->n_buckets, sizeof *sg->versions);
    memset(sg->versions, 0, sg->n_buckets * sizeof *sg->versions);
    for (size_t i = 0; i < sg->n_buckets; i++) {
        struct of_facts facts;
        struct of_acts acts;

        of_group_get_bucket(group, i, &acts);
        of_acts_facts(&acts, 0, &facts);
        sg->facts.has_all |= facts.has_all;
        sg->facts.has_flood |= facts.has_flood;
        sg->facts.has_recirc |= facts.has_recirc;
        for (unsigned int w = 0; w < 4; w++) {
            sg->facts.uses.bits[w] |= facts.uses.bits[w];
            sg->facts.resubmits.bits[w] |= facts.resubmits.bits[w];
        }
    }
    sg->is_select = of_group_is_select(group);
    return sg;
}

void
instr_group_destroy(struct shadow_group *sg)
{
    if (sg) {
        of_group_destroy(sg->group);
        instr_counts_destroy(sg->counts);
        free(sg->versions);
        free(sg->indexes);
        free(sg->index_versions);
        free(sg);
    }
}

struct shadow_group *
instr_group_find(const struct instr *instr, uint32_t id)
{
    for (size_t i = 0; i < instr->n_groups; i++) {
        if (instr->groups[i]->id == id) {
            return instr->groups[i];
        }
    }
    return NULL;
}

void
instr_group_insert(struct instr *instr, struct shadow_group *sg)
{
    instr->groups =
        lh_alloc_grow(instr->groups, instr->n_groups, &instr->allocated_groups,
                      sizeof *instr->groups);
    instr->groups[instr->n_groups++] = sg;
    instr->group_changes++;
    instr->counters.groups = instr->n_groups;
}

struct shadow_group *
instr_group_take(struct instr *instr, uint32_t id)
{
    for (size_t i = 0; i < instr->n_groups; i++) {
        struct shadow_group *sg = instr->groups[i];

        if (sg->id == id) {
            instr->groups[i] = instr->groups[--instr->n_groups];
            instr->counters.groups = instr->n_groups;
            instr->group_changes++;
            return sg;
        }
    }
    return NULL;
}

struct index_owner {
    struct instr_change *c;
    struct shadow_group *sg;
    uint32_t version; /* Of the bucket. */
};

static void
put_index(struct shadow_group *sg, uint16_t index, uint32_t version)
{
    size_t n = sg->n_indexes++;

    sg->indexes =
        lh_alloc_grow(sg->indexes, n, &sg->allocated_indexes, sizeof index);
    sg->index_versions = lh_alloc_grow(
        sg->index_versions, n, &sg->allocated_index_versions, sizeof version);
    sg->indexes[n] = index;
    sg->index_versions[n] = version;
}

static bool
take_index(void *owner_, struct of_acts *acts, uint16_t *indexp)
{
    struct index_owner *owner = owner_;

    if (!instr_own_index(owner->c, acts, indexp)) {
        return false;
    }
    put_index(owner->sg, *indexp, owner->version);
    return true;
}

/* Makes what to install for bucket 'i' of 'group', which is of 'sg' and has
 * 'version'. */
static void
inject_bucket(struct instr_change *c, struct shadow_group *sg,
              uint32_t version, struct of_group *group, size_t i)
{
    struct instr *instr = c->instr;
    struct shadow_card card = instr_select_groups(instr);
    struct index_owner owner = {c, sg, version};
    struct of_inject_ask ask = {.place = OF_INJECT_BUCKET,
                                .version = version,
                                .ports = instr->flood,
                                .n_ports = instr->n_flood,
                                .is_quiet = !card.len,
                                .replace_flood = instr_ports_may_flood(instr),
                                .index_table = instr->index_table,
                                .index = take_index,
                                .aux = &owner};
    struct of_inject_result result;
    struct of_acts acts;

    if (!instr_select_is_on(instr)) {
        return;
    }
    of_group_get_bucket(group, i, &acts);
    of_inject_run(instr_inject_get(c, card), &acts, &ask, &result);
    of_group_set_bucket(group, i, &result.acts);
    of_acts_uninit(&result.acts);
    if (ask.is_quiet) {
        instr->counters.unselected++;
    } else {
        instr->counters.injected++;
    }
}

struct of_group *
instr_group_inject(struct instr_change *c, struct shadow_group *sg)
{
    struct of_group *group = of_group_clone(sg->group);

    c->instr->group_changes++;
    for (size_t i = 0; i < sg->n_buckets; i++) {
        inject_bucket(c, sg, sg->versions[i], group, i);
    }
    return group;
}

/* Sends the group of 'sg' with 'command'. */
static void
send_group(struct instr_change *c, struct shadow_group *sg,
           enum of_group_command command)
{
    uint8_t version = c->link->of_version;
    struct of_group *group = instr_group_inject(c, sg);
    uint8_t *msg;
    size_t len;

    of_group_set_command(group, command);
    if (!of_group_encode(group, version, 0, &msg, &len)) {
        instr_emit(c, msg, len);
    }
    of_group_destroy(group);
}

void
instr_group_rewrite(struct instr_change *c, struct shadow_group *sg)
{
    uint16_t *old = sg->indexes;
    size_t n_old = sg->n_indexes;

    sg->indexes = NULL;
    sg->n_indexes = sg->allocated_indexes = 0;
    free(sg->index_versions);
    sg->index_versions = NULL;
    sg->allocated_index_versions = 0;
    if (c->in_bundle && c->bundle_tag) {
        c->instr->mixed_groups_tag = c->bundle_tag;
    }
    instr_counts_keep(c, sg);
    send_group(c, sg, OF_GROUP_MODIFY);
    instr_own_free_indexes(c, old, n_old);
    free(old);
}

bool
instr_group_has(const struct shadow_group *sg, uint32_t version)
{
    for (size_t i = 0; sg && i < sg->n_buckets; i++) {
        if (sg->versions[i] == version) {
            return true;
        }
    }
    return false;
}

/* 'sg' stands instead of 'old'; either may be NULL, and both may have buckets
 * in common. */
static void
replace(struct instr_change *c, struct shadow_group *old,
        struct shadow_group *sg, const char *command, const char *reason)
{
    struct instr *instr = c->instr;
    uint32_t id = old ? old->id : sg->id;

    if (old) {
        instr_group_take(instr, id);
    }
    for (size_t i = 0; old && i < old->n_buckets; i++) {
        if (!instr_group_has(sg, old->versions[i])) {
            instr_gone(c->out, old->versions[i], reason);
        }
    }
    if (sg) {
        sg->bundle_tag = c->in_bundle ? c->tag : 0;
        instr_group_insert(instr, sg);
    }
    for (size_t i = 0; sg && i < sg->n_buckets; i++) {
        if (!instr_group_has(old, sg->versions[i])) {
            instr_made(c->out, instr_rule_bucket(c, sg, i, command, c->who));
        }
    }
    if (sg) {
        instr_object_group(c, sg, command);
    } else {
        instr_object_gone(c->out, false, id, reason);
    }
    instr_undo_group(c, old, id, sg != NULL);
}

static void
put_group(struct instr_change *c, struct of_group *group,
          enum of_group_command command)
{
    struct instr *instr = c->instr;
    struct shadow_group *old = instr_group_find(instr, of_group_id(group));
    struct shadow_group *sg;

    if (command != OF_GROUP_ADD_OR_MODIFY &&
        (command == OF_GROUP_ADD) == (old != NULL)) {
        /* The switch is going to say that there is one, or none: whatever
         * the message holds, it changes nothing. */
        instr_pass(c, c->original, c->original_len);
        of_group_destroy(group);
        return;
    }
    sg = instr_group_create(group);
    for (size_t i = 0; i < sg->n_buckets; i++) {
        sg->versions[i] = instr_version(c);
    }
    sg->change = c->number;
    sg->installed_ns = c->now_ns;
    instr_sets_prepare_group(c, sg);
    send_group(c, sg, command);
    replace(c, old, sg, old ? "modify" : "add", "modify");
}

/* Buckets come into a group or leave it; the others keep their versions. */
static void
edit_group(struct instr_change *c, struct of_group *change)
{
    struct instr *instr = c->instr;
    struct shadow_group *old = instr_group_find(instr, of_group_id(change));
    struct of_group *next = NULL;
    bool is_insert = of_group_command(change) == OF_GROUP_INSERT_BUCKETS;
    struct shadow_group *sg;
    size_t *from = NULL;
    uint8_t *msg;
    size_t len;

    if (old) {
        next = of_group_edit(old->group, change, &from);
    }
    if (!next) {
        instr_pass(c, c->original, c->original_len); /* To be refused. */
        return;
    }
    sg = instr_group_create(next);
    instr_sets_prepare_group(c, sg);
    for (size_t i = 0; i < sg->n_buckets; i++) {
        if (from[i] < old->n_buckets) {
            sg->versions[i] = old->versions[from[i]];
        } else {
            sg->versions[i] = instr_version(c);
            inject_bucket(c, sg, sg->versions[i], change,
                          from[i] - old->n_buckets);
        }
    }
    for (size_t i = 0; i < old->n_indexes; i++) {
        if (instr_group_has(sg, old->index_versions[i])) {
            instr_own_share_index(instr, old->indexes[i]);
            put_index(sg, old->indexes[i], old->index_versions[i]);
        }
    }
    instr_counts_edit(old, sg, from);
    sg->change = c->number ? c->number : old->change;
    sg->installed_ns = c->now_ns;
    if (!of_group_encode(change, c->link->of_version, 0, &msg, &len)) {
        instr_emit(c, msg, len);
    }
    replace(c, old, sg, is_insert ? "insert" : "remove", "remove");
    free(from);
}

/* The rules that use the group go with it. */
static void
drop_users(struct instr_change *c, uint32_t id)
{
    struct shadow_rule **rules;
    size_t n;

    rules = instr_shadow_all(c->instr->shadow, &n);
    for (size_t i = 0; i < n; i++) {
        if (of_acts_pass_filter(&rules[i]->acts, OF_ACTS_ANY, id)) {
            instr_flow_drop(c, rules[i], "group_delete");
        }
    }
    free(rules);
}

static void
delete_groups(struct instr_change *c, uint32_t id)
{
    struct instr *instr = c->instr;

    for (size_t i = instr->n_groups; i-- > 0;) {
        struct shadow_group *sg = instr->groups[i];

        if (id == OF_GROUP_ALL || sg->id == id) {
            drop_users(c, sg->id);
            replace(c, sg, NULL, NULL, "delete");
        }
    }
    instr->counters.rules = instr_shadow_count(instr->shadow);
}

void
instr_group_mod(struct instr_change *c, const uint8_t *msg, size_t len)
{
    struct instr *instr = c->instr;
    struct of_group *group = of_group_decode(msg, len);

    instr->counters.group_mods++;
    if (!group) {
        instr->counters.passed_malformed++;
        instr_pass(c, msg, len);
        return;
    }
    switch (of_group_command(group)) {
    case OF_GROUP_ADD:
    case OF_GROUP_MODIFY:
    case OF_GROUP_ADD_OR_MODIFY:
        put_group(c, group, of_group_command(group));
        group = NULL;
        break;
    case OF_GROUP_INSERT_BUCKETS:
    case OF_GROUP_REMOVE_BUCKET:
        edit_group(c, group);
        break;
    case OF_GROUP_DELETE:
        instr_pass(c, msg, len);
        delete_groups(c, of_group_id(group));
        break;
    case OF_GROUP_OTHER:
        instr->counters.passed_unknown++;
        instr_pass(c, msg, len);
        break;
    }
    of_group_destroy(group);
    instr_own_update(c);
}

/* Group descriptions going up. */

static const struct of_group *
restore(void *c_, uint32_t id)
{
    struct instr_change *c = c_;
    struct shadow_group *sg = instr_group_find(c->instr, id);

    if (!sg) {
        return NULL;
    }
    c->instr->counters.restored++;
    return sg->group;
}

static void
emit(void *c_, uint8_t *msg, size_t len)
{
    struct instr_change *c = c_;

    instr_emit_up(c, msg, len);
}

void
instr_group_desc(struct instr_change *c, const uint8_t *msg, size_t len)
{
    if (!of_group_restore_desc(msg, len, restore, emit, c)) {
        c->instr->counters.passed_malformed++;
        instr_emit_up(c, lh_memdup(msg, len), len);
    }
}
