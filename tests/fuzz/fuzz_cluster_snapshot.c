/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_cluster_snapshot - what is open in a shard, as a message: what can be
 * read can be written and read again. */
#include <config.h>

#include <stdlib.h>

#include "lib/card_batch.h"
#include "lib/history.h"
#include "server/cluster_merge.h"
#include "server/cluster_snapshot.h"
#include "server/path_table.h"
#include "tests/fuzz/fuzz.h"

static const struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;

static void
emit(void *aux, struct history *history)
{
    history_destroy(history);
}

static bool
on_card(void *aux, const struct postcard *p, uint64_t time_ns)
{
    return true;
}

static void
on_inner(void *aux, uint64_t inner, uint64_t outer, uint64_t time_ns)
{
}

struct shard {
    struct path_table *paths;
    struct cluster_merge *merge;
};

/* Reads the message, or messages, into a shard; its result. */
static int
restore(struct cluster_snapshot_reader *reader, struct shard *shard)
{
    const struct cluster_merge_config merge = {
        .id_config = id_config, .on_card = on_card, .on_inner = on_inner};
    const struct path_table_config paths = {
        .max_plain = SIZE_MAX,
        .id_config = id_config,
        .is_driven = true,
        .secret = cluster_snapshot_reader_secret(reader),
        .emit = emit,
    };
    struct lh_error error;
    uint64_t n;

    shard->paths = path_table_create(&paths);
    shard->merge = cluster_merge_create(&merge);
    return cluster_snapshot_reader_restore(reader, shard->paths, shard->merge,
                                           NULL, &n, &error);
}

static void
end(struct shard *shard)
{
    path_table_destroy(shard->paths);
    cluster_merge_destroy(shard->merge);
}

static void
check_again(const struct shard *shard)
{
    const struct cluster_snapshot_head head = {
        .epoch = 1, .checkpoint = 1, .secret = 7};
    struct card_batch_writer *writer = card_batch_writer_create(&id_config);
    struct byte_buf *parts;
    uint32_t n = cluster_snapshot_put(&head, writer, shard->paths,
                                      shard->merge, NULL, &parts);
    struct cluster_snapshot_reader *reader =
        cluster_snapshot_reader_create(1, 1, n, &id_config);
    struct shard again;

    for (uint32_t i = 0; i < n; i++) {
        if (cluster_snapshot_reader_take(reader, parts[i].data,
                                         parts[i].len) != (i == n - 1)) {
            abort();
        }
        byte_buf_uninit(&parts[i]);
    }
    free(parts);
    if (restore(reader, &again)) {
        abort();
    }
    end(&again);
    cluster_snapshot_reader_destroy(reader);
    card_batch_writer_destroy(writer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cluster_snapshot_reader *reader =
        cluster_snapshot_reader_create(1, 1, 1, &id_config);

    if (cluster_snapshot_reader_take(reader, data, size)) {
        struct shard shard;

        if (!restore(reader, &shard)) {
            check_again(&shard);
        }
        end(&shard);
    }
    cluster_snapshot_reader_destroy(reader);
    return 0;
}
