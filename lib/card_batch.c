/* SPDX-License-Identifier: Apache-2.0 */
/* card_batch - packs postcards. */
#include <config.h>

#include "lib/card_batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/card_batch_impl.h"
#include "lib/card_flows.h"
#include "lib/card_sections.h"
#include "lib/column_writer.h"
#include "lib/compress.h"
#include "lib/hop_template.h"
#include "lib/lh_alloc.h"

#define N_BUCKETS (2 * CARD_BATCH_MAX)
#define MAX_GAP   3 /* Equal bytes within a patch. */

_Static_assert((N_BUCKETS & (N_BUCKETS - 1)) == 0, "a power of two");
_Static_assert(N_CARD_SECTIONS <= CARD_SECTIONS_MAX, "each has a place");

/* A mark with a number of the caller's. */
struct known_mark {
    uint16_t batch; /* In this one it has been met. */
    uint16_t mark;
};

struct card_batch_writer {
    struct packet_id_config id_config;
    unsigned int version;
    struct card_squeezer squeezer;
    struct column_writer columns;
    struct byte_buf own[N_CARD_SECTIONS - N_COLUMNS];
    struct byte_buf edit, patches;
    size_t n_bytes; /* Of headers. */
    uint16_t snap;  /* The longest header of late. */
    uint16_t longest;

    struct card_marks marks;
    struct card_flows flows;
    struct card_packet *packets; /* Owned. */
    uint32_t n_packets;
    uint16_t packet_buckets[N_BUCKETS]; /* Number + 1. */

    uint32_t n, n_split, n_plain, n_inner;
    uint16_t last_packet; /* Of the postcard before; CARD_NONE. */
    uint16_t last_new;    /* Mark of the last new packet; 0. */
    uint64_t last_new_ns, last_inner_ns;
    bool is_fine;             /* Some time has nanoseconds. */
    struct known_mark *known; /* Marks by the caller's numbers.  Owned. */
    uint16_t batch;           /* Number of this one, not 0. */
    uint64_t diffs[CARD_BATCH_MAX];
    uint8_t ops[CARD_BATCH_MAX];
    uint8_t *scratch; /* A header.  Owned. */
};

static struct byte_buf *
section(struct card_batch_writer *w, enum card_section which)
{
    return &w->own[which - N_COLUMNS];
}

static void
begin(struct card_batch_writer *w)
{
    for (size_t i = 0; i < sizeof w->own / sizeof w->own[0]; i++) {
        byte_buf_clear(&w->own[i]);
    }
    if (w->longest) {
        w->snap = w->longest;
    }
    column_writer_begin_packets(&w->columns, CARD_BATCH_MAX,
                                CARD_BATCH_MAX_BYTES + UINT16_MAX, w->snap);
    card_marks_clear(&w->marks);
    card_flows_clear(&w->flows, w->version);
    memset(w->packet_buckets, 0, sizeof w->packet_buckets);
    w->n_packets = 0;
    w->n = w->n_split = w->n_plain = w->n_inner = 0;
    w->n_bytes = 0;
    w->longest = 0;
    w->last_packet = CARD_NONE;
    w->last_new = 0;
    w->last_new_ns = w->last_inner_ns = 0;
    w->is_fine = false;
    if (!++w->batch) {
        w->batch = 1; /* There was one of that number. */
        if (w->known) {
            memset(w->known, 0, CARD_BATCH_MARKS * sizeof *w->known);
        }
    }
}

struct card_batch_writer *
card_batch_writer_create(const struct packet_id_config *config)
{
    struct card_batch_writer *w = lh_alloc_zero(sizeof *w);

    w->id_config = *config;
    w->version = CARD_BATCH_VERSION;
    card_squeezer_init(&w->squeezer);
    card_marks_init(&w->marks);
    card_flows_init(&w->flows);
    w->packets = lh_alloc_array(NULL, CARD_BATCH_MAX, sizeof *w->packets);
    w->scratch = lh_alloc(UINT16_MAX);
    w->snap = PACKET_ID_SNAP;
    begin(w);
    return w;
}

void
card_batch_writer_destroy(struct card_batch_writer *w)
{
    if (w) {
        card_squeezer_uninit(&w->squeezer);
        column_writer_uninit(&w->columns);
        for (size_t i = 0; i < sizeof w->own / sizeof w->own[0]; i++) {
            byte_buf_uninit(&w->own[i]);
        }
        byte_buf_uninit(&w->edit);
        byte_buf_uninit(&w->patches);
        card_marks_uninit(&w->marks);
        card_flows_uninit(&w->flows);
        free(w->packets);
        free(w->known);
        free(w->scratch);
        free(w);
    }
}

