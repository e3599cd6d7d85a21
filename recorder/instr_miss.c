/* SPDX-License-Identifier: Apache-2.0 */
/* instr_miss - our own table-miss rules. */
#include <config.h>
#include "recorder/instr_miss.h"
#include "recorder/instr_state.h"
#include "recorder/instr_table.h"
#include "recorder/of_wire.h"

#define MS UINT64_C(1000000)

/* Others must have left the switch alone for so long, and are not waited for
 * longer than that. */
#define QUIET_NS    (100 * MS)
#define MAX_WAIT_NS (2000 * MS)

void
instr_miss_mark(struct instr *instr)
{
    for (unsigned int t = 0; t < N_TABLES; t++) {
        instr->miss[t].is_stale = true;
    }
}

/* True when packets come to 't' by resubmit. */
static bool
is_looked_up(const struct instr *instr, unsigned int t)
{
    for (size_t i = 0; i < instr->n_groups; i++) {
        if (of_tables_has(&instr->groups[i]->facts.resubmits, t)) {
            return true;
        }
    }
    return instr_shadow_table(instr->shadow, (uint8_t) t)->n_resubmits;
}

static bool
wants(const struct instr *instr, unsigned int t)
{
    const struct shadow_table *table =
        instr_shadow_table(instr->shadow, (uint8_t) t);

    /* A switch that makes postcards itself tells of misses, too. */
    if (!instr_select_is_on(instr) || instr_makes_cards(instr) ||
        instr->config.leaves_misses || t == instr->index_table ||
        instr_table_continues(instr, t) ||
        of_tables_has(instr_shadow_lookups(instr->shadow), t) ||
        (!table->n_reaches && !instr_table_is_entered(instr, t))) {
        return false;
    }
    if (instr_table_punts(instr, t) && is_looked_up(instr, t)) {
        return false; /* What a resubmit does not find goes nowhere. */
    }
    /* Of two rules of equal priority the switch may take either: ours must
     * not stand beside one of the controller's. */
    return !table->n_lowest && instr_select_miss(instr, (uint8_t) t).len;
}

static void
free_index(struct instr_change *c, struct instr_miss *miss)
{
    if (miss->index) {
        instr_own_free_indexes(c, &miss->index, 1);
        miss->index = 0;
    }
}

static void
withdraw(struct instr_change *c, unsigned int t)
{
    struct instr_miss *miss = &c->instr->miss[t];

    free_index(c, miss);

    instr_gone(c->out, miss->version, "withdrawn");
    miss->version = 0;
    instr_own_send(c, OF_FLOW_DELETE_STRICT, OWN_MISS, (uint8_t) t, 0,
                   of_match_create_all(), NULL);
}

static void
send(struct instr_change *c, unsigned int t)
{
    struct instr *instr = c->instr;
    struct instr_miss *miss = &instr->miss[t];
    const struct of_inject *inject;
    struct of_acts acts = OF_ACTS_INIT;

    miss->card = instr_select_miss(instr, (uint8_t) t);
    inject = instr_inject_get(c, miss->card);
    if (!(instr->has_action_sets && t)) {
        of_inject_miss(inject, miss->version, miss->to_controller,
                       miss->miss_len, &acts);
        of_inject_set_snap_len(inject, miss->card.len, &acts);
        if (instr->keeps_in_port && t) {
            of_inject_take_kept(inject, &acts);
        }
    } else {
        if (!miss->index) {
            struct of_acts alone = OF_ACTS_INIT;

            of_inject_miss_alone(inject, miss->version, &alone);
            of_inject_set_snap_len(inject, miss->card.len, &alone);
            if (instr->keeps_in_port) {
                of_inject_take_kept(inject, &alone);
            }
            instr_own_index(c, &alone, &miss->index);
            of_acts_uninit(&alone);
        }
        if (miss->index) {
            of_inject_indirect(miss->index, instr->index_table, &acts);
        }
    }
    miss->added_tag = c->tag;
    miss->added_link = c->link->id;
    instr_own_send(c, OF_FLOW_ADD, OWN_MISS, (uint8_t) t, 0,
                   of_match_create_all(), &acts);
    of_acts_uninit(&acts);
}

