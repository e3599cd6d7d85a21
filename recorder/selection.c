/* SPDX-License-Identifier: Apache-2.0 */
/* selection - which rules emit postcards. */
#include <config.h>
#include "recorder/selection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dpid.h"
#include "lib/lh_alloc.h"
#include "recorder/of_match.h"
#include "recorder/selection_line.h"

struct selection_list {
    struct selection **selections; /* Owned. */
    size_t n, allocated;
    bool has_include;
};

struct selection_list *
selection_list_create(void)
{
    return lh_alloc_zero(sizeof(struct selection_list));
}

void
selection_list_destroy(struct selection_list *list)
{
    if (list) {
        for (size_t i = 0; i < list->n; i++) {
            selection_line_destroy(list->selections[i]);
        }
        free(list->selections);
        free(list);
    }
}

/* --- The list. --- */

/* The place of 'name', or the end. */
static size_t
find(const struct selection_list *list, const char *name)
{
    size_t i = 0;

    while (i < list->n && strcmp(list->selections[i]->name, name)) {
        i++;
    }
    return i;
}

static void
update(struct selection_list *list)
{
    list->has_include = false;
    for (size_t i = 0; i < list->n; i++) {
        list->has_include |= !list->selections[i]->is_exclude;
    }
}

/* Takes 's' on success. */
static int
insert(struct selection_list *list, struct selection *s, size_t at,
       struct lh_error *error)
{
    if (find(list, s->name) < list->n) {
        lh_error_set_at(error, 0, "there is a selection \"%s\" already",
                        s->name);
        return EEXIST;
    }
    if (list->n >= SELECTION_MAX) {
        lh_error_set_at(error, 0, "more than %d selections", SELECTION_MAX);
        return E2BIG;
    }
    list->selections = lh_alloc_grow(
        list->selections, list->n, &list->allocated, sizeof *list->selections);
    memmove(&list->selections[at + 1], &list->selections[at],
            (list->n - at) * sizeof *list->selections);
    list->selections[at] = s;
    list->n++;
    update(list);
    return 0;
}

static int
add_line(struct selection_list *list, const char *text, size_t len, size_t at,
         bool may_be_empty, struct lh_error *error)
{
    struct selection *s = NULL;
    char *line;
    int retval;

    if (len > SELECTION_MAX_LINE || memchr(text, '\0', len)) {
        lh_error_set_at(error, 0, "longer than %d bytes", SELECTION_MAX_LINE);
        return EINVAL;
    }
    line = lh_asprintf("%.*s", (int) len, text);
    retval = selection_line_read(line, &s, error);
    free(line);
    if (!retval && s) {
        retval = insert(list, s, at, error);
    } else if (!retval && !may_be_empty) {
        lh_error_set_at(error, 0, "there is no selection in it");
        retval = EINVAL;
    }
    if (retval) {
        selection_line_destroy(s);
    }
    return retval;
}

int
selection_list_parse(const char *text, struct selection_list **listp,
                     struct lh_error *error)
{
    struct selection_list *list = selection_list_create();
    const char *line = text;
    unsigned int n = 1;

    *listp = NULL;
    while (*line) {
        size_t len = strcspn(line, "\n");
        int retval = add_line(list, line, len, list->n, true, error);

        if (retval) {
            if (error) {
                int column = error->pos;

                lh_error_prefix(error, "line %u, column %d", n, column + 1);
                error->pos = (int) (line - text) + column;
            }
            selection_list_destroy(list);
            return retval;
        }
        line += len + (line[len] == '\n');
        n++;
    }
    *listp = list;
    return 0;
}

int
selection_list_add(struct selection_list *list, const char *line,
                   const char *before, struct lh_error *error)
{
    size_t at = before ? find(list, before) : list->n;
    int retval;

    if (before && at == list->n) {
        lh_error_set(error, "there is no selection \"%s\"", before);
        return ENOENT;
    }
    if (strchr(line, '\n')) {
        lh_error_set_at(error, (int) strcspn(line, "\n"),
                        "one selection is one line");
        return EINVAL;
    }
    retval = add_line(list, line, strlen(line), at, false, error);
    if (retval && error) {
        lh_error_prefix(error, "column %d", error->pos + 1);
    }
    return retval;
}

