/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline - what happens to a postcard after it was received. */
#include <config.h>

#include "server/pipeline.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "server/loss_ledger.h"
#include "server/topology_past.h"

/* A history that waits for counters. */
struct waiting {
    struct waiting *next;
    struct history *history; /* Owned. */
    uint64_t dpid;           /* Of whom postcards may be missing. */
    uint64_t from_ns, to_ns, due_ns;
};

struct pipeline {
    struct pipeline_config config;
    struct path_table *paths;  /* Owned. */
    struct topology *topology; /* Owned reference, or NULL. */
    uint64_t topology_ns;      /* When it came; 0: it holds for all times. */
    uint64_t now_ns;           /* The latest time heard of. */
    bool is_json_ok;
    bool is_losing; /* The archive's trouble was said. */
    uint64_t n_lost_said;
    struct waiting *first_waiting, **last_waiting; /* Oldest first. */
    uint64_t n_waiting;
    uint64_t n_histories;
    uint64_t n_verdicts[VERDICT_LOOPED + 1];
};

/* Nobody reads the output any more: the rest goes on without. */
static void
fail_json(struct pipeline *p)
{
    say_error("standard output: cannot write: %s", strerror(errno));
    p->is_json_ok = false;
}

static void
write_json(struct pipeline *p, const struct history *h)
{
    json_t *json = history_to_json(h, p->topology);

    if (json_dumpf(json, p->config.json, JSON_COMPACT) ||
        fputc('\n', p->config.json) == EOF) {
        fail_json(p);
    }
    json_decref(json);
}

static void
give(struct pipeline *p, struct history *h)
{
    p->n_histories++;
    p->n_verdicts[h->verdict.name]++;
    triggers_offer(p->config.triggers, h);
    if (p->config.archive) {
        archive_writer_add(p->config.archive, h);
    }
    if (p->config.json && p->is_json_ok) {
        write_json(p, h);
    }
    history_destroy(h);
}

/* The switch that did not see the packet of a history that was lost in one
 * place. */
static bool
find_silent_end(const struct pipeline *p, const struct history *h,
                uint64_t *dpidp)
{
    uint32_t port;
    int n_lost = 0;

    if (!p->config.ledger || !p->topology || h->verdict.name != VERDICT_LOST ||
        h->verdict.evidence != EVIDENCE_UNCERTAIN) {
        return false;
    }
    if (p->topology_ns &&
        history_first_ns(h) < p->topology_ns + TOPOLOGY_PAST_SLACK_NS) {
        return false; /* The link may have been another then. */
    }
    for (size_t i = 0; i < h->n_hops; i++) {
        n_lost += h->hops[i].verdict.name == VERDICT_LOST;
    }
    return n_lost == 1 && topology_peer(p->topology, h->verdict.dpid,
                                        h->verdict.port, dpidp, &port);
}

static void
set_complete(struct history *h)
{
    h->verdict.evidence = EVIDENCE_COMPLETE;
    for (size_t i = 0; i < h->n_hops; i++) {
        if (h->hops[i].verdict.name == VERDICT_LOST) {
            h->hops[i].verdict.evidence = EVIDENCE_COMPLETE;
        }
    }
}

/* Histories of which the ledger tells by now, or that have waited long
 * enough, go on. */
static void
settle(struct pipeline *p, bool is_end)
{
    struct waiting **wp = &p->first_waiting, *w;

    while ((w = *wp)) {
        enum loss_answer answer = loss_ledger_ask(
            p->config.ledger, w->dpid, w->from_ns, w->to_ns, p->now_ns);

        if (answer == LOSS_NOT_YET && p->now_ns < w->due_ns && !is_end) {
            wp = &w->next;
            continue;
        }
        if (answer == LOSS_NONE) {
            set_complete(w->history);
        }
        *wp = w->next;
        if (!w->next) {
            p->last_waiting = wp;
        }
        p->n_waiting--;
        give(p, w->history);
        free(w);
    }
}

