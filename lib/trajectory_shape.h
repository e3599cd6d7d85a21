/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory_shape - all of a trajectory that is not of its flow alone:
 * switches, ports, rules, verdicts, and how the header of each hop follows
 * from the reference's.
 *
 * A trajectory is a shape and a flow: the constant bytes of the header at the
 * reference hop.  Thousands of flows share a shape, so an archive stores each
 * shape once and little for each flow.
 *
 * As a history a shape has, in place of each header, a description of it
 * (docs/formats/archive.md); it is stored by history_codec.
 *
 * Ownership: trajectory_shape_create() to trajectory_shape_destroy().
 *
 * Threads: one thread per shape. */
#ifndef LIB_TRAJECTORY_SHAPE_H
#define LIB_TRAJECTORY_SHAPE_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/history.h"
#include "lib/lh_error.h"
#include "lib/trajectory.h"

#define FLOW_MAX_COLD 80 /* Of Ethernet and IP headers. */

/* The constant bytes of a flow's header at the reference hop, in groups that
 * an archive stores apart. */
struct flow_bytes {
    uint8_t n_cold, n_addr, n_ports;
    uint8_t cold[FLOW_MAX_COLD]; /* To the L3 header; then of the IP header
                                  * all but addresses. */
    uint8_t addrs[2][16];        /* Source, destination; n_addr bytes each. */
    uint8_t ports[4];            /* Ports; or ICMP type and code. */
};

/* Sets the lengths in '*flow' for headers of that kind. */
void flow_bytes_init(struct flow_bytes *flow, enum header_kind,
                     uint16_t l3_ofs);
/* Takes the bytes from 'header', of the kind for which '*flow' was made, or
 * writes them into it. */
void flow_bytes_take(struct flow_bytes *flow, enum header_kind,
                     uint16_t l3_ofs, const uint8_t *header);
void flow_bytes_fill(const struct flow_bytes *flow, enum header_kind,
                     uint16_t l3_ofs, uint8_t *header);

/* Appends to 'key' bytes that are the same for two trajectories just if their
 * shapes are, within one process. */
void trajectory_shape_put_key(const struct trajectory *, struct byte_buf *key);
/* The shape as a history, the caller's. */
struct history *trajectory_shape_describe(const struct trajectory *);

struct trajectory_shape;

/* Makes a shape of its history 'h', which is taken.  Returns 0, or EBADMSG
 * with the reason when it describes none. */
int trajectory_shape_create(struct history *h, struct trajectory_shape **,
                            struct lh_error *);
void trajectory_shape_destroy(struct trajectory_shape *);
/* The history it was made of. */
const struct history *
trajectory_shape_history(const struct trajectory_shape *);
enum header_kind trajectory_shape_kind(const struct trajectory_shape *);
uint16_t trajectory_shape_l3_ofs(const struct trajectory_shape *);
/* The model of the trajectory with this shape and 'flow': headers up to the
 * fixed L4 header, in which what varies is 0 or has some value.  It is the
 * shape's own, until the next call. */
const struct history *trajectory_shape_model(struct trajectory_shape *,
                                             const struct flow_bytes *flow);

#endif /* lib/trajectory_shape.h */
