/* SPDX-License-Identifier: Apache-2.0 */
/* column_reader - makes packets of columns again. */
#include <config.h>

#include "lib/column_reader.h"

#include <assert.h>
#include <string.h>

void
column_reader_init(struct column_reader *r, uint16_t snap,
                   unsigned int n_planes)
{
    memset(r, 0, sizeof *r);
    r->block.snap = snap;
    r->n_planes = n_planes;
}

void
column_reader_set(struct column_reader *r, unsigned int column,
                  const uint8_t *data, size_t len)
{
    r->at[column] = data;
    r->end[column] = len ? data + len : data;
}

/* --- Numbers ------------------------------------------------------------ */

static inline const uint8_t *
get(struct column_reader *r, unsigned int column, size_t n)
{
    const uint8_t *p = r->at[column];

    if (__builtin_expect(n > (size_t) (r->end[column] - p), 0)) {
        r->failed = true;
        return NULL;
    }
    r->at[column] = n ? p + n : p;
    return p;
}

const uint8_t *
column_reader_bytes(struct column_reader *r, unsigned int column, size_t n)
{
    return get(r, column, n);
}

static inline uint32_t
get_u8(struct column_reader *r, unsigned int column)
{
    const uint8_t *p = get(r, column, 1);

    return p ? *p : 0;
}

static inline uint32_t
get_u16(struct column_reader *r, unsigned int column)
{
    const uint8_t *p = get(r, column, 2);

    return p ? bytes_be16(p) : 0;
}

uint64_t
column_reader_uvarint(struct column_reader *r, unsigned int column)
{
    const uint8_t *p = r->at[column], *end = r->end[column];
    uint64_t value = 0;

    for (unsigned int shift = 0; p < end && shift < 64; shift += 7) {
        uint8_t byte = *p++;

        if (shift == 63 && byte > 1) {
            break;
        }
        value |= (uint64_t) (byte & 0x7f) << shift;
        if (byte < 0x80) {
            r->at[column] = p;
            return value;
        }
    }
    r->failed = true;
    return 0;
}

static inline uint64_t
unzigzag(uint64_t value)
{
    return value >> 1 ^ (0 - (value & 1));
}

static inline uint64_t
get_bits(struct column_reader *r, unsigned int n)
{
    while (r->n_bits < n) {
        r->bits |= (uint64_t) get_u8(r, COLUMN_TIME_BITS) << r->n_bits;
        r->n_bits += 8;
    }

    uint64_t value = r->bits & ((1ull << n) - 1);

    r->bits >>= n;
    r->n_bits -= n;
    return value;
}

static inline uint64_t
get_class(struct column_reader *r, unsigned int column)
{
    unsigned int n = get_u8(r, column);
    uint64_t value;

    if (n < 2) {
        return n;
    }
    if (n > 64) {
        r->failed = true;
        return 0;
    }
    if (n > 33) {
        value = get_bits(r, 32);
        value |= get_bits(r, n - 33) << 32;
    } else {
        value = get_bits(r, n - 1);
    }
    return value | 1ull << (n - 1);
}

/* --- Times -------------------------------------------------------------- */

void
column_reader_times(struct column_reader *r, bool is_first, size_t n,
                    const uint8_t *bases, uint64_t *times)
{
    uint64_t limit = (1ull << (8 * r->n_planes)) - 1;

    if (is_first) {
        times[0] = r->first_time + unzigzag(get_class(r, COLUMN_TIME_FIRST));
        r->first_time = times[0];
    } else {
        times[0] = r->previous_time + unzigzag(get_class(r, COLUMN_TIME_NEXT));
    }
    r->previous_time = times[0];
    for (size_t i = 1; i < n; i++) {
        uint64_t value = 0;

        for (unsigned int plane = 0; plane < r->n_planes; plane++) {
            value |= (uint64_t) get_u8(r, COLUMN_HOPS + plane) << 8 * plane;
        }
        if (value == limit) {
            value += column_reader_uvarint(r, COLUMN_HOPS_MORE);
        }
        times[i] = times[bases[i]] + unzigzag(value);
    }
}

