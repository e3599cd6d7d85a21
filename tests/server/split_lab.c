/* SPDX-License-Identifier: Apache-2.0 */
/* split_lab - implementation. */
#include <config.h>
#include "tests/server/split_lab.h"

#include <check.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/gen.h"
#include "lib/bus_pull.h"
#include "lib/bus_stream.h"
#include "lib/bus_kv.h"
#include "lib/card_batch.h"
#include "lib/hdr.h"
#include "lib/history_batch.h"
#include "lib/lh_alloc.h"
#include "lib/postcard_geneve.h"
#include "server/cluster_accept.h"
#include "server/cluster_outbox.h"
#include "server/cluster_posts.h"
#include "server/cluster_wire.h"
#include "server/path_table.h"

#define CHUNK 40
/* Times have that resolution, so that many are equal, of several doors, too.
 */
#define TICK_NS UINT64_C(500000)
/* Windows end long before. */
#define AFTER_NS UINT64_C(5000000000)

static void
add_line(struct split_lines *lines, const struct history *h)
{
    json_t *json = history_to_json(h, NULL);

    lines->line = lh_alloc_grow(lines->line, lines->n, &lines->allocated,
                                sizeof *lines->line);
    lines->line[lines->n++] = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(json);
}

static int
compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

static void
sort_lines(struct split_lines *lines)
{
    qsort(lines->line, lines->n, sizeof *lines->line, compare_lines);
}

static void
free_lines(struct split_lines *lines)
{
    for (size_t i = 0; i < lines->n; i++) {
        free(lines->line[i]);
    }
    free(lines->line);
    *lines = (struct split_lines){.n = 0};
}

/* --- What one process says. -----------------------------------------------
 */

static void
emit(void *lab_, struct history *h)
{
    struct split_lab *lab = lab_;

    add_line(&lab->expected, h);
    history_destroy(h);
}

static const struct rule *
find_rule(void *lab_, uint64_t dpid, uint32_t version)
{
    struct split_lab *lab = lab_;

    return rule_cache_find(lab->rules, dpid, version, 1);
}

static bool
is_silent(void *lab_, uint64_t dpid)
{
    const struct split_lab *lab = lab_;

    return rule_cache_is_silent(lab->rules, dpid);
}

static void
expect(struct split_lab *lab)
{
    const struct path_table_config config = {
        .emit = emit,
        .find_rule = find_rule,
        .is_silent = is_silent,
        .id_config = lab->id_config,
        .is_timed = true,
        .aux = lab,
    };
    struct path_table *paths = path_table_create(&config);

    path_table_set_topology(paths, lab->topology);
    for (size_t i = 0; i < lab->n_cards; i++) {
        const struct postcard *p = lab->cards[i];

        if (p->time_ns >= path_table_next_ns(paths)) {
            path_table_run_to(paths, p->time_ns);
        }
        path_table_add(paths, p);
    }
    path_table_flush(paths);
    path_table_destroy(paths);
    sort_lines(&lab->expected);
}

static void
add_card(struct split_lab *lab, struct gen *gen, const struct gen_frame *frame)
{
    const struct rule *rule;
    struct postcard p;
    struct hdr outer, h;

    ck_assert_int_eq(
        postcard_geneve_decode_frame(frame->data, frame->len, &outer, &p),
        POSTCARD_OK);
    p.time_ns = frame->time_ns - frame->time_ns % TICK_NS;
    hdr_parse(p.header, p.caplen, &h);
    p.has_id = packet_id(&lab->id_config, p.header, p.caplen, &h,
                         &p.packet_id) != PACKET_ID_SHORT;
    rule = gen_net_find_rule(gen_get_net(gen), p.dpid, p.version);
    if (rule && !rule_cache_find(lab->rules, p.dpid, p.version, 1)) {
        rule_cache_add(lab->rules, rule_ref(rule));
    }
    lab->cards = lh_alloc_grow(lab->cards, lab->n_cards, &lab->allocated_cards,
                               sizeof *lab->cards);
    lab->cards[lab->n_cards++] = postcard_clone(&p);
}

