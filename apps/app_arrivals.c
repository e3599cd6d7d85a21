/* SPDX-License-Identifier: Apache-2.0 */
/* app_arrivals - histories that came and that nobody has taken yet. */
#include <config.h>
#include "apps/app_arrivals.h"

#include <stdlib.h>

#include "lib/client_json.h"
#include "lib/lh_alloc.h"

void
app_arrivals_init(struct app_arrivals *arrivals)
{
    STAILQ_INIT(arrivals);
}

void
app_arrivals_put(struct app_arrivals *arrivals, uint64_t id,
                 struct lasthop_history *h)
{
    struct app_arrival *a = lh_alloc_zero(sizeof *a);

    a->id = id;
    a->history = client_json_take_history(h);
    STAILQ_INSERT_TAIL(arrivals, a, node);
}

void
app_arrivals_put_count(struct app_arrivals *arrivals, uint64_t id, uint64_t n)
{
    struct app_arrival *a = lh_alloc_zero(sizeof *a);

    a->id = id;
    a->n = n;
    STAILQ_INSERT_TAIL(arrivals, a, node);
}

void
app_arrivals_put_missed(struct app_arrivals *arrivals, uint64_t n,
                        uint64_t since_ns, uint64_t until_ns, const char *why)
{
    struct app_arrival *a = lh_alloc_zero(sizeof *a);

    a->n = n;
    a->since_ns = since_ns;
    a->until_ns = until_ns;
    a->why = lh_strdup(why);
    STAILQ_INSERT_TAIL(arrivals, a, node);
}

bool
app_arrivals_take(struct app_arrivals *arrivals, struct app_arrival *taken)
{
    struct app_arrival *a = STAILQ_FIRST(arrivals);

    if (a) {
        STAILQ_REMOVE_HEAD(arrivals, node);
        *taken = *a;
        free(a);
    }
    return a != NULL;
}

void
app_arrivals_drop(struct app_arrivals *arrivals, uint64_t id)
{
    struct app_arrivals kept = STAILQ_HEAD_INITIALIZER(kept);
    struct app_arrival *a;

    while ((a = STAILQ_FIRST(arrivals))) {
        STAILQ_REMOVE_HEAD(arrivals, node);
        if (id && a->id != id) {
            STAILQ_INSERT_TAIL(&kept, a, node);
        } else {
            history_destroy(a->history);
            free(a->why);
            free(a);
        }
    }
    STAILQ_CONCAT(arrivals, &kept);
}
