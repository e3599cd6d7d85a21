/* SPDX-License-Identifier: Apache-2.0 */
/* column_writer - makes columns of packets that come grouped by flow. */
#include <config.h>

#include "lib/column_writer.h"

#include <assert.h>
#include <string.h>

#include "lib/hdr.h"
#include "lib/trajectory_shape.h"

#define MAX_UVARINT 10

void
column_writer_uninit(struct column_writer *w)
{
    for (size_t i = 0; i < N_COLUMNS; i++) {
        byte_buf_uninit(&w->columns[i]);
    }
}

void
column_row_id(const struct packet_id_config *config, enum header_kind kind,
              uint16_t l3_ofs, const uint8_t *header, size_t len, uint64_t *id)
{
    const uint8_t *ip = header + l3_ofs;
    struct hdr h;

    h.status = HDR_OK;
    h.is_ip4 = header_kind_is_ip4(kind);
    h.is_ip6 = !h.is_ip4;
    h.is_arp = false;
    h.eth_type = h.is_ip4 ? HDR_ETH_IP4 : HDR_ETH_IP6;
    h.l3_ofs = l3_ofs;
    h.payload_ofs = l3_ofs;
    h.own_len = h.is_ip4 ? bytes_be16(ip + 2) : bytes_be16(ip + 4) + 40u;
    packet_id(config, header, len, &h, id);
}

void
column_time_bases(const struct history *model, uint8_t *bases)
{
    for (size_t i = 0; i < model->n_hops; i++) {
        int parent = model->hops[i].parent;

        bases[i] = parent >= 0 ? (uint8_t) parent : 0;
    }
}

/* --- Numbers ------------------------------------------------------------ */

static inline void
put_u8(struct column_writer *w, unsigned int column, unsigned int value)
{
    *w->at[column]++ = (uint8_t) value;
}

static inline void
put_u16(struct column_writer *w, unsigned int column, uint32_t value)
{
    bytes_put_be16(w->at[column], (uint16_t) value);
    w->at[column] += 2;
}

static inline void
put_uvarint(struct column_writer *w, unsigned int column, uint64_t value)
{
    uint8_t *p = w->at[column];

    while (value >= 0x80) {
        *p++ = (uint8_t) (value | 0x80);
        value >>= 7;
    }
    *p++ = (uint8_t) value;
    w->at[column] = p;
}

static inline uint64_t
zigzag(uint64_t value)
{
    return value << 1 ^ (0 - (value >> 63));
}

/* The 'n' lowest bits of 'value', at most 56. */
static inline void
put_bits(struct column_writer *w, uint64_t value, unsigned int n)
{
    w->bits |= value << w->n_bits;
    w->n_bits += n;
    while (w->n_bits >= 8) {
        put_u8(w, COLUMN_TIME_BITS, (uint8_t) w->bits);
        w->bits >>= 8;
        w->n_bits -= 8;
    }
}

/* How many bits 'value' has, in 'column', and all but the first of them in
 * COLUMN_TIME_BITS. */
static inline void
put_class(struct column_writer *w, unsigned int column, uint64_t value)
{
    unsigned int n = value ? 64 - (unsigned int) __builtin_clzll(value) : 0;

    put_u8(w, column, n);
    if (n > 1) {
        value ^= 1ull << (n - 1);
        if (n > 33) {
            put_bits(w, value & 0xffffffff, 32);
            put_bits(w, value >> 32, n - 33);
        } else {
            put_bits(w, value, n - 1);
        }
    }
}

/* --- Block and flows ---------------------------------------------------- */

static void
reserve(struct column_writer *w, unsigned int column, size_t n)
{
    byte_buf_clear(&w->columns[column]);
    byte_buf_extend(&w->columns[column], n + 16);
    w->at[column] = w->columns[column].data;
}

