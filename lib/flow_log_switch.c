/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_switch - what stays known about switches while they are away, and
 * small texts kept by key. */
#include <config.h>

#include "lib/flow_log.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"

#define MAX_INDEX 4095

/* The index of 'dpid', or the lowest that is free, or 0. */
static bool
get_index(struct flow_log *log, uint64_t dpid, uint16_t *index)
{
    static const char sql[] =
        "SELECT coalesce((SELECT idx FROM switch WHERE dpid = ?1),"
        " (SELECT min(n) FROM (SELECT 1 AS n UNION ALL"
        "  SELECT idx + 1 FROM switch WHERE idx IS NOT NULL)"
        "  WHERE n NOT IN (SELECT idx FROM switch WHERE idx IS NOT NULL)))";
    struct db_statement *s = db_prepare(log->db, sql);

    *index = 0;
    db_bind_int(s, 1, (int64_t) dpid);
    if (db_step(s)) {
        int64_t n = db_int(s, 0);

        *index = n >= 1 && n <= MAX_INDEX ? (uint16_t) n : 0;
    }
    return db_finish(s);
}

int
flow_log_put_switch(struct flow_log *log, uint64_t dpid, const char *name,
                    const char *address, uint16_t *index,
                    struct lh_error *error)
{
    static const char sql[] =
        "INSERT INTO switch(dpid, name, address, idx)"
        " VALUES(?1, ?2, ?3, nullif(?4, 0)) ON CONFLICT(dpid) DO UPDATE SET"
        " name = coalesce(?2, name), address = coalesce(?3, address),"
        " idx = nullif(?4, 0)";

    if (!get_index(log, dpid, index)) {
        return db_error(log->db, "cannot read", error);
    }

    struct db_statement *s = db_prepare(log->db, sql);

    db_bind_int(s, 1, (int64_t) dpid);
    db_bind_text(s, 2, name);
    db_bind_text(s, 3, address);
    db_bind_int(s, 4, *index);
    db_step(s);
    return db_finish(s) ? 0 : db_error(log->db, "cannot write", error);
}

int
flow_log_switches(struct flow_log *log, struct flow_log_switch **switches,
                  size_t *n, struct lh_error *error)
{
    struct db_statement *s =
        db_prepare(log->db, "SELECT dpid, name, address, idx"
                            " FROM switch WHERE idx IS NOT NULL");
    size_t allocated = 0;

    *switches = NULL;
    *n = 0;
    while (db_step(s)) {
        *switches =
            lh_alloc_grow(*switches, *n, &allocated, sizeof **switches);
        (*switches)[(*n)++] = (struct flow_log_switch){
            .dpid = (uint64_t) db_int(s, 0),
            .name = lh_strdup(db_text(s, 1)),
            .address = lh_strdup(db_text(s, 2)),
            .index = (uint16_t) db_int(s, 3),
        };
    }
    if (db_finish(s)) {
        return 0;
    }
    flow_log_switches_free(*switches, *n);
    *switches = NULL;
    *n = 0;
    return db_error(log->db, "cannot read", error);
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

int
flow_log_put_text(struct flow_log *log, const char *key, const char *text,
                  struct lh_error *error)
{
    struct db_statement *s = db_prepare(
        log->db, "INSERT INTO meta(key, value) VALUES('text.' || ?1, ?2)"
                 " ON CONFLICT(key) DO UPDATE SET value = ?2");

    db_bind_text(s, 1, key);
    db_bind_text(s, 2, text);
    db_step(s);
    return db_finish(s) ? 0 : db_error(log->db, "cannot write", error);
}

int
flow_log_get_text(struct flow_log *log, const char *key, char **text,
                  struct lh_error *error)
{
    struct db_statement *s = db_prepare(
        log->db, "SELECT value FROM meta WHERE key = 'text.' || ?1");

    *text = NULL;
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
