/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_db - what the files of flow_log share: the handle, its database,
 * notes, and what the writer's thread and the handles of other threads have
 * in common.  For flow_log*.c only. */
#ifndef LIB_FLOW_LOG_DB_H
#define LIB_FLOW_LOG_DB_H 1

#include <pthread.h>

#include "lib/byte_buf.h"
#include "lib/db.h"
#include "lib/flow_log.h"

/* A switch gets a snapshot after so many notes, or that many times what stood
 * in the one before: reading a row costs about as much as a rule of one. */
#define FLOW_LOG_SNAPSHOT_MIN   4096
#define FLOW_LOG_SNAPSHOT_RATIO 1

#define FLOW_LOG_MAX_INDEX   4095
#define FLOW_LOG_MAX_VERSION UINT32_MAX

/* The column `kind` of a note: what it says. */
enum flow_log_kind {
    KIND_MADE = 0,
    KIND_REMOVED = 1,
    KIND_PACKET_OUT = 2, /* Made, and over at once. */
    KIND_REFUSED = 3,    /* Made, but the switch refused it. */
    KIND_UNDONE = 4,     /* Removed, but the switch refused that. */
    KIND_RESTORED = 5,   /* Says so at its place. */
    KIND_AGAIN = 6,      /* Stands, but is_instrumented differs. */
    KIND_GROUP = 8,
    KIND_GROUP_GONE = 9,
    KIND_METER = 10,
    KIND_METER_GONE = 11,
    KIND_NEVER = 4, /* Added to these four: the switch refused it. */
    KIND_EVENT = 16 /* And enum flow_log_event. */
};
#define MAX_KIND (KIND_EVENT + FLOW_LOG_ROLE)

/* A row of the table `note`. */
struct flow_log_row {
    uint64_t seq, change, time_ns, dpid;
    int kind;
    uint32_t id;
    const char *text, *actions;
    const uint8_t *body;
    size_t body_len;
};

enum flow_log_note_type {
    NOTE_MADE,
    NOTE_REMOVED,
    NOTE_EVENT,
    NOTE_SET,    /* A group or meter. */
    NOTE_GONE,   /* One of these. */
    NOTE_SWITCH, /* Name and address. */
    NOTE_TEXT,   /* Kept by key. */
    NOTE_RETAIN  /* Time of flow_log_retain(). */
};

struct flow_log_note {
    enum flow_log_note_type type;
    enum flow_log_event event; /* NOTE_EVENT. */
    uint64_t seq;              /* Rises with every note handed over. */
    uint64_t change;
    uint64_t dpid;
    uint64_t time_ns;
    uint64_t since_ns;         /* When it was handed over, CLOCK_MONOTONIC. */
    struct rule *rule;         /* NOTE_MADE: a reference. */
    uint32_t version;          /* NOTE_SET, NOTE_GONE: id. */
    uint32_t port;             /* NOTE_EVENT; NOTE_SWITCH: index. */
    enum flow_log_class class; /* NOTE_SET, NOTE_GONE. */
    bool is_void;              /* Another note that waits undoes it. */
    uint8_t *raw;              /* NOTE_SET.  Owned. */
    size_t raw_len;
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
    bool has_trim;                    /* To be done: */
    uint64_t trim_ns, trim_bytes;
    uint64_t retain_ns; /* As the disk has it, or will. */
    bool is_urgent;     /* Somebody waits. */
    bool is_stopping;
    uint64_t n_started, n_ended; /* Tries to write. */
    uint64_t n_given_back; /* `written` when memory was given back last. */
    int failure;           /* Of the last one. */
    struct lh_error failure_reason;
    struct flow_log_lag lag; /* What was written, and when. */
    uint64_t written_seq, durable_seq;
    struct flow_log_counters counters; /* But for those of the owner. */

