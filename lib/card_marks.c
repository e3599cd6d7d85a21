/* SPDX-License-Identifier: Apache-2.0 */
/* card_marks - what postcards of a batch say besides time, packet ID and
 * header. */
#include <config.h>

#include "lib/card_marks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hop_template.h"
#include "lib/lh_alloc.h"

/* First byte of a mark. */
#define FORM_STOCK   0u /* Of 32 version bits. */
#define FORM_BITS    1u /* Of others, which follow. */
#define FORM_VISIT   2u /* A whole visit, which says the rest. */
#define FORM_DROPPED 3u /* The same with POSTCARD_DROPPED. */
#define FORM_ALL     4u /* A visit, and the rest is told. */

_Static_assert((CARD_MARKS_BUCKETS & (CARD_MARKS_BUCKETS - 1)) == 0,
               "a power of two");

void
card_marks_init(struct card_marks *ms)
{
    memset(ms, 0, sizeof *ms);
    ms->marks = lh_alloc_array(NULL, CARD_MARKS_MAX + 1, sizeof *ms->marks);
    ms->marks[0] = (struct card_mark){.l2 = NULL};
    ms->visits = lh_alloc_array(NULL, CARD_MARKS_MAX, sizeof *ms->visits);
}

void
card_marks_clear(struct card_marks *ms)
{
    for (uint32_t i = 0; i < ms->n_made; i++) {
        free(ms->made[i]);
    }
    free(ms->made);
    ms->made = NULL;
    byte_buf_clear(&ms->rows);
    byte_buf_clear(&ms->visit_rows);
    byte_buf_clear(&ms->told);
    if (ms->n) {
        memset(ms->buckets, 0, sizeof ms->buckets);
    }
    ms->marks[0] = (struct card_mark){.l2 = NULL};
    ms->n = ms->n_met = ms->n_visits = ms->n_made = 0;
    ms->n_visit_bytes = 0;
}

void
card_marks_uninit(struct card_marks *ms)
{
    card_marks_clear(ms);
    byte_buf_uninit(&ms->rows);
    byte_buf_uninit(&ms->visit_rows);
    byte_buf_uninit(&ms->told);
    free(ms->marks);
    free(ms->visits);
}

/* That 'mark' came where 'next' were expected. */
static void
learn(uint16_t next[2], uint16_t mark)
{
    if (next[0] != mark) {
        next[1] = next[0];
        next[0] = mark;
    }
}

/* --- Writing -------------------------------------------------------------
 */

/* Tells the visit by its number, or as the next one. */
static void
put_visit(struct card_marks *ms, const struct hop_template *visit)
{
    for (uint32_t i = ms->n_visits; i-- > 0;) {
        if (ms->visits[i] == visit ||
            hop_template_equal(ms->visits[i], visit)) {
            byte_buf_put_uvarint(&ms->rows, i + 1);
            return;
        }
    }
    byte_buf_put_uvarint(&ms->rows, 0);
    byte_buf_put_uvarint(&ms->visit_rows, visit->left_out);
    hop_template_put(&ms->visit_rows, visit);
    ms->visits[ms->n_visits++] = visit;
    ms->n_visit_bytes += visit->size;
}

static void
put_members(struct byte_buf *out, const struct postcard *p, uint64_t last_dpid)
{
    byte_buf_put_svarint(out, (int64_t) (p->dpid - last_dpid));
    byte_buf_put_uvarint(out, p->version);
    byte_buf_put_uvarint(out, p->in_port);
    byte_buf_put_uvarint(out, p->out_port);
    byte_buf_put_u8(out, p->flags);
}

static void
put_mark(struct card_marks *ms, const struct postcard *p)
{
    uint64_t last_dpid = ms->marks[ms->n].p.dpid;
    struct card_mark derived = {.l2 = NULL};
    bool is_dropped = p->flags & POSTCARD_DROPPED;

    if (!p->visit) {
        byte_buf_put_u8(&ms->rows,
                        p->version_bits == 32 ? FORM_STOCK : FORM_BITS);
        put_members(&ms->rows, p, last_dpid);
        if (p->version_bits != 32) {
            byte_buf_put_u8(&ms->rows, p->version_bits);
        }
        return;
    }
    postcard_set_visit(&derived.p, p->visit, is_dropped);
    if (card_mark_is(&derived.p, p)) {
        byte_buf_put_u8(&ms->rows, is_dropped ? FORM_DROPPED : FORM_VISIT);
        put_visit(ms, p->visit);
        return;
    }
    byte_buf_put_u8(&ms->rows, FORM_ALL);
    put_visit(ms, p->visit);
    put_members(&ms->rows, p, last_dpid);
    byte_buf_put_u8(&ms->rows, p->version_bits);
}

uint16_t
card_marks_find(struct card_marks *ms, const struct postcard *p,
                const uint16_t next[2])
{
    uint16_t *bucket, mark;

    for (size_t k = 0; k < 2; k++) {
        if (next[k] && card_mark_is(&ms->marks[next[k]].p, p)) {
            return next[k];
        }
    }
    for (uint32_t i = (uint32_t) card_mark_hash(p);; i++) {
        bucket = &ms->buckets[i & (CARD_MARKS_BUCKETS - 1)];
        if (!*bucket) {
            break;
        }
        if (card_mark_is(&ms->marks[*bucket].p, p)) {
            return *bucket;
        }
    }
    put_mark(ms, p);
    mark = *bucket = (uint16_t) ++ms->n;
    ms->marks[mark] = (struct card_mark){.p = *p};
    return mark;
}

