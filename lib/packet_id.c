/* SPDX-License-Identifier: Apache-2.0 */
/* packet_id - the 64-bit name that all hops of one packet share.
 *
 * docs/formats/packet-id.md has the list of bytes.  What is hashed depends
 * only on the first min(I, own length) bytes from the L3 header on, never on
 * how much more was captured: so this file walks them itself, and takes from
 * the parsed header only where L3 begins and which it is. */
#include <config.h>
#include "lib/packet_id.h"

#include <assert.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/bytes.h"

#define IP4_LEN 20
#define IP6_LEN 40

/* ICMP types that quote the packet they are about. */
#define ICMP_UNREACHABLE   3
#define ICMP_QUENCH        4
#define ICMP_REDIRECT      5
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER     12
#define ICMP6_FIRST_ERROR  1
#define ICMP6_LAST_ERROR   4

/* What is walked, and where what is kept goes. */
struct walk {
    const uint8_t *data;
    size_t n; /* Bytes that may enter the hash. */
    uint8_t *out;
    size_t n_out;
};

/* The walk is inlined into one function for the packet itself and one for the
 * packet that an ICMP error quotes. */
#define INLINE static inline __attribute__((always_inline))

static void collect_quoted(struct walk *w, size_t ofs, uint16_t eth_type);

/* Copies 'n' bytes, mostly few, without a call. */
INLINE void
copy(uint8_t *to, const uint8_t *from, size_t n)
{
    assert(n <= UINT16_MAX); /* Which keeps compilers from warning too. */
    if (n > 64) {
        memcpy(to, from, n);
    } else if (n >= 16) {
        for (size_t i = 0; i + 16 < n; i += 16) {
            memcpy(to + i, from + i, 16);
        }
        memcpy(to + n - 16, from + n - 16, 16);
    } else if (n >= 8) {
        memcpy(to, from, 8);
        memcpy(to + n - 8, from + n - 8, 8);
    } else if (n >= 4) {
        memcpy(to, from, 4);
        memcpy(to + n - 4, from + n - 4, 4);
    } else {
        for (size_t i = 0; i < n; i++) {
            to[i] = from[i];
        }
    }
}

/* Keeps the bytes [from, to) as far as they are there. */
INLINE void
keep(struct walk *w, size_t from, size_t to)
{
    if (__builtin_expect(to <= w->n && from < to, 1)) {
        copy(w->out + w->n_out, w->data + from, to - from);
        w->n_out += to - from;
    } else if (from < to && from < w->n) {
        copy(w->out + w->n_out, w->data + from, w->n - from);
        w->n_out += w->n - from;
    }
}

/* Keeps the 16 bits at 'ofs' that are in 'mask'. */
INLINE void
keep_bits(struct walk *w, size_t ofs, uint16_t mask)
{
    if (ofs < w->n) {
        w->out[w->n_out++] = w->data[ofs] & (uint8_t) (mask >> 8);
    }
    if (ofs + 1 < w->n) {
        w->out[w->n_out++] = w->data[ofs + 1] & (uint8_t) mask;
    }
}

/* What is read where the walk has ended decides only about bytes that lie
 * further on still, so that its value does not matter. */
INLINE uint8_t
get_u8(const struct walk *w, size_t ofs)
{
    return ofs < w->n ? w->data[ofs] : 0;
}

INLINE uint16_t
get_u16(const struct walk *w, size_t ofs)
{
    return ofs + 1 < w->n ? bytes_be16(w->data + ofs) : 0;
}

static bool
is_icmp_error(uint8_t proto, uint8_t type)
{
    if (proto == HDR_IP_ICMP6) {
        return type >= ICMP6_FIRST_ERROR && type <= ICMP6_LAST_ERROR;
    }
    return type == ICMP_UNREACHABLE || type == ICMP_QUENCH ||
           type == ICMP_REDIRECT || type == ICMP_TIME_EXCEEDED ||
           type == ICMP_PARAMETER;
}

/* 'ofs' is where L4 begins and 'end' where the packet ends by its own length;
 * both may lie past what is walked. */
INLINE void
collect_l4(struct walk *w, size_t ofs, size_t end, uint16_t eth_type,
           uint8_t proto, bool is_embedded)
{
    size_t l4_len = end > ofs ? end - ofs : 0;

    if (proto == HDR_IP_TCP && l4_len >= 20) {
        keep(w, ofs + 4, ofs + 16);
        ofs += 18;
    } else if (proto == HDR_IP_UDP && l4_len >= 8) {
        keep(w, ofs + 4, ofs + 6);
        ofs += 8;
    } else if (proto == HDR_IP_SCTP && l4_len >= 12) {
        keep(w, ofs + 4, ofs + 8);
        ofs += 12;
    } else if (proto ==
                   (eth_type == HDR_ETH_IP4 ? HDR_IP_ICMP : HDR_IP_ICMP6) &&
               l4_len >= 4) {
        keep(w, ofs, ofs + 2);
        if (!is_embedded && l4_len > 8 && ofs + 8 < w->n &&
            is_icmp_error(proto, w->data[ofs])) {
            keep(w, ofs + 4, ofs + 8);
            collect_quoted(w, ofs + 8, eth_type);
            return;
        }
        ofs += 4;
    }
    keep(w, ofs, end);
}