    /* Set when opened, then the writer's. */
    struct flow_log *writer; /* Owned. */
    pthread_t thread;
    bool is_running;
    uint64_t synced_ns; /* CLOCK_MONOTONIC: last time all was on disk. */
    uint64_t begun_ns;  /* CLOCK_MONOTONIC: of the last transaction. */
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
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_INSERT_NOTE,
    STATEMENT_RULE_NOTES,
    STATEMENT_OBJECT_NOTES,
    STATEMENT_SET_KIND,
    STATEMENT_LAST_VERSION,
    STATEMENT_CUT_SNAPSHOTS,
    STATEMENT_PUT_CLOCK,
    STATEMENT_GET_CLOCK,
    STATEMENT_TIME_AT,
    STATEMENT_END_OF_CHANGE,
    STATEMENT_SNAPSHOT,
    STATEMENT_PUT_SNAPSHOT,
    STATEMENT_NOTES_OF_SWITCH,
    STATEMENT_NOTES_BETWEEN,
    STATEMENT_N_SINCE,
    STATEMENT_END,
    STATEMENT_TRIM_ROWS,
    STATEMENT_TRIM_RULE,
    STATEMENT_TRIM_OBJECT,
    STATEMENT_TRIM_ONE,
    STATEMENT_PUT_SWITCH,
    STATEMENT_PUT_META,
    STATEMENT_GET_META,
    STATEMENT_SET_MARK,
    N_STATEMENTS
};

/* What the writer counts for one switch. */
struct flow_log_tally {
    uint64_t dpid;
    uint64_t last_version; /* The highest that is logged. */
    uint64_t n_since;      /* Notes since the last snapshot. */
    uint64_t snapshot_at;  /* Notes at which the next one is due. */
};

/* A handle.  The owner's has a database connection for its queries and shares
 * with its writer, which has one of its own. */
/* What the database was told to do at the end of a transaction. */
enum flow_log_sync { SYNC_UNKNOWN, SYNC_NORMAL, SYNC_FULL };

struct flow_log {
    /* Set when opened. */
    struct db *db; /* Owned. */
    char *path;
    int lock_fd; /* -1: not ours. */
    bool is_owner;
    struct flow_log_shared *shared; /* NULL: the file alone.  The owner's. */
    struct flow_log_gap gap;
    unsigned int n_views; /* Open ones, one in the other. */

    struct db_statement *statements[N_STATEMENTS]; /* When first used. */

    /* The writer's. */
    struct flow_log_tally *tallies; /* Owned. */
    size_t n_tallies, allocated_tallies;
    uint64_t last_ns; /* Time of the last row. */
    enum flow_log_sync sync;
    struct byte_buf body; /* Of the row being made. */

