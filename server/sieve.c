/* SPDX-License-Identifier: Apache-2.0 */
/* sieve - whose share received packets surely are. */
#include <config.h>

#include "server/sieve.h"

#include <stdbool.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/hdr.h"
#include "lib/header_split.h"
#include "lib/packet_id.h"
#include "lib/postcard_geneve.h"

/* Where things are in a plain frame, and from the Geneve header on. */
#define ETH_LEN    14
#define IP4_LEN    20
#define UDP_LEN    8
#define GENEVE_OFS (ETH_LEN + IP4_LEN + UDP_LEN)
#define TCP_LEN    20
#define MIN_UDP    (UDP_LEN + 8) /* With so much payload that it is told. */

static inline uint64_t
get_u64(const uint8_t *p)
{
    return bytes_be64(p);
}

/* Not 0 if the frame is no plain one, as postcard_geneve decodes it. */
static inline uint64_t
check_frame(const uint8_t *data)
{
    uint64_t type = get_u64(data + 12); /* EtherType, first bytes of IPv4. */
    uint64_t frag = get_u64(data + 20); /* Fragment, TTL, protocol. */

    return ((type >> 40) ^ (HDR_ETH_IP4 << 8 | 0x45)) |
           ((frag & 0x3fff00ff00000000) ^ (uint64_t) HDR_IP_UDP << 32) |
           (bytes_be16(data + 36) ^ POSTCARD_GENEVE_PORT);
}

/* The same of the Geneve packet. */
static inline uint64_t
check_geneve(const uint8_t *data)
{
    return (data[0] ^ (4 + POSTCARD_GENEVE_LEN) / 4) |
           (bytes_be16(data + 2) ^ HDR_ETH_TEB) |
           (bytes_be32(data + 8) ^
            ((uint32_t) POSTCARD_GENEVE_CLASS << 16 |
             POSTCARD_GENEVE_TYPE << 8 | POSTCARD_GENEVE_LEN / 4)) |
           (data[12] ^ POSTCARD_GENEVE_FORMAT);
}

/* The same of the packet in it: IPv4 without options, no fragment. */
static inline uint64_t
check_packet(const uint8_t *data)
{
    return ((get_u64(data + 12) >> 40) ^ (HDR_ETH_IP4 << 8 | 0x45)) |
           (bytes_be16(data + 20) & 0x3fff);
}

static inline uint32_t
share_of_key(const struct sieve *sieve, uint64_t key)
{
    return (uint32_t) ((key >> 32) * sieve->n_shares >> 32);
}

/* Of a packet that is not as most are: IPv6, tagged, or ICMP. */
static __attribute__((noinline)) uint32_t
share_other(const struct sieve *sieve, const uint8_t *packet, size_t len)
{
    struct packet_id_config config = {.n_bytes = (uint16_t) sieve->id_bytes};
    struct header_split split;
    uint64_t key;

    if (!header_split(packet, len, &split) ||
        header_split_may_carry(&split, packet, len)) {
        return SIEVE_ANY;
    }
    key = packet_id_share(&config, packet + split.l3_ofs, len - split.l3_ofs,
                          header_kind_is_ip4(split.kind));
    return key ? share_of_key(sieve, key) : SIEVE_ANY;
}

static inline uint32_t
share_geneve(const struct sieve *sieve, const uint8_t *data, size_t len)
{
    const uint8_t *packet = data + POSTCARD_GENEVE_OVERHEAD;
    const uint8_t *ip = packet + ETH_LEN, *l4 = ip + IP4_LEN;
    size_t n, own_len;
    uint64_t key;
    bool is_tcp;

    if (len < POSTCARD_GENEVE_OVERHEAD + ETH_LEN + IP4_LEN + TCP_LEN ||
        len > UINT16_MAX || check_geneve(data)) {
        return SIEVE_ANY;
    }
    if (check_packet(packet) | (ip[9] == HDR_IP_ICMP)) {
        return share_other(sieve, packet, len - POSTCARD_GENEVE_OVERHEAD);
    }
    is_tcp = ip[9] == HDR_IP_TCP;
    own_len = bytes_be16(ip + 2);
    n = own_len < sieve->id_bytes ? own_len : sieve->id_bytes;
    if ((!is_tcp &&
         (ip[9] != HDR_IP_UDP || hdr_is_tunnel_port(bytes_be16(l4 + 2)))) ||
        n < IP4_LEN + (is_tcp ? TCP_LEN : MIN_UDP) ||
        n > len - POSTCARD_GENEVE_OVERHEAD - ETH_LEN) {
        return SIEVE_ANY;
    }
    key =
        packet_id_mix_share(bytes_be32(ip + 2), is_tcp ? l4 + 4 : l4 + UDP_LEN,
                            is_tcp ? NULL : ip + n - 8);
    return share_of_key(sieve, key);
}

uint32_t
sieve_share(const struct sieve *sieve, const struct ingest_packet *packet)
{
    const uint8_t *data = packet->data;
    size_t len = packet->len, udp_len;

    if (packet->from) {
        return share_geneve(sieve, data, len);
    }
    if (packet->encap == INGEST_MAC || packet->visit || len < GENEVE_OFS ||
        check_frame(data)) {
        return SIEVE_ANY;
    }
    udp_len = bytes_be16(data + 38);
    len -= ETH_LEN + IP4_LEN;
    if (udp_len < UDP_LEN || IP4_LEN + udp_len > bytes_be16(data + 16)) {
        return SIEVE_ANY;
    }
    len = udp_len < len ? udp_len : len;
    return share_geneve(sieve, data + GENEVE_OFS, len - UDP_LEN);
}