/* True while others may be about to add a rule where ours would be. */
static bool
must_wait(struct instr_change *c)
{
    struct instr *instr = c->instr;
    struct instr_watch *w = &instr->watch;

    if (instr->config.is_attached && !w->was_told) {
        return true; /* It will be looked at when all has been told. */
    }
    if (c->now_ns >= w->others_ns + QUIET_NS || !w->others_ns) {
        return false;
    }
    if (!w->misses_due_ns) {
        w->misses_since_ns = c->now_ns;
    } else if (c->now_ns >= w->misses_since_ns + MAX_WAIT_NS) {
        return false;
    }
    w->misses_due_ns = w->others_ns + QUIET_NS;
    return true;
}

static void
update(struct instr_change *c, unsigned int t)
{
    struct instr *instr = c->instr;
    struct instr_miss *miss = &instr->miss[t];
    bool punts = instr_table_punts(instr, t);
    uint16_t miss_len = instr_link_miss_len(instr);

    if (!wants(instr, t)) {
        if (miss->version) {
            withdraw(c, t);
        }
        return;
    }
    if (miss->version && !miss->is_stale && miss->to_controller == punts &&
        (!punts || miss->miss_len == miss_len) &&
        shadow_card_equal(miss->card, instr_select_miss(instr, (uint8_t) t))) {
        return;
    }
    if (!miss->version && must_wait(c)) {
        return;
    }
    if (miss->version) {
        instr_gone(c->out, miss->version, "replaced");
        free_index(c, miss);
        if (c->link->of_version < OF_WIRE_12) {
            /* There to replace a rule forgets what it has counted. */
            instr_own_send(c, OF_FLOW_DELETE_STRICT, OWN_MISS, (uint8_t) t, 0,
                           of_match_create_all(), NULL);
        }
    }
    miss->version = instr->config.next_version(instr->config.aux);
    of_tables_add(&instr->misses, t);
    miss->is_stale = false;
    miss->to_controller = punts;
    miss->miss_len = miss_len;
    instr_made(c->out,
               instr_rule_miss(instr, (uint8_t) t, miss->version, c->now_ns));
    send(c, t);
}

void
instr_miss_update(struct instr_change *c)
{
    struct instr *instr = c->instr;

    for (unsigned int w = 0; w < 4; w++) {
        uint64_t bits = instr_shadow_reached(instr->shadow)->bits[w] |
                        instr->misses.bits[w] | instr->continued.bits[w] |
                        (w ? 0 : 1);

        /* Other tables have no miss rule and need none. */
        for (; bits; bits &= bits - 1) {
            unsigned int t = w * 64 + (unsigned int) __builtin_ctzll(bits);

            if (t < N_TABLES) {
                update(c, t);
            }
        }
    }
}

void
instr_miss_repair(struct instr_change *c, uint8_t table_id)
{
    for (unsigned int t = 0; t < N_TABLES; t++) {
        /* To put back one too many does no harm. */
        if (c->instr->miss[t].version &&
            (table_id == OF_FLOW_ALL_TABLES || table_id == t)) {
            send(c, t);
        }
    }
}

void
instr_miss_withdraw(struct instr_change *c)
{
    for (unsigned int t = 0; t < N_TABLES; t++) {
        if (c->instr->miss[t].version) {
            withdraw(c, t);
        }
    }
}

void
instr_miss_make_way(struct instr_change *c, uint8_t table_id)
{
    struct instr_change own;

    if (c->instr->miss[table_id].version) {
        instr_own_begin(&own, c, "recorder");
        withdraw(&own, table_id);
    }
}

/* --- Others. --- */

void
instr_miss_disturbed(struct instr_change *c)
{
    c->instr->watch.others_ns = c->now_ns;
}

/* The rule that an open question is about; NULL: it is known to stand, or to
 * be gone. */
static struct shadow_rule *
asked(const struct instr *instr, const struct instr_pending *p)
{
    return p->kind == PENDING_MISS && p->version
               ? instr_shadow_by_version(instr->shadow, p->version)
               : NULL;
}

/* Somebody has taken away what stands in 'table_id': if that was ours in the
 * place of theirs, it was theirs that they meant. */
