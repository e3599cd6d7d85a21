/* SPDX-License-Identifier: Apache-2.0 */
/* archive_block - one block of an archive's segment file, as bytes. */
#include <config.h>

#include "lib/archive_block.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "lib/bytes.h"
#include "lib/compress.h"
#include "lib/section_list.h"

#define ZSTD_LEVEL 3

/* Not text, so that a block is never found inside a JSON file, and damaged by
 * a transfer that changes line ends. */
static const uint8_t magic[4] = {0xba, 'L', 'H', '\n'};

#define FLAG_COMPRESSED 1u
#define FLAG_SAMPLED    2u

/* Where things stand in a header. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 4,
    AT_KIND = 5,
    AT_FLAGS = 6,
    AT_N_RECORDS = 8,
    AT_N_HOPS = 12,
    AT_SEQUENCE = 16,
    AT_MIN_NS = 24,
    AT_MAX_NS = 32,
    AT_RAW_LEN = 40,
    AT_STORED_LEN = 44,
    AT_PAYLOAD_HASH = 48,
    AT_HEADER_HASH = 56
};

static void
write_header(const struct archive_block *block, uint8_t *p)
{
    memset(p, 0, ARCHIVE_BLOCK_HEADER);
    memcpy(p + AT_MAGIC, magic, sizeof magic);
    p[AT_VERSION] = ARCHIVE_VERSION;
    p[AT_KIND] = block->kind;
    bytes_put_be16(p + AT_FLAGS,
                   (uint16_t) ((block->is_compressed ? FLAG_COMPRESSED : 0) |
                               (block->is_sampled ? FLAG_SAMPLED : 0)));
    bytes_put_be32(p + AT_N_RECORDS, block->n_records);
    bytes_put_be32(p + AT_N_HOPS, block->n_hops);
    bytes_put_be64(p + AT_SEQUENCE, block->sequence);
    bytes_put_be64(p + AT_MIN_NS, block->min_ns);
    bytes_put_be64(p + AT_MAX_NS, block->max_ns);
    bytes_put_be32(p + AT_RAW_LEN, block->raw_len);
    bytes_put_be32(p + AT_STORED_LEN, block->stored_len);
    bytes_put_be64(p + AT_PAYLOAD_HASH, block->payload_hash);
    bytes_put_be64(p + AT_HEADER_HASH, XXH64(p, AT_HEADER_HASH, 0));
}

void
archive_block_pack(struct archive_block *block, const uint8_t *raw,
                   size_t raw_len, struct byte_buf *out)
{
    assert(raw_len <= ARCHIVE_BLOCK_MAX_RAW);

    struct compressor *compressor = compressor_create();
    size_t start = out->len;

    byte_buf_extend(out, ARCHIVE_BLOCK_HEADER);
    block->is_compressed =
        compressor_put(compressor, ZSTD_LEVEL, raw, raw_len, out);
    compressor_destroy(compressor);

    const uint8_t *payload = out->data + start + ARCHIVE_BLOCK_HEADER;
    size_t n = out->len - start - ARCHIVE_BLOCK_HEADER;

    block->raw_len = (uint32_t) raw_len;
    block->stored_len = (uint32_t) n;
    block->payload_hash = XXH64(payload, n, 0);
    write_header(block, out->data + start);
}

static bool
has_sane_lengths(const struct archive_block *block)
{
    if (block->kind == ARCHIVE_COLUMNS) {
        return block->raw_len >= ARCHIVE_COLUMNS_PREFIX &&
               block->raw_len <=
                   ARCHIVE_COLUMNS_PREFIX + SECTION_LIST_MAX_TABLE &&
               block->raw_len <= block->stored_len &&
               block->stored_len <= ARCHIVE_BLOCK_MAX_COLUMNS;
    }
    return block->raw_len <= ARCHIVE_BLOCK_MAX_RAW &&
           block->stored_len <= block->raw_len;
}

size_t
archive_block_begin_columns(uint64_t first_sequence, struct byte_buf *out)
{
    size_t start = out->len;

    byte_buf_extend(out, ARCHIVE_BLOCK_HEADER);
    byte_buf_put_u64(out, first_sequence);
    return start;
}

void
archive_block_end_columns(struct archive_block *block, size_t start,
                          size_t table_len, struct byte_buf *out)
{
    const uint8_t *payload = out->data + start + ARCHIVE_BLOCK_HEADER;

    assert(block->kind == ARCHIVE_COLUMNS);
    block->is_compressed = false;
    block->raw_len = (uint32_t) (ARCHIVE_COLUMNS_PREFIX + table_len);
    block->stored_len = (uint32_t) (out->len - start - ARCHIVE_BLOCK_HEADER);
    block->payload_hash = XXH64(payload, block->raw_len, 0);
    write_header(block, out->data + start);
}

enum archive_block_status
archive_block_parse(const uint8_t p[ARCHIVE_BLOCK_HEADER],
                    struct archive_block *block)
{
    memset(block, 0, sizeof *block);
    if (memcmp(p, magic, sizeof magic) != 0) {
        return ARCHIVE_BLOCK_NONE;
    }
    if (bytes_be64(p + AT_HEADER_HASH) != XXH64(p, AT_HEADER_HASH, 0)) {
        return ARCHIVE_BLOCK_BROKEN;
    }
    block->kind = p[AT_KIND];
    block->is_compressed = (bytes_be16(p + AT_FLAGS) & FLAG_COMPRESSED) != 0;
    block->is_sampled = (bytes_be16(p + AT_FLAGS) & FLAG_SAMPLED) != 0;
    block->n_records = bytes_be32(p + AT_N_RECORDS);
    block->n_hops = bytes_be32(p + AT_N_HOPS);
    block->sequence = bytes_be64(p + AT_SEQUENCE);
    block->min_ns = bytes_be64(p + AT_MIN_NS);
    block->max_ns = bytes_be64(p + AT_MAX_NS);
    block->raw_len = bytes_be32(p + AT_RAW_LEN);
    block->stored_len = bytes_be32(p + AT_STORED_LEN);
    block->payload_hash = bytes_be64(p + AT_PAYLOAD_HASH);
    if (!p[AT_VERSION] || p[AT_VERSION] > ARCHIVE_VERSION) {
        return ARCHIVE_BLOCK_NEWER;
    }
    return has_sane_lengths(block) ? ARCHIVE_BLOCK_OK : ARCHIVE_BLOCK_BROKEN;
}

int
archive_block_unpack(const struct archive_block *block, const uint8_t *stored,
                     uint8_t **rawp, struct lh_error *error)
{
    *rawp = NULL;
    if (XXH64(stored, block->stored_len, 0) != block->payload_hash) {
        lh_error_set(error, "checksum of the payload does not match");
        return EBADMSG;
    }

    uint8_t *raw = malloc(block->raw_len ? block->raw_len : 1);

    if (!raw) {
        lh_error_set(error, "no memory for %u bytes", block->raw_len);
        return ENOMEM;
    }
    if (block->is_compressed) {
        int retval = compress_expand(stored, block->stored_len, raw,
                                     block->raw_len, error);

        if (retval) {
            free(raw);
            return retval;
        }
    } else if (block->stored_len != block->raw_len) {
        lh_error_set(error, "payload has two lengths");
        free(raw);
        return EBADMSG;
    } else if (block->raw_len) {
        memcpy(raw, stored, block->raw_len);
    }
    *rawp = raw;
    return 0;
}

size_t
archive_block_find(const uint8_t *data, size_t len)
{
    const uint8_t *found = len ? memmem(data, len, magic, sizeof magic) : NULL;

    return found ? (size_t) (found - data) : len;
}
