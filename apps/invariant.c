/* SPDX-License-Identifier: Apache-2.0 */
/* invariant - what must hold of all packets. */
#include <config.h>
#include "apps/invariant.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

void
invariant_set_add(struct invariant_set *set, enum invariant_member_kind kind,
                  const char *text, const char *port)
{
    set->members = lh_alloc_grow(set->members, set->n, &set->allocated,
                                 sizeof *set->members);
    set->members[set->n++] = (struct invariant_member){
        kind, lh_strdup(text), port ? lh_strdup(port) : NULL};
}

void
invariant_set_add_set(struct invariant_set *set,
                      const struct invariant_set *other)
{
    for (size_t i = 0; i < other->n; i++) {
        const struct invariant_member *m = &other->members[i];

        invariant_set_add(set, m->kind, m->text, m->port);
    }
}

void
invariant_set_uninit(struct invariant_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        free(set->members[i].text);
        free(set->members[i].port);
    }
    free(set->members);
    free(set->text);
    memset(set, 0, sizeof *set);
}

void
invariant_uninit(struct invariant *inv)
{
    for (size_t i = 0; i < inv->n_stops; i++) {
        for (size_t j = 0; j < inv->stops[i].n; j++) {
            free(inv->stops[i].switches[j]);
        }
        free(inv->stops[i].switches);
    }
    for (size_t i = 0; i < inv->n_filters; i++) {
        free(inv->filters[i].phf);
        free(inv->filters[i].about);
    }
    invariant_set_uninit(&inv->from);
    invariant_set_uninit(&inv->to);
    free(inv->stops);
    free(inv->filters);
    free(inv->matching);
    free(inv->except);
    free(inv->name);
    free(inv->text);
    memset(inv, 0, sizeof *inv);
}

bool
invariant_is_reach(const struct invariant *inv)
{
    return inv->kind == INVARIANT_REACH_WITHIN ||
           inv->kind == INVARIANT_REACH_EVERY;
}

/* Whether some way of 'h' ended without delivery beyond doubt. */
static bool
has_surely_ended(const struct history *h)
{
    for (size_t i = 0; i < h->n_hops; i++) {
        const struct verdict *v = &h->hops[i].verdict;

        switch (v->name) {
        case VERDICT_LOST:
            if (v->evidence == EVIDENCE_COMPLETE) {
                return true;
            }
            break;
        case VERDICT_DROPPED:
        case VERDICT_LOOPED:
        case VERDICT_CONTROLLER:
            return true;
        case VERDICT_NONE:
        case VERDICT_DELIVERED:
        case VERDICT_OPEN:
            break;
        }
    }
    return false;
}

static bool
has_gap(const struct history *h)
{
    for (size_t i = 0; i < h->n_hops; i++) {
        if (h->hops[i].has_gap_before) {
            return true;
        }
    }
    return false;
}

bool
invariant_is_uncertain(const struct invariant *inv, const struct history *h)
{
    switch (inv->kind) {
    case INVARIANT_NO_BLACK_HOLES:
    case INVARIANT_NO_LOSSES:
    case INVARIANT_REACH_WITHIN:
    case INVARIANT_REACH_EVERY:
        return !has_surely_ended(h);
    case INVARIANT_WAYPOINT:
    case INVARIANT_EQUALS:
        return has_gap(h);
    case INVARIANT_NO_LOOPS:
    case INVARIANT_NO_DROPS:
    case INVARIANT_NO_PUNTS:
    case INVARIANT_NO_TRAFFIC:
    case INVARIANT_ISOLATE:
    case INVARIANT_AT_MOST:
        break;
    }
    return false;
}
