/* SPDX-License-Identifier: Apache-2.0 */
/* log_watch - looks after the flow log. */
#include <config.h>

#include "recorder/log_watch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <event2/event.h>

#include "lib/flow_log.h"
#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "recorder/floors.h"
#include "recorder/mono_clock.h"

#define WATCH_S      1
#define TRIM_S       60
#define FIRST_TRIM_S 1
#define LOG_ROOM     (512 * 1024) /* Bytes that opening may take. */
#define AGAIN_S      60           /* What stands may itself be too much. */

struct log_watch {
    struct flow_log *log;
    uint64_t keep_ns, keep_bytes;
    struct floors *floors; /* Owned. */
    bool is_too_large;     /* That was said. */
    struct event *watch;
    struct event *trim;
    bool is_late; /* And that was said. */
    uint64_t n_late;
    uint64_t n_lost;   /* Of flow_log_counters, when all was logged anew. */
    uint64_t again_ns; /* Not before this, CLOCK_MONOTONIC. */
    void (*found)(void *aux); /* Or NULL. */
    void *aux;
};

static void
again_in(struct event *event, int seconds)
{
    struct timeval timeout = {.tv_sec = seconds};

    event_add(event, &timeout);
}

static void
say_late(struct log_watch *w, const struct flow_log_lag *lag,
         const struct lh_error *reason)
{
    char age[TIME_SPEC_BUFSIZE];

    say_error("the flow log is %s behind, %zu notes wait: %s; the control "
              "channel goes on, and what is changed now is not recorded if "
              "the recorder ends before the disk answers",
              time_spec_format_span(lag->age_ns, age), lag->n_notes,
              lag->failure ? reason->text : "the disk does not answer");
}

/* Once the disk keeps up, so that there is room for what is said. */
static void
log_anew(struct log_watch *w, const struct flow_log_lag *lag)
{
    uint64_t n_lost = flow_log_counters(w->log).lost;

    if (n_lost == w->n_lost || lag->failure ||
        lag->age_ns >= LOG_WATCH_LATE_NS || mono_clock_ns() < w->again_ns ||
        !w->found) {
        return;
    }
    say_warn("the flow log lost %llu notes; what stands now is logged anew",
             (unsigned long long) (n_lost - w->n_lost));
    w->n_lost = n_lost;
    w->again_ns = mono_clock_ns() + AGAIN_S * UINT64_C(1000000000);
    w->found(w->aux);
}

/* Says when --keep-size cannot be kept, as of the last deleting. */
static void
say_size(struct log_watch *w)
{
    bool is_too_large = flow_log_counters(w->log).is_too_large;

    if (is_too_large != w->is_too_large && is_too_large) {
        say_warn("the flow log takes more than --keep-size: the rest is what "
                 "stands now, and what servers need (lasthopctl status)");
    }
    w->is_too_large = is_too_large;
}

static void
on_watch(evutil_socket_t fd, short what, void *w_)
{
    struct log_watch *w = w_;
    struct flow_log_lag lag;
    struct lh_error reason;

    flow_log_hand_over(w->log);
    flow_log_lag(w->log, &lag, &reason);
    if (lag.age_ns >= LOG_WATCH_LATE_NS && !w->is_late) {
        w->is_late = true;
        w->n_late++;
        say_late(w, &lag, &reason);
    } else if (lag.age_ns < LOG_WATCH_LATE_NS && w->is_late) {
        w->is_late = false;
        say_info("the flow log has caught up at change %llu; %llu notes were "
                 "lost so far",
                 (unsigned long long) lag.written_change,
                 (unsigned long long) flow_log_counters(w->log).lost);
    }
    log_anew(w, &lag);
    say_size(w);
    again_in(w->watch, WATCH_S);
}

