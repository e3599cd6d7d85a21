/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_compare - `diff N M`: where the ways of two packets part, and what was
 * changed there in between. */
#include <config.h>
#include "apps/ndb_compare.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "apps/app_rules.h"
#include "apps/app_view.h"
#include "apps/ndb_near.h"
#include "apps/ndb_print.h"
#include "lib/hdr.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/text_line.h"

/* Hops of each that are compared. */
#define MAX_HOPS 512
/* Changes in between that are shown. */
#define LIMIT 20

#define NO_HOP SIZE_MAX

/* A hop of one, of the other, or of both. */
struct pair {
    size_t a, b;                       /* NO_HOP: none. */
    bool versions, out_ports, headers; /* What differs, of both. */
};

struct comparison {
    struct ndb *ndb;
    const struct history *a, *b;
    size_t n;
    struct pair *pairs; /* Owned. */
    size_t parts;       /* The first pair that differs; n: none. */
};

/* --- arguments ----------------------------------------------------------- */

bool
ndb_compare_is(const struct ndb *ndb, const char *args, size_t *a, size_t *b)
{
    char *end;
    size_t numbers[2] = {ndb->current + 1, 0};
    size_t n = 0;

    while (n < 2 && isdigit((unsigned char) *args)) {
        numbers[n++] = strtoul(args, &end, 10);
        if (end - args > 6) {
            return false;
        }
        args = end + strspn(end, " \t");
    }
    *a = n == 1 ? ndb->current + 1 : numbers[0];
    *b = n == 1 ? numbers[0] : numbers[1];
    return n && !*args;
}

/* --- comparing ----------------------------------------------------------- */

static bool
has_same_numbers(const uint32_t *a, size_t n_a, const uint32_t *b, size_t n_b)
{
    return n_a == n_b && (!n_a || !memcmp(a, b, n_a * sizeof *a));
}

/* Whether the headers changed in another way: what each hop did. */
static bool
has_same_edits(const struct history_hop *a, const struct history_hop *b)
{
    char did_a[1024] = "", did_b[1024] = "";

    if (a->has_header_out && b->has_header_out) {
        hdr_format_diff(a->header, a->caplen, a->header_out, a->header_out_len,
                        did_a, sizeof did_a);
        hdr_format_diff(b->header, b->caplen, b->header_out, b->header_out_len,
                        did_b, sizeof did_b);
    }
    return !strcmp(did_a, did_b);
}

static struct pair
make_pair(const struct comparison *c, size_t a, size_t b)
{
    struct pair pair = {.a = a, .b = b};

    if (a != NO_HOP && b != NO_HOP) {
        const struct history_hop *x = &c->a->hops[a], *y = &c->b->hops[b];

        pair.versions = !has_same_numbers(x->versions, x->n_versions,
                                          y->versions, y->n_versions);
        pair.out_ports =
            !has_same_numbers(x->out_ports, x->n_out, y->out_ports, y->n_out);
        pair.headers = !has_same_edits(x, y);
    }
    return pair;
}

static bool
is_different(const struct pair *pair)
{
    return pair->a == NO_HOP || pair->b == NO_HOP || pair->versions ||
           pair->out_ports || pair->headers;
}

/* Puts hops at the same switch side by side, in a longest common order. */
static void
align(struct comparison *c)
{
    size_t n = c->a->n_hops < MAX_HOPS ? c->a->n_hops : MAX_HOPS;
    size_t m = c->b->n_hops < MAX_HOPS ? c->b->n_hops : MAX_HOPS;
    /* common[i][j]: of the hops from i and from j on. */
    uint16_t *common = lh_alloc_zero((n + 1) * (m + 1) * sizeof *common);
    size_t i, j;

    for (i = n; i-- > 0;) {
        for (j = m; j-- > 0;) {
            uint16_t down = common[(i + 1) * (m + 1) + j];
            uint16_t right = common[i * (m + 1) + j + 1];

            common[i * (m + 1) + j] =
                c->a->hops[i].dpid == c->b->hops[j].dpid
                    ? (uint16_t) (common[(i + 1) * (m + 1) + j + 1] + 1)
                : down > right ? down
                               : right;
        }
    }
    c->pairs = lh_alloc_array(NULL, n + m + 1, sizeof *c->pairs);
    for (i = j = 0; i < n || j < m;) {
        if (i < n && j < m && c->a->hops[i].dpid == c->b->hops[j].dpid) {
            c->pairs[c->n++] = make_pair(c, i++, j++);
        } else if (j == m || (i < n && common[(i + 1) * (m + 1) + j] >=
                                           common[i * (m + 1) + j + 1])) {
            c->pairs[c->n++] = make_pair(c, i++, NO_HOP);
        } else {
            c->pairs[c->n++] = make_pair(c, NO_HOP, j++);
        }
    }
    free(common);
    while (c->parts < c->n && !is_different(&c->pairs[c->parts])) {
        c->parts++;
    }
}