void
split_lab_init(struct split_lab *lab, uint64_t seed, size_t n_packets)
{
    const struct rule_cache_config rules = {.max_rules = 0};
    struct gen_frame frames[256];
    struct gen_config config;
    struct lh_error error;
    struct gen *gen;
    size_t n;

    *lab = (struct split_lab){.n_cards = 0};
    lab->random = (struct gen_random){seed};
    gen_config_init(&config);
    gen_config_set_all(&config);
    config.link_change_ns = 0;
    config.seed = seed;
    config.n_packets = n_packets;
    config.rate = 2000;
    lab->id_config = config.id_config;
    lab->rules = rule_cache_create(&rules);
    ck_assert_int_eq(gen_create(&config, &gen, &error), 0);
    do {
        ck_assert_int_eq(gen_next(gen, frames, 256, &n, &error), 0);
        for (size_t i = 0; i < n; i++) {
            add_card(lab, gen, &frames[i]);
        }
    } while (n);
    lab->topology = topology_ref(gen_net_topology(gen_get_net(gen)));
    gen_destroy(gen);
    expect(lab);
    ck_assert_uint_ge(lab->expected.n, n_packets / 2);
}

void
split_lab_uninit(struct split_lab *lab)
{
    for (size_t i = 0; i < lab->n_cards; i++) {
        free(lab->cards[i]);
    }
    free(lab->cards);
    topology_unref(lab->topology);
    rule_cache_destroy(lab->rules);
    free_lines(&lab->expected);
}

/* --- Doors. ---------------------------------------------------------------
 */

static void
take_done(void *n, int error_number, const char *why)
{
    ck_assert_msg(!error_number, "%s", why);
    --*(int *) n;
}

static bool
is_positive(void *n)
{
    return *(int *) n > 0;
}

static void
make_streams(struct split_lab *lab)
{
    static const char *const names[][2] = {
        {"LH1", "lh.1.*"}, {"LHS", "lh.s.*"}, {"LH2", "lh.2.*"}};
    const struct bus_kv_config bucket = {.bucket = "lh-commit-1",
                                         .max_bytes = 8 << 20};
    int n = 4;

    for (size_t i = 0; i < 3; i++) {
        const struct bus_stream_config stream = {.name = names[i][0],
                                                 .subjects = names[i][1],
                                                 .max_bytes = 24 << 20,
                                                 .discards_new = true};

        ck_assert_int_eq(
            bus_stream_create(lab->bus, &stream, 20000, take_done, &n, NULL),
            0);
    }
    ck_assert_int_eq(
        bus_kv_create(lab->bus, &bucket, 20000, take_done, &n, NULL), 0);
    nats_loop_while(lab->base, is_positive, &n);
}

static void
on_kept(void *lab, uint64_t tag, uint64_t seq)
{
}

/* Readings before the first postcard, and one that nobody may judge. */
static struct loss_ledger *
make_ledger(const struct split_lab *lab)
{
    struct loss_ledger *ledger = loss_ledger_create();
    uint64_t first_ns = lab->cards[0]->time_ns;

    loss_ledger_set_told(ledger, first_ns);
    for (size_t i = 0; i < topology_n_switches(lab->topology); i++) {
        uint64_t dpid = topology_switch_at(lab->topology, i)->dpid;

        for (int s = -30; s < 0; s += 10) {
            uint64_t at_ns = first_ns + (uint64_t) s * 1000000000u;

            loss_ledger_count(ledger, dpid, at_ns, at_ns, 0);
        }
        loss_ledger_count(ledger, dpid, UINT64_MAX / 4, UINT64_MAX / 4, 5);
    }
    return ledger;
}

