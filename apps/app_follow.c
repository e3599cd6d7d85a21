/* SPDX-License-Identifier: Apache-2.0 */
/* app_follow - takes what matches live filters, as it comes. */
#include <config.h>
#include "apps/app_follow.h"

#include <errno.h>
#include <inttypes.h>

#include "apps/app_gap.h"
#include "apps/app_interrupt.h"
#include "lib/time_spec.h"

/* No errno: it was enough.  (A filter that somebody deleted is ECANCELED.) */
#define ENOUGH (-1)

/* Between two tries to connect again. */
#define FIRST_PAUSE_MS 100
#define MAX_PAUSE_MS   2000

#define MS_NS UINT64_C(1000000)

struct following {
    const struct app *app;
    struct app_source *source;
    struct app_follow *follow;
    uint64_t waits_ns; /* When it waited for a match the last time. */
    bool is_enough;    /* Of what was stored. */
    uint64_t missed_since_ns, missed_until_ns; /* As it was told last. */
};

/* Whether 'retval' says that the server is not there, or not any more. */
static bool
is_away(int retval)
{
    return retval == ECONNRESET || retval == EPIPE || retval == EPROTO ||
           retval == ENOENT || retval == ECONNREFUSED || retval == EAGAIN ||
           retval == ETIMEDOUT;
}

/* Milliseconds up to 'until_ns', at most 'max_ms' (negative: no limit). */
static int
time_left(uint64_t until_ns, int max_ms)
{
    uint64_t now_ns = time_spec_now(), left_ms;

    if (!until_ns) {
        return max_ms;
    }
    left_ms = until_ns > now_ns ? (until_ns - now_ns) / MS_NS + 1 : 0;
    if (max_ms < 0) {
        max_ms = 1000000;
    }
    return left_ms < (uint64_t) max_ms ? (int) left_ms : max_ms;
}

static void
tick(const struct app_follow *follow)
{
    if (follow->tick) {
        follow->tick(follow->aux);
    }
}

/* Gives what came; false: that is enough. */
static bool
give(struct following *f, const struct app_stop *stop)
{
    const struct app_follow *follow = f->follow;

    if (stop->n_limited && follow->limited) {
        follow->limited(follow->aux, stop->id, stop->n_limited);
    }
    if (stop->history && follow->gap) {
        uint64_t first_ns = history_first_ns(stop->history);

        app_gap_heard(follow->gap,
                      first_ns < f->waits_ns ? first_ns : f->waits_ns);
        if (!app_gap_note(follow->gap, stop->id, stop->history)) {
            history_destroy(stop->history);
            return true;
        }
    }
    return !stop->history ||
           follow->give(follow->aux, stop->id, stop->history);
}

static bool
is_over(const struct app_follow *follow)
{
    return follow->until_ns && time_spec_now() >= follow->until_ns;
}

/* Tells of the time from 'from_ns' to 'to_ns', which was not seen, why. */
static void
say_missed(const struct following *f, uint64_t from_ns, uint64_t to_ns,
           const char *what)
{
    char from[TIME_SPEC_BUFSIZE], to[TIME_SPEC_BUFSIZE];

    if (f->follow->missed) {
        f->follow->missed(f->follow->aux, from_ns, to_ns, NULL);
    }
    time_spec_format(from_ns, f->app->is_utc, 3, from);
    time_spec_format(to_ns, f->app->is_utc, 3, to);
    app_say(f->app, what, from, to);
}

/* Tells of the times of which the servers of a cluster say that they may have
 * lost matches: once, for all filters. */
static void
say_times(struct following *f, const struct app_stop *stop)
{
    const char *why = *stop->missed_why
                          ? stop->missed_why
                          : "a server of the cluster was out of reach";
    char from[TIME_SPEC_BUFSIZE], to[TIME_SPEC_BUFSIZE];

    if (stop->missed_until_ns &&
        (stop->missed_since_ns < f->missed_since_ns ||
         stop->missed_until_ns > f->missed_until_ns)) {
        f->missed_since_ns = stop->missed_since_ns;
        f->missed_until_ns = stop->missed_until_ns;
        if (f->follow->missed) {
            f->follow->missed(f->follow->aux, stop->missed_since_ns,
                              stop->missed_until_ns, why);
        }
        time_spec_format(stop->missed_since_ns, f->app->is_utc, 3, from);
        time_spec_format(stop->missed_until_ns, f->app->is_utc, 3, to);
        app_say(f->app,
                "%s; some matches may not be shown here (--since %s --until "
                "%s asks for what is stored)",
                why, from, to);
    }
}

/* When the server that answers now was started; 0: it does not say. */
static uint64_t
started_ns(struct app_source *source)
{
    struct lh_error ignored;
    json_t *answer;
    uint64_t ns = 0;

    if (!app_source_ask(source, "status", json_object(), &answer, &ignored)) {
        const json_t *status = json_object_get(answer, "status");

        ns = (uint64_t) json_integer_value(
            json_object_get(status, "started_ns"));
        json_decref(answer);
    }
    return ns;
}

/* Gives a match that was stored. */
static bool
give_stored(void *f_, uint64_t id, struct history *history)
{
    struct following *f = f_;
    const struct app_follow *follow = f->follow;

    if (!follow->give_stored) {
        return follow->give(follow->aux, id, history);
    }
    f->is_enough = !follow->give_stored(follow->aux, id, history);
    return true;
}

/* Gives what the server, which is back, has stored of the time since it was
 * last heard of; 'away_ns' is when it was seen to be gone.  0, EINTR, or
 * ENOUGH when it is enough. */
