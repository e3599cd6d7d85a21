/* SPDX-License-Identifier: Apache-2.0 */
/* flow_words - the constant bytes of a header, word by word: what is hashed
 * and compared to know a flow again.
 *
 * Of headers of one kind, with the IP header at the same place, the words are
 * equal just where header_split_constant() makes the same bytes.  Some bytes
 * are in two words.
 *
 * Threads: pure functions. */
#ifndef LIB_FLOW_WORDS_H
#define LIB_FLOW_WORDS_H 1

#include <stdint.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/header_split.h"

/* Words of a header whose IP header is at 'l3_ofs', at most. */
#define FLOW_WORDS_MAX(l3_ofs) (((l3_ofs) + 7) / 8 + 6)

static inline uint64_t
flow_words_load(const uint8_t *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof word);
    return word;
}

static inline uint32_t
flow_words_load_half(const uint8_t *p)
{
    uint32_t word;

    memcpy(&word, p, sizeof word);
    return word;
}

/* Puts the words of the header, of which kind, l3_ofs and l4_ofs are known, at
 * 'words'; returns how many. */
static inline unsigned int
flow_words_get(const uint8_t *header, const struct header_split *split,
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
        words[n++] = flow_words_load(header + i);
    }
    words[n++] = flow_words_load(ip - 8);
    if (split->kind == HEADER_IP4_ICMP || split->kind == HEADER_IP6_ICMP) {
        l4 = bytes_be16(header + split->l4_ofs); /* Type and code. */
    } else if (split->kind != HEADER_IP4_OTHER &&
               split->kind != HEADER_IP6_OTHER) {
        l4 = flow_words_load_half(header + split->l4_ofs); /* Ports. */
    }
    if (header_kind_is_ip4(split->kind)) {
        words[n++] = flow_words_load(ip) & flow_words_load(ip4);
        words[n++] = flow_words_load(ip + 8) & flow_words_load(ip4 + 8);
        words[n++] = flow_words_load_half(ip + 16) | l4 << 32;
        return n;
    }
    words[n++] = flow_words_load(ip) & flow_words_load(ip6);
    for (size_t i = 8; i < 40; i += 8) {
        words[n++] = flow_words_load(ip + i);
    }
    words[n++] = l4;
    return n;
}

#endif /* lib/flow_words.h */
