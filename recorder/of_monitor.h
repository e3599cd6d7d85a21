/* SPDX-License-Identifier: Apache-2.0 */
/* of_monitor - flow monitors: Nicira's extension in OpenFlow 1.0 to 1.2, the
 * ONF's in 1.3, the standard's from 1.4 on.
 *
 * A controller asks a switch to tell it of every rule that comes, changes or
 * goes.  Open vSwitch 3.1 answers the request with the rules that stand
 * (OF_MONITOR_INITIAL), and sends updates in messages of the same kind with
 * transaction ID 0, before the answer to the command that caused them.  What
 * the asking connection has done itself comes abbreviated, as the transaction
 * ID of its command, once per command or bundle, unless the monitor has
 * OF_MONITOR_OWN.  Whatever several monitors of a connection want of one
 * change is told once.
 *
 * Ownership: structs own what their comments say.
 *
 * Threads: plain data and pure functions. */
#ifndef RECORDER_OF_MONITOR_H
#define RECORDER_OF_MONITOR_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/of_acts.h"
#include "recorder/of_match.h"

enum of_monitor_command { /* As on the wire of 1.4; before there is ADD. */
                          OF_MONITOR_ADD = 0,
                          OF_MONITOR_MODIFY = 1,
                          OF_MONITOR_DELETE = 2
};

/* Flags, whatever the version. */
#define OF_MONITOR_INITIAL 0x01 /* Tell what stands. */
#define OF_MONITOR_ADDED   0x02
#define OF_MONITOR_REMOVED 0x04
#define OF_MONITOR_CHANGED 0x08
#define OF_MONITOR_ACTIONS 0x10 /* Tell the actions, too. */
#define OF_MONITOR_OWN     0x40 /* Tell the asker's own changes in full. */

/* One part of a request. */
struct of_monitor {
    uint32_t id;
    uint8_t command;
    uint16_t flags;
    uint8_t table_id;             /* OF_FLOW_ALL_TABLES: all. */
    uint32_t out_port, out_group; /* OF_ACTS_ANY: no filter. */
    struct of_match *match;       /* Owned; of a DELETE of no meaning. */
};

/* Reads all parts of a request into a new array.  False: malformed, and so
 * refused by the switch; '*n' is 0. */
bool of_monitor_decode(const uint8_t *msg, size_t len,
                       struct of_monitor **monitors, size_t *n);
void of_monitor_uninit(struct of_monitor *);
/* A request of 'n' parts, at least one.  0, or EMSGSIZE. */
int of_monitor_encode(const struct of_monitor *, size_t n, uint8_t version,
                      uint8_t **msg, size_t *msg_len);

/* The message of 1.0 to 1.3 that ends a monitor.  False: malformed. */
bool of_monitor_cancel_decode(const uint8_t *msg, size_t len, uint32_t *id);
/* Ends a monitor in any version. */
void of_monitor_cancel_encode(uint32_t id, uint8_t version, uint8_t **msg,
                              size_t *msg_len);

enum of_update_event { /* As on the wire of 1.4. */
                       OF_UPDATE_INITIAL = 0,
                       OF_UPDATE_ADDED = 1,
                       OF_UPDATE_REMOVED = 2,
                       OF_UPDATE_MODIFIED = 3,
                       OF_UPDATE_ABBREV = 4,
                       OF_UPDATE_PAUSED = 5, /* 1.4: as an update. */
                       OF_UPDATE_RESUMED = 6
};

/* What a switch tells.  Before 1.4 what stands is told as ADDED. */
struct of_update {
    uint8_t event;
    uint32_t xid; /* Of ABBREV, which has nothing else. */

    uint8_t reason; /* Of REMOVED: enum of_flow_reason. */
    uint8_t table_id;
    uint16_t priority;
    uint16_t idle_timeout, hard_timeout;
    uint64_t cookie;
    struct of_match *match; /* Owned; NULL in the short ones. */
    struct of_acts acts;    /* Owned. */
};
void of_update_uninit(struct of_update *);

/* True for a message with nothing but one ABBREV; looks at few bytes. */
bool of_monitor_is_abbrev(const uint8_t *msg, size_t len);

/* Reading a message, update by update. */
struct of_update_reader;
struct of_update_reader *of_update_reader_open(const uint8_t *msg, size_t len);
/* 1: an update; 0: the end; -1: malformed from here on. */
int of_update_reader_next(struct of_update_reader *, struct of_update *);
void of_update_reader_close(struct of_update_reader *);

/* Writing, cut into messages that hold whole updates. */
struct of_update_writer;
struct of_update_writer *of_update_writer_open(uint8_t version);
void of_update_writer_add(struct of_update_writer *, const struct of_update *);
/* Hands every message to 'emit' (which takes 'msg') and frees the writer.
 * 'more': further parts follow.  A last part without an update is left out
 * where that is so, or where it answers no request. */
void of_update_writer_close(struct of_update_writer *, uint32_t xid,
                            bool is_answer, bool more,
                            void (*emit)(void *aux, uint8_t *msg, size_t len),
                            void *aux);

#endif /* recorder/of_monitor.h */
