/* SPDX-License-Identifier: Apache-2.0 */
/* postcard_port - the value of --postcards. */
#include <config.h>

#include "recorder/postcard_port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/collector_address.h"
#include "lib/lh_alloc.h"

/* A number from 1 to 'max' that ends the text. */
static bool
parse_number(const char *text, unsigned long max, uint16_t *value)
{
    char *end;
    unsigned long n;

    if (*text < '0' || *text > '9') {
        return false;
    }
    n = strtoul(text, &end, 10);
    *value = (uint16_t) n;
    return !*end && n >= 1 && n <= max;
}

/* --- What follows the first comma: KEY=VALUE,KEY=VALUE. --- */

static int
take_port(struct postcard_port *p, char *value, struct lh_error *error)
{
    free(p->name);
    p->name = lh_strdup(value);
    return 0;
}

static int
take_underlay(struct postcard_port *p, char *value, struct lh_error *error)
{
    p->underlays =
        lh_alloc_array(p->underlays, p->n_underlays + 1, sizeof *p->underlays);
    p->underlays[p->n_underlays++] = lh_strdup(value);
    return 0;
}

static int
take_target(struct postcard_port *p, char *text, struct lh_error *error)
{
    struct collector_address address;
    struct postcard_target *target;
    int retval = collector_address_parse(text, &address, error);

    if (retval) {
        return retval;
    }
    if (postcard_port_target(p, address.host, address.port) < p->n_targets) {
        lh_error_set(error, "%s is there twice", text);
        return EINVAL;
    }
    p->targets =
        lh_alloc_array(p->targets, p->n_targets + 1, sizeof *p->targets);
    target = &p->targets[p->n_targets++];
    target->address = lh_strdup(address.host);
    target->udp_port = address.port;
    target->text = lh_strdup(address.text);
    target->match = lh_asprintf("%s=%s,tp_dst=%u",
                                address.is_v6 ? "udp6,ipv6_dst" : "udp,nw_dst",
                                address.host, (unsigned) address.port);
    return 0;
}

static int
take_vlan(struct postcard_port *p, char *value, struct lh_error *error)
{
    if (!parse_number(value, 4094, &p->vlan)) {
        lh_error_set(error, "\"vlan=%s\" is not vlan=N with N from 1 to 4094",
                     value);
        return EINVAL;
    }
    return 0;
}

static int
take_collector(struct postcard_port *p, char *value, struct lh_error *error)
{
    char *colon = strrchr(value, ':');

    if (!colon || colon == value || !colon[1]) {
        lh_error_set(error, "\"collector=%s\" is not collector=BRIDGE:PORT",
                     value);
        return EINVAL;
    }
    *colon = '\0';
    take_port(p, colon + 1, error);
    free(p->collector);
    p->collector = NULL;
    p->collector_dpid = 0;
    if (strlen(value) == 16 && strspn(value, "0123456789abcdefABCDEF") == 16) {
        p->collector_dpid = strtoull(value, NULL, 16);
    } else {
        p->collector = lh_strdup(value);
    }
    p->is_inband = true;
    return 0;
}

static int
take_bridge(struct postcard_port *p, char *value, struct lh_error *error)
{
    free(p->bridge);
    p->bridge = lh_strdup(value);
    return 0;
}

struct key {
    const char *name; /* With "=". */
    int (*take)(struct postcard_port *, char *value, struct lh_error *);
};

static const struct key geneve_keys[] = {{"port=", take_port},
                                         {"or=", take_target},
                                         {"underlay=", take_underlay},
                                         {"bridge=", take_bridge},
                                         {NULL, NULL}};
static const struct key mac_keys[] = {{"vlan=", take_vlan},
                                      {"collector=", take_collector},
                                      {"bridge=", take_bridge},
                                      {NULL, NULL}};
static const struct key agent_keys[] = {{"bridge=", take_bridge},
                                        {NULL, NULL}};

static int
take_key(char *text, const struct key keys[], struct postcard_port *p,
         struct lh_error *error)
{
    char known[120] = "";

    for (size_t i = 0; keys[i].name; i++) {
        size_t len = strlen(keys[i].name);

        if (!strncmp(text, keys[i].name, len) && text[len]) {
            return keys[i].take(p, text + len, error);
        }
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s..",
                 i ? " or " : "", keys[i].name);
    }
    lh_error_set(error, "\"%s\" is not %s", text, known);
    return EINVAL;
}

/* Cuts 'text' at its first comma and takes what follows. */
static int
take_keys(char *text, const struct key keys[], struct postcard_port *p,
          struct lh_error *error)
{
    char *comma = strchr(text, ',');
    int retval = 0;

    while (comma && !retval) {
        char *key = comma + 1;

        *comma = '\0';
        comma = strchr(key, ',');
        if (comma) {
            *comma = '\0';
        }
        retval = take_key(key, keys, p, error);
    }
    return retval;
}

