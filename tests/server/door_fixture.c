/* SPDX-License-Identifier: Apache-2.0 */
/* door_fixture - implementation. */
#include <config.h>
#include "tests/server/door_fixture.h"

#include <check.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_stream.h"
#include "lib/hdr.h"
#include "lib/hop_template.h"
#include "lib/lh_alloc.h"
#include "tests/lib/frame.h"

const struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;

struct nats nats;
struct event_base *base;
struct bus *bus;
struct cluster_door *door;
uint64_t now_ns = UINT64_C(1700000000000000000);
uint64_t settled; /* As the door has told. */

/* --- Around the door ------------------------------------------------------
 */

static void
on_made(void *done, int error_number, const char *why)
{
    ck_assert_msg(!error_number, "%s", why);
    *(bool *) done = true;
}

static void
make_stream(uint64_t max_bytes)
{
    const struct bus_stream_config config = {.name = CLUSTER_CARDS_STREAM,
                                             .subjects =
                                                 CLUSTER_CARDS_SUBJECTS,
                                             .max_bytes = max_bytes,
                                             .discards_new = true};
    bool is_done = false;

    ck_assert(
        !bus_stream_create(bus, &config, 10000, on_made, &is_done, NULL));
    nats_loop_until(base, &is_done);
}

void
door_fixture_resize(uint64_t max_bytes)
{
    bool is_done = false;

    ck_assert(!bus_stream_delete(bus, CLUSTER_CARDS_STREAM, 10000, on_made,
                                 &is_done, NULL));
    nats_loop_until(base, &is_done);
    make_stream(max_bytes);
}

void
door_fixture_purge(void)
{
    /* Beyond the last: numbers go on from there. */
    static uint64_t seq;
    bool is_done = false;

    seq += 1u << 30;
    ck_assert(!bus_stream_purge(bus, CLUSTER_CARDS_STREAM, NULL, seq, 10000,
                                on_made, &is_done, NULL));
    nats_loop_until(base, &is_done);
}

static void
on_settled(void *aux, uint64_t token)
{
    (void) aux;
    ck_assert_uint_gt(token, settled);
    settled = token;
}

void
door_fixture_setup(void)
{
    nats_start(&nats, NULL);
    base = event_base_new();
    bus = nats_open(&nats, base);
    settled = 0;
    make_stream(64u << 20);
}

void
door_fixture_open(struct cluster_door_config config)
{
    config.bus = bus;
    config.n_shards = N_SHARDS;
    config.id_config = id_config;
    config.on_settled = on_settled;
    door = cluster_door_create(&config);
}

void
door_fixture_teardown(void)
{
    cluster_door_destroy(door);
    bus_close(bus);
    event_base_free(base);
    nats_end(&nats);
    door = NULL;
}

struct cluster_door_counters
door_fixture_counters(void)
{
    struct cluster_door_counters n;
    uint64_t n_lost = 0;

    cluster_door_get_counters(door, &n);
    for (size_t i = 0; i < N_CLUSTER_DOOR_LOSSES; i++) {
        n_lost += n.lost[i];
    }
    ck_assert_uint_eq(n.in, n.acknowledged + n.waiting + n_lost);
    return n;
}

/* Runs the door for as long as the loop turns. */
bool
door_fixture_is_busy(void *aux)
{
    (void) aux;
    now_ns += 1000000;
    cluster_door_run(door, now_ns);
    return !cluster_door_is_idle(door);
}

void
door_fixture_run_until_idle(void)
{
    cluster_door_flush(door);
    nats_loop_while(base, door_fixture_is_busy, NULL);
    ck_assert_uint_eq(door_fixture_counters().waiting, 0);
    ck_assert_uint_eq(door_fixture_counters().waiting_bytes, 0);
    ck_assert_uint_eq(cluster_door_settled(door), cluster_door_token(door));
    ck_assert_uint_eq(settled, cluster_door_token(door));
}

/* --- Postcards ------------------------------------------------------------
 */

struct added added[N_SHARDS];

void
door_fixture_keep(const struct postcard *p)
{
    uint32_t k = cluster_wire_shard(p, N_SHARDS);

    added[k].cards = lh_alloc_grow(added[k].cards, added[k].n,
                                   &added[k].allocated, sizeof(void *));
    added[k].cards[added[k].n++] = postcard_clone(p);
}

void
door_fixture_forget(void)
{
    for (size_t k = 0; k < N_SHARDS; k++) {
        for (size_t i = 0; i < added[k].n; i++) {
            free(added[k].cards[i]);
        }
        free(added[k].cards);
    }
    memset(added, 0, sizeof added);
}

void
door_fixture_name(struct postcard *p)
{
    struct hdr h;

    hdr_parse(p->header, p->caplen, &h);
    p->has_id = packet_id(&id_config, p->header, p->caplen, &h,
                          &p->packet_id) != PACKET_ID_SHORT;
}

