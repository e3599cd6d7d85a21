/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline - what happens to a postcard after it was received. */
#include <config.h>

#include "server/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "lib/time_spec.h"
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

/* --- Counters of switches --------------------------------------------------
 */

void
pipeline_tell_ledger(struct pipeline *p)
{
    if (p->dispatch && p->config.ledger) {
        loss_ledger_set_told(p->config.ledger, dispatch_done_ns(p->dispatch));
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
        .is_timed = config->is_file,
        .gate = config->gate,
        .catch_up = config->catch_up,
        .has_delays = config->book != NULL,
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
    if (config->json) {
        p->json = json_lines_create(config->json);
    }
    if (config->ledger) {
        p->wait = loss_wait_create(config->ledger, config->book, give, p);
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

/* Tells workers, if they had no room for it before. */
static void
tell_topology(struct pipeline *p, uint64_t now_ns)
{
    if (p->is_topology_due) {
        p->is_topology_due =
            !dispatch_topology(p->dispatch, p->topology, now_ns);
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
    ingest_set_topology(p->door, topology);
    p->is_topology_due = true;
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
        pipeline_tell_ledger(p);
        loss_ledger_count(p->config.ledger, dpid, asked_ns, time_ns, n_sent);
    }
}

/* --- Postcards ------------------------------------------------------------
 */

void
pipeline_add(struct pipeline *p, const struct postcard *postcard)
{
    shard_push(p->shard, postcard);
    if (postcard->visit) {
        return; /* Its time is that of its switch, and it has a number. */
    }
    p->now_ns = postcard->time_ns;
    if (p->config.ledger && loss_ledger_is_counting(p->config.ledger)) {
        struct loss_came came = {postcard->dpid, postcard->time_ns};

        loss_ledger_came(p->config.ledger, &came, 1);
    }
}

void
pipeline_pass(struct pipeline *p, const struct ingest_packet *packet)
{
    if (!packet->visit) {
        p->now_ns = packet->time_ns;
    }
    dispatch_add(p->dispatch, packet);
}

void
pipeline_read(struct pipeline *p, struct split_file *file, uint64_t end,
              bool is_last)
{
    dispatch_read(p->dispatch, file, end, is_last);
}

void
pipeline_drain(struct pipeline *p)
{
    if (p->shard) {
        shard_drain(p->shard);
    } else if (!p->config.is_file) {
        dispatch_send_if_idle(p->dispatch);
    }
}

size_t
pipeline_n_workers(const struct pipeline *p)
{
    return p->n_workers;
}

bool
pipeline_has_room(struct pipeline *p)
{
    return p->shard || dispatch_has_room(p->dispatch);
}

bool
pipeline_is_idle(struct pipeline *p)
{
    return p->shard || dispatch_is_idle(p->dispatch);
}

/* Histories that wait for counters, if these tell by now. */
static void
settle(struct pipeline *p, uint64_t now_ns, bool is_end)
{
    if (!p->wait || !loss_wait_count(p->wait)) {
        return;
    }
    pipeline_tell_ledger(p);
    loss_wait_settle(p->wait, now_ns, is_end);
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
        /* Without room they come to it by their postcards' times. */
        dispatch_run(p->dispatch, now_ns);
    }
    settle(p, now_ns, false);
}

void
pipeline_run_to(struct pipeline *p, uint64_t time_ns)
{
    p->now_ns = time_ns;
    if (p->shard) {
        shard_run_to(p->shard, time_ns);
    }
    settle(p, time_ns, false);
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
    if (!dispatch_is_done(p->dispatch)) {
        return next_ns < p->now_ns + LOOK_NS ? next_ns : p->now_ns + LOOK_NS;
    }
    for (size_t i = 0; i < p->n_workers; i++) {
        uint64_t worker_ns = worker_next_ns(p->workers[i]);

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
    if (atomic_load(&p->n_rounds) || !dispatch_can_tell(p->dispatch)) {
        return;
    }
    round = lh_alloc(sizeof *round);
    atomic_init(&round->n_left, (unsigned int) p->n_workers);
    round->now_ns = now_ns;
    atomic_fetch_add(&p->n_rounds, 1);
    dispatch_round(p->dispatch, round);
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
    settle(p, now_ns, true);
    if (p->n_workers) {
        pipeline_wait_for(p, &p->n_rounds);
        pipeline_wait_to_tell(p);
    }
    /* Not by the time of postcards, which may be wrong: it says what is so old
     * that it has to go. */
    pipeline_round(p, time_spec_now());
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
pipeline_try_pause(struct pipeline *p, uint64_t max_ns)
{
    unsigned int n_looks = (unsigned int) (max_ns / WORKER_LOOK_NS);

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
    c->archive_sums = archive->sums;
    c->archive_size = archive->total_bytes;
}

/* Counts what all workers have done, while they rest. */
static void
collect_rested(struct pipeline *p)
{
    memset(&p->rested, 0, sizeof p->rested);
    if (p->shard) {
        shard_collect(p->shard, &p->rested);
    }
    for (size_t i = 0; i < p->n_workers; i++) {
        worker_collect(p->workers[i], &p->rested);
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
        is_resting = pipeline_try_pause(p, MAX_REST_NS);
    }
    if (is_resting) {
        collect_rested(p);
        pipeline_resume(p);
    }
    counters_add(c, &p->rested);
    if (p->door) {
        ingest_collect(p->door, c);
        c->dropped_busy += p->n_dropped;
    }
    if (p->config.ledger) {
        pipeline_tell_ledger(p);
        loss_ledger_sum(p->config.ledger, p->now_ns, &c->missing_min,
                        &c->missing_max);
    }
    c->awaiting_counters = p->wait ? loss_wait_count(p->wait) : 0;
}

bool
pipeline_collect_delays(struct pipeline *p, struct clock_delays *delays,
                        uint64_t now_ns)
{
    if (!p->config.book || !pipeline_try_pause(p, MAX_REST_NS)) {
        return false;
    }
    if (p->shard) {
        clock_delays_merge(delays, shard_delays(p->shard), now_ns);
    }
    for (size_t i = 0; i < p->n_workers; i++) {
        clock_delays_merge(delays, shard_delays(worker_shard(p->workers[i])),
                           now_ns);
    }
    pipeline_resume(p);
    return true;
}

bool
pipeline_json_is_ok(const struct pipeline *p)
{
    return !p->json || json_lines_is_ok(p->json);
}
