/* SPDX-License-Identifier: Apache-2.0 */
/* server_choice - which of several servers an agent ships to:
 * --server HOST[:PORT],or=HOST[:PORT].., and those that servers tell of.
 *
 * Each agent has the servers in an order of its own, by rendezvous hashing
 * (lib/rendezvous.h) on its name: that of the highest weight is its own, the
 * next ones stand in for it.  So agents are spread over servers, and when one
 * dies its agents go to all the others.
 *
 *     i = server_choice_next(choice);      try that one; when it fails
 *     server_choice_fail(choice, i);       and again
 *
 * Servers are tried in that order, each once in a round.  In the first round
 * each is told that others would do (server_choice_has_others()), and may
 * refuse because it is about to go; when all have failed each is asked once
 * more, and told that it is the last hope.
 *
 * A server of a cluster tells which servers take agents now
 * (server_choice_tell()).  These come first then, and those of --server behind
 * them, each group in that order.
 *
 * Threads: one. */
#ifndef AGENT_SERVER_CHOICE_H
#define AGENT_SERVER_CHOICE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/agent_frame.h"
#include "lib/host_port.h"
#include "lib/lh_error.h"

#define SERVER_CHOICE_MAX 64 /* Of --server. */

struct server_target {
    struct host_port at;
    bool has_failed; /* In this round. */
    bool is_told;    /* By a server, and that is how it stands. */
    bool was_said;   /* For whoever uses it. */
};

struct server_choice;

/* Returns 0, or EINVAL with the reason when 'text' is no list of addresses. */
int server_choice_create(const char *text, const char *name,
                         struct server_choice **, struct lh_error *);
/* NULL is fine. */
void server_choice_destroy(struct server_choice *);

/* These take agents now; the agent ships to number '*now', or tries to, which
 * becomes that server's new number.  Addresses that are none are left out.
 * Returns false when all is as it was. */
bool server_choice_tell(struct server_choice *, const struct agent_server *,
                        size_t n, size_t *now);

size_t server_choice_n(const struct server_choice *);
/* 0 is its own.  Good until the next server_choice_tell(). */
struct server_target *server_choice_get(struct server_choice *, size_t i);

/* The first one that has not failed in this round. */
size_t server_choice_next(const struct server_choice *);
/* Returns whether that was the last of the round, and another begins. */
bool server_choice_fail(struct server_choice *, size_t i);
/* It took the agent. */
void server_choice_work(struct server_choice *, size_t i);
/* Whether it is worth trying others. */
bool server_choice_has_others(const struct server_choice *);

#endif /* agent/server_choice.h */
