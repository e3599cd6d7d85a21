/* SPDX-License-Identifier: Apache-2.0 */
/* netwatch_live - watches packets as they come. */
#include <config.h>
#include "apps/netwatch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apps/app_follow.h"
#include "apps/app_interrupt.h"
#include "lib/lh_alloc.h"
#include "lib/time_spec.h"

#define MS_NS UINT64_C(1000000)

/* Matches a second that are looked at one by one, of each filter; more of
 * those that violate are counted, more of those that are well say nothing
 * new. */
#define VIOLATED_RATE 1000
#define REACHED_RATE  20

#define TICK_MS 100
/* How late a lost packet's history may come (docs/limits.md), and some. */
#define LATE_NS (UINT64_C(5000) * MS_NS)
/* Between two questions to the server how it is. */
#define HEALTH_NS (UINT64_C(5000) * MS_NS)

/* Which filter a live filter of the source is. */
struct watch {
    uint64_t id;
    size_t invariant, filter;
};

struct live {
    struct netwatch *nw;
    size_t n;
    struct watch *watches; /* Owned. */
    uint64_t ticked_ns, asked_ns;
    char *problem; /* The codes of the server's, said last, or NULL.  Owned. */
};

static const struct watch *
find(const struct live *live, uint64_t id)
{
    for (size_t i = 0; i < live->n; i++) {
        if (live->watches[i].id == id) {
            return &live->watches[i];
        }
    }
    return NULL;
}

static bool
take(void *live_, uint64_t id, struct history *h)
{
    struct live *live = live_;
    const struct watch *w = find(live, id);

    if (w) {
        alarm_board_take(live->nw->board, w->invariant, w->filter, h);
    }
    history_destroy(h);
    return !ferror(stdout);
}

static void
take_limited(void *live_, uint64_t id, uint64_t n)
{
    struct live *live = live_;
    const struct watch *w = find(live, id);

    if (w) {
        alarm_board_more(live->nw->board, w->invariant, w->filter, n,
                         time_spec_now());
    }
}

static void
take_missed(void *live_, uint64_t since_ns, uint64_t until_ns, const char *why)
{
    struct live *live = live_;
    char *text = lh_asprintf("%s%swhat happened meanwhile was not watched",
                             why ? why : "", why ? ": " : "");

    alarm_board_resume(live->nw->board, until_ns);
    netwatch_report_unseen(live->nw, since_ns, until_ns, text);
    free(text);
}

/* --- how the server is --------------------------------------------------- */

/* Puts 'more' behind '*text', which is NULL at first. */
static void
append(char **text, const char *first, const char *more)
{
    char *longer =
        lh_asprintf("%s%s%s", *text ? *text : first, *text ? "; " : "", more);

    free(*text);
    *text = longer;
}

/* The problems that 'answer' tells, in a line, and their codes; NULL where
 * there are none. */
static char *
problems_of(const json_t *answer, char **codes)
{
    const json_t *problem;
    char *all = NULL;
    size_t i;

    *codes = NULL;
    json_array_foreach(json_object_get(answer, "problems"), i, problem)
    {
        const char *message =
            json_string_value(json_object_get(problem, "message"));
        const char *code = json_string_value(json_object_get(problem, "code"));

        /* Those that keep packets from being watched. */
        if (message && code &&
            (!strcmp(code, "postcards-lost") ||
             !strcmp(code, "postcards-dropped") ||
             !strcmp(code, "memory-short") ||
             !strcmp(code, "source-failing"))) {
            append(&all, "the server: ", message);
            append(codes, "", code);
        }
    }
    return all;
}

/* Adds that agents leave packets out, if the server tells so. */
static void
add_sampling(struct live *live, char **text, char **codes)
{
    struct lh_error error;
    json_t *answer, *agent;
    double ratio, least = 1;
    char *more;
    size_t i;

    if (app_source_ask(live->nw->source, "status", json_object(), &answer,
                       &error)) {
        return; /* It knows of no agents. */
    }
    json_array_foreach(
        json_object_get(json_object_get(answer, "status"), "agents"), i, agent)
    {
        ratio = json_number_value(json_object_get(agent, "ratio"));
        least = ratio > 0 && ratio < least ? ratio : least;
    }
    json_decref(answer);
    if (least < 1) {
        more = lh_asprintf("agents keep 1 packet in %.3g to save time: the "
                           "others are not watched",
                           1 / least);
        append(text, "", more);
        append(codes, "", "sampled");
        free(more);
    }
}

