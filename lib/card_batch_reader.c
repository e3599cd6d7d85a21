/* SPDX-License-Identifier: Apache-2.0 */
/* card_batch - reads packed postcards. */
#include <config.h>

#include "lib/card_batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bit_reader.h"
#include "lib/card_batch_impl.h"
#include "lib/card_edit.h"
#include "lib/card_flows.h"
#include "lib/card_sections.h"
#include "lib/column_reader.h"
#include "lib/lh_alloc.h"

struct card_batch_scratch {
    unsigned int n_refs;
    struct card_packet *packets; /* Owned. */
    struct card_flow_list flows;
    struct byte_buf raw; /* Of sections. */
};

/* A postcard that was read: its header is behind that of the one before. */
struct card_row {
    uint64_t time_ns, id;
    uint32_t header_ofs; /* In the arena. */
    uint16_t caplen;
    uint16_t mark; /* And ROW_HAS_ID. */
};

#define ROW_HAS_ID 0x8000u
#define ROWS_AHEAD 4 /* Asked for: those in the next line of the cache. */

_Static_assert(CARD_MARKS_MAX < ROW_HAS_ID, "marks leave a bit");

struct card_batch_reader {
    struct packet_id_config id_config;
    struct card_batch_scratch *scratch; /* While a batch is read.  Owned
                                         * reference. */
    struct byte_buf notes;              /* Of tunnels, as they were told, */
    struct bytes_reader inner;          /* to be read on. */
    struct card_sections sections;      /* What is read is there. */
    struct column_reader columns;

    uint8_t *arena; /* Headers.  Owned, as what follows. */
    size_t arena_used, arena_len;
    struct card_row *rows;
    struct postcard postcard; /* That was looked at last. */
    struct card_marks marks;

    unsigned int version;
    uint32_t n, n_inner, n_flows, n_split, n_plain;
    uint32_t packets_met, split_met, plain_met;
    uint32_t next, next_inner;
    uint32_t unit_ns;
    uint32_t last_packet;
    uint16_t last_new;
    uint64_t last_new_ns, last_inner_ns;
    struct bit_reader bits;
};

static struct bytes_reader *
section(struct card_batch_reader *r, enum card_section which)
{
    return &r->sections.at[which];
}

struct card_batch_scratch *
card_batch_scratch_create(void)
{
    struct card_batch_scratch *s = lh_alloc_zero(sizeof *s);

    s->n_refs = 1;
    s->packets = lh_alloc_array(NULL, CARD_BATCH_MAX, sizeof *s->packets);
    card_flow_list_init(&s->flows);
    return s;
}

void
card_batch_scratch_unref(struct card_batch_scratch *s)
{
    if (s && !--s->n_refs) {
        free(s->packets);
        card_flow_list_uninit(&s->flows);
        byte_buf_uninit(&s->raw);
        free(s);
    }
}

struct card_batch_reader *
card_batch_reader_create(const struct packet_id_config *config)
{
    struct card_batch_scratch *scratch = card_batch_scratch_create();
    struct card_batch_reader *r =
        card_batch_reader_create_with(config, scratch);

    card_batch_scratch_unref(scratch);
    return r;
}

struct card_batch_reader *
card_batch_reader_create_with(const struct packet_id_config *config,
                              struct card_batch_scratch *scratch)
{
    struct card_batch_reader *r = lh_alloc_zero(sizeof *r);

    r->id_config = *config;
    r->arena = lh_alloc(CARD_BATCH_MAX_BYTES + 1);
    r->rows =
        lh_alloc_array(NULL, CARD_BATCH_MAX + ROWS_AHEAD, sizeof *r->rows);
    card_marks_init(&r->marks);
    r->scratch = scratch;
    scratch->n_refs++;
    return r;
}

static void
forget(struct card_batch_reader *r)
{
    card_marks_clear(&r->marks);
    r->n = r->n_inner = 0;
    r->next = r->next_inner = 0;
    byte_buf_clear(&r->notes);
    r->inner = bytes_reader(NULL, 0);
}

void
card_batch_reader_destroy(struct card_batch_reader *r)
{
    if (r) {
        forget(r);
        free(r->arena);
        free(r->rows);
        card_marks_uninit(&r->marks);
        byte_buf_uninit(&r->notes);
        card_batch_scratch_unref(r->scratch);
        free(r);
    }
}

/* --- Times --------------------------------------------------------------- */

static bool
get_diff(struct card_batch_reader *r, enum card_section which, uint64_t *diff)
{
    bool is_good = bit_reader_diff(&r->bits, section(r, which),
                                   section(r, CARD_TIME_BITS), diff);

    *diff *= r->unit_ns;
    return is_good;
}

