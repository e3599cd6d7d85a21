/* SPDX-License-Identifier: Apache-2.0 */
/* gen_whole - a walk as switches tell it that know their visits: a postcard
 * for each visit, or for each pass of one, with its real outputs and all
 * rules.
 *
 * Threads: that of the walk. */
#ifndef GEN_GEN_WHOLE_H
#define GEN_GEN_WHOLE_H 1

#include "gen/gen_walk.h"
#include "lib/hop_template.h"

/* One pass through the tables. */
struct gen_whole {
    union hop_template_buf visit;
    uint32_t ofs, len; /* Of the packet as it came to it, in walk->bytes. */
};

/* Visit 'v' of the walk in one pass, or in two of which the second begins with
 * its rule 'n_first' (counted from 0; 0: one pass); returns how many. */
size_t gen_whole_passes(const struct gen_walk *, uint32_t v, size_t n_first,
                        struct gen_whole passes[2]);

/* Makes what gen_walk_history() returned the history as such postcards tell
 * it. */
void gen_whole_history(const struct gen_walk *, uint16_t snap,
                       struct history *);

#endif /* gen/gen_whole.h */
