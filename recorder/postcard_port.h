/* SPDX-License-Identifier: Apache-2.0 */
/* postcard_port - how postcards leave a switch: the value of --postcards.
 *
 *     geneve:ADDRESS[:PORT][,port=NAME]    by a Geneve port to a collector
 *     geneve:ADDRESS[:PORT],or=ADDRESS[:PORT]..
 *                                          to one of several, each switch to
 * its own (recorder/collectors.h)
 *     mac:NAME[,vlan=N]                    by the port NAME, in VLAN N
 *     mac:inband,collector=BRIDGE:PORT[,vlan=N]
 *                                          from bridge to bridge, in VLAN N,
 * to the port PORT of BRIDGE, which is a name or 16 hex digits of a dpid
 *     geneve:..,underlay=BRIDGE            they pass through BRIDGE, too (may
 *                                          be repeated)
 *     agent                                the switch makes them itself, for
 *                                          lasthop-agent, if it can
 *
 * %b in NAME stands for the bridge's name; a Geneve port without a name of its
 * own is called lhp-INDEX, or as port_choice.h finds with OVSDB.  With
 * ",bridge=BRIDGE" it is for that bridge only.
 *
 * Threads: plain data. */
#ifndef RECORDER_POSTCARD_PORT_H
#define RECORDER_POSTCARD_PORT_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/lh_error.h"
#include "recorder/instr.h"

#define POSTCARD_PORT_VLAN 4094

/* Where Geneve postcards may go. */
struct postcard_target {
    char *address; /* Owned. */
    uint16_t udp_port;
    char *text;  /* ADDRESS:PORT, [ADDRESS]:PORT.  Owned. */
    char *match; /* What passes an underlay.  Owned. */
};

struct postcard_port {
    enum instr_encapsulation encapsulation;
    struct postcard_target *targets; /* geneve: one or more.  Owned. */
    size_t n_targets;
    char *name;    /* With %b.  Owned; NULL: lhp-INDEX. */
    uint16_t vlan; /* mac. */
    char *bridge;  /* Of this one only; NULL: of any.  Owned. */

    bool is_inband;          /* mac: 'name' is that of the collector's port. */
    char *collector;         /* Its bridge.  Owned; NULL if known by: */
    uint64_t collector_dpid; /* 0: not known. */

    char **underlays; /* geneve: names of bridges.  Owned, as they are. */
    size_t n_underlays;
};

/* 0, or EINVAL with a reason. */
int postcard_port_parse(const char *text, struct postcard_port *,
                        struct lh_error *);
void postcard_port_uninit(struct postcard_port *);

/* Its target at that address and UDP port, or its n_targets. */
size_t postcard_port_target(const struct postcard_port *, const char *address,
                            uint16_t udp_port);

/* "geneve", "mac" or "agent". */
const char *postcard_port_kind(enum instr_encapsulation);

/* True when that bridge ('bridge' is NULL for unknown) has a postcard port of
 * its own. */
bool postcard_port_is_at(const struct postcard_port *, uint64_t dpid,
                         const char *bridge);
/* True when Geneve postcards pass through that bridge. */
bool postcard_port_is_underlay(const struct postcard_port *,
                               const char *bridge);

/* The name of the port on bridge 'bridge' whose switch has 'index'; for
 * free(). */
char *postcard_port_name(const struct postcard_port *, const char *bridge,
                         uint16_t index);

#endif /* recorder/postcard_port.h */
