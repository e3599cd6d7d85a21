/* SPDX-License-Identifier: Apache-2.0 */
/* profile_request - what a request `profile` asks for. */
#include <config.h>

#include "phf/profile_request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/jmember.h"
#include "lib/time_spec.h"
#include "phf/profile.h"
#include "phf/profile_tree.h"

static int
read_by(const struct jmember *root, struct profile_ask *ask,
        struct lh_error *error)
{
    struct jmember by = jmember_get(root, "by");
    size_t n = 0;

    if (!jmember_is_there(&by)) {
        if (ask->links.scope == PROFILE_ALL || ask->links.n > 1) {
            ask->by[ask->n_by++] = PROFILE_BY_LINK;
        }
        ask->by[ask->n_by++] = PROFILE_BY_INGRESS;
        ask->by[ask->n_by++] = PROFILE_BY_PATH;
        ask->by[ask->n_by++] = PROFILE_BY_HOSTS;
        ask->by[ask->n_by++] = PROFILE_BY_FLOW;
        return 0;
    }
    if (jmember_array(&by, &n, error)) {
        return EINVAL;
    }
    for (size_t i = 0; i < n; i++) {
        struct jmember word = jmember_at(&by, i);
        enum profile_level level;
        const char *text;

        if (jmember_string(&word, &text, error)) {
            return EINVAL;
        }
        if (!profile_level_from_name(text, &level)) {
            return jmember_error(&word, error,
                                 "must be link, ingress, path, src, dst, "
                                 "hosts or flow, not \"%s\"",
                                 text);
        }
        for (size_t k = 0; k < ask->n_by; k++) {
            if (ask->by[k] == level) {
                return jmember_error(&word, error, "\"%s\" is there twice",
                                     text);
            }
        }
        ask->by[ask->n_by++] = level;
    }
    return 0;
}

static int
read_links(const struct jmember *root, struct profile_ask *ask,
           const struct topology *topology, struct lh_error *error)
{
    struct jmember links = jmember_get(root, "links");
    size_t n = 0;

    if (jmember_is_there(&links) && jmember_array(&links, &n, error)) {
        return EINVAL;
    }
    for (size_t i = 0; i < n; i++) {
        struct jmember link = jmember_at(&links, i);
        const char *text;

        if (jmember_string(&link, &text, error)) {
            return EINVAL;
        }
        if (profile_links_add(&ask->links, text, topology, error)) {
            lh_error_prefix(error, "links[%zu]", i);
            return EINVAL;
        }
    }
    if (!n) {
        ask->links.scope = ask->phf ? PROFILE_ENTRY : PROFILE_ALL;
    }
    return 0;
}

static int
read_times(const struct jmember *root, struct profile_request *p,
           uint64_t now_ns, struct lh_error *error)
{
    struct jmember since = jmember_get(root, "since");
    struct jmember until = jmember_get(root, "until");
    struct jmember interval = jmember_get(root, "interval_ns");

    p->ask.until_ns = UINT64_MAX;
    p->has_since = jmember_is_there(&since);
    p->has_until = jmember_is_there(&until);
    if ((p->has_since &&
         time_spec_member(&since, now_ns, &p->ask.since_ns, error)) ||
        (p->has_until &&
         time_spec_member(&until, now_ns, &p->ask.until_ns, error)) ||
        (jmember_is_there(&interval) &&
         jmember_u64(&interval, INT64_MAX, &p->ask.interval_ns, error))) {
        return EINVAL;
    }
    if (jmember_is_there(&interval) && !p->ask.interval_ns) {
        return jmember_error(&interval, error, "must be at least 1");
    }
    if (p->ask.until_ns <= p->ask.since_ns) {
        return jmember_error(&until, error, "must be later than since");
    }
    return 0;
}

int
profile_request_read(struct profile_request *p, const json_t *request,
                     const struct profile_request_names *names,
                     bool *is_filter, struct lh_error *error)
{
    struct jmember root = jmember_root(request);
    struct jmember phf = jmember_get(&root, "phf");
    struct jmember top = jmember_get(&root, "top");
    const char *text;

    *is_filter = false;
    if (error) {
        error->pos = -1;
    }
    p->top = PROFILE_DEFAULT_TOP;
    if (jmember_is_there(&phf)) {
        if (jmember_string(&phf, &text, error)) {
            return EINVAL;
        }
        if (phf_compile(text, names->topology, &p->ask.phf, error)) {
            *is_filter = true;
            return EINVAL;
        }
    }
    if (jmember_is_there(&top) &&
        (jmember_u64(&top, PROFILE_MAX_TOP, &p->top, error) || !p->top)) {
        return jmember_error(&top, error, "must be from 1 to %d",
                             PROFILE_MAX_TOP);
    }
    if (read_links(&root, &p->ask, names->topology, error) ||
        read_by(&root, &p->ask, error) ||
        read_times(&root, p, names->now_ns, error)) {
        return EINVAL;
    }
    return 0;
}

void
profile_request_uninit(struct profile_request *p)
{
    profile_links_uninit(&p->ask.links);
    phf_destroy(p->ask.phf);
    topology_unref(p->ask.topology);
}

bool
profile_request_tells_addresses(const struct profile_request *p)
{
    bool tells = false;

    for (size_t i = 0; i < p->ask.n_by; i++) {
        tells = tells || p->ask.by[i] >= PROFILE_BY_SRC;
    }
    return tells;
}

static json_t *
link_text(const struct profile_link *link)
{
    return json_sprintf("%016" PRIx64 ":%" PRIu32 "/%s", link->dpid,
                        link->port, link->is_in ? "in" : "out");
}

json_t *
profile_request_numeric(const struct profile_request *p, const json_t *request)
{
    json_t *numeric = json_object(), *links = json_array();
    json_t *by = json_array(), *phf = json_object_get(request, "phf");

    for (size_t i = 0; i < p->ask.links.n; i++) {
        json_array_append_new(links, link_text(&p->ask.links.links[i]));
    }
    if (p->ask.links.scope != PROFILE_CHOSEN) {
        json_array_append_new(
            links,
            json_string(p->ask.links.scope == PROFILE_ALL ? "all" : "entry"));
    }
    for (size_t i = 0; i < p->ask.n_by; i++) {
        json_array_append_new(by,
                              json_string(profile_level_name(p->ask.by[i])));
    }
    json_object_set_new(numeric, "links", links);
    json_object_set_new(numeric, "by", by);
    if (phf) {
        json_object_set(numeric, "phf", phf);
    }
    if (p->ask.interval_ns) {
        json_object_set_new(numeric, "interval_ns",
                            json_integer((json_int_t) p->ask.interval_ns));
    }
    return numeric;
}
