/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_split_paths - postcards of a shard become histories. */
#include <config.h>

#include <inttypes.h>
#include <stdlib.h>

#include "lib/monotonic.h"
#include "lib/random64.h"
#include "lib/say.h"
#include "server/catch_up.h"
#include "server/cluster_book.h"
#include "server/cluster_holes.h"
#include "server/cluster_split_impl.h"
#include "server/loss_wait.h"
#include "server/rule_cache.h"
#include "server/sample_gate.h"

/* Postcards in one go. */
#define SLICE 4096
/* Bytes of histories that wait: nothing is read on. */
#define FULL_BYTES (16u << 20)

/* Histories that wait for counters, for each snapshot has them. */
#define MAX_WAITING 128
#define MAX_HOPS    64
#define MAX_HEADERS 16384u /* Bytes of their headers. */
/* Of packets on known ways, whose delays are noted; a power of 2. */
#define DELAYS_EVERY 16

/* --- Histories. -----------------------------------------------------------
 */

/* It goes to its owner. */
static void
hand_on(void *s_, uint32_t from, struct history *h)
{
    struct cluster_split *s = s_;

    s->is_dirty = true;
    cluster_outbox_add(cluster_checkpoint_box(s->checkpoint), h);
}

static bool
has_agents(const struct cluster_split *s)
{
    return s->config.book && cluster_book_has_agents(s->config.book);
}

static size_t
count_header_bytes(const struct history *h)
{
    size_t n = 0;

    for (size_t i = 0; i < h->n_hops; i++) {
        n += h->hops[i].caplen + (size_t) h->hops[i].header_out_len;
    }
    return n;
}

/* Whether counters may say more of it, about switch '*dpidp'. */
static bool
may_wait(const struct cluster_split *s, const struct history *h,
         uint64_t *dpidp)
{
    return s->wait && (!s->config.wire || *s->config.wire > 1) &&
           loss_wait_count(s->wait) < MAX_WAITING && h->n_hops <= MAX_HOPS &&
           count_header_bytes(h) <= MAX_HEADERS &&
           loss_wait_find(h, s->topology, has_agents(s), dpidp);
}

static void
emit(void *s_, struct history *h)
{
    struct cluster_split *s = s_;
    uint64_t dpid;

    s->n.histories++;
    s->is_dirty = true;
    if (has_agents(s)) {
        clock_delays_note_history(cluster_book_delays(s->config.book), h, NULL,
                                  s->now_ns);
    }
    if (may_wait(s, h, &dpid)) {
        loss_wait_add(s->wait, h, dpid, 0, s->now_ns);
    } else {
        hand_on(s, 0, h);
    }
}

static void
emit_packet(void *s_, struct trajectory *t,
            const struct trajectory_packet *packet)
{
    struct cluster_split *s = s_;

    s->n.histories++;
    s->is_dirty = true;
    /* The least of many is asked for: some will do. */
    if (!(s->n.histories & (DELAYS_EVERY - 1)) && has_agents(s)) {
        clock_delays_note_history(cluster_book_delays(s->config.book),
                                  trajectory_model(t), packet->times_ns,
                                  s->now_ns);
    }
    cluster_outbox_add_packet(cluster_checkpoint_box(s->checkpoint), t,
                              packet);
}

static const struct rule *
find_rule(void *s_, uint64_t dpid, uint32_t version)
{
    struct cluster_split *s = s_;

    return rule_cache_find(s->config.rules, dpid, version, s->now_ns);
}

static bool
has_lossless(void *s, uint64_t dpid, uint64_t from_ns, uint64_t to_ns)
{
    return true;
}

static bool
is_sampled_out(void *s_, uint64_t packet_id)
{
    const struct cluster_split *s = s_;

    return sample_gate_is_out(s->gate, packet_id);
}

static uint64_t
extra_window(void *s_, uint64_t now_ns)
{
    const struct cluster_split *s = s_;

    return catch_up_extra(s->catch_up, now_ns);
}

static bool
is_silent(void *s_, uint64_t dpid)
{
    const struct cluster_split *s = s_;

    return rule_cache_is_silent(s->config.rules, dpid);
}

static bool
is_capped(void *s_, uint64_t dpid)
{
    const struct cluster_split *s = s_;

    return rule_cache_is_capped(s->config.rules, dpid);
}

static void
create_paths(struct cluster_split *s)
{
    const struct path_table_config config = {
        .window_ns = s->config.window_ns,
        .max_postcards = s->config.max_postcards,
        /* None is folded: snapshots borrow what is held. */
        .max_plain = SIZE_MAX,
        .id_config = s->config.id_config,
        .kit = s->config.kit,
        .is_driven = true,
        .is_timed = true,
        .secret = s->secret,
        .emit = emit,
        .emit_packet = emit_packet,
        .find_rule = find_rule,
        .has_lossless = s->config.is_lossless ? has_lossless : NULL,
        .is_sampled_out = is_sampled_out,
        .extra_window = extra_window,
        .is_silent = is_silent,
        .is_capped = is_capped,
        .aux = s,
    };

    s->paths = path_table_create(&config);
    if (!s->paths) {
        abort();
    }
    if (s->topology) {
        path_table_set_topology(s->paths, s->topology);
    }
}

