/* SPDX-License-Identifier: Apache-2.0 */
/* batch_sections - the columns of a batch of histories, in a few groups. */
#include <config.h>

#include "lib/batch_sections.h"

#include <errno.h>
#include <string.h>

#include "lib/packet_row.h"

#define LEVEL        1
#define CODES        (-1) /* Hardly any piece comes again. */
#define MIN_SQUEEZED 32   /* Shorter groups stay as they are. */

/* --- Groups -------------------------------------------------------------- */

#define N_GROUPS BATCH_SECTIONS_GROUPS

static const int levels[N_GROUPS] = {LEVEL, LEVEL, CODES, CODES, LEVEL, 0};

static unsigned int
group_of(unsigned int id)
{
    switch (id) {
    case COLUMN_SHAPES:
    case COLUMN_PLAIN:
        return 0; /* Histories. */
    case COLUMN_FLOW_COLD:
    case COLUMN_FLOW_SRC:
    case COLUMN_FLOW_DST:
        return 1; /* Addresses. */
    case COLUMN_HOPS_MORE:
    case COLUMN_HOPS:
    case COLUMN_HOPS + 1:
    case COLUMN_HOPS + 2:
    case COLUMN_HOPS + 3:
        return 2; /* Times. */
    case COLUMN_FLOW_SHAPE:
    case COLUMN_FLOW_ROWS:
    case COLUMN_FLOW_PORTS:
    case COLUMN_TIME_FIRST:
    case COLUMN_TIME_NEXT:
    case COLUMN_CONTROL:
    case COLUMN_CONTROL_LOW:
    case COLUMN_CONTROL_HIGH:
    case COLUMN_CAPLEN:
    case COLUMN_FIELD_FIRST + ROW_LEN:
    case COLUMN_FIELD_FIRST + ROW_FLAGS:
    case COLUMN_FIELD_FIRST + ROW_WINDOW:
    case COLUMN_FIELD_FIRST + ROW_ICMP_A:
    case COLUMN_FIELD_FIRST + ROW_ICMP_B:
    case COLUMN_FIELD_FIRST + ROW_TS_ECHO:
    case COLUMN_FIELD_NEXT + ROW_FLAGS:
    case COLUMN_FIELD_NEXT + ROW_TS_ECHO:
        return 3; /* Small numbers. */
    case COLUMN_TAIL:
        return 4; /* Packets' own bytes. */
    default:
        return 5; /* Any bytes as often as any others. */
    }
}

/* --- Writing ------------------------------------------------------------- */

/* Appends a group to 'out'; returns its length times two, plus one if it is
 * compressed. */
static uint64_t
put_group(const struct section_list *list, const uint8_t *bytes,
          unsigned int group, struct compressor *compressor,
          struct byte_buf *raw, struct byte_buf *out)
{
    size_t start = out->len;
    bool is_compressed;

    byte_buf_clear(raw);
    for (size_t i = 0; i < list->n; i++) {
        const struct section *s = &list->sections[i];

        if (group_of(s->id) == group) {
            byte_buf_put(raw, bytes + s->offset, s->raw_len);
        }
    }
    is_compressed =
        compressor_put(compressor, raw->len < MIN_SQUEEZED ? 0 : levels[group],
                       raw->data, raw->len, out);
    return (uint64_t) (out->len - start) << 1 | is_compressed;
}

void
batch_sections_put(const struct section_list *list, const uint8_t *bytes,
                   struct compressor *compressor, struct byte_buf scratch[2],
                   struct byte_buf *out)
{
    uint64_t lens[N_GROUPS];

    byte_buf_clear(&scratch[1]);
    for (unsigned int g = 0; g < N_GROUPS; g++) {
        lens[g] =
            put_group(list, bytes, g, compressor, &scratch[0], &scratch[1]);
    }
    byte_buf_put_u8(out, (uint8_t) list->n);
    for (size_t i = 0; i < list->n; i++) {
        byte_buf_put_u8(out, list->sections[i].id);
        byte_buf_put_uvarint(out, list->sections[i].raw_len);
    }
    for (unsigned int g = 0; g < N_GROUPS; g++) {
        byte_buf_put_uvarint(out, lens[g]);
    }
    byte_buf_put(out, scratch[1].data, scratch[1].len);
}

/* --- Reading ------------------------------------------------------------- */

static int
broken(struct lh_error *error, const char *what)
{
    lh_error_set(error, "%s", what);
    return EBADMSG;
}

/* Gives the sections their places behind each other, group by group. */
static void
place(struct batch_sections *b)
{
    for (unsigned int g = 0; g < N_GROUPS; g++) {
        for (size_t i = 0; i < b->list.n; i++) {
            struct section *s = &b->list.sections[i];

            if (group_of(s->id) == g) {
                s->offset = b->raw_len;
                b->raw_len += s->raw_len;
                b->group_lens[g] += s->raw_len;
            }
        }
    }
    b->list.len = b->raw_len;
}

int
batch_sections_read(struct batch_sections *b, struct bytes_reader *in,
                    struct lh_error *error)
{
    size_t n = bytes_get_u8(in);
    unsigned int last = 0;

    memset(b, 0, sizeof *b);
    if (in->failed || n > SECTION_LIST_MAX) {
        return broken(error, "the table of sections is broken");
    }
    for (size_t i = 0; i < n; i++) {
        struct section *s = &b->list.sections[i];
        uint8_t id = bytes_get_u8(in);
        uint64_t len = byte_buf_get_uvarint(in);

        if (in->failed || id <= last || !len || len > SECTION_MAX_RAW) {
            return broken(error, "the table of sections is broken");
        }
        *s = (struct section){
            .id = id,
            .is_checked = true,
            .raw_len = (uint32_t) len,
            .stored_len = (uint32_t) len,
        };
        last = id;
    }
    b->list.n = n;
    place(b);
    return 0;
}

int
batch_sections_expand(const struct batch_sections *b, struct bytes_reader *in,
                      uint8_t *raw, struct lh_error *error)
{
    uint64_t lens[BATCH_SECTIONS_GROUPS];

    for (unsigned int g = 0; g < N_GROUPS; g++) {
        lens[g] = byte_buf_get_uvarint(in);
    }
    for (unsigned int g = 0; g < N_GROUPS; g++) {
        const uint8_t *stored = !in->failed && lens[g] >> 1 <= bytes_left(in)
                                    ? bytes_get(in, (size_t) (lens[g] >> 1))
                                    : NULL;
        int retval = 0;

        if (!stored || (!(lens[g] & 1) && lens[g] >> 1 != b->group_lens[g])) {
            return broken(error, "the batch has another length than it says");
        }
        if (lens[g] & 1) {
            retval = compress_expand(stored, (size_t) (lens[g] >> 1), raw,
                                     b->group_lens[g], error);
        } else if (b->group_lens[g]) {
            memcpy(raw, stored, b->group_lens[g]);
        }
        if (retval) {
            return retval;
        }
        raw += b->group_lens[g];
    }
    return bytes_left(in)
               ? broken(error, "the batch has another length than it says")
               : 0;
}
