/* SPDX-License-Identifier: Apache-2.0 */
/* told_servers - the servers of a cluster that take agents. */
#include <config.h>

#include "server/told_servers.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/rendezvous.h"

struct told_servers {
    size_t n;
    char **texts;             /* Owned, as are they. */
    struct agent_server *all; /* Into these.  Owned. */
};

struct told_servers *
told_servers_create(const struct agent_server *all, size_t n)
{
    struct told_servers *list = lh_alloc_zero(sizeof *list);

    list->n = n;
    list->texts = lh_alloc_array(NULL, n, sizeof *list->texts);
    list->all = lh_alloc_array(NULL, n, sizeof *list->all);
    for (size_t i = 0; i < n; i++) {
        list->texts[i] = lh_asprintf("%.*s", (int) all[i].len, all[i].text);
        list->all[i] = all[i];
        list->all[i].text = (const uint8_t *) list->texts[i];
    }
    return list;
}

void
told_servers_destroy(struct told_servers *list)
{
    if (list) {
        for (size_t i = 0; i < list->n; i++) {
            free(list->texts[i]);
        }
        free(list->texts);
        free(list->all);
        free(list);
    }
}

static bool
has(const struct told_servers *list, const struct agent_server *server)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct agent_server *own = &list->all[i];

        if (own->len == server->len && own->is_self == server->is_self &&
            !memcmp(own->text, server->text, server->len)) {
            return true;
        }
    }
    return false;
}

bool
told_servers_is(const struct told_servers *list,
                const struct agent_server *all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!has(list, &all[i])) {
            return false;
        }
    }
    return n == list->n;
}

void
told_servers_put(const struct told_servers *list, const char *agent,
                 struct byte_buf *out)
{
    struct agent_server some[AGENT_SERVERS_MAX];
    size_t order[AGENT_SERVERS_MAX];
    size_t n = rendezvous_owners((const char *const *) list->texts, list->n,
                                 rendezvous_weight(agent, 0), order,
                                 AGENT_SERVERS_MAX);

    for (size_t i = 0; i < n; i++) {
        some[i] = list->all[order[i]];
    }
    agent_frame_put_servers(out, some, n);
}
