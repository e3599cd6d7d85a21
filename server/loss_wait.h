/* SPDX-License-Identifier: Apache-2.0 */
/* loss_wait - histories of which a postcard is missing, until counters tell
 * whether that is all there is to say.
 *
 * A history that was lost onto one switch asks the ledger whether postcards of
 * that switch are missing, or, where an agent tells of the switch, the agents'
 * book; it waits up to LOSS_WAIT_NS for the answer.  Where postcards were lost
 * the reason says so.  So does that of a history with another verdict and a
 * hop that was deduced, or a gap: for those only the book is asked.
 *
 * Threads: that of the ledger. */
#ifndef SERVER_LOSS_WAIT_H
#define SERVER_LOSS_WAIT_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/history.h"
#include "lib/topology.h"
#include "server/agent_book.h"
#include "server/cluster_book.h"
#include "server/loss_ledger.h"

#define LOSS_WAIT_NS  UINT64_C(4000000000)
#define LOSS_WAIT_MAX 10000 /* Histories that wait; past it none does. */

struct loss_wait;

/* 'give' takes the histories back, with the number they came with.  'book' may
 * be NULL: no agents. */
struct loss_wait *
loss_wait_create(struct loss_ledger *, const struct agent_book *book,
                 void (*give)(void *aux, uint32_t from, struct history *),
                 void *aux);
/* Of a cluster: what agents of all servers say, in place of a book; borrowed.
 */
void loss_wait_set_cluster_book(struct loss_wait *,
                                const struct cluster_book *);
/* Histories that wait are destroyed. */
void loss_wait_destroy(struct loss_wait *);

/* The switch that did not see the packet of a history that was lost in one
 * place, or, with agents, that has to be deduced or was before a gap; false
 * for all others, which have nothing to wait for. */
bool loss_wait_find(const struct history *, const struct topology *,
                    bool has_agents, uint64_t *dpidp);
/* Takes a history of loss_wait_find() and gives it back at once or later. */
void loss_wait_add(struct loss_wait *, struct history *, uint64_t dpid,
                   uint32_t from, uint64_t now_ns);
/* Gives those of which the ledger tells by now, or that have waited long
 * enough; at the end all. */
void loss_wait_settle(struct loss_wait *, uint64_t now_ns, bool is_end);

/* Each that waits, in their order, and what is known of it: to be written
 * down, and given to another with loss_wait_restore(), which takes it. */
void loss_wait_each(const struct loss_wait *,
                    void (*tell)(void *aux, const struct history *,
                                 uint64_t dpid, uint64_t to_ns,
                                 uint64_t due_ns),
                    void *aux);
void loss_wait_restore(struct loss_wait *, struct history *, uint64_t dpid,
                       uint64_t to_ns, uint64_t due_ns);

uint64_t loss_wait_count(const struct loss_wait *);
/* When the oldest has waited long enough; UINT64_MAX: none waits. */
uint64_t loss_wait_next_ns(const struct loss_wait *);

#endif /* server/loss_wait.h */
