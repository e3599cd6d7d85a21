/* SPDX-License-Identifier: Apache-2.0 */
/* app_source - where programs' answers come from: a server, or an archive.
 *
 * Every function returns 0 or a positive errno with a reason a person can use.
 * EINTR means that the user interrupted.  Functions that a source does not
 * have (an archive sees nothing live) return EOPNOTSUPP.
 *
 * Ownership: outputs are the caller's.
 *
 * Threads: one. */
#ifndef APPS_APP_SOURCE_H
#define APPS_APP_SOURCE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "apps/app_link.h"
#include "lib/history.h"
#include "lib/lh_error.h"
#include "lib/rule.h"
#include "lib/topology.h"

struct app;
struct app_source;

struct app_find {
    const char *phf;
    uint64_t since_ns; /* 0: no limit. */
    uint64_t until_ns; /* 0: no limit. */
    uint64_t limit;    /* 0: none. */
    bool is_asc;       /* The oldest first, not the newest. */
    /* Gets each history that matches (taken). */
    void (*give)(void *aux, struct history *);
    /* May be NULL: called now and then. */
    void (*progress)(void *aux, uint64_t n_read, uint64_t n_blocks);
    void *aux;
};

struct app_found {
    uint64_t scanned; /* Histories looked at. */
    bool is_truncated;
    uint64_t damaged; /* Blocks that could not be read. */
    char damage[480]; /* The first of them: file, bytes, times. */
    uint64_t lost;    /* Histories of that time that were never stored. */
    /* From when to when agents left packets out; 0: they did not. */
    uint64_t sampled_since_ns, sampled_until_ns;
    size_t n_missing; /* Servers of a cluster that did not answer. */
    char missing[64]; /* The first of them, ... */
    uint64_t missing_since_ns, missing_until_ns; /* ... what it has; 0: not
                                                  * known. */
    size_t n_holes; /* Times of which something is lost. */
    uint64_t hole_since_ns, hole_until_ns; /* The first of them; 0: not
                                            * known. */
};

/* From `missing` of an answer (docs/api.md); NULL: nothing is. */
void app_found_set_missing(struct app_found *, const json_t *missing);

struct app_table {
    uint64_t at_ns;
    size_t n;
    struct rule **rules; /* References, by table, then priority.  Owned. */
};
void app_table_uninit(struct app_table *);

/* What waiting for live filters brought. */
struct app_stop {
    uint64_t id;             /* Of the filter; 0 if only missed. */
    struct history *history; /* NULL if only missed. */
    uint64_t n_missed;       /* Matches that came too fast for us. */
    uint64_t n_limited;      /* Matches of 'id' above its rate. */
    /* Matches of packets of these times may not have come; 0: all have. */
    uint64_t missed_since_ns, missed_until_ns;
    char missed_why[200]; /* "": not told. */
};

/* Opens a server, or the archive in 'dir' with the flow log 'flow_log' (NULL:
 * the one the archive names).  Errors name the place.  What a server is told
 * to watch for has the name of the program; no answer in time is ETIMEDOUT or,
 * where it says nothing at all, ECONNRESET. */
int app_source_open_server(const struct app_server *, struct app_source **,
                           struct lh_error *);
int app_source_open_archive(const char *dir, const char *flow_log,
                            struct app_source **, struct lh_error *);
void app_source_close(struct app_source *);

int app_source_find(struct app_source *, const struct app_find *,
                    struct app_found *, struct lh_error *);
/* A sentence for people about what agents left out of it, for free(); NULL:
 * nothing. */
char *app_source_left_out(const struct app *, const struct app_found *);
int app_source_rule(struct app_source *, uint64_t dpid, uint32_t version,
                    struct rule **, struct lh_error *);
/* The flow tables of 'dpid' right after 'version' was made if 'version' is
 * given, else at 'at_ns'. */
int app_source_table(struct app_source *, uint64_t dpid,
                     const uint32_t *version, uint64_t at_ns,
                     struct app_table *, struct lh_error *);
/* The topology at 'at_ns' (a server knows only the present one).  ENOENT when
 * none is known. */
int app_source_topology(struct app_source *, uint64_t at_ns,
                        struct topology **, struct lh_error *);
int app_source_stats(struct app_source *, json_t **, struct lh_error *);

/* A question about the past, `why`, `diff`, `changes`, `table` or `profile` of
 * docs/api.md, with the members of its request (taken) and of its answer. */
int app_source_ask(struct app_source *, const char *op, json_t *members,
                   json_t **answer, struct lh_error *);

/* Live filters, on packets to come; '*id' is the source's number. */
int app_source_watch(struct app_source *, const char *phf, uint64_t *id,
                     struct lh_error *);
/* The same, of which at most 'rate' matches a second are sent (0: all), the
 * others counted. */
int app_source_watch_at_rate(struct app_source *, const char *phf,
                             uint64_t rate, uint64_t *id, struct lh_error *);
int app_source_unwatch(struct app_source *, uint64_t id, struct lh_error *);
/* The live filter at place 'i' and its number; NULL behind the last. */
const char *app_source_watched(struct app_source *, size_t i, uint64_t *id);
/* Waits up to 'timeout_ms' (negative: for ever; then ETIMEDOUT).  A server
 * that went away is ECONNRESET and the like, and the next call connects
 * again, with all filters. */
int app_source_wait(struct app_source *, int timeout_ms, struct app_stop *,
                    struct lh_error *);

/* Connects for live filters, if that is not so already, and sets all of
 * them. */
int app_source_connect(struct app_source *, struct lh_error *);
bool app_source_is_connected(const struct app_source *);

/* --- for the sources --- */

/* Widens the times of which matches may be missing, 0: nothing is, and adds
 * why (NULL: not told), which is taken. */
void app_source_note_missed(struct app_stop *, uint64_t since_ns,
                            uint64_t until_ns, char *why);

struct app_source_class {
    void (*close)(struct app_source *);
    int (*find)(struct app_source *, const struct app_find *,
                struct app_found *, struct lh_error *);
    int (*rule)(struct app_source *, uint64_t dpid, uint32_t version,
                struct rule **, struct lh_error *);
    int (*table)(struct app_source *, uint64_t dpid, const uint32_t *version,
                 uint64_t at_ns, struct app_table *, struct lh_error *);
    int (*topology)(struct app_source *, uint64_t at_ns, struct topology **,
                    struct lh_error *);
    int (*stats)(struct app_source *, json_t **, struct lh_error *);
    /* 'members' is borrowed. */
    int (*ask)(struct app_source *, const char *op, json_t *members,
               json_t **answer, struct lh_error *);
    /* NULL: nothing live here. */
    int (*add_watch)(struct app_source *, const char *phf, uint64_t rate,
                     uint64_t *id, struct lh_error *);
    int (*remove_watch)(struct app_source *, uint64_t id, struct lh_error *);
    const char *(*watched)(struct app_source *, size_t i, uint64_t *id);
    int (*wait)(struct app_source *, int timeout_ms, struct app_stop *,
                struct lh_error *);
    int (*connect)(struct app_source *, struct lh_error *);
    bool (*is_connected)(const struct app_source *);
};

/* First member of every source. */
struct app_source {
    const struct app_source_class *class;
};

#endif /* apps/app_source.h */
