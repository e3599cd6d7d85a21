/* SPDX-License-Identifier: Apache-2.0 */
/* of_msg - which OpenFlow message it is, and the small ones. */
#include <config.h>
#include "recorder/of_msg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_ovs.h"
#include "recorder/of_wire.h"

void
of_msg_init(void)
{
    static bool is_done;

    if (!is_done) {
        vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
        is_done = true;
    }
}

struct ofpbuf *
of_ovs_message(const uint8_t *msg, size_t len)
{
    return ofpbuf_clone_data(msg, len);
}

bool
of_ovs_raw(const struct ofpbuf *msg, enum ofpraw *raw)
{
    return !ofpraw_decode(raw, msg->data);
}

enum ofputil_protocol
of_ovs_protocol(uint8_t version)
{
    switch (version) {
    case OF_WIRE_10:
        return OFPUTIL_P_OF10_NXM_TID;
    case OF_WIRE_11:
        return OFPUTIL_P_OF11_STD;
    case OF_WIRE_12:
        return OFPUTIL_P_OF12_OXM;
    case OF_WIRE_14:
        return OFPUTIL_P_OF14_OXM;
    case OF_WIRE_15:
        return OFPUTIL_P_OF15_OXM;
    default:
        return OFPUTIL_P_OF13_OXM;
    }
}

int
of_ovs_take_data(struct ofpbuf *msg, uint32_t xid, uint8_t **data, size_t *len)
{
    if (msg->size > UINT16_MAX) {
        ofpbuf_uninit(msg);
        *data = NULL;
        *len = 0;
        return EMSGSIZE;
    }
    ofpmsg_update_length(msg);
    *len = msg->size;
    *data = ofpbuf_steal_data(msg); /* Of malloc(). */
    of_wire_put32(*data + 4, xid);
    return 0;
}

int
of_ovs_take(struct ofpbuf *msg, uint32_t xid, uint8_t **data, size_t *len)
{
    int error = of_ovs_take_data(msg, xid, data, len);

    ofpbuf_delete(msg);
    return error;
}

static const struct {
    enum ofptype type;
    enum of_kind kind;
} kinds[] = {
    {OFPTYPE_FLOW_MOD, OF_FLOW_MOD},
    {OFPTYPE_GROUP_MOD, OF_GROUP_MOD},
    {OFPTYPE_PACKET_OUT, OF_PACKET_OUT},
    {OFPTYPE_PORT_MOD, OF_PORT_MOD},
    {OFPTYPE_METER_MOD, OF_METER_MOD},
    {OFPTYPE_SET_CONFIG, OF_SET_CONFIG},
    {OFPTYPE_FLOW_STATS_REQUEST, OF_FLOW_STATS_REQUEST},
    {OFPTYPE_AGGREGATE_STATS_REQUEST, OF_AGGREGATE_REQUEST},
    {OFPTYPE_TABLE_STATS_REQUEST, OF_TABLE_STATS_REQUEST},
    {OFPTYPE_QUEUE_STATS_REQUEST, OF_QUEUE_STATS_REQUEST},
    {OFPTYPE_QUEUE_GET_CONFIG_REQUEST, OF_QUEUE_CONFIG_REQUEST},
    {OFPTYPE_BUNDLE_CONTROL, OF_BUNDLE_CONTROL},
    {OFPTYPE_BUNDLE_ADD_MESSAGE, OF_BUNDLE_ADD},
    {OFPTYPE_NXT_TLV_TABLE_MOD, OF_TLV_MOD},
    {OFPTYPE_TABLE_MOD, OF_TABLE_MOD},
    {OFPTYPE_SET_ASYNC_CONFIG, OF_SET_ASYNC},
    {OFPTYPE_SET_FLOW_FORMAT, OF_SET_FLOW_FORMAT},
    {OFPTYPE_FLOW_MOD_TABLE_ID, OF_FLOW_MOD_TABLE_ID},
    {OFPTYPE_SET_PACKET_IN_FORMAT, OF_SET_PACKET_IN_FORMAT},
    {OFPTYPE_FLOW_MONITOR_STATS_REQUEST, OF_MONITOR_REQUEST},
    {OFPTYPE_FLOW_MONITOR_CANCEL, OF_MONITOR_CANCEL},
    {OFPTYPE_FEATURES_REPLY, OF_FEATURES_REPLY},
    {OFPTYPE_PACKET_IN, OF_PACKET_IN},
    {OFPTYPE_FLOW_REMOVED, OF_FLOW_REMOVED},
    {OFPTYPE_PORT_STATUS, OF_PORT_STATUS},
    {OFPTYPE_FLOW_STATS_REPLY, OF_FLOW_STATS_REPLY},
    {OFPTYPE_AGGREGATE_STATS_REPLY, OF_AGGREGATE_REPLY},
    {OFPTYPE_TABLE_STATS_REPLY, OF_TABLE_STATS_REPLY},
    {OFPTYPE_PORT_STATS_REPLY, OF_PORT_STATS_REPLY},
    {OFPTYPE_PORT_DESC_STATS_REPLY, OF_PORT_DESC_REPLY},
    {OFPTYPE_QUEUE_STATS_REPLY, OF_QUEUE_STATS_REPLY},
    {OFPTYPE_GROUP_DESC_STATS_REPLY, OF_GROUP_DESC_REPLY},
    {OFPTYPE_GROUP_STATS_REPLY, OF_GROUP_STATS_REPLY},
    {OFPTYPE_METER_CONFIG_STATS_REPLY, OF_METER_CONFIG_REPLY},
    {OFPTYPE_NXT_TLV_TABLE_REPLY, OF_TLV_REPLY},
    {OFPTYPE_FLOW_MONITOR_STATS_REPLY, OF_MONITOR_REPLY},
    {OFPTYPE_FLOW_MONITOR_PAUSED, OF_MONITOR_PAUSED},
    {OFPTYPE_FLOW_MONITOR_RESUMED, OF_MONITOR_RESUMED},
    {OFPTYPE_BARRIER_REPLY, OF_BARRIER_REPLY},
    {OFPTYPE_GET_ASYNC_REPLY, OF_GET_ASYNC_REPLY},
    {OFPTYPE_REQUESTFORWARD, OF_REQUEST_FORWARD},
};

