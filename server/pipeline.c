/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline - what happens to a postcard after it was received. */
#include <config.h>

#include "server/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "server/pipeline_impl.h"

/* How soon to look again at workers that have something to do. */
#define LOOK_NS UINT64_C(2000000)
/* Reception waits no longer until workers rest. */
#define MAX_REST_NS 20000000

/* --- The archive's rounds -------------------------------------------------
 */

/* Says when the archive begins and ends to lose histories. */
static void
say_trouble(struct pipeline *p)
{
    struct archive_writer_counters counters;
    struct lh_error trouble;
    bool is_losing = archive_writer_trouble(p->config.archive, &trouble);

    archive_writer_get_counters(p->config.archive, &counters);
    if (is_losing && (!p->is_losing || counters.lost != p->n_lost_said)) {
        say_error("archive: %s; %llu histories lost so far", trouble.text,
                  (unsigned long long) counters.lost);
    } else if (!is_losing && p->is_losing) {
        say_warn("archive: writing again; %llu histories were lost",
                 (unsigned long long) counters.lost);
    }
    p->is_losing = is_losing;
    p->n_lost_said = counters.lost;
}

void
pipeline_end_round(struct pipeline *p, uint64_t now_ns)
{
    if (p->config.archive) {
        archive_writer_round(p->config.archive, now_ns);
        say_trouble(p);
    }
    if (p->json) {
        json_lines_flush(p->json);
    }
}

/* --- Histories that wait ------------------------------------------------- */

static bool
wait_here(void *p_, struct history *h, uint64_t dpid, uint64_t now_ns)
{
    struct pipeline *p = p_;

    if (!p->wait) {
        return false;
    }
    loss_wait_add(p->wait, h, dpid, 0, now_ns);
    return true;
}

static void
give(void *p_, uint32_t index, struct history *h)
{
    struct pipeline *p = p_;
    struct mail *mail;

    if (p->shard) {
        shard_give(p->shard, h);
        return;
    }
    mail = mail_create(MAIL_GIVE, 0);
    mail->history = h;
    worker_post(p->workers[index], mail);
}

/* --- Life -----------------------------------------------------------------
 */

struct shard_config
pipeline_shard_config(struct pipeline *p)
{
    const struct pipeline_config *config = &p->config;
    struct shard_config shard = {
        .window_ns = config->window_ns,
        .max_postcards = config->max_postcards,
        .id_config = config->id_config,
        .is_lossless = config->is_lossless,
        .rules = config->rules,
        .archive =
            config->archive ? archive_part_create(config->archive) : NULL,
        .json = p->json,
        .wait = wait_here,
        .aux = p,
    };

    return shard;
}

struct pipeline *
pipeline_create(const struct pipeline_config *config)
{
    struct pipeline *p = lh_alloc_zero(sizeof *p);

    p->config = *config;
    p->wake_fd = -1;
    atomic_init(&p->n_flushing, 0);
    atomic_init(&p->n_rounds, 0);
    atomic_init(&p->has_counts, false);
    if (config->json) {
        p->json = json_lines_create(config->json);
    }
    if (config->ledger) {
        p->wait = loss_wait_create(config->ledger, give, p);
    }
    if (config->n_threads > 1) {
        pipeline_create_workers(p);
    } else {
        struct shard_config shard = pipeline_shard_config(p);

        shard.triggers = config->triggers;
        p->shard = shard_create(&shard);
    }
    return p;
}

void
pipeline_destroy(struct pipeline *p)
{
    if (!p) {
        return;
    }
    pipeline_destroy_workers(p);
    shard_destroy(p->shard);
    loss_wait_destroy(p->wait);
    loss_ledger_destroy(p->config.ledger);
    archive_writer_close(p->config.archive);
    json_lines_destroy(p->json);
    topology_unref(p->topology);
    free(p);
}

/* --- What is known of the network -----------------------------------------
 */

/* Tells workers that had no room for it before. */
static void
tell_topology(struct pipeline *p, uint64_t now_ns)
{
    for (size_t i = 0; i < p->n_workers; i++) {
        if (p->is_topology_due[i]) {
            p->is_topology_due[i] =
                !worker_add_topology(p->workers[i], p->topology, now_ns);
        }
    }
}

void
pipeline_set_topology(struct pipeline *p, const struct topology *topology,
                      uint64_t now_ns)
{
    topology_unref(p->topology);
    p->topology = topology_ref(topology);
    triggers_set_topology(p->config.triggers, topology);
    if (p->shard) {
        shard_set_topology(p->shard, topology, now_ns);
        if (p->config.archive) {
            archive_writer_set_topology(p->config.archive, topology, now_ns);
        }
        return;
    }
    for (size_t i = 0; i < p->n_workers; i++) {
        p->is_topology_due[i] = true;
    }
    tell_topology(p, now_ns);
}

const struct topology *
pipeline_topology(const struct pipeline *p)
{
    return p->topology;
}

