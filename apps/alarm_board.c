/* SPDX-License-Identifier: Apache-2.0 */
/* alarm_board - which invariants do not hold at present, and since when. */
#include <config.h>
#include "apps/alarm_board.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

#define REACH_LATE_NS UINT64_C(1000000000)

/* What makes a trouble the same: where it began and how it ended. */
struct key {
    size_t filter;
    uint64_t first_dpid, last_dpid;
    uint32_t first_port, last_port;
    enum verdict_name verdict;
    bool is_rest; /* Of those for which there was no room. */
};

struct alarm {
    struct key key;
    uint64_t since_ns, last_ns, told_ns, n;
    /* When quiet began to count: last_ns, or when watching went on. */
    uint64_t quiet_from_ns;
};

struct watched {
    const struct invariant *invariant;
    struct alarm_totals totals;
    size_t n_alarms, allocated_alarms;
    struct alarm *alarms; /* Owned. */

    /* Of a kind of reach. */
    bool is_failing;        /* A packet failed, and none arrived since. */
    uint64_t failing_ns;    /* When the first of these failed. */
    uint64_t arrived_ns;    /* When the last arrived, or watching began. */
    struct history *failed; /* The first that failed, or NULL.  Owned. */
};

struct alarm_board {
    struct alarm_config config;
    size_t n;
    struct watched *watched; /* Owned. */
};

static void
emit(const struct alarm_board *board, struct alarm_event *event)
{
    if (board->config.emit) {
        board->config.emit(board->config.aux, event);
    }
}

static uint64_t
clear_ns(const struct alarm_board *board, const struct watched *w)
{
    return w->invariant->clear_ns ? w->invariant->clear_ns
                                  : board->config.clear_ns;
}

static void
tell(const struct alarm_board *board, const struct watched *w,
     const struct alarm *alarm, enum alarm_kind kind, uint64_t time_ns,
     const struct history *history)
{
    struct alarm_event event = {
        .kind = kind,
        .invariant = (size_t) (w - board->watched),
        .filter = alarm->key.filter,
        .time_ns = time_ns,
        .since_ns = alarm->since_ns,
        .last_ns = alarm->last_ns,
        .n = alarm->n,
        .quiet_ns = kind == ALARM_RECOVERED ? clear_ns(board, w) : 0,
        .history = history,
    };

    emit(board, &event);
}

/* --- alarms -------------------------------------------------------------- */

/* Alarm 'i' has recovered: it is told and forgotten. */
static void
recover(const struct alarm_board *board, struct watched *w, size_t i)
{
    struct alarm *alarm = &w->alarms[i];

    tell(board, w, alarm, ALARM_RECOVERED,
         alarm->quiet_from_ns + clear_ns(board, w), NULL);
    *alarm = w->alarms[--w->n_alarms];
    w->totals.is_violated = w->n_alarms > 0;
}

static struct key
key_of(size_t filter, const struct history *h)
{
    struct key key;

    memset(&key, 0, sizeof key);
    key.filter = filter;
    key.verdict = h->verdict.name;
    key.last_dpid = h->verdict.dpid;
    key.last_port = h->verdict.port;
    if (h->n_hops) {
        key.first_dpid = h->hops[0].dpid;
        key.first_port = h->hops[0].in_port;
    }
    return key;
}

static bool
is_same(const struct key *a, const struct key *b)
{
    return a->filter == b->filter && a->first_dpid == b->first_dpid &&
           a->last_dpid == b->last_dpid && a->first_port == b->first_port &&
           a->last_port == b->last_port && a->verdict == b->verdict &&
           a->is_rest == b->is_rest;
}

static size_t
find(const struct watched *w, const struct key *key)
{
    size_t i = 0;

    while (i < w->n_alarms && !is_same(&w->alarms[i].key, key)) {
        i++;
    }
    return i;
}

