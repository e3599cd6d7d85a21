/* SPDX-License-Identifier: Apache-2.0 */
/* gen_encap - postcards as the frames that a collector captures.
 *
 * Threads: one at a time. */
#ifndef GEN_GEN_ENCAP_H
#define GEN_GEN_ENCAP_H 1

#include "gen/gen_config.h"
#include "lib/postcard.h"

#define GEN_ENCAP_OVERHEAD 74 /* The most that a frame adds to a header. */

struct gen_encap_frames;

/* Borrows the net.  Returns 0, or EINVAL when a switch of the net cannot send
 * such postcards. */
int gen_encap_create(const struct gen_net *, const struct gen_config *,
                     struct gen_encap_frames **, struct lh_error *);
void gen_encap_destroy(struct gen_encap_frames *);
/* Writes the frame of switch 'sw' into 'out' (at least p->caplen +
 * GEN_ENCAP_OVERHEAD bytes) and returns its length.  'tag' tells flows
 * apart. */
uint32_t gen_encap_write(const struct gen_encap_frames *,
                         const struct postcard *p, uint32_t sw, uint16_t tag,
                         uint8_t *out);

#endif /* gen/gen_encap.h */
