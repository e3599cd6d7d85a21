/* SPDX-License-Identifier: Apache-2.0 */
/* inet_sum - the checksums of packets, whole and by difference.
 *
 * Correcting a checksum by the difference (RFC 1624) needs neither the rest of
 * the packet nor a checksum that was right before: a wrong one stays wrong by
 * as much.
 *
 * Threads: pure functions. */
#ifndef LIB_INET_SUM_H
#define LIB_INET_SUM_H 1

#include <stddef.h>
#include <stdint.h>

/* The ones' complement sum of two words (RFC 1071): carries come back in. */
static inline uint16_t
inet_sum_add(uint16_t a, uint16_t b)
{
    uint32_t sum = (uint32_t) a + b;

    return (uint16_t) ((sum & 0xffff) + (sum >> 16));
}

/* The Internet checksum (RFC 1071) of 'n' bytes, an even number, in which the
 * checksum itself is 0. */
uint16_t inet_sum(const uint8_t *data, size_t n);

/* Corrects the big-endian Internet checksum at 'sum' for 'n' bytes, an even
 * number at an even place of what it covers, that were 'before' and are
 * 'after'. */
void inet_sum_adjust(uint8_t *sum, const uint8_t *before, const uint8_t *after,
                     size_t n);

/* Corrects the CRC32c (RFC 9260) at 'crc' of 'len' bytes for their first 'n'
 * bytes, that were 'before' and are 'after'.  The CRC is linear, so that the
 * other bytes do not matter. */
void inet_sum_adjust_crc32c(uint8_t *crc, size_t len, const uint8_t *before,
                            const uint8_t *after, size_t n);

#endif /* lib/inet_sum.h */
