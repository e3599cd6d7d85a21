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
 * Times are of the second half, when what grows and what is learnt once is
 * there.
 *
 * Servers take turns, so that each finds as much in the cache as its share of
 * one processor's leaves it; with "apart" they work one after the other, from
 * the first postcard to the last, so that each has the cache to itself as it
 * would on a machine of its own.
 *
 * usage: bench_doors [SECONDS [SERVERS [apart]]]   (0.5; 8) */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_frames.h"
#include "bench/figure.h"
#include "bench/slow_clock.h"
#include "lib/bus.h"
#include "lib/bus_stream.h"
#include "lib/byte_buf.h"
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
#define ROOM        512    /* For a frame. */
#define MAX_TURN    4096   /* Postcards of a server at a time. */
#define STEP_NS     5000000
#define TURN_NS     500000
#define IDLE_NS     UINT64_C(10000000000)

/* --- In place of a bus. -------------------------------------------------- */

struct message {
    struct cluster_merge_message m; /* Owns the data. */
    uint32_t shard;
    uint64_t step; /* When it was published, since its door began. */
};

static struct {
    struct {
        bus_publish_fn *done;
        void *aux;
    } waiting[MAX_SERVERS * N_SHARDS];
    size_t n_waiting;
    struct message *messages; /* Owned. */
    size_t n, allocated;
    uint64_t seq, step;
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

/* Owners say nothing to doors: these keep what was acknowledged, as they do in
 * a cluster for the first two seconds. */
struct bus_sub *
bus_subscribe(struct bus *b, const char *subject, bus_message_fn *on_message,
              void *aux)
{
    return NULL;
}

void
bus_unsubscribe(struct bus_sub *sub)
{
}

int
bus_send(struct bus *b, const struct bus_letter *letter, const char *reply,
         uint32_t timeout_ms, struct lh_error *error)
{
    return 0;
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
    message->step = bus.step;
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

/* What comes to a server: of each frame its time and length, and the frame. */
struct input {
    struct byte_buf bytes;
    size_t ofs;
    uint64_t n_turns;
};

struct servers {
    unsigned int n;
    bool are_apart;
    struct bench_frames frames;
    struct input inputs[MAX_SERVERS];
    uint64_t all_ns;                 /* How long it takes. */
    uint64_t first_ns;               /* Time of the first frame. */
    struct gen_frame turn[MAX_TURN]; /* What is there of one. */
    uint8_t *room;                   /* Where it is.  Owned. */
    size_t n_turn;
    struct ingest *plain[MAX_SERVERS]; /* To nowhere. */
    struct ingest *ingests[MAX_SERVERS];
    struct cluster_door *doors[MAX_SERVERS];
    struct cluster_codecs *codecs[MAX_SERVERS];
    struct cluster_merge *merges[N_SHARDS];
    uint64_t n_frames, n_given, sum;
    /* Of what is counted. */
    uint64_t n_received, n_read;
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

/* Makes all frames.  Who receives one: by the switch's address, of the outer
 * IP header. */
static void
make_input(struct servers *s)
{
    while (bench_frames_next(&s->frames)) {
        for (size_t i = 0; i < s->frames.n; i++) {
            const struct gen_frame *f = &s->frames.frames[i];
            struct byte_buf *to = &s->inputs[f->data[29] % s->n].bytes;

            if (!s->first_ns) {
                s->first_ns = f->time_ns;
            }
            byte_buf_put(to, f, sizeof *f);
            byte_buf_put(to, f->data, f->len);
        }
    }
}

static void
open_servers(struct servers *s, double seconds)
{
    uint64_t rate = RATE / N_HOPS * s->n;

    bench_frames_open(&s->frames, (size_t) (seconds * (double) rate), rate,
                      SNAP);
    make_input(s);
    s->all_ns = (uint64_t) (seconds * 1e9);
    s->room = lh_alloc(MAX_TURN * ROOM);
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
        byte_buf_uninit(&s->inputs[i].bytes);
    }
    for (size_t i = 0; i < bus.n; i++) {
        free((void *) (uintptr_t) bus.messages[i].m.data);
    }
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        cluster_merge_destroy(s->merges[k]);
    }
    free(bus.messages);
    free(s->room);
    bench_frames_close(&s->frames);
}

/* Copies the frames of a server's next turn to where they would be received;
 * false: there are none any more. */
static bool
receive(struct servers *s, unsigned int server)
{
    struct input *in = &s->inputs[server];
    uint64_t until_ns = s->first_ns + ++in->n_turns * TURN_NS;

    for (s->n_turn = 0; in->ofs < in->bytes.len; s->n_turn++) {
        struct gen_frame *f = &s->turn[s->n_turn];
        uint8_t *to = s->room + s->n_turn * ROOM;

        if (s->n_turn == MAX_TURN) {
            return true;
        }
        memcpy(f, in->bytes.data + in->ofs, sizeof *f);
        if (f->time_ns >= until_ns) {
            return true;
        }
        if (f->len > ROOM) {
            figure_die("a frame is longer than expected");
        }
        memcpy(to, in->bytes.data + in->ofs + sizeof *f, f->len);
        in->ofs += sizeof *f + f->len;
        f->data = to;
    }
    return s->n_turn;
}

static void
feed(struct servers *s, struct ingest *ingest)
{
    for (size_t i = 0; i < s->n_turn; i++) {
        const struct gen_frame *f = &s->turn[i];

        ingest_frame(ingest, INGEST_AUTO, f->data, f->len, f->time_ns);
    }
}

/* Whether a server's turn is in the second half of the time. */
static bool
is_counted(const struct servers *s, uint64_t n_turns)
{
    return n_turns * TURN_NS > s->all_ns / 2;
}

/* A turn of a server's door; false: it has had all. */
static bool
run_door(struct servers *s, unsigned int server)
{
    double before, between;

    if (!receive(s, server)) {
        return false;
    }
    bus.step = s->inputs[server].n_turns * TURN_NS / STEP_NS;
    before = bench_thread_s();
    feed(s, s->plain[server]);
    between = bench_thread_s();
    feed(s, s->ingests[server]);
    cluster_door_run(s->doors[server],
                     1 + s->inputs[server].n_turns * TURN_NS);
    acknowledge();
    s->n_frames += s->n_turn;
    if (is_counted(s, s->inputs[server].n_turns)) {
        s->doors_s += bench_thread_s() - between;
        s->ingest_s += between - before;
        s->n_received += s->n_turn;
    }
    return true;
}

static void
end_door(struct servers *s, unsigned int server)
{
    cluster_door_end(s->doors[server]);
    acknowledge();
}

static void
run_doors(struct servers *s)
{
    bool goes_on = true;

    for (unsigned int i = 0; s->are_apart && i < s->n; i++) {
        while (run_door(s, i)) {
            slow_clock_go(TURN_NS);
        }
        end_door(s, i);
    }
    while (!s->are_apart && goes_on) {
        goes_on = false;
        for (unsigned int i = 0; i < s->n; i++) {
            goes_on |= run_door(s, i);
        }
        slow_clock_go(TURN_NS);
    }
    for (unsigned int i = 0; !s->are_apart && i < s->n; i++) {
        end_door(s, i);
    }
}

static bool are_apart;
static unsigned int n_owners;

/* In the order in which owners read. */
static int
compare(const void *a_, const void *b_)
{
    const struct message *a = a_, *b = b_;
    uint32_t owner_a = a->shard % n_owners, owner_b = b->shard % n_owners;

    if (are_apart && owner_a != owner_b) {
        return owner_a < owner_b ? -1 : 1;
    }
    if (a->step != b->step) {
        return a->step < b->step ? -1 : 1;
    }
    return a->m.seq < b->m.seq ? -1 : a->m.seq > b->m.seq;
}

/* Gives what is due to the owners from 'first' on, every one of 'every'
 * shards. */
static void
run_merges(struct servers *s, uint32_t first, uint32_t every, bool is_idle)
{
    uint64_t now_ns = monotonic_ns() + (is_idle ? IDLE_NS : 0);

    for (uint32_t k = first; k < N_SHARDS; k += every) {
        while (cluster_merge_run(s->merges[k], now_ns, is_idle, 4096)) {
        }
    }
}

/* Gives messages 'from' to 'to', which came at the same time, to owners. */
static void
run_step(struct servers *s, size_t from, size_t to)
{
    double before = bench_thread_s();
    uint64_t n_given = s->n_given;
    struct lh_error error;

    for (size_t i = from; i < to; i++) {
        if (cluster_merge_take(s->merges[bus.messages[i].shard],
                               &bus.messages[i].m, monotonic_ns(), &error)) {
            figure_die(error.text);
        }
    }
    run_merges(s, are_apart ? bus.messages[from].shard % s->n : 0,
               are_apart ? s->n : 1, false);
    if (is_counted(s, bus.messages[from].step * STEP_NS / TURN_NS)) {
        s->owners_s += bench_thread_s() - before;
        s->n_read += s->n_given - n_given;
    }
}

static void
run_owners(struct servers *s)
{
    are_apart = s->are_apart;
    n_owners = s->n;
    qsort(bus.messages, bus.n, sizeof *bus.messages, compare);
    for (size_t from = 0, to; from < bus.n; from = to) {
        uint32_t owner = bus.messages[from].shard % s->n;

        for (to = from;
             to < bus.n && bus.messages[to].step == bus.messages[from].step &&
             (!are_apart || bus.messages[to].shard % s->n == owner);
             to++) {
            /* Those that are given now. */
        }
        run_step(s, from, to);
    }
    run_merges(s, 0, 1, true);
}

static void
print(const struct servers *s, const char *metric, double value,
      const char *unit)
{
    figure_print_one(value, unit, metric, "doors %s snap %d of %u servers%s",
                     s->frames.traffic, SNAP, s->n,
                     s->are_apart ? " apart" : "");
}

int
main(int argc, char *argv[])
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.5, n;
    unsigned int n_servers =
        argc > 2 ? (unsigned int) strtoul(argv[2], NULL, 10) : MAX_SERVERS;
    struct cluster_door_counters counters;
    uint64_t messages = 0, bytes = 0;
    static struct servers s;

