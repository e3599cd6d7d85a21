/* SPDX-License-Identifier: Apache-2.0 */
/* text_number - a whole number that is all of a text. */
#include <config.h>

#include "lib/text_number.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool
text_number(const char *text, int base, uint64_t min, uint64_t max,
            uint64_t *value)
{
    const char *digits = base == 16 ? "0123456789abcdefABCDEF" : "0123456789";
    unsigned long long n;

    if (!*text || text[strspn(text, digits)]) {
        return false;
    }
    errno = 0;
    n = strtoull(text, NULL, base);
    if (errno || n < min || n > max) {
        return false;
    }
    *value = n;
    return true;
}
