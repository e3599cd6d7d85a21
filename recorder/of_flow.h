/* SPDX-License-Identifier: Apache-2.0 */
/* of_flow - flow-mods, flow statistics and flow-removed messages.
 *
 * Of OpenFlow 1.0 to 1.5.  Towards switches we speak 1.0 with the Nicira match
 * and table extensions; a controller's 1.0 messages may be of either form.
 * What the fixed match of 1.1 cannot say goes in an extensible one.
 *
 * Ownership: structs own what their comments say; *_uninit() frees it.
 *
 * Threads: plain data and pure functions. */
#ifndef RECORDER_OF_FLOW_H
#define RECORDER_OF_FLOW_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/of_acts.h"
#include "recorder/of_match.h"

enum of_flow_command { /* As on the wire. */
                       OF_FLOW_ADD = 0,
                       OF_FLOW_MODIFY = 1,
                       OF_FLOW_MODIFY_STRICT = 2,
                       OF_FLOW_DELETE = 3,
                       OF_FLOW_DELETE_STRICT = 4
};

/* Flags, whatever the version. */
#define OF_FLOW_SEND_REMOVED  0x01
#define OF_FLOW_CHECK_OVERLAP 0x08
#define OF_FLOW_RESET_COUNTS  0x10

#define OF_FLOW_ALL_TABLES 0xff
#define OF_FLOW_NO_BUFFER  UINT32_MAX

struct of_flow {
    struct of_match *match; /* Owned. */
    struct of_acts acts;    /* Owned. */
    uint8_t command;        /* OF_FLOW_*. */
    uint8_t table_id;       /* OF_FLOW_ALL_TABLES: any or all. */
    uint16_t priority;
    uint64_t cookie, cookie_mask; /* Filter of modify and delete. */
    uint64_t new_cookie;          /* UINT64_MAX: none. */
    bool modify_cookie;
    uint16_t idle_timeout, hard_timeout, importance;
    uint16_t flags;
    uint32_t buffer_id;
    uint32_t out_port, out_group; /* OF_ACTS_ANY: no filter. */
};

/* An ADD that matches nothing yet, with all else empty. */
void of_flow_init(struct of_flow *);
void of_flow_uninit(struct of_flow *);

/* True when 'seen' is what a switch tells over 'version' of actions that it
 * was sent as 'sent': some have more than one form, and a version may know
 * only one of them. */
bool of_flow_acts_same(const struct of_acts *sent, const struct of_acts *seen,
                       uint8_t version);
/* Decodes a flow-mod; 'has_tid': its command holds a table number (Nicira
 * extension of 1.0).  False: malformed, '*flow' is empty. */
bool of_flow_decode(const uint8_t *msg, size_t len, bool has_tid,
                    struct of_flow *flow);
/* 0, or EMSGSIZE when it is too long for a message. */
int of_flow_encode(const struct of_flow *, uint8_t version, uint32_t xid,
                   uint8_t **msg, size_t *msg_len);
/* The same for an ADD of OpenFlow 1.2 or later that was decoded from the
 * flow-mod 'like' of that version and still has its match: the match goes out
 * as it came, byte by byte, and so do the instructions when 'keeps_acts' says
 * that they are the same too.  With any other, or NULL, of_flow_encode() does
 * it. */
int of_flow_encode_like(const struct of_flow *, uint8_t version,
                        const uint8_t *like, size_t like_len, bool keeps_acts,
                        uint8_t **msg, size_t *msg_len);
/* From ovs-ofctl's syntax ("table=1,priority=5,ip,actions=output:2").
 * Returns NULL, or a malloc()ed reason. */
char *of_flow_from_text(struct of_flow *, enum of_flow_command,
                        const char *text);
/* In that syntax; malloc()ed. */
char *of_flow_to_text(const struct of_flow *);
/* OFPFF_* of OpenFlow 'version'. */
uint16_t of_flow_wire_flags(uint16_t flags, uint8_t version);

/* A request for flow or aggregate statistics. */
struct of_flow_request {
    struct of_match *match; /* Owned. */
    uint8_t table_id;
    uint64_t cookie, cookie_mask;
    uint32_t out_port, out_group;
    bool is_aggregate;
    bool is_nicira; /* 1.0: of the Nicira extension. */
};
bool of_flow_request_decode(const uint8_t *msg, size_t len,
                            struct of_flow_request *);
