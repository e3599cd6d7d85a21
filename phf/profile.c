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
#include "lib/time_spec.h"
#include "phf/profile_block.h"
#include "phf/profile_file.h"
#include "phf/profile_parts.h"
#include "phf/profile_tree.h"

/* What one thread reads. */
struct job {
    struct crew_job base;
    struct profile *profile;
    struct job *next_done;
    size_t first, step; /* Parts. */
    struct profile_sums sums;
    struct profile_files *files; /* Owned. */
    uint64_t n_damaged;
    struct lh_error damage; /* The first. */
};

struct profile {
    struct profile_ask ask; /* Immutable once jobs run. */
    uint64_t top;
    bool has_since, has_until;
    struct archive_pending *pending; /* Owned, with the payloads. */
    size_t n_pending;
    char *dir; /* Owned; NULL: none. */
    struct profile_parts parts;
    uint64_t lost;
    struct crew *crew;
    size_t n_jobs;    /* With the crew. */
    struct job *done; /* Those that are to be added up.  Owned. */
    bool is_gone;     /* Freed when the crew has no job. */
    atomic_bool is_cancelled;
    _Atomic uint64_t n_read;
    struct job total; /* What jobs found together, and who adds it up. */
    json_t *answer;   /* NULL: not yet.  Owned. */
};

/* --- The request -------------------------------------------------------- */

static int
read_by(const struct jmember *root, struct profile_ask *ask,
        struct lh_error *error)
{
    struct jmember by = jmember_get(root, "by");
    size_t n = 0;

    if (!jmember_is_there(&by)) {
        if (ask->links.scope == PROFILE_ALL || ask->links.n > 1) {
            ask->by[ask->n_by++] = PROFILE_BY_LINK;
        }
        ask->by[ask->n_by++] = PROFILE_BY_INGRESS;
        ask->by[ask->n_by++] = PROFILE_BY_PATH;
        ask->by[ask->n_by++] = PROFILE_BY_HOSTS;
        ask->by[ask->n_by++] = PROFILE_BY_FLOW;
        return 0;
    }
    if (jmember_array(&by, &n, error)) {
        return EINVAL;
    }
    for (size_t i = 0; i < n; i++) {
        struct jmember word = jmember_at(&by, i);
        enum profile_level level;
        const char *text;

        if (jmember_string(&word, &text, error)) {
            return EINVAL;
        }
        if (!profile_level_from_name(text, &level)) {
            return jmember_error(&word, error,
                                 "must be link, ingress, path, src, dst, "
                                 "hosts or flow, not \"%s\"",
                                 text);
        }
        for (size_t k = 0; k < ask->n_by; k++) {
            if (ask->by[k] == level) {
                return jmember_error(&word, error, "\"%s\" is there twice",
                                     text);
            }
        }
        ask->by[ask->n_by++] = level;
    }
    return 0;
}

static int
read_links(const struct jmember *root, struct profile_ask *ask,
           struct lh_error *error)
{
    struct jmember links = jmember_get(root, "links");
    size_t n = 0;

    if (jmember_is_there(&links) && jmember_array(&links, &n, error)) {
        return EINVAL;
    }
    for (size_t i = 0; i < n; i++) {
        struct jmember link = jmember_at(&links, i);
        const char *text;

        if (jmember_string(&link, &text, error)) {
            return EINVAL;
        }
        if (profile_links_add(&ask->links, text, ask->topology, error)) {
            lh_error_prefix(error, "links[%zu]", i);
            return EINVAL;
        }
    }
    if (!n) {
        ask->links.scope = ask->phf ? PROFILE_ENTRY : PROFILE_ALL;
    }
    return 0;
}

static int
read_times(const struct jmember *root, struct profile *p, uint64_t now_ns,
           struct lh_error *error)
{
    struct jmember since = jmember_get(root, "since");
    struct jmember until = jmember_get(root, "until");
    struct jmember interval = jmember_get(root, "interval_ns");

    p->ask.until_ns = UINT64_MAX;
    p->has_since = jmember_is_there(&since);
    p->has_until = jmember_is_there(&until);
    if ((p->has_since &&
         time_spec_member(&since, now_ns, &p->ask.since_ns, error)) ||
        (p->has_until &&
         time_spec_member(&until, now_ns, &p->ask.until_ns, error)) ||
        (jmember_is_there(&interval) &&
         jmember_u64(&interval, INT64_MAX, &p->ask.interval_ns, error))) {
        return EINVAL;
    }
    if (jmember_is_there(&interval) && !p->ask.interval_ns) {
        return jmember_error(&interval, error, "must be at least 1");
    }
    if (p->ask.until_ns <= p->ask.since_ns) {
        return jmember_error(&until, error, "must be later than since");
    }
    return 0;
}

