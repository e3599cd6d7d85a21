/* SPDX-License-Identifier: Apache-2.0 */
/* invariant_phf - the packet history filters of an invariant.
 *
 * Nearly all are ways: "^FIRST MIDDLE LAST$" for packets that met more than
 * one switch, or "^FIRST-AND-LAST$" for those that met only one. */
#include <config.h>
#include "apps/invariant_phf.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/pf_terms.h"
#include "lib/lh_alloc.h"
#include "lib/text_buf.h"
#include "phf/phf.h"

/* Bytes of the addresses in one BPF expression, which stand there twice. */
#define MAX_ADDRESSES 800

enum end { SOURCE, DESTINATION };

/* --- one hop ------------------------------------------------------------- */

/* Adds the expression of addresses that was put together, if any.  Without
 * "vlan", BPF does not see addresses behind a tag. */
static void
flush_addresses(struct pf_terms *terms, char *addresses, char *macs)
{
    char *text;

    if (*addresses) {
        text = lh_asprintf("--bpf \"%s%s%s or (vlan and (%s))\"", macs,
                           *macs ? " or " : "", addresses, addresses);
        pf_terms_add(terms, text);
        free(text);
    } else if (*macs) {
        text = lh_asprintf("--bpf \"%s\"", macs);
        pf_terms_add(terms, text);
        free(text);
    }
    *addresses = *macs = '\0';
}

/* Adds an address of the kind 'what', "host " or "net ", or "" for a MAC
 * address. */
static void
append(char text[MAX_ADDRESSES], const char *what, enum end end,
       const char *address)
{
    size_t len = strlen(text);
    struct text_buf buf = text_buf(text + len, MAX_ADDRESSES - len);

    text_buf_put(&buf, "%s", len ? " or " : "");
    text_buf_put(&buf, "%s%s %s%s", *what ? "" : "ether ",
                 end == SOURCE ? "src" : "dst", what, address);
}

static void
add_member(struct pf_terms *terms, const struct invariant_member *m,
           enum end end)
{
    char *text = NULL;

    switch (m->kind) {
    case INVARIANT_VLAN:
        text = lh_asprintf("--bpf \"vlan %s\"", m->text);
        break;
    case INVARIANT_PORT:
        text = lh_asprintf("--dpid %s --%s %s", m->text,
                           end == SOURCE ? "inport" : "outport", m->port);
        break;
    case INVARIANT_SWITCH:
        text = lh_asprintf("--dpid %s", m->text);
        break;
    case INVARIANT_HOST:
    case INVARIANT_NET:
    case INVARIANT_MAC:
        return;
    }
    pf_terms_add(terms, text);
    free(text);
}

/* The hop at which a packet comes from, or goes to, a member of 'set'. */
static struct pf_terms
at_set(const struct invariant_set *set, enum end end)
{
    char addresses[MAX_ADDRESSES] = "", macs[MAX_ADDRESSES] = "";
    struct pf_terms terms = {.n = 0};

    if (!set->n) {
        return pf_terms_of("");
    }
    for (size_t i = 0; i < set->n; i++) {
        const struct invariant_member *m = &set->members[i];
        size_t room = strlen(m->text) + sizeof " or ether src ";

        if (strlen(addresses) + room > MAX_ADDRESSES ||
            strlen(macs) + room > MAX_ADDRESSES) {
            flush_addresses(&terms, addresses, macs);
        }
        if (m->kind == INVARIANT_HOST) {
            append(addresses, "host ", end, m->text);
        } else if (m->kind == INVARIANT_NET) {
            append(addresses, "net ", end, m->text);
        } else if (m->kind == INVARIANT_MAC) {
            append(macs, "", end, m->text);
        }
    }
    flush_addresses(&terms, addresses, macs);
    for (size_t i = 0; i < set->n; i++) {
        add_member(&terms, &set->members[i], end);
    }
    return terms;
}

/* The first hop of packets from 'set' that the invariant is about. */
static struct pf_terms
at_first(const struct invariant *inv, const struct invariant_set *set)
{
    struct pf_terms terms = at_set(set, SOURCE);
    char *text;

    if (inv->matching) {
        text = lh_asprintf("--bpf \"%s\"", inv->matching);
        pf_terms_and_text(&terms, text);
        free(text);
    }
    if (inv->except) {
        text = lh_asprintf("--bpf not \"%s\"", inv->except);
        pf_terms_and_text(&terms, text);
        free(text);
    }
    return terms;
}

/* --- ways ---------------------------------------------------------------- */