static void
give_up(struct instr_change *c, uint8_t table_id)
{
    for (struct instr_link *l = c->instr->links; l; l = l->next) {
        for (struct instr_pending *p = l->pending; p; p = p->next) {
            struct shadow_rule *rule = asked(c->instr, p);

            if (rule && rule->table_id == table_id) {
                instr_watch_gone(c, rule, "delete");
                return;
            }
        }
    }
}

bool
instr_miss_lost(struct instr_change *c, uint8_t table_id, uint32_t version)
{
    struct instr_miss *miss = &c->instr->miss[table_id];

    if (!miss->version) {
        give_up(c, table_id);
    }
    if (!miss->version || miss->version != version) {
        return false;
    }
    instr_gone(c->out, miss->version, "delete");
    miss->version = 0;
    free_index(c, miss);
    instr_miss_disturbed(c);
    return true;
}

static struct instr_link *
find_link(const struct instr *instr, uint32_t id)
{
    struct instr_link *link = instr->links;

    while (link && link->id != id) {
        link = link->next;
    }
    return link;
}

/* True when the switch may have dealt with our rule after what it has just
 * told of that table. */
static bool
may_follow(const struct instr_miss *miss, const struct instr_link *link)
{
    return miss->added_tag && (link != link->instr->watch.link ||
                               miss->added_tag >= link->answered_tag);
}

void
instr_miss_met(struct instr_change *c, const struct shadow_rule *rule)
{
    struct instr *instr = c->instr;
    struct instr_miss *miss = &instr->miss[rule->table_id];
    struct instr_link *link = find_link(instr, miss->added_link);
    struct of_flow_request request = {.match = instr->all_packets,
                                      .table_id = rule->table_id,
                                      .cookie = rule->cookie,
                                      .cookie_mask = UINT64_MAX,
                                      .out_port = OF_ACTS_ANY,
                                      .out_group = OF_ACTS_ANY};
    struct instr_pending *p;
    struct instr_change own;
    uint8_t *msg;
    size_t len;

    if (rule->priority || !of_match_is_all(rule->match)) {
        return;
    }
    if (miss->version) {
        instr_gone(c->out, miss->version, "withdrawn");
        miss->version = 0;
        free_index(c, miss);
    }
    if (!link || !may_follow(miss, link)) {
        return;
    }
    instr_change_init(&own, link, c->out, c->now_ns, c->who);
    of_flow_request_encode(&request, link->of_version, true, 0, &msg, &len);
    p = instr_pend(&own, PENDING_MISS);
    p->version = rule->version;
    instr_emit_own(&own, msg, len);
    instr->counters.checks++;
    instr_detach_wait(&own);
}

void
instr_miss_checked(struct instr_change *c, struct instr_pending *p,
                   const uint8_t *msg, size_t len)
{
    struct instr *instr = c->instr;
    struct of_flow_reader *reader = of_flow_reader_open(msg, len);
    struct of_flow_record record;
    struct shadow_rule *rule;
    struct instr_change own;

    while (of_flow_reader_next(reader, &record) > 0) {
        if (!record.priority && of_match_is_all(record.match)) {
            p->version = 0; /* It stands. */
        }
        of_flow_record_uninit(&record);
    }
    of_flow_reader_close(reader);
    rule = asked(instr, p);
    if (rule && of_wire_is_last_reply(msg, len)) {
        instr->counters.put_back++;
        instr_change_init(&own, c->link, c->out, c->now_ns, "recorder");
        instr_flow_install(&own, rule);
        instr_detach_wait(&own);
    }
}

uint64_t
instr_miss_due_ns(const struct instr *instr)
{
    return instr->watch.misses_due_ns ? instr->watch.misses_due_ns
                                      : UINT64_MAX;
}

void
instr_miss_run(struct instr *instr, uint64_t now_ns, struct instr_out *out)
{
    if (instr_miss_due_ns(instr) <= now_ns) {
        struct instr_watch *w = &instr->watch;
        bool is_over = now_ns >= w->misses_since_ns + MAX_WAIT_NS;

        if (now_ns < w->others_ns + QUIET_NS && !is_over) {
            w->misses_due_ns = w->others_ns + QUIET_NS;
            return;
        }
        instr_owe(instr, OWES_UPDATE);
        instr_owed_pay(instr, now_ns, out);
        w->misses_due_ns = 0;
    }
}
