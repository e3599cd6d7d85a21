/* SPDX-License-Identifier: Apache-2.0 */
/* triggers - live filters of clients, and the events they cause.
 *
 * A trigger belongs to the client that added it and ends with it.  A client
 * that is too slow loses events, which are counted and told to it (`missed`),
 * never the pipeline its speed.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_TRIGGERS_H
#define SERVER_TRIGGERS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "lib/api_peer.h"
#include "lib/history.h"
#include "lib/topology.h"
#include "lib/trajectory.h"
#include "server/counters.h"
#include "server/mailbox.h"
#include "server/trigger_share.h"

#define TRIGGERS_MAX          8192
#define TRIGGERS_MAX_PER_PEER 2048

struct triggers;

struct triggers *triggers_create(void);
void triggers_destroy(struct triggers *);

/* Handlers of the requests; 'triggers' is a struct triggers. */
void triggers_handle_add(struct api_call *, const json_t *request,
                         void *triggers);
void triggers_handle_delete(struct api_call *, const json_t *request,
                            void *triggers);
void triggers_handle_list(struct api_call *, const json_t *request,
                          void *triggers);
void triggers_handle_pause(struct api_call *, const json_t *request,
                           void *triggers);
void triggers_handle_resume(struct api_call *, const json_t *request,
                            void *triggers);
/* Tells clients what their rates kept back, which is due about once a
 * second. */
void triggers_tell(struct triggers *);
/* The client is gone, and its triggers with it. */
void triggers_forget_peer(struct triggers *, struct api_peer *);

/* From now on 'n' workers match: each is given the filters that come ('add'
 * takes them), and told which go.  What a worker is sent after that, it
 * matches so.  None: triggers_offer() does. */
void triggers_share(struct triggers *, size_t n,
                    void (*add)(void *aux, size_t worker, uint32_t trigger,
                                struct phf *),
                    void (*remove)(void *aux, size_t worker, uint32_t trigger),
                    void *aux);
/* Tells clients of what a worker has matched: mail of MAIL_HIT. */
void triggers_deliver(struct triggers *, const struct mail *);
/* Tells its client that matches of packets of these times may be missing, and
 * why. */
void triggers_miss(struct triggers *, uint32_t id, uint64_t since_ns,
                   uint64_t until_ns, const char *why);
/* The same, all clients. */
void triggers_miss_all(struct triggers *, uint64_t since_ns, uint64_t until_ns,
                       const char *why);

/* Takes a reference of its own; NULL: none known. */
void triggers_set_topology(struct triggers *, const struct topology *);
/* The names and clocks that are told beside histories; NULL: those of the
 * topology. */
void triggers_set_told(struct triggers *, const struct topology *);
/* Sends 'h' to the clients whose triggers it matches. */
void triggers_offer(struct triggers *, const struct history *h);
/* The same for the history of a packet of a trajectory, which is made only if
 * a trigger needs it. */
void triggers_offer_packet(struct triggers *, struct trajectory *,
                           const struct trajectory_packet *);

/* Sets those of '*counters' that are counted here, or adds to what
 * trigger_share_collect() counted. */
void triggers_collect(const struct triggers *, struct counters *);

#endif /* server/triggers.h */
