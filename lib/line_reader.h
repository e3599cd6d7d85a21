/* SPDX-License-Identifier: Apache-2.0 */
/* line_reader - the lines of a text file, one at a time, none without bound.
 *
 *     struct line_reader lines = {.stream = stream};
 *
 *     while (!(retval = line_reader_next(&lines, &error))) {
 *         ..lines.text, lines.len, lines.n..
 *     }
 *     line_reader_uninit(&lines);
 *
 * Ownership: the stream stays its owner's.
 *
 * Threads: plain data. */
#ifndef LIB_LINE_READER_H
#define LIB_LINE_READER_H 1

#include <stddef.h>
#include <stdio.h>

#include "lib/lh_error.h"

/* Bytes of a line; what is longer is no text of ours. */
#define LINE_READER_MAX ((size_t) 64 << 20)

struct line_reader {
    FILE *stream;     /* Set by the user; the rest 0. */
    char *text;       /* The line without its newline, NUL-terminated.  Owned,
                       * good until the next call. */
    size_t len;       /* Of 'text', which may hold NULs. */
    size_t n;         /* The line's number, from 1. */
    size_t allocated; /* Bytes of 'text'. */
};

/* Reads the next line.  Returns 0; ENODATA at the end; EMSGSIZE, with 'n' set,
 * for a line of more than LINE_READER_MAX bytes; EILSEQ, with 'n' set, for one
 * that holds a NUL byte, which no text does; or the errno of a read that
 * failed.  The reason does not name the file or the line. */
int line_reader_next(struct line_reader *, struct lh_error *error);
void line_reader_uninit(struct line_reader *);

#endif /* lib/line_reader.h */
