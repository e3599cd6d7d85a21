/* SPDX-License-Identifier: Apache-2.0 */
/* text_line - one line for a terminal, with styles and a width it keeps to.
 *
 *     struct text_line line = {.stream = stdout, .color = true, .width = 80};
 *
 *     text_line_put(&line, TEXT_BOLD, "#%d", n);
 *     text_line_put(&line, TEXT_PLAIN, " %s", name);
 *     text_line_end(&line);
 *     text_line_uninit(&line);
 *
 * A line that is too wide is cut and ends in "...".  Control characters become
 * '?', so that no name that came off a wire can command the terminal.
 *
 * Threads: plain data. */
#ifndef LIB_TEXT_LINE_H
#define LIB_TEXT_LINE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum text_style {
    TEXT_PLAIN,
    TEXT_BOLD,
    TEXT_DIM,
    TEXT_RED,
    TEXT_GREEN,
    TEXT_YELLOW,
    TEXT_BLUE,
    TEXT_MAGENTA,
    TEXT_CYAN
};

struct text_line {
    FILE *stream;
    bool color; /* False: styles change nothing. */
    int width;  /* Columns; 0: no limit. */
    size_t len, allocated;
    char *text;     /* Owned. */
    uint8_t *style; /* enum text_style of each byte.  Owned. */
};

void text_line_put(struct text_line *, enum text_style, const char *format,
                   ...) __attribute__((format(printf, 3, 4)));
/* Writes the line and begins an empty one. */
void text_line_end(struct text_line *);
void text_line_uninit(struct text_line *);

/* True when output to 'stream' should have colours: it is a terminal, and the
 * environment has no NO_COLOR and no TERM=dumb. */
bool text_line_wants_color(FILE *stream);

#endif /* lib/text_line.h */
