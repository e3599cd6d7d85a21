/* SPDX-License-Identifier: Apache-2.0 */
/* gen_topology - networks by name.
 *
 *     line:5            5 switches in a row
 *     ring:6            6 in a ring
 *     fat-tree:4        of k-port switches (k even): k*k/4 core switches and k
 *                       pods of k (Al-Fares, Loukissas, Vahdat 2008)
 *     leaf-spine:8x2    8 leaves, each linked to each of 2 spines
 *     net.json          docs/formats/topology.md; what has a '.' or '/'
 *
 * Those made here have switches s1, s2, .. with dpids, mac indexes and
 * addresses 192.0.2.1 (or 198.18.x.x, past 254) in that order.  Switches with
 * hosts have edge ports from 1 on, links come after them, and each switch has
 * one more port that is down.
 *
 * Threads: pure functions. */
#ifndef GEN_GEN_TOPOLOGY_H
#define GEN_GEN_TOPOLOGY_H 1

#include "lib/lh_error.h"
#include "lib/topology.h"

#define GEN_TOPOLOGY_MAX_SWITCHES TOPOLOGY_MAX_INDEX
#define GEN_TOPOLOGY_MAX_HOSTS    256
/* Ports of tunnels are this and the number of the other end. */
#define GEN_TOPOLOGY_TUNNEL_PORT 4000
/* So many switches with hosts have tunnels to each other. */
#define GEN_TOPOLOGY_MAX_TUNNELS 16

struct gen_topology_options {
    unsigned int n_hosts; /* Edge ports of a switch that has hosts (in a fat
                           * tree k/2 when 0, elsewhere 2). */
    bool has_tunnels;     /* Adds the ports and links of tunnels. */
};

/* Returns 0, an errno of the file, or EINVAL with the reason. */
int gen_topology_create(const char *text, const struct gen_topology_options *,
                        struct topology **, struct lh_error *);

/* The builder again, for a topology that is there. */
struct topology_builder *gen_topology_rebuild(const struct topology *);

#endif /* gen/gen_topology.h */
