/* SPDX-License-Identifier: Apache-2.0 */
/* profile_links - which links a profile counts at. */
#include <config.h>

#include "phf/profile_links.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dpid.h"
#include "lib/lh_alloc.h"
#include "lib/name_miss.h"
#include "lib/of_port.h"
#include "lib/text_buf.h"

void
profile_links_uninit(struct profile_links *links)
{
    free(links->links);
    memset(links, 0, sizeof *links);
}

static void
add(struct profile_links *links, uint64_t dpid, uint32_t port, bool is_in)
{
    struct profile_link link = {dpid, port, is_in};

    if (!profile_links_has(links, &link, false)) {
        links->links = lh_alloc_grow(links->links, links->n, &links->allocated,
                                     sizeof *links->links);
        links->links[links->n++] = link;
    }
}

bool
profile_links_has(const struct profile_links *links,
                  const struct profile_link *link, bool is_first)
{
    switch (links->scope) {
    case PROFILE_ALL:
        return !link->is_in || is_first;
    case PROFILE_ENTRY:
        return link->is_in && is_first;
    case PROFILE_CHOSEN:
    default:
        for (size_t i = 0; i < links->n; i++) {
            if (links->links[i].dpid == link->dpid &&
                links->links[i].port == link->port &&
                links->links[i].is_in == link->is_in) {
                return true;
            }
        }
        return false;
    }
}

/* --- Names -------------------------------------------------------------- */

/* Whether it is two switches with a dash between. */
static bool
is_pair(const char *text, const struct topology *topology)
{
    const char *dash = strchr(text, '-');
    char *left = dash ? lh_strdup(text) : NULL;
    bool is;

    if (left) {
        left[dash - text] = '\0';
    }
    is = left && topology && topology_find_name(topology, left) &&
         topology_find_name(topology, dash + 1);
    free(left);
    return is;
}

static int
find_switch(const char *text, const struct topology *topology, uint64_t *dpid,
            struct lh_error *error)
{
    struct name_miss miss = name_miss_init(text);
    const struct topology_switch *sw =
        topology ? topology_find_name(topology, text) : NULL;

    if (sw) {
        *dpid = sw->dpid;
        return 0;
    }
    if (dpid_from_string(text, dpid) &&
        (!topology || topology_find(topology, *dpid))) {
        return 0;
    }
    if (is_pair(text, topology)) {
        lh_error_set(error,
                     "no switch is called \"%s\"; s1->s2 is what s1 sends to "
                     "s2, s1--s2 both ways",
                     text);
        return EINVAL;
    }
    name_miss_try_switches(&miss, topology);
    name_miss_set(&miss, "switch", error);
    return EINVAL;
}

static int
find_port(uint64_t dpid, const char *text, const struct topology *topology,
          uint32_t *port, struct lh_error *error)
{
    const struct topology_switch *sw =
        topology ? topology_find(topology, dpid) : NULL;
    struct name_miss miss = name_miss_init(text);

    if ((sw && topology_port_by_name(topology, dpid, text, port)) ||
        (of_port_from_string(text, port) &&
         (!sw || topology_port(topology, dpid, *port) ||
          *port == OF_PORT_LOCAL))) {
        return 0;
    }
    name_miss_try_ports(&miss, sw);
    name_miss_set(&miss, "port", error);
    return EINVAL;
}

/* --- Forms -------------------------------------------------------------- */

/* All links from switch 'a' to switch 'b'. */
static int
add_between(struct profile_links *links, uint64_t a, uint64_t b,
            const char *text, const struct topology *topology,
            struct lh_error *error)
{
    const struct topology_switch *sw =
        topology ? topology_find(topology, a) : NULL;
    size_t n = 0;

    for (size_t i = 0; sw && i < sw->n_ports; i++) {
        if (sw->ports[i].has_peer && sw->ports[i].peer_dpid == b) {
            add(links, a, sw->ports[i].no, false);
            n++;
        }
    }
    if (!n) {
        lh_error_set(error,
                     "%s: no link is known between these two "
                     "(lasthopctl topology shows all)",
                     text);
        return EINVAL;
    }
    return 0;
}

/* "s1->s2" or "s1--s2", of which 'right' is what stands behind. */
static int
add_pair(struct profile_links *links, const char *text, const char *left,
         const char *right, bool is_both, const struct topology *topology,
         struct lh_error *error)
{
    uint64_t a, b;
    uint32_t port;
    int retval = find_switch(left, topology, &a, error);

