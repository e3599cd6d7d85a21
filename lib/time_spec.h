/* SPDX-License-Identifier: Apache-2.0 */
/* time_spec - points in time, as people and programs write them.
 *
 * Inside, a time is nanoseconds since the epoch.  Read as:
 *
 *     1700000000123456789             nanoseconds since the epoch
 *     2026-11-22T04:09:29.5Z          RFC 3339, with up to 9 digits of
 *     2026-11-22 06:09:29+02:00       fraction; a blank may stand for the T
 *     2026-11-22T04:09:29             without a zone: local time
 *     2026-11-22                      midnight, local time
 *     -10m, -1h30m, -250ms            before now; d, h, m, s, ms, us, ns
 *     now
 *
 * Threads: any, but local time reads the environment (TZ). */
#ifndef LIB_TIME_SPEC_H
#define LIB_TIME_SPEC_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/jmember.h"
#include "lib/lh_error.h"

#define TIME_SPEC_BUFSIZE 40

/* Reads all of 'text' into '*ns'; 'now_ns' is what relative times count from.
 * Returns 0, or EINVAL with the reason and its place in 'text'. */
int time_spec_parse(const char *text, uint64_t now_ns, uint64_t *ns,
                    struct lh_error *);

/* The same from a JSON member, which may also be an integer. */
int time_spec_member(const struct jmember *, uint64_t now_ns, uint64_t *ns,
                     struct lh_error *);

/* The time now, by the system's clock. */
uint64_t time_spec_now(void);

/* Writes 'ns' in RFC 3339 with 'n_digits' (0 to 9) of fraction, in UTC or
 * local time, into 'buf' and returns it. */
char *time_spec_format(uint64_t ns, bool utc, int n_digits,
                       char buf[TIME_SPEC_BUFSIZE]);
/* Writes a span in the unit that suits it ("850 ns", "12.3 us", "4.56 ms",
 * "1.2 s", "3 min 20 s") into 'buf' and returns it. */
char *time_spec_format_span(uint64_t ns, char buf[TIME_SPEC_BUFSIZE]);

#endif /* lib/time_spec.h */
