/* SPDX-License-Identifier: Apache-2.0 */
/* instr_watch - what others change in the switch.
 *
 * The recorder's own flow monitor, on one link, tells of changes that came by
 * no link of ours: rules that the switch learns, rules of programs and
 * controllers that are not behind the recorder, and rules that end without a
 * flow-removed.  Those that came by a link of ours are known by their version
 * (the link's own are abbreviated, and not looked at).
 *
 * A rule that others write gets a version at once.  Its postcards it gets when
 * it has been left alone for a moment, because a second change might otherwise
 * meet our rewriting of the first; each further change makes the moment twice
 * as long, so that nobody fights with us for long.
 *
 * Rules that are not among those that a look shows have gone unseen; why, only
 * their timeouts can tell.
 *
 * Where an update and a change of ours on its way to the switch are about the
 * same rule, the order is not known.  Then the switch is asked what it has,
 * behind our change. */
#include <config.h>
#include "recorder/instr_miss.h"
#include "recorder/instr_state.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

#define CALM_NS UINT64_C(10000000000)

/* At most so many of our own rules are put back in a time. */
#define REPAIR_WINDOW_NS UINT64_C(10000000000)
#define MAX_REPAIRS      (4 * MAX_INDEX)

/* --- What is ours. --- */

uint32_t
instr_watch_version(const struct instr *instr, const struct of_acts *acts)
{
    uint32_t version = 0;

    of_trace_find_version(&instr->trace, acts, instr_own_indexed,
                          (void *) instr, &version);
    return version;
}

void
instr_watch_strip(const struct instr *instr, const struct of_acts *acts,
                  struct of_acts *own)
{
    of_trace_strip(&instr->trace, acts, instr_own_indexed, (void *) instr,
                   own);
}

static bool
is_same(const struct shadow_rule *rule, const struct of_update *u)
{
    return rule->cookie == u->cookie && of_acts_equal(&rule->acts, &u->acts);
}

/* --- Others' rules. --- */

/* 'u' is what the switch has there now, by somebody else. */
static void
take(struct instr_change *c, const struct of_update *u, bool has_flags,
     uint16_t flags, uint16_t importance)
{
    struct instr *instr = c->instr;
    struct shadow_rule *rule, *old;
    const char *command = "found";
    struct of_acts acts;

    instr_watch_strip(instr, &u->acts, &acts);
    rule = shadow_rule_create(u->table_id, u->priority,
                              of_match_clone(u->match), &acts);
    instr_own_prepare(c, u->table_id, rule->facts);
    old = instr_shadow_find(instr->shadow, u->table_id, u->priority, u->match);
    rule->cookie = u->cookie;
    rule->idle_timeout = u->idle_timeout;
    rule->hard_timeout = u->hard_timeout;
    rule->is_foreign = !has_flags;
    rule->flags = flags;
    rule->importance = importance;
    rule->is_learned = instr_shadow_learns(instr->shadow, u->table_id,
                                           u->priority, u->cookie);
    rule->is_instrumented = instr_select_emits(instr, rule);
    rule->version = instr_version(c);
    rule->change = c->number;
    rule->installed_ns = c->now_ns;
    instr_expiry_begin(c, rule, 0);
    rule->made_by.tag = c->tag;
    rule->round = instr->watch.round;
    if (rule->is_learned) {
        command = "learn";
        instr->counters.learned++;
    } else if (instr->watch.is_told) {
        command = u->event == OF_UPDATE_ADDED ? "add" : "modify";
    }
    if (!rule->is_learned &&
        (instr->watch.is_told || instr->watch.round > 1)) {
        instr->counters.foreign++;
    }
    rule->disturbed_ns = c->now_ns;
    if (old) {
        instr_due_disturb(rule, old, c->now_ns);
    }
    old = instr_shadow_insert(instr->shadow, rule);
    if (old) {
        rule->replaces = old->version;
        old->gone_ns = c->now_ns;
        instr_gone(c->out, old->version,
                   u->event == OF_UPDATE_MODIFIED ? "modify" : "replaced");
        instr_own_free_indexes(c, old->indexes, old->n_indexes);
        instr_past_put(instr, old);
    }
    if (!rule->is_learned) {
        instr_miss_disturbed(c);
    }
    instr_miss_met(c, rule);
    instr_made(c->out, instr_rule_flow(c, rule, command, "switch"));
    if (rule->facts->has_group) {
        instr_regroup_soon(instr, c->now_ns);
    }
    if (instr->is_detached) {
        instr_flow_rewrite(c, rule); /* Ours may have come behind it. */
    } else if (!rule->is_learned) {
        instr_due_plan(c, rule);
    }
    instr_own_update(c);
    instr->counters.rules = instr_shadow_count(instr->shadow);
}

