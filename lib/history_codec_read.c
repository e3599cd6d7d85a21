/* SPDX-License-Identifier: Apache-2.0 */
/* history_codec - histories as compact bytes: the reading side. */
#include <config.h>

#include "lib/history_codec.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/history_codec_format.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

/* Memory of a history_view: chunks, of which the first is kept. */
struct chunk {
    struct chunk *next;
    size_t used, size;
    /* Then 'size' bytes. */
};

#define CHUNK_SIZE (64u << 10)

struct history_view {
    struct history history; /* Its hops' members are in chunks. */
    struct chunk *chunks;   /* The newest first.  Owned. */
};

/* What decoding one record needs. */
struct record_reader {
    const struct history_decoder *decoder;
    struct history_view *view; /* Whose memory is used; NULL: malloc(). */
    struct bytes_reader r;
    uint64_t first_ns;
    size_t n_bytes; /* Of headers so far. */
};

int
history_decoder_create(const uint8_t *payload, size_t len,
                       struct history_decoder **dp, struct lh_error *error)
{
    struct bytes_reader r = bytes_reader(payload, len);
    uint64_t n = byte_buf_get_uvarint(&r);

    *dp = NULL;
    if (r.failed || n > bytes_left(&r) / 8) {
        lh_error_set(error, "the dictionary of switches is cut short");
        return EBADMSG;
    }

    const uint8_t *dpids = bytes_get(&r, (size_t) n * 8);
    uint64_t base_ns = bytes_get_u64(&r);

    if (r.failed) {
        lh_error_set(error, "the dictionary of switches is cut short");
        return EBADMSG;
    }

    struct history_decoder *d = lh_alloc_zero(sizeof *d);

    d->reader = r;
    d->base_ns = base_ns;
    d->n_dpids = (size_t) n;
    d->dpids = dpids;
    *dp = d;
    return 0;
}

void
history_decoder_destroy(struct history_decoder *d)
{
    free(d);
}

/* --- Memory ------------------------------------------------------------- */

struct history_view *
history_view_create(void)
{
    return lh_alloc_zero(sizeof(struct history_view));
}

static void
drop_chunks(struct history_view *view, size_t n_kept)
{
    while (view->chunks && (view->chunks->next || !n_kept)) {
        struct chunk *chunk = view->chunks;

        view->chunks = chunk->next;
        free(chunk);
    }
    if (view->chunks) {
        view->chunks->used = 0;
    }
}

void
history_view_destroy(struct history_view *view)
{
    if (view) {
        drop_chunks(view, 0);
        free(view->history.hops);
        free(view);
    }
}

/* 'n' bytes for a member of the history. */
static void *
get_memory(struct record_reader *rr, size_t n)
{
    struct history_view *view = rr->view;
    const size_t align = sizeof(void *) - 1;

    if (!view) {
        return lh_alloc(n);
    }
    n = (n + align) & ~align;
    if (!view->chunks || n > view->chunks->size - view->chunks->used) {
        size_t size = n > CHUNK_SIZE ? n : CHUNK_SIZE;
        struct chunk *chunk = lh_alloc(sizeof *chunk + size);

        *chunk = (struct chunk){view->chunks, 0, size};
        view->chunks = chunk;
    }

    uint8_t *p = (uint8_t *) (view->chunks + 1) + view->chunks->used;

    view->chunks->used += n;
    return p;
}

static void
put_back(struct record_reader *rr, void *p)
{
    if (!rr->view) {
        free(p);
    }
}

/* --- Records ------------------------------------------------------------ */

static int
broken(size_t offset, struct lh_error *error)
{
    lh_error_set(error, "the record at byte %zu of the payload is broken",
                 offset);
    return EBADMSG;
}

/* Sets '*body' to a reader of the record that 'r' stands before, and moves
 * 'r' behind it.  False when it is cut short. */
static bool
get_record(struct bytes_reader *r, struct bytes_reader *body)
{
    uint64_t len = byte_buf_get_uvarint(r);

    if (r->failed || len > bytes_left(r)) {
        return false;
    }
    *body = bytes_reader(bytes_get(r, (size_t) len), (size_t) len);
    return true;
}

int
history_decoder_next(struct history_decoder *d, struct history_record *record,
                     struct lh_error *error)
{
    struct bytes_reader body;

    if (!bytes_left(&d->reader)) {
        return d->reader.failed ? EBADMSG : ENODATA;
    }
    record->offset = d->reader.ofs;
    if (!get_record(&d->reader, &body)) {
        d->reader.failed = true;
        return broken(record->offset, error);
    }
    record->first_ns = d->base_ns + (uint64_t) byte_buf_get_svarint(&body);
    record->last_ns = record->first_ns + byte_buf_get_uvarint(&body);
    return body.failed ? broken(record->offset, error) : 0;
}

