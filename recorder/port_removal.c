/* SPDX-License-Identifier: Apache-2.0 */
/* port_removal - takes a port away again that a recorder made. */
#include <config.h>

#include "recorder/port_removal.h"

#include <stdlib.h>
#include <string.h>
#include <event2/event.h>

#include "lib/lh_alloc.h"
#include "recorder/child.h"
#include "recorder/ovsdb.h"
#include "recorder/ovsdb_table.h"

struct port_removal {
    struct event_base *base;
    char *db, *bridge; /* Owned. */
    char *port;        /* Owned, or NULL. */
    port_removal_done *done;
    void *aux;
    struct child *child; /* The step that runs, or NULL. */
    struct event *fail;  /* Reports what failed at once from the loop. */
    char *error;         /* For that.  Owned. */
};

static void
destroy(struct port_removal *r)
{
    if (r->fail) {
        event_free(r->fail);
    }
    free(r->db);
    free(r->bridge);
    free(r->port);
    free(r->error);
    free(r);
}

static void
finish(struct port_removal *r, const char *error)
{
    r->done(r->aux, error);
    destroy(r);
}

static void
on_fail(evutil_socket_t fd, short what, void *r_)
{
    struct port_removal *r = r_;

    finish(r, r->error);
}

static void
run(struct port_removal *r, const char *const args[], child_done *next)
{
    struct lh_error error;

    if (child_start(r->base, args, OVSDB_TIMEOUT_S, next, r, &r->child,
                    &error)) {
        struct timeval now = {0};

        r->child = NULL;
        r->error = lh_strdup(error.text);
        r->fail = evtimer_new(r->base, on_fail, r);
        event_add(r->fail, &now);
    }
}

static void
on_removed(void *r_, const char *output, const char *error)
{
    struct port_removal *r = r_;

    r->child = NULL;
    finish(r, error);
}

/* What there is of the port's name. */
static void
on_found(void *r_, const char *output, const char *error)
{
    struct port_removal *r = r_;
    json_t *table = error ? NULL : json_loads(output, 0, NULL);
    const char *mark = ovsdb_table_value(
        ovsdb_table_cell(table, 0, "external_ids"), OVSDB_MARK);
    bool is_ours = mark && !strcmp(mark, OVSDB_MARK_PORT);
    bool is_there = ovsdb_table_n_rows(table) != 0;

    json_decref(table);
    r->child = NULL;
    if (is_ours) {
        run(r,
            (const char *const[]){"ovs-vsctl", r->db, "--if-exists",
                                  "del-port", r->bridge, r->port, NULL},
            on_removed);
    } else if (is_there) {
        char *text =
            lh_asprintf("port %s was made by somebody else (no "
                        "external_ids:" OVSDB_MARK "=" OVSDB_MARK_PORT ")",
                        r->port);

        finish(r, text);
        free(text);
    } else {
        finish(r, error);
    }
}

/* The bridge makes no postcards itself any more. */
static void
on_quiet(void *r_, const char *output, const char *error)
{
    struct port_removal *r = r_;

    r->child = NULL;
    if (error || !r->port) {
        finish(r, error);
    } else {
        run(r,
            (const char *const[]){"ovs-vsctl", r->db, "--format=json",
                                  "--if-exists", "--columns=external_ids",
                                  "list", "interface", r->port, NULL},
            on_found);
    }
}

struct port_removal *
port_removal_start(struct event_base *base, const char *db, const char *bridge,
                   const char *port, port_removal_done *done, void *aux)
{
    struct port_removal *r = lh_alloc_zero(sizeof *r);

    r->base = base;
    r->db = lh_asprintf("--db=%s", db);
    r->bridge = lh_strdup(bridge);
    r->port = port ? lh_strdup(port) : NULL;
    r->done = done;
    r->aux = aux;
    run(r,
        (const char *const[]){"ovs-vsctl", r->db, "--if-exists", "remove",
                              "bridge", r->bridge, "other_config", OVSDB_MODE,
                              OVSDB_SNAP, NULL},
        on_quiet);
    return r;
}

void
port_removal_cancel(struct port_removal *r)
{
    if (r) {
        child_cancel(r->child);
        destroy(r);
    }
}
