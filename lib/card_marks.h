/* SPDX-License-Identifier: Apache-2.0 */
/* card_marks - what postcards of a batch say besides time, packet ID and
 * header: a dictionary of marks, of which each postcard has one.
 *
 * A mark is told by its number only where it is not one of two that are
 * expected: each mark knows which came at the next hop of its packets, and
 * which with the new packet after one of its own.
 *
 * docs/formats/cluster.md is the format.  Used by card_batch*.c; what
 * makes two marks one also by server/door_marks.c.
 *
 * Ownership: card_marks_init() to card_marks_uninit().  A writer's visits are
 * borrowed, a reader's are the dictionary's, until card_marks_clear().
 *
 * Threads: plain data. */
#ifndef LIB_CARD_MARKS_H
#define LIB_CARD_MARKS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/bytes.h"
#include "lib/hop_template.h"
#include "lib/lh_error.h"
#include "lib/postcard.h"

#define CARD_MARKS_MAX     4096
#define CARD_MARKS_BUCKETS (2 * CARD_MARKS_MAX)

/* Bits of a postcard's byte: its mark is */
#define CARD_MARK_BITS  0x0cu
#define CARD_MARK_LAST  0x00u /* that which followed last, */
#define CARD_MARK_OTHER 0x04u /* that which did before, */
#define CARD_MARK_TOLD  0x08u /* or told. */

/* Numbers are from 1 on; 0 is none. */
struct card_mark {
    struct postcard p;    /* All but time, packet ID and header. */
    uint16_t next_hop[2]; /* Marks of the next hop, the last one first. */
    uint16_t next_new[2]; /* Of the new packet after one of this. */
    uint16_t l2_len;      /* The caller's: of its last packet ... */
    const uint8_t *l2;    /* ... the bytes before the IP header; NULL. */
};

struct card_marks {
    struct card_mark *marks; /* And one in front of the first.  Owned. */
    uint32_t n, n_met;
    const struct hop_template **visits; /* Owned array. */
    struct hop_template **made;         /* A reader's visits.  Owned. */
    uint32_t n_visits, n_made;

    /* Writer: what is to be stored. */
    struct byte_buf rows, visit_rows, told;
    size_t n_visit_bytes;
    uint16_t buckets[CARD_MARKS_BUCKETS]; /* Numbers. */
};

/* Whether two postcards have one mark. */
static inline bool
card_mark_is(const struct postcard *q, const struct postcard *p)
{
    return q->dpid == p->dpid && q->version == p->version &&
           q->in_port == p->in_port && q->out_port == p->out_port &&
           q->flags == p->flags && q->version_bits == p->version_bits &&
           (q->visit == p->visit ||
            (q->visit && p->visit && hop_template_equal(q->visit, p->visit)));
}

static inline uint64_t
card_mark_hash(const struct postcard *p)
{
    uint64_t hash =
        (p->dpid ^ (uint64_t) p->version << 32) * UINT64_C(0x9e3779b97f4a7c15);

    hash += (p->in_port ^ (uint64_t) p->out_port << 32) *
            UINT64_C(0xbf58476d1ce4e5b9);
    hash += (p->flags ^ (uint64_t) p->version_bits << 8) *
            UINT64_C(0x94d049bb133111eb);
    if (p->visit) {
        hash += p->visit->hash * UINT64_C(0xd6e8feb86659fd93);
    }
    hash ^= hash >> 32;
    hash *= UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

void card_marks_init(struct card_marks *);
void card_marks_uninit(struct card_marks *);
void card_marks_clear(struct card_marks *);

/* The number of the postcard's mark, of which 'next' are expected; a new one
 * is added to the rows. */
uint16_t card_marks_find(struct card_marks *, const struct postcard *,
                         const uint16_t next[2]);
/* Tells the mark, which is new if there were 'n_before' before, and learns
 * that it came where 'next' were expected; returns bits. */
uint32_t card_marks_tell(struct card_marks *, uint16_t mark, uint32_t n_before,
                         uint16_t next[2]);

/* Reads all of 'n' marks and 'n_visits'.  Returns 0, or EBADMSG with the
 * reason. */
int card_marks_read(struct card_marks *, struct bytes_reader *rows, uint32_t n,
                    struct bytes_reader *visit_rows, uint32_t n_visits,
                    struct lh_error *);
/* The mark that was told with the bits 'op'; 0 when there is no such. */
uint16_t card_marks_get(struct card_marks *, uint32_t op, uint16_t next[2],
                        struct bytes_reader *told);

#endif /* lib/card_marks.h */
