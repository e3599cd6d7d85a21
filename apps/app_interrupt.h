/* SPDX-License-Identifier: Apache-2.0 */
/* app_interrupt - Ctrl-C ends what a program waits for, not the
 * program.
 *
 * Threads: one; the signal may come at any time. */
#ifndef APPS_APP_INTERRUPT_H
#define APPS_APP_INTERRUPT_H 1

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

/* From now on SIGINT is noted, and system calls that wait end with EINTR. */
void app_interrupt_init(void);
/* Ends what is waited for as SIGINT does: also SIGTERM, and that nobody reads
 * standard output any more where that is a pipe or a socket. */
void app_interrupt_also(void);
/* Whether nobody reads standard output any more. */
bool app_interrupt_output_gone(void);
/* Whether it came since it was last cleared. */
bool app_interrupt_came(void);
void app_interrupt_clear(void);

/* Waits until 'fd' is readable: 0; ETIMEDOUT after 'timeout_ms' (negative: no
 * limit); or EINTR when the interrupt comes, or came before. */
int app_interrupt_wait(int fd, int timeout_ms);
/* The same for what up to APP_INTERRUPT_MAX_FDS 'fds' wait for. */
#define APP_INTERRUPT_MAX_FDS 16
int app_interrupt_poll(const struct pollfd *fds, size_t n, int timeout_ms);

#endif /* apps/app_interrupt.h */
