/* SPDX-License-Identifier: Apache-2.0 */
/* profile_rows - rows of a profile's table as bytes, in pieces that stand for
 * themselves (docs/formats/cluster.md).
 *
 * Threads: pure functions. */
#ifndef PHF_PROFILE_ROWS_H
#define PHF_PROFILE_ROWS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "phf/profile_table.h"

#define PROFILE_ROWS_VERSION 1
#define PROFILE_ROWS_MAX     4096         /* Rows of a piece, ... */
#define PROFILE_ROWS_BYTES   (256u << 10) /* .. or about so many bytes. */

/* Appends a piece with rows from 'first' on; returns the first of the next,
 * 'first' when there are no more. */
size_t profile_rows_put(const struct profile_table *, size_t first,
                        struct byte_buf *out);
/* Adds what is in a piece, of which each row has a link, or none has: 0, or
 * EBADMSG, and some of it may have been added. */
int profile_rows_add(struct profile_table *, bool has_links,
                     const uint8_t *data, size_t size);

#endif /* phf/profile_rows.h */
