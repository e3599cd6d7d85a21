/* SPDX-License-Identifier: Apache-2.0 */
/* client_impl - what the parts of a client share: the connection
 * (client_conn.c), the client (client.c), its requests (client_request.c) and
 * what it receives (client_history.c).  <lasthop/client.h> is the manual.
 *
 * Callbacks may destroy the client or the request they are about: whoever
 * calls one is between client_enter() and client_leave(), and looks at
 * is_destroyed afterwards.
 *
 * Threads: one at a time. */
#ifndef LIB_CLIENT_IMPL_H
#define LIB_CLIENT_IMPL_H 1

#include <jansson.h>
#include <lasthop/client.h>
#include <sys/queue.h>

#include "lib/api_line.h"
#include "lib/history.h"
#include "lib/lh_error.h"

struct bufferevent;
struct event;
struct evdns_base;
struct tls;

enum client_phase {
    CLIENT_IDLE,       /* Not asked to connect, or given up. */
    CLIENT_PAUSED,     /* Tries again later. */
    CLIENT_FULL,       /* The same, very soon: the server has many waiting. */
    CLIENT_CONNECTING, /* Waits for the socket. */
    CLIENT_GREETING,   /* Has sent `hello`. */
    CLIENT_READY
};

struct lasthop_client {
    /* As set before connecting; strings are owned. */
    char *address;
    char *name;
    char *private_key, *certificate, *ca_cert;
    unsigned int timeout_ms;
    unsigned int max_pause_ms; /* 0: does not connect again. */
    bool is_json;
    void (*on_state)(struct lasthop_client *, enum lasthop_state,
                     const char *why, void *aux);
    void *on_state_aux;
    void (*on_missed)(struct lasthop_client *, uint64_t n, void *aux);
    void *on_missed_aux;

    struct event_base *base;
    bool owns_base;
    unsigned int n_uses; /* How deep we are in callbacks. */
    bool is_destroyed;
    unsigned int n_happened; /* For lasthop_client_process(). */
    struct lh_error error;

    /* The connection. */
    enum client_phase phase;
    struct tls *tls;            /* Owned; NULL: not made yet, or not needed. */
    struct evdns_base *dns;     /* Owned; NULL: no name was looked up yet. */
    struct bufferevent *stream; /* Owned; NULL: none. */
    struct api_line line;
    struct event *deadline; /* Of connecting; or tries again. */
    struct event *alive;    /* Looks whether the server still answers. */
    bool has_pinged;        /* And nothing came since. */
    bool was_silent;        /* It was given up for that. */
    unsigned int pause_ms;
    unsigned int n_full; /* Tries since CLIENT_FULL. */
    int lost_error;      /* Why the connection was lost last. */
    char *told_why;      /* With the last LASTHOP_DOWN.  Owned. */
    json_t *features;    /* Owned; NULL: none. */
    uint64_t down_ns;    /* When the connection was lost; 0: never. */

    /* Requests that run or are to be set again, by rising id. */
    json_int_t last_id;
    size_t n_requests, allocated_requests;
    struct lasthop_request **requests; /* Array owned. */
    /* All requests, for lasthop_client_destroy(). */
    LIST_HEAD(, lasthop_request) all;
};

enum request_phase {
    REQUEST_NEW,
    REQUEST_WAITING, /* For a connection: a standing one. */
    REQUEST_ASKED,   /* Sent. */
    REQUEST_FLOWING, /* Answered; events follow. */
    REQUEST_ENDED
};

struct lasthop_request {
    LIST_ENTRY(lasthop_request) node; /* In client->all. */
    struct lasthop_client *client;
    char *op;         /* Owned. */
    json_t *members;  /* Owned. */
    bool is_invalid;  /* A member cannot be sent; 'error' says which. */
    bool is_follow;   /* Events follow its answer. */
    bool is_standing; /* And it is set again with each connection. */
    enum request_phase phase;
    json_int_t id;
    uint64_t gap_ns;     /* Since when it has missed all; 0: it has not. */
    struct event *timer; /* Of the answer.  Owned. */
    unsigned int n_uses;
    bool is_destroyed;

    int result;
    int error_pos;
    char *error;          /* Owned; NULL: none. */
    json_t *answer, *end; /* Owned; NULL: none. */
    char *answer_text;    /* Of these; owned; NULL: not asked for. */
    char *end_text;
    const json_t *event; /* While its callback is called. */
    const char *why;     /* The same of what was missed, or NULL. */

    void (*on_answer)(struct lasthop_request *, void *);
    void (*on_history)(struct lasthop_request *, struct lasthop_history *,
                       void *);
    void (*on_progress)(struct lasthop_request *, uint64_t, uint64_t, void *);
    void (*on_missed)(struct lasthop_request *, uint64_t, uint64_t, uint64_t,
                      void *);
    void (*on_event)(struct lasthop_request *, const char *, void *);
    void (*on_end)(struct lasthop_request *, int, void *);
    void *on_answer_aux, *on_history_aux, *on_progress_aux, *on_missed_aux,
        *on_event_aux, *on_end_aux;
};

/* --- client.c --- */

void client_enter(struct lasthop_client *);
/* Frees a client that was destroyed meanwhile: true when it is gone. */
bool client_leave(struct lasthop_client *);

/* --- client_conn.c --- */

/* Begins to connect; errors as lasthop_client_connect(). */
int client_conn_begin(struct lasthop_client *);
/* Lets go of everything. */
void client_conn_end(struct lasthop_client *);
/* Sends 'message', which is taken. */
void client_conn_send(struct lasthop_client *, json_t *message);

/* --- client_request.c --- */

/* The connection is ready: sends those that wait. */
void client_request_resume_all(struct lasthop_client *);
/* It was lost: ends those that do not stand. */
void client_request_lost_all(struct lasthop_client *, int error_number,
                             const char *why);
/* Takes a message of the server with the id of a request. */
void client_request_take(struct lasthop_client *, const json_t *message);
/* Takes a history that came as bytes for request 'id'; it is borrowed and NULL
 * when it was none. */
void client_request_take_history(struct lasthop_client *, json_int_t id,
                                 struct lasthop_history *);
/* Ends and frees all. */
void client_request_destroy_all(struct lasthop_client *);

/* --- client_history.c --- */

/* From its JSON, which is borrowed; NULL when that is none. */
struct lasthop_history *client_history_from_json(const json_t *);

/* From the body of a frame of that version; NULL when that is none. */
struct lasthop_history *client_history_from_frame(const uint8_t *body,
                                                  size_t len,
                                                  unsigned int version);

#endif /* lib/client_impl.h */