/* Adds those of packets 'from' to below 'to', which cross N_HOPS switches. */
void
door_fixture_add(uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        for (uint32_t hop = 0; hop < N_HOPS; hop++) {
            struct frame f = frame_eth(HDR_ETH_IP4);
            struct postcard p = {.dpid = hop + 1,
                                 .time_ns = now_ns,
                                 .version = 1 + i % 3,
                                 .version_bits = 32,
                                 .in_port = 1,
                                 .out_port = 2};

            frame_ip4(&f, HDR_IP_TCP, (uint8_t) (64 - hop), "10.0.0.1",
                      "10.0.0.2");
            frame_tcp(&f, (uint16_t) (1000 + i % 50), 80, i, i, 0x18);
            frame_text(&f, "twenty bytes and more");
            frame_finish(&f);
            p.header = f.data;
            p.caplen = i % 17 ? (uint16_t) f.len : 30; /* Too short. */
            door_fixture_name(&p);
            now_ns += 1000;
            door_fixture_keep(&p);
            cluster_door_add(door, &p);
        }
    }
}

/* --- Their owners ---------------------------------------------------------
 */

static void
check_card(struct owner *owner, const struct postcard *p)
{
    uint32_t k = owner->shard;
    const struct postcard *was;

    do {
        ck_assert_uint_lt(added[k].n_read, added[k].n);
        was = added[k].cards[added[k].n_read++];
    } while (owner->may_miss &&
             (was->time_ns != p->time_ns || was->dpid != p->dpid));
    ck_assert_uint_eq(was->dpid, p->dpid);
    ck_assert_uint_eq(was->time_ns, p->time_ns);
    ck_assert_uint_eq(was->packet_id, p->packet_id);
    ck_assert_uint_eq(was->has_id, p->has_id);
    ck_assert_uint_eq(was->caplen, p->caplen);
    ck_assert(!memcmp(was->header, p->header, p->caplen));
    ck_assert(hop_template_equal(was->visit, p->visit));
    /* Switches' own clocks say nothing of when it was received. */
    ck_assert(p->visit || p->time_ns >= owner->watermark_ns);
}

/* Those of a frame are numbered one after the other. */
static void
check_runs(struct owner *owner, struct cluster_runs *runs, uint32_t n_cards)
{
    struct cluster_run run;

    while (cluster_wire_next_run(runs, &run)) {
        ck_assert_uint_ge(n_cards, run.n);
        n_cards -= run.n;
        if (!run.agent) {
            continue;
        }
        ck_assert_uint_ge(run.frame, owner->last.frame);
        ck_assert_uint_eq(run.first, run.frame == owner->last.frame
                                         ? owner->last.first + owner->last.n
                                         : 0);
        owner->last = run;
        owner->n_of_agents += run.n;
    }
}

static void
on_message(void *owner_, const struct bus_pull_message *message)
{
    struct owner *owner = owner_;
    struct cluster_cards_head head;
    struct lh_error error;
    const uint8_t *batch;
    struct postcard p;
    size_t len;

    ck_assert_msg(!cluster_wire_get_cards(message->data, message->size, &head,
                                          &batch, &len, &error),
                  "%s", error.text);
    ck_assert_uint_eq(head.version,
                      owner->version ? owner->version : CLUSTER_WIRE_VERSION);
    ck_assert_uint_gt(head.number, owner->number);
    owner->n_numbers_missing += head.number - owner->number - 1;
    owner->number = head.number;
    if (len) {
        ck_assert_msg(
            !card_batch_reader_open(owner->reader, batch, len, &error), "%s",
            error.text);
        check_runs(owner, &head.runs, card_batch_reader_n(owner->reader));
        while (card_batch_reader_next(owner->reader, &p)) {
            check_card(owner, &p);
        }
        while (card_batch_reader_next_inner(owner->reader, &owner->inner)) {
            owner->n_inner++;
        }
    }
    ck_assert_uint_ge(head.watermark_ns, owner->watermark_ns);
    owner->watermark_ns = head.watermark_ns;
}

static void
on_idle(void *owner)
{
    ((struct owner *) owner)->is_idle = true;
}

/* Reads all there is of a shard. */
void
door_fixture_read(struct owner *owner, uint32_t shard)
{
    char subject[32], consumer[32];
    const struct bus_pull_options options = {.stream = CLUSTER_CARDS_STREAM,
                                             .subject = subject,
                                             .name = consumer,
                                             .on_message = on_message,
                                             .on_idle = on_idle,
                                             .aux = owner};

    owner->shard = shard;
    owner->reader = card_batch_reader_create(&id_config);
    snprintf(subject, sizeof subject, CLUSTER_CARDS_SUBJECT, shard);
    snprintf(consumer, sizeof consumer, "test-%u", shard);
    owner->pull = bus_pull_open(bus, &options);
    nats_loop_until(base, &owner->is_idle);
    bus_pull_close(owner->pull);
    card_batch_reader_destroy(owner->reader);
}

/* Every postcard that was added is there once, in order. */
void
door_fixture_check_all(void)
{
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        struct owner owner = {.is_idle = false};

        door_fixture_read(&owner, k);
        ck_assert_uint_gt(added[k].n, 0);
        ck_assert_uint_eq(added[k].n_read, added[k].n);
        ck_assert_uint_eq(owner.n_numbers_missing, 0);
    }
    door_fixture_forget();
}