void
split_lab_open(struct split_lab *lab, const struct nats *nats, uint32_t shard,
               size_t n_doors)
{
    lab->base = event_base_new();
    lab->bus = nats_open(nats, lab->base);
    lab->shard = shard;
    lab->n_doors = n_doors;
    for (size_t i = 0; i < n_doors; i++) {
        lab->doors[i] =
            (struct split_door){lab, gen_random_next(&lab->random), 0};
    }
    make_streams(lab);
    lab->ledger = make_ledger(lab);
    lab->posts = cluster_posts_create(&(struct cluster_posts_config){
        .bus = lab->bus, .timeout_ms = 500, .on_kept = on_kept, .aux = lab});
}

/* Removes what a stream has but its last message: NATS, when it is killed, may
 * begin to number an empty stream anew. */
static void
take_state(void *n, int error_number, const char *why,
           const struct bus_stream_state *state)
{
    ck_assert_msg(!error_number, "%s", why);
    *(uint64_t *) n = state->last_seq;
}

static bool
is_unknown(void *n)
{
    return *(uint64_t *) n == UINT64_MAX;
}

static void
purge_streams(struct split_lab *lab)
{
    static const char *const names[] = {"LH1", "LHS", "LH2"};

    for (size_t i = 0; i < 3; i++) {
        uint64_t last_seq = UINT64_MAX;
        int n = 1;

        ck_assert_int_eq(bus_stream_ask(lab->bus, names[i], 20000, take_state,
                                        &last_seq, NULL),
                         0);
        nats_loop_while(lab->base, is_unknown, &last_seq);
        ck_assert_int_eq(bus_stream_purge(lab->bus, names[i], NULL, last_seq,
                                          20000, take_done, &n, NULL),
                         0);
        nats_loop_while(lab->base, is_positive, &n);
    }
}

void
split_lab_close(struct split_lab *lab)
{
    purge_streams(lab);
    cluster_posts_destroy(lab->posts);
    bus_close(lab->bus);
    event_base_free(lab->base);
    loss_ledger_destroy(lab->ledger);
}

/* Publishes what the door has of cards 'first' to 'end' - 1. */
static void
send_batch(struct split_lab *lab, size_t d, size_t first, size_t end,
           uint64_t watermark_ns)
{
    struct split_door *door = &lab->doors[d];
    struct card_batch_writer *w = card_batch_writer_create(&lab->id_config);
    const struct cluster_cards_head head = {
        .door = door->nonce,
        .number = ++door->number,
        .is_file = lab->is_file,
        .watermark_ns = watermark_ns,
    };
    struct byte_buf bytes = BYTE_BUF_INIT;
    char subject[32], id[64];

    cluster_wire_put_cards(&bytes, &head, NULL, 0);
    for (size_t i = first; i < end; i++) {
        if (lab->cards[i]->dpid % lab->n_doors == d) {
            ck_assert(card_batch_writer_add(w, lab->cards[i]));
        }
    }
    if (card_batch_writer_n(w)) {
        card_batch_writer_finish(w, &bytes);
    }
    card_batch_writer_destroy(w);
    snprintf(subject, sizeof subject, "lh.1.%" PRIu32, lab->shard);
    snprintf(id, sizeof id, "%" PRIx64 ".%" PRIu64, door->nonce, head.number);
    cluster_posts_add(lab->posts, subject, id, &bytes, d);
}

bool
split_lab_feed(struct split_lab *lab)
{
    size_t end = lab->n_fed + CHUNK;
    uint64_t watermark_ns;

    if (cluster_posts_n(lab->posts)) {
        return true;
    }
    if (lab->has_ended) {
        return false;
    }
    end = end < lab->n_cards ? end : lab->n_cards;
    watermark_ns = lab->cards[end - 1]->time_ns;
    if (lab->n_fed == lab->n_cards) {
        lab->has_ended = true;
        watermark_ns =
            lab->is_file ? CLUSTER_WATERMARK_END : watermark_ns + AFTER_NS;
    }
    for (size_t d = 0; d < lab->n_doors; d++) {
        send_batch(lab, d, lab->n_fed, end, watermark_ns);
    }
    lab->n_fed = end;
    return true;
}

