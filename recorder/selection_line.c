/* SPDX-License-Identifier: Apache-2.0 */
/* selection_line - one selection, from its line of text. */
#include <config.h>
#include "recorder/selection_line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/packet_id.h"
#include "recorder/instr.h"
#include "recorder/of_match.h"

#define BLANKS " \t\r\v\f"

void
selection_line_destroy(struct selection *s)
{
    if (s) {
        for (size_t i = 0; i < s->n_bridges; i++) {
            free(s->bridges[i]);
        }
        free(s->bridges);
        of_match_destroy(s->match);
        free(s->name);
        free(s->text);
        free(s);
    }
}

/* A number of 'base' that is all of 'text', at most 'max'. */
static bool
read_number(const char *text, int base, uint64_t max, uint64_t *value)
{
    char *end;

    if (*text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    *value = strtoull(text, &end, base);
    return !*end && !errno && *value <= max;
}

/* The next item of a list with commas, cut out of '*list'; NULL at its end. */
static char *
next_item(char **list)
{
    char *item = *list;
    char *comma;

    if (!item) {
        return NULL;
    }
    comma = strchr(item, ',');
    if (comma) {
        *comma++ = '\0';
    }
    *list = comma;
    return item;
}

static char *
take_bridges(struct selection *s, char *value)
{
    char *item;

    while ((item = next_item(&value))) {
        if (!*item) {
            return lh_strdup("a name is empty");
        }
        s->bridges =
            lh_alloc_array(s->bridges, s->n_bridges + 1, sizeof *s->bridges);
        s->bridges[s->n_bridges++] = lh_strdup(item);
    }
    return NULL;
}

static char *
take_tables(struct selection *s, char *value)
{
    char *item;

    s->has_tables = true;
    while ((item = next_item(&value))) {
        uint64_t first, last;
        char *dash = strchr(item, '-');

        if (dash) {
            *dash++ = '\0';
        }
        if (!read_number(item, 10, 253, &first) ||
            !read_number(dash ? dash : item, 10, 253, &last) || last < first) {
            return lh_strdup("must be tables from 0 to 253, such as 0-3,7");
        }
        for (uint64_t t = first; t <= last; t++) {
            s->tables[t / 64] |= UINT64_C(1) << t % 64;
        }
    }
    return NULL;
}

static char *
take_cookie(struct selection *s, char *value)
{
    char *mask = strchr(value, '/');

    if (mask) {
        *mask++ = '\0';
    }
    s->cookie_mask = UINT64_MAX;
    if (!read_number(value, 0, UINT64_MAX, &s->cookie) ||
        (mask && !read_number(mask, 0, UINT64_MAX, &s->cookie_mask))) {
        return lh_strdup("must be VALUE or VALUE/MASK, such as 0x10/0xf0");
    }
    if (s->cookie & ~s->cookie_mask) {
        return lh_strdup("the value has bits outside of the mask");
    }
    return NULL;
}

static char *
take_u16(uint16_t *to, uint64_t min, uint64_t max, const char *value)
{
    uint64_t number;

    if (!read_number(value, 10, max, &number) || number < min) {
        return lh_asprintf("must be a number from %llu to %llu",
                           (unsigned long long) min, (unsigned long long) max);
    }
    *to = (uint16_t) number;
    return NULL;
}

static char *
take_match(struct selection *s, char *value)
{
    return of_match_from_text(&s->match, value);
}

static char *
take_encap(struct selection *s, const char *value)
{
    s->encapsulation = !strcmp(value, "geneve") ? INSTR_GENEVE : INSTR_MAC;
    return s->encapsulation == INSTR_GENEVE || !strcmp(value, "mac")
               ? NULL
               : lh_strdup("must be geneve or mac");
}

enum term {
    TERM_BRIDGE,
    TERM_TABLE,
    TERM_COOKIE,
    TERM_MATCH,
    TERM_PRIORITY,
    TERM_SNAP_LEN,
    TERM_ENCAP,
    N_TERMS
};
static const char *const term_names[N_TERMS] = {
    "bridge", "table", "cookie", "match", "priority", "snap-len", "encap"};

/* NULL, or why 'value' is none for the term; for free(). */
static char *
take_term(struct selection *s, enum term term, char *value)
{
    switch (term) {
    case TERM_BRIDGE:
        return take_bridges(s, value);
    case TERM_TABLE:
        return take_tables(s, value);
    case TERM_COOKIE:
        return take_cookie(s, value);
    case TERM_MATCH:
        return take_match(s, value);
    case TERM_PRIORITY:
        return take_u16(&s->priority, 0, UINT16_MAX, value);
    case TERM_SNAP_LEN:
        return take_u16(&s->snap_len, PACKET_ID_BYTES + PACKET_ID_OVERHEAD,
                        SELECTION_MAX_SNAP_LEN, value);
    case TERM_ENCAP:
        return take_encap(s, value);
    case N_TERMS:
        break;
    }
    return NULL;
}

/* Takes "key=value" at 'ofs' of the line. */
static int
read_term(struct selection *s, char *word, int ofs, unsigned int *seen,
          struct lh_error *error)
{
    char *value = strchr(word, '=');
    size_t len = value ? (size_t) (value - word) : strlen(word);
    unsigned int term = 0;
    char *reason;

    while (term < N_TERMS && (strlen(term_names[term]) != len ||
                              strncmp(word, term_names[term], len))) {
        term++;
    }
    if (term == N_TERMS) {
        lh_error_set_at(error, ofs,
                        "\"%.*s\" is no term; there are bridge=, table=, "
                        "cookie=, match=, priority=, snap-len= and "
                        "encap=",
                        (int) (len < 40 ? len : 40), word);
        return EINVAL;
    }
    if (!value || !value[1]) {
        lh_error_set_at(error, ofs, "%s needs a value: %s=..",
                        term_names[term], term_names[term]);
        return EINVAL;
    }
    if (*seen & 1u << term) {
        lh_error_set_at(error, ofs, "%s was given before", term_names[term]);
        return EINVAL;
    }
    *seen |= 1u << term;
    reason = take_term(s, term, value + 1);
    if (reason) {
        lh_error_set_at(error, ofs + (int) len + 1, "%s: %s", term_names[term],
                        reason);
        free(reason);
        return EINVAL;
    }
    return 0;
}

static bool
is_name(const char *word)
{
    size_t len = strspn(word, "abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    return len && len <= SELECTION_MAX_NAME && !word[len];
}

static int
read_word(struct selection *s, unsigned int n, char *word, int ofs,
          unsigned int *seen, struct lh_error *error)
{
    if (n == 0) {
        s->is_exclude = !strcmp(word, "exclude");
        if (!s->is_exclude && strcmp(word, "include")) {
            lh_error_set_at(error, ofs,
                            "a selection begins with include or exclude");
            return EINVAL;
        }
        return 0;
    }
    if (n == 1) {
        if (!is_name(word)) {
            lh_error_set_at(error, ofs,
                            "after %s comes a name of letters, digits, "
                            "\".\", \"_\" and \"-\"",
                            s->is_exclude ? "exclude" : "include");
            return EINVAL;
        }
        s->name = lh_strdup(word);
        return 0;
    }
    return read_term(s, word, ofs, seen, error);
}

/* Adds 'word' to the text of 's'. */
static void
keep_word(struct selection *s, const char *word)
{
    char *text =
        s->text ? lh_asprintf("%s %s", s->text, word) : lh_strdup(word);

    free(s->text);
    s->text = text;
}

int
selection_line_read(char *line, struct selection **sp, struct lh_error *error)
{
    struct selection *s = lh_alloc_zero(sizeof *s);
    unsigned int n = 0, seen = 0;
    char *p = line;

    *sp = NULL;
    s->priority = SELECTION_PRIORITY;
    s->encapsulation = -1;
    line[strcspn(line, "#")] = '\0';
    for (p += strspn(p, BLANKS); *p; n++) {
        size_t len = strcspn(p, BLANKS);
        char *next = p + len + strspn(p + len, BLANKS);
        int retval;

        p[len] = '\0';
        keep_word(s, p);
        retval = read_word(s, n, p, (int) (p - line), &seen, error);
        if (retval) {
            selection_line_destroy(s);
            return retval;
        }
        p = next;
    }
    if (n == 1) {
        lh_error_set_at(error, (int) (p - line), "a name is missing");
        selection_line_destroy(s);
        return EINVAL;
    }
    if (!n) {
        selection_line_destroy(s);
        s = NULL;
    }
    *sp = s;
    return 0;
}
