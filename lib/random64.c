/* SPDX-License-Identifier: Apache-2.0 */
/* random64 - a number that nobody outside can guess. */
#include <config.h>
#include "lib/random64.h"

#include <stdlib.h>
#include <sys/random.h>

uint64_t
random64_draw(void)
{
    uint64_t number;

    /* So few bytes come whole. */
    if (getrandom(&number, sizeof number, 0) != (ssize_t) sizeof number) {
        abort();
    }
    return number;
}
