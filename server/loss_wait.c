/* SPDX-License-Identifier: Apache-2.0 */
/* loss_wait - histories of which a postcard is missing, until counters tell
 * whether that is all there is to say. */
#include <config.h>

#include "server/loss_wait.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/dpid.h"
#include "lib/lh_alloc.h"

/* A history that waits for counters. */
struct waiting {
    struct waiting *next;
    struct history *history; /* Owned. */
    uint64_t dpid;           /* Of whom postcards may be missing. */
    uint32_t from;
    uint64_t to_ns, due_ns;
};

struct loss_wait {
    struct loss_ledger *ledger;
    const struct agent_book *book;           /* NULL: no agents. */
    const struct cluster_book *cluster_book; /* The same. */
    void (*give)(void *aux, uint32_t from, struct history *);
    void *aux;
    struct waiting *first, **last; /* Oldest first. */
    uint64_t n;
};

struct loss_wait *
loss_wait_create(struct loss_ledger *ledger, const struct agent_book *book,
                 void (*give)(void *aux, uint32_t from, struct history *),
                 void *aux)
{
    struct loss_wait *wait = lh_alloc_zero(sizeof *wait);

    wait->ledger = ledger;
    wait->book = book;
    wait->give = give;
    wait->aux = aux;
    wait->last = &wait->first;
    return wait;
}

