/* SPDX-License-Identifier: Apache-2.0 */
/* trigger_share - the filters of all triggers, for one worker.
 *
 * Clients and their triggers belong to the thread of the event loop; each
 * worker has a copy of the filters and sends what they match there, as mail.
 * When the mailbox is full, matches are counted and told with the next that
 * finds room.
 *
 * Threads: one at a time. */
#ifndef SERVER_TRIGGER_SHARE_H
#define SERVER_TRIGGER_SHARE_H 1

#include <stdint.h>

#include "lib/history.h"
#include "lib/topology.h"
#include "lib/trajectory.h"
#include "phf/phf.h"
#include "server/counters.h"
#include "server/mailbox.h"

struct phf_set;
struct trigger_share;

/* MAIL_HIT goes to 'box'. */
struct trigger_share *trigger_share_create(struct mailbox *box);
void trigger_share_destroy(struct trigger_share *);

/* Takes the filter of trigger 'id'. */
void trigger_share_add(struct trigger_share *, uint32_t id, struct phf *);
void trigger_share_remove(struct trigger_share *, uint32_t id);

/* As the functions of triggers of these names. */
void trigger_share_offer(struct trigger_share *, const struct history *,
                         const struct topology *);
void trigger_share_offer_packet(struct trigger_share *, struct trajectory *,
                                const struct trajectory_packet *,
                                const struct topology *);
/* Tells of matches that found no room, if there is room now. */
void trigger_share_tell(struct trigger_share *);

/* Adds to '*counters' what is counted here. */
void trigger_share_collect(const struct trigger_share *, struct counters *);
/* Adds what a set of live filters counts. */
void trigger_share_collect_set(const struct phf_set *, struct counters *);

#endif /* server/trigger_share.h */
