/* SPDX-License-Identifier: Apache-2.0 */
/* app_option - the options of a program, declared once in tables. */
#include <config.h>
#include "apps/app_option.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/nearest.h"
#include "lib/text_number.h"
#include "lib/time_spec.h"

/* What getopt_long() returns for entry 0. */
#define FIRST_CODE 256

bool
app_option_is_end(const struct app_option *option)
{
    return !option->name && !option->help;
}

size_t
app_option_count(const struct app_option *const *tables)
{
    size_t n = 0;

    for (; *tables; tables++) {
        for (const struct app_option *o = *tables; !app_option_is_end(o);
             o++) {
            n++;
        }
    }
    return n;
}

const struct app_option *
app_option_at(const struct app_option *const *tables, size_t i)
{
    for (; *tables; tables++) {
        for (const struct app_option *o = *tables; !app_option_is_end(o);
             o++) {
            if (!i--) {
                return o;
            }
        }
    }
    return NULL;
}

const struct app_option *
app_option_find(const struct app_option *const *tables, const char *name,
                size_t len)
{
    for (; *tables; tables++) {
        for (const struct app_option *o = *tables; !app_option_is_end(o);
             o++) {
            if (o->name && strlen(o->name) == len &&
                !memcmp(o->name, name, len)) {
                return o;
            }
        }
    }
    return NULL;
}

bool
app_option_takes_file(const struct app_option *option)
{
    return option->type == APP_FILE ||
           (option->type == APP_CALL && option->value &&
            !strcmp(option->value, "FILE"));
}

bool
app_option_takes_dir(const struct app_option *option)
{
    return option->type == APP_DIR;
}

/* --- values -------------------------------------------------------------- */

static int
set_flag(bool *flag, const char *value, struct lh_error *error)
{
    bool is_yes = !value || !strcmp(value, "yes") || !strcmp(value, "true");

    if (!is_yes && strcmp(value, "no") != 0 && strcmp(value, "false") != 0) {
        lh_error_set(error, "must be yes or no, not \"%s\"", value);
        return EINVAL;
    }
    *flag = is_yes;
    return 0;
}

/* Whether 'value' is one of the words between '|' in 'choices'. */
static bool
is_choice(const char *choices, const char *value)
{
    size_t len = strlen(value);

    for (const char *s = choices; *s; s += *s == '|') {
        size_t word_len = strcspn(s, "|");

        if (word_len == len && !memcmp(s, value, len)) {
            return true;
        }
        s += word_len;
    }
    return false;
}

/* 'choices' as a person reads them: "auto, always or never". */
static char *
list_choices(const char *choices)
{
    char *text = lh_strdup("");

    for (const char *s = choices; *s; s += *s == '|') {
        size_t len = strcspn(s, "|");
        char *longer = lh_asprintf("%s%s%.*s", text,
                                   s == choices ? ""
                                   : s[len]     ? ", "
                                                : " or ",
                                   (int) len, s);

        free(text);
        text = longer;
        s += len;
    }
    return text;
}

static int
set_choice(const struct app_option *option, const char *value,
           struct lh_error *error)
{
    if (!is_choice(option->choices, value)) {
        char *list = list_choices(option->choices);

        lh_error_set(error, "must be %s, not \"%s\"", list, value);
        free(list);
        return EINVAL;
    }
    *(const char **) option->target = value;
    return 0;
}

static int
set_number(const struct app_option *option, const char *value,
           struct lh_error *error)
{
    if (!text_number(value, 10, option->min, option->max, option->target)) {
        lh_error_set(error,
                     "must be a whole number from %llu to %llu, not \"%s\"",
                     (unsigned long long) option->min,
                     (unsigned long long) option->max, value);
        return EINVAL;
    }
    return 0;
}

int
app_option_set(const struct app_option *option, const char *value,
               struct lh_error *error)
{
    if (option->type == APP_FLAG) {
        return set_flag(option->target, value, error);
    }
    if (option->type == APP_CALL) {
        return option->take(option->target, value, error);
    }
    assert(value);
    switch (option->type) {
    case APP_TEXT:
    case APP_FILE:
    case APP_DIR:
        *(const char **) option->target = value;
        return 0;
    case APP_CHOICE:
        return set_choice(option, value, error);
    case APP_NUMBER:
        return set_number(option, value, error);
    case APP_TIME:
        return time_spec_parse(value, time_spec_now(), option->target, error);
    case APP_FLAG:
    case APP_CALL:
        break;
    }
    return 0;
}

/* --- the command line ---------------------------------------------------- */

/* What getopt_long() wants to know of the tables. */
struct getopt_tables {
    struct option *longs; /* Owned. */
    char *letters;        /* Owned. */
};

