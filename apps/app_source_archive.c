/* SPDX-License-Identifier: Apache-2.0 */
/* source_archive - an archive directory as a source, without a server. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apps/app_interrupt.h"
#include "apps/app_source.h"
#include "lib/archive_reader.h"
#include "lib/crew.h"
#include "lib/flow_log.h"
#include "lib/lh_alloc.h"
#include "lib/past.h"
#include "lib/time_spec.h"
#include "phf/profile.h"
#include "phf/query.h"

struct source_archive {
    struct app_source base;
    char *dir;                     /* Owned. */
    char *flow_log_path;           /* NULL: none is named.  Owned. */
    struct archive_reader *reader; /* Owned. */
    struct flow_log *flow_log;     /* NULL: not opened yet.  Owned. */
};

static struct source_archive *
archive_of(struct app_source *source)
{
    return (struct source_archive *) source;
}

/* --- queries ------------------------------------------------------------- */

static void
give_copy(void *find_, const struct history *history)
{
    const struct app_find *find = find_;

    find->give(find->aux, history_clone(history));
}

static bool
is_never_busy(void *aux)
{
    return false;
}

/* A query that is run. */
struct watch {
    const struct app_find *find;
    const struct query_totals *totals;
    uint64_t n_told;
};

static bool
is_interrupted_or_tell(void *watch_)
{
    struct watch *watch = watch_;
    const struct query_totals *totals = watch->totals;

    if (watch->find->progress && totals->n_read > watch->n_told) {
        watch->n_told = totals->n_read;
        watch->find->progress(watch->find->aux, totals->n_read,
                              totals->n_blocks);
    }
    return app_interrupt_came();
}

static int
run_query(struct query *query, const struct app_find *find,
          struct lh_error *error)
{
    struct watch watch = {find, query_totals(query), 0};

    query_run(query, is_interrupted_or_tell, &watch);
    if (app_interrupt_came()) {
        lh_error_set(error, "interrupted");
        return EINTR;
    }
    return 0;
}

static int
find_histories(struct app_source *source, const struct app_find *find,
               struct app_found *found, struct lh_error *error)
{
    struct source_archive *archive = archive_of(source);
    struct topology *topology = NULL;
    struct query_config config = {
        .since_ns = find->since_ns,
        .until_ns = find->until_ns ? find->until_ns : UINT64_MAX,
        .limit = find->limit,
        .is_desc = !find->is_asc,
        .give = give_copy,
        .is_busy = is_never_busy,
        .aux = (void *) find,
    };
    const struct query_totals *totals;
    struct query *query;
    int retval;

    retval = archive_reader_refresh(archive->reader, error);
    if (retval) {
        return retval;
    }
    topology = archive_reader_topology(archive->reader, UINT64_MAX);
    retval = phf_compile(find->phf, topology, &config.phf, error);
    if (!retval) {
        config.reader = archive->reader;
        config.topology = topology;
        config.crew = crew_create(crew_n_processors(), CREW_NORMAL);
        query = query_create(&config);
        retval = run_query(query, find, error);
        totals = query_totals(query);
        found->scanned = totals->scanned;
        found->is_truncated = totals->is_truncated;
        found->damaged = totals->damaged;
        snprintf(found->damage, sizeof found->damage, "%s",
                 totals->damage.text);
        found->lost = totals->lost;
        found->sampled_since_ns = totals->sampled_since_ns;
        found->sampled_until_ns = totals->sampled_until_ns;
        if (!retval && totals->n_limits) {
            lh_error_set(error,
                         "the filter's back-references gave up on %llu "
                         "histories",
                         (unsigned long long) totals->n_limits);
            retval = E2BIG;
        }
        query_destroy(query);
        if (config.crew) {
            query_drain(config.crew);
            crew_destroy(config.crew);
        }
    }
    topology_unref(topology);
    return retval;
}

/* --- rules and tables ---------------------------------------------------- */

