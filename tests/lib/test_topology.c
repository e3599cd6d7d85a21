/* SPDX-License-Identifier: Apache-2.0 */
/* test_topology - a topology is built, read, written, and asked. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/of_port.h"
#include "lib/topology.h"
#include "tests/lib/golden.h"

static struct lh_error error;

/* Two switches with a link, a host each. */
static struct topology *
two_switches(void)
{
    struct topology_builder *b = topology_builder_create();

    topology_builder_add_link(b, 2, 1, 1, 2);
    topology_builder_add_switch(b, 1, "s1", 7, "192.0.2.1");
    topology_builder_add_port(b, 1, 1, "h1", true);
    topology_builder_add_port(b, 1, 2, "to-s2", true);
    topology_builder_add_port(b, 1, 3, NULL, false);
    topology_builder_set_port_down(b, 1, 3, true);
    topology_builder_add_port(b, 2, 9, "h2", true);
    return topology_build(b, 5);
}

static void
check_two_switches(const struct topology *t)
{
    uint64_t peer_dpid;
    uint32_t port;

    ck_assert_uint_eq(topology_epoch(t), 5);
    ck_assert_uint_eq(topology_n_switches(t), 2);
    ck_assert_uint_eq(topology_switch_at(t, 1)->dpid, 2);
    ck_assert_str_eq(topology_find(t, 1)->address, "192.0.2.1");
    ck_assert_ptr_null(topology_find(t, 2)->name);
    ck_assert_ptr_null(topology_find(t, 3));
    ck_assert_uint_eq(topology_find_name(t, "s1")->dpid, 1);
    ck_assert_ptr_null(topology_find_name(t, "s2"));
    ck_assert_uint_eq(topology_find_index(t, 7)->dpid, 1);
    ck_assert_ptr_null(topology_find_index(t, 0));
    ck_assert_ptr_null(topology_find_index(t, 8));
    ck_assert_ptr_null(topology_find_index(t, 65535));

    ck_assert(topology_peer(t, 1, 2, &peer_dpid, &port));
    ck_assert_uint_eq(peer_dpid, 2);
    ck_assert_uint_eq(port, 1);
    ck_assert(topology_peer(t, 2, 1, &peer_dpid, &port));
    ck_assert_uint_eq(peer_dpid, 1);
    ck_assert_uint_eq(port, 2);
    ck_assert(!topology_peer(t, 1, 1, &peer_dpid, &port));
    ck_assert(!topology_peer(t, 4, 1, &peer_dpid, &port));

    ck_assert(topology_is_edge(t, 1, 1));
    ck_assert(!topology_is_edge(t, 1, 2)); /* The link wins. */
    ck_assert(!topology_is_edge(t, 1, 3));
    ck_assert(!topology_is_edge(t, 1, 4));
    ck_assert(!topology_is_edge(t, 1, OF_PORT_UNKNOWN));
    ck_assert(topology_is_edge(t, 1, OF_PORT_LOCAL));

    ck_assert(topology_port(t, 1, 3)->down);
    ck_assert(!topology_port(t, 1, 2)->down);
    ck_assert(topology_port_by_name(t, 2, "h2", &port));
    ck_assert_uint_eq(port, 9);
    ck_assert(!topology_port_by_name(t, 1, "h2", &port));
}

START_TEST(answers_what_was_built)
{
    struct topology *t = two_switches();

    check_two_switches(t);
    topology_unref(t);
}
END_TEST

START_TEST(goes_through_json_unchanged)
{
    struct topology *t = two_switches();
    json_t *json = topology_to_json(t);
    struct topology *copy;

    ck_assert_int_eq(topology_from_json(json, &copy, &error), 0);
    check_two_switches(copy);
    golden_check_json("topology.json", json);
    topology_unref(t);
    topology_unref(copy);
}
END_TEST

