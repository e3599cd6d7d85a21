/* SPDX-License-Identifier: Apache-2.0 */
/* bench_doors - what the doors of a cluster do for a postcard, and what its
 * owner does until it has them in the order of time, without a bus: each time
 * on the same input, so that instructions can be counted.
 *
 * The traffic, the rate and how switches are spread over servers are those of
 * bench_cluster; what the doors publish is kept here and acknowledged at once,
 * in the turn after.  ingest: frames to postcards, which go nowhere; doors:
 * frames to messages; wire: bytes of these; owners: messages to postcards in
 * order, of which each owner reads as many messages as have come in 5 ms.
 *
 * usage: bench_doors [SECONDS [SERVERS]]   (0.5; 8) */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_frames.h"
#include "bench/figure.h"
#include "bench/slow_clock.h"
#include "lib/bus.h"
#include "lib/bus_stream.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "server/cluster_codecs.h"
#include "server/cluster_door.h"
#include "server/cluster_merge.h"
#include "server/ingest.h"

#define MAX_SERVERS 8
#define N_SHARDS    64
#define SNAP        64
#define L2_LEN      18 /* Of Ethernet with one tag. */
#define N_HOPS      5
#define RATE        500000 /* Postcards a second at each server. */
#define STEP_NS     5000000
#define IDLE_NS     UINT64_C(10000000000)

/* --- In place of a bus. -------------------------------------------------- */

struct message {
    struct cluster_merge_message m; /* Owns the data. */
    uint32_t shard;
};

static struct {
    struct {
        bus_publish_fn *done;
        void *aux;
    } waiting[MAX_SERVERS * N_SHARDS];
    size_t n_waiting;
    struct message *messages; /* Owned. */
    size_t n, allocated;
    uint64_t seq;
} bus;

bool
bus_is_connected(const struct bus *b)
{
    return true;
}

void
bus_forget(struct bus *b, const void *aux)
{
}

int
bus_stream_publish(struct bus *b, const struct bus_letter *letter,
                   const char *id, uint64_t last_seq, uint32_t timeout_ms,
                   bus_publish_fn *done, void *aux, struct lh_error *error)
{
    struct message *message;

    bus.messages = lh_alloc_grow(bus.messages, bus.n, &bus.allocated,
                                 sizeof *bus.messages);
    message = &bus.messages[bus.n++];
    message->shard = (uint32_t) strtoul(letter->subject + 5, NULL, 10);
    message->m = (struct cluster_merge_message){
        .seq = ++bus.seq,
        .stored_ns = monotonic_ns(),
        .data = lh_memdup(letter->data, letter->size),
        .size = letter->size};
    bus.waiting[bus.n_waiting].done = done;
    bus.waiting[bus.n_waiting++].aux = aux;
    return 0;
}

static void
acknowledge(void)
{
    while (bus.n_waiting) {
        size_t n = bus.n_waiting;

        for (size_t i = 0; i < n; i++) {
            bus.waiting[i].done(bus.waiting[i].aux, 0, NULL, 1, false);
        }
        memmove(bus.waiting, bus.waiting + n,
                (bus.n_waiting - n) * sizeof *bus.waiting);
        bus.n_waiting -= n;
    }
}

/* --- Servers. ------------------------------------------------------------ */

struct servers {
    unsigned int n;
    struct bench_frames frames;
    struct ingest *plain[MAX_SERVERS]; /* To nowhere. */
    struct ingest *ingests[MAX_SERVERS];
    struct cluster_door *doors[MAX_SERVERS];
    struct cluster_codecs *codecs[MAX_SERVERS];
    struct cluster_merge *merges[N_SHARDS];
    uint64_t n_frames, n_given, sum;
    double ingest_s, doors_s, owners_s;
};

static struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;

static void
give_nowhere(void *sum, const struct postcard *p)
{
    *(uint64_t *) sum += p->packet_id;
}

static void
give_door(void *door, const struct postcard *p)
{
    cluster_door_add(door, p);
}

static bool
on_card(void *s_, const struct postcard *p, uint64_t time_ns)
{
    struct servers *s = s_;

    s->n_given++;
    s->sum -= p->packet_id;
    return true;
}

static void
on_inner(void *s, uint64_t inner, uint64_t outer, uint64_t time_ns)
{
}

static void
open_servers(struct servers *s, double seconds)
{
    uint64_t rate = RATE / N_HOPS * s->n;

    bench_frames_open(&s->frames, (size_t) (seconds * (double) rate), rate,
                      SNAP);
    slow_clock_go(0);
    for (unsigned int i = 0; i < s->n; i++) {
        const struct cluster_door_config door = {
            .n_shards = N_SHARDS, .id_config = id_config, .is_file = true};
        struct ingest_config ingest = {.id_config = id_config,
                                       .give = give_nowhere,
                                       .rules = s->frames.rules,
                                       .aux = &s->sum};

        s->plain[i] = ingest_create(&ingest);
        ingest_set_topology(s->plain[i], s->frames.topology);
        ingest.give = give_door;
        ingest.aux = s->doors[i] = cluster_door_create(&door);
        s->ingests[i] = ingest_create(&ingest);
        ingest_set_topology(s->ingests[i], s->frames.topology);
        s->codecs[i] = cluster_codecs_create(&id_config);
    }
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        const struct cluster_merge_config merge = {.id_config = id_config,
                                                   .codecs =
                                                       s->codecs[k % s->n],
                                                   .silent_ns = UINT64_MAX / 4,
                                                   .on_card = on_card,
                                                   .on_inner = on_inner,
                                                   .aux = s};

        s->merges[k] = cluster_merge_create(&merge);
    }
}