void
instr_watch_gone(struct instr_change *c, struct shadow_rule *rule,
                 const char *reason)
{
    struct instr *instr = c->instr;

    if (!rule->is_learned) {
        instr_miss_disturbed(c);
    }
    instr_tomb_add(instr, rule);
    instr_shadow_take(instr->shadow, rule);
    instr_gone(c->out, rule->version, reason);
    rule->gone_ns = c->now_ns;
    rule->gone_by = (struct shadow_cause){0};
    instr_own_free_indexes(c, rule->indexes, rule->n_indexes);
    instr_past_put(instr, rule);
    instr_own_update(c);
    instr->counters.rules = instr_shadow_count(instr->shadow);
}

/* --- Asking the switch. --- */

static void
ask(struct instr_change *c, const struct of_update *u, uint32_t version)
{
    struct of_flow_request request = {.match = u->match,
                                      .table_id = u->table_id,
                                      .out_port = OF_ACTS_ANY,
                                      .out_group = OF_ACTS_ANY};
    const struct shadow_rule *rule = instr_past_find(c->instr, version);
    struct instr_link *link = c->link;
    struct instr_pending *p;
    struct instr_change own;
    uint8_t *msg;
    size_t len;

    for (struct instr_link *l = c->instr->links; rule && l; l = l->next) {
        if (l->id == rule->made_by.link || l->id == rule->gone_by.link) {
            link = l; /* Behind the change of ours. */
        }
    }
    instr_change_init(&own, link, c->out, c->now_ns, c->who);
    of_flow_request_encode(&request, link->of_version, true, 0, &msg, &len);
    p = instr_pend(&own, PENDING_CHECK);
    p->version = version;
    instr_emit_own(&own, msg, len);
    c->instr->counters.checks++;
}

static void
check_record(struct instr_change *c, struct instr_pending *p,
             const struct of_flow_record *record)
{
    struct instr *instr = c->instr;
    struct of_update u = {.event = OF_UPDATE_MODIFIED,
                          .table_id = record->table_id,
                          .priority = record->priority,
                          .idle_timeout = record->idle_timeout,
                          .hard_timeout = record->hard_timeout,
                          .cookie = record->cookie,
                          .match = record->match,
                          .acts = record->acts};
    const struct shadow_rule *rule = instr_shadow_find(
        instr->shadow, record->table_id, record->priority, record->match);
    uint32_t version = instr_watch_version(instr, &record->acts);

    if ((record->cookie & OWN_COOKIE_MASK) == OWN_COOKIE) {
        return;
    }
    if (rule && rule->version == p->version) {
        p->version = 0; /* It stands. */
    }
    if (rule && (version ? version == rule->version : is_same(rule, &u))) {
        return;
    }
    if (!rule || !instr_undo_may_fail(instr, rule->version)) {
        take(c, &u, true, record->flags, record->importance);
    }
}

void
instr_watch_checked(struct instr_change *c, struct instr_pending *p,
                    const uint8_t *msg, size_t len)
{
    struct of_flow_reader *reader = of_flow_reader_open(msg, len);
    struct of_flow_record record;
    struct shadow_rule *rule;

    while (of_flow_reader_next(reader, &record) > 0) {
        check_record(c, p, &record);
        of_flow_record_uninit(&record);
    }
    of_flow_reader_close(reader);
    if (!of_wire_is_last_reply(msg, len)) {
        return;
    }
    rule = instr_shadow_by_version(c->instr->shadow, p->version);
    if (rule && !instr_undo_may_fail(c->instr, rule->version)) {
        instr_watch_gone(c, rule, "delete");
    }
}

/* --- Updates. --- */

void
instr_watch_repair(struct instr_change *c, uint8_t kind, uint8_t table_id,
                   const struct of_match *match, uint32_t version)
{
    struct instr_watch *w = &c->instr->watch;

    if (c->now_ns - w->window_ns > REPAIR_WINDOW_NS) {
        w->window_ns = c->now_ns;
        w->n_repairs = 0;
    }
    if (w->n_repairs < MAX_REPAIRS &&
        instr_own_put_back(c, kind, table_id, match, version)) {
        w->n_repairs++;
        c->instr->counters.repaired++;
    }
}

static void
removed(struct instr_change *c, const struct of_update *u)
{
    struct instr *instr = c->instr;
    struct shadow_rule *rule =
        instr_shadow_find(instr->shadow, u->table_id, u->priority, u->match);
    uint32_t version = instr_watch_version(instr, &u->acts);

    if (!rule) {
        return;
    }
    if (version ? version == rule->version
                : rule->is_foreign || rule->is_learned || is_same(rule, u)) {
        instr_watch_gone(c, rule,
                         rule->is_over ? "hard_timeout"
                                       : instr_removed_reason(u->reason));
    }
}

/* The rule of that key which a change on its way to the switch made or ended;
 * 0: none, and 'u' is the last word. */
static uint32_t
in_doubt(const struct instr *instr, const struct shadow_rule *rule,
         const struct of_update *u)
{
    const struct shadow_rule *last;

    if (rule) {
        return rule->made_by.link &&
                       (rule->made_by.link != instr->watch.link->id ||
                        instr_undo_may_fail(instr, rule->version))
                   ? rule->version
                   : 0;
    }
    last = instr_undo_last(instr, u->table_id, u->priority, u->match);
    return last && last->gone_by.link ? last->version : 0;
}

