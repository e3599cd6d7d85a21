/* SPDX-License-Identifier: Apache-2.0 */
/* recorder - the whole of lasthop-recorder: the flow log, discovery, the API
 * and a session for every switch that connects.
 *
 * Threads: one. */
#ifndef RECORDER_RECORDER_H
#define RECORDER_RECORDER_H 1

#include "lib/lh_error.h"
#include "recorder/recorder_config.h"

/* Connections of switches, and of guests (--serve). */
#define RECORDER_MAX_SESSIONS 1024
#define RECORDER_MAX_GUESTS   128

struct recorder;

/* Opens everything; 'config' must outlive it.  0, or an errno value with a
 * reason that names what could not be opened. */
int recorder_create(const struct recorder_config *config, struct recorder **,
                    struct lh_error *);
void recorder_destroy(struct recorder *);

/* Works until SIGTERM or SIGINT. */
void recorder_run(struct recorder *);

#endif /* recorder/recorder.h */