/* --- Rows --------------------------------------------------------------- */

void
column_reader_begin_flow(struct column_reader *r, enum header_kind kind,
                         uint16_t l3_ofs, const uint8_t *ip)
{
    packet_row_begin(&r->row, kind, l3_ofs, ip);
}

static inline uint32_t
get_field(struct column_reader *r, unsigned int field, unsigned int len,
          bool differs, uint32_t expected, bool is_first)
{
    const uint8_t *p;
    uint32_t change;

    if (!differs) {
        return expected;
    }
    if (is_first) {
        p = get(r, COLUMN_FIELD_FIRST + field, len);
        return !p ? 0 : len == 4 ? bytes_be32(p) : bytes_be16(p);
    }
    change = (uint32_t) unzigzag(
        column_reader_uvarint(r, COLUMN_FIELD_NEXT + field));
    return len == 2 ? (uint16_t) (expected + change) : expected + change;
}

static void
get_timestamps(struct column_reader *r, struct packet_row *row, uint32_t mask,
               uint8_t *ts, uint32_t room)
{
    bool is_first = !row->ts_room;
    uint32_t value = get_field(r, ROW_TS_VALUE, 4, mask & ROW_BIT_TS_VAL,
                               row->previous[ROW_TS_VALUE], is_first);
    uint32_t echo = 0;

    bytes_put_be32(ts, value);
    if (room > 4) {
        if (room != row->ts_room) {
            row->previous[ROW_TS_ECHO] = 0;
        }
        echo = get_field(r, ROW_TS_ECHO, 4, mask & ROW_BIT_TS_ECHO,
                         row->previous[ROW_TS_ECHO], is_first);
    }
    for (uint32_t i = 4; i < room; i++) {
        ts[i] = (uint8_t) (echo >> 8 * (room - 1 - i));
    }
    row->previous[ROW_TS_VALUE] = value;
    row->previous[ROW_TS_ECHO] = echo;
    row->ts_room = (uint8_t) room;
}

static void
get_tail(struct column_reader *r, struct packet_row *row, uint32_t mask,
         uint8_t *ip)
{
    static const uint8_t ts_option[4] = {1, 1, 8, 10};
    uint32_t in_packet = packet_row_in_packet(row);
    uint32_t at = row->fixed_len;

    if (mask & ROW_BIT_HAS_TS) {
        uint32_t room = packet_row_ts_room(row, ip);

        if (!room) {
            r->failed = true;
            return;
        }
        memcpy(ip + at, ts_option, 4);
        get_timestamps(r, row, mask, ip + at + 4, room);
        at += 4 + room;
    }

    size_t len = in_packet - at;
    const uint8_t *from = row->tail;

    if (mask & ROW_BIT_TAIL) {
        from = get(r, COLUMN_TAIL, len);
    } else if (len > row->tail_len) {
        r->failed = true;
    }
    if (r->failed) {
        return;
    }
    bytes_copy(ip + at, from, len);
    row->tail = ip + at;
    row->tail_len = len;

    size_t n_pad = row->l3_len - in_packet;

    if (!n_pad) {
        return;
    }

    const uint8_t *pad =
        mask & ROW_BIT_PAD ? get(r, COLUMN_TAIL, n_pad) : NULL;

    if (pad) {
        memcpy(ip + in_packet, pad, n_pad);
    } else {
        memset(ip + in_packet, 0, n_pad);
    }
}

