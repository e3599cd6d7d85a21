/* SPDX-License-Identifier: Apache-2.0 */
/* history_codec - histories as compact bytes: the writing side. */
#include <config.h>

#include "lib/history_codec.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/history_codec_format.h"
#include "lib/lh_alloc.h"

/* Where the number of a switch stands in a form's bytes. */
struct form_dpid {
    uint64_t dpid;
    size_t at;
};

struct history_form {
    const uint8_t *bytes; /* Of the record behind its beginning, but for
                           * numbers of switches; behind the dpids. */
    size_t n_bytes;
    uint64_t first_ns, last_ns;
    uint32_t n_hops;
    size_t n_dpids, allocated;
    struct form_dpid *dpids; /* In their order; behind the form itself, once
                              * that is made. */
};

struct history_encoder {
    struct history_form *form; /* Being made instead of a payload; or NULL. */
    struct byte_buf records;
    struct byte_buf scratch; /* The record being made. */
    uint64_t base_ns;        /* First postcard of the first record. */
    struct history_encoder_totals totals;

    size_t n_dpids, allocated_dpids;
    uint64_t *dpids; /* In order of first use.  Owned. */
    size_t mask;     /* Slots - 1. */
    uint32_t *slots; /* Open addressing: 1 + index into dpids, 0: free.
                      * Owned. */
};

#define FIRST_SLOTS 64u

struct history_encoder *
history_encoder_create(void)
{
    struct history_encoder *e = lh_alloc_zero(sizeof *e);

    e->mask = FIRST_SLOTS - 1;
    e->slots = lh_alloc_zero(FIRST_SLOTS * sizeof *e->slots);
    return e;
}

void
history_encoder_destroy(struct history_encoder *e)
{
    if (e) {
        byte_buf_uninit(&e->records);
        byte_buf_uninit(&e->scratch);
        free(e->dpids);
        free(e->slots);
        free(e);
    }
}

void
history_encoder_reset(struct history_encoder *e)
{
    byte_buf_clear(&e->records);
    memset(&e->totals, 0, sizeof e->totals);
    memset(e->slots, 0, (e->mask + 1) * sizeof *e->slots);
    e->n_dpids = 0;
}

const struct history_encoder_totals *
history_encoder_totals(const struct history_encoder *e)
{
    return &e->totals;
}

static size_t
find_slot(const struct history_encoder *e, uint64_t dpid)
{
    size_t i = (size_t) ((dpid * 0x9e3779b97f4a7c15u) >> 32) & e->mask;

    while (e->slots[i] && e->dpids[e->slots[i] - 1] != dpid) {
        i = (i + 1) & e->mask;
    }
    return i;
}

static void
grow_slots(struct history_encoder *e)
{
    e->mask = e->mask * 2 + 1;
    free(e->slots);
    e->slots = lh_alloc_zero((e->mask + 1) * sizeof *e->slots);
    for (size_t i = 0; i < e->n_dpids; i++) {
        e->slots[find_slot(e, e->dpids[i])] = (uint32_t) i + 1;
    }
}

static void
note_dpid(struct history_form *form, uint64_t dpid, size_t at)
{
    form->dpids = lh_alloc_grow(form->dpids, form->n_dpids, &form->allocated,
                                sizeof *form->dpids);
    form->dpids[form->n_dpids++] = (struct form_dpid){dpid, at};
}

static void
put_dpid(struct history_encoder *e, uint64_t dpid)
{
    size_t slot;

    if (e->form) {
        note_dpid(e->form, dpid, e->scratch.len);
        return;
    }
    slot = find_slot(e, dpid);

    if (!e->slots[slot]) {
        e->dpids = lh_alloc_grow(e->dpids, e->n_dpids, &e->allocated_dpids,
                                 sizeof *e->dpids);
        e->dpids[e->n_dpids++] = dpid;
        e->slots[slot] = (uint32_t) e->n_dpids;
        if (e->n_dpids * 2 > e->mask) {
            grow_slots(e);
            slot = find_slot(e, dpid);
        }
    }
    byte_buf_put_uvarint(&e->scratch, e->slots[slot] - 1);
}

static void
put_verdict(struct history_encoder *e, const struct verdict *v)
{
    struct byte_buf *out = &e->scratch;
    uint64_t bits = (uint64_t) v->name | (uint64_t) v->evidence << 4;
    bool has_place = v->dpid || v->port || v->version;

    bits |= v->has_version ? CODEC_VERDICT_HAS_VERSION : 0;
    bits |= v->reason ? CODEC_VERDICT_HAS_REASON : 0;
    bits |= has_place ? CODEC_VERDICT_HAS_PLACE : 0;
    byte_buf_put_uvarint(out, bits);
    if (has_place) {
        put_dpid(e, v->dpid);
        byte_buf_put_uvarint(out, v->port);
        byte_buf_put_uvarint(out, v->version);
    }
    if (v->reason) {
        size_t n = strlen(v->reason);

        byte_buf_put_uvarint(out, n);
        byte_buf_put(out, v->reason, n);
    }
}

