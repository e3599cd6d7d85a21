/* SPDX-License-Identifier: Apache-2.0 */
/* accept_list - from which addresses postcards are taken.
 *
 * The addresses of the topology's switches, and the addresses and networks
 * that the operator named.  While there is neither, nobody is accepted: a
 * server that does not know its switches takes no postcards from strangers.
 *
 * Threads: one. */
#ifndef SERVER_ACCEPT_LIST_H
#define SERVER_ACCEPT_LIST_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/lh_error.h"
#include "lib/topology.h"

/* An IPv6 address in network byte order; IPv4 addresses are ::ffff:a.b.c.d. */
struct accept_address {
    uint8_t bytes[16];
};

struct accept_list;

struct accept_list *accept_list_create(void);
void accept_list_destroy(struct accept_list *);
struct accept_list *accept_list_clone(const struct accept_list *);

/* Adds "ADDR" or "ADDR/LEN".  Returns 0, or EINVAL with the reason. */
int accept_list_add(struct accept_list *, const char *text, struct lh_error *);
/* Accepts the switches of this topology instead of those of the last one;
 * NULL: of none.  Nothing of it is kept. */
void accept_list_set_topology(struct accept_list *, const struct topology *);

/* True when no address at all is accepted. */
bool accept_list_is_empty(const struct accept_list *);
bool accept_list_has(const struct accept_list *,
                     const struct accept_address *);

struct accept_address accept_address_ip4(const uint8_t bytes[4]);
/* Writes it for people into 'buf' of 'size' and returns that. */
char *accept_address_format(const struct accept_address *, char *buf,
                            size_t size);

#endif /* server/accept_list.h */
