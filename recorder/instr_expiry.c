/* SPDX-License-Identifier: Apache-2.0 */
/* instr_expiry - hard timeouts of rules that were rewritten. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"

#define S_NS UINT64_C(1000000000)
/* Changes of people's clock that are not looked at. */
#define JITTER_NS UINT64_C(10000000)
/* So many rules may be gone unnoticed. */
#define MIN_FORGET 1024

uint64_t
instr_expiry_clock(const struct instr_change *c)
{
    const struct instr_config *config = &c->instr->config;

    return config->steady_ns ? config->steady_ns(config->aux) : c->now_ns;
}

void
instr_expiry_begin(const struct instr_change *c, struct shadow_rule *rule,
                   uint64_t age_ns)
{
    uint64_t now_ns = instr_expiry_clock(c);

    rule->began_ns = now_ns > age_ns ? now_ns - age_ns : 0;
    rule->is_renewed = rule->is_over = false;
}

void
instr_expiry_found(const struct instr_change *c, struct shadow_rule *rule,
                   const struct of_flow_record *record)
{
    uint64_t age_ns = record->duration_sec * S_NS + record->duration_nsec;

    if (record->hard_age >= 0 &&
        (uint32_t) record->hard_age != record->duration_sec) {
        age_ns = (uint64_t) record->hard_age * S_NS;
    }
    if (rule->hard_timeout && age_ns >= rule->hard_timeout * S_NS) {
        age_ns = 0; /* It was changed, nobody says when. */
    }
    instr_expiry_begin(c, rule, age_ns);
}

int
instr_expiry_hard_age(const struct instr_change *c,
                      const struct shadow_rule *rule)
{
    uint64_t now_ns = instr_expiry_clock(c);

    return now_ns > rule->began_ns ? (int) ((now_ns - rule->began_ns) / S_NS)
                                   : 0;
}

/* --- The heap. --- */

static void
swap(struct instr_ending *a, struct instr_ending *b)
{
    struct instr_ending t = *a;

    *a = *b;
    *b = t;
}

static void
push(struct instr_expiry *e, struct instr_ending ending)
{
    size_t i = e->n++;

    e->heap = lh_alloc_grow(e->heap, i, &e->allocated, sizeof *e->heap);
    e->heap[i] = ending;
    for (; i && e->heap[i].due_ns < e->heap[(i - 1) / 2].due_ns;
         i = (i - 1) / 2) {
        swap(&e->heap[i], &e->heap[(i - 1) / 2]);
    }
}

static uint32_t
pop(struct instr_expiry *e)
{
    uint32_t version = e->heap[0].version;
    size_t i = 0;

    e->heap[0] = e->heap[--e->n];
    for (;;) {
        size_t least = 2 * i + 1;

        if (least + 1 < e->n &&
            e->heap[least + 1].due_ns < e->heap[least].due_ns) {
            least++;
        }
        if (least >= e->n || e->heap[i].due_ns <= e->heap[least].due_ns) {
            return version;
        }
        swap(&e->heap[i], &e->heap[least]);
        i = least;
    }
}

/* Where rules come and go faster than their time is over, those that have gone
 * do not wait for it. */
static void
forget_gone(struct instr *instr)
{
    struct instr_expiry *e = &instr->expiry;
    size_t n = e->n;

    if (n < MIN_FORGET || n / 2 < instr_shadow_count(instr->shadow)) {
        return;
    }
    e->n = 0;
    for (size_t i = 0; i < n; i++) {
        struct instr_ending ending = e->heap[i];

        if (instr_shadow_by_version(instr->shadow, ending.version)) {
            push(e, ending);
        }
    }
}

void
instr_expiry_renewed(struct instr_change *c, struct shadow_rule *rule)
{
    struct instr_expiry *e = &c->instr->expiry;
    uint64_t ahead_ns;

    if (rule->is_renewed) {
        return;
    }
    rule->is_renewed = true;
    if (!rule->hard_timeout) {
        return;
    }
    ahead_ns = c->now_ns - instr_expiry_clock(c);
    if (ahead_ns - e->ahead_ns + JITTER_NS > 2 * JITTER_NS) {
        e->ahead_ns = ahead_ns;
    }
    forget_gone(c->instr);
    push(e, (struct instr_ending){.due_ns = rule->began_ns +
                                            rule->hard_timeout * S_NS,
                                  .version = rule->version});
}

