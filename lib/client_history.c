/* SPDX-License-Identifier: Apache-2.0 */
/* client_history - a packet history as programs see it. */
#include <config.h>

#include "lib/client_impl.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/client_json.h"
#include "lib/dpid.h"
#include "lib/history_frame.h"
#include "lib/hop_time.h"
#include "lib/lh_alloc.h"
#include "lib/topology.h"

/* "Not known" is the same number here and there. */
static_assert(LASTHOP_PORT_UNKNOWN == OF_PORT_UNKNOWN,
              "as in the public header");

struct lasthop_history {
    atomic_uint n_refs;
    struct history *h;      /* Owned. */
    json_t *json;           /* It came so.  Owned; NULL: it came as bytes. */
    struct topology *names; /* Of switches; NULL: not made. */
};

struct lasthop_history *
client_history_from_json(const json_t *json)
{
    struct lasthop_history *history;
    struct history *h;

    if (history_from_json(json, &h, NULL)) {
        return NULL;
    }
    history = lh_alloc_zero(sizeof *history);
    atomic_init(&history->n_refs, 1);
    history->h = h;
    history->json = json_incref((json_t *) json);
    return history;
}

struct lasthop_history *
client_history_from_frame(const uint8_t *body, size_t len,
                          unsigned int version)
{
    struct lasthop_history *history;
    struct topology *names;
    struct history *h;

    if (history_frame_read(body, len, version, &h, &names, NULL)) {
        return NULL;
    }
    history = lh_alloc_zero(sizeof *history);
    atomic_init(&history->n_refs, 1);
    history->h = h;
    history->names = names;
    return history;
}

struct lasthop_history *
lasthop_history_ref(struct lasthop_history *history)
{
    atomic_fetch_add_explicit(&history->n_refs, 1, memory_order_relaxed);
    return history;
}

void
lasthop_history_unref(struct lasthop_history *history)
{
    if (history && atomic_fetch_sub_explicit(&history->n_refs, 1,
                                             memory_order_acq_rel) == 1) {
        history_destroy(history->h);
        json_decref(history->json);
        topology_unref(history->names);
        free(history);
    }
}

const struct history *
client_json_history(const struct lasthop_history *history)
{
    return history->h;
}

struct history *
client_json_take_history(struct lasthop_history *history)
{
    struct history *h = history->h;

    assert(h && atomic_load(&history->n_refs) == 1);
    history->h = NULL;
    return h;
}

static const char *
verdict_text(const struct verdict *verdict)
{
    return verdict->name == VERDICT_NONE ? NULL
                                         : verdict_name_string(verdict->name);
}

bool
lasthop_history_packet_id(const struct lasthop_history *history, uint64_t *id)
{
    *id = history->h->packet_id;
    return history->h->has_packet_id;
}

const char *
lasthop_history_verdict(const struct lasthop_history *history)
{
    return verdict_text(&history->h->verdict);
}

void
lasthop_history_verdict_at(const struct lasthop_history *history,
                           uint64_t *dpid, uint32_t *port, uint32_t *version)
{
    const struct verdict *v = &history->h->verdict;

    *dpid = v->dpid;
    *port = v->port;
    *version = v->has_version ? v->version : LASTHOP_VERSION_UNKNOWN;
}

const char *
lasthop_history_verdict_reason(const struct lasthop_history *history)
{
    return history->h->verdict.reason;
}

uint64_t
lasthop_history_first_ns(const struct lasthop_history *history)
{
    return history_first_ns(history->h);
}

uint64_t
lasthop_history_last_ns(const struct lasthop_history *history)
{
    return history_last_ns(history->h);
}

/* What 't' says; false when that is nothing. */
static bool
tell(const struct hop_time *t, int64_t *ns, int64_t *error_ns)
{
    *ns = t->after_ns;
    *error_ns = t->is_across && !t->is_compared ? -1 : (int64_t) t->error_ns;
    return t->is_there;
}

/* What came as JSON has the difference where it is not plain, and no clocks.
 * True, when there is such a member. */
static bool
find_told(const struct lasthop_history *history, size_t i, const char *what,
          const char *error, int64_t *ns, int64_t *error_ns)
{
    const json_t *hop =
        json_array_get(json_object_get(history->json, "hops"), i);
    const json_t *told = json_object_get(hop, what);
    const json_t *wrong = json_object_get(hop, error);

    if (!json_is_integer(told)) {
        return false;
    }
    *ns = json_integer_value(told);
    *error_ns = json_is_integer(wrong) ? json_integer_value(wrong) : -1;
    return true;
}

