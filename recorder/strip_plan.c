/* SPDX-License-Identifier: Apache-2.0 */
/* strip_plan - what to send to a switch so that nothing of ours is left. */
#include <config.h>
#include "recorder/strip_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/postcard_geneve.h"
#include "lib/rule.h"
#include "recorder/of_flow.h"
#include "recorder/of_group.h"
#include "recorder/of_msg.h"
#include "recorder/of_trace.h"
#include "recorder/of_wire.h"
#include "recorder/own_cookie.h"

#define N_INDEXES 65536
/* No switch has this index: mac postcards are known by the note beside them,
 * whatever index the switch had when they were made. */
#define NO_SWITCH_INDEX UINT16_MAX

struct strip_plan {
    strip_plan_known *known; /* Or NULL. */
    void *aux;
    struct of_trace trace;

    struct of_flow_record *records; /* Owned. */
    size_t n_records, allocated_records;
    struct of_group **groups; /* Owned. */
    size_t n_groups, allocated_groups;
    struct of_tlv option; /* Ours, if counts.has_option. */

    /* The rules of ours in the tables into which action sets resubmit: by
     * table, NULL or N_INDEXES long. */
    const struct of_acts **indexed[256];

    struct strip_plan_message *messages; /* Owned. */
    size_t n_messages, allocated_messages;
    struct strip_plan_message option_message;
    struct strip_plan_counts counts;
};

struct strip_plan *
strip_plan_create(uint64_t dpid, strip_plan_known *known, void *aux)
{
    struct strip_plan *p = lh_alloc_zero(sizeof *p);

    p->known = known;
    p->aux = aux;
    p->trace.dpid = dpid;
    p->trace.switch_index = NO_SWITCH_INDEX;
    return p;
}

void
strip_plan_destroy(struct strip_plan *p)
{
    if (p) {
        for (size_t i = 0; i < p->n_records; i++) {
            of_flow_record_uninit(&p->records[i]);
        }
        free(p->records);
        for (size_t i = 0; i < p->n_groups; i++) {
            of_group_destroy(p->groups[i]);
        }
        free(p->groups);
        for (unsigned int t = 0; t < 256; t++) {
            free(p->indexed[t]);
        }
        for (size_t i = 0; i < p->n_messages; i++) {
            free(p->messages[i].data);
        }
        free(p->messages);
        free(p->option_message.data);
        free(p);
    }
}

/* --- Reading. --- */

static void
take_flows(struct strip_plan *p, const uint8_t *msg, size_t len)
{
    struct of_flow_reader *reader = of_flow_reader_open(msg, len);
    struct of_flow_record record;

    while (of_flow_reader_next(reader, &record) > 0) {
        p->records = lh_alloc_grow(p->records, p->n_records,
                                   &p->allocated_records, sizeof *p->records);
        p->records[p->n_records++] = record;
    }
    of_flow_reader_close(reader);
}

static void
take_group(void *p_, struct of_group *group)
{
    struct strip_plan *p = p_;

    p->groups = lh_alloc_grow(p->groups, p->n_groups, &p->allocated_groups,
                              sizeof *p->groups);
    p->groups[p->n_groups++] = group;
}

static void
take_tlvs(struct strip_plan *p, const uint8_t *msg, size_t len)
{
    enum of_tlv_command command;
    uint16_t max_fields;
    struct of_tlv *tlvs;
    uint32_t space;
    size_t n;

    if (of_msg_tlv_decode(msg, len, &command, &tlvs, &n, &space,
                          &max_fields)) {
        for (size_t i = 0; i < n; i++) {
            if (tlvs[i].class == POSTCARD_GENEVE_CLASS &&
                tlvs[i].type == POSTCARD_GENEVE_TYPE) {
                p->option = tlvs[i];
                p->counts.has_option = true;
            }
        }
        free(tlvs);
    }
}

bool
strip_plan_take(struct strip_plan *p, const uint8_t *msg, size_t len)
{
    switch ((int) of_msg_kind(msg, len)) {
    case OF_TLV_REPLY:
        take_tlvs(p, msg, len);
        return true;
    case OF_GROUP_DESC_REPLY:
        of_group_read_desc(msg, len, take_group, p);
        return true;
    case OF_FLOW_STATS_REPLY:
        take_flows(p, msg, len);
        return true;
    default:
        return false;
    }
}

/* --- Rules of ours. --- */

