/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_ladder - `ladder`: switches as columns, hops in the order of time. */
#include <config.h>
#include "apps/ndb_ladder.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "apps/app_view.h"
#include "apps/ndb_print.h"
#include "lib/dpid.h"
#include "lib/jmember.h"
#include "lib/hop_time.h"
#include "lib/lh_alloc.h"
#include "lib/text_line.h"
#include "lib/time_spec.h"

#define TIME_WIDTH  14
#define MIN_COLUMN  12
#define MAX_COLUMN  24
#define MAX_COLUMNS 64

struct ladder {
    struct ndb *ndb;
    const struct history *h;
    struct text_line line;
    size_t n_columns;
    uint64_t columns[MAX_COLUMNS]; /* Switches. */
    size_t n_hops;
    size_t *order; /* Of hops, by time.  Owned. */
    size_t first;  /* Of hop_time_first(). */
    int width;     /* Of a column. */
};

static size_t
column_of(const struct ladder *l, uint64_t dpid)
{
    size_t i = 0;

    while (i < l->n_columns && l->columns[i] != dpid) {
        i++;
    }
    return i;
}

/* When hop 'i', which has a time, was, as far as clocks can be compared. */
static int64_t
after_ns(const struct ladder *l, size_t i)
{
    return hop_time_between(l->h, l->first, i, l->ndb->topology).after_ns;
}

/* Columns in the order of the tree, hops in the order of time; what has no
 * time stays behind its parent. */
static void
arrange(struct ladder *l)
{
    l->order = lh_alloc_array(NULL, l->h->n_hops + 1, sizeof *l->order);
    l->first = hop_time_first(l->h, l->ndb->topology);
    for (size_t i = 0; i < l->h->n_hops; i++) {
        const struct history_hop *hop = &l->h->hops[i];
        size_t j = l->n_hops++;

        if (column_of(l, hop->dpid) == l->n_columns &&
            l->n_columns < MAX_COLUMNS) {
            l->columns[l->n_columns++] = hop->dpid;
        }
        for (; j && hop->time_ns && (int) l->order[j - 1] != hop->parent &&
               l->h->hops[l->order[j - 1]].time_ns &&
               after_ns(l, l->order[j - 1]) > after_ns(l, i);
             j--) {
            l->order[j] = l->order[j - 1];
        }
        l->order[j] = i;
    }
    l->width = l->ndb->width
                   ? (l->ndb->width - TIME_WIDTH) / (int) (l->n_columns + 1)
                   : MAX_COLUMN;
    l->width = l->width < MIN_COLUMN   ? MIN_COLUMN
               : l->width > MAX_COLUMN ? MAX_COLUMN
                                       : l->width;
}

/* --- lines --------------------------------------------------------------- */

static void
put_time(struct ladder *l, const char *time)
{
    text_line_put(&l->line, TEXT_DIM, "%-*s", TIME_WIDTH, time);
}

/* The rungs of the columns from 'first' up to 'end', each with its space. */
static void
put_rungs(struct ladder *l, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        bool is_last = i + 1 == l->n_columns;

        text_line_put(&l->line, TEXT_DIM, "|%*s", is_last ? 0 : l->width - 1,
                      "");
    }
}

static void
put_head(struct ladder *l)
{
    char name[APP_NAMES_BUFSIZE];

    put_time(l, "");
    for (size_t i = 0; i < l->n_columns; i++) {
        text_line_put(&l->line, TEXT_BOLD, "%-*.*s",
                      i + 1 == l->n_columns ? 0 : l->width, l->width - 1,
                      app_names_switch(l->ndb->names, l->columns[i], name));
    }
    text_line_end(&l->line);
}

/* The arrow from the hop before to hop 'i': "|--2-------1->|". */
static void
put_arrow(struct ladder *l, size_t i, const char *time)
{
    const struct history_hop *hop = &l->h->hops[i];
    size_t to = column_of(l, hop->dpid);
    size_t from = column_of(l, l->h->hops[hop->parent].dpid);
    size_t low = from < to ? from : to, high = from < to ? to : from;
    int n = (int) (high - low) * l->width - 1;
    char dash = hop->has_gap_before ? '.' : '-';
    char *arrow;

    put_time(l, time);
    if (low == high) {
        put_rungs(l, 0, low);
        text_line_put(&l->line, TEXT_CYAN, "%s",
                      hop->has_gap_before ? "| ... and again here"
                                          : "| again here");
        text_line_end(&l->line);
        return;
    }
    put_rungs(l, 0, low);
    arrow = lh_alloc_zero((size_t) n + 1);
    memset(arrow, dash, (size_t) n);
    arrow[from < to ? n - 1 : 0] = from < to ? '>' : '<';
    text_line_put(&l->line, TEXT_DIM, "|");
    text_line_put(&l->line, TEXT_CYAN, "%s", arrow);
    free(arrow);
    put_rungs(l, high, l->n_columns);
    text_line_end(&l->line);
}

