/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_db - what the files of flow_log share: the handle, its database,
 * notes, and what the writer's thread and the handles of other threads have
 * in common.  For flow_log*.c only. */
#ifndef LIB_FLOW_LOG_DB_H
#define LIB_FLOW_LOG_DB_H 1

#include <pthread.h>

#include "lib/db.h"
#include "lib/flow_log.h"

/* In removed_change and removed_ns of what still stands. */
#define FLOW_LOG_NEVER INT64_MAX

#define FLOW_LOG_MAX_INDEX   4095
#define FLOW_LOG_MAX_VERSION UINT32_MAX

enum flow_log_note_type {
    NOTE_MADE,
    NOTE_REMOVED,
    NOTE_EVENT,
    NOTE_SWITCH, /* Name and address. */
    NOTE_TEXT    /* Kept by key. */
};

struct flow_log_note {
    enum flow_log_note_type type;
    enum flow_log_event event; /* NOTE_EVENT. */
    uint64_t seq;              /* Rises with every note handed over. */
    uint64_t change;
    uint64_t dpid;
    uint64_t time_ns;
    uint64_t since_ns; /* When it was handed over, CLOCK_MONOTONIC. */
    struct rule *rule; /* NOTE_MADE: a reference. */
    uint32_t version;
    uint32_t port;  /* NOTE_EVENT; NOTE_SWITCH: index. */
    size_t n_bytes; /* Memory that it takes, once handed over. */
    char *text;     /* NOTE_REMOVED: reason; NOTE_EVENT: text; NOTE_SWITCH:
                     * name; NOTE_TEXT: key.  Owned. */
    char *more;     /* NOTE_SWITCH: address; NOTE_TEXT: value.  Owned. */
};

/* Notes in order. */
struct flow_log_notes {
    struct flow_log_note *notes; /* Owned. */
    size_t first;                /* Those before were dealt with. */
    size_t n, allocated;
};

/* What the disk knows of the versions of one switch: those up to 'durable'
 * may have been given. */
struct flow_log_mark {
    uint64_t dpid;
    uint64_t durable;
    uint64_t wanted;
};

/* What the owner and the writer's thread share, and handles of other threads
 * read. */
struct flow_log_shared {
    /* Held for moments only, never while the disk works: the thread that
     * forwards takes it too. */
    pthread_mutex_t mutex;
    pthread_cond_t work; /* For the writer. */
    pthread_cond_t done; /* A try to write has ended. */

    /* Locked. */
    struct flow_log_notes queue;   /* To be written. */
    struct flow_log_notes writing; /* Before these.  The writer alone changes
                                    * it and reads it without the lock. */
    size_t n_bytes;                /* Of both. */
    uint64_t max_bytes;
    uint64_t seq;           /* Of the last note handed over. */
    uint64_t n_lost_unsaid; /* Notes lost since the timeline told of it. */
    uint64_t lost_since_ns;
    struct flow_log_mark *marks; /* Owned. */
    size_t n_marks, allocated_marks;
    uint64_t new_durable, new_wanted; /* Mark of switches without one. */
    uint64_t trim_ns; /* To be deleted before this; 0: nothing to do. */
    bool is_urgent;   /* Somebody waits. */
    bool is_stopping;
    uint64_t n_started, n_ended; /* Tries to write. */
    int failure;                 /* Of the last one. */
    struct lh_error failure_reason;
    struct flow_log_lag lag; /* What was written, and when. */
    uint64_t written_seq, durable_seq;
    struct flow_log_counters counters; /* But for those of the owner. */

    /* Set when opened, then the writer's. */
    struct flow_log *writer; /* Owned. */
    pthread_t thread;
    bool is_running;
    uint64_t synced_ns; /* CLOCK_MONOTONIC: last time all was on disk. */
};

/* The versions of one switch as the owner gives them. */
struct flow_log_versions {
    uint64_t dpid;
    uint64_t next; /* 64 bits: 2^32 means all are used up. */
    uint64_t mark; /* As far as we know the disk knows. */
    uint64_t wanted;
    uint64_t logged, reserved; /* When opened: see _unknown_versions(). */
};

