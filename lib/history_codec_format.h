/* SPDX-License-Identifier: Apache-2.0 */
/* history_codec_format - what the parts of history_codec share.
 *
 * The bits of docs/formats/archive.md, which header a hop's header is written
 * as a difference to, and a payload being read.  Included by history_codec*.c
 * only. */
#ifndef LIB_HISTORY_CODEC_FORMAT_H
#define LIB_HISTORY_CODEC_FORMAT_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/bytes.h"
#include "lib/history.h"

struct history_decoder {
    struct bytes_reader reader; /* Before the next record. */
    uint64_t base_ns;
    size_t n_dpids;
    const uint8_t *dpids; /* 8 bytes each, in the payload. */
};

/* Of a record. */
#define CODEC_HAS_ID     0x01u
#define CODEC_STORES_ID  0x02u
#define CODEC_CARRIES    0x04u
#define CODEC_CARRIED_BY 0x08u

/* Of a verdict: bits 0-3 are its name, 4-5 its evidence. */
#define CODEC_VERDICT_HAS_VERSION 0x40u
#define CODEC_VERDICT_HAS_REASON  0x80u
#define CODEC_VERDICT_HAS_PLACE   0x100u

/* Of a hop. */
#define CODEC_HOP_CHAINED    0x01u /* The parent is the hop before. */
#define CODEC_HOP_PLAIN      0x02u /* One output, one version, no branch. */
#define CODEC_HOP_HEADER_OUT 0x04u
#define CODEC_HOP_AFTER      0x08u
#define CODEC_HOP_PACKET_OUT 0x10u
#define CODEC_HOP_DEDUCED    0x20u
#define CODEC_HOP_GAP        0x40u

/* The hop whose header (as it left, where known) hop 'i' is compared with:
 * its parent, else the hop before, else none (NULL). */
static inline const struct history_hop *
codec_reference(const struct history *h, size_t i)
{
    int parent = h->hops[i].parent;

    if (parent >= 0) {
        return &h->hops[parent];
    }
    return i ? &h->hops[i - 1] : NULL;
}

#endif /* lib/history_codec_format.h */
