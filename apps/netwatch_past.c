/* SPDX-License-Identifier: Apache-2.0 */
/* netwatch_past - watches what is stored: the same alarms as live. */
#include <config.h>
#include "apps/netwatch.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "apps/app_interrupt.h"
#include "apps/app_progress.h"
#include "lib/lh_alloc.h"
#include "lib/time_spec.h"

struct past {
    struct netwatch *nw;
    uint64_t since_ns, until_ns; /* The range; 0: no limit. */
    uint64_t start_ns, end_ns;   /* When what it holds begins and ends. */
    uint64_t lost, damaged;      /* Of all queries the most. */
    struct app_found sampled;    /* Its times alone: of all queries. */
    char damage[sizeof((struct app_found *) NULL)->damage];
    struct app_progress progress;
    size_t n_done, n_all; /* Filters. */

    /* All alerts, each with a copy of its history. */
    size_t n, allocated;
    struct alarm_event *events; /* Owned, with their histories. */

    /* Of the query that runs. */
    size_t invariant, filter;
    size_t n_times, allocated_times;
    uint64_t *times;        /* When packets failed, in order.  Owned. */
    struct history *result; /* Of one that has a limit of 1.  Owned. */
};

/* --- alerts -------------------------------------------------------------- */

static void
keep_event(void *past_, const struct alarm_event *event)
{
    struct past *past = past_;
    struct alarm_event *kept;

    past->events = lh_alloc_grow(past->events, past->n, &past->allocated,
                                 sizeof *past->events);
    kept = &past->events[past->n++];
    *kept = *event;
    kept->history = event->history ? history_clone(event->history) : NULL;
}

static int
compare_events(const void *a_, const void *b_)
{
    const struct alarm_event *a = a_, *b = b_;

    return a->time_ns != b->time_ns ? (a->time_ns < b->time_ns ? -1 : 1)
           : a->invariant != b->invariant
               ? (a->invariant < b->invariant ? -1 : 1)
               : (int) a->kind - (int) b->kind;
}

static void
report_events(struct past *past)
{
    if (past->n) {
        qsort(past->events, past->n, sizeof *past->events, compare_events);
    }
    for (size_t i = 0; i < past->n; i++) {
        netwatch_report(past->nw, &past->events[i]);
        history_destroy((struct history *) past->events[i].history);
    }
    free(past->events);
}

/* --- queries ------------------------------------------------------------- */

static void
show_progress(void *past_, uint64_t n_read, uint64_t n_blocks)
{
    struct past *past = past_;

    app_progress_show(&past->progress, past->n_done, past->n_all, past->n);
}

/* Runs a query over part of the range, up to its limit. */
static int
run(struct past *past, const char *phf, uint64_t since_ns, uint64_t until_ns,
    bool is_asc, uint64_t limit, void (*give)(void *, struct history *),
    struct lh_error *error)
{
    struct app_find find = {.phf = phf,
                            .since_ns = since_ns,
                            .until_ns = until_ns,
                            .limit = limit,
                            .is_asc = is_asc,
                            .give = give,
                            .progress = show_progress,
                            .aux = past};
    struct app_found found;
    int retval = app_interrupt_came()
                     ? EINTR
                     : app_source_find(past->nw->source, &find, &found, error);

    if (!retval) {
        past->lost = found.lost > past->lost ? found.lost : past->lost;
        if (found.sampled_since_ns &&
            (!past->sampled.sampled_since_ns ||
             found.sampled_since_ns < past->sampled.sampled_since_ns)) {
            past->sampled.sampled_since_ns = found.sampled_since_ns;
        }
        if (found.sampled_until_ns > past->sampled.sampled_until_ns) {
            past->sampled.sampled_until_ns = found.sampled_until_ns;
        }
        if (found.damaged > past->damaged) {
            past->damaged = found.damaged;
            memcpy(past->damage, found.damage, sizeof past->damage);
        }
    }
    return retval;
}

