/* SPDX-License-Identifier: Apache-2.0 */
/* bench_agent - what lasthop-agent costs for a postcard, and how many bytes go
 * to the server for it, at a 96-byte snap.
 *
 * "mix": the preset mix of lasthop-gen, all of its switches on one host.
 * "tcp bulk N bridges": TCP connections with full segments of random bytes and
 * their acknowledgements cross N bridges, 32 packets at a time, as a switch's
 * thread works on them.  Postcards are written into a ring in memory.  pack:
 * from there to the bytes of batches; ship: by a whole agent without spool, or
 * with one, to a socket that another process reads.  CPU is the process's own,
 * kernel included, without what filling the ring takes.
 *
 * usage: bench_agent [PACKETS]   (default 100,000) */
#include <config.h>

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/agent_impl.h"
#include "bench/bench_preset.h"
#include "gen/gen.h"
#include "lib/inet_sum.h"
#include "lib/lh_alloc.h"
#include "lib/postcard_geneve.h"
#include "lib/say.h"
#include "tests/agent/fake_ring.h"
#include "tests/agent/fake_server.h"

#define N_RUNS    5
#define N_PACKETS 100000
#define RING_SIZE (8u << 20)
#define BURST     32
#define N_FLOWS   8 /* Of TCP bulk. */
#define PROCESS   "lhbench"

struct card {
    const struct hop_template *template;
    uint64_t time_ns;
    uint32_t packet_len;
    uint16_t caplen;
    uint8_t header[PACKET_ID_SNAP];
};

static struct card *cards;
static size_t n_cards, n_allocated;
static struct hop_template **templates;
static size_t n_templates, templates_allocated;

static void
die(const char *what)
{
    fprintf(stderr, "bench_agent: %s\n", what);
    exit(EXIT_FAILURE);
}

/* --- Postcards -----------------------------------------------------------
 */

static const struct hop_template *
find_template(uint64_t dpid, uint32_t in_port, uint32_t out_port,
              uint32_t version)
{
    struct hop_output output = {.port = (uint16_t) out_port};
    struct hop_trail trail = {.version = version, .flags = HOP_TRAIL_VERSION};
    union hop_template_buf buf;

    hop_template_make(&buf, &(struct hop_template_parts){.dpid = dpid,
                                                         .in_port = in_port,
                                                         .bridge = "br",
                                                         .bridge_len = 2,
                                                         .outputs = &output,
                                                         .n_outputs = 1,
                                                         .trail = &trail,
                                                         .n_trail = 1});
    for (size_t i = n_templates; i-- > 0;) {
        if (hop_template_equal(templates[i], &buf.t)) {
            return templates[i];
        }
    }
    templates = lh_alloc_grow(templates, n_templates, &templates_allocated,
                              sizeof *templates);
    templates[n_templates] = hop_template_clone(&buf.t);
    return templates[n_templates++];
}

static struct card *
add_card(const struct hop_template *template, uint64_t time_ns,
         const uint8_t *header, uint16_t caplen, uint32_t packet_len)
{
    struct card *card;

    cards = lh_alloc_grow(cards, n_cards, &n_allocated, sizeof *cards);
    card = &cards[n_cards++];
    card->template = template;
    card->time_ns = time_ns;
    card->packet_len = packet_len;
    card->caplen = caplen;
    memcpy(card->header, header, caplen);
    return card;
}

