/* SPDX-License-Identifier: Apache-2.0 */
/* flow_sieves - the flow sieves of one query. */
#include <config.h>

#include "phf/flow_sieves.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"

struct flow_sieves {
    const struct phf *phf;
    const struct topology *topology;
    /* Whichever thread has a block takes a sieve: two are held apart for as
     * long as a pointer takes to move. */
    pthread_mutex_t lock;
    size_t n, allocated;
    struct flow_sieve **idle; /* Locked; the one last put last.  Owned, as
                               * what it points to. */
};

struct flow_sieves *
flow_sieves_create(const struct phf *phf, const struct topology *topology)
{
    struct flow_sieves *s = lh_alloc_zero(sizeof *s);

    s->phf = phf;
    s->topology = topology;
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void
flow_sieves_destroy(struct flow_sieves *s)
{
    if (s) {
        while (s->n) {
            flow_sieve_destroy(s->idle[--s->n]);
        }
        free(s->idle);
        pthread_mutex_destroy(&s->lock);
        free(s);
    }
}

struct flow_sieve *
flow_sieves_take(struct flow_sieves *s)
{
    struct flow_sieve *sieve;

    pthread_mutex_lock(&s->lock);
    sieve = s->n ? s->idle[--s->n] : NULL;
    pthread_mutex_unlock(&s->lock);
    return sieve ? sieve : flow_sieve_create(s->phf, s->topology);
}

void
flow_sieves_put(struct flow_sieves *s, struct flow_sieve *sieve)
{
    pthread_mutex_lock(&s->lock);
    s->idle = lh_alloc_grow(s->idle, s->n, &s->allocated,
                            sizeof(struct flow_sieve *));
    s->idle[s->n++] = sieve;
    pthread_mutex_unlock(&s->lock);
}
