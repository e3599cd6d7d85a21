/* SPDX-License-Identifier: Apache-2.0 */
/* strip_port - takes out of a bridge's configuration what a recorder put
 * there: looks for marks, then runs one command after the other. */
#include <config.h>
#include "recorder/strip_port.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <event2/event.h>

#include "lib/lh_alloc.h"
#include "recorder/child.h"
#include "recorder/ovsdb.h"
#include "recorder/ovsdb_table.h"

#define MAX_ARGS 20

struct command {
    char *args[MAX_ARGS + 1]; /* Owned. */
};

struct strip_port {
    struct event_base *base;
    char *db, *bridge, *socket; /* Owned; socket may be NULL. */
    strip_port_done *done;
    void *aux;

    struct child *child;
    struct event *fail;       /* Reports what failed at once from the loop. */
    struct command *commands; /* Owned. */
    size_t n_commands, allocated_commands, i_command;
    char *error;
    char *removed;
};

static void
destroy(struct strip_port *s)
{
    if (s->fail) {
        event_free(s->fail);
    }
    for (size_t i = 0; i < s->n_commands; i++) {
        for (size_t j = 0; s->commands[i].args[j]; j++) {
            free(s->commands[i].args[j]);
        }
    }
    free(s->commands);
    free(s->db);
    free(s->bridge);
    free(s->socket);
    free(s->error);
    free(s->removed);
    free(s);
}

static void
finish(struct strip_port *s)
{
    struct strip_port_result result = {.error = s->error,
                                       .removed = s->removed};

    s->done(s->aux, &result);
    destroy(s);
}

static void
on_fail(evutil_socket_t fd, short what, void *s)
{
    finish(s);
}

/* Adds a command of the strings up to NULL; ovs-vsctl gets its options. */
static void
add_command(struct strip_port *s, const char *program, ...)
{
    struct command *c;
    const char *arg;
    size_t n = 0;
    va_list args;

    s->commands = lh_alloc_grow(s->commands, s->n_commands,
                                &s->allocated_commands, sizeof *s->commands);
    c = &s->commands[s->n_commands++];
    memset(c, 0, sizeof *c);
    c->args[n++] = lh_strdup(program);
    if (!strcmp(program, "ovs-vsctl")) {
        c->args[n++] = lh_asprintf("--db=%s", s->db);
        c->args[n++] = lh_asprintf("--timeout=%d", OVSDB_TIMEOUT_S - 1);
    } else {
        c->args[n++] = lh_strdup("--timeout=4");
    }
    va_start(args, program);
    while (n < MAX_ARGS && (arg = va_arg(args, const char *))) {
        c->args[n++] = lh_strdup(arg);
    }
    va_end(args);
}

/* "port lhp-1, .. " */
static void
add_removed(struct strip_port *s, const char *before, const char *name,
            const char *after)
{
    char *text = lh_asprintf("%s%s%s%s%s", s->removed ? s->removed : "",
                             s->removed ? ", " : "", before, name, after);

    free(s->removed);
    s->removed = text;
}

static void run(struct strip_port *, child_done *next);

static void
on_command(void *s_, const char *output, const char *error)
{
    struct strip_port *s = s_;

    s->child = NULL;
    if (error) {
        s->error = lh_strdup(error);
        finish(s);
    } else if (++s->i_command == s->n_commands) {
        finish(s);
    } else {
        run(s, on_command);
    }
}

/* Runs the command whose turn it is. */
static void
run(struct strip_port *s, child_done *next)
{
    struct lh_error error;

    if (child_start(s->base,
                    (const char *const *) s->commands[s->i_command].args,
                    OVSDB_TIMEOUT_S, next, s, &s->child, &error)) {
        struct timeval now = {0};

        s->child = NULL;
        s->error = lh_strdup(error.text);
        s->fail = evtimer_new(s->base, on_fail, s);
        event_add(s->fail, &now);
    }
}

/* --- What there is. --- */

/* True when 'output' has the line 'name'. */
static bool
has_line(const char *output, const char *name)
{
    size_t len = strlen(name);

    for (const char *line = output; line;
         line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (!strncmp(line, name, len) && line[len] == '\n') {
            return true;
        }
    }
    return false;
}

