/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox - what threads of the server tell each other besides postcards. */
#include <config.h>

#include "server/mailbox.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"

struct mailbox {
    size_t limit;
    void (*wake)(void *aux);
    void *aux;
    pthread_mutex_t mutex; /* Of the list. */
    struct mail *first, **last;
    atomic_size_t n; /* Written under the lock. */
};

struct mailbox *
mailbox_create(size_t limit, void (*wake)(void *aux), void *aux)
{
    struct mailbox *box = lh_alloc_zero(sizeof *box);

    box->limit = limit;
    box->wake = wake;
    box->aux = aux;
    box->last = &box->first;
    atomic_init(&box->n, 0);
    pthread_mutex_init(&box->mutex, NULL);
    return box;
}

void
mailbox_destroy(struct mailbox *box)
{
    if (box) {
        struct mail *next;

        for (struct mail *mail = mailbox_take(box); mail; mail = next) {
            next = mail->next;
            mail_destroy(mail);
        }
        pthread_mutex_destroy(&box->mutex);
        free(box);
    }
}

struct mail *
mail_create(enum mail_kind kind, size_t n_hits)
{
    struct mail *mail =
        lh_alloc_zero(sizeof *mail + n_hits * sizeof mail->hits[0]);

    mail->kind = kind;
    mail->n_hits = n_hits;
    return mail;
}

void
mail_destroy(struct mail *mail)
{
    if (mail) {
        rule_unref(mail->rule);
        history_destroy(mail->history);
        phf_destroy(mail->phf);
        free(mail);
    }
}

static bool
put(struct mailbox *box, struct mail *mail, size_t limit)
{
    size_t n;

    mail->next = NULL;
    pthread_mutex_lock(&box->mutex);
    n = atomic_load(&box->n);
    if (n < limit) {
        *box->last = mail;
        box->last = &mail->next;
        atomic_store(&box->n, n + 1);
    }
    pthread_mutex_unlock(&box->mutex);
    if (!n && box->wake) {
        box->wake(box->aux);
    }
    return n < limit;
}

void
mailbox_post(struct mailbox *box, struct mail *mail)
{
    put(box, mail, SIZE_MAX);
}

bool
mailbox_offer(struct mailbox *box, struct mail *mail)
{
    return put(box, mail, box->limit);
}

bool
mailbox_is_empty(const struct mailbox *box)
{
    return !atomic_load(&box->n);
}

bool
mailbox_has_room(const struct mailbox *box)
{
    return atomic_load(&box->n) < box->limit;
}

struct mail *
mailbox_take(struct mailbox *box)
{
    struct mail *first;

    pthread_mutex_lock(&box->mutex);
    first = box->first;
    box->first = NULL;
    box->last = &box->first;
    atomic_store(&box->n, 0);
    pthread_mutex_unlock(&box->mutex);
    return first;
}
