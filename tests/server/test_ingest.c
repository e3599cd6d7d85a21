/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of server/ingest, server/accept_list and server/counters. */
#include <config.h>

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/postcard_mac.h"
#include "lib/say.h"
#include "server/counters.h"
#include "server/ingest.h"
#include "tests/server/scene.h"

static struct accept_address
address(const char *text)
{
    struct accept_address a;
    uint8_t ip4[4];

    if (inet_pton(AF_INET, text, ip4) == 1) {
        return accept_address_ip4(ip4);
    }
    ck_assert_int_eq(inet_pton(AF_INET6, text, a.bytes), 1);
    return a;
}

static bool
accepts(const struct accept_list *list, const char *text)
{
    struct accept_address a = address(text);

    return accept_list_has(list, &a);
}

START_TEST(networks_are_accepted_bit_by_bit)
{
    struct accept_list *list = accept_list_create();

    ck_assert(accept_list_is_empty(list));
    ck_assert_int_eq(accept_list_add(list, "10.1.2.3", NULL), 0);
    ck_assert_int_eq(accept_list_add(list, "192.0.2.128/25", NULL), 0);
    ck_assert_int_eq(accept_list_add(list, "2001:db8::/33", NULL), 0);
    ck_assert(!accept_list_is_empty(list));
    ck_assert(accepts(list, "10.1.2.3"));
    ck_assert(!accepts(list, "10.1.2.4"));
    ck_assert(accepts(list, "192.0.2.200"));
    ck_assert(!accepts(list, "192.0.2.127"));
    ck_assert(accepts(list, "2001:db8:7fff::1"));
    ck_assert(!accepts(list, "2001:db8:8000::1"));
    ck_assert(!accepts(list, "::1"));
    accept_list_destroy(list);

    list = accept_list_create();
    ck_assert_int_eq(accept_list_add(list, "0.0.0.0/0", NULL), 0);
    ck_assert(accepts(list, "203.0.113.9"));
    ck_assert(!accepts(list, "2001:db8::1"));
    accept_list_destroy(list);
}
END_TEST

START_TEST(switches_are_accepted_while_they_are_in_the_topology)
{
    struct accept_list *list = accept_list_create();
    struct topology *with = scene_topology(true);
    struct topology *without = scene_topology(false);

    ck_assert(!accepts(list, SCENE_ADDRESS));
    accept_list_set_topology(list, with);
    ck_assert(accepts(list, SCENE_ADDRESS));
    ck_assert(!accepts(list, "192.0.2.10"));
    accept_list_set_topology(list, without);
    ck_assert(!accepts(list, SCENE_ADDRESS));
    ck_assert(accept_list_is_empty(list));
    topology_unref(with);
    topology_unref(without);
    accept_list_destroy(list);
}
END_TEST

START_TEST(addresses_are_written_as_people_do)
{
    struct accept_address a = address("192.0.2.1"), b = address("2001:db8::1");
    char text[64];

    ck_assert_str_eq(accept_address_format(&a, text, sizeof text),
                     "192.0.2.1");
    ck_assert_str_eq(accept_address_format(&b, text, sizeof text),
                     "2001:db8::1");
}
END_TEST

/* The last postcard given, and how many. */
static struct postcard last;
static size_t n_given;

static void
give(void *aux, const struct postcard *p)
{
    last = *p;
    n_given++;
}

static struct ingest *ingest;
static struct rule_cache *rules;
static struct accept_list *accepted;

static void
set_up(void)
{
    struct rule_cache_config rules_config = {0};
    struct ingest_config config = {
        .id_config = PACKET_ID_CONFIG_INIT,
        .mac_vlan = SCENE_VLAN,
        .give = give,
    };
    struct topology *topology = scene_topology(true);

    n_given = 0;
    rules = rule_cache_create(&rules_config);
    accepted = accept_list_create();
    accept_list_set_topology(accepted, topology);
    config.rules = rules;
    config.accept = accepted;
    ingest = ingest_create(&config);
    ingest_set_topology(ingest, topology);
    topology_unref(topology);
}

