/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what: a running lasthop-server asked over TLS, with certificates
 * that openssl(1) makes. */
#include <config.h>

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <lasthop/client.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/api_access.h"
#include "lib/api_peer.h"
#include "lib/lh_alloc.h"
#include "tests/server/live.h"

static struct live live;
static char *address; /* "ssl:.." */

static uint16_t
free_tcp_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *) &at, len), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *) &at, &len), 0);
    close(fd);
    return ntohs(at.sin_port);
}

static void
run(char *command)
{
    ck_assert_msg(!system(command), "%s", command);
    free(command);
}

static void
write_access(const char *text)
{
    char *path = lh_asprintf("%s/access", live.dir);
    char *next = lh_asprintf("%s/access.new", live.dir);
    FILE *file = fopen(next, "w");

    /* Whole or not at all: the server may be reading it. */
    fputs(text, file);
    fclose(file);
    ck_assert_int_eq(rename(next, path), 0);
    free(next);
    free(path);
}

/* A key and a certificate of 'name', signed by 'ca'. */
static void
make_certificate(const char *name, const char *ca)
{
    run(lh_asprintf(
        "cd %s && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
        "-nodes -keyout %s.key -subj /CN=%s -out %s.csr 2>>openssl.log && "
        "openssl x509 -req -in %s.csr -CA %s.pem -CAkey %s.key -days 2 "
        "-CAcreateserial -out %s.pem 2>>openssl.log",
        live.dir, name, name, name, name, ca, ca, name));
}

static void
make_ca(const char *name)
{
    run(lh_asprintf("cd %s && openssl req -x509 -newkey ec -pkeyopt "
                    "ec_paramgen_curve:P-256 -nodes -keyout %s.key -subj "
                    "/CN=%s -days 2 -out %s.pem 2>>openssl.log",
                    live.dir, name, name, name));
}

static void
set_up(void)
{
    char *listen = lh_asprintf("--api-listen=127.0.0.1:%u", free_tcp_port());

    address = lh_asprintf("ssl:%s", strchr(listen, '=') + 1);
    live_init(&live, "--topology=@/topology.json", "--rules=@/rules.jsonl",
              "--recorder=none", "--accept=127.0.0.1", "--archive=@/archive",
              "--round=50ms", listen, "--private-key=@/server.key",
              "--certificate=@/server.pem", "--ca-cert=@/ca.pem",
              "--access=@/access", "--socket-mode=0600", NULL);
    free(listen);
    make_ca("ca");
    make_ca("other-ca");
    make_certificate("server", "ca");
    make_certificate("noc", "ca");
    make_certificate("guest", "ca");
    make_certificate("nobody", "ca");
    make_certificate("stranger", "other-ca");
    write_access("# who may\nnoc bytes triggers\nguest none  # looks on\n");
    live_start(&live);
}

static void
tear_down(void)
{
    free(address);
    live_uninit(&live);
}

static struct lasthop_client *
client_of(const char *name)
{
    struct lasthop_client *client = lasthop_client_create(address);
    char *key = lh_asprintf("%s/%s.key", live.dir, name);
    char *certificate = lh_asprintf("%s/%s.pem", live.dir, name);
    char *ca = lh_asprintf("%s/ca.pem", live.dir);

    lasthop_client_set_tls(client, key, certificate, ca);
    lasthop_client_set_timeout(client, LIVE_DEADLINE_MS);
    free(key);
    free(certificate);
    free(ca);
    return client;
}

static void
on_history(struct lasthop_request *r, struct lasthop_history *h, void *last)
{
    struct lasthop_history **lastp = last;

    lasthop_history_unref(*lastp);
    *lastp = lasthop_history_ref(h);
}

/* The newest history that 'client' gets, a reference. */
static struct lasthop_history *
query(struct lasthop_client *client)
{
    struct lasthop_request *r = lasthop_request_create(client, "query");
    struct lasthop_history *last = NULL;

    lasthop_request_set_text(r, "phf", ".*");
    lasthop_request_on_history(r, on_history, &last);
    ck_assert_int_eq(lasthop_request_run(r, LIVE_DEADLINE_MS), 0);
    ck_assert_ptr_nonnull(last);
    return last;
}

static int
ask_with(struct lasthop_client *client, const char *op, const char *phf)
{
    struct lasthop_request *r = lasthop_request_create(client, op);

    lasthop_request_set_text(r, "phf", phf);
    ck_assert_int_eq(lasthop_request_start(r), 0);
    return lasthop_request_wait_answer(r, LIVE_DEADLINE_MS);
}

