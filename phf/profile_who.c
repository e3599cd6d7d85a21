/* SPDX-License-Identifier: Apache-2.0 */
/* profile_who - who sent a packet, as far as a profile asks. */
#include <config.h>

#include "phf/profile_who.h"

#include <stdbool.h>
#include <string.h>

void
profile_who_key(const struct profile_ask *ask, size_t n,
                const struct packet_who *who, struct profile_key *key)
{
    bool src = false, dst = false, all = false;

    for (size_t i = 0; i < n; i++) {
        enum profile_level by = ask->by[i];

        all = all || by == PROFILE_BY_FLOW;
        src = src || by == PROFILE_BY_SRC || by == PROFILE_BY_HOSTS;
        dst = dst || by == PROFILE_BY_DST || by == PROFILE_BY_HOSTS;
    }
    memset(key, 0, sizeof *key);
    if (!who->n_addr || !(src || dst || all)) {
        return;
    }
    key->n_addr = who->n_addr;
    if (src || all) {
        memcpy(key->flow.bytes, who->src, who->n_addr);
    }
    if (dst || all) {
        memcpy(key->flow.bytes + who->n_addr, who->dst, who->n_addr);
    }
    if (all) {
        key->proto = who->proto;
        key->has_ports = who->n_ports != 0;
        if (who->n_ports) {
            memcpy(key->flow.bytes + 2 * who->n_addr, who->ports,
                   who->n_ports);
        }
    }
}
