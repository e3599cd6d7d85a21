/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_db - what the files of flow_log share: the database handle, its
 * prepared statements and the queue of notes.  For flow_log*.c only. */
#ifndef LIB_FLOW_LOG_DB_H
#define LIB_FLOW_LOG_DB_H 1

#include "lib/db.h"
#include "lib/flow_log.h"

/* In removed_change and removed_ns of what still stands. */
#define FLOW_LOG_NEVER INT64_MAX

enum flow_log_note_type { NOTE_MADE, NOTE_REMOVED, NOTE_EVENT };

struct flow_log_note {
    enum flow_log_note_type type;
    uint64_t change;
    uint64_t dpid;
    uint64_t time_ns;
    struct rule *rule; /* NOTE_MADE: a reference. */
    uint32_t version;
    enum flow_log_event event;
    uint32_t port; /* NOTE_EVENT. */
    char *text;    /* NOTE_REMOVED: reason; NOTE_EVENT: text.  Owned. */
};

/* The versions of one switch.  As far as the disk knows, versions up to 'mark'
 * may have been given; 'next' is above that only when the disk fails. */
struct flow_log_versions {
    uint64_t dpid;
    uint64_t next; /* 64 bits: 2^32 means all are used up. */
    uint64_t mark;
};

enum flow_log_statement {
    STATEMENT_INSERT_RULE,
    STATEMENT_REMOVE_RULE,
    STATEMENT_INSERT_EVENT,
    STATEMENT_SET_CHANGE,
    STATEMENT_SET_MARK,
    STATEMENT_FIND,
    STATEMENT_TABLE_BY_CHANGE,
    STATEMENT_TABLE_BY_TIME,
    STATEMENT_STANDING,
    N_STATEMENTS
};

struct flow_log {
    /* Set when opened. */
    struct db *db; /* Owned. */
    char *path;
    int lock_fd; /* -1 when read-only. */
    bool is_readonly;

    struct db_statement *statements[N_STATEMENTS]; /* When first used. */
    uint64_t change;     /* Number of the last one. */
    bool cannot_reserve; /* No version could be reserved since a flush. */
    struct flow_log_note *notes;
    size_t n_notes, allocated_notes;
    struct flow_log_versions *versions; /* Sorted by dpid. */
    size_t n_versions, allocated_versions;
    struct flow_log_counters counters;
};

/* The statement, ready for its parameters. */
struct db_statement *flow_log_db_statement(struct flow_log *,
                                           enum flow_log_statement);
/* Closes log->db and what belongs to it. */
void flow_log_db_close(struct flow_log *);
/* Makes the tables where they are missing, checks the format's number, reads
 * the version marks. */
int flow_log_db_schema(struct flow_log *, struct lh_error *);

/* Queue (flow_log_queue.c). */
void flow_log_queue_add(struct flow_log *, const struct flow_log_note *);
void flow_log_queue_clear(struct flow_log *);
/* Writes all notes inside the open transaction.  True when that went well. */
bool flow_log_queue_write(struct flow_log *, uint64_t *n_duplicates);

#endif /* lib/flow_log_db.h */
