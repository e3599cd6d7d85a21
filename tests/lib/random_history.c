/* SPDX-License-Identifier: Apache-2.0 */
/* random_history - histories for tests, from a seed. */
#include <config.h>

#include "tests/lib/random_history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t
random_u32(uint64_t *seed)
{
    uint64_t x = *seed += 0x9e3779b97f4a7c15u;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t) (x >> 32);
}

static uint32_t
below(uint64_t *seed, uint32_t n)
{
    return random_u32(seed) % n;
}

static bool
one_in(uint64_t *seed, uint32_t n)
{
    return below(seed, n) == 0;
}

static uint64_t
random_u64(uint64_t *seed)
{
    uint64_t high = random_u32(seed);

    return high << 32 | random_u32(seed);
}

static uint32_t
random_port(uint64_t *seed)
{
    static const uint32_t reserved[] = {OF_PORT_UNKNOWN,    OF_PORT_FLOOD,
                                        OF_PORT_CONTROLLER, OF_PORT_GROUP,
                                        OF_PORT_NONE,       0};

    return one_in(seed, 4) ? reserved[below(seed, 6)] : 1 + below(seed, 48);
}

static void
random_verdict(uint64_t *seed, struct verdict *v)
{
    static const char *const reasons[] = {NULL, "", "no output",
                                          "ttl expired: \xc3\xa9"};

    /* One after the other: no compiler is to choose what comes first. */
    const char *reason = reasons[below(seed, 4)];
    uint32_t port = random_port(seed), hop = below(seed, 5);

    verdict_set(v, (enum verdict_name) below(seed, VERDICT_LOOPED + 1), hop,
                port, reason);
    v->has_version = one_in(seed, 2);
    v->version = one_in(seed, 2) ? random_u32(seed) : 0;
    v->evidence = (enum evidence) below(seed, 3);
}

static void
random_bytes(uint64_t *seed, uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        data[i] = (uint8_t) random_u32(seed);
    }
}

/* Bytes that differ a little from those of the hop before. */
static void
random_header(uint64_t *seed, uint8_t *data, size_t *len)
{
    if (one_in(seed, 6)) {
        *len = below(seed, 200);
        random_bytes(seed, data, *len);
    } else if (*len) {
        for (uint32_t n = below(seed, 6); n > 0; n--) {
            uint8_t bits = (uint8_t) random_u32(seed);

            data[below(seed, (uint32_t) *len)] ^= bits;
        }
    }
}

static void
random_hop(uint64_t *seed, struct history *h, uint8_t *header, size_t *len,
           uint64_t time_ns)
{
    struct history_hop *hop = history_add_hop(h);
    size_t i = h->n_hops - 1;

    hop->parent = one_in(seed, 5) ? (int) below(seed, (uint32_t) i + 1) - 1
                                  : (int) i - 1;
    hop->dpid = one_in(seed, 10) ? random_u64(seed) : 1 + below(seed, 20);
    hop->in_port = random_port(seed);
    hop->is_packet_out = one_in(seed, 8);
    hop->is_deduced = one_in(seed, 8);
    hop->has_gap_before = one_in(seed, 8);
    hop->is_after = one_in(seed, 4);
    for (uint32_t n = one_in(seed, 4) ? below(seed, 5) : 1; n > 0; n--) {
        history_hop_add_out(hop, random_port(seed));
    }
    for (uint32_t n = one_in(seed, 6) ? below(seed, 4) : 0; n > 0; n--) {
        history_hop_add_branch(hop, random_port(seed));
    }
    for (uint32_t n = one_in(seed, 4) ? below(seed, 4) : 1; n > 0; n--) {
        uint32_t version = random_u32(seed);

        history_hop_add_version(hop, version >> below(seed, 32));
    }
    hop->time_ns = time_ns;
    random_header(seed, header, len);
    history_hop_set_header(hop, header, *len);
    if (one_in(seed, 2)) {
        random_header(seed, header, len);
        history_hop_set_header_out(hop, header, *len);
    }
    if (one_in(seed, 3)) {
        random_verdict(seed, &hop->verdict);
    }
}

