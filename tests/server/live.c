/* SPDX-License-Identifier: Apache-2.0 */
/* live - a running lasthop-server for tests. */
#include <config.h>

#include "tests/server/live.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/lh_alloc.h"
#include "tests/lib/archive_fixture.h"

#define PROGRAM "bin/lasthop-server"

static uint64_t
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}

/* Lets the other process work for a moment of a wait with a deadline. */
static void
pause_until(uint64_t deadline_ms, const char *what)
{
    ck_assert_msg(now_ms() < deadline_ms, "waited too long for %s", what);
    poll(NULL, 0, 2);
}

/* A UDP port that nobody uses. */
static uint16_t
free_port(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *) &address, len), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *) &address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void
add_argument(struct live *live, char *argument)
{
    ck_assert_int_lt(live->n_arguments, 31);
    live->arguments[live->n_arguments++] = argument;
}

void
live_init(struct live *live, const char *argument, ...)
{
    va_list args;

    memset(live, 0, sizeof *live);
    live->dir = fixture_dir();
    live->port = free_port();
    live->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(live->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char *path = lh_asprintf("%s/topology.json", live->dir);

    /* Connected before anybody listens: an error of the first send. */
    ck_assert_int_eq(connect(live->fd, (struct sockaddr *) &to, sizeof to), 0);
    scene_write_topology(path);
    free(path);
    path = lh_asprintf("%s/rules.jsonl", live->dir);
    scene_write_rules(path);
    free(path);

    add_argument(live, lh_strdup(PROGRAM));
    add_argument(live, lh_strdup("-v"));
    add_argument(live, lh_asprintf("--rundir=%s", live->dir));
    add_argument(live,
                 lh_asprintf("--listen=geneve:127.0.0.1:%u", live->port));
    if (getenv("LASTHOP_TEST_THREADS")) {
        add_argument(
            live, lh_asprintf("--threads=%s", getenv("LASTHOP_TEST_THREADS")));
    }
    va_start(args, argument);
    for (; argument; argument = va_arg(args, const char *)) {
        const char *at = strstr(argument, "@");

        /* @ stands for the directory. */
        add_argument(live, at ? lh_asprintf("%.*s%s%s", (int) (at - argument),
                                            argument, live->dir, at + 1)
                              : lh_strdup(argument));
    }
    va_end(args);
}

void
live_uninit(struct live *live)
{
    if (live->pid) {
        live_stop(live, SIGKILL);
    }
    for (int i = 0; i < live->n_arguments; i++) {
        free(live->arguments[i]);
    }
    close(live->fd);
    fixture_remove(lh_asprintf("%s/archive", live->dir));
    fixture_remove(live->dir);
}

static char *
socket_path(const struct live *live)
{
    return lh_asprintf("%s/server.sock", live->dir);
}

void
live_start(struct live *live)
{
    uint64_t deadline_ms = now_ms() + LIVE_DEADLINE_MS;
    char *log = lh_asprintf("%s/log", live->dir);
    char *path = socket_path(live);
    struct api_client *client;

    unlink(path);
    live->pid = fork();
    if (!live->pid) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

        dup2(fd, 2);
        execv(PROGRAM, live->arguments);
        _exit(127);
    }
    free(log);
    while (api_client_open(path, &client, NULL)) {
        int status;

        if (waitpid(live->pid, &status, WNOHANG) == live->pid) {
            live->pid = 0;
            ck_abort_msg("the server ended: %s", live_log(live));
        }
        pause_until(deadline_ms, "the server");
    }
    api_client_close(client);
    free(path);
}

