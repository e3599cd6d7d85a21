/* SPDX-License-Identifier: Apache-2.0 */
/* lh_error - what went wrong, in words for a person.
 *
 * A function that can fail for a reason a person should read takes a
 * `struct lh_error *` (which may be NULL) and fills it when it returns
 * non-zero.  Where the reason has a place in a text the caller gave, `pos` is
 * the byte offset in that text, otherwise it is -1.
 *
 * Threads: plain data, no hidden state. */
#ifndef LIB_LH_ERROR_H
#define LIB_LH_ERROR_H 1

struct lh_error {
    char text[480]; /* One line, no newline at its end, never empty. */
    int pos;        /* Byte offset in the caller's text, or -1. */
};

/* Sets '*error' to the formatted text, with no position.  Does nothing when
 * 'error' is NULL. */
void lh_error_set(struct lh_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same, with the reason at byte offset 'pos' of the caller's text. */
void lh_error_set_at(struct lh_error *error, int pos, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts the formatted text and ": " before what '*error' already says; the
 * position stays. */
void lh_error_prefix(struct lh_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif /* lib/lh_error.h */