/* --- Later hops of packets that were met --------------------------------- */

static uint16_t *
packet_bucket(struct card_batch_writer *w, uint64_t id)
{
    uint32_t i = (uint32_t) (id * UINT64_C(0x9e3779b97f4a7c15) >> 32);

    for (;; i++) {
        uint16_t *bucket = &w->packet_buckets[i & (N_BUCKETS - 1)];

        if (!*bucket || w->packets[*bucket - 1].key_id == id) {
            return bucket;
        }
    }
}

/* How 'p', as long as 'k', differs behind the bytes before the IP header;
 * CARD_HOP_TOLD if in more than the TTL. */
static uint32_t
compare_l3(const struct card_packet *k, const struct card_batch_packet *p)
{
    size_t l3_ofs = k->l3_ofs, len = (size_t) k->caplen - l3_ofs;
    const uint8_t *was = k->header + l3_ofs, *is = p->header + l3_ofs;
    bool has_ttl = card_has_ttl(k->ip, len);

    if (k->ip == 4 && has_ttl) {
        if (is[8] == (uint8_t) (was[8] - 1) && bytes_equal(is, was, 8) &&
            is[9] == was[9] && bytes_be16(is + 10) == card_ttl_sum(was) &&
            bytes_equal(is + 12, was + 12, len - 12)) {
            return CARD_HOP_TTL;
        }
    } else if (k->ip == 6 && has_ttl) {
        if (is[7] == (uint8_t) (was[7] - 1) && !memcmp(is, was, 7) &&
            bytes_equal(is + 8, was + 8, len - 8)) {
            return CARD_HOP_TTL;
        }
    }
    return !len || bytes_equal(is, was, len) ? CARD_HOP_EQUAL : CARD_HOP_TOLD;
}

/* Puts the bytes of 'is' that differ from 'was'; returns how many places. */
static uint32_t
put_patches(struct byte_buf *out, const uint8_t *was, const uint8_t *is,
            size_t len)
{
    uint32_t n = 0;
    size_t done = 0;

    for (size_t i = 0; i < len; i++) {
        size_t end = i + 1;

        if (was[i] == is[i]) {
            continue;
        }
        for (size_t k = end; k < len && k <= end + MAX_GAP; k++) {
            if (was[k] != is[k]) {
                end = k + 1;
            }
        }
        byte_buf_put_uvarint(out, i - done);
        byte_buf_put_uvarint(out, end - i);
        byte_buf_put(out, is + i, end - i);
        done = i = end;
        n++;
    }
    return n;
}

/* Tells in w->edit how the header of 'p', whose IP header is at 'l3_ofs',
 * differs from that of 'k'; 'has_l2': what is before it is known.  False when
 * that is more than the header itself. */
static bool
make_edit(struct card_batch_writer *w, const struct card_packet *k,
          const struct card_batch_packet *p, uint16_t l3_ofs, bool has_l2)
{
    size_t was_len = (size_t) k->caplen - k->l3_ofs;
    size_t len = (size_t) p->caplen - l3_ofs;
    size_t common = was_len < len ? was_len : len;
    const uint8_t *is = p->header + l3_ofs;
    uint8_t bits = 0;
    uint32_t n;

    memcpy(w->scratch, k->header + k->l3_ofs, common);
    /* Readers want so much of IPv6, too. */
    if (common >= 12 &&
        ((k->ip == 4 && is[8] == (uint8_t) (w->scratch[8] - 1)) ||
         (k->ip == 6 && is[7] == (uint8_t) (w->scratch[7] - 1)))) {
        bits |= EDIT_TTL;
        card_ttl_step(w->scratch, k->ip);
    }
    byte_buf_clear(&w->patches);
    n = put_patches(&w->patches, w->scratch, is, common);
    bits |= (has_l2 ? 0 : EDIT_L2) |
            (p->caplen != k->caplen ? EDIT_CAPLEN : 0) | (n ? EDIT_PATCH : 0);
    byte_buf_clear(&w->edit);
    byte_buf_put_u8(&w->edit, bits);
    if (bits & EDIT_L2) {
        byte_buf_put_uvarint(&w->edit, l3_ofs);
        byte_buf_put(&w->edit, p->header, l3_ofs);
    }
    if (bits & EDIT_CAPLEN) {
        byte_buf_put_uvarint(&w->edit, p->caplen);
    }
    if (n) {
        byte_buf_put_uvarint(&w->edit, n);
        byte_buf_put(&w->edit, w->patches.data, w->patches.len);
    }
    byte_buf_put(&w->edit, is + common, len - common);
    return w->edit.len <= p->caplen / 2u + 8;
}

