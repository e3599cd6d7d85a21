/* SPDX-License-Identifier: Apache-2.0 */
/* path_kit - implementation. */
#include <config.h>
#include "server/path_kit.h"

#include <stdlib.h>

#include "server/assemble.h"
#include "server/card_kind.h"
#include "server/topology_past.h"
#include "server/trajectory_cache.h"

struct path_kit *
path_kit_create(bool has_trajectories)
{
    struct path_kit *kit = calloc(1, sizeof *kit);

    if (!kit) {
        return NULL;
    }
    kit->kinds = card_kind_cache_create();
    kit->assembler = assembler_create();
    kit->trajectories = has_trajectories ? trajectory_cache_create() : NULL;
    if (!kit->kinds || !kit->assembler ||
        (has_trajectories && !kit->trajectories)) {
        path_kit_destroy(kit);
        return NULL;
    }
    return kit;
}

void
path_kit_destroy(struct path_kit *kit)
{
    if (kit) {
        card_kind_cache_destroy(kit->kinds);
        assembler_destroy(kit->assembler);
        trajectory_cache_destroy(kit->trajectories);
        topology_unref(kit->topology);
        free(kit);
    }
}

/* The kinds go by it from now on. */
static void
take_topology(struct path_kit *kit, const struct topology *topology)
{
    struct topology *was = kit->topology;

    kit->topology = topology ? topology_ref(topology) : NULL;
    card_kind_cache_set_topology(kit->kinds, kit->topology);
    topology_unref(was);
}

void
path_kit_set_topology(struct path_kit *kit, const struct topology *topology)
{
    if (topology == kit->topology) {
        return;
    }
    if (kit->trajectories) {
        trajectory_cache_clear(kit->trajectories);
    }
    take_topology(kit, topology);
}

/* Two topologies that follow each other. */
struct change {
    const struct topology *from, *to;
};

static bool
is_changed(const void *change_, uint64_t dpid)
{
    const struct change *change = change_;

    return topology_past_differ(change->from, change->to, dpid);
}

void
path_kit_change_topology(struct path_kit *kit, const struct topology *topology)
{
    const struct change change = {kit->topology, topology};

    if (topology == kit->topology) {
        return;
    }
    if (kit->trajectories && kit->topology) {
        trajectory_cache_forget(kit->trajectories, is_changed, &change);
    }
    take_topology(kit, topology);
}
