/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_wire - what stands in front of postcards on the bus. */
#include <config.h>

#include "server/cluster_wire.h"

#include <errno.h>

#include "lib/card_batch.h"

#define FLAG_FILE     0x01
#define FLAG_CATCH_UP 0x02

/* How a run tells its agent. */
enum { OF_NONE, OF_THE_SAME, OF_ANOTHER };

static void
put_runs(struct byte_buf *out, const struct cluster_run *runs, size_t n)
{
    uint64_t agent = 0, frame = 0;

    byte_buf_put_uvarint(out, n);
    for (size_t i = 0; i < n; i++) {
        const struct cluster_run *run = &runs[i];

        byte_buf_put_uvarint(out, run->n);
        if (!run->agent) {
            byte_buf_put_u8(out, OF_NONE);
            continue;
        }
        byte_buf_put_u8(out, run->agent == agent ? OF_THE_SAME : OF_ANOTHER);
        if (run->agent != agent) {
            byte_buf_put_u64(out, run->agent);
        }
        byte_buf_put_svarint(out, (int64_t) (run->frame - frame));
        byte_buf_put_uvarint(out, run->first);
        agent = run->agent;
        frame = run->frame;
    }
}

void
cluster_wire_put_cards(struct byte_buf *out,
                       const struct cluster_cards_head *head,
                       const struct cluster_run *runs, size_t n)
{
    uint8_t version = head->version ? head->version : CLUSTER_WIRE_VERSION;
    uint8_t flags = head->is_file ? FLAG_FILE : 0;

    if (version > 1 && head->is_catching_up) {
        flags |= FLAG_CATCH_UP;
    }
    byte_buf_put_u8(out, version);
    byte_buf_put_u64(out, head->door);
    byte_buf_put_u64(out, head->number);
    byte_buf_put_u8(out, flags);
    byte_buf_put_u64(out, head->watermark_ns);
    if (version > 1) {
        byte_buf_put_u32(out, head->left_out);
        put_runs(out, runs, n);
    }
}

bool
cluster_wire_next_run(struct cluster_runs *runs, struct cluster_run *run)
{
    uint64_t n, first = 0;
    uint8_t kind;

    if (!runs->n_left || runs->in.failed) {
        return false;
    }
    runs->n_left--;
    n = byte_buf_get_uvarint(&runs->in);
    kind = bytes_get_u8(&runs->in);
    if (kind != OF_NONE) {
        runs->agent =
            kind == OF_ANOTHER ? bytes_get_u64(&runs->in) : runs->agent;
        runs->frame += (uint64_t) byte_buf_get_svarint(&runs->in);
        first = byte_buf_get_uvarint(&runs->in);
    }
    if (runs->in.failed || kind > OF_ANOTHER || !n || n > CARD_BATCH_MAX ||
        first > UINT32_MAX - CARD_BATCH_MAX ||
        (kind != OF_NONE && !runs->agent)) {
        runs->in.failed = true;
        return false;
    }
    *run = (struct cluster_run){.agent = kind == OF_NONE ? 0 : runs->agent,
                                .frame = kind == OF_NONE ? 0 : runs->frame,
                                .first = (uint32_t) first,
                                .n = (uint32_t) n};
    return true;
}

/* Sets 'head->runs', and goes on behind them; false: they are malformed. */
static bool
get_runs(struct bytes_reader *in, struct cluster_cards_head *head)
{
    struct cluster_runs runs = {.n_left = byte_buf_get_uvarint(in)};
    struct cluster_run run;
    uint64_t n = 0;

    runs.in = *in;
    head->runs = runs;
    while (cluster_wire_next_run(&runs, &run) && n <= CARD_BATCH_MAX) {
        n += run.n;
    }
    *in = runs.in;
    return !runs.in.failed && n <= CARD_BATCH_MAX;
}

int
cluster_wire_get_cards(const uint8_t *data, size_t size,
                       struct cluster_cards_head *head, const uint8_t **batch,
                       size_t *len, struct lh_error *error)
{
    struct bytes_reader in = bytes_reader(data, size);
    uint8_t known = FLAG_FILE, flags;
    bool is_good = true;

    *head = (struct cluster_cards_head){.version = bytes_get_u8(&in)};
    if (!in.failed && (head->version < CLUSTER_WIRE_FIRST ||
                       head->version > CLUSTER_WIRE_VERSION)) {
        lh_error_set(error,
                     "postcards in version %u, known here is %d: upgrade the "
                     "server that reads them first",
                     head->version, CLUSTER_WIRE_VERSION);
        return ENOTSUP;
    }
    head->door = bytes_get_u64(&in);
    head->number = bytes_get_u64(&in);
    flags = bytes_get_u8(&in);
    head->is_file = flags & FLAG_FILE;
    head->watermark_ns = bytes_get_u64(&in);
    if (head->version > 1) {
        known |= FLAG_CATCH_UP;
        head->is_catching_up = flags & FLAG_CATCH_UP;
        head->left_out = bytes_get_u32(&in);
        is_good = get_runs(&in, head);
    }
    if (in.failed || !is_good || flags & ~known || !head->number) {
        lh_error_set(error, "a malformed message of postcards");
        return EBADMSG;
    }
    *batch = data + in.ofs;
    *len = bytes_left(&in);
    return 0;
}
