/* SPDX-License-Identifier: Apache-2.0 */
/* lldp - the frames by which the recorder finds links (docs/formats/lldp.md).
 *
 * IEEE 802.1AB frames to a multicast address of our own, so that they do not
 * meet those of the controller, with a TLV that names the switch and port they
 * left and the time, under a keyed hash: a host that does not know the key
 * cannot make one.
 *
 * Threads: pure functions. */
#ifndef RECORDER_LLDP_H
#define RECORDER_LLDP_H 1

#include <stddef.h>
#include <stdint.h>

#include "recorder/siphash.h"

#define LLDP_ETHERTYPE 0x88cc
#define LLDP_FRAME_LEN 80

extern const uint8_t lldp_destination[6];

struct lldp {
    uint64_t dpid;
    uint16_t port;
    uint64_t time_ns; /* When it was sent. */
};

/* Writes the frame; 'source' is the port's MAC. */
void lldp_encode(const struct lldp *, const uint8_t source[6],
                 const uint8_t key[SIPHASH_KEY_LEN],
                 uint8_t frame[LLDP_FRAME_LEN]);

enum lldp_result {
    LLDP_OK,
    LLDP_MALFORMED, /* Not a frame of ours. */
    LLDP_FORGED     /* Its hash is wrong. */
};
enum lldp_result lldp_decode(const uint8_t *frame, size_t len,
                             const uint8_t key[SIPHASH_KEY_LEN],
                             struct lldp *);

#endif /* recorder/lldp.h */
