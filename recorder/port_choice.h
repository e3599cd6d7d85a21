/* SPDX-License-Identifier: Apache-2.0 */
/* port_choice - what the Geneve port of a bridge is called, and its tunnel
 * key, so that several recorders may have ports in one Open vSwitch: there
 * names are unique, and so are keys among tunnels to one address (here to any
 * of those that a port may be moved to).
 *
 * Without a name of its own a port is called lhp-KEY, and KEY is the switch's
 * index; where somebody else has that name or key, the first number 4,096,
 * 8,192, .. above it that nobody has.  A port that a recorder made on the
 * bridge keeps its name and key.
 *
 * Threads: plain data. */
#ifndef RECORDER_PORT_CHOICE_H
#define RECORDER_PORT_CHOICE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/postcard_port.h"

struct port_choice {
    char *name; /* Owned. */
    uint32_t key;
    bool is_there;  /* On this bridge or another, */
    bool is_ours;   /* made by a recorder, */
    bool is_geneve; /* a Geneve port to a collector: */
    size_t target;  /* which of those of the option it leads to; how many
                     * these are: none. */
};

/* Chooses by 'output', what ovs-vsctl prints of PORT_CHOICE_COLUMNS of all
 * Geneve interfaces, then of the one called 'name', or lhp-'index' if that is
 * NULL, as JSON, and then of the bridge's interfaces, a name a line.  0, or
 * EPROTO where that is not what 'output' is. */
#define PORT_CHOICE_COLUMNS "name,type,options,external_ids"
int port_choice_make(const char *output, const char *name,
                     const struct postcard_port *, uint16_t index,
                     struct port_choice *);
void port_choice_uninit(struct port_choice *);

#endif /* recorder/port_choice.h */
