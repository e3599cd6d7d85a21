/* SPDX-License-Identifier: Apache-2.0 */
/* block_index - which switches, ports, rules, addresses and flows a block of
 * columns may have: the set and its reading. */
#include <config.h>

#include "lib/block_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/block_index_impl.h"
#include "lib/bytes.h"

#define FLAG_ANY    1u
#define FLAG_OTHERS 2u
#define ALL_CLASSES ((1u << N_BLOCK_INDEX_CLASSES) - 1)

/* --- Items --------------------------------------------------------------- */

/* 0 is no item. */
static inline uint64_t
item_of(const uint8_t *bytes, size_t n)
{
    uint64_t item = XXH64(bytes, n, 0);

    return item ? item : 1;
}

uint64_t
block_index_hop_item(enum block_index_hop what, uint64_t dpid, uint32_t value)
{
    uint8_t bytes[13];

    bytes[0] = (uint8_t) what;
    bytes_put_be64(bytes + 1, dpid);
    bytes_put_be32(bytes + 9, value);
    return item_of(bytes, sizeof bytes);
}

/* Flattened, so that XXH64() of a known length becomes few instructions. */
__attribute__((flatten)) uint64_t
block_index_key_item(enum block_index_part part, enum header_kind kind,
                     const struct flow_key *key)
{
    struct block_index_span span = block_index_span(part, kind);
    uint8_t bytes[2 + sizeof key->bytes];

    bytes[0] = (uint8_t) part;
    bytes[1] = (uint8_t) kind;
    memcpy(bytes + 2, key->bytes + span.at, span.len);
    /* Quicker where the compiler knows the length: those of IPv4. */
    switch (span.len) {
    case 2:
        return item_of(bytes, 4);
    case 4:
        return item_of(bytes, 6);
    case 8:
        return item_of(bytes, 10);
    case 12:
        return item_of(bytes, 14);
    default:
        return item_of(bytes, 2 + (size_t) span.len);
    }
}

/* --- Lines --------------------------------------------------------------- */

static size_t
line_of(uint64_t item, size_t n_lines)
{
    return (size_t) ((item >> 32) * n_lines >> 32);
}

/* The bits of an item in its line, nine of these 64 for each. */
static uint64_t
probes_of(uint64_t item)
{
    return (item & 0xffffffff) * UINT64_C(0x9e3779b97f4a7c15);
}

void
block_index_put_item(uint8_t *lines, size_t n_lines, uint64_t item)
{
    uint8_t *line = lines + line_of(item, n_lines) * BLOCK_INDEX_LINE;
    uint64_t probes = probes_of(item);

    for (int i = 0; i < BLOCK_INDEX_PROBES; i++) {
        unsigned int bit = probes >> 55;

        line[bit / 8] |= (uint8_t) (1u << bit % 8);
        probes <<= 9;
    }
}

static bool
has_item(const struct block_index *index, enum block_index_class class,
         uint64_t item)
{
    if (!(index->classes >> class & 1)) {
        return true;
    }
    if (!index->n_lines) {
        return false;
    }

    const uint8_t *line =
        index->lines + line_of(item, index->n_lines) * BLOCK_INDEX_LINE;
    uint64_t probes = probes_of(item);

    for (int i = 0; i < BLOCK_INDEX_PROBES; i++) {
        unsigned int bit = probes >> 55;

        if (!(line[bit / 8] >> bit % 8 & 1)) {
            return false;
        }
        probes <<= 9;
    }
    return true;
}

/* --- Reading ------------------------------------------------------------- */

void
block_index_put_head(const struct block_index *index, struct byte_buf *out)
{
    byte_buf_put_uvarint(out, index->n_records);
    byte_buf_put_u8(out, index->classes);
    byte_buf_put_u8(out, (uint8_t) ((index->has_any ? FLAG_ANY : 0) |
                                    (index->has_others ? FLAG_OTHERS : 0)));
    byte_buf_put_u8(out, (uint8_t) index->n_forms);
    for (size_t i = 0; i < index->n_forms; i++) {
        byte_buf_put_u8(out, index->forms[i].kind);
        byte_buf_put_u8(out, (uint8_t) (index->forms[i].l3_ofs >> 8));
        byte_buf_put_u8(out, (uint8_t) index->forms[i].l3_ofs);
    }
}

int
block_index_parse(struct block_index *index, uint8_t *raw, size_t len,
                  struct lh_error *error)
{
    struct bytes_reader r = bytes_reader(raw, len);
    uint64_t n_records = byte_buf_get_uvarint(&r);
    bool is_broken = n_records > UINT32_MAX;
    uint8_t flags;

    memset(index, 0, sizeof *index);
    index->raw = raw;
    index->n_records = (uint32_t) n_records;
    index->classes = bytes_get_u8(&r);
    flags = bytes_get_u8(&r);
    index->has_any = flags & FLAG_ANY;
    index->has_others = flags & FLAG_OTHERS;
    index->n_forms = bytes_get_u8(&r);
    is_broken = is_broken || index->classes & ~ALL_CLASSES || flags > 3 ||
                index->n_forms > BLOCK_INDEX_MAX_FORMS;
    for (size_t i = 0; i < index->n_forms && !is_broken; i++) {
        index->forms[i].kind = bytes_get_u8(&r);
        index->forms[i].l3_ofs = bytes_get_u16(&r);
        is_broken = index->forms[i].kind >= N_HEADER_FORMS;
    }
    index->n_lines = bytes_left(&r) / BLOCK_INDEX_LINE;
    if (is_broken || r.failed || bytes_left(&r) % BLOCK_INDEX_LINE) {
        lh_error_set(error, "the index is broken");
        block_index_uninit(index);
        return EBADMSG;
    }
    index->lines = bytes_get(&r, bytes_left(&r));
    return 0;
}

void
block_index_uninit(struct block_index *index)
{
    free(index->raw);
    memset(index, 0, sizeof *index);
}

bool
block_index_has_hop(const struct block_index *index, enum block_index_hop what,
                    uint64_t dpid, uint32_t value)
{
    bool is_version =
        what == BLOCK_INDEX_VERSION || what == BLOCK_INDEX_VERSION_AT;

    return has_item(index,
                    is_version ? BLOCK_INDEX_VERSIONS : BLOCK_INDEX_HOPS,
                    block_index_hop_item(what, dpid, value));
}

static bool
is_whole(const struct flow_key *mask, struct block_index_span span)
{
    for (unsigned int i = 0; i < span.len; i++) {
        if (mask->bytes[span.at + i] != 0xff) {
            return false;
        }
    }
    return span.len > 0;
}

bool
block_index_has_key(const struct block_index *index, enum header_kind kind,
                    const struct flow_key *mask, const struct flow_key *value)
{
    for (unsigned int i = 0; i < N_BLOCK_INDEX_PARTS; i++) {
        enum block_index_part part =
            (enum block_index_part)(BLOCK_INDEX_FIRST_PART + i);

        if (is_whole(mask, block_index_span(part, kind)) &&
            !has_item(index, block_index_class_of(part),
                      block_index_key_item(part, kind, value))) {
            return false;
        }
    }
    return true;
}