/* --- Later hops ---------------------------------------------------------- */

/* Sets where the postcard's packet is; false when there is none. */
static bool
get_which(struct card_batch_reader *r, uint32_t op)
{
    if ((op & CARD_TYPE) == CARD_OTHER) {
        uint64_t back = byte_buf_get_uvarint(section(r, CARD_WHICH));

        if (back >= r->packets_met) {
            return false;
        }
        r->last_packet = (uint32_t) (r->packets_met - 1 - back);
    }
    return r->last_packet < r->packets_met;
}

static bool
read_hop(struct card_batch_reader *r, uint32_t op, uint16_t *mark)
{
    uint8_t *to = r->arena + r->arena_used;
    size_t room = r->arena_len - r->arena_used;
    uint32_t how = op & CARD_HOP_BITS;
    struct card_packet *k;
    const struct card_mark *m;
    uint64_t diff;

    if (!get_which(r, op)) {
        return false;
    }
    k = &r->scratch->packets[r->last_packet];
    *mark = card_marks_get(&r->marks, op, r->marks.marks[k->mark].next_hop,
                           section(r, CARD_MARK));
    m = &r->marks.marks[*mark];
    if (!*mark || how > CARD_HOP_TOLD ||
        (op & CARD_L2_MARK && (!m->l2 || m->l2_len != k->l3_ofs)) ||
        !get_diff(r, CARD_TIME_HOP, &diff)) {
        return false;
    }
    if (how == CARD_HOP_TOLD) {
        const uint8_t *l2 = op & CARD_L2_MARK ? m->l2 : k->header;

        if (!card_edit_read(section(r, CARD_EDIT), l2, k, to, room)) {
            return false;
        }
    } else {
        if (room < k->caplen ||
            (how == CARD_HOP_TTL &&
             !card_has_ttl(k->ip, (size_t) k->caplen - k->l3_ofs))) {
            return false;
        }
        memcpy(to, k->header, k->caplen);
        if (op & CARD_L2_MARK) {
            memcpy(to, m->l2, m->l2_len);
        }
        if (how == CARD_HOP_TTL) {
            card_ttl_step(to + k->l3_ofs, k->ip);
        }
    }
    k->header = to;
    k->time_ns += diff;
    k->mark = *mark;
    return true;
}

/* --- New packets --------------------------------------------------------- */

static bool
read_split(struct card_batch_reader *r, struct card_packet *k,
           struct card_place *place)
{
    struct card_flow *f =
        card_flow_list_get(&r->scratch->flows, &r->sections, place);
    uint8_t *to = r->arena + r->arena_used;
    size_t room = r->arena_len - r->arena_used, n;
    struct header_split split;
    struct hdr h;
    bool has_id;
    uint64_t id;

    if (!f || r->split_met++ == r->n_split || room < f->tail_ofs) {
        return false;
    }
    if (f->row.is_first && r->version != 1 &&
        !card_flow_list_get_first(&r->scratch->flows, &r->sections,
                                  &r->columns)) {
        return false;
    }
    card_flow_copy(f, to, room);
    n = column_reader_packet(&r->columns, &f->row, to + f->l3_ofs,
                             room - f->l3_ofs, &has_id, &id);
    if (!n || has_id || f->l3_ofs + n > UINT16_MAX) {
        return false;
    }
    k->header = to;
    k->caplen = (uint16_t) (f->l3_ofs + n);
    if (!card_flow_split(f, to, k->caplen, &split)) {
        return false; /* No writer's. */
    }
    card_packet_set_l3(k, split.l3_ofs, header_kind_is_ip4(split.kind),
                       !header_kind_is_ip4(split.kind));
    card_packet_name(k, &r->id_config, &split, &h);
    return true;
}

static bool
get_bytes(struct card_batch_reader *r, enum card_section which, uint8_t *to,
          size_t n)
{
    const uint8_t *from = n ? bytes_get(section(r, which), n) : NULL;

    if (from) {
        memcpy(to, from, n);
    }
    return from || !n;
}

static bool
read_plain(struct card_batch_reader *r, struct card_packet *k)
{
    uint64_t caplen = byte_buf_get_uvarint(section(r, CARD_PLAIN_LEN));
    uint8_t *to = r->arena + r->arena_used;
    struct hdr h;

    if (r->plain_met++ == r->n_plain || caplen > UINT16_MAX ||
        caplen > r->arena_len - r->arena_used ||
        !get_bytes(r, CARD_PLAIN, to, caplen)) {
        return false;
    }
    k->header = to;
    k->caplen = (uint16_t) caplen;
    card_packet_parse(k, &h);
    card_packet_name(k, &r->id_config, NULL, &h);
    return true;
}

