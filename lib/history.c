/* SPDX-License-Identifier: Apache-2.0 */
/* history - what happened to one packet: hops in forwarding order and a
 * verdict. */
#include <config.h>
#include "lib/history.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

static const char *const verdict_names[] = {
    [VERDICT_NONE] = "none",
    [VERDICT_DELIVERED] = "delivered",
    [VERDICT_CONTROLLER] = "controller",
    [VERDICT_OPEN] = "open",
    [VERDICT_LOST] = "lost",
    [VERDICT_DROPPED] = "dropped",
    [VERDICT_LOOPED] = "looped",
};

struct history *
history_create(uint64_t packet_id)
{
    struct history *h = lh_alloc_zero(sizeof *h);

    h->packet_id = packet_id;
    h->has_packet_id = true;
    h->verdict.port = OF_PORT_UNKNOWN;
    return h;
}

static void
hop_uninit(struct history_hop *hop)
{
    free(hop->out_ports);
    free(hop->branches);
    free(hop->versions);
    free(hop->header);
    free(hop->header_out);
    free(hop->verdict.reason);
}

void
history_destroy(struct history *h)
{
    if (h) {
        for (size_t i = 0; i < h->n_hops; i++) {
            hop_uninit(&h->hops[i]);
        }
        free(h->hops);
        free(h->verdict.reason);
        topology_unref(h->clocks);
        free(h);
    }
}

/* Gives 'hop', a plain copy of another, memory of its own. */
static void
hop_own(struct history_hop *hop)
{
    hop->out_ports =
        lh_memdup(hop->out_ports, hop->n_out * sizeof *hop->out_ports);
    hop->branches =
        lh_memdup(hop->branches, hop->n_branches * sizeof *hop->branches);
    hop->versions =
        lh_memdup(hop->versions, hop->n_versions * sizeof *hop->versions);
    hop->header = lh_memdup(hop->header, hop->caplen);
    hop->header_out = lh_memdup(hop->header_out, hop->header_out_len);
    hop->verdict.reason = lh_strdup(hop->verdict.reason);
}

struct history *
history_clone(const struct history *h)
{
    struct history *copy = lh_memdup(h, sizeof *h);

    copy->verdict.reason = lh_strdup(h->verdict.reason);
    copy->hops = lh_memdup(h->hops, h->n_hops * sizeof *h->hops);
    copy->allocated_hops = h->n_hops;
    copy->clocks = h->clocks ? topology_ref(h->clocks) : NULL;
    for (size_t i = 0; i < copy->n_hops; i++) {
        hop_own(&copy->hops[i]);
    }
    return copy;
}

void
history_reserve(struct history *h, size_t n)
{
    if (n > h->allocated_hops) {
        h->hops = lh_alloc_array(h->hops, n, sizeof *h->hops);
        h->allocated_hops = n;
    }
}

struct history_hop *
history_add_hop(struct history *h)
{
    struct history_hop *hop;

    h->hops =
        lh_alloc_grow(h->hops, h->n_hops, &h->allocated_hops, sizeof *h->hops);
    hop = &h->hops[h->n_hops++];
    *hop = (struct history_hop){
        .parent = -1,
        .in_port = OF_PORT_UNKNOWN,
        .verdict.port = OF_PORT_UNKNOWN,
    };
    return hop;
}

/* Puts 'value' into the sorted set of '*n' at '*set'. */
static void
set_add(uint32_t **set, size_t *n, uint32_t value)
{
    size_t i = *n;

    while (i > 0 && (*set)[i - 1] >= value) {
        if ((*set)[--i] == value) {
            return;
        }
    }
    *set = lh_alloc_array(*set, *n + 1, sizeof **set);
    memmove(*set + i + 1, *set + i, (*n - i) * sizeof **set);
    (*set)[i] = value;
    ++*n;
}

void
history_hop_add_out(struct history_hop *hop, uint32_t port)
{
    set_add(&hop->out_ports, &hop->n_out, port);
}

void
history_hop_add_branch(struct history_hop *hop, uint32_t port)
{
    set_add(&hop->branches, &hop->n_branches, port);
}

void
history_hop_add_version(struct history_hop *hop, uint32_t version)
{
    for (size_t i = 0; i < hop->n_versions; i++) {
        if (hop->versions[i] == version) {
            return;
        }
    }
    hop->versions = lh_alloc_array(hop->versions, hop->n_versions + 1,
                                   sizeof *hop->versions);
    hop->versions[hop->n_versions++] = version;
}

void
history_hop_set_header(struct history_hop *hop, const uint8_t *data,
                       size_t len)
{
    assert(len <= UINT16_MAX);
    free(hop->header);
    hop->header = lh_memdup(data, len);
    hop->caplen = (uint16_t) len;
}

void
history_hop_set_header_out(struct history_hop *hop, const uint8_t *data,
                           size_t len)
{
    assert(len <= UINT16_MAX);
    free(hop->header_out);
    hop->header_out = lh_memdup(data, len);
    hop->header_out_len = (uint16_t) len;
    hop->has_header_out = true;
}

void
verdict_set(struct verdict *v, enum verdict_name name, uint64_t dpid,
            uint32_t port, const char *reason)
{
    free(v->reason);
    *v = (struct verdict){
        .name = name,
        .dpid = dpid,
        .port = port,
        .reason = lh_strdup(reason),
    };
}

void
history_withhold(struct history *h)
{
    for (size_t i = 0; i < h->n_hops; i++) {
        struct history_hop *hop = &h->hops[i];

        free(hop->header);
        free(hop->header_out);
        hop->header = hop->header_out = NULL;
        hop->caplen = hop->header_out_len = 0;
        hop->has_header_out = false;
    }
}

void
history_settle(struct history *h)
{
    const struct verdict *highest = NULL;

    for (size_t i = 0; i < h->n_hops; i++) {
        const struct verdict *v = &h->hops[i].verdict;

        if (!highest || v->name > highest->name) {
            highest = v;
        }
    }
    if (highest) {
        free(h->verdict.reason);
        h->verdict = *highest;
        h->verdict.reason = lh_strdup(highest->reason);
    }
}

uint64_t
history_first_ns(const struct history *h)
{
    uint64_t first_ns = 0;

    for (size_t i = 0; i < h->n_hops; i++) {
        uint64_t ns = h->hops[i].time_ns;

        if (ns && (!first_ns || ns < first_ns)) {
            first_ns = ns;
        }
    }
    return first_ns;
}

uint64_t
history_last_ns(const struct history *h)
{
    uint64_t last_ns = 0;

    for (size_t i = 0; i < h->n_hops; i++) {
        last_ns = h->hops[i].time_ns > last_ns ? h->hops[i].time_ns : last_ns;
    }
    return last_ns;
}

bool
history_is_leaf(const struct history *h, size_t i)
{
    assert(i < h->n_hops);
    return i + 1 == h->n_hops || h->hops[i + 1].parent != (int) i;
}

const char *
verdict_name_string(enum verdict_name name)
{
    assert(name <= VERDICT_LOOPED);
    return verdict_names[name];
}

bool
verdict_name_from_string(const char *text, enum verdict_name *name)
{
    for (size_t i = VERDICT_DELIVERED; i <= VERDICT_LOOPED; i++) {
        if (!strcmp(verdict_names[i], text)) {
            *name = (enum verdict_name) i;
            return true;
        }
    }
    return false;
}
