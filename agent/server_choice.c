/* SPDX-License-Identifier: Apache-2.0 */
/* server_choice - which of several servers an agent ships to. */
#include <config.h>

#include "agent/server_choice.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/rendezvous.h"

/* Those of --server, those told, and the one it ships to. */
#define MAX_ALL (SERVER_CHOICE_MAX + AGENT_SERVERS_MAX + 1)

struct list {
    struct server_target all[MAX_ALL]; /* Addresses are owned. */
    size_t n;
};

struct server_choice {
    struct list list; /* Its own first. */
    char *seeds;      /* As --server has them.  Owned, as is 'name'. */
    char *name;
    bool is_first_round; /* Since one worked. */
};

static size_t
find(const struct list *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++) {
        if (!strcmp(list->all[i].at.text, text)) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* Takes 'at'; the caller knows that there is room. */
static void
append(struct list *list, struct host_port *at, bool is_told)
{
    assert(list->n < MAX_ALL);
    list->all[list->n++] =
        (struct server_target){.at = *at, .is_told = is_told};
}

/* Those from 'first' on. */
static void
sort(struct list *list, size_t first, const char *name)
{
    struct server_target sorted[MAX_ALL];
    const char *names[MAX_ALL];
    size_t order[MAX_ALL], n = list->n - first;

    for (size_t i = 0; i < n; i++) {
        names[i] = list->all[first + i].at.text;
    }
    rendezvous_owners(names, n, rendezvous_weight(name, 0), order, n);
    for (size_t i = 0; i < n; i++) {
        sorted[i] = list->all[first + order[i]];
    }
    memcpy(list->all + first, sorted, n * sizeof *sorted);
}

static int
add_seed(struct list *list, const char *text, struct lh_error *error)
{
    struct host_port at;

    if (list->n == SERVER_CHOICE_MAX) {
        lh_error_set(error, "more than %d servers", SERVER_CHOICE_MAX);
        return EINVAL;
    }
    if (!host_port_parse(text, AGENT_DEFAULT_PORT, &at)) {
        lh_error_set(error, "%s: must be HOST:PORT or [ADDR]:PORT", text);
        return EINVAL;
    }
    if (find(list, at.text) != SIZE_MAX) {
        lh_error_set(error, "%s is there twice", at.text);
        host_port_uninit(&at);
        return EINVAL;
    }
    append(list, &at, false);
    return 0;
}

/* Those of --server, in their order there. */
static int
read_seeds(struct list *list, const char *text, struct lh_error *error)
{
    char *copy = lh_strdup(text), *rest = copy;
    int retval = 0;

    list->n = 0;
    while (!retval && rest) {
        char *one = rest;

        rest = strchr(one, ',');
        if (rest) {
            *rest++ = '\0';
        }
        if (list->n && strncmp(one, "or=", 3) != 0) {
            lh_error_set(error, "%s: must be HOST[:PORT][,or=HOST[:PORT]]..",
                         text);
            retval = EINVAL;
        } else {
            retval = add_seed(list, one + (list->n ? 3 : 0), error);
        }
    }
    free(copy);
    return retval;
}

static void
clear(struct list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        host_port_uninit(&list->all[i].at);
    }
    list->n = 0;
}

int
server_choice_create(const char *text, const char *name,
                     struct server_choice **choicep, struct lh_error *error)
{
    struct server_choice *c = lh_alloc_zero(sizeof *c);
    int retval = read_seeds(&c->list, text, error);

    *choicep = NULL;
    c->seeds = lh_strdup(text);
    c->name = lh_strdup(name);
    c->is_first_round = true;
    if (retval) {
        server_choice_destroy(c);
        return retval;
    }
    sort(&c->list, 0, name);
    *choicep = c;
    return 0;
}

void
server_choice_destroy(struct server_choice *c)
{
    if (c) {
        clear(&c->list);
        free(c->seeds);
        free(c->name);
        free(c);
    }
}

