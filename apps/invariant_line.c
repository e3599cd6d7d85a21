/* SPDX-License-Identifier: Apache-2.0 */
/* invariant_line - one line of an invariant file, understood. */
#include <config.h>
#include "apps/invariant_line.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/invariant_lexer.h"
#include "apps/invariant_members.h"
#include "apps/invariant_phf.h"
#include "lib/lh_alloc.h"
#include "lib/nearest.h"
#include "lib/time_spec.h"
#include "phf/phf.h"

#define RULES                                                                 \
    "\"no ..\", \"isolate\", \"waypoint\", \"path\", \"reach\" or \"group\""
#define CLAUSES                                                               \
    "\"from\", \"to\", \"matching\", \"except\", \"clear\" or the end of "    \
    "the line"

/* A time that spans count from. */
#define LATER_NS UINT64_C(4000000000000000000)

/* A line that is read. */
struct line {
    struct invariant_lexer lexer;
    struct invariant_file *file;
    const struct app_names *names; /* Or NULL. */
    struct lh_error *error;
    struct invariant inv; /* What was read. */
    bool has_from, has_to;
};

static int
unexpected(const struct line *line, const char *what)
{
    return invariant_members_unexpected(&line->lexer, what, line->error);
}

/* Takes the word if it is there. */
static bool
take(struct line *line, const char *word)
{
    bool is_there = invariant_lexer_is(&line->lexer, word);

    if (is_there) {
        invariant_lexer_next(&line->lexer);
    }
    return is_there;
}

static int
need(struct line *line, const char *word, const char *what)
{
    return take(line, word) ? 0 : unexpected(line, what);
}

/* --- values -------------------------------------------------------------- */

static int
read_span(struct line *line, uint64_t *ns)
{
    static const char what[] = "a span of time (5s, 2m, 1h)";
    const struct invariant_token *token = &line->lexer.token;
    char text[64];
    uint64_t then_ns;

    if (token->kind != INVARIANT_WORD || token->len > sizeof text - 2) {
        return unexpected(line, what);
    }
    snprintf(text, sizeof text, "-%.*s", (int) token->len, token->text);
    if (time_spec_parse(text, LATER_NS, &then_ns, NULL)) {
        return unexpected(line, what);
    }
    *ns = LATER_NS - then_ns;
    if (*ns < INVARIANT_MIN_SPAN_NS || *ns > INVARIANT_MAX_SPAN_NS) {
        return unexpected(line, "a span of 1s to 30d");
    }
    invariant_lexer_next(&line->lexer);
    return 0;
}

static int
read_count(struct line *line, uint64_t *n)
{
    static const char what[] = "a number of hops, 1 to 200,";
    const struct invariant_token *token = &line->lexer.token;

    *n = 0;
    for (size_t i = 0; i < token->len && i < 5; i++) {
        unsigned int digit = (unsigned int) (token->text[i] - '0');

        *n = digit < 10 ? *n * 10 + digit : UINT32_MAX;
    }
    if (token->kind != INVARIANT_WORD || token->len > 4 || !*n ||
        *n > INVARIANT_FILE_MAX_HOPS) {
        return unexpected(line, what);
    }
    invariant_lexer_next(&line->lexer);
    return 0;
}

/* A BPF expression in quotes. */
static int
read_bpf(struct line *line, char **bpf)
{
    static const char before[] = "{{--bpf \"";
    const struct invariant_token *token = &line->lexer.token;
    struct lh_error error;
    struct phf *phf;
    char *text;
    int retval;

    if (*bpf) {
        return unexpected(line, "no second one");
    }
    if (token->kind != INVARIANT_STRING) {
        return unexpected(line, "a packet filter in quotes, \"tcp port 80\",");
    }
    text = lh_asprintf("%s%.*s\"}}", before, (int) token->len, token->text);
    retval = phf_compile(text, NULL, &phf, &error);
    free(text);
    if (retval) {
        size_t skipped = sizeof before - 1;
        size_t at =
            error.pos > (int) skipped ? (size_t) error.pos - skipped : 0;

        lh_error_set_at(
            line->error,
            (int) (token->pos + 1 + (at < token->len ? at : token->len)), "%s",
            error.text);
        return EINVAL;
    }
    phf_destroy(phf);
    *bpf = lh_asprintf("%.*s", (int) token->len, token->text);
    invariant_lexer_next(&line->lexer);
    return 0;
}

