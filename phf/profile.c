/* SPDX-License-Identifier: Apache-2.0 */
/* profile - who sent how much over a set of links. */
#include <config.h>

#include "phf/profile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "phf/profile_block.h"
#include "phf/profile_copied.h"
#include "phf/profile_file.h"
#include "phf/profile_parts.h"
#include "phf/profile_request.h"
#include "phf/profile_rows.h"
#include "phf/profile_tree.h"

/* What one thread reads. */
struct job {
    struct crew_job base;
    struct profile *profile;
    struct job *next_done;
    size_t first, step; /* Parts. */
    struct profile_sums sums;
    struct profile_files *files;   /* Owned. */
    struct profile_copied *copied; /* In place of parts; or NULL.  Owned. */
    uint64_t n_damaged;
    struct lh_error damage; /* The first. */
};

struct profile {
    struct profile_request request;  /* Immutable once jobs run. */
    struct archive_pending *pending; /* Owned, with the payloads. */
    size_t n_pending;
    char *dir; /* Owned; NULL: none. */
    struct profile_parts parts;
    uint64_t lost;
    struct crew *crew;
    struct job *jobs; /* That are to be run.  Owned. */
    size_t n_jobs;    /* With the crew. */
    struct job *done; /* Those that are to be added up.  Owned. */
    bool is_gone;     /* Freed when the crew has no job. */
    atomic_bool is_cancelled;
    bool is_part;     /* Its answer is profile_totals. */
    struct job total; /* What jobs found together, and who adds it up. */
    json_t *answer;   /* NULL: not yet.  Owned. */
};

static void run_job(struct crew_job *);

/* --- What to read ------------------------------------------------------- */

/* Where the range has an end that nobody named, what there is ends it. */
static void
find_range(struct profile *p)
{
    struct profile_ask *ask = &p->request.ask;
    const struct profile_parts *parts = &p->parts;

    if (!p->request.has_since) {
        ask->since_ns = parts->has_times ? parts->min_ns : 0;
    }
    if (!p->request.has_until) {
        ask->until_ns = parts->has_times && parts->max_ns >= ask->since_ns
                            ? parts->max_ns + 1
                            : ask->since_ns + 1;
    }
}

static uint64_t
n_intervals(const struct profile_ask *ask)
{
    return ask->interval_ns
               ? (ask->until_ns - ask->base_ns - 1) / ask->interval_ns + 1
               : 0;
}

static void
free_job(struct job *job)
{
    profile_table_uninit(&job->sums.table);
    profile_files_destroy(job->files);
    profile_copied_destroy(job->copied);
    free(job);
}

static void
free_jobs(struct job *first)
{
    while (first) {
        struct job *job = first;

        first = job->next_done;
        free_job(job);
    }
}

static void
free_now(struct profile *p)
{
    free_jobs(p->jobs);
    free_jobs(p->done);
    json_decref(p->answer);
    profile_request_uninit(&p->request);
    for (size_t i = 0; i < p->n_pending; i++) {
        free(p->pending[i].payload);
    }
    free(p->pending);
    free(p->dir);
    profile_parts_uninit(&p->parts);
    profile_table_uninit(&p->total.sums.table);
    free(p);
}

/* One that is to be run. */
static struct job *
add_job(struct profile *p)
{
    struct job *job = lh_alloc_zero(sizeof *job);

    job->base.run = run_job;
    job->profile = p;
    job->next_done = p->jobs;
    p->jobs = job;
    return job;
}

static int
begin(const struct profile_config *config, const json_t *request,
      bool *is_filter, struct profile **pp, struct lh_error *error)
{
    struct profile *p = lh_alloc_zero(sizeof *p);
    const struct profile_request_names names = {
        .topology = config->is_part ? NULL : config->topology,
        .now_ns = config->now_ns,
    };
    int retval;

    p->is_part = config->is_part;
    p->request.ask.topology =
        config->topology ? topology_ref(config->topology) : NULL;
    retval =
        profile_request_read(&p->request, request, &names, is_filter, error);
    if (retval) {
        free_now(p);
        p = NULL;
    }
    *pp = p;
    return retval;
}

int
profile_check(const struct profile_config *config, const json_t *request,
              struct profile_verdict *verdict, struct lh_error *error)
{
    struct profile *p;
    int retval = begin(config, request, &verdict->is_bad_filter, &p, error);

