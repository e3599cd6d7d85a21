/* SPDX-License-Identifier: Apache-2.0 */
/* standby - waits until the flow log is free: the recorder that writes to it
 * has ended.
 *
 * The log's lock goes with its owner's process, however that ends, so that
 * two recorders never write one log and no version is given twice.
 *
 * Threads: that of the event loop. */
#ifndef RECORDER_STANDBY_H
#define RECORDER_STANDBY_H 1

#include "lib/lh_error.h"

struct endpoint;
struct event_base;
struct flow_log;

/* Opens the log at 'path' as soon as nobody else has it, running the event
 * loop meanwhile.  Returns ECANCELED when the loop was broken before that. */
int standby_open_log(struct event_base *, const char *path, struct flow_log **,
                     struct lh_error *);

/* endpoint_listen() for one who takes over: whoever had the log may be about
 * to let go of the address as well, so it is tried for two seconds. */
int standby_listen(const struct endpoint *, int *fd, struct lh_error *);

#endif /* recorder/standby.h */
