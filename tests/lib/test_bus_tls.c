/* SPDX-License-Identifier: Apache-2.0 */
/* test_bus_tls - a bus over TLS, with certificates that openssl(1) makes: who
 * is who they say, and who is refused and told why. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus.h"
#include "lib/lh_alloc.h"
#include "tests/lib/nats_fixture.h"

static struct nats nats;
static struct event_base *base;
static char dir[64];

/* --- Certificates. ------------------------------------------------------- */

static void
run(char *command)
{
    ck_assert_msg(!system(command), "%s", command);
    free(command);
}

static void
make_ca(const char *name)
{
    run(lh_asprintf("cd %s && openssl req -x509 -newkey ec -pkeyopt "
                    "ec_paramgen_curve:P-256 -nodes -keyout %s.key -subj "
                    "/CN=%s -days 2 -out %s.pem 2>>openssl.log",
                    dir, name, name, name));
}

/* One that 'ca' signs, for 'host'. */
static void
make_certificate(const char *name, const char *ca, const char *host)
{
    run(lh_asprintf(
        "cd %s && echo subjectAltName=DNS:%s >%s.ext && "
        "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
        "-nodes -keyout %s.key -subj /CN=%s -out %s.csr 2>>openssl.log && "
        "openssl x509 -req -in %s.csr -CA %s.pem -CAkey %s.key -days 2 "
        "-extfile %s.ext -CAcreateserial -out %s.pem 2>>openssl.log",
        dir, host, name, name, host, name, name, ca, ca, name, name));
}

static void
make_all(void)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(dir, sizeof dir, "%s/lasthop-tls-XXXXXX",
             tmp && strlen(tmp) < 32 ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    make_ca("ca");
    make_ca("foreign");
    make_certificate("nats", "ca", "localhost");
    make_certificate("other", "ca", "elsewhere.example");
    make_certificate("us", "ca", "lasthop");
    make_certificate("stranger", "foreign", "lasthop");
}

static void
remove_all(void)
{
    run(lh_asprintf("rm -rf '%s'", dir));
}

static void
set_up(void)
{
    base = event_base_new();
    nats = (struct nats){.pid = 0};
}

static void
tear_down(void)
{
    nats_end(&nats);
    event_base_free(base);
}

/* NATS with the certificate 'name', which asks for one of ours if
 * 'verifies'. */
static void
start(const char *name, bool verifies)
{
    char *extra =
        lh_asprintf("tls { cert_file: \"%s/%s.pem\", key_file: \"%s/%s.key\", "
                    "ca_file: \"%s/ca.pem\", verify: %s, timeout: 10 }",
                    dir, name, dir, name, dir, verifies ? "true" : "false");

    nats_start(&nats, extra);
    free(extra);
}

/* --- Connecting. --------------------------------------------------------- */

struct attempt {
    bool is_over, is_connected;
    char why[256];
};

static void
on_state(void *attempt_, bool is_connected, const char *why)
{
    struct attempt *attempt = attempt_;

    attempt->is_over = true;
    attempt->is_connected = is_connected;
    snprintf(attempt->why, sizeof attempt->why, "%s", why ? why : "");
}

static void
take_reply(void *is_done, int error_number, const char *why,
           const struct bus_message *message)
{
    ck_assert_int_eq(error_number, ECONNREFUSED);
    *(bool *) is_done = true;
}

/* How it goes with this CA and this certificate (NULL: none). */
static struct attempt
connect_with(const char *scheme, const char *ca, const char *name)
{
    struct attempt attempt = {.is_over = false};
    char *url = lh_asprintf("%s://localhost:%d", scheme, nats.port);
    char *ca_cert = ca ? lh_asprintf("%s/%s.pem", dir, ca) : NULL;
    char *cert = name ? lh_asprintf("%s/%s.pem", dir, name) : NULL;
    char *key = name ? lh_asprintf("%s/%s.key", dir, name) : NULL;
    const struct bus_options options = {.urls = url,
                                        .ca_cert = ca_cert,
                                        .certificate = cert,
                                        .private_key = key,
                                        .on_state = on_state,
                                        .aux = &attempt};
    const struct bus_letter letter = {.subject = "nobody"};
    bool is_done = false;
    struct bus *bus;

    ck_assert_int_eq(bus_open(base, &options, &bus, NULL), 0);
    nats_loop_until(base, &attempt.is_over);
    if (attempt.is_connected) {
        ck_assert_int_eq(
            bus_request(bus, &letter, 30000, take_reply, &is_done, NULL), 0);
        nats_loop_until(base, &is_done);
    }
    bus_close(bus);
    free(url);
    free(ca_cert);
    free(cert);
    free(key);
    return attempt;
}

static void
expect(const char *ca, const char *name, const char *why)
{
    struct attempt attempt = connect_with("nats", ca, name);

    ck_assert_int_eq(attempt.is_connected, !why);
    ck_assert_msg(strstr(attempt.why, why ? why : ""),
                  "CA %s, certificate %s: %s", ca ? ca : "none",
                  name ? name : "none", attempt.why);
}

START_TEST(both_sides_prove_who_they_are)
{
    start("nats", true);
    expect("ca", "us", NULL);
    expect("foreign", "us", "unable to get local issuer certificate");
    expect("ca", "stranger", "it wants a certificate, or another one");
    expect("ca", NULL, "it wants a certificate, or another one");
}
END_TEST

START_TEST(nats_alone_proves_who_it_is)
{
    start("nats", false);
    expect("ca", NULL, NULL);
    expect("foreign", NULL, "unable to get local issuer certificate");
}
END_TEST

START_TEST(the_name_must_be_that_of_the_host)
{
    start("other", false);
    expect("ca", NULL, "hostname mismatch:expected=localhost");
}
END_TEST

/* Who wants TLS gets nothing less. */
START_TEST(nats_without_tls_is_refused)
{
    nats_start(&nats, NULL);
    expect("ca", "us", "it does not speak TLS");
}
END_TEST

/* Also who says so by the address alone. */
START_TEST(tls_in_the_address_is_wanted)
{
    struct attempt attempt;

    nats_start(&nats, NULL);
    attempt = connect_with("tls", NULL, NULL);
    ck_assert(!attempt.is_connected);
    ck_assert_msg(strstr(attempt.why, "it does not speak TLS"), "%s",
                  attempt.why);
}
END_TEST

START_TEST(files_that_cannot_be_used_are_named)
{
    static const struct bus_options cases[] = {
        {.ca_cert = "/nosuch/ca.pem"},
        {.ca_cert = "/dev/null"},
        {.credentials = "/nosuch/ca.pem"},
    };
    static const char *const whys[] = {
        "/nosuch/ca.pem: No such file or directory",
        "/dev/null: Error loading trusted certificates",
        "/nosuch/ca.pem: No such file or directory",
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bus_options options = cases[i];
        struct lh_error error;
        struct bus *bus;

        options.urls = "nats://localhost:1";
        ck_assert_int_eq(bus_open(base, &options, &bus, &error), EINVAL);
        ck_assert_msg(strstr(error.text, whys[i]), "%s", error.text);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("bus_tls");
    TCase *tcase = tcase_create("all");

    tcase_add_unchecked_fixture(tcase, make_all, remove_all);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, both_sides_prove_who_they_are);
    tcase_add_test(tcase, nats_alone_proves_who_it_is);
    tcase_add_test(tcase, the_name_must_be_that_of_the_host);
    tcase_add_test(tcase, nats_without_tls_is_refused);
    tcase_add_test(tcase, tls_in_the_address_is_wanted);
    tcase_add_test(tcase, files_that_cannot_be_used_are_named);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
