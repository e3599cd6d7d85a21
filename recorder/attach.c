/* SPDX-License-Identifier: Apache-2.0 */
/* attach - bridges that the recorder connects to itself. */
#include <config.h>
#include "recorder/attach.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <event2/event.h>

#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "recorder/datapath.h"
#include "recorder/mgmt_socket.h"
#include "recorder/port_removal.h"
#include "recorder/session.h"

struct bridge {
    struct attach *attach;
    struct bridge *next;
    char *name;                   /* Owned. */
    struct recorder_route route;  /* To its socket. */
    struct session *session;      /* Or NULL. */
    struct event *timer;          /* To connect again, or to give up. */
    struct port_removal *removal; /* Of its postcard port. */
    bool is_silent;               /* It was said that it is not there. */
    bool is_detaching;
    bool is_refused; /* It was not fit to be attached to. */
    attach_done *done;
    void *aux;
};

struct attach {
    const struct session_env *env;
    void (*began)(void *, struct session *);
    void *aux;
    struct bridge *bridges; /* Owned. */
    void (*all_done)(void *);
    void *all_done_aux;
};

struct attach *
attach_create(const struct session_env *env,
              void (*began)(void *aux, struct session *), void *aux)
{
    struct attach *a = lh_alloc_zero(sizeof *a);

    a->env = env;
    a->began = began;
    a->aux = aux;
    return a;
}

static void
destroy(struct bridge *b)
{
    struct bridge **p;

    for (p = &b->attach->bridges; *p != b; p = &(*p)->next) {
        continue;
    }
    *p = b->next;
    event_free(b->timer);
    port_removal_cancel(b->removal);
    endpoint_uninit(&b->route.listen);
    free(b->name);
    free(b);
}

void
attach_destroy(struct attach *a)
{
    if (a) {
        while (a->bridges) {
            struct bridge *b = a->bridges;

            if (b->done) {
                b->done(b->aux, "the recorder ends");
            }
            destroy(b);
        }
        free(a);
    }
}

static struct bridge *
find(struct attach *a, const char *name)
{
    struct bridge *b = a->bridges;

    while (b && strcmp(b->name, name)) {
        b = b->next;
    }
    return b;
}

/* --- Connecting. --- */

static void
retry_later(struct bridge *b)
{
    struct timeval timeout = {.tv_sec = b->is_refused ? ATTACH_REFUSED_S
                                                      : ATTACH_RETRY_S};

    event_add(b->timer, &timeout);
}

static void
begin(struct bridge *b)
{
    struct attach *a = b->attach;

    b->session = session_attach(a->env, &b->route);
    if (b->session) {
        a->began(a->aux, b->session);
        return;
    }
    if (!b->is_silent) {
        say_warn("bridge %s: %s: %s; tried again every %d s", b->name,
                 b->route.listen.text, strerror(errno), ATTACH_RETRY_S);
        b->is_silent = true;
    }
    retry_later(b);
}

static void finish(struct bridge *, const char *error);

static void
on_timer(evutil_socket_t fd, short what, void *b_)
{
    struct bridge *b = b_;

    if (b->is_detaching) {
        finish(b, "the switch did not answer in time");
    } else {
        begin(b);
    }
}

int
attach_add(struct attach *a, const char *name, const char *socket, bool force,
           struct lh_error *error)
{
    char *text = socket ? lh_strdup(socket)
                        : mgmt_socket(a->env->config->ovsdb.db, name);
    struct bridge *b;
    int retval;

    b = find(a, name);
    if (b && b->is_refused && !b->session) {
        free(text);
        b->route.force |= force;
        event_del(b->timer);
        begin(b);
        return 0;
    }
    if (b) {
        lh_error_set(error, "bridge %s is attached", name);
        free(text);
        return EEXIST;
    }
    b = lh_alloc_zero(sizeof *b);
    retval = endpoint_parse(text, false, &b->route.listen, error);
    free(text);
    if (retval) {
        free(b);
        return retval;
    }
    if (b->route.listen.is_tls && !a->env->switch_tls) {
        lh_error_set(error, "%s: no --listen is ssl:, so there are no keys",
                     b->route.listen.text);
        endpoint_uninit(&b->route.listen);
        free(b);
        return EINVAL;
    }
    b->attach = a;
    b->name = lh_strdup(name);
    b->route.is_attached = true;
    b->route.force = force;
    b->timer = evtimer_new(a->env->base, on_timer, b);
    b->next = a->bridges;
    a->bridges = b;
    begin(b);
    return 0;
}

