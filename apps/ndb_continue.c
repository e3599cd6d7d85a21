/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_continue - `continue`: waits for a breakpoint, and runs its commands. */
#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/app_follow.h"
#include "apps/app_gap.h"
#include "apps/app_interrupt.h"
#include "apps/ndb_args.h"
#include "apps/ndb_break.h"
#include "apps/ndb_print.h"
#include "lib/lh_alloc.h"
#include "lib/time_spec.h"

#define SECOND_NS UINT64_C(1000000000)

struct stop {
    struct ndb *ndb;
    unsigned int number;     /* Of the breakpoint. */
    struct history *history; /* NULL: not yet. */
};

/* Takes a match; false when it is one to stop at. */
static bool
take_match(void *stop_, uint64_t id, struct history *history)
{
    struct stop *stop = stop_;
    struct ndb_break *b = ndb_break_find_id(&stop->ndb->breaks, id);

    /* What came for a breakpoint that is gone by now is of no interest. */
    if (!b || !ndb_break_hit(stop->ndb, b, history)) {
        history_destroy(history);
        return true;
    }
    stop->number = b->number;
    stop->history = history;
    return false;
}

/* Takes what a server that was away had stored: all of it, to stop there one
 * after the other. */
static bool
take_stored(void *stop_, uint64_t id, struct history *history)
{
    struct stop *stop = stop_;
    struct ndb_breaks *breaks = &stop->ndb->breaks;

    breaks->stored =
        lh_alloc_grow(breaks->stored, breaks->n_stored,
                      &breaks->allocated_stored, sizeof *breaks->stored);
    breaks->stored[breaks->n_stored++] = (struct ndb_match){id, history};
    return false;
}

static int
compare_matches(const void *a_, const void *b_)
{
    const struct ndb_match *a = a_, *b = b_;
    uint64_t a_ns = history_first_ns(a->history);
    uint64_t b_ns = history_first_ns(b->history);

    return a_ns < b_ns ? -1 : a_ns > b_ns;
}

/* Whether one of those is one to stop at; those before it are done with. */
static bool
take_next_stored(struct stop *stop)
{
    struct ndb_breaks *breaks = &stop->ndb->breaks;

    while (!stop->history && breaks->next_stored < breaks->n_stored) {
        struct ndb_match *m = &breaks->stored[breaks->next_stored++];
        const struct ndb_break *b = ndb_break_find_id(breaks, m->id);

        if (b && history_first_ns(m->history) >= b->since_ns) {
            take_match(stop, m->id, m->history);
        } else {
            history_destroy(m->history);
        }
    }
    if (breaks->next_stored == breaks->n_stored) {
        breaks->n_stored = breaks->next_stored = 0;
    }
    return stop->history;
}

static bool
is_silent(const struct ndb_break *b)
{
    return b->n_commands && !strcmp(b->commands[0], "silent");
}

static void
show(struct ndb *ndb, const struct ndb_break *b)
{
    if (ndb->app->is_json) {
        ndb_print_json(
            ndb, json_pack("{s:I, s:o}", "breakpoint", (json_int_t) b->number,
                           "history",
                           history_to_json(ndb->found[0], ndb->topology)));
    } else {
        fprintf(ndb->out, "%s %u, %s\n",
                b->is_temporary ? "Temporary breakpoint" : "Breakpoint",
                b->number, b->phf);
        ndb_print_summary(ndb, 0);
    }
    fflush(ndb->out);
}

/* Runs 'commands', up to a `continue` among them. */
static enum ndb_status
run_commands(struct ndb *ndb, char *const *commands, size_t n)
{
    enum ndb_status status = NDB_OK;
    char where[sizeof ndb->where];

    strcpy(where, ndb->where);
    snprintf(ndb->where, sizeof ndb->where, "commands of breakpoint %u",
             ndb->breaks.last_stop);
    ndb->breaks.is_running_commands = true;
    for (size_t i = 0; i < n && status < NDB_ERROR && !ndb->wants_quit &&
                       !ndb->wants_continue;
         i++) {
        enum ndb_status one = ndb_run(ndb, commands[i]);

        status = one > status ? one : status;
    }
    ndb->breaks.is_running_commands = false;
    strcpy(ndb->where, where);
    return status;
}

/* Makes what was waited for current, shows it and does what its breakpoint
 * asks. */
