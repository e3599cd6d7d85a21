/* SPDX-License-Identifier: Apache-2.0 */
/* archive_block - one block of an archive's segment file, as bytes.
 *
 * A block is a header of ARCHIVE_BLOCK_HEADER bytes, which carries a checksum
 * of itself and one of what follows, and a payload, compressed with zstd when
 * that makes it smaller.  docs/formats/archive.md is the format.
 *
 * Threads: pure functions. */
#ifndef LIB_ARCHIVE_BLOCK_H
#define LIB_ARCHIVE_BLOCK_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/lh_error.h"

#define ARCHIVE_VERSION      2 /* Written; 1 is read as well. */
#define ARCHIVE_BLOCK_HEADER 64

/* No payload is longer than this before compression; a header that says so is
 * damaged. */
#define ARCHIVE_BLOCK_MAX_RAW (64u << 20)
/* Of a block of columns, as stored. */
#define ARCHIVE_BLOCK_MAX_COLUMNS (256u << 20)
/* What stands before its table of sections: the sequence of the first block
 * that it holds, if it was made of several. */
#define ARCHIVE_COLUMNS_PREFIX 8

enum archive_block_kind {
    ARCHIVE_HISTORIES = 1, /* history_codec. */
    ARCHIVE_TOPOLOGY = 2,  /* JSON, docs/formats/topology.md; in force from
                            * min_ns on. */
    ARCHIVE_LOSS = 3,      /* JSON: histories that could not be stored. */
    ARCHIVE_COLUMNS = 4    /* history_columns: raw_len bytes that tell its
                            * sections, to which payload_hash belongs, then
                            * the sections, each with a checksum of its
                            * own. */
};

struct archive_block {
    uint8_t kind; /* enum archive_block_kind; others are skipped. */
    bool is_compressed;
    bool is_sampled; /* Packets like those of the block were left out. */
    uint32_t n_records;
    uint32_t n_hops;     /* In all records together. */
    uint64_t sequence;   /* Grows by 1 from block to block of an archive. */
    uint64_t min_ns;     /* Earliest first postcard of a record. */
    uint64_t max_ns;     /* Latest last postcard. */
    uint32_t raw_len;    /* Bytes of payload before compression. */
    uint32_t stored_len; /* Bytes of payload in the file. */
    uint64_t payload_hash;
};

enum archive_block_status {
    ARCHIVE_BLOCK_OK,
    ARCHIVE_BLOCK_NONE,   /* Does not begin with a block's magic number. */
    ARCHIVE_BLOCK_BROKEN, /* Header and its checksum differ. */
    ARCHIVE_BLOCK_NEWER   /* Sound, but of a format version we do not know. */
};

/* Appends the block of 'block->kind' whose payload is the 'raw_len' (at most
 * ARCHIVE_BLOCK_MAX_RAW) bytes at 'raw' to 'out'.  The caller has set kind,
 * counts, sequence and times in '*block'; the rest is set here. */
void archive_block_pack(struct archive_block *block, const uint8_t *raw,
                        size_t raw_len, struct byte_buf *out);

/* Begins a block of ARCHIVE_COLUMNS at the end of 'out': the caller then puts
 * the payload of a column_encoder there.  Returns where it begins, for
 * archive_block_end_columns(). */
size_t archive_block_begin_columns(uint64_t first_sequence,
                                   struct byte_buf *out);
/* Ends it: 'table_len' as column_encoder_finish() returned; '*block' as for
 * archive_block_pack(). */
void archive_block_end_columns(struct archive_block *block, size_t start,
                               size_t table_len, struct byte_buf *out);

/* Reads a header.  '*block' is set for ARCHIVE_BLOCK_OK and, for what is
 * needed to skip the block, for ARCHIVE_BLOCK_NEWER. */
enum archive_block_status
archive_block_parse(const uint8_t header[ARCHIVE_BLOCK_HEADER],
                    struct archive_block *block);

/* Checks and decompresses the payload of a block of any other kind,
 * block->stored_len bytes at 'stored'. Returns 0 with '*raw' (block->raw_len
 * bytes, for free()), or EBADMSG with the reason, or ENOMEM. */
int archive_block_unpack(const struct archive_block *block,
                         const uint8_t *stored, uint8_t **raw,
                         struct lh_error *);

/* Where in the 'len' bytes at 'data' the next magic number stands, or 'len'
 * when there is none (one cut by the end counts as none). */
size_t archive_block_find(const uint8_t *data, size_t len);

#endif /* lib/archive_block.h */
