/* SPDX-License-Identifier: Apache-2.0 */
/* phf_explain - what a filter was compiled to, as text for people. */
#include <config.h>
#include "phf/phf_explain.h"

#include "phf/phf_impl.h"

/* Writes a set of positions; `.` stands for those of which there may be
 * any. */
static void
explain_set(const struct automaton *a, const uint64_t *set, FILE *stream)
{
    const char *separator = "";

    for (size_t i = 0; i < a->n_positions; i++) {
        if (automaton_has(set, i)) {
            fprintf(stream, "%s%zu", separator, i);
            separator = " ";
        }
    }
    fputs(*separator ? "" : "none", stream);
}

static void
explain_predicates(const struct predicates *predicates, FILE *stream)
{
    fputs("predicates (what a hop is asked)\n", stream);
    for (uint32_t id = 0; id < predicates->n_predicates; id++) {
        fprintf(stream, "  p%-3u ", id);
        predicates_format(predicates, id, stream);
        fputs("\n", stream);
    }
    for (size_t i = 0; i < predicates->n_terms; i++) {
        const struct term *term = &predicates->terms[i];

        if (term->bpf) {
            fputs("  ", stream);
            term_format(term, stream);
            fprintf(stream, ": %zu BPF instructions\n",
                    bpf_test_length(term->bpf));
        }
    }
}

static void
explain_automaton(const struct automaton *a, FILE *stream)
{
    fprintf(stream, "automaton (%zu position%s, %s)\n", a->n_positions,
            a->n_positions == 1 ? "" : "s",
            a->nibbles ? "one machine word" : "several machine words");
    if (a->matches_all) {
        fputs("  matches every history that has a hop, because no hop needs "
              "to be there\n",
              stream);
    }
    if (a->on_verdict) {
        fputs("  asks for the verdict: the paths of a tree are tried by "
              "verdict\n",
              stream);
    }
    fputs("  first hop of a path: ", stream);
    explain_set(a, a->first, stream);
    fputs("\n  match begins later: ", stream);
    explain_set(a, a->anew, stream);
    fputs("\n", stream);
    for (size_t i = 0; i < a->n_positions; i++) {
        fprintf(stream, "  %zu: a hop where p%u holds; next ", i,
                a->predicate_of[i]);
        explain_set(a, a->follow + i * a->n_words, stream);
        if (automaton_has(a->accept, i)) {
            fputs("; match", stream);
        } else if (automaton_has(a->accept_end, i)) {
            fputs("; match if it is the last hop", stream);
        }
        fputs("\n", stream);
    }
}

static void
explain_instr(const struct program_instr *instr, size_t pc, FILE *stream)
{
    long x = (long) pc + instr->x, y = (long) pc + instr->y;

    fprintf(stream, "  %zu: ", pc);
    switch (instr->op) {
    case PROGRAM_HOP:
        fprintf(stream, "a hop where p%d holds\n", instr->x);
        break;
    case PROGRAM_SPLIT:
        fprintf(stream, "go on at %ld and at %ld\n", x, y);
        break;
    case PROGRAM_JUMP:
        fprintf(stream, "go on at %ld\n", x);
        break;
    case PROGRAM_START:
        fputs("only before the first hop\n", stream);
        break;
    case PROGRAM_END:
        fputs("only after the last hop\n", stream);
        break;
    case PROGRAM_OPEN:
        fprintf(stream, "group %d begins\n", instr->x);
        break;
    case PROGRAM_CLOSE:
        fprintf(stream, "group %d ends\n", instr->x);
        break;
    case PROGRAM_BACKREF:
        fprintf(stream, "the switches of group %d again\n", instr->x);
        break;
    case PROGRAM_MATCH:
        fputs("match\n", stream);
        break;
    }
}

void
phf_explain(const struct phf *phf, FILE *stream)
{
    fprintf(stream, "filter\n  %s\n", phf->text);
    explain_predicates(&phf->predicates, stream);
    if (!phf->has_backrefs) {
        explain_automaton(phf->automaton, stream);
        return;
    }
    fprintf(stream, "program (back-references: at most %d steps a history)\n",
            PHF_MAX_STEPS);
    for (size_t pc = 0; pc < phf->program.n; pc++) {
        explain_instr(&phf->program.instrs[pc], pc, stream);
    }
}
