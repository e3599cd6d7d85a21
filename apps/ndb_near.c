/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_near - what the control plane did near a moment. */
#include <config.h>
#include "apps/ndb_near.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "apps/app_view.h"
#include "apps/ndb_past_print.h"
#include "apps/ndb_print.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/text_line.h"
#include "lib/time_spec.h"

#define SECOND_NS UINT64_C(1000000000)
/* How far around the packet, unless a span is given. */
#define BEFORE_NS (10 * SECOND_NS)
#define AFTER_NS  (10 * SECOND_NS)
/* Changes of a switch on each side of the packet. */
#define LIMIT 50

/* --- asking -------------------------------------------------------------- */

static int
ask(struct ndb *ndb, uint64_t dpid, uint64_t since_ns, uint64_t until_ns,
    const char *order, size_t limit, json_t **changes, bool *is_cut,
    struct lh_error *error)
{
    json_t *members = json_pack(
        "{s:o, s:I, s:I, s:s, s:I}", "dpid", jmember_dpid_new(dpid), "since",
        (json_int_t) since_ns, "until", (json_int_t) until_ns, "order", order,
        "limit", (json_int_t) limit);
    json_t *answer;
    int retval =
        app_source_ask(ndb->source, "changes", members, &answer, error);

    if (!retval) {
        *is_cut |= json_is_true(json_object_get(answer, "truncated"));
        *changes = json_incref(json_object_get(answer, "changes"));
        json_decref(answer);
    }
    return retval;
}

int
ndb_near_changes(struct ndb *ndb, uint64_t dpid, uint64_t since_ns,
                 uint64_t at_ns, uint64_t until_ns, size_t limit,
                 json_t **changes, bool *is_cut, struct lh_error *error)
{
    json_t *before = NULL, *after = NULL;
    int retval;

    *is_cut = false;
    retval =
        ask(ndb, dpid, since_ns, at_ns, "desc", limit, &before, is_cut, error);
    if (!retval) {
        retval = ask(ndb, dpid, at_ns, until_ns, "asc", limit, &after, is_cut,
                     error);
    }
    if (!retval) {
        *changes = json_array();
        for (size_t i = json_array_size(before); i-- > 0;) {
            json_array_append(*changes, json_array_get(before, i));
        }
        json_array_extend(*changes, after);
    }
    json_decref(before);
    json_decref(after);
    return retval;
}

/* --- printing ------------------------------------------------------------ */

/* "-1.23 ms", "+4 s". */
static char *
format_offset(uint64_t ns, uint64_t at_ns, char buf[TIME_SPEC_BUFSIZE])
{
    char span[TIME_SPEC_BUFSIZE];

    time_spec_format_span(ns < at_ns ? at_ns - ns : ns - at_ns, span);
    buf[0] = ns < at_ns ? '-' : '+';
    memccpy(buf + 1, span, '\0', TIME_SPEC_BUFSIZE - 2);
    buf[TIME_SPEC_BUFSIZE - 1] = '\0';
    return buf;
}

static uint64_t
time_of(const json_t *change)
{
    return (uint64_t) json_integer_value(json_object_get(change, "time_ns"));
}

static void
print_change(struct ndb *ndb, const json_t *change, uint64_t at_ns)
{
    char offset[TIME_SPEC_BUFSIZE], when[TIME_SPEC_BUFSIZE + 20];

    snprintf(when, sizeof when, "   %-12s",
             format_offset(time_of(change), at_ns, offset));
    ndb_past_print_change(ndb, change, when);
}

void
ndb_near_print(struct ndb *ndb, const json_t *changes, uint64_t at_ns)
{
    json_t *change;
    size_t i;

    json_array_foreach(changes, i, change)
    {
        print_change(ndb, change, at_ns);
    }
}

static void
print_hop(struct ndb *ndb, const struct history *h, size_t i, uint64_t at_ns)
{
    const struct history_hop *hop = &h->hops[i];
    struct text_line line = {
        .stream = ndb->out, .color = ndb->color, .width = ndb->width};
    char offset[TIME_SPEC_BUFSIZE], name[APP_NAMES_BUFSIZE];
    char *versions = app_view_versions(hop);
    char *out = app_view_outputs(ndb->names, hop);

    text_line_put(&line, TEXT_BOLD, "=> %-12s  %s  #%zu",
                  format_offset(hop->time_ns, at_ns, offset),
                  app_names_switch(ndb->names, hop->dpid, name), i);
    text_line_put(&line, TEXT_PLAIN, " the packet: %s > %s",
                  app_names_port(ndb->names, hop->dpid, hop->in_port, name),
                  out);
    if (*versions) {
        text_line_put(&line, TEXT_PLAIN, "  v%s", versions);
    }
    if (hop->verdict.name != VERDICT_NONE) {
        text_line_put(&line, ndb_print_verdict_style(hop->verdict.name),
                      "  %s", verdict_name_string(hop->verdict.name));
    }
    text_line_end(&line);
    text_line_uninit(&line);
    free(out);
    free(versions);
}

/* --- the timeline -------------------------------------------------------- */