static void
put_list(struct byte_buf *out, const uint32_t *values, size_t n)
{
    byte_buf_put_uvarint(out, n);
    for (size_t i = 0; i < n; i++) {
        byte_buf_put_uvarint(out, values[i]);
    }
}

/* How many of the 'n' bytes at 'a' and 'b' are equal before the first that is
 * not: mostly all, so eight at a time. */
static size_t
equal_bytes(const uint8_t *a, const uint8_t *b, size_t n)
{
    size_t i = 0;

    while (n - i >= 8) {
        uint64_t x, y;

        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        if (x != y) {
            break;
        }
        i += 8;
    }
    while (i < n && a[i] == b[i]) {
        i++;
    }
    return i;
}

/* 'data' as runs equal to 'ref' and runs that are not. */
static void
put_delta(struct byte_buf *out, const uint8_t *data, size_t len,
          const uint8_t *ref, size_t ref_len)
{
    size_t at = 0;

    while (at < len) {
        size_t shared = ref_len < len ? ref_len : len;
        size_t n =
            at < shared ? equal_bytes(data + at, ref + at, shared - at) : 0;

        byte_buf_put_uvarint(out, n);
        at += n;
        if (at == len) {
            break;
        }

        size_t start = at;

        while (at < len && (at >= ref_len || data[at] != ref[at])) {
            at++;
        }
        byte_buf_put_uvarint(out, at - start);
        byte_buf_put(out, data + start, at - start);
    }
}

static void
put_hop(struct history_encoder *e, const struct history *h, size_t i,
        uint64_t first_ns)
{
    struct byte_buf *out = &e->scratch;
    const struct history_hop *hop = &h->hops[i];
    bool is_chained = hop->parent == (int) i - 1;
    bool is_plain =
        hop->n_out == 1 && hop->n_branches == 0 && hop->n_versions == 1;
    uint64_t bits = 0;

    assert(hop->parent >= -1 && hop->parent < (int) i);
    bits |= hop->is_packet_out ? CODEC_HOP_PACKET_OUT : 0;
    bits |= hop->is_deduced ? CODEC_HOP_DEDUCED : 0;
    bits |= hop->has_gap_before ? CODEC_HOP_GAP : 0;
    bits |= hop->is_after ? CODEC_HOP_AFTER : 0;
    bits |= hop->has_header_out ? CODEC_HOP_HEADER_OUT : 0;
    bits |= is_chained ? CODEC_HOP_CHAINED : 0;
    bits |= is_plain ? CODEC_HOP_PLAIN : 0;
    byte_buf_put_uvarint(out, bits);
    if (!is_chained) {
        byte_buf_put_svarint(out, hop->parent);
    }
    put_dpid(e, hop->dpid);
    byte_buf_put_uvarint(out, hop->in_port);
    if (is_plain) {
        byte_buf_put_uvarint(out, hop->out_ports[0]);
        byte_buf_put_uvarint(out, hop->versions[0]);
    } else {
        put_list(out, hop->out_ports, hop->n_out);
        put_list(out, hop->branches, hop->n_branches);
        put_list(out, hop->versions, hop->n_versions);
    }
    /* Modulo 2^64: a hop without a time has 0. */
    byte_buf_put_uvarint(out, hop->time_ns - first_ns);

    const struct history_hop *ref = codec_reference(h, i);
    const uint8_t *ref_data = NULL;
    size_t ref_len = 0;

    if (ref) {
        ref_data = ref->has_header_out ? ref->header_out : ref->header;
        ref_len = ref->has_header_out ? ref->header_out_len : ref->caplen;
    }
    byte_buf_put_uvarint(out, hop->caplen);
    put_delta(out, hop->header, hop->caplen, ref_data, ref_len);
    if (hop->has_header_out) {
        byte_buf_put_uvarint(out, hop->header_out_len);
        put_delta(out, hop->header_out, hop->header_out_len, hop->header,
                  hop->caplen);
    }
    put_verdict(e, &hop->verdict);
}

static bool
is_too_big(const struct history *h)
{
    uint64_t n_bytes = 0;

    for (size_t i = 0; i < h->n_hops; i++) {
        n_bytes += h->hops[i].caplen + h->hops[i].header_out_len;
    }
    return h->n_hops > HISTORY_CODEC_MAX_HOPS ||
           n_bytes > HISTORY_CODEC_MAX_BYTES;
}

/* Begins the record. */
static void
begin_record(struct history_encoder *e, uint64_t first_ns)
{
    if (!e->totals.n_records) {
        e->base_ns = first_ns;
    }
    byte_buf_clear(&e->scratch);
    byte_buf_put_svarint(&e->scratch, (int64_t) (first_ns - e->base_ns));
}

