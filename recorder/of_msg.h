/* SPDX-License-Identifier: Apache-2.0 */
/* of_msg - which OpenFlow message it is, and the small ones.
 *
 * The door to libopenvswitch for whole messages: kinds, errors by name, TLV
 * maps, bundle control, text for people.  A message given to any function of
 * of_*.h must be whole (of_wire_frame()); its content may be anything.
 *
 * Threads: of_msg_init() once, before all else; then pure functions. */
#ifndef RECORDER_OF_MSG_H
#define RECORDER_OF_MSG_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum of_kind {
    OF_MALFORMED, /* Or of a kind the library does not know. */
    OF_OTHER,

    /* From a controller. */
    OF_FLOW_MOD,
    OF_GROUP_MOD,
    OF_PACKET_OUT,
    OF_PORT_MOD,
    OF_METER_MOD,
    OF_SET_CONFIG,
    OF_FLOW_STATS_REQUEST,
    OF_AGGREGATE_REQUEST,
    OF_TABLE_STATS_REQUEST,
    OF_QUEUE_STATS_REQUEST,
    OF_QUEUE_CONFIG_REQUEST,
    OF_BUNDLE_CONTROL,
    OF_BUNDLE_ADD,
    OF_TLV_MOD,
    OF_TABLE_MOD,
    OF_SET_ASYNC,
    OF_SET_FLOW_FORMAT,      /* Nicira, 1.0. */
    OF_FLOW_MOD_TABLE_ID,    /* Nicira, 1.0. */
    OF_SET_PACKET_IN_FORMAT, /* Nicira. */
    OF_MONITOR_REQUEST,
    OF_MONITOR_CANCEL, /* Up to 1.3. */

    /* From a switch. */
    OF_FEATURES_REPLY,
    OF_PACKET_IN,
    OF_FLOW_REMOVED,
    OF_PORT_STATUS,
    OF_FLOW_STATS_REPLY,
    OF_AGGREGATE_REPLY,
    OF_TABLE_STATS_REPLY,
    OF_PORT_STATS_REPLY,
    OF_PORT_DESC_REPLY,
    OF_QUEUE_STATS_REPLY,
    OF_QUEUE_DESC_REPLY, /* 1.4 and later. */
    OF_GROUP_DESC_REPLY,
    OF_GROUP_STATS_REPLY,
    OF_METER_CONFIG_REPLY,
    OF_TLV_REPLY,
    OF_MONITOR_REPLY,
    OF_MONITOR_PAUSED, /* Up to 1.3. */
    OF_MONITOR_RESUMED,
    OF_BARRIER_REPLY,
    OF_GET_ASYNC_REPLY,
    OF_REQUEST_FORWARD
};

/* Silences the library's own log, which would go to the terminal. */
void of_msg_init(void);

enum of_kind of_msg_kind(const uint8_t *msg, size_t len);

/* As ovs-ofctl would print it; malloc()ed. */
char *of_msg_to_text(const uint8_t *msg, size_t len);
/* The same in one line, without its first word and transaction ID. */
char *of_msg_to_line(const uint8_t *msg, size_t len);

/* What a table does with a packet that no rule of it matches. */
enum of_miss {
    OF_MISS_DEFAULT, /* Of the version: up to 1.2 to the controller. */
    OF_MISS_CONTROLLER,
    OF_MISS_CONTINUE, /* On to the next table. */
    OF_MISS_DROP
};
/* Decodes a table-mod; 'table_id' is 0xff for all.  Only in 1.1 and 1.2 does
 * it say what a miss does: else that is OF_MISS_DEFAULT, no change.  False:
 * malformed. */
bool of_msg_table_mod(const uint8_t *msg, size_t len, uint8_t *table_id,
                      enum of_miss *miss);

/* Errors we answer with ourselves. */
enum of_refusal {
    OF_REFUSE_TLV_MAPPED /* A TLV map or index that is taken. */
};
/* An error message answering 'request' with its ID; malloc()ed. */
void of_msg_refuse(enum of_refusal, const uint8_t *request, size_t len,
                   uint8_t **msg, size_t *msg_len);

/* TLV maps (Nicira NXT_TLV_TABLE_*). */
struct of_tlv {
    uint16_t class;
    uint8_t type;
    uint8_t len;
    uint16_t index;
};
enum of_tlv_command { OF_TLV_ADD, OF_TLV_DELETE, OF_TLV_CLEAR };
void of_msg_tlv_request(uint8_t version, uint8_t **msg, size_t *msg_len);
void of_msg_tlv_mod(uint8_t version, uint32_t xid, enum of_tlv_command,
                    const struct of_tlv *, size_t n, uint8_t **msg,
                    size_t *msg_len);
/* Decodes a TLV mod or reply: '*tlvs' is malloc()ed.  False when malformed.
 * '*space' and '*max_fields' are set for a reply. */
bool of_msg_tlv_decode(const uint8_t *msg, size_t len,
                       enum of_tlv_command *command, struct of_tlv **tlvs,
                       size_t *n, uint32_t *space, uint16_t *max_fields);
/* A reply to a TLV request with ID 'xid'. */
void of_msg_tlv_reply(uint8_t version, uint32_t xid, const struct of_tlv *,
                      size_t n, uint32_t space, uint16_t max_fields,
                      uint8_t **msg, size_t *msg_len);

/* Bundles: of 1.4, and the ONF extension of 1.3. */
enum of_bundle_type { /* As on the wire. */
                      OF_BUNDLE_OPEN_REQUEST = 0,
                      OF_BUNDLE_OPEN_REPLY = 1,
                      OF_BUNDLE_CLOSE_REQUEST = 2,
                      OF_BUNDLE_CLOSE_REPLY = 3,
                      OF_BUNDLE_COMMIT_REQUEST = 4,
                      OF_BUNDLE_COMMIT_REPLY = 5,
                      OF_BUNDLE_DISCARD_REQUEST = 6,
                      OF_BUNDLE_DISCARD_REPLY = 7
};
struct of_bundle_control {
    uint32_t id;
    uint16_t type, flags;
};
bool of_msg_bundle_control(const uint8_t *msg, size_t len,
                           struct of_bundle_control *);
void of_msg_put_bundle_control(uint8_t version, uint32_t xid,
                               const struct of_bundle_control *, uint8_t **msg,
                               size_t *msg_len);
/* The message inside a bundle-add, borrowed from 'msg'. */
bool of_msg_bundle_add(const uint8_t *msg, size_t len, uint32_t *id,
                       uint16_t *flags, const uint8_t **inner,
                       size_t *inner_len);
/* Wraps 'inner'; both get ID 'xid'.  0 or EMSGSIZE. */
int of_msg_put_bundle_add(uint8_t version, uint32_t xid, uint32_t id,
                          uint16_t flags, const uint8_t *inner,
                          size_t inner_len, uint8_t **msg, size_t *msg_len);

/* A packet-in: the packet's bytes are borrowed from 'msg'. */
struct of_packet_in {
    uint16_t in_port;
    const uint8_t *frame;
    size_t len;
};
bool of_msg_packet_in(const uint8_t *msg, size_t len, struct of_packet_in *);

#endif /* recorder/of_msg.h */
