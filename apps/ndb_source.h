/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_source - where ndb's answers come from: a server, or an archive.
 *
 * Every function returns 0 or a positive errno with a reason a person can use.
 * EINTR means that the user interrupted.  Functions that a source does not
 * have (an archive sees nothing live) return EOPNOTSUPP.
 *
 * Ownership: outputs are the caller's.
 *
 * Threads: one. */
#ifndef APPS_NDB_SOURCE_H
#define APPS_NDB_SOURCE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "lib/history.h"
#include "lib/lh_error.h"
#include "lib/rule.h"
#include "lib/topology.h"

struct ndb_source;

struct ndb_find {
    const char *phf;
    uint64_t since_ns; /* 0: no limit. */
    uint64_t until_ns; /* 0: no limit. */
    uint64_t limit;
    bool is_asc; /* The oldest first, not the newest. */
    /* Gets each history that matches (taken). */
    void (*give)(void *aux, struct history *);
    /* May be NULL: called now and then. */
    void (*progress)(void *aux, uint64_t n_read, uint64_t n_blocks);
    void *aux;
};

struct ndb_found {
    uint64_t scanned; /* Histories looked at. */
    bool is_truncated;
    uint64_t damaged; /* Blocks that could not be read. */
    char damage[480]; /* The first of them: file, bytes, times. */
    uint64_t lost;    /* Histories of that time that were never stored. */
};

struct ndb_table {
    uint64_t at_ns;
    size_t n;
    struct rule **rules; /* References, by table, then priority.  Owned. */
};
void ndb_table_uninit(struct ndb_table *);

/* What waiting for a breakpoint brought. */
struct ndb_stop {
    uint64_t id;             /* Of the breakpoint; 0 if only missed. */
    struct history *history; /* NULL if only missed. */
    uint64_t n_missed;       /* Matches that came too fast for us. */
};

/* Opens the server at 'path', or the archive in 'dir' with the flow log
 * 'flow_log' (NULL: the one the archive names).  Errors name the place. */
int ndb_source_open_server(const char *path, struct ndb_source **,
                           struct lh_error *);
int ndb_source_open_archive(const char *dir, const char *flow_log,
                            struct ndb_source **, struct lh_error *);
void ndb_source_close(struct ndb_source *);

int ndb_source_find(struct ndb_source *, const struct ndb_find *,
                    struct ndb_found *, struct lh_error *);
int ndb_source_rule(struct ndb_source *, uint64_t dpid, uint32_t version,
                    struct rule **, struct lh_error *);
/* The flow tables of 'dpid' right after 'version' was made if 'version' is
 * given, else at 'at_ns'. */
int ndb_source_table(struct ndb_source *, uint64_t dpid,
                     const uint32_t *version, uint64_t at_ns,
                     struct ndb_table *, struct lh_error *);
/* The topology at 'at_ns' (a server knows only the present one).  ENOENT when
 * none is known. */
int ndb_source_topology(struct ndb_source *, uint64_t at_ns,
                        struct topology **, struct lh_error *);
int ndb_source_stats(struct ndb_source *, json_t **, struct lh_error *);

/* A question about the past, `why`, `diff`, `changes` or `table` of
 * docs/api.md, with the members of its request (taken) and of its answer. */
int ndb_source_ask(struct ndb_source *, const char *op, json_t *members,
                   json_t **answer, struct lh_error *);

/* Breakpoints; '*id' is the source's number. */
int ndb_source_break(struct ndb_source *, const char *phf, uint64_t *id,
                     struct lh_error *);
int ndb_source_unbreak(struct ndb_source *, uint64_t id, struct lh_error *);
/* Waits up to 'timeout_ms' (negative: for ever; then ETIMEDOUT). */
int ndb_source_wait(struct ndb_source *, int timeout_ms, struct ndb_stop *,
                    struct lh_error *);

/* --- for the sources --- */

struct ndb_source_class {
    void (*close)(struct ndb_source *);
    int (*find)(struct ndb_source *, const struct ndb_find *,
                struct ndb_found *, struct lh_error *);
    int (*rule)(struct ndb_source *, uint64_t dpid, uint32_t version,
                struct rule **, struct lh_error *);
    int (*table)(struct ndb_source *, uint64_t dpid, const uint32_t *version,
                 uint64_t at_ns, struct ndb_table *, struct lh_error *);
    int (*topology)(struct ndb_source *, uint64_t at_ns, struct topology **,
                    struct lh_error *);
    int (*stats)(struct ndb_source *, json_t **, struct lh_error *);
    /* 'members' is borrowed. */
    int (*ask)(struct ndb_source *, const char *op, json_t *members,
               json_t **answer, struct lh_error *);
    /* NULL: nothing live here. */
    int (*add_break)(struct ndb_source *, const char *phf, uint64_t *id,
                     struct lh_error *);
    int (*remove_break)(struct ndb_source *, uint64_t id, struct lh_error *);
    int (*wait)(struct ndb_source *, int timeout_ms, struct ndb_stop *,
                struct lh_error *);
};

/* First member of every source. */
struct ndb_source {
    const struct ndb_source_class *class;
};

#endif /* apps/ndb_source.h */