    if (retval) {
        return retval;
    }
    if (find_switch(right, topology, &b, error)) {
        if (is_both || find_port(a, right, topology, &port, NULL)) {
            return EINVAL;
        }
        add(links, a, port, false);
        return 0;
    }
    retval = add_between(links, a, b, text, topology, error);
    return retval || !is_both
               ? retval
               : add_between(links, b, a, text, topology, error);
}

/* "s1:2", "s1:2/in", "s1:2/out". */
static int
add_port(struct profile_links *links, const char *sw, char *port,
         const struct topology *topology, struct lh_error *error)
{
    char *slash = strrchr(port, '/');
    bool is_in = slash && !strcmp(slash, "/in");
    uint64_t dpid;
    uint32_t no;
    int retval = find_switch(sw, topology, &dpid, error);

    if (is_in || (slash && !strcmp(slash, "/out"))) {
        *slash = '\0';
    }
    if (!retval) {
        retval = find_port(dpid, port, topology, &no, error);
    }
    if (retval) {
        lh_error_prefix(error, "%s:%s", sw, port);
        return retval;
    }
    add(links, dpid, no, is_in);
    return 0;
}

static int
add_switch(struct profile_links *links, const char *text,
           const struct topology *topology, struct lh_error *error)
{
    const struct topology_switch *sw;
    uint64_t dpid;
    int retval = find_switch(text, topology, &dpid, error);

    if (retval) {
        return retval;
    }
    sw = topology ? topology_find(topology, dpid) : NULL;
    for (size_t i = 0; sw && i < sw->n_ports; i++) {
        add(links, dpid, sw->ports[i].no, false);
    }
    if (!sw || !sw->n_ports) {
        lh_error_set(error, "%s: no port of it is known; name one: %s:PORT",
                     text, text);
        return EINVAL;
    }
    return 0;
}

int
profile_links_add(struct profile_links *links, const char *text,
                  const struct topology *topology, struct lh_error *error)
{
    char *copy = lh_strdup(text), *at;
    int retval = 0;

    if (!strcmp(text, "all")) {
        links->scope = PROFILE_ALL;
    } else if (!strcmp(text, "entry")) {
        links->scope = PROFILE_ENTRY;
    } else if ((at = strstr(copy, "->")) != NULL ||
               (at = strstr(copy, "--")) != NULL) {
        bool is_both = at[1] == '-';

        *at = '\0';
        retval = add_pair(links, text, copy, at + 2, is_both, topology, error);
    } else if ((at = strrchr(copy, ':')) != NULL &&
               !(topology && topology_find_name(topology, text))) {
        *at = '\0';
        retval = add_port(links, copy, at + 1, topology, error);
    } else {
        retval = add_switch(links, text, topology, error);
    }
    free(copy);
    return retval;
}

/* --- Text --------------------------------------------------------------- */

static void
put_switch(struct text_buf *t, uint64_t dpid, const struct topology *topology)
{
    char text[DPID_BUFSIZE];

    text_buf_put(t, "%s", topology_switch_text(topology, dpid, text));
}

static void
put_port(struct text_buf *t, const struct profile_link *link,
         const struct topology *topology)
{
    const struct topology_port *port =
        topology ? topology_port(topology, link->dpid, link->port) : NULL;

    put_switch(t, link->dpid, topology);
    if (port && port->name) {
        text_buf_put(t, ":%s", port->name);
    } else if (of_port_name(link->port)) {
        text_buf_put(t, ":%s", of_port_name(link->port));
    } else if (link->port == OF_PORT_UNKNOWN) {
        text_buf_put(t, ":?");
    } else {
        text_buf_put(t, ":%" PRIu32, link->port);
    }
}

char *
profile_link_name(const struct profile_link *link,
                  const struct topology *topology, char *buf, size_t size)
{
    struct text_buf t = text_buf(buf, size);
    uint64_t peer;
    uint32_t peer_port;

    if (link->is_in) {
        text_buf_put(&t, "-> ");
        put_port(&t, link, topology);
        return buf;
    }
    put_port(&t, link, topology);
    text_buf_put(&t, " ->");
    if (topology &&
        topology_peer(topology, link->dpid, link->port, &peer, &peer_port)) {
        text_buf_put(&t, " ");
        put_switch(&t, peer, topology);
    }
    return buf;
}
