/* SPDX-License-Identifier: Apache-2.0 */
/* history_json - the packet history as JSON (docs/formats/history.md). */
#include <config.h>
#include "lib/history.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hop_time.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"

/* The most hops a history read from JSON may have; a flood over every port of
 * a large network is far below. */
#define MAX_HOPS 100000
/* The most ports or versions of one hop. */
#define MAX_NUMBERS 4096

static const char *const evidence_names[] = {
    [EVIDENCE_NONE] = NULL,
    [EVIDENCE_COMPLETE] = "complete",
    [EVIDENCE_UNCERTAIN] = "uncertain",
};

/* --- writing ------------------------------------------------------------ */

static json_t *
id_to_json(uint64_t packet_id)
{
    /* Same digits as a dpid. */
    return jmember_dpid_new(packet_id);
}

static json_t *
port_to_json(uint32_t port)
{
    return port == OF_PORT_UNKNOWN ? json_null() : json_integer(port);
}

static json_t *
text_to_json(const char *text)
{
    return text ? jmember_text_new(text) : json_null();
}

static json_t *
numbers_to_json(const uint32_t *numbers, size_t n)
{
    json_t *json = json_array();

    for (size_t i = 0; i < n; i++) {
        json_array_append_new(json, json_integer(numbers[i]));
    }
    return json;
}

/* The output ports; null when they are not known. */
static json_t *
outs_to_json(const struct history_hop *hop)
{
    if (hop->n_out == 1 && hop->out_ports[0] == OF_PORT_UNKNOWN) {
        return json_null();
    }
    return numbers_to_json(hop->out_ports, hop->n_out);
}

static json_t *
verdict_to_json(const struct verdict *v)
{
    json_t *json;

    if (v->name == VERDICT_NONE) {
        return json_null();
    }
    json = json_object();
    json_object_set_new(json, "name",
                        json_string(verdict_name_string(v->name)));
    json_object_set_new(json, "dpid", jmember_dpid_new(v->dpid));
    json_object_set_new(json, "port", port_to_json(v->port));
    json_object_set_new(json, "version",
                        v->has_version ? json_integer(v->version)
                                       : json_null());
    json_object_set_new(json, "reason", text_to_json(v->reason));
    json_object_set_new(json, "evidence",
                        text_to_json(evidence_names[v->evidence]));
    return json;
}

/* How long after another hop this one was, as member 'what', where two clocks
 * tell so. */
static void
put_after(json_t *json, const char *what, const char *error,
          const struct hop_time *t)
{
    if (t->is_across) {
        json_object_set_new(json, what, json_integer(t->after_ns));
        json_object_set_new(json, error,
                            t->is_compared
                                ? json_integer((json_int_t) t->error_ns)
                                : json_null());
    }
}

