/* SPDX-License-Identifier: Apache-2.0 */
/* agent_talk - a connection to the server as an agent has one, for tests.
 *
 * What does not come within LIVE_DEADLINE_MS fails the test.
 *
 * Ownership: 'fd' is closed by the caller.
 *
 * Threads: one. */
#ifndef TESTS_SERVER_AGENT_TALK_H
#define TESTS_SERVER_AGENT_TALK_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/agent_frame.h"
#include "lib/byte_buf.h"

/* An agent's end of a connection. */
struct agent_talk {
    int fd;
    uint8_t id;
    uint64_t age_ns; /* So long ago was what it sends; 0 when opened. */
    uint64_t at_ns;  /* Or then; 0: now. */
    bool goes_back;  /* Packets come in at port 2, not 1; the same. */
    /* Of the next hello; 0 and false when opened. */
    uint64_t taken_seq;
    bool has_others, wants_servers;
    size_t len;
    uint8_t buf[65536];
};

/* A TCP port of this host that nobody uses. */
uint16_t agent_talk_free_port(void);
/* Connects to that port of this host. */
void agent_talk_open(struct agent_talk *, uint16_t port);
void agent_talk_hello(struct agent_talk *, uint8_t id);
/* Connects, says hello, and tells what the server took last. */
uint64_t agent_talk_greet(struct agent_talk *, uint16_t port, uint8_t id);
/* Sends the frames and empties 'out'. */
void agent_talk_send(struct agent_talk *, struct byte_buf *out);
/* Waits for the next frame that is not of 'skip'; false when the server hung
 * up. */
bool agent_talk_next(struct agent_talk *, struct agent_frame *, int skip);
/* The visits of packets 'first' to 'first' + 'n' - 1 at the switches from
 * 'from' to 'to', as a batch. */
void agent_talk_batch(struct agent_talk *, uint64_t seq, uint32_t first,
                      uint32_t n, uint64_t from, uint64_t to,
                      uint32_t threshold);
void agent_talk_wait_ack(struct agent_talk *, uint64_t seq);

#endif /* tests/server/agent_talk.h */
