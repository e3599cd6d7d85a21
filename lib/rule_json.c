/* SPDX-License-Identifier: Apache-2.0 */
/* rule_json - a rule as JSON (docs/formats/rule.md), both ways. */
#include <config.h>
#include "lib/rule.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

#define MAX_STEPS 1024

static const char *const step_names[] = {
    [STEP_OUTPUT] = "output",       [STEP_SET] = "set",
    [STEP_PUSH_VLAN] = "push_vlan", [STEP_POP_VLAN] = "pop_vlan",
    [STEP_PUSH_MPLS] = "push_mpls", [STEP_POP_MPLS] = "pop_mpls",
    [STEP_DEC_TTL] = "dec_ttl",     [STEP_GROUP] = "group",
    [STEP_UNKNOWN] = "unknown",
};
#define N_STEP_TYPES (sizeof step_names / sizeof step_names[0])

static const char *const flag_names[] = {
    "send_flow_rem",    "check_overlap",  "reset_counts",
    "no_packet_counts", "no_byte_counts",
};
#define N_FLAGS (sizeof flag_names / sizeof flag_names[0])

static const enum rule_kind kinds[] = {RULE_FLOW, RULE_MISS, RULE_GROUP,
                                       RULE_PACKET_OUT};

/* A value is text for addresses and a number for all else. */
static json_t *
value_to_json(enum step_field field, const uint8_t *value)
{
    char text[INET6_ADDRSTRLEN];
    uint64_t number = 0;

    switch (step_field_size(field)) {
    case 6:
        snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", value[0],
                 value[1], value[2], value[3], value[4], value[5]);
        return json_string(text);
    case 16:
        inet_ntop(AF_INET6, value, text, sizeof text);
        return json_string(text);
    default:
        if (step_field_bits(field) == 32) {
            inet_ntop(AF_INET, value, text, sizeof text);
            return json_string(text);
        }
        for (size_t i = 0; i < step_field_size(field); i++) {
            number = number << 8 | value[i];
        }
        number &= (UINT64_C(1) << step_field_bits(field)) - 1;
        return json_integer((json_int_t) number);
    }
}

static bool
mac_from_string(const char *text, uint8_t mac[6])
{
    for (size_t i = 0; i < 6; i++, text += 3) {
        char digits[3] = {text[0], text[0] ? text[1] : '\0', '\0'};

        if (bytes_from_hex(digits, mac + i, 1) != 1 ||
            text[2] != (i < 5 ? ':' : '\0')) {
            return false;
        }
    }
    return true;
}

static int
value_from_json(const struct jmember *m, enum step_field field, uint8_t *value,
                struct lh_error *error)
{
    size_t size = step_field_size(field);
    unsigned int n_bits = step_field_bits(field);
    const char *text;
    const char *kind;
    bool is_good;

    if (n_bits < 32) {
        uint64_t number;
        int retval =
            jmember_u64(m, (UINT64_C(1) << n_bits) - 1, &number, error);

        for (size_t i = size; !retval && i-- > 0; number >>= 8) {
            value[i] = (uint8_t) number;
        }
        return retval;
    }
    if (jmember_string(m, &text, error)) {
        return EINVAL;
    }
    if (size == 6) {
        kind = "a MAC address";
        is_good = mac_from_string(text, value);
    } else if (size == 4) {
        kind = "an IPv4 address";
        is_good = inet_pton(AF_INET, text, value) == 1;
    } else {
        kind = "an IPv6 address";
        is_good = inet_pton(AF_INET6, text, value) == 1;
    }
    return is_good ? 0 : jmember_error(m, error, "must be %s", kind);
}

static void
set_number(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t) value));
}

static void
set_hex(json_t *object, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "0x%" PRIx64, value);
    json_object_set_new(object, name, json_string(text));
}

static void
set_text(json_t *object, const char *name, const char *text)
{
    json_object_set_new(object, name,
                        text ? jmember_text_new(text) : json_null());
}