void
column_writer_begin(struct column_writer *w,
                    const struct packet_id_config *packet_id, uint64_t unit_ns,
                    size_t n_rows, size_t n_hops, size_t n_bytes,
                    uint16_t snap)
{
    struct byte_buf *params = &w->columns[COLUMN_PARAMS];

    for (unsigned int i = 0; i < N_COLUMNS; i++) {
        reserve(w, i, n_rows * 5);
    }
    byte_buf_clear(&w->columns[COLUMN_SHAPES]);
    byte_buf_clear(&w->columns[COLUMN_PLAIN]);
    reserve(w, COLUMN_FLOW_COLD, n_rows * FLOW_MAX_COLD);
    reserve(w, COLUMN_FLOW_SRC, n_rows * 16);
    reserve(w, COLUMN_FLOW_DST, n_rows * 16);
    reserve(w, COLUMN_TIME_BITS, n_rows * 8);
    reserve(w, COLUMN_HOPS_MORE, n_hops * MAX_UVARINT);
    for (unsigned int i = 0; i < 4; i++) {
        reserve(w, COLUMN_HOPS + i, n_hops);
    }
    reserve(w, COLUMN_ID, n_rows * 8);
    reserve(w, COLUMN_TAIL, n_bytes);

    w->block = (struct row_block){.snap = snap};
    w->unit_ns = unit_ns;
    w->n_planes = unit_ns == 1 ? 2 : 1;
    w->first_time = 0;
    w->previous_time = 0;
    w->bits = 0;
    w->n_bits = 0;

    byte_buf_clear(params);
    byte_buf_put_uvarint(params, unit_ns);
    byte_buf_put_u64(params, packet_id->seed);
    byte_buf_put_uvarint(params, packet_id->n_bytes);
    byte_buf_put_uvarint(params, snap);
    byte_buf_put_uvarint(params, w->n_planes);
    byte_buf_put_uvarint(params, n_rows);
}

void
column_writer_begin_packets(struct column_writer *w, size_t n_rows,
                            size_t n_bytes, uint16_t snap)
{
    for (unsigned int i = 0; i < N_COLUMNS; i++) {
        reserve(w, i, i < COLUMN_CONTROL ? 0 : n_rows * 5);
    }
    reserve(w, COLUMN_TAIL, n_bytes);
    byte_buf_clear(&w->columns[COLUMN_PARAMS]);
    byte_buf_clear(&w->columns[COLUMN_SHAPES]);
    byte_buf_clear(&w->columns[COLUMN_PLAIN]);
    w->block = (struct row_block){.snap = snap};
    w->n_bits = 0;
}

void
column_writer_begin_flow(struct column_writer *w, enum header_kind kind,
                         uint16_t l3_ofs, const uint8_t *header,
                         uint32_t shape, uint32_t n_rows, size_t n_hops,
                         const uint8_t *bases)
{
    struct flow_bytes flow;

    flow_bytes_take(&flow, kind, l3_ofs, header);
    put_uvarint(w, COLUMN_FLOW_SHAPE, shape);
    put_uvarint(w, COLUMN_FLOW_ROWS, n_rows);
    memcpy(w->at[COLUMN_FLOW_COLD], flow.cold, flow.n_cold);
    w->at[COLUMN_FLOW_COLD] += flow.n_cold;
    memcpy(w->at[COLUMN_FLOW_SRC], flow.addrs[0], flow.n_addr);
    w->at[COLUMN_FLOW_SRC] += flow.n_addr;
    memcpy(w->at[COLUMN_FLOW_DST], flow.addrs[1], flow.n_addr);
    w->at[COLUMN_FLOW_DST] += flow.n_addr;
    memcpy(w->at[COLUMN_FLOW_PORTS], flow.ports, flow.n_ports);
    w->at[COLUMN_FLOW_PORTS] += flow.n_ports;
    packet_row_begin(&w->row, kind, l3_ofs, header + l3_ofs);
    w->flow_bytes = 0;
    w->n_hops = n_hops;
    w->bases = bases;
}

