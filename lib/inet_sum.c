/* SPDX-License-Identifier: Apache-2.0 */
/* inet_sum - the checksums of packets, whole and by difference. */
#include <config.h>
#include "lib/inet_sum.h"

#include "lib/bytes.h"

#define CRC32C_REVERSED 0x82f63b78u

static uint16_t
fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~sum;
}

uint16_t
inet_sum(const uint8_t *data, size_t n)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < n; i += 2) {
        sum += bytes_be16(data + i);
    }
    return fold(sum);
}

void
inet_sum_adjust(uint8_t *sum, const uint8_t *before, const uint8_t *after,
                size_t n)
{
    uint32_t acc = (uint16_t) ~bytes_be16(sum);

    for (size_t i = 0; i < n; i += 2) {
        acc += (uint16_t) ~bytes_be16(before + i);
        acc += bytes_be16(after + i);
    }
    bytes_put_be16(sum, fold(acc));
}

void
inet_sum_adjust_crc32c(uint8_t *crc, size_t len, const uint8_t *before,
                       const uint8_t *after, size_t n)
{
    uint32_t difference = 0;

    for (size_t i = 0; i < len; i++) {
        difference ^= i < n ? before[i] ^ after[i] : 0;
        for (int bit = 0; bit < 8; bit++) {
            difference =
                difference >> 1 ^ (difference & 1 ? CRC32C_REVERSED : 0);
        }
    }
    for (size_t i = 0; i < 4; i++) {
        crc[i] ^= (uint8_t) (difference >> (8 * i));
    }
}
