/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_search - find in what is stored, break and continue on what is live. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/ndb_commands.h"
#include "apps/ndb_print.h"
#include "lib/lh_alloc.h"
#include "lib/text_number.h"
#include "lib/time_spec.h"
#include "phf/phf.h"

#define DEFAULT_LIMIT 20
#define MAX_LIMIT     100000
#define MAX_TIMEOUT_S 1000000

/* --- arguments ----------------------------------------------------------- */

/* What follows a command: options and a filter. */
struct search_args {
    char *phf; /* NULL: none.  Owned. */
    uint64_t since_ns, until_ns;
    uint64_t limit;
    uint64_t timeout_s; /* 0: none. */
    bool is_asc;
};

static void
skip_blanks(const char **s)
{
    *s += strspn(*s, " \t");
}

/* The length of the filter that begins at 's': up to the end or to a word that
 * begins with "--" outside of braces. */
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
                   !strncmp(s + i, "--", 2)) {
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

static int
parse_count(const char *text, const char *what, uint64_t max, uint64_t *value,
            struct lh_error *error)
{
    if (!text_number(text, 10, 1, max, value)) {
        lh_error_set(error, "%s is a number from 1 to %llu, not \"%s\"", what,
                     (unsigned long long) max, text);
        return EINVAL;
    }
    return 0;
}

static int
parse_time(const char *option, const char *text, uint64_t *ns,
           struct lh_error *error)
{
    int retval = time_spec_parse(text, time_spec_now(), ns, error);

    if (retval) {
        lh_error_prefix(error, "%s", option);
        if (error) {
            error->pos = -1;
        }
    }
    return retval;
}

/* Sets option 'name', one of those in 'allowed', to 'value'. */
static int
set_option(struct search_args *args, const char *name, const char *value,
           struct lh_error *error)
{
    if (!strcmp(name, "--since")) {
        return parse_time(name, value, &args->since_ns, error);
    } else if (!strcmp(name, "--until")) {
        return parse_time(name, value, &args->until_ns, error);
    } else if (!strcmp(name, "--limit")) {
        return parse_count(value, name, MAX_LIMIT, &args->limit, error);
    }
    return parse_count(value, name, MAX_TIMEOUT_S, &args->timeout_s, error);
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
parse_option(const char **s, const char *allowed, struct search_args *args,
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

/* Reads 'text', with options among 'allowed', into '*args', whose phf is to be
 * freed in any case. */
static int
parse_args(const char *text, const char *allowed, struct search_args *args,
           struct lh_error *error)
{
    const char *s = text;
    int retval = 0;

    for (skip_blanks(&s); *s && !retval; skip_blanks(&s)) {
        if (!strncmp(s, "--", 2)) {
            retval = parse_option(&s, allowed, args, error);
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

/* Compiles the filter here, for the place of an error and names that the
 * topology lacks.  True when it is one. */
static bool
check_phf(struct ndb *ndb, const char *text)
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

/* --- find ---------------------------------------------------------------- */

struct finding {
    struct ndb *ndb;
    bool shows_progress; /* At a terminal. */
    bool has_shown;
    uint64_t begin_ns;
};

static void
take_found(void *finding_, struct history *history)
{
    struct finding *finding = finding_;

    ndb_add_found(finding->ndb, history);
}

static void
show_progress(void *finding_, uint64_t n_read, uint64_t n_blocks)
{
    const uint64_t after_ns = UINT64_C(1000000000);
    struct finding *finding = finding_;

    if (finding->shows_progress &&
        time_spec_now() - finding->begin_ns > after_ns) {
        fprintf(stderr, "\rread %llu of %llu blocks, %zu found ",
                (unsigned long long) n_read, (unsigned long long) n_blocks,
                finding->ndb->n_found);
        fflush(stderr);
        finding->has_shown = true;
    }
}

/* Says what the list of what was found does not show. */
static void
print_notes(const struct ndb *ndb, const struct app_found *found,
            uint64_t limit)
{
    if (!ndb->n_found &&
        (!ndb->topology || !topology_n_switches(ndb->topology))) {
        fprintf(stderr,
                "%s: no topology is known, so names of switches and ports "
                "match nothing; numbers do\n",
                ndb->where);
    }
    if (found->is_truncated) {
        fprintf(stderr,
                "%s: more than %zu match; --limit N shows more, up to %d\n",
                ndb->where, ndb->n_found, MAX_LIMIT);
    }
    if (found->damaged) {
        fprintf(stderr,
                "%s: %llu damaged blocks could not be read, their histories "
                "are missing here; the first: %s\n",
                ndb->where, (unsigned long long) found->damaged,
                found->damage);
    }
    if (found->lost) {
        fprintf(stderr, "%s: %llu histories of that time were never stored\n",
                ndb->where, (unsigned long long) found->lost);
    }
}

static enum ndb_status
print_found(struct ndb *ndb)
{
    for (size_t i = 0; i < ndb->n_found; i++) {
        if (ndb->app->is_json) {
            ndb_print_json(ndb, history_to_json(ndb->found[i], ndb->topology));
        } else {
            ndb_print_summary(ndb, i);
        }
    }
    if (!ndb->n_found && !ndb->app->is_json) {
        fputs("nothing found\n", ndb->out);
    }
    return ndb->n_found ? NDB_OK : NDB_NOTHING;
}

static enum ndb_status
run_find(struct ndb *ndb, const struct search_args *args)
{
    struct finding finding = {
        .ndb = ndb,
        .shows_progress = isatty(STDERR_FILENO),
        .begin_ns = time_spec_now(),
    };
    struct app_find find = {
        .phf = args->phf,
        .since_ns = args->since_ns,
        .until_ns = args->until_ns,
        .limit = args->limit,
        .is_asc = args->is_asc,
        .give = take_found,
        .progress = show_progress,
        .aux = &finding,
    };
    struct app_found found;
    struct lh_error error;
    enum ndb_status status;
    int retval;

    ndb_clear_found(ndb);
    retval = app_source_find(ndb->source, &find, &found, &error);
    if (finding.has_shown) {
        fputs("\r\033[K", stderr);
    }
    if (retval && retval != EINTR) {
        return ndb_fail(ndb, &error, args->phf);
    }
    ndb_refresh_topology(ndb);
    status = print_found(ndb);
    fflush(ndb->out);
    print_notes(ndb, &found, args->limit);
    if (retval == EINTR) {
        fprintf(stderr, "%s: interrupted; there may be more\n", ndb->where);
        return NDB_INTERRUPTED;
    }
    return status;
}

/* Applies what `since` and `until` set. */
static int
parse_defaults(const struct ndb *ndb, struct search_args *args,
               struct lh_error *error)
{
    if (ndb->since &&
        parse_time("since", ndb->since, &args->since_ns, error)) {
        return EINVAL;
    }
    return ndb->until ? parse_time("until", ndb->until, &args->until_ns, error)
                      : 0;
}

enum ndb_status
ndb_search_find(struct ndb *ndb, const char *text)
{
    struct search_args args = {.limit = DEFAULT_LIMIT};
    enum ndb_status status = NDB_ERROR;
    struct lh_error error;

    if (parse_defaults(ndb, &args, &error) ||
        parse_args(text, "--since --until --limit --oldest", &args, &error)) {
        ndb_fail(ndb, &error, NULL);
    } else if (!args.phf) {
        lh_error_set(&error, "find what? Give a filter; \".*\" is every "
                             "history");
        ndb_fail(ndb, &error, NULL);
    } else if (check_phf(ndb, args.phf)) {
        status = run_find(ndb, &args);
    }
    free(args.phf);
    return status;
}

/* `since` and `until`: shows or sets the default '*value'. */
static enum ndb_status
set_default(struct ndb *ndb, const char *name, char **value, const char *text)
{
    struct lh_error error;
    uint64_t ns;

    if (*text && strcmp(text, "all") != 0 &&
        parse_time(name, text, &ns, &error)) {
        return ndb_fail(ndb, &error, NULL);
    }
    if (*text) {
        free(*value);
        *value = strcmp(text, "all") != 0 ? lh_strdup(text) : NULL;
    } else {
        fprintf(ndb->out, "%s %s\n", name, *value ? *value : "all");
    }
    return NDB_OK;
}

enum ndb_status
ndb_search_since(struct ndb *ndb, const char *text)
{
    return set_default(ndb, "since", &ndb->since, text);
}

enum ndb_status
ndb_search_until(struct ndb *ndb, const char *text)
{
    return set_default(ndb, "until", &ndb->until, text);
}

/* --- breakpoints --------------------------------------------------------- */

static enum ndb_status
add_breakpoint(struct ndb *ndb, const char *phf)
{
    struct ndb_breakpoint b = {.number = ndb->last_break + 1};
    struct lh_error error;

    if (app_source_watch(ndb->source, phf, &b.id, &error)) {
        return ndb_fail(ndb, &error, phf);
    }
    ndb->last_break++;
    b.phf = lh_strdup(phf);
    ndb->breaks = lh_alloc_grow(ndb->breaks, ndb->n_breaks,
                                &ndb->allocated_breaks, sizeof *ndb->breaks);
    ndb->breaks[ndb->n_breaks++] = b;
    if (ndb->app->is_json) {
        ndb_print_json(ndb, json_pack("{s:I, s:s}", "breakpoint",
                                      (json_int_t) b.number, "phf", b.phf));
    } else {
        fprintf(ndb->out, "Breakpoint %u: %s\n", b.number, b.phf);
    }
    return NDB_OK;
}

enum ndb_status
ndb_search_break(struct ndb *ndb, const char *text)
{
    struct search_args args = {.phf = NULL};
    enum ndb_status status = NDB_ERROR;
    struct lh_error error;

    if (parse_args(text, "", &args, &error)) {
        ndb_fail(ndb, &error, NULL);
    } else if (!args.phf) {
        lh_error_set(&error, "break where? Give a filter");
        ndb_fail(ndb, &error, NULL);
    } else if (check_phf(ndb, args.phf)) {
        status = add_breakpoint(ndb, args.phf);
    }
    free(args.phf);
    return status;
}

static enum ndb_status
delete_breakpoint(struct ndb *ndb, size_t i)
{
    struct lh_error error;

    if (app_source_unwatch(ndb->source, ndb->breaks[i].id, &error)) {
        return ndb_fail(ndb, &error, NULL);
    }
    free(ndb->breaks[i].phf);
    memmove(&ndb->breaks[i], &ndb->breaks[i + 1],
            (--ndb->n_breaks - i) * sizeof *ndb->breaks);
    return NDB_OK;
}

enum ndb_status
ndb_search_delete(struct ndb *ndb, const char *text)
{
    enum ndb_status status = NDB_OK;
    struct lh_error error;
    uint64_t number;

    if (!*text) {
        while (ndb->n_breaks && status == NDB_OK) {
            status = delete_breakpoint(ndb, ndb->n_breaks - 1);
        }
        return status;
    }
    if (parse_count(text, "a breakpoint", UINT32_MAX, &number, &error)) {
        return ndb_fail(ndb, &error, NULL);
    }
    for (size_t i = 0; i < ndb->n_breaks; i++) {
        if (ndb->breaks[i].number == number) {
            return delete_breakpoint(ndb, i);
        }
    }
    lh_error_set(&error, "no breakpoint %s; \"info breakpoints\" lists them",
                 text);
    return ndb_fail(ndb, &error, NULL);
}

/* --- continue ------------------------------------------------------------ */

static enum ndb_status
show_stop(struct ndb *ndb, struct app_stop *stop)
{
    const struct ndb_breakpoint *b = NULL;

    for (size_t i = 0; i < ndb->n_breaks; i++) {
        if (ndb->breaks[i].id == stop->id) {
            ndb->breaks[i].n_hits++;
            b = &ndb->breaks[i];
        }
    }
    ndb_clear_found(ndb);
    ndb_add_found(ndb, stop->history);
    ndb_refresh_topology(ndb);
    if (ndb->app->is_json) {
        ndb_print_json(
            ndb, json_pack("{s:I, s:o}", "breakpoint",
                           (json_int_t) (b ? b->number : 0), "history",
                           history_to_json(stop->history, ndb->topology)));
    } else {
        fprintf(ndb->out, "Breakpoint %u, %s\n", b ? b->number : 0,
                b ? b->phf : "");
        ndb_print_summary(ndb, 0);
    }
    return NDB_OK;
}

static enum ndb_status
wait_for_stop(struct ndb *ndb, uint64_t timeout_s)
{
    struct lh_error error;
    struct app_stop stop;
    int retval;

    fflush(ndb->out);
    if (isatty(STDERR_FILENO)) {
        fputs("waiting; Ctrl-C ends it\n", stderr);
    }
    retval = app_source_wait(
        ndb->source, timeout_s ? (int) timeout_s * 1000 : -1, &stop, &error);
    if (stop.n_missed) {
        fprintf(stderr, "%s: %llu matches came too fast and are not shown\n",
                ndb->where, (unsigned long long) stop.n_missed);
    }
    switch (retval) {
    case 0:
        return show_stop(ndb, &stop);
    case ETIMEDOUT:
        fprintf(stderr, "%s: no breakpoint matched in %llu s\n", ndb->where,
                (unsigned long long) timeout_s);
        return NDB_NOTHING;
    case EINTR:
        fprintf(stderr, "%s: interrupted\n", ndb->where);
        return NDB_INTERRUPTED;
    default:
        return ndb_fail(ndb, &error, NULL);
    }
}

enum ndb_status
ndb_search_continue(struct ndb *ndb, const char *text)
{
    struct search_args args = {.timeout_s = 0};
    enum ndb_status status = NDB_ERROR;
    struct lh_error error;

    if (parse_args(text, "--timeout", &args, &error)) {
        ndb_fail(ndb, &error, NULL);
    } else if (args.phf) {
        lh_error_set(&error, "continue takes no filter; break sets one");
        ndb_fail(ndb, &error, NULL);
    } else if (!ndb->n_breaks) {
        lh_error_set(&error, "no breakpoint to wait for; break sets one");
        ndb_fail(ndb, &error, NULL);
    } else {
        status = wait_for_stop(ndb, args.timeout_s);
    }
    free(args.phf);
    return status;
}
