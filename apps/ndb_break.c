/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_break - breakpoints: standing filters that stop `continue`. */
#include <config.h>
#include "apps/ndb_break.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "apps/app_gap.h"
#include "apps/ndb_args.h"
#include "apps/ndb_print.h"
#include "lib/lh_alloc.h"
#include "lib/time_spec.h"

/* --- the list ------------------------------------------------------------ */

static void
clear_commands(struct ndb_break *b)
{
    for (size_t i = 0; i < b->n_commands; i++) {
        free(b->commands[i]);
    }
    b->n_commands = 0;
}

static void
uninit(struct ndb_break *b)
{
    clear_commands(b);
    free(b->commands);
    free(b->phf);
    phf_destroy(b->condition);
}

void
ndb_break_uninit(struct ndb_breaks *breaks)
{
    for (size_t i = 0; i < breaks->n; i++) {
        uninit(&breaks->breaks[i]);
    }
    free(breaks->breaks);
    while (breaks->next_stored < breaks->n_stored) {
        history_destroy(breaks->stored[breaks->next_stored++].history);
    }
    free(breaks->stored);
    app_gap_destroy(breaks->gap);
}

struct ndb_break *
ndb_break_find(struct ndb_breaks *breaks, unsigned int number)
{
    for (size_t i = 0; i < breaks->n; i++) {
        if (breaks->breaks[i].number == number) {
            return &breaks->breaks[i];
        }
    }
    return NULL;
}

struct ndb_break *
ndb_break_find_id(struct ndb_breaks *breaks, uint64_t id)
{
    for (size_t i = 0; i < breaks->n; i++) {
        if (breaks->breaks[i].is_enabled && breaks->breaks[i].id == id) {
            return &breaks->breaks[i];
        }
    }
    return NULL;
}

size_t
ndb_break_n_enabled(const struct ndb_breaks *breaks)
{
    size_t n = 0;

    for (size_t i = 0; i < breaks->n; i++) {
        n += breaks->breaks[i].is_enabled;
    }
    return n;
}

static int
enable(struct ndb *ndb, struct ndb_break *b, struct lh_error *error)
{
    int retval = b->is_enabled
                     ? 0
                     : app_source_watch(ndb->source, b->phf, &b->id, error);

    if (!b->is_enabled && !retval) {
        b->is_enabled = true;
        b->since_ns = time_spec_now();
    }
    return retval;
}

static int
disable(struct ndb *ndb, struct ndb_break *b, struct lh_error *error)
{
    int retval =
        b->is_enabled ? app_source_unwatch(ndb->source, b->id, error) : 0;

    b->is_enabled &= retval != 0;
    return retval;
}

int
ndb_break_delete(struct ndb *ndb, struct ndb_break *b, struct lh_error *error)
{
    struct ndb_breaks *breaks = &ndb->breaks;
    size_t i = (size_t) (b - breaks->breaks);
    int retval = disable(ndb, b, error);

    if (!retval) {
        uninit(b);
        memmove(b, b + 1, (--breaks->n - i) * sizeof *b);
    }
    return retval;
}

bool
ndb_break_hit(const struct ndb *ndb, struct ndb_break *b,
              const struct history *history)
{
    /* When the condition cannot be told, somebody should look. */
    if (b->condition &&
        phf_match(b->condition, history, ndb->topology) == PHF_MISS) {
        return false;
    }
    b->n_hits++;
    if (b->n_ignored) {
        b->n_ignored--;
        return false;
    }
    return true;
}

/* --- arguments ----------------------------------------------------------- */

/* The breakpoint that the word at '*s' is the number of; else NULL, with a
 * reason. */
static struct ndb_break *
take_break(struct ndb *ndb, const char **s, struct lh_error *error)
{
    size_t len = strcspn(*s, " \t");
    char word[40];
    uint64_t number;
    struct ndb_break *b;

    snprintf(word, sizeof word, "%.*s", (int) len, *s);
    if (!len) {
        lh_error_set(error, "which breakpoint? Give its number; \"info "
                            "breakpoints\" lists them");
        return NULL;
    }
    if (ndb_args_number(word, "a breakpoint", 1, UINT32_MAX, &number, error)) {
        return NULL;
    }
    b = ndb_break_find(&ndb->breaks, (unsigned int) number);
    if (!b) {
        lh_error_set(
            error, "no breakpoint %s; \"info breakpoints\" lists them", word);
    }
    *s += len;
    *s += strspn(*s, " \t");
    return b;
}