/* Of those told, the one that tells; SIZE_MAX: it is not among them. */
static size_t
add_told(struct list *list, const struct agent_server *told, size_t n,
         const char *name)
{
    char *self = NULL;
    size_t now;

    for (size_t i = 0; i < n; i++) {
        struct host_port at;
        char *text = lh_asprintf("%.*s", (int) told[i].len, told[i].text);
        bool is_good = host_port_parse(text, AGENT_DEFAULT_PORT, &at);

        free(text);
        if (is_good && find(list, at.text) != SIZE_MAX) {
            host_port_uninit(&at);
        } else if (is_good) {
            append(list, &at, true);
            if (told[i].is_self) {
                free(self);
                self = lh_strdup(at.text);
            }
        }
    }
    sort(list, 0, name);
    now = self ? find(list, self) : SIZE_MAX;
    free(self);
    return now;
}

/* Those of --server that are not there yet. */
static void
add_seeds(struct list *list, const char *text, const char *name)
{
    struct list seeds;
    struct lh_error error;
    size_t first = list->n;

    read_seeds(&seeds, text, &error); /* It was read before. */
    for (size_t i = 0; i < seeds.n; i++) {
        if (find(list, seeds.all[i].at.text) == SIZE_MAX) {
            append(list, &seeds.all[i].at, false);
        } else {
            host_port_uninit(&seeds.all[i].at);
        }
    }
    sort(list, first, name);
}

static bool
is_same(const struct list *a, const struct list *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->all[i].at.text, b->all[i].at.text) != 0 ||
            a->all[i].is_told != b->all[i].is_told) {
            return false;
        }
    }
    return true;
}

bool
server_choice_tell(struct server_choice *c, const struct agent_server *told,
                   size_t n, size_t *nowp)
{
    struct list list = {.n = 0};
    struct server_target *used = &c->list.all[*nowp];
    size_t now = add_told(&list, told, n, c->name);

    add_seeds(&list, c->seeds, c->name);
    if (now == SIZE_MAX) {
        now = find(&list, used->at.text);
    }
    if (now == SIZE_MAX) {
        struct host_port at;

        /* It ships there for as long as nothing better is found. */
        host_port_parse(used->at.text, AGENT_DEFAULT_PORT, &at);
        now = list.n;
        append(&list, &at, false);
    }
    if (is_same(&list, &c->list) && now == *nowp) {
        clear(&list);
        return false;
    }
    for (size_t i = 0; i < list.n; i++) {
        size_t was = i == now ? *nowp : find(&c->list, list.all[i].at.text);

        if (was != SIZE_MAX) {
            list.all[i].has_failed = c->list.all[was].has_failed;
            list.all[i].was_said = c->list.all[was].was_said;
        }
    }
    clear(&c->list);
    c->list = list;
    *nowp = now;
    return true;
}

size_t
server_choice_n(const struct server_choice *c)
{
    return c->list.n;
}

struct server_target *
server_choice_get(struct server_choice *c, size_t i)
{
    return &c->list.all[i];
}

size_t
server_choice_next(const struct server_choice *c)
{
    size_t i = 0;

    while (c->list.all[i].has_failed) {
        i++;
        assert(i < c->list.n);
    }
    return i;
}

bool
server_choice_fail(struct server_choice *c, size_t i)
{
    c->list.all[i].has_failed = true;
    for (i = 0; i < c->list.n; i++) {
        if (!c->list.all[i].has_failed) {
            return false;
        }
    }
    for (i = 0; i < c->list.n; i++) {
        c->list.all[i].has_failed = false;
    }
    c->is_first_round = false;
    return true;
}

void
server_choice_work(struct server_choice *c, size_t i)
{
    c->list.all[i].has_failed = false;
    c->is_first_round = true;
}

bool
server_choice_has_others(const struct server_choice *c)
{
    return c->list.n > 1 && c->is_first_round;
}
