/* SPDX-License-Identifier: Apache-2.0 */
/* loss_wait - histories that say `lost`, until counters tell whether that is
 * all there is to say. */
#include <config.h>

#include "server/loss_wait.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"

/* A history that waits for counters. */
struct waiting {
    struct waiting *next;
    struct history *history; /* Owned. */
    uint64_t dpid;           /* Of whom postcards may be missing. */
    uint32_t from;
    uint64_t from_ns, to_ns, due_ns;
};

struct loss_wait {
    struct loss_ledger *ledger;
    void (*give)(void *aux, uint32_t from, struct history *);
    void *aux;
    struct waiting *first, **last; /* Oldest first. */
    uint64_t n;
};

struct loss_wait *
loss_wait_create(struct loss_ledger *ledger,
                 void (*give)(void *aux, uint32_t from, struct history *),
                 void *aux)
{
    struct loss_wait *wait = lh_alloc_zero(sizeof *wait);

    wait->ledger = ledger;
    wait->give = give;
    wait->aux = aux;
    wait->last = &wait->first;
    return wait;
}

void
loss_wait_destroy(struct loss_wait *wait)
{
    if (wait) {
        while (wait->first) {
            struct waiting *w = wait->first;

            wait->first = w->next;
            history_destroy(w->history);
            free(w);
        }
        free(wait);
    }
}

bool
loss_wait_find(const struct history *h, const struct topology *topology,
               uint64_t *dpidp)
{
    uint32_t port;
    int n_lost = 0;

    if (!topology || h->verdict.name != VERDICT_LOST ||
        h->verdict.evidence != EVIDENCE_UNCERTAIN) {
        return false;
    }
    for (size_t i = 0; i < h->n_hops; i++) {
        n_lost += h->hops[i].verdict.name == VERDICT_LOST;
    }
    return n_lost == 1 && topology_peer(topology, h->verdict.dpid,
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

void
loss_wait_add(struct loss_wait *wait, struct history *h, uint64_t dpid,
              uint32_t from, uint64_t now_ns)
{
    uint64_t from_ns = history_first_ns(h);
    struct waiting *w;

    switch (loss_ledger_ask(wait->ledger, dpid, from_ns, now_ns, now_ns)) {
    case LOSS_NONE:
        set_complete(h);
        /* Fall through. */
    case LOSS_UNKNOWN:
        wait->give(wait->aux, from, h);
        return;
    case LOSS_NOT_YET:
        break;
    }
    if (wait->n >= LOSS_WAIT_MAX) {
        wait->give(wait->aux, from, h);
        return;
    }
    w = lh_alloc(sizeof *w);
    *w = (struct waiting){.history = h,
                          .dpid = dpid,
                          .from = from,
                          .from_ns = from_ns,
                          .to_ns = now_ns,
                          .due_ns = now_ns + LOSS_WAIT_NS};
    *wait->last = w;
    wait->last = &w->next;
    wait->n++;
}

void
loss_wait_settle(struct loss_wait *wait, uint64_t now_ns, bool is_end)
{
    struct waiting **wp = &wait->first, *w;

    while ((w = *wp)) {
        enum loss_answer answer = loss_ledger_ask(
            wait->ledger, w->dpid, w->from_ns, w->to_ns, now_ns);

        if (answer == LOSS_NOT_YET && now_ns < w->due_ns && !is_end) {
            wp = &w->next;
            continue;
        }
        if (answer == LOSS_NONE) {
            set_complete(w->history);
        }
        *wp = w->next;
        if (!w->next) {
            wait->last = wp;
        }
        wait->n--;
        wait->give(wait->aux, w->from, w->history);
        free(w);
    }
}

uint64_t
loss_wait_count(const struct loss_wait *wait)
{
    return wait->n;
}

uint64_t
loss_wait_next_ns(const struct loss_wait *wait)
{
    return wait->first ? wait->first->due_ns : UINT64_MAX;
}
