/* SPDX-License-Identifier: Apache-2.0 */
/* phf - packet history filters: regular expressions whose letters are hops. */
#include <config.h>
#include "phf/phf.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "phf/backref.h"
#include "phf/phf_impl.h"
#include "phf/phf_parse.h"

static bool
has_backrefs(const struct program *program)
{
    for (size_t pc = 0; pc < program->n; pc++) {
        if (program->instrs[pc].op == PROGRAM_BACKREF) {
            return true;
        }
    }
    return false;
}

int
phf_compile(const char *text, const struct topology *topology,
            struct phf **phfp, struct lh_error *error)
{
    struct phf *phf = lh_alloc_zero(sizeof *phf);
    int retval;

    *phfp = NULL;
    predicates_init(&phf->predicates);
    program_init(&phf->program);
    retval = phf_parse(text, topology, &phf->program, &phf->predicates, error);
    if (retval) {
        phf_destroy(phf);
        return retval;
    }
    phf->text = lh_strdup(text);
    phf->has_backrefs = has_backrefs(&phf->program);
    if (!phf->has_backrefs || backref_groups_consume(&phf->program)) {
        phf->automaton = automaton_create(&phf->program, &phf->predicates);
    }
    *phfp = phf;
    return 0;
}

void
phf_destroy(struct phf *phf)
{
    if (phf) {
        automaton_destroy(phf->automaton);
        program_uninit(&phf->program);
        predicates_uninit(&phf->predicates);
        free(phf->text);
        free(phf);
    }
}

enum phf_result
phf_run(const struct phf *phf, struct hop_tests *tests)
{
    if (phf->has_backrefs &&
        (!phf->automaton || backref_is_needed(tests->history))) {
        return backref_match(&phf->program, tests);
    }
    return automaton_match(phf->automaton, tests);
}

enum phf_result
phf_match(const struct phf *phf, const struct history *history,
          const struct topology *topology)
{
    struct hop_tests tests = {
        .history = history,
        .topology = topology,
        .predicates = &phf->predicates,
    };

    return phf_run(phf, &tests);
}

const char *
phf_bpf_term(const struct phf *phf)
{
    for (size_t i = 0; i < phf->predicates.n_terms; i++) {
        if (phf->predicates.terms[i].kind == TERM_BPF) {
            return bpf_test_text(phf->predicates.terms[i].bpf);
        }
    }
    return NULL;
}

bool
phf_asks_headers(const struct phf *phf)
{
    return phf_bpf_term(phf) != NULL;
}

/* More predicates holding never make a match a miss, so what is missed when
 * all that vary hold is missed by every packet, and what matches when none
 * does is matched by every one. */
enum phf_result
phf_run_model(const struct phf *phf, struct hop_tests *tests, bool *varies)
{
    enum phf_result result;

    *varies = false;
    tests->varies = varies;
    tests->if_varies = true;
    result = phf_run(phf, tests);
    if (*varies && result == PHF_MISS) {
        *varies = false;
    }
    if (*varies) {
        tests->if_varies = false;
        result = phf_run(phf, tests);
        /* With back-references a packet may be where matching gives up. */
        *varies = result != PHF_MATCH || phf->has_backrefs;
    }
    return result;
}

enum phf_result
phf_run_plain(const struct phf *phf, struct hop_tests *tests)
{
    bool varies;
    struct hop_tests plain = *tests;

    plain.varies = &varies;
    plain.is_plain = true;
    plain.predicates = &phf->predicates;
    plain.memo = NULL; /* What it says is said by no other. */
    return phf_run(phf, &plain);
}

enum phf_result
phf_match_model(const struct phf *phf, const struct history *model,
                const struct topology *topology, bool *varies)
{
    struct hop_tests tests = {
        .history = model,
        .topology = topology,
        .predicates = &phf->predicates,
    };

    return phf_run_model(phf, &tests, varies);
}

const char *
phf_text(const struct phf *phf)
{
    return phf->text;
}
