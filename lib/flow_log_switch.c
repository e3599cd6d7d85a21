/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_switch - what stays known about switches while they are away, and
 * small texts kept by key. */
#include <config.h>

#include "lib/flow_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"

/* The lowest index that no switch has, or 0. */
static uint16_t
free_index(const struct flow_log *log)
{
    for (uint16_t index = 1; index <= FLOW_LOG_MAX_INDEX; index++) {
        size_t i = 0;

        while (i < log->n_switches && log->switches[i].index != index) {
            i++;
        }
        if (i == log->n_switches) {
            return index;
        }
    }
    return 0;
}

static void
set_text(char **member, const char *text)
{
    if (text) {
        free(*member);
        *member = lh_strdup(text);
    }
}

uint16_t
flow_log_put_switch(struct flow_log *log, uint64_t dpid, const char *name,
                    const char *address)
{
    struct flow_log_note note = {
        .type = NOTE_SWITCH,
        .dpid = dpid,
        .text = lh_strdup(name),
        .more = lh_strdup(address),
    };
    struct flow_log_switch *s = NULL;

    for (size_t i = 0; i < log->n_switches; i++) {
        if (log->switches[i].dpid == dpid) {
            s = &log->switches[i];
        }
    }
    if (!s) {
        log->switches =
            lh_alloc_grow(log->switches, log->n_switches,
                          &log->allocated_switches, sizeof *log->switches);
        s = &log->switches[log->n_switches];
        *s = (struct flow_log_switch){.dpid = dpid};
        s->index = free_index(log);
        log->n_switches++;
    } else if (!s->index) {
        s->index = free_index(log);
    }
    set_text(&s->name, name);
    set_text(&s->address, address);
    note.port = s->index;
    /* Has a mark from now on, which the end of the log lowers. */
    flow_log_skip_version(log, dpid, 0);
    flow_log_queue_add(log, &note);
    flow_log_hand_over(log);
    return s->index;
}

static int
read_switches(struct flow_log *log, struct flow_log_switch **switches,
              size_t *n, size_t *allocated, struct lh_error *error)
{
    struct db_statement *s =
        db_prepare(log->db, "SELECT dpid, name, address, idx FROM switch");

    while (db_step(s)) {
        *switches = lh_alloc_grow(*switches, *n, allocated, sizeof **switches);
        (*switches)[(*n)++] = (struct flow_log_switch){
            .dpid = (uint64_t) db_int(s, 0),
            .name = lh_strdup(db_text(s, 1)),
            .address = lh_strdup(db_text(s, 2)),
            .index = (uint16_t) db_int(s, 3),
        };
    }
    return db_finish(s) ? 0 : db_error(log->db, "cannot read", error);
}

bool
flow_log_switches_load(struct flow_log *log)
{
    return !read_switches(log, &log->switches, &log->n_switches,
                          &log->allocated_switches, NULL);
}

int
flow_log_switches(struct flow_log *log, struct flow_log_switch **switches,
                  size_t *n, struct lh_error *error)
{
    size_t allocated = 0;
    int retval = 0;

    *switches = NULL;
    *n = 0;
    if (!log->is_owner) {
        retval = read_switches(log, switches, n, &allocated, error);
    }
    for (size_t i = 0; i < log->n_switches; i++) {
        const struct flow_log_switch *s = &log->switches[i];

        *switches =
            lh_alloc_grow(*switches, *n, &allocated, sizeof **switches);
        (*switches)[(*n)++] = (struct flow_log_switch){
            .dpid = s->dpid,
            .name = lh_strdup(s->name),
            .address = lh_strdup(s->address),
            .index = s->index,
        };
    }
    if (retval) {
        flow_log_switches_free(*switches, *n);
        *switches = NULL;
        *n = 0;
    }
    return retval;
}

void
flow_log_switches_free(struct flow_log_switch *switches, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(switches[i].name);
        free(switches[i].address);
    }
    free(switches);
}

static bool
is_text(const struct flow_log_note *note, const void *key)
{
    return note->type == NOTE_TEXT && !strcmp(note->text, key);
}

/* The text that waits to be written under 'key', or NULL. */
static char *
waiting_text(struct flow_log *log, const char *key)
{
    struct flow_log_notes notes = {.notes = NULL};
    char *text = NULL;

    flow_log_notes_waiting(log, is_text, key, &notes);
    if (notes.n) {
        text = lh_strdup(notes.notes[notes.n - 1].more);
    }
    flow_log_notes_uninit(&notes);
    return text;
}

int
flow_log_get_text(struct flow_log *log, const char *key, char **text,
                  struct lh_error *error)
{
    struct db_statement *s;

    *text = waiting_text(log, key);
    if (*text) {
        return 0;
    }
    s = db_prepare(log->db,
                   "SELECT value FROM meta WHERE key = 'text.' || ?1");
    db_bind_text(s, 1, key);
    if (db_step(s)) {
        *text = lh_strdup(db_text(s, 0));
    }
    if (!db_finish(s)) {
        return db_error(log->db, "cannot read", error);
    }
    if (!*text) {
        lh_error_set(error, "flow log %s: nothing kept as %s", log->path, key);
        return ENOENT;
    }
    return 0;
}
