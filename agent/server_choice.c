/* SPDX-License-Identifier: Apache-2.0 */
/* server_choice - which of several servers an agent ships to. */
#include <config.h>

#include "agent/server_choice.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/agent_frame.h"
#include "lib/lh_alloc.h"
#include "lib/rendezvous.h"
#include "lib/text_number.h"

struct server_choice {
    struct server_target *all; /* Owned, its own first. */
    bool *has_failed;          /* In this round.  Owned. */
    size_t n;
    bool is_first_round; /* Since one worked. */
};

/* "HOST", "HOST:PORT", "[ADDR]", "[ADDR]:PORT"; an IPv6 address alone too. */
static bool
parse_target(const char *text, struct server_target *target)
{
    const char *end, *rest;
    uint64_t number = AGENT_DEFAULT_PORT;
    bool has_bracket = *text == '[';

    if (has_bracket) {
        end = strchr(++text, ']');
        rest = end ? end + 1 : NULL;
    } else {
        end = strchr(text, ':');
        if (!end || strchr(end + 1, ':')) {
            end = text + strlen(text);
        }
        rest = end;
    }
    if (!end || end == text || (*rest && *rest != ':') ||
        (*rest && !text_number(rest + 1, 10, 1, 65535, &number))) {
        return false;
    }
    target->host = lh_asprintf("%.*s", (int) (end - text), text);
    target->port = (uint16_t) number;
    target->text = strchr(target->host, ':')
                       ? lh_asprintf("[%s]:%u", target->host, target->port)
                       : lh_asprintf("%s:%u", target->host, target->port);
    return true;
}

static bool
has_target(const struct server_choice *c, const char *text)
{
    for (size_t i = 0; i < c->n; i++) {
        if (!strcmp(c->all[i].text, text)) {
            return true;
        }
    }
    return false;
}

static int
add_target(struct server_choice *c, const char *text, struct lh_error *error)
{
    struct server_target target;

    if (c->n == SERVER_CHOICE_MAX) {
        lh_error_set(error, "more than %d servers", SERVER_CHOICE_MAX);
        return EINVAL;
    }
    if (!parse_target(text, &target)) {
        lh_error_set(error, "%s: must be HOST:PORT or [ADDR]:PORT", text);
        return EINVAL;
    }
    if (has_target(c, target.text)) {
        lh_error_set(error, "%s is there twice", target.text);
        free(target.host);
        free(target.text);
        return EINVAL;
    }
    c->all = lh_alloc_array(c->all, c->n + 1, sizeof *c->all);
    c->all[c->n++] = target;
    return 0;
}

static void
sort(struct server_choice *c, const char *name)
{
    struct server_target sorted[SERVER_CHOICE_MAX];
    const char *names[SERVER_CHOICE_MAX];
    size_t order[SERVER_CHOICE_MAX];

    for (size_t i = 0; i < c->n; i++) {
        names[i] = c->all[i].text;
    }
    rendezvous_owners(names, c->n, rendezvous_weight(name, 0), order, c->n);
    for (size_t i = 0; i < c->n; i++) {
        sorted[i] = c->all[order[i]];
    }
    memcpy(c->all, sorted, c->n * sizeof *sorted);
}

int
server_choice_create(const char *text, const char *name,
                     struct server_choice **choicep, struct lh_error *error)
{
    struct server_choice *c = lh_alloc_zero(sizeof *c);
    char *copy = lh_strdup(text), *rest = copy;
    int retval = 0;

    *choicep = NULL;
    while (!retval && rest) {
        char *one = rest;

        rest = strchr(one, ',');
        if (rest) {
            *rest++ = '\0';
        }
        if (c->n && strncmp(one, "or=", 3) != 0) {
            lh_error_set(error, "%s: must be HOST[:PORT][,or=HOST[:PORT]]..",
                         text);
            retval = EINVAL;
        } else {
            retval = add_target(c, one + (c->n ? 3 : 0), error);
        }
    }
    free(copy);
    if (retval) {
        server_choice_destroy(c);
        return retval;
    }
    sort(c, name);
    c->has_failed = lh_alloc_zero(c->n * sizeof *c->has_failed);
    c->is_first_round = true;
    *choicep = c;
    return 0;
}

void
server_choice_destroy(struct server_choice *c)
{
    if (c) {
        for (size_t i = 0; i < c->n; i++) {
            free(c->all[i].host);
            free(c->all[i].text);
        }
        free(c->all);
        free(c->has_failed);
        free(c);
    }
}

size_t
server_choice_n(const struct server_choice *c)
{
    return c->n;
}

const struct server_target *
server_choice_get(const struct server_choice *c, size_t i)
{
    return &c->all[i];
}

size_t
server_choice_next(const struct server_choice *c)
{
    size_t i = 0;

    while (c->has_failed[i]) {
        i++;
        assert(i < c->n);
    }
    return i;
}

bool
server_choice_fail(struct server_choice *c, size_t i)
{
    c->has_failed[i] = true;
    for (i = 0; i < c->n; i++) {
        if (!c->has_failed[i]) {
            return false;
        }
    }
    memset(c->has_failed, 0, c->n * sizeof *c->has_failed);
    c->is_first_round = false;
    return true;
}

void
server_choice_work(struct server_choice *c, size_t i)
{
    c->has_failed[i] = false;
    c->is_first_round = true;
}

bool
server_choice_has_others(const struct server_choice *c)
{
    return c->n > 1 && c->is_first_round;
}
