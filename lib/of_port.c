/* SPDX-License-Identifier: Apache-2.0 */
/* of_port - OpenFlow port numbers as lasthop writes them everywhere. */
#include <config.h>
#include "lib/of_port.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <strings.h>

static const struct {
    uint32_t port;
    const char *name;
} names[] = {
    {OF_PORT_GROUP, "GROUP"},
    {OF_PORT_IN_PORT, "IN_PORT"},
    {OF_PORT_TABLE, "TABLE"},
    {OF_PORT_NORMAL, "NORMAL"},
    {OF_PORT_FLOOD, "FLOOD"},
    {OF_PORT_ALL, "ALL"},
    {OF_PORT_CONTROLLER, "CONTROLLER"},
    {OF_PORT_LOCAL, "LOCAL"},
    {OF_PORT_NONE, "DROP"},
    {OF_PORT_NONE, "NONE"},
};

const char *
of_port_name(uint32_t port)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].port == port) {
            return names[i].name;
        }
    }
    return NULL;
}

bool
of_port_from_string(const char *text, uint32_t *portp)
{
    unsigned long number;
    char *end;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!strcasecmp(names[i].name, text)) {
            *portp = names[i].port;
            return true;
        }
    }
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    number = strtoul(text, &end, 10);
    if (errno || *end || number > 0xffff) {
        return false;
    }
    *portp = (uint32_t) number;
    return true;
}