static int
read_set(struct line *line, struct invariant_set *set)
{
    return invariant_members_read(&line->lexer, line->file, line->names, set,
                                  line->error);
}

/* --- rules --------------------------------------------------------------- */

static int
read_no(struct line *line)
{
    static const struct {
        const char *word;
        enum invariant_kind kind;
    } whats[] = {{"loops", INVARIANT_NO_LOOPS},
                 {"black-holes", INVARIANT_NO_BLACK_HOLES},
                 {"drops", INVARIANT_NO_DROPS},
                 {"losses", INVARIANT_NO_LOSSES},
                 {"punts", INVARIANT_NO_PUNTS},
                 {"traffic", INVARIANT_NO_TRAFFIC}};

    for (size_t i = 0; i < sizeof whats / sizeof *whats; i++) {
        if (take(line, whats[i].word)) {
            line->inv.kind = whats[i].kind;
            return 0;
        }
    }
    return unexpected(line, "\"loops\", \"black-holes\", \"drops\", "
                            "\"losses\", \"punts\" or \"traffic\"");
}

static int
read_isolate(struct line *line)
{
    int retval = read_set(line, &line->inv.from);

    line->inv.kind = INVARIANT_ISOLATE;
    retval = retval ? retval : need(line, "from", "\"from\"");
    retval = retval ? retval : read_set(line, &line->inv.to);
    line->has_from = line->has_to = true;
    return retval;
}

/* "s1" or, where 'mark' stands between them, any of several. */
static int
read_stop(struct line *line, bool has_marks)
{
    struct invariant *inv = &line->inv;
    struct invariant_stop *stop;
    int retval;

    inv->stops = lh_alloc_grow(inv->stops, inv->n_stops, &inv->allocated_stops,
                               sizeof *inv->stops);
    stop = &inv->stops[inv->n_stops++];
    memset(stop, 0, sizeof *stop);
    do {
        stop->switches = lh_alloc_grow(
            stop->switches, stop->n, &stop->allocated, sizeof *stop->switches);
        if (stop->n == INVARIANT_FILE_MAX_STOPS) {
            return unexpected(line, "no more than 50 switches");
        }
        retval = invariant_members_read_switch(
            &line->lexer, line->names, &stop->switches[stop->n], line->error);
        if (retval) {
            return retval;
        }
        stop->n++;
        if (has_marks && invariant_lexer_is_mark(&line->lexer, '|')) {
            invariant_lexer_next(&line->lexer);
        } else if (has_marks || !take(line, "or")) {
            return 0;
        }
    } while (true);
}

static bool
is_clause(const struct line *line)
{
    static const char *const words[] = {"from", "to", "matching", "except",
                                        "clear"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (invariant_lexer_is(&line->lexer, words[i])) {
            return true;
        }
    }
    return line->lexer.token.kind == INVARIANT_END;
}

static int
read_path(struct line *line)
{
    struct invariant *inv = &line->inv;
    int retval;

    if (take(line, "at")) {
        inv->kind = INVARIANT_AT_MOST;
        retval = need(line, "most", "\"most\"");
        retval = retval ? retval : read_count(line, &inv->max_hops);
        take(line, "hops");
        return retval;
    }
    inv->kind = INVARIANT_EQUALS;
    retval = need(line, "equals", "\"at most N\" or \"equals SWITCH ..\"");
    while (!retval && (!inv->n_stops || !is_clause(line))) {
        if (inv->n_stops == INVARIANT_FILE_MAX_STOPS) {
            return unexpected(line, "no more than 50 switches");
        }
        retval = read_stop(line, true);
    }
    return retval;
}

static int
read_reach(struct line *line)
{
    if (take(line, "within")) {
        line->inv.kind = INVARIANT_REACH_WITHIN;
    } else if (take(line, "every")) {
        line->inv.kind = INVARIANT_REACH_EVERY;
    } else {
        return unexpected(line, "\"within\" or \"every\"");
    }
    return read_span(line, &line->inv.span_ns);
}

