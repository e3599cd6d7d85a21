/* SPDX-License-Identifier: Apache-2.0 */
/* postcard_port - the value of --postcards. */
#include <config.h>

#include "recorder/postcard_port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static bool
is_address(const char *text)
{
    struct in6_addr address;

    return inet_pton(AF_INET, text, &address) == 1 ||
           inet_pton(AF_INET6, text, &address) == 1;
}

static int
parse_geneve(char *text, struct postcard_port *p, struct lh_error *error)
{
    char *port = NULL, *comma = strchr(text, ',');

    if (comma) {
        *comma = '\0';
        if (strncmp(comma + 1, "port=", 5) || !comma[6]) {
            lh_error_set(error, "\"%s\" is not port=NAME", comma + 1);
            return EINVAL;
        }
        p->name = lh_strdup(comma + 6);
    }
    if (*text == '[') { /* [IPv6]:PORT */
        char *bracket = strchr(text, ']');

        if (bracket) {
            *bracket = '\0';
            port = bracket[1] == ':' ? bracket + 2 : NULL;
        }
        text++;
    } else if (strchr(text, ':') == strrchr(text, ':')) {
        port = strchr(text, ':');
        if (port) {
            *port++ = '\0';
        }
    }
    if (!is_address(text)) {
        lh_error_set(error, "\"%s\" is no IP address", text);
        return EINVAL;
    }
    if (port && !parse_number(port, 65535, &p->udp_port)) {
        lh_error_set(error, "\"%s\" is no UDP port", port);
        return EINVAL;
    }
    p->address = lh_strdup(text);
    return 0;
}

static int
parse_mac(char *text, struct postcard_port *p, struct lh_error *error)
{
    char *comma = strchr(text, ',');

    if (comma) {
        *comma = '\0';
        if (strncmp(comma + 1, "vlan=", 5) ||
            !parse_number(comma + 6, 4094, &p->vlan)) {
            lh_error_set(error, "\"%s\" is not vlan=N with N from 1 to 4094",
                         comma + 1);
            return EINVAL;
        }
    }
    if (!*text) {
        lh_error_set(error, "the name of the port is missing");
        return EINVAL;
    }
    p->name = lh_strdup(text);
    return 0;
}

int
postcard_port_parse(const char *text, struct postcard_port *p,
                    struct lh_error *error)
{
    char *copy = lh_strdup(text);
    int retval;

    *p = (struct postcard_port){
        .udp_port = POSTCARD_PORT_GENEVE_UDP,
        .vlan = POSTCARD_PORT_VLAN,
    };
    if (!strncmp(copy, "geneve:", 7)) {
        p->encapsulation = INSTR_GENEVE;
        retval = parse_geneve(copy + 7, p, error);
    } else if (!strncmp(copy, "mac:", 4)) {
        p->encapsulation = INSTR_MAC;
        retval = parse_mac(copy + 4, p, error);
    } else {
        lh_error_set(error, "must be geneve:ADDRESS[:PORT][,port=NAME] or "
                            "mac:NAME[,vlan=N]");
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
    free(p->address);
    free(p->name);
    p->address = NULL;
    p->name = NULL;
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
