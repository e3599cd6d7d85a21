/* SPDX-License-Identifier: Apache-2.0 */
/* loss_ledger - what switches say they sent against what came. */
#include <config.h>
#include "server/loss_ledger.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

/* What came, by time: a ring that reaches further back than a reading looks,
 * also when it is looked at late. */
#define SLOT_NS   LOSS_SLOT_NS
#define N_SLOTS   1024
#define N_READING 64

struct reading {
    uint64_t asked_ns, time_ns, n_sent;
    bool is_judged;
    int64_t min, max; /* Of what is missing, from an unknown zero on. */
};

struct account {
    uint64_t dpid;
    uint64_t begun_ns; /* What came before was not counted. */
    uint64_t n_came;   /* In all. */
    uint64_t newest;   /* Slot, counted from the epoch. */
    uint32_t slots[N_SLOTS];
    struct reading readings[N_READING]; /* Oldest first. */
    size_t n_readings;
    int64_t first_min, first_max; /* Of the first reading that was judged. */
    bool has_first;
};

struct loss_ledger {
    struct account **accounts; /* Owned. */
    size_t n, allocated;
    size_t latest; /* Found last. */
    uint64_t told_ns;
    atomic_bool is_counting;
    /* Held by all functions: workers tell what came, a batch at a time, while
     * the event loop asks. */
    pthread_mutex_t mutex;
};

struct loss_ledger *
loss_ledger_create(void)
{
    struct loss_ledger *ledger = lh_alloc_zero(sizeof *ledger);

    ledger->told_ns = UINT64_MAX;
    atomic_init(&ledger->is_counting, false);
    pthread_mutex_init(&ledger->mutex, NULL);
    return ledger;
}

void
loss_ledger_destroy(struct loss_ledger *ledger)
{
    if (ledger) {
        for (size_t i = 0; i < ledger->n; i++) {
            free(ledger->accounts[i]);
        }
        pthread_mutex_destroy(&ledger->mutex);
        free(ledger->accounts);
        free(ledger);
    }
}

static struct account *
find(struct loss_ledger *ledger, uint64_t dpid)
{
    if (ledger->n && ledger->accounts[ledger->latest]->dpid == dpid) {
        return ledger->accounts[ledger->latest];
    }
    for (size_t i = 0; i < ledger->n; i++) {
        if (ledger->accounts[i]->dpid == dpid) {
            ledger->latest = i;
            return ledger->accounts[i];
        }
    }
    return NULL;
}

static struct account *
get(struct loss_ledger *ledger, uint64_t dpid)
{
    struct account *account = find(ledger, dpid);

    if (!account) {
        account = lh_alloc_zero(sizeof *account);
        account->dpid = dpid;
        ledger->accounts =
            lh_alloc_grow(ledger->accounts, ledger->n, &ledger->allocated,
                          sizeof *ledger->accounts);
        ledger->accounts[ledger->n++] = account;
    }
    return account;
}

bool
loss_ledger_is_counting(const struct loss_ledger *ledger)
{
    return atomic_load_explicit(&ledger->is_counting, memory_order_relaxed);
}

static void
came(struct account *account, uint64_t time_ns, uint32_t n_cards)
{
    uint64_t slot = time_ns / SLOT_NS;

    account->n_came += n_cards;
    if (slot > account->newest) {
        uint64_t n = slot - account->newest;

        for (uint64_t i = 1; i <= n && i <= N_SLOTS; i++) {
            account->slots[(account->newest + i) % N_SLOTS] = 0;
        }
        account->newest = slot;
    }
    if (account->newest - slot < N_SLOTS) {
        account->slots[slot % N_SLOTS] += n_cards;
    }
}