    verdict->tells_addresses =
        p && profile_request_tells_addresses(&p->request);
    if (p) {
        free_now(p);
    }
    return retval;
}

/* Finds what is to be read, and the range. */
static void
look(struct profile *p, const struct profile_config *config)
{
    struct profile_ask *ask = &p->request.ask;

    p->dir =
        config->reader ? lh_strdup(archive_reader_dir(config->reader)) : NULL;
    ask->base_ns = ask->since_ns;
    if (config->from_ns > ask->since_ns) {
        ask->since_ns = config->from_ns;
    }
    profile_parts_find(&p->parts, ask, p->dir, config);
    p->lost =
        config->reader
            ? archive_reader_lost(config->reader, ask->since_ns, ask->until_ns)
            : 0;
    find_range(p);
    if (!p->request.has_since) {
        ask->base_ns = ask->since_ns;
    }
}

int
profile_create(const struct profile_config *config, const json_t *request,
               struct profile **pp, struct lh_error *error)
{
    bool is_filter;
    struct profile *p;
    int retval = begin(config, request, &is_filter, &p, error);

    *pp = NULL;
    if (retval) {
        return retval;
    }
    look(p, config);
    if (n_intervals(&p->request.ask) > PROFILE_MAX_INTERVALS) {
        lh_error_set(error,
                     "interval_ns: makes %" PRIu64
                     " intervals of that range, no more than %d are "
                     "counted",
                     n_intervals(&p->request.ask), PROFILE_MAX_INTERVALS);
        free_now(p);
        return EINVAL;
    }
    for (size_t i = 0; i < p->parts.n_copied; i++) {
        const struct profile_copied_config copied = {
            .reader = config->reader,
            .shard = p->parts.copied[i],
            .ask = &p->request.ask,
        };

        add_job(p)->copied = profile_copied_create(&copied);
    }
    p->pending = config->pending;
    p->n_pending = config->n_pending;
    *pp = p;
    return 0;
}

void
profile_destroy(struct profile *p)
{
    if (p && p->n_jobs) {
        profile_cancel(p);
        p->is_gone = true;
    } else if (p) {
        free_now(p);
    }
}

/* --- Jobs --------------------------------------------------------------- */

static void
count_block(struct job *job, struct profile_part_block *b)
{
    struct lh_error why = {.text = ""};
    int retval = profile_block_count(&b->block, &job->profile->request.ask,
                                     b->min_ns, b->max_ns, &job->sums, &why);

    /* ENOENT: retention has removed it meanwhile. */
    if (retval && retval != ENOENT && !job->n_damaged++) {
        job->damage = why;
        lh_error_prefix(&job->damage, "%s, byte %" PRIu64,
                        b->block.dir ? "an archive block" : "pending",
                        b->block.entry.offset);
    }
}

/* Counts a file from its sums: false where they do not answer, for whichever
 * reason, and its blocks have to. */
static bool
count_file(struct job *job, const struct profile_part *part)
{
    struct profile *p = job->profile;
    const struct profile_part_block *b = &p->parts.blocks[part->first];
    struct lh_error why;

    if (!job->files) {
        job->files = profile_files_create(&p->request.ask);
    }
    if (profile_file_count(job->files, p->dir, &b->block.entry.segment,
                           &part->id, &job->sums.table, &why)) {
        return false;
    }
    job->sums.counters.scanned += part->id.n_records;
    /* Nothing of it was left out. */
    if (!(job->sums.most > 0)) {
        job->sums.most = 1;
    }
    job->sums.least = 1;
    return true;
}

/* Counts what is there in two copies. */
static void
count_copied(struct job *job)
{
    struct lh_error why = {.text = ""};
    uint64_t n = profile_copied_count(job->copied, &job->profile->is_cancelled,
                                      &job->sums, &why);

    if (n && !job->n_damaged) {
        job->damage = why;
    }
    job->n_damaged += n;
}