void
loss_wait_set_cluster_book(struct loss_wait *wait,
                           const struct cluster_book *book)
{
    wait->cluster_book = book;
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

/* Whom a postcard is missing of: the switch of the first hop that was deduced,
 * or the one before the first gap if that is earlier. */
static bool
find_missing(const struct history *h, const struct topology *topology,
             uint64_t *dpidp)
{
    uint32_t port;

    for (size_t i = 0; i < h->n_hops; i++) {
        const struct history_hop *hop = &h->hops[i];

        if (hop->is_deduced) {
            *dpidp = hop->dpid;
            return true;
        }
        if (hop->has_gap_before &&
            topology_peer(topology, hop->dpid, hop->in_port, dpidp, &port)) {
            return true;
        }
    }
    return false;
}

bool
loss_wait_find(const struct history *h, const struct topology *topology,
               bool has_agents, uint64_t *dpidp)
{
    uint32_t port;
    int n_lost = 0;

    if (!topology) {
        return false;
    }
    if (h->verdict.name != VERDICT_LOST) {
        return has_agents && find_missing(h, topology, dpidp);
    }
    for (size_t i = 0; i < h->n_hops; i++) {
        n_lost += h->hops[i].verdict.name == VERDICT_LOST;
    }
    return h->verdict.evidence == EVIDENCE_UNCERTAIN && n_lost == 1 &&
           topology_peer(topology, h->verdict.dpid, h->verdict.port, dpidp,
                         &port);
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

static void
set_reason(struct verdict *v, const char *what, enum agent_place place)
{
    static const char *const by[] = {
        [AGENT_PLACE_RING] = "by the ring",
        [AGENT_PLACE_SPOOL] = "by the agent's spool",
        [AGENT_PLACE_MEMORY] = "by the agent",
        [AGENT_PLACE_CAPTURE] = "by the agent's capture",
    };
    char *reason = lh_asprintf("%s%sa postcard of %s may have been dropped %s",
                               v->reason ? v->reason : "",
                               v->reason ? "; " : "", what, by[place]);

    free(v->reason);
    v->reason = reason;
}

/* Says where postcards of the hop that is missing were lost: in the verdict,
 * and in that of the hop that it is of. */
static void
set_dropped_at(struct history *h, uint64_t dpid, enum agent_place place)
{
    char text[sizeof "switch " + DPID_BUFSIZE] = "that hop";

    if (h->verdict.name != VERDICT_LOST) {
        snprintf(text, sizeof text, "switch " DPID_FMT, dpid);
    }
    for (size_t i = 0; i < h->n_hops; i++) {
        struct verdict *v = &h->hops[i].verdict;

        if (v->name == h->verdict.name && v->name != VERDICT_NONE &&
            v->dpid == h->verdict.dpid && v->port == h->verdict.port) {
            set_reason(v, text, place);
            break;
        }
    }
    set_reason(&h->verdict, text, place);
}

#define MAX_MISSING 8 /* Switches asked about for a history. */

/* The switches of which postcards are missing: 'dpid', and of all other hops
 * that were deduced. */
static size_t
list_missing(const struct history *h, uint64_t dpid,
             uint64_t dpids[MAX_MISSING])
{
    size_t n = 1;

    dpids[0] = dpid;
    for (size_t i = 0; i < h->n_hops && n < MAX_MISSING; i++) {
        size_t k = 0;

        while (k < n && dpids[k] != h->hops[i].dpid) {
            k++;
        }
        if (k == n && h->hops[i].is_deduced) {
            dpids[n++] = h->hops[i].dpid;
        }
    }
    return n;
}

static bool
has_agents(const struct loss_wait *wait)
{
    return wait->book ||
           (wait->cluster_book && cluster_book_has_agents(wait->cluster_book));
}

/* What agents say of postcards of a switch that 'h' may lack. */
static enum agent_loss_answer
ask_agents(const struct loss_wait *wait, const struct history *h,
           uint64_t dpid, uint64_t now_ns, enum agent_place *placep)
{
    uint64_t first_ns = history_first_ns(h), last_ns = history_last_ns(h);

    if (wait->book) {
        return agent_book_ask(wait->book, dpid, first_ns, last_ns, placep);
    }
    return wait->cluster_book
               ? cluster_book_ask(wait->cluster_book, dpid, first_ns, last_ns,
                                  now_ns, placep)
               : AGENT_LOSS_UNKNOWN;
}

/* Asks the book of a history that was not lost, and writes into it what is
 * known: when all is, or at the last. */
static enum loss_answer
ask_book(const struct loss_wait *wait, struct history *h, uint64_t dpid,
         uint64_t now_ns, bool is_last)
{
    enum agent_loss_answer answers[MAX_MISSING];
    enum agent_place places[MAX_MISSING];
    uint64_t dpids[MAX_MISSING];
    size_t n = list_missing(h, dpid, dpids);

    for (size_t i = 0; i < n; i++) {
        answers[i] = ask_agents(wait, h, dpids[i], now_ns, &places[i]);
        if (answers[i] == AGENT_LOSS_NOT_YET && !is_last) {
            return LOSS_NOT_YET;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (answers[i] == AGENT_LOSS_SOME) {
            set_dropped_at(h, dpids[i], places[i]);
        }
    }
    return LOSS_UNKNOWN;
}

/* Asks whoever may know of postcards that switch 'dpid' sent until 'to_ns' of
 * the server's clock, and writes into the history what is known; 'is_last'
 * when it is not asked again. */
static enum loss_answer
ask(const struct loss_wait *wait, struct history *h, uint64_t dpid,
    uint64_t to_ns, uint64_t now_ns, bool is_last)
{
    enum loss_answer answer = LOSS_UNKNOWN;
    enum agent_place place;

    if (has_agents(wait) && h->verdict.name != VERDICT_LOST) {
        /* The ledger says no more than that one is missing. */
        return ask_book(wait, h, dpid, now_ns, is_last);
    }
    switch (ask_agents(wait, h, dpid, now_ns, &place)) {
    case AGENT_LOSS_UNKNOWN:
        answer = loss_ledger_ask(wait->ledger, dpid, history_first_ns(h),
                                 to_ns, now_ns);
        break;
    case AGENT_LOSS_NOT_YET:
        answer = LOSS_NOT_YET;
        break;
    case AGENT_LOSS_NONE:
        answer = LOSS_NONE;
        break;
    case AGENT_LOSS_SOME:
        set_dropped_at(h, dpid, place);
        break;
    }
    if (answer == LOSS_NONE && h->verdict.name == VERDICT_LOST) {
        set_complete(h);
    }
    return answer;
}

static void
append(struct loss_wait *wait, const struct waiting *from)
{
    struct waiting *w = lh_memdup(from, sizeof *from);

    *wait->last = w;
    wait->last = &w->next;
    wait->n++;
}

void
loss_wait_each(const struct loss_wait *wait,
               void (*tell)(void *aux, const struct history *, uint64_t dpid,
                            uint64_t to_ns, uint64_t due_ns),
               void *aux)
{
    for (const struct waiting *w = wait->first; w; w = w->next) {
        tell(aux, w->history, w->dpid, w->to_ns, w->due_ns);
    }
}

void
loss_wait_restore(struct loss_wait *wait, struct history *h, uint64_t dpid,
                  uint64_t to_ns, uint64_t due_ns)
{
    append(wait,
           &(struct waiting){
               .history = h, .dpid = dpid, .to_ns = to_ns, .due_ns = due_ns});
}

void
loss_wait_add(struct loss_wait *wait, struct history *h, uint64_t dpid,
              uint32_t from, uint64_t now_ns)
{
    if (ask(wait, h, dpid, now_ns, now_ns, wait->n >= LOSS_WAIT_MAX) !=
            LOSS_NOT_YET ||
        wait->n >= LOSS_WAIT_MAX) {
        wait->give(wait->aux, from, h);
        return;
    }
    append(wait, &(struct waiting){.history = h,
                                   .dpid = dpid,
                                   .from = from,
                                   .to_ns = now_ns,
                                   .due_ns = now_ns + LOSS_WAIT_NS});
}

void
loss_wait_settle(struct loss_wait *wait, uint64_t now_ns, bool is_end)
{
    struct waiting **wp = &wait->first, *w;

    while ((w = *wp)) {
        bool is_last = now_ns >= w->due_ns || is_end;
        enum loss_answer answer =
            ask(wait, w->history, w->dpid, w->to_ns, now_ns, is_last);

        if (answer == LOSS_NOT_YET && !is_last) {
            wp = &w->next;
            continue;
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
