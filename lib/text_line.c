/* SPDX-License-Identifier: Apache-2.0 */
/* text_line - one line for a terminal, with styles and a width it keeps to. */
#include <config.h>
#include "lib/text_line.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/lh_alloc.h"

/* Parameters of the SGR escape sequence (ECMA-48) of each style. */
static const char *const sgr[] = {
    [TEXT_PLAIN] = "0", [TEXT_BOLD] = "1",     [TEXT_DIM] = "2",
    [TEXT_RED] = "31",  [TEXT_GREEN] = "32",   [TEXT_YELLOW] = "33",
    [TEXT_BLUE] = "34", [TEXT_MAGENTA] = "35", [TEXT_CYAN] = "36",
};

static const char cut_mark[] = "...";

void
text_line_put(struct text_line *line, enum text_style style,
              const char *format, ...)
{
    va_list args, again;
    size_t n;

    va_start(args, format);
    va_copy(again, args);
    n = (size_t) vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (line->len + n + 1 > line->allocated) {
        line->allocated = 2 * (line->len + n + 1);
        line->text = lh_alloc_array(line->text, line->allocated, 1);
        line->style = lh_alloc_array(line->style, line->allocated, 1);
    }
    vsnprintf(line->text + line->len, n + 1, format, args);
    va_end(args);
    memset(line->style + line->len, (int) style, n);
    line->len += n;
}

/* True for the bytes of a UTF-8 character after its first. */
static bool
is_continuation(char c)
{
    return ((unsigned char) c & 0xc0) == 0x80;
}

/* The number of bytes that the first 'columns' columns of the line take. */
static size_t
columns_to_bytes(const struct text_line *line, size_t columns)
{
    size_t i = 0;

    while (i < line->len) {
        if (!is_continuation(line->text[i]) && !columns--) {
            break;
        }
        i++;
    }
    return i;
}

/* True for byte 'i' of a control character, also one of the C1 set (U+0080 to
 * U+009F), which begins with 0xc2 in UTF-8. */
static bool
is_control(const struct text_line *line, size_t i)
{
    const unsigned char *p = (const unsigned char *) &line->text[i];

    return *p < 0x20 || *p == 0x7f ||
           (*p == 0xc2 && i + 1 < line->len && p[1] < 0xa0) ||
           (*p < 0xa0 && *p >= 0x80 && i > 0 && p[-1] == 0xc2);
}

/* Replaces the end of a line that is too wide. */
static void
cut(struct text_line *line)
{
    size_t mark_len = strlen(cut_mark);
    size_t width = (size_t) line->width;

    if (line->width <= 0 || columns_to_bytes(line, width) == line->len) {
        return;
    }
    mark_len = width < mark_len ? width : mark_len;
    line->len = columns_to_bytes(line, width - mark_len);
    text_line_put(line, TEXT_DIM, "%.*s", (int) mark_len, cut_mark);
}

void
text_line_end(struct text_line *line)
{
    uint8_t style = TEXT_PLAIN;

    cut(line);
    for (size_t i = 0; i < line->len; i++) {
        if (line->color && line->style[i] != style) {
            if (style != TEXT_PLAIN) {
                fputs("\033[0m", line->stream);
            }
            style = line->style[i];
            if (style != TEXT_PLAIN) {
                fprintf(line->stream, "\033[%sm", sgr[style]);
            }
        }
        fputc(is_control(line, i) ? '?' : line->text[i], line->stream);
    }
    if (line->color && style != TEXT_PLAIN) {
        fputs("\033[0m", line->stream);
    }
    fputc('\n', line->stream);
    line->len = 0;
}

void
text_line_uninit(struct text_line *line)
{
    free(line->text);
    free(line->style);
    line->text = NULL;
    line->style = NULL;
    line->len = line->allocated = 0;
}

bool
text_line_wants_color(FILE *stream)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return isatty(fileno(stream)) && !(no_color && *no_color) && term &&
           strcmp(term, "dumb");
}
