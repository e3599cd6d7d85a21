/* SPDX-License-Identifier: Apache-2.0 */
/* bus_urls - the addresses of nats-servers, as a person writes them:
 * "nats://[USER:PASSWORD@]HOST[:PORT]" or tls://, several with commas; what
 * has no scheme is nats://.
 *
 * Threads: pure functions. */
#ifndef LIB_BUS_URLS_H
#define LIB_BUS_URLS_H 1

#include <stdbool.h>

#include "lib/lh_error.h"

#define BUS_URLS_MAX 16

/* 0, or EINVAL with a reason, which tells no password: one is no such address,
 * there are more than BUS_URLS_MAX, or none. */
int bus_urls_check(const char *text, struct lh_error *);

/* Whether one of them is tls://: TLS is then wanted of all. */
bool bus_urls_want_tls(const char *text);

/* 'text' as anybody may read it, without users and passwords.  For free(). */
char *bus_urls_shown(const char *text);

#endif /* lib/bus_urls.h */
