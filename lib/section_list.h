/* SPDX-License-Identifier: Apache-2.0 */
/* section_list - named pieces of bytes, each compressed and checked alone.
 *
 * A table of the sections comes first, then their bytes in the order of the
 * table: whoever has the table reads only the sections it needs.
 * docs/formats/archive.md is the format.
 *
 * Writing: add each section, then finish, which puts the table in front.
 * Reading: parse the table, then expand what is wanted.
 *
 * Threads: plain data. */
#ifndef LIB_SECTION_LIST_H
#define LIB_SECTION_LIST_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/compress.h"
#include "lib/lh_error.h"

#define SECTION_LIST_MAX 64
/* Bytes of a table of the most sections. */
#define SECTION_LIST_MAX_TABLE (2 + 18 * SECTION_LIST_MAX)
/* No section is longer than this before compression. */
#define SECTION_MAX_RAW (64u << 20)

struct section {
    uint8_t id;
    uint8_t is_compressed;
    bool is_checked;     /* Its bytes are right: it has no hash. */
    uint32_t raw_len;    /* Before compression. */
    uint32_t stored_len; /* As stored. */
    uint64_t hash;       /* XXH64 of it as stored, seed 0. */
    uint64_t offset;     /* From the first section's first byte. */
};

struct section_list {
    size_t n;
    struct section sections[SECTION_LIST_MAX];
    uint64_t len; /* Of all as stored. */
};

/* Appends a section to 'list', and its bytes to 'bytes'.  An empty one is left
 * out. */
void section_list_add(struct section_list *list, uint8_t id, const void *raw,
                      size_t len, int level, struct compressor *,
                      struct byte_buf *bytes);
/* Appends the table to 'out'; returns its length. */
size_t section_list_put_table(const struct section_list *,
                              struct byte_buf *out);

/* Reads a table of 'len' bytes.  Returns 0, or EBADMSG with the reason. */
int section_list_parse(struct section_list *list, const uint8_t *table,
                       size_t len, struct lh_error *);
/* The section 'id', or NULL when there is none: it is empty. */
const struct section *section_list_find(const struct section_list *,
                                        uint8_t id);
/* Checks and decompresses: 'stored' has s->stored_len bytes, '*raw' gets
 * s->raw_len, for free().  Returns 0, EBADMSG with the reason, or ENOMEM. */
int section_expand(const struct section *s, const uint8_t *stored,
                   uint8_t **raw, struct lh_error *);

#endif /* lib/section_list.h */
