/* SPDX-License-Identifier: Apache-2.0 */
/* topology_json - the topology as JSON (docs/formats/topology.md). */
#include <config.h>
#include "lib/topology.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/dpid.h"
#include "lib/jmember.h"

/* A string that may be absent or null: then '*text' is NULL. */
static int
optional_string(const struct jmember *m, const char **text,
                struct lh_error *error)
{
    *text = NULL;
    return jmember_is_there(m) ? jmember_string(m, text, error) : 0;
}

static int
optional_bool(const struct jmember *m, bool *value, struct lh_error *error)
{
    *value = false;
    return jmember_is_there(m) ? jmember_bool(m, value, error) : 0;
}

static int
optional_u64(const struct jmember *m, uint64_t max, uint64_t *value,
             struct lh_error *error)
{
    *value = 0;
    return jmember_is_there(m) ? jmember_u64(m, max, value, error) : 0;
}

/* Reads "state" into '*down'; a state we do not know is up. */
static int
port_state(const struct jmember *m, bool *down, struct lh_error *error)
{
    const char *state;
    int retval = optional_string(m, &state, error);

    *down = state && !strcmp(state, "down");
    return retval;
}

static int
read_port(struct topology_builder *b, uint64_t dpid,
          const struct jmember *port, struct lh_error *error)
{
    struct jmember no = jmember_get(port, "no");
    struct jmember name = jmember_get(port, "name");
    struct jmember edge = jmember_get(port, "edge");
    struct jmember state = jmember_get(port, "state");
    const char *name_text;
    bool is_edge, is_down;
    uint64_t number;

    if (jmember_object(port, error) ||
        jmember_u64(&no, 0xffff, &number, error) ||
        optional_string(&name, &name_text, error) ||
        optional_bool(&edge, &is_edge, error) ||
        port_state(&state, &is_down, error)) {
        return EINVAL;
    }
    if (topology_port(topology_builder_peek(b), dpid, (uint32_t) number)) {
        return jmember_error(&no, error, "this switch has a port %d already",
                             (int) number);
    }
    topology_builder_add_port(b, dpid, (uint16_t) number, name_text, is_edge);
    topology_builder_set_port_down(b, dpid, (uint16_t) number, is_down);
    return 0;
}

/* "clock": absent, or null, when nothing is told of it. */
static int
read_clock(const struct jmember *m, struct topology_clock *clock,
           struct lh_error *error)
{
    struct jmember host = jmember_get(m, "host");
    struct jmember offset = jmember_get(m, "offset_ns");
    struct jmember error_ns = jmember_get(m, "error_ns");
    struct jmember at = jmember_get(m, "at_ns");
    uint64_t number;

    *clock = (struct topology_clock){.is_told = false};
    if (!jmember_is_there(m)) {
        return 0;
    }
    if (jmember_object(m, error) ||
        jmember_u64(&host, UINT32_MAX, &number, error) ||
        optional_u64(&error_ns, INT64_MAX, &clock->error_ns, error) ||
        optional_u64(&at, INT64_MAX, &clock->at_ns, error)) {
        return EINVAL;
    }
    clock->is_told = true;
    clock->host = (uint32_t) number;
    clock->is_known = jmember_is_there(&offset);
    if (clock->is_known && !json_is_integer(offset.value)) {
        return jmember_error(&offset, error, "must be an integer");
    }
    clock->offset_ns = json_integer_value(offset.value);
    return 0;
}

static int
read_switch(struct topology_builder *b, const struct jmember *sw,
            struct lh_error *error)
{
    struct jmember dpid = jmember_get(sw, "dpid");
    struct jmember name = jmember_get(sw, "name");
    struct jmember index = jmember_get(sw, "index");
    struct jmember address = jmember_get(sw, "address");
    struct jmember ports = jmember_get(sw, "ports");
    struct jmember clock_member = jmember_get(sw, "clock");
    struct topology_clock clock;
    const char *name_text, *address_text;
    uint64_t number, index_number;
    size_t n = 0;

