/* SPDX-License-Identifier: Apache-2.0 */
/* gen_packet - a packet before it enters the network. */
#include <config.h>
#include "gen/gen_packet.h"

#include "gen/gen_random.h"
#include "lib/bytes.h"
#include "lib/hdr.h"

/* Of 'n' bytes, 4 at a time. */
static uint64_t
hash_bytes(const uint8_t *p, size_t n, uint64_t hash)
{
    for (size_t i = 0; i + 4 <= n; i += 4) {
        hash = gen_random_mix(hash * 31 + bytes_be32(p + i));
    }
    return hash;
}

void
gen_packet_classify(struct gen_packet *p, uint64_t seed)
{
    uint64_t base = gen_random_mix(seed + 0x9e3779b97f4a7c15ULL);
    struct hdr h;

    hdr_parse(p->data, p->len, &h);
    p->is_ip4 = h.is_ip4 && !h.n_labels;
    p->is_ip = p->is_ip4 || (h.is_ip6 && !h.n_labels);
    if (h.is_ip4) {
        p->src_hash = hash_bytes(p->data + h.l3_ofs + 12, 4, base);
        p->dst_hash = hash_bytes(p->data + h.l3_ofs + 16, 4, base);
    } else if (h.is_ip6) {
        p->src_hash = hash_bytes(p->data + h.l3_ofs + 8, 16, base);
        p->dst_hash = hash_bytes(p->data + h.l3_ofs + 24, 16, base);
    } else {
        p->dst_hash = hash_bytes(p->data + 2, 4, base);
        p->src_hash = hash_bytes(p->data + 8, 4, base);
    }
    p->flow_hash = gen_random_mix(p->src_hash * 3 + p->dst_hash +
                                  ((uint64_t) h.src_port << 32 |
                                   (uint64_t) h.dst_port << 16 | h.ip_proto));
}
