/* SPDX-License-Identifier: Apache-2.0 */
/* text_number - a whole number that is all of a text.
 *
 * Threads: pure functions. */
#ifndef LIB_TEXT_NUMBER_H
#define LIB_TEXT_NUMBER_H 1

#include <stdbool.h>
#include <stdint.h>

/* Reads 'text', digits of 'base' (10 or 16) and nothing else: no blank, sign
 * or prefix.  False, and '*value' is as it was, when it is not that or not
 * from 'min' to 'max'. */
bool text_number(const char *text, int base, uint64_t min, uint64_t max,
                 uint64_t *value);

#endif /* lib/text_number.h */
