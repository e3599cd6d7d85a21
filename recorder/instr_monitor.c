/* SPDX-License-Identifier: Apache-2.0 */
/* instr_monitor - a controller's flow monitors, as if its rules were in the
 * switch as it wrote them.
 *
 * While a controller has monitors on a link, the recorder has one of its own
 * there that tells every change in full.  From that it makes what the
 * controller's monitors would have told: our rules are left out, rules are
 * restored, filters by output go by what the controller wrote, what did not
 * change but for our actions is not told (`told` remembers what was), and what
 * the link's own controller changed is abbreviated.  The controller's requests
 * go to the switch all the same, which knows what is wrong with them and says
 * what stands. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/instr_told.h"
#include "recorder/of_wire.h"

#define MIN_TOLD 64

/* A request that the switch has not dealt with yet. */
struct monitor_op {
    struct monitor_op *next;
    uint64_t tag;         /* Of the request. */
    uint64_t barrier_tag; /* Of ours behind it, when it has no answer. */
    uint64_t later_tag;   /* What has it or a higher one, was sent later. */
    struct of_monitor *parts; /* Owned. */
    size_t n;
};

struct instr_monitors {
    struct monitor_op *ops;    /* Oldest first.  Owned. */
    struct of_monitor *active; /* Owned. */
    size_t n_active, allocated_active;
    struct instr_told *told; /* Owned. */
    uint64_t last_abbrev;    /* Tag of the command last abbreviated. */
    bool is_paused;
};

static void
free_parts(struct of_monitor *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        of_monitor_uninit(&parts[i]);
    }
    free(parts);
}

static void
free_op(struct monitor_op *op)
{
    free_parts(op->parts, op->n);
    free(op);
}

void
instr_monitor_destroy(struct instr_link *link)
{
    struct instr_monitors *ms = link->monitors;

    if (!ms) {
        return;
    }
    while (ms->ops) {
        struct monitor_op *op = ms->ops;

        ms->ops = op->next;
        free_op(op);
    }
    free_parts(ms->active, ms->n_active);
    instr_told_destroy(ms->told);
    free(ms);
    link->monitors = NULL;
}

bool
instr_monitor_has_any(const struct instr_link *link)
{
    return link->monitors && (link->monitors->n_active || link->monitors->ops);
}

bool
instr_monitor_has(const struct instr_link *link, uint32_t id)
{
    const struct instr_monitors *ms = link->monitors;

    for (size_t i = 0; ms && i < ms->n_active; i++) {
        if (ms->active[i].id == id) {
            return true;
        }
    }
    for (const struct monitor_op *op = ms ? ms->ops : NULL; op;
         op = op->next) {
        for (size_t i = 0; i < op->n; i++) {
            if (op->parts[i].id == id) {
                return true;
            }
        }
    }
    return false;
}

/* --- The controller's requests. --- */

static struct monitor_op *
add_op(struct instr_change *c, struct of_monitor *parts, size_t n)
{
    struct monitor_op *op = lh_alloc_zero(sizeof *op);
    struct monitor_op **end;

    if (!c->link->monitors) {
        c->link->monitors = lh_alloc_zero(sizeof *c->link->monitors);
        c->link->monitors->told = instr_told_create();
    }
    op->tag = c->tag;
    op->parts = parts;
    op->n = n;
    for (end = &c->link->monitors->ops; *end; end = &(*end)->next) {
        continue;
    }
    *end = op;
    return op;
}

/* All that is sent from now on is sent behind the request. */
static void
settle(const struct instr_change *c, struct monitor_op *op)
{
    c->link->monitor_tag = c->instr->next_tag << 1;
    if (op) {
        op->later_tag = c->link->monitor_tag;
    }
}

void
instr_monitor_request(struct instr_change *c, const uint8_t *msg, size_t len)
{
    struct of_monitor *parts, *sent;
    struct monitor_op *op;
    uint8_t *request;
    size_t n, request_len;

    if (!of_monitor_decode(msg, len, &parts, &n) || !n) {
        c->instr->counters.passed_malformed++;
        instr_pass(c, msg, len);
        settle(c, NULL);
        return;
    }
    op = add_op(c, parts, n);
    instr_base_adapt(c);
    sent = lh_memdup(parts, n * sizeof *sent);
    for (size_t i = 0; i < n; i++) {
        /* What the switch has, it tells; what passes the filters by output
         * is ours to say. */
        sent[i].flags |= OF_MONITOR_ACTIONS | OF_MONITOR_OWN;
        sent[i].out_port = sent[i].out_group = OF_ACTS_ANY;
    }
    if (of_monitor_encode(sent, n, c->link->of_version, &request,
                          &request_len)) {
        instr_pass(c, msg, len);
    } else {
        instr_emit(c, request, request_len);
    }
    free(sent);
    settle(c, op);
}

