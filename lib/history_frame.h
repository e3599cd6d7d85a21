/* SPDX-License-Identifier: Apache-2.0 */
/* history_frame - a history on a socket, as bytes between lines of JSON:
 * docs/formats/stream.md.
 *
 * A frame is a head, which tells whom it is for, and a body, which is the same
 * for all.
 *
 * Threads: pure functions. */
#ifndef LIB_HISTORY_FRAME_H
#define LIB_HISTORY_FRAME_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/history.h"
#include "lib/lh_error.h"
#include "lib/topology.h"

#define HISTORY_FRAME_MARK 0xff /* The first byte of a frame, of no line. */
#define HISTORY_FRAME_HEAD 20   /* Bytes of a head, from that on. */
#define HISTORY_FRAME_MAX  ((size_t) 64 << 20) /* Bytes of a body. */

#define HISTORY_FRAME_PLAIN  1 /* Versions: names of switches, */
#define HISTORY_FRAME_CLOCKS 2 /* and what is known of their clocks. */

/* Whether a frame of 'h' has more to tell with the clocks that 'topology' (may
 * be NULL) knows. */
bool history_frame_wants_clocks(const struct history *h,
                                const struct topology *);
/* Appends the body for 'h' in 'version', with what 'topology' (may be NULL)
 * knows of its switches, to 'body'.  EFBIG: too large (history_codec.h). */
int history_frame_write(const struct history *h, const struct topology *,
                        unsigned int version, struct byte_buf *body);
/* Writes the head of a body of 'len' bytes for request 'id' and 'trigger' (0:
 * of a query). */
void history_frame_head(unsigned int version, size_t len, uint64_t id,
                        uint32_t trigger, uint8_t head[HISTORY_FRAME_HEAD]);

/* What a head says. */
struct history_frame_info {
    unsigned int version;
    size_t len; /* Of the body. */
    uint64_t id;
    uint32_t trigger;
};

/* Reads a head.  0, or EBADMSG when it is none of ours. */
int history_frame_read_head(const uint8_t head[HISTORY_FRAME_HEAD],
                            struct history_frame_info *);
/* Reads a body: '*hp' is the caller's, and so is '*names', a topology of
 * switches with names and clocks and nothing else; with clocks it is '*hp''s
 * too.  0, or EBADMSG with the reason. */
int history_frame_read(const uint8_t *body, size_t len, unsigned int version,
                       struct history **hp, struct topology **names,
                       struct lh_error *);

#endif /* lib/history_frame.h */
