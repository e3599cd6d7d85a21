/* SPDX-License-Identifier: Apache-2.0 */
/* app_follow - takes what matches live filters, as it comes. */
#include <config.h>
#include "apps/app_follow.h"

#include <errno.h>
#include <inttypes.h>

#include "apps/app_interrupt.h"
#include "lib/time_spec.h"

/* Between two tries to connect again. */
#define FIRST_PAUSE_MS 100
#define MAX_PAUSE_MS   2000

#define MS_NS UINT64_C(1000000)

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
give(const struct app_follow *follow, const struct app_stop *stop)
{
    if (stop->n_limited && follow->limited) {
        follow->limited(follow->aux, stop->id, stop->n_limited);
    }
    return !stop->history ||
           follow->give(follow->aux, stop->id, stop->history);
}

static bool
is_over(const struct app_follow *follow)
{
    return follow->until_ns && time_spec_now() >= follow->until_ns;
}

/* Connects again, however long that takes.  0, EINTR, or another reason. */
static int
wait_for_server(const struct app *app, struct app_source *source,
                const struct app_follow *follow, const struct lh_error *why,
                struct lh_error *error)
{
    uint64_t away_ns = time_spec_now();
    int pause_ms = FIRST_PAUSE_MS, retval;
    char from[TIME_SPEC_BUFSIZE], to[TIME_SPEC_BUFSIZE];

    app_say(app, "%s; waiting for it to come back", why->text);
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
        retval = app_source_connect(source, error);
    } while (is_away(retval));
    if (!retval && follow->missed) {
        follow->missed(follow->aux, away_ns, time_spec_now());
    }
    if (!retval) {
        time_spec_format(away_ns, app->is_utc, 3, from);
        time_spec_format(time_spec_now(), app->is_utc, 3, to);
        app_say(app,
                "the server is back; what matched in between is not shown "
                "here (--since %s --until %s asks for what it has stored)",
                from, to);
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

int
app_follow_run(const struct app *app, struct app_source *source,
               struct app_follow *follow, struct lh_error *error)
{
    bool is_silent = false;

    for (;;) {
        struct lh_error why;
        struct app_stop stop;
        int max_ms = follow->tick ? follow->tick_ms : quiet_time(app);
        int retval = app_source_wait(
            source, time_left(follow->until_ns, max_ms), &stop, &why);

        if (stop.n_missed) {
            follow->n_missed += stop.n_missed;
            app_say(app, "%" PRIu64 " %s came too fast and %s not shown",
                    stop.n_missed, app_noun(stop.n_missed, "match", "matches"),
                    app_noun(stop.n_missed, "is", "are"));
        }
        if (!retval && !give(follow, &stop)) {
            return 0;
        }
        tick(follow);
        if (is_over(follow)) {
            return 0;
        }
        if (retval == ETIMEDOUT && app_source_is_connected(source)) {
            /* Who has ticks cannot wait for an answer. */
            if (!follow->tick &&
                check_server(app, source, follow, &is_silent)) {
                return EINTR;
            }
            continue;
        }
        if (is_away(retval)) {
            retval = wait_for_server(app, source, follow, &why, error);
        } else if (retval && error) {
            *error = why;
        }
        if (retval) {
            return retval;
        }
    }
}
