/* SPDX-License-Identifier: Apache-2.0 */
/* of_packet_out - packets that a controller sends.
 *
 * Ownership: a decoded message copies its actions and borrows its frame from
 * the bytes it was decoded from.
 *
 * Threads: plain data and pure functions. */
#ifndef RECORDER_OF_PACKET_OUT_H
#define RECORDER_OF_PACKET_OUT_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/of_acts.h"
#include "recorder/of_match.h"

struct of_packet_out {
    struct of_acts acts;       /* Owned. */
    uint16_t in_port;          /* As in lib/of_port.h. */
    struct of_match *pipeline; /* OpenFlow 1.5: all that the packet begins
                                * with, in_port too; else NULL.  Owned. */
    uint32_t buffer_id;        /* UINT32_MAX: none. */
    const uint8_t *frame;      /* Borrowed; NULL with a buffer. */
    size_t len;
};

/* False: malformed, nothing to free. */
bool of_packet_out_decode(const uint8_t *msg, size_t len,
                          struct of_packet_out *);
void of_packet_out_uninit(struct of_packet_out *);
/* 0 or EMSGSIZE. */
int of_packet_out_encode(const struct of_packet_out *, uint8_t version,
                         uint32_t xid, uint8_t **msg, size_t *msg_len);

#endif /* recorder/of_packet_out.h */
