/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log - every change of every flow table, on disk, so that any table can
 * be seen again as it was (docs/formats/flow-log.md).
 *
 * One process, the recorder, opens the log for writing; any number of others
 * read it at the same time with flow_log_open_readonly().
 *
 * Writing is the work of a thread of the log's own.  flow_log_made(),
 * flow_log_removed(), flow_log_event() and the flow_log_put_..() only put a
 * note into memory; none of them waits for the disk, whatever it does.  A
 * disk that is full or does not answer loses nothing: the notes stay and are
 * tried again.  Only when they take more than FLOW_LOG_MAX_BYTES a new one is
 * thrown away, counted, and said on the timeline once there is room again.
 * flow_log_lag() tells how far the disk is behind.
 *
 * Notes belong to changes: all notes between two calls of
 * flow_log_begin_change() are one change, and a table is never seen with half
 * of one.  flow_log_hand_over() says that the last one is complete.
 *
 * Queries see what is on disk and what waits to be written.
 *
 * Version numbers come from the log because it must never give one twice, not
 * even after a crash: they are reserved on disk, far ahead, before use.
 *
 * Threads: used only by the thread that opened it.  Another thread asks
 * through a handle of its own, by flow_log_open_reader(). */
#ifndef LIB_FLOW_LOG_H
#define LIB_FLOW_LOG_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/lh_error.h"
#include "lib/rule.h"

#define FLOW_LOG_FORMAT        2
#define FLOW_LOG_MAX_BYTES     (UINT64_C(256) << 20)
#define FLOW_LOG_VERSION_BLOCK 524288

#define FLOW_LOG_RESERVE_MS 20

struct flow_log;

/* Opens the log at 'path', made if it is not there, for writing.  Returns 0,
 * or EBUSY when another process has it open for writing, EPROTO when it is of
 * a format we do not know, otherwise an errno value; the reason names the
 * file. */
int flow_log_open(const char *path, struct flow_log **, struct lh_error *);
/* Opens the log that is at 'path' for queries only. */
int flow_log_open_readonly(const char *path, struct flow_log **,
                           struct lh_error *);
/* Keeps everybody from writing to the log at 'path', which need not be there,
 * until '*fdp' is closed.  0, EBUSY when somebody writes, or another errno
 * value; then '*fdp' is -1. */
int flow_log_hold(const char *path, int *fdp, struct lh_error *);
/* A handle for the queries of another thread, which knows what waits to be
 * written too.  To be closed before 'writer' is. */
int flow_log_open_reader(struct flow_log *writer, struct flow_log **,
                         struct lh_error *);
/* Writes what is queued, as far as that is possible, and closes. */
void flow_log_close(struct flow_log *);

/* How the log ended that was opened for writing. */
struct flow_log_gap {
    bool is_there;     /* Not in order: changes may be missing, */
    uint64_t since_ns; /* those after this time */
    uint64_t until_ns; /* and before this one. */
    uint64_t change;   /* The last one that is known. */
};
struct flow_log_gap flow_log_gap(const struct flow_log *);
/* Versions of 'dpid' that may have been given before the log was opened and
 * that it does not know: '*first' to '*last'; false when there are none. */
bool flow_log_unknown_versions(const struct flow_log *, uint64_t dpid,
                               uint32_t *first, uint32_t *last);

/* --- Versions. --- */

/* The next version of switch 'dpid', never given before, at least 1.  When the
 * disk has failed for so long that all that were reserved are used, versions
 * are given all the same and counted as `unreserved`: after a crash in that
 * state they may come again.  When all 2^32 are used up the highest is given,
 * and counted.
 *
 * This waits for the disk, at most FLOW_LOG_RESERVE_MS, only for the first
 * version past those reserved, and not again until the disk has answered. */
uint32_t flow_log_next_version(struct flow_log *, uint64_t dpid);
/* Sees to it that only versions above 'version' are given from now on: the
 * switch was found to use it. */
void flow_log_skip_version(struct flow_log *, uint64_t dpid, uint32_t version);

/* --- Writing. --- */