uint64_t
column_writer_end_flow(struct column_writer *w)
{
    put_uvarint(w, COLUMN_FLOW_BYTES, w->flow_bytes);
    return w->flow_bytes;
}

/* --- Rows --------------------------------------------------------------- */

/* Puts the times of a row, in units of 'unit_ns' and as many planes; inlined
 * for each unit. */
static inline __attribute__((always_inline)) void
put_times_in(struct column_writer *w, const uint64_t *times_ns,
             uint64_t unit_ns, unsigned int n_planes)
{
    uint64_t times[TRAJECTORY_MAX_HOPS];
    uint64_t limit = (1ull << (8 * n_planes)) - 1;
    size_t n_hops = w->n_hops;
    uint8_t *at[2] = {w->at[COLUMN_HOPS], w->at[COLUMN_HOPS + 1]};

    times[0] = times_ns[0] / unit_ns;
    for (size_t i = 1; i < n_hops; i++) {
        uint64_t value;

        times[i] = times_ns[i] / unit_ns;
        value = zigzag(times[i] - times[w->bases[i]]);
        if (value >= limit) {
            put_uvarint(w, COLUMN_HOPS_MORE, value - limit);
            value = limit;
        }
        for (unsigned int plane = 0; plane < n_planes; plane++) {
            *at[plane]++ = (uint8_t) (value >> 8 * plane);
        }
    }
    for (unsigned int plane = 0; plane < n_planes; plane++) {
        w->at[COLUMN_HOPS + plane] = at[plane];
    }
    if (w->row.is_first) {
        put_class(w, COLUMN_TIME_FIRST, zigzag(times[0] - w->first_time));
        w->first_time = times[0];
    } else {
        put_class(w, COLUMN_TIME_NEXT, zigzag(times[0] - w->previous_time));
    }
    w->previous_time = times[0];
}

static void
put_times(struct column_writer *w, const uint64_t *times_ns)
{
    if (w->unit_ns == 1) {
        put_times_in(w, times_ns, 1, 2);
    } else {
        put_times_in(w, times_ns, 1000, 1);
    }
}

/* Stores the first value of a field, of 'len' bytes, if it is not what was
 * expected; returns its bit then.  It is there always, and counted or not:
 * whether it is expected cannot be. */
static inline uint32_t
put_first(struct column_writer *w, unsigned int field, unsigned int len,
          uint32_t bit, uint32_t value, uint32_t expected)
{
    uint8_t **at = &w->at[COLUMN_FIELD_FIRST + field];
    uint32_t differs = value != expected;

    if (len == 4) {
        bytes_put_be32(*at, value);
    } else {
        bytes_put_be16(*at, (uint16_t) value);
    }
    *at += differs * len;
    return differs * bit;
}

/* The same of a later value. */
static inline uint32_t
put_next(struct column_writer *w, unsigned int field, unsigned int len,
         uint32_t bit, uint32_t value, uint32_t expected)
{
    uint32_t diff = value - expected;
    int32_t change = len == 2 ? (int16_t) diff : (int32_t) diff;

    if (!diff) {
        return 0;
    }
    put_uvarint(w, COLUMN_FIELD_NEXT + field,
                zigzag((uint64_t) (int64_t) change));
    return bit;
}

/* Inlined for each kind, so that nothing of the list is left to look up. */
static inline __attribute__((always_inline)) uint32_t
put_places_as(struct column_writer *w, struct packet_row *row,
              const uint8_t *ip, enum header_kind kind, bool is_first)
{
    uint32_t mask = 0;

#pragma GCC unroll 8
    for (unsigned int i = 0; i < ROW_MAX_PLACES; i++) {
        const struct row_place *p = &row_places[kind][i];

        if (p->len) {
            uint32_t value = p->len == 2 ? bytes_be16(ip + p->ofs)
                                         : bytes_be32(ip + p->ofs);
            uint32_t expected = packet_row_expect(row, p->field);

            mask |=
                is_first
                    ? put_first(w, p->field, p->len, p->bit, value, expected)
                    : put_next(w, p->field, p->len, p->bit, value, expected);
            packet_row_learn(row, kind, p->field, value);
        }
    }
    return mask;
}

