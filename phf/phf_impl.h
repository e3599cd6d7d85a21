/* SPDX-License-Identifier: Apache-2.0 */
/* phf_impl - what a compiled filter is made of, for the files of this folder.
 *
 * Ownership: as in phf/phf.h.  Threads: immutable. */
#ifndef PHF_PHF_IMPL_H
#define PHF_PHF_IMPL_H 1

#include "phf/automaton.h"
#include "phf/hop_tests.h"
#include "phf/phf.h"
#include "phf/predicates.h"
#include "phf/program.h"

struct phf {
    char *text; /* Owned. */
    struct predicates predicates;
    struct program program;
    bool has_backrefs;
    struct automaton *automaton; /* NULL when backref_match() is always needed.
                                  * Owned. */
};

/* phf_match() with the caller's tests, whose history is set. */
enum phf_result phf_run(const struct phf *, struct hop_tests *);
/* phf_match_model() in the same way. */
enum phf_result phf_run_model(const struct phf *, struct hop_tests *,
                              bool *varies);
/* The answer for a packet for which all BPF expressions that vary are
 * false. */
enum phf_result phf_run_plain(const struct phf *, struct hop_tests *);

#endif /* phf/phf_impl.h */
