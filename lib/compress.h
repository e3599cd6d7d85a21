/* SPDX-License-Identifier: Apache-2.0 */
/* compress - bytes made smaller, and back: a door to zstd.
 *
 * Ownership: a compressor is its creator's; it keeps the memory that zstd
 * works in, so that many small pieces cost little.
 *
 * Threads: one thread per compressor; compress_expand() anywhere. */
#ifndef LIB_COMPRESS_H
#define LIB_COMPRESS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/lh_error.h"

struct compressor;

struct compressor *compressor_create(void);
void compressor_destroy(struct compressor *);

/* Appends the 'len' bytes at 'raw' to 'out', compressed at 'level' if
 * that makes them smaller, else as they are; returns true in the first
 * case. */
bool compressor_put(struct compressor *, int level, const void *raw,
                    size_t len, struct byte_buf *out);

/* Makes the 'raw_len' bytes at 'raw' of the 'len' bytes at 'stored'.  Returns
 * 0, or EBADMSG with the reason when they are not that many, or no
 * compressed bytes at all. */
int compress_expand(const uint8_t *stored, size_t len, uint8_t *raw,
                    size_t raw_len, struct lh_error *);

#endif /* lib/compress.h */
