/* SPDX-License-Identifier: Apache-2.0 */
/* card_sections - the columns of a batch of postcards, in few groups. */
#include <config.h>

#include "lib/card_sections.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/card_batch_impl.h"

#define LEVEL 1
/* Short codes for frequent bytes, and no or little search for pieces. */
#define CODES        (-1000)
#define BYTES        (-100)
#define MIN_SQUEEZED 32 /* Shorter groups stay as they are. */
/* Of all sections together, before compression. */
#define MAX_RAW (16u << 20)
/* Of room for what is expanded, from one batch to the next. */
#define MAX_KEPT (1u << 20)

/* --- Groups ---------------------------------------------------------------
 */

#define N_GROUPS_1 4
#define N_GROUPS   5 /* Of version 2. */

/* In version 1. */
static unsigned int
group_in_1(unsigned int id)
{
    switch (id) {
    case COLUMN_CONTROL:
    case COLUMN_CONTROL_LOW:
    case COLUMN_CONTROL_HIGH:
    case COLUMN_FIELD_FIRST + ROW_FLAGS:
    case CARD_OP:
    case CARD_MARK:
    case CARD_WHICH:
    case CARD_WHOSE:
    case CARD_TIME_NEW:
    case CARD_TIME_HOP:
    case CARD_FLOW:
        return 0; /* Small numbers, few of them different. */
    case CARD_MARKS:
    case CARD_VISITS:
    case CARD_FLOW_COLD:
    case CARD_FLOW_SRC:
    case CARD_FLOW_DST:
    case CARD_FLOW_PORTS:
    case CARD_EDIT:
    case CARD_PLAIN:
    case COLUMN_FIELD_FIRST + ROW_LEN:
        return 1; /* Bytes that come again in pieces. */
    case COLUMN_TAIL:
        return 2; /* Packets' own bytes. */
    default:
        return 3; /* All else: hardly ever smaller. */
    }
}

/* From version 2 on: those are together whose bytes have much the same codes.
 */
static unsigned int
group_in_2(unsigned int id)
{
    switch (id) {
    case CARD_OP:
    case CARD_TIME_NEW:
    case CARD_TIME_HOP:
        return 0; /* A few bits. */
    case COLUMN_CONTROL_LOW:
    case COLUMN_FIELD_NEXT + ROW_FLAGS:
    case CARD_EDIT:
    case CARD_FIRSTS:
    case CARD_VISITS:
    case CARD_PLAIN:
        return 1; /* What comes again in pieces. */
    case COLUMN_CONTROL_HIGH:
    case COLUMN_FIELD_FIRST + ROW_LEN:
    case COLUMN_FIELD_FIRST + ROW_URGENT:
    case COLUMN_FIELD_FIRST + ROW_ICMP_B:
    case COLUMN_FIELD_FIRST + ROW_TS_ECHO:
    case CARD_MARKS:
    case CARD_MARK:
    case CARD_WHICH:
    case CARD_WHOSE:
    case CARD_PLAIN_LEN:
    case CARD_FORMS:
    case CARD_FORM:
    case CARD_L2:
    case CARD_FIRST:
        return 2; /* Small numbers. */
    case COLUMN_CAPLEN:
    case COLUMN_IP_SUM:
    case COLUMN_TAIL:
    case COLUMN_FIELD_FIRST + ROW_WINDOW:
    case COLUMN_FIELD_FIRST + ROW_UDP_LEN:
    case COLUMN_FIELD_NEXT + ROW_LEN:
    case COLUMN_FIELD_NEXT + ROW_IP_ID:
    case COLUMN_FIELD_NEXT + ROW_SEQ:
    case COLUMN_FIELD_NEXT + ROW_ACK:
    case COLUMN_FIELD_NEXT + ROW_WINDOW:
    case COLUMN_FIELD_NEXT + ROW_TS_VALUE:
    case CARD_FLOW_SRC:
    case CARD_FLOW_DST:
    case CARD_FLOW_PORTS:
    case CARD_L2S:
        return 3; /* Bytes of headers. */
    default:
        return 4; /* Any bytes as often as any others. */
    }
}

static unsigned int
n_groups(unsigned int version)
{
    return version == 1 ? N_GROUPS_1 : N_GROUPS;
}

static unsigned int
group_in(unsigned int version, unsigned int id)
{
    return version == 1 ? group_in_1(id) : group_in_2(id);
}

static unsigned int
end_of(unsigned int version)
{
    return version == 1 ? CARD_FORMS : N_CARD_SECTIONS;
}

static int
level_of(unsigned int version, unsigned int group, bool has_hops)
{
    /* In version 2, of one postcard of each packet. */
    static const int levels[N_GROUPS] = {CODES, LEVEL, CODES, BYTES, 0};

    if (group == N_GROUPS - 1) {
        return 0;
    }
    return version == 1 || has_hops ? LEVEL : levels[group];
}

void
card_squeezer_init(struct card_squeezer *s)
{
    memset(s, 0, sizeof *s);
    s->compressor = compressor_create();
}

void
card_squeezer_uninit(struct card_squeezer *s)
{
    compressor_destroy(s->compressor);
    byte_buf_uninit(&s->room[0]);
    byte_buf_uninit(&s->room[1]);
}

