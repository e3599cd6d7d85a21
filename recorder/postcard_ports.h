/* SPDX-License-Identifier: Apache-2.0 */
/* postcard_ports - all that --postcards was given for: which ports a bridge
 * has for its postcards.
 *
 * A bridge has at most one port of each encapsulation.  What names the bridge
 * comes before what does not, and else what was given first before what was
 * given later.
 *
 * Threads: plain data. */
#ifndef RECORDER_POSTCARD_PORTS_H
#define RECORDER_POSTCARD_PORTS_H 1

#include <stddef.h>

#include "recorder/postcard_port.h"

struct postcard_ports {
    struct postcard_port *ports; /* In the order given.  Owned. */
    size_t n;
};

/* Adds what 'text' says.  0, or EINVAL with a reason, also when the same was
 * said before for the same bridge. */
int postcard_ports_add(struct postcard_ports *, const char *text,
                       struct lh_error *);
void postcard_ports_uninit(struct postcard_ports *);

/* That of 'bridge' (NULL: not known) with the encapsulation; NULL: none. */
const struct postcard_port *
postcard_ports_find(const struct postcard_ports *, const char *bridge,
                    enum instr_encapsulation encapsulation);
/* That of 'bridge' by which go the postcards of which no selection says
 * otherwise; NULL: none. */
const struct postcard_port *
postcard_ports_default(const struct postcard_ports *, const char *bridge);

/* mac:inband, which goes for all bridges, or NULL. */
const struct postcard_port *
postcard_ports_inband(const struct postcard_ports *);
/* That whose Geneve postcards pass through 'bridge'; NULL: none do. */
const struct postcard_port *
postcard_ports_underlay(const struct postcard_ports *, const char *bridge);

#endif /* recorder/postcard_ports.h */
