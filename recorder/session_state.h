/* SPDX-License-Identifier: Apache-2.0 */
/* session_state - what the files of session share.  For session*.c only. */
#ifndef RECORDER_SESSION_STATE_H
#define RECORDER_SESSION_STATE_H 1

#include "recorder/instr.h"
#include "recorder/of_conn.h"
#include "recorder/session.h"
#include "recorder/xid_map.h"

enum session_state {
    SESSION_HELLO,    /* HELLOs are passed both ways. */
    SESSION_FEATURES, /* The recorder's FEATURES_REQUEST is out. */
    SESSION_PREPARE,  /* The bridge gets its postcard port. */
    SESSION_READ,     /* instr reads the switch's tables. */
    SESSION_RUN,      /* Everything goes through instr. */
    SESSION_PASS,     /* Everything passes. */
    SESSION_END
};

/* Tag of the session's own messages. */
#define SESSION_TAG UINT64_MAX

struct evbuffer;
struct event;

struct session_counters {
    uint64_t from_switch, from_controller; /* Messages. */
    uint64_t unmatched; /* Answers nobody asked for: dropped. */
    uint64_t held;      /* Times the controller was kept waiting. */
    uint64_t rules_made, rules_removed;
    uint64_t lldp_skipped; /* The switch did not read. */
};

struct session {
    /* Set at creation. */
    const struct session_env *env;
    char *peer;    /* "tcp:192.0.2.1:4711".  Owned. */
    char *peer_ip; /* NULL when local.  Owned. */
    uint64_t began_ns;

    enum session_state state;
    struct of_conn *down;     /* To the switch. */
    struct of_conn *up;       /* To the controller. */
    struct evbuffer *waiting; /* From the controller, until set up. */
    struct xid_map *xids;     /* Of messages to the switch. */
    bool has_barrier;         /* One of ours is on its way. */
    bool holds_controller;    /* Until there are free transaction IDs. */
    uint32_t down_versions, up_versions; /* Of the HELLOs; 0: none yet. */
    uint8_t version;                     /* Agreed; 0 before. */
    struct event *deadline;              /* Of the set-up. */
    struct event *retry;                 /* Next try to get a postcard port. */
    struct event *reaper;                /* Frees the session. */

    /* Known from the features on. */
    bool has_dpid;
    uint64_t dpid;
    uint16_t index;
    char *name;    /* Of the bridge; NULL until known.  Owned. */
    char *address; /* Where postcards come from, or NULL.  Owned. */
    bool is_passed_on_purpose; /* Not to be instrumented. */
    struct ovsdb_task *task;
    struct instr *instr;    /* NULL unless SESSION_READ or SESSION_RUN. */
    uint32_t postcard_port; /* 0: none. */
    bool is_no_flood;
    struct instr_port *ports; /* As last published.  Owned. */
    size_t n_ports;

    struct session_counters counters;
};

/* session.c */
void session_apply(struct session *, struct instr_out *);
/* Sends a message of the session's own to the switch. */
void session_send_own(struct session *, uint8_t *msg, size_t len);
/* What the controller sent meanwhile goes on its way. */
void session_release(struct session *);
/* " of switch 0000000000000001 (s1)" or the peer, for messages. */
const char *session_describe(const struct session *, char *buf, size_t size);

/* session_setup.c */
/* The connection is there: ends it if the HELLOs do not come. */
void session_setup_await(struct session *);
/* Both HELLOs were seen. */
void session_setup_begin(struct session *);
/* The answer to our FEATURES_REQUEST. */
void session_setup_features(struct session *, const uint8_t *msg, size_t len);
/* instr_is_ready() has become true. */
void session_setup_ready(struct session *);
/* instr_ports() differ. */
void session_setup_ports(struct session *);
/* Gives up instrumenting: everything passes. */
void session_setup_pass(struct session *);
void session_setup_cancel(struct session *);

#endif /* recorder/session_state.h */