static int
need_flow_log(struct source_archive *archive, struct lh_error *error)
{
    if (archive->flow_log) {
        return 0;
    }
    if (!archive->flow_log_path) {
        lh_error_set(error,
                     "archive %s names no flow log; give one with "
                     "--flow-log FILE",
                     archive->dir);
        return ENODATA; /* Not ENOENT: no rule can be found. */
    }
    return flow_log_open_readonly(archive->flow_log_path, &archive->flow_log,
                                  error);
}

static int
get_rule(struct app_source *source, uint64_t dpid, uint32_t version,
         struct rule **rulep, struct lh_error *error)
{
    struct source_archive *archive = archive_of(source);
    int retval = need_flow_log(archive, error);

    return retval
               ? retval
               : flow_log_find(archive->flow_log, dpid, version, rulep, error);
}

static int
get_table(struct app_source *source, uint64_t dpid, const uint32_t *version,
          uint64_t at_ns, struct app_table *table, struct lh_error *error)
{
    struct source_archive *archive = archive_of(source);
    struct flow_log_moment moment = {
        .when = version ? FLOW_LOG_AT_VERSION : FLOW_LOG_AT_TIME,
        .version = version ? *version : 0,
        .time_ns = at_ns < INT64_MAX ? at_ns : INT64_MAX};
    struct flow_log_state state;
    int retval = need_flow_log(archive, error);

    if (retval) {
        return retval;
    }
    retval =
        flow_log_state_at(archive->flow_log, dpid, &moment, &state, error);
    if (retval) {
        return retval;
    }
    retval = flow_log_state_ends(archive->flow_log, &state, error);
    table->at_ns = version ? state.at_ns : at_ns;
    table->n = 0;
    table->rules = lh_alloc_zero(state.rules.n * sizeof *table->rules);
    for (size_t i = 0; i < state.rules.n; i++) {
        struct rule *rule = state.rules.rules[i];

        if (rule->kind < RULE_GROUP) {
            table->rules[table->n++] = rule_ref(rule);
        }
    }
    flow_log_state_uninit(&state);
    if (retval) {
        for (size_t i = 0; i < table->n; i++) {
            rule_unref(table->rules[i]);
        }
        free(table->rules);
    }
    return retval;
}

static bool
is_interrupted(void *aux)
{
    return app_interrupt_came();
}

/* The request `profile`. */
static int
make_profile(struct source_archive *archive, const json_t *request,
             json_t **answer, struct lh_error *error)
{
    struct topology *topology;
    struct profile_config config = {.reader = archive->reader,
                                    .now_ns = time_spec_now()};
    struct profile *profile;
    struct crew *crew;
    int retval = archive_reader_refresh(archive->reader, error);

    if (retval) {
        return retval;
    }
    topology = archive_reader_topology(archive->reader, UINT64_MAX);
    config.topology = topology;
    retval = profile_create(&config, request, &profile, error);
    topology_unref(topology);
    if (retval) {
        return retval;
    }
    crew = crew_create(crew_n_processors(), CREW_NORMAL);
    profile_start(profile, crew);
    while (crew && !profile_is_done(profile) && crew_n_jobs(crew)) {
        struct crew_job *job = crew_take(crew);

        if (job) {
            profile_take(job);
        } else {
            crew_wait(crew, 100);
        }
        if (app_interrupt_came()) {
            profile_cancel(profile);
        }
    }
    *answer = profile_answer(profile);
    profile_destroy(profile);
    crew_destroy(crew);
    if (app_interrupt_came()) {
        json_decref(*answer);
        *answer = NULL;
        lh_error_set(error, "interrupted");
        return EINTR;
    }
    return 0;
}

static int
ask(struct app_source *source, const char *op, json_t *members,
    json_t **answer, struct lh_error *error)
{
    struct source_archive *archive = archive_of(source);
    struct past_query query = {
        .request = members,
        .now_ns = time_spec_now(),
        .is_cancelled = is_interrupted,
    };
    int retval;

    if (!strcmp(op, "profile")) {
        return make_profile(archive, members, answer, error);
    }
    if (!strcmp(op, "why")) {
        lh_error_set(error,
                     "why matches the packet against all tables, which the "
                     "recorder does: ask a server that has one, also about "
                     "the past (--server SOCKET); info table SWITCH TIME "
                     "shows the rules of then without it");
        return EOPNOTSUPP;
    }
    retval = need_flow_log(archive, error);
    if (retval) {
        return retval;
    }
    query.log = archive->flow_log;
    return !strcmp(op, "table")  ? past_table(&query, answer, error)
           : !strcmp(op, "diff") ? past_diff(&query, answer, error)
                                 : past_changes(&query, answer, error);
}

