/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of server/cluster_snapshot: whatever there is to tell, no part is
 * longer than a message of NATS may be, and all of it is read back. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/card_batch.h"
#include "server/cluster_merge.h"
#include "server/cluster_reach.h"
#include "server/cluster_snapshot.h"
#include "server/cluster_wire.h"
#include "server/loss_ledger.h"
#include "server/loss_wait.h"
#include "server/path_group.h"
#include "server/path_table.h"
#include "tests/lib/random_history.h"

#define NOW_NS     UINT64_C(1700000000000000000)
#define N_DOORS    CLUSTER_MERGE_MAX_DOORS
#define N_WAITING  128
#define N_HOPS     64
#define HEADER     256
#define N_SEEN     1000
#define N_HASHES   300
#define N_OPEN     9000
#define OPEN_BYTES 128

static const struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;
static const struct cluster_snapshot_head head = {
    .epoch = 9, .checkpoint = 41, .secret = 0x1234567890};

/* All that a snapshot is of. */
struct shard {
    struct path_table *paths;
    struct cluster_merge *merge;
    struct loss_ledger *ledger;
    struct loss_wait *wait;
    size_t n_given;
};

static void
emit(void *shard, struct history *h)
{
    history_destroy(h);
}

static void
give(void *shard_, uint32_t from, struct history *h)
{
    struct shard *shard = shard_;

    shard->n_given++;
    history_destroy(h);
}

static bool
on_card(void *aux, const struct postcard *p, uint64_t time_ns)
{
    ck_abort();
}

static void
on_inner(void *aux, uint64_t inner, uint64_t outer, uint64_t time_ns)
{
    ck_abort();
}

static void
create(struct shard *shard)
{
    shard->n_given = 0;
    shard->paths =
        path_table_create(&(struct path_table_config){.emit = emit,
                                                      .is_driven = true,
                                                      .secret = head.secret,
                                                      .id_config = id_config,
                                                      .aux = shard});
    shard->merge = cluster_merge_create(&(struct cluster_merge_config){
        .id_config = id_config, .on_card = on_card, .on_inner = on_inner});
    shard->ledger = loss_ledger_create();
    shard->wait = loss_wait_create(shard->ledger, NULL, give, shard);
}

static void
destroy(struct shard *shard)
{
    path_table_destroy(shard->paths);
    cluster_merge_destroy(shard->merge);
    loss_wait_destroy(shard->wait);
    loss_ledger_destroy(shard->ledger);
}

static void
fill_random(uint64_t *seed, uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (uint8_t) random_u32(seed);
    }
}

/* Each door tells of agents that nobody else has told of. */
static void
fill_merge(struct shard *shard, uint32_t n_doors, uint32_t n_agents)
{
    struct byte_buf bytes = BYTE_BUF_INIT;
    struct lh_error error;

    for (uint32_t i = 0; i < n_doors; i++) {
        const struct cluster_cards_head cards = {
            .door = UINT64_MAX - i, .number = 1, .watermark_ns = NOW_NS};
        struct cluster_run runs[8];
        struct cluster_merge_message message = {.seq = i + 1,
                                                .stored_ns = NOW_NS};
        uint32_t n = n_agents / n_doors;

        ck_assert_uint_le(n, sizeof runs / sizeof runs[0]);
        for (uint32_t j = 0; j < n; j++) {
            runs[j] = (struct cluster_run){
                .agent = 1 + i * n + j, .frame = UINT64_C(1) << 50, .n = 1};
        }
        byte_buf_clear(&bytes);
        cluster_wire_put_cards(&bytes, &cards, runs, n);
        message.data = bytes.data;
        message.size = bytes.len;
        ck_assert_int_eq(cluster_merge_take(shard->merge, &message, 1, &error),
                         0);
    }
    cluster_merge_run(shard->merge, 1, false, 1);
    byte_buf_uninit(&bytes);
}

static void
fill_wait(struct shard *shard, size_t n, size_t n_hops, uint64_t *seed)
{
    for (size_t i = 0; i < n; i++) {
        struct history *h = line_history(i + 1, n_hops, NOW_NS + i, 0);

        for (size_t k = 0; k < n_hops; k++) {
            uint8_t header[HEADER];

            fill_random(seed, header, sizeof header);
            history_hop_set_header(&h->hops[k], header, sizeof header);
        }
        loss_wait_restore(shard->wait, h, 7, NOW_NS + i, NOW_NS * 2);
    }
}

static void
fill_paths(struct shard *shard, uint64_t *seed)
{
    uint32_t hashes[N_HASHES];

    path_table_run(shard->paths, NOW_NS);
    for (uint64_t i = 0; i < N_SEEN; i++) {
        for (size_t k = 0; k < N_HASHES; k++) {
            hashes[k] = random_u32(seed);
        }
        path_table_resee(shard->paths, 1000000 + i, NOW_NS * 2, hashes,
                         N_HASHES);
    }
    for (uint64_t i = 0; i < N_OPEN; i++) {
        uint8_t header[OPEN_BYTES];
        const struct postcard p = {.dpid = 1 + i % 7,
                                   .packet_id = i,
                                   .has_id = true,
                                   .time_ns = NOW_NS + i,
                                   .version = 1,
                                   .version_bits = 32,
                                   .in_port = 1,
                                   .out_port = 2,
                                   .header = header,
                                   .caplen = sizeof header};

        fill_random(seed, header, sizeof header);
        path_table_reopen(shard->paths, &p, NOW_NS * 2);
    }
}

