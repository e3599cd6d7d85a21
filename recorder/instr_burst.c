/* SPDX-License-Identifier: Apache-2.0 */
/* instr_burst - no flow monitor of our own while many flow-mods come.
 *
 * Open vSwitch sends a message to every monitor for every flow-mod, which
 * costs it and us more than the flow-mod.  So in a burst the monitor is ended,
 * and begun again when it is calm; what others did meanwhile shows in what
 * then stands.  To read that costs a fraction of a flow-mod for each rule, so
 * the more rules stand, the longer a burst must last to be worth it.  While a
 * burst does not end there is a look now and then. */
#include <config.h>
#include "recorder/instr_state.h"

#define MS UINT64_C(1000000)

/* A burst is so many flow-mods in a window, and so many for the rules that
 * stand. */
#define WINDOW_NS     (100 * MS)
#define MANY          64
#define RULES_PER_MOD 8

#define CALM_NS         (500 * MS)
#define BETWEEN_NS      (10000 * MS)
#define BETWEEN_RULE_NS (MS / 10)

static uint64_t
between_ns(const struct instr *instr)
{
    return instr->watch.burst.since_ns + BETWEEN_NS +
           instr_shadow_count(instr->shadow) * BETWEEN_RULE_NS;
}

static void
plan(struct instr *instr)
{
    struct instr_burst *b = &instr->watch.burst;

    b->due_ns = b->busy_ns + CALM_NS;
    if (between_ns(instr) < b->due_ns) {
        b->due_ns = between_ns(instr);
    }
}

/* True when the monitor can be done without, and that is worth it. */
static bool
is_worth_it(const struct instr *instr)
{
    const struct instr_watch *w = &instr->watch;

    return w->link && w->link->base.id && !w->link->base.is_full &&
           !instr_monitor_has_any(w->link) &&
           (w->is_told || !w->burst.is_between) &&
           w->burst.n_run >= instr_shadow_count(instr->shadow) / RULES_PER_MOD;
}

static void
suspend(struct instr_change *c)
{
    struct instr *instr = c->instr;
    struct instr_watch *w = &instr->watch;
    struct instr_change own;

    w->burst.is_suspended = true;
    w->burst.is_between = false;
    w->burst.since_ns = c->now_ns;
    plan(instr);
    w->is_told = false; /* When it was not, the look is given up. */
    instr->counters.watch_suspended++;
    instr_change_init(&own, w->link, c->out, c->now_ns, "recorder");
    instr_base_adapt(&own);
}

void
instr_burst_note(struct instr_change *c)
{
    struct instr *instr = c->instr;
    struct instr_watch *w = &instr->watch;
    struct instr_burst *b = &w->burst;
    uint64_t age_ns = c->now_ns - b->window_ns;

    if (age_ns >= WINDOW_NS) {
        if (b->n_window < MANY || age_ns >= 2 * WINDOW_NS) {
            b->n_run = 0;
        }
        b->window_ns = c->now_ns;
        b->n_window = 0;
    }
    b->n_run++;
    if (++b->n_window < MANY) {
        return;
    }
    b->busy_ns = c->now_ns;
    if (!b->is_suspended && is_worth_it(instr)) {
        suspend(c);
    }
}

uint64_t
instr_burst_due_ns(const struct instr *instr)
{
    const struct instr_burst *b = &instr->watch.burst;

    return b->is_suspended ? b->due_ns : UINT64_MAX;
}

void
instr_burst_run(struct instr *instr, uint64_t now_ns, struct instr_out *out)
{
    struct instr_watch *w = &instr->watch;
    struct instr_burst *b = &w->burst;
    struct instr_change own;
    bool is_calm = now_ns - b->busy_ns >= CALM_NS;

    if (!b->is_suspended || now_ns < b->due_ns) {
        return;
    }
    if (!instr->is_ready) {
        b->due_ns = now_ns + CALM_NS;
        return;
    }
    if (!is_calm && now_ns < between_ns(instr)) {
        plan(instr);
        return;
    }
    b->is_suspended = false;
    b->is_between = !is_calm;
    instr_change_init(&own, w->link, out, now_ns, "recorder");
    instr_base_adapt(&own);
}

void
instr_burst_told(struct instr_change *c, bool is_whole)
{
    struct instr_burst *b = &c->instr->watch.burst;

    b->is_between = false;
    if (!is_whole && !c->link->base.is_full) {
        b->busy_ns = c->now_ns;
        suspend(c);
    }
}

void
instr_burst_end(struct instr *instr)
{
    instr->watch.burst.is_suspended = false;
}