static int
read_request(struct profile *p, const json_t *request, uint64_t now_ns,
             bool *is_filter, struct lh_error *error)
{
    struct jmember root = jmember_root(request);
    struct jmember phf = jmember_get(&root, "phf");
    struct jmember top = jmember_get(&root, "top");
    const char *text;

    *is_filter = false;
    if (error) {
        error->pos = -1;
    }
    p->top = PROFILE_DEFAULT_TOP;
    if (jmember_is_there(&phf)) {
        if (jmember_string(&phf, &text, error)) {
            return EINVAL;
        }
        if (phf_compile(text, p->ask.topology, &p->ask.phf, error)) {
            *is_filter = true;
            return EINVAL;
        }
    }
    if (jmember_is_there(&top) &&
        (jmember_u64(&top, PROFILE_MAX_TOP, &p->top, error) || !p->top)) {
        return jmember_error(&top, error, "must be from 1 to %d",
                             PROFILE_MAX_TOP);
    }
    if (read_links(&root, &p->ask, error) || read_by(&root, &p->ask, error) ||
        read_times(&root, p, now_ns, error)) {
        return EINVAL;
    }
    return 0;
}

/* --- What to read ------------------------------------------------------- */

/* Where the range has an end that nobody named, what there is ends it. */
static void
find_range(struct profile *p)
{
    uint64_t min_ns = UINT64_MAX, max_ns = 0;

    for (size_t i = 0; i < p->parts.n_blocks; i++) {
        min_ns = p->parts.blocks[i].min_ns < min_ns ? p->parts.blocks[i].min_ns
                                                    : min_ns;
        max_ns = p->parts.blocks[i].max_ns > max_ns ? p->parts.blocks[i].max_ns
                                                    : max_ns;
    }
    if (!p->has_since) {
        p->ask.since_ns = p->parts.n ? min_ns : 0;
    }
    if (!p->has_until) {
        p->ask.until_ns = p->parts.n && max_ns >= p->ask.since_ns
                              ? max_ns + 1
                              : p->ask.since_ns + 1;
    }
}

static uint64_t
n_intervals(const struct profile *p)
{
    return p->ask.interval_ns
               ? (p->ask.until_ns - p->ask.since_ns - 1) / p->ask.interval_ns +
                     1
               : 0;
}

static void
free_job(struct job *job)
{
    profile_table_uninit(&job->sums.table);
    profile_files_destroy(job->files);
    free(job);
}

static void
free_now(struct profile *p)
{
    while (p->done) {
        struct job *job = p->done;

        p->done = job->next_done;
        free_job(job);
    }
    json_decref(p->answer);
    profile_links_uninit(&p->ask.links);
    phf_destroy(p->ask.phf);
    topology_unref(p->ask.topology);
    for (size_t i = 0; i < p->n_pending; i++) {
        free(p->pending[i].payload);
    }
    free(p->pending);
    free(p->dir);
    profile_parts_uninit(&p->parts);
    profile_table_uninit(&p->total.sums.table);
    free(p);
}

static struct profile *
begin(const struct profile_config *config)
{
    struct profile *p = lh_alloc_zero(sizeof *p);

    p->ask.topology = config->topology ? topology_ref(config->topology) : NULL;
    return p;
}

int
profile_check(const struct profile_config *config, const json_t *request,
              struct profile_verdict *verdict, struct lh_error *error)
{
    struct profile *p = begin(config);
    int retval = read_request(p, request, config->now_ns,
                              &verdict->is_bad_filter, error);

    verdict->tells_addresses = false;
    for (size_t i = 0; i < p->ask.n_by; i++) {
        verdict->tells_addresses =
            verdict->tells_addresses || p->ask.by[i] >= PROFILE_BY_SRC;
    }
    free_now(p);
    return retval;
}

int
profile_create(const struct profile_config *config, const json_t *request,
               struct profile **pp, struct lh_error *error)
{
    struct profile *p = begin(config);
    bool is_filter;
    int retval = read_request(p, request, config->now_ns, &is_filter, error);

