/* SPDX-License-Identifier: Apache-2.0 */
/* naive - a second matcher, slow and plain, to hold phf_match() against. */
#include <config.h>
#include "tests/phf/naive.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/history.h"
#include "lib/of_port.h"
#include "phf/phf_set.h"

#define MAX_NODES  40
#define MAX_DEPTH  5
#define MAX_HOPS   7
#define MAX_GROUPS 3
#define UNSET      255

/* --- choices, from bytes ------------------------------------------------- */

struct choices {
    const uint8_t *data;
    size_t size, pos;
};

/* A number below 'n'; 0 when the bytes have run out. */
static unsigned int
choose(struct choices *c, unsigned int n)
{
    return c->pos < c->size ? c->data[c->pos++] % n : 0;
}

/* --- expressions --------------------------------------------------------- */

enum kind {
    ANY,
    ONE,
    ANY_OF,
    NONE_OF,
    CAT,
    ALT,
    REPEAT,
    GROUP,
    START,
    END,
    REF
};

#define UNBOUNDED 255

struct node {
    enum kind kind;
    unsigned int a, b;     /* ONE, ANY_OF, NONE_OF: tests; REF, GROUP: number,
                            * 0 if none. */
    unsigned int min, max; /* REPEAT. */
    struct node *left, *right;
};

struct expression {
    struct node nodes[MAX_NODES];
    size_t n_nodes;
    unsigned int n_groups, n_closed;
    struct choices *choices;
};

static const char *const tests[] = {
    "--dpid 1",
    "--dpid 2",
    "--dpid not 1",
    "--inport 1",
    "--inport not 1",
    "--outport DROP",
    "--outport 2",
    "--outport not 2",
    "--version 7",
    "--version not 7",
    "--verdict lost",
    "--verdict not lost",
    "--dpid 3 --inport not 2",
};
#define N_TESTS (sizeof tests / sizeof *tests)

static bool
has_out(const struct history_hop *hop, uint32_t port)
{
    for (size_t i = 0; i < hop->n_out; i++) {
        if (hop->out_ports[i] == port) {
            return true;
        }
    }
    for (size_t i = 0; i < hop->n_branches; i++) {
        if (hop->branches[i] == port) {
            return true;
        }
    }
    return false;
}

static bool
holds(unsigned int test, const struct history_hop *hop, enum verdict_name v)
{
    bool in_known = hop->in_port != OF_PORT_UNKNOWN;
    bool out_known = !has_out(hop, OF_PORT_UNKNOWN);
    bool has_7 = false;

    for (size_t i = 0; i < hop->n_versions; i++) {
        has_7 = has_7 || hop->versions[i] == 7;
    }
    switch (test) {
    case 0:
        return hop->dpid == 1;
    case 1:
        return hop->dpid == 2;
    case 2:
        return hop->dpid != 1;
    case 3:
        return hop->in_port == 1;
    case 4:
        return in_known && hop->in_port != 1;
    case 5:
        return hop->n_out == 0;
    case 6:
        return has_out(hop, 2);
    case 7:
        return out_known && !has_out(hop, 2);
    case 8:
        return has_7;
    case 9:
        return hop->n_versions && !has_7;
    case 10:
        return v == VERDICT_LOST;
    case 11:
        return v != VERDICT_NONE && v != VERDICT_LOST;
    default:
        return hop->dpid == 3 && in_known && hop->in_port != 2;
    }
}

static struct node *
new_node(struct expression *e, enum kind kind)
{
    struct node *node = &e->nodes[e->n_nodes++];

    memset(node, 0, sizeof *node);
    node->kind = kind;
    return node;
}

static struct node *
make_leaf(struct expression *e)
{
    static const enum kind kinds[] = {ONE,    ONE,     ONE,   ANY, ANY,
                                      ANY_OF, NONE_OF, START, END, REF};
    enum kind kind = kinds[choose(e->choices, 10)];
    struct node *node;

    if (kind == REF && !e->n_closed) {
        kind = ANY;
    }
    node = new_node(e, kind);
    node->a = choose(e->choices, kind == REF ? e->n_closed : N_TESTS);
    node->b = choose(e->choices, N_TESTS);
    return node;
}

