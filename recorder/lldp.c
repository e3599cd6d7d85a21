/* SPDX-License-Identifier: Apache-2.0 */
/* lldp - encodes and decodes the recorder's own LLDP frames. */
#include <config.h>

#include "recorder/lldp.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "lib/bytes.h"

#define TLV_END        0
#define TLV_CHASSIS_ID 1
#define TLV_PORT_ID    2
#define TLV_TTL        3
#define TLV_ORG        127

#define CHASSIS_LOCAL 7
#define PORT_LOCAL    7
#define TTL_S         30

/* Ours: locally administered, multicast. */
#define OUI         0x026c68
#define SUBTYPE     1
#define SIGNED_LEN  18 /* dpid, port, time. */
#define OUR_TLV_LEN (4 + SIGNED_LEN + 8)

const uint8_t lldp_destination[6] = {0x03, 0x6c, 0x68, 0x6f, 0x70, 0x01};

static void
put_tlv(struct bytes_writer *w, unsigned type, unsigned len)
{
    bytes_put_u16(w, (uint16_t) (type << 9 | len));
}

void
lldp_encode(const struct lldp *lldp, const uint8_t source[6],
            const uint8_t key[SIPHASH_KEY_LEN], uint8_t frame[LLDP_FRAME_LEN])
{
    struct bytes_writer w = bytes_writer(frame, LLDP_FRAME_LEN);
    char chassis[17], port[6];

    snprintf(chassis, sizeof chassis, "%016llx",
             (unsigned long long) lldp->dpid);
    snprintf(port, sizeof port, "%05u", lldp->port);

    bytes_put(&w, lldp_destination, 6);
    bytes_put(&w, source, 6);
    bytes_put_u16(&w, LLDP_ETHERTYPE);
    put_tlv(&w, TLV_CHASSIS_ID, 17);
    bytes_put_u8(&w, CHASSIS_LOCAL);
    bytes_put(&w, chassis, 16);
    put_tlv(&w, TLV_PORT_ID, 6);
    bytes_put_u8(&w, PORT_LOCAL);
    bytes_put(&w, port, 5);
    put_tlv(&w, TLV_TTL, 2);
    bytes_put_u16(&w, TTL_S);
    put_tlv(&w, TLV_ORG, OUR_TLV_LEN);
    bytes_put_u24(&w, OUI);
    bytes_put_u8(&w, SUBTYPE);

    const uint8_t *signed_bytes = frame + w.len;

    bytes_put_u64(&w, lldp->dpid);
    bytes_put_u16(&w, lldp->port);
    bytes_put_u64(&w, lldp->time_ns);
    bytes_put_u64(&w, siphash(key, signed_bytes, SIGNED_LEN));
    put_tlv(&w, TLV_END, 0);
    bytes_put_zeros(&w, LLDP_FRAME_LEN - w.len);
    assert(!w.failed && w.len == LLDP_FRAME_LEN);
}

enum lldp_result
lldp_decode(const uint8_t *frame, size_t len,
            const uint8_t key[SIPHASH_KEY_LEN], struct lldp *lldp)
{
    struct bytes_reader r = bytes_reader(frame, len);
    const uint8_t *destination = bytes_get(&r, 6);

    bytes_get(&r, 6);
    if (bytes_get_u16(&r) != LLDP_ETHERTYPE || r.failed ||
        memcmp(destination, lldp_destination, 6)) {
        return LLDP_MALFORMED;
    }
    while (bytes_left(&r)) {
        uint16_t head = bytes_get_u16(&r);
        size_t tlv_len = head & 0x1ff;
        const uint8_t *tlv = bytes_get(&r, tlv_len);

        if (r.failed || head >> 9 == TLV_END) {
            break;
        }
        if (head >> 9 == TLV_ORG && tlv_len == OUR_TLV_LEN &&
            bytes_be24(tlv) == OUI && tlv[3] == SUBTYPE) {
            const uint8_t *body = tlv + 4;

            lldp->dpid = bytes_be64(body);
            lldp->port = bytes_be16(body + 8);
            lldp->time_ns = bytes_be64(body + 10);
            return siphash(key, body, SIGNED_LEN) ==
                           bytes_be64(body + SIGNED_LEN)
                       ? LLDP_OK
                       : LLDP_FORGED;
        }
    }
    return LLDP_MALFORMED;
}
