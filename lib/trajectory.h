/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory - what the histories of all packets of a flow on one way have in
 * common, and how little of a packet is needed to tell its own.
 *
 * A trajectory is a path and the constant bytes of one flow on it.  Its
 * packets have the same history but for their packet IDs, their times, and
 * the bytes that vary; and the header captured at one hop (the reference)
 * tells those of all others.  So a packet is that header and one time per hop.
 * The model is the history of one of them.
 *
 * Where a header is not what this foresees, trajectory_predicts() says so, and
 * the history is kept as it is.
 *
 * Ownership: reference counted.
 *
 * Threads: one: the counter, the marks, and the model, which is made when
 * first asked for. */
#ifndef LIB_TRAJECTORY_H
#define LIB_TRAJECTORY_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/header_split.h"
#include "lib/history.h"
#include "lib/trajectory_path.h"

/* Constant bytes of a header at most: Ethernet, tags, labels, IPv6, TCP. */
#define TRAJECTORY_MAX_CONSTANT 128

struct trajectory;

/* One packet on its way. */
struct trajectory_packet {
    uint64_t packet_id;
    const uint8_t *header; /* Of the reference hop, as captured. */
    uint16_t caplen;
    const uint64_t *times_ns; /* Of each hop, in the order of the model. */
    uint32_t left_out;        /* As that of a history. */
    bool has_own_id; /* packet_id is known to be that of 'header', by the
                      * constants of whoever stores it. */
};

/* Makes a trajectory of a copy of 'model'.  NULL when the history cannot be
 * one: it has no packet ID, is linked to a tunnel, has a hop without a
 * captured header, a header that is not split, or one that the reference's
 * does not tell. */
struct trajectory *trajectory_create(const struct history *model);
/* The same without a copy: 'model' must stay as it is while there are
 * references to the trajectory, or to its path. */
struct trajectory *trajectory_borrow(const struct history *model);
/* The flow of a packet that 'path' takes, with 'ref' captured at the
 * reference hop.  Takes a reference of its own to the path. */
struct trajectory *trajectory_of_path(struct trajectory_path *path,
                                      const uint8_t *ref, size_t ref_len);
struct trajectory *trajectory_ref(struct trajectory *);
void trajectory_unref(struct trajectory *);

/* Asks for the memory that what is below will look at. */
void trajectory_prefetch(const struct trajectory *);

const struct trajectory_path *trajectory_path(const struct trajectory *);
/* The reference's header with every byte that varies set to 0, up to
 * trajectory_split()->tail_ofs. */
const uint8_t *trajectory_constants(const struct trajectory *);
const struct history *trajectory_model(const struct trajectory *);
size_t trajectory_n_hops(const struct trajectory *);
enum verdict_name trajectory_verdict(const struct trajectory *);
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
/* The same for whoever matches filters. */
struct trajectory_mark *trajectory_filter_mark(struct trajectory *);
/* The same for whoever knows shapes of trajectories. */
struct trajectory_mark *trajectory_shape_mark(const struct trajectory *);

#endif /* lib/trajectory.h */