int
selection_list_delete(struct selection_list *list, const char *name,
                      struct lh_error *error)
{
    size_t at = find(list, name);

    if (at == list->n) {
        lh_error_set(error, "there is no selection \"%s\"", name);
        return ENOENT;
    }
    selection_line_destroy(list->selections[at]);
    list->n--;
    memmove(&list->selections[at], &list->selections[at + 1],
            (list->n - at) * sizeof *list->selections);
    update(list);
    return 0;
}

void
selection_list_swap(struct selection_list *a, struct selection_list *b)
{
    struct selection_list c = *a;

    *a = *b;
    *b = c;
}

size_t
selection_list_count(const struct selection_list *list)
{
    return list->n;
}

const struct selection *
selection_list_get(const struct selection_list *list, size_t i)
{
    return list->selections[i];
}

char *
selection_list_to_text(const struct selection_list *list)
{
    size_t len = 0;
    char *text, *p;

    for (size_t i = 0; i < list->n; i++) {
        len += strlen(list->selections[i]->text) + 1;
    }
    p = text = lh_alloc(len + 1);
    for (size_t i = 0; i < list->n; i++) {
        p = stpcpy(p, list->selections[i]->text);
        *p++ = '\n';
    }
    *p = '\0';
    return text;
}

/* --- Asking. --- */

static bool
fits_bridge(const struct selection *s, uint64_t dpid, const char *name)
{
    for (size_t i = 0; i < s->n_bridges; i++) {
        uint64_t number;

        if ((name && !strcmp(name, s->bridges[i])) ||
            (dpid_from_string(s->bridges[i], &number) && number == dpid)) {
            return true;
        }
    }
    return !s->n_bridges;
}

static bool
fits_match(const struct selection *s, const struct of_match *match)
{
    if (!s->match) {
        return true;
    }
    if (!match) {
        return !s->is_exclude || of_match_is_all(s->match);
    }
    return s->is_exclude ? of_match_covers(s->match, match)
                         : of_match_overlaps(s->match, match);
}

static bool
fits(const struct selection *s, const struct selection_subject *subject)
{
    uint8_t table = subject->table_id;

    if (!fits_bridge(s, subject->dpid, subject->bridge)) {
        return false;
    }
    if (subject->is_packet_out) {
        return !s->has_tables && !s->cookie_mask && !s->match;
    }
    return (!s->has_tables || s->tables[table / 64] >> table % 64 & 1) &&
           !((subject->cookie ^ s->cookie) & s->cookie_mask) &&
           fits_match(s, subject->match);
}

struct selection_answer
selection_list_ask(const struct selection_list *list,
                   const struct selection_subject *subject)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct selection *s = list->selections[i];

        if (fits(s, subject)) {
            return (struct selection_answer){.is_selected = !s->is_exclude,
                                             .priority = s->priority,
                                             .snap_len = s->snap_len,
                                             .encapsulation = s->encapsulation,
                                             .by = s};
        }
    }
    return (struct selection_answer){.is_selected = !list->has_include,
                                     .priority = SELECTION_PRIORITY,
                                     .encapsulation = -1};
}

bool
selection_list_may_select(const struct selection_list *list, uint64_t dpid,
                          const char *bridge, uint32_t above)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct selection *s = list->selections[i];

        if (!fits_bridge(s, dpid, bridge)) {
            continue;
        }
        if (s->is_exclude && !s->has_tables && !s->cookie_mask && !s->match) {
            return false;
        }
        if (!s->is_exclude && s->priority >= above) {
            return true;
        }
    }
    return !list->has_include && SELECTION_PRIORITY >= above;
}

int
selection_list_next_priority(const struct selection_list *list, uint64_t dpid,
                             const char *bridge, int above)
{
    int lowest = -1;

    for (size_t i = 0; i < list->n; i++) {
        const struct selection *s = list->selections[i];

        if (!s->is_exclude && s->priority >= above &&
            (lowest < 0 || s->priority < lowest) &&
            fits_bridge(s, dpid, bridge)) {
            lowest = s->priority;
        }
    }
    if (!list->has_include && SELECTION_PRIORITY >= above) {
        lowest = SELECTION_PRIORITY;
    }
    return lowest;
}
