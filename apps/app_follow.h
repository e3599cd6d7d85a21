/* SPDX-License-Identifier: Apache-2.0 */
/* app_follow - takes what matches live filters, as it comes.
 *
 * When the server goes away that is said once, and the connection is made
 * again as soon as it is back.  Where there is a 'gap', what it has stored of
 * the time in between is given then (app_gap.h), and the time that nobody has
 * recorded is said; else what to ask for.  How many matches came too fast is
 * said too.  A server from which nothing comes for as long as --timeout is
 * asked whether it is there (not where there are ticks); that it does not
 * answer is said once, and that it does again.
 *
 * Threads: one. */
#ifndef APPS_APP_FOLLOW_H
#define APPS_APP_FOLLOW_H 1

#include <stdbool.h>
#include <stdint.h>

#include "apps/app.h"
#include "apps/app_gap.h"
#include "apps/app_source.h"
#include "lib/history.h"
#include "lib/lh_error.h"

struct app_follow {
    uint64_t until_ns; /* Ends then, by the system's clock; 0: never. */
    /* Takes a match of the live filter 'id'; false: that is enough. */
    bool (*give)(void *aux, uint64_t id, struct history *);
    /* May be NULL: so many matches were above the filter's rate; called every
     * 'tick_ms'; and nothing was seen between two times. */
    void (*limited)(void *aux, uint64_t id, uint64_t n);
    void (*tick)(void *aux);
    int tick_ms;
    void (*missed)(void *aux, uint64_t since_ns, uint64_t until_ns,
                   const char *why); /* NULL: no server was there. */
    struct app_gap *gap; /* May be NULL; may be that of an earlier run. */
    /* NULL: 'give'.  Takes what was stored meanwhile, all of it: what it
     * returns for the last one tells whether that is enough. */
    bool (*give_stored)(void *aux, uint64_t id, struct history *);
    void *aux;
    /* Total of what came too fast; counted here. */
    uint64_t n_missed;
};

/* Follows the live filters of 'source' (app_source_watch()).  Returns 0 when
 * it was enough or the time is over, EINTR when the user interrupted, another
 * positive errno with the reason when it cannot go on. */
int app_follow_run(const struct app *, struct app_source *source,
                   struct app_follow *, struct lh_error *);

#endif /* apps/app_follow.h */