static bool
is_own(const struct of_flow_record *record)
{
    return (record->cookie & OWN_COOKIE_MASK) == OWN_COOKIE;
}

static void
index_records(struct strip_plan *p)
{
    for (size_t i = 0; i < p->n_records; i++) {
        const struct of_flow_record *record = &p->records[i];
        unsigned int index;
        char *text;

        if (record->cookie != (OWN_COOKIE | OWN_INDEX)) {
            continue;
        }
        text = of_match_to_text(record->match);
        if (sscanf(text, "in_port=%u", &index) == 1 && index < N_INDEXES) {
            const struct of_acts ***table = &p->indexed[record->table_id];

            if (!*table) {
                *table = lh_alloc_zero(N_INDEXES * sizeof **table);
            }
            (*table)[index] = &record->acts;
        }
        free(text);
    }
}

static const struct of_acts *
find_indexed(void *p_, uint8_t table_id, uint16_t index)
{
    const struct strip_plan *p = p_;

    return p->indexed[table_id] ? p->indexed[table_id][index] : NULL;
}

/* --- What the log knows. --- */

/* The rule whose version the actions carry, a reference, or NULL. */
static struct rule *
recall(struct strip_plan *p, const struct of_acts *acts, enum rule_kind kind)
{
    struct rule *rule = NULL;
    uint32_t version;

    if (p->known &&
        of_trace_find_version(&p->trace, acts, find_indexed, p, &version)) {
        rule = p->known(p->aux, p->trace.dpid, version);
    }
    if (rule &&
        (rule->kind != kind || !rule->raw ||
         rule->raw_len < OF_WIRE_HEADER_LEN ||
         of_wire_frame(rule->raw, rule->raw_len) != (int) rule->raw_len)) {
        rule_unref(rule);
        rule = NULL;
    }
    return rule;
}

/* FLOOD and ALL were turned into lists: takes what was 'written' instead of
 * the 'own' actions that are left. */
static void
take_lists(struct strip_plan *p, const struct of_acts *written,
           struct of_acts *own)
{
    struct of_facts facts;

    of_acts_facts(written, 0, &facts);
    if ((facts.has_all || facts.has_flood) && !of_acts_equal(written, own)) {
        of_acts_uninit(own);
        of_acts_clone(own, written);
        p->counts.n_lists++;
    }
}

/* Mends 'own' by what the log says of the flow; returns true when the switch
 * was asked for a flow-removed that the rule's owner did not ask for. */
static bool
recall_flow(struct strip_plan *p, const struct of_flow_record *record,
            struct of_acts *own)
{
    struct rule *rule = recall(p, &record->acts, RULE_FLOW);
    bool was_silent = false;
    struct of_flow flow;

    if (rule && of_flow_decode(rule->raw, rule->raw_len, true, &flow)) {
        if (flow.table_id == record->table_id &&
            flow.priority == record->priority &&
            of_match_equal(flow.match, record->match)) {
            take_lists(p, &flow.acts, own);
            was_silent = (record->idle_timeout || record->hard_timeout) &&
                         record->flags & OF_FLOW_SEND_REMOVED &&
                         !(flow.flags & OF_FLOW_SEND_REMOVED);
        }
        of_flow_uninit(&flow);
    }
    rule_unref(rule);
    return was_silent;
}

static void
recall_bucket(struct strip_plan *p, const struct of_group *group, size_t i,
              const struct of_acts *acts, struct of_acts *own)
{
    struct rule *rule = recall(p, acts, RULE_GROUP);
    struct of_group *raw =
        rule ? of_group_decode(rule->raw, rule->raw_len) : NULL;

    for (size_t j = 0; raw && of_group_id(raw) == of_group_id(group) &&
                       j < of_group_n_buckets(raw);
         j++) {
        if (of_group_bucket_id(raw, j) == of_group_bucket_id(group, i)) {
            struct of_acts written;

            of_group_get_bucket(raw, j, &written);
            take_lists(p, &written, own);
        }
    }
    of_group_destroy(raw);
    rule_unref(rule);
}

/* --- Messages. --- */

static void
add_message(struct strip_plan *p, uint8_t *msg, size_t len)
{
    p->messages = lh_alloc_grow(p->messages, p->n_messages,
                                &p->allocated_messages, sizeof *p->messages);
    p->messages[p->n_messages++] =
        (struct strip_plan_message){.data = msg, .len = len};
}

