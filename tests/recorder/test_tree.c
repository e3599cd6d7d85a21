/* SPDX-License-Identifier: Apache-2.0 */
/* test_tree - the spanning tree of postcards, on networks drawn at random. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/of_port.h"
#include "lib/topology.h"
#include "recorder/tree.h"

#define N_NETWORKS 300
#define MAX_N      40
#define MAX_LINKS  120

struct link {
    uint64_t a, b;
    uint16_t ap, bp;
};

/* Switches 1 to n; ports of each are numbered in order of its links. */
struct network {
    size_t n, n_links;
    struct link links[MAX_LINKS];
};

static uint64_t
draw(uint64_t *state, uint64_t below)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state % below;
}

static struct network
draw_network(uint64_t *state)
{
    struct network net = {.n = 1 + draw(state, MAX_N)};
    uint16_t n_ports[MAX_N + 1] = {0};
    size_t n_links = draw(state, 3 * net.n);

    for (size_t i = 0; i < n_links; i++) {
        uint64_t a = 1 + draw(state, net.n), b = 1 + draw(state, net.n);

        if (a != b) { /* Parallel links are welcome. */
            net.links[net.n_links++] =
                (struct link){a, b, ++n_ports[a], ++n_ports[b]};
        }
    }
    return net;
}

static struct topology *
build(const struct network *net, size_t without)
{
    struct topology_builder *b = topology_builder_create();

    for (uint64_t dpid = 1; dpid <= net->n; dpid++) {
        topology_builder_add_switch(b, dpid, NULL, 0, NULL);
    }
    for (size_t i = 0; i < net->n_links; i++) {
        const struct link *l = &net->links[i];

        if (i != without) {
            topology_builder_add_link(b, l->a, l->ap, l->b, l->bp);
        }
    }
    return topology_build(b, 1);
}

/* Links from the root, UINT32_MAX: none; by going round until nothing
 * changes. */
static void
measure(const struct topology *topology, uint64_t root, unsigned int depths[])
{
    bool is_changed = true;

    for (size_t i = 0; i <= MAX_N; i++) {
        depths[i] = UINT32_MAX;
    }
    depths[root] = 0;
    while (is_changed) {
        is_changed = false;
        for (size_t i = 0; i < topology_n_switches(topology); i++) {
            const struct topology_switch *sw = topology_switch_at(topology, i);

            for (size_t j = 0; j < sw->n_ports; j++) {
                unsigned int other = depths[sw->ports[j].peer_dpid];

                if (other != UINT32_MAX && other + 1 < depths[sw->dpid]) {
                    depths[sw->dpid] = other + 1;
                    is_changed = true;
                }
            }
        }
    }
}

/* The neighbour and its port that the switch's postcards go to. */
static void
check_up(const struct topology *topology, const struct tree *tree,
         const struct tree_switch *sw, const unsigned int depths[])
{
    const struct topology_switch *at = topology_find(topology, sw->dpid);
    const struct tree_switch *parent = tree_find(tree, sw->parent);
    const struct topology_port *up = topology_port(topology, at->dpid, sw->up);

    ck_assert_ptr_nonnull(up);
    ck_assert(up->has_peer);
    ck_assert_uint_eq(up->peer_dpid, sw->parent);
    ck_assert_ptr_nonnull(parent);
    ck_assert_uint_eq(parent->depth + 1, sw->depth);
    ck_assert(tree_switch_has_down(parent, up->peer_port));
    for (size_t j = 0; j < at->n_ports; j++) {
        const struct topology_port *p = &at->ports[j];

        if (depths[p->peer_dpid] + 1 == sw->depth) {
            ck_assert_uint_ge(p->peer_dpid, sw->parent);
            ck_assert(p->peer_dpid != sw->parent ||
                      p->peer_port >= up->peer_port);
        }
    }
}

static void
check_tree(const struct topology *topology, const struct tree *tree,
           uint64_t root)
{
    unsigned int depths[MAX_N + 1];
    size_t n_reached = 0, n_down = 0;

    measure(topology, root, depths);
    for (uint64_t dpid = 1; dpid <= MAX_N; dpid++) {
        const struct tree_switch *sw = tree_find(tree, dpid);

        ck_assert_int_eq(sw != NULL, depths[dpid] != UINT32_MAX);
        if (!sw) {
            continue;
        }
        n_reached++;
        n_down += sw->n_down;
        ck_assert_uint_eq(sw->depth, depths[dpid]);
        if (dpid == root) {
            ck_assert_uint_eq(sw->up, 0);
        } else {
            check_up(topology, tree, sw, depths);
        }
        for (size_t i = 1; i < sw->n_down; i++) {
            ck_assert_uint_lt(sw->down[i - 1], sw->down[i]);
        }
    }
    /* So many edges, and all lead to the root: no loop. */
    ck_assert_uint_eq(tree_n_switches(tree), n_reached);
    ck_assert_uint_eq(n_down + 1, n_reached);
}

