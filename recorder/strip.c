/* SPDX-License-Identifier: Apache-2.0 */
/* strip - takes everything of lasthop's out of bridges. */
#include <config.h>
#include "recorder/strip.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <event2/event.h>

#include "lib/flow_log.h"
#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "recorder/child.h"
#include "recorder/endpoint.h"
#include "recorder/of_msg.h"
#include "recorder/ovsdb.h"
#include "recorder/strip_port.h"
#include "recorder/strip_switch.h"

#define DEFAULT_DIRECTORY "/var/run/openvswitch"

struct bridge {
    char *name;   /* Owned. */
    char *socket; /* Of its management; owned. */
};

struct strip {
    const struct recorder_config *config;
    struct event_base *base;
    struct event *next;   /* The next bridge's turn. */
    struct flow_log *log; /* For questions, or NULL. */
    char *directory;      /* Of Open vSwitch's sockets.  Owned. */
    char *db;             /* Owned; NULL: no OVSDB to look into. */
    struct bridge *bridges;
    size_t n_bridges, allocated_bridges, i_bridge;
    size_t n_failed;
    char *error;     /* Why the bridges could not be listed.  Owned. */
    char *removed;   /* From the tables of this bridge, in words.  Owned. */
    bool has_failed; /* This bridge. */
};

static void
add_bridge(struct strip *s, const char *name, size_t len, const char *socket)
{
    struct bridge *b;

    s->bridges = lh_alloc_grow(s->bridges, s->n_bridges, &s->allocated_bridges,
                               sizeof *s->bridges);
    b = &s->bridges[s->n_bridges++];
    b->name = lh_asprintf("%.*s", (int) len, name);
    b->socket = socket ? lh_strdup(socket)
                       : lh_asprintf("unix:%s/%s.mgmt", s->directory, b->name);
}

/* --- One bridge. --- */

static void
next_later(struct strip *s)
{
    struct timeval now = {0};

    s->n_failed += s->has_failed;
    s->i_bridge++;
    event_add(s->next, &now);
}

/* One line, what was removed, or why something is left. */
static void
tell(const struct strip *s, const char *text)
{
    printf("%s: %s\n", s->bridges[s->i_bridge].name, text);
    fflush(stdout);
}

static void
on_port(void *s_, const struct strip_port_result *result)
{
    struct strip *s = s_;
    char *text;

    if (result->error) {
        s->has_failed = true;
        text = lh_asprintf("NOT DONE: %s%sin its configuration: %s",
                           s->removed ? s->removed : "",
                           s->removed ? "; " : "", result->error);
    } else if (s->removed || result->removed) {
        text = lh_asprintf("removed %s%s%s", s->removed ? s->removed : "",
                           s->removed && result->removed ? ", " : "",
                           result->removed ? result->removed : "");
    } else {
        text = lh_strdup("nothing of lasthop's is left");
    }
    tell(s, text);
    free(text);
    free(s->removed);
    s->removed = NULL;
    next_later(s);
}

static void
begin_port(struct strip *s)
{
    const struct bridge *b = &s->bridges[s->i_bridge];

    if (s->db) {
        strip_port_start(s->base, s->db, b->name, b->socket, on_port, s);
    } else {
        struct strip_port_result none = {NULL, NULL};

        on_port(s, &none);
    }
}

/* "postcards of 7 rules and 2 groups, 4 rules of the recorder, .."; NULL for
 * nothing. */
static char *
describe(const struct strip_plan_counts *c)
{
    char *text = NULL;
    const struct {
        size_t n;
        const char *what;
    } parts[] = {{c->n_rules, "what was in %zu rules"},
                 {c->n_groups, "what was in %zu groups"},
                 {c->n_own, "%zu rules of the recorder"},
                 {c->n_lists, "%zu lists of ports instead of FLOOD or ALL"},
                 {c->has_option, "the tunnel option"}};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char part[80], *longer;

        if (parts[i].n) {
            /* NOLINTNEXTLINE */
            snprintf(part, sizeof part, parts[i].what, parts[i].n);
            longer = lh_asprintf("%s%s%s", text ? text : "", text ? ", " : "",
                                 part);
            free(text);
            text = longer;
        }
    }
    return text;
}

static void
on_switch(void *s_, const struct strip_switch_result *result)
{
    struct strip *s = s_;

    if (result->error) {
        char *left = describe(&result->left);
        char *text = lh_asprintf("NOT DONE: %s%s%s", result->error,
                                 left ? "; left: " : "", left ? left : "");

        tell(s, text);
        free(text);
        free(left);
        /* The port stays: rules that send to it would lose their number. */
        s->has_failed = true;
        next_later(s);
        return;
    }
    s->removed = describe(&result->removed);
    begin_port(s);
}

static struct rule *
known_rule(void *s_, uint64_t dpid, uint32_t version)
{
    struct strip *s = s_;
    struct rule *rule;

    return flow_log_find(s->log, dpid, version, &rule, NULL) ? NULL : rule;
}

