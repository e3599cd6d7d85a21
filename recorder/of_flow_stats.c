/* SPDX-License-Identifier: Apache-2.0 */
/* of_flow - flow and aggregate statistics, both ways. */
#include <config.h>
#include "recorder/of_flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_ovs.h"
#include "recorder/of_wire.h"

bool
of_flow_request_decode(const uint8_t *msg, size_t len,
                       struct of_flow_request *request)
{
    struct ofpbuf *b = of_ovs_message(msg, len);
    struct ofputil_flow_stats_request fsr;
    enum ofptype type;
    enum ofpraw raw;
    bool ok = false;

    memset(request, 0, sizeof *request);
    if (!ofptype_decode(&type, b->data) &&
        (type == OFPTYPE_FLOW_STATS_REQUEST ||
         type == OFPTYPE_AGGREGATE_STATS_REQUEST) &&
        of_ovs_raw(b, &raw) &&
        !ofputil_decode_flow_stats_request(&fsr, b->data, NULL, NULL)) {
        request->match = of_match_from_ovs(&fsr.match);
        request->table_id = fsr.table_id;
        request->cookie = of_ovs_u64(fsr.cookie);
        request->cookie_mask = of_ovs_u64(fsr.cookie_mask);
        request->out_port =
            fsr.out_port == OFPP_ANY ? OF_ACTS_ANY : of_ovs_u16(fsr.out_port);
        request->out_group =
            fsr.out_group == OFPG_ANY ? OF_ACTS_ANY : fsr.out_group;
        request->is_aggregate = fsr.aggregate;
        request->is_nicira = raw == OFPRAW_NXST_FLOW_REQUEST ||
                             raw == OFPRAW_NXST_AGGREGATE_REQUEST;
        ok = true;
    }
    ofpbuf_delete(b);
    return ok;
}

void
of_flow_request_uninit(struct of_flow_request *request)
{
    of_match_destroy(request->match);
    request->match = NULL;
}

void
of_flow_request_encode(const struct of_flow_request *request, uint8_t version,
                       bool for_us, uint32_t xid, uint8_t **msg,
                       size_t *msg_len)
{
    struct ofputil_flow_stats_request fsr = {
        .table_id = request->table_id,
        .cookie = of_ovs_be64(request->cookie),
        .cookie_mask = of_ovs_be64(request->cookie_mask),
        .out_port = request->out_port == OF_ACTS_ANY
                        ? OFPP_ANY
                        : of_ovs_port((uint16_t) request->out_port),
        .out_group =
            request->out_group == OF_ACTS_ANY ? OFPG_ANY : request->out_group};
    enum ofputil_protocol protocol = of_ovs_protocol(version);
    struct ofpbuf *b;

    if (version == OF_WIRE_10 && !for_us && !request->is_nicira) {
        protocol = OFPUTIL_P_OF10_STD;
    }
    of_match_expand_wire(request->match, &fsr.match);
    b = ofputil_encode_flow_stats_request(&fsr, protocol);
    if (version == OF_WIRE_11) {
        b = of_match_widen_11(b, request->match);
    }
    of_ovs_take(b, xid, msg, msg_len);
}

/* Reading replies. */

/* A record of OpenFlow 1.3 or 1.4. */
#define RECORD_TABLE    2
#define RECORD_PRIORITY 12
#define RECORD_FLAGS    18
#define RECORD_COOKIE   24
#define RECORD_PACKETS  32
#define RECORD_BYTES    40
#define RECORD_MATCH    48
#define REPLY_HEAD      16

struct of_flow_reader {
    struct ofpbuf *b; /* Owned. */
    bool is_bytes;    /* Records are only looked at. */
    size_t ofs;       /* Of the next one, then. */
};

struct of_flow_reader *
of_flow_reader_open(const uint8_t *msg, size_t len)
{
    struct of_flow_reader *reader = lh_alloc(sizeof *reader);

    reader->b = of_ovs_message(msg, len);
    reader->is_bytes = false;
    return reader;
}

