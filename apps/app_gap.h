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
/* Notes a match of the live filter 'id'.  False when it was noted before. */
bool app_gap_note(struct app_gap *, uint64_t id, const struct history *);

struct app_gap_filled {
    uint64_t n;    /* Given. */
    bool has_more; /* Some filter had more than APP_GAP_LIMIT. */
    bool is_enough;
};

/* Gives 'give' all that is stored since 'since_ns' and was not noted: false
 * ends it.  Returns 0, or a positive errno as app_source_find(). */
int app_gap_fill(struct app_gap *, struct app_source *, uint64_t since_ns,
                 bool (*give)(void *aux, uint64_t id, struct history *),
                 void *aux, struct app_gap_filled *, struct lh_error *);

#endif /* apps/app_gap.h */
