/* SPDX-License-Identifier: Apache-2.0 */
/* test_postcard_ports - the values of --postcards, and which a bridge has. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/postcard_ports.h"

static void
add(struct postcard_ports *ports, const char *text)
{
    struct lh_error error;

    ck_assert_msg(!postcard_ports_add(ports, text, &error), "%s: %s", text,
                  error.text);
}

static void
add_fails(struct postcard_ports *ports, const char *text, const char *why)
{
    size_t n = ports->n;
    struct lh_error error;

    ck_assert_int_eq(postcard_ports_add(ports, text, &error), EINVAL);
    ck_assert_msg(strstr(error.text, why), "%s", error.text);
    ck_assert_uint_eq(ports->n, n);
}

START_TEST(terms_come_in_any_order)
{
    struct postcard_ports ports = {.ports = NULL};
    const struct postcard_port *p;

    add(&ports, "geneve:192.0.2.1:7000,bridge=br0,port=out-%b");
    add(&ports, "mac:%b-mac,bridge=br0,vlan=12");
    add(&ports, "geneve:[2001:db8::1]:7001");
    add(&ports, "mac:c0");
    p = &ports.ports[0];
    ck_assert_int_eq(p->encapsulation, INSTR_GENEVE);
    ck_assert_str_eq(p->targets[0].address, "192.0.2.1");
    ck_assert_uint_eq(p->targets[0].udp_port, 7000);
    ck_assert_str_eq(p->bridge, "br0");
    ck_assert_str_eq(p->name, "out-%b");
    p = &ports.ports[1];
    ck_assert_int_eq(p->encapsulation, INSTR_MAC);
    ck_assert_str_eq(p->name, "%b-mac");
    ck_assert_uint_eq(p->vlan, 12);
    ck_assert_str_eq(ports.ports[2].targets[0].address, "2001:db8::1");
    ck_assert_uint_eq(ports.ports[2].targets[0].udp_port, 7001);
    ck_assert_uint_eq(ports.ports[3].vlan, POSTCARD_PORT_VLAN);
    postcard_ports_uninit(&ports);
}
END_TEST

START_TEST(several_collectors_in_the_order_given)
{
    struct postcard_ports ports = {.ports = NULL};
    const struct postcard_port *p;

    add(&ports, "geneve:192.0.2.1,or=192.0.2.2:7000,port=x,"
                "or=[2001:db8::1]");
    p = &ports.ports[0];
    ck_assert_uint_eq(p->n_targets, 3);
    ck_assert_str_eq(p->targets[0].text, "192.0.2.1:6081");
    ck_assert_str_eq(p->targets[1].text, "192.0.2.2:7000");
    ck_assert_str_eq(p->targets[2].text, "[2001:db8::1]:6081");
    ck_assert_str_eq(p->targets[1].match, "udp,nw_dst=192.0.2.2,tp_dst=7000");
    ck_assert_str_eq(p->targets[2].match,
                     "udp6,ipv6_dst=2001:db8::1,tp_dst=6081");
    ck_assert_uint_eq(postcard_port_target(p, "192.0.2.2", 7000), 1);
    ck_assert_uint_eq(postcard_port_target(p, "192.0.2.2", 6081), 3);
    ck_assert_str_eq(p->name, "x");
    add_fails(&ports, "geneve:192.0.2.1,or=192.0.2.1,bridge=b", "twice");
    add_fails(&ports, "geneve:192.0.2.1,or=nowhere,bridge=b", "no IP");
    add_fails(&ports, "mac:c0,or=192.0.2.1", "is not");
    postcard_ports_uninit(&ports);
}
END_TEST

START_TEST(what_names_the_bridge_comes_first)
{
    struct postcard_ports ports = {.ports = NULL};

    ck_assert_ptr_null(postcard_ports_default(&ports, "br0"));
    add(&ports, "geneve:192.0.2.1");
    add(&ports, "mac:c0");
    add(&ports, "mac:c1,bridge=br1");
    add(&ports, "geneve:192.0.2.2,bridge=br2");
    ck_assert_ptr_eq(postcard_ports_default(&ports, "br0"), &ports.ports[0]);
    ck_assert_ptr_eq(postcard_ports_default(&ports, NULL), &ports.ports[0]);
    ck_assert_ptr_eq(postcard_ports_default(&ports, "br1"), &ports.ports[2]);
    ck_assert_ptr_eq(postcard_ports_default(&ports, "br2"), &ports.ports[3]);
    ck_assert_ptr_eq(postcard_ports_find(&ports, "br0", INSTR_MAC),
                     &ports.ports[1]);
    ck_assert_ptr_eq(postcard_ports_find(&ports, "br1", INSTR_MAC),
                     &ports.ports[2]);
    ck_assert_ptr_eq(postcard_ports_find(&ports, "br1", INSTR_GENEVE),
                     &ports.ports[0]);
    ck_assert_ptr_null(postcard_ports_find(&ports, "br2", INSTR_AGENT));
    ck_assert_ptr_eq(postcard_ports_find(&ports, "br2", INSTR_MAC),
                     &ports.ports[1]);
    postcard_ports_uninit(&ports);
}
END_TEST

START_TEST(a_bridge_without_one_has_none)
{
    struct postcard_ports ports = {.ports = NULL};

    add(&ports, "mac:c1,bridge=br1");
    ck_assert_ptr_null(postcard_ports_find(&ports, "br0", INSTR_MAC));
    ck_assert_ptr_null(postcard_ports_find(&ports, NULL, INSTR_MAC));
    ck_assert_ptr_null(postcard_ports_find(&ports, "br1", INSTR_GENEVE));
    ck_assert_ptr_null(postcard_ports_default(&ports, "br0"));
    postcard_ports_uninit(&ports);
}
END_TEST

START_TEST(what_is_wrong_is_said)
{
    struct postcard_ports ports = {.ports = NULL};

    add(&ports, "geneve:192.0.2.1,port=p");
    add_fails(&ports, "geneve:192.0.2.9", "given before for all bridges");
    add_fails(&ports, "mac:p", "the other encapsulation");
    add_fails(&ports, "mac:", "name of the port is missing");
    add_fails(&ports, "mac:c,vlan=4095", "\"vlan=4095\" is not vlan=N");
    add_fails(&ports, "mac:c,port=d", "\"port=d\" is not vlan=..");
    add_fails(&ports, "geneve:192.0.2.1,vlan=3", "\"vlan=3\" is not port=..");
    add_fails(&ports,
              "geneve:192.0.2.1,bridge=", "\"bridge=\" is not port=..");
    add_fails(&ports, "geneve:nowhere", "no IP address");
    add_fails(&ports, "gre:192.0.2.1", "must be geneve:");
    add_fails(&ports, "mac:inband,collector=br0:1,bridge=br1",
              "mac:inband is for all bridges");
    add(&ports, "mac:c,bridge=br0");
    add_fails(&ports, "mac:d,bridge=br0", "given before for bridge br0");
    add_fails(&ports, "agents", "must be geneve:");
    add_fails(&ports, "agent,port=p1", "is not bridge=");
    add(&ports, "agent,bridge=br0");
    add_fails(&ports, "agent,bridge=br0", "given before for bridge br0");
    postcard_ports_uninit(&ports);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("postcard_ports");
    TCase *tc = tcase_create("postcard_ports");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_add_test(tc, terms_come_in_any_order);
    tcase_add_test(tc, several_collectors_in_the_order_given);
    tcase_add_test(tc, what_names_the_bridge_comes_first);
    tcase_add_test(tc, a_bridge_without_one_has_none);
    tcase_add_test(tc, what_is_wrong_is_said);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
