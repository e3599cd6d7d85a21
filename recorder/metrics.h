/* SPDX-License-Identifier: Apache-2.0 */
/* metrics - the recorder's counters as Prometheus text (docs/metrics.md).
 *
 * Threads: pure functions. */
#ifndef RECORDER_METRICS_H
#define RECORDER_METRICS_H 1

#include <jansson.h>

struct evbuffer;

/* Adds those of 'stats', the object that `stats` answers. */
void metrics_write(const json_t *stats, struct evbuffer *);

#endif /* recorder/metrics.h */