static void
tear_down(void)
{
    ingest_destroy(ingest);
    rule_cache_destroy(rules);
    accept_list_destroy(accepted);
}

/* Whether received = postcards + what was refused. */
static void
check_sum(void)
{
    const struct ingest_counters *c = ingest_counters(ingest);
    uint64_t sum = c->postcards + c->foreign;

    for (int i = 0; i < N_POSTCARD_RESULTS; i++) {
        sum += c->bad[i];
    }
    ck_assert_uint_eq(c->received, sum);
    ck_assert_uint_eq(c->postcards, n_given);
    ck_assert_uint_eq(c->bad[POSTCARD_OK], 0);
}

START_TEST(a_datagram_becomes_a_postcard)
{
    struct scene_card card;
    struct accept_address from = address(SCENE_ADDRESS);
    uint8_t data[2048];

    scene_card(&card, 5, 2, false, 0);
    ingest_datagram(ingest, data, scene_datagram(&card, data), 1234, &from);
    ck_assert_uint_eq(n_given, 1);
    ck_assert_uint_eq(last.dpid, 2);
    ck_assert_uint_eq(last.version, 12);
    ck_assert_uint_eq(last.time_ns, 1234);
    ck_assert(last.has_id);
    ck_assert_uint_ne(last.packet_id, 0);

    /* The next hop's has the same ID, another packet's another. */
    uint64_t id = last.packet_id;

    scene_card(&card, 5, 3, false, 0);
    ingest_datagram(ingest, data, scene_datagram(&card, data), 1235, &from);
    ck_assert_uint_eq(last.packet_id, id);
    scene_card(&card, 6, 3, false, 0);
    ingest_datagram(ingest, data, scene_datagram(&card, data), 1236, &from);
    ck_assert_uint_ne(last.packet_id, id);
    check_sum();
}
END_TEST

static uint64_t say_ns = 1;

static uint64_t
say_clock(void)
{
    return say_ns;
}

/* Sends a postcard from each of 100 addresses, two times. */
static void
send_strangers(const struct scene_card *card)
{
    uint8_t data[2048];

    for (int i = 0; i < 200; i++) {
        uint8_t ip4[4] = {198, 51, 100, (uint8_t) (i % 100)};
        struct accept_address from = accept_address_ip4(ip4);

        ingest_datagram(ingest, data, scene_datagram(card, data), 1, &from);
    }
}

START_TEST(each_stranger_is_named_once_at_a_limited_rate)
{
    char *said;
    size_t size;
    FILE *stream = open_memstream(&said, &size);
    struct scene_card card;
    size_t n_lines = 0;

    say_set_output(stream, say_clock);
    scene_card(&card, 5, 2, false, 0);
    for (int i = 0; i < 30; i++) {
        send_strangers(&card);
        say_ns += SAY_PERIOD_NS;
    }
    say_set_output(NULL, NULL);
    fclose(stream);
    for (const char *at = said; (at = strchr(at, '\n')); at++) {
        n_lines++;
    }
    ck_assert_uint_eq(n_lines, 64 + 1);
    for (int i = 0; i < 64; i++) {
        char text[64];

        snprintf(text, sizeof text, "--accept 198.51.100.%d takes", i);
        ck_assert_msg(strstr(said, text), "%s: %s", text, said);
    }
    ck_assert_ptr_nonnull(strstr(said, "only counted, as \"foreign\""));
    ck_assert_uint_eq(ingest_counters(ingest)->foreign, 6000);
    check_sum();
    free(said);
}
END_TEST

