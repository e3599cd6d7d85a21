/* SPDX-License-Identifier: Apache-2.0 */
/* instr_clock - what is due when people's clock is put back.
 *
 * Times in the log are those of people's clock, and so is what is due.  When
 * somebody puts that clock back, what waits for a moment would wait for as
 * long as that: so it moves with the clock.  When it is put forward, things
 * happen a moment too early, which does no harm. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>

/* 0 means "none" and stays. */
static void
put_back(uint64_t *ns, uint64_t by_ns)
{
    if (*ns) {
        *ns = *ns > by_ns ? *ns - by_ns : 1;
    }
}

void
instr_clock_put_back(struct instr *instr, uint64_t by_ns)
{
    struct instr_watch *w = &instr->watch;
    struct shadow_rule **rules;
    size_t n;

    for (struct instr_link *link = instr->links; link; link = link->next) {
        put_back(&link->fence_ns, by_ns);
        put_back(&link->probe_ns, by_ns);
    }
    put_back(&instr->regroup_due_ns, by_ns);
    put_back(&instr->detach_due_ns, by_ns);
    put_back(&instr->tlv_move.due_ns, by_ns);
    put_back(&instr->load.asked_ns, by_ns);
    put_back(&instr->load.last_ns, by_ns);
    instr->expiry.ahead_ns -= by_ns;
    put_back(&w->window_ns, by_ns);
    put_back(&w->burst.window_ns, by_ns);
    put_back(&w->burst.busy_ns, by_ns);
    put_back(&w->burst.since_ns, by_ns);
    put_back(&w->burst.due_ns, by_ns);
    put_back(&w->others_ns, by_ns);
    put_back(&w->misses_due_ns, by_ns);
    put_back(&w->misses_since_ns, by_ns);
    put_back(&w->first_due_ns, by_ns);
    for (size_t i = 0; i < w->n_due; i++) {
        put_back(&w->due[i].at_ns, by_ns);
    }
    rules = instr_shadow_all(instr->shadow, &n);
    for (size_t i = 0; i < n; i++) {
        put_back(&rules[i]->disturbed_ns, by_ns);
    }
    free(rules);
}
