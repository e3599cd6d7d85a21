/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_accept - implementation. */
#include <config.h>
#include "server/cluster_accept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/lh_alloc.h"
#include "server/shard_lease.h"

/* Of a stage-1 shard: up to 'c' all is decided, epochs below 'e' are over. */
struct known {
    uint64_t c, e;
    uint64_t stored_ns; /* Of the marker that said so; 0: unknown. */
};

/* A tentative message. */
struct waiting {
    uint64_t seq;
    struct store_message message; /* Its data are owned. */
};

struct cluster_accept {
    size_t n_known;
    struct known *known; /* By k.  Owned. */
    size_t n, allocated;
    struct waiting *waiting; /* In the order they came.  Owned. */
    size_t n_held, allocated_held;
    struct waiting *held; /* Markers.  Owned. */
    bool skips;
    uint64_t first_ns; /* When NATS had the first message taken; 0: none. */
    struct cluster_accept_counters counters;
};

struct cluster_accept *
cluster_accept_create(void)
{
    return lh_alloc_zero(sizeof(struct cluster_accept));
}

void
cluster_accept_skips(struct cluster_accept *a)
{
    a->skips = true;
}

void
cluster_accept_destroy(struct cluster_accept *a)
{
    if (a) {
        for (size_t i = 0; i < a->n; i++) {
            free((void *) a->waiting[i].message.data);
        }
        free(a->waiting);
        free(a->held);
        free(a->known);
        free(a);
    }
}

static struct known *
need_known(struct cluster_accept *a, uint32_t k)
{
    if (k >= a->n_known) {
        size_t n = (size_t) k + 1;

        a->known = lh_alloc_array(a->known, n, sizeof *a->known);
        memset(a->known + a->n_known, 0, (n - a->n_known) * sizeof *a->known);
        a->n_known = n;
    }
    return &a->known[k];
}

static bool
is_there(struct cluster_accept *a, const struct store_message *m)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct store_message *o = &a->waiting[i].message;

        if (o->k == m->k && o->e == m->e && o->c == m->c &&
            o->part == m->part) {
            a->counters.unlike +=
                o->size != m->size ||
                (m->size && memcmp(o->data, m->data, m->size) != 0);
            return true;
        }
    }
    return false;
}

static void
take_tentative(struct cluster_accept *a, uint64_t seq,
               const struct store_message *m)
{
    const struct known *known = need_known(a, m->k);

    a->counters.tentative++;
    if (m->c <= known->c || m->e < known->e || is_there(a, m)) {
        a->counters.had++;
        return;
    }
    a->waiting =
        lh_alloc_grow(a->waiting, a->n, &a->allocated, sizeof *a->waiting);
    a->waiting[a->n] = (struct waiting){.seq = seq, .message = *m};
    a->waiting[a->n].message.data = lh_memdup(m->data, m->size);
    a->n++;
    a->counters.waiting_bytes += m->size;
}

static bool
is_stale(struct cluster_accept *a, const struct store_message *m)
{
    const struct known *known = need_known(a, m->k);

    return m->e_now < known->e || (m->e_now == known->e && m->c < known->c);
}

/* A later owner goes on from before what an earlier one had committed: the
 * record fell back. */
static bool
is_set_back(struct cluster_accept *a, const struct store_message *m)
{
    const struct known *known = need_known(a, m->k);

    return m->e_now > known->e && m->c < known->c;
}

/* Accepts what a marker tells of. */
static void
apply(struct cluster_accept *a, const struct store_message *m,
      void (*accept)(void *aux, const struct store_message *), void *aux)
{
    struct known *known = need_known(a, m->k);
    size_t n = 0;

    a->counters.set_back += is_set_back(a, m);
    known->c = m->c;
    known->e = m->e_now;
    known->stored_ns = m->stored_ns;
    for (size_t i = 0; i < a->n; i++) {
        const struct waiting *w = &a->waiting[i];
        bool is_due = w->message.k == m->k && w->message.c <= m->c;

        if (is_due && w->message.e == m->e) {
            a->counters.accepted++;
            accept(aux, &w->message);
        } else if (is_due ||
                   (w->message.k == m->k && w->message.e < m->e_now)) {
            a->counters.dropped++;
        } else {
            a->waiting[n++] = *w;
            continue;
        }
        a->counters.waiting_bytes -= w->message.size;
        free((void *) w->message.data);
    }
    a->n = n;
}

/* --- Markers that wait. -------------------------------------------------- */

/* How many messages of a checkpoint that the marker tells of have not come. */
static uint32_t
n_missing_of(const struct cluster_accept *a, const struct store_message *m,
             size_t i)
{
    uint64_t c = m->parts.c[i];
    uint32_t n = 0;

    if (c <= a->known[m->k].c) {
        return 0;
    }
    for (size_t w = 0; w < a->n; w++) {
        const struct store_message *o = &a->waiting[w].message;

        n += o->k == m->k && o->e == m->e && o->c == c;
    }
    return n < m->parts.n[i] ? m->parts.n[i] - n : 0;
}

static uint32_t
n_missing(const struct cluster_accept *a, const struct store_message *m)
{
    if (!m->has_parts) {
        return 0;
    }
    if (a->skips) {
        return n_missing_of(a, m, 1);
    }
    return (m->parts.before > a->known[m->k].c) + n_missing_of(a, m, 0) +
           n_missing_of(a, m, 1);
}