static const char *
make_mix(size_t n_packets)
{
    struct gen_frame batch[GEN_BATCH];
    struct gen_config config;
    struct lh_error error;
    char *trace;
    struct gen *gen;
    const char *traffic = bench_preset(&config, &trace);
    size_t n;

    config.n_packets = n_packets;
    config.snap = PACKET_ID_SNAP;
    if (gen_create(&config, &gen, &error)) {
        die(error.text);
    }
    while (!gen_next(gen, batch, GEN_BATCH, &n, &error) && n) {
        for (size_t i = 0; i < n; i++) {
            struct postcard p;
            struct hdr outer, h;

            if (postcard_geneve_decode_frame(batch[i].data, batch[i].len,
                                             &outer, &p) != POSTCARD_OK ||
                p.caplen > PACKET_ID_SNAP) {
                die("no postcard");
            }
            hdr_parse(p.header, p.caplen, &h);
            add_card(find_template(p.dpid, p.in_port, p.out_port, p.version),
                     batch[i].time_ns, p.header, p.caplen,
                     hdr_has_l3(&h) ? h.l3_ofs + h.own_len : p.caplen);
        }
    }
    gen_destroy(gen);
    free(trace);
    return traffic;
}

/* Segment or acknowledgement 'i' of a connection, as bridge 'hop' sees it. */
static uint16_t
make_segment(uint8_t *p, uint32_t flow, uint32_t i, unsigned int hop,
             uint64_t *random)
{
    bool is_ack = flow & 1;
    uint16_t own_len = is_ack ? 52 : 1500;

    memset(p, 0, PACKET_ID_SNAP);
    p[0] = p[6] = 2;
    p[5] = (uint8_t) (hop + 1);
    p[11] = (uint8_t) hop;
    bytes_put_be16(p + 12, HDR_ETH_IP4);
    p[14] = 0x45;
    bytes_put_be16(p + 16, own_len);
    bytes_put_be16(p + 18, (uint16_t) (flow * 771 + i));
    p[20] = 0x40;
    p[22] = (uint8_t) (64 - hop);
    p[23] = HDR_IP_TCP;
    bytes_put_be32(p + 26, 0x0a000001 + (is_ack ? 256 : 0));
    bytes_put_be32(p + 30, 0x0a000001 + (is_ack ? 0 : 256));
    bytes_put_be16(p + 24, inet_sum(p + 14, 20));
    bytes_put_be16(p + 34, (uint16_t) (is_ack ? 5201 : 40000 + flow / 2));
    bytes_put_be16(p + 36, (uint16_t) (is_ack ? 40000 + flow / 2 : 5201));
    bytes_put_be32(p + 38, is_ack ? 77 : 1000 * flow + 1448 * i);
    bytes_put_be32(p + 42, is_ack ? 1000 * flow + 2896 * i : 78);
    p[46] = 0x80;
    p[47] = 0x10;
    bytes_put_be16(p + 48, is_ack ? (uint16_t) (3000 + i % 7) : 509);
    bytes_put_be32(p + 54, 0x0101080a);
    bytes_put_be32(p + 58, 100000 + flow + i / 800);
    bytes_put_be32(p + 62, 200000 + flow + i / 800);
    bytes_put_be16(p + 50, (uint16_t) (*random >> 16));
    if (is_ack) {
        return 66;
    }
    for (size_t at = 66; at < PACKET_ID_SNAP; at++) {
        *random =
            *random * UINT64_C(6364136223846793005) + 1442695040888963407;
        p[at] = (uint8_t) (*random >> 56);
    }
    return PACKET_ID_SNAP;
}

static void
make_bulk(size_t n_packets, unsigned int n_bridges)
{
    uint64_t now_ns = UINT64_C(1700000000000000000), random = 7;
    uint32_t count[2 * N_FLOWS] = {0};
    const struct hop_template *at[2][16];

    for (unsigned int i = 0; i < n_bridges; i++) {
        at[0][i] = find_template(0xa0 + i, 1, 2, 10 + i);
        at[1][i] = find_template(0xa0 + i, 2, 1, 20 + i);
    }
    for (size_t n = 0; n < n_packets; n += BURST) {
        uint8_t p[BURST][PACKET_ID_SNAP];
        /* Two segments for an acknowledgement. */
        bool is_ack = n / BURST % 3 == 2;
        uint32_t flow[BURST], number[BURST];
        uint64_t seeds[BURST];

        for (unsigned int k = 0; k < BURST; k++) {
            random = random * UINT64_C(6364136223846793005) + 1;
            flow[k] = 2 * (uint32_t) (random >> 60) % (2 * N_FLOWS) + is_ack;
            number[k] = count[flow[k]]++;
            seeds[k] = random;
        }
        for (unsigned int hop = 0; hop < n_bridges; hop++) {
            now_ns += 1000 + (random >> 50) % 3000;
            for (unsigned int k = 0; k < BURST; k++) {
                uint64_t seed = seeds[k];
                uint16_t caplen =
                    make_segment(p[k], flow[k], number[k], hop, &seed);

                add_card(at[is_ack][hop], now_ns, p[k], caplen,
                         is_ack ? 66 : 1514);
            }
        }
    }
}

