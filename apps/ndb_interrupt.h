/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_interrupt - Ctrl-C ends what ndb is doing, not ndb.
 *
 * Threads: one; the signal may come at any time. */
#ifndef APPS_NDB_INTERRUPT_H
#define APPS_NDB_INTERRUPT_H 1

#include <stdbool.h>

/* From now on SIGINT is noted, and system calls that wait end with EINTR. */
void ndb_interrupt_init(void);
/* Whether it came since it was last cleared. */
bool ndb_interrupt_came(void);
void ndb_interrupt_clear(void);

/* Waits until 'fd' is readable: 0; ETIMEDOUT after 'timeout_ms' (negative: no
 * limit); or EINTR when the interrupt comes, or came before. */
int ndb_interrupt_wait(int fd, int timeout_ms);

#endif /* apps/ndb_interrupt.h */