/* Begins the next change; returns its number, which only rises. */
uint64_t flow_log_begin_change(struct flow_log *);
/* 'rule' stands from rule->installed_ns on.  A packet-out is logged as over
 * at once.  A version that was logged as removed stands again, as if it had
 * never been removed: its switch refused the change that did so.  Of one that
 * stands, whether it is instrumented is changed. */
void flow_log_made(struct flow_log *, const struct rule *rule);
/* The same of a rule that stands again, or is instrumented no more, since
 * 'time_ns'. */
void flow_log_made_again(struct flow_log *, const struct rule *rule,
                         uint64_t time_ns);
/* Rule 'version' of 'dpid' stands no more since 'time_ns'.  With the reason
 * "error" it never stood: the switch refused it. */
void flow_log_removed(struct flow_log *, uint64_t dpid, uint32_t version,
                      uint64_t time_ns, const char *reason);

/* Groups and meters, as the controller made them. */
enum flow_log_class { FLOW_LOG_GROUP = 1, FLOW_LOG_METER = 2 };
/* From 'time_ns' on group or meter 'id' of 'dpid' is 'text', in the syntax of
 * ovs-ofctl, and 'raw', an OpenFlow message (NULL if there is none); 'how'
 * ("add", "modify", "found", "restored") made it so. */
void flow_log_object_set(struct flow_log *, enum flow_log_class, uint64_t dpid,
                         uint32_t id, uint64_t time_ns, const char *how,
                         const char *text, const uint8_t *raw, size_t raw_len);
/* From 'time_ns' on there is none with 'id'. */
void flow_log_object_removed(struct flow_log *, enum flow_log_class,
                             uint64_t dpid, uint32_t id, uint64_t time_ns,
                             const char *reason);

/* The numbers are those of the file. */
enum flow_log_event {
    FLOW_LOG_START = 0,      /* The recorder began. */
    FLOW_LOG_STOP = 1,       /* It ended in order. */
    FLOW_LOG_CONNECT = 2,    /* Switch connected. */
    FLOW_LOG_READY = 3,      /* Its tables were read and are instrumented. */
    FLOW_LOG_DISCONNECT = 4, /* Gone: changes are not seen from here on. */
    FLOW_LOG_PORT = 5,       /* A port came, went or changed. */
    FLOW_LOG_LINK_UP = 6,
    FLOW_LOG_LINK_DOWN = 7,
    FLOW_LOG_NOTE = 8, /* Anything else a person should know. */
    FLOW_LOG_GAP = 9,  /* Changes before this may be missing; text tells. */
    FLOW_LOG_ROLE = 10 /* A controller's role changed. */
};
const char *flow_log_event_name(enum flow_log_event);

/* 'port' is OF_PORT_UNKNOWN where there is none; 'text' may be NULL. */
void flow_log_event(struct flow_log *, enum flow_log_event, uint64_t dpid,
                    uint32_t port, uint64_t time_ns, const char *text);

/* The last change is complete for now: the writer gets it. */
void flow_log_hand_over(struct flow_log *);
/* Waits until all that is queued, and what flow_log_trim() asked for, is
 * done, or one try has failed: returns 0, or an errno value with a reason
 * that names the file; then everything is still queued.  Waits for the disk,
 * so not for the thread that forwards. */
int flow_log_flush(struct flow_log *, struct lh_error *);
/* For the handle of another thread, too: waits until all that was handed over
 * is written, or one try has failed, or 'timeout_ms' have passed (ETIMEDOUT).
 */
int flow_log_wait(struct flow_log *, unsigned int timeout_ms,
                  struct lh_error *);
/* Asks the writer to delete, bit by bit, what was over before 'time_ns' (0:
 * nothing), and the oldest besides until what is left takes no more than
 * 'max_bytes' (0: no bound).  What stands stays, and so does all since the
 * time of flow_log_retain(). */
void flow_log_trim(struct flow_log *, uint64_t time_ns, uint64_t max_bytes);
/* Somebody needs every state since 'time_ns' (UINT64_MAX: nobody needs any).
 * This is remembered when the log is opened again. */
void flow_log_retain(struct flow_log *, uint64_t time_ns);
/* What flow_log_retain() was given last. */
uint64_t flow_log_retained(const struct flow_log *);

