/* SPDX-License-Identifier: Apache-2.0 */
/* rule - what one version of one switch was. */
#include <config.h>
#include "lib/rule.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/rule_slab.h"

struct field_info {
    const char *name;
    uint8_t size;
    uint8_t n_bits;
};

static const struct field_info fields[N_FIELDS] = {
    [FIELD_ETH_SRC] = {"eth_src", 6, 48},
    [FIELD_ETH_DST] = {"eth_dst", 6, 48},
    [FIELD_ETH_TYPE] = {"eth_type", 2, 16},
    [FIELD_VLAN_VID] = {"vlan_vid", 2, 12},
    [FIELD_VLAN_PCP] = {"vlan_pcp", 1, 3},
    [FIELD_MPLS_LABEL] = {"mpls_label", 4, 20},
    [FIELD_MPLS_TC] = {"mpls_tc", 1, 3},
    [FIELD_MPLS_TTL] = {"mpls_ttl", 1, 8},
    [FIELD_IPV4_SRC] = {"ipv4_src", 4, 32},
    [FIELD_IPV4_DST] = {"ipv4_dst", 4, 32},
    [FIELD_IPV6_SRC] = {"ipv6_src", 16, 128},
    [FIELD_IPV6_DST] = {"ipv6_dst", 16, 128},
    [FIELD_IPV6_LABEL] = {"ipv6_label", 4, 20},
    [FIELD_IP_DSCP] = {"ip_dscp", 1, 6},
    [FIELD_IP_ECN] = {"ip_ecn", 1, 2},
    [FIELD_IP_TTL] = {"ip_ttl", 1, 8},
    [FIELD_TP_SRC] = {"tp_src", 2, 16},
    [FIELD_TP_DST] = {"tp_dst", 2, 16},
    [FIELD_ICMP_TYPE] = {"icmp_type", 1, 8},
    [FIELD_ICMP_CODE] = {"icmp_code", 1, 8},
    [FIELD_ARP_OP] = {"arp_op", 2, 16},
    [FIELD_ARP_SPA] = {"arp_spa", 4, 32},
    [FIELD_ARP_TPA] = {"arp_tpa", 4, 32},
    [FIELD_ARP_SHA] = {"arp_sha", 6, 48},
    [FIELD_ARP_THA] = {"arp_tha", 6, 48},
    [FIELD_ND_TARGET] = {"nd_target", 16, 128},
    [FIELD_ND_SLL] = {"nd_sll", 6, 48},
    [FIELD_ND_TLL] = {"nd_tll", 6, 48},
};

const char *
step_field_name(enum step_field field)
{
    assert(field < N_FIELDS);
    return fields[field].name;
}

size_t
step_field_size(enum step_field field)
{
    assert(field < N_FIELDS);
    return fields[field].size;
}

unsigned int
step_field_bits(enum step_field field)
{
    assert(field < N_FIELDS);
    return fields[field].n_bits;
}

bool
step_is_whole(const struct step *step)
{
    size_t size = step_field_size(step->field);
    unsigned int n_bits = step_field_bits(step->field);

    for (size_t i = size; i-- > 0; n_bits -= n_bits < 8 ? n_bits : 8) {
        uint8_t ones = n_bits < 8 ? (uint8_t) ((1u << n_bits) - 1) : 0xff;

        if ((step->mask[i] & ones) != ones) {
            return false;
        }
    }
    return true;
}

const char *
rule_kind_name(enum rule_kind kind)
{
    switch (kind) {
    case RULE_FLOW:
        return "flow";
    case RULE_MISS:
        return "miss";
    case RULE_GROUP:
        return "group";
    case RULE_PACKET_OUT:
        return "packet-out";
    }
    assert(false);
    return NULL;
}

struct rule *
rule_create(void)
{
    struct rule *rule = lh_alloc_zero(sizeof *rule);

    rule->n_refs = 1;
    rule->match = lh_strdup("");
    rule->actions = lh_strdup("drop");
    rule->command = lh_strdup("add");
    rule->who = lh_strdup("");
    return rule;
}