static int
ask(struct lasthop_client *client, const char *op)
{
    return ask_with(client, op, ".*");
}

/* Has the server read the access file 'text'. */
static void
reload(const char *text)
{
    write_access(text);
    ck_assert_int_eq(kill(live.pid, SIGHUP), 0);
}

/* Asks until the server has closed the connection. */
static void
wait_for_close(struct lasthop_client *client)
{
    struct lasthop_request *r = lasthop_request_create(client, "stats");

    while (!lasthop_request_run(r, LIVE_DEADLINE_MS)) {
        poll(NULL, 0, 5);
    }
    lasthop_request_destroy(r);
    ck_assert_int_eq(lasthop_client_state(client), LASTHOP_DOWN);
}

START_TEST(rights_are_those_of_the_certificates_name)
{
    struct api_client *control = live_client(&live);
    struct lasthop_client *noc = client_of("noc"), *guest = client_of("guest");
    struct lasthop_history *seen, *bare;
    json_t *answer;
    size_t len;

    live_send(&live, 1, SCENE_SWITCHES, true);
    live_wait(control, "archived", 1);
    ck_assert_msg(!lasthop_client_connect(noc), "%s",
                  lasthop_client_error(noc));
    ck_assert_msg(!lasthop_client_connect(guest), "%s",
                  lasthop_client_error(guest));
    seen = query(noc);
    ck_assert_ptr_nonnull(
        lasthop_hop_header(lasthop_history_hop(seen, 0), &len));
    ck_assert_uint_gt(len, 0);

    /* Bytes are withheld, the way is not. */
    bare = query(guest);
    ck_assert_ptr_null(lasthop_hop_header(lasthop_history_hop(bare, 0), &len));
    ck_assert_uint_eq(len, 0);
    ck_assert_uint_eq(lasthop_history_n_hops(bare),
                      lasthop_history_n_hops(seen));
    ck_assert_str_eq(lasthop_history_verdict(bare), "dropped");
    lasthop_history_unref(seen);
    lasthop_history_unref(bare);

    ck_assert_int_eq(ask(noc, "trigger.add"), 0);
    ck_assert_int_eq(ask(guest, "trigger.add"), EACCES);
    ck_assert_int_eq(ask(noc, "log.level"), EACCES);
    ck_assert_int_eq(ask(guest, "stats"), 0);

    ck_assert_int_eq(api_client_call(control, "clients", NULL,
                                     LIVE_DEADLINE_MS, &answer, NULL),
                     0);
    char *text = json_dumps(answer, JSON_COMPACT);

    ck_assert_ptr_nonnull(strstr(text, "\"ssl:noc\""));
    ck_assert_ptr_nonnull(strstr(text, "\"ssl:guest\""));
    ck_assert_ptr_nonnull(strstr(text, "\"rights\":[\"bytes\",\"triggers\"]"));
    free(text);
    json_decref(answer);
    lasthop_client_destroy(noc);
    lasthop_client_destroy(guest);
    api_client_close(control);
}
END_TEST

START_TEST(a_filter_tells_nobody_what_he_may_not_see)
{
    static const char filter[] = "{{--dpid 1}}.*{{--bpf udp port 53}}";
    struct lasthop_client *noc = client_of("noc"), *guest = client_of("guest");
    struct lasthop_request *r;

    write_access("noc bytes triggers\nguest triggers\n");
    kill(live.pid, SIGHUP);
    ck_assert_int_eq(lasthop_client_connect(noc), 0);
    while (lasthop_client_connect(guest) || ask(guest, "trigger.add")) {
        poll(NULL, 0, 5); /* Until the file was read. */
    }
    ck_assert_int_eq(ask_with(noc, "trigger.add", filter), 0);
    ck_assert_int_eq(ask_with(noc, "query", filter), 0);
    ck_assert_int_eq(ask_with(guest, "query", filter), EACCES);
    r = lasthop_request_create(guest, "trigger.add");
    lasthop_request_set_text(r, "phf", filter);
    ck_assert_int_eq(lasthop_request_run(r, LIVE_DEADLINE_MS), EACCES);
    ck_assert_str_eq(lasthop_request_error(r),
                     "--bpf \"udp port 53\" asks about bytes of packets, "
                     "which this client may not see (it has no right "
                     "\"bytes\")");
    ck_assert_int_eq(lasthop_request_error_pos(r), 16);
    ck_assert_int_eq(ask_with(guest, "query", "{{--verdict dropped}}"), 0);
    lasthop_client_destroy(noc);
    lasthop_client_destroy(guest);
}
END_TEST

