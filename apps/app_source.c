/* SPDX-License-Identifier: Apache-2.0 */
/* app_source - where programs' answers come from: a server, or an archive. */
#include <config.h>
#include "apps/app_source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/app.h"
#include "lib/lh_alloc.h"

void
app_table_uninit(struct app_table *table)
{
    for (size_t i = 0; i < table->n; i++) {
        rule_unref(table->rules[i]);
    }
    free(table->rules);
    memset(table, 0, sizeof *table);
}

void
app_source_close(struct app_source *source)
{
    if (source) {
        source->class->close(source);
    }
}

int
app_source_find(struct app_source *source, const struct app_find *find,
                struct app_found *found, struct lh_error *error)
{
    memset(found, 0, sizeof *found);
    return source->class->find(source, find, found, error);
}

void
app_found_set_missing(struct app_found *found, const json_t *missing)
{
    json_t *one;
    size_t i;

    found->n_missing = found->n_holes = 0;
    json_array_foreach(missing, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "server"));
        uint64_t since_ns =
            (uint64_t) json_integer_value(json_object_get(one, "since_ns"));
        uint64_t until_ns =
            (uint64_t) json_integer_value(json_object_get(one, "until_ns"));

        if (json_object_get(one, "what")) {
            if (!found->n_holes++) {
                found->hole_since_ns = since_ns;
                found->hole_until_ns = until_ns;
            }
        } else if (!found->n_missing++) {
            snprintf(found->missing, sizeof found->missing, "%s",
                     name ? name : "?");
            found->missing_since_ns = since_ns;
            found->missing_until_ns = until_ns;
        }
    }
}

/* What a cluster has lost; NULL: nothing. */
static char *
hole_text(const struct app *app, const struct app_found *found)
{
    char since[TIME_SPEC_BUFSIZE], until[TIME_SPEC_BUFSIZE];
    char others[64] = "";

    if (!found->n_holes) {
        return NULL;
    }
    if (found->n_holes > 1) {
        snprintf(others, sizeof others, ", and at %zu other times",
                 found->n_holes - 1);
    }
    return lh_asprintf(
        "histories may be missing here, or lack hops, from %s to %s%s: NATS "
        "lost what it had acknowledged",
        found->hole_since_ns
            ? app_format_time(app, found->hole_since_ns, since)
            : "the beginning",
        found->hole_until_ns
            ? app_format_time(app, found->hole_until_ns, until)
            : "the end",
        others);
}

/* Servers of a cluster that did not answer; NULL: all did. */
static char *
missing_text(const struct app *app, const struct app_found *found)
{
    char since[TIME_SPEC_BUFSIZE], until[TIME_SPEC_BUFSIZE];
    char others[48] = "";

    if (!found->n_missing) {
        return NULL;
    }
    if (found->n_missing > 1) {
        snprintf(others, sizeof others, " and %zu more", found->n_missing - 1);
    }
    if (!found->missing_since_ns) {
        return lh_asprintf("server %s%s did not answer: its histories are "
                           "missing here",
                           found->missing, others);
    }
    return lh_asprintf(
        "server %s%s did not answer: its histories are missing here, which "
        "are from %s to %s",
        found->missing, others,
        app_format_time(app, found->missing_since_ns, since),
        app_format_time(app, found->missing_until_ns, until));
}

static char *
sampled_text(const struct app *app, const struct app_found *found)
{
    char since[TIME_SPEC_BUFSIZE], until[TIME_SPEC_BUFSIZE];

    if (!found->sampled_since_ns) {
        return NULL;
    }
    return lh_asprintf(
        "agents left packets out to save time, between %s and %s: what is "
        "not found there may have been one",
        app_format_time(app, found->sampled_since_ns, since),
        app_format_time(app, found->sampled_until_ns, until));
}

/* One behind the other; each may be NULL, and is freed. */
static char *
both(char *first, char *second)
{
    char *text;

    if (!first || !second) {
        return first ? first : second;
    }
    text = lh_asprintf("%s; %s", first, second);
    free(first);
    free(second);
    return text;
}

char *
app_source_left_out(const struct app *app, const struct app_found *found)
{
    return both(both(missing_text(app, found), hole_text(app, found)),
                sampled_text(app, found));
}

int
app_source_rule(struct app_source *source, uint64_t dpid, uint32_t version,
                struct rule **rulep, struct lh_error *error)
{
    *rulep = NULL;
    return source->class->rule(source, dpid, version, rulep, error);
}

int
app_source_table(struct app_source *source, uint64_t dpid,
                 const uint32_t *version, uint64_t at_ns,
                 struct app_table *table, struct lh_error *error)
{
    memset(table, 0, sizeof *table);
    return source->class->table(source, dpid, version, at_ns, table, error);
}

int
app_source_topology(struct app_source *source, uint64_t at_ns,
                    struct topology **topologyp, struct lh_error *error)
{
    *topologyp = NULL;
    return source->class->topology(source, at_ns, topologyp, error);
}

int
app_source_stats(struct app_source *source, json_t **statsp,
                 struct lh_error *error)
{
    *statsp = NULL;
    return source->class->stats(source, statsp, error);
}

int
app_source_ask(struct app_source *source, const char *op, json_t *members,
               json_t **answer, struct lh_error *error)
{
    int retval;

    *answer = NULL;
    retval = source->class->ask(source, op, members, answer, error);
    json_decref(members);
    return retval;
}

static int
not_live(struct lh_error *error)
{
    lh_error_set(error, "an archive holds the past only; what is to come "
                        "needs a server (--server SOCKET)");
    return EOPNOTSUPP;
}

int
app_source_watch(struct app_source *source, const char *phf, uint64_t *id,
                 struct lh_error *error)
{
    return app_source_watch_at_rate(source, phf, 0, id, error);
}

int
app_source_watch_at_rate(struct app_source *source, const char *phf,
                         uint64_t rate, uint64_t *id, struct lh_error *error)
{
    return source->class->add_watch
               ? source->class->add_watch(source, phf, rate, id, error)
               : not_live(error);
}

int
app_source_unwatch(struct app_source *source, uint64_t id,
                   struct lh_error *error)
{
    return source->class->remove_watch
               ? source->class->remove_watch(source, id, error)
               : not_live(error);
}

const char *
app_source_watched(struct app_source *source, size_t i, uint64_t *id)
{
    return source->class->watched ? source->class->watched(source, i, id)
                                  : NULL;
}

void
app_source_note_missed(struct app_stop *stop, uint64_t since_ns,
                       uint64_t until_ns, char *why)
{
    size_t len = strlen(stop->missed_why);

    if (until_ns && why && !strstr(stop->missed_why, why)) {
        snprintf(stop->missed_why + len, sizeof stop->missed_why - len, "%s%s",
                 len ? "; " : "", why);
    }
    if (until_ns) {
        if (!stop->missed_until_ns || since_ns < stop->missed_since_ns) {
            stop->missed_since_ns = since_ns;
        }
        if (until_ns > stop->missed_until_ns) {
            stop->missed_until_ns = until_ns;
        }
    }
    free(why);
}

int
app_source_wait(struct app_source *source, int timeout_ms,
                struct app_stop *stop, struct lh_error *error)
{
    memset(stop, 0, sizeof *stop);
    return source->class->wait
               ? source->class->wait(source, timeout_ms, stop, error)
               : not_live(error);
}

int
app_source_connect(struct app_source *source, struct lh_error *error)
{
    return source->class->connect ? source->class->connect(source, error)
                                  : not_live(error);
}

bool
app_source_is_connected(const struct app_source *source)
{
    return source->class->is_connected && source->class->is_connected(source);
}