/* True when all records are whole and can be passed on as they are. */
static bool
has_bytes(const uint8_t *msg, size_t len)
{
    size_t ofs = REPLY_HEAD;

    if (msg[0] < OF_WIRE_12 || msg[0] > OF_WIRE_14) {
        return false;
    }
    while (ofs + RECORD_MATCH < len) {
        size_t n = of_wire_get16(msg + ofs);

        if (n <= RECORD_MATCH || n % 8 || n > len - ofs ||
            !of_match_wire_len(msg + ofs + RECORD_MATCH, n - RECORD_MATCH)) {
            return false;
        }
        ofs += n;
    }
    return ofs == len;
}

struct of_flow_reader *
of_flow_reader_open_bytes(const uint8_t *msg, size_t len)
{
    struct of_flow_reader *reader = of_flow_reader_open(msg, len);

    reader->is_bytes = has_bytes(msg, len);
    reader->ofs = REPLY_HEAD;
    return reader;
}

/* The next record without its actions. */
static int
next_bytes(struct of_flow_reader *reader, struct of_flow_record *record)
{
    const uint8_t *wire = (const uint8_t *) reader->b->data + reader->ofs;
    struct match match;
    struct ofpbuf b;
    uint16_t match_len;
    size_t n;

    if (reader->ofs >= reader->b->size) {
        return 0;
    }
    n = of_wire_get16(wire);
    ofpbuf_use_const(&b, wire + RECORD_MATCH, n - RECORD_MATCH);
    if (ofputil_pull_ofp11_match(&b, NULL, NULL, &match, &match_len)) {
        return -1;
    }
    reader->ofs += n;
    record->match = of_match_from_ovs(&match);
    record->table_id = wire[RECORD_TABLE];
    record->priority = of_wire_get16(wire + RECORD_PRIORITY);
    record->cookie = of_wire_get64(wire + RECORD_COOKIE);
    record->n_packets = of_wire_get64(wire + RECORD_PACKETS);
    record->n_bytes = of_wire_get64(wire + RECORD_BYTES);
    record->wire = wire;
    record->wire_version = *(const uint8_t *) reader->b->data;
    record->wire_acts_ofs = RECORD_MATCH + match_len;
    return 1;
}

int
of_flow_reader_next(struct of_flow_reader *reader,
                    struct of_flow_record *record)
{
    struct ofputil_flow_stats fs;
    struct ofpbuf ofpacts;
    int result;

    memset(record, 0, sizeof *record);
    if (reader->is_bytes) {
        return next_bytes(reader, record);
    }
    ofpbuf_init(&ofpacts, 256);
    result = ofputil_decode_flow_stats_reply(&fs, reader->b, true, &ofpacts);
    if (!result) {
        record->match = of_match_from_ovs(&fs.match);
        of_acts_from_ovs(&record->acts, fs.ofpacts, fs.ofpacts_len);
        record->table_id = fs.table_id;
        record->priority = fs.priority;
        record->cookie = of_ovs_u64(fs.cookie);
        record->idle_timeout = fs.idle_timeout;
        record->hard_timeout = fs.hard_timeout;
        record->importance = fs.importance;
        record->flags = (uint16_t) fs.flags;
        record->duration_sec = fs.duration_sec;
        record->duration_nsec = fs.duration_nsec;
        record->idle_age = fs.idle_age;
        record->hard_age = fs.hard_age;
        record->n_packets = fs.packet_count;
        record->n_bytes = fs.byte_count;
    }
    ofpbuf_uninit(&ofpacts);
    return !result ? 1 : result == EOF ? 0 : -1;
}

void
of_flow_reader_close(struct of_flow_reader *reader)
{
    if (reader) {
        ofpbuf_delete(reader->b);
        free(reader);
    }
}

void
of_flow_record_uninit(struct of_flow_record *record)
{
    of_match_destroy(record->match);
    record->match = NULL;
    of_acts_uninit(&record->acts);
}

/* Writing replies. */

struct of_flow_writer {
    struct ovs_list replies; /* Of struct ofpbuf.  Owned. */
};