static void
ask_health(struct live *live, uint64_t now_ns)
{
    struct lh_error error;
    json_t *answer;
    char *text = NULL, *problem = NULL;
    int retval = app_source_ask(live->nw->source, "health", json_object(),
                                &answer, &error);

    if (!retval) {
        text = problems_of(answer, &problem);
        add_sampling(live, &text, &problem);
        json_decref(answer);
    } else if (retval == ETIMEDOUT) {
        text = lh_asprintf("%s; nothing is watched", error.text);
        problem = lh_strdup("no answer");
    }
    if (problem && (!live->problem || strcmp(problem, live->problem))) {
        netwatch_report_unseen(live->nw, now_ns, now_ns, text);
    } else if (!problem && live->problem) {
        app_say(live->nw->app, "the server is well again");
    }
    free(live->problem);
    live->problem = problem;
    free(text);
}

static void
tick(void *live_)
{
    struct live *live = live_;
    struct netwatch *nw = live->nw;
    uint64_t now_ns = time_spec_now();

    if (now_ns >= live->ticked_ns &&
        now_ns - live->ticked_ns < TICK_MS * MS_NS / 2) {
        return;
    }
    live->ticked_ns = now_ns;
    if (nw->command) {
        alert_command_tick(nw->command);
    }
    if (app_source_is_connected(nw->source)) {
        alarm_board_tick(nw->board, now_ns, LATE_NS);
        if (now_ns - live->asked_ns >= HEALTH_NS) {
            live->asked_ns = now_ns;
            ask_health(live, now_ns);
        }
    }
}

/* --- the whole ----------------------------------------------------------- */

/* Sets all filters; APP_FOUND, or what is wrong is said. */
static int
set_watches(struct live *live)
{
    struct netwatch *nw = live->nw;
    size_t n = 0, k = 0;

    for (size_t i = 0; i < nw->file->n; i++) {
        n += nw->file->invariants[i].n_filters;
    }
    live->watches = lh_alloc_array(NULL, n, sizeof *live->watches);
    for (size_t i = 0; i < nw->file->n; i++) {
        const struct invariant *inv = &nw->file->invariants[i];

        for (size_t j = 0; j < inv->n_filters; j++) {
            const struct invariant_filter *filter = &inv->filters[j];
            struct watch *w = &live->watches[k++];
            struct lh_error error;

            *w = (struct watch){.invariant = i, .filter = j};
            if (app_source_watch_at_rate(nw->source, filter->phf,
                                         filter->sign == INVARIANT_REACHED
                                             ? REACHED_RATE
                                             : VIOLATED_RATE,
                                         &w->id, &error)) {
                lh_error_prefix(&error, "%s:%u", nw->path, inv->line);
                return app_fail(nw->app, &error, NULL);
            }
            live->n++;
        }
    }
    return APP_FOUND;
}

int
netwatch_live(struct netwatch *nw)
{
    struct live live = {.nw = nw, .asked_ns = time_spec_now()};
    struct app_follow follow = {
        .until_ns = nw->end_ns,
        .give = take,
        .limited = take_limited,
        .tick = tick,
        .tick_ms = TICK_MS,
        .missed = take_missed,
        .gap = app_gap_create(),
        .aux = &live,
    };
    int status = set_watches(&live), retval;
    struct lh_error error;

    if (status == APP_FOUND) {
        if (!nw->is_quiet) {
            app_say(nw->app, "watching %zu invariant%s", nw->file->n,
                    nw->file->n == 1 ? "" : "s");
        }
        retval = app_follow_run(nw->app, nw->source, &follow, &error);
        if (follow.n_missed) {
            nw->has_unseen = true;
        }
        status = retval && retval != EINTR ? app_fail(nw->app, &error, NULL)
                                           : netwatch_report_totals(nw);
    }
    app_gap_destroy(follow.gap);
    free(live.watches);
    free(live.problem);
    return status;
}
