/* SPDX-License-Identifier: Apache-2.0 */
/* pf_parse - reads one postcard filter, "{{--dpid 1 --outport not 2}}". */
#include <config.h>
#include "phf/pf_parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dpid.h"
#include "lib/lh_alloc.h"
#include "lib/name_miss.h"
#include "lib/nearest.h"
#include "lib/of_port.h"
#include "phf/phf.h"

/* The longest name of a switch or port. */
#define MAX_NAME 255

static int
fail_at(struct scan *scan, size_t pos, const char *message)
{
    lh_error_set_at(scan->error, (int) pos, "%s", message);
    return EINVAL;
}

/* --- numbers ------------------------------------------------------------- */

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char) (c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum number { NO_NUMBER, NUMBER, TOO_LARGE };

/* A decimal number or, with 0x, a hexadecimal one, up to 'max'. */
static enum number
parse_number(const struct scan_word *word, uint64_t max, uint64_t *value)
{
    bool is_hex =
        word->len > 2 && word->s[0] == '0' && (word->s[1] | 0x20) == 'x';
    unsigned int base = is_hex ? 16 : 10;
    bool is_too_large = false;
    uint64_t v = 0;

    for (size_t i = is_hex ? 2 : 0; i < word->len; i++) {
        int digit = hex_digit(word->s[i]);

        if (digit < 0 || (unsigned int) digit >= base) {
            return NO_NUMBER;
        }
        if (v > (max - (unsigned int) digit) / base) {
            is_too_large = true;
        } else {
            v = v * base + (unsigned int) digit;
        }
    }
    *value = v;
    return is_too_large ? TOO_LARGE : NUMBER;
}

/* --- names --------------------------------------------------------------- */

static int
take_name(struct scan *scan, const struct scan_word *word, struct term *term)
{
    if (word->len > MAX_NAME) {
        return fail_at(scan, word->pos, "a name has at most 255 bytes");
    }
    term->name = lh_alloc_zero(word->len + 1);
    memcpy(term->name, word->s, word->len);
    return 0;
}

/* Replaces the name by 'value'. */
static void
set_value(struct term *term, uint64_t value)
{
    free(term->name);
    term->name = NULL;
    term->value = value;
}

static bool
has_port_name(const struct topology *topology, const char *name)
{
    for (size_t i = 0; i < topology_n_switches(topology); i++) {
        uint32_t port;

        if (topology_port_by_name(topology,
                                  topology_switch_at(topology, i)->dpid, name,
                                  &port)) {
            return true;
        }
    }
    return false;
}

/* The name of a port of any switch that is nearest to 'name', or NULL. */
static const char *
nearest_port(const struct topology *topology, const char *name)
{
    struct nearest nearest = nearest_init(name);

    for (size_t i = 0; i < topology_n_switches(topology); i++) {
        const struct topology_switch *sw = topology_switch_at(topology, i);

        for (size_t j = 0; j < sw->n_ports; j++) {
            nearest_try(&nearest, sw->ports[j].name);
        }
    }
    return nearest_name(&nearest);
}

/* Says that no switch is called 'name', and what they are called. */
static int
unknown_switch(struct scan *scan, size_t pos, const char *name,
               const struct topology *topology)
{
    struct name_miss miss = name_miss_init(name);

    name_miss_try_switches(&miss, topology);
    name_miss_set(&miss, "switch", scan->error);
    if (scan->error) {
        scan->error->pos = (int) pos;
    }
    return EINVAL;
}

/* --- values -------------------------------------------------------------- */

static int
parse_switch(struct scan *scan, const struct scan_word *word,
             const struct topology *topology, struct term *term)
{
    uint64_t value;
    int retval = take_name(scan, word, term);

    if (retval) {
        return retval;
    }
    if (!word->is_quoted) {
        if (dpid_from_string(term->name, &value)) {
            set_value(term, value);
            return 0;
        }
        if (parse_number(word, UINT64_MAX, &value) == TOO_LARGE) {
            return fail_at(scan, word->pos, "a dpid has 64 bits");
        }
    }
    if (topology && !topology_find_name(topology, term->name)) {
        return unknown_switch(scan, word->pos, term->name, topology);
    }
    return 0;
}

static int
parse_port(struct scan *scan, const struct scan_word *word,
           const struct topology *topology, struct term *term)
{
    int retval = take_name(scan, word, term);
    uint64_t value;
    uint32_t port;

    if (retval) {
        return retval;
    }
    if (!word->is_quoted) {
        switch (parse_number(word, 0xffff, &value)) {
        case NUMBER:
            set_value(term, value);
            return 0;
        case TOO_LARGE:
            return fail_at(scan, word->pos, "ports are 0 to 65535");
        case NO_NUMBER:
            break;
        }
        if (of_port_from_string(term->name, &port)) {
            set_value(term, port);
            return 0;
        }
    }
    if (topology && !has_port_name(topology, term->name)) {
        const char *near = nearest_port(topology, term->name);

        lh_error_set_at(scan->error, (int) word->pos,
                        "no port is called \"%s\" (nor is it one of DROP, "
                        "CONTROLLER, FLOOD, ALL, LOCAL, IN_PORT, "
                        "NORMAL)%s%s%s",
                        term->name, near ? "; is \"" : "", near ? near : "",
                        near ? "\" meant?" : "");
        return EINVAL;
    }
    return 0;
}

static int
parse_version(struct scan *scan, const struct scan_word *word,
              const struct topology *topology, struct term *term)
{
    switch (parse_number(word, UINT32_MAX, &term->value)) {
    case NUMBER:
        return 0;
    case TOO_LARGE:
        return fail_at(scan, word->pos, "versions are 0 to 4294967295");
    case NO_NUMBER:
        break;
    }
    return fail_at(scan, word->pos, "a version is a number");
}

static int
parse_verdict(struct scan *scan, const struct scan_word *word,
              const struct topology *topology, struct term *term)
{
    enum verdict_name verdict;
    char name[16];

    if (word->len < sizeof name) {
        memcpy(name, word->s, word->len);
        name[word->len] = '\0';
        if (verdict_name_from_string(name, &verdict) &&
            verdict != VERDICT_NONE) {
            term->value = verdict;
            return 0;
        }
    }
    return fail_at(scan, word->pos,
                   "verdicts are delivered, dropped, lost, looped, controller "
                   "and open");
}

/* The end of a bare expression: "}}", or "--" after a blank. */
static void
bare_expression(struct scan *scan, struct scan_word *word)
{
    size_t begin = scan->pos, end = scan->pos;

    while (!scan_at_end(scan) && !scan_is_at(scan, "}}") &&
           !(end < scan->pos && scan_is_at(scan, "--"))) {
        if (!scan_is_blank(scan_peek(scan, 0))) {
            end = scan->pos + 1;
        }
        scan->pos++;
    }
    word->s = scan->text + begin;
    word->len = end - begin;
    word->pos = begin;
    word->is_quoted = false;
    scan->pos = end;
}

static int
parse_bpf(struct scan *scan, const struct scan_word *first, struct term *term)
{
    struct scan_word word = *first;
    struct lh_error reason;
    int retval;

    if (!word.is_quoted) {
        scan->pos = word.pos;
        bare_expression(scan, &word);
    }
    if (word.len > PHF_MAX_BPF) {
        return fail_at(scan, word.pos,
                       "a BPF expression has at most 2048 bytes");
    }
    retval = bpf_test_create(word.s, word.len, term->is_negated, &term->bpf,
                             &reason);
    if (retval == EINVAL) {
        lh_error_set_at(scan->error,
                        (int) word.pos + (reason.pos > 0 ? reason.pos : 0),
                        "%s", reason.text);
    }
    return retval;
}

/* --- terms --------------------------------------------------------------- */

struct option {
    const char *name;
    enum term_kind kind;
    const char *value; /* What is expected after it. */
    int (*parse)(struct scan *, const struct scan_word *,
                 const struct topology *, struct term *); /* NULL: BPF. */
};

static const struct option options[] = {
    {"bpf", TERM_BPF, "a BPF expression", NULL},
    {"dpid", TERM_DPID, "a switch (a dpid or a name)", parse_switch},
    {"inport", TERM_IN_PORT, "a port (a number or a name)", parse_port},
    {"outport", TERM_OUT_PORT, "a port (a number or a name)", parse_port},
    {"version", TERM_VERSION, "a version", parse_version},
    {"verdict", TERM_VERDICT, "a verdict", parse_verdict},
};

static const struct option *
parse_option(struct scan *scan)
{
    size_t begin = scan->pos;
    size_t len = 0;

    if (!scan_accept(scan, "--")) {
        fail_at(scan, begin, "expected a term, such as --dpid 1, or }}");
        return NULL;
    }
    while (scan_peek(scan, len) >= 'a' && scan_peek(scan, len) <= 'z') {
        len++;
    }
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strlen(options[i].name) == len &&
            !memcmp(options[i].name, scan->text + scan->pos, len)) {
            scan->pos += len;
            return &options[i];
        }
    }
    fail_at(scan, begin,
            "no such term; there are --bpf, --dpid, --inport, --outport, "
            "--version and --verdict");
    return NULL;
}