START_TEST(it_is_a_tree_of_shortest_ways_to_all_that_have_one)
{
    uint64_t state = 20261122;

    for (size_t i = 0; i < N_NETWORKS; i++) {
        struct network net = draw_network(&state);
        struct topology *topology = build(&net, SIZE_MAX);
        uint64_t root = 1 + draw(&state, net.n);
        struct tree *tree = tree_create(topology, root, NULL, NULL);

        check_tree(topology, tree, root);
        tree_destroy(tree);
        topology_unref(topology);
    }
}
END_TEST

/* True when the way of 'sw' to the root has the link. */
static bool
is_on_way(const struct tree *tree, const struct tree_switch *sw,
          const struct link *l)
{
    while (sw->up) {
        if ((sw->dpid == l->a && sw->up == l->ap) ||
            (sw->dpid == l->b && sw->up == l->bp)) {
            return true;
        }
        sw = tree_find(tree, sw->parent);
    }
    return false;
}

START_TEST(a_link_that_goes_moves_only_those_whose_way_had_it)
{
    uint64_t state = 4711;
    size_t n_moved = 0;

    for (size_t i = 0; i < N_NETWORKS; i++) {
        struct network net = draw_network(&state);
        uint64_t root = 1 + draw(&state, net.n);
        size_t cut = net.n_links ? draw(&state, net.n_links) : 0;
        struct topology *before = build(&net, SIZE_MAX);
        struct topology *after = build(&net, cut);
        struct tree *old = tree_create(before, root, NULL, NULL);
        struct tree *new = tree_create(after, root, NULL, NULL);

        check_tree(after, new, root);
        for (size_t j = 0; net.n_links && j < tree_n_switches(old); j++) {
            const struct tree_switch *a = tree_switch_at(old, j);
            const struct tree_switch *b = tree_find(new, a->dpid);

            if (is_on_way(old, a, &net.links[cut])) {
                n_moved++;
            } else {
                ck_assert_ptr_nonnull(b);
                ck_assert_uint_eq(a->up, b->up);
                ck_assert_uint_eq(a->parent, b->parent);
            }
        }
        tree_destroy(old);
        tree_destroy(new);
        topology_unref(before);
        topology_unref(after);
    }
    ck_assert_uint_gt(n_moved, 0);
}
END_TEST

static bool
takes_odd(void *aux, uint64_t dpid)
{
    return dpid % 2;
}

START_TEST(switches_that_are_not_taken_carry_nothing)
{
    /* 1 - 2 - 3, and 1 - 5. */
    struct network net = {.n = 5,
                          .n_links = 3,
                          .links = {{1, 2, 1, 1}, {2, 3, 2, 1}, {1, 5, 2, 1}}};
    struct topology *topology = build(&net, SIZE_MAX);
    struct tree *tree = tree_create(topology, 1, takes_odd, NULL);

    ck_assert_uint_eq(tree_n_switches(tree), 2);
    ck_assert_ptr_null(tree_find(tree, 2));
    ck_assert_ptr_null(tree_find(tree, 3));
    ck_assert_uint_eq(tree_find(tree, 5)->up, 1);
    tree_destroy(tree);
    tree = tree_create(topology, 2, takes_odd, NULL);
    ck_assert_uint_eq(tree_n_switches(tree), 0);
    tree_destroy(tree);
    topology_unref(topology);
}
END_TEST

START_TEST(ports_that_are_down_are_no_way)
{
    /* Two links from 1 to 2; the lower one is down at its far end. */
    struct topology_builder *b = topology_builder_create();
    struct topology *topology;
    struct tree *tree;

    topology_builder_add_link(b, 1, 1, 2, 7);
    topology_builder_add_link(b, 1, 2, 2, 8);
    topology_builder_add_link(b, 1, OF_PORT_LOCAL, 3, 1);
    topology_builder_set_port_down(b, 2, 7, true);
    topology = topology_build(b, 1);
    tree = tree_create(topology, 1, NULL, NULL);
    ck_assert_uint_eq(tree_find(tree, 2)->up, 8);
    ck_assert_uint_eq(tree_find(tree, 1)->n_down, 1);
    ck_assert_uint_eq(tree_find(tree, 1)->down[0], 2);
    ck_assert_ptr_null(tree_find(tree, 3));
    tree_destroy(tree);
    topology_unref(topology);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("tree");
    TCase *tc = tcase_create("tree");

    tcase_add_test(tc, it_is_a_tree_of_shortest_ways_to_all_that_have_one);
    tcase_add_test(tc, a_link_that_goes_moves_only_those_whose_way_had_it);
    tcase_add_test(tc, switches_that_are_not_taken_carry_nothing);
    tcase_add_test(tc, ports_that_are_down_are_no_way);
    suite_add_tcase(suite, tc);
    return suite;
}

int
main(void)
{
    SRunner *runner = srunner_create(make_suite());
    int n_failed;

    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
