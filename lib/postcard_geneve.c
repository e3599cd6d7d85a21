/* SPDX-License-Identifier: Apache-2.0 */
/* postcard_geneve - postcards inside Geneve packets, both ways. */
#include <config.h>
#include "lib/postcard_geneve.h"

#include "lib/bytes.h"
#include "lib/inet_sum.h"
#include "lib/of_port.h"

#define GENEVE_LEN 8
#define UDP_LEN    8
#define IP4_LEN    20
#define ETH_LEN    14

/* Reads our option's body, of which 'len' bytes are there. */
static enum postcard_result
decode_option(const uint8_t *body, size_t len, struct postcard *p)
{
    struct bytes_reader r = bytes_reader(body, len);

    if (bytes_get_u8(&r) != POSTCARD_GENEVE_FORMAT && len) {
        return POSTCARD_UNKNOWN_FORMAT;
    } else if (len != POSTCARD_GENEVE_LEN) {
        return POSTCARD_MALFORMED;
    }
    p->flags = bytes_get_u8(&r);
    bytes_get_u16(&r);
    p->dpid = bytes_get_u64(&r);
    p->version = bytes_get_u32(&r);
    p->in_port = bytes_get_u16(&r);
    p->out_port = bytes_get_u16(&r);
    if (p->in_port == OF_PORT_NONE) {
        p->in_port = OF_PORT_UNKNOWN;
    }
    return POSTCARD_OK;
}

/* Looks for our option among the 'len' bytes of options. */
static enum postcard_result
decode_options(const uint8_t *options, size_t len, struct postcard *p)
{
    struct bytes_reader r = bytes_reader(options, len);

    while (bytes_left(&r)) {
        uint16_t class = bytes_get_u16(&r);
        uint8_t type = bytes_get_u8(&r);
        size_t body_len = (size_t) (bytes_get_u8(&r) & 0x1f) * 4;
        const uint8_t *body = bytes_get(&r, body_len);

        if (!body) {
            return POSTCARD_MALFORMED;
        } else if (class == POSTCARD_GENEVE_CLASS &&
                   type == POSTCARD_GENEVE_TYPE) {
            return decode_option(body, body_len, p);
        }
    }
    return POSTCARD_NO_OPTION;
}

enum postcard_result
postcard_geneve_decode(const uint8_t *data, size_t len, struct postcard *p)
{
    struct bytes_reader r = bytes_reader(data, len);
    uint8_t version_len = bytes_get_u8(&r);

    bytes_get_u8(&r);

    uint16_t proto = bytes_get_u16(&r);

    bytes_get_u32(&r);

    size_t options_len = (size_t) (version_len & 0x3f) * 4;
    const uint8_t *options = bytes_get(&r, options_len);
    struct postcard found = {.version_bits = 32, .time_ns = p->time_ns};

    if (len && version_len >> 6) {
        return POSTCARD_UNKNOWN_FORMAT;
    } else if (r.failed) {
        return POSTCARD_TRUNCATED;
    } else if (proto != HDR_ETH_TEB) {
        return POSTCARD_OTHER;
    }

    enum postcard_result result = decode_options(options, options_len, &found);

    if (result != POSTCARD_OK) {
        return result;
    } else if (!bytes_left(&r)) {
        return POSTCARD_TRUNCATED;
    }
    found.caplen =
        (uint16_t) (bytes_left(&r) < UINT16_MAX ? bytes_left(&r) : UINT16_MAX);
    found.header = data + r.ofs;
    *p = found;
    return POSTCARD_OK;
}

enum postcard_result
postcard_geneve_decode_frame(const uint8_t *data, size_t len,
                             struct hdr *outer, struct postcard *p)
{
    enum hdr_status status = hdr_parse(data, len, outer);

    if (outer->ip_proto != HDR_IP_UDP || outer->frag_ofs) {
        return POSTCARD_OTHER;
    } else if (!outer->l4_ofs) {
        return status == HDR_TRUNCATED ? POSTCARD_TRUNCATED : POSTCARD_OTHER;
    } else if (outer->dst_port != POSTCARD_GENEVE_PORT) {
        return POSTCARD_OTHER;
    } else if (outer->more_frags) {
        return POSTCARD_TRUNCATED;
    }

    size_t end = (size_t) outer->l4_ofs + bytes_be16(data + outer->l4_ofs + 4);
    size_t ip_end = (size_t) outer->l3_ofs + outer->own_len;

    if (end < (size_t) outer->l4_ofs + UDP_LEN || end > ip_end) {
        return POSTCARD_MALFORMED;
    }
    if (end > len) {
        end = len;
    }
    return postcard_geneve_decode(data + outer->payload_ofs,
                                  end - outer->payload_ofs, p);
}

/* Geneve header and our option of format 1, what of them is always so. */
#define PLAIN_LENGTH ((4 + POSTCARD_GENEVE_LEN) / 4)
#define PLAIN_OPTION                                                          \
    ((uint32_t) POSTCARD_GENEVE_CLASS << 16 | POSTCARD_GENEVE_TYPE << 8 |     \
     POSTCARD_GENEVE_LEN / 4)

/* Whether the 'len' bytes are a plain Geneve packet. */
static inline bool
is_plain(const uint8_t *data, size_t len)
{
    return len > POSTCARD_GENEVE_OVERHEAD && data[0] == PLAIN_LENGTH &&
           bytes_be16(data + 2) == HDR_ETH_TEB &&
           bytes_be32(data + 8) == PLAIN_OPTION &&
           data[12] == POSTCARD_GENEVE_FORMAT;
}

