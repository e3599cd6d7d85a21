/* SPDX-License-Identifier: Apache-2.0 */
/* agent - takes postcards from rings and interfaces and ships them.
 *
 * Postcards are packed into batches.  A full batch, or one that has waited
 * long enough, goes to the outbox; only then are the rings freed of what is in
 * it.  What finds no room in the outbox is lost there and counted.
 *
 * Ownership: agent_open() to agent_close().
 *
 * Threads: that of the event loop. */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H 1

#include "agent/options.h"
#include "lib/lh_error.h"

struct agent;
struct event_base;

/* Returns 0, or an errno with the reason.  The options must outlive it. */
int agent_open(struct event_base *, const struct options *, struct agent **,
               struct lh_error *);
/* Ships what rings have to the outbox, and ends. */
void agent_close(struct agent *);
/* Says how things stand, in a few lines. */
void agent_say_status(struct agent *);

#endif /* agent/agent.h */
