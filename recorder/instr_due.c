/* SPDX-License-Identifier: Apache-2.0 */
/* instr_due - when rules that others wrote are given their postcards, and what
 * else is due.
 *
 * When a rule has been left alone for a moment; each further change makes the
 * moment twice as long.  Where others undo each time what we do the rule is
 * left to them. */
#include <config.h>
#include "recorder/instr_miss.h"
#include "recorder/instr_state.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"

#define QUIET_NS     UINT64_C(20000000)
#define CALM_NS      UINT64_C(10000000000)
#define MAX_DOUBLING 12
#define CONTESTED    5

/* A rule that others have changed so often in a row, each time before our
 * postcards had stood in it for so long, is theirs. */
#define GIVE_UP   6
#define UNDONE_NS UINT64_C(1000000000)

/* So long until it is tried again where nothing may be changed: no connection
 * has the role for it, or the tables are being read. */
#define HELD_NS UINT64_C(100000000)
/* So many versions may be gone unnoticed. */
#define MIN_FORGET 1024

/* How long to wait after the last change of 'rule'. */
static uint64_t
quiet_ns(const struct shadow_rule *rule)
{
    unsigned int n = rule->n_disturbed;

    return QUIET_NS << (n < MAX_DOUBLING ? n : MAX_DOUBLING);
}

void
instr_due_disturb(struct shadow_rule *next, const struct shadow_rule *rule,
                  uint64_t now_ns)
{
    uint64_t due_ns = rule->disturbed_ns + quiet_ns(rule);
    uint8_t n = rule->n_disturbed, n_undone = rule->n_undone;

    if (now_ns >= due_ns) {
        bool is_undone = rule->disturbed_ns && now_ns < due_ns + UNDONE_NS;

        n_undone = is_undone ? n_undone + (n_undone < GIVE_UP) : 0;
    }
    if (rule->disturbed_ns + CALM_NS <= now_ns) {
        n = 0;
    } else if (n < UINT8_MAX) {
        n++;
    }
    next->is_left = rule->is_left;
    next->n_undone = n_undone;
    next->n_disturbed = n;
    next->disturbed_ns = now_ns;
}

static void
give_up(struct instr_change *c, struct shadow_rule *rule)
{
    struct instr_out *out = c->out;
    char *match = of_match_to_text(rule->match);

    rule->is_left = true;
    c->instr->counters.given_up++;
    out->events = lh_alloc_grow(out->events, out->n_events,
                                &out->allocated_events, sizeof *out->events);
    out->events[out->n_events++] = (struct instr_event){
        .kind = "given-up",
        .text = lh_asprintf(
            "table=%u,priority=%u%s%s: others have taken its postcards off "
            "%d times in a row, so it is left without until the selections "
            "change or the bridge is attached again",
            rule->table_id, rule->priority, *match ? "," : "", match,
            GIVE_UP)};
    free(match);
}

bool
instr_due_has(const struct instr_watch *w, uint32_t version)
{
    for (size_t i = 0; i < w->n_due; i++) {
        if (w->due[i].version == version) {
            return true;
        }
    }
    return false;
}

static void
see_first(struct instr_watch *w)
{
    w->first_due_ns = UINT64_MAX;
    for (size_t i = 0; i < w->n_due; i++) {
        if (w->due[i].at_ns < w->first_due_ns) {
            w->first_due_ns = w->due[i].at_ns;
        }
    }
}

/* A rule that is changed again and again leaves a version each time. */
static void
forget_gone(struct instr *instr)
{
    struct instr_watch *w = &instr->watch;
    size_t n = w->n_due;

    if (n < MIN_FORGET || n / 2 < instr_shadow_count(instr->shadow)) {
        return;
    }
    w->n_due = 0;
    for (size_t i = 0; i < n; i++) {
        if (instr_shadow_by_version(instr->shadow, w->due[i].version)) {
            w->due[w->n_due++] = w->due[i];
        }
    }
    see_first(w);
}

void
instr_due_plan(struct instr_change *c, struct shadow_rule *rule)
{
    struct instr_watch *w = &c->instr->watch;
    uint64_t at_ns = c->now_ns + quiet_ns(rule);

    if (rule->n_undone >= GIVE_UP && !rule->is_left) {
        give_up(c, rule);
    }
    if (rule->is_left) {
        rule->is_instrumented = false;
        return;
    }
    if (rule->n_disturbed >= CONTESTED) {
        c->instr->counters.contested++;
    }
    forget_gone(c->instr);
    w->due =
        lh_alloc_grow(w->due, w->n_due, &w->allocated_due, sizeof *w->due);
    if (!w->n_due || at_ns < w->first_due_ns) {
        w->first_due_ns = at_ns;
    }
    w->due[w->n_due++] =
        (struct instr_due){.version = rule->version, .at_ns = at_ns};
}

uint64_t
instr_due_ns(const struct instr *instr)
{
    const struct instr_watch *w = &instr->watch;
    uint64_t first = instr_detach_due_ns(instr);

    if (instr_tlv_move_due_ns(instr) < first) {
        first = instr_tlv_move_due_ns(instr);
    }
    if (instr_regroup_due_ns(instr) < first) {
        first = instr_regroup_due_ns(instr);
    }
    if (instr_miss_due_ns(instr) < first) {
        first = instr_miss_due_ns(instr);
    }
    if (instr_burst_due_ns(instr) < first) {
        first = instr_burst_due_ns(instr);
    }
    if (instr_expiry_due_ns(instr) < first) {
        first = instr_expiry_due_ns(instr);
    }
    return w->n_due && w->first_due_ns < first ? w->first_due_ns : first;
}

void
instr_run(struct instr *instr, uint64_t now_ns, struct instr_out *out)
{
    struct instr_watch *w = &instr->watch;
    struct instr_link *link = instr_link_choose(instr);
    struct instr_change c;
    size_t n_left = 0;

    instr_detach_run(instr, now_ns, out);
    instr_tlv_move_run(instr, now_ns, out);
    instr_regroup_run(instr, now_ns, out);
    instr_miss_run(instr, now_ns, out);
    instr_burst_run(instr, now_ns, out);
    instr_expiry_run(instr, now_ns, out);
    if (!w->n_due || w->first_due_ns > now_ns) {
        return;
    }
    if (!link || !instr->is_ready) {
        w->first_due_ns = now_ns + HELD_NS;
        return;
    }
    instr_change_init(&c, link, out, now_ns, "recorder");
    for (size_t i = 0; i < w->n_due; i++) {
        struct shadow_rule *rule;

        if (w->due[i].at_ns > now_ns) {
            w->due[n_left++] = w->due[i];
            continue;
        }
        rule = instr_shadow_by_version(instr->shadow, w->due[i].version);
        if (rule && instr_select_is_on(instr)) {
            instr->counters.reinstrumented++;
            instr_flow_rewrite(&c, rule);
        }
    }
    w->n_due = n_left;
    see_first(w);
}