/* How far the disk is behind. */
struct flow_log_lag {
    size_t n_notes, n_bytes; /* That wait to be written. */
    uint64_t age_ns;         /* Of the oldest of these; 0: none waits. */
    uint64_t written_change; /* The operating system has the changes up to */
    uint64_t written_ns;     /* this, handed over before this time, */
    uint64_t durable_change; /* and they are on the disk up to this, */
    uint64_t durable_ns;     /* handed over before this time. */
    int failure;             /* Of the last try to write: 0 or an errno. */
};
/* With the reason of 'failure' if there is one. */
void flow_log_lag(const struct flow_log *, struct flow_log_lag *,
                  struct lh_error *reason);
/* Notes that wait to be written. */
size_t flow_log_n_queued(const struct flow_log *);
/* Sets the bound of what waits to be written, FLOW_LOG_MAX_BYTES at first. */
void flow_log_set_max_bytes(struct flow_log *, uint64_t n_bytes);

struct flow_log_counters {
    uint64_t notes;      /* Made, removed, events. */
    uint64_t written;    /* Of these, on disk. */
    uint64_t lost;       /* Of these, thrown away: too many waited. */
    uint64_t failures;   /* Transactions that failed. */
    uint64_t duplicates; /* Rules whose (dpid, version) stood already. */
    uint64_t unreserved; /* Versions given without being durable. */
    uint64_t exhausted;  /* Versions asked for when none was left. */
    uint64_t trimmed;    /* Rows that flow_log_trim() deleted. */
    bool is_too_large;   /* It could not make as much room as it should. */
};
/* notes = written + lost + flow_log_n_queued(). */
struct flow_log_counters flow_log_counters(const struct flow_log *);

/* --- What is known about switches, and small texts. --- */

struct flow_log_switch {
    uint64_t dpid;
    char *name;    /* NULL if unknown.  Owned. */
    char *address; /* NULL if unknown.  Owned. */
    uint16_t index;
};

/* Keeps a name and an address (NULL keeps what is known) of 'dpid' and gives
 * it the lowest free index if it has none: returns that, 0 if all are
 * taken. */
uint16_t flow_log_put_switch(struct flow_log *, uint64_t dpid,
                             const char *name, const char *address);
/* All switches that are known: '*switches' is freed with
 * flow_log_switches_free(). */
int flow_log_switches(struct flow_log *, struct flow_log_switch **switches,
                      size_t *n, struct lh_error *);
void flow_log_switches_free(struct flow_log_switch *, size_t n);

void flow_log_put_text(struct flow_log *, const char *key, const char *text);
/* ENOENT when 'key' was never put; '*text' is for free(). */
int flow_log_get_text(struct flow_log *, const char *key, char **text,
                      struct lh_error *);

/* --- Queries. --- */

struct flow_log_rules {
    size_t n, allocated;
    struct rule **rules; /* References, owned. */
};
#define FLOW_LOG_RULES_INIT                                                   \
    {                                                                         \
        0, 0, NULL                                                            \
    }
void flow_log_rules_uninit(struct flow_log_rules *);

/* The rule, with a reference for the caller.  ENOENT when not known. */
int flow_log_find(struct flow_log *, uint64_t dpid, uint32_t version,
                  struct rule **, struct lh_error *);

/* A group or a meter as it was. */
struct flow_log_object {
    enum flow_log_class class;
    uint32_t id;
    uint64_t change, time_ns; /* Since when it was so. */
    char *text;               /* Owned. */
    char *how;                /* Owned. */
    uint8_t *raw;             /* NULL if there is none.  Owned. */
    size_t raw_len;
};

/* All that stood in a switch at a moment. */
struct flow_log_state {
    uint64_t change;             /* The last one that is in it. */
    uint64_t at_ns;              /* And its time. */
    uint64_t seq;                /* For flow_log_state_ends(). */
    struct flow_log_rules rules; /* Sorted by kind of rule, then by table, then
                                  * priority descending, then version. */
    struct flow_log_object *objects; /* Sorted by class and id.  Owned. */
    size_t n_objects, allocated_objects;
};
void flow_log_state_uninit(struct flow_log_state *);

