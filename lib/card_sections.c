/* SPDX-License-Identifier: Apache-2.0 */
/* card_sections - the columns of a batch of postcards, in few groups. */
#include <config.h>

#include "lib/card_sections.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/card_batch_impl.h"

#define LEVEL        1
#define MIN_SQUEEZED 32 /* Shorter groups stay as they are. */
/* Of all sections together, before compression. */
#define MAX_RAW (16u << 20)

enum group {
    GROUP_SYMBOLS, /* Small numbers, few of them different. */
    GROUP_HEADERS, /* Bytes that come again in pieces. */
    GROUP_TAILS,   /* Packets' own bytes. */
    GROUP_NUMBERS, /* All else: hardly ever smaller. */
    N_GROUPS
};

static enum group
group_of(unsigned int id)
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
        return GROUP_SYMBOLS;
    case CARD_MARKS:
    case CARD_VISITS:
    case CARD_FLOW_COLD:
    case CARD_FLOW_SRC:
    case CARD_FLOW_DST:
    case CARD_FLOW_PORTS:
    case CARD_EDIT:
    case CARD_PLAIN:
    case COLUMN_FIELD_FIRST + ROW_LEN:
        return GROUP_HEADERS;
    case COLUMN_TAIL:
        return GROUP_TAILS;
    default:
        return GROUP_NUMBERS;
    }
}

static void
put_group(struct compressor *compressor, const struct byte_buf *raw,
          struct byte_buf *squeezed, struct byte_buf *out)
{
    bool is_compressed;

    byte_buf_clear(squeezed);
    is_compressed =
        compressor_put(compressor, raw->len < MIN_SQUEEZED ? 0 : LEVEL,
                       raw->data, raw->len, squeezed);
    byte_buf_put_uvarint(out, squeezed->len << 1 | is_compressed);
    byte_buf_put(out, squeezed->data, squeezed->len);
}

void
card_sections_put(struct compressor *compressor,
                  const struct byte_buf *const sections[CARD_SECTIONS_MAX],
                  struct byte_buf room[2], struct byte_buf *out)
{
    uint8_t n = 0;

    for (unsigned int i = 0; i < CARD_SECTIONS_MAX; i++) {
        n += sections[i] && sections[i]->len;
    }
    byte_buf_put_u8(out, n);
    for (unsigned int i = 0; i < CARD_SECTIONS_MAX; i++) {
        if (sections[i] && sections[i]->len) {
            byte_buf_put_u8(out, (uint8_t) i);
            byte_buf_put_uvarint(out, sections[i]->len);
        }
    }
    for (unsigned int g = 0; g < N_GROUPS; g++) {
        byte_buf_clear(&room[0]);
        for (unsigned int i = 0; i < CARD_SECTIONS_MAX; i++) {
            if (sections[i] && group_of(i) == g) {
                byte_buf_put(&room[0], sections[i]->data, sections[i]->len);
            }
        }
        put_group(compressor, &room[0], &room[1], out);
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
read_table(struct bytes_reader *in, unsigned int first, unsigned int end,
           struct table *table)
{
    unsigned int n = bytes_get_u8(in);

    memset(table, 0, sizeof *table);
    for (unsigned int i = 0; i < n; i++) {
        unsigned int id = bytes_get_u8(in);
        uint64_t len = byte_buf_get_uvarint(in);

        if (in->failed || id < first || id >= end || !len || len > MAX_RAW ||
            table->lens[id]) {
            return false;
        }
        table->lens[id] = len;
        table->sums[group_of(id)] += len;
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
card_sections_open(struct card_sections *sections, struct bytes_reader *in,
                   unsigned int first, unsigned int end,
                   struct lh_error *error)
{
    struct table table;
    uint8_t *room;

    memset(sections, 0, sizeof *sections);
    if (!read_table(in, first, end, &table)) {
        lh_error_set(error, "a batch whose table of sections is malformed");
        return EBADMSG;
    }
    room = sections->raw = malloc(table.sum + 1);
    if (!room) {
        lh_error_set(error, "no memory for a batch");
        return EBADMSG;
    }
    for (unsigned int g = 0; g < N_GROUPS; g++) {
        const uint8_t *data = read_group(in, table.sums[g], room, error);

        if (!data) {
            return EBADMSG;
        }
        room += table.sums[g];
        for (unsigned int i = first; i < end; i++) {
            if (table.lens[i] && group_of(i) == g) {
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

void
card_sections_close(struct card_sections *sections)
{
    free(sections->raw);
    memset(sections, 0, sizeof *sections);
}
