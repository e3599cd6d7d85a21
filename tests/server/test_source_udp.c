/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of server/source_udp: every datagram is taken or counted. */
#include <config.h>

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/rule_cache.h"
#include "server/source_udp.h"

#define BIG 60000 /* Many times what is read of one. */

static struct event_base *base;
static struct rule_cache *rules;
static struct ingest *ingest;
static struct source_udp *source;
static int fd; /* Connected to it. */

static void
give(void *aux, const struct postcard *p)
{
}

static void
after(void *aux)
{
}

static void
set_up(void)
{
    struct rule_cache_config rule_config = {0};
    struct ingest_config config = {.id_config = PACKET_ID_CONFIG_INIT,
                                   .give = give};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof to;
    struct lh_error error;
    char where[32];

    /* A port that is free now. */
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *) &to, len), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *) &to, &len), 0);
    close(fd);
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *) &to, len), 0);

    rules = rule_cache_create(&rule_config);
    config.rules = rules;
    ingest = ingest_create(&config);
    base = event_base_new();
    snprintf(where, sizeof where, "127.0.0.1:%d", ntohs(to.sin_port));
    ck_assert_int_eq(
        source_udp_open(base, where, ingest, after, NULL, &source, &error), 0);
}

static void
tear_down(void)
{
    source_udp_close(source);
    ingest_destroy(ingest);
    rule_cache_destroy(rules);
    event_base_free(base);
    close(fd);
}

START_TEST(what_the_kernel_drops_is_counted)
{
    static const uint8_t data[BIG];
    const struct source_udp_counters *c = source_udp_counters(source);
    uint64_t n_sent = (uint64_t) source_udp_buffer(source) / BIG + 100;

    ck_assert_uint_eq(c->kernel_drops, 0);
    for (int round = 1; round <= 2; round++) {
        for (uint64_t i = 0; i < n_sent; i++) {
            ck_assert_int_eq(send(fd, data, sizeof data, 0), BIG);
        }
        source_udp_drain(source);
        c = source_udp_counters(source);
        ck_assert_uint_ge(c->kernel_drops, 100 * (unsigned int) round);
        ck_assert_uint_eq(c->datagrams + c->kernel_drops,
                          n_sent * (unsigned int) round);
        ck_assert_uint_eq(c->cut, c->datagrams);
        ck_assert_uint_eq(c->errors, 0);
    }
}
END_TEST

START_TEST(what_waits_is_taken_in_the_event_loop)
{
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(send(fd, "?", 1, 0), 1);
    }
    while (source_udp_counters(source)->datagrams < 1000) {
        ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
    }
    ck_assert_uint_eq(source_udp_counters(source)->kernel_drops, 0);
    ck_assert_uint_eq(source_udp_counters(source)->cut, 0);
    ck_assert_uint_eq(ingest_counters(ingest)->received, 1000);
}
END_TEST

START_TEST(what_is_no_address_is_refused)
{
    static const char *const wrong[] = {"127.0.0.1", "127.0.0.1:x", ":65536",
                                        "[::1:6081", "nowhere:6081"};
    struct source_udp *other;
    struct lh_error error;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(source_udp_open(base, wrong[i], ingest, after, NULL,
                                         &other, &error),
                         EINVAL);
        ck_assert_ptr_null(other);
        ck_assert_str_ne(error.text, "");
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("source_udp");
    TCase *tcase = tcase_create("core");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, what_the_kernel_drops_is_counted);
    tcase_add_test(tcase, what_waits_is_taken_in_the_event_loop);
    tcase_add_test(tcase, what_is_no_address_is_refused);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