/* Where the IP header of 'p' begins, if it is of the same version as that of
 * 'k'; otherwise 0. */
static uint16_t
find_l3(const struct card_packet *k, const struct card_batch_packet *p)
{
    struct card_packet is = {.header = p->header, .caplen = p->caplen};
    struct hdr h;

    card_packet_parse(&is, &h);
    return is.ip == k->ip ? is.l3_ofs : 0;
}

/* Tries to tell 'p' as a hop of packet 'which'. */
static bool
put_hop(struct card_batch_writer *w, const struct card_batch_packet *p,
        uint16_t which, uint16_t mark, uint32_t n_marks)
{
    struct card_packet *k = &w->packets[which];
    struct card_mark *m = &w->marks.marks[mark];
    uint16_t l3_ofs = k->l3_ofs;
    uint32_t op = CARD_HOP_TOLD;
    bool has_l2;

    if (p->caplen < l3_ofs) {
        return false;
    }
    has_l2 = !l3_ofs || bytes_equal(p->header, k->header, l3_ofs);
    if (!has_l2 && m->l2 && m->l2_len == l3_ofs &&
        bytes_equal(p->header, m->l2, l3_ofs)) {
        op |= CARD_L2_MARK;
        has_l2 = true;
    }
    if (has_l2 && p->caplen == k->caplen) {
        op = (op & CARD_L2_MARK) | compare_l3(k, p);
    }
    if ((op & CARD_HOP_BITS) == CARD_HOP_TOLD) {
        if (!has_l2) {
            l3_ofs = find_l3(k, p);
        }
        if ((!l3_ofs && k->l3_ofs) || !make_edit(w, k, p, l3_ofs, has_l2)) {
            return false;
        }
        byte_buf_put(section(w, CARD_EDIT), w->edit.data, w->edit.len);
    }
    if (which == w->last_packet) {
        op |= CARD_SAME;
    } else {
        op |= CARD_OTHER;
        byte_buf_put_uvarint(section(w, CARD_WHICH), w->n_packets - 1 - which);
    }
    op |= card_marks_tell(&w->marks, mark, n_marks,
                          w->marks.marks[k->mark].next_hop);
    if (p->has_id != k->has_id || p->packet_id != k->id) {
        op |= CARD_HAS_ID;
    }
    w->diffs[w->n] = p->time_ns - k->time_ns;
    w->ops[w->n] = (uint8_t) op;
    k->header = p->header;
    k->caplen = p->caplen;
    k->l3_ofs = l3_ofs;
    k->time_ns = p->time_ns;
    k->mark = mark;
    w->last_packet = which;
    return true;
}

/* --- New packets ----------------------------------------------------------
 */

/* 'is_named': the packet ID of 'p' is that of its header. */
static void
put_new(struct card_batch_writer *w, const struct card_batch_packet *p,
        uint16_t *bucket, uint16_t mark, uint32_t n_marks, bool is_named)
{
    struct card_packet *k = &w->packets[w->n_packets];
    struct card_place place = {.next = NULL};
    struct header_split split;
    uint32_t op = CARD_NEW_PLAIN;
    struct hdr h;

    *k = (struct card_packet){.key_id = p->packet_id,
                              .time_ns = p->time_ns,
                              .header = p->header,
                              .caplen = p->caplen,
                              .mark = mark,
                              .id = p->packet_id,
                              .has_id = p->has_id};
    if (header_split(p->header, p->caplen, &split) &&
        split.l3_ofs <= CARD_MAX_L3) {
        struct column_row row = {.l3_len =
                                     (uint16_t) (p->caplen - split.l3_ofs),
                                 .ip = p->header + split.l3_ofs};

        struct packet_row *expected =
            card_flows_tell(&w->flows, p->header, &split, &place);
        bool is_first = expected->is_first;

        op = CARD_NEW;
        column_writer_put_packet(&w->columns, expected, &row);
        if (is_first && w->version != 1) {
            card_flows_tell_first(&w->flows, &w->columns);
        }
        card_packet_set_l3(k, split.l3_ofs, header_kind_is_ip4(split.kind),
                           !header_kind_is_ip4(split.kind));
        if (!is_named) {
            card_packet_name(k, &w->id_config, &split, &h);
        }
        w->n_split++;
    } else {
        byte_buf_put_uvarint(section(w, CARD_PLAIN_LEN), p->caplen);
        byte_buf_put(section(w, CARD_PLAIN), p->header, p->caplen);
        card_packet_parse(k, &h);
        if (!is_named) {
            card_packet_name(k, &w->id_config, NULL, &h);
        }
        w->n_plain++;
    }
    if (!place.next) {
        place.next = w->marks.marks[w->last_new].next_new;
    }
    op |= card_marks_tell(&w->marks, mark, n_marks, place.next);
    card_place_learn(&place, mark);
    if (p->has_id != k->has_id || p->packet_id != k->id) {
        op |= CARD_HAS_ID;
        k->has_id = p->has_id;
        k->id = p->packet_id;
    }
    w->diffs[w->n] = p->time_ns - w->last_new_ns;
    w->ops[w->n] = (uint8_t) op;
    w->last_new_ns = p->time_ns;
    w->last_new = mark;
    w->last_packet = (uint16_t) w->n_packets++;
    if (bucket) {
        *bucket = (uint16_t) w->n_packets;
    }
}

