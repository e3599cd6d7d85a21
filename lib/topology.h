/* SPDX-License-Identifier: Apache-2.0 */
/* topology - switches, ports and links, as the recorder found them.
 *
 * A topology is immutable once made: it is built from JSON
 * (docs/formats/topology.md) or with a topology_builder, then shared by
 * reference.  A changed network is a new topology with a higher epoch.
 *
 * Ownership: counted; topology_ref()/topology_unref().  Pointers that getters
 * return live as long as the reference.
 *
 * Threads: any thread may read; the count is atomic. */
#ifndef LIB_TOPOLOGY_H
#define LIB_TOPOLOGY_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "lib/dpid.h"
#include "lib/lh_error.h"

struct topology_port {
    uint16_t no;
    bool edge;     /* No switch of ours behind it. */
    bool down;     /* Administratively or physically; "state":"down". */
    char *name;    /* NULL if unknown. */
    bool has_peer; /* A link leads from here to: */
    uint64_t peer_dpid;
    uint16_t peer_port;
};

#define TOPOLOGY_MAX_INDEX 4095

/* Whose clock stamps a switch's postcards, and how it goes. */
struct topology_clock {
    bool is_told;
    uint32_t host;     /* Switches of one host have one clock. */
    bool is_known;     /* How far it is, at 'at_ns', */
    int64_t offset_ns; /* ahead of that of host 0, */
    uint64_t error_ns; /* and how wrong that is at most. */
    uint64_t at_ns;
};

struct topology_switch {
    uint64_t dpid;
    char *name;     /* NULL if unknown. */
    uint16_t index; /* 1..TOPOLOGY_MAX_INDEX of the mac encapsulation; 0 if
                     * none. */
    char *address;  /* Where its postcards come from ("192.0.2.1"), or
                     * NULL. */
    struct topology_clock clock;
    size_t n_ports, allocated_ports;
    struct topology_port *ports; /* Sorted by number. */
};

struct topology;
struct topology_builder;

struct topology_builder *topology_builder_create(void);
void topology_builder_destroy(struct topology_builder *);
/* Each adds or updates.  Strings are copied; NULL or an index of 0 means "not
 * known" and keeps what was known before.  A port or link of a switch that is
 * not there makes the switch. */
void topology_builder_add_switch(struct topology_builder *, uint64_t dpid,
                                 const char *name, uint16_t index,
                                 const char *address);
void topology_builder_set_clock(struct topology_builder *, uint64_t dpid,
                                const struct topology_clock *);
void topology_builder_add_port(struct topology_builder *, uint64_t dpid,
                               uint16_t no, const char *name, bool edge);
void topology_builder_set_port_down(struct topology_builder *, uint64_t dpid,
                                    uint16_t no, bool down);
/* A link in both directions; it makes ports that are not there, and both ends
 * not edge.  An older link of either end is taken away.  A port linked to
 * itself is not a link and is ignored. */
void topology_builder_add_link(struct topology_builder *, uint64_t a_dpid,
                               uint16_t a_port, uint64_t b_dpid,
                               uint16_t b_port);
/* What was built so far, to look things up in; borrowed until the next call
 * that changes it. */
const struct topology *topology_builder_peek(const struct topology_builder *);
/* Makes the topology, with 'epoch', and destroys the builder. */
struct topology *topology_build(struct topology_builder *, uint64_t epoch);

/* From the JSON of docs/formats/topology.md.  Returns 0 or EINVAL with a
 * reason that names the member at fault. */
int topology_from_json(const json_t *, struct topology **, struct lh_error *);
/* From a file; errno values for I/O, EINVAL for content (line named). */
int topology_from_file(const char *path, struct topology **,
                       struct lh_error *);
/* A new JSON object (the caller's), same format. */
json_t *topology_to_json(const struct topology *);
/* The member `clock` of one of its switches. */
json_t *topology_clock_to_json(const struct topology_clock *);

struct topology *topology_ref(const struct topology *);
void topology_unref(struct topology *);
uint64_t topology_epoch(const struct topology *);

/* Whether something is told of a switch's clock. */
bool topology_has_clocks(const struct topology *);

/* Switches in order of their dpids. */
size_t topology_n_switches(const struct topology *);
const struct topology_switch *topology_switch_at(const struct topology *,
                                                 size_t i);
/* NULL when not there. */
const struct topology_switch *topology_find(const struct topology *,
                                            uint64_t dpid);
const struct topology_switch *topology_find_name(const struct topology *,
                                                 const char *name);
const struct topology_switch *topology_find_index(const struct topology *,
                                                  uint16_t index);
const struct topology_port *topology_port(const struct topology *,
                                          uint64_t dpid, uint32_t port);
/* The far end of the link at (dpid, port); false when no link is known. */
bool topology_peer(const struct topology *, uint64_t dpid, uint32_t port,
                   uint64_t *peer_dpid, uint32_t *peer_port);
/* True when (dpid, port) is known to be an edge port.  OF_PORT_LOCAL is
 * one. */
bool topology_is_edge(const struct topology *, uint64_t dpid, uint32_t port);
/* The name of a switch, or its dpid written into 'buf'; 'topology' may be
 * NULL. */
const char *topology_switch_text(const struct topology *topology,
                                 uint64_t dpid, char buf[DPID_BUFSIZE]);
/* Number by name on one switch, for filters: false when not there. */
bool topology_port_by_name(const struct topology *, uint64_t dpid,
                           const char *name, uint32_t *portp);

#endif /* lib/topology.h */