/* The shortest flow-mods the library takes for one. */
static bool
is_flow_mod(const uint8_t *msg, size_t len)
{
    return msg[1] == OF_WIRE_FLOW_MOD &&
           ((msg[0] == OF_WIRE_10 && len >= 72) ||
            (msg[0] > OF_WIRE_10 && msg[0] <= OF_WIRE_15 && len >= 56));
}

enum of_kind
of_msg_kind(const uint8_t *msg, size_t len)
{
    struct ofpbuf *b;
    enum of_kind kind = OF_OTHER;
    enum ofptype type;
    enum ofpraw raw;

    if (is_flow_mod(msg, len)) {
        return OF_FLOW_MOD; /* Most are, so they do not wait for the rest. */
    }
    b = of_ovs_message(msg, len);
    if (ofptype_decode(&type, b->data)) {
        kind = OF_MALFORMED;
    } else {
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
            if (kinds[i].type == type) {
                kind = kinds[i].kind;
                break;
            }
        }
    }
    if (kind == OF_OTHER && type == OFPTYPE_QUEUE_GET_CONFIG_REPLY &&
        of_ovs_raw(b, &raw) && raw == OFPRAW_OFPST14_QUEUE_DESC_REPLY) {
        kind = OF_QUEUE_DESC_REPLY;
    }
    ofpbuf_delete(b);
    return kind;
}

char *
of_msg_to_text(const uint8_t *msg, size_t len)
{
    struct ofpbuf *b = of_ovs_message(msg, len);
    char *text = ofp_to_string(b->data, b->size, NULL, NULL, 1);

    ofpbuf_delete(b);
    return text;
}

char *
of_msg_to_line(const uint8_t *msg, size_t len)
{
    char *text = of_msg_to_text(msg, len);
    const char *xid = strstr(text, " (xid=0x");
    const char *p = xid ? xid + strcspn(xid, ")") : text;
    char *line = lh_alloc(strlen(text) + 1);
    size_t n = 0;

    if (*p) {
        p += xid != NULL;
    }
    p += strspn(p, ": \n");
    for (; *p; p++) {
        bool is_blank = *p == ' ' || *p == '\n';

        if (!is_blank || (n && line[n - 1] != ' ')) {
            line[n++] = is_blank ? ' ' : *p;
        }
    }
    while (n && line[n - 1] == ' ') {
        n--;
    }
    line[n] = '\0';
    free(text);
    return line;
}

bool
of_msg_table_mod(const uint8_t *msg, size_t len, uint8_t *table_id,
                 enum of_miss *miss)
{
    struct ofpbuf *b = of_ovs_message(msg, len);
    struct ofputil_table_mod tm;
    enum ofptype type;
    bool ok = !ofptype_decode(&type, b->data) && type == OFPTYPE_TABLE_MOD &&
              !ofputil_decode_table_mod(b->data, &tm);