struct rule *
rule_create_terse(const char *command, const char *who, const uint8_t *raw,
                  size_t raw_len, void (*describe)(struct rule *))
{
    struct rule_slab *slab = NULL;
    struct rule *rule = NULL;

    if (sizeof *rule + raw_len <= RULE_SLAB_PIECE) {
        rule = rule_slab_alloc(sizeof *rule + raw_len, &slab);
    }
    if (!rule) {
        rule = lh_alloc_zero(sizeof *rule);
        rule->raw = lh_memdup(raw, raw_len);
    } else if (raw_len) {
        rule->raw = memcpy(rule + 1, raw, raw_len);
    }
    rule->slab = slab;
    rule->raw_len = raw_len;
    rule->n_refs = 1;
    rule->command = (char *) command;
    rule->who = (char *) who;
    rule->shares_texts = true;
    rule->describe = describe;
    return rule;
}

struct rule *
rule_ref(const struct rule *rule_)
{
    struct rule *rule = (struct rule *) rule_;

    if (rule) {
        __atomic_add_fetch(&rule->n_refs, 1, __ATOMIC_RELAXED);
    }
    return rule;
}

void
rule_unref(struct rule *rule)
{
    if (rule && !__atomic_sub_fetch(&rule->n_refs, 1, __ATOMIC_ACQ_REL)) {
        free(rule->match);
        free(rule->actions);
        if (!rule->shares_texts) {
            free(rule->command);
            free(rule->who);
        }
        free(rule->removed_reason);
        free(rule->steps);
        if (rule->slab) {
            rule_slab_free(rule->slab);
        } else {
            free(rule->raw);
            free(rule);
        }
    }
}

void
rule_describe(const struct rule *rule_)
{
    /* Two threads may want the same rule at once, seldom: one lock for all
     * rules does. */
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    struct rule *rule = (struct rule *) rule_;

    if (!__atomic_load_n(&rule->describe, __ATOMIC_ACQUIRE)) {
        return;
    }
    pthread_mutex_lock(&mutex);
    if (rule->describe) {
        rule->describe(rule);
        __atomic_store_n(&rule->describe, NULL, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&mutex);
}

struct rule *
rule_clone(const struct rule *rule)
{
    const size_t before = offsetof(struct rule, n_refs);
    const size_t after = before + sizeof rule->n_refs;
    struct rule *copy = lh_alloc_zero(sizeof *copy);

    rule_describe(rule);
    /* All but the count, which other threads may be changing. */
    memcpy(copy, rule, before);
    memcpy((char *) copy + after, (const char *) rule + after,
           sizeof *copy - after);
    copy->n_refs = 1;
    copy->match = lh_strdup(rule->match);
    copy->actions = lh_strdup(rule->actions);
    copy->shares_texts = false;
    copy->slab = NULL;
    copy->command = lh_strdup(rule->command);
    copy->who = lh_strdup(rule->who);
    copy->removed_reason = lh_strdup(rule->removed_reason);
    copy->steps = lh_memdup(rule->steps, rule->n_steps * sizeof *rule->steps);
    copy->allocated_steps = rule->n_steps;
    copy->raw = lh_memdup(rule->raw, rule->raw_len);
    return copy;
}

void
rule_add_step(struct rule *rule, const struct step *step)
{
    rule->steps = lh_alloc_grow(rule->steps, rule->n_steps,
                                &rule->allocated_steps, sizeof *rule->steps);
    rule->steps[rule->n_steps++] = *step;
}

void
rule_add_output(struct rule *rule, uint32_t port)
{
    struct step step = {.type = STEP_OUTPUT, .port = port};

    rule_add_step(rule, &step);
}

void
rule_add_set(struct rule *rule, enum step_field field, const uint8_t *value,
             const uint8_t *mask)
{
    struct step step = {.type = STEP_SET, .field = field};
    size_t size = step_field_size(field);

    memcpy(step.value, value, size);
    if (mask) {
        memcpy(step.mask, mask, size);
    } else {
        memset(step.mask, 0xff, size);
    }
    rule_add_step(rule, &step);
}

void
rule_add_plain(struct rule *rule, enum step_type type, uint16_t ethertype)
{
    struct step step = {.type = type, .ethertype = ethertype};

    rule_add_step(rule, &step);
}

void
rule_add_unknown(struct rule *rule, const char *text)
{
    struct step step = {.type = STEP_UNKNOWN};

    snprintf(step.text, sizeof step.text, "%s", text);
    rule_add_step(rule, &step);
}

size_t
rule_outputs(const struct rule *rule, uint32_t *ports, size_t max)
{
    size_t n = 0;

    rule_describe(rule);
    for (size_t i = 0; i < rule->n_steps; i++) {
        if (rule->steps[i].type == STEP_OUTPUT) {
            if (n < max) {
                ports[n] = rule->steps[i].port;
            }
            n++;
        }
    }
    return n;
}