static void
get_sums(struct column_reader *r, struct packet_row *row, uint32_t mask,
         uint8_t *ip)
{
    if (header_kind_is_ip4(row->kind)) {
        uint16_t right = packet_row_ip_sum(row);
        uint16_t sum = packet_row_add(right, row->ip_diff);

        if (mask & ROW_BIT_IP_SUM) {
            sum = (uint16_t) get_u16(r, COLUMN_IP_SUM);
            row->ip_diff = packet_row_diff(right, sum);
        }
        bytes_put_be16(ip + 10, sum);
    }
    if (row->l4_sum_ofs) {
        uint16_t right =
            packet_row_is_whole(row) ? packet_row_l4_sum(row, ip) : 0;
        uint16_t sum = packet_row_expect_l4(row, right);

        if (mask & ROW_BIT_L4_SUM) {
            sum = (uint16_t) get_u16(r, COLUMN_L4_SUM);
            packet_row_learn_l4(row, right, sum);
        }
        bytes_put_be16(ip + row->l4_sum_ofs, sum);
    }
}

static uint32_t
get_control(struct column_reader *r, const struct packet_row *row)
{
    if (row->is_first) {
        return get_u16(r, COLUMN_CONTROL);
    }

    uint32_t low = get_u8(r, COLUMN_CONTROL_LOW);

    return low | get_u8(r, COLUMN_CONTROL_HIGH) << 8;
}

size_t
column_reader_row(struct column_reader *r, uint8_t *ip, size_t room,
                  bool *has_id, uint64_t *id)
{
    return column_reader_packet(r, &r->row, ip, room, has_id, id);
}

/* Inlined for the most frequent kinds, so that nothing of the list is left to
 * look up. */
static inline __attribute__((always_inline)) void
get_places_as(struct column_reader *r, struct packet_row *row, uint32_t mask,
              uint8_t *ip, enum header_kind kind, bool is_first)
{
#pragma GCC unroll 8
    for (unsigned int i = 0; i < ROW_MAX_PLACES; i++) {
        const struct row_place *p = &row_places[kind][i];
        uint32_t value;

        if (!p->len) {
            continue;
        }
        value = get_field(r, p->field, p->len, mask & p->bit,
                          packet_row_expect(row, p->field), is_first);
        if (p->len == 2) {
            bytes_put_be16(ip + p->ofs, (uint16_t) value);
        } else {
            bytes_put_be32(ip + p->ofs, value);
        }
        packet_row_learn(row, kind, p->field, value);
    }
}

static inline __attribute__((always_inline)) void
get_places(struct column_reader *r, struct packet_row *row, uint32_t mask,
           uint8_t *ip, enum header_kind kind)
{
    if (row->is_first) {
        get_places_as(r, row, mask, ip, kind, true);
    } else {
        get_places_as(r, row, mask, ip, kind, false);
    }
}

size_t
column_reader_packet(struct column_reader *r, struct packet_row *row,
                     uint8_t *ip, size_t room, bool *has_id, uint64_t *id)
{
    uint32_t mask = get_control(r, row);

    if (row->kind == HEADER_IP4_TCP) {
        get_places(r, row, mask, ip, HEADER_IP4_TCP);
    } else if (row->kind == HEADER_IP4_UDP) {
        get_places(r, row, mask, ip, HEADER_IP4_UDP);
    } else {
        get_places(r, row, mask, ip, row->kind);
    }

    uint64_t l3_len = mask & ROW_BIT_CAPLEN
                          ? column_reader_uvarint(r, COLUMN_CAPLEN)
                          : packet_row_expect_len(row, &r->block);

    if (r->failed || row->own_len < row->fixed_len ||
        l3_len < row->fixed_len || l3_len > room) {
        r->failed = true;
        return 0;
    }
    packet_row_learn_len(row, &r->block, (uint32_t) l3_len);
    get_tail(r, row, mask, ip);
    if (r->failed) {
        return 0;
    }
    get_sums(r, row, mask, ip);
    *has_id = (mask & ROW_BIT_ID) != 0;
    *id = 0;
    if (*has_id) {
        const uint8_t *p = get(r, COLUMN_ID, 8);

        *id = p ? bytes_be64(p) : 0;
    }
    packet_row_end(row);
    return r->failed ? 0 : (size_t) l3_len;
}
