/* SPDX-License-Identifier: Apache-2.0 */
/* shard - the packets of one share of all packet IDs, from postcards to
 * triggers, archive and output. */
#include <config.h>

#include "server/shard.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "server/loss_wait.h"
#include "server/topology_past.h"

#define DELAYS_EVERY 8 /* A power of 2. */

struct shard {
    struct shard_config config;
    struct path_table *paths;    /* Owned. */
    struct topology *topology;   /* Owned reference, or NULL. */
    uint64_t topology_ns;        /* When it came; 0: it holds for all times. */
    uint64_t now_ns;             /* The latest time heard of. */
    struct clock_delays *delays; /* Owned, or NULL. */
    uint64_t n_histories;
    uint64_t n_verdicts[VERDICT_LOOPED + 1];
};

void
shard_give(struct shard *s, struct history *h)
{
    s->n_histories++;
    s->n_verdicts[h->verdict.name]++;
    if (s->config.triggers) {
        triggers_offer(s->config.triggers, h);
    } else if (s->config.share) {
        trigger_share_offer(s->config.share, h, s->topology);
    }
    if (s->config.archive) {
        archive_part_add(s->config.archive, h);
    }
    if (s->config.json) {
        json_lines_write(s->config.json, h, s->topology);
    }
    history_destroy(h);
}

/* Whether somebody may tell more of the history, and has taken it. */
static bool
wait(struct shard *s, struct history *h)
{
    uint64_t dpid;

    if (!s->config.wait ||
        !loss_wait_find(h, s->topology, s->delays != NULL, &dpid)) {
        return false;
    }
    if (s->topology_ns &&
        history_first_ns(h) < s->topology_ns + TOPOLOGY_PAST_SLACK_NS) {
        return false; /* The link may have been another then. */
    }
    return s->config.wait(s->config.aux, h, dpid, s->now_ns);
}

static void
emit(void *s_, struct history *h)
{
    struct shard *s = s_;

    if (s->delays) {
        clock_delays_note_history(s->delays, h, NULL, s->now_ns);
    }
    if (!wait(s, h)) {
        shard_give(s, h);
    }
}

/* A packet on a known way: its history is made only if somebody looks at it.
 */
static void
emit_packet(void *s_, struct trajectory *t,
            const struct trajectory_packet *packet)
{
    struct shard *s = s_;

    s->n_histories++;
    s->n_verdicts[trajectory_verdict(t)]++;
    /* The least of many is asked for: some will do. */
    if (s->delays && !(s->n_histories & (DELAYS_EVERY - 1))) {
        clock_delays_note_history(s->delays, trajectory_model(t),
                                  packet->times_ns, s->now_ns);
    }
    if (s->config.archive) {
        archive_part_add_packet(s->config.archive, t, packet);
    }
    if (s->config.triggers) {
        triggers_offer_packet(s->config.triggers, t, packet);
    } else if (s->config.share) {
        trigger_share_offer_packet(s->config.share, t, packet, s->topology);
    }
    if (s->config.json && json_lines_is_ok(s->config.json)) {
        struct history *h = trajectory_history(t, packet);

        json_lines_write(s->config.json, h, s->topology);
        history_destroy(h);
    }
}

static const struct rule *
find_rule(void *s_, uint64_t dpid, uint32_t version)
{
    struct shard *s = s_;

    return rule_cache_find(s->config.rules, dpid, version, s->now_ns);
}

static bool
is_sampled_out(void *s_, uint64_t packet_id)
{
    const struct shard *s = s_;

    return sample_gate_is_out(s->config.gate, packet_id);
}

static uint64_t
extra_window(void *s_, uint64_t now_ns)
{
    const struct shard *s = s_;

    return catch_up_extra(s->config.catch_up, now_ns);
}

static bool
is_silent(void *s_, uint64_t dpid)
{
    const struct shard *s = s_;

    return rule_cache_is_silent(s->config.rules, dpid);
}

static bool
is_capped(void *s_, uint64_t dpid)
{
    const struct shard *s = s_;

    return rule_cache_is_capped(s->config.rules, dpid);
}

static bool
has_lossless(void *s_, uint64_t dpid, uint64_t from_ns, uint64_t to_ns)
{
    return true;
}

