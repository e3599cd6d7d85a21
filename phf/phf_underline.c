/* SPDX-License-Identifier: Apache-2.0 */
/* phf_underline - shows where in a filter an error is. */
#include <config.h>
#include "phf/phf.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

/* Bytes of the line that are shown, of them before the place when the line is
 * longer. */
#define MAX_SHOWN  72
#define MAX_BEFORE 40

/* A byte that begins a character (UTF-8). */
static bool
begins_character(char c)
{
    return ((unsigned char) c & 0xc0) != 0x80;
}

static bool
ends_word(const char *s)
{
    return !*s || strchr(" \t\r\n()[]{}|\"'", *s);
}

/* Length in bytes of what is underlined at 's'. */
static size_t
word_length(const char *s)
{
    size_t len = 0;

    if (!strncmp(s, "{{", 2)) {
        return 2;
    }
    while (!ends_word(s + len)) {
        len++;
    }
    return len ? len : 1;
}

static size_t
count_characters(const char *s, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        n += begins_character(s[i]);
    }
    return n;
}

char *
phf_underline(const char *text, const struct lh_error *error)
{
    size_t len = strlen(text);
    size_t pos, begin, end, word;
    char *out, *p;

    if (error->pos < 0) {
        return NULL;
    }
    pos = (size_t) error->pos < len ? (size_t) error->pos : len;
    for (begin = pos; begin > 0 && text[begin - 1] != '\n';) {
        begin--;
    }
    end = pos + strcspn(text + pos, "\n");
    if (end - begin > MAX_SHOWN && pos - begin > MAX_BEFORE) {
        begin = pos - MAX_BEFORE;
        while (!begins_character(text[begin])) {
            begin++;
        }
    }
    if (end - begin > MAX_SHOWN) {
        end = begin + MAX_SHOWN;
        while (end > pos && !begins_character(text[end])) {
            end--;
        }
    }
    word = word_length(text + pos);
    if (pos + word > end) {
        word = end > pos ? end - pos : 1;
    }

    out = p = lh_alloc(2 * (end - begin) + word + 3);
    for (size_t i = begin; i < end; i++) {
        unsigned char c = (unsigned char) text[i];

        *p++ = (char) (c < ' ' || c == 0x7f ? ' ' : c);
    }
    *p++ = '\n';
    for (size_t n = count_characters(text + begin, pos - begin); n; n--) {
        *p++ = ' ';
    }
    *p++ = '^';
    for (size_t n = count_characters(text + pos, word); n > 1; n--) {
        *p++ = '~';
    }
    *p = '\0';
    return out;
}
