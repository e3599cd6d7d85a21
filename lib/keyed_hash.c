/* SPDX-License-Identifier: Apache-2.0 */
/* keyed_hash - where a number that others choose stands in a table of ours. */
#include <config.h>
#include "lib/keyed_hash.h"

#include <stdlib.h>
#include <sys/random.h>

struct keyed_hash
keyed_hash_create(void)
{
    struct keyed_hash hash;

    /* So few bytes come whole, and the kernel always has them. */
    if (getrandom(&hash, sizeof hash, 0) != (ssize_t) sizeof hash) {
        abort();
    }
    hash.key[1] |= UINT64_C(1) << 63 | 1;
    return hash;
}