/* Goes on with the markers of 'k' that need not wait any more. */
static void
go_on(struct cluster_accept *a, uint32_t k,
      void (*accept)(void *aux, const struct store_message *), void *aux)
{
    for (size_t i = 0; i < a->n_held; i++) {
        const struct store_message m = a->held[i].message;

        if (m.k != k || (!is_stale(a, &m) && n_missing(a, &m))) {
            continue;
        }
        a->held[i] = a->held[--a->n_held];
        if (is_stale(a, &m)) {
            a->counters.stale_markers++;
        } else {
            apply(a, &m, accept, aux);
        }
        i = SIZE_MAX; /* From the beginning: others may go on now. */
    }
}

static void
hold(struct cluster_accept *a, uint64_t seq, const struct store_message *m)
{
    for (size_t i = 0; i < a->n_held; i++) {
        const struct store_message *o = &a->held[i].message;

        if (o->k == m->k && o->e == m->e && o->c == m->c &&
            o->e_now == m->e_now) {
            return; /* It comes again. */
        }
    }
    a->held =
        lh_alloc_grow(a->held, a->n_held, &a->allocated_held, sizeof *a->held);
    a->held[a->n_held++] = (struct waiting){.seq = seq, .message = *m};
}

static void
take_marker(struct cluster_accept *a, uint64_t seq,
            const struct store_message *m,
            void (*accept)(void *aux, const struct store_message *), void *aux)
{
    a->counters.markers++;
    if (is_stale(a, m)) {
        a->counters.stale_markers++;
    } else if (n_missing(a, m)) {
        hold(a, seq, m);
    } else {
        apply(a, m, accept, aux);
    }
}

/* The first of the markers that wait, by what they tell. */
static size_t
find_first_held(const struct cluster_accept *a)
{
    size_t first = 0;

    for (size_t i = 1; i < a->n_held; i++) {
        if (a->held[i].message.c < a->held[first].message.c) {
            first = i;
        }
    }
    return first;
}

/* Since when NATS has got what a marker tells of and is not decided. */
static uint64_t
stored_since(const struct cluster_accept *a, const struct store_message *m)
{
    const struct known *known = &a->known[m->k];

    if (known->stored_ns) {
        return known->stored_ns;
    }
    return a->first_ns < m->stored_ns ? a->first_ns : m->stored_ns;
}

void
cluster_accept_give_up(struct cluster_accept *a,
                       void (*accept)(void *aux, const struct store_message *),
                       void (*lose)(void *aux,
                                    const struct store_message *marker,
                                    uint32_t n, uint64_t since_ns),
                       void *aux)
{
    while (a->n_held) {
        size_t i = find_first_held(a);
        const struct store_message m = a->held[i].message;

        a->held[i] = a->held[--a->n_held];
        if (!is_stale(a, &m)) {
            uint32_t n = n_missing(a, &m);

            a->counters.missing += n;
            if (n) {
                lose(aux, &m, n, stored_since(a, &m));
            }
            apply(a, &m, accept, aux);
        }
        go_on(a, m.k, accept, aux);
    }
}

void
cluster_accept_each_wanted(const struct cluster_accept *a,
                           void (*want)(void *aux, uint32_t k, uint64_t first,
                                        uint64_t last),
                           void *aux)
{
    for (size_t i = 0; i < a->n_held; i++) {
        const struct store_message *m = &a->held[i].message;

        want(aux, m->k, a->known[m->k].c + 1, m->c);
    }
}

void
cluster_accept_take(struct cluster_accept *a, uint64_t seq,
                    const struct store_message *m,
                    void (*accept)(void *aux, const struct store_message *),
                    void *aux)
{
    if (!a->first_ns) {
        a->first_ns = m->stored_ns;
    }
    if (m->kind == STORE_TENTATIVE) {
        take_tentative(a, seq, m);
    } else {
        take_marker(a, seq, m, accept, aux);
    }
    if (a->n_held) {
        go_on(a, m->k, accept, aux);
    }
}

uint64_t
cluster_accept_floor(const struct cluster_accept *a, uint64_t next_seq)
{
    for (size_t i = 0; i < a->n; i++) {
        next_seq = a->waiting[i].seq < next_seq ? a->waiting[i].seq : next_seq;
    }
    for (size_t i = 0; i < a->n_held; i++) {
        next_seq = a->held[i].seq < next_seq ? a->held[i].seq : next_seq;
    }
    return next_seq;
}

uint64_t
cluster_accept_known(const struct cluster_accept *a, uint32_t k,
                     uint64_t *epoch)
{
    const struct known none = {.c = 0};
    const struct known *known = k < a->n_known ? &a->known[k] : &none;

    *epoch = known->e;
    return known->c;
}

void
cluster_accept_put(const struct cluster_accept *a, struct byte_buf *out)
{
    byte_buf_put_uvarint(out, a->n_known);
    for (size_t k = 0; k < a->n_known; k++) {
        byte_buf_put_uvarint(out, a->known[k].c);
        byte_buf_put_uvarint(out, a->known[k].e);
    }
}

int
cluster_accept_read(struct cluster_accept *a, struct bytes_reader *r)
{
    uint64_t n = byte_buf_get_uvarint(r);

    if (n > SHARD_LEASE_MAX_SHARDS || n > bytes_left(r)) {
        return EBADMSG;
    }
    for (uint32_t k = 0; k < n; k++) {
        struct known *known = need_known(a, k);

        known->c = byte_buf_get_uvarint(r);
        known->e = byte_buf_get_uvarint(r);
    }
    return r->failed ? EBADMSG : 0;
}

void
cluster_accept_get_counters(const struct cluster_accept *a,
                            struct cluster_accept_counters *counters)
{
    *counters = a->counters;
    counters->waiting = a->n;
    counters->held = a->n_held;
}
