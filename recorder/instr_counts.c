/* SPDX-License-Identifier: Apache-2.0 */
/* instr_counts - what groups had counted before the recorder rewrote them. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "recorder/of_records.h"
#include "recorder/of_wire.h"

#define NO_SLOT SIZE_MAX

struct pair {
    uint64_t n_packets, n_bytes;
};

/* One of the group, or of a bucket. */
struct count {
    struct pair kept; /* Before the last rewriting but one. */
    struct pair last; /* Until the last one, which may yet be refused. */
    size_t slot;      /* Which of the answer that is to come is its own: a
                       * bucket's place then; or NO_SLOT. */
};

struct instr_counts {
    uint64_t asked_tag;   /* Of the question for 'last'. */
    uint64_t rewrite_tag; /* Of the rewriting. */
    struct count total;
    size_t n_buckets;
    struct count buckets[]; /* Of the group. */
};

static struct instr_counts *
create(size_t n_buckets)
{
    struct instr_counts *counts =
        lh_alloc_zero(sizeof *counts + n_buckets * sizeof counts->buckets[0]);

    counts->n_buckets = n_buckets;
    return counts;
}

void
instr_counts_destroy(struct instr_counts *counts)
{
    free(counts);
}

/* --- Asking. --- */

static uint64_t
ask(const struct instr_change *c, uint32_t id)
{
    struct instr_change own;
    uint8_t *msg;
    size_t len;

    instr_change_init(&own, c->link, c->out, c->now_ns, c->who);
    if (c->in_bundle && c->bundle_tag && !instr_is_own_tag(c->bundle_tag)) {
        own.tag = c->bundle_tag - 1; /* Does not yet confirm the commit. */
    }
    of_group_stats_request(c->link->of_version, id, &msg, &len);
    instr_emit_own(&own, msg, len);
    instr_emit_first(c);
    return own.tag;
}

void
instr_counts_ask_all(struct instr_change *c)
{
    c->counts_tag = ask(c, OF_GROUP_ALL);
}

static void
settle(struct count *count, size_t slot)
{
    count->kept.n_packets += count->last.n_packets;
    count->kept.n_bytes += count->last.n_bytes;
    count->last = (struct pair){0, 0};
    count->slot = slot;
}

void
instr_counts_keep(struct instr_change *c, struct shadow_group *sg)
{
    if (c->in_bundle && sg->bundle_tag && sg->bundle_tag == c->bundle_tag) {
        return; /* It begins anew with the controller's change before. */
    }
    if (!sg->counts) {
        sg->counts = create(sg->n_buckets);
    }
    settle(&sg->counts->total, 0);
    for (size_t i = 0; i < sg->n_buckets; i++) {
        settle(&sg->counts->buckets[i], i);
    }
    sg->counts->rewrite_tag =
        c->in_bundle && c->bundle_tag ? c->bundle_tag : c->tag;
    sg->counts->asked_tag = c->counts_tag ? c->counts_tag : ask(c, sg->id);
}

void
instr_counts_edit(const struct shadow_group *old, struct shadow_group *sg,
                  const size_t *from)
{
    const struct instr_counts *was = old->counts;

    if (!was) {
        return;
    }
    sg->counts = create(sg->n_buckets);
    sg->counts->asked_tag = was->asked_tag;
    sg->counts->rewrite_tag = was->rewrite_tag;
    sg->counts->total.slot = NO_SLOT;
    for (size_t i = 0; i < sg->n_buckets; i++) {
        struct count *count = &sg->counts->buckets[i];

        if (from[i] < was->n_buckets) {
            *count = was->buckets[from[i]];
        } else {
            count->slot = NO_SLOT;
        }
    }
}

void
instr_counts_refused(struct instr *instr, uint64_t tag)
{
    for (size_t g = 0; g < instr->n_groups; g++) {
        struct instr_counts *counts = instr->groups[g]->counts;

        if (tag && counts && counts->rewrite_tag == tag) {
            counts->total.last = (struct pair){0, 0};
            for (size_t i = 0; i < counts->n_buckets; i++) {
                counts->buckets[i].last = (struct pair){0, 0};
            }
            counts->rewrite_tag = 0;
        }
    }
}

/* --- Answers. --- */

static void
take(struct count *count, const uint8_t *record, size_t ofs)
{
    count->last.n_packets = of_wire_get64(record + ofs);
    count->last.n_bytes = of_wire_get64(record + ofs + 8);
    count->slot = NO_SLOT;
}

/* The answer to a question of ours. */
static void
take_record(struct instr_counts *counts, const uint8_t *record,
            const struct of_records_group *g)
{
    if (counts->total.slot != NO_SLOT) {
        take(&counts->total, record, g->total_ofs);
    }
    for (size_t i = 0; i < counts->n_buckets; i++) {
        size_t slot = counts->buckets[i].slot;

        if (slot < g->n_buckets) {
            take(&counts->buckets[i], record, g->bucket_ofs + 16 * slot);
        }
    }
}

static void
add(const struct count *count, uint8_t *p)
{
    uint64_t n_packets = of_wire_get64(p), n_bytes = of_wire_get64(p + 8);

    if (n_packets != UINT64_MAX) { /* The switch does not count. */
        of_wire_put64(p, n_packets + count->kept.n_packets +
                             count->last.n_packets);
    }
    if (n_bytes != UINT64_MAX) {
        of_wire_put64(p + 8,
                      n_bytes + count->kept.n_bytes + count->last.n_bytes);
    }
}

static void
add_record(const struct instr_counts *counts, uint8_t *record,
           const struct of_records_group *g)
{
    add(&counts->total, record + g->total_ofs);
    for (size_t i = 0; i < counts->n_buckets && i < g->n_buckets; i++) {
        add(&counts->buckets[i], record + g->bucket_ofs + 16 * i);
    }
}

void
instr_counts_reply(struct instr_change *c, const uint8_t *msg, size_t len,
                   uint64_t tag)
{
    bool is_own = instr_is_own_tag(tag);
    uint8_t *reply = lh_memdup(msg, len);
    struct of_records r;

    for (of_records_open(&r, OF_GROUP_STATS_REPLY, msg, len);
         of_records_next(&r);) {
        struct of_records_group g;
        const struct shadow_group *sg;

        of_records_group(&r, &g);
        sg = instr_group_find(c->instr, g.id);
        if (!sg || !sg->counts) {
            continue;
        }
        if (!is_own) {
            add_record(sg->counts, reply + (r.record - msg), &g);
        } else if (sg->counts->asked_tag == tag) {
            take_record(sg->counts, r.record, &g);
        }
    }
    if (is_own) {
        free(reply);
    } else {
        instr_emit_up(c, reply, len);
    }
}
