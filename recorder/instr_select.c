/* SPDX-License-Identifier: Apache-2.0 */
/* instr_select - which rules have postcards, and what it takes to change that
 * in a switch that is running. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"
#include "recorder/selection.h"

#define NO_FWD (UINT32_C(1) << 5) /* OFPPC_NO_FWD, of all versions. */

bool
instr_select_is_on(const struct instr *instr)
{
    return instr_inject_has(instr) && !instr->config.selection.is_paused;
}

bool
shadow_card_equal(struct shadow_card a, struct shadow_card b)
{
    return a.len == b.len && (!a.len || a.encapsulation == b.encapsulation);
}

static struct shadow_card
make_card(const struct instr *instr, const struct selection_answer *answer)
{
    int wanted = answer->encapsulation < 0
                     ? (int) instr->config.selection.encapsulation
                     : answer->encapsulation;

    return (struct shadow_card){
        .len = answer->snap_len ? answer->snap_len : instr->config.snap_len,
        .encapsulation = (uint8_t) instr_inject_choose(
            instr, (enum instr_encapsulation) wanted)};
}

static struct selection_answer
ask(const struct instr *instr, struct selection_subject *subject)
{
    const struct instr_selection *s = &instr->config.selection;

    if (!s->list) {
        return (struct selection_answer){.is_selected = true,
                                         .priority = SELECTION_PRIORITY,
                                         .encapsulation = -1};
    }
    subject->dpid = instr->config.dpid;
    subject->bridge = s->bridge;
    return selection_list_ask(s->list, subject);
}

/* The postcards of 'subject'. */
static struct shadow_card
select_card(const struct instr *instr, struct selection_subject *subject)
{
    const struct instr_selection *s = &instr->config.selection;
    struct selection_answer answer = ask(instr, subject);
    struct shadow_card card = make_card(instr, &answer);

    if (!answer.is_selected || answer.priority < s->shed_below) {
        card.len = 0;
    }
    return card;
}

/* The same without postcards where 'load' was too much. */
static struct shadow_card
select_loaded(const struct instr *instr, struct selection_subject *subject,
              const struct shadow_load *load)
{
    struct shadow_card card = select_card(instr, subject);

    if (load->is_shed) {
        card.len = 0;
    }
    return card;
}

struct shadow_card
instr_select_flow(const struct instr *instr, const struct shadow_rule *rule)
{
    struct selection_subject subject = {.table_id = rule->table_id,
                                        .cookie = rule->cookie,
                                        .match = rule->match};

    return instr_select_is_on(instr) && !rule->is_learned
               ? select_loaded(instr, &subject, &rule->load)
               : (struct shadow_card){.len = 0};
}

uint16_t
instr_select_priority(const struct instr *instr,
                      const struct shadow_rule *rule)
{
    struct selection_subject subject = {.table_id = rule->table_id,
                                        .cookie = rule->cookie,
                                        .match = rule->match};

    return ask(instr, &subject).priority;
}

bool
instr_select_is_capped(const struct instr *instr,
                       const struct shadow_rule *rule)
{
    return rule->load.is_shed || instr_select_priority(instr, rule) <
                                     instr->config.selection.shed_below;
}

bool
instr_select_emits(const struct instr *instr, const struct shadow_rule *rule)
{
    return !rule->facts->is_conjunction && instr_select_flow(instr, rule).len;
}

struct shadow_card
instr_select_miss(const struct instr *instr, uint8_t table_id)
{
    struct selection_subject subject = {.table_id = table_id};

    return select_loaded(instr, &subject, &instr->miss[table_id].load);
}

struct shadow_card
instr_select_packet_out(const struct instr *instr)
{
    struct selection_subject subject = {.is_packet_out = true};

    return select_card(instr, &subject);
}

struct shadow_card
instr_select_groups(const struct instr *instr)
{
    const struct instr_selection *s = &instr->config.selection;
    struct selection_subject subject = {.is_packet_out = true};
    struct shadow_card card = select_card(instr, &subject);

    card.len = s->list ? selection_list_may_select(s->list, instr->config.dpid,
                                                   s->bridge, s->shed_below)
                       : s->shed_below <= SELECTION_PRIORITY;
    card.len = card.len ? instr->config.snap_len : 0;
    return card;
}

