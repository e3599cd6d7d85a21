/* SPDX-License-Identifier: Apache-2.0 */
/* instr_ask - what we ask of a switch: all that it has, and whether it has
 * done what came before. */
#include <config.h>
#include "recorder/instr_state.h"

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

void
instr_ask_barrier(struct instr_change *c)
{
    uint8_t version = c->link->of_version;
    uint8_t *msg = lh_alloc(OF_WIRE_HEADER_LEN);

    of_wire_put_header(msg, version, of_wire_barrier_request(version),
                       OF_WIRE_HEADER_LEN, 0);
    instr_emit_own(c, msg, OF_WIRE_HEADER_LEN);
}

/* A Nicira message of 1.0 with 'subtype' and eight bytes of body. */
static void
send_nicira(struct instr_change *c, uint32_t subtype, uint32_t first)
{
    uint8_t *msg = lh_alloc_zero(24);
    size_t len = subtype == 12 ? 20 : 24;

    of_wire_put_header(msg, OF_WIRE_10, OF_WIRE_EXPERIMENTER, (uint16_t) len,
                       0);
    of_wire_put32(msg + 8, 0x00002320);
    of_wire_put32(msg + 12, subtype);
    of_wire_put32(msg + 16, first);
    instr_emit_own(c, msg, len);
}

/* A request for statistics of 'type' from OpenFlow 1.1 on. */
static void
ask_stats(struct instr_change *c, uint16_t type, size_t len)
{
    uint8_t *msg = lh_alloc_zero(len);

    of_wire_put_header(msg, c->link->of_version, 18, (uint16_t) len, 0);
    of_wire_put16(msg + 8, type);
    if (len > 16) {
        of_wire_put32(msg + 16, UINT32_MAX); /* Any port. */
    }
    instr_emit_own(c, msg, len);
}

/* Ports stand in the features up to 1.2, then in a description.  What a miss
 * does in 1.1 and 1.2 stands in table statistics. */
static void
ask_ports(struct instr_change *c)
{
    uint8_t version = c->link->of_version;

    if (version >= OF_WIRE_13) {
        ask_stats(c, 13, version == OF_WIRE_15 ? 24 : 16);
    } else {
        uint8_t *msg = lh_alloc(OF_WIRE_HEADER_LEN);

        of_wire_put_header(msg, version, OF_WIRE_FEATURES_REQUEST,
                           OF_WIRE_HEADER_LEN, 0);
        instr_emit_own(c, msg, OF_WIRE_HEADER_LEN);
        if (version != OF_WIRE_10) {
            ask_stats(c, 3, 16);
        }
    }
}

void
instr_ask_forms(struct instr_change *c)
{
    if (c->link->of_version == OF_WIRE_10) {
        send_nicira(c, 15, UINT32_C(1) << 24); /* Table in the command. */
        send_nicira(c, 12, 2);                 /* Flow format NXM. */
    }
}

void
instr_ask_switch(struct instr_change *c)
{
    struct instr *instr = c->instr;
    struct of_flow_request all = {.match = instr->all_packets,
                                  .table_id = OF_FLOW_ALL_TABLES,
                                  .out_port = OF_ACTS_ANY,
                                  .out_group = OF_ACTS_ANY};
    uint8_t version = c->link->of_version;
    uint8_t *msg;
    size_t len;

    instr_ask_forms(c);
    of_msg_tlv_request(version, &msg, &len);
    instr_emit_own(c, msg, len);
    ask_ports(c);
    of_group_desc_request(version, &msg, &len);
    instr_emit_own(c, msg, len);
    of_flow_request_encode(&all, version, true, 0, &msg, &len);
    instr_emit_own(c, msg, len);
}
