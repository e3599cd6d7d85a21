/* SPDX-License-Identifier: Apache-2.0 */
/* losses - postcards that are missing, by the place where they were lost. */
#include <config.h>

#include "agent/losses.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"

struct place {
    uint64_t total;
    uint64_t first_ns, last_ns, count; /* Not told. */
    size_t n;
    struct agent_loss_switch switches[AGENT_LOSS_MAX];
};

struct losses {
    struct place places[N_AGENT_PLACES];
};

struct losses *
losses_create(void)
{
    return lh_alloc_zero(sizeof(struct losses));
}

void
losses_destroy(struct losses *losses)
{
    free(losses);
}

/* Switches of which there are too many are in the count of all alone. */
static void
add_switch(struct place *p, const struct agent_loss_switch *s)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->switches[i].dpid == s->dpid) {
            p->switches[i].count += s->count;
            return;
        }
    }
    if (p->n < AGENT_LOSS_MAX) {
        p->switches[p->n++] = *s;
    }
}

void
losses_add(struct losses *losses, const struct agent_loss *loss,
           const struct agent_loss_switch *switches)
{
    struct place *p = &losses->places[loss->place];

    assert(loss->place > 0 && loss->place < N_AGENT_PLACES);
    if (!p->count || loss->first_ns < p->first_ns) {
        p->first_ns = loss->first_ns;
    }
    if (!p->count || loss->last_ns > p->last_ns) {
        p->last_ns = loss->last_ns;
    }
    if (p->last_ns < p->first_ns) {
        p->last_ns = p->first_ns; /* The clock was set back. */
    }
    p->count += loss->count;
    p->total += loss->count;
    for (size_t i = 0; i < loss->n; i++) {
        add_switch(p, &switches[i]);
    }
}

bool
losses_pending(const struct losses *losses, enum agent_place place,
               struct agent_loss *loss,
               const struct agent_loss_switch **switches)
{
    const struct place *p = &losses->places[place];

    if (!p->count) {
        return false;
    }
    *loss = (struct agent_loss){.place = place,
                                .first_ns = p->first_ns,
                                .last_ns = p->last_ns,
                                .count = p->count,
                                .n = (uint16_t) p->n};
    *switches = p->switches;
    return true;
}

void
losses_clear(struct losses *losses, enum agent_place place)
{
    struct place *p = &losses->places[place];

    p->count = 0;
    p->n = 0;
}

uint64_t
losses_total(const struct losses *losses, enum agent_place place)
{
    return losses->places[place].total;
}