    *pp = NULL;
    if (!retval) {
        p->dir = config->reader ? lh_strdup(archive_reader_dir(config->reader))
                                : NULL;
        profile_parts_find(&p->parts, &p->ask, p->dir, config);
        p->lost = config->reader
                      ? archive_reader_lost(config->reader, p->ask.since_ns,
                                            p->ask.until_ns)
                      : 0;
        find_range(p);
        if (n_intervals(p) > PROFILE_MAX_INTERVALS) {
            lh_error_set(error,
                         "interval_ns: makes %" PRIu64
                         " intervals of that range, no more than %d are "
                         "counted",
                         n_intervals(p), PROFILE_MAX_INTERVALS);
            retval = EINVAL;
        }
    }
    if (retval) {
        free_now(p);
        return retval;
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
    int retval = profile_block_count(&b->block, &job->profile->ask, b->min_ns,
                                     b->max_ns, &job->sums, &why);

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
        job->files = profile_files_create(&p->ask);
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

static void
run_job(struct crew_job *base)
{
    struct job *job = (struct job *) base;
    struct profile *p = job->profile;

    for (size_t i = job->first;
         i < p->parts.n && !atomic_load(&p->is_cancelled); i += job->step) {
        const struct profile_part *part = &p->parts.all[i];
        bool is_counted = part->has_sums && count_file(job, part);

        for (size_t k = 0;
             k < part->n && !is_counted && !atomic_load(&p->is_cancelled);
             k++) {
            count_block(job, &p->parts.blocks[part->first + k]);
        }
        atomic_fetch_add(&p->n_read, part->n);
    }
    profile_block_end(&p->ask, &job->sums);
    if (job->files) {
        profile_files_end(job->files, &job->sums.table);
    }
}

void
profile_cancel(struct profile *p)
{
    atomic_store(&p->is_cancelled, true);
}

void
profile_progress(const struct profile *p, uint64_t *n_read, uint64_t *n_blocks)
{
    *n_read = atomic_load(&p->n_read);
    *n_blocks = p->parts.n_blocks;
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
        .ask = &p->ask,
        .table = &total->sums.table,
        .topology = p->ask.topology,
        .top = p->top,
        .max_nodes = PROFILE_MAX_NODES,
        .n_intervals = n_intervals(p),
    };
    json_t *by = json_array();
    json_t *answer = json_pack(
        "{s:I, s:I, s:o, s:o, s:I, s:I, s:I, s:I, s:I}", "since_ns",
        (json_int_t) p->ask.since_ns, "until_ns",
        (json_int_t) (p->ask.until_ns < INT64_MAX ? p->ask.until_ns
                                                  : INT64_MAX),
        "links", links_json(&p->ask), "by", by, "scanned",
        (json_int_t) total->sums.counters.scanned, "lost",
        (json_int_t) p->lost, "damaged", (json_int_t) total->n_damaged,
        "undecided", (json_int_t) total->sums.counters.n_limits, "folded",
        (json_int_t) (total->sums.table.n_folded + 0.5));

    for (size_t i = 0; i < p->ask.n_by; i++) {
        json_array_append_new(by,
                              json_string(profile_level_name(p->ask.by[i])));
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
    if (p->ask.interval_ns) {
        json_object_set_new(answer, "interval_ns",
                            json_integer((json_int_t) p->ask.interval_ns));
    }
    profile_tree_put(&tree, answer);
    return answer;
}

/* --- The end ------------------------------------------------------------ */

static void
add_up(struct job *total, struct job *job)
{
    if (!total->sums.table.n && !total->sums.table.n_ways) {
        total->sums.table = job->sums.table;
        memset(&job->sums.table, 0, sizeof job->sums.table);
    } else {
        profile_table_merge(&total->sums.table, &job->sums.table);
    }
    if (job->sums.most > 0 &&
        (!(total->sums.most > 0) || job->sums.least < total->sums.least)) {
        total->sums.least = job->sums.least;
    }
    if (job->sums.most > total->sums.most) {
        total->sums.most = job->sums.most;
    }
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
    p->answer = make_answer(p);
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
        struct job *job = lh_alloc_zero(sizeof *job);

        job->base.run = run_job;
        job->profile = p;
        job->first = i;
        job->step = n;
        if (crew) {
            p->n_jobs++;
            crew_give(crew, &job->base);
        } else {
            run_job(&job->base);
            job->next_done = p->done;
            p->done = job;
        }
    }
    if (!p->n_jobs) {
        finish(&p->total.base);
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
        p->n_jobs = 1;
        crew_give(p->crew, &p->total.base);
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
