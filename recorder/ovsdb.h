/* SPDX-License-Identifier: Apache-2.0 */
/* ovsdb - makes a bridge of Open vSwitch ready for postcards, by ovs-vsctl and
 * ovs-ofctl as child processes.
 *
 * A task finds the bridge with a datapath ID, creates its Geneve port and
 * finds its collector port, if it is to have them, waits for their numbers,
 * and keeps them out of FLOOD and NORMAL with an OpenFlow 1.0 port-mod through
 * the bridge's management socket, the only way that Open vSwitch has for it; a
 * bridge whose `protocols` exclude OpenFlow 1.0 is given it for that, which
 * makes it reconnect once.  A bridge whose switch is to make postcards itself
 * is told so in its `other_config` (docs/datapath.md); that of a switch that
 * cannot takes no notice.
 *
 * Everything may be done again: a second task finds what the first made.
 *
 * Threads: that of the event loop. */
#ifndef RECORDER_OVSDB_H
#define RECORDER_OVSDB_H 1

#include <stdbool.h>
#include <stdint.h>

#include "recorder/postcard_ports.h"

#define OVSDB_TIMEOUT_S 5

/* What the recorder made or changed has this key in external_ids. */
#define OVSDB_MARK          "lasthop"
#define OVSDB_MARK_PORT     "postcards"  /* Interface: it made the port. */
#define OVSDB_MARK_NO_FLOOD "no-flood"   /* Interface: kept out of FLOOD. */
#define OVSDB_MARK_PROTOCOL "OpenFlow10" /* Bridge: added to protocols. */

/* other_config of a bridge whose switch makes postcards itself. */
#define OVSDB_MODE "lasthop-mode"
#define OVSDB_SNAP "lasthop-snap"

struct collectors;
struct event_base;
struct ovsdb_task;

struct ovsdb_config {
    const char *db; /* "unix:/run/openvswitch/db.sock" or "tcp:..". */
    bool force;     /* Take bridges with fail-mode standalone too. */
    /* Of postcards that the switch makes itself: not now; bytes of the packet
     * in each. */
    bool is_paused;
    uint16_t snap_len;
    const struct postcard_ports *postcards;
    /* Who says which collector; NULL: the first. */
    const struct collectors *collectors;
};

struct ovsdb_port {
    uint32_t no; /* 0 if there is none. */
    bool is_no_flood;
};

struct ovsdb_result {
    const char *error;   /* NULL, or why a port is not there. */
    const char *warning; /* NULL, or what is not as it should be. */
    const char *bridge;  /* NULL if not found. */
    const char *address; /* Where its postcards come from; NULL if unknown. */
    const char *geneve_name; /* Of its Geneve port; NULL if none was tried. */
    const char *collector;   /* Where that leads, a target's text, or NULL. */
    bool is_movable;         /* A recorder made it. */
    bool has_controllers;    /* The bridge is to connect to some. */
    struct ovsdb_port ports[INSTR_N_ENCAPSULATIONS];
};

/* Called once; '*result' lives until it returns, the task is freed after. */
typedef void ovsdb_done(void *aux, const struct ovsdb_result *result);

/* Begins for switch 'dpid' with 'index'.  'config' must outlive the task. */
struct ovsdb_task *ovsdb_start(struct event_base *,
                               const struct ovsdb_config *config,
                               uint64_t dpid, uint16_t index, ovsdb_done *done,
                               void *aux);
/* 'done' is not called. */
void ovsdb_cancel(struct ovsdb_task *);

#endif /* recorder/ovsdb.h */
