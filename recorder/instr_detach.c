/* SPDX-License-Identifier: Apache-2.0 */
/* instr_detach - takes all that is ours out of a switch again. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"

/* Open vSwitch keeps an option while rules that had it are not quite gone. */
#define TLV_RETRY_NS  UINT64_C(20000000)
#define TLV_MAX_TRIES 100

/* Rules and groups as they were written, ours gone.  In one bundle, unless the
 * switch has refused that. */
static void
strip(struct instr_change *c, bool in_bundle)
{
    struct instr *instr = c->instr;
    struct shadow_rule **rules;
    size_t n;

    if (in_bundle) {
        instr_bundle_begin(c);
    }
    if (instr->n_groups) {
        instr_counts_ask_all(c);
    }
    for (size_t i = 0; i < instr->n_groups; i++) {
        instr_group_rewrite(c, instr->groups[i]);
    }
    rules = instr_shadow_all(instr->shadow, &n);
    for (size_t i = 0; i < n; i++) {
        instr_flow_rewrite(c, rules[i]);
    }
    free(rules);
    instr_own_withdraw(c);
    instr_bundle_end(c);
    instr->detach_tag = c->tag;
    instr->detach_barrier = instr_change_barrier(c);
}

void
instr_detach(struct instr *instr, uint64_t now_ns, struct instr_out *out)
{
    struct instr_link *link = instr_link_choose(instr);
    struct instr_change c;

    if (!link || !instr->is_ready) {
        out->became_detached = true;
        return;
    }
    instr->is_detached = true;
    instr->watch.n_due = 0;
    instr_inject_drop(instr);
    instr_change_init(&c, link, out, now_ns, "recorder");
    strip(&c, true);
}

void
instr_detach_refused(struct instr_change *c, uint64_t tag)
{
    struct instr *instr = c->instr;

    if (!tag || tag != instr->detach_tag) {
        return;
    }
    instr->detach_tag = 0;
    if (instr->n_tlv_tries) {
        instr->has_tlv = instr->n_tlv_tries < TLV_MAX_TRIES;
    } else {
        struct instr_change own;

        instr_change_init(&own, c->link, c->out, c->now_ns, "recorder");
        strip(&own, false);
        instr->detach_tag = 0;
    }
}

void
instr_detach_passed(struct instr_change *c, uint64_t tag)
{
    if (!tag || tag != c->instr->detach_barrier) {
        return;
    }
    if (c->instr->has_tlv) {
        c->instr->detach_due_ns = c->now_ns + TLV_RETRY_NS;
    } else {
        c->out->became_detached = true;
    }
}

void
instr_detach_wait(struct instr_change *c)
{
    if (c->instr->is_detached) {
        c->instr->detach_barrier = instr_change_barrier(c);
    }
}

uint64_t
instr_detach_due_ns(const struct instr *instr)
{
    return instr->detach_due_ns ? instr->detach_due_ns : UINT64_MAX;
}

void
instr_detach_run(struct instr *instr, uint64_t now_ns, struct instr_out *out)
{
    struct instr_link *link = instr_link_choose(instr);
    struct instr_change c;

    if (instr->detach_due_ns && instr->detach_due_ns <= now_ns && link) {
        instr->detach_due_ns = 0;
        instr->n_tlv_tries++;
        instr_change_init(&c, link, out, now_ns, "recorder");
        instr_tlv_withdraw(&c);
        instr->detach_tag = c.tag;
        instr->detach_barrier = instr_change_barrier(&c);
    }
}
