/* SPDX-License-Identifier: Apache-2.0 */
/* name_miss - says that nothing is called so, what there is, and what was most
 * likely meant; in the same words everywhere.
 *
 *     struct name_miss miss = name_miss_init("s11");
 *
 *     name_miss_try(&miss, "s1");
 *     name_miss_try(&miss, "s2");
 *     name_miss_set(&miss, "switch", error);
 *
 * makes: no switch is called "s11"; there is s1, s2; is "s1" meant?
 *
 * and where nothing was tried, that its number is to be given.
 *
 * Ownership: text and names are borrowed.
 *
 * Threads: plain data. */
#ifndef LIB_NAME_MISS_H
#define LIB_NAME_MISS_H 1

#include <stddef.h>

#include "lib/lh_error.h"
#include "lib/nearest.h"
#include "lib/topology.h"

struct name_miss {
    const char *text;
    struct nearest nearest;
    char known[160]; /* As many as there is room for. */
    size_t used;     /* Of that; all when there is no more room. */
};

struct name_miss name_miss_init(const char *text);
/* One that there is; NULL is none. */
void name_miss_try(struct name_miss *, const char *name);
/* All switches of a topology (NULL: none), or all ports of one. */
void name_miss_try_switches(struct name_miss *, const struct topology *);
void name_miss_try_ports(struct name_miss *, const struct topology_switch *);
/* Sets '*error' (which may be NULL), with no position: no 'what' is called
 * so. */
void name_miss_set(const struct name_miss *, const char *what,
                   struct lh_error *);

#endif /* lib/name_miss.h */
