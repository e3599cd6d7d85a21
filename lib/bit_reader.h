/* SPDX-License-Identifier: Apache-2.0 */
/* bit_reader - numbers of any length in bits, one after the other, the lowest
 * bit of the first byte first.
 *
 * Where the bytes end it gives zeros, and their reader has failed.
 *
 * Threads: plain data. */
#ifndef LIB_BIT_READER_H
#define LIB_BIT_READER_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/bytes.h"

/* Zero to begin with. */
struct bit_reader {
    uint64_t bits;  /* Read and not given yet, */
    unsigned int n; /* so many. */
};

/* A number of 'n' bits, at most 32. */
static inline uint64_t
bit_reader_get(struct bit_reader *r, struct bytes_reader *in, unsigned int n)
{
    uint64_t value;

    while (r->n < n) {
        r->bits |= (uint64_t) bytes_get_u8(in) << r->n;
        r->n += 8;
    }
    value = r->bits & ((UINT64_C(1) << n) - 1);
    r->bits >>= n;
    r->n -= n;
    return value;
}

/* A difference, zigzag-coded: 'lengths' has a byte for how many bits it has,
 * and 'in' these without the highest.  False: no number has so many. */
static inline bool
bit_reader_diff(struct bit_reader *r, struct bytes_reader *lengths,
                struct bytes_reader *in, uint64_t *diff)
{
    unsigned int n = bytes_get_u8(lengths);
    uint64_t value = n;

    *diff = 0;
    if (n > 64) {
        return false;
    }
    if (n > 1) {
        unsigned int low = n - 1 < 32 ? n - 1 : 32;

        value = bit_reader_get(r, in, low);
        if (n - 1 > low) {
            value |= bit_reader_get(r, in, n - 1 - low) << 32;
        }
        value |= UINT64_C(1) << (n - 1);
    }
    *diff = value >> 1 ^ (0 - (value & 1));
    return true;
}

/* Whether no byte is left that was read in vain. */
static inline bool
bit_reader_is_done(const struct bit_reader *r)
{
    return r->n < 8;
}

#endif /* lib/bit_reader.h */