/* --- Postcards. -----------------------------------------------------------
 */

static bool
on_card(void *s_, const struct postcard *p, uint64_t time_ns)
{
    struct cluster_split *s = s_;

    s->now_ns = time_ns;
    s->is_dirty = true;
    s->n.postcards++;
    if (time_ns >= path_table_next_ns(s->paths)) {
        path_table_run(s->paths, time_ns);
    }
    path_table_lead(s->paths, time_ns);
    path_table_push_apart(s->paths, p);
    /* A file is judged by the rules that it needs, as fast as it is read. */
    return !rule_cache_n_waiting(s->config.rules) ||
           !cluster_merge_has_file(s->merge);
}

static void
on_inner(void *s_, uint64_t inner, uint64_t outer, uint64_t time_ns)
{
    struct cluster_split *s = s_;

    path_table_note_inner(s->paths, inner, outer, time_ns);
}

/* What may have been left out of packets, and whether hops of them come much
 * later than others. */
static void
on_agents(void *s_, uint32_t threshold, bool is_catching_up, uint64_t time_ns)
{
    struct cluster_split *s = s_;

    sample_gate_note(s->gate, threshold, time_ns);
    if (is_catching_up) {
        catch_up_note(s->catch_up, time_ns);
    }
}

/* The packets of those postcards were first seen before them. */
static void
on_missing(void *s_, uint64_t n, uint64_t since_ns, uint64_t until_ns,
           bool is_hurried)
{
    struct cluster_split *s = s_;
    uint64_t open_ns =
        2 * (s->config.window_ns ? s->config.window_ns : PATH_TABLE_WINDOW_NS);
    const struct cluster_hole hole = {
        .what = HOLE_POSTCARDS,
        .n = n,
        .since_ns = since_ns > open_ns ? since_ns - open_ns : 0,
        .until_ns = until_ns};

    say_error("shard %" PRIu32 ": %" PRIu64 " messages of postcards that "
              "NATS had acknowledged are not there any more%s, and are lost",
              s->config.shard, n,
              is_hurried ? ", as far as there was room to wait for them" : "");
    if (s->config.on_hole) {
        s->config.on_hole(s->config.aux, &hole);
    }
}

static void
create_merge(struct cluster_split *s)
{
    const struct cluster_merge_config config = {
        .id_config = s->config.id_config,
        .codecs = s->codecs,
        .silent_ns = s->config.silent_ns,
        .mends = true,
        .on_card = on_card,
        .on_inner = on_inner,
        .on_agents = on_agents,
        .on_missing = on_missing,
        .aux = s,
    };

    s->merge = cluster_merge_create(&config);
}

bool
cluster_split_is_full(const struct cluster_split *s)
{
    return cluster_outbox_size(cluster_checkpoint_box(s->checkpoint)) >
           FULL_BYTES;
}

bool
cluster_split_work(struct cluster_split *s)
{
    bool waits = rule_cache_n_waiting(s->config.rules) &&
                 cluster_merge_has_file(s->merge);
    uint64_t clock_ns;
    bool is_idle;

    if (waits || cluster_split_is_full(s)) {
        return false;
    }
    is_idle = s->is_idle && !s->slept;
    s->slept = false;
    if (cluster_merge_run(s->merge, monotonic_ns(), is_idle, SLICE)) {
        path_table_drain(s->paths); /* Before others change the kit. */
        return !rule_cache_n_waiting(s->config.rules);
    }
    clock_ns = cluster_merge_clock_ns(s->merge);
    if (clock_ns) {
        s->now_ns = clock_ns;
        path_table_run(s->paths, clock_ns);
        if (s->wait) {
            loss_wait_settle(s->wait, clock_ns, false);
        }
    }
    if (cluster_merge_is_over(s->merge)) {
        path_table_flush(s->paths);
        if (s->wait) {
            loss_wait_settle(s->wait, s->now_ns, true);
        }
    }
    return false;
}

static void
draw_secret(struct cluster_split *s)
{
    while (!s->secret) {
        s->secret = random64_draw();
    }
}

void
cluster_split_create_paths(struct cluster_split *s)
{
    draw_secret(s);
    create_paths(s);
    create_merge(s);
    if (s->config.ledger) {
        s->wait = loss_wait_create(s->config.ledger, NULL, hand_on, s);
        loss_wait_set_cluster_book(s->wait, s->config.book);
    }
}