/* Counts 'n' packets of the trouble 'key'. */
static void
count(struct alarm_board *board, struct watched *w, struct key key, uint64_t n,
      uint64_t time_ns, const struct history *history)
{
    size_t i = find(w, &key);
    struct alarm *alarm;

    if (i == w->n_alarms && i >= ALARM_BOARD_MAX) {
        key = (struct key){.filter = key.filter, .is_rest = true};
        i = find(w, &key);
    }
    if (i < w->n_alarms &&
        time_ns > w->alarms[i].quiet_from_ns + clear_ns(board, w)) {
        recover(board, w, i);
        i = w->n_alarms;
    }
    w->totals.n += n;
    if (!w->totals.first_ns || time_ns < w->totals.first_ns) {
        w->totals.first_ns = time_ns;
    }
    if (i == w->n_alarms) {
        w->alarms = lh_alloc_grow(w->alarms, w->n_alarms, &w->allocated_alarms,
                                  sizeof *w->alarms);
        alarm = &w->alarms[w->n_alarms++];
        *alarm = (struct alarm){key, time_ns, time_ns, time_ns, n, time_ns};
        w->totals.is_violated = true;
        tell(board, w, alarm, ALARM_VIOLATED, time_ns, history);
        return;
    }
    alarm = &w->alarms[i];
    alarm->n += n;
    if (time_ns > alarm->last_ns) {
        alarm->last_ns = time_ns;
    }
    if (time_ns > alarm->quiet_from_ns) {
        alarm->quiet_from_ns = time_ns;
    }
    if (board->config.remind_ns &&
        time_ns >= alarm->told_ns + board->config.remind_ns) {
        alarm->told_ns = time_ns;
        tell(board, w, alarm, ALARM_STILL, time_ns, history);
    }
}

/* --- reach --------------------------------------------------------------- */

/* When an invariant of reach will be violated as things stand; 0: not. */
static uint64_t
deadline(const struct watched *w)
{
    uint64_t from_ns = w->invariant->kind == INVARIANT_REACH_EVERY
                           ? w->arrived_ns
                       : w->is_failing ? w->failing_ns
                                       : 0;

    return from_ns && !w->totals.is_violated ? from_ns + w->invariant->span_ns
                                             : 0;
}

static void
tell_reach(const struct alarm_board *board, const struct watched *w,
           enum alarm_kind kind, uint64_t time_ns)
{
    struct alarm_event event = {
        .kind = kind,
        .invariant = (size_t) (w - board->watched),
        .time_ns = time_ns,
        .since_ns = w->is_failing ? w->failing_ns : w->arrived_ns,
        .last_ns = time_ns,
        .n = 1,
        .history = kind == ALARM_VIOLATED ? w->failed : NULL,
    };

    emit(board, &event);
}

static void
violate_reach(struct alarm_board *board, struct watched *w, uint64_t time_ns)
{
    w->totals.is_violated = true;
    w->totals.n++;
    if (!w->totals.first_ns) {
        w->totals.first_ns = time_ns;
    }
    tell_reach(board, w, ALARM_VIOLATED, time_ns);
}

static void
forget_failed(struct watched *w)
{
    history_destroy(w->failed);
    w->failed = NULL;
    w->is_failing = false;
}

void
alarm_board_reach(struct alarm_board *board, size_t invariant,
                  enum invariant_sign sign, uint64_t time_ns,
                  const struct history *h)
{
    struct watched *w = &board->watched[invariant];
    uint64_t due_ns = deadline(w);

    if (sign == INVARIANT_FAILED) {
        if (!w->is_failing && time_ns > w->arrived_ns) {
            w->is_failing = true;
            w->failing_ns = time_ns;
            w->failed = h ? history_clone(h) : NULL;
        }
        return;
    }
    if (time_ns <= w->arrived_ns ||
        (w->is_failing && time_ns <= w->failing_ns)) {
        return;
    }
    if (due_ns && time_ns > due_ns) {
        violate_reach(board, w, due_ns);
    }
    if (w->totals.is_violated) {
        w->totals.is_violated = false;
        tell_reach(board, w, ALARM_RECOVERED, time_ns);
    }
    forget_failed(w);
    w->arrived_ns = time_ns;
}

