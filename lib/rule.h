/* SPDX-License-Identifier: Apache-2.0 */
/* rule - what one version of one switch was: a flow-table rule, a table miss,
 * a group bucket or a packet-out, with what it does to a packet.
 *
 * The recorder makes rules from flow-mods, the flow log stores them, the
 * server asks for them to complete and explain histories.  `steps` is what the
 * rule does to a packet in order, as far as it can be computed: field edits
 * and outputs.  Their JSON is docs/formats/rule.md.
 *
 * Ownership: rule_destroy() frees all; getters borrow.  rule_ref() counts.
 *
 * Texts and steps cost more than all else about a rule, and who publishes
 * rules by the thousand has no use for them: so a rule may be published
 * without, with `describe` set, and whoever wants to read `match`, `actions`
 * or `steps` calls rule_describe() first.  The functions below do.
 *
 * Threads: immutable once published, but for rule_describe(), which any thread
 * may call; the count is atomic. */
#ifndef LIB_RULE_H
#define LIB_RULE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "lib/lh_error.h"

enum rule_kind {
    RULE_FLOW,      /* Installed by the controller (or found). */
    RULE_MISS,      /* The recorder's own priority-0 table-miss rule. */
    RULE_GROUP,     /* A group bucket. */
    RULE_PACKET_OUT /* One packet-out. */
};

enum step_type {
    STEP_OUTPUT,    /* port: may be reserved (CONTROLLER, FLOOD, NORMAL, ALL,
                     * IN_PORT, LOCAL), or OF_PORT_UNKNOWN (a register). */
    STEP_SET,       /* field := (field & ~mask) | (value & mask) */
    STEP_PUSH_VLAN, /* ethertype */
    STEP_POP_VLAN,
    STEP_PUSH_MPLS, /* ethertype */
    STEP_POP_MPLS,  /* ethertype */
    STEP_DEC_TTL,
    STEP_GROUP,  /* port = low 16 bits of the group's number: a group
                  * decides where it goes from here. */
    STEP_UNKNOWN /* Something that cannot be computed here (ct nat, learn,
                  * an encap, ...): headers after it are not known. */
};

enum step_field {
    FIELD_ETH_SRC,
    FIELD_ETH_DST,
    FIELD_ETH_TYPE,
    FIELD_VLAN_VID, /* 12 bits; pushes a tag if there is none. */
    FIELD_VLAN_PCP,
    FIELD_MPLS_LABEL,
    FIELD_MPLS_TC,
    FIELD_MPLS_TTL,
    FIELD_IPV4_SRC,
    FIELD_IPV4_DST,
    FIELD_IPV6_SRC,
    FIELD_IPV6_DST,
    FIELD_IPV6_LABEL,
    FIELD_IP_DSCP,
    FIELD_IP_ECN,
    FIELD_IP_TTL,
    FIELD_TP_SRC,
    FIELD_TP_DST, /* TCP, UDP or SCTP, whichever is there. */
    FIELD_ICMP_TYPE,
    FIELD_ICMP_CODE,
    FIELD_ARP_OP,
    FIELD_ARP_SPA,
    FIELD_ARP_TPA,
    FIELD_ARP_SHA,
    FIELD_ARP_THA,
    FIELD_ND_TARGET,
    FIELD_ND_SLL,
    FIELD_ND_TLL,
    N_FIELDS
};

struct step {
    enum step_type type;
    uint32_t port;         /* STEP_OUTPUT, STEP_GROUP. */
    enum step_field field; /* STEP_SET. */
    uint16_t ethertype;    /* STEP_PUSH_*, STEP_POP_MPLS, host order. */
    uint8_t value[16];     /* STEP_SET: big-endian, right-aligned in the
                            * field's whole bytes, of which there are
                            * step_field_size() (an IPv4 address is
                            * value[0..3], a port or VLAN ID value[0..1], a
                            * MAC value[0..5], a DSCP, 0 to 63, value[0]). */
    uint8_t mask[16];      /* Same layout; ones for the bits to set.  Bits
                            * beyond step_field_bits() do not matter. */
    char text[64];         /* STEP_UNKNOWN: what it was, for people. */
};

