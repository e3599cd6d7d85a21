/* SPDX-License-Identifier: Apache-2.0 */
/* instr_link - one connection of a switch, and what it has open. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

bool
instr_knows_version(uint8_t of_version)
{
    return of_wire_is_known(of_version);
}

struct instr_link *
instr_link_create(struct instr *instr, uint8_t of_version, bool is_auxiliary,
                  void *aux)
{
    struct instr_link *link = lh_alloc_zero(sizeof *link);
    struct instr_link **end = &instr->links;

    link->instr = instr;
    link->id = ++instr->next_link;
    link->aux = aux;
    link->is_auxiliary = is_auxiliary;
    link->of_version = of_version;
    link->is_known = instr_knows_version(of_version);
    link->miss_len = INSTR_LINK_MISS_LEN;
    link->next_bundle = 0x6c680000;
    instr_echo_join(link);
    while (*end) {
        end = &(*end)->next;
    }
    *end = link;
    return link;
}

void
instr_link_reset(struct instr_link *link)
{
    link->has_tid = false;
    link->wants_nicira = false;
    link->miss_len = link->is_guest ? 0 : INSTR_LINK_MISS_LEN;
    instr_bundle_destroy(link);
    instr_monitor_destroy(link);
    while (link->pending) {
        instr_pending_drop(link, link->pending);
    }
}

void
instr_link_destroy(struct instr_link *link)
{
    struct instr_link **p;

    if (!link) {
        return;
    }
    instr_again_forget(link);
    instr_echo_leave(link);
    instr_link_reset(link);
    instr_watch_forget(link);
    instr_undo_forget(link);
    for (p = &link->instr->links; *p != link; p = &(*p)->next) {
        continue;
    }
    *p = link->next;
    instr_carry_forget(link->instr);
    free(link);
}

void *
instr_link_aux(const struct instr_link *link)
{
    return link->aux;
}

bool
instr_link_is_open(const struct instr_link *link)
{
    return instr_fence_is_open(link);
}

void
instr_link_settle(struct instr_link *link)
{
    link->answered_tag = UINT64_MAX;
}

void
instr_link_start(struct instr_link *link, uint64_t now_ns,
                 struct instr_out *out)
{
    struct instr_change c;

    if (!link->is_known) {
        return;
    }
    instr_change_init(&c, link, out, now_ns, "recorder");
    instr_stats_join(link);
    instr_ask_forms(&c);
    instr_forward_ask(link, now_ns, out);
    if (link->instr->is_ready) {
        /* A table miss may now mean something else. */
        instr_owe(link->instr, OWES_UPDATE);
        instr_again_probe(link, now_ns, out);
        instr_owed_pay(link->instr, now_ns, out);
    }
}

void
instr_catch_up(struct instr *instr, uint64_t now_ns, struct instr_out *out)
{
    instr_again_run(instr, now_ns, out);
    instr_owe(instr, OWES_UPDATE);
    instr_owed_pay(instr, now_ns, out);
}

/* True when 'a' is the better one for our own messages: it must be able to say
 * what any link can, and not be refused. */
static bool
is_better(const struct instr_link *a, const struct instr_link *b)
{
    if (a->is_guest != b->is_guest) {
        return !a->is_guest;
    }
    if (a->is_auxiliary != b->is_auxiliary) {
        return !a->is_auxiliary;
    }
    if (a->of_version != b->of_version) {
        return a->of_version > b->of_version;
    }
    return instr_link_role(a) == INSTR_ROLE_MASTER &&
           instr_link_role(b) != INSTR_ROLE_MASTER;
}

struct instr_link *
instr_link_choose(const struct instr *instr)
{
    struct instr_link *chosen = NULL;

    for (struct instr_link *l = instr->links; l; l = l->next) {
        if (l->is_known && !instr_role_is_slave(l) &&
            (!chosen || is_better(l, chosen))) {
            chosen = l;
        }
    }
    return chosen;
}

bool
instr_link_is_told(const struct instr_link *link)
{
    return !link->is_guest || link->miss_len;
}

bool
instr_link_is_any_before_13(const struct instr *instr)
{
    for (const struct instr_link *l = instr->links; l; l = l->next) {
        if (l->is_known && l->of_version < OF_WIRE_13 &&
            instr_link_is_told(l)) {
            return true;
        }
    }
    return false;
}

uint16_t
instr_link_miss_len(const struct instr *instr)
{
    uint16_t miss_len = 0;

    for (const struct instr_link *l = instr->links; l; l = l->next) {
        if (l->miss_len > miss_len) {
            miss_len = l->miss_len;
        }
    }
    return miss_len;
}

bool
instr_sets_no_flood(const struct instr *instr)
{
    for (const struct instr_link *l = instr->links; l; l = l->next) {
        if (l->of_version == OF_WIRE_10 && !l->is_guest) {
            return true;
        }
    }
    return false;
}

/* Requests whose answers we rewrite. */

struct instr_pending *
instr_pend(struct instr_change *c, enum pending_kind kind)
{
    struct instr_link *link = c->link;
    struct instr_pending *p = lh_alloc_zero(sizeof *p);
    struct instr_pending **end = &link->pending;

    p->kind = kind;
    p->tag = c->tag;
    p->out_port = p->out_group = OF_ACTS_ANY;
    p->request = lh_memdup(c->original, c->original_len);
    p->request_len = c->original_len;
    if (link->n_pending >= MAX_PENDING) {
        instr_pending_drop(link, link->pending);
        link->instr->counters.pending_dropped++;
    }
    while (*end) {
        end = &(*end)->next;
    }
    *end = p;
    link->n_pending++;
    return p;
}

struct instr_pending *
instr_pending_find(const struct instr_link *link, uint64_t tag,
                   enum pending_kind kind)
{
    struct instr_pending *p = link->pending;

    while (p && !(p->tag == tag && p->kind == kind)) {
        p = p->next;
    }
    return p;
}

void
instr_pending_drop(struct instr_link *link, struct instr_pending *gone)
{
    struct instr_pending **p = &link->pending;

    while (*p != gone) {
        p = &(*p)->next;
    }
    *p = gone->next;
    link->n_pending--;
    link->n_role_requests -= gone->kind == PENDING_ROLE;
    free(gone->request);
    free(gone);
}