/* --- Measuring -----------------------------------------------------------
 */

static uint64_t
cpu_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t) ts.tv_sec * 1000000000u + (uint64_t) ts.tv_nsec;
}

static int
compare_double(const void *a_, const void *b_)
{
    const double *a = a_, *b = b_;

    return *a < *b ? -1 : *a > *b;
}

static void
print(const char *traffic, const char *metric, const char *unit,
      double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare_double);
    printf("{\"bench\":\"agent %s snap %d\",\"metric\":\"%s\",\"value\":%.2f,"
           "\"unit\":\"%s\",\"runs\":%zu,\"min\":%.2f,\"max\":%.2f}\n",
           traffic, PACKET_ID_SNAP, metric, values[n / 2], unit, n, values[0],
           values[n - 1]);
    fflush(stdout);
}

/* Writes cards into the ring until it is full; returns how many. */
static size_t
fill(struct fake_ring *ring, size_t from)
{
    size_t i = from;

    while (i < n_cards && ring->head - ring->page->tail < ring->size - 8192 &&
           fake_ring_put(ring, cards[i].template, cards[i].time_ns,
                         cards[i].header, cards[i].caplen, cards[i].packet_len,
                         false)) {
        i++;
    }
    fake_ring_publish(ring);
    return i - from;
}

static void
pack(const char *traffic)
{
    double values[N_RUNS], bytes = 0;

    for (size_t run = 0; run < N_RUNS; run++) {
        struct fake_ring *ring = fake_ring_create(RING_SIZE);
        struct agent_batch_writer *w = agent_batch_writer_create();
        struct byte_buf packed = BYTE_BUF_INIT, frame = BYTE_BUF_INIT;
        struct ring_reader *reader;
        uint64_t used = 0;

        if (ring_reader_open(fake_ring_open(ring), &reader, NULL)) {
            die("no ring");
        }
        ring_reader_attach(reader, NULL, NULL);
        bytes = 0;
        for (size_t i = 0; i < n_cards;) {
            struct agent_batch_stats stats;
            struct ring_item item;

            i += fill(ring, i);

            uint64_t before = cpu_ns();
            bool is_done = false;

            while (!is_done) {
                is_done = !ring_reader_next(reader, &item);
                if (!is_done && item.type == RING_ITEM_POSTCARD) {
                    agent_batch_writer_add(w, &item.postcard);
                }
                if (agent_batch_writer_is_full(w) || is_done) {
                    byte_buf_clear(&packed);
                    byte_buf_clear(&frame);
                    agent_batch_writer_finish(w, &packed, &stats);
                    agent_frame_put_batch(&frame, &(struct agent_batch_frame){
                                                      .seq = 1,
                                                      .n = stats.n,
                                                      .data = packed.data,
                                                      .len = packed.len});
                    bytes += (double) frame.len;
                    ring_reader_publish(reader, 1);
                }
            }
            used += cpu_ns() - before;
        }
        values[run] = (double) used / (double) n_cards;
        if (ring_reader_counters(reader)->n_postcards != n_cards) {
            die("not every postcard was read");
        }
        ring_reader_close(reader);
        fake_ring_destroy(ring);
        agent_batch_writer_destroy(w);
        byte_buf_uninit(&packed);
        byte_buf_uninit(&frame);
    }
    print(traffic, "pack", "ns CPU", values, N_RUNS);
    bytes /= (double) n_cards;
    print(traffic, "wire", "bytes", &bytes, 1);
}

