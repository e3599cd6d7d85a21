/* SPDX-License-Identifier: Apache-2.0 */
/* gen_config - what is to be made up. */
#include <config.h>
#include "gen/gen_config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gen/gen_walk.h"
#include "lib/lh_alloc.h"

#define MIX_FILE "campus-mix-dev.pcap.zst"
#define MIN_SNAP 54
#define PERCENT  (GEN_RANDOM_ALL / 100)
#define MAX_RATE 1000000000u

void
gen_config_init(struct gen_config *config)
{
    struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;

    memset(config, 0, sizeof *config);
    config->seed = 1;
    config->topology = "line:5";
    config->traffic = (struct gen_traffic_options){
        .n_flows = 1000,
        .ip6_share = 10 * PERCENT,
    };
    config->start_ns = 1700000000000000000u;
    config->encap = GEN_GENEVE;
    config->mac_vlan = 4094;
    config->snap = PACKET_ID_SNAP;
    config->id_config = id_config;
    config->hop_delay = (struct gen_delay){GEN_DELAY_UNIFORM, 5000, 50000};
    config->punt_delay = (struct gen_delay){GEN_DELAY_UNIFORM, 300000, 900000};
}

/* What archive figures are measured on. */
static void
set_mix(struct gen_config *config)
{
    config->topology = "line:5";
    config->n_hops = 5;
    config->is_micro = true;
}

/* A busy data centre in which all is well. */
static void
set_fabric(struct gen_config *config)
{
    config->topology = "fat-tree:4";
    config->shares[GEN_NAT] = 10 * PERCENT;
    config->shares[GEN_MIXED] = 10 * PERCENT;
}

/* Everything that may befall packets. */
static void
set_trouble(struct gen_config *config)
{
    config->topology = "fat-tree:4";
    for (enum gen_kind kind = GEN_MIXED; kind < N_GEN_KINDS; kind++) {
        config->shares[kind] = 3 * PERCENT;
    }
    config->shares[GEN_TUNNEL] = config->shares[GEN_UNDERLAY] = 0;
    config->churn = 20;
}

static void
set_faults(struct gen_config *config)
{
    set_trouble(config);
    config->loss = 2 * PERCENT;
    config->duplicate = 1 * PERCENT;
    config->reorder = 5 * PERCENT;
    config->reorder_ns = 250000; /* Sooner than a controller answers. */
    config->skew_ns = 200000;
    config->identical = PERCENT / 2;
}

void
gen_config_set_all(struct gen_config *config)
{
    set_faults(config);
    config->shares[GEN_TUNNEL] = 3 * PERCENT;
    config->rate = 20000;
    config->link_change_ns = UINT64_C(1500000000);
    config->traffic.fragments = 20 * PERCENT;
}

int
gen_config_preset(struct gen_config *config, const char *name,
                  const char *data, char **path, struct lh_error *error)
{
    *path = NULL;
    if (!strcmp(name, "mix")) {
        if (!data) {
            lh_error_set(error, "preset mix reads " MIX_FILE " in the "
                                "directory LASTHOP_DATA, which is not set; "
                                "the other presets need no file");
            return ENOENT;
        }
        *path = lh_asprintf("%s/" MIX_FILE, data);
        if (access(*path, R_OK)) {
            lh_error_set(error, "preset mix: %s: %s", *path, strerror(errno));
            free(*path);
            *path = NULL;
            return ENOENT;
        }
        set_mix(config);
        config->trace = *path;
    } else if (!strcmp(name, "fabric")) {
        set_fabric(config);
    } else if (!strcmp(name, "trouble")) {
        set_trouble(config);
    } else if (!strcmp(name, "faults")) {
        set_faults(config);
    } else {
        lh_error_set(error,
                     "\"%s\" is no preset: give mix, fabric, trouble or "
                     "faults",
                     name);
        return EINVAL;
    }
    return 0;
}

int
gen_config_check(const struct gen_config *config, struct lh_error *error)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < N_GEN_KINDS; i++) {
        sum += config->shares[i];
    }
    if (sum > GEN_RANDOM_ALL) {
        lh_error_set(error,
                     "the shares of flows are %" PRIu64
                     " %% altogether: at most 100",
                     sum / PERCENT);
    } else if (config->snap < MIN_SNAP || config->snap > GEN_WALK_MAX_SNAP) {
        lh_error_set(error, "the snap length must be from %d to %d", MIN_SNAP,
                     GEN_WALK_MAX_SNAP);
    } else if (config->rate > MAX_RATE) {
        lh_error_set(error, "the rate must be from 1 to %u packets a second",
                     MAX_RATE);
    } else if (config->churn > 1000000) {
        lh_error_set(error, "at most 1000000 rules can change in a second");
    } else if (!config->traffic.n_flows ||
               config->traffic.n_flows > GEN_TRAFFIC_MAX_FLOWS) {
        lh_error_set(error, "from 1 to %u flows", GEN_TRAFFIC_MAX_FLOWS);
    } else {
        return 0;
    }
    return EINVAL;
}