enum flow_log_statement {
    STATEMENT_INSERT_RULE,
    STATEMENT_REMOVE_RULE,
    STATEMENT_INSERT_EVENT,
    STATEMENT_PUT_SWITCH,
    STATEMENT_PUT_META,
    STATEMENT_GET_META,
    STATEMENT_SET_MARK,
    STATEMENT_FIND,
    STATEMENT_TABLE_BY_CHANGE,
    STATEMENT_TABLE_BY_TIME,
    STATEMENT_STANDING,
    N_STATEMENTS
};

/* A handle.  The owner's has a database connection for its queries and shares
 * with its writer, which has one of its own. */
struct flow_log {
    /* Set when opened. */
    struct db *db; /* Owned. */
    char *path;
    int lock_fd; /* -1: not ours. */
    bool is_owner;
    struct flow_log_shared *shared; /* NULL: the file alone.  The owner's. */
    struct flow_log_gap gap;

    struct db_statement *statements[N_STATEMENTS]; /* When first used. */

    /* The owner's. */
    uint64_t change;                    /* Number of the last one. */
    struct flow_log_notes pending;      /* Of the last change. */
    struct flow_log_versions *versions; /* Sorted by dpid. */
    size_t n_versions, allocated_versions;
    uint64_t new_base;                /* Versions of new switches are above. */
    bool cannot_reserve;              /* A wait for it has failed. */
    struct flow_log_switch *switches; /* Owned. */
    size_t n_switches, allocated_switches;
    struct flow_log_counters counters;
};

/* The statement, ready for its parameters. */
struct db_statement *flow_log_db_statement(struct flow_log *,
                                           enum flow_log_statement);
/* Closes log->db and what belongs to it. */
void flow_log_db_close(struct flow_log *);
/* Checks the format's number, and makes the tables where they are missing and
 * 'is_writer'. */
int flow_log_db_schema(struct flow_log *, bool is_writer, struct lh_error *);
/* Numbers by key; 0 when there is none. */
bool flow_log_db_put(struct flow_log *, const char *key, uint64_t value);
bool flow_log_db_get(struct flow_log *, const char *key, uint64_t *value);
bool flow_log_db_put_mark(struct flow_log *, uint64_t dpid, uint64_t mark);

/* Notes (flow_log_note.c). */
void flow_log_note_uninit(struct flow_log_note *);
/* A copy with references and texts of its own. */
struct flow_log_note flow_log_note_clone(const struct flow_log_note *);
/* Memory that it takes. */
size_t flow_log_note_bytes(const struct flow_log_note *);
void flow_log_notes_add(struct flow_log_notes *, const struct flow_log_note *);
void flow_log_notes_uninit(struct flow_log_notes *);
/* Adds to '*to' copies of those that wait to be written and for which
 * 'is_wanted' says so, in their order.  The owner sees those of the change
 * that it is at, too; their 'seq' is UINT64_MAX. */
void flow_log_notes_waiting(struct flow_log *,
                            bool (*is_wanted)(const struct flow_log_note *,
                                              const void *aux),
                            const void *aux, struct flow_log_notes *to);
/* Makes it a row, inside the open transaction.  True when that went well. */
bool flow_log_note_write(struct flow_log *, const struct flow_log_note *,
                         uint64_t *n_duplicates);

/* Adds the note to the change that is being made (flow_log_queue.c). */
void flow_log_queue_add(struct flow_log *, struct flow_log_note *);

/* The writer (flow_log_writer.c). */
uint64_t flow_log_mono_ns(void);
/* Starts the thread, which takes 'writer' over. */
int flow_log_writer_start(struct flow_log_shared *, struct lh_error *);
/* Writes what is queued, as far as that is possible, and ends the thread: then
 * 'writer' is the caller's again. */
void flow_log_writer_stop(struct flow_log_shared *);

/* Versions (flow_log_version.c): what stands on the disk, before the writer
 * runs; switches without a mark may have been given versions up to 'base'. */
bool flow_log_versions_load(struct flow_log *, uint64_t base);
/* Inside the first transaction, a block for each; and once it is done. */
bool flow_log_versions_reserve_all(struct flow_log *);
void flow_log_versions_reserved_all(struct flow_log *);
/* Inside the last: gives back those that were not used. */
bool flow_log_versions_return_all(struct flow_log *);

/* Switches (flow_log_switch.c). */
bool flow_log_switches_load(struct flow_log *);

#endif /* lib/flow_log_db.h */
