/* SPDX-License-Identifier: Apache-2.0 */
/* card_flows - the flows of the packets in a batch that is being written. */
#include <config.h>

#include "lib/card_flows.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/card_batch_impl.h"
#include "lib/lh_alloc.h"
#include "lib/trajectory_shape.h"

_Static_assert((CARD_FLOWS_BUCKETS & (CARD_FLOWS_BUCKETS - 1)) == 0,
               "a power of two");
_Static_assert(CARD_FLOW_WORDS * 8 >= (CARD_MAX_L3 + 7) / 8 * 8 + 44,
               "each header has room");

void
card_flows_init(struct card_flows *cf)
{
    memset(cf, 0, sizeof *cf);
    cf->flows = lh_alloc_array(NULL, CARD_FLOWS_MAX, sizeof *cf->flows);
}

void
card_flows_clear(struct card_flows *cf)
{
    if (cf->n) {
        memset(cf->buckets, 0, sizeof cf->buckets);
    }
    cf->n = 0;
    byte_buf_clear(&cf->kinds);
    byte_buf_clear(&cf->cold);
    byte_buf_clear(&cf->sources);
    byte_buf_clear(&cf->destinations);
    byte_buf_clear(&cf->ports);
    byte_buf_clear(&cf->whose);
}

void
card_flows_uninit(struct card_flows *cf)
{
    byte_buf_uninit(&cf->kinds);
    byte_buf_uninit(&cf->cold);
    byte_buf_uninit(&cf->sources);
    byte_buf_uninit(&cf->destinations);
    byte_buf_uninit(&cf->ports);
    byte_buf_uninit(&cf->whose);
    free(cf->flows);
}

static inline uint64_t
load(const uint8_t *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof word);
    return word;
}

static inline uint32_t
load_half(const uint8_t *p)
{
    uint32_t word;

    memcpy(&word, p, sizeof word);
    return word;
}

/* Puts what of the header is constant, word by word, at 'words'; returns how
 * many. */
static inline unsigned int
get_words(const uint8_t *header, const struct header_split *split,
          uint64_t *words)
{
    /* All but length, ID and checksum. */
    static const uint8_t ip4[16] = {255, 255, 0, 0, 0,   0,   255, 255,
                                    255, 255, 0, 0, 255, 255, 255, 255};
    static const uint8_t ip6[8] = {255, 255, 255, 255, 0, 0, 255, 255};
    const uint8_t *ip = header + split->l3_ofs;
    unsigned int n = 0;
    uint64_t l4 = 0;

    for (size_t i = 0; i + 8 < split->l3_ofs; i += 8) {
        words[n++] = load(header + i);
    }
    words[n++] = load(ip - 8);
    if (split->kind == HEADER_IP4_ICMP || split->kind == HEADER_IP6_ICMP) {
        l4 = bytes_be16(header + split->l4_ofs); /* Type and code. */
    } else if (split->kind != HEADER_IP4_OTHER &&
               split->kind != HEADER_IP6_OTHER) {
        l4 = load_half(header + split->l4_ofs); /* Ports. */
    }
    if (header_kind_is_ip4(split->kind)) {
        words[n++] = load(ip) & load(ip4);
        words[n++] = load(ip + 8) & load(ip4 + 8);
        words[n++] = load_half(ip + 16) | l4 << 32;
        return n;
    }
    words[n++] = load(ip) & load(ip6);
    for (size_t i = 8; i < 40; i += 8) {
        words[n++] = load(ip + i);
    }
    words[n++] = l4;
    return n;
}

static inline uint64_t
hash_words(const uint64_t *words, unsigned int n, uint64_t hash)
{
    for (unsigned int i = 0; i < n; i++) {
        hash = (hash ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return hash;
}

static inline bool
is_flow(const struct card_known_flow *f, const struct header_split *split,
        const uint64_t *words, uint64_t hash)
{
    if (f->hash != hash || f->kind != split->kind ||
        f->l3_ofs != split->l3_ofs) {
        return false;
    }
    for (unsigned int i = 0; i < f->n_words; i++) {
        if (f->words[i] != words[i]) {
            return false;
        }
    }
    return true;
}

static void
put_flow(struct card_flows *cf, const uint8_t *header,
         const struct header_split *split)
{
    struct flow_bytes bytes;

    flow_bytes_take(&bytes, split->kind, split->l3_ofs, header);
    byte_buf_put_u8(&cf->kinds, (uint8_t) split->kind);
    byte_buf_put_u8(&cf->kinds, (uint8_t) split->l3_ofs);
    byte_buf_put(&cf->cold, bytes.cold, bytes.n_cold);
    byte_buf_put(&cf->sources, bytes.addrs[0], bytes.n_addr);
    byte_buf_put(&cf->destinations, bytes.addrs[1], bytes.n_addr);
    byte_buf_put(&cf->ports, bytes.ports, bytes.n_ports);
}

struct packet_row *
card_flows_tell(struct card_flows *cf, const uint8_t *header,
                const struct header_split *split)
{
    uint64_t words[CARD_FLOW_WORDS], hash;
    unsigned int n_words = get_words(header, split, words);
    struct card_known_flow *f;
    uint32_t i;

    hash = hash_words(words, n_words, split->kind);
    for (i = (uint32_t) hash; cf->buckets[i & (CARD_FLOWS_BUCKETS - 1)]; i++) {
        uint32_t flow = cf->buckets[i & (CARD_FLOWS_BUCKETS - 1)] - 1u;

        f = &cf->flows[flow];
        if (is_flow(f, split, words, hash)) {
            byte_buf_put_uvarint(&cf->whose, cf->n - flow);
            return &f->row;
        }
    }
    byte_buf_put_u8(&cf->whose, 0);
    f = &cf->flows[cf->n];
    cf->buckets[i & (CARD_FLOWS_BUCKETS - 1)] = (uint16_t) ++cf->n;
    f->hash = hash;
    f->kind = (uint8_t) split->kind;
    f->n_words = (uint8_t) n_words;
    f->l3_ofs = split->l3_ofs;
    memcpy(f->words, words, n_words * sizeof *words);
    packet_row_begin(&f->row, split->kind, split->l3_ofs,
                     header + split->l3_ofs);
    put_flow(cf, header, split);
    return &f->row;
}