static struct getopt_tables
make_getopt_tables(const struct app_option *const *tables)
{
    size_t n = app_option_count(tables), n_longs = 0, n_letters = 0;
    struct getopt_tables g = {
        .longs = lh_alloc_zero((n + 1) * sizeof *g.longs),
        .letters = lh_alloc_zero(2 * n + 3),
    };

    g.letters[n_letters++] = ':'; /* A value that is missing is ':'. */
    for (size_t i = 0; i < n; i++) {
        const struct app_option *o = app_option_at(tables, i);

        if (o->name) {
            g.longs[n_longs++] = (struct option){
                o->name, o->value ? required_argument : no_argument, NULL,
                FIRST_CODE + (int) i};
        }
        if (o->name && o->letter) {
            g.letters[n_letters++] = o->letter;
            if (o->value) {
                g.letters[n_letters++] = ':';
            }
        }
    }
    return g;
}

/* The index of the option with 'letter', or SIZE_MAX. */
static size_t
index_of_letter(const struct app_option *const *tables, int letter)
{
    size_t n = app_option_count(tables);

    for (size_t i = 0; i < n; i++) {
        if (letter && app_option_at(tables, i)->letter == letter) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* How many options begin with the 'len' bytes of 'name'. */
static size_t
count_beginnings(const struct app_option *const *tables, const char *name,
                 size_t len)
{
    size_t n = app_option_count(tables), n_found = 0;

    for (size_t i = 0; i < n; i++) {
        const char *candidate = app_option_at(tables, i)->name;

        n_found += candidate && !strncmp(candidate, name, len);
    }
    return n_found;
}

/* Says what is wrong with 'arg', a long option that getopt_long() refused. */
static void
explain_long(const struct app_option *const *tables, const char *arg,
             struct lh_error *error)
{
    size_t n = app_option_count(tables), len = strcspn(arg, "=");
    char *name = lh_asprintf("%.*s", (int) len - 2, arg + 2);
    struct nearest nearest = nearest_init(name);
    size_t n_beginnings = count_beginnings(tables, name, strlen(name));

    for (size_t i = 0; i < n; i++) {
        nearest_try(&nearest, app_option_at(tables, i)->name);
    }
    if (n_beginnings > 1) {
        lh_error_set(error, "--%s may be any of %zu options", name,
                     n_beginnings);
    } else if (n_beginnings) {
        lh_error_set(error, "option --%s takes no value", name);
    } else if (nearest_name(&nearest)) {
        lh_error_set(error, "there is no option --%s; is --%s meant?", name,
                     nearest_name(&nearest));
    } else {
        lh_error_set(error, "there is no option --%s", name);
    }
    free(name);
}

/* Says what is wrong with what getopt_long() returned 'code' for. */
static void
explain(const struct app_option *const *tables, int code, const char *arg,
        struct lh_error *error)
{
    if (code == ':') {
        size_t i = optopt >= FIRST_CODE ? (size_t) (optopt - FIRST_CODE)
                                        : index_of_letter(tables, optopt);
        const struct app_option *o = app_option_at(tables, i);

        lh_error_set(error, "option --%s needs a value: %s", o->name,
                     o->value);
    } else if (!strncmp(arg, "--", 2)) {
        explain_long(tables, arg, error);
    } else {
        lh_error_set(error, "there is no option -%c", optopt);
    }
}

int
app_option_parse(const struct app_option *const *tables, int argc,
                 char *argv[], int *first, bool *given, struct lh_error *error)
{
    struct getopt_tables g = make_getopt_tables(tables);
    int retval = 0, code;

    opterr = 0;
    optind = 1;
    while (!retval &&
           (code = getopt_long(argc, argv, g.letters, g.longs, NULL)) != -1) {
        size_t i = code >= FIRST_CODE ? (size_t) (code - FIRST_CODE)
                                      : index_of_letter(tables, code);
        const struct app_option *o =
            i == SIZE_MAX ? NULL : app_option_at(tables, i);

        if (!o) {
            explain(tables, code, argv[optind - 1], error);
            retval = EINVAL;
        } else if (app_option_set(o, o->value ? optarg : NULL, error)) {
            lh_error_prefix(error, "--%s", o->name);
            if (error) {
                error->pos = -1;
            }
            retval = EINVAL;
        } else if (given) {
            given[i] = true;
        }
    }
    *first = optind;
    free(g.longs);
    free(g.letters);
    return retval;
}

int
app_option_take_span(void *ns, const char *value, struct lh_error *error)
{
    char *before = lh_asprintf("-%s", value);
    uint64_t now_ns = time_spec_now(), then_ns;
    int retval = time_spec_parse(before, now_ns, &then_ns, NULL);

    free(before);
    if (retval || then_ns >= now_ns) {
        lh_error_set(error, "must be a span of time (30s, 10m), not \"%s\"",
                     value);
        return EINVAL;
    }
    *(uint64_t *) ns = now_ns - then_ns;
    return 0;
}
