/* SPDX-License-Identifier: Apache-2.0 */
/* set_answers - what the BPF expressions of a set of filters say of one flow,
 * or of one packet. */
#include <config.h>
#include "phf/set_answers.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

#define MAX_ROUND (UINT32_MAX >> 2)

void
set_answers_uninit(struct set_answers *a)
{
    free(a->all);
}

void
set_answers_begin(struct set_answers *a, size_t n_terms)
{
    if (n_terms > a->n) {
        a->all = lh_alloc_array(a->all, n_terms, sizeof *a->all);
        memset(a->all + a->n, 0, (n_terms - a->n) * sizeof *a->all);
        a->n = n_terms;
    }
    if (a->round == MAX_ROUND) { /* Old answers would look new. */
        memset(a->all, 0, a->n * sizeof *a->all);
        a->round = 0;
    }
    a->round++;
}