static enum ndb_status
stop_at(struct ndb *ndb, const struct stop *stop)
{
    struct ndb_break *b = ndb_break_find(&ndb->breaks, stop->number);
    enum ndb_status status = NDB_OK;
    struct lh_error error;
    size_t n, is_quiet;
    char **commands;

    ndb->breaks.last_stop = stop->number;
    ndb_clear_found(ndb);
    ndb_add_found(ndb, stop->history);
    ndb_refresh_topology(ndb);
    is_quiet = is_silent(b);
    if (!is_quiet) {
        show(ndb, b);
    }
    /* Commands may delete the breakpoint that they are of. */
    n = b->n_commands - is_quiet;
    commands = lh_alloc_array(NULL, n + 1, sizeof *commands);
    for (size_t i = 0; i < n; i++) {
        commands[i] = lh_strdup(b->commands[i + is_quiet]);
    }
    if (b->is_temporary && ndb_break_delete(ndb, b, &error)) {
        status = ndb_fail(ndb, &error, NULL);
    }
    if (status == NDB_OK) {
        status = run_commands(ndb, commands, n);
    }
    for (size_t i = 0; i < n; i++) {
        free(commands[i]);
    }
    free(commands);
    return status;
}

/* Waits for one stop. */
static enum ndb_status
wait_for_stop(struct ndb *ndb, struct stop *stop, uint64_t timeout_s)
{
    struct app_follow follow = {
        .until_ns = timeout_s ? time_spec_now() + timeout_s * SECOND_NS : 0,
        .give = take_match,
        .give_stored = take_stored,
        .aux = stop,
    };
    struct lh_error error;
    int retval = 0;

    if (!ndb_break_n_enabled(&ndb->breaks)) {
        lh_error_set(&error, "no breakpoint to wait for; %s",
                     ndb->breaks.n ? "all are disabled" : "break sets one");
        return ndb_fail(ndb, &error, NULL);
    }
    fflush(ndb->out);
    if (isatty(STDERR_FILENO)) {
        fputs("waiting; Ctrl-C ends it\n", stderr);
    }
    ndb_refresh_topology(ndb);
    if (!ndb->breaks.gap) {
        ndb->breaks.gap = app_gap_create();
    }
    follow.gap = ndb->breaks.gap;
    while (!retval && !stop->history && !take_next_stored(stop)) {
        retval = app_follow_run(ndb->app, ndb->source, &follow, &error);
        if (!ndb->breaks.n_stored) {
            break;
        }
        qsort(ndb->breaks.stored, ndb->breaks.n_stored,
              sizeof *ndb->breaks.stored, compare_matches);
    }
    if (stop->history) {
        return NDB_OK;
    } else if (retval == EINTR) {
        fprintf(stderr, "%s: interrupted\n", ndb->where);
        return NDB_INTERRUPTED;
    } else if (retval) {
        return ndb_fail(ndb, &error, NULL);
    }
    fprintf(stderr, "%s: no breakpoint stopped in %" PRIu64 " s\n", ndb->where,
            timeout_s);
    return NDB_NOTHING;
}

/* Waits and stops, again and again while commands of breakpoints say so. */
static enum ndb_status
go_on(struct ndb *ndb, uint64_t timeout_s)
{
    enum ndb_status status = NDB_OK;

    do {
        struct stop stop = {.ndb = ndb};
        enum ndb_status one;

        ndb->wants_continue = false;
        one = wait_for_stop(ndb, &stop, timeout_s);
        if (stop.history) {
            one = stop_at(ndb, &stop);
        }
        status = one > status ? one : status;
        timeout_s = ndb->wants_continue ? ndb->continue_timeout_s : timeout_s;
    } while (ndb->wants_continue && !app_interrupt_came());
    ndb->wants_continue = false;
    return status;
}

/* `continue N`: passes over the next N - 1 matches of where it stopped. */
static bool
skip(struct ndb *ndb, const char *text)
{
    struct ndb_break *b = ndb_break_find(&ndb->breaks, ndb->breaks.last_stop);
    struct lh_error error;
    uint64_t n;

    if (!isdigit((unsigned char) *text)) {
        lh_error_set(&error, "continue takes no filter; break sets one");
    } else if (!b) {
        lh_error_set(&error, "continue N needs a breakpoint that it stopped "
                             "at; ignore sets a count too");
    } else if (!ndb_args_number(text, "how often to go on", 1, UINT32_MAX, &n,
                                &error)) {
        b->n_ignored = n - 1;
        return true;
    }
    ndb_fail(ndb, &error, NULL);
    return false;
}

enum ndb_status
ndb_continue(struct ndb *ndb, const char *text)
{
    struct ndb_args args = {.timeout_s = 0};
    enum ndb_status status = NDB_ERROR;
    struct lh_error error;

    if (ndb_args_parse(text, "--timeout", &args, &error)) {
        ndb_fail(ndb, &error, NULL);
    } else if (args.phf && !skip(ndb, args.phf)) {
        status = NDB_ERROR;
    } else if (ndb->breaks.is_running_commands) {
        ndb->wants_continue = true;
        ndb->continue_timeout_s = args.timeout_s;
        status = NDB_OK;
    } else {
        status = go_on(ndb, args.timeout_s);
    }
    free(args.phf);
    free(args.condition);
    return status;
}