void
pipeline_count(struct pipeline *p, uint64_t dpid, uint64_t asked_ns,
               uint64_t time_ns, uint64_t n_sent)
{
    if (p->config.ledger) {
        loss_ledger_count(p->config.ledger, dpid, asked_ns, time_ns, n_sent);
        atomic_store_explicit(&p->has_counts, true, memory_order_relaxed);
    }
}

/* --- Postcards ------------------------------------------------------------
 */

/* Shards take the high bits: their tables take the low ones. */
static struct worker *
worker_of(const struct pipeline *p, uint64_t id)
{
    return p->workers[((id >> 32) * p->n_workers) >> 32];
}

void
pipeline_set_piece(struct pipeline *p, struct piece *piece)
{
    p->piece = piece;
}

void
pipeline_add(struct pipeline *p, const struct postcard *postcard)
{
    bool is_taken = true;

    p->now_ns = postcard->time_ns;
    if (p->shard) {
        shard_push(p->shard, postcard);
    } else {
        /* Any worker will do for a packet without an ID. */
        uint64_t id = postcard->has_id
                          ? postcard->packet_id
                          : postcard->time_ns * UINT64_C(0x9e3779b97f4a7c15);

        is_taken = worker_add(worker_of(p, id), postcard, p->piece);
    }
    if (p->config.ledger && is_taken) {
        loss_ledger_came(p->config.ledger, postcard->dpid, postcard->time_ns);
    }
}

void
pipeline_drain(struct pipeline *p)
{
    if (p->shard) {
        shard_drain(p->shard);
    }
    for (size_t i = 0; i < p->n_workers && !p->config.is_file; i++) {
        worker_send_if_idle(p->workers[i]);
    }
}

bool
pipeline_has_workers(const struct pipeline *p)
{
    return p->n_workers;
}

void
pipeline_note_inner(struct pipeline *p, uint64_t inner, uint64_t outer,
                    uint64_t time_ns)
{
    struct worker *w = worker_of(p, inner);

    if (w != worker_of(p, outer)) {
        worker_add_inner(w, inner, outer, time_ns);
    }
}

bool
pipeline_has_room(struct pipeline *p)
{
    for (size_t i = 0; i < p->n_workers; i++) {
        if (!worker_has_room(p->workers[i])) {
            return false;
        }
    }
    return true;
}

bool
pipeline_is_idle(struct pipeline *p)
{
    for (size_t i = 0; i < p->n_workers; i++) {
        worker_send(p->workers[i]);
    }
    for (size_t i = 0; i < p->n_workers; i++) {
        if (!worker_is_idle(p->workers[i])) {
            return false;
        }
    }
    return true;
}

/* --- Time -----------------------------------------------------------------
 */

void
pipeline_run(struct pipeline *p, uint64_t now_ns)
{
    p->now_ns = now_ns;
    if (p->shard) {
        shard_run(p->shard, now_ns);
    } else {
        tell_topology(p, now_ns);
        for (size_t i = 0; i < p->n_workers; i++) {
            /* One without room comes to it by its postcards' times. */
            worker_add_run(p->workers[i], now_ns);
        }
    }
    if (p->wait && loss_wait_count(p->wait)) {
        loss_wait_settle(p->wait, now_ns, false);
    }
}

void
pipeline_run_to(struct pipeline *p, uint64_t time_ns)
{
    p->now_ns = time_ns;
    if (p->shard) {
        shard_run_to(p->shard, time_ns);
    }
    if (p->wait && loss_wait_count(p->wait)) {
        loss_wait_settle(p->wait, time_ns, false);
    }
}

uint64_t
pipeline_next_ns(const struct pipeline *p)
{
    uint64_t next_ns = p->wait ? loss_wait_next_ns(p->wait) : UINT64_MAX;

    if (p->shard) {
        uint64_t shard_ns = shard_next_ns(p->shard);

        return shard_ns < next_ns ? shard_ns : next_ns;
    }
    if (p->config.is_file) {
        return UINT64_MAX; /* Workers look at the time themselves. */
    }
    for (size_t i = 0; i < p->n_workers; i++) {
        uint64_t worker_ns = worker_is_idle(p->workers[i])
                                 ? worker_next_ns(p->workers[i])
                                 : p->now_ns + LOOK_NS;

        next_ns = worker_ns < next_ns ? worker_ns : next_ns;
    }
    return next_ns;
}

void
pipeline_round(struct pipeline *p, uint64_t now_ns)
{
    struct round *round;

    if (p->shard) {
        if (shard_archive(p->shard)) {
            archive_part_seal(shard_archive(p->shard));
        }
        pipeline_end_round(p, now_ns);
        return;
    }
    /* One at a time; where this one cannot be, the next one will do. */
    if (atomic_load(&p->n_rounds)) {
        return;
    }
    for (size_t i = 0; i < p->n_workers; i++) {
        if (!worker_can_tell(p->workers[i])) {
            return;
        }
    }
    round = lh_alloc(sizeof *round);
    atomic_init(&round->n_left, (unsigned int) p->n_workers);
    round->now_ns = now_ns;
    atomic_fetch_add(&p->n_rounds, 1);
    for (size_t i = 0; i < p->n_workers; i++) {
        worker_add_round(p->workers[i], round);
    }
}