    ofpbuf_delete(b);
    if (ok) {
        *table_id = tm.table_id;
        *miss = (tm.miss == OFPUTIL_TABLE_MISS_CONTROLLER ? OF_MISS_CONTROLLER
                 : tm.miss == OFPUTIL_TABLE_MISS_CONTINUE ? OF_MISS_CONTINUE
                 : tm.miss == OFPUTIL_TABLE_MISS_DROP     ? OF_MISS_DROP
                                                          : OF_MISS_DEFAULT);
    }
    return ok;
}

void
of_msg_refuse(enum of_refusal refusal, const uint8_t *request, size_t len,
              uint8_t **msg, size_t *msg_len)
{
    static const enum ofperr errors[] = {
        [OF_REFUSE_TLV_MAPPED] = OFPERR_NXTTMFC_ALREADY_MAPPED,
    };
    struct ofpbuf *b = of_ovs_message(request, len);
    struct ofpbuf *reply = ofperr_encode_reply(errors[refusal], b->data);

    ofpbuf_delete(b);
    of_ovs_take(reply, of_wire_xid(request), msg, msg_len);
}

/* TLV maps. */

static void
put_tlvs(struct ovs_list *list, const struct of_tlv *tlvs, size_t n)
{
    ovs_list_init(list);
    for (size_t i = 0; i < n; i++) {
        struct ofputil_tlv_map *map = lh_alloc_zero(sizeof *map);

        map->option_class = tlvs[i].class;
        map->option_type = tlvs[i].type;
        map->option_len = tlvs[i].len;
        map->index = tlvs[i].index;
        ovs_list_push_back(list, &map->list_node);
    }
}

static void
get_tlvs(struct ovs_list *list, struct of_tlv **tlvs, size_t *n)
{
    const struct ofputil_tlv_map *map;
    size_t allocated = 0;

    *tlvs = NULL;
    *n = 0;
    LIST_FOR_EACH(map, list_node, list)
    {
        *tlvs = lh_alloc_grow(*tlvs, *n, &allocated, sizeof **tlvs);
        (*tlvs)[(*n)++] = (struct of_tlv){.class = map->option_class,
                                          .type = map->option_type,
                                          .len = map->option_len,
                                          .index = map->index};
    }
}

void
of_msg_tlv_request(uint8_t version, uint8_t **msg, size_t *msg_len)
{
    of_ovs_take(ofpraw_alloc(OFPRAW_NXT_TLV_TABLE_REQUEST, version, 0), 0, msg,
                msg_len);
}

void
of_msg_tlv_mod(uint8_t version, uint32_t xid, enum of_tlv_command command,
               const struct of_tlv *tlvs, size_t n, uint8_t **msg,
               size_t *msg_len)
{
    static const uint16_t commands[] = {
        [OF_TLV_ADD] = NXTTMC_ADD,
        [OF_TLV_DELETE] = NXTTMC_DELETE,
        [OF_TLV_CLEAR] = NXTTMC_CLEAR,
    };
    struct ofputil_tlv_table_mod ttm = {.command = commands[command]};

    put_tlvs(&ttm.mappings, tlvs, n);
    of_ovs_take(ofputil_encode_tlv_table_mod(version, &ttm), xid, msg,
                msg_len);
    ofputil_uninit_tlv_table(&ttm.mappings);
}

bool
of_msg_tlv_decode(const uint8_t *msg, size_t len, enum of_tlv_command *command,
                  struct of_tlv **tlvs, size_t *n, uint32_t *space,
                  uint16_t *max_fields)
{
    struct ofpbuf *b = of_ovs_message(msg, len);
    bool ok = false;
    enum ofpraw raw;

    *tlvs = NULL;
    *n = 0;
    if (!of_ovs_raw(b, &raw)) {
        ok = false;
    } else if (raw == OFPRAW_NXT_TLV_TABLE_MOD) {
        struct ofputil_tlv_table_mod ttm;

        if (!ofputil_decode_tlv_table_mod(b->data, &ttm)) {
            *command = (ttm.command == NXTTMC_ADD      ? OF_TLV_ADD
                        : ttm.command == NXTTMC_DELETE ? OF_TLV_DELETE
                                                       : OF_TLV_CLEAR);
            get_tlvs(&ttm.mappings, tlvs, n);
            ofputil_uninit_tlv_table(&ttm.mappings);
            ok = true;
        }
    } else if (raw == OFPRAW_NXT_TLV_TABLE_REPLY) {
        struct ofputil_tlv_table_reply ttr;

        if (!ofputil_decode_tlv_table_reply(b->data, &ttr)) {
            get_tlvs(&ttr.mappings, tlvs, n);
            *space = ttr.max_option_space;
            *max_fields = ttr.max_fields;
            ofputil_uninit_tlv_table(&ttr.mappings);
            ok = true;
        }
    }
    ofpbuf_delete(b);
    return ok;
}