/* Groups are numbered by their opening, and may be referred to when closed.
 * To keep that simple the numbers referred to are those closed so far, which
 * are the first ones only outside of nested groups; so groups do not nest. */
static struct node *
make(struct expression *e, unsigned int depth, bool in_group)
{
    struct node *node;

    if (depth == 0 || e->n_nodes + 2 * MAX_DEPTH > MAX_NODES) {
        return make_leaf(e);
    }
    switch (choose(e->choices, 6)) {
    case 0:
        return make_leaf(e);
    case 1:
    case 2:
        node = new_node(e, CAT);
        node->left = make(e, depth - 1, in_group);
        node->right = make(e, depth - 1, in_group);
        return node;
    case 3:
        node = new_node(e, ALT);
        node->left = make(e, depth - 1, in_group);
        node->right = make(e, depth - 1, in_group);
        return node;
    case 4:
        node = new_node(e, REPEAT);
        node->min = choose(e->choices, 3);
        node->max = choose(e->choices, 2) ? node->min + choose(e->choices, 3)
                                          : UNBOUNDED;
        node->left = make(e, depth - 1, in_group);
        return node;
    default:
        node = new_node(e, GROUP);
        if (!in_group && e->n_groups < MAX_GROUPS) {
            node->a = ++e->n_groups;
        }
        node->left = make(e, depth - 1, in_group || node->a);
        if (node->a) {
            e->n_closed = node->a;
        }
        return node;
    }
}

static void
print(const struct node *node, FILE *out)
{
    switch (node->kind) {
    case ANY:
        fputs(".", out);
        break;
    case ONE:
        fprintf(out, "{{%s}}", tests[node->a]);
        break;
    case ANY_OF:
    case NONE_OF:
        fprintf(out, "[%s{{%s}}{{%s}}]", node->kind == NONE_OF ? "^" : "",
                tests[node->a], tests[node->b]);
        break;
    case CAT:
    case ALT:
        fputs("(?:", out);
        print(node->left, out);
        fputs(node->kind == ALT ? "|" : "", out);
        print(node->right, out);
        fputs(")", out);
        break;
    case REPEAT:
        fputs("(?:", out);
        print(node->left, out);
        if (node->max == UNBOUNDED) {
            fprintf(out, "){%u,}", node->min);
        } else {
            fprintf(out, "){%u,%u}", node->min, node->max);
        }
        break;
    case GROUP:
        fputs(node->a ? "(" : "(?:", out);
        print(node->left, out);
        fputs(")", out);
        break;
    case START:
        fputs("^", out);
        break;
    case END:
        fputs("$", out);
        break;
    case REF:
        fprintf(out, "\\%u", node->a + 1);
        break;
    }
}

/* --- matching ------------------------------------------------------------ */

struct place {
    uint8_t pos;
    uint8_t begin[MAX_GROUPS], end[MAX_GROUPS];
};

struct places {
    size_t n, allocated;
    struct place *list;
};

struct path {
    size_t n;
    const struct history_hop *hops[MAX_HOPS];
    enum verdict_name verdict;
};

static bool
add(struct places *set, const struct place *place)
{
    for (size_t i = 0; i < set->n; i++) {
        if (!memcmp(&set->list[i], place, sizeof *place)) {
            return false;
        }
    }
    if (set->n == set->allocated) {
        set->allocated = 2 * set->allocated + 8;
        set->list = realloc(set->list, set->allocated * sizeof *set->list);
        if (!set->list) {
            abort();
        }
    }
    set->list[set->n++] = *place;
    return true;
}

static struct places go(const struct node *, const struct path *,
                        struct place);

