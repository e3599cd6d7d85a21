/* SPDX-License-Identifier: Apache-2.0 */
/* rig - a controller, instr and a fake switch behind it, and beside them a
 * second fake switch that gets the controller's messages as they are.
 *
 * Ownership: rig_create() to rig_destroy(). */
#ifndef TESTS_RECORDER_RIG_H
#define TESTS_RECORDER_RIG_H 1

#include "recorder/instr.h"
#include "recorder/of_flow.h"
#include "recorder/of_monitor.h"
#include "tests/recorder/fake_switch.h"

#define RIG_MAX_RULES 65536

struct rig_message {
    uint8_t *data;
    size_t len;
};

struct rig {
    uint8_t version;
    uint32_t port;
    uint64_t now_ns;
    struct instr *instr;
    struct instr_link *link;
    struct fake_switch *behind, *direct;
    uint32_t next_version;           /* Of rules. */
    struct rule *log[RIG_MAX_RULES]; /* By version. */
    bool forgets;                    /* The log knows nothing. */
    bool is_unwatched;               /* From the next rig_restart() on. */
    size_t n_monitors;               /* Flow monitors asked for... */
    uint64_t monitor_tag;            /* ...last by this message. */
    size_t n_cancels;                /* And ended. */
    const char *gone[RIG_MAX_RULES]; /* Why, by version; NULL: not. */
    size_t n_gone;
    size_t n_flow_mods; /* That reached the switch behind. */
    bool is_detached;

    /* What the controller got, and got from the switch beside. */
    struct rig_message *inbox, *direct_inbox;
    size_t n_inbox, allocated_inbox, n_direct, allocated_direct;
    struct rig_message *standing; /* Of rig_stand(). */
    size_t n_standing, allocated_standing;
    uint64_t standing_tag;
    struct instr_out out; /* What instr said last but messages. */
};

/* With instr started; 'port' as in instr_config. */
struct rig *rig_create(uint8_t of_version, uint32_t port);
/* The same with a switch that makes postcards itself. */
#define RIG_AGENT UINT32_MAX
void rig_destroy(struct rig *);
/* A new instr on the same switch, as when the recorder starts again. */
void rig_restart(struct rig *);

/* The controller sends 'msg' (taken). */
void rig_send(struct rig *, uint8_t *msg, size_t len);
/* The same, a flow-mod in ovs-ofctl's syntax. */
void rig_flow(struct rig *, enum of_flow_command, const char *text);
/* The switch behind says 'msg' (taken) of itself. */
void rig_from_switch(struct rig *, uint8_t *msg, size_t len);
/* Somebody else sends the switch behind a flow-mod. */
void rig_by_hand(struct rig *, enum of_flow_command, const char *text);
/* The switch behind makes its answer to the last request for a flow monitor,
 * what stands now; the second gives it to instr. */
void rig_stand(struct rig *);
void rig_tell(struct rig *);
/* A rig whose monitor has told what stands. */
struct rig *rig_create_watching(uint8_t of_version, uint32_t port);
/* The message by which the switch behind tells what became of a rule, in
 * ovs-ofctl's syntax; the second gives it to instr. */
struct rig_message rig_update(const struct rig *, enum of_update_event,
                              const char *text);
void rig_say(struct rig *, enum of_update_event, const char *text);
/* What is due at now_ns. */
void rig_run_due(struct rig *);
/* All that is ours is taken out, while the switch says 'msg' (taken);
 * rig_is_detached(): it has done it. */
void rig_detach(struct rig *, uint8_t *msg, size_t len);
bool rig_is_detached(const struct rig *);
void rig_clear_inbox(struct rig *);

/* What flow statistics say, through instr and from the switch beside, as
 * lines; malloc()ed. */
char *rig_flows(struct rig *);
char *rig_flows_direct(struct rig *);
/* Fails when the two differ. */
void rig_check_same(struct rig *);
/* Asks for 'request' and counts errors and aggregate flows in answers. */
size_t rig_n_errors(const struct rig_message *, size_t n);

#endif /* tests/recorder/rig.h */
