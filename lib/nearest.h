/* SPDX-License-Identifier: Apache-2.0 */
/* nearest - of many names the one that somebody most likely meant.
 *
 *     struct nearest nearest = nearest_init("swich1");
 *
 *     nearest_try(&nearest, "switch1");
 *     nearest_try(&nearest, "s2");
 *     name = nearest_name(&nearest);
 *
 * Names differ by how many letters have to be put in, taken out, changed or
 * swapped with their neighbour; capitals do not matter.
 *
 * Ownership: texts and names are borrowed.
 *
 * Threads: plain data. */
#ifndef LIB_NEAREST_H
#define LIB_NEAREST_H 1

#include <stddef.h>

struct nearest {
    const char *text;
    const char *best; /* NULL: none is near enough. */
    size_t distance;  /* Of 'best'; before that one more than is near. */
};

struct nearest nearest_init(const char *text);
/* One more name; of equally near ones the first stays.  NULL is none. */
void nearest_try(struct nearest *, const char *name);
/* The nearest name, or NULL when none is near: at most a third of the letters
 * are wrong.  Nothing is near to one or two letters. */
const char *nearest_name(const struct nearest *);

#endif /* lib/nearest.h */
