/* SPDX-License-Identifier: Apache-2.0 */
/* status - the recorder at a glance, for the API's `status` and for the answer
 * to what changes the switches.
 *
 * Threads: that of the event loop. */
#ifndef RECORDER_STATUS_H
#define RECORDER_STATUS_H 1

#include <stdint.h>
#include <jansson.h>

struct session_env;

/* A new object. */
json_t *status_get(const struct session_env *, uint64_t started_ns);
/* Brings every switch in line with what was decided; a new array of what each
 * is now, with `rewritten`. */
json_t *status_apply(const struct session_env *);

#endif /* recorder/status.h */