struct way {
    struct pf_terms first, last; /* Owned. */
    struct pf_terms end;         /* How it ends, at any hop.  Owned. */
    const char *middle;          /* Between them. */
    bool is_open;                /* LAST may be followed by more. */
    bool has_single;             /* First and last may be one hop. */
};

static void
way_uninit(struct way *way)
{
    pf_terms_uninit(&way->first);
    pf_terms_uninit(&way->last);
    pf_terms_uninit(&way->end);
}

/* A way of any length. */
static struct way
way_init(const struct invariant *inv, const struct invariant_set *from,
         const struct invariant_set *to, const char *end)
{
    return (struct way){.first = at_first(inv, from),
                        .last = at_set(to, DESTINATION),
                        .end = pf_terms_of(end),
                        .middle = ".*",
                        .has_single = true};
}

/* Writes it, and '*is_too_many' when that was not possible. */
static void
way_put(const struct way *way, FILE *out, bool *is_too_many)
{
    struct pf_terms last = pf_terms_clone(&way->last);
    struct pf_terms single = pf_terms_clone(&way->first);
    const char *end = way->is_open ? "" : "$";
    bool is_simple = way->has_single && !strcmp(way->middle, ".*");

    pf_terms_and(&last, &way->end);
    pf_terms_and(&single, &last);
    if (is_simple && pf_terms_is_any(&way->first)) {
        pf_terms_put(&last, out);
        fputs(pf_terms_is_any(&way->last) ? "" : end, out);
    } else if (is_simple && pf_terms_is_any(&way->last) && !way->is_open) {
        fputc('^', out);
        pf_terms_put(&single, out);
    } else {
        fputc('^', out);
        pf_terms_put(&way->first, out);
        fputs(way->middle, out);
        pf_terms_put(&last, out);
        fputs(end, out);
        if (way->has_single) {
            fputs("|^", out);
            pf_terms_put(&single, out);
            fputs(end, out);
        }
    }
    *is_too_many |= single.is_too_many || last.is_too_many;
    pf_terms_uninit(&last);
    pf_terms_uninit(&single);
}

/* --- filters ------------------------------------------------------------- */

/* A filter that is written. */
struct draft {
    struct invariant *inv;
    char *text; /* Owned. */
    size_t len;
    FILE *out;
    bool is_too_many;
};

static void
draft_begin(struct draft *draft, struct invariant *inv)
{
    *draft = (struct draft){.inv = inv};
    draft->out = open_memstream(&draft->text, &draft->len);
    assert(draft->out);
}

static void
draft_put_way(struct draft *draft, struct way *way)
{
    way_put(way, draft->out, &draft->is_too_many);
    way_uninit(way);
}

/* Takes the filter that was written, about 'about' (taken). */
static int
draft_end(struct draft *draft, enum invariant_sign sign, char *about,
          struct lh_error *error)
{
    struct invariant *inv = draft->inv;
    struct phf *phf = NULL;
    int retval = 0;

    fclose(draft->out);
    if (draft->is_too_many) {
        lh_error_set(error, "so many ports, switches and VLANs on both sides "
                            "make too large a filter; more than one line can "
                            "say it");
        retval = EINVAL;
    } else if (phf_compile(draft->text, NULL, &phf, error)) {
        lh_error_prefix(error, "its filter is none");
        retval = EINVAL;
    }
    phf_destroy(phf);
    if (retval) {
        free(draft->text);
        free(about);
        return retval;
    }
    inv->filters =
        lh_alloc_grow(inv->filters, inv->n_filters, &inv->allocated_filters,
                      sizeof *inv->filters);
    inv->filters[inv->n_filters++] =
        (struct invariant_filter){sign, draft->text, about};
    return 0;
}

static char *
about_way(const char *what, const struct invariant_set *from,
          const struct invariant_set *to)
{
    return lh_asprintf("%s%s%s%s%s", what, from->text ? " from " : "",
                       from->text ? from->text : "", to->text ? " to " : "",
                       to->text ? to->text : "");
}

/* Packets of 'from' to 'to' that ended in one of the ways 'ends', which a NULL
 * ends. */
static int
make_ended(struct invariant *inv, const struct invariant_set *from,
           const struct invariant_set *to, const char *const *ends,
           enum invariant_sign sign, const char *what, struct lh_error *error)
{
    struct way way = way_init(inv, from, to, ends[0]);
    struct draft draft;

    for (size_t i = 1; ends[i]; i++) {
        pf_terms_add(&way.end, ends[i]);
    }
    draft_begin(&draft, inv);
    draft_put_way(&draft, &way);
    return draft_end(&draft, sign, about_way(what, from, to), error);
}

static const char *const delivered[] = {"--verdict delivered", NULL};

