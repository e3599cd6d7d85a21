/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory_pen - writes the history of one packet after the other, over and
 * over the same memory.
 *
 * For each of some paths it keeps a history of its own, so that what does not
 * change from packet to packet is there already.
 *
 * Ownership: histories are the pen's; it holds references to trajectories.
 *
 * Threads: that of the trajectories. */
#ifndef LIB_TRAJECTORY_PEN_H
#define LIB_TRAJECTORY_PEN_H 1

#include "lib/trajectory.h"

struct trajectory_pen;

struct trajectory_pen *trajectory_pen_create(void);
void trajectory_pen_destroy(struct trajectory_pen *);

/* As trajectory_history(); good until the next call. */
const struct history *trajectory_pen_write(struct trajectory_pen *,
                                           struct trajectory *,
                                           const struct trajectory_packet *);

#endif /* lib/trajectory_pen.h */