/* A server in a process of its own, which takes everything. */
static pid_t
start_server(uint16_t *port)
{
    int fds[2];
    pid_t pid;

    if (pipe(fds)) {
        die("pipe");
    }
    pid = fork();
    if (!pid) {
        struct event_base *base = event_base_new();
        struct fake_server *server = fake_server_create(base);

        prctl(PR_SET_NAME, "lhbenchserver");
        if (write(fds[1], &server->port, sizeof server->port) < 0) {
            _exit(1);
        }
        event_base_dispatch(base);
        _exit(0);
    }
    if (pid < 0 || read(fds[0], port, sizeof *port) != sizeof *port) {
        die("no server");
    }
    close(fds[0]);
    close(fds[1]);
    return pid;
}

static double
ship_once(const char *spool)
{
    struct event_base *base = event_base_new();
    struct fake_ring *ring = fake_ring_create(RING_SIZE);
    char address[32];
    uint16_t port;
    pid_t pid = start_server(&port);
    struct options options = {.server = address,
                              .spool = spool,
                              .spool_bytes = UINT64_C(1) << 30,
                              .memory_bytes = UINT64_C(1) << 30,
                              .snap = 96,
                              .id_config = PACKET_ID_CONFIG_INIT,
                              .process = PROCESS,
                              .flush_ns = 100000000,
                              .poll_ns = 5000000};
    uint64_t used = 0;
    struct agent *agent;
    struct lh_error error;

    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    if (agent_open(base, &options, &agent, &error)) {
        die(error.text);
    }
    while (!server_link_counters(agent->link)->is_up) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    for (size_t i = 0; i < n_cards ||
                       outbox_counters(agent->outbox).n_taken < 1 ||
                       outbox_counters(agent->outbox).n_waiting ||
                       agent->n_postcards < n_cards;) {
        uint64_t before;

        i += fill(ring, i);
        before = cpu_ns();
        event_base_loop(base, EVLOOP_ONCE);
        used += cpu_ns() - before;
    }
    agent_close(agent);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    fake_ring_destroy(ring);
    event_base_free(base);
    return (double) used / (double) n_cards;
}

static void
ship(const char *traffic, const char *spool, const char *metric)
{
    double values[N_RUNS];

    for (size_t run = 0; run < N_RUNS; run++) {
        values[run] = ship_once(spool);
    }
    print(traffic, metric, "ns CPU", values, N_RUNS);
}

static void
measure(const char *traffic)
{
    char spool[] = "/tmp/bench_agent.XXXXXX";
    char *command;

    if (!mkdtemp(spool)) {
        die(spool);
    }
    pack(traffic);
    if (!getenv("BENCH_AGENT_PACK")) {
        ship(traffic, NULL, "ship");
        ship(traffic, spool, "ship_spooled");
    }
    command = lh_asprintf("rm -rf %s", spool);
    if (system(command)) {
        die(command);
    }
    free(command);
    n_cards = 0;
}

int
main(int argc, char *argv[])
{
    size_t n_packets = argc > 1 ? strtoul(argv[1], NULL, 10) : N_PACKETS;

    /* Rings of this very process are looked for. */
    prctl(PR_SET_NAME, PROCESS);
    signal(SIGPIPE, SIG_IGN);
    say_set_level(SAY_ERROR);
    measure(make_mix(n_packets));
    make_bulk(n_packets, 3);
    measure("tcp bulk 3 bridges");
    make_bulk(n_packets, 5);
    measure("tcp bulk 5 bridges");
    return EXIT_SUCCESS;
}
