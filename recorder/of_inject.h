/* SPDX-License-Identifier: Apache-2.0 */
/* of_inject - the actions that make a switch emit postcards.
 *
 * Given the controller's actions of a rule, a group bucket or a packet-out and
 * a version, makes the actions to install instead.  What is injected for what
 * is docs/instrumentation.md.
 *
 * Threads: an of_inject is immutable; of_inject_run() is a pure function of
 * its arguments but for the callback. */
#ifndef RECORDER_OF_INJECT_H
#define RECORDER_OF_INJECT_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/of_acts.h"

struct of_inject_config {
    bool is_agent;  /* The switch's own action; no other member counts. */
    bool is_mac;    /* Else Geneve. */
    bool is_inband; /* 'port' is one that packets come by, too. */
    uint8_t of_version;
    uint64_t dpid;
    uint16_t port; /* Postcard port. */
    uint16_t snap_len;
    uint8_t tlv_index;     /* Geneve: tun_metadata field of our option. */
    uint16_t switch_index; /* mac. */
    uint16_t vlan;         /* mac. */
};

struct of_inject;

/* NULL when the configuration makes no valid action. */
struct of_inject *of_inject_create(const struct of_inject_config *);
void of_inject_destroy(struct of_inject *);

enum of_inject_place {
    OF_INJECT_FLOW,
    OF_INJECT_BUCKET, /* An action set of its own. */
    OF_INJECT_PACKET_OUT
};

struct of_inject_ask {
    enum of_inject_place place;
    uint32_t version;
    /* No postcards, only a note of the version, and action sets rewritten as
     * they must be where others of the switch are. */
    bool is_quiet;

    /* What ALL is replaced by, and FLOOD too if so asked. */
    const uint16_t *ports;
    size_t n_ports;
    bool replace_flood;

    /* Action sets of this switch are rewritten: the rule may run with a set
     * that earlier tables wrote.  'is_entry': packets start here. */
    bool has_action_sets;
    bool is_entry;
    bool keeps_in_port;  /* Rules overwrite it. */
    bool is_lookup;      /* What ends in this table is no drop. */
    bool keeps_sets;     /* Write-actions stay as they are. */
    uint8_t index_table; /* T. */
    /* Gives the index by which table T finds 'acts' (which the callee may
     * take with of_acts_move()).  False: no room, the output stays as it was.
     * Needed for buckets and write-actions only. */
    bool (*index)(void *aux, struct of_acts *acts, uint16_t *indexp);
    void *aux;
};

struct of_inject_result {
    struct of_acts acts; /* Owned. */
    bool is_instrumented;
};

/* Makes '*result' from 'acts'. */
void of_inject_run(const struct of_inject *, const struct of_acts *acts,
                   const struct of_inject_ask *ask,
                   struct of_inject_result *result);

/* Makes the postcards of 'acts', of a rule of a later table, tell the in_port
 * that the rules of table 0 have kept. */
void of_inject_take_kept(const struct of_inject *, struct of_acts *acts);

/* Makes the postcards in 'acts' end after 'snap_len' bytes of the packet. */
void of_inject_set_snap_len(const struct of_inject *, uint16_t snap_len,
                            struct of_acts *acts);

/* The actions of our own table-miss rule where no action set can stand: a
 * postcard of a drop, or of a punt followed by one to the controller with at
 * most 'miss_len' bytes. */
void of_inject_miss(const struct of_inject *, uint32_t version,
                    bool to_controller, uint16_t miss_len,
                    struct of_acts *acts);

/* The same where an action set may stand, when the packet is dropped unless
 * that has an output: 'alone' is for a rule of table T, of_inject_indirect()
 * what the miss rule then does with its index. */
void of_inject_miss_alone(const struct of_inject *, uint32_t version,
                          struct of_acts *alone);
void of_inject_indirect(uint16_t index, uint8_t index_table,
                        struct of_acts *acts);

#endif /* recorder/of_inject.h */
