/* SPDX-License-Identifier: Apache-2.0 */
/* session - one switch between its connection and the controller's.
 *
 * A session begins when a switch connects and opens a connection to the
 * controller for it.  HELLOs are passed both ways, so that the two agree on a
 * version themselves.  Then the recorder asks for the switch's features,
 * prepares its postcard port and lets instr read its tables, while what the
 * controller sends waits (echoes pass).  If that takes longer than
 * SESSION_SETUP_S the switch is left un-instrumented and everything passes:
 * the control channel comes first.
 *
 * A peer that does not say HELLO, or a switch that does not tell its features,
 * within SESSION_SETUP_S is let go: it is none.
 *
 * When one side closes, what it sent before still reaches the other, which is
 * then closed as well.
 *
 * Memory is bounded: while one side does not read, the other is not read from.
 *
 * Ownership: a session frees itself after it called env->ended().
 *
 * Threads: that of the event loop. */
#ifndef RECORDER_SESSION_H
#define RECORDER_SESSION_H 1

#include <stdint.h>
#include <jansson.h>

#include "recorder/recorder_config.h"

#define SESSION_SETUP_S     15
#define SESSION_RETRY_S     10 /* Between tries to get a postcard port. */
#define SESSION_MAX_WAITING (1024 * 1024)

struct discovery;
struct event_base;
struct flow_log;
struct recorder_api;
struct session;

/* What all sessions share; set before the first one, outlives the last. */
struct session_env {
    struct event_base *base;
    const struct recorder_config *config;
    struct flow_log *log;
    struct discovery *discovery;
    struct recorder_api *api;

    /* Notes were made for the log, or discovery has something to do. */
    void (*wake)(void *aux);
    /* Another live session of switch 'dpid', or NULL. */
    struct session *(*find)(void *aux, uint64_t dpid,
                            const struct session *except);
    /* The session is over: forget the pointer. */
    void (*ended)(void *aux, struct session *);
    void *aux;
};

/* Takes 'fd', the connection of a switch whose peer is 'peer'; NULL (and 'fd'
 * closed) when memory is short. */
struct session *session_create(const struct session_env *, int fd,
                               const struct sockaddr *peer,
                               socklen_t peer_len);
/* Ends it: 'reason' is said and logged. */
void session_end(struct session *, const char *reason);
/* Ends it at once, without env->ended(). */
void session_destroy(struct session *);

/* False until the switch said it. */
bool session_dpid(const struct session *, uint64_t *dpid);
/* Sends a frame of discovery out of 'port', unless the switch does not read.
 */
void session_send_packet(struct session *, uint16_t port, const uint8_t *frame,
                         size_t len);

/* Its part of `stats`, a new object. */
json_t *session_stats(const struct session *);

#endif /* recorder/session.h */
