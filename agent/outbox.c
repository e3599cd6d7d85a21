/* SPDX-License-Identifier: Apache-2.0 */
/* outbox - frames that the server has not taken yet. */
#include <config.h>

#include "agent/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "agent/spool.h"
#include "lib/lh_alloc.h"

#define URGENT_ROOM (UINT64_C(256) << 10)

struct entry {
    uint64_t seq;
    uint8_t *data; /* In memory; NULL: at 'place'.  Owned. */
    struct spool_place place;
};

/* Entries first to first + n, modulo 'allocated' (a power of two). */
struct outbox {
    struct spool *spool; /* NULL: in memory.  Owned. */
    uint8_t id[AGENT_ID_LEN];
    struct entry *entries; /* Owned. */
    size_t first, n, allocated;
    uint64_t last_seq;
    uint64_t bytes, max_bytes; /* In memory. */
    uint64_t n_put, n_taken;
};

static struct entry *
entry_at(const struct outbox *o, size_t i)
{
    return &o->entries[(o->first + i) & (o->allocated - 1)];
}

static struct entry *
add_entry(struct outbox *o, uint64_t seq)
{
    if (o->n == o->allocated) {
        size_t allocated = o->allocated ? 2 * o->allocated : 64;
        struct entry *entries =
            lh_alloc_array(NULL, allocated, sizeof *entries);

        for (size_t i = 0; i < o->n; i++) {
            entries[i] = *entry_at(o, i);
        }
        free(o->entries);
        o->entries = entries;
        o->allocated = allocated;
        o->first = 0;
    }

    struct entry *e = entry_at(o, o->n++);

    *e = (struct entry){.seq = seq};
    o->last_seq = seq;
    return e;
}

static void
on_spooled(void *outbox_, uint64_t seq, const struct spool_place *place)
{
    struct outbox *o = outbox_;

    add_entry(o, seq)->place = *place;
}

int
outbox_open(const char *spool_dir, uint64_t max_bytes, struct outbox **outboxp,
            struct lh_error *error)
{
    struct outbox *o = lh_alloc_zero(sizeof *o);
    int retval;

    *outboxp = NULL;
    o->max_bytes = max_bytes;
    if (!spool_dir) {
        if (getrandom(o->id, sizeof o->id, 0) != sizeof o->id) {
            retval = errno;
            lh_error_set(error, "no random numbers: %s", strerror(retval));
            outbox_close(o);
            return retval;
        }
        *outboxp = o;
        return 0;
    }
    retval = spool_open(spool_dir, max_bytes, on_spooled, o, &o->spool, error);
    if (retval) {
        outbox_close(o);
        return retval;
    }
    memcpy(o->id, spool_agent_id(o->spool), sizeof o->id);
    o->last_seq = spool_last_seq(o->spool);
    outbox_ack(o, spool_acked(o->spool));
    o->n_taken = 0;
    *outboxp = o;
    return 0;
}

void
outbox_close(struct outbox *o)
{
    if (o) {
        for (size_t i = 0; i < o->n; i++) {
            free(entry_at(o, i)->data);
        }
        free(o->entries);
        spool_close(o->spool);
        free(o);
    }
}

const uint8_t *
outbox_agent_id(const struct outbox *o)
{
    return o->id;
}

enum agent_place
outbox_place(const struct outbox *o)
{
    return o->spool ? AGENT_PLACE_SPOOL : AGENT_PLACE_MEMORY;
}

size_t
outbox_positions(const struct outbox *o,
                 const struct ring_position **positions)
{
    *positions = NULL;
    return o->spool ? spool_positions(o->spool, positions) : 0;
}

uint64_t
outbox_next_seq(const struct outbox *o)
{
    return o->last_seq + 1;
}

int
outbox_put(struct outbox *o, const struct byte_buf *frame,
           const struct ring_position *positions, size_t n_positions,
           bool is_urgent)
{
    uint64_t seq = outbox_next_seq(o);

    if (o->spool) {
        struct spool_place place;
        int retval = spool_put(o->spool, seq, frame, positions, n_positions,
                               is_urgent, &place);

        if (retval) {
            return retval;
        }
        add_entry(o, seq)->place = place;
    } else {
        struct entry *e;

        if (o->bytes + frame->len >
            o->max_bytes + (is_urgent ? URGENT_ROOM : 0)) {
            return ENOSPC;
        }
        e = add_entry(o, seq);
        e->data = lh_memdup(frame->data, frame->len);
        e->place.len = (uint32_t) frame->len;
        o->bytes += frame->len;
    }
    o->n_put++;
    return 0;
}

bool
outbox_get(struct outbox *o, uint64_t seq, struct byte_buf *out,
           uint64_t *next)
{
    size_t low = 0, high = o->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (entry_at(o, middle)->seq <= seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < o->n; low++) {
        const struct entry *e = entry_at(o, low);

        *next = e->seq;
        if (e->data) {
            byte_buf_put(out, e->data, e->place.len);
            return true;
        }
        if (spool_read(o->spool, &e->place, out)) {
            return true;
        }
    }
    return false;
}

uint64_t
outbox_taken_seq(const struct outbox *o)
{
    return o->n ? entry_at(o, 0)->seq - 1 : o->last_seq;
}

void
outbox_ack(struct outbox *o, uint64_t seq)
{
    while (o->n && entry_at(o, 0)->seq <= seq) {
        struct entry *e = entry_at(o, 0);

        if (e->data) {
            o->bytes -= e->place.len;
            free(e->data);
        }
        o->first = (o->first + 1) & (o->allocated - 1);
        o->n--;
        o->n_taken++;
    }
    if (seq > o->last_seq) {
        o->last_seq = seq;
    }
    if (o->spool) {
        spool_ack(o->spool, seq);
    }
}

struct outbox_counters
outbox_counters(const struct outbox *o)
{
    return (struct outbox_counters){
        .n_waiting = o->n,
        .bytes = o->spool ? spool_bytes(o->spool) : o->bytes,
        .max_bytes = o->max_bytes,
        .n_put = o->n_put,
        .n_taken = o->n_taken,
        .n_errors = o->spool ? spool_n_errors(o->spool) : 0,
    };
}