static int
read_rule(struct line *line)
{
    static const char *const words[] = {"no",   "isolate", "waypoint",
                                        "path", "reach",   "group"};
    const struct invariant_token token = line->lexer.token;

    if (take(line, "no")) {
        return read_no(line);
    }
    if (take(line, "isolate")) {
        return read_isolate(line);
    }
    if (take(line, "waypoint")) {
        line->inv.kind = INVARIANT_WAYPOINT;
        return read_stop(line, false);
    }
    if (take(line, "path")) {
        return read_path(line);
    }
    if (take(line, "reach")) {
        return read_reach(line);
    }
    if (token.kind == INVARIANT_WORD) {
        char *text = lh_asprintf("%.*s", (int) token.len, token.text);
        struct nearest nearest = nearest_init(text);

        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            nearest_try(&nearest, words[i]);
        }
        free(text);
        if (nearest_name(&nearest)) {
            lh_error_set_at(line->error, (int) token.pos,
                            "there is no \"%.*s\"; is \"%s\" meant?",
                            (int) (token.len < 60 ? token.len : 60),
                            token.text, nearest_name(&nearest));
            return EINVAL;
        }
    }
    return unexpected(line, RULES);
}

/* --- what follows a rule ------------------------------------------------- */

static int
read_clause(struct line *line)
{
    struct invariant *inv = &line->inv;

    if (!line->has_from && take(line, "from")) {
        line->has_from = true;
        return read_set(line, &inv->from);
    }
    if (!line->has_to && take(line, "to")) {
        line->has_to = true;
        return read_set(line, &inv->to);
    }
    if (take(line, "matching")) {
        return read_bpf(line, &inv->matching);
    }
    if (take(line, "except")) {
        return read_bpf(line, &inv->except);
    }
    if (!inv->clear_ns && take(line, "clear")) {
        return read_span(line, &inv->clear_ns);
    }
    return unexpected(line, CLAUSES);
}

static int
fail_at(const struct line *line, size_t pos, const char *text)
{
    lh_error_set_at(line->error, (int) pos, "%s", text);
    return EINVAL;
}

/* What no part of the line can tell by itself. */
static int
check(const struct line *line, size_t pos)
{
    const struct invariant *inv = &line->inv;

    switch (inv->kind) {
    case INVARIANT_NO_TRAFFIC:
    case INVARIANT_REACH_WITHIN:
    case INVARIANT_REACH_EVERY:
    case INVARIANT_WAYPOINT:
    case INVARIANT_EQUALS:
        if (!line->has_from && !line->has_to) {
            return fail_at(line, pos,
                           "of whom? \"from ..\" or \"to ..\" is "
                           "missing (\"from any\" is everybody)");
        }
        break;
    case INVARIANT_NO_LOOPS:
    case INVARIANT_NO_BLACK_HOLES:
    case INVARIANT_NO_DROPS:
    case INVARIANT_NO_LOSSES:
    case INVARIANT_NO_PUNTS:
    case INVARIANT_ISOLATE:
    case INVARIANT_AT_MOST:
        break;
    }
    for (size_t i = 0; inv->kind == INVARIANT_REACH_WITHIN && i < inv->to.n;
         i++) {
        if (inv->to.members[i].kind == INVARIANT_PORT ||
            inv->to.members[i].kind == INVARIANT_SWITCH) {
            return fail_at(line, pos,
                           "a packet that does not arrive tells its address "
                           "only: \"to\" must name addresses, or \"reach "
                           "every\" be used");
        }
    }
    return 0;
}

/* --- lines --------------------------------------------------------------- */

static bool
is_name(const struct invariant_token *token)
{
    static const char others[] = "_-.";

    for (size_t i = 0; i < token->len; i++) {
        char c = token->text[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            !(c >= '0' && c <= '9') && (unsigned char) c < 0x80 &&
            !strchr(others, c)) {
            return false;
        }
    }
    return token->kind == INVARIANT_WORD && token->len && token->len <= 60;
}