/* Reads "--option [not] value". */
static int
parse_term(struct scan *scan, const struct topology *topology,
           struct term *term)
{
    const struct option *option = parse_option(scan);
    struct scan_word word;
    int retval;

    memset(term, 0, sizeof *term);
    if (!option) {
        return EINVAL;
    }
    if (!scan_is_blank(scan_peek(scan, 0)) && scan_peek(scan, 0) != '"' &&
        scan_peek(scan, 0) != '\'' && !scan_is_at(scan, "}}")) {
        return fail_at(scan, scan->pos, "expected a blank before the value");
    }
    term->kind = option->kind;
    retval = scan_value(scan, option->value, &word);
    if (!retval && scan_word_is(&word, "not")) {
        term->is_negated = true;
        retval = scan_value(scan, option->value, &word);
    }
    if (retval) {
        return retval;
    }
    return option->parse ? option->parse(scan, &word, topology, term)
                         : parse_bpf(scan, &word, term);
}

/* Reads one term, adds it, and skips to what follows. */
static int
add_term(struct scan *scan, const struct topology *topology,
         struct predicates *predicates, uint32_t *idp)
{
    struct term term;
    size_t end;
    int retval = parse_term(scan, topology, &term);

    if (retval) {
        term_uninit(&term);
        return retval;
    }
    *idp = predicates_add_term(predicates, &term);
    end = scan->pos;
    scan_skip_blanks(scan);
    if (end == scan->pos && !scan_at_end(scan) && !scan_is_at(scan, "}}")) {
        return fail_at(scan, end, "expected a blank after the value");
    }
    return 0;
}

int
pf_parse(struct scan *scan, const struct topology *topology,
         struct predicates *predicates, uint32_t *idp)
{
    static const char unclosed[] = "these braces are never closed by }}";
    size_t begin = scan->pos;
    size_t n = 0, allocated = 0;
    uint32_t *ids = NULL;
    int retval = 0;

    scan_accept(scan, "{{");
    if (!memmem(scan->text + scan->pos, scan->len - scan->pos, "}}", 2)) {
        return fail_at(scan, begin, unclosed);
    }
    scan_skip_blanks(scan);
    while (!retval && !scan_at_end(scan) && !scan_is_at(scan, "}}")) {
        ids = lh_alloc_grow(ids, n, &allocated, sizeof *ids);
        retval = add_term(scan, topology, predicates, &ids[n++]);
    }
    if (!retval && !scan_accept(scan, "}}")) {
        retval = fail_at(scan, begin, unclosed);
    }
    if (!retval && !n) {
        retval = fail_at(scan, begin,
                         "no term between the braces; any hop is \".\"");
    }
    if (!retval) {
        *idp = predicates_add_filter(predicates, ids, n);
    }
    free(ids);
    return retval;
}