static json_t *
hop_to_json(const struct history *h, size_t first, size_t n,
            const struct topology *topology)
{
    const struct history_hop *hop = &h->hops[n];
    struct hop_time after = hop_time_between(h, first, n, topology);
    struct hop_time latency = hop_time_latency(h, n, topology);
    const struct topology_switch *sw =
        topology ? topology_find(topology, hop->dpid) : NULL;
    json_t *json = json_object();

    json_object_set_new(json, "n", json_integer((json_int_t) n));
    json_object_set_new(json, "parent",
                        hop->parent < 0 ? json_null()
                                        : json_integer(hop->parent));
    json_object_set_new(json, "dpid", jmember_dpid_new(hop->dpid));
    json_object_set_new(json, "switch", text_to_json(sw ? sw->name : NULL));
    json_object_set_new(json, "in_port", port_to_json(hop->in_port));
    json_object_set_new(json, "out_ports", outs_to_json(hop));
    if (hop->n_branches) {
        json_object_set_new(json, "branches",
                            numbers_to_json(hop->branches, hop->n_branches));
    }
    json_object_set_new(json, "versions",
                        numbers_to_json(hop->versions, hop->n_versions));
    json_object_set_new(json, "time_ns",
                        hop->time_ns ? json_integer((json_int_t) hop->time_ns)
                                     : json_null());
    put_after(json, "after_ns", "after_error_ns", &after);
    put_after(json, "latency_ns", "latency_error_ns", &latency);
    json_object_set_new(json, "caplen", json_integer(hop->caplen));
    json_object_set_new(json, "header",
                        hop->caplen ? jmember_hex_new(hop->header, hop->caplen)
                                    : json_null());
    json_object_set_new(json, "captured",
                        json_string(hop->is_after ? "after" : "before"));
    json_object_set_new(
        json, "header_out",
        hop->has_header_out
            ? jmember_hex_new(hop->header_out, hop->header_out_len)
            : json_null());
    if (hop->is_packet_out) {
        json_object_set_new(json, "packet_out", json_true());
    }
    if (hop->is_deduced) {
        json_object_set_new(json, "observed", json_false());
    }
    if (hop->has_gap_before) {
        json_object_set_new(json, "gap_before", json_true());
    }
    json_object_set_new(json, "verdict", verdict_to_json(&hop->verdict));
    return json;
}

json_t *
history_to_json(const struct history *h, const struct topology *topology)
{
    json_t *json = json_object();
    json_t *hops = json_array();
    size_t first = hop_time_first(h, topology);

    for (size_t i = 0; i < h->n_hops; i++) {
        json_array_append_new(hops, hop_to_json(h, first, i, topology));
    }
    json_object_set_new(json, "packet_id",
                        h->has_packet_id ? id_to_json(h->packet_id)
                                         : json_null());
    json_object_set_new(json, "verdict", verdict_to_json(&h->verdict));
    if (h->carries) {
        json_object_set_new(json, "carries", id_to_json(h->carries));
    }
    if (h->carried_by) {
        json_object_set_new(json, "carried_by", id_to_json(h->carried_by));
    }
    json_object_set_new(json, "hops", hops);
    return json;
}

/* --- reading ------------------------------------------------------------ */

/* Each reader below takes an absent or null member for "not known" and then
 * leaves its output as it is. */

static int
read_id(const struct jmember *object, const char *name, uint64_t *id,
        bool *is_there, struct lh_error *error)
{
    struct jmember m = jmember_get(object, name);
    uint8_t *bytes;
    size_t len;

    *is_there = jmember_is_there(&m);
    if (!*is_there) {
        return 0;
    }
    if (jmember_hex(&m, 8, &bytes, &len, error)) {
        return EINVAL;
    }
    *id = 0;
    for (size_t i = 0; i < len; i++) {
        *id = *id << 8 | bytes[i];
    }
    free(bytes);
    return len == 8 ? 0 : jmember_error(&m, error, "must be 16 hex digits");
}

static int
read_u64(const struct jmember *object, const char *name, uint64_t max,
         uint64_t *value, struct lh_error *error)
{
    struct jmember m = jmember_get(object, name);

    return jmember_is_there(&m) ? jmember_u64(&m, max, value, error) : 0;
}

static int
read_port(const struct jmember *object, const char *name, uint32_t *port,
          struct lh_error *error)
{
    uint64_t value = *port;
    int retval = read_u64(object, name, 0xffff, &value, error);

    *port = (uint32_t) value;
    return retval;
}

static int
read_flag(const struct jmember *object, const char *name, bool *value,
          struct lh_error *error)
{
    struct jmember m = jmember_get(object, name);

    return jmember_is_there(&m) ? jmember_bool(&m, value, error) : 0;
}

/* '*text' is borrowed. */
static int
read_text(const struct jmember *object, const char *name, const char **text,
          struct lh_error *error)
{
    struct jmember m = jmember_get(object, name);

    *text = NULL;
    return jmember_is_there(&m) ? jmember_string(&m, text, error) : 0;
}