/* What stands beside hop 'i': "o #1 in s2-s1 out server v11". */
static void
put_hop(struct ladder *l, size_t i, const char *time)
{
    const struct history_hop *hop = &l->h->hops[i];
    char in[APP_NAMES_BUFSIZE];
    char *out = app_view_outputs(l->ndb->names, hop);
    char *versions = app_view_versions(hop);

    app_names_port(l->ndb->names, hop->dpid, hop->in_port, in);
    put_time(l, time);
    put_rungs(l, 0, column_of(l, hop->dpid));
    text_line_put(&l->line, TEXT_BOLD, "o #%zu", i);
    text_line_put(&l->line, TEXT_PLAIN, "%s %s > %s",
                  hop->is_packet_out ? " packet-out" : "", in, out);
    if (*versions) {
        text_line_put(&l->line, TEXT_PLAIN, "  v%s", versions);
    }
    if (hop->is_deduced) {
        text_line_put(&l->line, TEXT_YELLOW, "  deduced");
    }
    text_line_end(&l->line);
    free(versions);
    free(out);
}

static void
put_verdict(struct ladder *l, size_t i)
{
    const struct history_hop *hop = &l->h->hops[i];
    char *text;

    if (hop->verdict.name == VERDICT_NONE) {
        return;
    }
    text = app_view_verdict(l->ndb->names, &hop->verdict);
    put_time(l, "");
    put_rungs(l, 0, column_of(l, hop->dpid));
    text_line_put(&l->line, ndb_print_verdict_style(hop->verdict.name),
                  "=> %s", text);
    text_line_end(&l->line);
    free(text);
}

/* When hop 'i' was, after the first postcard of all. */
static void
format_after(const struct ladder *l, size_t i, char buf[HOP_TIME_BUFSIZE])
{
    struct hop_time t = hop_time_between(l->h, l->first, i, l->ndb->topology);

    *buf = '\0';
    if (t.is_there && (t.after_ns || t.is_across)) {
        hop_time_format(&t, buf);
    } else if (l->h->hops[i].time_ns) {
        strcpy(buf, "+0");
    }
}

/* --- the whole ----------------------------------------------------------- */

static void
print(struct ladder *l)
{
    char time[HOP_TIME_BUFSIZE];

    ndb_print_summary(l->ndb, l->ndb->current);
    put_head(l);
    for (size_t k = 0; k < l->n_hops; k++) {
        size_t i = l->order[k];

        if (l->h->hops[i].parent >= 0) {
            put_arrow(l, i, "");
        }
        format_after(l, i, time);
        put_hop(l, i, time);
        put_verdict(l, i);
    }
}

static void
print_json(struct ladder *l)
{
    json_t *switches = json_array(), *rows = json_array();
    for (size_t i = 0; i < l->n_columns; i++) {
        json_array_append_new(switches, jmember_dpid_new(l->columns[i]));
    }
    for (size_t k = 0; k < l->n_hops; k++) {
        const struct history_hop *hop = &l->h->hops[l->order[k]];

        json_array_append_new(
            rows,
            json_pack("{s:I, s:I, s:o, s:o}", "hop", (json_int_t) l->order[k],
                      "column", (json_int_t) column_of(l, hop->dpid), "from",
                      hop->parent < 0 ? json_null()
                                      : json_integer(hop->parent),
                      "after_ns",
                      hop->time_ns ? json_integer(after_ns(l, l->order[k]))
                                   : json_null()));
    }
    ndb_print_json(l->ndb,
                   json_pack("{s:o, s:o}", "columns", switches, "rows", rows));
}

enum ndb_status
ndb_ladder(struct ndb *ndb, const char *args)
{
    struct ladder l = {.ndb = ndb, .h = ndb_history(ndb)};
    struct lh_error error;

    if (*args) {
        lh_error_set(&error, "this command takes no argument (\"%s\")", args);
        return ndb_fail(ndb, &error, NULL);
    }
    if (!l.h || !l.h->n_hops) {
        fprintf(stderr,
                "%s: no history: find some, or continue to a breakpoint\n",
                ndb->where);
        return NDB_NOTHING;
    }
    l.line = (struct text_line){
        .stream = ndb->out, .color = ndb->color, .width = ndb->width};
    arrange(&l);
    if (ndb->app->is_json) {
        print_json(&l);
    } else {
        print(&l);
    }
    text_line_uninit(&l.line);
    free(l.order);
    return NDB_OK;
}
