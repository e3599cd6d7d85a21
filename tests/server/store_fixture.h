/* SPDX-License-Identifier: Apache-2.0 */
/* store_fixture - what a stage-1 owner sends to a stage-2 owner, and what of
 * that is archived.
 *
 * Threads: one; one fixture in a process. */
#ifndef TESTS_SERVER_STORE_FIXTURE_H
#define TESTS_SERVER_STORE_FIXTURE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bus.h"
#include "lib/byte_buf.h"
#include "lib/packet_id.h"

#define STORE_M 3 /* The shard. */
#define STORE_K 5 /* Which sends to it. */
/* When the first history was. */
#define STORE_FIRST_NS (STORE_NOW_NS + 1000)
#define STORE_NOW_NS   UINT64_C(1700000000000000000)

extern const struct packet_id_config store_id_config;
extern struct event_base *base;
extern struct bus *bus;
extern char dirs[2][80]; /* Of two servers. */
extern uint64_t n_sent;  /* Histories of committed checkpoints: 1 to n. */
extern uint64_t n_checkpoints;

/* Sends 'n' checkpoints of two messages, with what an owner that is none any
 * more sent between them. */
void send_checkpoints(size_t n);
/* A checkpoint whose last part NATS does not show at first; and that part. */
void send_without_last_part(void);
void send_last_part(void);
/* That part without sending it: is appended. */
void make_last_part(struct byte_buf *out);
/* A message as a newer version would write it: itself, or what it packs;
 * returns its number. */
uint64_t send_newer(bool is_packed);
/* All directories together have each history that was sent once. */
void check_each_once(void);

#endif /* tests/server/store_fixture.h */