static void
take_port(struct strip_port *s, const char *name, const char *mark)
{
    if (!strcmp(mark, OVSDB_MARK_PORT)) {
        add_command(s, "ovs-vsctl", "--if-exists", "del-port", s->bridge, name,
                    NULL);
        add_removed(s, "port ", name, "");
    } else if (!strcmp(mark, OVSDB_MARK_NO_FLOOD) && s->socket) {
        add_command(s, "ovs-ofctl", "-O", "OpenFlow10", "mod-port", s->socket,
                    name, "flood", NULL);
        add_command(s, "ovs-ofctl", "-O", "OpenFlow10", "mod-port", s->socket,
                    name, "forward", NULL);
        add_command(s, "ovs-vsctl", "remove", "interface", name,
                    "external_ids", OVSDB_MARK, NULL);
        add_removed(s, "no-flood of port ", name, "");
    } else if (!strcmp(mark, OVSDB_MARK_NO_FLOOD)) {
        s->error = lh_asprintf("on its host run: ovs-ofctl -O OpenFlow10 "
                               "mod-port %s %s flood; ovs-vsctl remove "
                               "interface %s external_ids " OVSDB_MARK,
                               s->bridge, name, name);
    }
}

/* The bridge's ports by name, its mark, and all ports with marks. */
static void
on_marks(void *s_, const char *output, const char *error)
{
    struct strip_port *s = s_;
    const char *text = strchr(output, '{');
    json_t *bridges, *ports = NULL;
    const char *mark;

    s->child = NULL;
    if (error) {
        s->error = lh_strdup(error);
        finish(s);
        return;
    }
    bridges = text ? json_loads(text, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    text = text ? strchr(text, '\n') : NULL;
    ports = text ? json_loads(text, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    for (size_t i = 0; i < ovsdb_table_n_rows(ports); i++) {
        const char *name =
            ovsdb_table_string(ovsdb_table_cell(ports, i, "name"));

        mark = ovsdb_table_value(ovsdb_table_cell(ports, i, "external_ids"),
                                 OVSDB_MARK);
        if (name && mark && has_line(output, name)) {
            take_port(s, name, mark);
        }
    }
    if (ovsdb_table_value(ovsdb_table_cell(bridges, 0, "other_config"),
                          OVSDB_MODE)) {
        add_command(s, "ovs-vsctl", "remove", "bridge", s->bridge,
                    "other_config", OVSDB_MODE, OVSDB_SNAP, NULL);
        add_removed(s, "the bridge's own postcards", "", "");
    }
    mark = ovsdb_table_value(ovsdb_table_cell(bridges, 0, "external_ids"),
                             OVSDB_MARK);
    if (mark && !strcmp(mark, OVSDB_MARK_PROTOCOL)) {
        /* Last: the steps before it need it. */
        add_command(s, "ovs-vsctl", "remove", "bridge", s->bridge, "protocols",
                    "OpenFlow10", "--", "remove", "bridge", s->bridge,
                    "external_ids", OVSDB_MARK, NULL);
        add_removed(s, "OpenFlow10 of its protocols", "", "");
    }
    json_decref(bridges);
    json_decref(ports);
    if (s->error || ++s->i_command == s->n_commands) {
        finish(s);
    } else {
        run(s, on_command);
    }
}

struct strip_port *
strip_port_start(struct event_base *base, const char *db, const char *bridge,
                 const char *socket, strip_port_done *done, void *aux)
{
    struct strip_port *s = lh_alloc_zero(sizeof *s);
    char *name = lh_asprintf("name=\"%s\"", bridge);

    s->base = base;
    s->db = lh_strdup(db);
    s->bridge = lh_strdup(bridge);
    s->socket = socket ? lh_strdup(socket) : NULL;
    s->done = done;
    s->aux = aux;
    add_command(s, "ovs-vsctl", "--format=json", "--", "list-ifaces", bridge,
                "--", "--columns=external_ids,other_config", "find", "bridge",
                name, "--", "--columns=name,external_ids", "find", "interface",
                "external_ids:" OVSDB_MARK "!=none", NULL);
    free(name);
    run(s, on_marks);
    return s;
}

void
strip_port_cancel(struct strip_port *s)
{
    if (s) {
        child_cancel(s->child);
        destroy(s);
    }
}
