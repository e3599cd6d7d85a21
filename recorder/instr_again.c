/* SPDX-License-Identifier: Apache-2.0 */
/* instr_again - when the shadow may not be what the switch has.
 *
 * A connection that comes beside others belongs to the switch that they are
 * connected to, unless that has died and come back while they still look
 * alive.  So one of them must answer before the new one may change anything.
 * When none does, and when a connection goes with changes of which it is not
 * known whether the switch has them, the tables are read again; meanwhile
 * what would change them waits. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

void
instr_again_probe(struct instr_link *link, uint64_t now_ns,
                  struct instr_out *out)
{
    for (struct instr_link *o = link->instr->links; o; o = o->next) {
        struct instr_change c;

        if (o == link || !o->is_known) {
            continue;
        }
        instr_change_init(&c, o, out, now_ns, "recorder");
        if (!link->is_unproven) {
            link->is_unproven = true;
            link->probe_tag = c.tag;
            link->probe_ns = now_ns;
            out->is_held = true;
        }
        instr_ask_barrier(&c);
    }
}

void
instr_again_answered(struct instr_change *c, uint64_t tag)
{
    for (struct instr_link *l = c->instr->links; l; l = l->next) {
        if (l != c->link && l->is_unproven && tag >= l->probe_tag) {
            l->is_unproven = false;
            c->out->released = true;
        }
    }
}

static bool
has_others(const struct instr_link *link)
{
    for (const struct instr_link *o = link->instr->links; o; o = o->next) {
        if (o != link && o->is_known) {
            return true;
        }
    }
    return false;
}

static void
find_late(struct instr *instr, uint64_t now_ns)
{
    for (struct instr_link *l = instr->links; l; l = l->next) {
        if (l->is_unproven &&
            (!has_others(l) || now_ns - l->probe_ns >= INSTR_FENCE_NS)) {
            l->is_unproven = false;
            instr->needs_reading = true;
            instr->suspect = l;
        }
    }
}

bool
instr_again_holds(struct instr_link *link, uint64_t now_ns,
                  struct instr_out *out)
{
    instr_again_run(link->instr, now_ns, out);
    out->is_held |= link->is_unproven;
    return link->is_unproven || link->instr->start ||
           link->instr->needs_reading;
}

void
instr_again_run(struct instr *instr, uint64_t now_ns, struct instr_out *out)
{
    struct instr_link *link;

    find_late(instr, now_ns);
    link = instr->suspect ? instr->suspect : instr_link_choose(instr);
    /* What the TLV map is must not change meanwhile. */
    if (instr->needs_reading && link && !instr->tlv_move.state) {
        instr->needs_reading = false;
        instr->suspect = NULL;
        instr->is_ready = false;
        instr->n_ports = 0;
        instr->counters.readings++;
        instr_start(link, now_ns, out);
        instr->is_again = true;
    }
}

void
instr_again_forget(struct instr_link *link)
{
    struct instr *instr = link->instr;

    if (instr->suspect == link) {
        instr->suspect = NULL;
    }
    if (instr->reader == link && instr->start) {
        instr_start_destroy(instr->start);
        instr->start = NULL;
        instr->reader = NULL;
        instr->needs_reading = instr->is_again;
    } else if (instr->is_ready && instr_fence_is_open(link)) {
        instr->needs_reading = true;
    }
}

void
instr_again_reset(struct instr *instr)
{
    if (!instr->is_again) {
        return;
    }
    instr->is_again = false;
    instr_undo_destroy(instr);
    instr_tomb_destroy(instr);
    instr_expiry_destroy(instr);
    instr_shadow_destroy(instr->shadow);
    instr->shadow = instr_shadow_create();
    for (size_t i = 0; i < instr->n_groups; i++) {
        instr_group_destroy(instr->groups[i]);
    }
    instr->n_groups = 0;
    instr_meter_destroy_all(instr);
    for (size_t i = 0; instr->indexes && i <= MAX_INDEX; i++) {
        of_acts_uninit(&instr->indexes[i]);
    }
    instr->n_indexes = instr->n_dead_indexes = 0;
    instr->next_index = 1;
    memset(instr->miss, 0, sizeof instr->miss);
    instr->has_action_sets = instr->keeps_sets = false;
    instr->keeps_in_port = false;
    memset(instr->drop_in, 0, sizeof instr->drop_in);
    instr->lldp = false;
    instr_carry_reset(instr);
    instr->owes = 0;
}

struct instr_link *
instr_reader(const struct instr *instr)
{
    return instr->start ? instr->reader : NULL;
}
