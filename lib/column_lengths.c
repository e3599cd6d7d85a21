/* SPDX-License-Identifier: Apache-2.0 */
/* column_lengths - the length of each packet of a block of columns. */
#include <config.h>

#include "lib/column_lengths.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "lib/byte_buf.h"
#include "lib/bytes.h"
#include "lib/packet_row.h"

/* What lengths are told by. */
enum { FIRST_CONTROL, NEXT_CONTROL, FIRST, NEXT, N_SECTIONS };

static const unsigned int sections[N_SECTIONS] = {
    COLUMN_CONTROL, COLUMN_CONTROL_LOW, COLUMN_FIELD_FIRST + ROW_LEN,
    COLUMN_FIELD_NEXT + ROW_LEN};

struct cursor {
    const uint8_t *at, *end;
};

static bool
get_u8(struct cursor *c, uint32_t *value)
{
    if (c->at == c->end) {
        return false;
    }
    *value = *c->at++;
    return true;
}

static bool
get_u16(struct cursor *c, uint32_t *value)
{
    if (c->end - c->at < 2) {
        return false;
    }
    *value = bytes_be16(c->at);
    c->at += 2;
    return true;
}

/* Adds a svarint. */
static bool
add_change(struct cursor *c, uint32_t *length)
{
    uint64_t value = 0;
    uint32_t byte = 0x80;

    for (unsigned int shift = 0; byte >= 0x80; shift += 7) {
        if (shift > 63 || !get_u8(c, &byte) || (shift == 63 && byte > 1)) {
            return false;
        }
        value |= (uint64_t) (byte & 0x7f) << shift;
    }
    *length =
        (uint16_t) (*length + (uint32_t) (value >> 1 ^ (0 - (value & 1))));
    return true;
}

/* The lengths of the rows of a flow; false when they are broken. */
static bool
read_flow(struct cursor c[N_SECTIONS], uint32_t n_rows, uint32_t more,
          uint32_t *lengths)
{
    uint32_t control, length = 0;

    if (!get_u16(&c[FIRST_CONTROL], &control) ||
        (control & ROW_BIT_LEN && !get_u16(&c[FIRST], &length)) ||
        (size_t) (c[NEXT_CONTROL].end - c[NEXT_CONTROL].at) < n_rows - 1) {
        return false;
    }
    lengths[0] = length + more;
    for (uint32_t i = 1; i < n_rows; i++) {
        if (*c[NEXT_CONTROL].at++ & ROW_BIT_LEN &&
            !add_change(&c[NEXT], &length)) {
            return false;
        }
        lengths[i] = length + more;
    }
    return true;
}

int
column_lengths_read(struct column_dictionary *d, uint32_t **lengthsp,
                    struct lh_error *error)
{
    uint32_t *lengths = malloc((d->n_rows + 1) * sizeof *lengths);
    uint8_t *owned[N_SECTIONS] = {NULL};
    struct cursor cursors[N_SECTIONS];
    int retval = 0;

    *lengthsp = NULL;
    if (!lengths) {
        lh_error_set(error, "no memory for %zu lengths", d->n_rows);
        return ENOMEM;
    }
    for (unsigned int i = 0; i < N_SECTIONS && !retval; i++) {
        const uint8_t *raw;
        size_t len;

        retval = column_dictionary_load(d, sections[i], &raw, &len, &owned[i],
                                        error);
        cursors[i].at = raw;
        cursors[i].end = raw ? raw + len : NULL;
    }
    for (size_t i = 0; i < d->n_flows && !retval; i++) {
        const struct column_flow *flow = &d->flows[i];
        enum header_kind kind = d->shapes[flow->shape].kind;

        /* IPv6 counts what is behind its header. */
        if (!read_flow(cursors, flow->n_rows,
                       header_kind_is_ip4(kind) ? 0 : 40,
                       lengths + flow->first_row)) {
            lh_error_set(error, "the columns of lengths are broken");
            retval = EBADMSG;
        }
    }
    for (unsigned int i = 0; i < N_SECTIONS; i++) {
        free(owned[i]);
    }
    if (retval) {
        free(lengths);
    } else {
        *lengthsp = lengths;
    }
    return retval;
}

/* The block does not say sums. */
static int
add_up(struct column_dictionary *d, uint64_t *bytes, struct lh_error *error)
{
    uint32_t *lengths;
    int retval = column_lengths_read(d, &lengths, error);

    for (size_t i = 0; i < d->n_flows && !retval; i++) {
        const struct column_flow *flow = &d->flows[i];

        bytes[i] = 0;
        for (uint32_t k = 0; k < flow->n_rows; k++) {
            bytes[i] += lengths[flow->first_row + k];
        }
    }
    free(lengths);
    return retval;
}

int
column_lengths_read_flows(struct column_dictionary *d, uint64_t **bytesp,
                          struct lh_error *error)
{
    uint64_t *bytes = malloc((d->n_flows + 1) * sizeof *bytes);
    const uint8_t *raw;
    uint8_t *owned;
    size_t len;
    int retval = column_dictionary_load(d, COLUMN_FLOW_BYTES, &raw, &len,
                                        &owned, error);

    *bytesp = NULL;
    if (!bytes && !retval) {
        lh_error_set(error, "no memory for %zu sums", d->n_flows);
        retval = ENOMEM;
    }
    if (!retval && !raw) {
        retval = add_up(d, bytes, error);
    } else if (!retval) {
        struct bytes_reader r = bytes_reader(raw, len);

        for (size_t i = 0; i < d->n_flows; i++) {
            bytes[i] = byte_buf_get_uvarint(&r);
        }
        if (r.failed) {
            lh_error_set(error, "the column of sums is broken");
            retval = EBADMSG;
        }
    }
    free(owned);
    if (retval) {
        free(bytes);
    } else {
        *bytesp = bytes;
    }
    return retval;
}
