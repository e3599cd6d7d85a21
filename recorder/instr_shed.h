/* SPDX-License-Identifier: Apache-2.0 */
/* instr_shed - which rules lose their postcards when these are too many; for
 * the files of instr, which include it by recorder/instr_state.h.
 *
 * The switch counts every rule's packets, with postcards or without.  Two
 * readings of its flow statistics give rates; all rates together, those of
 * table-miss rules among them, stand for the postcards that the switch sent
 * in that time.  A rule that goes keeps its version, and a new version of it
 * stays without.  The packets of a table-miss rule that went are not counted:
 * its rate is taken to be half as high each time it is asked for.
 *
 * Threads: one at a time. */
#ifndef RECORDER_INSTR_SHED_H
#define RECORDER_INSTR_SHED_H 1

#include "recorder/instr_state.h"

/* An answer to PENDING_PACKETS. */
void instr_shed_reply(struct instr_change *, struct instr_pending *,
                      const uint8_t *msg, size_t len);

#endif /* recorder/instr_shed.h */
