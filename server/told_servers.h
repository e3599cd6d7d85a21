/* SPDX-License-Identifier: Apache-2.0 */
/* told_servers - the servers of a cluster that take agents, as agents are
 * told of them (docs/formats/agent.md, SERVERS).
 *
 * An agent is told of AGENT_SERVERS_MAX at most: where there are more, of
 * those of the highest weights for its name (lib/rendezvous.h), which are
 * those that it would go to.
 *
 * Ownership: the texts are copied.
 *
 * Threads: one. */
#ifndef SERVER_TOLD_SERVERS_H
#define SERVER_TOLD_SERVERS_H 1

#include <stdbool.h>
#include <stddef.h>

#include "lib/agent_frame.h"
#include "lib/byte_buf.h"

struct told_servers;

struct told_servers *told_servers_create(const struct agent_server *,
                                         size_t n);
/* NULL is fine. */
void told_servers_destroy(struct told_servers *);

/* Whether these are the same, in whichever order. */
bool told_servers_is(const struct told_servers *, const struct agent_server *,
                     size_t n);
/* Appends the frame for the agent of that name. */
void told_servers_put(const struct told_servers *, const char *agent,
                      struct byte_buf *out);

#endif /* server/told_servers.h */
