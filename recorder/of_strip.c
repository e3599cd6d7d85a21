/* SPDX-License-Identifier: Apache-2.0 */
/* of_inject - finding and taking out again what was injected. */
#include <config.h>
#include "recorder/of_inject.h"

#include "recorder/of_card.h"

bool
of_inject_find_version(const struct of_inject *inj, const struct of_acts *acts,
                       of_inject_indexed *indexed, void *aux,
                       uint32_t *versionp)
{
    const struct ofpact *a;
    bool found = false;

    OFPACT_FOR_EACH_FLATTENED(a, of_acts_ovs(acts), acts->len)
    {
        uint32_t version;

        if (of_card_is_ours(of_inject_card(inj), a, &version)) {
            *versionp = version;
            found = true;
            if (a->type == OFPACT_NOTE) {
                break; /* It has all the bits. */
            }
        }
        if (a->type == OFPACT_RESUBMIT && indexed && !found) {
            const struct ofpact_resubmit *r = ofpact_get_RESUBMIT(a);
            const struct of_acts *target =
                indexed(aux, r->table_id, of_ovs_u16(r->in_port));

            found =
                target &&
                (of_card_is_alone(of_inject_card(inj), target, versionp) ||
                 of_inject_find_version(inj, target, NULL, NULL, versionp));
        }
    }
    return found;
}

struct strip {
    const struct of_card *card;
    of_inject_indexed *indexed;
    void *aux;
    struct ofpbuf *out;
};

static void
strip_list(struct strip *strip, const struct ofpact *acts, size_t len)
{
    const struct ofpact *a;
    uint32_t version;

    OFPACT_FOR_EACH(a, acts, len)
    {
        const struct of_acts *target = NULL;

        if (of_card_is_ours(strip->card, a, &version)) {
            continue;
        }
        if (a->type == OFPACT_RESUBMIT) {
            const struct ofpact_resubmit *r = ofpact_get_RESUBMIT(a);

            target = strip->indexed(strip->aux, r->table_id,
                                    of_ovs_u16(r->in_port));
        }
        if (target && of_card_is_alone(strip->card, target, &version)) {
            continue;
        }
        if (target) {
            strip_list(strip, target->data, target->len);
        } else if (a->type == OFPACT_CLONE ||
                   a->type == OFPACT_WRITE_ACTIONS) {
            const struct ofpact_nest *nest = (const struct ofpact_nest *) a;
            size_t start = strip->out->size;

            ofpact_put(strip->out, a->type, sizeof *nest);
            strip_list(strip, nest->actions, ofpact_nest_get_action_len(nest));
            of_card_end_nest(strip->out, start);
            if (strip->out->size == start + sizeof *nest) {
                strip->out->size = start;
            }
        } else {
            ofpbuf_put(strip->out, a, OFPACT_ALIGN(a->len));
        }
    }
}

void
of_inject_strip(const struct of_inject *inj, const struct of_acts *acts,
                of_inject_indexed *indexed, void *aux, struct of_acts *own)
{
    struct ofpbuf out;
    struct strip strip = {.card = of_inject_card(inj),
                          .indexed = indexed,
                          .aux = aux,
                          .out = &out};

    ofpbuf_init(&out, 256);
    strip_list(&strip, acts->data, acts->len);
    of_acts_from_ovs(own, out.data, out.size);
    ofpbuf_uninit(&out);
}