void
instr_monitor_cancel(struct instr_change *c, const uint8_t *msg, size_t len)
{
    struct of_monitor *part = lh_alloc_zero(sizeof *part);
    struct monitor_op *op;

    instr_pass(c, msg, len);
    part->command = OF_MONITOR_DELETE;
    if (!c->link->monitors || !of_monitor_cancel_decode(msg, len, &part->id)) {
        free(part);
        return;
    }
    /* Nothing answers it, and what comes before its end is still told. */
    op = add_op(c, part, 1);
    op->barrier_tag = instr_change_barrier(c);
    settle(c, op);
}

static void
end_active(struct instr_monitors *ms, uint32_t id)
{
    for (size_t i = 0; i < ms->n_active; i++) {
        if (ms->active[i].id == id) {
            of_monitor_uninit(&ms->active[i]);
            ms->active[i] = ms->active[--ms->n_active];
            return;
        }
    }
}

static struct monitor_op **
find_op(struct instr_monitors *ms, uint64_t tag)
{
    struct monitor_op **p = &ms->ops;

    while (*p && (*p)->tag != tag && (*p)->barrier_tag != tag) {
        p = &(*p)->next;
    }
    return p;
}

/* The switch has done what 'op' says. */
static void
apply_op(struct instr_monitors *ms, struct monitor_op **p)
{
    struct monitor_op *op = *p;

    *p = op->next;
    for (size_t i = 0; i < op->n; i++) {
        if (op->parts[i].command != OF_MONITOR_ADD) {
            end_active(ms, op->parts[i].id);
        }
        if (op->parts[i].command != OF_MONITOR_DELETE) {
            ms->active =
                lh_alloc_grow(ms->active, ms->n_active, &ms->allocated_active,
                              sizeof *ms->active);
            ms->active[ms->n_active++] = op->parts[i];
            op->parts[i].match = NULL;
        }
    }
    free_op(op);
}

void
instr_monitor_refused(struct instr_change *c, uint64_t tag)
{
    struct instr_link *link = c->link;
    struct monitor_op **p;

    if (link->monitors) {
        p = find_op(link->monitors, tag);
        if (*p) {
            struct monitor_op *op = *p;

            *p = op->next;
            free_op(op);
            instr_base_adapt(c);
        }
    }
}

bool
instr_monitor_is_asking(const struct instr_link *link)
{
    return link->monitor_tag != 0;
}

void
instr_monitor_confirm(struct instr_link *link, uint64_t tag)
{
    struct monitor_op **p = link->monitors ? &link->monitors->ops : NULL;

    if (tag >= link->monitor_tag) {
        link->monitor_tag = 0;
    }
    while (p && *p) {
        struct monitor_op *op = *p;

        if (tag >= op->later_tag) {
            *p = op->next;
            free_op(op);
        } else {
            p = &op->next;
        }
    }
}

void
instr_monitor_passed(struct instr_change *c, uint64_t tag)
{
    struct instr_link *link = c->link;
    struct monitor_op **p;

    if (link->monitors) {
        p = find_op(link->monitors, tag);
        if (*p && (*p)->barrier_tag == tag) {
            apply_op(link->monitors, p);
            instr_base_adapt(c);
        }
    }
}

/* --- Updates. --- */

/* The rule that 'u' is about, as the shadow has or had it; NULL: unknown. */
static const struct shadow_rule *
find_rule(const struct instr *instr, const struct of_update *u)
{
    uint32_t version = instr_watch_version(instr, &u->acts);
    const struct shadow_rule *rule;

    if (version) {
        rule = instr_past_find(instr, version);
        return rule && rule->table_id == u->table_id &&
                       rule->priority == u->priority &&
                       of_match_equal(rule->match, u->match)
                   ? rule
                   : NULL;
    }
    rule = u->event == OF_UPDATE_REMOVED
               ? instr_past_last(instr, u->table_id, u->priority, u->match)
               : instr_shadow_find(instr->shadow, u->table_id, u->priority,
                                   u->match);
    return rule && of_acts_equal(&rule->acts, &u->acts) ? rule : NULL;
}