START_TEST(a_stranger_is_refused)
{
    struct scene_card card;
    struct accept_address from = address("192.0.2.77");
    uint8_t data[2048];

    scene_card(&card, 5, 2, false, 0);
    ingest_datagram(ingest, data, scene_datagram(&card, data), 1234, &from);
    ck_assert_uint_eq(n_given, 0);
    ck_assert_uint_eq(ingest_counters(ingest)->foreign, 1);

    /* In a frame too, by its outer header. */
    size_t len = scene_frame(&card, false, data);

    ingest_frame(ingest, INGEST_AUTO, data, len, 1);
    ck_assert_uint_eq(n_given, 1);
    data[14 + 12 + 3] ^= 1;
    ingest_frame(ingest, INGEST_AUTO, data, len, 1);
    ck_assert_uint_eq(n_given, 1);
    ck_assert_uint_eq(ingest_counters(ingest)->foreign, 2);
    check_sum();
}
END_TEST

START_TEST(frames_are_told_apart)
{
    struct scene_card card;
    uint8_t geneve[2048], mac[2048];

    scene_card(&card, 5, 2, true, 0);

    size_t geneve_len = scene_frame(&card, false, geneve);
    size_t mac_len = scene_frame(&card, true, mac);

    ingest_frame(ingest, INGEST_AUTO, geneve, geneve_len, 1);
    ck_assert_uint_eq(last.in_port, 1);
    ingest_frame(ingest, INGEST_AUTO, mac, mac_len, 1);
    ck_assert_uint_eq(last.in_port, OF_PORT_UNKNOWN);
    ck_assert_uint_eq(last.out_port, OF_PORT_NONE);
    ck_assert_uint_eq(last.version, 92);
    ck_assert_uint_eq(last.version_bits, 32);
    ck_assert_uint_eq(n_given, 2);
    ingest_frame(ingest, INGEST_GENEVE, mac, mac_len, 1);
    ingest_frame(ingest, INGEST_MAC, geneve, geneve_len, 1);
    ck_assert_uint_eq(n_given, 2);
    ck_assert_uint_eq(ingest_counters(ingest)->bad[POSTCARD_OTHER], 2);
    check_sum();
}
END_TEST

START_TEST(a_mac_version_is_resolved_by_time)
{
    struct scene_card card;
    uint8_t mac[2048];

    for (uint32_t i = 0; i < 3; i++) {
        struct rule *rule = rule_create();

        rule->dpid = 2;
        rule->version = (i << 24) + 12;
        rule->installed_ns = i * 1000;
        rule_cache_add(rules, rule);
    }
    scene_card(&card, 5, 2, false, 0);

    size_t len = scene_frame(&card, true, mac);

    ingest_frame(ingest, INGEST_MAC, mac, len, 1500);
    ck_assert_uint_eq(last.version, (1u << 24) + 12);
    ingest_frame(ingest, INGEST_MAC, mac, len, 2500);
    ck_assert_uint_eq(last.version, (2u << 24) + 12);
}
END_TEST

START_TEST(unknown_switches_and_short_headers_are_counted)
{
    struct scene_card card;
    struct accept_address from = address(SCENE_ADDRESS);
    uint8_t data[2048];
    size_t len;

    scene_card(&card, 5, 2, false, 0);
    card.postcard.dpid = 99;
    ingest_datagram(ingest, data, scene_datagram(&card, data), 1, &from);
    ck_assert_uint_eq(ingest_counters(ingest)->unknown_switch, 1);
    card.postcard.dpid = 2;
    card.postcard.caplen = 30;
    ingest_datagram(ingest, data, scene_datagram(&card, data), 1, &from);
    ck_assert(!last.has_id);
    ck_assert_uint_eq(ingest_counters(ingest)->short_headers, 1);

    /* A mac postcard of a switch index that nobody has. */
    card.postcard.dpid = 2;
    len = postcard_mac_encode(&card.postcard, SCENE_VLAN, 77, 1, data,
                              sizeof data);
    ingest_frame(ingest, INGEST_AUTO, data, len, 1);
    ck_assert_uint_eq(ingest_counters(ingest)->bad[POSTCARD_UNKNOWN_SWITCH],
                      1);
    check_sum();
}
END_TEST