static int
make_punts(struct invariant *inv, struct lh_error *error)
{
    struct way way =
        way_init(inv, &inv->from, &inv->to, "--outport CONTROLLER");
    struct draft draft;

    way.is_open = true;
    draft_begin(&draft, inv);
    draft_put_way(&draft, &way);
    return draft_end(&draft, INVARIANT_VIOLATED,
                     about_way("sent to the controller", &inv->from, &inv->to),
                     error);
}

/* "--dpid not fw --dpid not ids", and "[^{{--dpid fw}}{{--dpid ids}}]". */
static void
not_at(const struct invariant_stop *stop, char **terms, char **class)
{
    size_t terms_len, class_len;
    FILE *t = open_memstream(terms, &terms_len);
    FILE *c = open_memstream(class, &class_len);

    assert(t && c);
    fputs("[^", c);
    for (size_t i = 0; i < stop->n; i++) {
        fprintf(t, "%s--dpid not %s", i ? " " : "", stop->switches[i]);
        fprintf(c, "{{--dpid %s}}", stop->switches[i]);
    }
    fputs("]", c);
    fclose(t);
    fclose(c);
}

static int
make_waypoint(struct invariant *inv, struct lh_error *error)
{
    struct way way =
        way_init(inv, &inv->from, &inv->to, "--verdict delivered");
    struct draft draft;
    char *terms, *class, *middle;

    not_at(&inv->stops[0], &terms, &class);
    middle = lh_asprintf("%s*", class);
    way.middle = middle;
    pf_terms_and_text(&way.first, terms);
    pf_terms_and_text(&way.last, terms);
    if (!inv->from.n && !inv->to.n && !inv->matching && !inv->except) {
        /* The same, shorter. */
        draft_begin(&draft, inv);
        fprintf(draft.out, "^%s*{{%s --verdict delivered}}$", class, terms);
        way_uninit(&way);
    } else {
        /* One hop: "not at" must not stand there twice. */
        struct way single =
            way_init(inv, &inv->from, &inv->to, "--verdict delivered");

        way.has_single = false;
        pf_terms_and(&single.first, &single.last);
        pf_terms_and_text(&single.first, terms);
        pf_terms_and(&single.first, &single.end);
        draft_begin(&draft, inv);
        draft_put_way(&draft, &way);
        fputs("|^", draft.out);
        pf_terms_put(&single.first, draft.out);
        fputc('$', draft.out);
        draft.is_too_many |= single.first.is_too_many;
        way_uninit(&single);
    }
    free(middle);
    free(terms);
    free(class);
    return draft_end(
        &draft, INVARIANT_VIOLATED,
        about_way("delivered past the waypoint", &inv->from, &inv->to), error);
}

static int
make_at_most(struct invariant *inv, struct lh_error *error)
{
    struct way way = way_init(inv, &inv->from, &inv->to, "");
    struct draft draft;
    char *middle = inv->max_hops > 1
                       ? lh_asprintf(".{%" PRIu64 ",}", inv->max_hops - 1)
                       : lh_strdup(".*");

    draft_begin(&draft, inv);
    if (pf_terms_is_any(&way.first) && pf_terms_is_any(&way.last)) {
        fprintf(draft.out, "^.{%" PRIu64 ",}", inv->max_hops + 1);
        way_uninit(&way);
    } else {
        way.middle = middle;
        way.has_single = false;
        draft_put_way(&draft, &way);
    }
    free(middle);
    return draft_end(&draft, INVARIANT_VIOLATED,
                     about_way("a longer path", &inv->from, &inv->to), error);
}

/* Adds a way of the length or shape of 'middle' to the draft. */
static void
add_other_path(struct draft *draft, const char *middle, const char *first,
               const char *last)
{
    const struct invariant *inv = draft->inv;
    struct way way =
        way_init(inv, &inv->from, &inv->to, "--verdict delivered");

    way.middle = middle;
    way.has_single = false;
    pf_terms_and_text(&way.first, first);
    pf_terms_and_text(&way.last, last);
    fflush(draft->out);
    if (draft->len) {
        fputc('|', draft->out);
    }
    draft_put_way(draft, &way);
}

/* Of a way of one hop only. */
static void
add_other_single(struct draft *draft, const char *terms)
{
    const struct invariant *inv = draft->inv;
    struct way way =
        way_init(inv, &inv->from, &inv->to, "--verdict delivered");

    pf_terms_and(&way.first, &way.last);
    pf_terms_and_text(&way.first, terms);
    pf_terms_and(&way.first, &way.end);
    fputs("|^", draft->out);
    pf_terms_put(&way.first, draft->out);
    fputc('$', draft->out);
    draft->is_too_many |= way.first.is_too_many;
    way_uninit(&way);
}

