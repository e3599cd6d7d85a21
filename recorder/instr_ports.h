/* SPDX-License-Identifier: Apache-2.0 */
/* instr_ports - the switch's ports; for the files of instr, which
 * include it by recorder/instr_state.h.
 *
 * Threads: one at a time. */
#ifndef RECORDER_INSTR_PORTS_H
#define RECORDER_INSTR_PORTS_H 1

#include "recorder/instr_state.h"

/* Reads the ports in features or in a description. */
void instr_ports_read(struct instr_change *, enum of_kind, const uint8_t *msg,
                      size_t len);
/* True when the list for ALL changed. */
bool instr_ports_status(struct instr_change *, const uint8_t *msg, size_t len);
void instr_ports_relist(struct instr *);
/* A message with records without those of our port, or NULL when nothing is
 * left to send; a new one if it was in it, else a copy. */
uint8_t *instr_ports_hide(const struct instr_change *, enum of_kind,
                          const uint8_t *msg, size_t len, size_t *out_len);
void instr_ports_mod(struct instr_change *, const uint8_t *msg, size_t len);
/* A request for the queues of a port. */
void instr_ports_queues(struct instr_change *, enum of_kind,
                        const uint8_t *msg, size_t len);
/* True when 'no' is that of a postcard port. */
bool instr_ports_is_postcard(const struct instr *, uint32_t no);
/* True when FLOOD is to be replaced by the list of ports over 1.1 and later.
 */
bool instr_ports_may_flood(const struct instr *);
/* Sets NO_FLOOD on the postcard ports over 1.0. */
void instr_ports_no_flood(struct instr_change *);

#endif /* recorder/instr_ports.h */
