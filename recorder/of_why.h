/* SPDX-License-Identifier: Apache-2.0 */
/* of_why - which rules a packet meets in given tables, and what they do to it.
 *
 *     t = of_why_table_create();
 *     of_why_table_add_rule(t, &rule, raw, raw_len);  ..every rule that stood
 *     of_why_table_add_group(t, buckets, n, raw, raw_len);  ..every group
 *     of_why_packet_init(&packet, frame, frame_len, in_port);
 *     of_why_run(t, packet, NULL, &answer);
 *
 * The packet goes through the tables as Open vSwitch 3.1 sends it: table 0,
 * goto, resubmit, groups, clones, action sets.  What the tables and the packet
 * do not tell (the state of a connection, the bucket that a select group
 * takes, a register loaded from an address that a NAT chose) is a fork: every
 * way is followed, each is a `struct of_why_path` with what it assumes, up to
 * OF_WHY_MAX_PATHS.  The first path is the plainest one: a new connection,
 * first buckets.  Ways that meet the same rules are told once.
 *
 * Ownership: the table copies what it is given; a packet and an answer are
 * freed by their functions.
 *
 * Threads: objects belong to one thread at a time; different threads may use
 * different ones. */
#ifndef RECORDER_OF_WHY_H
#define RECORDER_OF_WHY_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OF_WHY_MAX_PATHS 64
/* Steps of one path; a packet that takes more is given up. */
#define OF_WHY_MAX_STEPS 8192

/* --- Tables. --- */

struct of_why_table;

struct of_why_rule {
    uint8_t table_id;
    uint16_t priority;
    uint32_t version;
    const char *match, *actions; /* As ovs-ofctl writes them. */
};

struct of_why_table *of_why_table_create(void);
void of_why_table_destroy(struct of_why_table *);
/* Adds a rule: 'raw' is the ADD that the controller sent, or NULL, and then
 * the texts are read.  False: neither can be understood; the rule is counted
 * (of_why_table_n_bad()) and left out. */
bool of_why_table_add_rule(struct of_why_table *, const struct of_why_rule *,
                           const uint8_t *raw, size_t raw_len);
/* The table-miss rule that the recorder has in 'table_id': what stands for "no
 * rule". */
void of_why_table_add_miss(struct of_why_table *, uint8_t table_id,
                           uint32_t version, bool to_controller);
/* Adds the group that the group-mod 'raw' makes; 'buckets' are those of its
 * buckets whose versions are known, by of_group_bucket_id(). */
struct of_why_bucket {
    uint32_t id, version;
};
bool of_why_table_add_group(struct of_why_table *,
                            const struct of_why_bucket *buckets, size_t n,
                            const uint8_t *raw, size_t raw_len);
/* What is known of a port: a fast-failover bucket that watches it is taken or
 * not, a packet that is sent to it is dropped. */
void of_why_table_add_port(struct of_why_table *, uint16_t port, bool is_up);
size_t of_why_table_n_bad(const struct of_why_table *);

/* --- The packet. --- */

struct of_why_packet;

/* From the bytes of a frame; what was cut off at its end counts as zero, which
 * matters only inside headers.  'full_len' is the length it had, 0 if that is
 * not known. */
struct of_why_packet *of_why_packet_create(const uint8_t *frame, size_t len,
                                           size_t full_len, uint16_t in_port);
/* From ovs-ofctl's syntax ("in_port=1,ip,nw_dst=10.0.0.2").  Returns NULL, or
 * a malloc()ed reason. */
char *of_why_packet_from_text(const char *text, struct of_why_packet **);
void of_why_packet_destroy(struct of_why_packet *);
/* As text; malloc()ed. */
char *of_why_packet_to_text(const struct of_why_packet *);

/* --- The answer. --- */

/* Texts, each malloc()ed.  Owned. */
struct of_why_texts {
    size_t n, allocated;
    char **texts;
};

struct of_why_edit {
    const char *field;    /* Static. */
    char *before, *after; /* Owned; "?" where not known. */
};

enum of_why_kind {
    OF_WHY_TABLE,     /* A lookup in a table. */
    OF_WHY_BUCKET,    /* A bucket of a group. */
    OF_WHY_ACTION_SET /* The action set at the end. */
};

struct of_why_step {
    enum of_why_kind kind;
    unsigned int depth; /* Of resubmits, buckets and clones. */
    uint8_t table_id;
    uint32_t version;      /* 0: nothing matched, or not known. */
    uint32_t miss_version; /* Of the recorder's table-miss rule, or 0. */
    bool is_miss;
    uint16_t priority;
    uint32_t group_id; /* OF_WHY_BUCKET. */
    size_t bucket;
    char *match, *actions; /* Owned. */
    uint32_t next_version; /* Would match without this rule; 0: none, or not
                            * known. */
    uint16_t next_priority;
    char *next_match, *next_actions; /* Owned. */
    char *before;                    /* The packet as it came here.  Owned. */
    size_t n_edits, allocated_edits;
    struct of_why_edit *edits; /* By this step's own actions.  Owned. */
    struct of_why_texts did;   /* What else they did, in order. */
};

struct of_why_output {
    uint16_t port; /* Reserved ones too; OF_PORT_UNKNOWN's low bits: not
                    * known. */
    bool is_known;
    size_t step;
    char *header; /* The packet as it leaves.  Owned. */
};

enum of_why_verdict { OF_WHY_FORWARDED, OF_WHY_CONTROLLER, OF_WHY_DROPPED };
const char *of_why_verdict_name(enum of_why_verdict);

struct of_why_path {
    size_t n_steps, allocated_steps;
    struct of_why_step *steps; /* Owned. */
    size_t n_outputs, allocated_outputs;
    struct of_why_output *outputs; /* Owned. */
    enum of_why_verdict verdict;
    char *reason;                  /* Of the verdict.  Owned. */
    struct of_why_texts assumed;   /* What tells this path from the others. */
    struct of_why_texts uncertain; /* What is not known on it. */
};

/* Why one rule was not what the packet matched. */
struct of_why_not {
    uint32_t version;           /* In: the rule. */
    bool is_found;              /* It stands in these tables. */
    bool is_reached;            /* Its table was looked up. */
    bool is_matched;            /* The packet did match it. */
    uint32_t shadowed_by;       /* It would match, but this rule is before it;
                                 * or the lookup took this one; 0: none. */
    bool is_undefined;          /* ..of the same priority. */
    struct of_why_edit *fields; /* Of a lookup in its table: 'before' is what
                                 * the rule wants, 'after' what the packet
                                 * has.  Owned. */
    size_t n_fields, allocated_fields;
    size_t step; /* Of that lookup, in the first path. */
};

struct of_why_answer {
    size_t n_paths;
    struct of_why_path *paths; /* Owned. */
    bool is_truncated;         /* There are more paths. */
    struct of_why_not not ;
};

/* Sends the packet through; 'not_version' (0: none) is explained in
 * answer->not. */
void of_why_run(const struct of_why_table *, const struct of_why_packet *,
                uint32_t not_version, struct of_why_answer *);
void of_why_answer_uninit(struct of_why_answer *);

#endif /* recorder/of_why.h */