static void
take_result(void *past_, struct history *h)
{
    struct past *past = past_;

    history_destroy(past->result);
    past->result = h;
}

/* The first or last history of a range, '*time_ns' of it; 0 when there is
 * none. */
static int
run_one(struct past *past, const char *phf, uint64_t since_ns,
        uint64_t until_ns, bool is_first, uint64_t *time_ns,
        struct lh_error *error)
{
    int retval;

    history_destroy(past->result);
    past->result = NULL;
    *time_ns = 0;
    retval =
        run(past, phf, since_ns, until_ns, is_first, 1, take_result, error);
    if (!retval && past->result) {
        *time_ns = history_first_ns(past->result);
    }
    return retval;
}

/* --- invariants about packets -------------------------------------------- */

static void
take_violation(void *past_, struct history *h)
{
    struct past *past = past_;

    alarm_board_take(past->nw->board, past->invariant, past->filter, h);
    history_destroy(h);
}

/* --- reach --------------------------------------------------------------- */

static void
take_failed(void *past_, struct history *h)
{
    struct past *past = past_;

    if (invariant_is_uncertain(&past->nw->file->invariants[past->invariant],
                               h)) {
        alarm_board_take(past->nw->board, past->invariant, past->filter, h);
    } else {
        past->times =
            lh_alloc_grow(past->times, past->n_times, &past->allocated_times,
                          sizeof *past->times);
        past->times[past->n_times++] = history_first_ns(h);
    }
    history_destroy(h);
}

static const char *
phf_of(const struct invariant *inv, enum invariant_sign sign)
{
    for (size_t i = 0; i < inv->n_filters; i++) {
        if (inv->filters[i].sign == sign) {
            return inv->filters[i].phf;
        }
    }
    assert(!"a kind of reach without its filters");
    return "";
}

/* For each packet that failed, the next one that arrived; those that failed
 * between the two tell nothing new. */
static int
reach_within(struct past *past, const struct invariant *inv,
             struct lh_error *error)
{
    struct alarm_board *board = past->nw->board;
    const char *failed = phf_of(inv, INVARIANT_FAILED);
    const char *reached = phf_of(inv, INVARIANT_REACHED);
    int retval;

    past->n_times = 0;
    past->filter = 1;
    retval = run(past, failed, past->since_ns, past->until_ns, true, 0,
                 take_failed, error);
    for (size_t i = 0; !retval && i < past->n_times;) {
        uint64_t failed_ns = past->times[i], time_ns;

        retval = run_one(past, reached, failed_ns + 1, past->until_ns, true,
                         &time_ns, error);
        if (!retval && (!time_ns || time_ns > failed_ns + inv->span_ns)) {
            uint64_t same_ns;

            retval = run_one(past, failed, failed_ns, failed_ns + 1, true,
                             &same_ns, error);
        }
        if (!retval) {
            alarm_board_reach(board, past->invariant, INVARIANT_FAILED,
                              failed_ns, past->result);
            if (time_ns) {
                alarm_board_reach(board, past->invariant, INVARIANT_REACHED,
                                  time_ns, NULL);
            }
        }
        while (i < past->n_times && (!time_ns || past->times[i] <= time_ns)) {
            i++;
        }
    }
    return retval;
}

/* From one arrival to the last within the span, or else to the next. */
static int
reach_every(struct past *past, const struct invariant *inv,
            struct lh_error *error)
{
    const char *reached = phf_of(inv, INVARIANT_REACHED);
    uint64_t at_ns = past->start_ns, time_ns = at_ns;
    int retval = 0;

    while (!retval && time_ns && at_ns + inv->span_ns < past->end_ns) {
        retval = run_one(past, reached, at_ns + 1, at_ns + inv->span_ns + 1,
                         false, &time_ns, error);
        if (!retval && !time_ns) {
            retval = run_one(past, reached, at_ns + inv->span_ns + 1,
                             past->until_ns, true, &time_ns, error);
        }
        if (!retval && time_ns) {
            alarm_board_reach(past->nw->board, past->invariant,
                              INVARIANT_REACHED, time_ns, NULL);
            at_ns = time_ns;
        }
    }
    return retval;
}

