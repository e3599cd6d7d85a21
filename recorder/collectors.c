/* SPDX-License-Identifier: Apache-2.0 */
/* collectors - which of several servers the postcards of a switch go to. */
#include <config.h>

#include "recorder/collectors.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/api_server.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/rendezvous.h"
#include "lib/say.h"

struct collector {
    const char *text; /* ADDRESS:PORT, as the option has it. */
    bool is_alive;    /* As was said last. */
    bool was_dead;    /* Since 'since_ms' it lives again. */
    int64_t since_ms;
};

/* A server that speaks. */
struct teller {
    char *name; /* Owned. */
    char *self; /* Owned, or NULL. */
    int64_t since_ms, told_ms;
};

struct collectors {
    struct collector *all; /* Owned. */
    size_t n;
    struct teller *tellers; /* Owned, in no order. */
    size_t n_tellers;
    bool is_told;
    int64_t now_ms;
};

static struct collector *
find(const struct collectors *c, const char *text)
{
    for (size_t i = 0; i < c->n; i++) {
        if (!strcmp(c->all[i].text, text)) {
            return &c->all[i];
        }
    }
    return NULL;
}

struct collectors *
collectors_create(const struct postcard_ports *postcards)
{
    struct collectors *c = lh_alloc_zero(sizeof *c);

    for (size_t i = 0; i < postcards->n; i++) {
        const struct postcard_port *port = &postcards->ports[i];

        for (size_t j = 0; j < port->n_targets; j++) {
            if (!find(c, port->targets[j].text)) {
                c->all = lh_alloc_array(c->all, c->n + 1, sizeof *c->all);
                c->all[c->n++] = (struct collector){
                    .text = port->targets[j].text, .is_alive = true};
            }
        }
    }
    return c;
}

static void
forget(struct collectors *c, size_t i)
{
    free(c->tellers[i].name);
    free(c->tellers[i].self);
    c->tellers[i] = c->tellers[--c->n_tellers];
}

void
collectors_destroy(struct collectors *c)
{
    if (c) {
        while (c->n_tellers) {
            forget(c, 0);
        }
        free(c->tellers);
        free(c->all);
        free(c);
    }
}

/* --- Who lives. --- */

static void
set_alive(struct collector *one, bool is_alive, int64_t now_ms)
{
    if (one->is_alive != is_alive) {
        one->is_alive = is_alive;
        one->was_dead = is_alive;
        one->since_ms = now_ms;
        say_info("collector %s %s", one->text,
                 is_alive ? "lives again"
                          : "is gone: its switches send to others");
    }
}

/* Returns whether it has spoken for a while. */
static bool
note_teller(struct collectors *c, const char *name, const char *self,
            int64_t now_ms)
{
    struct teller *teller;
    size_t i = 0;

    while (i < c->n_tellers && strcmp(c->tellers[i].name, name) != 0) {
        i++;
    }
    if (i == c->n_tellers) {
        if (i == COLLECTORS_MAX) {
            return false;
        }
        c->tellers = lh_alloc_array(c->tellers, i + 1, sizeof *c->tellers);
        c->tellers[c->n_tellers++] =
            (struct teller){.name = lh_strdup(name), .since_ms = now_ms};
    }
    teller = &c->tellers[i];
    free(teller->self);
    teller->self = self ? lh_strdup(self) : NULL;
    teller->told_ms = now_ms;
    return now_ms - teller->since_ms >= COLLECTORS_NEW_MS;
}

void
collectors_tell(struct collectors *c, const char *name, const char *self,
                const char *const alive[], size_t n_alive, int64_t now_ms)
{
    bool is_believed = note_teller(c, name, self, now_ms);

    c->now_ms = now_ms;
    for (size_t i = 0; i < c->n; i++) {
        size_t j = 0;

        while (j < n_alive && strcmp(alive[j], c->all[i].text) != 0) {
            j++;
        }
        if (j < n_alive || is_believed) {
            set_alive(&c->all[i], j < n_alive, now_ms);
        }
        /* What was always so needs no patience. */
        c->all[i].was_dead &= c->is_told;
    }
    c->is_told = true;
}

