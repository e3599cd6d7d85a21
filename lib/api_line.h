/* SPDX-License-Identifier: Apache-2.0 */
/* api_line - lines out of a stream of bytes, each looked at once.
 *
 * Threads: plain data, used with its buffer. */
#ifndef LIB_API_LINE_H
#define LIB_API_LINE_H 1

#include <stdbool.h>
#include <stddef.h>

struct evbuffer;

#define API_LINE_MAX_REQUEST ((size_t) 1 << 20)
#define API_LINE_MAX_ANSWER  ((size_t) 64 << 20)

struct api_line {
    size_t max_len;    /* Of a line, without its newline. */
    size_t n_searched; /* Bytes at the buffer's start without a newline. */
    bool is_skipping;  /* In the rest of a line that was too long. */
};

enum api_line_result {
    API_LINE_OK,
    API_LINE_PARTIAL, /* No whole line is there yet. */
    API_LINE_TOO_LONG /* Once for each line longer than 'max_len', as soon as
                       * that is known; the rest of it is skipped. */
};

/* Takes the next line out of 'buffer'.  For API_LINE_OK, '*text' is the line
 * without its newline, NUL-terminated, for free(), and '*len' its length
 * (which tells of NULs inside); otherwise they are NULL and 0. */
enum api_line_result api_line_next(struct api_line *, struct evbuffer *buffer,
                                   char **text, size_t *len);

#endif /* lib/api_line.h */