/* Does 'act' to all breakpoints whose numbers are in 'args', or to all. */
static enum ndb_status
for_each(struct ndb *ndb, const char *args,
         int (*act)(struct ndb *, struct ndb_break *, struct lh_error *))
{
    struct ndb_breaks *breaks = &ndb->breaks;
    struct lh_error error;

    if (!*args) {
        /* From the end, because one may go. */
        for (size_t i = breaks->n; i-- > 0;) {
            if (act(ndb, &breaks->breaks[i], &error)) {
                return ndb_fail(ndb, &error, NULL);
            }
        }
    }
    while (*args) {
        struct ndb_break *b = take_break(ndb, &args, &error);

        if (!b || act(ndb, b, &error)) {
            return ndb_fail(ndb, &error, NULL);
        }
    }
    return NDB_OK;
}

/* Compiles a condition; NULL when it is none, which is said. */
static struct phf *
compile(struct ndb *ndb, const char *text)
{
    struct lh_error error;
    struct phf *phf;

    if (!ndb_args_check_phf(ndb, text)) {
        return NULL;
    }
    if (phf_compile(text, NULL, &phf, &error)) {
        ndb_fail(ndb, &error, text);
    }
    return phf;
}

/* --- break --------------------------------------------------------------- */

static json_t *
to_json(const struct ndb_break *b)
{
    json_t *json = json_pack("{s:I, s:s, s:b, s:b}", "breakpoint",
                             (json_int_t) b->number, "phf", b->phf, "enabled",
                             b->is_enabled, "temporary", b->is_temporary);

    if (b->condition) {
        json_object_set_new(json, "condition",
                            json_string(phf_text(b->condition)));
    }
    return json;
}

static enum ndb_status
add(struct ndb *ndb, const char *phf, struct phf *condition, bool is_temporary)
{
    struct ndb_breaks *breaks = &ndb->breaks;
    struct ndb_break b = {.number = breaks->last_number + 1,
                          .is_temporary = is_temporary,
                          .phf = lh_strdup(phf),
                          .condition = condition};
    struct lh_error error;

    if (enable(ndb, &b, &error)) {
        uninit(&b);
        return ndb_fail(ndb, &error, phf);
    }
    breaks->last_number++;
    breaks->breaks =
        lh_alloc_grow(breaks->breaks, breaks->n, &breaks->allocated, sizeof b);
    breaks->breaks[breaks->n++] = b;
    if (ndb->app->is_json) {
        ndb_print_json(ndb, to_json(&b));
    } else {
        fprintf(ndb->out, "%s %u: %s%s%s\n",
                is_temporary ? "Temporary breakpoint" : "Breakpoint", b.number,
                b.phf, condition ? " if " : "",
                condition ? phf_text(condition) : "");
    }
    return NDB_OK;
}

static enum ndb_status
set(struct ndb *ndb, const char *text, bool is_temporary)
{
    struct ndb_args args = {.phf = NULL};
    enum ndb_status status = NDB_ERROR;
    struct phf *condition = NULL;
    struct lh_error error;

    if (ndb_args_parse(text, "if", &args, &error)) {
        ndb_fail(ndb, &error, NULL);
    } else if (!args.phf) {
        lh_error_set(&error, "break where? Give a filter");
        ndb_fail(ndb, &error, NULL);
    } else if (ndb_args_check_phf(ndb, args.phf) &&
               (!args.condition ||
                (condition = compile(ndb, args.condition)))) {
        status = add(ndb, args.phf, condition, is_temporary);
    }
    free(args.phf);
    free(args.condition);
    return status;
}

enum ndb_status
ndb_break_set(struct ndb *ndb, const char *args)
{
    return set(ndb, args, false);
}

enum ndb_status
ndb_break_set_temporary(struct ndb *ndb, const char *args)
{
    return set(ndb, args, true);
}

enum ndb_status
ndb_break_remove(struct ndb *ndb, const char *args)
{
    return for_each(ndb, args, ndb_break_delete);
}

enum ndb_status
ndb_break_enable(struct ndb *ndb, const char *args)
{
    return for_each(ndb, args, enable);
}

enum ndb_status
ndb_break_disable(struct ndb *ndb, const char *args)
{
    return for_each(ndb, args, disable);
}

/* --- what a breakpoint asks and does ------------------------------------- */

enum ndb_status
ndb_break_condition(struct ndb *ndb, const char *args)
{
    struct phf *condition = NULL;
    struct lh_error error;
    struct ndb_break *b = take_break(ndb, &args, &error);

    if (!b) {
        return ndb_fail(ndb, &error, NULL);
    }
    if (*args) {
        condition = compile(ndb, args);
        if (!condition) {
            return NDB_ERROR;
        }
    } else if (!ndb->app->is_json) {
        fprintf(ndb->out, "Breakpoint %u has no condition now.\n", b->number);
    }
    phf_destroy(b->condition);
    b->condition = condition;
    return NDB_OK;
}

