/* SPDX-License-Identifier: Apache-2.0 */
/* netwatch_report - alerts as text, as JSON, and for a command. */
#include <config.h>
#include "apps/netwatch.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "apps/app_view.h"
#include "lib/lh_alloc.h"
#include "lib/text_line.h"
#include "lib/time_spec.h"

static const char *const kinds[] = {"violated", "still", "recovered"};

/* --- text ---------------------------------------------------------------- */

static char *
span(uint64_t ns, char buf[TIME_SPEC_BUFSIZE])
{
    return time_spec_format_span(ns, buf);
}

/* What of a history tells the trouble, in one line. */
static char *
about_history(const struct netwatch *nw, const struct history *h)
{
    size_t n_before, n = h->n_hops ? app_view_path_length(h, 0, &n_before) : 0;
    char *path = h->n_hops ? app_view_path(nw->names, h, 0) : lh_strdup("");
    char *packet =
        h->n_hops ? app_view_packet(nw->names, &h->hops[0]) : lh_strdup("");
    char *verdict = app_view_verdict(nw->names, &h->verdict);
    char *more = n < h->n_hops
                     ? lh_asprintf(" (and %zu more hop%s)", h->n_hops - n,
                                   h->n_hops - n == 1 ? "" : "s")
                     : lh_strdup("");
    char *text = lh_asprintf("%s%s%s%s, %s", packet, *packet ? "  " : "", path,
                             more, verdict);

    free(more);
    free(path);
    free(packet);
    free(verdict);
    return text;
}

/* What the event says, without time and kind. */
static char *
describe(const struct netwatch *nw, const struct alarm_event *event)
{
    const struct invariant *inv = &nw->file->invariants[event->invariant];
    char a[TIME_SPEC_BUFSIZE], b[TIME_SPEC_BUFSIZE];
    char *what, *text;

    if (invariant_is_reach(inv) && event->kind == ALARM_VIOLATED) {
        what = event->history ? about_history(nw, event->history) : NULL;
        text = lh_asprintf("nothing was delivered for %s%s%s",
                           span(inv->span_ns, a), what ? "; first  " : "",
                           what ? what : "");
    } else if (invariant_is_reach(inv)) {
        what = NULL;
        text = lh_asprintf("delivered again, after %s",
                           span(event->time_ns - event->since_ns, a));
    } else if (event->kind == ALARM_VIOLATED) {
        what = event->history ? about_history(nw, event->history)
                              : lh_strdup("more than could be told apart");
        text = lh_asprintf("%s", what);
    } else if (event->kind == ALARM_STILL) {
        what = NULL;
        text = lh_asprintf("%" PRIu64 " packets in %s", event->n,
                           span(event->last_ns - event->since_ns, a));
    } else {
        what = NULL;
        text = event->n == 1
                   ? lh_asprintf("1 packet, none for %s",
                                 span(event->quiet_ns, b))
                   : lh_asprintf("%" PRIu64 " packets in %s, none for %s",
                                 event->n,
                                 span(event->last_ns - event->since_ns, a),
                                 span(event->quiet_ns, b));
    }
    free(what);
    return text;
}

/* "TIME  VIOLATED   NAME: .." */
static void
put_text(const struct netwatch *nw, const struct alarm_event *event,
         const char *text)
{
    static const char *const words[] = {"VIOLATED", "still", "recovered"};
    static const enum text_style styles[] = {TEXT_RED, TEXT_YELLOW,
                                             TEXT_GREEN};
    struct text_line line = {
        .stream = stdout, .color = nw->app->color, .width = nw->app->width};
    char buf[TIME_SPEC_BUFSIZE];

    text_line_put(&line, TEXT_DIM, "%s  ",
                  app_format_time(nw->app, event->time_ns, buf));
    text_line_put(&line, styles[event->kind], "%-10s", words[event->kind]);
    text_line_put(&line, TEXT_BOLD, "%s",
                  nw->file->invariants[event->invariant].name);
    text_line_put(&line, TEXT_PLAIN, ": %s", text);
    text_line_end(&line);
    text_line_uninit(&line);
}

/* --- JSON ---------------------------------------------------------------- */

static json_t *
event_json(const struct netwatch *nw, const struct alarm_event *event,
           const char *text)
{
    const struct invariant *inv = &nw->file->invariants[event->invariant];
    json_t *json = json_pack(
        "{s:s, s:I, s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:s}", "event",
        kinds[event->kind], "time_ns", (json_int_t) event->time_ns, "name",
        inv->name, "invariant", inv->text, "line", (json_int_t) inv->line,
        "phf", inv->filters[event->filter].phf, "since_ns",
        (json_int_t) event->since_ns, "last_ns", (json_int_t) event->last_ns,
        "packets", (json_int_t) event->n, "text", text);

    assert(json);
    if (event->history) {
        json_object_set_new(
            json, "history",
            history_to_json(event->history, app_names_topology(nw->names)));
    }
    return json;
}