static void
emit(void *p_, struct history *h)
{
    struct pipeline *p = p_;
    uint64_t from_ns, to_ns = p->now_ns, dpid;
    struct waiting *w;

    if (!find_silent_end(p, h, &dpid)) {
        give(p, h);
        return;
    }
    from_ns = history_first_ns(h);
    switch (
        loss_ledger_ask(p->config.ledger, dpid, from_ns, to_ns, p->now_ns)) {
    case LOSS_NONE:
        set_complete(h);
        /* Fall through. */
    case LOSS_UNKNOWN:
        give(p, h);
        return;
    case LOSS_NOT_YET:
        break;
    }
    if (p->n_waiting >= PIPELINE_MAX_WAIT) {
        give(p, h);
        return;
    }
    w = lh_alloc(sizeof *w);
    *w = (struct waiting){.history = h,
                          .dpid = dpid,
                          .from_ns = from_ns,
                          .to_ns = to_ns,
                          .due_ns = p->now_ns + PIPELINE_WAIT_NS};
    *p->last_waiting = w;
    p->last_waiting = &w->next;
    p->n_waiting++;
}

/* A packet on a known way: its history is made only if somebody looks at it.
 */
static void
emit_packet(void *p_, struct trajectory *t,
            const struct trajectory_packet *packet)
{
    struct pipeline *p = p_;

    p->n_histories++;
    p->n_verdicts[trajectory_verdict(t)]++;
    if (p->config.archive) {
        archive_writer_add_packet(p->config.archive, t, packet);
    }
    triggers_offer_packet(p->config.triggers, t, packet);
    if (p->config.json && p->is_json_ok) {
        struct history *h = trajectory_history(t, packet);

        write_json(p, h);
        history_destroy(h);
    }
}

void
pipeline_count(struct pipeline *p, uint64_t dpid, uint64_t asked_ns,
               uint64_t time_ns, uint64_t n_sent)
{
    if (p->config.ledger) {
        loss_ledger_count(p->config.ledger, dpid, asked_ns, time_ns, n_sent);
    }
}

static const struct rule *
find_rule(void *p_, uint64_t dpid, uint32_t version)
{
    struct pipeline *p = p_;

    return rule_cache_find(p->config.rules, dpid, version, p->now_ns);
}

static bool
is_silent(void *p_, uint64_t dpid)
{
    const struct pipeline *p = p_;

    return rule_cache_is_silent(p->config.rules, dpid);
}

static bool
is_capped(void *p_, uint64_t dpid)
{
    const struct pipeline *p = p_;

    return rule_cache_is_capped(p->config.rules, dpid);
}

static bool
has_lossless(void *p_, uint64_t dpid, uint64_t from_ns, uint64_t to_ns)
{
    return true;
}

struct pipeline *
pipeline_create(const struct pipeline_config *config)
{
    struct pipeline *p = lh_alloc_zero(sizeof *p);
    struct path_table_config paths = {
        .window_ns = config->window_ns,
        .max_postcards = config->max_postcards,
        .id_config = config->id_config,
        .emit = emit,
        .emit_packet = emit_packet,
        .find_rule = find_rule,
        .has_lossless = config->is_lossless ? has_lossless : NULL,
        .is_silent = is_silent,
        .is_capped = is_capped,
        .aux = p,
    };

    p->config = *config;
    p->last_waiting = &p->first_waiting;
    p->is_json_ok = true;
    p->paths = path_table_create(&paths);
    if (!p->paths) {
        abort();
    }
    return p;
}

void
pipeline_destroy(struct pipeline *p)
{
    if (p) {
        path_table_destroy(p->paths);
        while (p->first_waiting) {
            struct waiting *w = p->first_waiting;

            p->first_waiting = w->next;
            history_destroy(w->history);
            free(w);
        }
        loss_ledger_destroy(p->config.ledger);
        archive_writer_close(p->config.archive);
        topology_unref(p->topology);
        free(p);
    }
}

void
pipeline_set_topology(struct pipeline *p, const struct topology *topology,
                      uint64_t now_ns)
{
    topology_unref(p->topology);
    p->topology = topology_ref(topology);
    p->topology_ns = now_ns;
    if (now_ns) {
        path_table_change_topology(p->paths, topology, now_ns);
    } else {
        path_table_set_topology(p->paths, topology);
    }
    triggers_set_topology(p->config.triggers, topology);
    if (p->config.archive) {
        archive_writer_set_topology(p->config.archive, topology, now_ns);
    }
}

const struct topology *
pipeline_topology(const struct pipeline *p)
{
    return p->topology;
}