int
attach_add_text(struct attach *a, const char *text, bool force,
                struct lh_error *error)
{
    const char *comma = strchr(text, ',');
    size_t len = comma ? (size_t) (comma - text) : strlen(text);
    char *name = lh_asprintf("%.*s", (int) len, text);
    int retval = EINVAL;

    if (!len || (comma && strncmp(comma, ",sock=", 6))) {
        lh_error_set(error,
                     "--attach=%s: must be BRIDGE or BRIDGE,sock=unix:PATH",
                     text);
    } else {
        retval = attach_add(a, name, comma ? comma + 6 : NULL, force, error);
    }
    free(name);
    return retval;
}

/* --- Ending. --- */

/* The bridge is detached, or as good as that can be. */
static void
finish(struct bridge *b, const char *error)
{
    struct attach *a = b->attach;
    struct session *session = b->session;
    attach_done *done = b->done;
    void *aux = b->aux;

    if (error) {
        say_error("bridge %s: not detached: %s; what was injected stays in "
                  "its rules",
                  b->name, error);
    } else {
        say_info("bridge %s: detached", b->name);
    }
    b->session = NULL;
    if (session) {
        session_end(session, "detached"); /* Its route is the bridge's. */
    }
    destroy(b);
    if (done) {
        done(aux, error);
    }
    if (a->all_done && !a->bridges) {
        a->all_done(a->all_done_aux);
    }
}

static void
on_port_removed(void *b_, const char *error)
{
    struct bridge *b = b_;

    b->removal = NULL;
    if (error) {
        say_warn("bridge %s: its postcard port stays: %s", b->name, error);
    }
    finish(b, NULL);
}

static void
on_detached(void *b_)
{
    struct bridge *b = b_;
    const struct recorder_config *config = b->attach->env->config;
    const struct postcard_port *p =
        postcard_ports_find(&config->postcards, b->name, INSTR_GENEVE);
    bool is_agent =
        postcard_ports_find(&config->postcards, b->name, INSTR_AGENT);

    if (config->ovsdb.db && (p || is_agent)) {
        b->removal = port_removal_start(
            b->attach->env->base, config->ovsdb.db, b->name,
            p ? session_geneve_name(b->session) : NULL, on_port_removed, b);
    } else {
        finish(b, NULL);
    }
}

static void
detach(struct bridge *b)
{
    struct timeval timeout = {.tv_sec = ATTACH_DETACH_S};

    b->is_detaching = true;
    event_add(b->timer, &timeout);
    if (!b->session || !session_detach(b->session, on_detached, b)) {
        finish(b, NULL); /* Nothing was injected. */
    }
}

int
attach_remove(struct attach *a, const char *name, attach_done *done, void *aux,
              struct lh_error *error)
{
    struct bridge *b = find(a, name);

    if (!b || b->is_detaching) {
        lh_error_set(error, "bridge %s is not attached", name);
        return ENOENT;
    }
    b->done = done;
    b->aux = aux;
    detach(b);
    return 0;
}

void
attach_remove_all(struct attach *a, void (*done)(void *aux), void *aux)
{
    struct bridge *b, *next;

    if (!a || !a->bridges) {
        done(aux);
        return;
    }
    a->all_done = done;
    a->all_done_aux = aux;
    for (b = a->bridges; b; b = next) {
        next = b->next;
        if (!b->is_detaching) {
            detach(b);
        }
    }
}

void
attach_ended(struct attach *a, const struct session *session)
{
    for (struct bridge *b = a ? a->bridges : NULL; b; b = b->next) {
        if (b->session == session) {
            b->session = NULL;
            if (b->is_detaching) {
                finish(b, b->removal ? NULL : "its connection has ended");
            } else {
                b->is_refused = session_is_refused(session);
                retry_later(b);
            }
            return;
        }
    }
}

json_t *
attach_stats(const struct attach *a)
{
    json_t *array = json_array();

    for (const struct bridge *b = a ? a->bridges : NULL; b; b = b->next) {
        json_array_append_new(
            array, json_pack("{s:o, s:o, s:b, s:b, s:b}", "bridge",
                             jmember_text_new(b->name), "socket",
                             jmember_text_new(b->route.listen.text),
                             "connected", b->session != NULL, "detaching",
                             b->is_detaching, "refused", b->is_refused));
    }
    return array;
}
