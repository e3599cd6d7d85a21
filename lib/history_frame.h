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

#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/history.h"
#include "lib/lh_error.h"
#include "lib/topology.h"

#define HISTORY_FRAME_MARK 0xff /* The first byte of a frame, of no line. */
#define HISTORY_FRAME_HEAD 20   /* Bytes of a head, from that on. */
#define HISTORY_FRAME_MAX  ((size_t) 64 << 20) /* Bytes of a body. */

/* Appends the body for 'h', with the names of its switches that 'topology'
 * (may be NULL) knows, to 'body'.  EFBIG: too large (history_codec.h). */
int history_frame_write(const struct history *h, const struct topology *,
                        struct byte_buf *body);
/* Writes the head of a body of 'len' bytes for request 'id' and 'trigger' (0:
 * of a query). */
void history_frame_head(size_t len, uint64_t id, uint32_t trigger,
                        uint8_t head[HISTORY_FRAME_HEAD]);

/* Reads a head.  0, or EBADMSG when it is none of ours. */
int history_frame_read_head(const uint8_t head[HISTORY_FRAME_HEAD],
                            size_t *len, uint64_t *id, uint32_t *trigger);
/* Reads a body: '*hp' is the caller's, and so is '*names', a topology of
 * switches with names and nothing else.  0, or EBADMSG with the reason. */
int history_frame_read(const uint8_t *body, size_t len, struct history **hp,
                       struct topology **names, struct lh_error *);

#endif /* lib/history_frame.h */
