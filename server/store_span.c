/* SPDX-License-Identifier: Apache-2.0 */
/* store_span - which disk has what of a stage-2 shard. */
#include <config.h>
#include "server/store_span.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

static void
remove_at(struct store_spans *s, size_t i)
{
    s->n--;
    memmove(s->all + i, s->all + i + 1, (s->n - i) * sizeof *s->all);
}

static bool
is_next(const struct store_span *a, const struct store_span *b)
{
    return a->disk == b->disk && a->to == b->from;
}

/* Joins two that are next to each other, or forgets the oldest. */
static void
make_room(struct store_spans *s)
{
    size_t best_a = SIZE_MAX, best_b = 0, oldest = 0;
    uint64_t best = UINT64_MAX;

    for (size_t a = 0; a < s->n; a++) {
        oldest = s->all[a].to < s->all[oldest].to ? a : oldest;
        for (size_t b = 0; b < s->n; b++) {
            uint64_t len = s->all[b].to - s->all[a].from;

            if (is_next(&s->all[a], &s->all[b]) && len < best) {
                best = len;
                best_a = a;
                best_b = b;
            }
        }
    }
    if (best_a == SIZE_MAX) {
        s->horizon =
            s->all[oldest].to > s->horizon ? s->all[oldest].to : s->horizon;
        remove_at(s, oldest);
        return;
    }

    struct store_span *a = &s->all[best_a];
    const struct store_span *b = &s->all[best_b];

    a->to = b->to;
    a->min_ns = b->min_ns < a->min_ns ? b->min_ns : a->min_ns;
    a->max_ns = b->max_ns > a->max_ns ? b->max_ns : a->max_ns;
    remove_at(s, best_b);
}

void
store_spans_add(struct store_spans *s, const struct store_span *span)
{
    if (s->n == STORE_SPANS) {
        make_room(s);
    }
    s->all[s->n++] = *span;
}

void
store_spans_cut(struct store_spans *s, uint64_t disk, uint64_t from,
                uint64_t to)
{
    for (size_t i = s->n; i-- > 0;) {
        struct store_span span = s->all[i];

        if (span.disk != disk || span.to <= from || span.from >= to) {
            continue;
        }
        remove_at(s, i);
        if (span.from < from) {
            struct store_span before = span;

            before.to = from;
            store_spans_add(s, &before);
        }
        if (span.to > to) {
            span.from = to;
            store_spans_add(s, &span);
        }
    }
}

/* The disk of 'span' has what is of its times, too. */
static void
widen(struct store_spans *s, const struct store_span *span, uint64_t end)
{
    bool is_done = false;

    for (size_t i = 0; i < s->n; i++) {
        struct store_span *to = &s->all[i];

        if (to->disk == span->disk && to->to == end) {
            to->min_ns = span->min_ns < to->min_ns ? span->min_ns : to->min_ns;
            to->max_ns = span->max_ns > to->max_ns ? span->max_ns : to->max_ns;
            is_done = true;
        }
    }
    if (!is_done) {
        store_spans_add(s, &(struct store_span){.disk = span->disk,
                                                .from = end - 1,
                                                .to = end,
                                                .min_ns = span->min_ns,
                                                .max_ns = span->max_ns});
    }
}

void
store_spans_fall(struct store_spans *s, uint64_t end)
{
    struct store_spans above = {.n = 0};

    for (size_t i = s->n; i-- > 0;) {
        if (s->all[i].from >= end) {
            above.all[above.n++] = s->all[i];
            remove_at(s, i);
        } else if (s->all[i].to > end) {
            s->all[i].to = end;
        }
    }
    for (size_t i = 0; i < above.n; i++) {
        widen(s, &above.all[i], end);
    }
    s->horizon = s->horizon < end ? s->horizon : end;
}

void
store_spans_put(const struct store_spans *s, struct byte_buf *out)
{
    byte_buf_put_uvarint(out, s->horizon);
    byte_buf_put_uvarint(out, s->n);
    for (size_t i = 0; i < s->n; i++) {
        byte_buf_put_u64(out, s->all[i].disk);
        byte_buf_put_uvarint(out, s->all[i].from);
        byte_buf_put_uvarint(out, s->all[i].to);
        byte_buf_put_uvarint(out, s->all[i].min_ns);
        byte_buf_put_uvarint(out, s->all[i].max_ns);
    }
}

