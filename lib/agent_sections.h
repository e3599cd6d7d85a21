/* SPDX-License-Identifier: Apache-2.0 */
/* agent_sections - the pieces of a batch, each compressed alone, with a short
 * table in front (docs/formats/agent.md).
 *
 * Unlike a section_list it has no checksums, for TCP and the spool have, and
 * all of it is read at once.
 *
 * Used by agent_batch*.c only.
 *
 * Threads: plain data. */
#ifndef LIB_AGENT_SECTIONS_H
#define LIB_AGENT_SECTIONS_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/bytes.h"
#include "lib/compress.h"
#include "lib/lh_error.h"

#define AGENT_SECTIONS_MAX 128

/* Appends section 'id' to 'body' and what is to be known of it to 'table'; an
 * empty one is left out. */
void agent_sections_put(struct compressor *, unsigned int id,
                        const struct byte_buf *raw, struct byte_buf *table,
                        struct byte_buf *body);

/* All that was read; a section that was not there is empty. */
struct agent_sections {
    struct bytes_reader at[AGENT_SECTIONS_MAX];
    uint8_t *raw; /* What was expanded.  Owned. */
};

/* Reads the rest of 'in': length of the table, table, sections from 'first' to
 * below 'end'.  What is not compressed stays where it is.  Returns 0, or
 * EBADMSG with the reason. */
int agent_sections_open(struct agent_sections *, struct bytes_reader *in,
                        unsigned int first, unsigned int end,
                        struct lh_error *);
void agent_sections_close(struct agent_sections *);

#endif /* lib/agent_sections.h */