/* Calls 'add' for each number of the array 'name'. */
static int
read_numbers(const struct jmember *object, const char *name, uint64_t max,
             void (*add)(struct history_hop *, uint32_t),
             struct history_hop *hop, struct lh_error *error)
{
    struct jmember array = jmember_get(object, name);
    size_t n;

    if (!jmember_is_there(&array)) {
        return 0;
    }
    if (jmember_array(&array, &n, error)) {
        return EINVAL;
    }
    if (n > MAX_NUMBERS) {
        return jmember_error(&array, error, "has more than %d elements",
                             MAX_NUMBERS);
    }
    for (size_t i = 0; i < n; i++) {
        struct jmember m = jmember_at(&array, i);
        uint64_t value;

        if (jmember_u64(&m, max, &value, error)) {
            return EINVAL;
        }
        add(hop, (uint32_t) value);
    }
    return 0;
}

/* An empty list is a drop, so what is not there must differ from it. */
static int
read_outs(const struct jmember *object, struct history_hop *hop,
          struct lh_error *error)
{
    struct jmember array = jmember_get(object, "out_ports");

    if (!jmember_is_there(&array)) {
        history_hop_add_out(hop, OF_PORT_UNKNOWN);
        return 0;
    }
    return read_numbers(object, "out_ports", 0xffff, history_hop_add_out, hop,
                        error);
}

static int
read_evidence(const struct jmember *object, enum evidence *evidence,
              struct lh_error *error)
{
    const char *text;

    if (read_text(object, "evidence", &text, error)) {
        return EINVAL;
    }
    for (size_t i = EVIDENCE_COMPLETE; text && i <= EVIDENCE_UNCERTAIN; i++) {
        if (!strcmp(text, evidence_names[i])) {
            *evidence = (enum evidence) i;
        }
    }
    return 0;
}

static int
read_verdict(const struct jmember *object, struct verdict *v,
             struct lh_error *error)
{
    struct jmember m = jmember_get(object, "verdict");
    struct jmember name_member = jmember_get(&m, "name");
    struct jmember dpid_member = jmember_get(&m, "dpid");
    struct jmember version_member = jmember_get(&m, "version");
    uint32_t port = OF_PORT_UNKNOWN;
    uint64_t dpid = 0, version = 0;
    const char *name_text, *reason;
    enum verdict_name name;

    if (!jmember_is_there(&m)) {
        return 0;
    }
    if (jmember_object(&m, error) ||
        jmember_string(&name_member, &name_text, error)) {
        return EINVAL;
    }
    if (!verdict_name_from_string(name_text, &name)) {
        return jmember_error(&name_member, error,
                             "there is no verdict \"%.40s\"", name_text);
    }
    if ((jmember_is_there(&dpid_member) &&
         jmember_dpid(&dpid_member, &dpid, error)) ||
        read_port(&m, "port", &port, error) ||
        read_u64(&m, "version", UINT32_MAX, &version, error) ||
        read_text(&m, "reason", &reason, error)) {
        return EINVAL;
    }
    verdict_set(v, name, dpid, port, reason);
    v->has_version = jmember_is_there(&version_member);
    v->version = (uint32_t) version;
    return read_evidence(&m, &v->evidence, error);
}

static int
read_headers(const struct jmember *m, struct history_hop *hop,
             struct lh_error *error)
{
    struct jmember header = jmember_get(m, "header");
    struct jmember header_out = jmember_get(m, "header_out");
    const char *captured;
    size_t len = 0;

    if (jmember_is_there(&header) &&
        jmember_hex(&header, UINT16_MAX, &hop->header, &len, error)) {
        return EINVAL;
    }
    hop->caplen = (uint16_t) len;
    if (jmember_is_there(&header_out)) {
        if (jmember_hex(&header_out, UINT16_MAX, &hop->header_out, &len,
                        error)) {
            return EINVAL;
        }
        hop->header_out_len = (uint16_t) len;
        hop->has_header_out = true;
    }
    if (read_text(m, "captured", &captured, error)) {
        return EINVAL;
    }
    hop->is_after = captured && !strcmp(captured, "after");
    return 0;
}