static json_t *
step_to_json(const struct step *step)
{
    json_t *json = json_object();

    assert(step->type < N_STEP_TYPES);
    json_object_set_new(json, "do", json_string(step_names[step->type]));
    switch (step->type) {
    case STEP_OUTPUT:
        json_object_set_new(json, "port",
                            step->port == OF_PORT_UNKNOWN
                                ? json_null()
                                : json_integer((json_int_t) step->port));
        break;
    case STEP_GROUP:
        set_number(json, "group", step->port);
        break;
    case STEP_SET:
        json_object_set_new(json, "field",
                            json_string(step_field_name(step->field)));
        json_object_set_new(json, "value",
                            value_to_json(step->field, step->value));
        if (!step_is_whole(step)) {
            json_object_set_new(json, "mask",
                                value_to_json(step->field, step->mask));
        }
        break;
    case STEP_PUSH_VLAN:
    case STEP_PUSH_MPLS:
    case STEP_POP_MPLS:
        set_hex(json, "ethertype", step->ethertype);
        break;
    case STEP_UNKNOWN:
        set_text(json, "text", step->text);
        break;
    case STEP_POP_VLAN:
    case STEP_DEC_TTL:
        break;
    }
    return json;
}

static json_t *
flags_to_json(uint16_t flags)
{
    json_t *json = json_array();

    for (unsigned int i = 0; i < 16; i++) {
        char text[24];

        if (!(flags & 1u << i)) {
            continue;
        }
        if (i < N_FLAGS) {
            snprintf(text, sizeof text, "%s", flag_names[i]);
        } else {
            snprintf(text, sizeof text, "0x%x", 1u << i);
        }
        json_array_append_new(json, json_string(text));
    }
    return json;
}

json_t *
rule_steps_to_json(const struct rule *rule)
{
    json_t *steps = json_array();

    rule_describe(rule);
    for (size_t i = 0; i < rule->n_steps; i++) {
        json_array_append_new(steps, step_to_json(&rule->steps[i]));
    }
    return steps;
}

json_t *
rule_to_json(const struct rule *rule)
{
    json_t *json = json_object();

    rule_describe(rule);
    json_object_set_new(json, "dpid", jmember_dpid_new(rule->dpid));
    set_number(json, "version", rule->version);
    set_text(json, "kind", rule_kind_name(rule->kind));
    set_number(json, "table", rule->table_id);
    set_number(json, "priority", rule->priority);
    set_hex(json, "cookie", rule->cookie);
    set_text(json, "match", rule->match);
    set_text(json, "actions", rule->actions);
    set_number(json, "idle_timeout", rule->idle_timeout);
    set_number(json, "hard_timeout", rule->hard_timeout);
    json_object_set_new(json, "flags", flags_to_json(rule->flags));
    set_number(json, "importance", rule->importance);
    set_text(json, "command", rule->command);
    set_text(json, "who", rule->who);
    set_number(json, "change", rule->change);
    set_number(json, "installed_ns", rule->installed_ns);
    json_object_set_new(json, "removed_ns",
                        rule->removed_ns
                            ? json_integer((json_int_t) rule->removed_ns)
                            : json_null());
    set_text(json, "removed_reason", rule->removed_reason);
    json_object_set_new(json, "transit", json_boolean(rule->is_transit));
    json_object_set_new(json, "instrumented",
                        json_boolean(rule->is_instrumented));
    json_object_set_new(json, "steps", rule_steps_to_json(rule));
    return json;
}

/* "0x.." in a string, or an integer. */
static int
get_hex(const struct jmember *m, uint64_t max, uint64_t *valuep,
        struct lh_error *error)
{
    const char *text;
    char *tail;

    if (json_is_integer(m->value)) {
        return jmember_u64(m, max, valuep, error);
    } else if (jmember_string(m, &text, error)) {
        return EINVAL;
    }
    errno = 0;

    unsigned long long value = strtoull(text, &tail, 16);

    if (strncmp(text, "0x", 2) || tail == text + 2 || *tail || errno ||
        value > max) {
        return jmember_error(m, error, "must be \"0x..\", up to 0x%" PRIx64,
                             max);
    }
    *valuep = value;
    return 0;
}

static int
step_set_from_json(const struct jmember *m, struct step *step,
                   struct lh_error *error)
{
    struct jmember field = jmember_get(m, "field");
    struct jmember value = jmember_get(m, "value");
    struct jmember mask = jmember_get(m, "mask");
    const char *name;

