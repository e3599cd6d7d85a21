/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of server/cluster_outbox, and of the way from there to an archive:
 * what waits is packed, and what is read of that as rows is archived as it
 * was. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/archive_part.h"
#include "lib/history_batch.h"
#include "server/cluster_codecs.h"
#include "server/cluster_outbox.h"
#include "tests/lib/archive_fixture.h"
#include "tests/lib/flow_fixture.h"
#include "tests/lib/random_history.h"

#define N_FLOWS     30
#define N_HISTORIES 600
#define N_STORES    3
#define N_ROUNDS    4

/* As those of fixture_writer(), and others. */
static const struct packet_id_config constants[2] = {PACKET_ID_CONFIG_INIT,
                                                     {1234, 40}};

static struct history *all[N_HISTORIES * N_ROUNDS]; /* NULL: found again. */
static size_t n_all;
static uint64_t n_left_out; /* Of all together. */

static size_t
index_of(const struct history *h)
{
    for (size_t i = 0; i < n_all; i++) {
        if (all[i] && all[i]->packet_id == h->packet_id &&
            history_first_ns(all[i]) == history_first_ns(h) &&
            history_is_same(all[i], h)) {
            return i;
        }
    }
    ck_abort_msg("a history that was never added");
}

static void
take_off(const struct history *h)
{
    size_t i = index_of(h);

    history_destroy(all[i]);
    all[i] = NULL;
}

/* Gives the box histories of flows and others; most as packets. */
static void
fill(struct cluster_outbox *box, struct flow *flows, uint64_t *seed,
     const struct packet_id_config *config)
{
    for (size_t i = 0; i < N_HISTORIES; i++) {
        struct flow *flow = &flows[random_u32(seed) % N_FLOWS];
        struct history *h =
            i % 20 ? flow_next(flow, seed, *seed % 2 ? 1000 : 1, config)
                   : random_history(seed, 6, FIXTURE_NOW_NS);
        struct trajectory_packet packet;
        uint64_t times_ns[FLOW_MAX_HOPS];
        struct trajectory *t =
            i % 20 && i % 7 ? flow_trajectory(flow, h, &packet, times_ns)
                            : NULL;

        h->left_out = i % 5 ? (uint32_t) (*seed % 3) : 0;
        n_left_out += h->left_out;
        all[n_all++] = h;
        if (t) {
            packet.left_out = h->left_out;
            cluster_outbox_add_packet(box, t, &packet);
        } else {
            cluster_outbox_add(box, history_clone(h));
        }
    }
}

/* Where messages go. */
struct sink {
    struct archive_part *parts[N_STORES];
    struct history_batch_reader *reader;
    bool wants_rows;
    uint8_t version; /* That packed histories are to be of. */
    size_t n_rows;
};

static void
give(void *sink_, uint32_t store, uint32_t part, struct byte_buf *bytes)
{
    struct sink *sink = sink_;
    struct history_batch_item item;
    struct lh_error error = {.text = "-"};
    int retval;

    ck_assert_uint_lt(store, N_STORES);
    ck_assert_uint_eq(bytes->data[0], sink->version);
    history_batch_reader_want_rows(sink->reader,
                                   sink->wants_rows ? &constants[0] : NULL);
    retval = history_batch_reader_open(sink->reader, bytes->data, bytes->len,
                                       &error);
    while (!retval && !(retval = history_batch_reader_next(sink->reader, &item,
                                                           &error))) {
        uint64_t left_out =
            item.history ? item.history->left_out : item.packet.left_out;

        ck_assert_int_eq(item.reader != NULL,
                         sink->wants_rows && !item.history);
        n_left_out -= left_out;
        sink->n_rows += item.reader != NULL;
        retval = archive_part_add_item(sink->parts[store], &item, &error);
        ck_assert_msg(!retval, "%s", error.text);
        if (item.reader && sink->n_rows % 3 == 0) {
            /* What wants to see it has it made. */
            ck_assert_int_eq(
                history_batch_reader_trajectory(sink->reader, &item, &error),
                0);
            ck_assert_uint_eq(trajectory_n_hops(item.trajectory), item.n_hops);
            index_of(history_batch_reader_history(sink->reader, &item));
        }
    }
    ck_assert_int_eq(retval, ENODATA);
}

static void
read_archive(const char *dir)
{
    struct archive_reader *r = fixture_reader(dir);
    size_t n;
    struct history **found = fixture_read_all(r, &n);

    ck_assert_uint_eq(archive_reader_n_damages(r), 0);
    ck_assert_uint_eq(n, n_all);
    for (size_t i = 0; i < n; i++) {
        take_off(found[i]);
    }
    fixture_free_all(found, n);
    archive_reader_close(r);
}

/* With the archive's constants of packet IDs (0, 2) and others, as rows (0, 1)
 * and not; in each version of the bus. */