/* The snapshot of a shard, read into another one. */
static uint32_t
pass_on(struct shard *from, struct shard *to, uint64_t *n_open)
{
    struct card_batch_writer *batch = card_batch_writer_create(&id_config);
    struct byte_buf *parts;
    uint32_t n = cluster_snapshot_put(&head, batch, from->paths, from->merge,
                                      from->wait, &parts);
    struct cluster_snapshot_reader *r = cluster_snapshot_reader_create(
        head.epoch, head.checkpoint, n, &id_config);
    struct lh_error error = {.text = ""};
    int retval;

    for (uint32_t i = 0; i < n; i++) {
        ck_assert_uint_le(parts[i].len, CLUSTER_SNAPSHOT_MAX_PART);
        /* In any order. */
        const struct byte_buf *part = &parts[(i + n / 2) % n];

        ck_assert(cluster_snapshot_reader_take(r, part->data, part->len) ==
                  (i == n - 1));
    }
    ck_assert_uint_eq(cluster_snapshot_reader_secret(r), head.secret);
    create(to);
    retval = cluster_snapshot_reader_restore(r, to->paths, to->merge, to->wait,
                                             n_open, &error);
    ck_assert_msg(!retval, "%s", error.text);
    for (uint32_t i = 0; i < n; i++) {
        byte_buf_uninit(&parts[i]);
    }
    free(parts);
    cluster_snapshot_reader_destroy(r);
    card_batch_writer_destroy(batch);
    return n;
}

struct sums {
    uint64_t n, ids, bytes, hashes;
};

static void
sum_waiting(void *sums_, const struct history *h, uint64_t dpid,
            uint64_t to_ns, uint64_t due_ns)
{
    struct sums *sums = sums_;

    ck_assert_uint_eq(dpid, 7);
    ck_assert_uint_eq(due_ns, NOW_NS * 2);
    sums->n++;
    sums->ids += h->packet_id;
    for (size_t i = 0; i < h->n_hops; i++) {
        for (size_t k = 0; k < h->hops[i].caplen; k++) {
            sums->bytes = sums->bytes * 31 + h->hops[i].header[k];
        }
    }
}

static void
sum_seen(void *sums_, uint64_t id, uint64_t forget_ns,
         const struct path_seen *seen)
{
    struct sums *sums = sums_;

    sums->n++;
    sums->ids += id;
    sums->bytes += forget_ns;
    for (uint32_t i = 0; i < seen->n; i++) {
        sums->hashes += i < PATH_SEEN_INLINE
                            ? seen->hashes[i]
                            : seen->more[i - PATH_SEEN_INLINE];
    }
}

static void
check_same(struct shard *a, struct shard *b)
{
    struct sums waiting[2] = {{0}}, seen[2] = {{0}};
    struct cluster_merge_counters n[2];
    struct byte_buf reach[2] = {BYTE_BUF_INIT, BYTE_BUF_INIT};
    struct shard *shards[2] = {a, b};

    for (int i = 0; i < 2; i++) {
        loss_wait_each(shards[i]->wait, sum_waiting, &waiting[i]);
        path_table_each_seen(shards[i]->paths, sum_seen, &seen[i]);
        cluster_merge_get_counters(shards[i]->merge, &n[i]);
        cluster_merge_put_reach(shards[i]->merge, &reach[i]);
    }
    ck_assert_mem_eq(&waiting[0], &waiting[1], sizeof waiting[0]);
    ck_assert_mem_eq(&seen[0], &seen[1], sizeof seen[0]);
    ck_assert_uint_eq(n[0].doors, n[1].doors);
    ck_assert_uint_eq(reach[0].len, reach[1].len);
    ck_assert_mem_eq(reach[0].data, reach[1].data, reach[0].len);
    byte_buf_uninit(&reach[0]);
    byte_buf_uninit(&reach[1]);
}

/* As much of everything as there may be. */
START_TEST(what_is_longer_than_a_message_goes_on_in_others)
{
    struct shard from, to;
    uint64_t seed = 5, n_open;

    create(&from);
    fill_merge(&from, N_DOORS, CLUSTER_REACH_MAX);
    fill_wait(&from, N_WAITING, N_HOPS, &seed);
    fill_paths(&from, &seed);
    ck_assert_uint_gt(pass_on(&from, &to, &n_open), 5);
    ck_assert_uint_eq(n_open, N_OPEN);
    ck_assert_uint_eq(loss_wait_count(to.wait), N_WAITING);
    check_same(&from, &to);
    destroy(&from);
    destroy(&to);
}
END_TEST

/* Servers that do not know that read what is not so long. */
START_TEST(what_fits_is_as_it_was)
{
    struct card_batch_writer *batch = card_batch_writer_create(&id_config);
    struct shard from, to;
    uint64_t seed = 5, n_open;
    struct byte_buf *parts;

    create(&from);
    fill_merge(&from, 2, 2);
    fill_wait(&from, 10, 3, &seed);
    ck_assert_uint_eq(cluster_snapshot_put(&head, batch, from.paths,
                                           from.merge, from.wait, &parts),
                      1);
    ck_assert_uint_eq(parts[0].data[0], 2);
    byte_buf_uninit(&parts[0]);
    free(parts);
    pass_on(&from, &to, &n_open);
    check_same(&from, &to);
    card_batch_writer_destroy(batch);
    destroy(&from);
    destroy(&to);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_snapshot");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int n_failed;

    tcase_add_test(tc, what_is_longer_than_a_message_goes_on_in_others);
    tcase_add_test(tc, what_fits_is_as_it_was);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
