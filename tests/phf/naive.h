/* SPDX-License-Identifier: Apache-2.0 */
/* naive - a second matcher, slow and plain, to hold phf_match() against.
 *
 * naive_check() makes of the bytes it is given a filter and a history, asks
 * both matchers and a phf_set, and aborts when they do not agree.
 *
 * An expression is a tree, and what it matches is computed as sets: from a set
 * of places (how many hops are passed, what the groups hold) the set of places
 * where it can have got to.  No automaton, no parsing, no sharing.
 *
 * Threads: pure but for the allocations. */
#ifndef TESTS_PHF_NAIVE_H
#define TESTS_PHF_NAIVE_H 1

#include <stddef.h>
#include <stdint.h>

#include "phf/phf.h"

/* Returns what both said (PHF_LIMIT if phf_match() gave up). */
enum phf_result naive_check(const uint8_t *data, size_t size);

#endif /* tests/phf/naive.h */
