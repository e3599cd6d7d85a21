/* SPDX-License-Identifier: Apache-2.0 */
/* nearest - of many names the one that somebody most likely meant. */
#include <config.h>
#include "lib/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* Longer texts are not compared. */
#define MAX_LEN 64

static size_t
min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool
same(char a, char b)
{
    return tolower((unsigned char) a) == tolower((unsigned char) b);
}

/* The distance of 'a' and 'b', at most MAX_LEN bytes each: the least number of
 * letters put in, taken out, changed, or swapped with the next (optimal string
 * alignment). */
static size_t
distance_of(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][MAX_LEN + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b_len; j++) {
        last[j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *oldest = before;

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            bool is_same = same(a[i - 1], b[j - 1]);

            row[j] = min(min(last[j], row[j - 1]) + 1,
                         last[j - 1] + (is_same ? 0 : 1));
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) &&
                same(a[i - 2], b[j - 1])) {
                row[j] = min(row[j], before[j - 2] + 1);
            }
        }
        before = last;
        last = row;
        row = oldest;
    }
    return last[b_len];
}

struct nearest
nearest_init(const char *text)
{
    size_t len = strlen(text);

    /* Two letters are near to all others and so to none. */
    return (struct nearest){
        .text = text, .distance = len < 3 || len > MAX_LEN ? 0 : len / 3 + 1};
}

void
nearest_try(struct nearest *nearest, const char *name)
{
    size_t len = name ? strlen(name) : 0, distance;

    if (!len || len > MAX_LEN || !nearest->distance) {
        return;
    }
    distance = distance_of(nearest->text, strlen(nearest->text), name, len);
    if (distance < nearest->distance) {
        nearest->distance = distance;
        nearest->best = name;
    }
}

const char *
nearest_name(const struct nearest *nearest)
{
    return nearest->best;
}