/* Where 'node' leads from any of 'from'. */
static struct places
go_all(const struct node *node, const struct path *path,
       const struct places *from)
{
    struct places to = {0, 0, NULL};

    for (size_t i = 0; i < from->n; i++) {
        struct places some = go(node, path, from->list[i]);

        for (size_t j = 0; j < some.n; j++) {
            add(&to, &some.list[j]);
        }
        free(some.list);
    }
    return to;
}

static void
go_repeat(const struct node *node, const struct path *path,
          const struct place *from, struct places *to)
{
    struct places now = {0, 0, NULL}, next;
    unsigned int i = 0;
    bool is_new = true;

    add(&now, from);
    for (; i < node->min; i++) {
        next = go_all(node->left, path, &now);
        free(now.list);
        now = next;
    }
    while (is_new) {
        is_new = false;
        for (size_t j = 0; j < now.n; j++) {
            is_new |= add(to, &now.list[j]);
        }
        if (i++ >= node->max && node->max != UNBOUNDED) {
            break;
        }
        next = go_all(node->left, path, &now);
        free(now.list);
        now = next;
    }
    free(now.list);
}

static void
go_ref(const struct node *node, const struct path *path, struct place place,
       struct places *to)
{
    unsigned int begin = place.begin[node->a], end = place.end[node->a];

    if (end == UNSET) {
        return;
    }
    for (; begin < end; begin++, place.pos++) {
        if (place.pos == path->n ||
            path->hops[place.pos]->dpid != path->hops[begin]->dpid) {
            return;
        }
    }
    add(to, &place);
}

static bool
hop_is(const struct node *node, const struct history_hop *hop,
       enum verdict_name v)
{
    bool a = holds(node->a, hop, v), b = holds(node->b, hop, v);

    return node->kind == ONE       ? a
           : node->kind == ANY_OF  ? a || b
           : node->kind == NONE_OF ? !a && !b
                                   : true;
}

static struct places
go(const struct node *node, const struct path *path, struct place place)
{
    struct places to = {0, 0, NULL}, some;

    switch (node->kind) {
    case ANY:
    case ONE:
    case ANY_OF:
    case NONE_OF:
        if (place.pos < path->n &&
            hop_is(node, path->hops[place.pos], path->verdict)) {
            place.pos++;
            add(&to, &place);
        }
        break;
    case CAT:
        some = go(node->left, path, place);
        to = go_all(node->right, path, &some);
        free(some.list);
        break;
    case ALT:
        to = go(node->left, path, place);
        some = go(node->right, path, place);
        for (size_t i = 0; i < some.n; i++) {
            add(&to, &some.list[i]);
        }
        free(some.list);
        break;
    case REPEAT:
        go_repeat(node, path, &place, &to);
        break;
    case GROUP:
        some = go(node->left, path, place);
        for (size_t i = 0; i < some.n; i++) {
            if (node->a) {
                some.list[i].begin[node->a - 1] = place.pos;
                some.list[i].end[node->a - 1] = some.list[i].pos;
            }
            add(&to, &some.list[i]);
        }
        free(some.list);
        break;
    case START:
    case END:
        if (place.pos == (node->kind == START ? 0 : path->n)) {
            add(&to, &place);
        }
        break;
    case REF:
        go_ref(node, path, place, &to);
        break;
    }
    return to;
}

static bool
path_matches(const struct node *node, const struct path *path)
{
    struct place place;
    bool is_match = false;

    memset(&place, UNSET, sizeof place);
    for (place.pos = 0; place.pos <= path->n && !is_match; place.pos++) {
        struct places to = go(node, path, place);

        is_match = to.n > 0;
        free(to.list);
    }
    return is_match;
}

static bool
naive_match(const struct node *node, const struct history *h)
{
    struct path path = {.n = 0};

    if (!h->n_hops) {
        return path_matches(node, &path);
    }
    for (size_t leaf = 0; leaf < h->n_hops; leaf++) {
        if (!history_is_leaf(h, leaf) &&
            h->hops[leaf].verdict.name == VERDICT_NONE) {
            continue;
        }
        path.n = 0;
        for (int i = (int) leaf; i >= 0; i = h->hops[i].parent) {
            path.n++;
        }
        for (int i = (int) leaf, n = (int) path.n; i >= 0;
             i = h->hops[i].parent) {
            path.hops[--n] = &h->hops[i];
        }
        path.verdict = h->hops[leaf].verdict.name;
        if (path_matches(node, &path)) {
            return true;
        }
    }
    return false;
}

