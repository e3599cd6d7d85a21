/* SPDX-License-Identifier: Apache-2.0 */
/* invariant_file - a file of invariants, read. */
#include <config.h>
#include "apps/invariant_file.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/invariant_line.h"
#include "lib/lh_alloc.h"

static bool
is_utf8(const char *text, size_t len)
{
    json_t *json = json_stringn(text, len);

    json_decref(json);
    return json != NULL;
}

/* The first control character of a line but tabs and its end, or -1. */
static int
find_control(const char *text, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++) {
        bool is_end = text[i] == '\r' && i + 1 == end;

        if (((unsigned char) text[i] < ' ' && text[i] != '\t' && !is_end) ||
            text[i] == 0x7f) {
            return (int) i;
        }
    }
    return -1;
}

static int
take_line(struct invariant_file *file, size_t begin, size_t end,
          unsigned int line, const struct app_names *names,
          struct lh_error *error)
{
    int pos = find_control(file->text, begin, end);

    if (pos >= 0) {
        lh_error_set_at(error, pos, "a control character (0x%02x)",
                        (unsigned char) file->text[pos]);
        return EINVAL;
    }
    if (!is_utf8(file->text + begin, end - begin)) {
        lh_error_set_at(error, (int) begin, "this line is not UTF-8");
        return EINVAL;
    }
    return invariant_line_take(file, begin, end, line, names, error);
}

int
invariant_file_parse(const char *text, size_t len,
                     const struct app_names *names,
                     struct invariant_file **filep)
{
    struct invariant_file *file = lh_alloc_zero(sizeof *file);
    unsigned int line = 0;

    *filep = file;
    if (len > INVARIANT_FILE_MAX_BYTES) {
        file->text = lh_strdup("");
        lh_error_set_at(&file->errors[file->n_errors++], 0,
                        "the file has more than %u bytes",
                        INVARIANT_FILE_MAX_BYTES);
        return EINVAL;
    }
    file->text = lh_alloc(len + 1);
    memcpy(file->text, text, len);
    file->text[len] = '\0';
    /* Nothing is read behind a NUL, which is an error where it stands. */
    for (size_t begin = 0, end, text_len = strlen(file->text);
         begin < len && begin <= text_len &&
         file->n_errors < INVARIANT_FILE_MAX_ERRORS;
         begin = end + 1) {
        const char *newline = memchr(text + begin, '\n', len - begin);

        end = newline ? (size_t) (newline - text) : len;
        file->n_errors += take_line(file, begin, end, ++line, names,
                                    &file->errors[file->n_errors]) != 0;
    }
    if (!file->n_errors && !file->n) {
        lh_error_set_at(&file->errors[file->n_errors++], (int) len,
                        "nothing is to be watched: the file has no "
                        "invariant");
    }
    return file->n_errors ? EINVAL : 0;
}

int
invariant_file_read(const char *path, const struct app_names *names,
                    struct invariant_file **filep, struct lh_error *error)
{
    bool is_stdin = !strcmp(path, "-");
    FILE *stream = is_stdin ? stdin : fopen(path, "r");
    size_t size = INVARIANT_FILE_MAX_BYTES + 1, len;
    char *text;
    int retval;

    *filep = NULL;
    if (!stream) {
        retval = errno;
        lh_error_set(error, "%s: %s%s", path, strerror(retval),
                     retval == ENOENT ? " (netwatch init FILE makes one)"
                                      : "");
        return retval;
    }
    text = lh_alloc(size);
    errno = 0;
    len = fread(text, 1, size, stream);
    retval = ferror(stream) ? (errno ? errno : EIO) : 0;
    if (retval) {
        lh_error_set(error, "%s: %s", path, strerror(retval));
    } else {
        retval = invariant_file_parse(text, len, names, filep);
    }
    if (!is_stdin) {
        fclose(stream);
    }
    free(text);
    return retval;
}

void
invariant_file_destroy(struct invariant_file *file)
{
    if (!file) {
        return;
    }
    for (size_t i = 0; i < file->n; i++) {
        invariant_uninit(&file->invariants[i]);
    }
    for (size_t i = 0; i < file->n_groups; i++) {
        invariant_set_uninit(&file->groups[i].set);
        free(file->groups[i].name);
    }
    free(file->invariants);
    free(file->groups);
    free(file->text);
    free(file);
}

void
invariant_file_place(const struct invariant_file *file, int pos,
                     unsigned int *line, unsigned int *column)
{
    *line = *column = 1;
    for (int i = 0; i < pos && file->text[i]; i++) {
        *column += 1;
        if (file->text[i] == '\n') {
            *line += 1;
            *column = 1;
        }
    }
}