struct shard *
shard_create(const struct shard_config *config)
{
    struct shard *s = lh_alloc_zero(sizeof *s);
    struct path_table_config paths = {
        .window_ns = config->window_ns,
        .max_postcards = config->max_postcards,
        .id_config = config->id_config,
        .emit = emit,
        .emit_packet = emit_packet,
        .find_rule = find_rule,
        .has_lossless = config->is_lossless ? has_lossless : NULL,
        .is_sampled_out = config->gate ? is_sampled_out : NULL,
        .extra_window = config->catch_up ? extra_window : NULL,
        .is_silent = is_silent,
        .is_capped = is_capped,
        .is_timed = config->is_timed,
        .aux = s,
    };

    s->config = *config;
    s->delays = config->has_delays ? clock_delays_create() : NULL;
    s->paths = path_table_create(&paths);
    if (!s->paths) {
        abort();
    }
    return s;
}

void
shard_destroy(struct shard *s)
{
    if (s) {
        path_table_destroy(s->paths);
        clock_delays_destroy(s->delays);
        archive_part_destroy(s->config.archive);
        topology_unref(s->topology);
        free(s);
    }
}

void
shard_set_topology(struct shard *s, const struct topology *topology,
                   uint64_t now_ns)
{
    topology_unref(s->topology);
    s->topology = topology_ref(topology);
    s->topology_ns = now_ns;
    if (now_ns) {
        path_table_change_topology(s->paths, topology, now_ns);
    } else {
        path_table_set_topology(s->paths, topology);
    }
}

void
shard_push(struct shard *s, const struct postcard *postcard)
{
    if (!postcard->visit) {
        s->now_ns = postcard->time_ns;
    }
    path_table_push(s->paths, postcard);
}

void
shard_drain(struct shard *s)
{
    path_table_drain(s->paths);
}

void
shard_run(struct shard *s, uint64_t now_ns)
{
    s->now_ns = now_ns;
    path_table_run(s->paths, now_ns);
    if (s->config.share) {
        trigger_share_tell(s->config.share);
    }
}

void
shard_run_to(struct shard *s, uint64_t time_ns)
{
    s->now_ns = time_ns;
    path_table_run_to(s->paths, time_ns);
}

uint64_t
shard_next_ns(const struct shard *s)
{
    return path_table_next_ns(s->paths);
}

void
shard_flush(struct shard *s, uint64_t now_ns)
{
    path_table_flush(s->paths);
    s->now_ns = now_ns;
    if (s->config.share) {
        trigger_share_tell(s->config.share);
    }
}

void
shard_note_inner(struct shard *s, uint64_t inner, uint64_t outer,
                 uint64_t time_ns)
{
    path_table_note_inner(s->paths, inner, outer, time_ns);
}

const struct clock_delays *
shard_delays(const struct shard *s)
{
    return s->delays;
}

struct archive_part *
shard_archive(struct shard *s)
{
    return s->config.archive;
}

static void
collect_paths(const struct shard *s, struct counters *c)
{
    struct path_table_counters paths;

    path_table_get_counters(s->paths, &paths);
    c->assembled += paths.out;
    c->duplicates += paths.duplicates;
    c->ambiguous += paths.ambiguous;
    c->dropped_full += paths.dropped_full;
    c->dropped_memory += paths.dropped_memory;
    c->sampled_out += paths.sampled_out;
    c->open_postcards += paths.held;
    c->without_id += paths.without_id;
    c->late += paths.late;
    c->open_groups += paths.open_groups;
    c->closed_groups += paths.closed_groups;
    c->odd_times += paths.odd_times;
    c->topologies_forgotten += paths.topologies_forgotten;
    c->closed_early += paths.closed_early;
    c->closed_settle += paths.closed_settle;
    c->closed_window += paths.closed_window;
    c->closed_size += paths.closed_size;
    c->recognised += paths.recognised;
    c->unforeseen += paths.unforeseen;
    c->known_paths += paths.paths;
    c->known_flows += paths.flows;
}

void
shard_collect(const struct shard *s, struct counters *c)
{
    collect_paths(s, c);
    c->histories += s->n_histories;
    c->delivered += s->n_verdicts[VERDICT_DELIVERED];
    c->controller += s->n_verdicts[VERDICT_CONTROLLER];
    c->open += s->n_verdicts[VERDICT_OPEN];
    c->lost += s->n_verdicts[VERDICT_LOST];
    c->dropped += s->n_verdicts[VERDICT_DROPPED];
    c->looped += s->n_verdicts[VERDICT_LOOPED];
    c->no_verdict += s->n_verdicts[VERDICT_NONE];
    if (s->config.archive) {
        struct archive_part_counters archive;

        archive_part_get_counters(s->config.archive, &archive);
        c->archive_held += archive.in;
        c->archive_refused += archive.refused;
    }
    if (s->config.share) {
        trigger_share_collect(s->config.share, c);
    }
}
