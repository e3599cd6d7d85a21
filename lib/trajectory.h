/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory - what the histories of all packets of a flow on one way have in
 * common, and how little of a packet is needed to tell its own.
 *
 * A trajectory is made of one history, its model.  Another packet whose hops
 * have the same switches, ports, rules and constant header bytes has the same
 * history but for its packet ID, its times, and the bytes that vary; and those
 * of one hop (the reference) tell those of all others: forwarding leaves them
 * alone, but for checksums, which change by what is constant for the flow (RFC
 * 1624).  So a packet is the captured header of one hop and one time per hop.
 *
 * Where a header is not what this foresees, trajectory_predicts() says so, and
 * the history is kept as it is.
 *
 * Ownership: reference counted.
 *
 * Threads: immutable but for the counter and 'mark', which belong to the one
 * thread that uses it. */
#ifndef LIB_TRAJECTORY_H
#define LIB_TRAJECTORY_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/header_split.h"
#include "lib/history.h"

/* Hops of a trajectory at most; longer histories are no model. */
#define TRAJECTORY_MAX_HOPS 64
/* Captured bytes of a header at most. */
#define TRAJECTORY_MAX_HEADER 512

struct trajectory;

/* One packet on its way. */
struct trajectory_packet {
    uint64_t packet_id;
    const uint8_t *header; /* Of the reference hop, as captured. */
    uint16_t caplen;
    const uint64_t *times_ns; /* Of each hop, in the order of the model. */
};

/* Makes a trajectory of a copy of 'model'.  NULL when the history cannot be
 * one: it has no packet ID, is linked to a tunnel, has a hop without a
 * captured header, a header that is not split, or one that the reference's
 * does not tell. */
struct trajectory *trajectory_create(const struct history *model);
struct trajectory *trajectory_ref(struct trajectory *);
void trajectory_unref(struct trajectory *);

const struct history *trajectory_model(const struct trajectory *);
size_t trajectory_n_hops(const struct trajectory *);
/* Which hop's header stands for all. */
size_t trajectory_reference(const struct trajectory *);
/* How the reference's header is split: 'own_len' is the model's. */
const struct header_split *trajectory_split(const struct trajectory *);

/* True when, for the packet with 'ref' captured at the reference hop, hop
 * 'hop' shows exactly 'header', and, for the reference itself, when the whole
 * history of that packet can be told from it. */
bool trajectory_predicts(const struct trajectory *, size_t hop,
                         const uint8_t *ref, size_t ref_len,
                         const uint8_t *header, size_t len);

/* The history of a packet for which trajectory_predicts() is true at every
 * hop: equal in every member to what was observed. */
struct history *trajectory_history(const struct trajectory *,
                                   const struct trajectory_packet *);
/* The same into '*h', which was made by one of these two functions for the
 * same trajectory; allocates nothing unless headers grow. */
void trajectory_refill(const struct trajectory *,
                       const struct trajectory_packet *, struct history *h);

/* Two words for whoever collects packets of many trajectories: 0 at first. */
struct trajectory_mark {
    uint64_t owner;
    uint32_t index;
};
struct trajectory_mark *trajectory_mark(struct trajectory *);

#endif /* lib/trajectory.h */