START_TEST(a_newer_link_takes_the_place_of_an_older)
{
    struct topology_builder *b = topology_builder_create();
    struct topology *t;
    uint64_t dpid;
    uint32_t port;

    topology_builder_add_link(b, 1, 1, 2, 1);
    topology_builder_add_link(b, 3, 1, 4, 1);
    topology_builder_add_link(b, 1, 1, 3, 1);
    topology_builder_add_link(b, 5, 1, 5, 1);
    t = topology_build(b, 1);
    ck_assert(topology_peer(t, 1, 1, &dpid, &port) && dpid == 3);
    ck_assert(!topology_peer(t, 2, 1, &dpid, &port));
    ck_assert(!topology_peer(t, 4, 1, &dpid, &port));
    ck_assert(!topology_peer(t, 5, 1, &dpid, &port));
    topology_unref(t);
}
END_TEST

START_TEST(not_known_keeps_what_was_known)
{
    struct topology_builder *b = topology_builder_create();

    topology_builder_add_switch(b, 1, "s1", 3, "192.0.2.1");
    topology_builder_add_switch(b, 1, NULL, 0, NULL);
    ck_assert_str_eq(topology_find(topology_builder_peek(b), 1)->name, "s1");
    ck_assert_uint_eq(topology_find(topology_builder_peek(b), 1)->index, 3);
    topology_builder_add_switch(b, 1, "s9", 4, NULL);
    ck_assert_str_eq(topology_find(topology_builder_peek(b), 1)->name, "s9");
    topology_builder_destroy(b);
    topology_builder_destroy(NULL);
}
END_TEST

START_TEST(stays_while_it_is_referred_to)
{
    struct topology *t = two_switches();

    ck_assert_ptr_eq(topology_ref(t), t);
    topology_unref(t);
    check_two_switches(t);
    topology_unref(t);
    topology_unref(NULL);
    ck_assert_ptr_null(topology_ref(NULL));
}
END_TEST

START_TEST(readers_take_dpids_in_every_form)
{
    json_t *json = json_loads(
        "{\"switches\":[{\"dpid\":1},{\"dpid\":\"0x2\"},"
        "{\"dpid\":\"00:00:00:00:00:00:00:03\",\"colour\":\"red\"},"
        "{\"dpid\":\"0000000000000004\",\"name\":null,\"ports\":null}],"
        "\"links\":[{\"a\":{\"dpid\":\"1\",\"port\":1},"
        "\"b\":{\"dpid\":\"0000000000000002\",\"port\":65534}}]}",
        0, NULL);
    struct topology *t;

    ck_assert_int_eq(topology_from_json(json, &t, &error), 0);
    ck_assert_uint_eq(topology_n_switches(t), 4);
    ck_assert_uint_eq(topology_epoch(t), 0);
    ck_assert(topology_port(t, 2, 65534)->has_peer);
    topology_unref(t);
    json_decref(json);
}
END_TEST

