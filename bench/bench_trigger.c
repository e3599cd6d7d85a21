/* SPDX-License-Identifier: Apache-2.0 */
/* bench_trigger - how long after the last hop's postcard a client hears of the
 * packet.
 *
 * lasthop-server runs, archiving; a client has a trigger that matches every
 * packet.  Packets of the preset mix of lasthop-gen cross a line of five
 * switches; their geneve postcards are sent by UDP over the loopback, a packet
 * at a time, or 20 packets back to back, by a process of their own, so that
 * the client is ready for the first event when the last postcard is not yet
 * sent.  Reported: from before the send() of a packet's last postcard until
 * its event has been read and parsed.  A packet without an event within 10 s
 * fails.  With root all of it goes before the machine's other work.
 *
 * usage: bench_trigger [PACKETS]   (default 4,000) */
#include <config.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench_boost.h"
#include "bench/bench_preset.h"
#include "bench/figure.h"
#include "gen/gen.h"
#include "lib/api_client.h"
#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "lib/postcard_geneve.h"

#define N_PACKETS  4000
#define N_HOPS     5
#define MAX_BURST  20
#define RATE       1000 /* Packets a second: each is over before the next. */
#define FRAME_HEAD (14 + 20 + 8) /* Ethernet, IPv4, UDP. */
#define TIMEOUT_MS 10000

/* What the sending process is told: to send so many packets. */
struct order {
    size_t first, n;
};

static char dir[] = "/tmp/bench_trigger.XXXXXX";
static pid_t server, sender;

static int
unlink_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    return remove(path);
}

static void
end(pid_t pid)
{
    if (pid) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}

