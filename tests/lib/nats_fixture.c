/* SPDX-License-Identifier: Apache-2.0 */
/* nats_fixture - implementation. */
#include <config.h>
#include "tests/lib/nats_fixture.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/bus_kv.h"
#include "lib/monotonic.h"

#define DEADLINE_MS 60000

static struct sockaddr_in
loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t) port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

static int
free_port(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in where = loopback(0);
    socklen_t len = sizeof where;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *) &where, len), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *) &where, &len), 0);
    close(fd);
    return ntohs(where.sin_port);
}

static bool
is_listening(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in where = loopback(port);
    char byte;
    /* It greets, once it can be talked to. */
    bool is_there = !connect(fd, (struct sockaddr *) &where, sizeof where) &&
                    recv(fd, &byte, 1, 0) == 1;

    close(fd);
    return is_there;
}

static void
write_configuration(const struct nats *nats, const char *extra)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/conf", nats->dir);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file,
            "listen: \"127.0.0.1:%d\"\n"
            "log_file: \"%s/log\"\n"
            "jetstream { store_dir: \"%s/store\", max_mem: 256MB, "
            "max_file: 4GB }\n%s\n",
            nats->port, nats->dir, nats->dir, extra ? extra : "");
    fclose(file);
}

/* The process that has been forked; does not return. */
static void
become_server(const struct nats *nats, pid_t parent)
{
    const char *program = getenv("LASTHOP_NATS_SERVER");
    char path[128];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1);
    }
    snprintf(path, sizeof path, "%s/conf", nats->dir);
    execlp(program && *program ? program : "nats-server", "nats-server", "-c",
           path, NULL);
    execl("/usr/sbin/nats-server", "nats-server", "-c", path, NULL);
    fprintf(stderr, "cannot run nats-server: %s\n", strerror(errno));
    _exit(1);
}

static void
name_server(struct nats *nats)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(nats->dir, sizeof nats->dir, "%s/lasthop-nats-XXXXXX",
             tmp && strlen(tmp) < 32 ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(nats->dir));
    nats->port = free_port();
    snprintf(nats->url, sizeof nats->url, "nats://127.0.0.1:%d", nats->port);
}

void
nats_start(struct nats *nats, const char *extra)
{
    int64_t deadline_ms = monotonic_ms() + DEADLINE_MS;
    pid_t self = getpid();

    if (!nats->port) {
        name_server(nats);
    }
    write_configuration(nats, extra);
    nats->pid = fork();
    ck_assert_int_ge(nats->pid, 0);
    if (!nats->pid) {
        become_server(nats, self);
    }
    while (!is_listening(nats->port)) {
        ck_assert_msg(monotonic_ms() < deadline_ms &&
                          !waitpid(nats->pid, NULL, WNOHANG),
                      "nats-server does not start; see %s/log", nats->dir);
        poll(NULL, 0, 10);
    }
}

void
nats_kill(struct nats *nats)
{
    if (nats->pid) {
        kill(nats->pid, SIGKILL);
        waitpid(nats->pid, NULL, 0);
        nats->pid = 0;
    }
}

void
nats_end(struct nats *nats)
{
    char command[128];

    nats_kill(nats);
    snprintf(command, sizeof command, "rm -rf '%s'", nats->dir);
    ck_assert_int_eq(system(command), 0);
}

/* Copies what is in it; the other one is replaced. */
static void
copy_store(const struct nats *nats, const char *from, const char *to)
{
    char command[512];

    ck_assert_int_eq(nats->pid, 0);
    snprintf(command, sizeof command, "cd '%s' && rm -rf %s && cp -a %s %s",
             nats->dir, to, from, to);
    ck_assert_int_eq(system(command), 0);
}

void
nats_keep_store(const struct nats *nats)
{
    copy_store(nats, "store", "kept");
}

void
nats_fall_back(const struct nats *nats)
{
    copy_store(nats, "kept", "store");
}