/* --- text ---------------------------------------------------------------- */

static void
put_hop(struct comparison *c, struct text_line *line, const struct history *h,
        size_t i, char sign)
{
    const struct history_hop *hop = &h->hops[i];
    char name[APP_NAMES_BUFSIZE], port[APP_NAMES_BUFSIZE];
    char *out = app_view_outputs(c->ndb->names, hop);
    char *versions = app_view_versions(hop);

    text_line_put(line,
                  sign == '-'   ? TEXT_RED
                  : sign == '+' ? TEXT_GREEN
                                : TEXT_PLAIN,
                  "%c #%zu %s  %s > %s%s%s", sign, i,
                  app_names_switch(c->ndb->names, hop->dpid, name),
                  app_names_port(c->ndb->names, hop->dpid, hop->in_port, port),
                  out, *versions ? "  v" : "", versions);
    text_line_end(line);
    free(versions);
    free(out);
}

/* The rules that hop 'i' met, and what they did to the packet. */
static void
put_rules(struct text_line *line, const struct history *h, size_t i,
          struct app_rules *rules)
{
    const struct history_hop *hop = &h->hops[i];
    char text[1024];

    for (size_t j = 0; j < hop->n_versions; j++) {
        const char *rule = app_rules_text(rules, hop->dpid, hop->versions[j]);

        text_line_put(line, TEXT_DIM, "      v%" PRIu32 ": %s",
                      hop->versions[j], rule ? rule : "not known");
        text_line_end(line);
    }
    if (hop->has_header_out &&
        hdr_format_diff(hop->header, hop->caplen, hop->header_out,
                        hop->header_out_len, text, sizeof text)) {
        text_line_put(line, TEXT_YELLOW, "      %s", text);
        text_line_end(line);
    }
}

static void
put_verdicts(struct comparison *c, struct text_line *line)
{
    char *a = app_view_verdict(c->ndb->names, &c->a->verdict);
    char *b = app_view_verdict(c->ndb->names, &c->b->verdict);

    if (!strcmp(a, b)) {
        text_line_put(line, TEXT_PLAIN, "  => %s", a);
    } else {
        text_line_put(line, TEXT_RED, "- => %s", a);
        text_line_end(line);
        text_line_put(line, TEXT_GREEN, "+ => %s", b);
    }
    text_line_end(line);
    free(a);
    free(b);
}

/* What differs between the packets as they came into the network. */
static void
put_packets(struct comparison *c, struct text_line *line)
{
    const struct history_hop *a = &c->a->hops[0], *b = &c->b->hops[0];
    char text[1024];

    if (a->caplen && b->caplen &&
        hdr_format_diff(a->header, a->caplen, b->header, b->caplen, text,
                        sizeof text)) {
        text_line_put(line, TEXT_BLUE, "  the packets: %s", text);
        text_line_end(line);
    }
}

/* What was changed in between at the switch where the ways part. */
static void
print_changes(struct comparison *c, struct text_line *line)
{
    const struct pair *pair = &c->pairs[c->parts];
    uint64_t a_ns = history_first_ns(c->a), b_ns = history_first_ns(c->b);
    uint64_t from_ns = a_ns < b_ns ? a_ns : b_ns;
    uint64_t to_ns = a_ns < b_ns ? b_ns : a_ns;
    char name[APP_NAMES_BUFSIZE];
    struct lh_error error;
    json_t *changes;
    uint64_t dpid;
    bool is_cut;

    if (!from_ns) {
        return;
    }
    /* Where a hop is of one only, the hop before sent them apart. */
    if ((pair->a == NO_HOP || pair->b == NO_HOP) && c->parts) {
        pair--;
    }
    dpid = pair->a != NO_HOP ? c->a->hops[pair->a].dpid
                             : c->b->hops[pair->b].dpid;
    app_names_switch(c->ndb->names, dpid, name);
    if (ndb_near_changes(c->ndb, dpid, from_ns, from_ns, to_ns, LIMIT,
                         &changes, &is_cut, &error)) {
        fprintf(stderr, "%s: changes are not known: %s\n", c->ndb->where,
                error.text);
        return;
    }
    text_line_put(line, TEXT_BOLD, "%s %s between the two%s", name,
                  json_array_size(changes) ? "was changed" : "was not changed",
                  json_array_size(changes) ? ", after the first came in:"
                                           : "");
    text_line_end(line);
    ndb_near_print(c->ndb, changes, from_ns);
    if (is_cut) {
        fputs("   (and more)\n", c->ndb->out);
    }
    json_decref(changes);
}

