/* SPDX-License-Identifier: Apache-2.0 */
/* api_line - lines out of a stream of bytes, each looked at once. */
#include <config.h>
#include "lib/api_line.h"

#include <event2/buffer.h>

#include "lib/lh_alloc.h"

/* The offset of the first newline in 'buffer', or -1. */
static ev_ssize_t
find_newline(struct api_line *line, struct evbuffer *buffer)
{
    struct evbuffer_ptr start;

    if (evbuffer_ptr_set(buffer, &start, line->n_searched, EVBUFFER_PTR_SET)) {
        return -1;
    }
    return evbuffer_search(buffer, "\n", 1, &start).pos;
}

enum api_line_result
api_line_next(struct api_line *line, struct evbuffer *buffer, char **text,
              size_t *len)
{
    *text = NULL;
    *len = 0;
    for (;;) {
        ev_ssize_t newline = find_newline(line, buffer);
        size_t n_there = evbuffer_get_length(buffer);
        size_t line_len = newline < 0 ? n_there : (size_t) newline;

        line->n_searched = newline < 0 ? n_there : 0;
        if (line->is_skipping || line_len > line->max_len) {
            bool is_first = !line->is_skipping;

            evbuffer_drain(buffer, newline < 0 ? n_there : line_len + 1);
            line->n_searched = 0;
            line->is_skipping = newline < 0;
            if (is_first) {
                return API_LINE_TOO_LONG;
            }
        } else if (newline >= 0) {
            *text = lh_alloc(line_len + 1);
            evbuffer_remove(buffer, *text, line_len);
            evbuffer_drain(buffer, 1);
            (*text)[line_len] = '\0';
            *len = line_len;
            return API_LINE_OK;
        }
        if (newline < 0) {
            return API_LINE_PARTIAL;
        }
    }
}