/* Makes the actions in 'u' what its owner wrote; returns its rule, or NULL. */
static const struct shadow_rule *
restore(struct instr *instr, struct of_update *u)
{
    const struct shadow_rule *rule = find_rule(instr, u);
    struct of_acts acts;

    if (rule) {
        of_acts_clone(&acts, &rule->acts);
        instr->counters.restored++;
    } else {
        instr_watch_strip(instr, &u->acts, &acts);
    }
    of_acts_uninit(&u->acts);
    of_acts_move(&u->acts, &acts);
    return rule;
}

static bool
passes(const struct of_monitor *m, const struct of_update *u,
       const struct of_acts *before)
{
    return (m->table_id == OF_FLOW_ALL_TABLES || m->table_id == u->table_id) &&
           of_match_covers(m->match, u->match) &&
           of_acts_pass_filter(&u->acts, OF_ACTS_ANY, m->out_group) &&
           (of_acts_pass_filter(&u->acts, m->out_port, OF_ACTS_ANY) ||
            (before && of_acts_pass_filter(before, m->out_port, OF_ACTS_ANY)));
}

static uint16_t
event_flag(uint8_t event)
{
    switch (event) {
    case OF_UPDATE_INITIAL:
        return OF_MONITOR_INITIAL;
    case OF_UPDATE_ADDED:
        return OF_MONITOR_ADDED;
    case OF_UPDATE_REMOVED:
        return OF_MONITOR_REMOVED;
    default:
        return OF_MONITOR_CHANGED;
    }
}

/* The flags of all monitors that want to know of 'u'. */
static uint16_t
wanted(const struct of_monitor *ms, size_t n, uint16_t flag,
       const struct of_update *u, const struct of_acts *before)
{
    uint16_t flags = 0;

    for (size_t i = 0; i < n; i++) {
        if (ms[i].command != OF_MONITOR_DELETE && ms[i].flags & flag &&
            passes(&ms[i], u, before)) {
            flags |= ms[i].flags;
        }
    }
    return flags;
}

static bool
is_own(const struct of_update *u)
{
    return (u->cookie & OWN_COOKIE_MASK) == OWN_COOKIE;
}

static void
write_update(struct of_update_writer *writer, const struct of_update *u,
             uint16_t flags)
{
    struct of_update shown = *u;

    if (!(flags & OF_MONITOR_ACTIONS)) {
        shown.acts = (struct of_acts) OF_ACTS_INIT;
    }
    of_update_writer_add(writer, &shown);
}

/* What the controller is told of a change. */
static void
tell(struct instr_change *c, struct of_update_writer *writer,
     struct of_update *u)
{
    struct instr_monitors *ms = c->link->monitors;
    const struct shadow_rule *rule = restore(c->instr, u);
    const struct shadow_rule *before = rule && u->event == OF_UPDATE_MODIFIED
                                           ? instr_past_before(c->instr, rule)
                                           : NULL;
    struct shadow_cause cause = {0};
    uint16_t flags;

    if (rule && rule->is_over && u->event == OF_UPDATE_REMOVED) {
        u->reason = OF_FLOW_HARD; /* We have deleted it. */
    }
    if (!instr_told_note(ms->told, u)) {
        return;
    }
    flags = wanted(ms->active, ms->n_active, event_flag(u->event), u,
                   before ? &before->acts : NULL);
    if (!flags) {
        return;
    }
    if (rule && u->event != OF_UPDATE_REMOVED) {
        cause = rule->made_by;
    } else if (rule && (u->reason == OF_FLOW_DELETED ||
                        u->reason == OF_FLOW_GROUP_DELETED ||
                        u->reason == OF_FLOW_METER_DELETED)) {
        cause = rule->gone_by;
    }
    if (flags & OF_MONITOR_OWN || cause.link != c->link->id || ms->is_paused) {
        write_update(writer, u, flags);
    } else if (cause.tag != ms->last_abbrev) {
        struct of_update abbrev = {.event = OF_UPDATE_ABBREV,
                                   .xid = cause.xid};

        ms->last_abbrev = cause.tag;
        of_update_writer_add(writer, &abbrev);
    }
}