void
pipeline_add(struct pipeline *p, const struct postcard *postcard)
{
    p->now_ns = postcard->time_ns;
    if (p->config.ledger) {
        loss_ledger_came(p->config.ledger, postcard->dpid, postcard->time_ns);
    }
    path_table_push(p->paths, postcard);
}

void
pipeline_drain(struct pipeline *p)
{
    path_table_drain(p->paths);
}

void
pipeline_run(struct pipeline *p, uint64_t now_ns)
{
    p->now_ns = now_ns;
    path_table_run(p->paths, now_ns);
    if (p->n_waiting) {
        settle(p, false);
    }
}

void
pipeline_run_to(struct pipeline *p, uint64_t time_ns)
{
    p->now_ns = time_ns;
    path_table_run_to(p->paths, time_ns);
    if (p->n_waiting) {
        settle(p, false);
    }
}

uint64_t
pipeline_next_ns(const struct pipeline *p)
{
    uint64_t next_ns = path_table_next_ns(p->paths);
    const struct waiting *w = p->first_waiting;

    return w && w->due_ns < next_ns ? w->due_ns : next_ns;
}

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
pipeline_round(struct pipeline *p, uint64_t now_ns)
{
    if (p->config.archive) {
        archive_writer_round(p->config.archive, now_ns);
        say_trouble(p);
    }
    if (p->config.json && p->is_json_ok && fflush(p->config.json)) {
        fail_json(p);
    }
}

void
pipeline_flush(struct pipeline *p, uint64_t now_ns)
{
    path_table_flush(p->paths);
    p->now_ns = now_ns;
    settle(p, true);
    pipeline_round(p, now_ns);
}

static void
collect_archive(const struct pipeline *p, struct counters *c)
{
    struct archive_writer_counters archive;

    archive_writer_get_counters(p->config.archive, &archive);
    c->archived = archive.durable;
    c->archived_hops = archive.hops;
    c->archive_lost = archive.lost;
    c->archive_refused = archive.refused;
    c->archive_held = archive.held;
    c->archive_blocks = archive.blocks;
    c->archive_bytes = archive.bytes;
    c->archive_raw_bytes = archive.raw_bytes;
    c->archive_errors = archive.write_errors;
    c->archive_removed = archive.segments_removed;
    c->archive_merges = archive.merges;
    c->archive_merge_bytes = archive.merged_bytes;
    c->archive_merge_errors = archive.merge_errors;
    c->archive_size = archive.total_bytes;
}

void
pipeline_collect(const struct pipeline *p, struct counters *c)
{
    struct path_table_counters paths;

    path_table_get_counters(p->paths, &paths);
    c->assembled = paths.out;
    c->duplicates = paths.duplicates;
    c->ambiguous = paths.ambiguous;
    c->dropped_full = paths.dropped_full;
    c->dropped_memory = paths.dropped_memory;
    c->open_postcards = paths.held;
    c->without_id = paths.without_id;
    c->late = paths.late;
    c->open_groups = paths.open_groups;
    c->closed_groups = paths.closed_groups;
    c->odd_times = paths.odd_times;
    c->topologies_forgotten = paths.topologies_forgotten;
    c->closed_early = paths.closed_early;
    c->closed_settle = paths.closed_settle;
    c->closed_window = paths.closed_window;
    c->closed_size = paths.closed_size;
    c->recognised = paths.recognised;
    c->unforeseen = paths.unforeseen;
    c->known_paths = paths.paths;
    c->known_flows = paths.flows;
    if (p->config.ledger) {
        loss_ledger_sum(p->config.ledger, p->now_ns, &c->missing_min,
                        &c->missing_max);
    }
    c->awaiting_counters = p->n_waiting;
    c->histories = p->n_histories;
    c->delivered = p->n_verdicts[VERDICT_DELIVERED];
    c->controller = p->n_verdicts[VERDICT_CONTROLLER];
    c->open = p->n_verdicts[VERDICT_OPEN];
    c->lost = p->n_verdicts[VERDICT_LOST];
    c->dropped = p->n_verdicts[VERDICT_DROPPED];
    c->looped = p->n_verdicts[VERDICT_LOOPED];
    c->no_verdict = p->n_verdicts[VERDICT_NONE];
    if (p->config.archive) {
        collect_archive(p, c);
    }
}

bool
pipeline_json_is_ok(const struct pipeline *p)
{
    return p->is_json_ok;
}
