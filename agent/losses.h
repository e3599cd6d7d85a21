/* SPDX-License-Identifier: Apache-2.0 */
/* losses - postcards that are missing, by the place where they were lost,
 * until a LOSS frame tells the server.
 *
 * Ownership: plain data between losses_create() and losses_destroy().
 *
 * Threads: one. */
#ifndef AGENT_LOSSES_H
#define AGENT_LOSSES_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/agent_frame.h"

struct losses;

struct losses *losses_create(void);
void losses_destroy(struct losses *);

/* Adds 'loss' (its seq does not matter), of which 'switches' has loss->n
 * parts. */
void losses_add(struct losses *, const struct agent_loss *loss,
                const struct agent_loss_switch *switches);
/* What was lost at 'place' and not told; false when nothing was.  '*switches'
 * has loss->n parts, and is good until the next call. */
bool losses_pending(const struct losses *, enum agent_place,
                    struct agent_loss *loss,
                    const struct agent_loss_switch **switches);
/* It was told. */
void losses_clear(struct losses *, enum agent_place);
/* Since the start. */
uint64_t losses_total(const struct losses *, enum agent_place);

#endif /* agent/losses.h */