static void
on_trim(evutil_socket_t fd, short what, void *w_)
{
    struct log_watch *w = w_;
    uint64_t now_ns = time_spec_now();

    floors_run(w->floors, now_ns);
    flow_log_trim(w->log,
                  w->keep_ns && now_ns > w->keep_ns ? now_ns - w->keep_ns : 0,
                  w->keep_bytes);
    again_in(w->trim, TRIM_S);
}

/* The recorder was killed, perhaps while the disk did not answer. */
static void
say_gap(const struct flow_log *log)
{
    struct flow_log_gap gap = flow_log_gap(log);
    char since[TIME_SPEC_BUFSIZE];

    if (gap.is_there) {
        time_spec_format(gap.since_ns, true, 3, since);
        say_warn("the recorder before did not end in order: of what changed "
                 "after %s the flow log may not know all; what stands is read "
                 "from the switches",
                 since);
    }
}

struct log_watch *
log_watch_create(struct event_base *base, struct flow_log *log,
                 uint64_t keep_ns, uint64_t keep_bytes, uint64_t retain_ns)
{
    struct log_watch *w = lh_alloc_zero(sizeof *w);

    say_gap(log);
    w->log = log;
    w->keep_ns = keep_ns;
    w->keep_bytes = keep_bytes;
    w->floors = floors_create(log, retain_ns, time_spec_now());
    w->watch = evtimer_new(base, on_watch, w);
    w->trim = evtimer_new(base, on_trim, w);
    again_in(w->watch, WATCH_S);
    if (keep_ns || keep_bytes) {
        again_in(w->trim, FIRST_TRIM_S);
    }
    return w;
}

void
log_watch_explain(const char *dir, struct lh_error *error)
{
    struct statvfs disk;
    uint64_t left;

    if (statvfs(dir, &disk)) {
        return;
    }
    left = (uint64_t) disk.f_bavail * disk.f_frsize;
    if (left < LOG_ROOM) {
        lh_error_prefix(error,
                        "the disk of %s has %llu KiB left, and the log needs "
                        "%d to begin: make room there, or give another "
                        "--state",
                        dir, (unsigned long long) left / 1024,
                        LOG_ROOM / 1024);
    }
}

void
log_watch_set_found(struct log_watch *w, void (*found)(void *aux), void *aux)
{
    w->found = found;
    w->aux = aux;
}

struct floors *
log_watch_floors(struct log_watch *w)
{
    return w->floors;
}

void
log_watch_destroy(struct log_watch *w)
{
    if (w) {
        event_free(w->watch);
        event_free(w->trim);
        floors_destroy(w->floors);
        free(w);
    }
}

static void
set_number(json_t *json, const char *name, uint64_t value)
{
    json_object_set_new(json, name, json_integer((json_int_t) value));
}

json_t *
log_watch_stats(const struct log_watch *w, const char *path)
{
    struct flow_log_counters c = flow_log_counters(w->log);
    struct flow_log_lag lag;
    json_t *json = json_pack("{s:s?}", "path", path);

    flow_log_lag(w->log, &lag, NULL);
    set_number(json, "notes", c.notes);
    set_number(json, "written", c.written);
    set_number(json, "lost", c.lost);
    set_number(json, "queued", flow_log_n_queued(w->log));
    set_number(json, "queued_bytes", lag.n_bytes);
    set_number(json, "age_ns", lag.age_ns);
    set_number(json, "written_change", lag.written_change);
    set_number(json, "written_ns", lag.written_ns);
    set_number(json, "durable_change", lag.durable_change);
    set_number(json, "durable_ns", lag.durable_ns);
    set_number(json, "failures", c.failures);
    set_number(json, "late", w->n_late);
    set_number(json, "duplicates", c.duplicates);
    set_number(json, "unreserved", c.unreserved);
    set_number(json, "exhausted", c.exhausted);
    set_number(json, "trimmed", c.trimmed);
    json_object_set_new(json, "too_large", json_boolean(c.is_too_large));
    json_object_set_new(json, "retained", floors_to_json(w->floors));
    return json;
}
