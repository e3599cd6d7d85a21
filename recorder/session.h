/* SPDX-License-Identifier: Apache-2.0 */
/* session - one connection of a switch and the controller's that belongs to
 * it.
 *
 * A session begins when a switch connects and opens a connection to the
 * controller for it.  HELLOs are passed both ways, so that the two agree on a
 * version themselves.  Then the recorder asks for the switch's features and
 * the session joins the switch's datapath.  Until that is set up what the
 * controller sends waits, and for part of that time what the switch sends;
 * echoes pass, so that neither takes the other for dead.
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
#define SESSION_MAX_WAITING (1024 * 1024)

struct control;
struct datapath;
struct discovery;
struct event_base;
struct flow_log;
struct recorder_api;
struct session;
struct tls;

/* What all sessions share; set before the first one, outlives the last. */
struct session_env {
    struct event_base *base;
    const struct recorder_config *config;
    struct tls *switch_tls, *controller_tls; /* NULL without ssl: of it. */
    struct flow_log *log;
    struct discovery *discovery;
    struct recorder_api *api;
    struct control *control;
    struct inband *inband;         /* NULL: postcards do not go in band. */
    struct collectors *collectors; /* Who gets Geneve postcards. */

    /* Notes were made for the log, or discovery has something to do. */
    void (*wake)(void *aux);
    /* The switches that are connected: the first of a list. */
    struct datapath **datapaths;
    /* The session is over: forget the pointer. */
    void (*ended)(void *aux, struct session *);
    void *aux;
};

/* Takes 'fd', the connection of a switch whose peer is 'peer' and that came by
 * that route; NULL (and 'fd' closed) when memory is short. */
struct session *session_create(const struct session_env *,
                               const struct recorder_route *, int fd,
                               const struct sockaddr *peer,
                               socklen_t peer_len);
/* Takes 'fd', the connection of a guest that came by that route: it becomes
 * one more connection to a switch that is there already, and ends with that.
 * NULL (and 'fd' closed) when the bridge cannot be reached. */
struct session *session_serve(const struct session_env *,
                              const struct recorder_route *, int fd);
/* Connects to a bridge itself, for no controller; NULL, with errno, when that
 * fails at once. */
struct session *session_attach(const struct session_env *,
                               const struct recorder_route *);
/* Takes what is ours out of the switch, then calls 'done', once.  False: there
 * is nothing of ours in it.  Of a session made by session_attach(). */
bool session_detach(struct session *, void (*done)(void *aux), void *aux);
/* True when the bridge must not be attached to as it is. */
bool session_is_refused(const struct session *);
/* The name of the switch's Geneve port for postcards that was chosen over
 * OVSDB; NULL when there is none. */
const char *session_geneve_name(const struct session *);
/* Ends it: 'reason' is said and logged. */
void session_end(struct session *, const char *reason);
/* Ends it at once, without env->ended(). */
void session_destroy(struct session *);

/* Its part of `stats`, a new object. */
json_t *session_stats(const struct session *);

#endif /* recorder/session.h */
