/* SPDX-License-Identifier: Apache-2.0 */
/* json_lines - histories as lines of JSON, for --json.
 *
 * Threads: any; lines stay whole. */
#ifndef SERVER_JSON_LINES_H
#define SERVER_JSON_LINES_H 1

#include <stdbool.h>
#include <stdio.h>

#include "lib/history.h"
#include "lib/topology.h"

struct json_lines;

/* Writes to 'stream', which stays the caller's. */
struct json_lines *json_lines_create(FILE *stream);
void json_lines_destroy(struct json_lines *);

/* Nothing once writing has failed, which was said. */
void json_lines_write(struct json_lines *, const struct history *,
                      const struct topology *);
void json_lines_flush(struct json_lines *);
/* False once writing has failed. */
bool json_lines_is_ok(const struct json_lines *);

#endif /* server/json_lines.h */
