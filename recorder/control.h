/* SPDX-License-Identifier: Apache-2.0 */
/* control - what an operator has decided about postcards, for all switches:
 * the selections, and which switches are paused.
 *
 * Both are kept in the flow log, so that a recorder that starts again goes on
 * with them.  A decision that the disk does not take holds all the same.
 *
 * Ownership: control owns the list that control_selections() lends; it stays
 * the same pointer while its contents change.
 *
 * Threads: that of the event loop. */
#ifndef RECORDER_CONTROL_H
#define RECORDER_CONTROL_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/lh_error.h"
#include "recorder/selection.h"

struct control;
struct flow_log;

/* Takes what 'log' keeps; the selections from the file 'select_file' instead
 * when that is not NULL.  Returns 0, or an errno value with a reason that
 * names file, line and column. */
int control_create(struct flow_log *log, const char *select_file,
                   struct control **, struct lh_error *);
void control_destroy(struct control *);

struct selection_list *control_selections(const struct control *);
/* Replaces the list by the one in 'text'; errors as
 * selection_list_parse(). */
int control_load(struct control *, const char *text, struct lh_error *);
/* As selection_list_add() and selection_list_delete(). */
int control_add(struct control *, const char *line, const char *before,
                struct lh_error *);
int control_delete(struct control *, const char *name, struct lh_error *);

/* Pauses, or resumes, switch 'dpid', or every switch, known or not. */
void control_pause(struct control *, uint64_t dpid, bool is_paused);
void control_pause_all(struct control *, bool is_paused);
bool control_is_paused(const struct control *, uint64_t dpid);
/* What holds for switches of which nothing else was said. */
bool control_is_all_paused(const struct control *);

#endif /* recorder/control.h */
