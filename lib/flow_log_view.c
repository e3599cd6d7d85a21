/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_view - the log as one question sees it: first the notes that wait
 * to be written are copied, then a transaction begins to read the disk; notes
 * that it has already are dropped. */
#include <config.h>

#include "lib/flow_log.h"

#include <string.h>

#include "lib/flow_log_db.h"

bool
flow_log_view_wants(const struct flow_log_note *note, const void *wanted_)
{
    const struct flow_log_wanted *wanted = wanted_;

    if (note->dpid != wanted->dpid || note->type > NOTE_GONE ||
        note->type == NOTE_EVENT) {
        return false;
    }
    return !wanted->version ||
           (note->version == wanted->version && note->type <= NOTE_REMOVED);
}

bool
flow_log_view_begin(struct flow_log *log,
                    bool (*wants)(const struct flow_log_note *,
                                  const void *aux),
                    const void *aux, struct flow_log_notes *waiting,
                    uint64_t *seq)
{
    *waiting = (struct flow_log_notes){.notes = NULL};
    flow_log_notes_waiting(log, wants, aux, waiting);
    /* Who is told of the timeline may ask about a rule meanwhile. */
    if ((!log->n_views++ && !db_run(log->db, "BEGIN")) ||
        !flow_log_db_get(log, "seq", seq)) {
        return false;
    }
    while (waiting->first < waiting->n &&
           waiting->notes[waiting->first].seq <= *seq) {
        flow_log_note_uninit(&waiting->notes[waiting->first++]);
    }
    return true;
}

int
flow_log_view_end(struct flow_log *log, int retval,
                  struct flow_log_notes *waiting)
{
    if (!--log->n_views) {
        db_run(log->db, "ROLLBACK");
    }
    flow_log_notes_uninit(waiting);
    return retval;
}

bool
flow_log_view_is_error(const struct flow_log_note *note)
{
    return note->type == NOTE_REMOVED && note->text &&
           !strcmp(note->text, "error");
}

/* Marks the last of notes[..end-1] that is of 'type' and 'version' as
 * undone. */
static bool
make_void(struct flow_log_notes *waiting, size_t end,
          enum flow_log_note_type type, uint32_t version)
{
    for (size_t i = end; i-- > waiting->first;) {
        struct flow_log_note *note = &waiting->notes[i];

        if (note->type == type && note->version == version && !note->is_void) {
            note->is_void = true;
            return true;
        }
    }
    return false;
}

void
flow_log_view_drop_refused(struct flow_log_notes *waiting)
{
    uint32_t highest = 0;

    for (size_t i = waiting->first; i < waiting->n; i++) {
        struct flow_log_note *note = &waiting->notes[i];

        if (flow_log_view_is_error(note)) {
            make_void(waiting, i, NOTE_MADE, note->version);
        } else if (note->type == NOTE_REMOVED && note->version > highest) {
            highest = note->version;
        } else if (note->type == NOTE_MADE && note->version <= highest) {
            note->is_void = make_void(waiting, i, NOTE_REMOVED, note->version);
        }
    }
}
