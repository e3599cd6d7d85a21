/* SPDX-License-Identifier: Apache-2.0 */
/* of_why_lookup - the rule of a table that a packet matches.
 *
 * The highest priority wins.  Rules with conjunction() match nothing by
 * themselves: once every clause of an ID is met at one priority, the lookup
 * is done again with that conj_id (ovs-fields(7)). */
#include <config.h>
#include "recorder/of_why.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_why_state.h"

/* The clauses met so far. */
struct conjunctions {
    size_t n, allocated;
    struct {
        uint32_t id;
        uint64_t missing; /* Bits of clauses not met. */
    } * of;               /* Owned. */
};

/* Whether the packet matches 'rule'; what is not known is decided. */
static bool
matches(struct why_run *run, const struct why_rule *rule)
{
    switch (why_packet_match(&run->packet, &rule->match)) {
    case WHY_NO:
        return false;
    case WHY_YES:
        return true;
    case WHY_MAYBE:
        break;
    }

    char *what = why_packet_unknown_text(&run->packet, &rule->match);
    bool is_match = !why_run_choose(run, 2);

    why_run_assume(run, "%s %s (v%u in table %u)",
                   is_match ? "the packet has" : "the packet does not have",
                   what, (unsigned) rule->r.version, rule->r.table_id);
    free(what);
    if (is_match) {
        why_packet_assume(&run->packet, &rule->match);
    }
    return is_match;
}

/* Notes the clauses of 'rule'.  True, with '*id', when one is complete. */
static bool
add_clauses(struct conjunctions *c, const struct why_rule *rule, uint32_t *id)
{
    const struct ofpact *a;

    OFPACT_FOR_EACH(a, rule->acts.data, rule->acts.len)
    {
        const struct ofpact_conjunction *conj;
        size_t i = 0;

        if (a->type != OFPACT_CONJUNCTION) {
            continue;
        }
        conj = ofpact_get_CONJUNCTION(a);
        while (i < c->n && c->of[i].id != conj->id) {
            i++;
        }
        if (i == c->n) {
            c->of = lh_alloc_grow(c->of, c->n, &c->allocated, sizeof *c->of);
            c->of[c->n].id = conj->id;
            c->of[c->n++].missing = conj->n_clauses < 64
                                        ? (UINT64_C(1) << conj->n_clauses) - 1
                                        : UINT64_MAX;
        }
        c->of[i].missing &= ~(UINT64_C(1) << (conj->clause & 63));
        if (!c->of[i].missing) {
            *id = conj->id;
            return true;
        }
    }
    return false;
}

static const struct why_rule *lookup(struct why_run *, uint8_t table_id,
                                     bool with_conjunctions);

/* The rule for a complete conjunction, or NULL. */
static const struct why_rule *
lookup_conjunction(struct why_run *run, uint8_t table_id, uint32_t id)
{
    const struct why_rule *rule;

    run->packet.flow.conj_id = id;
    rule = lookup(run, table_id, false);
    run->packet.flow.conj_id = 0;
    return rule;
}

/* Rules [first, end) have one priority. */
static const struct why_rule *
lookup_level(struct why_run *run, uint8_t table_id, size_t first, size_t end,
             bool with_conjunctions)
{
    const struct why_rule *rules = run->table->rules, *found = NULL;
    struct conjunctions c = {.n = 0};
    uint32_t id;

    run->chooser->work += end - first;
    for (size_t i = first; i < end && !found; i++) {
        if (!rules[i].is_conjunction && matches(run, &rules[i])) {
            found = &rules[i];
        }
    }
    for (size_t i = first; i < end && !found && with_conjunctions; i++) {
        if (rules[i].is_conjunction && matches(run, &rules[i]) &&
            add_clauses(&c, &rules[i], &id)) {
            found = lookup_conjunction(run, table_id, id);
        }
    }
    free(c.of);
    return found;
}

static const struct why_rule *
lookup(struct why_run *run, uint8_t table_id, bool with_conjunctions)
{
    const struct of_why_table *t = run->table;
    const struct why_rule *found = NULL;
    size_t end = t->first[table_id + 1];

    for (size_t i = t->first[table_id]; i < end && !found;) {
        size_t next = i + 1;

        while (next < end &&
               t->rules[next].r.priority == t->rules[i].r.priority) {
            next++;
        }
        found = lookup_level(run, table_id, i, next, with_conjunctions);
        i = next;
    }
    return found;
}

/* Says so when another rule of the same priority matches too. */
static void
check_others(struct why_run *run, const struct why_rule *found)
{
    const struct of_why_table *t = run->table;

    for (const struct why_rule *r = found + 1;
         r < &t->rules[t->first[found->r.table_id + 1]] &&
         r->r.priority == found->r.priority;
         r++) {
        if (!r->is_conjunction &&
            why_packet_match(&run->packet, &r->match) == WHY_YES) {
            why_run_uncertain(
                run,
                "v%u and v%u of table %u have the same priority and both "
                "match: which of them a switch takes is not defined",
                (unsigned) found->r.version, (unsigned) r->r.version,
                found->r.table_id);
            return;
        }
    }
}

/* Fills in why the rule that was asked for is not the one found. */
static void
explain(struct why_run *run, uint8_t table_id, const struct why_rule *found)
{
    const struct of_why_table *t = run->table;
    struct of_why_not *not = run->not ;

    if (!not || not ->is_reached) {
        return;
    }
    for (size_t i = t->first[table_id]; i < t->first[table_id + 1]; i++) {
        const struct why_rule *rule = &t->rules[i];

        if (rule->r.version != run->not_version) {
            continue;
        }
        not ->is_reached = true;
        not ->step = run->path->n_steps;
        not ->is_matched = rule == found;
        if (rule == found) {
            return;
        }
        why_packet_explain(&run->packet, &rule->match, not );
        if (!not ->n_fields && found) {
            not ->shadowed_by = found->r.version;
            not ->is_undefined = found->r.priority == rule->r.priority;
        }
        return;
    }
}

/* The rule that would match if 'found' did not stand; NULL when none does for
 * certain. */
static const struct why_rule *
find_next(struct why_run *run, const struct why_rule *found)
{
    const struct of_why_table *t = run->table;
    const struct why_rule *end = &t->rules[t->first[found->r.table_id + 1]];

    for (const struct why_rule *r = found + 1; r < end; r++) {
        enum why_match match = r->is_conjunction
                                   ? WHY_NO
                                   : why_packet_match(&run->packet, &r->match);

        if (match != WHY_NO) {
            return match == WHY_YES ? r : NULL;
        }
    }
    return NULL;
}

const struct why_rule *
why_lookup(struct why_run *run, uint8_t table_id, const struct why_rule **next)
{
    struct flow *flow = &run->packet.flow;
    ovs_be16 tp_src = flow->tp_src, tp_dst = flow->tp_dst;
    const struct why_rule *found;

    /* The ports of fragments count as zero (frag handling "normal"). */
    if (flow->nw_frag & FLOW_NW_FRAG_ANY) {
        flow->tp_src = flow->tp_dst = 0;
    }
    found = lookup(run, table_id, true);
    if (found) {
        check_others(run, found);
    }
    explain(run, table_id, found);
    *next = found ? find_next(run, found) : NULL;
    flow->tp_src = tp_src;
    flow->tp_dst = tp_dst;
    return found;
}
