/* SPDX-License-Identifier: Apache-2.0 */
/* of_inject - what our own table-miss rules do, and how long postcards are. */
#include <config.h>
#include "recorder/of_inject.h"

#include "lib/of_port.h"
#include "recorder/of_card.h"

void
of_inject_miss_alone(const struct of_inject *inj, uint32_t version,
                     struct of_acts *alone)
{
    struct ofpbuf out;

    ofpbuf_init(&out, 256);
    of_card_put_alone(of_inject_card(inj), &out, version, OF_PORT_NONE, 0,
                      NULL);
    of_acts_from_ovs(alone, out.data, out.size);
    ofpbuf_uninit(&out);
}

void
of_inject_indirect(uint16_t index, uint8_t index_table, struct of_acts *acts)
{
    struct ofpbuf out;

    ofpbuf_init(&out, 64);
    of_card_put_indirect(&out, index, index_table);
    of_acts_from_ovs(acts, out.data, out.size);
    ofpbuf_uninit(&out);
}

void
of_inject_miss(const struct of_inject *inj, uint32_t version,
               bool to_controller, uint16_t miss_len, struct of_acts *acts)
{
    struct ofpbuf out;

    ofpbuf_init(&out, 256);
    of_card_put(of_inject_card(inj), &out, version,
                to_controller ? OF_PORT_CONTROLLER : OF_PORT_NONE, 0, NULL);
    if (to_controller) {
        struct ofpact_controller *c = ofpact_put_CONTROLLER(&out);

        c->max_len = miss_len;
        c->reason = OFPR_NO_MATCH;
        ofpact_finish_CONTROLLER(&out, &c);
    }
    of_acts_from_ovs(acts, out.data, out.size);
    ofpbuf_uninit(&out);
}

void
of_inject_take_kept(const struct of_inject *inj, struct of_acts *acts)
{
    struct ofpbuf out;

    if (acts->len) {
        ofpbuf_init(&out, acts->len);
        ofpbuf_put(&out, acts->data, acts->len);
        of_card_take_kept(of_inject_card(inj), &out, 0);
        of_acts_uninit(acts);
        of_acts_from_ovs(acts, out.data, out.size);
        ofpbuf_uninit(&out);
    }
}

void
of_inject_set_snap_len(const struct of_inject *inj, uint16_t snap_len,
                       struct of_acts *acts)
{
    const struct ofpact *before = NULL;
    struct ofpact *a;

    OFPACT_FOR_EACH_FLATTENED(a, acts->data, acts->len)
    {
        if (of_card_is_end(of_inject_card(inj), a, before)) {
            ofpact_get_OUTPUT_TRUNC(a)->max_len = snap_len;
        }
        before = a;
    }
}
