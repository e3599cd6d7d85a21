/* SPDX-License-Identifier: Apache-2.0 */
/* gen_config - what is to be made up.
 *
 * gen_config_init() gives what lasthop-gen does when it is asked for nothing;
 * gen_config_preset() what a name stands for.
 *
 * Ownership: strings are borrowed.
 *
 * Threads: plain data. */
#ifndef GEN_GEN_CONFIG_H
#define GEN_GEN_CONFIG_H 1

#include "gen/gen_delay.h"
#include "gen/gen_route.h"
#include "gen/gen_traffic.h"
#include "lib/lh_error.h"
#include "lib/packet_id.h"

enum gen_encap { GEN_GENEVE, GEN_MAC };

struct gen_config {
    uint64_t seed;

    const char *topology; /* As gen_topology reads it. */
    unsigned int n_hosts; /* Edge ports of switches that have some, 0: as the
                           * topology likes. */
    uint32_t n_hops;      /* Ways of so many switches only; 0: any. */

    const char *trace; /* A capture file, or NULL: packets made up. */
    struct gen_traffic_options traffic;
    uint64_t rate;      /* Packets a second; 0: the times of the trace, or
                         * 100,000. */
    uint64_t start_ns;  /* Of packets made up or with a rate. */
    uint64_t n_packets; /* 0: the trace once, or 100,000. */

    enum gen_encap encap;
    uint16_t mac_vlan;
    uint16_t snap;
    bool is_micro; /* Times in whole microseconds. */
    struct packet_id_config id_config;

    /* Of flows, in parts of GEN_RANDOM_ALL; the rest is GEN_PLAIN. */
    uint32_t shares[N_GEN_KINDS];
    struct gen_delay hop_delay, punt_delay;
    uint32_t churn;          /* Rules renewed in a second. */
    uint64_t link_change_ns; /* Links change so far apart in the mean, 0:
                              * never.  For who asks for the topologies. */

    /* Faults of postcards, in parts of GEN_RANDOM_ALL of them. */
    uint32_t loss, duplicate, reorder;
    uint64_t reorder_ns; /* Those come later by up to this. */
    uint64_t skew_ns;    /* Each switch's come later by a constant up to
                          * this. */
    uint32_t identical;  /* Of packets: sent twice, some ms apart. */
};

void gen_config_init(struct gen_config *);
/* Sets what the preset sets, besides what is there.  'data' is the directory
 * of traces, or NULL.  Returns 0, or EINVAL; ENOENT when the preset needs a
 * trace that is not there.  '*path' (the caller's to free, or NULL) is what
 * the config then refers to. */
int gen_config_preset(struct gen_config *, const char *name, const char *data,
                      char **path, struct lh_error *);
/* The preset "faults" with tunnels and links that change: for who takes the
 * topologies from gen. */
void gen_config_set_all(struct gen_config *);
/* What fits together.  Returns 0, or EINVAL. */
int gen_config_check(const struct gen_config *, struct lh_error *);

#endif /* gen/gen_config.h */
