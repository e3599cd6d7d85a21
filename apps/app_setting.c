/* SPDX-License-Identifier: Apache-2.0 */
/* app_setting - options from configuration files and the environment. */
#include <config.h>
#include "apps/app_setting.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/line_reader.h"
#include "lib/nearest.h"

#define SYSTEM_FILE "/etc/lasthop/client.conf"

/* Values read from files, to which options point. */
static char **values; /* Owned, each too. */
static size_t n_values, allocated_values;

static const char *
keep(const char *value)
{
    values =
        lh_alloc_grow(values, n_values, &allocated_values, sizeof *values);
    values[n_values] = lh_strdup(value);
    return values[n_values++];
}

void
app_setting_forget(void)
{
    while (n_values) {
        free(values[--n_values]);
    }
    free(values);
    values = NULL;
    allocated_values = 0;
}

char *
app_setting_variable(const char *name)
{
    char *variable = lh_asprintf("LASTHOP_%s", name);

    for (char *c = variable; *c; c++) {
        *c = *c == '-' ? '_' : (char) toupper((unsigned char) *c);
    }
    return variable;
}

/* --- files --------------------------------------------------------------- */

/* Cuts blanks off both ends of 'text'. */
static char *
trim(char *text)
{
    size_t len;

    text += strspn(text, " \t\r");
    for (len = strlen(text); len && strchr(" \t\r", text[len - 1]);) {
        text[--len] = '\0';
    }
    return text;
}

static void
explain_unknown(const struct app_option *const *tables, const char *name,
                struct lh_error *error)
{
    struct nearest nearest = nearest_init(name);
    size_t n = app_option_count(tables);

    for (size_t i = 0; i < n; i++) {
        const struct app_option *o = app_option_at(tables, i);

        nearest_try(&nearest, o->is_setting ? o->name : NULL);
    }
    lh_error_set(error, "there is no setting \"%s\"%s%s%s", name,
                 nearest_name(&nearest) ? "; is \"" : "",
                 nearest_name(&nearest) ? nearest_name(&nearest) : "",
                 nearest_name(&nearest) ? "\" meant?" : "");
}

static int
take_line(const struct app_option *const *tables, char *line,
          struct lh_error *error)
{
    char *equals, *name = trim(line);
    const struct app_option *option;
    int retval;

    if (!*name || *name == '#') {
        return 0;
    }
    equals = strchr(name, '=');
    if (!equals) {
        lh_error_set(error, "must be \"name = value\"");
        return EINVAL;
    }
    *equals = '\0';
    name = trim(name);
    option = app_option_find(tables, name, strlen(name));
    if (!option || !option->is_setting) {
        explain_unknown(tables, name, error);
        return EINVAL;
    }
    retval = app_option_set(option, keep(trim(equals + 1)), error);
    if (retval) {
        lh_error_prefix(error, "%s", name);
    }
    return retval;
}

/* 'warning' takes why it cannot be opened; NULL: that is an error. */
static int
read_file(const struct app_option *const *tables, const char *path,
          struct lh_error *warning, struct lh_error *error)
{
    struct line_reader lines = {.stream = fopen(path, "r")};
    int retval;

    if (!lines.stream) {
        retval = errno;
        if (warning) {
            if (retval != ENOENT && retval != ENOTDIR) {
                lh_error_set(warning, "%s: %s; its settings are not used",
                             path, strerror(retval));
            }
            return 0;
        }
        lh_error_set(error, "%s: %s", path, strerror(retval));
        return retval;
    }
    while (!(retval = line_reader_next(&lines, error))) {
        retval = take_line(tables, lines.text, error);
        if (retval) {
            break;
        }
    }
    if (retval == ENODATA) {
        retval = 0;
    } else {
        lh_error_prefix(error, "%s:%zu", path, lines.n);
        if (error) {
            error->pos = -1;
        }
    }
    line_reader_uninit(&lines);
    fclose(lines.stream);
    return retval;
}

/* The user's file, for free(), or NULL. */
static char *
user_path(void)
{
    const char *dir = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

    return dir && *dir     ? lh_asprintf("%s/lasthop/config", dir)
           : home && *home ? lh_asprintf("%s/.config/lasthop/config", home)
                           : NULL;
}

static int
read_files(const struct app_option *const *tables, struct lh_error *warning,
           struct lh_error *error)
{
    const char *only = getenv("LASTHOP_CONFIG");
    char *path;
    int retval;

    if (only) {
        return *only ? read_file(tables, only, NULL, error) : 0;
    }
    retval = read_file(tables, SYSTEM_FILE, warning, error);
    path = user_path();
    if (!retval && path) {
        retval = read_file(tables, path, warning, error);
    }
    free(path);
    return retval;
}

/* --- the environment ----------------------------------------------------- */

static int
take_variable(const struct app_option *option, struct lh_error *error)
{
    char *variable = app_setting_variable(option->name);
    const char *value = getenv(variable);
    int retval = 0;

    if (value && *value) {
        retval = app_option_set(option, value, error);
        if (retval) {
            lh_error_prefix(error, "%s", variable);
            if (error) {
                error->pos = -1;
            }
        }
    }
    free(variable);
    return retval;
}

int
app_setting_apply(const struct app_option *const *tables,
                  struct lh_error *warning, struct lh_error *error)
{
    size_t n = app_option_count(tables);
    int retval;

    lh_error_set(warning, "%s", "");
    retval = read_files(tables, warning, error);

    for (size_t i = 0; i < n && !retval; i++) {
        const struct app_option *option = app_option_at(tables, i);

        if (option->is_setting) {
            retval = take_variable(option, error);
        }
    }
    return retval;
}
