/* SPDX-License-Identifier: Apache-2.0 */
/* postcard_ports - all that --postcards was given for. */
#include <config.h>

#include "recorder/postcard_ports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

/* Texts that may be NULL. */
static bool
is_same(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

int
postcard_ports_add(struct postcard_ports *ports, const char *text,
                   struct lh_error *error)
{
    struct postcard_port port;
    int retval = postcard_port_parse(text, &port, error);

    if (retval) {
        return retval;
    }
    for (size_t i = 0; i < ports->n; i++) {
        const struct postcard_port *old = &ports->ports[i];

        if (old->encapsulation == port.encapsulation &&
            (port.is_inband || old->is_inband)) {
            lh_error_set(error,
                         "%s: mac:inband is for all bridges and goes with no "
                         "other mac",
                         text);
            retval = EINVAL;
            break;
        }
        if (!is_same(old->bridge, port.bridge)) {
            continue;
        }
        if (old->encapsulation == port.encapsulation) {
            lh_error_set(error, "%s: %s was given before for %s%s", text,
                         postcard_port_kind(port.encapsulation),
                         port.bridge ? "bridge " : "all bridges",
                         port.bridge ? port.bridge : "");
            retval = EINVAL;
        } else if (port.name && is_same(old->name, port.name)) {
            lh_error_set(error,
                         "%s: port %s has the postcards of the other "
                         "encapsulation",
                         text, port.name);
            retval = EINVAL;
        }
    }
    if (port.is_inband && port.bridge) {
        lh_error_set(error, "%s: mac:inband is for all bridges", text);
        retval = EINVAL;
    }
    if (retval) {
        postcard_port_uninit(&port);
        return retval;
    }
    ports->ports =
        lh_alloc_array(ports->ports, ports->n + 1, sizeof *ports->ports);
    ports->ports[ports->n++] = port;
    return 0;
}

void
postcard_ports_uninit(struct postcard_ports *ports)
{
    for (size_t i = 0; i < ports->n; i++) {
        postcard_port_uninit(&ports->ports[i]);
    }
    free(ports->ports);
    *ports = (struct postcard_ports){.ports = NULL};
}

/* The first for 'bridge' whose encapsulation is among the bits 'which'. */
static const struct postcard_port *
find(const struct postcard_ports *ports, const char *bridge,
     unsigned int which)
{
    const struct postcard_port *found = NULL;

    for (size_t i = 0; i < ports->n; i++) {
        const struct postcard_port *p = &ports->ports[i];

        if (!(which & 1u << p->encapsulation) ||
            (p->bridge && !(bridge && !strcmp(p->bridge, bridge)))) {
            continue;
        }
        if (!found || (p->bridge && !found->bridge)) {
            found = p;
        }
    }
    return found;
}

const struct postcard_port *
postcard_ports_find(const struct postcard_ports *ports, const char *bridge,
                    enum instr_encapsulation encapsulation)
{
    return find(ports, bridge, 1u << encapsulation);
}

const struct postcard_port *
postcard_ports_default(const struct postcard_ports *ports, const char *bridge)
{
    return find(ports, bridge, (1u << INSTR_N_ENCAPSULATIONS) - 1);
}

const struct postcard_port *
postcard_ports_inband(const struct postcard_ports *ports)
{
    for (size_t i = 0; i < ports->n; i++) {
        if (ports->ports[i].is_inband) {
            return &ports->ports[i];
        }
    }
    return NULL;
}

const struct postcard_port *
postcard_ports_underlay(const struct postcard_ports *ports, const char *bridge)
{
    for (size_t i = 0; i < ports->n; i++) {
        if (postcard_port_is_underlay(&ports->ports[i], bridge)) {
            return &ports->ports[i];
        }
    }
    return NULL;
}
