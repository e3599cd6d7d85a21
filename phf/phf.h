/* SPDX-License-Identifier: Apache-2.0 */
/* phf - packet history filters: regular expressions whose letters are hops.
 *
 * A filter is text (the language: phf(7), docs/phf.md).  phf_compile() makes
 * an immutable filter of it, phf_match() asks whether a history holds a match:
 *
 *     struct lh_error error;
 *     struct phf *phf;
 *
 *     if (phf_compile("{{--dpid 1}}.*{{--outport DROP}}$", NULL, &phf,
 *                     &error)) {
 *         char *text = phf_underline(filter, &error);
 *         ...
 *     }
 *     if (phf_match(phf, history, topology) == PHF_MATCH) ...
 *     phf_destroy(phf);
 *
 * A history is a tree.  A filter matches it when some run of consecutive hops
 * on some path matches the expression; `^` and `$` hold before the first and
 * after the last hop of a path.  Paths go from a root to a leaf, or to a hop
 * that has a verdict though others follow it: an output of it ended there.
 * Time is linear in the number of hops (each costs at most the number of
 * states), except with back-references, whose work is bounded: PHF_LIMIT says
 * when that bound was reached before there was an answer.
 *
 * Names of switches and ports are looked up at every match in the topology
 * given then, so that a filter outlives a change of the network.  Without a
 * topology a name is an unknown value.
 *
 * Many live filters on one stream of histories: phf/phf_set.h.  What a filter
 * was compiled to: phf/phf_explain.h.
 *
 * Ownership: phf_compile() to phf_destroy().  Nothing given to it is kept.
 *
 * Threads: a filter is immutable, so any number of threads may match with it
 * at once.  phf_compile() may run in several threads at once (libpcap >= 1.8
 * allows it). */
#ifndef PHF_PHF_H
#define PHF_PHF_H 1

#include <stdbool.h>

#include "lib/history.h"
#include "lib/lh_error.h"
#include "lib/topology.h"

/* Limits of one filter; going past one is an error that says so. */
#define PHF_MAX_TEXT    16384 /* Bytes of text. */
#define PHF_MAX_BPF     2048  /* Bytes of one BPF expression. */
#define PHF_MAX_NESTING 64    /* Parentheses inside each other. */
#define PHF_MAX_COUNT   1000  /* In {m,n}. */
#define PHF_MAX_STATES  2000  /* After all counts are written out. */
/* Limit of one phf_match() with a filter that has back-references. */
#define PHF_MAX_STEPS 1000000

enum phf_result {
    PHF_MISS,
    PHF_MATCH,
    PHF_LIMIT /* Back-references: gave up after PHF_MAX_STEPS; or memory was
               * short.  Neither a match nor a miss is known. */
};

struct phf;

/* Compiles 'text' into '*phfp'.  'topology' may be NULL; when it is given, a
 * name of a switch or port that it does not have is an error (without it names
 * are taken as they come).  Returns 0, or EINVAL with the reason in '*error'
 * and its place in error->pos; then '*phfp' is NULL. */
int phf_compile(const char *text, const struct topology *topology,
                struct phf **phfp, struct lh_error *error);

/* Frees; NULL is allowed. */
void phf_destroy(struct phf *);

/* Whether 'history' holds a match.  'topology' resolves names and may be
 * NULL. */
enum phf_result phf_match(const struct phf *, const struct history *,
                          const struct topology *topology);

/* Whether the answer can depend on headers: some term is a BPF expression. */
bool phf_asks_headers(const struct phf *);
/* The first of those terms' expressions; NULL: there is none. */
const char *phf_bpf_term(const struct phf *);
/* phf_match() of the model of a trajectory, whose headers hold what is
 * constant for all of its packets.  '*varies' is set when the answer may be
 * another for each of them, because tests that it depends on read other bytes
 * than the constant ones; else the answer is that of each. */
enum phf_result phf_match_model(const struct phf *,
                                const struct history *model,
                                const struct topology *topology, bool *varies);

/* The text that it was compiled from. */
const char *phf_text(const struct phf *);

/* 'text' with the place error->pos underlined, as two lines to be shown in a
 * fixed-width font under the error's text:
 *
 *     {{--dpid 1}}.*{{--doid 2}}
 *                     ^~~~~~
 *
 * Only the line of 'text' at fault, and no more than fits a terminal.  NULL
 * when the error has no place; the caller frees. */
char *phf_underline(const char *text, const struct lh_error *error);

#endif /* phf/phf.h */