/* All of it behind that. */
static void
put_record(struct history_encoder *e, const struct history *h,
           uint64_t first_ns, uint64_t last_ns)
{
    struct byte_buf *out = &e->scratch;
    uint64_t bits = 0;

    byte_buf_put_uvarint(out, last_ns - first_ns);
    bits |= h->has_packet_id ? CODEC_HAS_ID : 0;
    bits |= h->packet_id ? CODEC_STORES_ID : 0;
    bits |= h->carries ? CODEC_CARRIES : 0;
    bits |= h->carried_by ? CODEC_CARRIED_BY : 0;
    byte_buf_put_uvarint(out, bits);
    if (h->packet_id) {
        byte_buf_put_u64(out, h->packet_id);
    }
    if (h->carries) {
        byte_buf_put_u64(out, h->carries);
    }
    if (h->carried_by) {
        byte_buf_put_u64(out, h->carried_by);
    }
    put_verdict(e, &h->verdict);
    byte_buf_put_uvarint(out, h->n_hops);
    for (size_t i = 0; i < h->n_hops; i++) {
        put_hop(e, h, i, first_ns);
    }
}

/* Ends it, and counts it. */
static void
end_record(struct history_encoder *e, size_t n_hops, uint64_t first_ns,
           uint64_t last_ns)
{
    struct history_encoder_totals *totals = &e->totals;

    byte_buf_put_uvarint(&e->records, e->scratch.len);
    byte_buf_put(&e->records, e->scratch.data, e->scratch.len);
    if (!totals->n_records || first_ns < totals->min_ns) {
        totals->min_ns = first_ns;
    }
    if (last_ns > totals->max_ns) {
        totals->max_ns = last_ns;
    }
    totals->n_records++;
    totals->n_hops += (uint32_t) n_hops;
    totals->size = e->records.len + 8 * e->n_dpids + 20;
}

int
history_encoder_add(struct history_encoder *e, const struct history *h)
{
    uint64_t first_ns = history_first_ns(h), last_ns = history_last_ns(h);

    if (is_too_big(h)) {
        return EFBIG;
    }
    begin_record(e, first_ns);
    put_record(e, h, first_ns, last_ns);
    end_record(e, h->n_hops, first_ns, last_ns);
    return 0;
}

/* Puts all of the form behind each other, where few memory accesses find it;
 * takes the form and 'bytes'. */
static struct history_form *
pack_form(struct history_form *form, struct byte_buf *bytes)
{
    size_t n_dpids = form->n_dpids * sizeof *form->dpids;
    struct history_form *packed =
        lh_alloc_zero(sizeof *packed + n_dpids + bytes->len);
    struct form_dpid *dpids = (struct form_dpid *) (void *) (packed + 1);

    *packed = *form;
    packed->dpids = dpids;
    packed->bytes = (const uint8_t *) dpids + n_dpids;
    packed->n_bytes = bytes->len;
    if (n_dpids) {
        memcpy(dpids, form->dpids, n_dpids);
    }
    memcpy(dpids + form->n_dpids, bytes->data, bytes->len);
    free(form->dpids);
    free(form);
    byte_buf_uninit(bytes);
    return packed;
}

struct history_form *
history_form_create(const struct history *h)
{
    struct history_encoder e = {.scratch = BYTE_BUF_INIT};

    if (is_too_big(h)) {
        return NULL;
    }
    e.form = lh_alloc_zero(sizeof *e.form);
    e.form->first_ns = history_first_ns(h);
    e.form->last_ns = history_last_ns(h);
    e.form->n_hops = (uint32_t) h->n_hops;
    put_record(&e, h, e.form->first_ns, e.form->last_ns);
    return pack_form(e.form, &e.scratch);
}

void
history_form_prefetch(const struct history_form *form)
{
    const char *p = (const char *) form;

    for (size_t i = 0; i < 4; i++) {
        __builtin_prefetch(p + 64 * i);
    }
}

void
history_form_destroy(struct history_form *form)
{
    free(form);
}

void
history_encoder_add_form(struct history_encoder *e,
                         const struct history_form *form)
{
    size_t at = 0;

    begin_record(e, form->first_ns);
    for (size_t i = 0; i < form->n_dpids; i++) {
        const struct form_dpid *dpid = &form->dpids[i];

        byte_buf_put(&e->scratch, form->bytes + at, dpid->at - at);
        put_dpid(e, dpid->dpid);
        at = dpid->at;
    }
    byte_buf_put(&e->scratch, form->bytes + at, form->n_bytes - at);
    end_record(e, form->n_hops, form->first_ns, form->last_ns);
}

void
history_encoder_finish(const struct history_encoder *e, struct byte_buf *out)
{
    byte_buf_put_uvarint(out, e->n_dpids);
    for (size_t i = 0; i < e->n_dpids; i++) {
        byte_buf_put_u64(out, e->dpids[i]);
    }
    byte_buf_put_u64(out, e->base_ns);
    byte_buf_put(out, e->records.data, e->records.len);
}