START_TEST(rights_are_read_again_by_a_signal)
{
    struct lasthop_client *noc = client_of("noc"), *guest = client_of("guest");

    ck_assert_int_eq(lasthop_client_connect(noc), 0);
    ck_assert_int_eq(lasthop_client_connect(guest), 0);
    ck_assert_int_eq(ask(guest, "trigger.add"), EACCES);

    /* Whose rights change comes again, others stay. */
    reload("noc bytes triggers\nguest triggers\n");
    wait_for_close(guest);
    ck_assert_int_eq(lasthop_client_connect(guest), 0);
    ck_assert_int_eq(ask(guest, "trigger.add"), 0);
    ck_assert_int_eq(ask(noc, "stats"), 0);

    /* A file with an error changes nothing; one without a line shuts out. */
    reload("noc fly\n");
    reload("noc bytes triggers\n");
    wait_for_close(guest);
    ck_assert_int_eq(lasthop_client_connect(guest), EACCES);
    ck_assert_ptr_nonnull(strstr(lasthop_client_error(guest),
                                 "does not let this certificate in"));
    ck_assert_int_eq(ask(noc, "stats"), 0);
    lasthop_client_destroy(noc);
    lasthop_client_destroy(guest);
}
END_TEST

START_TEST(who_has_no_line_or_no_certificate_of_ours_is_refused)
{
    struct lasthop_client *nobody = client_of("nobody");
    struct lasthop_client *stranger = client_of("stranger");
    struct lasthop_client *plain = lasthop_client_create(address);

    ck_assert_int_ne(lasthop_client_connect(nobody), 0);
    ck_assert_int_ne(lasthop_client_connect(stranger), 0);
    ck_assert_int_eq(lasthop_client_connect(plain), EINVAL);
    ck_assert_ptr_nonnull(strstr(lasthop_client_error(plain), "LASTHOP_KEY"));
    lasthop_client_destroy(nobody);
    lasthop_client_destroy(stranger);
    lasthop_client_destroy(plain);
}
END_TEST

START_TEST(the_socket_has_the_mode_that_was_asked_for)
{
    char *path = lh_asprintf("%s/server.sock", live.dir);
    struct stat st;

    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0600);
    free(path);
}
END_TEST

START_TEST(an_access_file_is_read_with_errors_that_name_the_line)
{
    static const struct {
        const char *text, *reason;
    } rows[] = {
        {"a bytes\n\nb fly\n", ":3: \"fly\" is no right"},
        {"a\n", ":1: a: its rights are missing"},
        {"a all\na none\n", ":2: a: is there twice"},
    };
    char *path = lh_asprintf("%s/access", live.dir);
    struct api_access *access;
    struct lh_error error;
    unsigned int rights;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_access(rows[i].text);
        ck_assert_int_eq(api_access_load(path, &access, &error), EINVAL);
        ck_assert_msg(strstr(error.text, rows[i].reason), "%s", error.text);
    }
    write_access("a bytes control\n* triggers\n");
    ck_assert_int_eq(api_access_load(path, &access, &error), 0);
    ck_assert(api_access_find(access, "a", &rights));
    ck_assert_uint_eq(rights, API_RIGHT_BYTES | API_RIGHT_CONTROL);
    ck_assert(api_access_find(access, "b", &rights));
    ck_assert_uint_eq(rights, API_RIGHT_TRIGGERS);
    api_access_destroy(access);
    unlink(path);
    ck_assert_int_eq(api_access_load(path, &access, &error), ENOENT);
    free(path);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("access");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, rights_are_those_of_the_certificates_name);
    tcase_add_test(tc, a_filter_tells_nobody_what_he_may_not_see);
    tcase_add_test(tc, rights_are_read_again_by_a_signal);
    tcase_add_test(tc, who_has_no_line_or_no_certificate_of_ours_is_refused);
    tcase_add_test(tc, the_socket_has_the_mode_that_was_asked_for);
    tcase_add_test(tc, an_access_file_is_read_with_errors_that_name_the_line);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