    if (jmember_object(sw, error) || jmember_dpid(&dpid, &number, error) ||
        optional_string(&name, &name_text, error) ||
        optional_u64(&index, TOPOLOGY_MAX_INDEX, &index_number, error) ||
        optional_string(&address, &address_text, error) ||
        read_clock(&clock_member, &clock, error) ||
        (jmember_is_there(&ports) && jmember_array(&ports, &n, error))) {
        return EINVAL;
    }
    if (topology_find(topology_builder_peek(b), number)) {
        return jmember_error(&dpid, error,
                             "there is a switch " DPID_FMT " already", number);
    }
    topology_builder_add_switch(b, number, name_text, (uint16_t) index_number,
                                address_text);
    topology_builder_set_clock(b, number, &clock);
    for (size_t i = 0; i < n; i++) {
        struct jmember port = jmember_at(&ports, i);

        if (read_port(b, number, &port, error)) {
            return EINVAL;
        }
    }
    return 0;
}

/* Reads one end of a link, which must be of a switch that is listed and not
 * yet have a link. */
static int
read_end(struct topology_builder *b, const struct jmember *end, uint64_t *dpid,
         uint64_t *port, struct lh_error *error)
{
    struct jmember dpid_member = jmember_get(end, "dpid");
    struct jmember port_member = jmember_get(end, "port");
    uint64_t peer_dpid;
    uint32_t peer_port;

    if (jmember_object(end, error) ||
        jmember_dpid(&dpid_member, dpid, error) ||
        jmember_u64(&port_member, 0xffff, port, error)) {
        return EINVAL;
    }
    if (!topology_find(topology_builder_peek(b), *dpid)) {
        return jmember_error(&dpid_member, error,
                             "there is no switch " DPID_FMT, *dpid);
    }
    if (topology_peer(topology_builder_peek(b), *dpid, (uint32_t) *port,
                      &peer_dpid, &peer_port)) {
        return jmember_error(&port_member, error,
                             "port %d of switch " DPID_FMT
                             " has a link already",
                             (int) *port, *dpid);
    }
    return 0;
}

static int
read_link(struct topology_builder *b, const struct jmember *link,
          struct lh_error *error)
{
    struct jmember a = jmember_get(link, "a");
    struct jmember z = jmember_get(link, "b");
    uint64_t a_dpid, a_port, z_dpid, z_port;

    if (jmember_object(link, error) ||
        read_end(b, &a, &a_dpid, &a_port, error) ||
        read_end(b, &z, &z_dpid, &z_port, error)) {
        return EINVAL;
    }
    if (a_dpid == z_dpid && a_port == z_port) {
        return jmember_error(link, error, "leads from a port to itself");
    }
    topology_builder_add_link(b, a_dpid, (uint16_t) a_port, z_dpid,
                              (uint16_t) z_port);
    return 0;
}

/* Refuses an index of the mac encapsulation that two switches share. */
static int
check_indexes(const struct topology *t, struct lh_error *error)
{
    for (size_t i = 0; i < topology_n_switches(t); i++) {
        const struct topology_switch *sw = topology_switch_at(t, i);

        if (sw->index && topology_find_index(t, sw->index) != sw) {
            lh_error_set(error,
                         "switches " DPID_FMT " and " DPID_FMT
                         " have the same index %d",
                         sw->dpid, topology_find_index(t, sw->index)->dpid,
                         sw->index);
            return EINVAL;
        }
    }
    return 0;
}

static int
read_all(struct topology_builder *b, const struct jmember *root,
         uint64_t *epoch, struct lh_error *error)
{
    struct jmember switches = jmember_get(root, "switches");
    struct jmember links = jmember_get(root, "links");
    struct jmember epoch_member = jmember_get(root, "epoch");
    size_t n_switches, n_links = 0;

    if (jmember_object(root, error) ||
        jmember_array(&switches, &n_switches, error) ||
        (jmember_is_there(&links) && jmember_array(&links, &n_links, error)) ||
        optional_u64(&epoch_member, INT64_MAX, epoch, error)) {
        return EINVAL;
    }
    for (size_t i = 0; i < n_switches; i++) {
        struct jmember sw = jmember_at(&switches, i);

        if (read_switch(b, &sw, error)) {
            return EINVAL;
        }
    }
    for (size_t i = 0; i < n_links; i++) {
        struct jmember link = jmember_at(&links, i);

        if (read_link(b, &link, error)) {
            return EINVAL;
        }
    }
    return 0;
}

int
topology_from_json(const json_t *json, struct topology **tp,
                   struct lh_error *error)
{
    struct topology_builder *b = topology_builder_create();
    struct jmember root = jmember_root(json);
    struct topology *t;
    uint64_t epoch;

