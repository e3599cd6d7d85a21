/* SPDX-License-Identifier: Apache-2.0 */
/* selection_line - one selection, from its line of text; for selection.c.
 *
 * Threads: pure functions. */
#ifndef RECORDER_SELECTION_LINE_H
#define RECORDER_SELECTION_LINE_H 1

#include "lib/lh_error.h"
#include "recorder/selection.h"

/* Reads the selection in 'line', which is written to and has no newline:
 * '*sp' is the caller's, NULL when the line is empty.  Returns 0, or EINVAL
 * with a reason whose position is a byte of the line. */
int selection_line_read(char *line, struct selection **sp, struct lh_error *);
void selection_line_destroy(struct selection *);

#endif /* recorder/selection_line.h */