/* --- the whole ----------------------------------------------------------- */

/* When what is stored in the range begins and ends. */
static int
find_ends(struct past *past, struct lh_error *error)
{
    int retval = run_one(past, ".*", past->since_ns, past->until_ns, true,
                         &past->start_ns, error);

    if (!retval && !past->start_ns) {
        netwatch_report_unseen(past->nw, past->since_ns, past->until_ns,
                               "no packet of that time is stored: nothing "
                               "was watched");
    }
    past->end_ns = past->until_ns;
    if (!retval && !past->end_ns && past->nw->app->archive) {
        retval = run_one(past, ".*", past->since_ns, 0, false, &past->end_ns,
                         error);
    } else if (!past->end_ns || past->end_ns > time_spec_now()) {
        past->end_ns = time_spec_now();
    }
    past->start_ns = past->since_ns ? past->since_ns : past->start_ns;
    return retval;
}

static int
watch(struct past *past, struct lh_error *error)
{
    struct netwatch *nw = past->nw;
    int retval = 0;

    for (size_t i = 0; i < nw->file->n && !retval; i++) {
        const struct invariant *inv = &nw->file->invariants[i];

        past->invariant = i;
        if (inv->kind == INVARIANT_REACH_WITHIN) {
            retval = reach_within(past, inv, error);
        } else if (inv->kind == INVARIANT_REACH_EVERY) {
            retval = reach_every(past, inv, error);
        } else {
            for (size_t j = 0; j < inv->n_filters && !retval; j++) {
                past->filter = j;
                retval = run(past, inv->filters[j].phf, past->since_ns,
                             past->until_ns, true, 0, take_violation, error);
            }
        }
        past->n_done++;
        if (retval && retval != EINTR) {
            lh_error_prefix(error, "%s:%u", nw->path, inv->line);
        }
    }
    return retval;
}

static void
say_unseen(struct past *past)
{
    char *text;

    if (past->damaged) {
        text = lh_asprintf("%" PRIu64 " damaged blocks could not be read, "
                           "their packets were not watched; the first: %s",
                           past->damaged, past->damage);
        netwatch_report_unseen(past->nw, past->start_ns, past->end_ns, text);
        free(text);
    }
    if (past->lost) {
        text = lh_asprintf("%" PRIu64 " histories of that time were never "
                           "stored, so they were not watched",
                           past->lost);
        netwatch_report_unseen(past->nw, past->start_ns, past->end_ns, text);
        free(text);
    }
    text = app_source_left_out(past->nw->app, &past->sampled);
    if (text) {
        netwatch_report_unseen(past->nw, past->sampled.sampled_since_ns,
                               past->sampled.sampled_until_ns, text);
        free(text);
    }
}

int
netwatch_past(struct netwatch *nw)
{
    struct past past = {.nw = nw,
                        .since_ns = nw->app->since_ns,
                        .until_ns = nw->app->until_ns,
                        .progress = app_progress_begin("invariants"),
                        .n_all = nw->file->n};
    struct lh_error error;
    int retval = find_ends(&past, &error);

    if (!retval) {
        struct alarm_config config = {.file = nw->file,
                                      .clear_ns = nw->clear_ns,
                                      .remind_ns = nw->remind_ns,
                                      .start_ns = past.start_ns,
                                      .emit = keep_event,
                                      .aux = &past};

        nw->board = alarm_board_create(&config);
        retval = watch(&past, &error);
        alarm_board_tick(nw->board, past.end_ns, 0);
    }
    app_progress_end(&past.progress);
    report_events(&past);
    history_destroy(past.result);
    free(past.times);
    if (retval && retval != EINTR) {
        return app_fail(nw->app, &error, NULL);
    }
    if (retval) {
        return APP_INTERRUPTED;
    }
    say_unseen(&past);
    return netwatch_report_totals(nw);
}
