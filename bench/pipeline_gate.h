/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_gate - holds a lasthop-server --read back until live filters stand.
 *
 * A server that is given a recorder reads its file when the recorder has told
 * its rules.  The gate is such a recorder: it knows nothing, and says so when
 * it is opened.
 *
 * What fails ends the program with the reason.
 *
 * Threads: one. */
#ifndef BENCH_PIPELINE_GATE_H
#define BENCH_PIPELINE_GATE_H 1

#include <stddef.h>

struct pipeline_gate;

/* Shut, at 'dir'/recorder.sock, before the server is started. */
struct pipeline_gate *pipeline_gate_create(const char *dir);
/* Adds the 'n' filters as triggers of the server that runs in the same
 * directory, waiting for it. */
void pipeline_gate_add(struct pipeline_gate *, const char *const *filters,
                       size_t n);
/* Lets the server read. */
void pipeline_gate_open(struct pipeline_gate *);
void pipeline_gate_destroy(struct pipeline_gate *);

#endif /* bench/pipeline_gate.h */
