/* SPDX-License-Identifier: Apache-2.0 */
/* set_answers - what the BPF expressions of a set of filters say of one flow,
 * or of one packet: each is run once, whichever filters ask.
 *
 *     set_answers_begin(&answers, n_terms);
 *     if (!set_answers_find(&answers, term, &answer)) {
 *         answer = ..;
 *         set_answers_put(&answers, term, answer);
 *     }
 *
 * Ownership: all zero to set_answers_uninit().
 *
 * Threads: one. */
#ifndef PHF_SET_ANSWERS_H
#define PHF_SET_ANSWERS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a packet one of the first two. */
enum set_answer {
    SET_ANSWER_FALSE,
    SET_ANSWER_TRUE,
    SET_ANSWER_VARIES,    /* From packet to packet. */
    SET_ANSWER_HOP_BY_HOP /* It may be another at each hop. */
};

struct set_answers {
    uint32_t round;
    size_t n;
    uint32_t *all; /* By term: 4 * round + answer; older: none.  Owned. */
};

void set_answers_uninit(struct set_answers *);

/* Forgets all; terms are below 'n_terms' from now on. */
void set_answers_begin(struct set_answers *, size_t n_terms);

/* What was put for 'term'; false when nothing was. */
static inline bool
set_answers_find(const struct set_answers *a, uint32_t term,
                 enum set_answer *answer)
{
    *answer = (enum set_answer)(a->all[term] & 3);
    return a->all[term] >> 2 == a->round;
}

static inline void
set_answers_put(struct set_answers *a, uint32_t term, enum set_answer answer)
{
    a->all[term] = a->round << 2 | answer;
}

#endif /* phf/set_answers.h */