START_TEST(what_waits_is_archived_as_it_was)
{
    const struct packet_id_config *config = &constants[_i % 2];
    struct cluster_codecs *codecs = cluster_codecs_create(config);
    struct cluster_outbox *box = cluster_outbox_create(codecs, N_STORES);
    char *dir = fixture_dir();
    struct archive_writer *w = fixture_writer(dir, NULL);
    struct sink sink = {.reader = cluster_codecs_history_reader(codecs),
                        .wants_rows = _i < 2};
    struct flow flows[N_FLOWS] = {{.is_ip6 = false}};
    uint64_t seed = (uint64_t) _i + 1;

    for (size_t i = 0; i < N_STORES; i++) {
        sink.parts[i] = archive_part_create(w);
        archive_part_share_shapes(sink.parts[i],
                                  cluster_codecs_shapes(codecs));
    }
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_init(&flows[i], &seed, FIXTURE_NOW_NS);
    }
    for (int i = 0; i < N_ROUNDS; i++) {
        uint32_t wire = i < 3 ? 1 + (uint32_t) i : 3;

        cluster_codecs_set_wire(codecs, wire);
        sink.version = wire < 3 ? 1 : 2;
        fill(box, flows, &seed, config);
        ck_assert_uint_eq(cluster_outbox_n(box), N_HISTORIES);
        ck_assert_uint_eq(cluster_outbox_pack(box, 0, give, &sink), 0);
        ck_assert_uint_eq(cluster_outbox_n(box), 0);
        if (i % 2) { /* Blocks of one message of a store, and of two. */
            for (size_t k = 0; k < N_STORES; k++) {
                archive_part_seal(sink.parts[k]);
            }
        }
    }
    ck_assert_uint_eq(n_left_out, 0);
    ck_assert_int_eq(sink.n_rows > N_HISTORIES, sink.wants_rows);
    for (size_t i = 0; i < N_STORES; i++) {
        archive_part_destroy(sink.parts[i]);
    }
    archive_writer_close(w);
    read_archive(dir);
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_uninit(&flows[i]);
    }
    fixture_remove(dir);
    cluster_outbox_destroy(box);
    cluster_codecs_unref(codecs);
}
END_TEST

/* --- Many shapes ----------------------------------------------------------
 */

#define N_SHAPES 9000

/* Of each packet its rule, which no other has. */
struct many {
    struct history_batch_reader *reader;
    struct history *histories[N_SHAPES]; /* By rule; NULL: found again. */
};

static void
give_many(void *many_, uint32_t store, uint32_t part, struct byte_buf *bytes)
{
    struct many *many = many_;
    struct history_batch_item item;
    struct lh_error error = {.text = "-"};
    int retval = history_batch_reader_open(many->reader, bytes->data,
                                           bytes->len, &error);

    while (!retval && !(retval = history_batch_reader_next(many->reader, &item,
                                                           &error))) {
        const struct history *h =
            history_batch_reader_history(many->reader, &item);
        uint32_t rule = h->hops[0].versions[0];

        ck_assert_ptr_nonnull(item.trajectory);
        ck_assert_uint_lt(rule, N_SHAPES);
        ck_assert_ptr_nonnull(many->histories[rule]);
        ck_assert(history_is_same(h, many->histories[rule]));
        history_destroy(many->histories[rule]);
        many->histories[rule] = NULL;
    }
    ck_assert_msg(retval == ENODATA, "%s", error.text);
}

/* Adds a packet of 'flow' that met that rule and left each switch by so many
 * more ports; false if it is none of a trajectory. */
static bool
add_many(struct cluster_outbox *box, struct many *many, struct flow *flow,
         uint64_t *seed, uint32_t rule, size_t n_ports)
{
    struct history *h = flow_next(flow, seed, 1000, &constants[0]);
    const struct history_hop *ref;
    uint64_t times_ns[FLOW_MAX_HOPS];
    struct trajectory *t;

    h->hops[0].versions[0] = rule;
    for (size_t i = 0; i < h->n_hops * n_ports; i++) {
        history_hop_add_out(&h->hops[i / n_ports], random_u32(seed) >> 16);
    }
    t = trajectory_create(h);
    if (!t) {
        history_destroy(h);
        return false;
    }
    ref = &h->hops[trajectory_reference(t)];
    for (size_t i = 0; i < h->n_hops; i++) {
        times_ns[i] = h->hops[i].time_ns;
    }
    cluster_outbox_add_packet(
        box, t,
        &(struct trajectory_packet){.packet_id = h->packet_id,
                                    .header = ref->header,
                                    .caplen = ref->caplen,
                                    .times_ns = times_ns});
    trajectory_unref(t);
    many->histories[rule] = h;
    return true;
}

/* So many shapes that others begin anew, while some of what waits is packed
 * already; so long ones that a batch of them is too long. */
START_TEST(many_shapes_are_packed)
{
    const uint32_t n_shapes = _i ? N_SHAPES / 4 : N_SHAPES;
    const size_t n_ports = _i ? 150 : 0;
    static struct many many;
    struct cluster_codecs *codecs = cluster_codecs_create(&constants[0]);
    struct cluster_outbox *box = cluster_outbox_create(codecs, N_STORES);
    struct flow flows[N_FLOWS] = {{.is_ip6 = false}};
    uint64_t seed = 1;
    uint32_t n = 0;

    many.reader = cluster_codecs_history_reader(codecs);
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_init(&flows[i], &seed, FIXTURE_NOW_NS);
    }
    for (uint32_t i = 0; n < n_shapes; i++) {
        n += add_many(box, &many, &flows[i % N_FLOWS], &seed, n, n_ports);
    }
    ck_assert_uint_eq(cluster_outbox_pack(box, 0, give_many, &many), 0);
    for (uint32_t i = 0; i < n_shapes; i++) {
        ck_assert_ptr_null(many.histories[i]);
    }
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_uninit(&flows[i]);
    }
    cluster_outbox_destroy(box);
    cluster_codecs_unref(codecs);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_outbox");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    tcase_add_loop_test(tcase, what_waits_is_archived_as_it_was, 0, 4);
    tcase_add_loop_test(tcase, many_shapes_are_packed, 0, 2);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