/* The hop that others are compared with. */
static size_t
first_of(const struct lasthop_history *history)
{
    const struct history *h = history->h;
    const json_t *hops = json_object_get(history->json, "hops"), *hop;
    bool is_across = false;
    size_t i;

    json_array_foreach(hops, i, hop)
    {
        is_across |= json_object_get(hop, "after_ns") != NULL;
    }
    for (i = 0; is_across && i < h->n_hops; i++) {
        if (h->hops[i].time_ns) {
            return i;
        }
    }
    return hop_time_first(h, history->names);
}

bool
lasthop_history_after_ns(const struct lasthop_history *history, size_t i,
                         int64_t *ns, int64_t *error_ns)
{
    struct hop_time t;

    assert(i < history->h->n_hops);
    if (find_told(history, i, "after_ns", "after_error_ns", ns, error_ns)) {
        return true;
    }
    t = hop_time_between(history->h, first_of(history), i, history->names);
    return tell(&t, ns, error_ns);
}

bool
lasthop_history_latency_ns(const struct lasthop_history *history, size_t i,
                           int64_t *ns, int64_t *error_ns)
{
    struct hop_time t;

    assert(i < history->h->n_hops);
    if (find_told(history, i, "latency_ns", "latency_error_ns", ns,
                  error_ns)) {
        return true;
    }
    t = hop_time_latency(history->h, i, history->names);
    return tell(&t, ns, error_ns);
}

char *
lasthop_history_json(const struct lasthop_history *history)
{
    json_t *json = history->json ? json_incref(history->json)
                                 : history_to_json(history->h, history->names);
    char *text = json_dumps(json, JSON_COMPACT);

    assert(text);
    json_decref(json);
    return text;
}

/* The names that the server gave to its switches. */
static struct topology *
names_of(const json_t *json)
{
    struct topology_builder *builder = topology_builder_create();
    const json_t *hop;
    size_t i;

    json_array_foreach(json_object_get(json, "hops"), i, hop)
    {
        const char *dpid = json_string_value(json_object_get(hop, "dpid"));
        const char *name = json_string_value(json_object_get(hop, "switch"));
        uint64_t number;

        if (dpid && name && dpid_from_string(dpid, &number)) {
            topology_builder_add_switch(builder, number, name, 0, NULL);
        }
    }
    return topology_build(builder, 0);
}

void
lasthop_history_print(const struct lasthop_history *history, FILE *stream,
                      int flags)
{
    struct topology *topology = history->names ? topology_ref(history->names)
                                               : names_of(history->json);
    struct history_text_options options = {
        .topology = topology,
        .color = flags & LASTHOP_PRINT_COLOR,
        .utc = flags & LASTHOP_PRINT_UTC,
        .full = flags & LASTHOP_PRINT_FULL,
        .current = -1,
    };

    history_to_text(history->h, &options, stream);
    topology_unref(topology);
}

size_t
lasthop_history_n_hops(const struct lasthop_history *history)
{
    return history->h->n_hops;
}

static const struct history_hop *
hop_of(const struct lasthop_hop *hop)
{
    return (const struct history_hop *) hop;
}

const struct lasthop_hop *
lasthop_history_hop(const struct lasthop_history *history, size_t i)
{
    assert(i < history->h->n_hops);
    return (const struct lasthop_hop *) &history->h->hops[i];
}

uint64_t
lasthop_hop_dpid(const struct lasthop_hop *hop)
{
    return hop_of(hop)->dpid;
}

int
lasthop_hop_parent(const struct lasthop_hop *hop)
{
    return hop_of(hop)->parent;
}

uint32_t
lasthop_hop_in_port(const struct lasthop_hop *hop)
{
    return hop_of(hop)->in_port;
}

const uint32_t *
lasthop_hop_out_ports(const struct lasthop_hop *hop, size_t *n)
{
    *n = hop_of(hop)->n_out;
    return hop_of(hop)->out_ports;
}

const uint32_t *
lasthop_hop_versions(const struct lasthop_hop *hop, size_t *n)
{
    *n = hop_of(hop)->n_versions;
    return hop_of(hop)->versions;
}

uint64_t
lasthop_hop_time_ns(const struct lasthop_hop *hop)
{
    return hop_of(hop)->time_ns;
}

const uint8_t *
lasthop_hop_header(const struct lasthop_hop *hop, size_t *len)
{
    *len = hop_of(hop)->header ? hop_of(hop)->caplen : 0;
    return hop_of(hop)->header;
}

const uint8_t *
lasthop_hop_header_out(const struct lasthop_hop *hop, size_t *len)
{
    bool is_there = hop_of(hop)->has_header_out;

    *len = is_there ? hop_of(hop)->header_out_len : 0;
    return is_there ? hop_of(hop)->header_out : NULL;
}

bool
lasthop_hop_is_observed(const struct lasthop_hop *hop)
{
    return !hop_of(hop)->is_deduced;
}

const char *
lasthop_hop_verdict(const struct lasthop_hop *hop)
{
    return verdict_text(&hop_of(hop)->verdict);
}