struct history *
random_history(uint64_t *seed, size_t max_hops, uint64_t time_ns)
{
    struct history *h =
        history_create(one_in(seed, 10) ? 0 : random_u64(seed));
    uint8_t header[256];
    size_t len = 64;

    h->has_packet_id = !one_in(seed, 10);
    h->carries = one_in(seed, 10) ? random_u32(seed) : 0;
    h->carried_by = one_in(seed, 10) ? random_u32(seed) : 0;
    random_verdict(seed, &h->verdict);
    random_bytes(seed, header, len);
    for (size_t n = below(seed, (uint32_t) max_hops + 1); n > 0; n--) {
        random_hop(seed, h, header, &len,
                   time_ns + below(seed, 1000000000) - 500000000);
    }
    return h;
}

struct history *
line_history(uint64_t packet_id, size_t n_hops, uint64_t time_ns,
             size_t header_len)
{
    struct history *h = history_create(packet_id);
    uint8_t header[2048];

    h->has_packet_id = true;
    memset(header, 0x5a, sizeof header);
    for (size_t i = 0; i < 8; i++) {
        header[i] = (uint8_t) (packet_id >> (8 * i));
    }
    for (size_t i = 0; i < n_hops; i++) {
        struct history_hop *hop = history_add_hop(h);

        hop->parent = (int) i - 1;
        hop->dpid = 1 + i;
        hop->in_port = 1;
        history_hop_add_out(hop, 2);
        history_hop_add_version(hop, (uint32_t) (10 + i));
        hop->time_ns = time_ns + i * 1000;
        history_hop_set_header(hop, header, header_len);
    }
    if (n_hops) {
        verdict_set(&h->hops[n_hops - 1].verdict, VERDICT_DELIVERED, n_hops, 2,
                    NULL);
    }
    history_settle(h);
    return h;
}

static bool
differs(const char *what, size_t hop)
{
    fprintf(stderr, "histories differ in %s of hop %zu\n", what, hop);
    return false;
}

static bool
verdict_is_same(const struct verdict *a, const struct verdict *b)
{
    return a->name == b->name && a->dpid == b->dpid && a->port == b->port &&
           a->has_version == b->has_version && a->version == b->version &&
           a->evidence == b->evidence && !a->reason == !b->reason &&
           (!a->reason || strcmp(a->reason, b->reason) == 0);
}

static bool
list_is_same(const uint32_t *a, size_t n_a, const uint32_t *b, size_t n_b)
{
    return n_a == n_b && (!n_a || memcmp(a, b, n_a * sizeof *a) == 0);
}

static bool
hop_is_same(const struct history_hop *a, const struct history_hop *b, size_t i)
{
    if (a->parent != b->parent || a->dpid != b->dpid ||
        a->in_port != b->in_port || a->time_ns != b->time_ns) {
        return differs("place", i);
    }
    if (a->is_packet_out != b->is_packet_out ||
        a->is_deduced != b->is_deduced ||
        a->has_gap_before != b->has_gap_before || a->is_after != b->is_after ||
        a->has_header_out != b->has_header_out) {
        return differs("marks", i);
    }
    if (!list_is_same(a->out_ports, a->n_out, b->out_ports, b->n_out) ||
        !list_is_same(a->branches, a->n_branches, b->branches,
                      b->n_branches) ||
        !list_is_same(a->versions, a->n_versions, b->versions,
                      b->n_versions)) {
        return differs("lists", i);
    }
    if (a->caplen != b->caplen ||
        (a->caplen && memcmp(a->header, b->header, a->caplen) != 0)) {
        return differs("header", i);
    }
    if (a->header_out_len != b->header_out_len ||
        (a->header_out_len &&
         memcmp(a->header_out, b->header_out, a->header_out_len) != 0)) {
        return differs("header_out", i);
    }
    return verdict_is_same(&a->verdict, &b->verdict) || differs("verdict", i);
}

bool
history_is_same(const struct history *a, const struct history *b)
{
    if (a->packet_id != b->packet_id || a->has_packet_id != b->has_packet_id ||
        a->carries != b->carries || a->carried_by != b->carried_by ||
        a->n_hops != b->n_hops || !verdict_is_same(&a->verdict, &b->verdict)) {
        return differs("the history", 0);
    }
    for (size_t i = 0; i < a->n_hops; i++) {
        if (!hop_is_same(&a->hops[i], &b->hops[i], i)) {
            return false;
        }
    }
    return true;
}