static void
clean_up(void)
{
    end(server);
    end(sender);
    nftw(dir, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- packets, made before they are sent ---------------------------------- */

struct datagram {
    size_t len;
    uint8_t data[512];
};

struct packet {
    uint64_t packet_id;
    size_t n_cards;
    struct datagram cards[N_HOPS];
    uint64_t sent_ns; /* 0: not sent, or its event has come. */
};

static struct packet *packets; /* Shared with the sending process. */
static size_t n_packets;

static void
put_line(FILE *file, json_t *json)
{
    json_dumpf(json, file, JSON_COMPACT);
    putc('\n', file);
    json_decref(json);
}

static void
put_rule(void *file, const struct rule *rule)
{
    put_line(file, rule_to_json(rule));
}

static FILE *
create(const char *name)
{
    char *path = lh_asprintf("%s/%s", dir, name);
    FILE *file = fopen(path, "w");

    if (!file) {
        figure_die(path);
    }
    free(path);
    return file;
}

/* What the server is told of the network. */
static void
write_network(struct gen_net *net)
{
    FILE *file = create("rules.jsonl");

    gen_net_each_version(net, put_rule, file);
    fclose(file);
    file = create("topology.json");
    put_line(file, topology_to_json(gen_net_topology(net)));
    fclose(file);
}

/* Adds a postcard to the packet it is of, the last one or a new one. */
static void
add_card(const struct gen_frame *frame, const struct packet_id_config *config)
{
    struct packet *packet = n_packets ? &packets[n_packets - 1] : NULL;
    struct postcard p;
    struct hdr outer, h;
    uint64_t id;

    if (postcard_geneve_decode_frame(frame->data, frame->len, &outer, &p) !=
        POSTCARD_OK) {
        figure_die("a made-up postcard is none");
    }
    hdr_parse(p.header, p.caplen, &h);
    if (packet_id(config, p.header, p.caplen, &h, &id) == PACKET_ID_SHORT) {
        return;
    }
    if (!packet || packet->packet_id != id) {
        packet = &packets[n_packets++];
        packet->packet_id = id;
    }
    if (packet->n_cards++ < N_HOPS) {
        struct datagram *card = &packet->cards[packet->n_cards - 1];

        card->len = frame->len - FRAME_HEAD;
        if (card->len > sizeof card->data) {
            figure_die("a made-up postcard is too long");
        }
        memcpy(card->data, frame->data + FRAME_HEAD, card->len);
    }
}

static int
compare_id(const void *a_, const void *b_)
{
    const struct packet *a = *(struct packet *const *) a_;
    const struct packet *b = *(struct packet *const *) b_;

    return a->packet_id < b->packet_id   ? -1
           : a->packet_id > b->packet_id ? 1
           : a < b                       ? -1
                                         : a > b;
}

/* Packets that are not five postcards (two of the trace are the same, moments
 * apart), or whose ID another has, are left out. */
static void
drop_odd(void)
{
    struct packet **sorted = lh_alloc_array(NULL, n_packets, sizeof *sorted);
    size_t n = 0;

    for (size_t i = 0; i < n_packets; i++) {
        sorted[i] = &packets[i];
    }
    qsort(sorted, n_packets, sizeof *sorted, compare_id);
    for (size_t i = 1; i < n_packets; i++) {
        if (sorted[i]->packet_id == sorted[i - 1]->packet_id) {
            sorted[i]->n_cards = 0;
        }
    }
    free(sorted);
    for (size_t i = 0; i < n_packets; i++) {
        if (packets[i].n_cards == N_HOPS) {
            packets[n++] = packets[i];
        }
    }
    n_packets = n;
}

static const char *
make_packets(size_t n_wanted)
{
    struct gen_frame frames[GEN_BATCH];
    struct gen_config config;
    struct lh_error error;
    struct gen *gen;
    char *trace;
    const char *traffic = bench_preset(&config, &trace);
    size_t n;

    config.n_packets = n_wanted;
    config.rate = RATE;
    packets = mmap(NULL, n_wanted * N_HOPS * sizeof *packets,
                   PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (packets == MAP_FAILED) {
        figure_die(strerror(errno));
    }
    if (gen_create(&config, &gen, &error)) {
        figure_die(error.text);
    }
    while (!gen_next(gen, frames, GEN_BATCH, &n, &error) && n) {
        for (size_t i = 0; i < n; i++) {
            add_card(&frames[i], &config.id_config);
        }
    }
    drop_odd();
    write_network(gen_get_net(gen));
    gen_destroy(gen);
    free(trace);
    return traffic;
}

/* --- the server ---------------------------------------------------------- */

/* Connected to a UDP port that is free now. */
static int
open_socket(uint16_t *port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t len = sizeof to;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *) &to, len) ||
        getsockname(fd, (struct sockaddr *) &to, &len)) {
        figure_die(strerror(errno));
    }
    close(fd);
    *port = ntohs(to.sin_port);
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *) &to, len)) {
        figure_die(strerror(errno));
    }
    return fd;
}

static struct api_client *
start_server(uint16_t port)
{
    char *listen = lh_asprintf("--listen=geneve:127.0.0.1:%u", port);
    char *rundir = lh_asprintf("--rundir=%s", dir);
    char *archive = lh_asprintf("--archive=%s/archive", dir);
    char *topology = lh_asprintf("--topology=%s/topology.json", dir);
    char *rules = lh_asprintf("--rules=%s/rules.jsonl", dir);
    char *path = lh_asprintf("%s/server.sock", dir);
    struct lh_error error = {.text = "-"};
    struct api_client *client;

    server = fork();
    if (!server) {
        int log = open("/dev/null", O_WRONLY);

        dup2(log, STDERR_FILENO);
        execl("bin/lasthop-server", "lasthop-server", listen, rundir, archive,
              topology, rules, "--recorder=none", "--accept=127.0.0.1",
              (char *) NULL);
        _exit(127);
    }
    for (int i = 0; api_client_open(path, &client, &error); i++) {
        if (i == TIMEOUT_MS || waitpid(server, NULL, WNOHANG)) {
            server = 0;
            figure_die(error.text);
        }
        poll(NULL, 0, 1);
    }
    free(listen);
    free(rundir);
    free(archive);
    free(topology);
    free(rules);
    free(path);
    return client;
}

/* --- measuring ----------------------------------------------------------- */

