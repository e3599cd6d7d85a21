/* SPDX-License-Identifier: Apache-2.0 */
/* trigger_share - the filters of all triggers, for one worker. */
#include <config.h>

#include "server/trigger_share.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "phf/phf_set.h"

struct filter {
    uint32_t id;     /* Of the trigger. */
    uint32_t set_id; /* In the set. */
    uint64_t n_missed;
};

struct trigger_share {
    struct mailbox *box;
    struct phf_set *set; /* Owned. */
    size_t n, allocated;
    struct filter **filters; /* Owned. */
    uint64_t n_untold;       /* Of all filters. */
    uint64_t n_limits;       /* Matchings that gave up. */
    size_t n_hits, allocated_hits;
    struct filter **hits; /* Of the history at hand. */
    struct history *history;
};

struct trigger_share *
trigger_share_create(struct mailbox *box)
{
    struct trigger_share *share = lh_alloc_zero(sizeof *share);

    share->box = box;
    share->set = phf_set_create();
    return share;
}

void
trigger_share_destroy(struct trigger_share *share)
{
    if (share) {
        for (size_t i = 0; i < share->n; i++) {
            free(share->filters[i]);
        }
        phf_set_destroy(share->set);
        free(share->filters);
        free(share->hits);
        free(share);
    }
}

void
trigger_share_add(struct trigger_share *share, uint32_t id, struct phf *phf)
{
    struct filter *filter = lh_alloc_zero(sizeof *filter);

    filter->id = id;
    filter->set_id = phf_set_add(share->set, phf, filter);
    share->filters = lh_alloc_grow(share->filters, share->n, &share->allocated,
                                   sizeof *share->filters);
    share->filters[share->n++] = filter;
}

void
trigger_share_remove(struct trigger_share *share, uint32_t id)
{
    size_t i = 0;

    while (i < share->n && share->filters[i]->id != id) {
        i++;
    }
    assert(i < share->n);
    phf_set_remove(share->set, share->filters[i]->set_id);
    share->n_untold -= share->filters[i]->n_missed;
    free(share->filters[i]);
    share->n--;
    memmove(share->filters + i, share->filters + i + 1,
            (share->n - i) * sizeof *share->filters);
}

static void
on_hit(void *share_, uint32_t id, void *filter_, enum phf_result result)
{
    struct trigger_share *share = share_;
    struct filter *filter = filter_;

    if (result != PHF_MATCH) {
        share->n_limits++;
    } else if (!mailbox_has_room(share->box)) {
        filter->n_missed++;
        share->n_untold++;
    } else {
        if (!share->history) {
            share->history = history_clone(phf_set_history(share->set));
        }
        share->hits =
            lh_alloc_grow(share->hits, share->n_hits, &share->allocated_hits,
                          sizeof *share->hits);
        share->hits[share->n_hits++] = filter;
    }
}

/* Sends what 'hits' has; false, and nothing done, when there is no room. */
static bool
send_hits(struct trigger_share *share, bool is_match)
{
    struct mail *mail = mail_create(MAIL_HIT, share->n_hits);
    uint64_t n_told = 0;

    for (size_t i = 0; i < share->n_hits; i++) {
        mail->hits[i] =
            (struct mail_hit){.id = share->hits[i]->id,
                              .is_match = is_match,
                              .n_missed = share->hits[i]->n_missed};
        n_told += share->hits[i]->n_missed;
    }
    mail->history = share->history;
    if (!mailbox_offer(share->box, mail)) {
        mail->history = NULL;
        mail_destroy(mail);
        return false;
    }
    share->history = NULL;
    share->n_untold -= n_told;
    for (size_t i = 0; i < share->n_hits; i++) {
        share->hits[i]->n_missed = 0;
    }
    return true;
}

/* Sends what was matched, or counts it. */
static void
end_offer(struct trigger_share *share)
{
    if (share->n_hits && !send_hits(share, true)) {
        for (size_t i = 0; i < share->n_hits; i++) {
            share->hits[i]->n_missed++;
            share->n_untold++;
        }
        history_destroy(share->history);
        share->history = NULL;
    }
    share->n_hits = 0;
}

void
trigger_share_offer(struct trigger_share *share, const struct history *h,
                    const struct topology *topology)
{
    if (share->n) {
        phf_set_match(share->set, h, topology, on_hit, share);
        end_offer(share);
    }
}

void
trigger_share_offer_packet(struct trigger_share *share, struct trajectory *t,
                           const struct trajectory_packet *packet,
                           const struct topology *topology)
{
    if (share->n) {
        phf_set_match_packet(share->set, t, packet, topology, on_hit, share);
        end_offer(share);
    }
}

void
trigger_share_tell(struct trigger_share *share)
{
    if (share->n_untold && mailbox_has_room(share->box)) {
        for (size_t i = 0; i < share->n; i++) {
            if (share->filters[i]->n_missed) {
                share->hits =
                    lh_alloc_grow(share->hits, share->n_hits,
                                  &share->allocated_hits, sizeof *share->hits);
                share->hits[share->n_hits++] = share->filters[i];
            }
        }
        send_hits(share, false);
        share->n_hits = 0;
    }
}

void
trigger_share_collect_set(const struct phf_set *set, struct counters *c)
{
    struct phf_set_counters n;

    phf_set_get_counters(set, &n);
    c->trigger_histories += n.histories;
    c->trigger_runs += n.runs;
    c->trigger_skipped += n.skipped;
    c->trigger_paths += n.paths;
    c->trigger_flows += n.trajectories;
    c->trigger_written += n.written;
}

void
trigger_share_collect(const struct trigger_share *share, struct counters *c)
{
    c->trigger_hits += share->n_untold;
    c->trigger_missed += share->n_untold;
    c->trigger_limits += share->n_limits;
    trigger_share_collect_set(share->set, c);
}
