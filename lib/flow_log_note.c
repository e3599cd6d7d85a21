/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_note - notes, and how each becomes a row. */
#include <config.h>

#include "lib/flow_log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"

/* What texts and steps of a rule take that has none yet, or thereabouts. */
#define UNDESCRIBED_BYTES 512

static const char *const event_names[] = {
    [FLOW_LOG_START] = "start",
    [FLOW_LOG_STOP] = "stop",
    [FLOW_LOG_CONNECT] = "connect",
    [FLOW_LOG_READY] = "ready",
    [FLOW_LOG_DISCONNECT] = "disconnect",
    [FLOW_LOG_PORT] = "port",
    [FLOW_LOG_LINK_UP] = "link-up",
    [FLOW_LOG_LINK_DOWN] = "link-down",
    [FLOW_LOG_NOTE] = "note",
    [FLOW_LOG_GAP] = "gap",
    [FLOW_LOG_ROLE] = "role",
};

const char *
flow_log_event_name(enum flow_log_event event)
{
    assert(event <= FLOW_LOG_ROLE);
    return event_names[event];
}

void
flow_log_note_uninit(struct flow_log_note *note)
{
    rule_unref(note->rule);
    free(note->text);
    free(note->more);
    free(note->raw);
}

struct flow_log_note
flow_log_note_clone(const struct flow_log_note *note)
{
    struct flow_log_note copy = *note;

    copy.rule = note->rule ? rule_ref(note->rule) : NULL;
    copy.text = lh_strdup(note->text);
    copy.more = lh_strdup(note->more);
    copy.raw = lh_memdup(note->raw, note->raw_len);
    return copy;
}

static size_t
text_bytes(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

size_t
flow_log_note_bytes(const struct flow_log_note *note)
{
    size_t n = sizeof *note + text_bytes(note->text) + text_bytes(note->more) +
               note->raw_len;
    const struct rule *r = note->rule;

    if (r && __atomic_load_n(&r->describe, __ATOMIC_ACQUIRE)) {
        n += sizeof *r + r->raw_len + UNDESCRIBED_BYTES;
    } else if (r) {
        n += sizeof *r + text_bytes(r->match) + text_bytes(r->actions) +
             text_bytes(r->command) + text_bytes(r->who) + r->raw_len +
             r->allocated_steps * sizeof *r->steps;
    }
    return n;
}

void
flow_log_notes_add(struct flow_log_notes *to, const struct flow_log_note *note)
{
    to->notes =
        lh_alloc_grow(to->notes, to->n, &to->allocated, sizeof *to->notes);
    to->notes[to->n++] = *note;
}

void
flow_log_notes_uninit(struct flow_log_notes *notes)
{
    for (size_t i = notes->first; i < notes->n; i++) {
        flow_log_note_uninit(&notes->notes[i]);
    }
    free(notes->notes);
    *notes = (struct flow_log_notes){.notes = NULL};
}

static void
copy_wanted(const struct flow_log_notes *from,
            bool (*is_wanted)(const struct flow_log_note *, const void *aux),
            const void *aux, struct flow_log_notes *to)
{
    for (size_t i = from->first; i < from->n; i++) {
        if (is_wanted(&from->notes[i], aux)) {
            struct flow_log_note copy = flow_log_note_clone(&from->notes[i]);

            flow_log_notes_add(to, &copy);
        }
    }
}

void
flow_log_notes_waiting(struct flow_log *log,
                       bool (*is_wanted)(const struct flow_log_note *,
                                         const void *aux),
                       const void *aux, struct flow_log_notes *to)
{
    struct flow_log_shared *shared = log->shared;

    if (!shared) {
        return;
    }
    pthread_mutex_lock(&shared->mutex);
    copy_wanted(&shared->writing, is_wanted, aux, to);
    copy_wanted(&shared->queue, is_wanted, aux, to);
    pthread_mutex_unlock(&shared->mutex);
    copy_wanted(&log->pending, is_wanted, aux, to);
}