struct rule {
    uint64_t dpid;
    uint32_t version;
    enum rule_kind kind;
    uint8_t table_id;
    uint16_t priority;
    uint64_t cookie;
    uint16_t idle_timeout, hard_timeout; /* Seconds. */
    uint16_t flags;                      /* OFPFF_* of the controller. */
    uint16_t importance;
    char *match;     /* ovs-ofctl syntax, "" matches all.  Owned. */
    char *actions;   /* ovs-ofctl syntax, as the controller wrote it; "drop"
                      * when empty.  Owned. */
    char *command;   /* "add", "modify", "found" (read back), ...  Owned. */
    char *who;       /* Peer that asked for it ("tcp:127.0.0.1:6653") or
                      * "switch", "recorder".  Owned. */
    uint64_t change; /* Number of the change on that switch's timeline; rules
                      * hit by one MODIFY share it. */
    uint64_t installed_ns;
    uint64_t removed_ns;  /* 0 while it stands. */
    char *removed_reason; /* "idle_timeout", "delete", ... or NULL.  Owned. */
    bool is_transit;      /* Ends in goto, resubmit, ct(table), learn or a
                           * pending action set: no output of its own is not
                           * a drop. */
    bool is_instrumented; /* Emits postcards. */
    size_t n_steps;
    struct step *steps; /* Owned. */
    size_t raw_len;
    uint8_t *raw; /* The rule as the controller wrote it: one OpenFlow message
                   * (an ADD flow-mod, a group-mod, a packet-out), for the
                   * flow log and the recorder; not in JSON.  NULL if unknown.
                   * Owned. */

    size_t allocated_steps; /* Of rule_add_step(). */

    /* Fills match, actions and steps, NULL until then, from the rest; NULL:
     * they are there. */
    void (*describe)(struct rule *);
    struct rule_slab *slab; /* Of which it and 'raw' are a piece, or NULL. */
    bool shares_texts; /* 'command' and 'who' are not owned and never freed. */
    unsigned int n_refs; /* Of rule_ref(), rule_unref(). */
};

/* A rule with one reference and all members zero or NULL, but for match "",
 * actions "drop", command "add" and who "". */
struct rule *rule_create(void);
/* A rule to be described later, with a copy of 'raw'.  'command' and 'who' are
 * borrowed for ever. */
struct rule *rule_create_terse(const char *command, const char *who,
                               const uint8_t *raw, size_t raw_len,
                               void (*describe)(struct rule *));
struct rule *rule_ref(const struct rule *);
/* Frees the rule with the last reference; takes NULL. */
void rule_unref(struct rule *);
/* Makes sure that match, actions and steps are there. */
void rule_describe(const struct rule *);
/* A copy with one reference, to be changed and published in its turn. */
struct rule *rule_clone(const struct rule *);

/* Adds a step at the end, a copy of '*step'. */
void rule_add_step(struct rule *, const struct step *step);

/* The steps that most rules are made of.  'value' is laid out as in struct
 * step; a NULL 'mask' sets the whole field. */
void rule_add_output(struct rule *, uint32_t port);
void rule_add_set(struct rule *, enum step_field, const uint8_t *value,
                  const uint8_t *mask);
void rule_add_plain(struct rule *, enum step_type, uint16_t ethertype);
void rule_add_unknown(struct rule *, const char *text);

/* The number of outputs, groups not counted; '*ports' (up to 'max') gets
 * them in order. */
size_t rule_outputs(const struct rule *, uint32_t *ports, size_t max);

/* docs/formats/rule.md both ways.  rule_from_json() returns 0 or EINVAL. */
json_t *rule_to_json(const struct rule *);
int rule_from_json(const json_t *, struct rule **, struct lh_error *);
/* The member "steps" alone.  rule_steps_from_json() adds to the rule's. */
json_t *rule_steps_to_json(const struct rule *);
int rule_steps_from_json(const json_t *, struct rule *, struct lh_error *);

/* The rule as ovs-ofctl's add-flow takes it ("table=0,priority=5,ip,actions=
 * output:2"); a bucket or packet-out much like it.  malloc()ed. */
char *rule_flow_text(const struct rule *);

const char *rule_kind_name(enum rule_kind);
/* "eth_src", "ipv4_dst", "tp_src", ... */
const char *step_field_name(enum step_field);
/* Whole bytes that values of the field take, and how many of their bits are
 * the field's. */
size_t step_field_size(enum step_field);
unsigned int step_field_bits(enum step_field);
/* True when a STEP_SET sets all of its field. */
bool step_is_whole(const struct step *);

/* What became of a packet that a rule's steps were applied to. */
enum rule_apply_result {
    RULE_APPLY_OK,
    RULE_APPLY_TTL,    /* A dec_ttl met TTL 1 or 0 before that output: the
                        * switch drops the packet there. */
    RULE_APPLY_UNKNOWN /* A step that cannot be computed came before. */
};

/* Applies the steps up to the 'n_out'th output (counted from 0; past the last
 * output, or with none: all steps) to the 'len' header bytes at 'in', with
 * checksums of IPv4, TCP, UDP and ICMP updated incrementally (RFC 1624) as a
 * switch does, into 'out' (size 'size').  '*out_len' is the number of bytes
 * written; a packet that grows past 'size' is cut. */
enum rule_apply_result rule_apply(const struct rule *, size_t n_out,
                                  const uint8_t *in, size_t len, uint8_t *out,
                                  size_t size, size_t *out_len);

#endif /* lib/rule.h */