/* --- Interface -----------------------------------------------------------
 */

void
card_batch_writer_set_version(struct card_batch_writer *w,
                              unsigned int version)
{
    assert(!w->n && !w->n_inner && version >= 1 &&
           version <= CARD_BATCH_VERSION);
    if (version != w->version) {
        w->version = version;
        begin(w);
    }
}

/* Whether there is room for 'p', which says the rest as 'mark' does. */
static inline bool
has_room(const struct card_batch_writer *w, const struct card_batch_packet *p,
         const struct postcard *mark)
{
    size_t size = p->caplen + (mark->visit ? mark->visit->size : (size_t) 0);

    return w->n != CARD_BATCH_MAX &&
           (!w->n || w->n_bytes + w->marks.n_visit_bytes + size <=
                         CARD_BATCH_MAX_BYTES);
}

/* The mark of 'p', of whose packet 'which' (CARD_NONE: none) was met. */
static uint16_t
find_mark(struct card_batch_writer *w, const struct postcard *p,
          uint16_t which)
{
    const uint16_t *next =
        which != CARD_NONE ? w->marks.marks[w->packets[which].mark].next_hop
                           : w->marks.marks[w->last_new].next_new;

    return card_marks_find(&w->marks, p, next);
}

static inline uint16_t
find_known(struct card_batch_writer *w, const struct postcard *mark,
           uint16_t which, uint32_t number)
{
    struct known_mark *known = &w->known[number];

    if (known->batch != w->batch) {
        known->batch = w->batch;
        known->mark = find_mark(w, mark, which);
    }
    return known->mark;
}

/* 'said' says what 'p' does not; 'number' is its number, of the caller's, or
 * CARD_BATCH_MARKS. */
static inline __attribute__((always_inline)) void
add(struct card_batch_writer *w, const struct card_batch_packet *p,
    const struct postcard *said, uint32_t number)
{
    uint16_t *bucket = p->has_id ? packet_bucket(w, p->packet_id) : NULL;
    uint16_t which = bucket && *bucket ? (uint16_t) (*bucket - 1) : CARD_NONE;
    bool is_named = number != CARD_BATCH_MARKS;
    uint32_t n_marks = w->marks.n;
    uint16_t mark = is_named ? find_known(w, said, which, number)
                             : find_mark(w, said, which);

    if (which == CARD_NONE || !put_hop(w, p, which, mark, n_marks)) {
        put_new(w, p, bucket, mark, n_marks, is_named);
    }
    if (w->ops[w->n] & CARD_HAS_ID) {
        byte_buf_put_u8(section(w, CARD_ID), p->has_id);
        byte_buf_put_u64(section(w, CARD_ID), p->packet_id);
    }
    w->marks.marks[mark].l2 = p->header;
    w->marks.marks[mark].l2_len = w->packets[w->last_packet].l3_ofs;
    w->is_fine |= p->time_ns % 1000 || p->time_ns >> 63;
    w->n_bytes += p->caplen;
    if (p->caplen > w->longest) {
        w->longest = p->caplen;
    }
    w->n++;
}

bool
card_batch_writer_add(struct card_batch_writer *w, const struct postcard *p)
{
    const struct card_batch_packet packet = {.header = p->header,
                                             .packet_id = p->packet_id,
                                             .time_ns = p->time_ns,
                                             .caplen = p->caplen,
                                             .has_id = p->has_id};

    if (!has_room(w, &packet, p)) {
        return false;
    }
    add(w, &packet, p, CARD_BATCH_MARKS);
    return true;
}