void
nats_stream_falls_back(const struct nats *nats, const char *stream)
{
    char from[80], to[80];

    snprintf(from, sizeof from, "kept/jetstream/'$G'/streams/%s", stream);
    snprintf(to, sizeof to, "store/jetstream/'$G'/streams/%s", stream);
    copy_store(nats, from, to);
}

/* --- Clusters. ----------------------------------------------------------- */

void
nats_cluster_restart(struct nats_cluster *cluster, unsigned int i)
{
    char extra[sizeof cluster->routes + 256];

    snprintf(extra, sizeof extra,
             "server_name: n%u\n"
             "cluster { name: c, listen: \"127.0.0.1:%d\", routes: [%s] }",
             i, cluster->route_ports[i], cluster->routes);
    nats_start(&cluster->nodes[i], extra);
}

void
nats_cluster_start(struct nats_cluster *cluster, unsigned int n)
{
    ck_assert_uint_le(n, NATS_MAX_NODES);
    *cluster = (struct nats_cluster){.n = n};
    for (unsigned int i = 0; i < n; i++) {
        size_t len = strlen(cluster->routes);
        size_t urls_len = strlen(cluster->urls);

        name_server(&cluster->nodes[i]);
        cluster->route_ports[i] = free_port();
        snprintf(cluster->routes + len, sizeof cluster->routes - len,
                 "%s\"nats://127.0.0.1:%d\"", i ? ", " : "",
                 cluster->route_ports[i]);
        snprintf(cluster->urls + urls_len, sizeof cluster->urls - urls_len,
                 "%s%s", i ? "," : "", cluster->nodes[i].url);
    }
    for (unsigned int i = 0; i < n; i++) {
        nats_cluster_restart(cluster, i);
    }
}

void
nats_cluster_end(struct nats_cluster *cluster)
{
    for (unsigned int i = 0; i < cluster->n; i++) {
        nats_end(&cluster->nodes[i]);
    }
}

struct bus *
nats_open(const struct nats *nats, struct event_base *base)
{
    const struct bus_options options = {.urls = nats->url};
    struct lh_error error;
    struct bus *bus;

    ck_assert_msg(!bus_open(base, &options, &bus, &error), "%s", error.text);
    return bus;
}

/* --- The loop. ----------------------------------------------------------- */

void
nats_loop_while(struct event_base *base, bool (*is_going)(void *aux),
                void *aux)
{
    int64_t deadline_ms = monotonic_ms() + DEADLINE_MS;

    while (is_going(aux)) {
        const struct timeval at_most = {.tv_usec = 50000};

        ck_assert_msg(monotonic_ms() < deadline_ms,
                      "what the test waits for does not come");
        event_base_loopexit(base, &at_most);
        event_base_loop(base, EVLOOP_ONCE);
    }
}

static bool
is_undone(void *done)
{
    return !*(const volatile bool *) done;
}

void
nats_loop_until(struct event_base *base, const bool *done)
{
    nats_loop_while(base, is_undone, (void *) done);
}

/* --- Buckets. ------------------------------------------------------------ */

static void
take_bucket(void *is_made, int error_number, const char *why)
{
    ck_assert_msg(!error_number, "%s", why);
    *(bool *) is_made = true;
}

void
nats_create_bucket(struct bus *bus, struct event_base *base, const char *name)
{
    const struct bus_kv_config config = {.bucket = name,
                                         .max_bytes = 1u << 20};
    bool is_made = false;

    ck_assert_int_eq(
        bus_kv_create(bus, &config, 20000, take_bucket, &is_made, NULL), 0);
    nats_loop_until(base, &is_made);
}

void
nats_set_up(struct nats *nats, struct event_base **base, struct bus **bus,
            const char *bucket)
{
    *base = event_base_new();
    *nats = (struct nats){.pid = 0};
    nats_start(nats, NULL);
    *bus = nats_open(nats, *base);
    nats_create_bucket(*bus, *base, bucket);
}

void
nats_tear_down(struct nats *nats, struct event_base *base, struct bus *bus)
{
    bus_close(bus);
    nats_end(nats);
    event_base_free(base);
}
