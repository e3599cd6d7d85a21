/* SPDX-License-Identifier: Apache-2.0 */
/* datapath_state - what the files of datapath share.  For datapath*.c and
 * inband.c only. */
#ifndef RECORDER_DATAPATH_STATE_H
#define RECORDER_DATAPATH_STATE_H 1

#include "recorder/datapath.h"
#include "recorder/instr.h"
#include "recorder/ovsdb.h"
#include "recorder/postcard_rate.h"

enum datapath_state {
    DATAPATH_PREPARE, /* The bridge gets its postcard port. */
    DATAPATH_READ,    /* instr reads the switch's tables. */
    DATAPATH_RUN,     /* Everything goes through instr. */
    DATAPATH_PASS,    /* Everything passes. */
    DATAPATH_SETTLE   /* It is about to be set up after all. */
};

struct datapath_counters {
    uint64_t rules_made, rules_removed;
    uint64_t lldp_skipped; /* The switch did not read. */
};

struct datapath {
    /* Set at creation. */
    const struct session_env *env;
    uint64_t dpid;

    struct datapath *next; /* Of env->datapaths. */
    enum datapath_state state;
    struct session **sessions; /* In order of coming.  Owned, not they. */
    size_t n_sessions, allocated_sessions;
    struct session *first;  /* By which the set-up goes, or NULL. */
    struct event *deadline; /* Of the set-up. */
    struct event *retry;    /* Next try to get a postcard port. */
    struct event *again;    /* Next try to set it up. */
    unsigned int n_tries;   /* After the first; 0: none is due. */
    struct event *due;      /* When instr has something to do. */
    uint64_t planned_ns;    /* For then 'due' is set; 0: it is not. */
    uint64_t ahead_ns;      /* What people's clock is ahead of the steady one,
                             * modulo 2**64. */
    struct event *resume;   /* Sessions that wait for another try again. */

    uint16_t index;
    char *name;            /* Of the bridge; NULL until known.  Owned. */
    bool is_named;         /* Known when instr was made. */
    char *address;         /* Where postcards come from, or NULL.  Owned. */
    char *geneve_name;     /* Of its Geneve port by OVSDB, or NULL.  Owned. */
    const char *collector; /* Where that leads, a target's; NULL: nowhere. */
    bool is_movable;       /* The recorder made it: it may lead elsewhere. */
    struct ovsdb_config ovsdb; /* As configured, or with force. */
    bool has_controllers;      /* Of its own. */
    struct ovsdb_task *task;
    bool is_prepared;    /* OVSDB has answered. */
    struct instr *instr; /* NULL unless DATAPATH_READ or DATAPATH_RUN. */
    struct instr_postcard_port postcards[INSTR_N_ENCAPSULATIONS];
    struct instr_port *ports; /* As last published.  Owned. */
    size_t n_ports;

    /* In band; inband.c's. */
    bool has_tree;     /* It was told its place, */
    bool is_in_tree;   /* and had one. */
    bool is_tree_late; /* It did not answer. */

    bool is_paused;
    char *why; /* It is not instrumented, or NULL.  Owned. */
    struct postcard_rate rate;
    enum postcard_rate_action cap_wants; /* When rules' packets are read. */
    uint64_t read_ns;                    /* When they were, monotonic. */
    /* What the ports' counters were, and what of them counted as of before
     * this recorder looked. */
    struct instr_port_counters counted[INSTR_N_ENCAPSULATIONS];
    uint64_t uncounted[INSTR_N_ENCAPSULATIONS];
    uint64_t asked_ns;           /* When its counters were asked for last. */
    uint64_t counted_ns;         /* When its counters came last. */
    void (*detached)(void *aux); /* NULL: not asked for. */
    void *detached_aux;

    struct datapath_counters counters;
};

/* datapath_control.c */
/* Takes 'text' for the timeline and whoever reads the messages. */
void datapath_control_note(struct datapath *, char *text);
/* Brings the switch in line with the selections; returns how many rules were
 * rewritten. */
size_t datapath_control_select(struct datapath *);
/* Which of its rules are to emit postcards. */
void datapath_control_get(const struct datapath *, struct instr_selection *);
/* Adds the postcard ports to 'json'. */
void datapath_control_ports(const struct datapath *, json_t *json);
/* Keeps why the switch has no postcards (NULL: it has). */
void datapath_control_why(struct datapath *, const char *why);

/* datapath_cap.c */
/* The switch has answered what datapath_cap_ask() asked. */
void datapath_cap_counted(struct datapath *,
                          const struct instr_port_counters counters[]);
/* It has told how many packets rules took. */
void datapath_cap_read(struct datapath *);

/* datapath_setup.c */
/* Begins the set-up over the first session that there is. */
void datapath_setup_begin(struct datapath *);
/* The postcard port is there, or will not be: reads the tables. */
void datapath_setup_read(struct datapath *);
/* True unless --bridge names others. */
bool datapath_setup_is_chosen(const struct datapath *);
/* --bridge names others: everything passes. */
void datapath_setup_leave(struct datapath *);
/* instr_is_ready() has become true. */
void datapath_setup_ready(struct datapath *);
/* Watches whether the tables are read again; 'is_ready': they have been. */
void datapath_setup_watch(struct datapath *, bool is_ready);
/* Gives up instrumenting: everything passes. */
void datapath_setup_pass(struct datapath *);
/* How long it may take, this time. */
unsigned int datapath_setup_limit_s(const struct datapath *);
/* The time for the set-up is over: a callback of libevent. */
void datapath_setup_too_long(int fd, short what, void *datapath);
void datapath_setup_cancel(struct datapath *);

/* datapath_object.c */
/* Puts a group or meter of instr's into the log. */
void datapath_object_note(struct datapath *, const struct instr_object *,
                          uint64_t now_ns);
/* Brings what the log has of groups and meters in line with what stands;
 * 'objects' of flow_log_state_at(). */
struct flow_log_object;
void datapath_object_reconcile(struct datapath *,
                               const struct flow_log_object *objects,
                               size_t n_objects, uint64_t now_ns);

/* datapath_retry.c */
/* The set-up took too long: it is tried again later. */
void datapath_retry_plan(struct datapath *);
/* OVSDB has answered, while everything passes. */
void datapath_retry_prepared(struct datapath *);

/* datapath_move.c */
/* OVSDB has said where its Geneve port leads. */
void datapath_move_note(struct datapath *, const struct ovsdb_result *);

/* datapath_ports.c */
/* instr_ports() differ. */
void datapath_ports_publish(struct datapath *);
/* Looks after the postcard ports when the ports have changed. */
void datapath_ports_check(struct datapath *);
/* True when a postcard port is there. */
bool datapath_ports_has_postcards(const struct datapath *);
/* "port 99" or "port 99 (geneve) and port 4 (mac)"; for free(). */
char *datapath_ports_text(const struct datapath *);
/* What the switch's postcard ports are to be, by what is known of it. */
void datapath_ports_plan(struct datapath *);
/* Asks OVSDB for the postcard ports; the set-up goes on when it is there. */
void datapath_ports_prepare(struct datapath *);

#endif /* recorder/datapath_state.h */