static void
on_next(evutil_socket_t fd, short what, void *s_)
{
    struct strip *s = s_;
    struct lh_error error;
    struct endpoint ep;
    const struct bridge *b;

    if (s->i_bridge == s->n_bridges) {
        event_base_loopbreak(s->base);
        return;
    }
    b = &s->bridges[s->i_bridge];
    s->has_failed = false;
    if (endpoint_parse(b->socket, false, &ep, &error)) {
        s->has_failed = true;
        tell(s, error.text);
        next_later(s);
        return;
    }
    if (ep.is_tls ||
        !strip_switch_start(s->base, &ep, s->log ? known_rule : NULL, s,
                            on_switch, s)) {
        char *text = lh_asprintf(
            "NOT DONE: %s: %s; is ovs-vswitchd running?", b->socket,
            ep.is_tls ? "ssl: is not for this" : strerror(errno));

        s->has_failed = true;
        tell(s, text);
        free(text);
        next_later(s);
    }
    endpoint_uninit(&ep);
}

/* --- All of them. --- */

static void
on_listed(void *s_, const char *output, const char *error)
{
    struct strip *s = s_;

    if (error) {
        s->error = lh_asprintf("the bridges of %s: %s", s->db, error);
        event_base_loopbreak(s->base);
        return;
    }
    while (*output) {
        size_t len = strcspn(output, "\n");

        if (len) {
            add_bridge(s, output, len, NULL);
        }
        output += len + (output[len] == '\n');
    }
    on_next(-1, 0, s);
}

/* Bridges that the command line names, or those of the database. */
static int
begin(struct strip *s, struct lh_error *error)
{
    const struct recorder_config *config = s->config;
    struct timeval now = {0};
    char *db;
    int retval;

    for (size_t i = 0; i < config->n_attach; i++) {
        const char *text = config->attach[i];
        size_t len = strcspn(text, ",");

        if (!len || (text[len] && strncmp(text + len, ",sock=", 6))) {
            lh_error_set(error,
                         "--attach=%s: must be BRIDGE or "
                         "BRIDGE,sock=unix:PATH",
                         text);
            return EINVAL;
        }
        add_bridge(s, text, len, text[len] ? text + len + 6 : NULL);
    }
    for (size_t i = 0; i < config->n_bridges; i++) {
        add_bridge(s, config->bridges[i], strlen(config->bridges[i]), NULL);
    }
    if (s->n_bridges) {
        event_add(s->next, &now);
        return 0;
    }
    db = lh_asprintf("--db=%s", s->db);
    retval = child_start(
        s->base,
        (const char *const[]){"ovs-vsctl", db, "--timeout=4", "list-br", NULL},
        OVSDB_TIMEOUT_S, on_listed, s, NULL, error);
    free(db);
    return retval;
}

/* Keeps recorders from beginning meanwhile; '*lock' is -1 without a log. */
static int
open_log(struct strip *s, int *lock, struct lh_error *error)
{
    char *path = lh_asprintf("%s/flow.db", s->config->state_dir);
    char *lock_path = lh_asprintf("%s.lock", path);
    int retval = 0;

    *lock = -1;
    if (!access(lock_path, F_OK) || !access(path, F_OK)) {
        retval = flow_log_hold(path, lock, error);
        if (retval == EBUSY && s->config->ovsdb.force) {
            say_warn("%s; going on because of --force", error->text);
            retval = 0;
        } else if (retval == EBUSY) {
            lh_error_set(error,
                         "a recorder that runs writes to %s: end it first, or "
                         "use --force if it is not the one of these bridges",
                         path);
        } else if (retval) {
            say_warn("%s; going on without the log", error->text);
            retval = 0;
        }
        if (!retval && flow_log_open_readonly(path, &s->log, error)) {
            say_warn("%s; going on without the log", error->text);
        }
    }
    free(lock_path);
    free(path);
    return retval;
}

static void
find_switches(struct strip *s)
{
    const char *db = s->config->ovsdb.db;
    const char *slash = db ? strrchr(db, '/') : NULL;
    const char *given = getenv("OVS_RUNDIR");

    s->directory = slash && !strncmp(db, "unix:", 5)
                       ? lh_asprintf("%.*s", (int) (slash - db - 5), db + 5)
                       : lh_strdup(given ? given : DEFAULT_DIRECTORY);
    s->db = db ? lh_strdup(db) : lh_asprintf("unix:%s/db.sock", s->directory);
}

int
strip_run(const struct recorder_config *config, struct lh_error *error)
{
    struct strip s = {.config = config};
    int lock, retval;

    of_msg_init();
    retval = open_log(&s, &lock, error);
    if (retval) {
        goto end;
    }
    s.base = event_base_new();
    s.next = evtimer_new(s.base, on_next, &s);
    find_switches(&s);
    retval = begin(&s, error);
    if (retval) {
        goto end;
    }
    event_base_dispatch(s.base);
    if (s.error) {
        lh_error_set(error, "%s", s.error);
        retval = EIO;
    } else if (s.n_failed) {
        lh_error_set(error,
                     "%zu of %zu bridges are not done; mend what the lines "
                     "above say and run it again",
                     s.n_failed, s.n_bridges);
        retval = EIO;
    }
end:
    if (s.next) {
        event_free(s.next);
        event_base_free(s.base);
    }
    for (size_t i = 0; i < s.n_bridges; i++) {
        free(s.bridges[i].name);
        free(s.bridges[i].socket);
    }
    free(s.bridges);
    free(s.directory);
    free(s.db);
    free(s.error);
    flow_log_close(s.log);
    if (lock >= 0) {
        close(lock);
    }
    return retval;
}
