/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_args - what follows a command: a filter and options. */
#include <config.h>
#include "apps/ndb_args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/text_number.h"
#include "lib/time_spec.h"
#include "phf/phf.h"

#define MAX_TIMEOUT_S 1000000

static void
skip_blanks(const char **s)
{
    *s += strspn(*s, " \t");
}

/* Whether the word "if" stands at 's', before a filter. */
static bool
is_if(const char *s)
{
    return !strncmp(s, "if", 2) && strchr(" \t{^([.", s[2]);
}

/* The length of the filter that begins at 's': up to the end or to a word that
 * begins with "--", or is "if", outside of braces. */
static size_t
phf_length(const char *s)
{
    bool in_braces = false;
    size_t i;

    for (i = 0; s[i]; i++) {
        if (!strncmp(s + i, in_braces ? "}}" : "{{", 2)) {
            in_braces = !in_braces;
            i++;
        } else if (in_braces && (s[i] == '"' || s[i] == '\'')) {
            const char *end = strchr(s + i + 1, s[i]);

            i = end ? (size_t) (end - s) : i;
        } else if (!in_braces && i && strchr(" \t", s[i - 1]) &&
                   (!strncmp(s + i, "--", 2) || is_if(s + i))) {
            break;
        }
    }
    while (i && strchr(" \t", s[i - 1])) {
        i--;
    }
    return i;
}

static char *
copy_bytes(const char *s, size_t len)
{
    char *copy = lh_alloc_zero(len + 1);

    memcpy(copy, s, len);
    return copy;
}

/* A filter never begins with a quote, so quotes around all of it are the
 * shell's habit. */
static char *
copy_phf(const char *s, size_t len)
{
    bool is_quoted =
        len >= 2 && (s[0] == '\'' || s[0] == '"') && s[len - 1] == s[0];

    return copy_bytes(s + is_quoted, len - 2 * is_quoted);
}

/* The word or quoted text at '*s'; NULL when there is none. */
static char *
take_value(const char **s)
{
    const char *begin;
    size_t len;

    *s += **s == '=';
    skip_blanks(s);
    begin = *s;
    if (*begin == '"' || *begin == '\'') {
        len = strcspn(begin + 1, (char[]){*begin, '\0'});
        *s = begin + 1 + len + (begin[1 + len] != '\0');
        return copy_bytes(begin + 1, len);
    }
    len = strcspn(begin, " \t");
    *s += len;
    return len ? copy_bytes(begin, len) : NULL;
}

int
ndb_args_number(const char *text, const char *what, uint64_t min, uint64_t max,
                uint64_t *value, struct lh_error *error)
{
    if (!text_number(text, 10, min, max, value)) {
        lh_error_set(error, "%s is a number from %llu to %llu, not \"%s\"",
                     what, (unsigned long long) min, (unsigned long long) max,
                     text);
        return EINVAL;
    }
    return 0;
}

int
ndb_args_time(const char *what, const char *text, uint64_t *ns,
              struct lh_error *error)
{
    int retval = time_spec_parse(text, time_spec_now(), ns, error);

    if (retval) {
        lh_error_prefix(error, "%s", what);
        if (error) {
            error->pos = -1;
        }
    }
    return retval;
}

/* "--last 5": the newest five; "--last 10m": from then on. */
static int
set_last(struct ndb_args *args, const char *value, struct lh_error *error)
{
    char *before;
    int retval;

    if (text_number(value, 10, 1, NDB_ARGS_MAX_LIMIT, &args->limit)) {
        args->is_last = true;
        return 0;
    }
    before = lh_asprintf("-%s", value);
    retval = time_spec_parse(before, time_spec_now(), &args->since_ns, NULL);
    free(before);
    if (retval) {
        lh_error_set(error,
                     "--last is a number from 1 to %d or a span of time (10m, "
                     "1h30m), not \"%s\"",
                     NDB_ARGS_MAX_LIMIT, value);
    }
    return retval;
}

/* Sets option 'name', one of those in 'allowed', to 'value'. */
static int
set_option(struct ndb_args *args, const char *name, const char *value,
           struct lh_error *error)
{
    if (!strcmp(name, "--since")) {
        return ndb_args_time(name, value, &args->since_ns, error);
    } else if (!strcmp(name, "--until")) {
        return ndb_args_time(name, value, &args->until_ns, error);
    } else if (!strcmp(name, "--last")) {
        return set_last(args, value, error);
    } else if (!strcmp(name, "--limit")) {
        return ndb_args_number(value, name, 1, NDB_ARGS_MAX_LIMIT,
                               &args->limit, error);
    }
    return ndb_args_number(value, name, 1, MAX_TIMEOUT_S, &args->timeout_s,
                           error);
}

/* Whether the word 'name' stands in the words of 'allowed'. */
static bool
is_allowed(const char *name, const char *allowed)
{
    const char *found = strstr(allowed, name);
    size_t len = strlen(name);

    return found && strchr(" ", found[len]);
}

/* Reads the option at '*s'. */
static int
parse_option(const char **s, const char *allowed, struct ndb_args *args,
             struct lh_error *error)
{
    size_t len = strcspn(*s, " \t=");
    char *name = copy_bytes(*s, len);
    char *value = NULL;
    int retval = EINVAL;

    if (!is_allowed(name, allowed)) {
        lh_error_set(error,
                     "no option %s here (%s%s); terms of a filter stand in "
                     "double braces: {{--dpid 1}}",
                     name, *allowed ? "there is " : "there is none", allowed);
    } else if (!strcmp(name, "--oldest")) {
        *s += len;
        args->is_asc = true;
        retval = 0;
    } else {
        *s += len;
        value = take_value(s);
        if (value) {
            retval = set_option(args, name, value, error);
        } else {
            lh_error_set(error, "option %s needs a value", name);
        }
    }
    free(name);
    free(value);
    return retval;
}

/* Reads the filter behind "if". */
static int
parse_condition(const char **s, struct ndb_args *args, struct lh_error *error)
{
    size_t len;

    *s += 2;
    skip_blanks(s);
    len = phf_length(*s);
    if (!len) {
        lh_error_set(error, "a filter has to follow \"if\"");
        return EINVAL;
    }
    free(args->condition);
    args->condition = copy_phf(*s, len);
    *s += len;
    return 0;
}

int
ndb_args_parse(const char *text, const char *allowed, struct ndb_args *args,
               struct lh_error *error)
{
    const char *s = text;
    int retval = 0;

    for (skip_blanks(&s); *s && !retval; skip_blanks(&s)) {
        if (!strncmp(s, "--", 2)) {
            retval = parse_option(&s, allowed, args, error);
        } else if (is_if(s) && is_allowed("if", allowed)) {
            retval = parse_condition(&s, args, error);
        } else if (args->phf) {
            lh_error_set(error, "\"%s\" is too much here", s);
            retval = EINVAL;
        } else {
            size_t len = phf_length(s);

            args->phf = copy_phf(s, len);
            s += len;
        }
    }
    return retval;
}

bool
ndb_args_check_phf(struct ndb *ndb, const char *text)
{
    struct topology *topology = NULL;
    struct lh_error error;
    struct phf *phf;
    int retval;

    app_source_topology(ndb->source, UINT64_MAX, &topology, NULL);
    retval = phf_compile(text, topology, &phf, &error);
    if (retval) {
        ndb_fail(ndb, &error, text);
    }
    phf_destroy(phf);
    topology_unref(topology);
    return !retval;
}