static int
read_group(struct line *line)
{
    struct invariant_file *file = line->file;
    struct invariant_group group = {.line = line->inv.line};
    const struct invariant_token token = line->lexer.token;
    int retval = 0;

    if (!is_name(&token)) {
        return unexpected(line, "a name of letters, digits, \"_\", \"-\" "
                                "and \".\"");
    }
    group.name = lh_asprintf("%.*s", (int) token.len, token.text);
    for (size_t i = 0; i < file->n_groups && !retval; i++) {
        if (!strcmp(file->groups[i].name, group.name)) {
            lh_error_set_at(line->error, (int) token.pos,
                            "line %u has a group of this name",
                            file->groups[i].line);
            retval = EINVAL;
        }
    }
    invariant_lexer_next(&line->lexer);
    if (!retval && !invariant_lexer_is_mark(&line->lexer, '=')) {
        retval = unexpected(line, "\"=\"");
    }
    if (!retval && file->n_groups == INVARIANT_FILE_MAX_GROUPS) {
        retval = fail_at(line, token.pos, "more than 500 groups");
    }
    if (!retval) {
        invariant_lexer_next(&line->lexer);
        retval = read_set(line, &group.set);
    }
    if (!retval && line->lexer.token.kind != INVARIANT_END) {
        retval = unexpected(line, "\",\" or the end of the line");
    }
    if (retval) {
        invariant_set_uninit(&group.set);
        free(group.name);
        return retval;
    }
    file->groups =
        lh_alloc_grow(file->groups, file->n_groups, &file->allocated_groups,
                      sizeof *file->groups);
    file->groups[file->n_groups++] = group;
    return 0;
}

/* "NAME:", into inv.name, if it is there. */
static int
read_name(struct line *line)
{
    struct invariant_token token = line->lexer.token;

    if (token.kind != INVARIANT_WORD || token.len < 2 ||
        token.text[token.len - 1] != ':') {
        return 0;
    }
    token.len--;
    if (!is_name(&token)) {
        return unexpected(line, "a name of letters, digits, \"_\", \"-\" "
                                "and \".\" before the \":\"");
    }
    line->inv.name = lh_asprintf("%.*s", (int) token.len, token.text);
    invariant_lexer_next(&line->lexer);
    return 0;
}

static int
read_invariant(struct line *line)
{
    struct invariant_file *file = line->file;
    struct invariant *inv = &line->inv;
    size_t name_pos = line->lexer.token.pos, pos;
    int retval = read_name(line);

    pos = line->lexer.token.pos;
    retval = retval ? retval : read_rule(line);
    while (!retval && line->lexer.token.kind != INVARIANT_END) {
        retval = read_clause(line);
    }
    retval = retval ? retval : check(line, pos);
    if (retval) {
        return retval;
    }
    inv->text = lh_asprintf("%.*s", (int) (line->lexer.last_end - pos),
                            file->text + pos);
    inv->name = inv->name ? inv->name : lh_strdup(inv->text);
    for (size_t i = 0; i < file->n; i++) {
        if (!strcmp(file->invariants[i].name, inv->name)) {
            lh_error_set_at(line->error, (int) name_pos,
                            "line %u is called the same",
                            file->invariants[i].line);
            return EINVAL;
        }
    }
    if (file->n == INVARIANT_FILE_MAX) {
        return fail_at(line, name_pos, "more than 500 invariants");
    }
    retval = invariant_phf_make(inv, line->error);
    if (retval && line->error) {
        line->error->pos = (int) pos;
    }
    return retval;
}

int
invariant_line_take(struct invariant_file *file, size_t begin, size_t end,
                    unsigned int number, const struct app_names *names,
                    struct lh_error *error)
{
    struct line line = {.lexer = invariant_lexer_init(file->text, begin, end),
                        .file = file,
                        .names = names,
                        .error = error,
                        .inv = {.line = number}};
    int retval;

    if (line.lexer.token.kind == INVARIANT_END) {
        return 0;
    }
    if (take(&line, "group")) {
        return read_group(&line);
    }
    retval = read_invariant(&line);
    if (retval) {
        invariant_uninit(&line.inv);
        return retval;
    }
    file->invariants = lh_alloc_grow(
        file->invariants, file->n, &file->allocated, sizeof *file->invariants);
    file->invariants[file->n++] = line.inv;
    return 0;
}