void
loss_ledger_came(struct loss_ledger *ledger, const struct loss_came *cards,
                 size_t n)
{
    pthread_mutex_lock(&ledger->mutex);
    for (size_t i = 0; i < n; i++) {
        struct account *account = find(ledger, cards[i].dpid);

        if (account) {
            came(account, cards[i].time_ns, 1);
        }
    }
    pthread_mutex_unlock(&ledger->mutex);
}

/* What was known is void; readings count from then on again. */
static void
begin_anew(struct account *account, uint64_t time_ns)
{
    account->n_readings = 0;
    account->has_first = false;
    account->begun_ns = time_ns;
}

/* Whether a reading was judged without what came then. */
static bool
is_late(const struct account *account, uint64_t time_ns)
{
    for (size_t i = account->n_readings; i-- > 0;) {
        const struct reading *r = &account->readings[i];

        if (r->is_judged) {
            return time_ns / SLOT_NS <= (r->time_ns + LOSS_SLACK_NS) / SLOT_NS;
        }
    }
    return false;
}

void
loss_ledger_add(struct loss_ledger *ledger, uint64_t dpid, uint64_t time_ns,
                uint32_t n)
{
    struct account *account;

    pthread_mutex_lock(&ledger->mutex);
    account = find(ledger, dpid);
    if (account && (!n || is_late(account, time_ns))) {
        size_t last = account->n_readings;

        begin_anew(account, last ? account->readings[last - 1].time_ns
                                 : account->begun_ns);
    }
    if (account && n) {
        came(account, time_ns, n);
    }
    pthread_mutex_unlock(&ledger->mutex);
}

void
loss_ledger_set_told(struct loss_ledger *ledger, uint64_t time_ns)
{
    pthread_mutex_lock(&ledger->mutex);
    ledger->told_ns = time_ns;
    pthread_mutex_unlock(&ledger->mutex);
}

/* How many came in slots before that of 'time_ns', or in it too. */
static int64_t
came_until(const struct account *account, uint64_t time_ns, bool including)
{
    uint64_t slot = time_ns / SLOT_NS + (including ? 1 : 0);
    int64_t n = (int64_t) account->n_came;

    for (uint64_t i = slot; i <= account->newest && i < slot + N_SLOTS; i++) {
        n -= account->slots[i % N_SLOTS];
    }
    return n;
}

/* Fixes the bounds of the readings of which everything has come that could be
 * under way. */
static void
judge(const struct loss_ledger *ledger, struct account *account,
      uint64_t now_ns)
{
    if (now_ns > ledger->told_ns) {
        now_ns = ledger->told_ns;
    }
    for (size_t i = 0; i < account->n_readings; i++) {
        struct reading *r = &account->readings[i];

        if (r->is_judged || now_ns < r->time_ns + 2 * LOSS_SLACK_NS) {
            continue;
        }
        r->is_judged = true;
        r->min = (int64_t) r->n_sent -
                 came_until(account, r->time_ns + LOSS_SLACK_NS, true);
        r->max = (int64_t) r->n_sent -
                 came_until(account, r->asked_ns - LOSS_LAG_NS - LOSS_SLACK_NS,
                            false);
        if (!account->has_first) {
            account->has_first = true;
            account->first_min = r->min;
            account->first_max = r->max;
        }
    }
}

static void
count(struct loss_ledger *ledger, uint64_t dpid, uint64_t asked_ns,
      uint64_t time_ns, uint64_t n_sent)
{
    struct account *account = get(ledger, dpid);
    size_t n = account->n_readings;

    if (!account->begun_ns) {
        account->begun_ns = time_ns;
    }
    if (asked_ns < account->begun_ns + LOSS_LAG_NS + LOSS_SLACK_NS) {
        return; /* May lack what came before. */
    }
    judge(ledger, account, time_ns);
    if (n && (n_sent < account->readings[n - 1].n_sent ||
              time_ns < account->readings[n - 1].time_ns)) {
        begin_anew(account, time_ns);
        return;
    }
    if (n == N_READING) {
        memmove(account->readings, account->readings + 1,
                --n * sizeof *account->readings);
    }
    account->readings[n++] = (struct reading){
        .asked_ns = asked_ns, .time_ns = time_ns, .n_sent = n_sent};
    account->n_readings = n;
}