int
store_spans_read(struct store_spans *s, struct bytes_reader *r)
{
    uint64_t n;

    s->n = 0;
    s->horizon = byte_buf_get_uvarint(r);
    n = byte_buf_get_uvarint(r);
    if (r->failed || n > STORE_SPANS) {
        return EBADMSG;
    }
    for (size_t i = 0; i < n; i++) {
        struct store_span *span = &s->all[i];

        span->disk = bytes_get_u64(r);
        span->from = byte_buf_get_uvarint(r);
        span->to = byte_buf_get_uvarint(r);
        span->min_ns = byte_buf_get_uvarint(r);
        span->max_ns = byte_buf_get_uvarint(r);
        if (r->failed || span->from >= span->to) {
            return EBADMSG;
        }
    }
    s->n = (size_t) n;
    return 0;
}

/* --- Asking -------------------------------------------------------------- */

static int
compare(const void *a_, const void *b_)
{
    const uint64_t *a = a_, *b = b_;

    return *a < *b ? -1 : *a > *b;
}

/* The numbers at which some span begins or ends, rising, for free(). */
static uint64_t *
find_bounds(const struct store_span_question *q, size_t *n)
{
    size_t n_spans = 0;
    uint64_t *bounds;

    for (size_t i = 0; i < q->n_lists; i++) {
        n_spans += q->lists[i]->n;
    }
    bounds = lh_alloc_array(NULL, 2 * n_spans + 1, sizeof *bounds);
    *n = 0;
    for (size_t i = 0; i < q->n_lists; i++) {
        for (size_t j = 0; j < q->lists[i]->n; j++) {
            bounds[(*n)++] = q->lists[i]->all[j].from;
            bounds[(*n)++] = q->lists[i]->all[j].to;
        }
    }
    if (*n) {
        qsort(bounds, *n, sizeof *bounds, compare);
    }
    return bounds;
}

/* Who has what is at 'x'. */
struct havers {
    uint64_t disks[2 * STORE_SPANS];
    size_t n;               /* Disks that are not gone; */
    uint32_t n_there;       /* of these are there. */
    bool has_own, has_some; /* 'has_some': a disk that is gone, too. */
    const struct store_span *source;
};

static void
find_havers(const struct store_span_question *q, uint64_t x, struct havers *h)
{
    memset(h, 0, sizeof *h);
    for (size_t i = 0; i < q->n_lists; i++) {
        for (size_t j = 0; j < q->lists[i]->n; j++) {
            const struct store_span *span = &q->lists[i]->all[j];
            enum store_disk_state state;
            bool is_known = false;

            if (x < span->from || x >= span->to) {
                continue;
            }
            h->has_some = true;
            for (size_t k = 0; k < h->n; k++) {
                is_known |= h->disks[k] == span->disk;
            }
            state = q->state(q->aux, span->disk);
            if (is_known || state == STORE_DISK_GONE ||
                h->n == sizeof h->disks / sizeof h->disks[0]) {
                continue;
            }
            h->disks[h->n++] = span->disk;
            h->n_there += state == STORE_DISK_THERE;
            h->has_own |= span->disk == q->own;
            if (state == STORE_DISK_THERE && span->disk != q->own) {
                h->source = span;
            }
        }
    }
}

void
store_spans_ask(const struct store_span_question *q,
                struct store_span_answer *answer)
{
    size_t n;
    uint64_t *bounds = find_bounds(q, &n);
    uint64_t horizon = 0;

    memset(answer, 0, sizeof *answer);
    for (size_t i = 0; i < q->n_lists; i++) {
        horizon =
            q->lists[i]->horizon > horizon ? q->lists[i]->horizon : horizon;
    }
    for (size_t i = 0; i + 1 < n && bounds[i] < q->until; i++) {
        struct havers h;

        if (bounds[i] == bounds[i + 1] || bounds[i] < horizon) {
            continue;
        }
        find_havers(q, bounds[i], &h);
        answer->is_short |= h.n_there && h.n_there < q->n_copies;
        answer->is_lost |= h.has_some && !h.n_there;
        if (!answer->has_piece && !h.has_own && h.n < q->n_copies &&
            h.source) {
            answer->has_piece = true;
            answer->piece = *h.source;
            answer->piece.from = bounds[i];
            answer->piece.to = bounds[i + 1];
        }
    }
    free(bounds);
}