    s.are_apart = argc > 3 && !strcmp(argv[3], "apart");
    if (seconds <= 0 || !n_servers || n_servers > MAX_SERVERS ||
        argc > 3 + s.are_apart) {
        figure_die("usage: bench_doors [SECONDS [SERVERS [apart]]]");
    }
    s.n = n_servers;
    id_config.n_bytes = SNAP - L2_LEN;
    open_servers(&s, seconds);
    run_doors(&s);
    run_owners(&s);
    for (unsigned int i = 0; i < s.n; i++) {
        cluster_door_get_counters(s.doors[i], &counters);
        messages += counters.messages;
        bytes += counters.bytes;
    }
    if (s.n_given != s.n_frames || s.sum) {
        figure_die("what was given is not what came");
    }
    n = (double) s.n_frames;
    print(&s, "ingest", s.ingest_s * 1e9 / (double) s.n_received, "ns CPU");
    print(&s, "doors", s.doors_s * 1e9 / (double) s.n_received, "ns CPU");
    print(&s, "owners", s.owners_s * 1e9 / (double) s.n_read, "ns CPU");
    print(&s, "wire", (double) bytes / n, "bytes");
    print(&s, "message", n / (double) messages, "postcards");
    close_servers(&s);
    return EXIT_SUCCESS;
}