/* One entry: a change, or a hop. */
struct entry {
    uint64_t time_ns;
    const json_t *change; /* NULL: a hop. */
    size_t hop;
};

static int
compare_entries(const void *a_, const void *b_)
{
    const struct entry *a = a_, *b = b_;

    if (a->time_ns != b->time_ns) {
        return a->time_ns < b->time_ns ? -1 : 1;
    }
    /* What was made at that moment may have been met by the packet. */
    return (a->change == NULL) - (b->change == NULL);
}

struct timeline {
    uint64_t first_ns, last_ns; /* Of the packet. */
    json_t *changes;            /* Of all switches.  Owned. */
    bool is_cut;
};

static bool
is_first_visit(const struct history *h, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (h->hops[j].dpid == h->hops[i].dpid) {
            return false;
        }
    }
    return true;
}

static int
collect(struct ndb *ndb, const struct history *h, uint64_t before_ns,
        uint64_t after_ns, struct timeline *t, struct lh_error *error)
{
    int retval = 0;

    for (size_t i = 0; i < h->n_hops && !retval; i++) {
        json_t *changes;
        bool is_cut;

        if (!is_first_visit(h, i)) {
            continue;
        }
        retval = ndb_near_changes(
            ndb, h->hops[i].dpid,
            t->first_ns > before_ns ? t->first_ns - before_ns : 0, t->first_ns,
            t->last_ns + after_ns, LIMIT, &changes, &is_cut, error);
        if (!retval) {
            t->is_cut |= is_cut;
            json_array_extend(t->changes, changes);
            json_decref(changes);
        }
    }
    return retval;
}

static void
print_timeline(struct ndb *ndb, const struct history *h,
               const struct timeline *t)
{
    size_t n_changes = json_array_size(t->changes), n = 0;
    struct entry *entries =
        lh_alloc_array(NULL, n_changes + h->n_hops + 1, sizeof *entries);

    for (size_t i = 0; i < n_changes; i++) {
        const json_t *change = json_array_get(t->changes, i);

        entries[n++] = (struct entry){time_of(change), change, 0};
    }
    for (size_t i = 0; i < h->n_hops; i++) {
        if (h->hops[i].time_ns) {
            entries[n++] = (struct entry){h->hops[i].time_ns, NULL, i};
        }
    }
    qsort(entries, n, sizeof *entries, compare_entries);
    ndb_print_summary(ndb, ndb->current);
    for (size_t i = 0; i < n; i++) {
        if (entries[i].change) {
            print_change(ndb, entries[i].change, t->first_ns);
        } else {
            print_hop(ndb, h, entries[i].hop, t->first_ns);
        }
    }
    if (!n_changes) {
        fputs("nothing was changed at these switches near then\n", ndb->out);
    }
    if (t->is_cut) {
        fputs("(there are more; a shorter span, or info changes SWITCH)\n",
              ndb->out);
    }
    free(entries);
}

static void
print_json(struct ndb *ndb, const struct history *h, struct timeline *t)
{
    ndb_print_json(ndb, json_pack("{s:I, s:o, s:O, s:b}", "at_ns",
                                  (json_int_t) t->first_ns, "history",
                                  history_to_json(h, ndb->topology), "changes",
                                  t->changes, "truncated", t->is_cut));
}

/* A span is a time before now without its sign: "5s", "200ms". */
static int
parse_span(const char *text, uint64_t *span_ns, struct lh_error *error)
{
    uint64_t now_ns = time_spec_now(), ns;
    char *past = lh_asprintf("-%s", text + (*text == '-'));
    int retval = time_spec_parse(past, now_ns, &ns, error);

    free(past);
    if (!retval) {
        *span_ns = now_ns - ns;
    } else if (error) {
        lh_error_set(error, "\"%s\" is no span; 5s and 200ms are", text);
    }
    return retval;
}

enum ndb_status
ndb_near_show(struct ndb *ndb, const char *span)
{
    const struct history *h = ndb_history(ndb);
    uint64_t before_ns = BEFORE_NS, after_ns = AFTER_NS;
    struct timeline t = {.is_cut = false};
    enum ndb_status status = NDB_OK;
    struct lh_error error;

    if (!h || !history_first_ns(h)) {
        fprintf(stderr,
                h ? "%s: this history has no time\n"
                  : "%s: no history: find some, or continue to a "
                    "breakpoint\n",
                ndb->where);
        return NDB_NOTHING;
    }
    if (*span) {
        if (parse_span(span, &before_ns, &error)) {
            return ndb_fail(ndb, &error, NULL);
        }
        after_ns = before_ns;
    }
    t.first_ns = history_first_ns(h);
    t.last_ns = history_last_ns(h);
    t.changes = json_array();
    if (collect(ndb, h, before_ns, after_ns, &t, &error)) {
        status = ndb_fail(ndb, &error, NULL);
    } else if (ndb->app->is_json) {
        print_json(ndb, h, &t);
    } else {
        print_timeline(ndb, h, &t);
    }
    json_decref(t.changes);
    return status;
}
