/* SPDX-License-Identifier: Apache-2.0 */
/* bell - lets a thread sleep until there is work for it. */
#include <config.h>

#include "server/bell.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"

struct bell {
    atomic_bool is_prepared;
    pthread_mutex_t mutex; /* To sleep on; taken only around sleep. */
    pthread_cond_t cond;
    bool has_rung;
};

struct bell *
bell_create(void)
{
    struct bell *bell = lh_alloc_zero(sizeof *bell);

    atomic_init(&bell->is_prepared, false);
    pthread_mutex_init(&bell->mutex, NULL);
    pthread_cond_init(&bell->cond, NULL);
    return bell;
}

void
bell_destroy(struct bell *bell)
{
    if (bell) {
        pthread_cond_destroy(&bell->cond);
        pthread_mutex_destroy(&bell->mutex);
        free(bell);
    }
}

void
bell_prepare(struct bell *bell)
{
    atomic_store(&bell->is_prepared, true);
}

void
bell_wait(struct bell *bell)
{
    pthread_mutex_lock(&bell->mutex);
    while (!bell->has_rung) {
        pthread_cond_wait(&bell->cond, &bell->mutex);
    }
    bell->has_rung = false;
    pthread_mutex_unlock(&bell->mutex);
}

void
bell_cancel(struct bell *bell)
{
    /* Who took the flag is about to ring. */
    if (!atomic_exchange(&bell->is_prepared, false)) {
        bell_wait(bell);
    }
}

void
bell_ring(struct bell *bell)
{
    if (atomic_load(&bell->is_prepared) &&
        atomic_exchange(&bell->is_prepared, false)) {
        pthread_mutex_lock(&bell->mutex);
        bell->has_rung = true;
        pthread_cond_signal(&bell->cond);
        pthread_mutex_unlock(&bell->mutex);
    }
}