static void
put_json(json_t *json)
{
    json_dumpf(json, stdout, JSON_COMPACT);
    fputc('\n', stdout);
}

/* --- the command --------------------------------------------------------- */

static void
run_command(struct netwatch *nw, const struct alarm_event *event,
            const json_t *json, const char *text)
{
    const struct invariant *inv = &nw->file->invariants[event->invariant];
    char *input = json_dumps(json, JSON_COMPACT);
    char *env[] = {lh_asprintf("NETWATCH_EVENT=%s", kinds[event->kind]),
                   lh_asprintf("NETWATCH_NAME=%s", inv->name),
                   lh_asprintf("NETWATCH_INVARIANT=%s", inv->text),
                   lh_asprintf("NETWATCH_FILE=%s", nw->path),
                   lh_asprintf("NETWATCH_LINE=%u", inv->line),
                   lh_asprintf("NETWATCH_TIME_NS=%" PRIu64, event->time_ns),
                   lh_asprintf("NETWATCH_PACKETS=%" PRIu64, event->n),
                   lh_asprintf("NETWATCH_TEXT=%s", text),
                   NULL};
    char *line = lh_asprintf("%s\n", input);

    alert_command_run(nw->command, line, (const char *const *) env);
    for (size_t i = 0; env[i]; i++) {
        free(env[i]);
    }
    free(line);
    free(input);
}

void
netwatch_report(struct netwatch *nw, const struct alarm_event *event)
{
    char *text = describe(nw, event);
    json_t *json =
        nw->app->is_json || nw->command ? event_json(nw, event, text) : NULL;

    if (nw->app->is_json) {
        put_json(json);
    } else {
        put_text(nw, event, text);
    }
    fflush(stdout);
    if (nw->command) {
        run_command(nw, event, json, text);
    }
    json_decref(json);
    free(text);
}

void
netwatch_report_unseen(struct netwatch *nw, uint64_t since_ns,
                       uint64_t until_ns, const char *why)
{
    nw->has_unseen = true;
    if (nw->app->is_json) {
        json_t *json = json_pack("{s:s, s:I, s:I, s:s}", "event", "unseen",
                                 "since_ns", (json_int_t) since_ns, "until_ns",
                                 (json_int_t) until_ns, "text", why);

        put_json(json);
        json_decref(json);
        fflush(stdout);
    }
    app_say(nw->app, "%s", why);
}

/* --- at the end ---------------------------------------------------------- */

static void
put_total(const struct netwatch *nw, const struct invariant *inv,
          const struct alarm_totals *totals)
{
    struct text_line line = {
        .stream = stdout, .color = nw->app->color, .width = nw->app->width};
    char buf[TIME_SPEC_BUFSIZE];

    text_line_put(&line, totals->n ? TEXT_RED : TEXT_GREEN, "%-10s",
                  totals->n ? "VIOLATED" : "holds");
    text_line_put(&line, TEXT_BOLD, "%s", inv->name);
    if (totals->n) {
        text_line_put(&line, TEXT_PLAIN, ": %" PRIu64 " %s%s, first at %s",
                      totals->n, invariant_is_reach(inv) ? "time" : "packet",
                      totals->n == 1 ? "" : "s",
                      app_format_time(nw->app, totals->first_ns, buf));
    }
    if (totals->uncertain) {
        text_line_put(&line, TEXT_YELLOW,
                      " (%" PRIu64 " uncertain: postcards are missing)",
                      totals->uncertain);
    }
    text_line_end(&line);
    text_line_uninit(&line);
}

static json_t *
total_json(const struct invariant *inv, const struct alarm_totals *totals)
{
    return json_pack("{s:s, s:I, s:b, s:I, s:I, s:o}", "name", inv->name,
                     "line", (json_int_t) inv->line, "holds", !totals->n,
                     "packets", (json_int_t) totals->n, "uncertain",
                     (json_int_t) totals->uncertain, "first_ns",
                     totals->first_ns
                         ? json_integer((json_int_t) totals->first_ns)
                         : json_null());
}

int
netwatch_report_totals(struct netwatch *nw)
{
    json_t *all = json_array();
    bool is_violated = false;
    int status;

    for (size_t i = 0; i < nw->file->n; i++) {
        const struct invariant *inv = &nw->file->invariants[i];
        const struct alarm_totals *totals = alarm_board_totals(nw->board, i);

        is_violated |= totals->n != 0;
        json_array_append_new(all, total_json(inv, totals));
        if (!nw->app->is_json && !nw->is_quiet) {
            put_total(nw, inv, totals);
        }
    }
    status = is_violated      ? NETWATCH_VIOLATED
             : nw->has_unseen ? NETWATCH_UNSEEN
                              : NETWATCH_HOLDS;
    if (nw->app->is_json && !nw->is_quiet) {
        json_t *json = json_pack("{s:s, s:i, s:O}", "event", "end", "status",
                                 status, "invariants", all);

        put_json(json);
        json_decref(json);
    }
    json_decref(all);
    return status;
}
