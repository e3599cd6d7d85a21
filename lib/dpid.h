/* SPDX-License-Identifier: Apache-2.0 */
/* dpid - the 64-bit number of a switch (OpenFlow's datapath ID), as text.
 *
 * Written always as 16 hex digits.  Read as:
 *
 *     0000000000000001           exactly 16 hex digits
 *     00:00:00:00:00:00:00:01    the same with colons
 *     0x1                        hex
 *     1                          decimal
 *
 * Threads: pure functions. */
#ifndef LIB_DPID_H
#define LIB_DPID_H 1

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

#define DPID_FMT     "%016" PRIx64 /* For printf() of a uint64_t. */
#define DPID_BUFSIZE 17

/* Writes 16 hex digits and a NUL into 'buf' and returns it. */
char *dpid_to_string(uint64_t dpid, char buf[DPID_BUFSIZE]);

/* Reads all of 'text' into '*dpidp'.  Returns false and leaves '*dpidp' alone
 * when it is none of the forms above or does not fit into 64 bits. */
bool dpid_from_string(const char *text, uint64_t *dpidp);

#endif /* lib/dpid.h */
