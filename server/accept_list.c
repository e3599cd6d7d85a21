/* SPDX-License-Identifier: Apache-2.0 */
/* accept_list - from which addresses postcards are taken. */
#include <config.h>

#include "server/accept_list.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

struct network {
    struct accept_address address;
    unsigned int n_bits;
};

struct accept_list {
    size_t n_networks, allocated_networks;
    struct network *networks; /* Of the operator.  Owned. */
    /* Addresses of switches, by open addressing: a place is free when its
     * address is ::, which no switch has.  At most half are taken. */
    size_t n_switches, n_slots;      /* A power of 2, or 0. */
    struct accept_address *switches; /* Owned. */
};

struct accept_list *
accept_list_create(void)
{
    return lh_alloc_zero(sizeof(struct accept_list));
}

void
accept_list_destroy(struct accept_list *list)
{
    if (list) {
        free(list->networks);
        free(list->switches);
        free(list);
    }
}

struct accept_list *
accept_list_clone(const struct accept_list *list)
{
    struct accept_list *clone = lh_alloc(sizeof *clone);

    *clone = *list;
    clone->allocated_networks = list->n_networks;
    clone->networks =
        lh_memdup(list->networks, list->n_networks * sizeof *list->networks);
    clone->switches =
        lh_memdup(list->switches, list->n_slots * sizeof *list->switches);
    return clone;
}

struct accept_address
accept_address_ip4(const uint8_t bytes[4])
{
    struct accept_address address = {
        {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}};

    memcpy(address.bytes + 12, bytes, 4);
    return address;
}

char *
accept_address_format(const struct accept_address *address, char *buf,
                      size_t size)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0,    0,
                                       0, 0, 0, 0, 0xff, 0xff};
    bool is_ip4 = memcmp(address->bytes, mapped, sizeof mapped) == 0;

    if (!inet_ntop(is_ip4 ? AF_INET : AF_INET6,
                   address->bytes + (is_ip4 ? 12 : 0), buf,
                   (socklen_t) size)) {
        snprintf(buf, size, "?");
    }
    return buf;
}

/* Reads an address without a length; '*is_ip4' says which kind it was. */
static bool
parse_address(const char *text, struct accept_address *address, bool *is_ip4)
{
    uint8_t ip4[4];

    *is_ip4 = inet_pton(AF_INET, text, ip4) == 1;
    if (*is_ip4) {
        *address = accept_address_ip4(ip4);
        return true;
    }
    return inet_pton(AF_INET6, text, address->bytes) == 1;
}

int
accept_list_add(struct accept_list *list, const char *text,
                struct lh_error *error)
{
    const char *slash = strchr(text, '/');
    char *host = lh_strdup(text);
    struct network network;
    bool is_ip4 = false, ok;

    if (slash) {
        host[slash - text] = '\0';
    }
    ok = parse_address(host, &network.address, &is_ip4);
    free(host);
    network.n_bits = 128;
    if (ok && slash) {
        char *end;
        unsigned long n_bits = strtoul(slash + 1, &end, 10);

        ok = slash[1] >= '0' && slash[1] <= '9' && !*end &&
             n_bits <= (is_ip4 ? 32 : 128);
        network.n_bits = (unsigned int) n_bits + (is_ip4 ? 96 : 0);
    }
    if (!ok) {
        lh_error_set(error,
                     "\"%s\" is no address or network (like 192.0.2.1, "
                     "192.0.2.0/24 or 2001:db8::/32)",
                     text);
        return EINVAL;
    }
    list->networks =
        lh_alloc_grow(list->networks, list->n_networks,
                      &list->allocated_networks, sizeof *list->networks);
    list->networks[list->n_networks++] = network;
    return 0;
}

static inline bool
is_equal(const struct accept_address *a, const struct accept_address *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* The slot of 'address', or the free one where it belongs. */
static inline struct accept_address *
find_slot(const struct accept_list *list, const struct accept_address *address)
{
    static const struct accept_address none;
    size_t mask = list->n_slots - 1;
    uint64_t high, low;

    memcpy(&high, address->bytes, sizeof high);
    memcpy(&low, address->bytes + 8, sizeof low);

    size_t slot = (high * UINT64_C(0x9e3779b97f4a7c15) ^ low) *
                          UINT64_C(0xc2b2ae3d27d4eb4f) >>
                      32 &
                  mask;

    while (!is_equal(&list->switches[slot], address) &&
           !is_equal(&list->switches[slot], &none)) {
        slot = (slot + 1) & mask;
    }
    return &list->switches[slot];
}

void
accept_list_set_topology(struct accept_list *list,
                         const struct topology *topology)
{
    static const struct accept_address none;
    size_t n = topology ? topology_n_switches(topology) : 0;

    free(list->switches);
    list->n_switches = 0;
    for (list->n_slots = 4; list->n_slots < 2 * n; list->n_slots *= 2) {
    }
    list->switches = lh_alloc_zero(list->n_slots * sizeof *list->switches);
    for (size_t i = 0; i < n; i++) {
        const struct topology_switch *sw = topology_switch_at(topology, i);
        struct accept_address address;
        bool is_ip4;

        if (sw->address && parse_address(sw->address, &address, &is_ip4) &&
            !is_equal(&address, &none)) {
            *find_slot(list, &address) = address;
            list->n_switches++;
        }
    }
}

bool
accept_list_is_empty(const struct accept_list *list)
{
    return !list->n_networks && !list->n_switches;
}

static bool
is_in(const struct accept_address *address, const struct network *network)
{
    unsigned int n_bytes = network->n_bits / 8;
    unsigned int n_rest = network->n_bits % 8;

    if (memcmp(address->bytes, network->address.bytes, n_bytes) != 0) {
        return false;
    }
    return !n_rest ||
           (address->bytes[n_bytes] ^ network->address.bytes[n_bytes]) >>
                   (8 - n_rest) ==
               0;
}

bool
accept_list_has(const struct accept_list *list,
                const struct accept_address *address)
{
    static const struct accept_address none;

    if (list->n_switches && !is_equal(address, &none) &&
        is_equal(find_slot(list, address), address)) {
        return true;
    }
    for (size_t i = 0; i < list->n_networks; i++) {
        if (is_in(address, &list->networks[i])) {
            return true;
        }
    }
    return false;
}