void of_flow_request_uninit(struct of_flow_request *);
/* As a request for flow statistics in the switch's own form ('for_us') or in
 * the form the request had. */
void of_flow_request_encode(const struct of_flow_request *, uint8_t version,
                            bool for_us, uint32_t xid, uint8_t **msg,
                            size_t *msg_len);

/* One record of flow statistics. */
struct of_flow_record {
    struct of_match *match; /* Owned. */
    struct of_acts acts;    /* Owned. */
    uint8_t table_id;
    uint16_t priority;
    uint64_t cookie;
    uint16_t idle_timeout, hard_timeout, importance, flags;
    uint32_t duration_sec, duration_nsec;
    int idle_age, hard_age;
    uint64_t n_packets, n_bytes;

    /* Of of_flow_reader_open_bytes(): */
    const uint8_t *wire; /* The record as it came, or NULL.  Its actions are
                          * not in 'acts' then.  Borrowed from the reader. */
    uint8_t wire_version;
    size_t wire_acts_ofs;        /* Where its instructions begin. */
    const struct of_acts *shown; /* What to write instead of them.  NULL: what
                                  * came, or 'acts'.  Borrowed. */
};
void of_flow_record_uninit(struct of_flow_record *);

/* Reading a reply, record by record. */
struct of_flow_reader;
struct of_flow_reader *of_flow_reader_open(const uint8_t *msg, size_t len);
/* For who wants to pass most of a record on as it came, and does not look at
 * its actions: see 'wire'.  Not all versions have it. */
struct of_flow_reader *of_flow_reader_open_bytes(const uint8_t *msg,
                                                 size_t len);
/* 1: a record; 0: the end; -1: malformed from here on. */
int of_flow_reader_next(struct of_flow_reader *, struct of_flow_record *);
void of_flow_reader_close(struct of_flow_reader *);

/* Writing replies to a request, cut into messages that hold whole records. */
struct of_flow_writer;
struct of_flow_writer *of_flow_writer_open(uint8_t version, bool is_nicira);
void of_flow_writer_add(struct of_flow_writer *,
                        const struct of_flow_record *);
/* Hands every message to 'emit' (which takes 'msg') and frees the writer.
 * 'more': further parts follow, so that the last one has the MORE flag too;
 * an empty part is then left out. */
void of_flow_writer_close(struct of_flow_writer *, uint32_t xid, bool more,
                          void (*emit)(void *aux, uint8_t *msg, size_t len),
                          void *aux);

/* A reply to an aggregate request. */
void of_flow_aggregate(const uint8_t *request, size_t request_len,
                       uint64_t n_packets, uint64_t n_bytes, uint32_t n_flows,
                       uint8_t **msg, size_t *msg_len);

/* A flow-removed message. */
struct of_flow_removed {
    struct of_match *match; /* Owned. */
    uint8_t table_id, reason;
    uint16_t priority;
    uint64_t cookie;
    uint64_t duration_ns;
    uint64_t n_packets;
};
enum of_flow_reason { /* As on the wire of 1.3. */
                      OF_FLOW_IDLE = 0,
                      OF_FLOW_HARD = 1,
                      OF_FLOW_DELETED = 2,
                      OF_FLOW_GROUP_DELETED = 3,
                      OF_FLOW_METER_DELETED = 4,
                      OF_FLOW_EVICTED = 5
};
bool of_flow_removed_decode(const uint8_t *msg, size_t len,
                            struct of_flow_removed *);
void of_flow_removed_uninit(struct of_flow_removed *);
/* Puts another reason into a message that can be decoded. */
void of_flow_removed_set_reason(uint8_t *msg, enum of_flow_reason);
/* As a switch would send it to us. */
void of_flow_removed_encode(const struct of_flow_removed *, uint8_t version,
                            uint8_t **msg, size_t *msg_len);
/* Rewrites a Nicira flow-removed of 1.0 as the standard one. */
bool of_flow_removed_standard(const uint8_t *msg, size_t len,
                              uint8_t **standard, size_t *standard_len);

#endif /* recorder/of_flow.h */