    *tp = NULL;
    if (read_all(b, &root, &epoch, error)) {
        topology_builder_destroy(b);
        return EINVAL;
    }
    t = topology_build(b, epoch);
    if (check_indexes(t, error)) {
        topology_unref(t);
        return EINVAL;
    }
    *tp = t;
    return 0;
}

int
topology_from_file(const char *path, struct topology **tp,
                   struct lh_error *error)
{
    json_error_t json_error;
    json_t *json;
    FILE *file;
    int retval;

    *tp = NULL;
    file = fopen(path, "re");
    if (!file) {
        retval = errno;
        lh_error_set(error, "%s: %s", path, strerror(retval));
        return retval;
    }
    json = json_loadf(file, JSON_REJECT_DUPLICATES, &json_error);
    fclose(file);
    if (!json) {
        lh_error_set(error, "%s:%d: %s", path, json_error.line,
                     json_error.text);
        return EINVAL;
    }
    retval = topology_from_json(json, tp, error);
    if (retval) {
        lh_error_prefix(error, "%s", path);
    }
    json_decref(json);
    return retval;
}

static json_t *
string_or_null(const char *text)
{
    return text ? jmember_text_new(text) : json_null();
}

static json_t *
port_to_json(const struct topology_port *port)
{
    json_t *json = json_object();

    json_object_set_new(json, "no", json_integer(port->no));
    json_object_set_new(json, "name", string_or_null(port->name));
    json_object_set_new(json, "edge", json_boolean(port->edge));
    if (port->down) {
        json_object_set_new(json, "state", json_string("down"));
    }
    return json;
}

json_t *
topology_clock_to_json(const struct topology_clock *clock)
{
    json_t *json = json_object();

    json_object_set_new(json, "host", json_integer(clock->host));
    if (clock->is_known) {
        json_object_set_new(json, "offset_ns", json_integer(clock->offset_ns));
        json_object_set_new(json, "error_ns",
                            json_integer((json_int_t) clock->error_ns));
        json_object_set_new(json, "at_ns",
                            json_integer((json_int_t) clock->at_ns));
    }
    return json;
}

static json_t *
switch_to_json(const struct topology_switch *sw)
{
    json_t *json = json_object();
    json_t *ports = json_array();

    for (size_t i = 0; i < sw->n_ports; i++) {
        json_array_append_new(ports, port_to_json(&sw->ports[i]));
    }
    json_object_set_new(json, "dpid", jmember_dpid_new(sw->dpid));
    json_object_set_new(json, "name", string_or_null(sw->name));
    if (sw->index) {
        json_object_set_new(json, "index", json_integer(sw->index));
    }
    if (sw->address) {
        json_object_set_new(json, "address", jmember_text_new(sw->address));
    }
    if (sw->clock.is_told) {
        json_object_set_new(json, "clock", topology_clock_to_json(&sw->clock));
    }
    json_object_set_new(json, "ports", ports);
    return json;
}

static json_t *
end_to_json(uint64_t dpid, uint16_t port)
{
    json_t *json = json_object();

    json_object_set_new(json, "dpid", jmember_dpid_new(dpid));
    json_object_set_new(json, "port", json_integer(port));
    return json;
}

/* Appends the links whose lower end is at 'sw', so that each is written
 * once. */
static void
links_to_json(const struct topology_switch *sw, json_t *links)
{
    for (size_t i = 0; i < sw->n_ports; i++) {
        const struct topology_port *p = &sw->ports[i];
        json_t *link;

        if (!p->has_peer || p->peer_dpid < sw->dpid ||
            (p->peer_dpid == sw->dpid && p->peer_port < p->no)) {
            continue;
        }
        link = json_object();
        json_object_set_new(link, "a", end_to_json(sw->dpid, p->no));
        json_object_set_new(link, "b",
                            end_to_json(p->peer_dpid, p->peer_port));
        json_array_append_new(links, link);
    }
}

json_t *
topology_to_json(const struct topology *t)
{
    json_t *json = json_object();
    json_t *switches = json_array();
    json_t *links = json_array();

    for (size_t i = 0; i < topology_n_switches(t); i++) {
        const struct topology_switch *sw = topology_switch_at(t, i);

        json_array_append_new(switches, switch_to_json(sw));
        links_to_json(sw, links);
    }
    json_object_set_new(json, "epoch",
                        json_integer((json_int_t) topology_epoch(t)));
    json_object_set_new(json, "switches", switches);
    json_object_set_new(json, "links", links);
    return json;
}
