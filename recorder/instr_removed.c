/* SPDX-License-Identifier: Apache-2.0 */
/* instr_removed - what the switch says has been removed.
 *
 * Rules with a timeout are installed so that the switch tells us when they go,
 * whether the controller asked or not.  A tomb remembers a rule that we have
 * taken out of the shadow and that the switch may still speak of. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

/* A rule that goes by its own timeouts is not older than its entry in the
 * shadow; the clocks may differ by so much. */
#define SLACK_NS UINT64_C(1000000000)

void
instr_tomb_add(struct instr *instr, const struct shadow_rule *rule)
{
    struct instr_tomb *tomb;

    if (rule->is_foreign || (!(rule->flags & OF_FLOW_SEND_REMOVED) &&
                             !rule->idle_timeout && !rule->hard_timeout)) {
        return;
    }
    if (!instr->tombs) {
        instr->tombs = lh_alloc_zero(N_TOMBS * sizeof *instr->tombs);
    }
    if (instr->n_tombs == N_TOMBS) {
        of_match_destroy(instr->tombs[instr->first_tomb].match);
        instr->first_tomb = (instr->first_tomb + 1) % N_TOMBS;
        instr->n_tombs--;
    }
    tomb = &instr->tombs[(instr->first_tomb + instr->n_tombs++) % N_TOMBS];
    tomb->match = of_match_clone(rule->match);
    tomb->table_id = rule->table_id;
    tomb->priority = rule->priority;
    tomb->is_wanted = rule->flags & OF_FLOW_SEND_REMOVED;
    tomb->is_over = rule->is_over;
}

void
instr_tomb_destroy(struct instr *instr)
{
    for (size_t i = 0; i < instr->n_tombs; i++) {
        of_match_destroy(
            instr->tombs[(instr->first_tomb + i) % N_TOMBS].match);
    }
    free(instr->tombs);
    instr->tombs = NULL;
    instr->n_tombs = 0;
}

/* What becomes of a flow-removed. */
#define TELL 1 /* The controller wants to know... */
#define AS_HARD                                                               \
    2 /* ...that the hard timeout is up, for which we deleted it. */

static int
outcome(bool is_wanted, bool is_over)
{
    return (is_wanted ? TELL : 0) | (is_over ? AS_HARD : 0);
}

/* Finds the oldest tomb of the rule and empties it: what becomes of the
 * message, -1 when there is none. */
static int
take_tomb(struct instr *instr, const struct of_flow_removed *removed)
{
    int result = -1;

    for (size_t i = 0; i < instr->n_tombs; i++) {
        struct instr_tomb *tomb =
            &instr->tombs[(instr->first_tomb + i) % N_TOMBS];

        if (tomb->match && tomb->table_id == removed->table_id &&
            tomb->priority == removed->priority &&
            of_match_equal(tomb->match, removed->match)) {
            of_match_destroy(tomb->match);
            tomb->match = NULL;
            result = outcome(tomb->is_wanted, tomb->is_over);
            break;
        }
    }
    while (instr->n_tombs && !instr->tombs[instr->first_tomb].match) {
        instr->first_tomb = (instr->first_tomb + 1) % N_TOMBS;
        instr->n_tombs--;
    }
    return result;
}

const char *
instr_removed_reason(uint8_t reason)
{
    switch (reason) {
    case OF_FLOW_IDLE:
        return "idle_timeout";
    case OF_FLOW_HARD:
        return "hard_timeout";
    case OF_FLOW_GROUP_DELETED:
        return "group_delete";
    case OF_FLOW_METER_DELETED:
        return "meter_delete";
    case OF_FLOW_EVICTED:
        return "eviction";
    default:
        return "delete";
    }
}

/* True when 'rule' is what the switch has removed, and not what stood there
 * before it. */
static bool
is_this(const struct shadow_rule *rule, const struct of_flow_removed *removed,
        uint64_t now_ns)
{
    return removed->duration_ns <= now_ns - rule->installed_ns + SLACK_NS ||
           now_ns < rule->installed_ns;
}

