/* SPDX-License-Identifier: Apache-2.0 */
/* session_state - what the files of session share.  For session*.c only. */
#ifndef RECORDER_SESSION_STATE_H
#define RECORDER_SESSION_STATE_H 1

#include "recorder/datapath.h"
#include "recorder/instr.h"
#include "recorder/instr_kept.h"
#include "recorder/of_conn.h"
#include "recorder/session.h"
#include "recorder/xid_map.h"

enum session_state {
    SESSION_HELLO,    /* HELLOs are passed both ways. */
    SESSION_FEATURES, /* The recorder's FEATURES_REQUEST is out. */
    SESSION_SETTLE,   /* It passed; what it was asked is being answered. */
    SESSION_WAIT,     /* The switch is set up. */
    SESSION_READ,     /* It is set up by this connection. */
    SESSION_RUN,      /* Everything goes through instr. */
    SESSION_PASS,     /* Everything passes. */
    SESSION_END
};

/* Tags of the session's own messages: most, and the barrier of
 * session_settle().  Those of instr are lower. */
#define SESSION_TAG        UINT64_MAX
#define SESSION_SETTLE_TAG (UINT64_MAX - 1)
#define SESSION_LINGER_TAG (UINT64_MAX - 2) /* Of session_linger(). */

#define SESSION_LINGER_S 1

struct evbuffer;
struct event;

struct session_counters {
    uint64_t from_switch, from_controller; /* Messages. */
    uint64_t unmatched; /* Answers nobody asked for: dropped. */
    uint64_t held;      /* Times the controller was kept waiting. */
};

struct session {
    /* Set at creation. */
    const struct session_env *env;
    const struct recorder_route *route;
    char *peer;    /* "tcp:192.0.2.1:4711".  Owned. */
    char *peer_ip; /* NULL when local.  Owned. */
    uint64_t began_ns;

    enum session_state state;
    struct of_conn *down;     /* To the switch. */
    struct of_conn *up;       /* To the controller. */
    struct evbuffer *waiting; /* From the controller, until set up. */
    struct evbuffer *early;   /* From the switch, while SESSION_WAIT. */
    struct xid_map *xids;     /* Of messages to the switch. */
    uint32_t barrier_xid;     /* Of ours that is on its way; 0: none. */
    bool holds_controller;    /* Until there are free transaction IDs. */
    uint32_t down_versions, up_versions; /* Of the HELLOs; 0: none yet. */
    uint8_t version;                     /* Agreed; 0 before. */
    struct event *deadline;              /* Of HELLOs, features, lingering. */
    struct event *reaper;                /* Frees the session. */
    bool is_refused;                     /* Not to be attached to. */
    bool is_last_sent; /* Of a guest that has gone, and a barrier. */

    uint8_t aux_id;          /* Of the features: 0 for a main connection. */
    uint64_t main_dpid;      /* Of the switch that it waits for, */
    unsigned int n_retries;  /* so often by now. */
    struct datapath *dp;     /* NULL before the features. */
    struct instr_link *link; /* NULL unless SESSION_READ or SESSION_RUN. */
    struct instr_kept kept;  /* Of SESSION_PASS. */

    struct session_counters counters;
};

/* session.c */
/* Sends a message of the session's own to the switch. */
void session_send_own(struct session *, uint64_t tag, uint8_t *msg,
                      size_t len);
/* Takes a message of the switch, once HELLOs are over. */
void session_take_from_switch(struct session *, const uint8_t *msg,
                              size_t len);
/* Takes one of the controller, once the switch is set up. */
void session_take_from_controller(struct session *, const uint8_t *msg,
                                  size_t len);
/* True when what other connections sent must be done before 'msg'. */
bool session_must_wait(struct session *, const uint8_t *msg);
/* The peer, for messages. */
const char *session_describe(const struct session *, char *buf, size_t size);

/* Where the controller, or guest, is: for messages and the log.  NULL: there
 * is none. */
const char *session_who(const struct session *);

/* session_serve.c */
/* True when it came by --serve: it is of no use to the recorder itself. */
bool session_is_guest(const struct session *);
/* The guest has gone.  True: its connection to the switch stays until that has
 * been set up and has done what the guest asked for, SESSION_LINGER_S at most
 * when it is set up. */
bool session_linger(struct session *);
/* Goes on with that, if it is so, when more can be sent. */
void session_linger_on(struct session *);
/* The switch has. */
void session_lingered(struct session *);
/* True when the switch stays while it does: neither that of a guest nor an
 * auxiliary one. */
bool session_is_main(const struct session *);

/* session.c, for datapath. */
/* A message for its switch, or for its controller. */
void session_send(struct session *, struct instr_msg *);
void session_tell(struct session *, const uint8_t *msg, size_t len);
/* True when the switch does not read, or too much waits for its answer. */
bool session_is_full(const struct session *);

/* session_run.c */
/* True when 'other' is this connection made anew. */
bool session_is_same(const struct session *, const struct session *other);
/* The set-up goes by this connection. */
void session_read(struct session *, struct instr *);
/* The switch is set up: what the controller sent meanwhile goes on its way. */
void session_run(struct session *);
/* Goes on with what had to wait. */
void session_resume(struct session *);
/* Everything passes from now on. */
void session_pass(struct session *);
/* Keeps the controller waiting and asks the switch whether it has answered
 * everything; datapath_retry_settled() when it has. */
void session_settle(struct session *);
/* The switch has answered that. */
void session_settled(struct session *);

/* What is done with what a switch sends, and a controller. */
extern const struct of_conn_callbacks session_down_callbacks;
extern const struct of_conn_callbacks session_up_callbacks;
/* One that has no connection yet; takes 'peer'. */
struct session *session_new(const struct session_env *,
                            const struct recorder_route *, char *peer);

/* session_attach.c */
/* The bridge is not to be attached to, for 'reason'. */
void session_refuse(struct session *, const char *reason);

/* session_setup.c */
/* The connection is there: ends it if the HELLOs do not come. */
void session_setup_await(struct session *);
/* Both HELLOs were seen. */
void session_setup_begin(struct session *);
/* The answer to our FEATURES_REQUEST. */
void session_setup_features(struct session *, const uint8_t *msg, size_t len);
void session_setup_cancel(struct session *);

#endif /* recorder/session_state.h */
