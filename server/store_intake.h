/* SPDX-License-Identifier: Apache-2.0 */
/* store_intake - from the messages on lh.2.<m> to the histories that are to be
 * archived: what was accepted is read, shown to live filters, and given on.
 *
 * When reading begins again at what was committed, what came since is accepted
 * once more: it is given on again, and not shown again.
 *
 * Threads: one. */
#ifndef SERVER_STORE_INTAKE_H
#define SERVER_STORE_INTAKE_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/history_batch.h"
#include "server/cluster_store.h"

struct store_intake_config {
    uint32_t shard;                    /* For messages to people. */
    struct cluster_codecs *codecs;     /* Takes a reference. */
    struct packet_id_config packet_id; /* Of the archive. */
    /* As in struct cluster_store_config. */
    bool (*is_watched)(void *aux);
    void (*on_history)(void *aux, const struct history *);
    void (*on_packet)(void *aux, struct trajectory *,
                      const struct trajectory_packet *);
    void *aux;
    /* Takes each history; returns 0, or EBADMSG with the reason: the batch is
     * broken. */
    int (*add)(void *add_aux, const struct history_batch_item *,
               struct lh_error *);
    void *add_aux;
    /* Messages are given up.  May be NULL. */
    void (*on_hole)(void *aux, const struct cluster_hole *);
    bool skips; /* cluster_accept_skips(). */
};

struct store_intake;

struct store_intake *store_intake_create(const struct store_intake_config *);
void store_intake_destroy(struct store_intake *);

/* Begins, again too, with what cluster_accept_put() wrote: 0 or EBADMSG. */
int store_intake_restart(struct store_intake *, const struct byte_buf *accept);
/* Takes the next message, which NATS had at 'stored_ns', and whose header
 * STORE_PARTS_HEADER is 'parts' (NULL: there is none); one that cannot be read
 * is counted and said. Returns 0; or EPROTONOSUPPORT with the reason: it is of
 * a newer version, nothing was done, and nothing may be taken behind it. */
int store_intake_take(struct store_intake *, uint64_t seq, uint64_t stored_ns,
                      const uint8_t *data, size_t size, const char *parts,
                      struct lh_error *);
/* Markers whose messages have not come; does not wait for them, and returns
 * how many messages are missing. */
size_t store_intake_n_held(const struct store_intake *);
/* Of each of these which checkpoints of the stage-1 shard 'k' it waits for. */
void store_intake_each_wanted(const struct store_intake *,
                              void (*want)(void *aux, uint32_t k,
                                           uint64_t first, uint64_t last),
                              void *aux);
/* The lowest number of a message that waits for its marker; UINT64_MAX: none
 * does. */
uint64_t store_intake_oldest(const struct store_intake *);
uint64_t store_intake_give_up(struct store_intake *);
/* Whether a message is not decided upon yet. */
bool store_intake_needs(const struct store_intake *, const uint8_t *data,
                        size_t size);
/* Where a successor has to begin, who is given what is appended to
 * 'accept'. */
uint64_t store_intake_floor(const struct store_intake *, uint64_t next_seq,
                            struct byte_buf *accept);

/* Sets what of the counters is counted here. */
void store_intake_collect(const struct store_intake *,
                          struct cluster_store_counters *);

#endif /* server/store_intake.h */