/* A uvarint, most of which are of one byte. */
static inline uint64_t
get_uvarint(struct bytes_reader *r)
{
    return !r->failed && r->ofs < r->len && r->data[r->ofs] < 0x80
               ? r->data[r->ofs++]
               : byte_buf_get_uvarint(r);
}

static uint64_t
get_dpid(struct record_reader *rr)
{
    uint64_t i = get_uvarint(&rr->r);

    if (i >= rr->decoder->n_dpids) {
        rr->r.failed = true;
        return 0;
    }
    return bytes_be64(rr->decoder->dpids + 8 * i);
}

/* An integer of at most 'max'. */
static uint64_t
get_limited(struct record_reader *rr, uint64_t max)
{
    uint64_t value = get_uvarint(&rr->r);

    if (value > max) {
        rr->r.failed = true;
        return 0;
    }
    return value;
}

static void
get_verdict(struct record_reader *rr, struct verdict *v)
{
    uint64_t bits = get_uvarint(&rr->r);
    uint64_t name = bits & 0xf, evidence = (bits >> 4) & 3;

    if (name > VERDICT_LOOPED || evidence > EVIDENCE_UNCERTAIN) {
        rr->r.failed = true;
        return;
    }
    v->name = (enum verdict_name) name;
    v->evidence = (enum evidence) evidence;
    v->has_version = (bits & CODEC_VERDICT_HAS_VERSION) != 0;
    v->dpid = 0;
    v->port = 0;
    v->version = 0;
    if (bits & CODEC_VERDICT_HAS_PLACE) {
        v->dpid = get_dpid(rr);
        v->port = (uint32_t) get_limited(rr, UINT32_MAX);
        v->version = (uint32_t) get_limited(rr, UINT32_MAX);
    }
    if (bits & CODEC_VERDICT_HAS_REASON) {
        uint64_t n = get_limited(rr, bytes_left(&rr->r));
        const uint8_t *text = bytes_get(&rr->r, (size_t) n);

        put_back(rr, v->reason);
        v->reason = get_memory(rr, (size_t) n + 1);
        if (text && n) {
            memcpy(v->reason, text, (size_t) n);
        }
        v->reason[text ? n : 0] = '\0';
    }
}

static uint32_t *
get_list(struct record_reader *rr, size_t *np)
{
    /* Each value takes at least a byte. */
    size_t n = (size_t) get_limited(rr, bytes_left(&rr->r));

    *np = 0;
    if (!n || rr->r.failed) {
        return NULL;
    }

    uint32_t *values = get_memory(rr, n * sizeof *values);

    for (size_t i = 0; i < n; i++) {
        values[i] = (uint32_t) get_limited(rr, UINT32_MAX);
    }
    *np = n;
    return values;
}

/* 'len' bytes that put_delta() wrote as a difference to 'ref'. */
static uint8_t *
get_delta(struct record_reader *rr, size_t len, const uint8_t *ref,
          size_t ref_len)
{
    rr->n_bytes += len;
    if (rr->r.failed || !len || rr->n_bytes > HISTORY_CODEC_MAX_BYTES) {
        rr->r.failed |= len != 0;
        return NULL;
    }

    uint8_t *data = get_memory(rr, len);
    size_t at = 0;

    while (at < len) {
        size_t room = ref_len > at ? ref_len - at : 0;
        size_t n = (size_t) get_limited(rr, room < len - at ? room : len - at);

        if (n) {
            memcpy(data + at, ref + at, n);
            at += n;
        }
        if (at == len) {
            break;
        }
        n = (size_t) get_limited(rr, len - at);

        const uint8_t *p = bytes_get(&rr->r, n);

        if (!p || !n) {
            rr->r.failed = true;
            put_back(rr, data);
            return NULL;
        }
        memcpy(data + at, p, n);
        at += n;
    }
    if (rr->r.failed) {
        put_back(rr, data);
        return NULL;
    }
    return data;
}

/* One of something, as the plain form of a hop has it. */
static uint32_t *
get_single(struct record_reader *rr, size_t *np)
{
    uint32_t *values = get_memory(rr, sizeof *values);

    values[0] = (uint32_t) get_limited(rr, UINT32_MAX);
    *np = 1;
    return values;
}