/* The extension headers from 'ofs' on; the first is a 'proto'. */
static void
collect_ip6_chain(struct walk *w, size_t ofs, size_t end, uint8_t proto,
                  bool is_embedded)
{
    for (;;) {
        uint8_t next = get_u8(w, ofs);
        size_t ext_len = get_u8(w, ofs + 1);
        size_t n_kept;

        switch (proto) {
        case HDR_IP6_HOP_BY_HOP:
            ext_len = (ext_len + 1) * 8;
            n_kept = 2;
            break;
        case HDR_IP6_ROUTING:
            ext_len = (ext_len + 1) * 8;
            n_kept = 3;
            break;
        case HDR_IP6_DESTINATION:
        case HDR_IP6_MOBILITY:
        case HDR_IP6_HIP:
        case HDR_IP6_SHIM6:
            ext_len = (ext_len + 1) * 8;
            n_kept = ext_len;
            break;
        case HDR_IP6_AH:
            ext_len = (ext_len + 2) * 4;
            n_kept = ext_len;
            break;
        case HDR_IP6_FRAGMENT:
            if (get_u16(w, ofs + 2) & 0xfff8) {
                keep(w, ofs, end);
                return;
            }
            ext_len = 8;
            n_kept = 8;
            break;
        default:
            collect_l4(w, ofs, end, HDR_ETH_IP6, proto, is_embedded);
            return;
        }
        if (ofs >= w->n) {
            return;
        }
        if (ofs + ext_len > end) {
            keep(w, ofs, end);
            return;
        }
        keep(w, ofs, ofs + n_kept);
        proto = next;
        ofs += ext_len;
    }
}

INLINE void
collect_l3(struct walk *w, size_t ofs, uint16_t eth_type, bool is_embedded)
{
    uint8_t first = get_u8(w, ofs);

    bytes_put_be16(w->out + w->n_out, eth_type);
    w->n_out += 2;
    if (eth_type == HDR_ETH_IP4 && first >> 4 == 4 && (first & 15) >= 5) {
        size_t l3_end = ofs + (size_t) (first & 15) * 4;
        size_t end = ofs + get_u16(w, ofs + 2);

        keep(w, ofs + 2, ofs + 6);
        keep_bits(w, ofs + 6, 0x3fff);
        keep(w, ofs + 9, ofs + 10);
        keep(w, ofs + IP4_LEN, l3_end);
        if (get_u16(w, ofs + 6) & 0x1fff) {
            keep(w, l3_end, end);
        } else {
            collect_l4(w, l3_end, end, eth_type, get_u8(w, ofs + 9),
                       is_embedded);
        }
    } else if (eth_type == HDR_ETH_IP6 && first >> 4 == 6) {
        size_t end = ofs + IP6_LEN + get_u16(w, ofs + 4);

        keep(w, ofs + 4, ofs + 7);
        collect_ip6_chain(w, ofs + IP6_LEN, end, get_u8(w, ofs + 6),
                          is_embedded);
    } else {
        keep(w, ofs, w->n);
    }
}

static void
collect_quoted(struct walk *w, size_t ofs, uint16_t eth_type)
{
    collect_l3(w, ofs, eth_type, true);
}

/* The bytes to hash, into 'out'. */
INLINE enum packet_id_result
collect(const struct packet_id_config *config, const uint8_t *data, size_t len,
        const struct hdr *h, uint8_t *out, size_t *n_out)
{
    bool has_l3 = hdr_has_l3(h);
    size_t ofs = has_l3 ? h->l3_ofs : h->payload_ofs;
    size_t n = config->n_bytes;

    *n_out = 0;
    if (len > HDR_MAX_LEN) {
        len = HDR_MAX_LEN;
    }
    if (n > PACKET_ID_MAX_BYTES) {
        n = PACKET_ID_MAX_BYTES;
    }
    assert(n >= PACKET_ID_MIN_BYTES);
    if (!has_l3 && h->status == HDR_TRUNCATED) {
        return PACKET_ID_SHORT;
    }
    if ((has_l3 || h->own_len) && n > h->own_len) {
        n = h->own_len;
    }
    if (n > len - ofs) {
        if (has_l3 || h->own_len) {
            return PACKET_ID_SHORT;
        }
        n = len - ofs;
    }

    struct walk w = {data + ofs, n, out, 0};

    if (has_l3) {
        collect_l3(&w, 0, h->eth_type, false);
    } else {
        bytes_put_be16(out, h->eth_type);
        w.n_out = 2;
        keep(&w, 0, n);
    }
    *n_out = w.n_out;
    return has_l3 ? PACKET_ID_OK : PACKET_ID_NO_L3;
}

