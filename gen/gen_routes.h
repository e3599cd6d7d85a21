/* SPDX-License-Identifier: Apache-2.0 */
/* gen_routes - which route a packet takes: by its addresses where it enters
 * and leaves, by its flow what befalls it.
 *
 * Routes are kept in a cache of fixed size and made anew when they were
 * forgotten.
 *
 * Ownership: routes belong to the cache, until the next call.
 *
 * Threads: that of the net. */
#ifndef GEN_GEN_ROUTES_H
#define GEN_GEN_ROUTES_H 1

#include "gen/gen_config.h"
#include "gen/gen_packet.h"

struct gen_routes;

/* Borrows the net and the config.  Returns 0, or EINVAL when the net has no
 * way as the config wants it. */
int gen_routes_create(struct gen_net *, const struct gen_config *,
                      struct gen_routes **, struct lh_error *);
void gen_routes_destroy(struct gen_routes *);
const struct gen_route *gen_routes_find(struct gen_routes *,
                                        const struct gen_packet *);
/* That of the tunnel's own packets under a route of the kind GEN_TUNNEL, which
 * stays good. */
const struct gen_route *gen_routes_underlay(struct gen_routes *,
                                            const struct gen_route *);

#endif /* gen/gen_routes.h */
