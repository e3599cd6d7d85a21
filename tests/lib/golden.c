/* SPDX-License-Identifier: Apache-2.0 */
/* golden - what a program wrote, compared with what it is known to write. */
#include <config.h>
#include "tests/lib/golden.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

/* For free(). */
static char *
path_of(const char *name)
{
    const char *srcdir = getenv("srcdir");

    return lh_asprintf("%s/tests/lib/golden/%s", srcdir ? srcdir : ".", name);
}

/* All of the file at 'path', for free(). */
static char *
read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t size = 0;

    ck_assert_msg(file != NULL, "%s: cannot open", path);
    if (getdelim(&text, &size, '\0', file) < 0) {
        free(text);
        text = lh_strdup("");
    }
    fclose(file);
    return text;
}

void
golden_check(const char *name, const char *text)
{
    char *path = path_of(name);
    char *known;

    if (getenv("GOLDEN_UPDATE")) {
        FILE *file = fopen(path, "w");

        ck_assert_msg(file != NULL, "%s: cannot write", path);
        fputs(text, file);
        fclose(file);
    }
    known = read_file(path);
    ck_assert_msg(!strcmp(known, text), "%s holds:\n%s\nbut this came:\n%s",
                  path, known, text);
    free(known);
    free(path);
}

void
golden_check_json(const char *name, json_t *json)
{
    char *indented = json_dumps(json, JSON_INDENT(2));
    char *text = lh_asprintf("%s\n", indented);

    golden_check(name, text);
    free(text);
    free(indented);
    json_decref(json);
}

json_t *
golden_load_json(const char *name)
{
    char *path = path_of(name);
    json_error_t error;
    json_t *json = json_load_file(path, 0, &error);

    ck_assert_msg(json != NULL, "%s:%d: %s", path, error.line, error.text);
    free(path);
    return json;
}
