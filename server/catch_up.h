/* SPDX-License-Identifier: Apache-2.0 */
/* catch_up - whether agents that were cut off are sending what they spooled.
 *
 * When the server or the network was away, agents come back one after the
 * other, some seconds apart, and send what they kept, each as fast as it can.
 * So the hops of a packet arrive far apart, and windows must be longer until
 * nothing old comes any more.
 *
 * Threads: catch_up_note() that of the event loop, catch_up_extra() any. */
#ifndef SERVER_CATCH_UP_H
#define SERVER_CATCH_UP_H 1

#include <stdint.h>

/* What was seen so much before it came was spooled. */
#define CATCH_UP_LAG_NS UINT64_C(3000000000)
/* Then windows are longer for so much more time: agents try again at least
 * every five seconds. */
#define CATCH_UP_HOLD_NS UINT64_C(7000000000)
/* By so much. */
#define CATCH_UP_WINDOW_NS UINT64_C(20000000000)

struct catch_up;

struct catch_up *catch_up_create(void);
void catch_up_destroy(struct catch_up *);

/* An agent came back at 'now_ns', or sent what is old. */
void catch_up_note(struct catch_up *, uint64_t now_ns);
/* How much longer windows are at 'now_ns'. */
uint64_t catch_up_extra(const struct catch_up *, uint64_t now_ns);

#endif /* server/catch_up.h */