/* --- The encapsulations. --- */

static int
parse_geneve(char *text, struct postcard_port *p, struct lh_error *error)
{
    int retval = take_keys(text, geneve_keys, p, error);

    if (!retval) {
        retval = take_target(p, text, error);
    }
    if (!retval) {
        /* What was given first comes first. */
        struct postcard_target first = p->targets[p->n_targets - 1];

        memmove(p->targets + 1, p->targets,
                (p->n_targets - 1) * sizeof *p->targets);
        p->targets[0] = first;
    }
    return retval;
}

static int
parse_mac(char *text, struct postcard_port *p, struct lh_error *error)
{
    int retval = take_keys(text, mac_keys, p, error);

    if (retval) {
        return retval;
    }
    if (!*text) {
        lh_error_set(error, "the name of the port is missing");
        return EINVAL;
    }
    if (!p->is_inband && !strcmp(text, "inband")) {
        lh_error_set(error, "mac:inband needs collector=BRIDGE:PORT");
        return EINVAL;
    }
    if (!p->is_inband) {
        p->name = lh_strdup(text);
    } else if (strcmp(text, "inband")) {
        lh_error_set(error,
                     "collector= goes with mac:inband, not with a port "
                     "\"%s\"",
                     text);
        return EINVAL;
    }
    return 0;
}

int
postcard_port_parse(const char *text, struct postcard_port *p,
                    struct lh_error *error)
{
    char *copy = lh_strdup(text);
    int retval;

    *p = (struct postcard_port){
        .vlan = POSTCARD_PORT_VLAN,
    };
    if (!strncmp(copy, "geneve:", 7)) {
        p->encapsulation = INSTR_GENEVE;
        retval = parse_geneve(copy + 7, p, error);
    } else if (!strncmp(copy, "mac:", 4)) {
        p->encapsulation = INSTR_MAC;
        retval = parse_mac(copy + 4, p, error);
    } else if (!strncmp(copy, "agent", 5) && (!copy[5] || copy[5] == ',')) {
        p->encapsulation = INSTR_AGENT;
        retval = take_keys(copy, agent_keys, p, error);
    } else {
        lh_error_set(error, "must be "
                            "geneve:ADDRESS[:PORT][,or=ADDRESS[:PORT]]"
                            "[,port=NAME], "
                            "mac:NAME[,vlan=N], "
                            "mac:inband,collector=BRIDGE:PORT[,vlan=N] or "
                            "agent");
        retval = EINVAL;
    }
    free(copy);
    if (retval) {
        lh_error_prefix(error, "%s", text);
        postcard_port_uninit(p);
    }
    return retval;
}

void
postcard_port_uninit(struct postcard_port *p)
{
    for (size_t i = 0; i < p->n_targets; i++) {
        free(p->targets[i].address);
        free(p->targets[i].text);
        free(p->targets[i].match);
    }
    free(p->targets);
    free(p->name);
    free(p->bridge);
    free(p->collector);
    for (size_t i = 0; i < p->n_underlays; i++) {
        free(p->underlays[i]);
    }
    free(p->underlays);
    memset(p, 0, sizeof *p);
}

size_t
postcard_port_target(const struct postcard_port *p, const char *address,
                     uint16_t udp_port)
{
    size_t i = 0;

    while (i < p->n_targets && (strcmp(p->targets[i].address, address) != 0 ||
                                p->targets[i].udp_port != udp_port)) {
        i++;
    }
    return i;
}

const char *
postcard_port_kind(enum instr_encapsulation encapsulation)
{
    static const char *const names[INSTR_N_ENCAPSULATIONS] = {
        [INSTR_GENEVE] = "geneve",
        [INSTR_MAC] = "mac",
        [INSTR_AGENT] = "agent",
    };

    return names[encapsulation];
}

bool
postcard_port_is_at(const struct postcard_port *p, uint64_t dpid,
                    const char *bridge)
{
    if (!p->is_inband) {
        return true;
    }
    return p->collector ? bridge && !strcmp(p->collector, bridge)
                        : p->collector_dpid == dpid;
}

bool
postcard_port_is_underlay(const struct postcard_port *p, const char *bridge)
{
    for (size_t i = 0; bridge && i < p->n_underlays; i++) {
        if (!strcmp(p->underlays[i], bridge)) {
            return true;
        }
    }
    return false;
}

char *
postcard_port_name(const struct postcard_port *p, const char *bridge,
                   uint16_t index)
{
    const char *percent;

    if (!p->name) {
        return lh_asprintf("lhp-%u", index);
    }
    percent = strstr(p->name, "%b");
    return percent ? lh_asprintf("%.*s%s%s", (int) (percent - p->name),
                                 p->name, bridge ? bridge : "", percent + 2)
                   : lh_strdup(p->name);
}