/* Sends 'flow', whose match and actions stay the caller's. */
static void
add_flow(struct strip_plan *p, const struct of_flow *flow, uint8_t version)
{
    uint8_t *msg;
    size_t len;

    if (of_flow_encode(flow, version, 0, &msg, &len)) {
        p->counts.n_stuck++;
    } else {
        add_message(p, msg, len);
    }
}

static void
plan_group(struct strip_plan *p, const struct of_group *group, uint8_t version)
{
    struct of_group *own = of_group_clone(group);
    bool is_ours = false;
    uint8_t *msg;
    size_t len;

    for (size_t i = 0; i < of_group_n_buckets(group); i++) {
        struct of_acts acts, stripped;

        of_group_get_bucket(group, i, &acts);
        of_trace_strip(&p->trace, &acts, find_indexed, p, &stripped);
        recall_bucket(p, group, i, &acts, &stripped);
        is_ours |= !of_acts_equal(&acts, &stripped);
        of_group_set_bucket(own, i, &stripped);
        of_acts_uninit(&stripped);
    }
    if (is_ours) {
        p->counts.n_groups++;
        of_group_set_command(own, OF_GROUP_MODIFY);
        if (of_group_encode(own, version, 0, &msg, &len)) {
            p->counts.n_stuck++;
        } else {
            add_message(p, msg, len);
        }
    }
    of_group_destroy(own);
}

static void
plan_flow(struct strip_plan *p, const struct of_flow_record *record,
          uint8_t version)
{
    struct of_acts own;
    struct of_flow flow;

    of_trace_strip(&p->trace, &record->acts, find_indexed, p, &own);
    of_flow_init(&flow);
    flow.match = record->match;
    flow.table_id = record->table_id;
    flow.priority = record->priority;
    flow.new_cookie = UINT64_MAX;
    /* Not another one that has come meanwhile; and over 1.0 nothing is added
     * for what has gone. */
    flow.cookie = record->cookie;
    flow.cookie_mask = UINT64_MAX;
    flow.command = OF_FLOW_MODIFY_STRICT;
    if (recall_flow(p, record, &own) && version >= OF_WIRE_13) {
        flow.command = OF_FLOW_ADD;
        flow.new_cookie = record->cookie;
        flow.cookie = flow.cookie_mask = 0;
        flow.idle_timeout = record->idle_timeout;
        flow.hard_timeout = record->hard_timeout;
        flow.importance = record->importance;
        flow.flags = record->flags & (uint16_t) ~OF_FLOW_SEND_REMOVED;
    }
    flow.acts = own;
    if (!of_acts_equal(&own, &record->acts)) {
        p->counts.n_rules++;
        add_flow(p, &flow, version);
    }
    of_acts_uninit(&own);
}

static void
plan_own(struct strip_plan *p, const struct of_flow_record *record,
         uint8_t version)
{
    struct of_flow flow;

    of_flow_init(&flow);
    flow.command = OF_FLOW_DELETE_STRICT;
    flow.match = record->match;
    flow.table_id = record->table_id;
    flow.priority = record->priority;
    flow.cookie = record->cookie;
    flow.cookie_mask = UINT64_MAX;
    p->counts.n_own++;
    add_flow(p, &flow, version);
}

const struct strip_plan_message *
strip_plan_rules(struct strip_plan *p, uint8_t version, size_t *n_others,
                 size_t *n)
{
    index_records(p);
    for (size_t i = 0; i < p->n_groups; i++) {
        plan_group(p, p->groups[i], version);
    }
    for (size_t i = 0; i < p->n_records; i++) {
        if (!is_own(&p->records[i])) {
            plan_flow(p, &p->records[i], version);
        }
    }
    *n_others = p->n_messages;
    for (size_t i = 0; i < p->n_records; i++) {
        if (is_own(&p->records[i])) {
            plan_own(p, &p->records[i], version);
        }
    }
    *n = p->n_messages;
    return p->messages;
}

const struct strip_plan_message *
strip_plan_option(struct strip_plan *p, uint8_t version)
{
    if (!p->counts.has_option) {
        return NULL;
    }
    if (!p->option_message.data) {
        of_msg_tlv_mod(version, 0, OF_TLV_DELETE, &p->option, 1,
                       &p->option_message.data, &p->option_message.len);
    }
    return &p->option_message;
}

struct strip_plan_counts
strip_plan_counts(const struct strip_plan *p)
{
    return p->counts;
}
