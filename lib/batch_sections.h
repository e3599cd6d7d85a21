/* SPDX-License-Identifier: Apache-2.0 */
/* batch_sections - the columns of a batch of histories, in a few groups, each
 * of which is compressed in the way that its bytes need, or not at all.
 *
 * docs/formats/cluster.md, "Packed histories", is the format.  Used by
 * history_batch.c only.
 *
 * Threads: plain data. */
#ifndef LIB_BATCH_SECTIONS_H
#define LIB_BATCH_SECTIONS_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/bytes.h"
#include "lib/compress.h"
#include "lib/lh_error.h"
#include "lib/section_list.h"

#define BATCH_SECTIONS_GROUPS 6

/* Appends the sections of 'list', none of which is compressed and whose bytes
 * stand at 'bytes', to 'out'.  'scratch' is for this function. */
void batch_sections_put(const struct section_list *list, const uint8_t *bytes,
                        struct compressor *, struct byte_buf scratch[2],
                        struct byte_buf *out);

/* The table of what was put. */
struct batch_sections {
    struct section_list list; /* As it was, but in another order: none is
                               * compressed, all are checked. */
    size_t raw_len;           /* Bytes of all, */
    size_t group_lens[BATCH_SECTIONS_GROUPS]; /* and of each group. */
};

/* Reads it.  Returns 0, or EBADMSG with the reason. */
int batch_sections_read(struct batch_sections *, struct bytes_reader *in,
                        struct lh_error *);
/* Reads what is behind it, up to the end: raw_len bytes to 'raw'.  The same.
 */
int batch_sections_expand(const struct batch_sections *,
                          struct bytes_reader *in, uint8_t *raw,
                          struct lh_error *);

#endif /* lib/batch_sections.h */
