/* SPDX-License-Identifier: Apache-2.0 */
/* past - questions about the past of a switch, answered from the flow log as
 * JSON (docs/api.md says what is asked and answered).
 *
 * Each takes the members of a request and gives those of its answer, or
 * returns an errno value with a reason a person can use:
 *
 *     EINVAL     the request is wrong
 *     ENOENT     no such switch or version, or a time before the log begins
 *     E2BIG      the answer would be too large
 *     ECANCELED  is_cancelled() said so
 *     others     the log cannot be read
 *
 * Ownership: '*answer' is the caller's.
 *
 * Threads: that which opened query->log. */
#ifndef LIB_PAST_H
#define LIB_PAST_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "lib/flow_log.h"
#include "lib/jmember.h"
#include "lib/lh_error.h"
#include "lib/rule.h"

/* Rules in one answer; a larger table is asked for by its parts. */
#define PAST_MAX_RULES   50000
#define PAST_MAX_CHANGES 10000

struct past_query {
    struct flow_log *log;
    const json_t *request;
    uint64_t now_ns;
    /* May be NULL.  Asked now and then, from the same thread. */
    bool (*is_cancelled)(void *aux);
    /* May be NULL: what ovs-ofctl writes for the group-mod 'raw'; malloc()ed.
     */
    char *(*group_text)(const uint8_t *raw, size_t len);
    void *aux;
};

/* `table`, `flow`, `diff`, `changes` of docs/api.md. */
int past_table(const struct past_query *, json_t **answer, struct lh_error *);
int past_flow(const struct past_query *, json_t **answer, struct lh_error *);
int past_diff(const struct past_query *, json_t **answer, struct lh_error *);
int past_changes(const struct past_query *, json_t **answer,
                 struct lh_error *);

/* --- What the questions share. --- */

/* A moment of a switch. */
struct past_moment {
    uint64_t dpid;
    uint64_t at_ns;
    bool by_change; /* Right after 'version' was made; not by time. */
    bool is_now;    /* Nothing else was asked for. */
    uint32_t version;
};

/* Reads `dpid`. */
int past_moment_dpid(const struct past_query *, uint64_t *dpid,
                     struct lh_error *);
/* Reads a moment: that of 'version' if it is there, else that of 'at', else
 * now.  Both is an error.  So is a switch that the log does not know, and a
 * time before it begins. */
int past_moment_read(const struct past_query *, uint64_t dpid,
                     const struct jmember *version, const struct jmember *at,
                     struct past_moment *, struct lh_error *);
/* The interval around the moment in which the switch's changes were not seen
 * ({"since_ns","until_ns"}; null: not known, not over), or NULL. */
json_t *past_moment_blind(const struct past_query *,
                          const struct past_moment *);

/* A group that stood, and its buckets in order of their versions. */
struct past_group {
    uint32_t id;
    uint64_t change;    /* That made it so. */
    char *text;         /* As ovs-ofctl takes it; NULL: not known.  Owned. */
    const uint8_t *raw; /* The group-mod that adds it; may be NULL. */
    size_t raw_len;
    struct rule **buckets;
    size_t n_buckets;
};

/* All that stood at a moment.  What is not said to be owned lies in `all`. */
struct past_state {
    struct flow_log_state all; /* Owned. */
    struct rule **rules;       /* Flow and table-miss rules; may be put into
                                * another order. */
    size_t n_rules;
    struct rule **buckets; /* By group. */
    size_t n_buckets;
    struct past_group *groups; /* By number.  Owned. */
    size_t n_groups;
    const struct flow_log_object *meters; /* By number. */
    size_t n_meters;
};
/* 'with_ends': the rules say what became of them later. */
int past_state_read(const struct past_query *, const struct past_moment *,
                    bool with_ends, struct past_state *, struct lh_error *);
void past_state_uninit(struct past_state *);

/* A port whose state the log knows at the moment. */
int past_moment_ports(const struct past_query *, const struct past_moment *,
                      void (*each)(void *aux, uint16_t port, bool is_up),
                      void *aux, struct lh_error *);

/* The rule as JSON, with its text as ovs-ofctl takes it. */
json_t *past_rule_json(const struct rule *);
/* What a bucket's rule is called in its group. */
uint32_t past_bucket_id(const struct rule *bucket);
json_t *past_group_json(const struct past_group *);
json_t *past_meter_json(const struct flow_log_object *);
bool past_is_cancelled(const struct past_query *);

#endif /* lib/past.h */