void
loss_ledger_count(struct loss_ledger *ledger, uint64_t dpid, uint64_t asked_ns,
                  uint64_t time_ns, uint64_t n_sent)
{
    pthread_mutex_lock(&ledger->mutex);
    atomic_store_explicit(&ledger->is_counting, true, memory_order_relaxed);
    count(ledger, dpid, asked_ns, time_ns, n_sent);
    pthread_mutex_unlock(&ledger->mutex);
}

/* What is missing only grows: at least as much as any reading before 'end'
 * shows at least. */
static int64_t
at_least(const struct account *account, size_t end)
{
    int64_t min = INT64_MIN;

    for (size_t i = 0; i < end; i++) {
        const struct reading *r = &account->readings[i];

        min = r->is_judged && r->min > min ? r->min : min;
    }
    return min;
}

/* And at most as much as any from 'begin' on shows at most. */
static int64_t
at_most(const struct account *account, size_t begin)
{
    int64_t max = INT64_MAX;

    for (size_t i = begin; i < account->n_readings; i++) {
        const struct reading *r = &account->readings[i];

        max = r->is_judged && r->max < max ? r->max : max;
    }
    return max;
}

static enum loss_answer
ask(struct loss_ledger *ledger, uint64_t dpid, uint64_t from_ns,
    uint64_t to_ns, uint64_t now_ns)
{
    struct account *account = find(ledger, dpid);
    size_t n_before = 0, after = 0;
    int64_t before, then;

    if (!account) {
        return LOSS_UNKNOWN;
    }
    judge(ledger, account, now_ns);
    /* The counter of a reading is that of some moment between LOSS_LAG_NS
     * before its question and its answer. */
    while (n_before < account->n_readings &&
           account->readings[n_before].time_ns <= from_ns) {
        n_before++;
    }
    while (after < account->n_readings &&
           (!account->readings[after].is_judged ||
            account->readings[after].asked_ns < to_ns + LOSS_LAG_NS)) {
        after++;
    }
    before = at_least(account, n_before);
    then = at_most(account, after);
    if (before == INT64_MIN) {
        return LOSS_UNKNOWN;
    }
    if (then <= before) {
        return LOSS_NONE;
    }
    return now_ns < account->readings[account->n_readings - 1].time_ns +
                        LOSS_SILENT_NS
               ? LOSS_NOT_YET
               : LOSS_UNKNOWN;
}

enum loss_answer
loss_ledger_ask(struct loss_ledger *ledger, uint64_t dpid, uint64_t from_ns,
                uint64_t to_ns, uint64_t now_ns)
{
    enum loss_answer answer;

    pthread_mutex_lock(&ledger->mutex);
    answer = ask(ledger, dpid, from_ns, to_ns, now_ns);
    pthread_mutex_unlock(&ledger->mutex);
    return answer;
}

void
loss_ledger_sum(struct loss_ledger *ledger, uint64_t now_ns, uint64_t *min,
                uint64_t *max)
{
    *min = *max = 0;
    pthread_mutex_lock(&ledger->mutex);
    for (size_t i = 0; i < ledger->n; i++) {
        struct account *account = ledger->accounts[i];
        const struct reading *last = NULL;

        judge(ledger, account, now_ns);
        for (size_t j = 0; j < account->n_readings; j++) {
            if (account->readings[j].is_judged) {
                last = &account->readings[j];
            }
        }
        if (last && last->min > account->first_max) {
            *min += (uint64_t) (last->min - account->first_max);
        }
        if (last && last->max > account->first_min) {
            *max += (uint64_t) (last->max - account->first_min);
        }
    }
    pthread_mutex_unlock(&ledger->mutex);
}