/* Reads the parent of hop 'i': none, or a hop on the way from the root to hop
 * 'i' - 1, so that hops stand in depth-first order. */
static int
read_parent(const struct jmember *m, const struct history *h, size_t i,
            int *parent, struct lh_error *error)
{
    struct jmember member = jmember_get(m, "parent");
    uint64_t value;

    *parent = -1;
    if (!jmember_is_there(&member)) {
        return 0;
    }
    if (jmember_u64(&member, MAX_HOPS, &value, error)) {
        return EINVAL;
    }
    for (int j = (int) i - 1; j >= 0; j = h->hops[j].parent) {
        if ((uint64_t) j == value) {
            *parent = j;
            return 0;
        }
    }
    return jmember_error(&member, error,
                         "hop %zu cannot follow hop %" PRIu64
                         " (hops stand in depth-first order)",
                         i, value);
}

static int
read_hop(const struct jmember *m, struct history *h, size_t i,
         struct lh_error *error)
{
    struct jmember dpid = jmember_get(m, "dpid");
    struct jmember n_member = jmember_get(m, "n");
    struct history_hop *hop;
    bool is_observed = true;
    uint64_t n = i;
    int parent;

    if (jmember_object(m, error) || read_parent(m, h, i, &parent, error)) {
        return EINVAL;
    }
    hop = history_add_hop(h);
    hop->parent = parent;
    if (jmember_dpid(&dpid, &hop->dpid, error) ||
        read_u64(m, "n", UINT32_MAX, &n, error) ||
        read_port(m, "in_port", &hop->in_port, error) ||
        read_outs(m, hop, error) ||
        read_numbers(m, "branches", 0xffff, history_hop_add_branch, hop,
                     error) ||
        read_numbers(m, "versions", UINT32_MAX, history_hop_add_version, hop,
                     error) ||
        read_u64(m, "time_ns", INT64_MAX, &hop->time_ns, error) ||
        read_headers(m, hop, error) ||
        read_flag(m, "packet_out", &hop->is_packet_out, error) ||
        read_flag(m, "observed", &is_observed, error) ||
        read_flag(m, "gap_before", &hop->has_gap_before, error) ||
        read_verdict(m, &hop->verdict, error)) {
        return EINVAL;
    }
    hop->is_deduced = !is_observed;
    return n == i ? 0 : jmember_error(&n_member, error, "must be %zu", i);
}

static int
read_all(const struct jmember *root, struct history *h, struct lh_error *error)
{
    struct jmember hops = jmember_get(root, "hops");
    bool is_there;
    size_t n;

    if (jmember_object(root, error) ||
        read_id(root, "packet_id", &h->packet_id, &h->has_packet_id, error) ||
        read_id(root, "carries", &h->carries, &is_there, error) ||
        read_id(root, "carried_by", &h->carried_by, &is_there, error) ||
        read_verdict(root, &h->verdict, error) ||
        jmember_array(&hops, &n, error)) {
        return EINVAL;
    }
    if (n > MAX_HOPS) {
        return jmember_error(&hops, error, "has more than %d hops", MAX_HOPS);
    }
    for (size_t i = 0; i < n; i++) {
        struct jmember hop = jmember_at(&hops, i);

        if (read_hop(&hop, h, i, error)) {
            return EINVAL;
        }
    }
    return 0;
}

int
history_from_json(const json_t *json, struct history **hp,
                  struct lh_error *error)
{
    struct jmember root = jmember_root(json);
    struct history *h = history_create(0);

    *hp = NULL;
    if (read_all(&root, h, error)) {
        history_destroy(h);
        return EINVAL;
    }
    *hp = h;
    return 0;
}
