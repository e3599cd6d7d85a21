/* SPDX-License-Identifier: Apache-2.0 */
/* of_monitor - flow monitors of all versions of OpenFlow. */
#include <config.h>
#include "recorder/of_monitor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_ovs.h"
#include "recorder/of_wire.h"

/* Bytes of a request before its first part, and where a part of 1.4 has its
 * command. */
#define HEAD_EXTENSION 24
#define HEAD_STANDARD  16
#define COMMAND_OFS    15

static bool
is_standard(uint8_t version)
{
    return version >= OFP14_VERSION;
}

static enum ofputil_protocol
protocol_of(uint8_t version)
{
    return ofputil_protocol_from_ofp_version(version);
}

/* --- Requests. --- */

void
of_monitor_uninit(struct of_monitor *monitor)
{
    of_match_destroy(monitor->match);
    monitor->match = NULL;
}

static bool
is_request(const struct ofpbuf *b)
{
    enum ofptype type;

    return !ofptype_decode(&type, b->data) &&
           type == OFPTYPE_FLOW_MONITOR_STATS_REQUEST;
}

bool
of_monitor_decode(const uint8_t *msg, size_t len, struct of_monitor **monitors,
                  size_t *n)
{
    struct ofpbuf *b = of_ovs_message(msg, len);
    struct ofputil_flow_monitor_request r;
    size_t allocated = 0;
    int result = is_request(b) ? 0 : EINVAL;

    *monitors = NULL;
    *n = 0;
    memset(&r, 0, sizeof r);
    while (!result) {
        struct of_monitor *m;

        result = ofputil_decode_flow_monitor_request(&r, b);
        if (result) {
            break;
        }
        *monitors =
            lh_alloc_grow(*monitors, *n, &allocated, sizeof **monitors);
        m = &(*monitors)[(*n)++];
        m->id = r.id;
        m->command = (uint8_t) r.command;
        m->flags = (uint16_t) r.flags;
        m->table_id = r.table_id;
        m->out_port =
            r.out_port == OFPP_ANY ? OF_ACTS_ANY : of_ovs_u16(r.out_port);
        m->out_group = r.out_group == OFPG_ANY ? OF_ACTS_ANY : r.out_group;
        m->match = of_match_from_ovs(&r.match);
    }
    ofpbuf_delete(b);
    if (result != EOF) {
        while (*n) {
            of_monitor_uninit(&(*monitors)[--*n]);
        }
        free(*monitors);
        *monitors = NULL;
        return false;
    }
    return true;
}

/* The message of one part. */
static struct ofpbuf *
encode_one(const struct of_monitor *m, uint8_t version)
{
    struct ofputil_flow_monitor_request r = {
        .id = m->id,
        .command = m->command,
        .flags = m->flags,
        .out_port = m->out_port == OF_ACTS_ANY
                        ? OFPP_ANY
                        : of_ovs_port((uint16_t) m->out_port),
        .out_group = m->out_group == OF_ACTS_ANY ? OFPG_ANY : m->out_group,
        .table_id = m->table_id};
    struct ofpbuf *b = ofpbuf_new(0);

    of_match_expand_wire(m->match, &r.match);
    ofputil_append_flow_monitor_request(&r, b, protocol_of(version));
    if (is_standard(version)) {
        ((uint8_t *) b->data)[HEAD_STANDARD + COMMAND_OFS] = m->command;
    }
    return b;
}

int
of_monitor_encode(const struct of_monitor *monitors, size_t n, uint8_t version,
                  uint8_t **msg, size_t *msg_len)
{
    size_t head = is_standard(version) ? HEAD_STANDARD : HEAD_EXTENSION;
    struct ofpbuf *all = encode_one(&monitors[0], version);

    /* The library writes one part only. */
    for (size_t i = 1; i < n; i++) {
        struct ofpbuf *b = encode_one(&monitors[i], version);

        ofpbuf_put(all, (const uint8_t *) b->data + head, b->size - head);
        ofpbuf_delete(b);
    }
    return of_ovs_take(all, 0, msg, msg_len);
}

bool
of_monitor_cancel_decode(const uint8_t *msg, size_t len, uint32_t *id)
{
    struct ofpbuf *b = of_ovs_message(msg, len);
    enum ofptype type;
    bool ok =
        !ofptype_decode(&type, b->data) && type == OFPTYPE_FLOW_MONITOR_CANCEL;

    if (ok) {
        *id = ofputil_decode_flow_monitor_cancel(b->data);
    }
    ofpbuf_delete(b);
    return ok;
}

void
of_monitor_cancel_encode(uint32_t id, uint8_t version, uint8_t **msg,
                         size_t *msg_len)
{
    if (is_standard(version)) {
        /* The library's own leaves out the match, which switches expect. */
        struct of_monitor m = {.id = id,
                               .command = OF_MONITOR_DELETE,
                               .out_port = OF_ACTS_ANY,
                               .out_group = OF_ACTS_ANY,
                               .match = of_match_create_all()};

        of_ovs_take(encode_one(&m, version), 0, msg, msg_len);
        of_monitor_uninit(&m);
    } else {
        of_ovs_take(
            ofputil_encode_flow_monitor_cancel(id, protocol_of(version)), 0,
            msg, msg_len);
    }
}