int
live_stop(struct live *live, int signal_number)
{
    int status;

    kill(live->pid, signal_number);
    ck_assert_int_eq(waitpid(live->pid, &status, 0), live->pid);
    live->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

char *
live_log(const struct live *live)
{
    char *path = lh_asprintf("%s/log", live->dir);
    FILE *stream = fopen(path, "r");
    size_t size = 1 << 20;
    char *text = lh_alloc(size + 1);

    text[stream ? fread(text, 1, size, stream) : 0] = '\0';
    if (stream) {
        fclose(stream);
    }
    free(path);
    return text;
}

struct api_client *
live_client(const struct live *live)
{
    char *path = socket_path(live);
    struct api_client *client;
    struct lh_error error = {.text = "-"};

    ck_assert_msg(!api_client_open(path, &client, &error), "%s", error.text);
    free(path);
    return client;
}

/* All counters. */
static json_t *
get_stats(struct api_client *client)
{
    struct lh_error error = {.text = "-"};
    json_t *answer;

    ck_assert_msg(!api_client_call(client, "stats", NULL, LIVE_DEADLINE_MS,
                                   &answer, &error),
                  "%s", error.text);

    json_t *stats = json_incref(json_object_get(answer, "stats"));

    json_decref(answer);
    return stats;
}

static uint64_t
value_of(const json_t *stats, const char *name)
{
    const json_t *value = json_object_get(stats, name);

    ck_assert_msg(json_is_integer(value), "no counter %s", name);
    return (uint64_t) json_integer_value(value);
}

uint64_t
live_counter(struct api_client *client, const char *name)
{
    json_t *stats = get_stats(client);
    uint64_t value = value_of(stats, name);

    json_decref(stats);
    return value;
}

void
live_wait(struct api_client *client, const char *name, uint64_t value)
{
    uint64_t deadline_ms = now_ms() + LIVE_DEADLINE_MS;

    while (live_counter(client, name) < value) {
        pause_until(deadline_ms, name);
    }
}

static uint64_t
sum_of(const json_t *stats, const char *const names[])
{
    uint64_t sum = 0;

    for (size_t i = 0; names[i]; i++) {
        sum += value_of(stats, names[i]);
    }
    return sum;
}

void
live_check_sums(struct api_client *client)
{
    static const char *const received[] = {
        "postcards",      "foreign",       "other",
        "truncated",      "malformed",     "no_option",
        "unknown_format", "unknown_index", NULL};
    static const char *const postcards[] = {
        "assembled",    "duplicates",     "ambiguous",
        "dropped_busy", "dropped_full",   "dropped_memory",
        "sampled_out",  "open_postcards", NULL};
    static const char *const histories[] = {
        "archived", "archive_lost", "archive_refused", "archive_held", NULL};
    static const char *const verdicts[] = {
        "delivered", "controller", "open",       "lost",
        "dropped",   "looped",     "no_verdict", NULL};
    json_t *stats = get_stats(client);

    ck_assert_uint_eq(value_of(stats, "received"),
                      value_of(stats, "datagrams") +
                          value_of(stats, "frames") +
                          value_of(stats, "agent_postcards"));
    ck_assert_uint_eq(value_of(stats, "received"), sum_of(stats, received));
    ck_assert_uint_eq(value_of(stats, "postcards"), sum_of(stats, postcards));
    ck_assert_uint_eq(value_of(stats, "histories"), sum_of(stats, verdicts));
    if (value_of(stats, "archive_blocks") || value_of(stats, "archive_held")) {
        ck_assert_uint_eq(value_of(stats, "histories"),
                          sum_of(stats, histories));
    }
    json_decref(stats);
}

void
live_send(struct live *live, uint32_t n, uint64_t n_hops, bool drops)
{
    for (uint64_t dpid = 1; dpid <= n_hops; dpid++) {
        struct scene_card card;
        uint8_t datagram[2048];

        scene_card(&card, n, dpid, drops && dpid == n_hops, 0);

        size_t len = scene_datagram(&card, datagram);

        ck_assert_int_eq(send(live->fd, datagram, len, 0), (ssize_t) len);
    }
}

json_t *
live_next(struct api_client *client)
{
    struct lh_error error = {.text = "-"};
    json_t *event;

    for (;;) {
        ck_assert_msg(
            !api_client_next_event(client, LIVE_DEADLINE_MS, &event, &error),
            "%s", error.text);

        const char *name = json_string_value(json_object_get(event, "event"));

        if (!strcmp(name, "history")) {
            json_t *history = json_incref(json_object_get(event, "history"));

            json_decref(event);
            return history;
        }
        if (!strcmp(name, "end")) {
            json_decref(event);
            return NULL;
        }
        ck_assert_str_eq(name, "progress");
        json_decref(event);
    }
}
