/* SPDX-License-Identifier: Apache-2.0 */
/* nprof - what the files of nprof share; for them only.
 *
 * A profile is the answer of the request `profile` (docs/api.md), in which
 * nprof has put names of hosts.
 *
 * Threads: one. */
#ifndef APPS_NPROF_H
#define APPS_NPROF_H 1

#include <stdint.h>
#include <stdio.h>
#include <jansson.h>

#include "apps/app.h"
#include "lib/topology.h"

struct nprof_view {
    const struct app *app;
    FILE *out;
};

/* Members of a profile or a node. */
uint64_t nprof_number(const json_t *o, const char *name);
const char *nprof_text(const json_t *o, const char *name);
/* "1.23 GB", "450 B". */
char *nprof_format_bytes(double bytes, char buf[32]);
/* "12.3 Mbit/s" of bytes in so many ns. */
char *nprof_format_rate(double bytes, uint64_t ns, char buf[32]);
/* "s1:2 -> s2", or how many links there are. */
char *nprof_title(const json_t *profile, char *buf, size_t size);

/* nprof_tree.c: totals, and the tree as lines; series as a table. */
void nprof_tree_put(const struct nprof_view *, const json_t *profile);

/* nprof_page.c: all of it as one HTML page that needs nothing else.  'map' is
 * a profile of all links by link, 'topology' may be NULL. */
void nprof_page_put(const struct nprof_view *, const json_t *profile,
                    const json_t *map, const struct topology *topology);

/* nprof_drawing.c: drawings of the page, as SVG. */
void nprof_drawing_put_text(FILE *, const char *text); /* Escaped. */
void nprof_drawing_put_network(FILE *, const json_t *map,
                               const struct topology *);
void nprof_drawing_put_flames(FILE *, const json_t *profile);
void nprof_drawing_put_series(FILE *, const struct app *,
                              const json_t *profile);

#endif /* apps/nprof.h */
