/* SPDX-License-Identifier: Apache-2.0 */
/* collectors - which of several servers the Geneve postcards of a switch go
 * to: --postcards geneve:ADDRESS,or=ADDRESS..
 *
 * Of those that live each switch has its own by rendezvous hashing
 * (lib/rendezvous.h) on its datapath ID: when one dies only its switches move,
 * spread over the others, and when it is back they come back.
 *
 * Who lives the servers of a cluster say, those that are connected to the
 * recorder, about once a second, of all servers (operation `collectors`,
 * docs/api.md).  What was said last counts, but that one is dead is believed
 * of those only who have spoken for COLLECTORS_NEW_MS: a server that has just
 * started does not know the others yet.  Who has said something and then
 * nothing for COLLECTORS_SILENT_MS is dead itself, unless another server still
 * speaks.  One that comes back is used when it has lived for
 * COLLECTORS_BACK_MS.
 *
 * While nobody has said anything, all count as living and a port stays where
 * it leads; when all are dead as well.
 *
 * Threads: that of the event loop. */
#ifndef RECORDER_COLLECTORS_H
#define RECORDER_COLLECTORS_H 1

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/postcard_ports.h"

#define COLLECTORS_SILENT_MS 4000
#define COLLECTORS_BACK_MS   5000
#define COLLECTORS_NEW_MS    10000
#define COLLECTORS_MAX       64 /* Servers that speak. */

struct api_server;
struct collectors;

/* 'postcards' is borrowed. */
struct collectors *collectors_create(const struct postcard_ports *postcards);
void collectors_destroy(struct collectors *);

/* Server 'name', whose own address is 'self' (NULL: none), says that of all
 * servers those at 'alive' live.  'now_ms' is any clock that goes forward. */
void collectors_tell(struct collectors *, const char *name, const char *self,
                     const char *const alive[], size_t n_alive,
                     int64_t now_ms);
/* Time has passed. */
void collectors_run(struct collectors *, int64_t now_ms);

/* Which of the targets of 'port' switch 'dpid' should have, when it has number
 * 'now' (n_targets: none); of NULL the first. */
size_t collectors_choose(const struct collectors *,
                         const struct postcard_port *port, uint64_t dpid,
                         size_t now);

/* [{"address", "alive"}, ..], 'alive' null while nobody has said it: a new
 * array. */
json_t *collectors_to_json(const struct collectors *);
/* Serves the operation `collectors` (docs/api.md). */
void collectors_add_op(struct collectors *, struct api_server *);

#endif /* recorder/collectors.h */