/* --- Updates. --- */

void
of_update_uninit(struct of_update *update)
{
    of_match_destroy(update->match);
    update->match = NULL;
    of_acts_uninit(&update->acts);
}

bool
of_monitor_is_abbrev(const uint8_t *msg, size_t len)
{
    if (is_standard(msg[0])) {
        return len == HEAD_STANDARD + 8 && msg[1] == 19 &&
               of_wire_get16(msg + 8) == 16 &&
               of_wire_get16(msg + HEAD_STANDARD + 2) == OF_UPDATE_ABBREV;
    }
    return len == HEAD_EXTENSION + 8 && of_wire_get16(msg + 8) == 0xffff &&
           (msg[0] == OFP10_VERSION
                ? msg[1] == 17 && of_wire_get32(msg + 12) == 0x00002320 &&
                      of_wire_get32(msg + 16) == 2
                : msg[1] == 19 && msg[0] == OFP13_VERSION &&
                      of_wire_get32(msg + 20) == 1870) &&
           of_wire_get16(msg + HEAD_EXTENSION + 2) == 3;
}

struct of_update_reader {
    struct ofpbuf *b; /* Owned. */
    bool is_bad;
};

struct of_update_reader *
of_update_reader_open(const uint8_t *msg, size_t len)
{
    struct of_update_reader *reader = lh_alloc_zero(sizeof *reader);
    enum ofptype type;

    reader->b = of_ovs_message(msg, len);
    reader->is_bad = ofptype_decode(&type, reader->b->data) ||
                     type != OFPTYPE_FLOW_MONITOR_STATS_REPLY;
    return reader;
}

int
of_update_reader_next(struct of_update_reader *reader,
                      struct of_update *update)
{
    struct ofputil_flow_update fu;
    struct ofpbuf ofpacts;
    int result;

    memset(update, 0, sizeof *update);
    if (reader->is_bad) {
        return -1;
    }
    memset(&fu, 0, sizeof fu);
    ofpbuf_init(&ofpacts, 256);
    result = ofputil_decode_flow_update(&fu, reader->b, &ofpacts);
    if (!result) {
        update->event = (uint8_t) fu.event;
        if (fu.event == OFPFME_ABBREV) {
            update->xid = ntohl(fu.xid);
        } else if (fu.event < OFPFME_ABBREV) {
            update->reason = (uint8_t) fu.reason;
            update->table_id = fu.table_id;
            update->priority = fu.priority;
            update->idle_timeout = fu.idle_timeout;
            update->hard_timeout = fu.hard_timeout;
            update->cookie = of_ovs_u64(fu.cookie);
            update->match = of_match_from_ovs(&fu.match);
            of_acts_from_ovs(&update->acts, fu.ofpacts, fu.ofpacts_len);
        }
    }
    reader->is_bad = result && result != EOF;
    ofpbuf_uninit(&ofpacts);
    return !result ? 1 : result == EOF ? 0 : -1;
}

void
of_update_reader_close(struct of_update_reader *reader)
{
    if (reader) {
        ofpbuf_delete(reader->b);
        free(reader);
    }
}

struct of_update_writer {
    struct ovs_list replies; /* Of struct ofpbuf.  Owned. */
};

struct of_update_writer *
of_update_writer_open(uint8_t version)
{
    struct of_update_writer *writer = lh_alloc(sizeof *writer);

    ofputil_start_flow_update(&writer->replies, protocol_of(version));
    return writer;
}

void
of_update_writer_add(struct of_update_writer *writer,
                     const struct of_update *update)
{
    struct ofputil_flow_update fu = {.event = update->event,
                                     .reason = update->reason,
                                     .idle_timeout = update->idle_timeout,
                                     .hard_timeout = update->hard_timeout,
                                     .table_id = update->table_id,
                                     .priority = update->priority,
                                     .cookie = of_ovs_be64(update->cookie),
                                     .ofpacts = update->acts.data,
                                     .ofpacts_len = update->acts.len,
                                     .xid = htonl(update->xid)};

    if (update->match) {
        of_match_expand_wire(update->match, &fu.match);
    }
    ofputil_append_flow_update(&fu, &writer->replies, NULL);
}

void
of_update_writer_close(struct of_update_writer *writer, uint32_t xid,
                       bool is_answer, bool more,
                       void (*emit)(void *aux, uint8_t *msg, size_t len),
                       void *aux)
{
    struct ofpbuf *b;

    LIST_FOR_EACH_POP(b, list_node, &writer->replies)
    {
        size_t head = is_standard(((const uint8_t *) b->data)[0])
                          ? HEAD_STANDARD
                          : HEAD_EXTENSION;
        bool is_last = ovs_list_is_empty(&writer->replies);
        uint8_t *msg;
        size_t len;

        if (is_last && (more || !is_answer) && b->size <= head) {
            ofpbuf_delete(b);
        } else if (!of_ovs_take(b, xid, &msg, &len)) {
            of_wire_put16(msg + 10, !is_last || more);
            emit(aux, msg, len);
        }
    }
    free(writer);
}
