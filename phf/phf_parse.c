/* SPDX-License-Identifier: Apache-2.0 */
/* phf_parse - reads a whole filter: the expression around the braces. */
#include <config.h>
#include "phf/phf_parse.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "phf/pf_parse.h"
#include "phf/phf.h"
#include "phf/scan.h"

#define NO_JUMP (-1)
/* Groups that can be referred to, \1 to \9; later ones only group. */
#define MAX_GROUPS 9

/* An open parenthesis (or the whole filter): alternatives being read. */
struct group {
    size_t pos;          /* Of the parenthesis in the text. */
    size_t begin;        /* Its code. */
    size_t branch_begin; /* Code of the alternative being read. */
    size_t branch_pos;   /* Where that alternative begins in the text. */
    int32_t jumps;       /* Jumps to its end: the last one, whose y is the one
                          * before, ...; or NO_JUMP. */
    int number;          /* Of a capturing group, or 0. */
    bool branch_is_empty;
};

struct parser {
    struct scan scan;
    const struct topology *topology;
    struct program *program;
    struct predicates *predicates;
    size_t n_groups; /* Open ones; the whole filter is groups[0]. */
    struct group groups[PHF_MAX_NESTING + 1];
    bool has_references;   /* Maybe: without, groups need no code. */
    int n_captures;        /* Groups begun that can be referred to. */
    unsigned int captured; /* Bit n: group n has been closed. */
};

