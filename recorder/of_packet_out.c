/* SPDX-License-Identifier: Apache-2.0 */
/* of_packet_out - packets that a controller sends. */
#include <config.h>
#include "recorder/of_packet_out.h"

#include <string.h>

#include "recorder/of_ovs.h"
#include "recorder/of_wire.h"

bool
of_packet_out_decode(const uint8_t *msg, size_t len,
                     struct of_packet_out *packet_out)
{
    struct ofpbuf *b = of_ovs_message(msg, len);
    struct ofputil_packet_out po;
    struct ofpbuf ofpacts;
    enum ofptype type;
    bool ok = false;

    memset(packet_out, 0, sizeof *packet_out);
    ofpbuf_init(&ofpacts, 128);
    if (!ofptype_decode(&type, b->data) && type == OFPTYPE_PACKET_OUT &&
        !ofputil_decode_packet_out(&po, b->data, NULL, &ofpacts)) {
        of_acts_from_ovs(&packet_out->acts, po.ofpacts, po.ofpacts_len);
        packet_out->in_port =
            of_ovs_u16(po.flow_metadata.flow.in_port.ofp_port);
        packet_out->buffer_id = po.buffer_id;
        if (msg[0] == OF_WIRE_15) {
            packet_out->pipeline = of_match_from_ovs(&po.flow_metadata);
        }
        if (po.packet) {
            packet_out->frame =
                msg + ((const uint8_t *) po.packet - (uint8_t *) b->data);
            packet_out->len = po.packet_len;
        }
        ok = true;
    }
    ofpbuf_uninit(&ofpacts);
    ofpbuf_delete(b);
    return ok;
}

void
of_packet_out_uninit(struct of_packet_out *packet_out)
{
    of_acts_uninit(&packet_out->acts);
    of_match_destroy(packet_out->pipeline);
    packet_out->pipeline = NULL;
}

int
of_packet_out_encode(const struct of_packet_out *packet_out, uint8_t version,
                     uint32_t xid, uint8_t **msg, size_t *msg_len)
{
    struct ofputil_packet_out po = {.packet = packet_out->frame,
                                    .packet_len = packet_out->len,
                                    .buffer_id = packet_out->buffer_id,
                                    .ofpacts = packet_out->acts.data,
                                    .ofpacts_len = packet_out->acts.len};

    if (packet_out->pipeline) {
        of_match_expand_wire(packet_out->pipeline, &po.flow_metadata);
    } else {
        match_init_catchall(&po.flow_metadata);
        match_set_in_port(&po.flow_metadata, of_ovs_port(packet_out->in_port));
    }
    return of_ovs_take(
        ofputil_encode_packet_out(&po, of_ovs_protocol(version)), xid, msg,
        msg_len);
}