static void
run_job(struct crew_job *base)
{
    struct job *job = (struct job *) base;
    struct profile *p = job->profile;

    if (job->copied) {
        count_copied(job);
        return;
    }

    for (size_t i = job->first;
         i < p->parts.n && !atomic_load(&p->is_cancelled); i += job->step) {
        const struct profile_part *part = &p->parts.all[i];
        bool is_counted = part->has_sums && count_file(job, part);

        for (size_t k = 0;
             k < part->n && !is_counted && !atomic_load(&p->is_cancelled);
             k++) {
            count_block(job, &p->parts.blocks[part->first + k]);
        }
    }
    profile_block_end(&p->request.ask, &job->sums);
    if (job->files) {
        profile_files_end(job->files, &job->sums.table);
    }
}

void
profile_cancel(struct profile *p)
{
    atomic_store(&p->is_cancelled, true);
}

/* --- The answer --------------------------------------------------------- */

static json_t *
links_json(const struct profile_ask *ask)
{
    json_t *links = json_array();
    char buf[256];

    for (size_t i = 0; i < ask->links.n; i++) {
        json_array_append_new(
            links, jmember_text_new(profile_link_name(
                       &ask->links.links[i], ask->topology, buf, sizeof buf)));
    }
    if (ask->links.scope != PROFILE_CHOSEN) {
        json_array_append_new(
            links,
            json_string(ask->links.scope == PROFILE_ALL ? "all" : "entry"));
    }
    return links;
}

static json_t *
make_answer(struct profile *p)
{
    const struct job *total = &p->total;
    struct profile_tree_config tree = {
        .ask = &p->request.ask,
        .table = &total->sums.table,
        .topology = p->request.ask.topology,
        .top = p->request.top,
        .max_nodes = PROFILE_MAX_NODES,
        .n_intervals = n_intervals(&p->request.ask),
    };
    json_t *by = json_array();
    json_t *answer = json_pack(
        "{s:I, s:I, s:o, s:o, s:I, s:I, s:I, s:I, s:I}", "since_ns",
        (json_int_t) p->request.ask.since_ns, "until_ns",
        (json_int_t) (p->request.ask.until_ns < INT64_MAX
                          ? p->request.ask.until_ns
                          : INT64_MAX),
        "links", links_json(&p->request.ask), "by", by, "scanned",
        (json_int_t) total->sums.counters.scanned, "lost",
        (json_int_t) p->lost, "damaged", (json_int_t) total->n_damaged,
        "undecided", (json_int_t) total->sums.counters.n_limits, "folded",
        (json_int_t) (total->sums.table.n_folded + 0.5));

    for (size_t i = 0; i < p->request.ask.n_by; i++) {
        json_array_append_new(
            by, json_string(profile_level_name(p->request.ask.by[i])));
    }
    if (total->sums.most > 1) {
        json_object_set_new(answer, "sampled",
                            json_pack("{s:f, s:f}", "least", total->sums.least,
                                      "most", total->sums.most));
    }
    if (total->n_damaged) {
        json_object_set_new(answer, "damage",
                            jmember_text_new(total->damage.text));
    }
    if (p->request.ask.interval_ns) {
        json_object_set_new(
            answer, "interval_ns",
            json_integer((json_int_t) p->request.ask.interval_ns));
    }
    profile_tree_put(&tree, answer);
    return answer;
}

/* What rows do not tell, new. */
static json_t *
make_totals(const struct profile *p)
{
    const struct job *total = &p->total;
    json_t *json = json_pack("{s:I, s:I, s:I, s:I, s:f, s:f, s:f}", "scanned",
                             (json_int_t) total->sums.counters.scanned, "lost",
                             (json_int_t) p->lost, "damaged",
                             (json_int_t) total->n_damaged, "undecided",
                             (json_int_t) total->sums.counters.n_limits,
                             "folded", total->sums.table.n_folded, "least",
                             total->sums.least, "most", total->sums.most);

    if (total->n_damaged) {
        json_object_set_new(json, "damage",
                            jmember_text_new(total->damage.text));
    }
    return json;
}

/* --- The end ------------------------------------------------------------ */

static void
add_ratios(struct profile_sums *sums, double least, double most)
{
    if (most > 0 && (!(sums->most > 0) || least < sums->least)) {
        sums->least = least;
    }
    if (most > sums->most) {
        sums->most = most;
    }
}

