/* SPDX-License-Identifier: Apache-2.0 */
/* app_gap - the matches of live filters that came while their server was not
 * followed, as far as it has stored them.
 *
 * Who follows notes every match that it gives; when the connection is there
 * again, what is stored of the time in between is asked for, and none is given
 * twice (unless tens of thousands came meanwhile).
 *
 * Threads: one. */
#ifndef APPS_APP_GAP_H
#define APPS_APP_GAP_H 1

#include <stdbool.h>
#include <stdint.h>

#include "apps/app_source.h"
#include "lib/history.h"
#include "lib/lh_error.h"

/* Of each live filter at most. */
#define APP_GAP_LIMIT 10000

struct app_gap;

struct app_gap *app_gap_create(void);
void app_gap_destroy(struct app_gap *);
/* Notes a match of the live filter 'id'.  False when it was noted before, and
 * may have come again because of a gap that was filled. */
bool app_gap_note(struct app_gap *, uint64_t id, const struct history *);
/* All matches up to 'time_ns' have come, but for those that are late. */
void app_gap_heard(struct app_gap *, uint64_t time_ns);
/* The last time that was heard of; when the gap was created, before any. */
uint64_t app_gap_heard_ns(const struct app_gap *);

struct app_gap_filled {
    uint64_t n;    /* Given. */
    bool has_more; /* Some filter had more than APP_GAP_LIMIT. */
    bool is_enough;
};

/* Gives 'give' all that is stored since what was heard of and was not noted:
 * false ends it.  Returns 0, or a positive errno as app_source_find(). */
int app_gap_fill(struct app_gap *, struct app_source *,
                 bool (*give)(void *aux, uint64_t id, struct history *),
                 void *aux, struct app_gap_filled *, struct lh_error *);

#endif /* apps/app_gap.h */