static bool
read_new(struct card_batch_reader *r, uint32_t op, uint16_t *mark)
{
    struct card_packet *k = &r->scratch->packets[r->packets_met];
    struct card_place place = {.next = NULL};
    uint64_t diff;
    bool is_good;

    *k = (struct card_packet){.id = 0};
    is_good = (op & CARD_TYPE) == CARD_NEW ? read_split(r, k, &place)
                                           : read_plain(r, k);
    if (!is_good || !get_diff(r, CARD_TIME_NEW, &diff)) {
        return false;
    }
    if (!place.next) {
        place.next = r->marks.marks[r->last_new].next_new;
    }
    *mark = card_marks_get(&r->marks, op, place.next, section(r, CARD_MARK));
    card_place_learn(&place, *mark);
    r->last_new_ns += diff;
    k->time_ns = r->last_new_ns;
    k->mark = r->last_new = *mark;
    r->last_packet = r->packets_met++;
    return *mark != 0;
}

/* --- All of it ----------------------------------------------------------- */

static bool
read_postcard(struct card_batch_reader *r, struct card_row *row)
{
    uint32_t op = bytes_get_u8(section(r, CARD_OP));
    bool is_new = (op & CARD_TYPE) >= CARD_NEW;
    struct card_packet *k;
    uint16_t mark = 0; /* For compilers that cannot see it. */
    bool has_id;

    if (is_new ? !read_new(r, op, &mark) : !read_hop(r, op, &mark)) {
        return false;
    }
    k = &r->scratch->packets[r->last_packet];
    row->time_ns = k->time_ns;
    row->id = k->id;
    row->header_ofs = (uint32_t) r->arena_used;
    row->caplen = k->caplen;
    has_id = k->has_id;
    if (op & CARD_HAS_ID) {
        unsigned int told = bytes_get_u8(section(r, CARD_ID));

        if (told > 1) {
            return false;
        }
        has_id = told;
        row->id = bytes_get_u64(section(r, CARD_ID));
        if (is_new) {
            k->has_id = has_id;
            k->id = row->id;
        }
    }
    row->mark = (uint16_t) (mark | (has_id ? ROW_HAS_ID : 0));
    r->marks.marks[mark].l2 = k->header;
    r->marks.marks[mark].l2_len = k->l3_ofs;
    r->arena_used += k->caplen;
    return true;
}

/* Whether nothing is left over and nothing was missing. */
static bool
is_used_up(struct card_batch_reader *r)
{
    if (!card_flow_list_is_used_up(&r->scratch->flows, &r->sections)) {
        return false;
    }
    for (unsigned int i = 0; i < N_COLUMNS; i++) {
        if (r->columns.at[i] != r->columns.end[i]) {
            return false;
        }
    }
    for (unsigned int i = N_COLUMNS; i < N_CARD_SECTIONS; i++) {
        const struct bytes_reader *in = &r->sections.at[i];

        if (in->failed || (i != CARD_INNER && in->ofs != in->len)) {
            return false;
        }
    }
    return !r->columns.failed && r->arena_used == r->arena_len &&
           r->marks.n_met == r->marks.n && r->split_met == r->n_split &&
           r->plain_met == r->n_plain && bit_reader_is_done(&r->bits);
}

/* Whether the notes are as many as they should be. */
static bool
check_inner(struct bytes_reader in, uint32_t n)
{
    for (; n; n--) {
        bytes_get(&in, 16);
        byte_buf_get_svarint(&in);
    }
    return !in.failed && in.ofs == in.len;
}

/* Reads the numbers in front. */
static int
read_head(struct card_batch_reader *r, struct bytes_reader *in,
          uint32_t *n_marks, uint32_t *n_visits, struct lh_error *error)
{
    unsigned int version = bytes_get_u8(in);
    uint64_t head[10];

    if (!in->failed && (version < 1 || version > CARD_BATCH_VERSION)) {
        lh_error_set(error,
                     "postcards packed in version %u, known here are 1 to %d",
                     version, CARD_BATCH_VERSION);
        return ENOTSUP;
    }
    r->version = version;
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++) {
        head[i] = byte_buf_get_uvarint(in);
    }
    if (in->failed || head[0] > CARD_BATCH_MAX ||
        head[1] > CARD_BATCH_MAX_INNER || (head[2] != 1 && head[2] != 1000) ||
        head[3] > UINT16_MAX || head[4] > CARD_BATCH_MAX_BYTES ||
        head[5] > head[0] || head[6] > head[5] || head[7] > head[0] ||
        head[8] > head[0] || head[9] > head[0] - head[8]) {
        lh_error_set(error, "a malformed batch of postcards");
        return EBADMSG;
    }
    r->n = (uint32_t) head[0];
    r->n_inner = (uint32_t) head[1];
    r->unit_ns = (uint32_t) head[2];
    column_reader_init(&r->columns, (uint16_t) head[3], 1);
    r->arena_len = head[4];
    *n_marks = (uint32_t) head[5];
    *n_visits = (uint32_t) head[6];
    r->n_flows = (uint32_t) head[7];
    r->n_split = (uint32_t) head[8];
    r->n_plain = (uint32_t) head[9];
    return 0;
}

