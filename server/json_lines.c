/* SPDX-License-Identifier: Apache-2.0 */
/* json_lines - histories as lines of JSON, for --json. */
#include <config.h>

#include "server/json_lines.h"

#include <errno.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/say.h"

struct json_lines {
    FILE *stream;
    atomic_bool is_ok;
};

struct json_lines *
json_lines_create(FILE *stream)
{
    struct json_lines *lines = lh_alloc_zero(sizeof *lines);

    lines->stream = stream;
    atomic_init(&lines->is_ok, true);
    return lines;
}

void
json_lines_destroy(struct json_lines *lines)
{
    free(lines);
}

/* Nobody reads the output any more: the rest goes on without. */
static void
fail(struct json_lines *lines, int error)
{
    if (atomic_exchange(&lines->is_ok, false)) {
        say_error("standard output: cannot write: %s", strerror(error));
    }
}

void
json_lines_write(struct json_lines *lines, const struct history *h,
                 const struct topology *topology)
{
    json_t *json;

    if (!atomic_load(&lines->is_ok)) {
        return;
    }
    json = history_to_json(h, topology);
    flockfile(lines->stream);
    if (json_dumpf(json, lines->stream, JSON_COMPACT) ||
        fputc('\n', lines->stream) == EOF) {
        fail(lines, errno);
    }
    funlockfile(lines->stream);
    json_decref(json);
}

void
json_lines_flush(struct json_lines *lines)
{
    if (atomic_load(&lines->is_ok) && fflush(lines->stream)) {
        fail(lines, errno);
    }
}

bool
json_lines_is_ok(const struct json_lines *lines)
{
    return atomic_load(&lines->is_ok);
}
