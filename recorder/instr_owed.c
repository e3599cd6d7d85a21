/* SPDX-License-Identifier: Apache-2.0 */
/* instr_owed - what of our own the switch does not have yet.
 *
 * What no controller's message caused goes by a link that may change the
 * switch, when nothing sent by another link is still on its way.  Until then
 * only that it is owed is remembered: all of it can be made from the shadow.
 */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"

void
instr_owe(struct instr *instr, unsigned int what)
{
    instr->owes |= what;
}

void
instr_owe_index(struct instr *instr, uint16_t index)
{
    instr->dead_indexes = lh_alloc_grow(
        instr->dead_indexes, instr->n_dead_indexes,
        &instr->allocated_dead_indexes, sizeof *instr->dead_indexes);
    instr->dead_indexes[instr->n_dead_indexes++] = index;
    instr_owe(instr, OWES_INDEXES);
}

static void
pay(struct instr_change *c, unsigned int what)
{
    struct instr *instr = c->instr;

    if (what & OWES_TREE) {
        instr_carry_pay(c);
    }
    if (what & OWES_NO_FLOOD) {
        instr_ports_no_flood(c);
    }
    if (what & OWES_INDEXES) {
        uint16_t *dead = instr->dead_indexes;
        size_t n = instr->n_dead_indexes;

        instr->dead_indexes = NULL;
        instr->n_dead_indexes = instr->allocated_dead_indexes = 0;
        instr_own_free_indexes(c, dead, n);
        free(dead);
    }
    if (what & OWES_EXPIRY) {
        instr_expiry_pay(c);
    }
    if (what & OWES_SELECT) {
        instr_select_pay(c);
    }
    if (what & OWES_ALL) {
        instr_own_reinstall(c, what & OWES_GROUPS);
    }
    if (what & (OWES_UPDATE | OWES_ALL)) {
        instr_own_update(c);
    }
    if (what & OWES_REWRITE) {
        instr_own_rewrite(c, OWN_REWRITE_ALL);
    } else if (what & OWES_LISTS) {
        instr_own_rewrite(c, OWN_REWRITE_LISTS);
    }
}

void
instr_owed_pay(struct instr *instr, uint64_t now_ns, struct instr_out *out)
{
    unsigned int what = instr->owes;
    struct instr_link *link;
    struct instr_change c;

    if (!what || !instr->is_ready) {
        return;
    }
    link = instr_link_choose(instr);
    if (!link || instr_fence_holds(link, now_ns, out)) {
        if (!instr->is_owing) {
            instr->is_owing = true;
            instr->counters.own_waited++;
        }
        return;
    }
    instr->is_owing = false;
    instr->owes = 0;
    instr_change_init(&c, link, out, now_ns, "recorder");
    pay(&c, what);
}
