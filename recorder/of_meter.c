/* SPDX-License-Identifier: Apache-2.0 */
/* of_meter - meters: meter-mods and the configuration a switch tells. */
#include <config.h>
#include "recorder/of_meter.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "recorder/of_ovs.h"

#include <openvswitch/ofp-meter.h>

/* What the library prints cannot be read again by it. */
static char *
make_text(const struct ofputil_meter_config *mc)
{
    struct ds s = DS_EMPTY_INITIALIZER;
    char *text;

    ofputil_format_meter_id(&s, mc->meter_id, '=');
    ds_put_cstr(&s, mc->flags & OFPMF13_PKTPS ? ",pktps" : ",kbps");
    if (mc->flags & OFPMF13_BURST) {
        ds_put_cstr(&s, ",burst");
    }
    if (mc->flags & OFPMF13_STATS) {
        ds_put_cstr(&s, ",stats");
    }
    for (size_t i = 0; i < mc->n_bands; i++) {
        const struct ofputil_meter_band *band = &mc->bands[i];

        ds_put_format(&s, ",%stype=%s,rate=%u", i ? "" : "bands=",
                      band->type == OFPMBT13_DSCP_REMARK ? "dscp_remark"
                                                         : "drop",
                      (unsigned) band->rate);
        if (mc->flags & OFPMF13_BURST) {
            ds_put_format(&s, ",burst_size=%u", (unsigned) band->burst_size);
        }
        if (band->type == OFPMBT13_DSCP_REMARK) {
            ds_put_format(&s, ",prec_level=%u", band->prec_level);
        }
    }
    text = lh_strdup(ds_cstr(&s));
    ds_destroy(&s);
    return text;
}

static void
fill(struct of_meter *meter, uint8_t version,
     const struct ofputil_meter_config *mc)
{
    struct ofputil_meter_mod mm = {.command = OFPMC13_ADD, .meter = *mc};

    *meter = (struct of_meter){.command = OF_METER_ADD, .id = mc->meter_id};
    meter->text = make_text(mc);
    of_ovs_take(ofputil_encode_meter_mod(version, &mm), 0, &meter->raw,
                &meter->raw_len);
}

bool
of_meter_decode(const uint8_t *msg, size_t len, struct of_meter *meter)
{
    struct ofpbuf *b = of_ovs_message(msg, len);
    struct ofputil_meter_mod mm;
    struct ofpbuf bands;
    enum ofptype type;
    bool ok;

    ofpbuf_init(&bands, 64);
    ok = !ofptype_decode(&type, b->data) && type == OFPTYPE_METER_MOD &&
         !ofputil_decode_meter_mod(b->data, &mm, &bands);
    if (ok) {
        fill(meter, msg[0], &mm.meter);
        meter->command = mm.command == OFPMC13_ADD      ? OF_METER_ADD
                         : mm.command == OFPMC13_MODIFY ? OF_METER_MODIFY
                                                        : OF_METER_DELETE;
    }
    ofpbuf_uninit(&bands);
    ofpbuf_delete(b);
    return ok;
}

void
of_meter_uninit(struct of_meter *meter)
{
    free(meter->text);
    free(meter->raw);
}

bool
of_meter_read_config(const uint8_t *msg, size_t len,
                     void (*found)(void *aux, struct of_meter *), void *aux)
{
    struct ofpbuf *b = of_ovs_message(msg, len);
    struct ofputil_meter_config mc;
    struct ofpbuf bands;
    enum ofptype type;
    int result = -1;

    ofpbuf_init(&bands, 64);
    if (!ofptype_decode(&type, b->data) &&
        type == OFPTYPE_METER_CONFIG_STATS_REPLY) {
        while (!(result = ofputil_decode_meter_config(b, &mc, &bands))) {
            struct of_meter meter;

            fill(&meter, msg[0], &mc);
            found(aux, &meter);
        }
    }
    ofpbuf_uninit(&bands);
    ofpbuf_delete(b);
    return result == EOF;
}

void
of_meter_config_request(uint8_t version, uint8_t **msg, size_t *msg_len)
{
    of_ovs_take(ofputil_encode_meter_request(version, OFPUTIL_METER_CONFIG,
                                             OFPM13_ALL),
                0, msg, msg_len);
}
