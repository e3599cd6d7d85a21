/* SPDX-License-Identifier: Apache-2.0 */
/* of_wire - OpenFlow messages as bytes: framing, headers, transaction IDs.
 *
 * What a proxy must know of every OpenFlow message, also of those it does not
 * understand.  No outside library; all numbers are host order, all bytes are
 * checked before they are read.
 *
 * Threads: pure functions. */
#ifndef RECORDER_OF_WIRE_H
#define RECORDER_OF_WIRE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OF_WIRE_10 0x01
#define OF_WIRE_11 0x02
#define OF_WIRE_12 0x03
#define OF_WIRE_13 0x04
#define OF_WIRE_14 0x05
#define OF_WIRE_15 0x06

#define OF_WIRE_HEADER_LEN 8

/* Message types that have one number in all versions. */
enum of_wire_type {
    OF_WIRE_HELLO = 0,
    OF_WIRE_ERROR = 1,
    OF_WIRE_ECHO_REQUEST = 2,
    OF_WIRE_ECHO_REPLY = 3,
    OF_WIRE_EXPERIMENTER = 4,
    OF_WIRE_FEATURES_REQUEST = 5,
    OF_WIRE_FEATURES_REPLY = 6,
    OF_WIRE_GET_CONFIG_REQUEST = 7,
    OF_WIRE_GET_CONFIG_REPLY = 8,
    OF_WIRE_SET_CONFIG = 9,
    OF_WIRE_PACKET_IN = 10,
    OF_WIRE_FLOW_REMOVED = 11,
    OF_WIRE_PORT_STATUS = 12,
    OF_WIRE_PACKET_OUT = 13,
    OF_WIRE_FLOW_MOD = 14
};

struct of_wire_header {
    uint8_t version;
    uint8_t type;
    uint16_t length;
    uint32_t xid;
};

/* How long the message at the start of the 'len' bytes at 'data' is: 0 when
 * more bytes are needed to tell or to complete it, its length when it is
 * whole, -1 when it can be no OpenFlow message (length below 8). */
int of_wire_frame(const uint8_t *data, size_t len);

/* False when 'len' is below 8. */
bool of_wire_header(const uint8_t *msg, size_t len, struct of_wire_header *);

uint32_t of_wire_xid(const uint8_t *msg);
/* Sets the transaction ID of the whole message 'msg', and that of the message
 * inside it when it is a bundle-add (1.4 and later, or the ONF extension). */
void of_wire_set_xid(uint8_t *msg, size_t len, uint32_t xid);

/* False for a part of a multipart (statistics) reply that has the MORE flag:
 * another message with the same ID follows. */
bool of_wire_is_last_reply(const uint8_t *msg, size_t len);

/* True for the versions that we look into: 1.0 to 1.5. */
bool of_wire_is_known(uint8_t version);
/* True for those with bundles: 1.3 (by the ONF extension) and later. */
bool of_wire_has_bundles(uint8_t version);

/* The number of the barrier request and reply in 'version'. */
uint8_t of_wire_barrier_request(uint8_t version);
uint8_t of_wire_barrier_reply(uint8_t version);

/* Writes a message without a body ('buf' has 8 bytes). */
void of_wire_put_header(uint8_t *buf, uint8_t version, uint8_t type,
                        uint16_t length, uint32_t xid);

/* Writes an OFPT_ERROR with 'type' and 'code' that answers a request of
 * 'version' with 'xid' and quotes the 'n' bytes at 'quoted'.  'buf' must have
 * 12 + n bytes; returns that number. */
size_t of_wire_put_error(uint8_t *buf, uint8_t version, uint32_t xid,
                         uint16_t type, uint16_t code, const uint8_t *quoted,
                         size_t n);
/* False when the message is no whole error. */
bool of_wire_error(const uint8_t *msg, size_t len, uint16_t *type,
                   uint16_t *code);

/* Big-endian numbers at any address. */
uint16_t of_wire_get16(const uint8_t *);
uint32_t of_wire_get32(const uint8_t *);
uint64_t of_wire_get64(const uint8_t *);
void of_wire_put16(uint8_t *, uint16_t);
void of_wire_put32(uint8_t *, uint32_t);
void of_wire_put64(uint8_t *, uint64_t);

#endif /* recorder/of_wire.h */