struct of_flow_writer *
of_flow_writer_open(uint8_t version, bool is_nicira)
{
    struct of_flow_writer *writer = lh_alloc(sizeof *writer);
    struct ofputil_flow_stats_request fsr = {
        .table_id = 0xff, .out_port = OFPP_ANY, .out_group = OFPG_ANY};
    struct ofpbuf *request;

    match_init_catchall(&fsr.match);
    request = ofputil_encode_flow_stats_request(
        &fsr, version == OF_WIRE_10 && !is_nicira ? OFPUTIL_P_OF10_STD
                                                  : of_ovs_protocol(version));
    ofpmp_init(&writer->replies, request->data);
    ofpbuf_delete(request);
    return writer;
}

/* Adds the record as it came but for its instructions and flags. */
static void
add_bytes(struct of_flow_writer *writer, const struct of_flow_record *record)
{
    struct ofpbuf *reply = ofpbuf_from_list(ovs_list_back(&writer->replies));
    size_t start = reply->size, n = of_wire_get16(record->wire);
    uint8_t version = record->wire_version;
    uint8_t *p;

    ofpbuf_put(reply, record->wire, record->shown ? record->wire_acts_ofs : n);
    if (record->shown) {
        ofpacts_put_openflow_instructions(of_acts_ovs(record->shown),
                                          record->shown->len, reply, version);
        p = (uint8_t *) reply->data + start;
        of_wire_put16(p, (uint16_t) (reply->size - start));
        if (version >= OF_WIRE_13) {
            of_wire_put16(p + RECORD_FLAGS,
                          of_flow_wire_flags(record->flags, version));
        }
    }
    ofpmp_postappend(&writer->replies, start);
}

void
of_flow_writer_add(struct of_flow_writer *writer,
                   const struct of_flow_record *record)
{
    const struct of_acts *acts = record->shown ? record->shown : &record->acts;
    struct ofputil_flow_stats fs = {.cookie = of_ovs_be64(record->cookie),
                                    .table_id = record->table_id,
                                    .priority = record->priority,
                                    .idle_timeout = record->idle_timeout,
                                    .hard_timeout = record->hard_timeout,
                                    .duration_sec = record->duration_sec,
                                    .duration_nsec = record->duration_nsec,
                                    .idle_age = record->idle_age,
                                    .hard_age = record->hard_age,
                                    .packet_count = record->n_packets,
                                    .byte_count = record->n_bytes,
                                    .ofpacts = acts->data,
                                    .ofpacts_len = acts->len,
                                    .flags = record->flags,
                                    .importance = record->importance};

    if (record->wire) {
        add_bytes(writer, record);
        return;
    }
    of_match_expand_wire(record->match, &fs.match);
    ofputil_append_flow_stats_reply(&fs, &writer->replies, NULL);
}

void
of_flow_writer_close(struct of_flow_writer *writer, uint32_t xid, bool more,
                     void (*emit)(void *aux, uint8_t *msg, size_t len),
                     void *aux)
{
    struct ofpbuf *b;

    LIST_FOR_EACH_POP(b, list_node, &writer->replies)
    {
        size_t head = b->size - ofpbuf_msgsize(b);
        bool is_last = ovs_list_is_empty(&writer->replies);
        uint8_t *msg;
        size_t len;

        if (is_last && more && b->size <= head) {
            ofpbuf_delete(b);
        } else if (!of_ovs_take(b, xid, &msg, &len)) {
            of_wire_put16(msg + 10, !is_last || more);
            emit(aux, msg, len);
        }
    }
    free(writer);
}

void
of_flow_aggregate(const uint8_t *request, size_t request_len,
                  uint64_t n_packets, uint64_t n_bytes, uint32_t n_flows,
                  uint8_t **msg, size_t *msg_len)
{
    struct ofputil_aggregate_stats stats = {.packet_count = n_packets,
                                            .byte_count = n_bytes,
                                            .flow_count = n_flows};
    struct ofpbuf *b = of_ovs_message(request, request_len);
    struct ofpbuf *reply =
        ofputil_encode_aggregate_stats_reply(&stats, b->data);

    ofpbuf_delete(b);
    of_ovs_take(reply, of_wire_xid(request), msg, msg_len);
}