/* --- The end. --- */

/* While it is not known what others do, a rule that is due may have been
 * changed by them and have more time. */
static bool
is_blind(const struct instr *instr)
{
    return !instr->is_ready || (instr->watch.link && !instr->watch.is_told) ||
           instr->watch.burst.is_suspended;
}

uint64_t
instr_expiry_due_ns(const struct instr *instr)
{
    const struct instr_expiry *e = &instr->expiry;

    return e->n && !is_blind(instr) ? e->heap[0].due_ns + e->ahead_ns
                                    : UINT64_MAX;
}

void
instr_expiry_run(struct instr *instr, uint64_t now_ns, struct instr_out *out)
{
    struct instr_expiry *e = &instr->expiry;
    struct instr_change c = {.instr = instr, .now_ns = now_ns};
    uint64_t clock_ns;

    if (!e->n || is_blind(instr)) {
        return;
    }
    clock_ns = instr_expiry_clock(&c);
    e->ahead_ns = now_ns - clock_ns;
    while (e->n && e->heap[0].due_ns <= clock_ns) {
        e->over = lh_alloc_grow(e->over, e->n_over, &e->allocated_over,
                                sizeof *e->over);
        e->over[e->n_over++] = pop(e);
    }
    if (e->n_over > e->n_sent) {
        instr_owe(instr, OWES_EXPIRY);
        instr_owed_pay(instr, now_ns, out);
    }
}

/* Deletes 'rule' in the switch.  It stays in the shadow until the switch has
 * said so. */
static void
end_rule(struct instr_change *c, struct shadow_rule *rule)
{
    struct of_flow flow;
    uint8_t *msg;
    size_t len;

    shadow_rule_to_flow(rule, &flow);
    flow.command = OF_FLOW_DELETE_STRICT;
    flow.acts = (struct of_acts) OF_ACTS_INIT;
    flow.flags = 0;
    flow.cookie = rule->cookie;
    flow.cookie_mask = UINT64_MAX;
    rule->is_over = true;
    if (!of_flow_encode(&flow, c->link->of_version, 0, &msg, &len)) {
        instr_emit_own(c, msg, len);
    }
}

void
instr_expiry_pay(struct instr_change *c)
{
    struct instr_expiry *e = &c->instr->expiry;

    if (e->tag) {
        return; /* One after the other. */
    }
    for (size_t i = 0; i < e->n_over; i++) {
        struct shadow_rule *rule =
            instr_shadow_by_version(c->instr->shadow, e->over[i]);

        if (rule) {
            end_rule(c, rule);
        }
    }
    e->n_sent = e->n_over;
    e->tag = c->tag;
    instr_ask_barrier(c);
}

static void
forget_sent(struct instr *instr)
{
    struct instr_expiry *e = &instr->expiry;

    for (size_t i = e->n_sent; i < e->n_over; i++) {
        e->over[i - e->n_sent] = e->over[i];
    }
    e->n_over -= e->n_sent;
    e->n_sent = 0;
    e->tag = 0;
    if (e->n_over) {
        instr_owe(instr, OWES_EXPIRY);
    }
}

void
instr_expiry_passed(struct instr_change *c, uint64_t tag)
{
    struct instr_expiry *e = &c->instr->expiry;

    if (!e->tag || tag != e->tag) {
        return;
    }
    for (size_t i = 0; i < e->n_sent; i++) {
        struct shadow_rule *rule =
            instr_shadow_by_version(c->instr->shadow, e->over[i]);

        if (rule && rule->is_over) {
            /* The switch tells of its end a moment later, if at all. */
            instr_tomb_add(c->instr, rule);
            instr_removed_take(c, rule, "hard_timeout");
        }
    }
    forget_sent(c->instr);
}

void
instr_expiry_refused(struct instr *instr, uint64_t tag)
{
    struct instr_expiry *e = &instr->expiry;

    if (!e->tag || tag != e->tag) {
        return;
    }
    for (size_t i = 0; i < e->n_sent; i++) {
        struct shadow_rule *rule =
            instr_shadow_by_version(instr->shadow, e->over[i]);

        if (rule) {
            rule->is_over = false;
        }
    }
    forget_sent(instr);
}

void
instr_expiry_destroy(struct instr *instr)
{
    free(instr->expiry.heap);
    free(instr->expiry.over);
    instr->expiry = (struct instr_expiry){.n = 0};
}
