/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_reach - how far the postcards of each agent have come. */
#include <config.h>

#include "server/cluster_reach.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

struct mark {
    uint64_t agent;
    uint64_t frame;     /* 0: nothing was seen. */
    uint32_t next;      /* First place in it that was not. */
    uint64_t stored_ns; /* When it was last heard of. */
};

/* How a mark was before a message. */
struct change {
    uint64_t seq;
    struct mark before;
};

struct cluster_reach {
    size_t n, allocated;
    struct mark *all; /* By agent.  Owned. */
    size_t n_changes, allocated_changes;
    struct change *changes; /* Oldest first, not before a floor.  Owned. */
    uint64_t stored_ns;     /* The latest. */
};

struct cluster_reach *
cluster_reach_create(void)
{
    return lh_alloc_zero(sizeof(struct cluster_reach));
}

void
cluster_reach_destroy(struct cluster_reach *m)
{
    if (m) {
        free(m->all);
        free(m->changes);
        free(m);
    }
}

/* Where the agent is, or would be. */
static size_t
place(const struct mark *all, size_t n, uint64_t agent)
{
    size_t low = 0;

    while (low < n) {
        size_t middle = low + (n - low) / 2;

        if (all[middle].agent < agent) {
            low = middle + 1;
        } else {
            n = middle;
        }
    }
    return low;
}

static void
forget(struct cluster_reach *m, size_t i)
{
    m->n--;
    memmove(&m->all[i], &m->all[i + 1], (m->n - i) * sizeof *m->all);
}

static void
forget_oldest(struct cluster_reach *m)
{
    size_t oldest = 0;

    for (size_t i = 1; i < m->n; i++) {
        if (m->all[i].stored_ns < m->all[oldest].stored_ns) {
            oldest = i;
        }
    }
    forget(m, oldest);
}

static struct mark *
get(struct cluster_reach *m, uint64_t agent)
{
    size_t i = place(m->all, m->n, agent);

    if (i < m->n && m->all[i].agent == agent) {
        return &m->all[i];
    }
    if (m->n == CLUSTER_REACH_MAX) {
        forget_oldest(m);
        i = place(m->all, m->n, agent);
    }
    m->all = lh_alloc_grow(m->all, m->n, &m->allocated, sizeof *m->all);
    memmove(&m->all[i + 1], &m->all[i], (m->n - i) * sizeof *m->all);
    m->n++;
    m->all[i] = (struct mark){.agent = agent};
    return &m->all[i];
}

uint32_t
cluster_reach_take(struct cluster_reach *m, uint64_t seq, uint64_t stored_ns,
                   const struct cluster_run *run)
{
    struct mark *mark = get(m, run->agent);
    uint32_t end = run->first + run->n, n_known = 0;

    if (run->frame < mark->frame) {
        return run->n;
    }
    if (run->frame == mark->frame && run->first < mark->next) {
        n_known = end <= mark->next ? run->n : mark->next - run->first;
    }
    if (n_known < run->n) {
        m->changes = lh_alloc_grow(m->changes, m->n_changes,
                                   &m->allocated_changes, sizeof *m->changes);
        m->changes[m->n_changes++] =
            (struct change){.seq = seq, .before = *mark};
        mark->frame = run->frame;
        mark->next = end;
        mark->stored_ns = stored_ns;
        m->stored_ns = stored_ns > m->stored_ns ? stored_ns : m->stored_ns;
    }
    return n_known;
}

size_t
cluster_reach_n(const struct cluster_reach *m)
{
    return m->n;
}

/* Forgets changes before 'floor', and agents that are away for good. */
static void
tidy(struct cluster_reach *m, uint64_t floor)
{
    size_t n = 0;

    while (n < m->n_changes && m->changes[n].seq < floor) {
        n++;
    }
    if (n) {
        m->n_changes -= n;
        memmove(m->changes, m->changes + n, m->n_changes * sizeof *m->changes);
    }
    for (size_t i = m->n; i-- > 0;) {
        if (m->all[i].stored_ns + CLUSTER_REACH_NS < m->stored_ns) {
            forget(m, i);
        }
    }
}

void
cluster_reach_put(struct cluster_reach *m, uint64_t floor,
                  struct byte_buf *out)
{
    struct mark *then;
    uint32_t n = 0;

    tidy(m, floor);
    then = lh_alloc_array(NULL, m->n + 1, sizeof *then);
    for (size_t i = 0; i < m->n; i++) {
        then[i] = m->all[i];
    }
    for (size_t i = m->n_changes; i-- > 0;) {
        const struct mark *before = &m->changes[i].before;
        size_t at = place(then, m->n, before->agent);

        if (at < m->n && then[at].agent == before->agent) {
            then[at] = *before;
        }
    }
    for (size_t i = 0; i < m->n; i++) {
        n += then[i].frame != 0;
    }
    byte_buf_put_u64(out, m->stored_ns);
    byte_buf_put_u32(out, n);
    for (size_t i = 0; i < m->n; i++) {
        if (then[i].frame) {
            byte_buf_put_u64(out, then[i].agent);
            byte_buf_put_uvarint(out, then[i].frame);
            byte_buf_put_uvarint(out, then[i].next);
            byte_buf_put_svarint(out,
                                 (int64_t) (m->stored_ns - then[i].stored_ns));
        }
    }
    free(then);
}

int
cluster_reach_read(struct cluster_reach *m, struct bytes_reader *in)
{
    uint32_t n;

    m->stored_ns = bytes_get_u64(in);
    n = bytes_get_u32(in);
    if (n > CLUSTER_REACH_MAX) {
        return EBADMSG;
    }
    while (n-- && !in->failed) {
        uint64_t agent = bytes_get_u64(in);
        uint64_t frame = byte_buf_get_uvarint(in);
        uint64_t next = byte_buf_get_uvarint(in);
        uint64_t ago_ns = (uint64_t) byte_buf_get_svarint(in);

        if (!in->failed && next <= UINT32_MAX) {
            struct mark *mark = get(m, agent);

            mark->frame = frame;
            mark->next = (uint32_t) next;
            mark->stored_ns = m->stored_ns - ago_ns;
        }
    }
    return in->failed ? EBADMSG : 0;
}
