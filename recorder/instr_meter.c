/* SPDX-License-Identifier: Apache-2.0 */
/* instr_meter - the controller's meters.
 *
 * They are passed on as they come; the shadow has them for the timeline, and
 * because the rules that use one go with it. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

static struct of_meter **
find(const struct instr *instr, uint32_t id)
{
    for (size_t i = 0; i < instr->n_meters; i++) {
        if (instr->meters[i]->id == id) {
            return &instr->meters[i];
        }
    }
    return NULL;
}

struct of_meter *
instr_meter_take(struct instr *instr, uint32_t id)
{
    struct of_meter **p = find(instr, id);
    struct of_meter *meter = p ? *p : NULL;

    if (p) {
        *p = instr->meters[--instr->n_meters];
        instr->counters.meters = instr->n_meters;
    }
    return meter;
}

void
instr_meter_insert(struct instr *instr, struct of_meter *meter)
{
    instr->meters =
        lh_alloc_grow(instr->meters, instr->n_meters, &instr->allocated_meters,
                      sizeof *instr->meters);
    instr->meters[instr->n_meters++] = meter;
    instr->counters.meters = instr->n_meters;
}

void
instr_meter_destroy(struct of_meter *meter)
{
    if (meter) {
        of_meter_uninit(meter);
        free(meter);
    }
}

void
instr_meter_destroy_all(struct instr *instr)
{
    for (size_t i = 0; i < instr->n_meters; i++) {
        instr_meter_destroy(instr->meters[i]);
    }
    instr->n_meters = 0;
    instr->counters.meters = 0;
}

/* A meter comes, alone or instead of another; what it owns is taken. */
static void
put(struct instr_change *c, struct of_meter *meter)
{
    struct instr *instr = c->instr;
    bool is_add = meter->command == OF_METER_ADD;
    struct of_meter *old = instr_meter_take(instr, meter->id);

    meter = lh_memdup(meter, sizeof *meter);
    instr_meter_insert(instr, meter);
    instr_object_meter(c->out, meter, is_add ? "add" : "modify");
    instr_undo_meter(c, old, meter->id, true);
}

/* The rules that use the meter go with it. */
static void
drop_users(struct instr_change *c, uint32_t id)
{
    struct instr *instr = c->instr;
    size_t n;
    struct shadow_rule **rules = instr_shadow_all(instr->shadow, &n);

    for (size_t i = 0; i < n; i++) {
        uint32_t used = of_acts_meter(&rules[i]->acts);

        if (used && (used == id || id == OF_METER_ALL)) {
            instr_flow_drop(c, rules[i], "meter_delete");
        }
    }
    free(rules);
    instr_own_update(c);
    instr->counters.rules = instr_shadow_count(instr->shadow);
}

static void
drop(struct instr_change *c, uint32_t id)
{
    struct instr *instr = c->instr;

    drop_users(c, id);
    for (size_t i = instr->n_meters; i-- > 0;) {
        uint32_t other = instr->meters[i]->id;

        if (id == OF_METER_ALL || id == other) {
            struct of_meter *old = instr_meter_take(instr, other);

            instr_object_gone(c->out, true, other, "delete");
            instr_undo_meter(c, old, other, false);
        }
    }
}

void
instr_meter_mod(struct instr_change *c, const uint8_t *msg, size_t len)
{
    struct of_meter meter;
    bool is_there;

    instr_pass(c, msg, len);
    if (!of_meter_decode(msg, len, &meter)) {
        instr_note(c, "meter-mod", msg, len);
        return;
    }
    instr_forward_sent(c, &meter);
    is_there = find(c->instr, meter.id) != NULL;
    if (meter.command == OF_METER_DELETE) {
        drop(c, meter.id);
    } else if (is_there == (meter.command == OF_METER_MODIFY)) {
        put(c, &meter);
        return;
    } /* Else the switch is going to say that there is one, or none. */
    of_meter_uninit(&meter);
}

void
instr_meter_heard(struct instr_change *c, struct of_meter *meter)
{
    struct instr *instr = c->instr;
    struct of_meter **old = find(instr, meter->id);

    if (meter->command != OF_METER_DELETE) {
        /* As a meter that is read: whoever hears it twice hears the same. */
        if (!old || strcmp((*old)->text, meter->text) != 0) {
            instr_object_meter(c->out, meter, old ? "modify" : "add");
            instr->counters.foreign++;
            instr_meter_destroy(instr_meter_take(instr, meter->id));
            instr_meter_insert(instr, lh_memdup(meter, sizeof *meter));
            return;
        }
    } else {
        for (size_t i = instr->n_meters; i-- > 0;) {
            uint32_t id = instr->meters[i]->id;

            if (meter->id == OF_METER_ALL || meter->id == id) {
                instr_object_gone(c->out, true, id, "delete");
                instr->counters.foreign++;
                instr_meter_destroy(instr_meter_take(instr, id));
            }
        }
    }
    of_meter_uninit(meter);
}