static uint64_t
hash(const struct packet_id_config *config, const uint8_t *bytes, size_t n)
{
    uint64_t id = XXH3_64bits_withSeed(bytes, n, config->seed);

    return id ? id : 1;
}

enum packet_id_result
packet_id(const struct packet_id_config *config, const uint8_t *data,
          size_t len, const struct hdr *h, uint64_t *idp)
{
    uint8_t out[PACKET_ID_MAX_BYTES + PACKET_ID_EXTRA];
    size_t n_out;
    enum packet_id_result result = collect(config, data, len, h, out, &n_out);

    if (result == PACKET_ID_SHORT) {
        *idp = 0;
    } else {
        *idp = hash(config, out, n_out);
    }
    return result;
}

/* What collect() makes of a packet without options, 'n' bytes long. */
INLINE size_t
collect_split(enum header_kind kind, const uint8_t *ip, size_t n, uint8_t *out)
{
    bool is_ip4 = header_kind_is_ip4(kind);
    bool is_tcp = kind == HEADER_IP4_TCP || kind == HEADER_IP6_TCP;
    const uint8_t *l4 = ip + (is_ip4 ? IP4_LEN : IP6_LEN);
    size_t n_fixed = (is_ip4 ? IP4_LEN : IP6_LEN) + (is_tcp ? 18u : 8u);
    uint8_t *to = out + 2;

    bytes_put_be16(out, is_ip4 ? HDR_ETH_IP4 : HDR_ETH_IP6);
    if (is_ip4) {
        memcpy(to, ip + 2, 6);
        to[4] &= 0x3f; /* DF is not kept. */
        to[6] = ip[9];
        to += 7;
    } else {
        memcpy(to, ip + 4, 3);
        to += 3;
    }
    memcpy(to, l4 + 4, is_tcp ? 12 : 2);
    to += is_tcp ? 12 : 2;
    copy(to, ip + n_fixed, n - n_fixed);
    return (size_t) (to - out) + n - n_fixed;
}

/* --- TCP and UDP over IPv4, without collecting ---------------------------
 *
 * Most packets.  What is hashed is put together from the header in registers:
 * bytes that were only just written one by one cannot be read in words before
 * all that was written earlier is in the cache. */

INLINE uint64_t
load(const uint8_t *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof word);
    return word;
}

/* The eight bytes from 'at' (0, 8, 11 or more, of TCP also 9 and 10) on of
 * what collect_split() makes of 'ip'. */
INLINE uint64_t
word(const uint8_t *ip, bool is_tcp, size_t at)
{
    const uint8_t *l4 = ip + IP4_LEN;
    const uint8_t type[8] = {HDR_ETH_IP4 >> 8, HDR_ETH_IP4 & 0xff};
    const uint8_t mask[8] = {0, 0, 255, 255, 255, 255, 0x3f, 255};
    size_t direct = is_tcp ? 21 : 11; /* From here on: */
    const uint8_t *rest = l4 + (is_tcp ? 18 : 8);

    if (at >= direct) {
        return load(rest + (at - direct));
    }
    if (!at) {
        return (load(ip) & load(mask)) | load(type);
    }
    if (at == 8) {
        return is_tcp ? load(l4 + 4) << 8 | ip[9]
                      : load(rest) << 24 | (uint64_t) l4[5] << 16 |
                            (uint64_t) l4[4] << 8 | ip[9];
    }
    if (at <= 13) {
        return load(l4 + 4 + (at - 9)); /* Of TCP. */
    }
    return load(l4 + 8) >> 8 * (at - 13) | load(rest) << 8 * (direct - at);
}

/* XXH3 of 16 bytes, as it mixes those of 17 to 128. */
INLINE uint64_t
mix(const uint8_t *ip, bool is_tcp, size_t at, unsigned int which,
    uint64_t seed)
{
    const uint8_t *secret = XXH3_kSecret + (size_t) 16 * which;

    return XXH3_mul128_fold64(word(ip, is_tcp, at) ^ (load(secret) + seed),
                              word(ip, is_tcp, at + 8) ^
                                  (load(secret + 8) - seed));
}