struct cluster_split_config
split_lab_config(const struct split_lab *lab)
{
    return (struct cluster_split_config){
        .shard = lab->shard,
        .n_stores = SPLIT_LAB_STORES,
        .interval_ms = 5,
        .id_config = lab->id_config,
        .rules = lab->rules,
        .ledger = lab->ledger,
    };
}

void
split_lab_turn(struct event_base *base)
{
    const struct timeval at_most = {.tv_usec = 1000};

    event_base_loopexit(base, &at_most);
    event_base_loop(base, 0);
}

/* --- Stage 2. -------------------------------------------------------------
 */

struct store {
    struct split_lab *lab;
    uint32_t m;
    struct cluster_accept *accept; /* Owned. */
    struct split_lines *lines;
    bool is_idle;
};

static void
take_accepted(void *store_, const struct store_message *message)
{
    struct store *store = store_;
    struct history_batch_reader *r = history_batch_reader_create();
    struct history_batch_item item;
    struct lh_error error;

    ck_assert_uint_eq(message->k, store->lab->shard);
    ck_assert_msg(
        !history_batch_reader_open(r, message->data, message->size, &error),
        "%s", error.text);
    while (!history_batch_reader_next(r, &item, &error)) {
        const struct history *h = history_batch_reader_history(r, &item);

        ck_assert_uint_eq(cluster_outbox_store(h, SPLIT_LAB_STORES), store->m);
        add_line(store->lines, h);
    }
    history_batch_reader_destroy(r);
}

static void
take_message(void *store_, const struct bus_pull_message *m)
{
    struct store *store = store_;
    struct store_message message;
    struct lh_error error;

    ck_assert_msg(!store_message_read(m->data, m->size, &message, &error),
                  "%s", error.text);
    message.has_parts =
        message.kind == STORE_MARKER &&
        store_parts_read(bus_message_header(m->raw, STORE_PARTS_HEADER),
                         &message.parts);
    if (message.k == store->lab->shard) {
        cluster_accept_take(store->accept, m->seq, &message, take_accepted,
                            store);
    }
}

static void
take_idle(void *store_)
{
    struct store *store = store_;

    store->is_idle = true;
}

static void
read_store(struct store *store, uint64_t *n_refused)
{
    struct cluster_accept_counters n;
    struct bus_pull *pull;
    char subject[32];

    store->accept = cluster_accept_create();
    snprintf(subject, sizeof subject, "lh.2.%" PRIu32, store->m);
    pull = bus_pull_open(store->lab->bus, &(struct bus_pull_options){
                                              .stream = "LH2",
                                              .subject = subject,
                                              .name = "lab",
                                              .on_message = take_message,
                                              .on_idle = take_idle,
                                              .aux = store,
                                          });
    nats_loop_until(store->lab->base, &store->is_idle);
    bus_pull_close(pull);
    cluster_accept_get_counters(store->accept, &n);
    ck_assert_uint_eq(n.waiting, 0);
    *n_refused += n.dropped + n.had;
    cluster_accept_destroy(store->accept);
}

uint64_t
split_lab_check(struct split_lab *lab)
{
    struct split_lines lines = {.n = 0};
    uint64_t n_refused = 0;

    for (uint32_t m = 0; m < SPLIT_LAB_STORES; m++) {
        struct store store = {.lab = lab, .m = m, .lines = &lines};

        read_store(&store, &n_refused);
    }
    sort_lines(&lines);
    for (size_t i = 0; i < lines.n && i < lab->expected.n; i++) {
        ck_assert_str_eq(lines.line[i], lab->expected.line[i]);
    }
    ck_assert_uint_eq(lines.n, lab->expected.n);
    free_lines(&lines);
    return n_refused;
}
