/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_book - what the lasthop-agents of all servers of a cluster say of
 * themselves, on each server: which switches are theirs, what postcards they
 * lost, and up to when all others have come.  For the owners of packets it is
 * what the agents' book (server/agent_book.h) is for one process.
 *
 *     cluster_book_lose(book, id, loss);               an agent has lost some
 *     cluster_book_run(book, token, settled, now_ns);  some times a second
 *     .. cluster_book_ask(book, dpid, ..) ..
 *
 * Each server tells all (lh.agents, docs/formats/cluster.md) of the agents
 * that are connected to it.  Up to when their postcards have come is told when
 * NATS has all that came before, with the time of the server's clock at which
 * that was so; an owner goes by it when it has read what was received until
 * then, which its own clock says.  Losses are told at once, numbered, and
 * again for some seconds.  Who missed some, or has heard of an agent only
 * since, does not say of what was before that nothing was lost: that is not
 * known then, as where nobody tells.
 *
 * So are the least delays of ways between their switches, which each server
 * sees of the packets that it owns: how far the clocks of hosts are apart
 * (server/clock_offset.h).
 *
 * Threads: the bus's. */
#ifndef SERVER_CLUSTER_BOOK_H
#define SERVER_CLUSTER_BOOK_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/lh_error.h"
#include "server/agent_book.h"

#define CLUSTER_BOOK_SUBJECT   "lh.agents"
#define CLUSTER_BOOK_NS        UINT64_C(250000000)  /* Between messages. */
#define CLUSTER_BOOK_AGAIN_NS  UINT64_C(3000000000) /* Losses are told. */
#define CLUSTER_BOOK_SILENT_NS UINT64_C(60000000000)
#define CLUSTER_BOOK_MAX_DOORS 1024

struct bus;
struct cluster_book;

/* 'bus' is borrowed; NULL: nothing is sent or heard, for tests.  'own' is the
 * book of this server's agents, borrowed; NULL: it takes none. */
struct cluster_book *cluster_book_create(struct bus *,
                                         const struct agent_book *own);
/* NULL is fine. */
void cluster_book_destroy(struct cluster_book *);

/* The 8 bytes by which an agent is told from others on the bus; not 0. */
uint64_t cluster_book_key(const uint8_t id[AGENT_ID_LEN]);

/* An agent of this server says that postcards are lost: told at once. */
void cluster_book_lose(struct cluster_book *, const uint8_t id[AGENT_ID_LEN],
                       const struct agent_loss *, uint64_t now_ns);
/* What was received up to now is up to number 'token', of which NATS has all
 * up to 'settled'; 'now_ns' is the system's clock.  Sends what is due. */
void cluster_book_run(struct cluster_book *, uint64_t token, uint64_t settled,
                      uint64_t now_ns);

/* Whether any agent is known. */
bool cluster_book_has_agents(const struct cluster_book *);
/* As agent_book_ask(), for an owner that has read all that was received until
 * 'clock_ns'. */
enum agent_loss_answer cluster_book_ask(const struct cluster_book *,
                                        uint64_t dpid, uint64_t from_ns,
                                        uint64_t to_ns, uint64_t clock_ns,
                                        enum agent_place *placep);

/* Delays between switches, by the packets that are owned here: to be noted by
 * their owners; and as all servers told them. */
struct clock_delays *cluster_book_delays(struct cluster_book *);
const struct clock_delays *
cluster_book_all_delays(const struct cluster_book *);
/* As agent_book_tell_clocks(). */
struct topology *cluster_book_tell_clocks(const struct cluster_book *,
                                          uint64_t now_ns,
                                          const struct topology *);

/* What these do: looks how far agents are, appends the next message to 'out',
 * and takes one.  Returns 0, EBADMSG, or ENOTSUP: a newer version wrote it. */
void cluster_book_look(struct cluster_book *, uint64_t token, uint64_t settled,
                       uint64_t now_ns);
void cluster_book_put(struct cluster_book *, uint64_t now_ns,
                      struct byte_buf *out);
int cluster_book_take(struct cluster_book *, const uint8_t *data, size_t size,
                      struct lh_error *);

#endif /* server/cluster_book.h */
