/* SPDX-License-Identifier: Apache-2.0 */
/* bytes - one bounded cursor for every binary format: its text form. */
#include <config.h>
#include "lib/bytes.h"

void
bytes_to_hex(const uint8_t *data, size_t n, char *text)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        *text++ = digits[data[i] >> 4];
        *text++ = digits[data[i] & 15];
    }
    *text = '\0';
}

static int
digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    } else if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    } else if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

size_t
bytes_from_hex(const char *text, uint8_t *data, size_t size)
{
    size_t n = 0;

    for (; *text; text += 2) {
        int high = digit_value(text[0]);
        int low = high < 0 ? -1 : digit_value(text[1]);

        if (low < 0 || n >= size) {
            return SIZE_MAX;
        }
        data[n++] = (uint8_t) (high << 4 | low);
    }
    return n;
}
