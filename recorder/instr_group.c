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
        for (unsigned int w = 0; w < 4; w++) {
            sg->facts.uses.bits[w] |= facts.uses.bits[w];
        }
    }
    return sg;
}

void
instr_group_destroy(struct shadow_group *sg)
{
    if (sg) {
        of_group_destroy(sg->group);
        free(sg->versions);
        free(sg->indexes);
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
            return sg;
        }
    }
    return NULL;
}

struct index_owner {
    struct instr_change *c;
    struct shadow_group *sg;
};

static bool
take_index(void *owner_, struct of_acts *acts, uint16_t *indexp)
{
    struct index_owner *owner = owner_;
    struct shadow_group *sg = owner->sg;

    if (!instr_own_index(owner->c, acts, indexp)) {
        return false;
    }
    sg->indexes = lh_alloc_grow(sg->indexes, sg->n_indexes,
                                &sg->allocated_indexes, sizeof *sg->indexes);
    sg->indexes[sg->n_indexes++] = *indexp;
    return true;
}

struct of_group *
instr_group_inject(struct instr_change *c, struct shadow_group *sg)
{
    struct instr *instr = c->instr;
    struct of_group *group = of_group_clone(sg->group);
    struct index_owner owner = {c, sg};
    struct of_inject_ask ask = {.place = OF_INJECT_BUCKET,
                                .ports = instr->flood,
                                .n_ports = instr->n_flood,
                                .replace_flood = !instr->config.is_no_flood,
                                .index_table = instr->index_table,
                                .index = take_index,
                                .aux = &owner};

    for (size_t i = 0; instr->inject && i < sg->n_buckets; i++) {
        struct of_inject_result result;
        struct of_acts acts;

        of_group_get_bucket(sg->group, i, &acts);
        ask.version = sg->versions[i];
        of_inject_run(instr_own_inject(c), &acts, &ask, &result);
        of_group_set_bucket(group, i, &result.acts);
        of_acts_uninit(&result.acts);
        instr->counters.injected++;
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
    send_group(c, sg, OF_GROUP_MODIFY);
    instr_own_free_indexes(c, old, n_old);
    free(old);
}

static void
gone(struct instr_change *c, const struct shadow_group *sg, const char *reason)
{
    for (size_t i = 0; i < sg->n_buckets; i++) {
        instr_gone(c->out, sg->versions[i], reason);
    }
}

static void
put_group(struct instr_change *c, struct of_group *group,
          enum of_group_command command)
{
    struct instr *instr = c->instr;
    struct shadow_group *old = instr_group_find(instr, of_group_id(group));
    struct shadow_group *sg;

    if ((command == OF_GROUP_ADD) == (old != NULL)) {
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
    instr_own_prepare(c, 0, &sg->facts);
    send_group(c, sg, command);
    if (old) {
        instr_group_take(instr, old->id);
        gone(c, old, "modify");
    }
    instr_group_insert(instr, sg);
    for (size_t i = 0; i < sg->n_buckets; i++) {
        instr_made(
            c->out,
            instr_rule_bucket(
                c, sg, i, command == OF_GROUP_ADD ? "add" : "modify", c->who));
    }
    instr_undo_group(c, old, sg->id, true);
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
            instr_group_take(instr, sg->id);
            gone(c, sg, "delete");
            instr_undo_group(c, sg, sg->id, false);
        }
    }
    instr->counters.rules = instr_shadow_count(instr->shadow);
}

/* Sends the controller's message as it came, in the bundle it came in. */
static void
forward(struct instr_change *c, const struct of_group *group)
{
    uint8_t *msg;
    size_t len;

    if (!of_group_encode(group, c->link->of_version, 0, &msg, &len)) {
        instr_emit(c, msg, len);
    }
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
        put_group(c, group, of_group_command(group));
        break;
    case OF_GROUP_DELETE:
        forward(c, group);
        delete_groups(c, of_group_id(group));
        of_group_destroy(group);
        break;
    case OF_GROUP_ADD_OR_MODIFY:
    case OF_GROUP_INSERT_BUCKETS:
    case OF_GROUP_REMOVE_BUCKET:
    case OF_GROUP_OTHER:
        instr->counters.passed_unknown++;
        forward(c, group);
        of_group_destroy(group);
        break;
    }
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
