/* SPDX-License-Identifier: Apache-2.0 */
/* What a program is told of matches that it may have missed, by whatever a
 * server says. */
#include <config.h>

#include <check.h>
#include <jansson.h>
#include <lasthop/client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/lh_alloc.h"

#define DEADLINE_MS 30000

struct seen {
    size_t n_gaps;
    uint64_t n_missed, since_ns, until_ns; /* The last. */
    char whys[200];                        /* One after the other. */
};

static void
on_missed(struct lasthop_request *r, uint64_t n, uint64_t since_ns,
          uint64_t until_ns, void *seen_)
{
    const char *why = lasthop_request_missed_why(r);
    struct seen *seen = seen_;
    size_t len = strlen(seen->whys);

    seen->n_missed += n;
    if (n) {
        ck_assert_ptr_null(why);
        return;
    }
    seen->n_gaps++;
    seen->since_ns = since_ns;
    seen->until_ns = until_ns;
    snprintf(seen->whys + len, sizeof seen->whys - len, "%s.",
             why ? why : "?");
}

/* A server of one client that may have missed something; ends with it. */
static void
serve(int fd)
{
    FILE *in = fdopen(dup(fd), "r");
    char *line = NULL;
    size_t allocated = 0;

    while (getline(&line, &allocated, in) > 0) {
        json_t *request = json_loads(line, 0, NULL);
        int id = (int) json_integer_value(json_object_get(request, "id"));

        dprintf(fd, "{\"id\":%d,\"ok\":true,\"trigger\":1}\n", id);
        if (!strcmp(json_string_value(json_object_get(request, "op")),
                    "trigger.add")) {
            dprintf(fd,
                    "{\"id\":%d,\"event\":\"missed\",\"n\":0,\"since_ns\":5,"
                    "\"until_ns\":7,\"why\":\"NATS fell\"}\n"
                    "{\"id\":%d,\"event\":\"missed\",\"n\":3}\n"
                    "{\"id\":%d,\"event\":\"missed\",\"n\":0,\"since_ns\":6,"
                    "\"until_ns\":8}\n",
                    id, id, id);
        }
        json_decref(request);
    }
    free(line);
    fclose(in);
}

START_TEST(what_was_missed_has_a_reason)
{
    char dir[] = "/tmp/lasthop-missed-XXXXXX";
    char *path = lh_asprintf("%s/s", mkdtemp(dir));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct lasthop_client *client = lasthop_client_create(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), status;
    struct lasthop_request *r;
    struct seen seen = {.n_gaps = 0};
    pid_t pid;

    strcpy(address.sun_path, path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *) &address, sizeof address),
                     0);
    ck_assert_int_eq(listen(fd, 1), 0);
    pid = fork();
    if (!pid) {
        serve(accept(fd, NULL, NULL));
        _exit(0);
    }
    close(fd);
    ck_assert_int_eq(lasthop_client_connect(client), 0);
    r = lasthop_request_create(client, "trigger.add");
    ck_assert_ptr_null(lasthop_request_missed_why(r));
    lasthop_request_set_text(r, "phf", ".*");
    lasthop_request_on_missed(r, on_missed, &seen);
    ck_assert_int_eq(lasthop_request_start(r), 0);
    while (seen.n_gaps < 2) {
        ck_assert_int_eq(lasthop_client_process(client, DEADLINE_MS), 0);
    }
    ck_assert_str_eq(seen.whys, "NATS fell.?.");
    ck_assert_ptr_null(lasthop_request_missed_why(r));
    ck_assert_uint_eq(seen.n_missed, 3);
    ck_assert_uint_eq(seen.since_ns, 6);
    ck_assert_uint_eq(seen.until_ns, 8);
    lasthop_client_destroy(client);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    unlink(path);
    rmdir(dir);
    free(path);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("client_missed");
    TCase *tcase = tcase_create("client_missed");
    SRunner *runner;
    int n_failed;

    tcase_add_test(tcase, what_was_missed_has_a_reason);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
