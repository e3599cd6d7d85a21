/* SPDX-License-Identifier: Apache-2.0 */
/* sample_history - histories for tests, of packets in one small network:
 *
 *     client - s1 - s2 - server      s1 to s3: the way that drops
 *                \  |
 *                  s3 - other
 */
#ifndef TESTS_LIB_SAMPLE_HISTORY_H
#define TESTS_LIB_SAMPLE_HISTORY_H 1

#include "lib/history.h"
#include "lib/topology.h"

struct topology *sample_topology(void);

/* A TCP packet through a NAT on s1, delivered by s2. */
struct history *sample_history_nat(void);
/* A UDP packet that s3 drops by rule 9. */
struct history *sample_history_dropped(void);
/* An ARP request flooded by all three; one copy is dropped at once, one is
 * delivered, one lost, one loops. */
struct history *sample_history_flooded(void);
/* A packet to the controller and back by a packet-out, a hop that was not
 * observed, a gap, a tunnel around it, no packet ID. */
struct history *sample_history_odd(void);

#endif /* tests/lib/sample_history.h */