static void
get_headers(struct record_reader *rr, const struct history *h, size_t i,
            bool has_header_out)
{
    struct history_hop *hop = &h->hops[i];
    const struct history_hop *ref = codec_reference(h, i);
    const uint8_t *ref_data = NULL;
    size_t ref_len = 0;

    if (ref) {
        ref_data = ref->has_header_out ? ref->header_out : ref->header;
        ref_len = ref->has_header_out ? ref->header_out_len : ref->caplen;
    }

    size_t len = (size_t) get_limited(rr, UINT16_MAX);

    hop->header = get_delta(rr, len, ref_data, ref_len);
    hop->caplen = hop->header ? (uint16_t) len : 0;
    if (has_header_out) {
        len = (size_t) get_limited(rr, UINT16_MAX);
        hop->header_out = get_delta(rr, len, hop->header, hop->caplen);
        hop->header_out_len = hop->header_out ? (uint16_t) len : 0;
        hop->has_header_out = true;
    }
}

static void
get_hop(struct record_reader *rr, struct history *h)
{
    struct history_hop *hop = history_add_hop(h);
    size_t i = h->n_hops - 1;
    uint64_t bits = get_uvarint(&rr->r);

    hop->is_packet_out = (bits & CODEC_HOP_PACKET_OUT) != 0;
    hop->is_deduced = (bits & CODEC_HOP_DEDUCED) != 0;
    hop->has_gap_before = (bits & CODEC_HOP_GAP) != 0;
    hop->is_after = (bits & CODEC_HOP_AFTER) != 0;
    hop->parent = (int) i - 1;
    if (!(bits & CODEC_HOP_CHAINED)) {
        int64_t parent = byte_buf_get_svarint(&rr->r);

        if (parent < -1 || parent >= (int64_t) i) {
            rr->r.failed = true;
            parent = -1;
        }
        hop->parent = (int) parent;
    }
    hop->dpid = get_dpid(rr);
    hop->in_port = (uint32_t) get_limited(rr, UINT32_MAX);
    if (bits & CODEC_HOP_PLAIN) {
        hop->out_ports = get_single(rr, &hop->n_out);
        hop->versions = get_single(rr, &hop->n_versions);
    } else {
        hop->out_ports = get_list(rr, &hop->n_out);
        hop->branches = get_list(rr, &hop->n_branches);
        hop->versions = get_list(rr, &hop->n_versions);
    }
    hop->time_ns = rr->first_ns + get_uvarint(&rr->r);
    get_headers(rr, h, i, (bits & CODEC_HOP_HEADER_OUT) != 0);
    get_verdict(rr, &hop->verdict);
}

/* Reads the record at 'offset' into 'h', which is as history_create() makes
 * it. */
static int
read_record(struct record_reader *rr, size_t offset, struct history *h,
            struct lh_error *error)
{
    const struct history_decoder *d = rr->decoder;
    struct bytes_reader all = d->reader;

    all.failed = false;
    all.ofs = offset < all.len ? offset : all.len;
    if (!get_record(&all, &rr->r)) {
        return broken(offset, error);
    }
    rr->first_ns = d->base_ns + (uint64_t) byte_buf_get_svarint(&rr->r);
    get_uvarint(&rr->r);

    uint64_t bits = get_uvarint(&rr->r);

    h->packet_id = bits & CODEC_STORES_ID ? bytes_get_u64(&rr->r) : 0;
    h->has_packet_id = (bits & CODEC_HAS_ID) != 0;
    h->carries = bits & CODEC_CARRIES ? bytes_get_u64(&rr->r) : 0;
    h->carried_by = bits & CODEC_CARRIED_BY ? bytes_get_u64(&rr->r) : 0;
    get_verdict(rr, &h->verdict);

    uint64_t n = get_limited(rr, HISTORY_CODEC_MAX_HOPS);

    for (uint64_t i = 0; i < n && !rr->r.failed; i++) {
        get_hop(rr, h);
    }
    return rr->r.failed || bytes_left(&rr->r) ? broken(offset, error) : 0;
}

int
history_decoder_read(const struct history_decoder *d, size_t offset,
                     struct history **hp, struct lh_error *error)
{
    struct record_reader rr = {.decoder = d};
    struct history *h = history_create(0);
    int retval = read_record(&rr, offset, h, error);

    *hp = NULL;
    if (retval) {
        history_destroy(h);
        return retval;
    }
    *hp = h;
    return 0;
}

int
history_decoder_view(const struct history_decoder *d, size_t offset,
                     struct history_view *view, struct history **hp,
                     struct lh_error *error)
{
    struct record_reader rr = {.decoder = d, .view = view};
    struct history *h = &view->history;
    int retval;

    drop_chunks(view, 1);
    h->n_hops = 0;
    h->verdict = (struct verdict){.port = OF_PORT_UNKNOWN};
    retval = read_record(&rr, offset, h, error);
    *hp = retval ? NULL : h;
    return retval;
}
