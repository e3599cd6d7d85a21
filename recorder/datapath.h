/* SPDX-License-Identifier: Apache-2.0 */
/* datapath - one switch: what its connections share.
 *
 * A switch has a connection for each of its controllers (a session each), and
 * may have auxiliary ones.  All changes of its tables, by whatever connection
 * they come, go to one instr.  Set-up is done over the first connection: the
 * recorder prepares the postcard port and lets instr read the switch's tables,
 * while what the controllers send waits.  A session that joins later is of use
 * at once.  If the set-up takes longer than config->setup_s (DATAPATH_SETUP_S
 * unless the operator says otherwise) the switch is left un-instrumented: the
 * control channel comes first.  It is tried again after twice that time, then
 * each time after twice as long, up to 40 times setup_s; a try keeps the
 * controllers waiting for a third of setup_s at most.  After
 * DATAPATH_MAX_TRIES the switch stays as it is until all its connections have
 * gone.
 *
 * When the connection over which the set-up goes ends in the middle of it,
 * the set-up begins anew over another one.
 *
 * Ownership: a datapath is made for the first session that joins and frees
 * itself when the last one has left.
 *
 * Threads: that of the event loop. */
#ifndef RECORDER_DATAPATH_H
#define RECORDER_DATAPATH_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#define DATAPATH_SETUP_S   15
#define DATAPATH_MAX_TRIES 10 /* After the first. */
#define DATAPATH_RETRY_S   10 /* Between tries to get a postcard port. */

struct datapath;
struct instr;
struct instr_out;
struct session;
struct session_env;

/* NULL: not connected. */
struct datapath *datapath_find(const struct session_env *, uint64_t dpid);

/* The switch of the session has said that it is 'dpid'. */
void datapath_join(struct session *, uint64_t dpid);
/* The session is over; with a NULL 'reason' so is the program. */
void datapath_leave(struct session *, const char *reason);

/* Does what instr wants done. */
void datapath_apply(struct datapath *, struct instr_out *);
/* Sends a frame of discovery out of 'port', unless the switch does not read.
 */
void datapath_send_packet(struct datapath *, uint16_t port,
                          const uint8_t *frame, size_t len);

/* datapath_retry.c */
/* A session has answered for all that went by it, or has gone. */
void datapath_retry_settled(struct datapath *);
/* A session that passes has become the master. */
void datapath_retry_master(struct datapath *, const struct session *);

/* datapath_control.c */
/* Brings the switch in line with what the operator has decided; returns how
 * many rules and groups were rewritten. */
size_t datapath_control_apply(struct datapath *);
/* The switch at a glance, a new object. */
json_t *datapath_status(const struct datapath *);
/* datapath_cap.c */
/* Asks for the counters of its postcard port: once a second. */
void datapath_cap_ask(struct datapath *);

/* The one after it in env->datapaths, or NULL. */
struct datapath *datapath_next(const struct datapath *);

/* Takes what is ours out of the switch, then calls 'done', once.  False: there
 * is nothing. */
bool datapath_detach(struct datapath *, void (*done)(void *aux), void *aux);
const char *datapath_geneve_name(const struct datapath *);

struct instr *datapath_instr(const struct datapath *);
uint64_t datapath_dpid(const struct datapath *);
/* "switch 0000000000000001 (s1)", for messages. */
const char *datapath_describe(const struct datapath *, char *buf, size_t size);
/* Adds what `stats` says of the switch to that of a connection. */
void datapath_stats(const struct datapath *, json_t *);

/* datapath_move.c */
/* Begins to have the Geneve ports lead where recorder/collectors.h wants them
 * to, a few at a time: once a second. */
void datapath_move_all(const struct session_env *);

/* Changes were lost for the log: logs what stands in each switch of 'env', a
 * struct session_env, and what does not any more, so that the log is right
 * from now on. */
void datapath_log_again(void *env);

#endif /* recorder/datapath.h */