START_TEST(every_cut_of_a_packet_is_counted)
{
    struct scene_card card;
    struct accept_address from = address(SCENE_ADDRESS);
    uint8_t data[2048];

    scene_card(&card, 5, 2, false, 0);

    size_t len = scene_datagram(&card, data);

    for (size_t i = 0; i <= len; i++) {
        uint8_t *copy = lh_memdup(data, i ? i : 1);

        ingest_datagram(ingest, copy, i, 1, &from);
        free(copy);
    }
    len = scene_frame(&card, true, data);
    for (size_t i = 0; i <= len; i++) {
        uint8_t *copy = lh_memdup(data, i ? i : 1);

        ingest_frame(ingest, INGEST_AUTO, copy, i, 1);
        free(copy);
    }
    check_sum();
}
END_TEST

START_TEST(the_document_names_every_counter)
{
    const char *srcdir = getenv("srcdir");
    char *path = lh_asprintf("%s/docs/counters.md", srcdir ? srcdir : ".");
    FILE *stream = fopen(path, "r");
    char *text = lh_alloc_zero(65536);
    size_t n_named = 0;

    ck_assert_msg(stream != NULL, "%s", path);
    ck_assert_uint_gt(fread(text, 1, 65535, stream), 0);
    fclose(stream);
    for (size_t i = 0; i < n_counters; i++) {
        char *quoted = lh_asprintf("`%s`", counter_names[i]);

        ck_assert_msg(strstr(text, quoted), "%s is not in %s",
                      counter_names[i], path);
        free(quoted);
    }

    /* And none that is not: what stands first in a row of a table. */
    for (char *row = strstr(text, "\n| `"); row; row = strstr(row, "\n| `")) {
        char *end = strchr(row + 3, '|');

        for (char *p = strchr(row, '`'); p && p < end; p = strchr(p, '`')) {
            char *close = strchr(p + 1, '`');
            size_t i = 0;

            *close = '\0';
            while (i < n_counters && strcmp(counter_names[i], p + 1) != 0) {
                i++;
            }
            ck_assert_msg(i < n_counters, "%s is no counter", p + 1);
            n_named++;
            p = close + 1;
        }
        row = end;
    }
    ck_assert_uint_eq(n_named, n_counters);
    free(text);
    free(path);
}
END_TEST

START_TEST(counters_keep_their_names_apart)
{
    struct counters c;
    json_t *json;

    memset(&c, 0, sizeof c);
    c.datagrams = 1;
    c.recorder_timeouts = 2;
    json = counters_to_json(&c);
    ck_assert_uint_eq(json_object_size(json), n_counters);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "datagrams")),
                     1);
    ck_assert_int_eq(
        json_integer_value(json_object_get(json, "recorder_timeouts")), 2);
    ck_assert_uint_eq(counters_get(&c, n_counters - 1), 2);
    json_decref(json);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("ingest");
    TCase *tc = tcase_create("ingest");
    TCase *plain = tcase_create("plain");

    tcase_add_test(plain, networks_are_accepted_bit_by_bit);
    tcase_add_test(plain,
                   switches_are_accepted_while_they_are_in_the_topology);
    tcase_add_test(plain, addresses_are_written_as_people_do);
    tcase_add_test(plain, the_document_names_every_counter);
    tcase_add_test(plain, counters_keep_their_names_apart);
    suite_add_tcase(suite, plain);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_datagram_becomes_a_postcard);
    tcase_add_test(tc, each_stranger_is_named_once_at_a_limited_rate);
    tcase_add_test(tc, a_stranger_is_refused);
    tcase_add_test(tc, frames_are_told_apart);
    tcase_add_test(tc, a_mac_version_is_resolved_by_time);
    tcase_add_test(tc, unknown_switches_and_short_headers_are_counted);
    tcase_add_test(tc, every_cut_of_a_packet_is_counted);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