static void
set_port(struct instr_change *c, struct instr_port *port)
{
    bool shuts = c->instr->config.selection.is_paused;
    uint8_t version = c->link->of_version;
    bool is_10 = version == OF_WIRE_10;
    size_t len = is_10 || version >= 5 ? 32 : 40;
    size_t config = is_10 ? 16 : 24;
    uint8_t *msg;

    /* In band others' postcards leave by it. */
    if (port->is_shut == shuts ||
        (c->instr->config.is_inband &&
         port->no == c->instr->config.ports[INSTR_MAC].no)) {
        return;
    }
    port->is_shut = shuts;
    msg = lh_alloc_zero(len);
    of_wire_put_header(msg, version, is_10 ? 15 : 16, (uint16_t) len, 0);
    if (is_10) {
        of_wire_put16(msg + 8, port->no);
        memcpy(msg + 10, port->mac, sizeof port->mac);
    } else {
        of_wire_put32(msg + 8, port->no);
        memcpy(msg + 16, port->mac, sizeof port->mac);
    }
    of_wire_put32(msg + config, shuts ? NO_FWD : 0);
    of_wire_put32(msg + config + 4, NO_FWD);
    instr_emit_own(c, msg, len);
}

void
instr_select_set_port(struct instr_change *c)
{
    struct instr *instr = c->instr;

    for (size_t i = 0; i < instr->n_ports; i++) {
        if (instr->ports[i].is_postcard) {
            set_port(c, &instr->ports[i]);
        }
    }
}

/* --- At run time. --- */

/* What has to be rewritten. */
struct work {
    struct shadow_rule **rules; /* Owned. */
    size_t n_rules;
    bool groups;
};

/* Finds what differs from what the shadow says is installed. */
static struct work
find_work(struct instr *instr, bool is_all)
{
    struct work work = {.groups = is_all};
    struct shadow_rule **rules;
    size_t n;

    work.groups |=
        !shadow_card_equal(instr->group_card, instr_select_groups(instr));
    rules = instr_shadow_all(instr->shadow, &n);
    for (size_t i = 0; i < n; i++) {
        if (is_all || !shadow_card_equal(rules[i]->card,
                                         instr_select_flow(instr, rules[i]))) {
            rules[work.n_rules++] = rules[i];
        }
    }
    work.rules = rules;
    return work;
}

static void
do_work(struct instr_change *c, const struct work *work)
{
    struct instr *instr = c->instr;

    if (work->groups && instr->n_groups) {
        instr_counts_ask_all(c);
    }
    for (size_t i = 0; work->groups && i < instr->n_groups; i++) {
        instr_group_rewrite(c, instr->groups[i]);
    }
    for (size_t i = 0; i < work->n_rules; i++) {
        instr_flow_rewrite(c, work->rules[i]);
    }
    instr->group_card = instr_select_groups(instr);
}

void
instr_select_pay(struct instr_change *c)
{
    struct instr *instr = c->instr;
    bool is_paused = instr->config.selection.is_paused;
    struct work work;

    instr->select_tag = c->tag;
    if (instr_inject_has(instr)) {
        work = find_work(instr, instr->selects_all);
        instr->selects_all = false;
        if (is_paused) {
            instr_select_set_port(c);
        }
        if (work.n_rules || work.groups) {
            instr_bundle_begin(c);
            do_work(c, &work);
        }
        instr_own_update(c);
        instr_bundle_end(c);
        if (!is_paused) {
            instr_select_set_port(c);
        }
        free(work.rules);
    }
    instr_ask_barrier(c);
}

size_t
instr_select(struct instr *instr, const struct instr_selection *selection,
             uint64_t now_ns, struct instr_out *out)
{
    bool was_paused = instr->config.selection.is_paused;
    struct work work = {.n_rules = 0};

    instr->config.selection = *selection;
    instr->selects_all |= was_paused != selection->is_paused;
    if (!instr->is_ready) {
        return 0;
    }
    if (instr_inject_has(instr)) {
        work = find_work(instr, instr->selects_all);
        free(work.rules);
    }
    instr->select_state = INSTR_SELECT_WAITING;
    instr_owe(instr, OWES_SELECT);
    instr_owed_pay(instr, now_ns, out);
    return work.n_rules + (work.groups ? instr->n_groups : 0);
}

void
instr_select_answer(struct instr *instr, uint64_t tag, bool is_error)
{
    if (!instr->select_tag || tag != instr->select_tag ||
        instr->select_state != INSTR_SELECT_WAITING) {
        return;
    }
    if (is_error && instr->owes) {
        instr_owe(instr, OWES_SELECT); /* By another link. */
    } else {
        instr->select_state =
            is_error ? INSTR_SELECT_REFUSED : INSTR_SELECT_DONE;
    }
}

enum instr_select_state
instr_select_state(const struct instr *instr)
{
    return instr->select_state;
}

size_t
instr_select_count(const struct instr *instr)
{
    struct shadow_rule **rules;
    size_t n, n_cards = 0;

    rules = instr_shadow_all(instr->shadow, &n);
    for (size_t i = 0; i < n; i++) {
        n_cards += rules[i]->is_instrumented;
    }
    free(rules);
    return n_cards;
}
