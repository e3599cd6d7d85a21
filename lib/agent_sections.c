/* SPDX-License-Identifier: Apache-2.0 */
/* agent_sections - the pieces of a batch, each compressed alone. */
#include <config.h>

#include "lib/agent_sections.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LEVEL        1
#define MIN_SQUEEZED 32 /* Shorter sections stay as they are. */
#define COMPRESSED   0x80
/* Of all sections together, before compression. */
#define MAX_RAW (16u << 20)

void
agent_sections_put(struct compressor *compressor, unsigned int id,
                   const struct byte_buf *raw, struct byte_buf *table,
                   struct byte_buf *body)
{
    size_t start = body->len;
    bool is_compressed;

    assert(id < AGENT_SECTIONS_MAX);
    if (!raw->len) {
        return;
    }
    is_compressed =
        compressor_put(compressor, raw->len < MIN_SQUEEZED ? 0 : LEVEL,
                       raw->data, raw->len, body);
    byte_buf_put_u8(table, (uint8_t) (id | (is_compressed ? COMPRESSED : 0)));
    byte_buf_put_uvarint(table, raw->len);
    if (is_compressed) {
        byte_buf_put_uvarint(table, body->len - start);
    }
}

struct stored {
    unsigned int id;
    bool is_compressed;
    uint64_t raw_len, len;
};

static struct stored
get_stored(struct bytes_reader *table)
{
    unsigned int byte = bytes_get_u8(table);
    struct stored s = {.id = byte & ~(unsigned int) COMPRESSED,
                       .is_compressed = byte & COMPRESSED};

    s.raw_len = byte_buf_get_uvarint(table);
    s.len = s.is_compressed ? byte_buf_get_uvarint(table) : s.raw_len;
    return s;
}

/* The bytes of all sections together, or UINT64_MAX. */
static uint64_t
sum_table(struct bytes_reader table, unsigned int first, unsigned int end)
{
    uint64_t sum = 0;

    while (bytes_left(&table)) {
        struct stored s = get_stored(&table);

        if (table.failed || s.id < first || s.id >= end ||
            s.raw_len > MAX_RAW || (sum += s.raw_len) > MAX_RAW) {
            return UINT64_MAX;
        }
    }
    return sum;
}

int
agent_sections_open(struct agent_sections *sections, struct bytes_reader *in,
                    unsigned int first, unsigned int end,
                    struct lh_error *error)
{
    uint64_t table_len = byte_buf_get_uvarint(in);
    const uint8_t *bytes =
        table_len <= bytes_left(in) ? bytes_get(in, table_len) : NULL;
    struct bytes_reader table = bytes_reader(bytes, bytes ? table_len : 0);
    uint64_t sum = bytes ? sum_table(table, first, end) : UINT64_MAX;
    uint8_t *room;

    memset(sections, 0, sizeof *sections);
    if (sum == UINT64_MAX) {
        lh_error_set(error, "a batch whose table of sections is malformed");
        return EBADMSG;
    }
    room = sections->raw = malloc(sum + 1);
    if (!room) {
        lh_error_set(error, "no memory for a batch");
        return EBADMSG;
    }
    while (bytes_left(&table)) {
        struct stored s = get_stored(&table);
        const uint8_t *data =
            s.len <= bytes_left(in) ? bytes_get(in, s.len) : NULL;

        if (!data) {
            lh_error_set(error, "a batch whose sections are not all there");
            return EBADMSG;
        }
        if (s.is_compressed) {
            if (compress_expand(data, s.len, room, s.raw_len, error)) {
                return EBADMSG;
            }
            data = room;
            room += s.raw_len;
        }
        sections->at[s.id] = bytes_reader(data, s.raw_len);
    }
    if (bytes_left(in)) {
        lh_error_set(error, "a batch with bytes behind its sections");
        return EBADMSG;
    }
    return 0;
}

void
agent_sections_close(struct agent_sections *sections)
{
    free(sections->raw);
    memset(sections, 0, sizeof *sections);
}