static inline __attribute__((always_inline)) uint32_t
put_places(struct column_writer *w, struct packet_row *row, const uint8_t *ip,
           enum header_kind kind)
{
    return row->is_first ? put_places_as(w, row, ip, kind, true)
                         : put_places_as(w, row, ip, kind, false);
}

static uint32_t
put_fields(struct column_writer *w, struct packet_row *row, const uint8_t *ip)
{
    switch (row->kind) {
    case HEADER_IP4_TCP:
        return put_places(w, row, ip, HEADER_IP4_TCP);
    case HEADER_IP4_UDP:
        return put_places(w, row, ip, HEADER_IP4_UDP);
    case HEADER_IP6_TCP:
        return put_places(w, row, ip, HEADER_IP6_TCP);
    case HEADER_IP6_UDP:
        return put_places(w, row, ip, HEADER_IP6_UDP);
    case HEADER_IP4_ICMP:
        return put_places(w, row, ip, HEADER_IP4_ICMP);
    case HEADER_IP6_ICMP:
        return put_places(w, row, ip, HEADER_IP6_ICMP);
    case HEADER_IP4_OTHER:
    case HEADER_IP4_PORTS:
        return put_places(w, row, ip, HEADER_IP4_OTHER);
    case HEADER_IP6_OTHER:
    case HEADER_IP6_PORTS:
    case HEADER_TYPE:
    case HEADER_ARP:
    case HEADER_IP4_OPTIONS:
    case N_HEADER_FORMS:
        break;
    }
    return put_places(w, row, ip, HEADER_IP6_OTHER);
}

static inline uint32_t
put_field(struct column_writer *w, unsigned int field, unsigned int len,
          uint32_t bit, uint32_t value, uint32_t expected, bool is_first)
{
    return is_first ? put_first(w, field, len, bit, value, expected)
                    : put_next(w, field, len, bit, value, expected);
}

static uint32_t
put_timestamps(struct column_writer *w, struct packet_row *row,
               const uint8_t *ts, uint32_t room)
{
    bool is_first = !row->ts_room;
    uint32_t value = bytes_be32(ts), echo = 0;
    uint32_t mask = ROW_BIT_HAS_TS;

    for (uint32_t i = 4; i < room; i++) {
        echo = echo << 8 | ts[i];
    }
    mask |= put_field(w, ROW_TS_VALUE, 4, ROW_BIT_TS_VAL, value,
                      row->previous[ROW_TS_VALUE], is_first);
    if (room > 4) {
        if (room != row->ts_room) {
            row->previous[ROW_TS_ECHO] = 0;
        }
        mask |= put_field(w, ROW_TS_ECHO, 4, ROW_BIT_TS_ECHO, echo,
                          row->previous[ROW_TS_ECHO], is_first);
    }
    row->previous[ROW_TS_VALUE] = value;
    row->previous[ROW_TS_ECHO] = echo;
    row->ts_room = (uint8_t) room;
    return mask;
}