/* --- histories ----------------------------------------------------------- */

/* A parent for the next hop: the last one, or one on the way to it, or none.
 */
static int
choose_parent(struct choices *c, const struct history *h)
{
    int parent = (int) h->n_hops - 1;

    for (unsigned int up = choose(c, 8); up > 4 && parent >= 0; up--) {
        parent = h->hops[parent].parent;
    }
    return parent;
}

static struct history *
make_history(struct choices *c)
{
    struct history *h = history_create(1);
    unsigned int n = choose(c, MAX_HOPS + 1);

    for (unsigned int i = 0; i < n; i++) {
        int parent = choose_parent(c, h);
        struct history_hop *hop = history_add_hop(h);
        unsigned int bits = choose(c, 256);

        hop->parent = parent;
        hop->dpid = 1 + choose(c, 4);
        if (bits & 1) {
            hop->in_port = 1 + (bits >> 1 & 1);
        }
        for (unsigned int k = 0; k < (bits >> 2 & 3); k++) {
            uint32_t port = choose(c, 5);

            history_hop_add_out(hop, port == 4 ? OF_PORT_UNKNOWN : port);
        }
        if (hop->n_out && bits & 16) {
            history_hop_add_branch(hop, choose(c, 4));
        }
        for (unsigned int k = 0; k < (bits >> 5 & 1); k++) {
            history_hop_add_version(hop, 6 + choose(c, 3));
        }
    }
    for (size_t i = 0; i < h->n_hops; i++) {
        if (history_is_leaf(h, i) || choose(c, 8) == 7) {
            h->hops[i].verdict.name =
                (enum verdict_name) choose(c, VERDICT_LOOPED + 1);
        }
    }
    return h;
}

/* --- both ---------------------------------------------------------------- */

static void
count_hit(void *aux, uint32_t id, void *filter_aux, enum phf_result result)
{
    int *n_matches = aux;

    *n_matches += result == PHF_MATCH;
}

/* How many of two filters, the given one and one besides, a set finds. */
static int
set_matches(struct phf *phf, const struct history *h)
{
    struct phf_set *set = phf_set_create();
    struct phf *other;
    int n_matches = 0;

    if (phf_compile("[{{--dpid 1}}{{--inport not 1}}]{{--verdict lost}}", NULL,
                    &other, NULL)) {
        abort();
    }
    n_matches -= phf_match(other, h, NULL) == PHF_MATCH;
    phf_set_add(set, other, NULL);
    phf_set_add(set, phf, NULL);
    phf_set_match(set, h, NULL, count_hit, &n_matches);
    phf_set_destroy(set);
    return n_matches;
}

enum phf_result
naive_check(const uint8_t *data, size_t size)
{
    struct choices choices = {data, size, 0};
    struct history *h = make_history(&choices);
    struct expression e = {.choices = &choices};
    const struct node *root = make(&e, MAX_DEPTH, false);
    struct lh_error error;
    enum phf_result result;
    struct phf *phf;
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    bool expected;

    print(root, out);
    fclose(out);
    if (phf_compile(text, NULL, &phf, &error)) {
        fprintf(stderr, "%s: %s\n", text, error.text);
        abort();
    }
    result = phf_match(phf, h, NULL);
    expected = naive_match(root, h);
    if (result != PHF_LIMIT && ((result == PHF_MATCH) != expected ||
                                set_matches(phf, h) != expected)) {
        fprintf(stderr, "%s: naive says %d\n", text, expected);
        json_dumpf(history_to_json(h, NULL), stderr, JSON_INDENT(1));
        abort();
    }
    if (result == PHF_LIMIT) {
        phf_destroy(phf);
    }
    history_destroy(h);
    free(text);
    return result;
}