static int
read_all(struct card_batch_reader *r, struct bytes_reader *in,
         struct lh_error *error)
{
    uint32_t n_marks, n_visits;
    int retval = read_head(r, in, &n_marks, &n_visits, error);

    if (retval) {
        return retval;
    }
    if (card_sections_open(&r->sections, r->version, in, &r->scratch->raw,
                           error) ||
        card_marks_read(&r->marks, section(r, CARD_MARKS), n_marks,
                        section(r, CARD_VISITS), n_visits, error)) {
        return EBADMSG;
    }
    for (unsigned int i = COLUMN_CONTROL; i < N_COLUMNS; i++) {
        column_reader_set(&r->columns, i, r->sections.at[i].data,
                          r->sections.at[i].len);
    }
    card_flow_list_begin(&r->scratch->flows, r->version, r->n_flows);
    for (uint32_t i = 0; i < r->n; i++) {
        if (!read_postcard(r, &r->rows[i]) || r->columns.failed) {
            lh_error_set(error, "postcard %u of a batch is malformed", i);
            return EBADMSG;
        }
    }
    if (!is_used_up(r) || !check_inner(*section(r, CARD_INNER), r->n_inner)) {
        lh_error_set(error, "a batch of postcards that does not add up");
        return EBADMSG;
    }
    if (r->n_inner) {
        byte_buf_put(&r->notes, section(r, CARD_INNER)->data,
                     section(r, CARD_INNER)->len);
        r->inner = bytes_reader(r->notes.data, r->notes.len);
    }
    return 0;
}

int
card_batch_reader_open(struct card_batch_reader *r, const uint8_t *data,
                       size_t len, struct lh_error *error)
{
    struct bytes_reader in = bytes_reader(data, len);
    int retval;

    forget(r);
    r->arena_used = 0;
    r->packets_met = 0;
    r->split_met = r->plain_met = 0;
    r->last_packet = UINT32_MAX;
    r->last_new = 0;
    r->last_new_ns = r->last_inner_ns = 0;
    r->bits = (struct bit_reader){.n = 0};
    retval = read_all(r, &in, error);
    if (retval) {
        forget(r);
    }
    return retval;
}

uint32_t
card_batch_reader_n(const struct card_batch_reader *r)
{
    return r->n;
}

/* Several batches are looked at by turns, so what is read here may have left
 * the cache since, and what the next look returns has time to come. */
const struct postcard *
card_batch_reader_look(struct card_batch_reader *r)
{
    const struct card_row *row = &r->rows[r->next];
    struct postcard *p = &r->postcard;

    if (r->next == r->n) {
        return NULL;
    }
    if (++r->next < r->n) {
        const uint8_t *header = r->arena + row[1].header_ofs;

        __builtin_prefetch(&row[ROWS_AHEAD]);
        __builtin_prefetch(header);
        __builtin_prefetch(header + row[1].caplen);
    }
    *p = r->marks.marks[row->mark & ~ROW_HAS_ID].p;
    p->time_ns = row->time_ns;
    p->packet_id = row->id;
    p->has_id = row->mark & ROW_HAS_ID;
    p->caplen = row->caplen;
    p->header = r->arena + row->header_ofs;
    return p;
}

bool
card_batch_reader_next(struct card_batch_reader *r, struct postcard *p)
{
    const struct postcard *next = card_batch_reader_look(r);

    if (next) {
        *p = *next;
    }
    return next;
}

bool
card_batch_reader_next_inner(struct card_batch_reader *r,
                             struct card_batch_inner *inner)
{
    struct bytes_reader *in = &r->inner;

    if (r->next_inner == r->n_inner) {
        return false;
    }
    inner->inner = bytes_get_u64(in);
    inner->outer = bytes_get_u64(in);
    r->last_inner_ns += (uint64_t) byte_buf_get_svarint(in);
    inner->time_ns = r->last_inner_ns;
    r->next_inner++;
    return true;
}
