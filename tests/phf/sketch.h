/* SPDX-License-Identifier: Apache-2.0 */
/* sketch - histories for tests, from a line of text.
 *
 *     struct history *h = sketch_history("1:1>2/7 2:1>FLOOD+3,4 <0
 * 5:1>-=dropped");
 *
 * A word is a hop: dpid ':' in_port '>' out_ports, then optionally '+'
 * branches, '/' versions, '=' verdict; lists with commas.  '?' is an unknown
 * port, '-' no output.  The parent of a hop is the hop before, or the one that
 * a word '<N' before it names ('<-' begins anew).  Asserts that it can read
 * what it is given.
 *
 * Threads: as malloc(). */
#ifndef TESTS_PHF_SKETCH_H
#define TESTS_PHF_SKETCH_H 1

#include "lib/history.h"

struct history *sketch_history(const char *text);

/* A TCP packet over IPv4 from 10.0.0.'src' port 1000 to 10.0.0.'dst' port
 * 'port', 60 bytes without payload, as the header of 'hop', cut to 'caplen'
 * bytes. */
void sketch_tcp(struct history_hop *hop, uint8_t src, uint8_t dst,
                uint16_t port, size_t caplen);

#endif /* tests/phf/sketch.h */
