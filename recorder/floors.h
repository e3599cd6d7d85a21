/* SPDX-License-Identifier: Apache-2.0 */
/* floors - how far back servers need the flow tables of.
 *
 * Every server with an archive names itself and says once a minute since when
 * it needs every state.  The log is not cut above the earliest of these
 * floors.  A server that has said nothing for a while (--retain-for) does not
 * count any more.  They are kept in the log, and the time in which no recorder
 * ran does not make a server late: it has FLOORS_GRACE_NS to say so again.
 *
 * Threads: that of the event loop. */
#ifndef RECORDER_FLOORS_H
#define RECORDER_FLOORS_H 1

#include <stdint.h>
#include <jansson.h>

#include "lib/lh_error.h"

#define FLOORS_MAX      64 /* Servers. */
#define FLOORS_MAX_NAME 255
#define FLOORS_GRACE_NS UINT64_C(300000000000)

struct api_server;
struct floors;
struct flow_log;

/* 'log' must outlive it; a floor that is not confirmed is forgotten after
 * 'keep_ns' (0: never). */
struct floors *floors_create(struct flow_log *log, uint64_t keep_ns,
                             uint64_t now_ns);
void floors_destroy(struct floors *);

/* Server 'name' needs every state since 'since_ns' (UINT64_MAX: none any
 * more).  0, EINVAL for a name that is too long, or E2BIG for too many. */
int floors_set(struct floors *, const char *name, uint64_t since_ns,
               uint64_t now_ns, struct lh_error *);
/* Forgets who has not said anything for too long. */
void floors_run(struct floors *, uint64_t now_ns);

/* [{"name", "since_ns", "told_ns"}, ..]: a new array. */
json_t *floors_to_json(const struct floors *);
/* Serves the operation `retain` (docs/api.md). */
void floors_add_op(struct floors *, struct api_server *);

#endif /* recorder/floors.h */
