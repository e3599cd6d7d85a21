/* SPDX-License-Identifier: Apache-2.0 */
/* instr_object - groups and meters as the timeline has them. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "recorder/of_text.h"
#include "recorder/of_wire.h"

static struct instr_object
from_group(const struct shadow_group *sg, uint8_t of_version, const char *how)
{
    struct instr_object object = {.id = sg->id, .how = how};

    if (!of_group_encode(sg->group, of_version, 0, &object.raw,
                         &object.raw_len)) {
        object.text = of_text_from_group(object.raw, object.raw_len);
    }
    if (!object.text) {
        /* Too long for a message: nobody can have such a group. */
        object.text = lh_asprintf("group_id=%u", (unsigned) sg->id);
    }
    return object;
}

static struct instr_object
from_meter(const struct of_meter *meter, const char *how)
{
    return (struct instr_object){
        .is_meter = true,
        .id = meter->id,
        .how = how,
        .text = lh_strdup(meter->text),
        .raw = lh_memdup(meter->raw, meter->raw_len),
        .raw_len = meter->raw_len,
    };
}

static void
add(struct instr_out *out, struct instr_object object)
{
    out->objects =
        lh_alloc_grow(out->objects, out->n_objects, &out->allocated_objects,
                      sizeof *out->objects);
    out->objects[out->n_objects++] = object;
}

void
instr_object_group(struct instr_change *c, const struct shadow_group *sg,
                   const char *how)
{
    add(c->out, from_group(sg, c->link->of_version, how));
}

void
instr_object_meter(struct instr_out *out, const struct of_meter *meter,
                   const char *how)
{
    add(out, from_meter(meter, how));
}

void
instr_object_gone(struct instr_out *out, bool is_meter, uint32_t id,
                  const char *reason)
{
    add(out,
        (struct instr_object){.is_meter = is_meter, .id = id, .how = reason});
}

static void
give(struct rule *rule, void (*each)(void *aux, struct rule *), void *aux)
{
    each(aux, rule);
    rule_unref(rule);
}

void
instr_rules(struct instr *instr, void (*each)(void *aux, struct rule *),
            void *aux)
{
    struct instr_link *link = instr->links;
    struct instr_out out = INSTR_OUT_INIT; /* Nothing comes of it. */
    struct shadow_rule **rules;
    struct instr_change c;
    size_t n;

    if (!link) {
        return;
    }
    instr_change_init(&c, link, &out, 0, "recorder");
    rules = instr_shadow_all(instr->shadow, &n);
    for (size_t i = 0; i < n; i++) {
        give(instr_rule_flow(&c, rules[i], "found", c.who), each, aux);
    }
    free(rules);
    for (size_t g = 0; g < instr->n_groups; g++) {
        for (size_t i = 0; i < instr->groups[g]->n_buckets; i++) {
            give(instr_rule_bucket(&c, instr->groups[g], i, "found", c.who),
                 each, aux);
        }
    }
    for (unsigned int t = 0; t < N_TABLES; t++) {
        if (instr->miss[t].version) {
            give(
                instr_rule_miss(instr, (uint8_t) t, instr->miss[t].version, 0),
                each, aux);
        }
    }
    instr_out_uninit(&out);
}

void
instr_objects(const struct instr *instr,
              void (*each)(void *aux, const struct instr_object *), void *aux)
{
    uint8_t version = instr->links ? instr->links->of_version : OF_WIRE_13;
    struct instr_object object;

    for (size_t i = 0; i < instr->n_groups + instr->n_meters; i++) {
        object = i < instr->n_groups
                     ? from_group(instr->groups[i], version, "found")
                     : from_meter(instr->meters[i - instr->n_groups], "found");
        each(aux, &object);
        free(object.text);
        free(object.raw);
    }
}