static void
print(struct comparison *c, size_t a, size_t b)
{
    struct text_line line = {
        .stream = c->ndb->out, .color = c->ndb->color, .width = c->ndb->width};
    struct app_rules *rules = app_rules_create(c->ndb->source);

    ndb_print_summary(c->ndb, a - 1);
    ndb_print_summary(c->ndb, b - 1);
    put_packets(c, &line);
    for (size_t i = 0; i < c->n; i++) {
        const struct pair *pair = &c->pairs[i];

        if (!is_different(pair)) {
            put_hop(c, &line, c->a, pair->a, ' ');
            continue;
        }
        if (pair->a != NO_HOP) {
            put_hop(c, &line, c->a, pair->a, '-');
            put_rules(&line, c->a, pair->a, rules);
        }
        if (pair->b != NO_HOP) {
            put_hop(c, &line, c->b, pair->b, '+');
            put_rules(&line, c->b, pair->b, rules);
        }
    }
    put_verdicts(c, &line);
    if (c->parts < c->n) {
        print_changes(c, &line);
    } else {
        fputs("both went the same way\n", c->ndb->out);
    }
    if (app_rules_error(rules)) {
        fflush(c->ndb->out);
        fprintf(stderr, "%s: rules are not known: %s\n", c->ndb->where,
                app_rules_error(rules)->text);
    }
    app_rules_destroy(rules);
    text_line_uninit(&line);
}

/* --- JSON ---------------------------------------------------------------- */

static json_t *
hop_number(size_t i)
{
    return i == NO_HOP ? json_null() : json_integer((json_int_t) i);
}

static void
print_json(struct comparison *c)
{
    json_t *hops = json_array();

    for (size_t i = 0; i < c->n; i++) {
        const struct pair *pair = &c->pairs[i];
        json_t *differs = json_array();

        if (pair->versions) {
            json_array_append_new(differs, json_string("versions"));
        }
        if (pair->out_ports) {
            json_array_append_new(differs, json_string("out_ports"));
        }
        if (pair->headers) {
            json_array_append_new(differs, json_string("edits"));
        }
        json_array_append_new(
            hops, json_pack("{s:o, s:o, s:o}", "a", hop_number(pair->a), "b",
                            hop_number(pair->b), "differs", differs));
    }
    ndb_print_json(c->ndb,
                   json_pack("{s:o, s:o, s:o, s:b}", "a",
                             history_to_json(c->a, c->ndb->topology), "b",
                             history_to_json(c->b, c->ndb->topology), "hops",
                             hops, "same", c->parts == c->n));
}

enum ndb_status
ndb_compare(struct ndb *ndb, size_t a, size_t b)
{
    struct comparison c = {.ndb = ndb};
    struct lh_error error;

    if (!a || !b || a > ndb->n_found || b > ndb->n_found) {
        lh_error_set(
            &error, "there are %zu histories to compare: %s", ndb->n_found,
            ndb->n_found ? "give two of their numbers" : "find some first");
        return ndb_fail(ndb, &error, NULL);
    }
    c.a = ndb->found[a - 1];
    c.b = ndb->found[b - 1];
    if (!c.a->n_hops || !c.b->n_hops) {
        lh_error_set(&error, "a history without hops cannot be compared");
        return ndb_fail(ndb, &error, NULL);
    }
    align(&c);
    if (ndb->app->is_json) {
        print_json(&c);
    } else {
        print(&c, a, b);
    }
    free(c.pairs);
    return NDB_OK;
}