    if (jmember_string(&field, &name, error)) {
        return EINVAL;
    }
    while (strcmp(name, step_field_name(step->field))) {
        if (++step->field == N_FIELDS) {
            step->field = 0;
            return jmember_error(&field, error, "no field is called \"%s\"",
                                 name);
        }
    }
    if (value_from_json(&value, step->field, step->value, error)) {
        return EINVAL;
    }
    if (jmember_is_there(&mask)) {
        return value_from_json(&mask, step->field, step->mask, error);
    }
    memset(step->mask, 0xff, step_field_size(step->field));
    return 0;
}

static int
step_from_json(const struct jmember *m, struct step *step,
               struct lh_error *error)
{
    struct jmember what = jmember_get(m, "do");
    struct jmember port = jmember_get(m, "port");
    struct jmember group = jmember_get(m, "group");
    struct jmember ethertype = jmember_get(m, "ethertype");
    struct jmember text = jmember_get(m, "text");
    const char *s;
    uint64_t number = 0;
    int retval = 0;

    *step = (struct step){.type = STEP_OUTPUT};
    if (jmember_object(m, error) || jmember_string(&what, &s, error)) {
        return EINVAL;
    }
    while (strcmp(s, step_names[step->type])) {
        if (step->type == STEP_UNKNOWN) {
            return jmember_error(&what, error, "no step is called \"%s\"", s);
        }
        step->type++;
    }
    switch (step->type) {
    case STEP_OUTPUT:
        number = OF_PORT_UNKNOWN;
        if (jmember_is_there(&port)) {
            retval = jmember_u64(&port, UINT16_MAX, &number, error);
        }
        step->port = (uint32_t) number;
        break;
    case STEP_GROUP:
        retval = jmember_u64(&group, UINT32_MAX, &number, error);
        step->port = (uint32_t) number;
        break;
    case STEP_SET:
        retval = step_set_from_json(m, step, error);
        break;
    case STEP_PUSH_VLAN:
    case STEP_PUSH_MPLS:
    case STEP_POP_MPLS:
        retval = get_hex(&ethertype, UINT16_MAX, &number, error);
        step->ethertype = (uint16_t) number;
        break;
    case STEP_UNKNOWN:
        retval = jmember_string(&text, &s, error);
        if (!retval) {
            snprintf(step->text, sizeof step->text, "%s", s);
        }
        break;
    case STEP_POP_VLAN:
    case STEP_DEC_TTL:
        break;
    }
    return retval;
}

static int
steps_from_json(const struct jmember *m, struct rule *rule,
                struct lh_error *error)
{
    size_t n;
    int retval = jmember_array(m, &n, error);

    if (!retval && n > MAX_STEPS) {
        retval = jmember_error(m, error, "more than %d steps", MAX_STEPS);
    }
    for (size_t i = 0; !retval && i < n; i++) {
        struct jmember member = jmember_at(m, i);
        struct step step;

        retval = step_from_json(&member, &step, error);
        if (!retval) {
            rule_add_step(rule, &step);
        }
    }
    return retval;
}

int
rule_steps_from_json(const json_t *json, struct rule *rule,
                     struct lh_error *error)
{
    struct jmember root = jmember_root(json);

    return steps_from_json(&root, rule, error);
}

static int
flags_from_json(const struct jmember *m, uint16_t *flags,
                struct lh_error *error)
{
    size_t n;
    int retval = jmember_array(m, &n, error);

    for (size_t i = 0; !retval && i < n; i++) {
        struct jmember member = jmember_at(m, i);
        uint64_t bits = 0;
        const char *text;

        retval = jmember_string(&member, &text, error);
        for (size_t j = 0; !retval && j < N_FLAGS; j++) {
            if (!strcmp(text, flag_names[j])) {
                bits = UINT64_C(1) << j;
            }
        }
        if (!retval && !bits) {
            retval = get_hex(&member, UINT16_MAX, &bits, error);
        }
        *flags |= (uint16_t) bits;
    }
    return retval;
}

static int
kind_from_json(const struct jmember *m, enum rule_kind *kindp,
               struct lh_error *error)
{
    const char *text;