/* The hash of what collect_split() makes of 'n' bytes, see has_words(). */
INLINE uint64_t
hash_words(const struct packet_id_config *config, const uint8_t *ip,
           bool is_tcp, size_t n)
{
    size_t len = n - 17;
    uint64_t acc = len * UINT64_C(0x9e3779b185ebca87), id;

    for (unsigned int i = 0; i <= (len - 1) / 32; i++) {
        acc += mix(ip, is_tcp, (size_t) 16 * i, 2 * i, config->seed);
        acc += mix(ip, is_tcp, len - (size_t) 16 * (i + 1), 2 * i + 1,
                   config->seed);
    }
    id = XXH3_avalanche(acc);
    return id ? id : 1;
}

/* Whether hash_words() has all words that it needs of 'n' bytes. */
INLINE bool
has_words(size_t n)
{
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ &&
           ((n >= 46 && n <= 49) || (n >= 60 && n <= 145));
}

INLINE bool
of_split(const struct packet_id_config *config, const uint8_t *data,
         size_t len, const struct header_split *split, uint64_t *idp)
{
    uint8_t out[PACKET_ID_MAX_BYTES + PACKET_ID_EXTRA];
    const uint8_t *ip = data + split->l3_ofs;
    size_t n = config->n_bytes, n_out;

    if (n > split->own_len) {
        n = split->own_len;
    }
    if (n > len - split->l3_ofs || n > PACKET_ID_MAX_BYTES ||
        n < header_kind_fixed_len(split->kind)) {
        return false;
    }
    if (has_words(n)) {
        if (split->kind == HEADER_IP4_TCP) {
            *idp = hash_words(config, ip, true, n);
            return true;
        }
        if (split->kind == HEADER_IP4_UDP) {
            *idp = hash_words(config, ip, false, n);
            return true;
        }
    }
    switch ((int) split->kind) {
    case HEADER_IP4_TCP:
        n_out = collect_split(HEADER_IP4_TCP, ip, n, out);
        break;
    case HEADER_IP4_UDP:
        n_out = collect_split(HEADER_IP4_UDP, ip, n, out);
        break;
    case HEADER_IP6_TCP:
        n_out = collect_split(HEADER_IP6_TCP, ip, n, out);
        break;
    case HEADER_IP6_UDP:
        n_out = collect_split(HEADER_IP6_UDP, ip, n, out);
        break;
    default:
        return false;
    }
    *idp = hash(config, out, n_out);
    return true;
}

/* Part of its callers, when it is linked. */
inline __attribute__((always_inline)) bool
packet_id_of_split(const struct packet_id_config *config, const uint8_t *data,
                   size_t len, const struct header_split *split, uint64_t *idp)
{
    return of_split(config, data, len, split, idp);
}

__attribute__((noinline)) bool
packet_id_of_split_apart(const struct packet_id_config *config,
                         const uint8_t *data, size_t len,
                         const struct header_split *split, uint64_t *idp)
{
    return of_split(config, data, len, split, idp);
}

size_t
packet_id_bytes(const struct packet_id_config *config, const uint8_t *data,
                size_t len, const struct hdr *h, uint8_t *out)
{
    size_t n_out;

    collect(config, data, len, h, out, &n_out);
    return n_out;
}

uint64_t
packet_id_share(const struct packet_id_config *config, const uint8_t *ip,
                size_t len, bool is_ip4)
{
    size_t l3_len = is_ip4 ? IP4_LEN : IP6_LEN;
    size_t n = config->n_bytes, own_len;
    const uint8_t *l4 = ip + l3_len;
    uint32_t lengths;
    uint8_t proto;

    /* Whatever is looked at here is hashed, so that equal IDs have equal
     * shares. */
    if (len < l3_len + 8) {
        return 0;
    }
    if (is_ip4) {
        if (ip[0] != 0x45 || bytes_be16(ip + 6) & 0x3fff) {
            return 0;
        }
        own_len = bytes_be16(ip + 2);
    } else {
        if (ip[0] >> 4 != 6) {
            return 0;
        }
        own_len = IP6_LEN + (size_t) bytes_be16(ip + 4);
    }
    lengths = is_ip4 ? bytes_be32(ip + 2) : (uint32_t) own_len;
    proto = ip[is_ip4 ? 9 : 6];
    n = n < own_len ? n : own_len;
    if (n > len) {
        return 0;
    }
    if (proto == HDR_IP_TCP && n >= l3_len + 20) {
        return packet_id_mix_share(lengths, l4 + 4, NULL);
    }
    if (proto == HDR_IP_UDP && n >= l3_len + 16) {
        return packet_id_mix_share(lengths, l4 + 8, ip + n - 8);
    }
    if (proto == (is_ip4 ? HDR_IP_ICMP : HDR_IP_ICMP6) && n >= l3_len + 8) {
        uint8_t icmp[8] = {l4[0], l4[1], 0, 0, l4[4], l4[5], l4[6], l4[7]};

        return packet_id_mix_share(lengths, icmp, NULL);
    }
    return 0;
}
