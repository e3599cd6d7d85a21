/* SPDX-License-Identifier: Apache-2.0 */
/* scan - a bounded cursor over the text of a filter.
 *
 * Both halves of the parser (the expression around and the terms inside
 * braces) move one scan along; nothing reads past `len`.  Errors carry the
 * offset in the whole text.
 *
 * Ownership: borrows the text.  Threads: plain data. */
#ifndef PHF_SCAN_H
#define PHF_SCAN_H 1

#include <stdbool.h>
#include <stddef.h>

#include "lib/lh_error.h"

struct scan {
    const char *text;
    size_t len;
    size_t pos;
    struct lh_error *error; /* May be NULL. */
};

/* A piece of the text. */
struct scan_word {
    const char *s;
    size_t len;
    size_t pos;     /* Offset of the word (inside its quotes) in the text. */
    bool is_quoted; /* Stood in "..." or '...'. */
};

void scan_init(struct scan *, const char *text, size_t len,
               struct lh_error *error);

/* The byte at 'ahead' bytes from here, or 0 at the end. */
char scan_peek(const struct scan *, size_t ahead);
bool scan_at_end(const struct scan *);
/* Blank, tab or end of line. */
bool scan_is_blank(char c);
void scan_skip_blanks(struct scan *);
/* True when 's' stands here. */
bool scan_is_at(const struct scan *, const char *s);
/* The same, and moves past it. */
bool scan_accept(struct scan *, const char *s);

/* A value: a quoted text (without escapes), or the bytes up to a blank or
 * "}}".  Returns 0, or EINVAL when there is none ('what' says what was
 * expected), a quote does not end, or a quoted text is empty. */
int scan_value(struct scan *, const char *what, struct scan_word *);

/* True when 'word' is exactly 's' and not quoted. */
bool scan_word_is(const struct scan_word *, const char *s);

/* An unsigned decimal number of at most 'max' here; moves past its digits.
 * False, at the same place, when there is no digit or it is larger. */
bool scan_number(struct scan *, unsigned int max, unsigned int *number);

#endif /* phf/scan.h */
