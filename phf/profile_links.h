/* SPDX-License-Identifier: Apache-2.0 */
/* profile_links - which links a profile counts at.
 *
 * A link is one direction at a port: what a switch sends out there, or what
 * comes in.  People write:
 *
 *     s1:2, s1:2/out    what s1 sends out at port 2 (a number or a name)
 *     s1:2/in           what comes into s1 there
 *     s1                what s1 sends out at any port
 *     s1->s2            what s1 sends to s2, over all links between them; in
 *                       place of s2 a port of s1 may stand
 *     s1--s2            that, and what s2 sends to s1
 *     all               every link, and where packets come in
 *     entry             each packet once, where its first postcard was
 *
 * Ownership: nothing is kept of topology and text.
 *
 * Threads: plain data; any may read. */
#ifndef PHF_PROFILE_LINKS_H
#define PHF_PROFILE_LINKS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/lh_error.h"
#include "lib/topology.h"

struct profile_link {
    uint64_t dpid;
    uint32_t port;
    bool is_in; /* What comes in; else what goes out. */
};

struct profile_links {
    enum { PROFILE_CHOSEN, PROFILE_ALL, PROFILE_ENTRY } scope;
    size_t n, allocated;
    struct profile_link *links; /* Of PROFILE_CHOSEN.  Owned. */
};

void profile_links_uninit(struct profile_links *);
/* Adds what 'text' says ('topology' may be NULL: then only numbers are
 * known).  0, or EINVAL with the reason, which names the nearest name. */
int profile_links_add(struct profile_links *, const char *text,
                      const struct topology *topology, struct lh_error *);
/* Whether packets are counted there; 'is_first' where they come in first. */
bool profile_links_has(const struct profile_links *,
                       const struct profile_link *, bool is_first);

/* "s1:2 -> s2", "s1:2 ->" where nobody is known behind it, "-> s1:2". */
char *profile_link_name(const struct profile_link *,
                        const struct topology *topology, char *buf,
                        size_t size);

#endif /* phf/profile_links.h */
