/* SPDX-License-Identifier: Apache-2.0 */
/* of_wire - OpenFlow messages as bytes: framing, headers, transaction IDs. */
#include <config.h>
#include "recorder/of_wire.h"

#include <string.h>

#define ONF_EXPERIMENTER       0x4f4e4600u
#define ONF_BUNDLE_ADD         2301u
#define OFPT14_BUNDLE_ADD      34
#define OFPT10_STATS_REPLY     17
#define OFPT11_MULTIPART_REPLY 19

uint16_t
of_wire_get16(const uint8_t *p)
{
    return (uint16_t) (p[0] << 8 | p[1]);
}

uint32_t
of_wire_get32(const uint8_t *p)
{
    return (uint32_t) of_wire_get16(p) << 16 | of_wire_get16(p + 2);
}

uint64_t
of_wire_get64(const uint8_t *p)
{
    return (uint64_t) of_wire_get32(p) << 32 | of_wire_get32(p + 4);
}

void
of_wire_put16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t) (value >> 8);
    p[1] = (uint8_t) value;
}

void
of_wire_put32(uint8_t *p, uint32_t value)
{
    of_wire_put16(p, (uint16_t) (value >> 16));
    of_wire_put16(p + 2, (uint16_t) value);
}

void
of_wire_put64(uint8_t *p, uint64_t value)
{
    of_wire_put32(p, (uint32_t) (value >> 32));
    of_wire_put32(p + 4, (uint32_t) value);
}

int
of_wire_frame(const uint8_t *data, size_t len)
{
    uint16_t length;

    if (len < 4) {
        return 0;
    }
    length = of_wire_get16(data + 2);
    if (length < OF_WIRE_HEADER_LEN) {
        return -1;
    }
    return len >= length ? length : 0;
}

bool
of_wire_header(const uint8_t *msg, size_t len, struct of_wire_header *h)
{
    if (len < OF_WIRE_HEADER_LEN) {
        return false;
    }
    h->version = msg[0];
    h->type = msg[1];
    h->length = of_wire_get16(msg + 2);
    h->xid = of_wire_get32(msg + 4);
    return true;
}

uint32_t
of_wire_xid(const uint8_t *msg)
{
    return of_wire_get32(msg + 4);
}

/* Where the message inside a bundle-add begins, or 0 when 'msg' is none. */
static size_t
bundled_ofs(const uint8_t *msg, size_t len)
{
    if (msg[0] >= OF_WIRE_14 && msg[1] == OFPT14_BUNDLE_ADD) {
        return 16;
    }
    if (msg[1] == OF_WIRE_EXPERIMENTER && len >= 16 &&
        of_wire_get32(msg + 8) == ONF_EXPERIMENTER &&
        of_wire_get32(msg + 12) == ONF_BUNDLE_ADD) {
        return 24;
    }
    return 0;
}

void
of_wire_set_xid(uint8_t *msg, size_t len, uint32_t xid)
{
    size_t ofs;

    if (len < OF_WIRE_HEADER_LEN) {
        return;
    }
    of_wire_put32(msg + 4, xid);
    ofs = bundled_ofs(msg, len);
    if (ofs && len >= ofs + OF_WIRE_HEADER_LEN) {
        of_wire_put32(msg + ofs + 4, xid);
    }
}

bool
of_wire_is_last_reply(const uint8_t *msg, size_t len)
{
    if (len < 12) {
        return true;
    }
    if (msg[1] ==
        (msg[0] == OF_WIRE_10 ? OFPT10_STATS_REPLY : OFPT11_MULTIPART_REPLY)) {
        return !(of_wire_get16(msg + 10) & 1);
    }
    return true;
}

bool
of_wire_is_known(uint8_t version)
{
    return version >= OF_WIRE_10 && version <= OF_WIRE_15;
}

bool
of_wire_has_bundles(uint8_t version)
{
    return version >= OF_WIRE_13 && version <= OF_WIRE_15;
}

uint8_t
of_wire_barrier_request(uint8_t version)
{
    return version == OF_WIRE_10 ? 18 : 20;
}

uint8_t
of_wire_barrier_reply(uint8_t version)
{
    return version == OF_WIRE_10 ? 19 : 21;
}

void
of_wire_put_header(uint8_t *buf, uint8_t version, uint8_t type,
                   uint16_t length, uint32_t xid)
{
    buf[0] = version;
    buf[1] = type;
    of_wire_put16(buf + 2, length);
    of_wire_put32(buf + 4, xid);
}

size_t
of_wire_put_error(uint8_t *buf, uint8_t version, uint32_t xid, uint16_t type,
                  uint16_t code, const uint8_t *quoted, size_t n)
{
    of_wire_put_header(buf, version, OF_WIRE_ERROR, (uint16_t) (12 + n), xid);
    of_wire_put16(buf + 8, type);
    of_wire_put16(buf + 10, code);
    if (n) {
        memcpy(buf + 12, quoted, n);
    }
    return 12 + n;
}

bool
of_wire_error(const uint8_t *msg, size_t len, uint16_t *type, uint16_t *code)
{
    if (len < 12 || msg[1] != OF_WIRE_ERROR) {
        return false;
    }
    *type = of_wire_get16(msg + 8);
    *code = of_wire_get16(msg + 10);
    return true;
}