static void
close_servers(struct servers *s)
{
    for (unsigned int i = 0; i < s->n; i++) {
        ingest_destroy(s->plain[i]);
        ingest_destroy(s->ingests[i]);
        cluster_door_destroy(s->doors[i]);
        cluster_codecs_unref(s->codecs[i]);
    }
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        cluster_merge_destroy(s->merges[k]);
    }
    free(bus.messages);
    bench_frames_close(&s->frames);
}

/* Who receives it: by the switch's address, of the outer IP header. */
static void
feed(struct ingest *const ingests[], unsigned int n, const struct gen_frame *f)
{
    ingest_frame(ingests[f->data[29] % n], INGEST_AUTO, f->data, f->len,
                 f->time_ns);
}

static void
run_doors(struct servers *s)
{
    double before;

    before = bench_thread_s();
    for (size_t i = 0; i < s->frames.n; i++) {
        feed(s->plain, s->n, &s->frames.frames[i]);
    }
    s->ingest_s += bench_thread_s() - before;
    before = bench_thread_s();
    for (size_t i = 0; i < s->frames.n; i++) {
        feed(s->ingests, s->n, &s->frames.frames[i]);
    }
    slow_clock_go(s->frames.n * UINT64_C(1000000000) / (RATE * s->n));
    for (unsigned int i = 0; i < s->n; i++) {
        cluster_door_run(s->doors[i], monotonic_ns());
    }
    acknowledge();
    s->doors_s += bench_thread_s() - before;
    s->n_frames += s->frames.n;
}

/* Gives what was published to its owners. */
static void
run_owners(struct servers *s, bool is_idle)
{
    double before = bench_thread_s();
    uint64_t now_ns = monotonic_ns() + (is_idle ? IDLE_NS : 0);
    struct lh_error error;

    for (size_t i = 0; i < bus.n; i++) {
        struct message *message = &bus.messages[i];

        if (cluster_merge_take(s->merges[message->shard], &message->m, now_ns,
                               &error)) {
            figure_die(error.text);
        }
        free((void *) (uintptr_t) message->m.data);
    }
    bus.n = 0;
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        while (cluster_merge_run(s->merges[k], now_ns, is_idle, 4096)) {
        }
    }
    s->owners_s += bench_thread_s() - before;
}

static void
print(const struct servers *s, const char *metric, double value,
      const char *unit)
{
    figure_print_one(value, unit, metric, "doors %s snap %d of %u servers",
                     s->frames.traffic, SNAP, s->n);
}

int
main(int argc, char *argv[])
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.5, n;
    unsigned int n_servers =
        argc > 2 ? (unsigned int) strtoul(argv[2], NULL, 10) : MAX_SERVERS;
    struct cluster_door_counters counters;
    uint64_t step_ns = 0, messages = 0, bytes = 0;
    static struct servers s;

    if (seconds <= 0 || !n_servers || n_servers > MAX_SERVERS) {
        figure_die("usage: bench_doors [SECONDS [SERVERS]]");
    }
    s.n = n_servers;
    id_config.n_bytes = SNAP - L2_LEN;
    open_servers(&s, seconds);
    while (bench_frames_next(&s.frames)) {
        run_doors(&s);
        step_ns += s.frames.n * UINT64_C(1000000000) / (RATE * s.n);
        if (step_ns >= STEP_NS) {
            step_ns = 0;
            run_owners(&s, false);
        }
    }
    for (unsigned int i = 0; i < s.n; i++) {
        cluster_door_end(s.doors[i]);
        acknowledge();
        cluster_door_get_counters(s.doors[i], &counters);
        messages += counters.messages;
        bytes += counters.bytes;
    }
    run_owners(&s, false);
    run_owners(&s, true);
    if (s.n_given != s.n_frames || s.sum) {
        figure_die("what was given is not what came");
    }
    n = (double) s.n_frames;
    print(&s, "ingest", s.ingest_s * 1e9 / n, "ns CPU");
    print(&s, "doors", s.doors_s * 1e9 / n, "ns CPU");
    print(&s, "owners", s.owners_s * 1e9 / n, "ns CPU");
    print(&s, "wire", (double) bytes / n, "bytes");
    print(&s, "message", n / (double) messages, "postcards");
    close_servers(&s);
    return EXIT_SUCCESS;
}
