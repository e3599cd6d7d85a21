/* SPDX-License-Identifier: Apache-2.0 */
/* golden - what a program wrote, compared with what it is known to write.
 *
 * Golden files stand in tests/lib/golden/.  With GOLDEN_UPDATE set in the
 * environment they are written instead: look at the difference, then commit.
 */
#ifndef TESTS_LIB_GOLDEN_H
#define TESTS_LIB_GOLDEN_H 1

#include <jansson.h>

/* Fails the test unless golden file 'name' holds exactly 'text'. */
void golden_check(const char *name, const char *text);
/* The same for 'json' (taken), which is indented for people. */
void golden_check_json(const char *name, json_t *json);
/* The golden file 'name' as JSON, for the caller. */
json_t *golden_load_json(const char *name);

#endif /* tests/lib/golden.h */
