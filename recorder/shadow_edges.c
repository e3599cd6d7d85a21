/* SPDX-License-Identifier: Apache-2.0 */
/* shadow_edges - from which table to which rules send packets. */
#include <config.h>
#include "recorder/shadow_edges.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"

struct shadow_edges {
    /* From, to: how many rules. */
    uint32_t n_calls[256][256]; /* To look something up. */
    uint32_t n_ends[256][256];  /* For good. */
    bool has_news;
};

struct shadow_edges *
shadow_edges_create(void)
{
    return lh_alloc_zero(sizeof(struct shadow_edges));
}

void
shadow_edges_destroy(struct shadow_edges *edges)
{
    free(edges);
}

void
shadow_edges_count(struct shadow_edges *edges, uint8_t table_id,
                   const struct of_facts *facts, int sign)
{
    for (unsigned int w = 0; w < 4; w++) {
        for (uint64_t bits = facts->reaches.bits[w]; bits; bits &= bits - 1) {
            unsigned int t = w * 64 + (unsigned int) __builtin_ctzll(bits);
            uint32_t *n = of_tables_has(&facts->calls, t)
                              ? &edges->n_calls[table_id][t]
                              : &edges->n_ends[table_id][t];

            edges->has_news |= sign > 0 ? !*n : *n == 1;
            *n += (uint32_t) sign;
        }
    }
}

bool
shadow_edges_has_news(const struct shadow_edges *edges)
{
    return edges->has_news;
}

/* Adds all tables that packets go on to from those in 'from'. */
static void
follow(const struct shadow_edges *edges, struct of_tables *from)
{
    bool found = true;

    while (found) {
        found = false;
        for (unsigned int s = 0; s < 256; s++) {
            for (unsigned int t = 0; of_tables_has(from, s) && t < 256; t++) {
                if (edges->n_ends[s][t] && !of_tables_has(from, t)) {
                    of_tables_add(from, t);
                    found = true;
                }
            }
        }
    }
}

struct of_tables
shadow_edges_lookups(struct shadow_edges *edges)
{
    struct of_tables lookups = {{0}}, others = {{0}};

    edges->has_news = false;
    for (unsigned int t = 0; t < 256; t++) {
        bool is_called = false, is_end = false;

        for (unsigned int s = 0; s < 256; s++) {
            is_called |= edges->n_calls[s][t] != 0;
            is_end |= edges->n_ends[s][t] != 0;
        }
        if (is_called) {
            of_tables_add(&lookups, t);
        }
        if (!t || (!is_called && !is_end)) {
            of_tables_add(&others, t); /* Packets may begin there. */
        }
    }
    follow(edges, &lookups);
    follow(edges, &others);
    for (unsigned int w = 0; w < 4; w++) {
        lookups.bits[w] &= ~others.bits[w];
    }
    return lookups;
}
