/* SPDX-License-Identifier: Apache-2.0 */
/* instr_kept - what an instr_link made in the middle of a connection has to
 * know of what passed before it.
 *
 * A switch that passes un-instrumented may be instrumented later.  Until then
 * its connection's messages are shown here; then instr_kept_adopt() tells the
 * new link what they have settled: the role, miss_send_len and the Nicira
 * formats of OpenFlow 1.0.  Flow monitors and open bundles cannot be taken
 * over.
 *
 * Threads: one at a time. */
#ifndef RECORDER_INSTR_KEPT_H
#define RECORDER_INSTR_KEPT_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/instr.h"

struct instr_kept {
    enum instr_role role;
    bool has_tid, wants_nicira; /* As in struct instr_link. */
    uint16_t miss_len;
    bool is_guest;
    bool has_monitors;
    size_t n_bundles; /* Open. */
};

void instr_kept_init(struct instr_kept *);
/* Of a connection to the management socket: the switch tells it nothing
 * unasked before it sets a miss_send_len. */
void instr_kept_init_guest(struct instr_kept *);
/* Whole messages of a version that instr knows: of the controller, */
void instr_kept_down(struct instr_kept *, const uint8_t *msg, size_t len);
/* and of the switch.  True when it has made this connection the master. */
bool instr_kept_up(struct instr_kept *, const uint8_t *msg, size_t len);
/* Another connection has become the master. */
void instr_kept_demote(struct instr_kept *);
/* What a link could not take over, in words; NULL: nothing. */
const char *instr_kept_obstacle(const struct instr_kept *);
/* Tells a link that is not started yet. */
void instr_kept_adopt(const struct instr_kept *, struct instr_link *);

#endif /* recorder/instr_kept.h */
