/* SPDX-License-Identifier: Apache-2.0 */
/* line_reader - the lines of a text file, one at a time, none without bound.
 */
#include <config.h>

#include "lib/line_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

#define FIRST_SIZE 4096

static void
put(struct line_reader *lines, char c)
{
    if (lines->len == lines->allocated) {
        lines->allocated =
            lines->allocated ? lines->allocated * 2 : FIRST_SIZE;
        lines->text = lh_alloc_array(lines->text, lines->allocated, 1);
    }
    lines->text[lines->len++] = c;
}

int
line_reader_next(struct line_reader *lines, struct lh_error *error)
{
    int c;

    lines->len = 0;
    errno = 0;
    while ((c = getc_unlocked(lines->stream)) != EOF && c != '\n') {
        if (lines->len == LINE_READER_MAX) {
            lines->n++;
            lh_error_set(error, "a line of more than %zu MiB: no text file",
                         LINE_READER_MAX >> 20);
            return EMSGSIZE;
        }
        put(lines, (char) c);
    }
    if (c == EOF && ferror(lines->stream)) {
        int retval = errno ? errno : EIO;

        lh_error_set(error, "%s", strerror(retval));
        return retval;
    }
    if (c == EOF && !lines->len) {
        return ENODATA;
    }
    lines->n++;
    put(lines, '\0');
    lines->len--;
    if (memchr(lines->text, '\0', lines->len)) {
        lh_error_set(error, "a byte 0 in the line: no text file");
        return EILSEQ;
    }
    return 0;
}

void
line_reader_uninit(struct line_reader *lines)
{
    free(lines->text);
    lines->text = NULL;
}