static int fail_at(struct parser *, size_t pos, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int
fail_at(struct parser *parser, size_t pos, const char *format, ...)
{
    char text[sizeof parser->scan.error->text];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    lh_error_set_at(parser->scan.error, (int) pos, "%s", text);
    return EINVAL;
}

static struct group *
current(struct parser *parser)
{
    return &parser->groups[parser->n_groups - 1];
}

static void
begin_branch(struct parser *parser)
{
    struct group *group = current(parser);

    group->branch_begin = parser->program->n;
    group->branch_pos = parser->scan.pos;
    group->branch_is_empty = true;
}

static void
begin_group(struct parser *parser, size_t pos, int number)
{
    struct group *group = &parser->groups[parser->n_groups++];

    group->pos = pos;
    group->begin = parser->program->n;
    group->jumps = NO_JUMP;
    group->number = number;
    if (number && parser->has_references) {
        program_append(parser->program, PROGRAM_OPEN, number, 0);
    }
    begin_branch(parser);
}

/* Whether the alternative that ends here holds anything. */
static int
check_branch(struct parser *parser)
{
    struct group *group = current(parser);

    if (!group->branch_is_empty) {
        return 0;
    }
    return fail_at(parser, parser->scan.pos,
                   "nothing stands here to be matched (\"?\" after something "
                   "makes it optional, \".*\" is any number of hops)");
}

/* At '|'. */
static int
end_branch(struct parser *parser)
{
    struct group *group = current(parser);
    struct program *program = parser->program;
    int retval = check_branch(parser);

    if (retval) {
        return retval;
    }
    parser->scan.pos++;
    /* The new alternative begins after the SPLIT and the JUMP. */
    program_insert(program, group->branch_begin, PROGRAM_SPLIT, 1,
                   (int32_t) (program->n - group->branch_begin) + 2);
    program_append(program, PROGRAM_JUMP, 0, group->jumps);
    group->jumps = (int32_t) program->n - 1;
    begin_branch(parser);
    return 0;
}

/* Ends the innermost group: all its alternatives lead here. */
static int
end_group(struct parser *parser)
{
    struct group *group = current(parser);
    struct program *program = parser->program;
    int32_t jump = group->jumps;
    int retval = check_branch(parser);

    if (retval) {
        return retval;
    }
    while (jump != NO_JUMP && !program_is_full(program)) {
        struct program_instr *instr = &program->instrs[jump];
        int32_t next = instr->y;

        instr->x = (int32_t) program->n - jump;
        instr->y = 0;
        jump = next;
    }
    if (group->number && parser->has_references) {
        program_append(program, PROGRAM_CLOSE, group->number, 0);
    }
    if (group->number) {
        parser->captured |= 1u << group->number;
    }
    parser->n_groups--;
    return 0;
}

/* --- atoms --------------------------------------------------------------- */

static int
open_group(struct parser *parser)
{
    size_t pos = parser->scan.pos;
    int number = 0;

    if (parser->n_groups > PHF_MAX_NESTING) {
        return fail_at(parser, pos, "parentheses are nested deeper than %d",
                       PHF_MAX_NESTING);
    }
    if (!scan_accept(&parser->scan, "(?:")) {
        parser->scan.pos++;
        if (parser->n_captures < MAX_GROUPS) {
            number = ++parser->n_captures;
        }
    }
    current(parser)->branch_is_empty = false;
    begin_group(parser, pos, number);
    return 0;
}

static void
append_hop(struct parser *parser, uint32_t *filters, size_t n, bool is_negated)
{
    uint32_t id = predicates_add(parser->predicates, filters, n, is_negated);

    program_append(parser->program, PROGRAM_HOP, (int32_t) id, 0);
}

static int
postcard_filter(struct parser *parser)
{
    uint32_t filter;
    int retval =
        pf_parse(&parser->scan, parser->topology, parser->predicates, &filter);

    if (!retval) {
        append_hop(parser, &filter, 1, false);
    }
    return retval;
}

/* "[{{..}} {{..}}]" and "[^{{..}}]". */
static int
bracket(struct parser *parser)
{
    struct scan *scan = &parser->scan;
    size_t begin = scan->pos;
    size_t n = 0, allocated = 0;
    uint32_t *filters = NULL;
    bool is_negated;
    int retval = 0;

    scan->pos++;
    is_negated = scan_accept(scan, "^");
    scan_skip_blanks(scan);
    while (!retval && scan_is_at(scan, "{{")) {
        filters = lh_alloc_grow(filters, n, &allocated, sizeof *filters);
        retval = pf_parse(scan, parser->topology, parser->predicates,
                          &filters[n++]);
        scan_skip_blanks(scan);
    }
    if (!retval && scan_at_end(scan)) {
        retval = fail_at(parser, begin, "this bracket is never closed by ]");
    } else if (!retval && (!n || !scan_accept(scan, "]"))) {
        retval = fail_at(parser, scan->pos,
                         "in brackets stand only postcard filters, such as "
                         "[{{--dpid 1}}{{--dpid 2}}]");
    }
    if (!retval) {
        append_hop(parser, filters, n, is_negated);
    }
    free(filters);
    return retval;
}

static int
back_reference(struct parser *parser)
{
    size_t pos = parser->scan.pos;
    char digit = scan_peek(&parser->scan, 1);

    if (digit < '1' || digit > '9') {
        return fail_at(parser, pos,
                       "after a backslash stands the number of a group, 1 to "
                       "9");
    }
    if (!(parser->captured & 1u << (digit - '0'))) {
        return fail_at(parser, pos, "no group %c ends before this place",
                       digit);
    }
    parser->scan.pos += 2;
    program_append(parser->program, PROGRAM_BACKREF, digit - '0', 0);
    return 0;
}

/* What stands here and begins no atom. */
static int
no_atom(struct parser *parser, char c)
{
    size_t pos = parser->scan.pos;

    if (strchr("*+?{", c)) {
        return fail_at(parser, pos, "nothing stands before \"%c\" to repeat",
                       c);
    }
    if (c == '}' || c == ']') {
        return fail_at(parser, pos, "\"%c\" closes nothing here", c);
    }
    if (scan_is_at(&parser->scan, "--")) {
        return fail_at(parser, pos,
                       "terms stand in double braces: {{--dpid 1}}");
    }
    return fail_at(parser, pos,
                   "expected a hop: \".\", {{..}}, [..], (..), ^, $ or \\1%s",
                   c >= 'a' && c <= 'z'
                       ? "; {{--bpf \"udp port 53\"}} asks for packets, "
                         "{{--dpid s1}} for a switch"
                       : "");
}

/* --- quantifiers --------------------------------------------------------- */

/* "{m}", "{m,}" or "{m,n}". */
static int
count(struct parser *parser, unsigned int *min, unsigned int *max)
{
    struct scan *scan = &parser->scan;
    size_t begin = scan->pos;

    scan->pos++;
    if (!scan_number(scan, PHF_MAX_COUNT, min)) {
        goto bad;
    }
    *max = *min;
    if (scan_accept(scan, ",")) {
        *max = PROGRAM_UNBOUNDED;
        if (scan_peek(scan, 0) != '}' &&
            !scan_number(scan, PHF_MAX_COUNT, max)) {
            goto bad;
        }
    }
    if (!scan_accept(scan, "}")) {
        goto bad;
    }
    if (*max < *min) {
        return fail_at(parser, begin, "{%u,%u}: the second number is smaller",
                       *min, *max);
    }
    return 0;

bad:
    if (scan_peek(scan, 0) >= '0' && scan_peek(scan, 0) <= '9') {
        return fail_at(parser, scan->pos, "counts go to %d", PHF_MAX_COUNT);
    }
    return fail_at(parser, begin,
                   "a count is {m}, {m,} or {m,n} with numbers m and n");
}

/* Applies the quantifier that stands here, if any, to the code that begins at
 * 'begin'. */
static int
quantifier(struct parser *parser, size_t begin)
{
    struct scan *scan = &parser->scan;
    unsigned int min, max = PROGRAM_UNBOUNDED;
    size_t pos;
    int retval = 0;

    scan_skip_blanks(scan);
    pos = scan->pos;
    if (scan_accept(scan, "*")) {
        min = 0;
    } else if (scan_accept(scan, "+")) {
        min = 1;
    } else if (scan_accept(scan, "?")) {
        min = 0;
        max = 1;
    } else if (scan_peek(scan, 0) == '{' && scan_peek(scan, 1) != '{') {
        retval = count(parser, &min, &max);
    } else {
        return 0;
    }
    if (retval) {
        return retval;
    }
    scan_skip_blanks(scan);
    scan_accept(scan, "?"); /* Lazy: which match is found is not asked. */
    program_repeat(parser->program, begin, min, max);
    if (program_is_full(parser->program)) {
        return fail_at(parser, pos,
                       "with this written out the filter has more than %d "
                       "states",
                       PHF_MAX_STATES);
    }
    return 0;
}

/* --- the whole ----------------------------------------------------------- */

/* Reads one atom, or one parenthesis, at the byte 'c'. */
static int
atom(struct parser *parser, char c)
{
    struct program *program = parser->program;
    size_t begin = program->n;
    int retval = 0;

    if (scan_is_at(&parser->scan, "{{")) {
        retval = postcard_filter(parser);
    } else if (c == '[') {
        retval = bracket(parser);
    } else if (c == '\\') {
        retval = back_reference(parser);
    } else if (c == '.' || c == '^' || c == '$') {
        parser->scan.pos++;
        program_append(program,
                       c == '.'   ? PROGRAM_HOP
                       : c == '^' ? PROGRAM_START
                                  : PROGRAM_END,
                       PREDICATE_ANY, 0);
    } else {
        return no_atom(parser, c);
    }
    current(parser)->branch_is_empty = false;
    return retval ? retval : quantifier(parser, begin);
}

static int
close_group(struct parser *parser)
{
    size_t begin = current(parser)->begin;
    int retval;

    if (parser->n_groups == 1) {
        return fail_at(parser, parser->scan.pos, "\")\" closes nothing here");
    }
    retval = end_group(parser);
    if (!retval) {
        parser->scan.pos++;
        retval = quantifier(parser, begin);
    }
    return retval;
}

static int
parse(struct parser *parser)
{
    struct scan *scan = &parser->scan;
    int retval = 0;

    begin_group(parser, 0, 0);
    for (scan_skip_blanks(scan); !retval && !scan_at_end(scan);
         scan_skip_blanks(scan)) {
        size_t pos = scan->pos;
        char c = scan_peek(scan, 0);

        if (c == '(') {
            retval = open_group(parser);
        } else if (c == ')') {
            retval = close_group(parser);
        } else if (c == '|') {
            retval = end_branch(parser);
        } else {
            retval = atom(parser, c);
        }
        if (!retval && program_is_full(parser->program)) {
            retval = fail_at(parser, pos,
                             "from here on the filter has more than %d states",
                             PHF_MAX_STATES);
        }
    }
    if (!retval && parser->n_groups > 1) {
        retval = fail_at(parser, current(parser)->pos,
                         "this parenthesis is never closed by )");
    }
    if (!retval && current(parser)->branch_is_empty &&
        current(parser)->jumps == NO_JUMP) {
        retval = fail_at(parser, 0,
                         "the filter is empty; \".*\" matches every history");
    }
    return retval ? retval : end_group(parser);
}

int
phf_parse(const char *text, const struct topology *topology,
          struct program *program, struct predicates *predicates,
          struct lh_error *error)
{
    struct parser *parser = lh_alloc_zero(sizeof *parser);
    size_t len = strlen(text);
    int retval;

    scan_init(&parser->scan, text, len, error);
    parser->topology = topology;
    parser->program = program;
    parser->predicates = predicates;
    parser->has_references = strchr(text, '\\') != NULL;
    if (len > PHF_MAX_TEXT) {
        retval = fail_at(parser, PHF_MAX_TEXT, "a filter has at most %d bytes",
                         PHF_MAX_TEXT);
    } else {
        retval = parse(parser);
    }
    if (!retval) {
        program_append(program, PROGRAM_MATCH, 0, 0);
        if (program_is_full(program)) {
            retval = fail_at(parser, 0, "the filter has more than %d states",
                             PHF_MAX_STATES);
        }
    }
    free(parser);
    return retval;
}
