/* SPDX-License-Identifier: Apache-2.0 */
/* instr_expiry - hard timeouts of rules that were rewritten; for the files of
 * instr only, which include recorder/instr_state.h.
 *
 * With every MODIFY Open vSwitch begins a rule's hard timeout anew.  When it
 * is the recorder that modifies a rule, the timeout goes on for the
 * controller: at its end the recorder deletes the rule, and says of it that it
 * has timed out.
 *
 * Threads: one at a time. */
#ifndef RECORDER_INSTR_EXPIRY_H
#define RECORDER_INSTR_EXPIRY_H 1

#include <stddef.h>
#include <stdint.h>

#include "recorder/instr.h"
#include "recorder/instr_shadow.h"

struct instr_change;

struct instr_ending {
    uint64_t due_ns; /* By the steady clock. */
    uint32_t version;
};

struct instr_expiry {
    struct instr_ending *heap; /* The next one first.  Owned. */
    size_t n, allocated;
    uint32_t *over; /* Versions whose time is over.  Owned. */
    size_t n_over, allocated_over;
    size_t n_sent;     /* The first of these have been deleted... */
    uint64_t tag;      /* ...by messages with this one; 0: none have. */
    uint64_t ahead_ns; /* What people's clock is ahead of the steady one. */
};

/* The time by the clock that does not jump. */
uint64_t instr_expiry_clock(const struct instr_change *);
/* The rule has come or was changed, by who owns it, 'age_ns' ago. */
void instr_expiry_begin(const struct instr_change *, struct shadow_rule *,
                        uint64_t age_ns);
/* The rule stands in the switch, as 'record' says.  Only OpenFlow 1.0 tells
 * when it was last changed; elsewhere that counts as when it was added, unless
 * it has outlived that. */
void instr_expiry_found(const struct instr_change *, struct shadow_rule *,
                        const struct of_flow_record *);
/* The switch has begun its time anew, or may have, which its owner does not
 * know. */
void instr_expiry_renewed(struct instr_change *, struct shadow_rule *);
/* Seconds since the owner changed it. */
int instr_expiry_hard_age(const struct instr_change *,
                          const struct shadow_rule *);

/* As instr_due_ns() and instr_run(). */
uint64_t instr_expiry_due_ns(const struct instr *);
void instr_expiry_run(struct instr *, uint64_t now_ns, struct instr_out *);
/* Sends what is due. */
void instr_expiry_pay(struct instr_change *);
/* The answer to a barrier of ours, or an error instead. */
void instr_expiry_passed(struct instr_change *, uint64_t tag);
void instr_expiry_refused(struct instr *, uint64_t tag);
void instr_expiry_destroy(struct instr *);

#endif /* recorder/instr_expiry.h */
