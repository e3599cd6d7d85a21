/* SPDX-License-Identifier: Apache-2.0 */
/* tunnel - which packet travels inside which.
 *
 * A tunnel packet and the packet inside it are two histories.  The map
 * remembers, for the tunnel packets of the last moments, whom they carried.
 * It has a fixed size and forgets when two share a place: what it says is
 * right, but it does not always know.
 *
 * Threads: a map belongs to one thread. */
#ifndef SERVER_TUNNEL_H
#define SERVER_TUNNEL_H 1

#include <stdint.h>

struct tunnel_map;

/* NULL when memory is short. */
struct tunnel_map *tunnel_map_create(void);
void tunnel_map_destroy(struct tunnel_map *);

/* Notes that packet 'outer' carried 'inner' at 'time_ns'. */
void tunnel_map_add(struct tunnel_map *, uint64_t inner, uint64_t outer,
                    uint64_t time_ns);
/* The packet that carried 'inner' at 'not_before_ns' or later; 0 when not
 * known. */
uint64_t tunnel_map_find(const struct tunnel_map *, uint64_t inner,
                         uint64_t not_before_ns);

/* Calls 'fn' for all that was noted of 'not_before_ns' or later. */
void tunnel_map_each(const struct tunnel_map *, uint64_t not_before_ns,
                     void (*fn)(void *aux, uint64_t inner, uint64_t outer,
                                uint64_t time_ns),
                     void *aux);

#endif /* server/tunnel.h */