/* Any 'n' hops, for free(). */
static char *
any_hops(size_t n)
{
    return n > 1 ? lh_asprintf(".{%zu}", n) : lh_strdup(n ? "." : "");
}

/* As long, but elsewhere at stop 'i'. */
static void
add_elsewhere(struct draft *draft, size_t i)
{
    const struct invariant *inv = draft->inv;
    size_t n = inv->n_stops;
    char *terms, *class;

    not_at(&inv->stops[i], &terms, &class);
    if (n == 1) {
        add_other_single(draft, terms);
    } else if (i == 0 || i == n - 1) {
        char *middle = any_hops(n - 2);

        add_other_path(draft, middle, i ? "" : terms, i ? terms : "");
        free(middle);
    } else {
        char *before = any_hops(i - 1), *after = any_hops(n - 2 - i);
        char *middle = lh_asprintf("%s%s%s", before, class, after);

        add_other_path(draft, middle, "", "");
        free(before);
        free(after);
        free(middle);
    }
    free(terms);
    free(class);
}

/* Delivered by another path: a longer one, a shorter one, or one as long that
 * is elsewhere at some hop. */
static int
make_equals(struct invariant *inv, struct lh_error *error)
{
    struct draft draft;
    size_t n = inv->n_stops;
    char *middle = n > 1 ? lh_asprintf(".{%zu,}", n - 1) : lh_strdup(".*");

    draft_begin(&draft, inv);
    add_other_path(&draft, middle, "", "");
    free(middle);
    if (n > 2) {
        middle = n > 3 ? lh_asprintf(".{0,%zu}", n - 3) : lh_strdup("");
        add_other_path(&draft, middle, "", "");
        free(middle);
    }
    for (size_t i = 0; i < n; i++) {
        add_elsewhere(&draft, i);
    }
    if (n > 1) {
        add_other_single(&draft, "");
    }
    return draft_end(
        &draft, INVARIANT_VIOLATED,
        about_way("delivered by another path", &inv->from, &inv->to), error);
}

static int
make_reach(struct invariant *inv, struct lh_error *error)
{
    static const char *const failed[] = {"--verdict not delivered", NULL};
    int retval = make_ended(inv, &inv->from, &inv->to, delivered,
                            INVARIANT_REACHED, "delivered", error);

    if (!retval && inv->kind == INVARIANT_REACH_WITHIN) {
        retval = make_ended(inv, &inv->from, &inv->to, failed,
                            INVARIANT_FAILED, "not delivered", error);
    }
    return retval;
}

int
invariant_phf_make(struct invariant *inv, struct lh_error *error)
{
    static const char *const looped[] = {"--verdict looped", NULL};
    static const char *const dropped[] = {"--verdict dropped", NULL};
    static const char *const lost[] = {"--verdict lost", NULL};
    static const char *const both[] = {"--verdict dropped", "--verdict lost",
                                       NULL};
    const struct invariant_set *from = &inv->from, *to = &inv->to;
    int retval;

    switch (inv->kind) {
    case INVARIANT_NO_LOOPS:
        return make_ended(inv, from, to, looped, INVARIANT_VIOLATED, "looped",
                          error);
    case INVARIANT_NO_BLACK_HOLES:
        return make_ended(inv, from, to, both, INVARIANT_VIOLATED,
                          "dropped or lost", error);
    case INVARIANT_NO_DROPS:
        return make_ended(inv, from, to, dropped, INVARIANT_VIOLATED,
                          "dropped", error);
    case INVARIANT_NO_LOSSES:
        return make_ended(inv, from, to, lost, INVARIANT_VIOLATED, "lost",
                          error);
    case INVARIANT_NO_PUNTS:
        return make_punts(inv, error);
    case INVARIANT_NO_TRAFFIC:
        return make_ended(inv, from, to, delivered, INVARIANT_VIOLATED,
                          "delivered", error);
    case INVARIANT_ISOLATE:
        retval = make_ended(inv, from, to, delivered, INVARIANT_VIOLATED,
                            "delivered", error);
        return retval ? retval
                      : make_ended(inv, to, from, delivered,
                                   INVARIANT_VIOLATED, "delivered", error);
    case INVARIANT_WAYPOINT:
        return make_waypoint(inv, error);
    case INVARIANT_AT_MOST:
        return make_at_most(inv, error);
    case INVARIANT_EQUALS:
        return make_equals(inv, error);
    case INVARIANT_REACH_WITHIN:
    case INVARIANT_REACH_EVERY:
        return make_reach(inv, error);
    }
    assert(!"a kind of invariant without filters");
    return EINVAL;
}
