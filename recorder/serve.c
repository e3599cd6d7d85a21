/* SPDX-License-Identifier: Apache-2.0 */
/* serve - what --serve says. */
#include <config.h>
#include "recorder/serve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/mgmt_socket.h"
#include "recorder/recorder_config.h"

/* "BRIDGE.mgmt" beside recorder.sock, for free(). */
static char *
default_at(const struct recorder_config *config, const char *bridge)
{
    const char *slash = strrchr(config->socket_path, '/');

    return slash ? lh_asprintf("unix:%.*s/%s.mgmt",
                               (int) (slash - config->socket_path),
                               config->socket_path, bridge)
                 : lh_asprintf("unix:%s.mgmt", bridge);
}

/* The value of ",KEY=VALUE" in 'words', which it cuts there; NULL without. */
static char *
cut_word(char *words, const char *key)
{
    char *found = strstr(words, key);
    char *end = found ? strchr(found + 1, ',') : NULL;
    char *value = NULL;

    if (found) {
        value = found + strlen(key);
        value = end ? lh_asprintf("%.*s", (int) (end - value), value)
                    : lh_strdup(value);
        memmove(found, end ? end : found + strlen(found),
                strlen(end ? end : "") + 1);
    }
    return value;
}

static int
make_one(const struct recorder_config *config, const char *text,
         struct recorder_route *route, struct lh_error *error)
{
    char *bridge = lh_strdup(text);
    char *at = cut_word(bridge, ",at=");
    char *sock = cut_word(bridge, ",sock=");
    int retval = EINVAL;

    if (!*bridge || strchr(bridge, ',') || strchr(bridge, ':')) {
        lh_error_set(error,
                     "--serve=%s: must be BRIDGE, BRIDGE,at=ENDPOINT or "
                     "BRIDGE,at=ENDPOINT,sock=ENDPOINT",
                     text);
        goto done;
    }
    at = at ? at : default_at(config, bridge);
    sock = sock ? sock : mgmt_socket(config->ovsdb.db, bridge);
    retval = endpoint_parse(at, true, &route->listen, error);
    if (!retval) {
        retval = endpoint_parse(sock, false, &route->bridge, error);
    }
    if (!retval && endpoint_leads_to(&route->bridge, &route->listen)) {
        lh_error_set(error,
                     "%s is the bridge's own socket; clients need another "
                     "one (,at=ENDPOINT)",
                     at);
        retval = EINVAL;
    }
    if (!retval && (route->listen.is_tls || route->bridge.is_tls)) {
        lh_error_set(error, "%s: must be tcp: or unix:",
                     route->listen.is_tls ? at : sock);
        retval = EINVAL;
    }
    if (retval) {
        lh_error_prefix(error, "--serve=%s", text);
    }

done:
    free(bridge);
    free(at);
    free(sock);
    return retval;
}

/* Who else of this recorder listens where the last of config->served is to:
 * found when that is made, it would be told as another process. */
static const char *
find_taken(const struct recorder_config *config)
{
    const char *at = config->served[config->n_served - 1].listen.text;

    for (size_t i = 0; i < config->n_served - 1; i++) {
        if (!strcmp(at, config->served[i].listen.text)) {
            return "another --serve";
        }
    }
    for (size_t i = 0; i < config->n_routes; i++) {
        if (!strcmp(at, config->routes[i].listen.text)) {
            return "a --listen";
        }
    }
    if (!strncmp(at, "unix:", 5) && !strcmp(at + 5, config->socket_path)) {
        return "lasthopctl's socket";
    }
    return NULL;
}

int
serve_make(struct recorder_config *config, struct lh_error *error)
{
    config->served = lh_alloc_zero(config->n_serve * sizeof *config->served);
    for (size_t i = 0; i < config->n_serve; i++) {
        struct recorder_route *route = &config->served[config->n_served++];
        int retval = make_one(config, config->serve[i], route, error);
        const char *taken = retval ? NULL : find_taken(config);

        if (taken) {
            lh_error_set(error,
                         "--serve=%s: %s is at %s already; give clients "
                         "another place (,at=ENDPOINT)",
                         config->serve[i], taken, route->listen.text);
            retval = EINVAL;
        }
        if (retval) {
            return retval;
        }
    }
    return 0;
}

void
serve_uninit(struct recorder_config *config)
{
    for (size_t i = 0; i < config->n_served; i++) {
        endpoint_uninit(&config->served[i].listen);
        endpoint_uninit(&config->served[i].bridge);
    }
    free(config->served);
    free(config->serve);
}
