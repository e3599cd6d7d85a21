/* SPDX-License-Identifier: Apache-2.0 */
/* door_marks - what the postcards that wait in a cluster_door say besides
 * time, packet ID and header: each of these, a mark, stands here once, so that
 * a postcard that waits is little more than its header.
 *
 * Ownership: visits of marks are references of a visit_table's, until
 * door_marks_clear().
 *
 * Threads: the door's. */
#ifndef SERVER_DOOR_MARKS_H
#define SERVER_DOOR_MARKS_H 1

#include <stdint.h>

#include "lib/card_batch.h"
#include "lib/postcard.h"
#include "server/visit_table.h"

/* More than these are CARD_BATCH_MARKS: clear it first. */
#define DOOR_MARKS_FULL UINT32_MAX

struct door_marks;

struct door_marks *door_marks_create(void);
void door_marks_destroy(struct door_marks *);

/* The number of the postcard's mark, below CARD_BATCH_MARKS, which it gets if
 * it has none; or DOOR_MARKS_FULL. */
uint32_t door_marks_find(struct door_marks *, const struct postcard *);
/* All of the mark, with time, packet ID and header not set. */
const struct postcard *door_marks_get(const struct door_marks *,
                                      uint32_t mark);
/* Numbers that were given hold no longer. */
void door_marks_clear(struct door_marks *);

#endif /* server/door_marks.h */