/* The sections of a group, behind each other. */
static void
put_raw(const struct byte_buf *const sections[CARD_SECTIONS_MAX],
        unsigned int version, unsigned int group, struct byte_buf *out)
{
    for (unsigned int i = 0; i < CARD_SECTIONS_MAX; i++) {
        if (sections[i] && sections[i]->len && group_in(version, i) == group) {
            byte_buf_put(out, sections[i]->data, sections[i]->len);
        }
    }
}

static void
put_squeezed(struct card_squeezer *s, int level, struct byte_buf *out)
{
    const struct byte_buf *raw = &s->room[0];
    struct byte_buf *squeezed = &s->room[1];
    bool is_compressed;

    byte_buf_clear(squeezed);
    is_compressed =
        compressor_put(s->compressor, raw->len < MIN_SQUEEZED ? 0 : level,
                       raw->data, raw->len, squeezed);
    byte_buf_put_uvarint(out, squeezed->len << 1 | is_compressed);
    byte_buf_put(out, squeezed->data, squeezed->len);
}

void
card_sections_put(struct card_squeezer *s, unsigned int version, bool has_hops,
                  const struct byte_buf *const sections[CARD_SECTIONS_MAX],
                  struct byte_buf *out)
{
    size_t lens[N_GROUPS] = {0};
    uint8_t n = 0;

    for (unsigned int i = 0; i < CARD_SECTIONS_MAX; i++) {
        if (sections[i] && sections[i]->len) {
            lens[group_in(version, i)] += sections[i]->len;
            n++;
        }
    }
    byte_buf_put_u8(out, n);
    for (unsigned int i = 0; i < CARD_SECTIONS_MAX; i++) {
        if (sections[i] && sections[i]->len) {
            byte_buf_put_u8(out, (uint8_t) i);
            byte_buf_put_uvarint(out, sections[i]->len);
        }
    }
    for (unsigned int g = 0; g < n_groups(version); g++) {
        int level = level_of(version, g, has_hops);

        if (level) {
            byte_buf_clear(&s->room[0]);
            put_raw(sections, version, g, &s->room[0]);
            put_squeezed(s, level, out);
        } else {
            byte_buf_put_uvarint(out, lens[g] << 1);
            put_raw(sections, version, g, out);
        }
    }
}

/* --- Reading -------------------------------------------------------------
 */

struct table {
    size_t lens[CARD_SECTIONS_MAX];
    size_t sums[N_GROUPS];
    size_t sum;
};

static bool
read_table(struct bytes_reader *in, unsigned int version, struct table *table)
{
    unsigned int n = bytes_get_u8(in), end = end_of(version);

    memset(table, 0, sizeof *table);
    for (unsigned int i = 0; i < n; i++) {
        unsigned int id = bytes_get_u8(in);
        uint64_t len = byte_buf_get_uvarint(in);

        if (in->failed || id < COLUMN_CONTROL || id >= end || !len ||
            len > MAX_RAW || table->lens[id]) {
            return false;
        }
        table->lens[id] = len;
        table->sums[group_in(version, id)] += len;
        table->sum += len;
    }
    return !in->failed && table->sum <= MAX_RAW;
}

/* The next group, of 'len' bytes, made at 'room' if it is compressed. */
static const uint8_t *
read_group(struct bytes_reader *in, size_t len, uint8_t *room,
           struct lh_error *error)
{
    uint64_t head = byte_buf_get_uvarint(in);
    size_t stored_len = head >> 1;
    const uint8_t *stored =
        head >> 1 <= bytes_left(in) ? bytes_get(in, stored_len) : NULL;

    if (!stored || (!(head & 1) && stored_len != len)) {
        lh_error_set(error, "a batch whose sections are not all there");
        return NULL;
    }
    if (!(head & 1)) {
        return stored;
    }
    return compress_expand(stored, stored_len, room, len, error) ? NULL : room;
}

int
card_sections_open(struct card_sections *sections, unsigned int version,
                   struct bytes_reader *in, struct byte_buf *buf,
                   struct lh_error *error)
{
    struct table table;
    uint8_t *room;

    memset(sections, 0, sizeof *sections);
    if (!read_table(in, version, &table)) {
        lh_error_set(error, "a batch whose table of sections is malformed");
        return EBADMSG;
    }
    if (buf->allocated > MAX_KEPT) {
        byte_buf_uninit(buf);
    }
    byte_buf_clear(buf);
    room = byte_buf_extend(buf, table.sum + 1);
    for (unsigned int g = 0; g < n_groups(version); g++) {
        const uint8_t *data = read_group(in, table.sums[g], room, error);

        if (!data) {
            return EBADMSG;
        }
        room += table.sums[g];
        for (unsigned int i = COLUMN_CONTROL; i < end_of(version); i++) {
            if (table.lens[i] && group_in(version, i) == g) {
                sections->at[i] = bytes_reader(data, table.lens[i]);
                data += table.lens[i];
            }
        }
    }
    if (bytes_left(in)) {
        lh_error_set(error, "a batch with bytes behind its sections");
        return EBADMSG;
    }
    return 0;
}
