/* SPDX-License-Identifier: Apache-2.0 */
/* siphash - two rounds per word, four at the end. */
#include <config.h>

#include "recorder/siphash.h"

static uint64_t
get_le64(const uint8_t *p, size_t n)
{
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++) {
        value |= (uint64_t) p[i] << (8 * i);
    }
    return value;
}

static uint64_t
rotate(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

static void
rounds(uint64_t v[4], int n)
{
    while (n-- > 0) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

uint64_t
siphash(const uint8_t key[SIPHASH_KEY_LEN], const uint8_t *data, size_t len)
{
    uint64_t k0 = get_le64(key, 8), k1 = get_le64(key + 8, 8);
    uint64_t v[4] = {
        k0 ^ 0x736f6d6570736575ULL,
        k1 ^ 0x646f72616e646f6dULL,
        k0 ^ 0x6c7967656e657261ULL,
        k1 ^ 0x7465646279746573ULL,
    };
    size_t i;

    for (i = 0; i + 8 <= len; i += 8) {
        uint64_t word = get_le64(data + i, 8);

        v[3] ^= word;
        rounds(v, 2);
        v[0] ^= word;
    }

    uint64_t last = get_le64(data + i, len - i) | (uint64_t) len << 56;

    v[3] ^= last;
    rounds(v, 2);
    v[0] ^= last;
    v[2] ^= 0xff;
    rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