bool
postcard_geneve_decode_plain(const uint8_t *data, size_t len,
                             struct postcard *p)
{
    size_t left = len - POSTCARD_GENEVE_OVERHEAD;

    if (!is_plain(data, len)) {
        return false;
    }
    p->dpid = bytes_be64(data + 16);
    p->packet_id = 0;
    p->version = bytes_be32(data + 24);
    p->in_port = bytes_be16(data + 28);
    if (p->in_port == OF_PORT_NONE) {
        p->in_port = OF_PORT_UNKNOWN;
    }
    p->out_port = bytes_be16(data + 30);
    p->flags = data[13];
    p->version_bits = 32;
    p->has_id = false;
    p->caplen = (uint16_t) (left < UINT16_MAX ? left : UINT16_MAX);
    p->header = data + POSTCARD_GENEVE_OVERHEAD;
    p->visit = NULL;
    return true;
}

/* The Geneve packet in a plain frame, which 'len' becomes the length of; NULL:
 * it is another. */
static inline const uint8_t *
find_plain(const uint8_t *data, size_t *len)
{
    const uint8_t *ip = data + ETH_LEN, *udp = ip + IP4_LEN;

    if (*len < ETH_LEN + IP4_LEN + UDP_LEN ||
        bytes_be16(data + 12) != HDR_ETH_IP4 || ip[0] != 0x45 ||
        ip[9] != HDR_IP_UDP || bytes_be16(ip + 6) & 0x3fff ||
        bytes_be16(udp + 2) != POSTCARD_GENEVE_PORT) {
        return NULL;
    }

    size_t udp_len = bytes_be16(udp + 4);
    size_t captured = *len - ETH_LEN - IP4_LEN;

    if (udp_len < UDP_LEN || IP4_LEN + udp_len > bytes_be16(ip + 2)) {
        return NULL;
    }
    *len = (udp_len < captured ? udp_len : captured) - UDP_LEN;
    return udp + UDP_LEN;
}

bool
postcard_geneve_decode_plain_frame(const uint8_t *data, size_t len,
                                   const uint8_t **ip_src, struct postcard *p)
{
    const uint8_t *geneve = find_plain(data, &len);

    if (!geneve || !postcard_geneve_decode_plain(geneve, len, p)) {
        return false;
    }
    *ip_src = data + ETH_LEN + 12;
    return true;
}

static void
put_geneve(struct bytes_writer *w, const struct postcard *p)
{
    bytes_put_u8(w, (4 + POSTCARD_GENEVE_LEN) / 4);
    bytes_put_u8(w, 0);
    bytes_put_u16(w, HDR_ETH_TEB);
    bytes_put_u32(w, 0); /* VNI, reserved. */
    bytes_put_u16(w, POSTCARD_GENEVE_CLASS);
    bytes_put_u8(w, POSTCARD_GENEVE_TYPE);
    bytes_put_u8(w, POSTCARD_GENEVE_LEN / 4);
    bytes_put_u8(w, POSTCARD_GENEVE_FORMAT);
    bytes_put_u8(w, p->flags);
    bytes_put_u16(w, 0);
    bytes_put_u64(w, p->dpid);
    bytes_put_u32(w, p->version);
    bytes_put_u16(w, p->in_port == OF_PORT_UNKNOWN ? OF_PORT_NONE
                                                   : (uint16_t) p->in_port);
    bytes_put_u16(w, (uint16_t) p->out_port);
    bytes_put(w, p->header, p->caplen);
}

size_t
postcard_geneve_encode(const struct postcard *p, uint8_t *out, size_t size)
{
    struct bytes_writer w = bytes_writer(out, size);

    put_geneve(&w, p);
    return w.failed ? 0 : w.len;
}

size_t
postcard_geneve_encode_frame(const struct postcard *p,
                             const struct postcard_geneve_path *path,
                             uint8_t *out, size_t size)
{
    struct bytes_writer w = bytes_writer(out, size);
    size_t udp_len = UDP_LEN + POSTCARD_GENEVE_OVERHEAD + p->caplen;

    if (udp_len + IP4_LEN > UINT16_MAX) {
        return 0;
    }
    bytes_put(&w, path->eth_dst, 6);
    bytes_put(&w, path->eth_src, 6);
    bytes_put_u16(&w, HDR_ETH_IP4);

    uint8_t *ip = w.data + w.len;

    bytes_put_u16(&w, 0x4500);
    bytes_put_u16(&w, (uint16_t) (IP4_LEN + udp_len));
    bytes_put_u32(&w, 0x00004000); /* ID 0, DF. */
    bytes_put_u8(&w, 64);
    bytes_put_u8(&w, HDR_IP_UDP);
    bytes_put_u16(&w, 0);
    bytes_put_u32(&w, path->ip_src);
    bytes_put_u32(&w, path->ip_dst);
    if (!w.failed) {
        bytes_put_be16(ip + 10, inet_sum(ip, IP4_LEN));
    }
    bytes_put_u16(&w, path->udp_src);
    bytes_put_u16(&w, POSTCARD_GENEVE_PORT);
    bytes_put_u16(&w, (uint16_t) udp_len);
    bytes_put_u16(&w, 0);
    put_geneve(&w, p);
    return w.failed ? 0 : w.len;
}