    if (jmember_string(m, &text, error)) {
        return EINVAL;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!strcmp(text, rule_kind_name(kinds[i]))) {
            *kindp = kinds[i];
            return 0;
        }
    }
    return jmember_error(m, error, "no kind of rule is called \"%s\"", text);
}

/* A member that is a number up to 'max'; absent or null leaves 0. */
static int
get_number(const struct jmember *root, const char *name, uint64_t max,
           uint64_t *valuep, struct lh_error *error)
{
    struct jmember m = jmember_get(root, name);

    *valuep = 0;
    return jmember_is_there(&m) ? jmember_u64(&m, max, valuep, error) : 0;
}

static int
get_u16(const struct jmember *root, const char *name, uint16_t *valuep,
        struct lh_error *error)
{
    uint64_t value;
    int retval = get_number(root, name, UINT16_MAX, &value, error);

    *valuep = (uint16_t) value;
    return retval;
}

/* A member that is a string; absent or null leaves '*textp' as it is. */
static int
get_text(const struct jmember *root, const char *name, char **textp,
         struct lh_error *error)
{
    struct jmember m = jmember_get(root, name);
    const char *text;

    if (!jmember_is_there(&m)) {
        return 0;
    } else if (jmember_string(&m, &text, error)) {
        return EINVAL;
    }
    free(*textp);
    *textp = lh_strdup(text);
    return 0;
}

static int
get_bool(const struct jmember *root, const char *name, bool *valuep,
         struct lh_error *error)
{
    struct jmember m = jmember_get(root, name);

    return jmember_is_there(&m) ? jmember_bool(&m, valuep, error) : 0;
}

static int
members_from_json(const struct jmember *root, struct rule *rule,
                  struct lh_error *error)
{
    struct jmember dpid = jmember_get(root, "dpid");
    struct jmember version = jmember_get(root, "version");
    struct jmember kind = jmember_get(root, "kind");
    struct jmember cookie = jmember_get(root, "cookie");
    struct jmember flags = jmember_get(root, "flags");
    struct jmember steps = jmember_get(root, "steps");
    uint64_t number, table_id;

    if (jmember_object(root, error) ||
        jmember_dpid(&dpid, &rule->dpid, error) ||
        jmember_u64(&version, UINT32_MAX, &number, error) ||
        (jmember_is_there(&kind) &&
         kind_from_json(&kind, &rule->kind, error)) ||
        get_number(root, "table", UINT8_MAX, &table_id, error) ||
        get_u16(root, "priority", &rule->priority, error) ||
        (jmember_is_there(&cookie) &&
         get_hex(&cookie, UINT64_MAX, &rule->cookie, error)) ||
        get_text(root, "match", &rule->match, error) ||
        get_text(root, "actions", &rule->actions, error) ||
        get_u16(root, "idle_timeout", &rule->idle_timeout, error) ||
        get_u16(root, "hard_timeout", &rule->hard_timeout, error) ||
        (jmember_is_there(&flags) &&
         flags_from_json(&flags, &rule->flags, error)) ||
        get_u16(root, "importance", &rule->importance, error) ||
        get_text(root, "command", &rule->command, error) ||
        get_text(root, "who", &rule->who, error) ||
        get_number(root, "change", INT64_MAX, &rule->change, error) ||
        get_number(root, "installed_ns", INT64_MAX, &rule->installed_ns,
                   error) ||
        get_number(root, "removed_ns", INT64_MAX, &rule->removed_ns, error) ||
        get_text(root, "removed_reason", &rule->removed_reason, error) ||
        get_bool(root, "transit", &rule->is_transit, error) ||
        get_bool(root, "instrumented", &rule->is_instrumented, error) ||
        (jmember_is_there(&steps) && steps_from_json(&steps, rule, error))) {
        return EINVAL;
    }
    rule->version = (uint32_t) number;
    rule->table_id = (uint8_t) table_id;
    return 0;
}

int
rule_from_json(const json_t *json, struct rule **rulep, struct lh_error *error)
{
    struct jmember root = jmember_root(json);
    struct rule *rule = rule_create();
    int retval = members_from_json(&root, rule, error);

    if (retval) {
        rule_unref(rule);
        rule = NULL;
    }
    *rulep = rule;
    return retval;
}