static void
emit(void *c_, uint8_t *msg, size_t len)
{
    struct instr_change *c = c_;

    instr_emit_up(c, msg, len);
}

static void
update_news(struct instr_change *c, const uint8_t *msg, size_t len)
{
    struct instr_link *link = c->link;
    struct of_update_reader *reader = of_update_reader_open(msg, len);
    struct of_update_writer *writer = of_update_writer_open(msg[0]);
    struct of_update u;
    int result;

    while ((result = of_update_reader_next(reader, &u)) > 0) {
        if (u.event == OF_UPDATE_PAUSED || u.event == OF_UPDATE_RESUMED) {
            if (instr_monitor_pause(link, u.event == OF_UPDATE_PAUSED)) {
                instr_emit_up(c, lh_memdup(msg, len), len);
            }
        } else if (u.match) {
            if (c->instr->watch.link == link) {
                instr_watch_update(c, &u);
            }
            if (link->monitors && link->base.is_full && !is_own(&u)) {
                tell(c, writer, &u);
            }
        }
        of_update_uninit(&u);
    }
    if (result < 0) {
        c->instr->counters.passed_malformed++;
    }
    of_update_reader_close(reader);
    of_update_writer_close(writer, 0, false, false, emit, c);
}

/* What stands, for ourselves. */
static void
base_reply(struct instr_change *c, const uint8_t *msg, size_t len)
{
    struct instr_link *link = c->link;
    struct of_update_reader *reader = of_update_reader_open(msg, len);
    struct instr_watch *w = &c->instr->watch;
    bool is_watch = w->link == link;
    struct of_update u;

    if (is_watch && !c->instr->is_ready) {
        w->round_tag = 0; /* The tables are being read: later. */
    }
    while (of_update_reader_next(reader, &u) > 0) {
        if (u.match && is_watch && w->round_tag) {
            instr_watch_update(c, &u);
        }
        if (u.match && link->monitors && link->base.is_full && !is_own(&u)) {
            restore(c->instr, &u);
            instr_told_note(link->monitors->told, &u);
        }
        of_update_uninit(&u);
    }
    of_update_reader_close(reader);
    if (of_wire_is_last_reply(msg, len)) {
        link->base.tag = 0;
        if (is_watch && !w->round_tag) {
            instr_burst_told(c, false);
        } else if (is_watch && !w->is_told) {
            instr_watch_told(c);
        }
    }
}

/* What stands, for the controller. */
static void
controller_reply(struct instr_change *c, struct monitor_op *op,
                 const uint8_t *msg, size_t len)
{
    struct of_update_reader *reader = of_update_reader_open(msg, len);
    struct of_update_writer *writer = of_update_writer_open(msg[0]);
    struct of_update u;

    while (of_update_reader_next(reader, &u) > 0) {
        if (u.match && !is_own(&u)) {
            uint16_t flags;

            restore(c->instr, &u);
            instr_told_note(c->link->monitors->told, &u);
            flags = wanted(op->parts, op->n, OF_MONITOR_INITIAL, &u, NULL);
            if (flags) {
                write_update(writer, &u, flags);
            }
        }
        of_update_uninit(&u);
    }
    of_update_reader_close(reader);
    of_update_writer_close(writer, of_wire_xid(msg), true,
                           !of_wire_is_last_reply(msg, len), emit, c);
}

void
instr_monitor_reply(struct instr_change *c, const uint8_t *msg, size_t len,
                    uint64_t tag)
{
    struct instr_monitors *ms = c->link->monitors;
    struct monitor_op **p = ms && tag ? find_op(ms, tag) : NULL;

    if (!tag) {
        update_news(c, msg, len);
    } else if (tag == c->link->base.tag) {
        base_reply(c, msg, len);
    } else if (p && *p) {
        controller_reply(c, *p, msg, len);
        if (of_wire_is_last_reply(msg, len)) {
            apply_op(ms, p);
            instr_base_adapt(c);
        }
    } else if (!instr_is_own_tag(tag)) {
        instr_emit_up(c, lh_memdup(msg, len), len);
    }
}

bool
instr_monitor_pause(struct instr_link *link, bool is_paused)
{
    struct instr_monitors *ms = link->monitors;

    if (ms) {
        ms->is_paused = is_paused;
    }
    return ms && ms->n_active;
}