/* --- the board ----------------------------------------------------------- */

struct alarm_board *
alarm_board_create(const struct alarm_config *config)
{
    struct alarm_board *board = lh_alloc_zero(sizeof *board);

    board->config = *config;
    board->n = config->file->n;
    board->watched = lh_alloc_zero(board->n * sizeof *board->watched);
    for (size_t i = 0; i < board->n; i++) {
        struct watched *w = &board->watched[i];

        w->invariant = &config->file->invariants[i];
        w->arrived_ns =
            w->invariant->kind == INVARIANT_REACH_EVERY ? config->start_ns : 0;
    }
    return board;
}

void
alarm_board_destroy(struct alarm_board *board)
{
    if (!board) {
        return;
    }
    for (size_t i = 0; i < board->n; i++) {
        free(board->watched[i].alarms);
        history_destroy(board->watched[i].failed);
    }
    free(board->watched);
    free(board);
}

void
alarm_board_take(struct alarm_board *board, size_t invariant, size_t filter,
                 const struct history *h)
{
    struct watched *w = &board->watched[invariant];
    enum invariant_sign sign = w->invariant->filters[filter].sign;
    uint64_t time_ns = history_first_ns(h);

    if (sign != INVARIANT_REACHED && invariant_is_uncertain(w->invariant, h)) {
        w->totals.uncertain++;
    } else if (sign != INVARIANT_VIOLATED) {
        alarm_board_reach(board, invariant, sign, time_ns, h);
    } else {
        count(board, w, key_of(filter, h), 1, time_ns, h);
    }
}

void
alarm_board_more(struct alarm_board *board, size_t invariant, size_t filter,
                 uint64_t n, uint64_t time_ns)
{
    struct watched *w = &board->watched[invariant];
    struct alarm *alarm = NULL;

    if (invariant_is_reach(w->invariant)) {
        return;
    }
    /* They came too fast after one that was told: most likely its like. */
    for (size_t i = 0; i < w->n_alarms; i++) {
        if (w->alarms[i].key.filter == filter &&
            (!alarm || w->alarms[i].last_ns > alarm->last_ns)) {
            alarm = &w->alarms[i];
        }
    }
    count(board, w,
          alarm ? alarm->key : (struct key){.filter = filter, .is_rest = true},
          n, alarm && time_ns < alarm->last_ns ? alarm->last_ns : time_ns,
          NULL);
}

void
alarm_board_tick(struct alarm_board *board, uint64_t now_ns, uint64_t late_ns)
{
    /* What arrives is known at once, only losses are late. */
    uint64_t reach_late_ns = late_ns < REACH_LATE_NS ? late_ns : REACH_LATE_NS;

    for (size_t i = 0; i < board->n; i++) {
        struct watched *w = &board->watched[i];

        if (invariant_is_reach(w->invariant)) {
            uint64_t due_ns = deadline(w);

            if (due_ns && due_ns + reach_late_ns <= now_ns) {
                violate_reach(board, w, due_ns);
            }
            continue;
        }
        for (size_t k = w->n_alarms; k-- > 0;) {
            if (w->alarms[k].quiet_from_ns + clear_ns(board, w) + late_ns <=
                now_ns) {
                recover(board, w, k);
            }
        }
    }
}

void
alarm_board_resume(struct alarm_board *board, uint64_t now_ns)
{
    for (size_t i = 0; i < board->n; i++) {
        struct watched *w = &board->watched[i];

        if (!w->totals.is_violated) {
            forget_failed(w);
        }
        if (w->invariant->kind == INVARIANT_REACH_EVERY &&
            !w->totals.is_violated) {
            w->arrived_ns = now_ns;
        }
        for (size_t k = 0; k < w->n_alarms; k++) {
            w->alarms[k].quiet_from_ns = now_ns;
        }
    }
}

const struct alarm_totals *
alarm_board_totals(const struct alarm_board *board, size_t invariant)
{
    return &board->watched[invariant].totals;
}