bool
card_batch_writer_add_known(struct card_batch_writer *w,
                            const struct card_batch_packet *p,
                            const struct postcard *mark, uint32_t number)
{
    if (!has_room(w, p, mark)) {
        return false;
    }
    if (!w->known) {
        w->known = lh_alloc_zero(CARD_BATCH_MARKS * sizeof *w->known);
    }
    add(w, p, mark, number);
    return true;
}

bool
card_batch_writer_add_inner(struct card_batch_writer *w,
                            const struct card_batch_inner *inner)
{
    struct byte_buf *out = section(w, CARD_INNER);

    if (w->n_inner == CARD_BATCH_MAX_INNER) {
        return false;
    }
    byte_buf_put_u64(out, inner->inner);
    byte_buf_put_u64(out, inner->outer);
    byte_buf_put_svarint(out, (int64_t) (inner->time_ns - w->last_inner_ns));
    w->last_inner_ns = inner->time_ns;
    w->n_inner++;
    return true;
}

uint32_t
card_batch_writer_n(const struct card_batch_writer *w)
{
    return w->n;
}

/* Puts the times: of each difference its bits' number, and its bits but the
 * first. */
static void
put_times(struct card_batch_writer *w)
{
    struct byte_buf *bits = section(w, CARD_TIME_BITS);
    uint8_t *at = byte_buf_extend(bits, 8u * w->n + 8);
    uint8_t *class[2] = {
        byte_buf_extend(section(w, CARD_TIME_HOP), w->n),
        byte_buf_extend(section(w, CARD_TIME_NEW), w->n),
    };
    uint64_t held = 0;
    unsigned int n_held = 0;

    for (uint32_t i = 0; i < w->n; i++) {
        bool is_new = (w->ops[i] & CARD_TYPE) >= CARD_NEW;
        uint64_t value = w->diffs[i];
        unsigned int n;

        if (!w->is_fine) {
            value = (uint64_t) ((int64_t) value / 1000);
        }
        value = value << 1 ^ (0 - (value >> 63));
        n = value ? 64 - (unsigned int) __builtin_clzll(value) : 0;
        *class[is_new]++ = (uint8_t) n;
        /* At most 32 at a time, the lowest first. */
        for (unsigned int left = n ? n - 1 : 0; left;) {
            unsigned int some = left < 32 ? left : 32;

            held |= (value & ((UINT64_C(1) << some) - 1)) << n_held;
            value >>= some;
            left -= some;
            for (n_held += some; n_held >= 8; n_held -= 8, held >>= 8) {
                *at++ = (uint8_t) held;
            }
        }
    }
    if (n_held) {
        *at++ = (uint8_t) held;
    }
    bits->len = (size_t) (at - bits->data);
    section(w, CARD_TIME_HOP)->len =
        (size_t) (class[0] - section(w, CARD_TIME_HOP)->data);
    section(w, CARD_TIME_NEW)->len =
        (size_t) (class[1] - section(w, CARD_TIME_NEW)->data);
}

void
card_batch_writer_finish(struct card_batch_writer *w, struct byte_buf *out)
{
    const struct byte_buf *sections[CARD_SECTIONS_MAX] = {NULL};

    if (w->n) {
        put_times(w);
        byte_buf_put(section(w, CARD_OP), w->ops, w->n);
    }
    column_writer_end(&w->columns);
    for (unsigned int i = COLUMN_CONTROL; i < N_COLUMNS; i++) {
        sections[i] = &w->columns.columns[i];
    }
    for (unsigned int i = N_COLUMNS; i < N_CARD_SECTIONS; i++) {
        sections[i] = section(w, i);
    }
    sections[CARD_MARKS] = &w->marks.rows;
    sections[CARD_VISITS] = &w->marks.visit_rows;
    sections[CARD_MARK] = &w->marks.told;
    card_flows_get(&w->flows, sections);
    byte_buf_put_u8(out, (uint8_t) w->version);
    byte_buf_put_uvarint(out, w->n);
    byte_buf_put_uvarint(out, w->n_inner);
    byte_buf_put_uvarint(out, w->is_fine ? 1 : 1000);
    byte_buf_put_uvarint(out, w->snap);
    byte_buf_put_uvarint(out, w->n_bytes);
    byte_buf_put_uvarint(out, w->marks.n);
    byte_buf_put_uvarint(out, w->marks.n_visits);
    byte_buf_put_uvarint(out, w->flows.n);
    byte_buf_put_uvarint(out, w->n_split);
    byte_buf_put_uvarint(out, w->n_plain);
    card_sections_put(&w->squeezer, w->version, w->n_packets < w->n / 2,
                      sections, out);
    begin(w);
}