void
instr_removed_take(struct instr_change *c, struct shadow_rule *rule,
                   const char *reason)
{
    struct instr *instr = c->instr;

    instr_shadow_take(instr->shadow, rule);
    instr_gone(c->out, rule->version, reason);
    instr_own_free_indexes(c, rule->indexes, rule->n_indexes);
    rule->gone_ns = c->now_ns;
    instr_past_put(instr, rule);
    instr_own_update(c);
    instr->counters.rules = instr_shadow_count(instr->shadow);
}

/* What the controller is told; the shadow is brought in line. */
static int
settle_first(struct instr_change *c, const struct of_flow_removed *removed)
{
    struct instr *instr = c->instr;
    struct shadow_rule *rule;
    bool by_itself = removed->reason == OF_FLOW_IDLE ||
                     removed->reason == OF_FLOW_HARD ||
                     removed->reason == OF_FLOW_EVICTED;
    bool is_wanted, is_over;
    int tomb;

    rule = instr_shadow_find(instr->shadow, removed->table_id,
                             removed->priority, removed->match);
    is_over = rule && rule->is_over;
    if (rule && (by_itself || is_over) && is_this(rule, removed, c->now_ns)) {
        tomb = -1;
    } else {
        tomb = take_tomb(instr, removed);
        if (tomb >= 0) {
            return tomb;
        }
    }
    if (!rule) {
        return TELL; /* Learned, say: the switch had a reason to. */
    }
    is_wanted = rule->is_foreign || rule->flags & OF_FLOW_SEND_REMOVED;
    is_over &= removed->reason == OF_FLOW_DELETED;
    instr_removed_take(c, rule,
                       is_over ? "hard_timeout"
                               : instr_removed_reason(removed->reason));
    return outcome(is_wanted, is_over);
}

/* The same, of what other connections may have told already. */
static int
settle(struct instr_change *c, const struct of_flow_removed *removed)
{
    uint32_t match = of_match_hash(removed->match);
    uint64_t hash;
    int result;

    if ((removed->cookie & OWN_COOKIE_MASK) == OWN_COOKIE) {
        instr_stats_own_gone(c, removed);
        return 0;
    }
    hash = instr_echo_hash(0, &match, sizeof match);
    hash = instr_echo_hash(hash, &removed->cookie, sizeof removed->cookie);
    hash = instr_echo_hash(hash, &removed->duration_ns,
                           sizeof removed->duration_ns);
    hash = instr_echo_hash(hash, &removed->priority, sizeof removed->priority);
    hash = instr_echo_hash(hash, &removed->table_id, 1);
    if (!instr_echo_take(c, hash, &result)) {
        result = settle_first(c, removed);
        instr_echo_put(c, hash, result);
    }
    return result;
}

void
instr_flow_removed(struct instr_change *c, const uint8_t *msg, size_t len)
{
    struct instr *instr = c->instr;
    struct of_flow_removed removed;
    uint8_t *up;
    int result;

    if (!of_flow_removed_decode(msg, len, &removed)) {
        instr->counters.passed_malformed++;
        instr_emit_up(c, lh_memdup(msg, len), len);
        return;
    }
    result = settle(c, &removed);
    if (!(result & TELL)) {
        instr->counters.hidden++;
        of_flow_removed_uninit(&removed);
        return;
    }
    up = lh_memdup(msg, len);
    if (result & AS_HARD && removed.reason == OF_FLOW_DELETED) {
        of_flow_removed_set_reason(up, OF_FLOW_HARD);
    }
    if (msg[0] == OF_WIRE_10 && !c->link->wants_nicira) {
        uint8_t *standard;
        size_t standard_len;

        if (of_flow_removed_standard(up, len, &standard, &standard_len)) {
            free(up);
            up = standard;
            len = standard_len;
        }
    }
    instr_emit_up(c, up, len);
    of_flow_removed_uninit(&removed);
}