    /* The owner's. */
    uint64_t change;                    /* Number of the last one. */
    uint64_t noted_ns;                  /* Time of the last note. */
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

/* Rows (flow_log_store.c), inside the open transaction. */
bool flow_log_store_load(struct flow_log *writer);
/* Makes the note a row.  True when that went well. */
bool flow_log_store_note(struct flow_log *writer, const struct flow_log_note *,
                         uint64_t *n_duplicates);
struct flow_log_tally *flow_log_store_tally(struct flow_log *writer,
                                            uint64_t dpid);
/* The row of a statement whose columns are FLOW_LOG_ROW_COLUMNS. */
#define FLOW_LOG_ROW_COLUMNS                                                  \
    "seq, change, time_ns, dpid, kind, id, text, actions, body"
void flow_log_store_row(const struct db_statement *, struct flow_log_row *);

/* A state that is being put together (flow_log_build.c): what stands, by class
 * and id, as records or, where it waits for the disk, as notes. */
struct flow_log_item {
    uint8_t class; /* 0: a rule; else enum flow_log_class. */
    bool is_there;
    uint32_t id;
    uint64_t seq, change, time_ns;
    size_t ofs, len;                  /* Of its record in `bytes`; or */
    const struct flow_log_note *note; /* the note that says so. */
};
struct flow_log_build {
    uint64_t dpid;
    struct byte_buf bytes;
    struct flow_log_item *items; /* Owned. */
    size_t n_items, allocated_items;
    size_t n_there;
    uint32_t *slots; /* Hash table of items, counted from 1.  Owned. */
    size_t n_slots;  /* A power of two. */
};
void flow_log_build_init(struct flow_log_build *, uint64_t dpid);
void flow_log_build_uninit(struct flow_log_build *);
void flow_log_build_remove(struct flow_log_build *, uint8_t class,
                           uint32_t id);
/* The item, made if it is not there, to be filled. */
struct flow_log_item *flow_log_build_set(struct flow_log_build *,
                                         uint8_t class, uint32_t id);
struct flow_log_item *flow_log_build_find(const struct flow_log_build *,
                                          uint8_t class, uint32_t id);
/* Reads what stood right after row 'seq' from snapshot and rows. */
int flow_log_build_read(struct flow_log *, uint64_t seq,
                        struct flow_log_build *, struct lh_error *);

/* Snapshots (flow_log_snapshot.c). */
bool flow_log_snapshot_write(struct flow_log *writer, uint64_t seq,
                             struct flow_log_build *);
/* Adds the newest of build->dpid that is not after 'seq'; '*at' is its own,
 * 0 when there is none. */
int flow_log_snapshot_read(struct flow_log *, uint64_t seq, uint64_t *at,
                           struct flow_log_build *, struct lh_error *);
/* Makes those that are due. */
bool flow_log_snapshot_all(struct flow_log *writer, uint64_t seq);

/* Records (flow_log_record.c). */
void flow_log_record_put_body(struct byte_buf *, const struct rule *,
                              uint64_t change, uint64_t time_ns);
bool flow_log_record_is_instrumented(const uint8_t *body, size_t len);
void flow_log_record_put(struct byte_buf *, const struct flow_log_row *);
int flow_log_record_get(const uint8_t *data, size_t len, uint64_t dpid,
                        const struct flow_log_item *, struct rule **,
                        struct lh_error *);
void flow_log_record_get_object(const uint8_t *data, size_t len,
                                struct flow_log_object *);

/* Times (flow_log_clock.c): the last row whose time is not after 'time_ns', 0
 * if there is none. */
bool flow_log_clock_seek(struct flow_log *, uint64_t time_ns, uint64_t *seq);
/* The row before the first whose time is not before 'time_ns'. */
bool flow_log_clock_first(struct flow_log *, uint64_t time_ns,
                          uint64_t *after);

/* Views (flow_log_view.c): what waits for the disk and is wanted, and a
 * transaction that reads what is on it. */
bool flow_log_view_begin(struct flow_log *,
                         bool (*is_wanted)(const struct flow_log_note *,
                                           const void *aux),
                         const void *aux, struct flow_log_notes *waiting,
                         uint64_t *seq);
int flow_log_view_end(struct flow_log *, int retval,
                      struct flow_log_notes *waiting);
/* For _begin(): notes of a switch that change what stands. */
struct flow_log_wanted {
    uint64_t dpid;
    uint32_t version; /* Of one rule; 0: all. */
};
bool flow_log_view_wants(const struct flow_log_note *, const void *wanted);
/* The switch refused what the note says is gone. */
bool flow_log_view_is_error(const struct flow_log_note *);
/* Marks as void what the switch refused: it neither came nor went. */
void flow_log_view_drop_refused(struct flow_log_notes *waiting);

/* The rule that a row made (flow_log_query.c). */
int flow_log_query_row_rule(struct flow_log *, const struct flow_log_row *,
                            struct rule **, struct lh_error *);

/* Deleting (flow_log_trim.c): some rows of what 'time_ns' and 'max_bytes'
 * allow, inside the open transaction. */
bool flow_log_trim_some(struct flow_log *writer, uint64_t time_ns,
                        uint64_t max_bytes, uint64_t retain_ns,
                        uint64_t *n_rows, bool *is_done, bool *is_too_large);

/* Older formats (flow_log_migrate.c).  _file() makes the log that is at
 * log->path one of today's format; _copy() fills the empty log->db with what
 * the file has. */
int flow_log_migrate_file(struct flow_log *, struct lh_error *);
int flow_log_migrate_copy(struct flow_log *, struct lh_error *);

/* Adds to '*error', which says that the file is damaged, what to do. */
void flow_log_db_advise(const struct flow_log *, struct lh_error *error);
/* Makes the tables in an empty database. */
int flow_log_db_make(struct flow_log *, struct lh_error *);

/* Adds the note to the change that is being made (flow_log_queue.c). */
void flow_log_queue_add(struct flow_log *, struct flow_log_note *);
/* So much waits that it is written at once.  Locked. */
bool flow_log_is_crowded(const struct flow_log_shared *);

/* The writer (flow_log_writer.c). */
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
