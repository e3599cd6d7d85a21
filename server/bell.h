/* SPDX-License-Identifier: Apache-2.0 */
/* bell - lets a thread sleep until there is work for it.
 *
 *     for (;;) {
 *         while (has_work()) { work(); }
 *         bell_prepare(bell);
 *         if (has_work()) { bell_cancel(bell); } else { bell_wait(bell); }
 *     }
 *
 * and whoever made work calls bell_ring() after it, which costs a load while
 * nobody sleeps.
 *
 * Threads: one sleeps, any may ring. */
#ifndef SERVER_BELL_H
#define SERVER_BELL_H 1

struct bell;

struct bell *bell_create(void);
void bell_destroy(struct bell *);

/* From here on, until bell_cancel() or bell_wait(), no ring is missed. */
void bell_prepare(struct bell *);
void bell_cancel(struct bell *);
/* Sleeps until the bell rings, if it has not since bell_prepare(). */
void bell_wait(struct bell *);

void bell_ring(struct bell *);

#endif /* server/bell.h */