/* Somebody wrote 'rule' as it was, and so took its postcards off. */
static void
look_after(struct instr_change *c, struct shadow_rule *rule)
{
    struct instr *instr = c->instr;
    const struct instr_watch *w = &instr->watch;

    if (!instr_inject_has(instr) || !rule->is_instrumented ||
        rule->is_learned || instr_undo_may_fail(instr, rule->version)) {
        return;
    }
    if (instr_due_has(w, rule->version)) {
        return;
    }
    instr->counters.foreign++;
    instr_due_disturb(rule, rule, c->now_ns);
    instr_due_plan(c, rule);
}

static void
stands(struct instr_change *c, const struct of_update *u)
{
    struct instr *instr = c->instr;
    struct shadow_rule *rule =
        instr_shadow_find(instr->shadow, u->table_id, u->priority, u->match);
    uint32_t version = instr_watch_version(instr, &u->acts);
    const struct shadow_rule *past;
    uint32_t doubt;

    if (rule &&
        (version ? version == rule->version && rule->cookie == u->cookie
                 : is_same(rule, u))) {
        rule->round = instr->watch.round;
        if (!version) {
            look_after(c, rule);
        }
        return;
    }
    past = version ? instr_past_find(instr, version) : NULL;
    if (past && past != rule && past->gone_by.link &&
        of_match_equal(past->match, u->match) &&
        past->gone_ns + CALM_NS > c->now_ns) {
        return; /* Old news of a rule of our own. */
    }
    doubt = in_doubt(instr, rule, u);
    if (doubt) {
        if (rule) {
            rule->round = instr->watch.round;
        }
        ask(c, u, doubt);
    } else {
        take(c, u, false, rule ? rule->flags : 0, rule ? rule->importance : 0);
    }
}

void
instr_watch_update(struct instr_change *c, const struct of_update *u)
{
    struct instr_change own;
    bool is_removed = u->event == OF_UPDATE_REMOVED;

    instr_change_init(&own, c->link, c->out, c->now_ns, "switch");
    own.is_unasked = true;
    if ((u->cookie & OWN_COOKIE_MASK) == OWN_COOKIE) {
        if (is_removed && !c->instr->is_detached) {
            instr_watch_repair(&own, (uint8_t) (u->cookie & ~OWN_COOKIE_MASK),
                               u->table_id, u->match,
                               instr_watch_version(c->instr, &u->acts));
        } else if (!c->instr->watch.is_told) {
            instr_look_see(c->instr, u);
        }
    } else if (is_removed) {
        removed(&own, u);
    } else {
        stands(&own, u);
    }
}

/* Why 'rule' may have gone unseen. */
static const char *
why_gone(const struct shadow_rule *rule, uint64_t now_ns)
{
    uint64_t age_s = (now_ns - rule->installed_ns) / 1000000000;

    if (rule->hard_timeout && age_s >= rule->hard_timeout) {
        return "hard_timeout";
    }
    return rule->idle_timeout && age_s >= rule->idle_timeout ? "idle_timeout"
                                                             : "gone";
}

/* 'rule' is not among those that stand. */
static void
missed(struct instr_change *c, struct shadow_rule *rule)
{
    const struct instr_watch *w = &c->instr->watch;

    if (rule->made_by.tag >= w->round_tag ||
        instr_undo_may_fail(c->instr, rule->version)) {
        return;
    }
    if (rule->made_by.link && rule->made_by.link != w->link->id &&
        rule->installed_ns + CALM_NS > c->now_ns) {
        /* By another link, perhaps after they had been looked at. */
        struct of_update u = {.table_id = rule->table_id,
                              .match = rule->match};

        ask(c, &u, rule->version);
        return;
    }
    instr_watch_gone(c, rule, why_gone(rule, c->now_ns));
}

void
instr_watch_told(struct instr_change *c)
{
    struct instr *instr = c->instr;
    struct instr_watch *w = &instr->watch;
    struct shadow_rule **rules;
    size_t n;

    w->is_told = w->was_told = true;
    rules = instr_shadow_all(instr->shadow, &n);
    for (size_t i = 0; i < n; i++) {
        if (rules[i]->round != w->round) {
            missed(c, rules[i]);
        }
    }
    free(rules);
    instr_own_update(c);
    instr_burst_told(c, instr_look_end(c));
}

/* --- By which link. --- */

void
instr_watch_keep(struct instr_change *c)
{
    struct instr *instr = c->instr;

    if (instr->config.is_unwatched && !instr->config.is_attached) {
        return;
    }
    if (!instr->watch.link && instr->is_ready && c->link->is_known) {
        instr->watch.link = c->link;
        instr->watch.is_told = instr->watch.was_told = false;
        instr_burst_end(instr);
        instr_base_adapt(c);
    }
}

void
instr_watch_forget(struct instr_link *link)
{
    if (link->instr->watch.link == link) {
        link->instr->watch.link = NULL;
        instr_burst_end(link->instr);
    }
}

void
instr_watch_destroy(struct instr *instr)
{
    free(instr->watch.due);
    instr->watch.due = NULL;
    instr_look_destroy(instr);
}