static void
add_up(struct job *total, struct job *job)
{
    if (!total->sums.table.n && !total->sums.table.n_ways) {
        total->sums.table = job->sums.table;
        memset(&job->sums.table, 0, sizeof job->sums.table);
    } else {
        profile_table_merge(&total->sums.table, &job->sums.table);
    }
    add_ratios(&total->sums, job->sums.least, job->sums.most);
    total->sums.counters.scanned += job->sums.counters.scanned;
    total->sums.counters.n_limits += job->sums.counters.n_limits;
    if (!total->n_damaged) {
        total->damage = job->damage;
    }
    total->n_damaged += job->n_damaged;
}

/* Makes the answer of what all jobs found. */
static void
finish(struct crew_job *base)
{
    struct job *total = (struct job *) base;
    struct profile *p = total->profile;

    for (struct job *job = p->done; job; job = job->next_done) {
        add_up(total, job);
    }
    p->answer = p->is_part ? make_totals(p) : make_answer(p);
}

static void
give_job(struct profile *p, struct job *job)
{
    if (p->crew) {
        p->n_jobs++;
        crew_give(p->crew, &job->base);
    } else {
        job->base.run(&job->base);
        if (job != &p->total) {
            job->next_done = p->done;
            p->done = job;
        }
    }
}

void
profile_start(struct profile *p, struct crew *crew)
{
    size_t n = crew ? crew_n_threads(crew) : 1;

    n = n < p->parts.n ? n : p->parts.n;
    p->crew = crew;
    p->total.base.run = finish;
    p->total.profile = p;
    for (size_t i = 0; i < n; i++) {
        struct job *job = add_job(p);

        job->first = i;
        job->step = n;
    }
    while (p->jobs) {
        struct job *job = p->jobs;

        p->jobs = job->next_done;
        job->next_done = NULL;
        give_job(p, job);
    }
    if (!p->n_jobs) {
        give_job(p, &p->total);
    }
}

void
profile_take(struct crew_job *base)
{
    struct job *job = (struct job *) base;
    struct profile *p = job->profile;

    if (job != &p->total) {
        job->next_done = p->done;
        p->done = job;
    }
    if (--p->n_jobs) {
        return;
    }
    if (p->is_gone) {
        free_now(p);
    } else if (job != &p->total) {
        give_job(p, &p->total);
    }
}

bool
profile_is_done(const struct profile *p)
{
    return p->answer && !p->n_jobs;
}

json_t *
profile_answer(struct profile *p)
{
    return json_incref(p->answer);
}

/* --- Parts of others ----------------------------------------------------- */

size_t
profile_put_rows(const struct profile *p, size_t first, struct byte_buf *out)
{
    return profile_rows_put(&p->total.sums.table, first, out);
}

int
profile_add_rows(struct profile *p, const uint8_t *data, size_t size)
{
    const struct profile_ask *ask = &p->request.ask;
    bool has_links = false;

    for (size_t i = 0; i < ask->n_by; i++) {
        has_links = has_links || ask->by[i] == PROFILE_BY_LINK;
    }
    return profile_rows_add(&p->total.sums.table, has_links, data, size);
}

void
profile_add_totals(struct profile *p, const json_t *totals)
{
    struct job *total = &p->total;
    json_int_t damaged =
        json_integer_value(json_object_get(totals, "damaged"));
    const char *damage = json_string_value(json_object_get(totals, "damage"));
    double folded = json_number_value(json_object_get(totals, "folded"));

    if (damaged > 0 && !total->n_damaged) {
        lh_error_set(&total->damage, "%s", damage ? damage : "");
    }
    total->n_damaged += (uint64_t) damaged;
    p->lost += (uint64_t) json_integer_value(json_object_get(totals, "lost"));
    total->sums.counters.scanned +=
        (uint64_t) json_integer_value(json_object_get(totals, "scanned"));
    total->sums.counters.n_limits +=
        (uint64_t) json_integer_value(json_object_get(totals, "undecided"));
    total->sums.table.n_folded += folded > 0 && folded < 1e18 ? folded : 0;
    add_ratios(&total->sums,
               json_number_value(json_object_get(totals, "least")),
               json_number_value(json_object_get(totals, "most")));
}

void
profile_add_history(struct profile *p, const struct history *h)
{
    profile_block_count_history(&p->request.ask, h, &p->total.sums);
}