/* What stands behind the fixed L4 header. */
static uint32_t
put_tail(struct column_writer *w, struct packet_row *row, const uint8_t *ip)
{
    static const uint8_t ts_option[4] = {1, 1, 8, 10};
    uint32_t in_packet = packet_row_in_packet(row);
    uint32_t room = packet_row_ts_room(row, ip);
    uint32_t at = row->fixed_len;
    uint32_t mask = 0;

    if (room && !memcmp(ip + at, ts_option, 4)) {
        mask |= put_timestamps(w, row, ip + at + 4, room);
        at += 4 + room;
    }

    size_t len = in_packet - at;

    if (len > row->tail_len ||
        (len && !bytes_equal(ip + at, row->tail, len))) {
        bytes_copy(w->at[COLUMN_TAIL], ip + at, len);
        w->at[COLUMN_TAIL] += len;
        mask |= ROW_BIT_TAIL;
    }
    row->tail = ip + at;
    row->tail_len = len;
    for (uint32_t i = in_packet; i < row->l3_len; i++) {
        if (ip[i]) {
            memcpy(w->at[COLUMN_TAIL], ip + in_packet,
                   row->l3_len - in_packet);
            w->at[COLUMN_TAIL] += row->l3_len - in_packet;
            return mask | ROW_BIT_PAD;
        }
    }
    return mask;
}

static uint32_t
put_sums(struct column_writer *w, struct packet_row *row, const uint8_t *ip)
{
    uint32_t mask = 0;

    if (header_kind_is_ip4(row->kind)) {
        uint16_t right = packet_row_ip_sum(row);
        uint16_t sum = bytes_be16(ip + 10);

        if (sum != packet_row_add(right, row->ip_diff)) {
            put_u16(w, COLUMN_IP_SUM, sum);
            row->ip_diff = packet_row_diff(right, sum);
            mask |= ROW_BIT_IP_SUM;
        }
    }
    if (row->l4_sum_ofs) {
        uint16_t right =
            packet_row_is_whole(row) ? packet_row_l4_sum(row, ip) : 0;
        uint16_t sum = bytes_be16(ip + row->l4_sum_ofs);

        if (sum != packet_row_expect_l4(row, right)) {
            put_u16(w, COLUMN_L4_SUM, sum);
            packet_row_learn_l4(row, right, sum);
            mask |= ROW_BIT_L4_SUM;
        }
    }
    return mask;
}

static void
put_control(struct column_writer *w, const struct packet_row *row,
            uint32_t mask)
{
    if (row->is_first) {
        put_u16(w, COLUMN_CONTROL, mask);
    } else {
        put_u8(w, COLUMN_CONTROL_LOW, mask);
        put_u8(w, COLUMN_CONTROL_HIGH, mask >> 8);
    }
}

/* Inlined where the row is in a place of its own. */
static inline __attribute__((always_inline)) void
put_packet(struct column_writer *w, struct packet_row *row,
           const struct column_row *r)
{
    uint32_t mask = put_fields(w, row, r->ip);

    if (r->l3_len != packet_row_expect_len(row, &w->block)) {
        put_uvarint(w, COLUMN_CAPLEN, r->l3_len);
        mask |= ROW_BIT_CAPLEN;
    }
    packet_row_learn_len(row, &w->block, r->l3_len);
    mask |= put_tail(w, row, r->ip);
    mask |= put_sums(w, row, r->ip);
    if (r->has_id) {
        bytes_put_be64(w->at[COLUMN_ID], r->packet_id);
        w->at[COLUMN_ID] += 8;
        mask |= ROW_BIT_ID;
    }
    put_control(w, row, mask);
    w->flow_bytes += row->own_len;
    packet_row_end(row);
}

void
column_writer_put_row(struct column_writer *w, const struct column_row *r)
{
    put_times(w, r->times_ns);
    put_packet(w, &w->row, r);
}

void
column_writer_put_packet(struct column_writer *w, struct packet_row *row,
                         const struct column_row *r)
{
    put_packet(w, row, r);
}

void
column_writer_end(struct column_writer *w)
{
    if (w->n_bits) {
        put_u8(w, COLUMN_TIME_BITS, (uint8_t) w->bits);
    }
    for (unsigned int i = 0; i < N_COLUMNS; i++) {
        if (i != COLUMN_PARAMS && i != COLUMN_SHAPES && i != COLUMN_PLAIN) {
            w->columns[i].len = (size_t) (w->at[i] - w->columns[i].data);
        }
    }
}
