/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_receive - what a server of a cluster receives: postcards for the
 * door, and what is counted of switches. */
#include <config.h>

#include <inttypes.h>

#include "lib/dpid.h"
#include "lib/monotonic.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "server/cluster_impl.h"

/* --- Postcards ----------------------------------------------------------- */

void
cluster_add(struct cluster *cluster, const struct postcard *postcard)
{
    if (cluster->door) {
        cluster_door_add(cluster->door, postcard);
        if (cluster->tally && !postcard->visit) {
            cluster_tally_came(cluster->tally, postcard->dpid,
                               postcard->time_ns,
                               cluster_door_token(cluster->door));
        }
    } else {
        cluster->n_early++;
    }
}

void
cluster_begin(struct cluster *cluster, const uint8_t agent[AGENT_ID_LEN],
              uint64_t frame)
{
    if (cluster->door) {
        cluster_door_begin(cluster->door, cluster_book_key(agent), frame);
    }
}

void
cluster_lose(struct cluster *cluster, const uint8_t agent[AGENT_ID_LEN],
             const struct agent_loss *loss)
{
    if (cluster->book) {
        cluster_book_lose(cluster->book, agent, loss, time_spec_now());
    }
}

void
cluster_count(struct cluster *cluster, uint64_t dpid, uint64_t asked_ns,
              uint64_t time_ns, uint64_t n_sent)
{
    if (cluster->tally && cluster->share &&
        cluster_share_is_coordinator(cluster->share)) {
        cluster_tally_count(cluster->tally, dpid, asked_ns, time_ns, n_sent);
    }
}

const char *
cluster_busy(const struct cluster *cluster)
{
    if (!cluster->is_ready) {
        return "the server is not part of its cluster yet";
    }
    if (!cluster->is_connected) {
        return "the server cannot reach NATS";
    }
    return cluster->is_draining ? "the server is being drained" : NULL;
}

bool
cluster_has_room(const struct cluster *cluster)
{
    return cluster->door && cluster_door_has_room(cluster->door);
}

uint64_t
cluster_n_added(const struct cluster *cluster)
{
    return cluster->door ? cluster_door_token(cluster->door) : 0;
}

uint64_t
cluster_n_safe(const struct cluster *cluster)
{
    return cluster->door ? cluster_door_settled(cluster->door) : 0;
}

/* --- What was lost, and what came ---------------------------------------- */

static void
on_lost(void *cluster_, uint64_t dpid, uint64_t n)
{
    static struct say_site site;
    struct cluster *cluster = cluster_;
    char text[DPID_BUFSIZE];

    if (cluster->tally) {
        cluster_tally_lose(cluster->tally, dpid);
    }
    say(&site, SAY_WARN,
        "%" PRIu64 " postcards of switch %s found no way into NATS and are "
        "lost (lasthopctl cluster status says what is wrong)",
        n, dpid_to_string(dpid, text));
}

void
cluster_receive_tell_lost(struct cluster *cluster)
{
    cluster_door_take_lost(cluster->door, on_lost, cluster);
}

void
cluster_receive_tell(struct cluster *cluster)
{
    uint64_t now_ns = time_spec_now();

    if (cluster->tally && now_ns - cluster->tallied_ns >= CLUSTER_TALLY_NS) {
        cluster->tallied_ns = now_ns;
        /* Before it is told that they came. */
        cluster_receive_tell_lost(cluster);
        cluster_tally_run(cluster->tally, cluster_door_settled(cluster->door),
                          now_ns);
        cluster_book_run(cluster->book, cluster_door_token(cluster->door),
                         cluster_door_settled(cluster->door), now_ns);
        cluster_wants_run(cluster->wants,
                          cluster->parts.want(cluster->parts.aux),
                          monotonic_ns());
        cluster_sent_run(cluster->sent, monotonic_ns());
    }
}
