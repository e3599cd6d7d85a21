/* SPDX-License-Identifier: Apache-2.0 */
/* scan - a bounded cursor over the text of a filter. */
#include <config.h>
#include "phf/scan.h"

#include <errno.h>
#include <string.h>

void
scan_init(struct scan *scan, const char *text, size_t len,
          struct lh_error *error)
{
    scan->text = text;
    scan->len = len;
    scan->pos = 0;
    scan->error = error;
}

char
scan_peek(const struct scan *scan, size_t ahead)
{
    return ahead < scan->len - scan->pos ? scan->text[scan->pos + ahead] : 0;
}

bool
scan_at_end(const struct scan *scan)
{
    return scan->pos >= scan->len;
}

bool
scan_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

void
scan_skip_blanks(struct scan *scan)
{
    while (!scan_at_end(scan) && scan_is_blank(scan->text[scan->pos])) {
        scan->pos++;
    }
}

bool
scan_is_at(const struct scan *scan, const char *s)
{
    size_t len = strlen(s);

    return len <= scan->len - scan->pos &&
           !memcmp(scan->text + scan->pos, s, len);
}

bool
scan_accept(struct scan *scan, const char *s)
{
    if (!scan_is_at(scan, s)) {
        return false;
    }
    scan->pos += strlen(s);
    return true;
}

static int
quoted(struct scan *scan, const char *what, struct scan_word *word)
{
    size_t begin = scan->pos + 1;
    const char *end =
        memchr(scan->text + begin, scan->text[scan->pos], scan->len - begin);

    if (!end) {
        lh_error_set_at(scan->error, (int) scan->pos,
                        "this quote is never closed");
        return EINVAL;
    }
    word->s = scan->text + begin;
    word->len = (size_t) (end - word->s);
    word->pos = begin;
    word->is_quoted = true;
    if (!word->len) {
        lh_error_set_at(scan->error, (int) scan->pos,
                        "%s is expected between the quotes", what);
        return EINVAL;
    }
    scan->pos = begin + word->len + 1;
    return 0;
}

int
scan_value(struct scan *scan, const char *what, struct scan_word *word)
{
    size_t begin;

    scan_skip_blanks(scan);
    if (scan_peek(scan, 0) == '"' || scan_peek(scan, 0) == '\'') {
        return quoted(scan, what, word);
    }
    begin = scan->pos;
    while (!scan_at_end(scan) && !scan_is_blank(scan->text[scan->pos]) &&
           !scan_is_at(scan, "}}")) {
        scan->pos++;
    }
    word->s = scan->text + begin;
    word->len = scan->pos - begin;
    word->pos = begin;
    word->is_quoted = false;
    if (!word->len || (word->len >= 2 && !memcmp(word->s, "--", 2))) {
        lh_error_set_at(scan->error, (int) begin, "%s is expected here", what);
        return EINVAL;
    }
    return 0;
}

bool
scan_word_is(const struct scan_word *word, const char *s)
{
    return !word->is_quoted && word->len == strlen(s) &&
           !memcmp(word->s, s, word->len);
}

bool
scan_number(struct scan *scan, unsigned int max, unsigned int *number)
{
    unsigned int value = 0;
    size_t i;

    for (i = 0; scan_peek(scan, i) >= '0' && scan_peek(scan, i) <= '9'; i++) {
        value = value * 10 + (unsigned int) (scan_peek(scan, i) - '0');
        if (value > max) {
            return false;
        }
    }
    if (!i) {
        return false;
    }
    scan->pos += i;
    *number = value;
    return true;
}