void
of_msg_tlv_reply(uint8_t version, uint32_t xid, const struct of_tlv *tlvs,
                 size_t n, uint32_t space, uint16_t max_fields, uint8_t **msg,
                 size_t *msg_len)
{
    struct ofputil_tlv_table_reply ttr = {.max_option_space = space,
                                          .max_fields = max_fields};
    struct ofpbuf *request;
    struct ofpbuf *reply;

    put_tlvs(&ttr.mappings, tlvs, n);
    request = ofpraw_alloc(OFPRAW_NXT_TLV_TABLE_REQUEST, version, 0);
    reply = ofputil_encode_tlv_table_reply(request->data, &ttr);
    ofpbuf_delete(request);
    ofputil_uninit_tlv_table(&ttr.mappings);
    of_ovs_take(reply, xid, msg, msg_len);
}

/* Bundles. */

bool
of_msg_bundle_control(const uint8_t *msg, size_t len,
                      struct of_bundle_control *bc)
{
    struct ofpbuf *b = of_ovs_message(msg, len);
    struct ofputil_bundle_ctrl_msg ctrl;
    enum ofpraw raw;
    bool ok = false;

    if (of_ovs_raw(b, &raw) &&
        (raw == OFPRAW_ONFT13_BUNDLE_CONTROL ||
         raw == OFPRAW_OFPT14_BUNDLE_CONTROL) &&
        !ofputil_decode_bundle_ctrl(b->data, &ctrl)) {
        bc->id = ctrl.bundle_id;
        bc->type = ctrl.type;
        bc->flags = ctrl.flags;
        ok = true;
    }
    ofpbuf_delete(b);
    return ok;
}

void
of_msg_put_bundle_control(uint8_t version, uint32_t xid,
                          const struct of_bundle_control *bc, uint8_t **msg,
                          size_t *msg_len)
{
    struct ofputil_bundle_ctrl_msg ctrl = {
        .bundle_id = bc->id, .type = bc->type, .flags = bc->flags};

    of_ovs_take(ofputil_encode_bundle_ctrl_request(version, &ctrl), xid, msg,
                msg_len);
}

bool
of_msg_bundle_add(const uint8_t *msg, size_t len, uint32_t *id,
                  uint16_t *flags, const uint8_t **inner, size_t *inner_len)
{
    struct ofpbuf *b = of_ovs_message(msg, len);
    struct ofputil_bundle_add_msg add;
    enum ofpraw raw;
    bool ok = false;

    if (of_ovs_raw(b, &raw) &&
        (raw == OFPRAW_ONFT13_BUNDLE_ADD_MESSAGE ||
         raw == OFPRAW_OFPT14_BUNDLE_ADD_MESSAGE) &&
        !ofputil_decode_bundle_add(b->data, &add, NULL)) {
        *id = add.bundle_id;
        *flags = add.flags;
        *inner = msg + ((const uint8_t *) add.msg - (uint8_t *) b->data);
        *inner_len = ntohs(add.msg->length);
        ok = true;
    }
    ofpbuf_delete(b);
    return ok;
}

int
of_msg_put_bundle_add(uint8_t version, uint32_t xid, uint32_t id,
                      uint16_t flags, const uint8_t *inner, size_t inner_len,
                      uint8_t **msg, size_t *msg_len)
{
    struct ofpbuf *b = of_ovs_message(inner, inner_len);
    struct ofputil_bundle_add_msg add = {
        .bundle_id = id, .flags = flags, .msg = b->data};
    struct ofpbuf *reply = ofputil_encode_bundle_add(version, &add);
    int error;

    ofpbuf_delete(b);
    error = of_ovs_take(reply, xid, msg, msg_len);
    if (!error) {
        of_wire_set_xid(*msg, *msg_len, xid);
    }
    return error;
}

bool
of_msg_packet_in(const uint8_t *msg, size_t len, struct of_packet_in *pi)
{
    struct ofpbuf *b = of_ovs_message(msg, len);
    struct ofputil_packet_in pin;
    size_t total_len;
    uint32_t buffer_id;
    struct ofpbuf continuation;
    bool ok = false;

    if (!ofputil_decode_packet_in(b->data, true, NULL, NULL, &pin, &total_len,
                                  &buffer_id, &continuation)) {
        pi->in_port = of_ovs_u16(pin.flow_metadata.flow.in_port.ofp_port);
        pi->frame = pin.packet
                        ? msg + ((uint8_t *) pin.packet - (uint8_t *) b->data)
                        : NULL;
        pi->len = pin.packet ? pin.packet_len : 0;
        ok = true;
    }
    ofpbuf_delete(b);
    return ok;
}
