/* SPDX-License-Identifier: Apache-2.0 */
/* gen_links - links that change while packets are on their way.
 *
 * Now and then the far ends of two links are exchanged, or a link goes down;
 * the next change undoes it.  Rules stay as they are, so that packets then
 * come to switches that have none for them.  News of a change is a little
 * later than the change.
 *
 * Ownership: topologies are the links'.
 *
 * Threads: that of the net. */
#ifndef GEN_GEN_LINKS_H
#define GEN_GEN_LINKS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/topology.h"

#define GEN_LINKS_NEWS_NS 20000000u /* News is so much later at most. */

struct gen_net;
struct gen_links;

/* Changes come 'mean_ns' apart in the mean, none before 'begin_ns'. */
struct gen_links *gen_links_create(const struct gen_net *, uint64_t begin_ns,
                                   uint64_t mean_ns, uint64_t seed);
void gen_links_destroy(struct gen_links *);

/* Decides all changes up to 'until_ns'. */
void gen_links_plan(struct gen_links *, uint64_t until_ns);
/* Where the link at a port that has one leads at that time; false while it is
 * down.  Times must be planned already. */
bool gen_links_peer(const struct gen_links *, uint64_t dpid, uint32_t port,
                    uint64_t time_ns, uint64_t *peer_dpid,
                    uint32_t *peer_port);

struct gen_links_change {
    uint64_t time_ns, news_ns;
    struct topology *topology; /* From then on. */
};

size_t gen_links_n_changes(const struct gen_links *);
const struct gen_links_change *gen_links_change(const struct gen_links *,
                                                size_t i);

#endif /* gen/gen_links.h */
