/* SPDX-License-Identifier: Apache-2.0 */
/* instr_regroup - groups that others make or change.
 *
 * No monitor tells of groups.  So the switch is asked for all of them now and
 * then where others manage it, and at once when others make a rule with a
 * group.  What is not as we left it is taken over and given its postcards. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

#define EVERY_NS UINT64_C(5000000000)
#define SOON_NS  UINT64_C(50000000)

/* Groups of one answer. */
struct instr_regroup {
    struct of_group **groups; /* Owned. */
    size_t n, allocated;
};

void
instr_regroup_destroy(struct instr *instr)
{
    struct instr_regroup *rg = instr->regroup;

    if (rg) {
        for (size_t i = 0; i < rg->n; i++) {
            of_group_destroy(rg->groups[i]);
        }
        free(rg->groups);
        free(rg);
        instr->regroup = NULL;
    }
}

void
instr_regroup_soon(struct instr *instr, uint64_t now_ns)
{
    if (instr->config.is_attached) {
        instr->regroup_due_ns = now_ns + SOON_NS;
    }
}

uint64_t
instr_regroup_due_ns(const struct instr *instr)
{
    return instr->config.is_attached && instr->is_ready && !instr->is_detached
               ? instr->regroup_due_ns
               : UINT64_MAX;
}

void
instr_regroup_run(struct instr *instr, uint64_t now_ns, struct instr_out *out)
{
    struct instr_link *link = instr_link_choose(instr);
    struct instr_change c;
    uint8_t *msg;
    size_t len;

    if (instr_regroup_due_ns(instr) > now_ns) {
        return;
    }
    instr->regroup_due_ns = now_ns + EVERY_NS;
    if (!link || !instr_inject_has(instr) || instr->regroup) {
        return; /* Nothing to do, or the last answer is not here yet. */
    }
    if (instr_fence_holds(link, now_ns, out)) {
        /* What other links have sent may or may not be in the answer. */
        instr_regroup_soon(instr, now_ns);
        return;
    }
    instr->regroup_changes = instr->group_changes;
    instr->regroup = lh_alloc_zero(sizeof *instr->regroup);
    instr_change_init(&c, link, out, now_ns, "recorder");
    instr->regroup_tag = c.tag;
    of_group_desc_request(link->of_version, &msg, &len);
    instr_emit_own(&c, msg, len);
}

static void
keep(void *rg_, struct of_group *group)
{
    struct instr_regroup *rg = rg_;

    rg->groups =
        lh_alloc_grow(rg->groups, rg->n, &rg->allocated, sizeof *rg->groups);
    rg->groups[rg->n++] = group;
}

/* True when the switch has 'group' as we left it. */
static bool
is_ours(const struct instr *instr, const struct shadow_group *sg,
        const struct of_group *group)
{
    bool is_same = sg && sg->n_buckets == of_group_n_buckets(group);

    for (size_t i = 0; is_same && i < sg->n_buckets; i++) {
        struct of_acts acts, own;
        uint32_t version;

        of_group_get_bucket(group, i, &acts);
        of_group_get_bucket(sg->group, i, &own);
        version = instr_watch_version(instr, &acts);
        /* What cannot have a postcard stands as it was written. */
        is_same =
            version ? version == sg->versions[i] : of_acts_equal(&acts, &own);
    }
    return is_same;
}

static void
forget(struct instr_change *c, struct shadow_group *sg, const char *reason)
{
    struct instr *instr = c->instr;

    for (size_t i = 0; i < sg->n_buckets; i++) {
        instr_gone(c->out, sg->versions[i], reason);
    }
    instr_group_take(instr, sg->id);
    instr_own_free_indexes(c, sg->indexes, sg->n_indexes);
    instr_group_destroy(sg);
}

/* 'group' is somebody else's. */
static void
take(struct instr_change *c, const struct of_group *group)
{
    struct instr *instr = c->instr;
    struct shadow_group *old = instr_group_find(instr, of_group_id(group));
    struct of_group *own = of_group_clone(group);
    const char *command = old ? "modify" : "add";
    struct shadow_group *sg;

    for (size_t i = 0; i < of_group_n_buckets(group); i++) {
        struct of_acts acts, stripped;

        of_group_get_bucket(group, i, &acts);
        instr_watch_strip(instr, &acts, &stripped);
        of_group_set_bucket(own, i, &stripped);
        of_acts_uninit(&stripped);
    }
    if (old) {
        forget(c, old, "replaced");
    }
    sg = instr_group_create(own);
    sg->installed_ns = c->now_ns;
    for (size_t i = 0; i < sg->n_buckets; i++) {
        sg->versions[i] = instr_version(c);
    }
    sg->change = c->number;
    instr_sets_prepare_group(c, sg);
    instr_group_insert(instr, sg);
    for (size_t i = 0; i < sg->n_buckets; i++) {
        instr_made(c->out, instr_rule_bucket(c, sg, i, command, "switch"));
    }
    instr_object_group(c, sg, command);
    instr_group_rewrite(c, sg);
    instr->counters.foreign++;
}

static void
compare(struct instr_change *c, const struct instr_regroup *rg)
{
    struct instr *instr = c->instr;

    for (size_t i = 0; i < rg->n; i++) {
        const struct of_group *group = rg->groups[i];

        if (!is_ours(instr, instr_group_find(instr, of_group_id(group)),
                     group)) {
            take(c, group);
        }
    }
    for (size_t i = instr->n_groups; i-- > 0;) {
        struct shadow_group *sg = instr->groups[i];
        bool is_there = false;

        for (size_t j = 0; j < rg->n; j++) {
            is_there |= of_group_id(rg->groups[j]) == sg->id;
        }
        if (!is_there) {
            instr_object_gone(c->out, false, sg->id, "delete");
            forget(c, sg, "group_delete");
        }
    }
}

bool
instr_regroup_reply(struct instr_change *c, const uint8_t *msg, size_t len,
                    uint64_t tag)
{
    struct instr *instr = c->instr;
    struct instr_change own;

    if (!tag || tag != instr->regroup_tag || !instr->regroup) {
        return false;
    }
    of_group_read_desc(msg, len, keep, instr->regroup);
    if (of_wire_is_last_reply(msg, len)) {
        instr_change_init(&own, c->link, c->out, c->now_ns, "recorder");
        if (instr->regroup_changes != instr->group_changes) {
            /* It may be from before or after that. */
            instr_regroup_soon(instr, c->now_ns);
        } else if (instr_inject_has(instr) && !instr->is_detached) {
            compare(&own, instr->regroup);
            instr_own_update(&own);
            instr->counters.groups = instr->n_groups;
        }
        instr_regroup_destroy(instr);
    }
    return true;
}
