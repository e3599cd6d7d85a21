/* SPDX-License-Identifier: Apache-2.0 */
/* alarm_board - which invariants do not hold at present, and since when.
 *
 * Told of every match of the invariants' filters and of the time, it says when
 * an invariant ceases to hold and when it holds again.  Matches that are the
 * same trouble (the same invariant, first port, last port and verdict) are one
 * alarm, which is raised once, and has recovered when nothing of it came for a
 * span of time.
 *
 * All times are those of packets, so that a stored range gives the same alarms
 * as it gave live; only alarm_board_tick() tells of the time that passes
 * without packets.
 *
 * Ownership: the board borrows the invariants.
 *
 * Threads: one. */
#ifndef APPS_ALARM_BOARD_H
#define APPS_ALARM_BOARD_H 1

#include <stdbool.h>
#include <stdint.h>

#include "apps/invariant_file.h"
#include "lib/history.h"

/* Different troubles of one invariant at a time; more are told as one. */
#define ALARM_BOARD_MAX 256

enum alarm_kind { ALARM_VIOLATED, ALARM_STILL, ALARM_RECOVERED };

struct alarm_event {
    enum alarm_kind kind;
    size_t invariant; /* Its place in the file. */
    size_t filter;    /* Of it; the violated one. */
    uint64_t time_ns;
    uint64_t since_ns; /* When it was violated first, ... */
    uint64_t last_ns;  /* ... and last. */
    uint64_t n;        /* Packets. */
    uint64_t quiet_ns; /* Recovered: nothing came for so long; 0 for
                        * reach. */
    const struct history *history; /* That violated it; NULL where nothing
                                    * came is what is wrong.  Borrowed. */
};

struct alarm_config {
    const struct invariant_file *file;
    uint64_t clear_ns;  /* For invariants without one of their own. */
    uint64_t remind_ns; /* Between ALARM_STILL of one alarm; 0: none. */
    uint64_t start_ns;  /* When watching began. */
    void (*emit)(void *aux, const struct alarm_event *);
    void *aux;
};

/* What became of one invariant. */
struct alarm_totals {
    uint64_t n;         /* Violating packets (of reach: times). */
    uint64_t uncertain; /* Matches that count for nothing because postcards
                         * are missing. */
    uint64_t first_ns;  /* Of the first violation; 0: none. */
    bool is_violated;   /* At present. */
};

struct alarm_board;

struct alarm_board *alarm_board_create(const struct alarm_config *);
void alarm_board_destroy(struct alarm_board *);

/* A history that a filter of an invariant matched. */
void alarm_board_take(struct alarm_board *, size_t invariant, size_t filter,
                      const struct history *);
/* Of a kind of reach: a packet arrived, or one did not, at 'time_ns'. */
void alarm_board_reach(struct alarm_board *, size_t invariant,
                       enum invariant_sign, uint64_t time_ns,
                       const struct history *);
/* 'n' more matches that were not sent one by one, up to 'time_ns'. */
void alarm_board_more(struct alarm_board *, size_t invariant, size_t filter,
                      uint64_t n, uint64_t time_ns);
/* Time has come to 'now_ns'; what is due is told.  Matches of packets may
 * still come up to 'late_ns' late. */
void alarm_board_tick(struct alarm_board *, uint64_t now_ns, uint64_t late_ns);
/* Nothing was seen up to 'now_ns': what is quiet since before may not be. */
void alarm_board_resume(struct alarm_board *, uint64_t now_ns);

const struct alarm_totals *alarm_board_totals(const struct alarm_board *,
                                              size_t invariant);

#endif /* apps/alarm_board.h */