uint32_t
card_marks_tell(struct card_marks *ms, uint16_t mark, uint32_t n_before,
                uint16_t next[2])
{
    uint32_t op = CARD_MARK_TOLD;

    if (mark == next[0]) {
        return CARD_MARK_LAST;
    }
    if (mark == next[1]) {
        op = CARD_MARK_OTHER;
    } else {
        byte_buf_put_uvarint(&ms->told, mark > n_before ? 0 : mark);
    }
    learn(next, mark);
    return op;
}

/* --- Reading -------------------------------------------------------------
 */

static int
read_visits(struct card_marks *ms, struct bytes_reader *in, uint32_t n,
            struct lh_error *error)
{
    union hop_template_buf buf;

    ms->made = lh_alloc_array(NULL, n + 1, sizeof *ms->made);
    while (ms->n_visits < n) {
        uint64_t left_out = byte_buf_get_uvarint(in);
        struct hop_template *visit;

        if (hop_template_get(in, &buf, error)) {
            return EBADMSG;
        }
        if (left_out > UINT32_MAX) {
            lh_error_set(error, "a batch with a malformed visit");
            return EBADMSG;
        }
        buf.t.left_out = (uint32_t) left_out;
        visit = hop_template_clone(&buf.t);
        if (!visit) {
            lh_error_set(error, "no memory for a visit");
            return EBADMSG;
        }
        ms->made[ms->n_made++] = visit;
        ms->visits[ms->n_visits++] = visit;
    }
    return 0;
}

/* The visit of a mark; NULL when there is no such. */
static const struct hop_template *
get_visit(const struct card_marks *ms, struct bytes_reader *in,
          uint32_t *n_met)
{
    uint64_t visit = byte_buf_get_uvarint(in);

    if (!visit) {
        visit = ++*n_met;
    }
    return visit <= ms->n_visits && visit <= *n_met ? ms->visits[visit - 1]
                                                    : NULL;
}

static bool
read_members(struct bytes_reader *in, struct postcard *p, uint64_t last_dpid)
{
    uint64_t version, in_port, out_port;

    p->dpid = last_dpid + (uint64_t) byte_buf_get_svarint(in);
    version = byte_buf_get_uvarint(in);
    in_port = byte_buf_get_uvarint(in);
    out_port = byte_buf_get_uvarint(in);
    p->version = (uint32_t) version;
    p->in_port = (uint32_t) in_port;
    p->out_port = (uint32_t) out_port;
    p->flags = bytes_get_u8(in);
    return (version | in_port | out_port) <= UINT32_MAX;
}

static bool
read_mark(const struct card_marks *ms, struct bytes_reader *in,
          struct postcard *p, uint64_t last_dpid, uint32_t *n_met)
{
    unsigned int form = bytes_get_u8(in), n_bits = 32;
    const struct hop_template *visit = NULL;

    if (form > FORM_ALL) {
        return false;
    }
    if (form >= FORM_VISIT) {
        visit = get_visit(ms, in, n_met);
        if (!visit) {
            return false;
        }
    }
    if (form == FORM_VISIT || form == FORM_DROPPED) {
        postcard_set_visit(p, visit, form == FORM_DROPPED);
        return true;
    }
    if (!read_members(in, p, last_dpid)) {
        return false;
    }
    if (form != FORM_STOCK) {
        n_bits = bytes_get_u8(in);
    }
    p->version_bits = n_bits & 127;
    p->visit = visit;
    return n_bits < 128;
}

int
card_marks_read(struct card_marks *ms, struct bytes_reader *rows, uint32_t n,
                struct bytes_reader *visit_rows, uint32_t n_visits,
                struct lh_error *error)
{
    uint32_t n_met = 0;

    if (n > CARD_MARKS_MAX || n_visits > n) {
        lh_error_set(error, "a batch with more marks than postcards");
        return EBADMSG;
    }
    if (read_visits(ms, visit_rows, n_visits, error)) {
        return EBADMSG;
    }
    for (; ms->n < n; ms->n++) {
        struct card_mark *m = &ms->marks[ms->n + 1];

        *m = (struct card_mark){.l2 = NULL};
        if (!read_mark(ms, rows, &m->p, m[-1].p.dpid, &n_met) ||
            rows->failed) {
            lh_error_set(error, "mark %u of a batch is malformed", ms->n);
            return EBADMSG;
        }
    }
    if (n_met != n_visits) {
        lh_error_set(error, "a batch with visits that nobody made");
        return EBADMSG;
    }
    return 0;
}

uint16_t
card_marks_get(struct card_marks *ms, uint32_t op, uint16_t next[2],
               struct bytes_reader *told)
{
    uint32_t how = op & CARD_MARK_BITS;
    uint64_t mark;

    if (how == CARD_MARK_LAST) {
        return next[0];
    }
    if (how == CARD_MARK_OTHER) {
        mark = next[1];
    } else {
        mark = how == CARD_MARK_TOLD ? byte_buf_get_uvarint(told) : UINT64_MAX;
        if (!mark && ms->n_met < ms->n) {
            mark = ++ms->n_met;
        }
    }
    if (!mark || mark > ms->n_met) {
        return 0;
    }
    learn(next, (uint16_t) mark);
    return (uint16_t) mark;
}
