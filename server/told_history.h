/* SPDX-License-Identifier: Apache-2.0 */
/* told_history - one history on its way to clients, in the form that each
 * wants: as JSON or as bytes (docs/formats/stream.md), with the bytes of the
 * packet or, where a client may not see them, without.
 *
 *     struct told_history told;
 *
 *     told_history_init(&told, history, topology);
 *     for each client: told_history_offer(&told, peer, call_id, trigger,
 * name); told_history_uninit(&told);
 *
 * Each form is made once, when the first client wants it.
 *
 * Ownership: history and topology are borrowed and must stay.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_TOLD_HISTORY_H
#define SERVER_TOLD_HISTORY_H 1

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/api_peer.h"
#include "lib/byte_buf.h"
#include "lib/history.h"
#include "lib/history_frame.h"
#include "lib/topology.h"

struct told_history {
    const struct history *history;
    const struct topology *topology; /* Names and clocks, or NULL. */
    struct history *bare;   /* Without bytes; NULL: not made.  Owned. */
    char *text, *bare_text; /* JSON; NULL: not made.  Owned. */
    bool has_clocks;        /* There is more to tell with those. */
    /* By version of the frame; empty: not made. */
    struct byte_buf bytes[HISTORY_FRAME_CLOCKS];
    struct byte_buf bare_bytes[HISTORY_FRAME_CLOCKS];
};

void told_history_init(struct told_history *, const struct history *,
                       const struct topology *);
void told_history_uninit(struct told_history *);

/* Sends the event `history` to 'peer', for trigger number 'trigger' (0: it is
 * of a query) that is called 'name' (may be NULL); or, for a trigger of a
 * client that is too slow, counts it as missed and returns false. */
bool told_history_offer(struct told_history *, struct api_peer *peer,
                        json_t *call_id, uint32_t trigger, const char *name);

#endif /* server/told_history.h */