START_TEST(errors_name_the_member)
{
    static const struct {
        const char *json, *reason;
    } cases[] = {
        {"[]", "must be an object, not an array"},
        {"{}", "switches: is missing: must be an array"},
        {"{\"switches\":[{\"dpid\":1},{\"dpid\":1}]}",
         "switches[1].dpid: there is a switch 0000000000000001 already"},
        {"{\"switches\":[{\"dpid\":\"s1\"}]}",
         "switches[0].dpid: must be a dpid (16 hex digits, 0x and hex "
         "digits, or a number), not \"s1\""},
        {"{\"switches\":[{\"dpid\":-1}]}",
         "switches[0].dpid: must be from 0 to 9223372036854775807, not -1"},
        {"{\"switches\":[{\"dpid\":1,\"ports\":[{\"no\":\"1\"}]}]}",
         "switches[0].ports[0].no: must be an integer from 0 to 65535, not a "
         "string"},
        {"{\"switches\":[{\"dpid\":1,\"ports\":[{\"no\":1},{\"no\":1}]}]}",
         "switches[0].ports[1].no: this switch has a port 1 already"},
        {"{\"switches\":[{\"dpid\":1,\"ports\":[7]}]}",
         "switches[0].ports[0]: must be an object, not an integer"},
        {"{\"switches\":[{\"dpid\":1,\"index\":4096}]}",
         "switches[0].index: must be from 0 to 4095, not 4096"},
        {"{\"switches\":[{\"dpid\":1,\"index\":4},{\"dpid\":2,\"index\":4}]}",
         "switches 0000000000000001 and 0000000000000002 have the same index "
         "4"},
        {"{\"switches\":[{\"dpid\":1}],\"links\":[{\"a\":{\"dpid\":1,"
         "\"port\":1},\"b\":{\"dpid\":2,\"port\":1}}]}",
         "links[0].b.dpid: there is no switch 0000000000000002"},
        {"{\"switches\":[{\"dpid\":1}],\"links\":[{\"a\":{\"dpid\":1,"
         "\"port\":1},\"b\":{\"dpid\":1,\"port\":1}}]}",
         "links[0]: leads from a port to itself"},
        {"{\"switches\":[{\"dpid\":1}],\"links\":["
         "{\"a\":{\"dpid\":1,\"port\":1},\"b\":{\"dpid\":1,\"port\":2}},"
         "{\"a\":{\"dpid\":1,\"port\":3},\"b\":{\"dpid\":1,\"port\":2}}]}",
         "links[1].b.port: port 2 of switch 0000000000000001 has a link "
         "already"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *json = json_loads(cases[i].json, 0, NULL);
        struct topology *t;

        ck_assert_msg(json != NULL, "%s", cases[i].json);
        ck_assert_int_eq(topology_from_json(json, &t, &error), EINVAL);
        ck_assert_ptr_null(t);
        ck_assert_str_eq(error.text, cases[i].reason);
        json_decref(json);
    }
}
END_TEST

START_TEST(files_are_read_and_their_errors_have_a_place)
{
    char path[] = "/tmp/lasthop-test-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] = "{\n\"switches\": [}\n";
    struct topology *t;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t) strlen(text));
    ck_assert_int_eq(topology_from_file(path, &t, &error), EINVAL);
    ck_assert_ptr_nonnull(strstr(error.text, path));
    ck_assert_ptr_nonnull(strstr(error.text, ":2: "));
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert_int_eq(pwrite(fd, "{\"switches\":[]}", 15, 0), 15);
    ck_assert_int_eq(topology_from_file(path, &t, &error), 0);
    topology_unref(t);
    close(fd);
    unlink(path);
    ck_assert_int_eq(topology_from_file(path, &t, &error), ENOENT);
    ck_assert_ptr_nonnull(strstr(error.text, path));
}
END_TEST

START_TEST(names_that_are_not_utf8_are_written)
{
    struct topology_builder *b = topology_builder_create();
    struct topology *t;
    json_t *json;
    const char *name;

    topology_builder_add_switch(b, 1, "s\377x", 0, NULL);
    t = topology_build(b, 0);
    json = topology_to_json(t);
    ck_assert_int_eq(
        json_unpack(json, "{s:[{s:s}]}", "switches", "name", &name), 0);
    ck_assert_str_eq(name, "s?x");
    json_decref(json);
    topology_unref(t);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("topology");
    TCase *tc = tcase_create("topology");
    SRunner *runner;
    int n_failed;

    tcase_add_test(tc, answers_what_was_built);
    tcase_add_test(tc, goes_through_json_unchanged);
    tcase_add_test(tc, a_newer_link_takes_the_place_of_an_older);
    tcase_add_test(tc, not_known_keeps_what_was_known);
    tcase_add_test(tc, stays_while_it_is_referred_to);
    tcase_add_test(tc, readers_take_dpids_in_every_form);
    tcase_add_test(tc, errors_name_the_member);
    tcase_add_test(tc, files_are_read_and_their_errors_have_a_place);
    tcase_add_test(tc, names_that_are_not_utf8_are_written);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed != 0;
}