enum ndb_status
ndb_break_ignore(struct ndb *ndb, const char *args)
{
    struct lh_error error;
    struct ndb_break *b = take_break(ndb, &args, &error);
    uint64_t n;

    if (!b || ndb_args_number(args, "how many matches to ignore", 0,
                              UINT32_MAX, &n, &error)) {
        return ndb_fail(ndb, &error, NULL);
    }
    b->n_ignored = n;
    if (!ndb->app->is_json) {
        fprintf(ndb->out,
                n ? "Breakpoint %u passes over its next %" PRIu64 " match%s.\n"
                  : "Breakpoint %u stops at its next match.\n",
                b->number, n, n == 1 ? "" : "es");
    }
    return NDB_OK;
}

enum ndb_status
ndb_break_commands(struct ndb *ndb, const char *args)
{
    struct ndb_breaks *breaks = &ndb->breaks;
    struct ndb_break *b = NULL;
    struct lh_error error;

    if (breaks->is_running_commands) {
        lh_error_set(&error, "commands of a breakpoint cannot set others");
    } else if (*args) {
        b = take_break(ndb, &args, &error);
    } else {
        b = ndb_break_find(breaks, breaks->last_number);
        lh_error_set(&error, "no breakpoint has been set just now; give a "
                             "number: commands N");
    }
    if (!b) {
        return ndb_fail(ndb, &error, NULL);
    }
    clear_commands(b);
    breaks->defining = b->number;
    if (ndb->is_interactive) {
        fprintf(ndb->out,
                "Commands to run when breakpoint %u stops, one a line.\n"
                "A line with \"end\" ends them.\n",
                b->number);
    }
    return NDB_OK;
}

void
ndb_break_take_line(struct ndb *ndb, const char *line)
{
    struct ndb_break *b = ndb_break_find(&ndb->breaks, ndb->breaks.defining);
    size_t len;
    char *copy;

    line += strspn(line, " \t\r\n");
    copy = lh_strdup(line);
    for (len = strlen(copy); len && strchr(" \t\r\n", copy[len - 1]);) {
        copy[--len] = '\0';
    }
    if (!strcmp(copy, "end")) {
        ndb->breaks.defining = 0;
    } else if (b && *copy && *copy != '#') {
        b->commands =
            lh_alloc_grow(b->commands, b->n_commands, &b->allocated_commands,
                          sizeof *b->commands);
        b->commands[b->n_commands++] = copy;
        copy = NULL;
    }
    free(copy);
}

/* --- info breakpoints ---------------------------------------------------- */

static void
info_json(struct ndb *ndb, const struct ndb_break *b)
{
    json_t *json = to_json(b), *commands = json_array();

    for (size_t i = 0; i < b->n_commands; i++) {
        json_array_append_new(commands, json_string(b->commands[i]));
    }
    json_object_set_new(json, "hits", json_integer((json_int_t) b->n_hits));
    json_object_set_new(json, "ignore",
                        json_integer((json_int_t) b->n_ignored));
    json_object_set_new(json, "commands", commands);
    ndb_print_json(ndb, json);
}

static void
info_text(struct ndb *ndb, const struct ndb_break *b)
{
    fprintf(ndb->out, "%-3u %-4s %-3s %-6" PRIu64 " %s\n", b->number,
            b->is_temporary ? "del" : "keep", b->is_enabled ? "y" : "n",
            b->n_hits, b->phf);
    if (b->condition) {
        fprintf(ndb->out, "        stop only if %s\n", phf_text(b->condition));
    }
    if (b->n_ignored) {
        fprintf(ndb->out, "        ignore next %" PRIu64 "\n", b->n_ignored);
    }
    for (size_t i = 0; i < b->n_commands; i++) {
        fprintf(ndb->out, "        %s\n", b->commands[i]);
    }
}

enum ndb_status
ndb_break_info(struct ndb *ndb, const char *args)
{
    const struct ndb_breaks *breaks = &ndb->breaks;

    if (!ndb->app->is_json) {
        fputs(breaks->n ? "Num Disp Enb Hits   Filter\n" : "no breakpoints\n",
              ndb->out);
    }
    for (size_t i = 0; i < breaks->n; i++) {
        if (ndb->app->is_json) {
            info_json(ndb, &breaks->breaks[i]);
        } else {
            info_text(ndb, &breaks->breaks[i]);
        }
    }
    return NDB_OK;
}