static void
send_packet(int fd, struct packet *packet)
{
    for (size_t i = 0; i < N_HOPS; i++) {
        if (i + 1 == N_HOPS) {
            packet->sent_ns = figure_ns(CLOCK_MONOTONIC);
        }
        if (send(fd, packet->cards[i].data, packet->cards[i].len, 0) < 0) {
            figure_die(strerror(errno));
        }
    }
}

/* Starts a process that sends what it is told to through the pipe returned. */
static int
start_sender(int fd)
{
    struct order order;
    int orders[2];

    if (pipe(orders)) {
        figure_die(strerror(errno));
    }
    sender = fork();
    if (sender) {
        close(orders[0]);
        return orders[1];
    }
    close(orders[1]);
    while (read(orders[0], &order, sizeof order) == sizeof order) {
        for (size_t i = 0; i < order.n; i++) {
            send_packet(fd, &packets[order.first + i]);
        }
    }
    _exit(EXIT_SUCCESS);
}

/* Waits for an event, of one of the 'n' packets; how long it took. */
static double
wait_event(struct api_client *client, struct packet *burst, size_t n)
{
    struct lh_error error = {.text = "-"};
    json_t *event;

    if (api_client_next_event(client, TIMEOUT_MS, &event, &error)) {
        figure_die(error.text);
    }

    uint64_t end_ns = figure_ns(CLOCK_MONOTONIC);
    const char *text = json_string_value(
        json_object_get(json_object_get(event, "history"), "packet_id"));
    uint64_t id = text ? strtoull(text, NULL, 16) : 0;

    json_decref(event);
    for (size_t i = 0; i < n; i++) {
        if (burst[i].packet_id == id && burst[i].sent_ns) {
            double took = (double) (end_ns - burst[i].sent_ns) / 1e6;

            burst[i].sent_ns = 0;
            return took;
        }
    }
    figure_die("an event of no packet that was sent");
    return 0;
}

static void
print(const char *traffic, size_t n_burst, const char *metric, double value,
      const double *took, size_t n)
{
    printf("{\"bench\":\"trigger %s %zu at once\",\"metric\":\"%s\","
           "\"value\":%.3f,\"unit\":\"ms\",\"runs\":%zu,\"min\":%.3f,"
           "\"max\":%.3f}\n",
           traffic, n_burst, metric, value, n, took[0], took[n - 1]);
}

static void
measure(const char *traffic, int orders, struct api_client *client,
        size_t first, size_t n, size_t n_burst)
{
    double *took = lh_alloc_array(NULL, n, sizeof *took);
    size_t n_done = 0;

    for (size_t i = 0; i + n_burst <= n; i += n_burst) {
        struct order order = {first + i, n_burst};

        if (write(orders, &order, sizeof order) != sizeof order) {
            figure_die(strerror(errno));
        }
        for (size_t k = 0; k < n_burst; k++) {
            took[n_done++] =
                wait_event(client, &packets[order.first], n_burst);
        }
        poll(NULL, 0, 1); /* So that the server sleeps again. */
    }
    if (!n_done) {
        figure_die("too few packets");
    }
    figure_sort(took, n_done);
    print(traffic, n_burst, "p50", took[n_done / 2], took, n_done);
    print(traffic, n_burst, "p99", took[n_done * 99 / 100], took, n_done);
    fflush(stdout);
    free(took);
}

int
main(int argc, char *argv[])
{
    struct lh_error error = {.text = "-"};
    uint16_t port;

    if (!mkdtemp(dir)) {
        figure_die(dir);
    }
    atexit(clean_up);
    bench_boost();

    const char *traffic =
        make_packets(argc > 1 ? strtoul(argv[1], NULL, 10) : N_PACKETS);
    int fd = open_socket(&port);
    struct api_client *client = start_server(port);

    if (api_client_call(client, "trigger.add", json_pack("{s:s}", "phf", ".*"),
                        TIMEOUT_MS, NULL, &error)) {
        figure_die(error.text);
    }

    int orders = start_sender(fd);

    measure(traffic, orders, client, 0, n_packets / 2, 1);
    measure(traffic, orders, client, n_packets / 2, n_packets - n_packets / 2,
            MAX_BURST);
    api_client_close(client);
    close(fd);
    close(orders);
    return EXIT_SUCCESS;
}
