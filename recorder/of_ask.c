/* SPDX-License-Identifier: Apache-2.0 */
/* of_ask - requests to a switch. */
#include <config.h>
#include "recorder/of_ask.h"

#include "lib/lh_alloc.h"
#include "recorder/of_flow.h"
#include "recorder/of_group.h"
#include "recorder/of_match.h"
#include "recorder/of_meter.h"
#include "recorder/of_msg.h"
#include "recorder/of_wire.h"

static void
ask_plain(uint8_t version, uint8_t type, of_ask_emit *emit, void *aux)
{
    uint8_t *msg = lh_alloc(OF_WIRE_HEADER_LEN);

    of_wire_put_header(msg, version, type, OF_WIRE_HEADER_LEN, 0);
    emit(aux, msg, OF_WIRE_HEADER_LEN);
}

void
of_ask_barrier(uint8_t version, of_ask_emit *emit, void *aux)
{
    ask_plain(version, of_wire_barrier_request(version), emit, aux);
}

/* A Nicira message of 1.0 with 'subtype' and eight bytes of body. */
static void
send_nicira(uint32_t subtype, uint32_t first, of_ask_emit *emit, void *aux)
{
    uint8_t *msg = lh_alloc_zero(24);
    size_t len = subtype == 12 ? 20 : 24;

    of_wire_put_header(msg, OF_WIRE_10, OF_WIRE_EXPERIMENTER, (uint16_t) len,
                       0);
    of_wire_put32(msg + 8, 0x00002320);
    of_wire_put32(msg + 12, subtype);
    of_wire_put32(msg + 16, first);
    emit(aux, msg, len);
}

void
of_ask_forms(uint8_t version, of_ask_emit *emit, void *aux)
{
    if (version == OF_WIRE_10) {
        send_nicira(15, UINT32_C(1) << 24, emit, aux); /* Table in command. */
        send_nicira(12, 2, emit, aux);                 /* Flow format NXM. */
    }
}

/* A request for statistics of 'type' from OpenFlow 1.1 on. */
static void
ask_stats(uint8_t version, uint16_t type, size_t len, of_ask_emit *emit,
          void *aux)
{
    uint8_t *msg = lh_alloc_zero(len);

    of_wire_put_header(msg, version, 18, (uint16_t) len, 0);
    of_wire_put16(msg + 8, type);
    if (len > 16) {
        of_wire_put32(msg + 16, UINT32_MAX); /* Any port. */
    }
    emit(aux, msg, len);
}

/* Ports stand in the features up to 1.2, then in a description.  What a miss
 * does in 1.1 and 1.2 stands in table statistics. */
void
of_ask_ports(uint8_t version, of_ask_emit *emit, void *aux)
{
    if (version >= OF_WIRE_13) {
        ask_stats(version, 13, version == OF_WIRE_15 ? 24 : 16, emit, aux);
    } else {
        ask_plain(version, OF_WIRE_FEATURES_REQUEST, emit, aux);
        if (version != OF_WIRE_10) {
            ask_stats(version, 3, 16, emit, aux);
        }
    }
}

void
of_ask_tlvs(uint8_t version, of_ask_emit *emit, void *aux)
{
    uint8_t *msg;
    size_t len;

    of_msg_tlv_request(version, &msg, &len);
    emit(aux, msg, len);
}

void
of_ask_meters(uint8_t version, of_ask_emit *emit, void *aux)
{
    uint8_t *msg;
    size_t len;

    if (version >= OF_WIRE_13) {
        of_meter_config_request(version, &msg, &len);
        emit(aux, msg, len);
    }
}

void
of_ask_rules(uint8_t version, of_ask_emit *emit, void *aux)
{
    struct of_flow_request all = {.match = of_match_create_all(),
                                  .table_id = OF_FLOW_ALL_TABLES,
                                  .out_port = OF_ACTS_ANY,
                                  .out_group = OF_ACTS_ANY};
    uint8_t *msg;
    size_t len;

    of_group_desc_request(version, &msg, &len);
    emit(aux, msg, len);
    of_flow_request_encode(&all, version, true, 0, &msg, &len);
    emit(aux, msg, len);
    of_flow_request_uninit(&all);
}
