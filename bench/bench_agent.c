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
 * With the argument "budget" a process of its own is an agent with --cpu 10%
 * while this one writes postcards of the mix at rates that change in steps,
 * and leaves out, as a switch does, what is above the threshold.  used: what
 * the agent uses, each second from the fifth after a step on; settled: seconds
 * until it is first within 10 +- 1 % and stays there for the next two.
 *
 * usage: bench_agent [PACKETS | budget]   (default 100,000) */
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
#include "bench/agent_cards.h"
#include "bench/figure.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/say.h"
#include "tests/agent/fake_ring.h"
#include "tests/agent/fake_server.h"

#define N_RUNS    5
#define N_PACKETS 100000
#define RING_SIZE (8u << 20)
#define PROCESS   "lhbench"

/* --- Measuring -----------------------------------------------------------
 */

static void
print(const char *traffic, const char *metric, const char *unit,
      double *values, size_t n)
{
    figure_print(values, n, unit, metric, "agent %s snap %d", traffic,
                 PACKET_ID_SNAP);
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
            figure_die("no ring");
        }
        ring_reader_attach(reader, NULL, NULL);
        bytes = 0;
        for (size_t i = 0; i < n_cards;) {
            struct agent_batch_stats stats;
            struct ring_item item;

            i += fill(ring, i);

            uint64_t before = figure_ns(CLOCK_PROCESS_CPUTIME_ID);
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
            used += figure_ns(CLOCK_PROCESS_CPUTIME_ID) - before;
        }
        values[run] = (double) used / (double) n_cards;
        if (ring_reader_counters(reader)->n_postcards != n_cards) {
            figure_die("not every postcard was read");
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
        figure_die("pipe");
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
        figure_die("no server");
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
        figure_die(error.text);
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
        before = figure_ns(CLOCK_PROCESS_CPUTIME_ID);
        event_base_loop(base, EVLOOP_ONCE);
        used += figure_ns(CLOCK_PROCESS_CPUTIME_ID) - before;
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
        figure_die(spool);
    }
    pack(traffic);
    if (!getenv("BENCH_AGENT_PACK")) {
        ship(traffic, NULL, "ship");
        ship(traffic, spool, "ship_spooled");
    }
    command = lh_asprintf("rm -rf %s", spool);
    if (system(command)) {
        figure_die(command);
    }
    free(command);
    n_cards = 0;
}

/* --- The budget ----------------------------------------------------------
 */

#define SHARE       0.10
#define STEP_S      12
#define SETTLE_S    5
#define MAX_SECONDS 256

static pid_t
start_agent(uint16_t port)
{
    pid_t pid = fork();

    if (!pid) {
        struct event_base *base = event_base_new();
        char address[32];
        struct options options = {.server = address,
                                  .cpu = SHARE,
                                  .memory_bytes = UINT64_C(1) << 30,
                                  .snap = 96,
                                  .id_config = PACKET_ID_CONFIG_INIT,
                                  .process = PROCESS,
                                  .flush_ns = 100000000,
                                  .poll_ns = 5000000};
        struct agent *agent;

        prctl(PR_SET_NAME, "lhbenchagent");
        snprintf(address, sizeof address, "127.0.0.1:%u", port);
        if (agent_open(base, &options, &agent, NULL)) {
            _exit(1);
        }
        event_base_dispatch(base);
        _exit(0);
    }
    return pid;
}

static uint64_t
cpu_of(pid_t pid)
{
    struct timespec ts;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &ts)) {
        figure_die("no clock");
    }
    return (uint64_t) ts.tv_sec * 1000000000u + (uint64_t) ts.tv_nsec;
}

/* Writes at 'rate' per second for a second; returns which part of it the agent
 * has used. */
static double
run_second(struct fake_ring *ring, pid_t pid, uint64_t rate,
           const uint64_t *ids, size_t *next)
{
    uint64_t begin_ns = monotonic_ns(), cpu = cpu_of(pid), done = 0, now_ns;

    while ((now_ns = monotonic_ns()) - begin_ns < 1000000000u) {
        uint64_t due = (now_ns - begin_ns) * rate / 1000000000u;

        for (; done < due; done++) {
            const struct card *c = &cards[*next];

            if (ids[*next] >> 32 <= ring->page->threshold) {
                fake_ring_put(ring, c->template, c->time_ns, c->header,
                              c->caplen, c->packet_len, false);
            }
            *next = (*next + 1) % n_cards;
        }
        fake_ring_publish(ring);
        usleep(1000);
    }
    return (double) (cpu_of(pid) - cpu) / (double) (monotonic_ns() - begin_ns);
}

static bool
is_within(double used)
{
    return used >= SHARE - 0.01 && used <= SHARE + 0.01;
}

static void
measure_budget(void)
{
    static const uint64_t rates[] = {1500000, 600000, 2000000, 800000};
    struct packet_id_config config = PACKET_ID_CONFIG_INIT;
    const char *traffic = agent_cards_make_mix(50000);
    uint64_t *ids = lh_alloc_array(NULL, n_cards, sizeof *ids);
    struct fake_ring *ring = fake_ring_create(RING_SIZE);
    double used[MAX_SECONDS], settled[sizeof rates / sizeof rates[0]];
    size_t next = 0, n_used = 0;
    uint16_t port;
    pid_t server = start_server(&port), pid;

    for (size_t i = 0; i < n_cards; i++) {
        struct hdr h;

        hdr_parse(cards[i].header, cards[i].caplen, &h);
        packet_id(&config, cards[i].header, cards[i].caplen, &h, &ids[i]);
    }
    pid = start_agent(port);
    while (!ring->page->epoch) {
        usleep(1000);
    }
    for (size_t step = 0; step < sizeof rates / sizeof rates[0]; step++) {
        unsigned int n_within = 0;

        settled[step] = STEP_S;
        for (unsigned int s = 0; s < STEP_S; s++) {
            double u = run_second(ring, pid, rates[step], ids, &next);

            n_within = is_within(u) ? n_within + 1 : 0;
            if (n_within == 3 && settled[step] > s) {
                settled[step] = s - 2;
            }
            if (s >= SETTLE_S) {
                used[n_used++] = 100 * u;
            }
        }
    }
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    print(traffic, "used at --cpu 10%", "% of a processor", used, n_used);
    print(traffic, "settled", "s", settled, sizeof rates / sizeof rates[0]);
    fake_ring_destroy(ring);
    free(ids);
}

int
main(int argc, char *argv[])
{
    bool is_budget = argc > 1 && !strcmp(argv[1], "budget");
    size_t n_packets = argc > 1 ? strtoul(argv[1], NULL, 10) : N_PACKETS;

    /* Rings of this very process are looked for. */
    prctl(PR_SET_NAME, PROCESS);
    signal(SIGPIPE, SIG_IGN);
    say_set_level(SAY_ERROR);
    if (is_budget) {
        measure_budget();
        return EXIT_SUCCESS;
    }
    measure(agent_cards_make_mix(n_packets));
    agent_cards_make_bulk(n_packets, 3);
    measure("tcp bulk 3 bridges");
    agent_cards_make_bulk(n_packets, 5);
    measure("tcp bulk 5 bridges");
    return EXIT_SUCCESS;
}