/* --- the rest ------------------------------------------------------------ */

static int
get_topology(struct app_source *source, uint64_t at_ns,
             struct topology **topologyp, struct lh_error *error)
{
    struct source_archive *archive = archive_of(source);

    *topologyp = archive_reader_topology(archive->reader, at_ns);
    if (!*topologyp) {
        lh_error_set(error, "archive %s holds no topology", archive->dir);
        return ENOENT;
    }
    return 0;
}

static int
get_stats(struct app_source *source, json_t **statsp, struct lh_error *error)
{
    struct source_archive *archive = archive_of(source);
    struct archive_reader *reader = archive->reader;
    json_int_t n_blocks = 0, n_histories = 0, n_hops = 0, n_bytes = 0;
    uint64_t min_ns = UINT64_MAX, max_ns = 0;
    json_t *damages = json_array();
    int retval = archive_reader_refresh(reader, error);

    for (size_t i = 0; i < archive_reader_n_blocks(reader); i++) {
        const struct archive_block *b =
            &archive_reader_entry(reader, i)->block;

        n_bytes += b->stored_len + ARCHIVE_BLOCK_HEADER;
        if (b->kind == ARCHIVE_HISTORIES || b->kind == ARCHIVE_COLUMNS) {
            n_blocks++;
            n_histories += b->n_records;
            n_hops += b->n_hops;
            min_ns = b->min_ns < min_ns ? b->min_ns : min_ns;
            max_ns = b->max_ns > max_ns ? b->max_ns : max_ns;
        }
    }
    for (size_t i = 0; i < archive_reader_n_damages(reader); i++) {
        json_array_append_new(
            damages, json_string(archive_reader_damage(reader, i)->text));
    }
    *statsp =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "archive",
                  archive->dir, "blocks", n_blocks, "histories", n_histories,
                  "hops", n_hops, "bytes", n_bytes, "lost",
                  (json_int_t) archive_reader_lost(reader, 0, UINT64_MAX),
                  "damaged", damages);
    if (n_blocks) {
        json_object_set_new(*statsp, "first_ns",
                            json_integer((json_int_t) min_ns));
        json_object_set_new(*statsp, "last_ns",
                            json_integer((json_int_t) max_ns));
    }
    return retval;
}

static void
close_archive(struct app_source *source)
{
    struct source_archive *archive = archive_of(source);

    archive_reader_close(archive->reader);
    flow_log_close(archive->flow_log);
    free(archive->flow_log_path);
    free(archive->dir);
    free(archive);
}

int
app_source_open_archive(const char *dir, const char *flow_log,
                        struct app_source **sourcep, struct lh_error *error)
{
    static const struct app_source_class class = {
        .close = close_archive,
        .find = find_histories,
        .rule = get_rule,
        .table = get_table,
        .topology = get_topology,
        .stats = get_stats,
        .ask = ask,
    };
    struct archive_reader *reader;
    struct source_archive *archive;
    int retval = archive_reader_open(dir, &reader, error);

    *sourcep = NULL;
    if (retval) {
        lh_error_prefix(error,
                        retval == ENOENT || retval == ENOTDIR
                            ? "no archive in %s"
                            : "cannot read the archive %s",
                        dir);
        return retval;
    }
    archive = lh_alloc_zero(sizeof *archive);
    archive->base.class = &class;
    archive->dir = lh_strdup(dir);
    archive->reader = reader;
    archive->flow_log_path =
        lh_strdup(flow_log ? flow_log : archive_reader_meta(reader)->flow_log);
    *sourcep = &archive->base;
    return 0;
}