void
collectors_run(struct collectors *c, int64_t now_ms)
{
    bool is_told = false;

    c->now_ms = now_ms;
    for (size_t i = 0; i < c->n_tellers; i++) {
        is_told |= now_ms - c->tellers[i].told_ms < COLLECTORS_SILENT_MS;
    }
    for (size_t i = c->n_tellers; !is_told && i-- > 0;) {
        const char *self = c->tellers[i].self;
        struct collector *one = self ? find(c, self) : NULL;

        if (one) {
            set_alive(one, false, now_ms);
        }
        forget(c, i);
    }
}

/* --- Whose is which. --- */

static bool
is_usable(const struct collectors *c, const char *text)
{
    const struct collector *one = find(c, text);

    return one && one->is_alive &&
           !(one->was_dead && c->now_ms - one->since_ms < COLLECTORS_BACK_MS);
}

size_t
collectors_choose(const struct collectors *c, const struct postcard_port *port,
                  uint64_t dpid, size_t now)
{
    const char **names;
    size_t *which;
    size_t n = 0, chosen;

    if (!c || port->n_targets == 1) {
        return 0;
    }
    if (!c->is_told && now < port->n_targets) {
        return now;
    }
    names = lh_alloc(port->n_targets * sizeof *names);
    which = lh_alloc(port->n_targets * sizeof *which);
    for (size_t i = 0; i < port->n_targets; i++) {
        if (is_usable(c, port->targets[i].text)) {
            which[n] = i;
            names[n++] = port->targets[i].text;
        }
    }
    if (n) {
        chosen = which[rendezvous_owner(names, n, dpid)];
    } else if (now < port->n_targets) {
        chosen = now;
    } else {
        for (size_t i = 0; i < port->n_targets; i++) {
            names[i] = port->targets[i].text;
        }
        chosen = rendezvous_owner(names, port->n_targets, dpid);
    }
    free(names);
    free(which);
    return chosen;
}

/* --- The API. --- */

json_t *
collectors_to_json(const struct collectors *c)
{
    json_t *list = json_array();

    for (size_t i = 0; i < c->n; i++) {
        json_array_append_new(
            list, json_pack("{s:s, s:o}", "address", c->all[i].text, "alive",
                            c->is_told ? json_boolean(c->all[i].is_alive)
                                       : json_null()));
    }
    return list;
}

static void
handle_collectors(struct api_call *call, const json_t *request, void *c)
{
    const json_t *servers = json_object_get(request, "servers");
    const char *name = json_string_value(json_object_get(request, "name"));
    const char **alive;
    const char *self = NULL;
    const json_t *server;
    size_t n = 0, i;

    if (!json_is_array(servers) || !name) {
        api_call_fail(call, API_BAD_REQUEST,
                      "collectors needs a name and servers, an array");
        return;
    }
    alive = lh_alloc_zero((json_array_size(servers) + 1) * sizeof *alive);
    json_array_foreach(servers, i, server)
    {
        const char *who = json_string_value(json_object_get(server, "name"));
        const char *address =
            json_string_value(json_object_get(server, "address"));

        if (!address) {
            continue;
        }
        if (json_is_true(json_object_get(server, "alive"))) {
            alive[n++] = address;
        }
        if (who && !strcmp(who, name)) {
            self = address;
        }
    }
    collectors_tell(c, name, self, alive, n, monotonic_ms());
    api_call_answer(call,
                    json_pack("{s:o}", "collectors", collectors_to_json(c)));
    free(alive);
}

void
collectors_add_op(struct collectors *c, struct api_server *server)
{
    api_server_add_op(server, "collectors", handle_collectors, c);
}