static int
fill_gap(struct following *f, uint64_t away_ns)
{
    uint64_t heard_ns = app_gap_heard_ns(f->follow->gap), start_ns;
    struct app_gap_filled filled;
    struct lh_error why;
    int retval;

    f->is_enough = false;
    retval =
        app_gap_fill(f->follow->gap, f->source, give_stored, f, &filled, &why);
    if (retval == EINTR) {
        return EINTR;
    }
    if (retval) {
        app_say(f->app, "%s", why.text);
        say_missed(f, away_ns, time_spec_now(),
                   "the server is back; what matched from %s to %s is not "
                   "shown here");
        return 0;
    }
    app_say(f->app,
            "the server is back; %" PRIu64 " match%s that it has stored "
            "meanwhile %s shown here%s",
            filled.n, filled.n == 1 ? "" : "es", filled.n == 1 ? "is" : "are",
            filled.has_more ? ", there are more" : "");
    start_ns = started_ns(f->source);
    if (f->waits_ns < start_ns) {
        heard_ns = f->waits_ns;
    }
    if (start_ns > heard_ns) {
        say_missed(f, start_ns > away_ns ? away_ns : heard_ns, start_ns,
                   "packets from %s to %s were not recorded: no server was "
                   "running");
    }
    return filled.is_enough || f->is_enough ? ENOUGH : 0;
}

/* Connects again, however long that takes.  0, EINTR, ENOUGH when it is
 * enough, or another reason. */
static int
wait_for_server(struct following *f, const struct lh_error *why,
                struct lh_error *error)
{
    const struct app_follow *follow = f->follow;
    uint64_t away_ns = time_spec_now();
    int pause_ms = FIRST_PAUSE_MS, retval;

    app_say(f->app, "%s; waiting for it to come back", why->text);
    do {
        if (is_over(follow)) {
            return 0;
        }
        retval = app_interrupt_wait(-1, time_left(follow->until_ns, pause_ms));
        if (retval == EINTR) {
            return EINTR;
        }
        tick(follow);
        pause_ms = 2 * pause_ms < MAX_PAUSE_MS ? 2 * pause_ms : MAX_PAUSE_MS;
        retval = app_source_connect(f->source, error);
    } while (is_away(retval));
    if (!retval && follow->gap) {
        retval = fill_gap(f, away_ns);
    } else if (!retval) {
        say_missed(f, away_ns, time_spec_now(),
                   "the server is back; what matched in between is not shown "
                   "here (--since %s --until %s asks for what it has stored)");
    }
    return retval;
}

/* How long to wait for matches before the server is asked whether it is still
 * there: as long as it has to answer. */
static int
quiet_time(const struct app *app)
{
    return (int) app->timeout_s * 1000;
}

/* After a quiet time: whether the server answers at all.  Says so once when it
 * does not, and when it does again.  0, or EINTR. */
static int
check_server(const struct app *app, struct app_source *source,
             const struct app_follow *follow, bool *is_silent)
{
    struct lh_error why;
    json_t *answer;
    int retval;

    if (follow->until_ns &&
        time_left(follow->until_ns, quiet_time(app)) < quiet_time(app)) {
        return 0; /* It would take longer than is left. */
    }
    retval = app_source_ask(source, "hello", json_object(), &answer, &why);
    if (!retval) {
        json_decref(answer);
    }
    if (retval == ETIMEDOUT && !*is_silent) {
        app_say(app, "%s; still waiting", why.text);
        *is_silent = true;
    } else if (*is_silent && retval != ETIMEDOUT && retval != EINTR) {
        app_say(app, "the server answers again");
        *is_silent = false;
    }
    return retval == EINTR ? EINTR : 0;
}

/* As app_follow_run(); ENOUGH when it was enough. */
static int
run(struct following *f, struct lh_error *error)
{
    const struct app *app = f->app;
    struct app_follow *follow = f->follow;
    bool is_silent = false;

    for (;;) {
        struct lh_error why;
        struct app_stop stop;
        int max_ms = follow->tick ? follow->tick_ms : quiet_time(app), retval;

        f->waits_ns = time_spec_now();
        retval = app_source_wait(
            f->source, time_left(follow->until_ns, max_ms), &stop, &why);
        if (stop.n_missed) {
            follow->n_missed += stop.n_missed;
            app_say(app, "%" PRIu64 " %s came too fast and %s not shown",
                    stop.n_missed, app_noun(stop.n_missed, "match", "matches"),
                    app_noun(stop.n_missed, "is", "are"));
        }
        say_times(f, &stop);
        if (!retval && !give(f, &stop)) {
            return ENOUGH;
        }
        tick(follow);
        if (is_over(follow)) {
            return 0;
        }
        if (retval == ETIMEDOUT && app_source_is_connected(f->source)) {
            if (follow->gap) {
                app_gap_heard(follow->gap, f->waits_ns);
            }
            /* Who has ticks cannot wait for an answer. */
            if (!follow->tick &&
                check_server(app, f->source, follow, &is_silent)) {
                return EINTR;
            }
            continue;
        }
        if (is_away(retval)) {
            retval = wait_for_server(f, &why, error);
        } else if (retval && error) {
            *error = why;
        }
        if (retval) {
            return retval;
        }
    }
}

int
app_follow_run(const struct app *app, struct app_source *source,
               struct app_follow *follow, struct lh_error *error)
{
    struct following f = {.app = app, .source = source, .follow = follow};
    int retval = run(&f, error);

    return retval == ENOUGH ? 0 : retval;
}