void
pipeline_flush(struct pipeline *p, uint64_t now_ns)
{
    if (p->shard) {
        shard_flush(p->shard, now_ns);
    } else {
        pipeline_flush_workers(p, now_ns);
    }
    p->now_ns = now_ns;
    if (p->wait) {
        loss_wait_settle(p->wait, now_ns, true);
    }
    if (p->n_workers) {
        pipeline_wait_for(p, &p->n_rounds);
    }
    for (size_t i = 0; i < p->n_workers; i++) {
        pipeline_wait_for_room(p, p->workers[i]);
    }
    pipeline_round(p, now_ns);
    if (p->n_workers) {
        pipeline_wait_for(p, &p->n_rounds);
    }
}

/* --- Looking --------------------------------------------------------------
 */

void
pipeline_pause(struct pipeline *p)
{
    for (size_t i = 0; i < p->n_workers; i++) {
        worker_pause(p->workers[i]);
    }
}

bool
pipeline_try_pause(struct pipeline *p)
{
    unsigned int n_looks = MAX_REST_NS / WORKER_LOOK_NS;

    for (size_t i = 0; i < p->n_workers; i++) {
        if (!worker_try_pause(p->workers[i], &n_looks)) {
            while (i > 0) {
                worker_resume(p->workers[--i]);
            }
            return false;
        }
    }
    return true;
}

void
pipeline_resume(struct pipeline *p)
{
    for (size_t i = 0; i < p->n_workers; i++) {
        worker_resume(p->workers[i]);
    }
}

struct archive_pending *
pipeline_pending(struct pipeline *p, size_t *np)
{
    size_t n = p->n_workers ? p->n_workers : 1;
    struct archive_pending *pending = lh_alloc_zero(n * sizeof *pending);

    *np = 0;
    for (size_t i = 0; i < n && p->config.archive; i++) {
        struct shard *shard =
            p->n_workers ? worker_shard(p->workers[i]) : p->shard;

        archive_part_pending(shard_archive(shard), &pending[*np]);
        *np += pending[*np].len != 0;
    }
    return pending;
}

static void
collect_archive(struct pipeline *p, struct counters *c)
{
    struct archive_writer_counters *archive = &p->archive;

    /* What a worker is about to sync counts as held until it has. */
    archive_writer_peek(p->config.archive, archive);
    c->archived = archive->durable;
    c->archived_hops = archive->hops;
    c->archive_lost = archive->lost;
    c->archive_held -= c->archive_refused + archive->durable + archive->lost;
    c->archive_blocks = archive->blocks;
    c->archive_bytes = archive->bytes;
    c->archive_raw_bytes = archive->raw_bytes;
    c->archive_errors = archive->write_errors;
    c->archive_removed = archive->segments_removed;
    c->archive_merges = archive->merges;
    c->archive_merge_bytes = archive->merged_bytes;
    c->archive_merge_errors = archive->merge_errors;
    c->archive_size = archive->total_bytes;
}

/* Counts what all workers have done, while they rest. */
static void
collect_rested(struct pipeline *p)
{
    memset(&p->rested, 0, sizeof p->rested);
    p->n_done_rested = 0;
    if (p->shard) {
        shard_collect(p->shard, &p->rested);
    }
    for (size_t i = 0; i < p->n_workers; i++) {
        struct worker_counters worker;

        shard_collect(worker_shard(p->workers[i]), &p->rested);
        worker_get_counters(p->workers[i], &worker);
        p->n_done_rested += worker.n_sent - worker.n_waiting;
    }
    if (p->config.archive) {
        collect_archive(p, &p->rested);
    }
}

void
pipeline_collect(struct pipeline *p, struct counters *c)
{
    bool is_resting = true;

    /* A file's postcards wait anyhow, and its sums are its answer. */
    if (p->config.is_file) {
        pipeline_pause(p);
    } else {
        is_resting = pipeline_try_pause(p);
    }
    if (is_resting) {
        collect_rested(p);
        pipeline_resume(p);
    }
    counters_add(c, &p->rested);
    c->open_postcards -= p->n_done_rested;
    for (size_t i = 0; i < p->n_workers; i++) {
        struct worker_counters worker;

        worker_get_counters(p->workers[i], &worker);
        c->dropped_busy += worker.n_dropped;
        c->open_postcards += worker.n_sent;
    }
    if (p->config.ledger) {
        loss_ledger_sum(p->config.ledger, p->now_ns, &c->missing_min,
                        &c->missing_max);
    }
    c->awaiting_counters = p->wait ? loss_wait_count(p->wait) : 0;
}

bool
pipeline_json_is_ok(const struct pipeline *p)
{
    return !p->json || json_lines_is_ok(p->json);
}