/* A moment: right after the change that made 'version' (of any kind) of the
 * switch, or at 'time_ns', all changes up to and including that time in, or
 * now.  Where the clock was set back, the last change whose time is not after
 * 'time_ns' counts. */
enum flow_log_when { FLOW_LOG_NOW, FLOW_LOG_AT_VERSION, FLOW_LOG_AT_TIME };
struct flow_log_moment {
    enum flow_log_when when;
    uint32_t version;
    uint64_t time_ns;
};

/* ENOENT when there is no such version, ERANGE when the log does not reach
 * back so far. */
int flow_log_state_at(struct flow_log *, uint64_t dpid,
                      const struct flow_log_moment *, struct flow_log_state *,
                      struct lh_error *);

/* Adds to the rules of a state, which have them only where that waits to be
 * written, when and why they were removed later. */
int flow_log_state_ends(struct flow_log *, struct flow_log_state *,
                        struct lh_error *);

/* The flow rules and table-miss rules of it, sorted by table, then priority
 * descending, then version.  Adds to '*rules'. */
int flow_log_table_at_version(struct flow_log *, uint64_t dpid,
                              uint32_t version, struct flow_log_rules *rules,
                              uint64_t *at_ns, struct lh_error *);
int flow_log_table_at_time(struct flow_log *, uint64_t dpid, uint64_t time_ns,
                           struct flow_log_rules *rules, struct lh_error *);
int flow_log_table_standing(struct flow_log *, uint64_t dpid,
                            struct flow_log_rules *rules, struct lh_error *);
/* Every rule of 'dpid' that was not removed, groups' buckets too. */
int flow_log_standing(struct flow_log *, uint64_t dpid,
                      struct flow_log_rules *rules, struct lh_error *);

/* The time of the oldest moment that the log can tell of, 0 when it is
 * empty. */
int flow_log_reach(struct flow_log *, uint64_t *since_ns, struct lh_error *);

/* --- The timeline. --- */

enum flow_log_what {
    FLOW_LOG_WHAT_EVENT,
    FLOW_LOG_WHAT_MADE, /* A rule, also a packet-out. */
    FLOW_LOG_WHAT_REMOVED,
    FLOW_LOG_WHAT_RESTORED, /* What removed it was refused. */
    FLOW_LOG_WHAT_AGAIN,    /* It is instrumented, or is no more. */
    FLOW_LOG_WHAT_SET,      /* A group or meter. */
    FLOW_LOG_WHAT_GONE
};

struct flow_log_entry {
    uint64_t seq; /* Of all entries, in their order. */
    uint64_t change, time_ns, dpid;
    enum flow_log_what what;
    enum flow_log_event event; /* FLOW_LOG_WHAT_EVENT: which, */
    uint32_t port;             /* and OF_PORT_UNKNOWN if none. */
    uint32_t version;          /* _MADE, _REMOVED, _RESTORED. */
    struct rule *rule;         /* _MADE, without its end: a reference. */
    enum flow_log_class class; /* _SET, _GONE: */
    uint32_t id;
    char *how;  /* _SET.  Owned. */
    char *text; /* Of the event, group or meter; or the reason of _REMOVED and
                 * _GONE.  NULL if none.  Owned. */
};

struct flow_log_span {
    uint64_t dpid;               /* 0: all, and the recorder itself. */
    uint64_t since_ns, until_ns; /* since_ns <= time < until_ns. */
    uint64_t after_seq;          /* Only entries after this. */
    uint64_t limit;              /* Of entries; 0: none. */
    bool newest_first;
    bool only_events;
};

/* All that happened, in the order in which it did.  'each' returns false to
 * stop; the entry lives until it returns. */
int flow_log_changes(struct flow_log *, const struct flow_log_span *,
                     bool (*each)(void *aux, const struct flow_log_entry *),
                     void *aux, struct lh_error *);
/* The events alone. */
int flow_log_events(struct flow_log *, uint64_t dpid, uint64_t since_ns,
                    uint64_t until_ns,
                    bool (*each)(void *aux, const struct flow_log_entry *),
                    void *aux, struct lh_error *);

#endif /* lib/flow_log.h */
