/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_snapshot - what is open in a stage-1 shard, written and read. */
#include <config.h>
#include "server/cluster_snapshot.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/bytes.h"
#include "lib/card_batch.h"
#include "lib/history_codec.h"
#include "lib/lh_alloc.h"
#include "server/cluster_merge.h"
#include "server/loss_wait.h"
#include "server/path_group.h"
#include "server/path_table.h"

/* 1: without agents and what waits; 3: the first part goes on in others. */
#define SNAPSHOT_VERSION 3
#define MAX_SEEN         65536 /* Hashes of one group. */
#define MAX_PARTS        65536
#define MAX_META         32768 /* Beside postcards. */
#define PART_HEADER      33
/* Alone in a part, with a batch of no postcards. */
#define MAX_ALONE (CLUSTER_SNAPSHOT_MAX_PART - PART_HEADER - 128)

/* --- Written. -------------------------------------------------------------
 */

struct writer {
    const struct cluster_snapshot_head *head;
    uint8_t version;
    struct card_batch_writer *batch;
    struct byte_buf *parts; /* Becomes the caller's. */
    size_t n_parts, allocated;
    struct byte_buf meta;    /* Of the first part, */
    size_t n_meta_done;      /* of which so much is in others. */
    struct byte_buf entries; /* Of a list in it. */
    struct history_encoder *histories;
    uint32_t n_entries;

    /* Groups of the part at hand. */
    struct byte_buf groups;
    uint32_t n_groups;
    uint64_t id, due_ns, last_due_ns;
    uint32_t n_cards; /* Of the group at hand; 0: there is none. */
};

static void
finish_list(struct writer *w)
{
    byte_buf_put_u32(&w->meta, w->n_entries);
    if (w->entries.len) {
        byte_buf_put(&w->meta, w->entries.data, w->entries.len);
    }
    byte_buf_clear(&w->entries);
    w->n_entries = 0;
}

static void
put_seen(void *w_, uint64_t id, uint64_t forget_ns,
         const struct path_seen *seen)
{
    struct writer *w = w_;

    w->n_entries++;
    byte_buf_put_u64(&w->entries, id);
    byte_buf_put_u64(&w->entries, forget_ns);
    byte_buf_put_u32(&w->entries, seen->n);
    for (uint32_t i = 0; i < seen->n; i++) {
        byte_buf_put_u32(&w->entries, i < PATH_SEEN_INLINE
                                          ? seen->hashes[i]
                                          : seen->more[i - PATH_SEEN_INLINE]);
    }
}

static void
put_inner(void *w_, uint64_t inner, uint64_t outer, uint64_t time_ns)
{
    struct writer *w = w_;

    w->n_entries++;
    byte_buf_put_u64(&w->entries, inner);
    byte_buf_put_u64(&w->entries, outer);
    byte_buf_put_u64(&w->entries, time_ns);
}

static void
finish_group(struct writer *w)
{
    if (w->n_cards) {
        byte_buf_put_uvarint(&w->groups, w->n_cards);
        byte_buf_put_svarint(&w->groups,
                             (int64_t) (w->due_ns - w->last_due_ns));
        w->last_due_ns = w->due_ns;
        w->n_groups++;
        w->n_cards = 0;
    }
}

/* Ends the part at hand, with the next 'n_meta' bytes of what is told
 * besides. */
static void
finish_part_with(struct writer *w, size_t n_meta)
{
    struct byte_buf *part;

    finish_group(w);
    w->parts =
        lh_alloc_grow(w->parts, w->n_parts, &w->allocated, sizeof *w->parts);
    part = &w->parts[w->n_parts];
    *part = (struct byte_buf) BYTE_BUF_INIT;
    byte_buf_put_u8(part, w->version);
    byte_buf_put_u64(part, w->head->epoch);
    byte_buf_put_u64(part, w->head->checkpoint);
    byte_buf_put_u32(part, (uint32_t) w->n_parts++);
    byte_buf_put_u32(part, (uint32_t) n_meta);
    byte_buf_put_u32(part, w->n_groups);
    byte_buf_put_u32(part, (uint32_t) w->groups.len);
    if (n_meta) {
        byte_buf_put(part, w->meta.data + w->n_meta_done, n_meta);
        w->n_meta_done += n_meta;
    }
    if (w->groups.len) {
        byte_buf_put(part, w->groups.data, w->groups.len);
    }
    card_batch_writer_finish(w->batch, part);
    byte_buf_clear(&w->groups);
    w->n_groups = 0;
    w->last_due_ns = 0;
}

static void
finish_part(struct writer *w)
{
    finish_part_with(w, w->meta.len - w->n_meta_done);
}

static void
put_card(void *w_, const struct postcard *p, uint64_t due_ns)
{
    struct writer *w = w_;

    if (w->n_cards && p->packet_id != w->id) {
        finish_group(w);
    }
    if (!card_batch_writer_add(w->batch, p)) {
        finish_part(w);
        card_batch_writer_add(w->batch, p);
    }
    w->id = p->packet_id;
    w->due_ns = due_ns;
    w->n_cards++;
}

static void
put_waiting(void *w_, const struct history *h, uint64_t dpid, uint64_t to_ns,
            uint64_t due_ns)
{
    struct writer *w = w_;

    if (!history_encoder_add(w->histories, h)) {
        w->n_entries++;
        byte_buf_put_u64(&w->entries, dpid);
        byte_buf_put_u64(&w->entries, to_ns);
        byte_buf_put_u64(&w->entries, due_ns);
    }
}

/* Histories that wait, each with what is known of it. */
static void
put_wait(struct writer *w, const struct loss_wait *wait)
{
    struct byte_buf payload = BYTE_BUF_INIT;

    w->histories = history_encoder_create();
    if (wait) {
        loss_wait_each(wait, put_waiting, w);
    }
    finish_list(w);
    history_encoder_finish(w->histories, &payload);
    byte_buf_put_u32(&w->meta, (uint32_t) payload.len);
    byte_buf_put(&w->meta, payload.data, payload.len);
    byte_buf_uninit(&payload);
    history_encoder_destroy(w->histories);
}

uint32_t
cluster_snapshot_put(const struct cluster_snapshot_head *head,
                     struct card_batch_writer *batch, struct path_table *paths,
                     const struct cluster_merge *merge,
                     const struct loss_wait *wait, struct byte_buf **partsp)
{
    /* While servers are there that do not know version 2, nothing waits, and
     * agents are not told of. */
    bool has_more =
        cluster_merge_has_reach(merge) || (wait && loss_wait_count(wait));
    struct writer w = {
        .head = head,
        .version = has_more ? 2 : 1,
        .batch = batch,
    };

    byte_buf_put_u64(&w.meta, head->secret);
    byte_buf_put_u64(&w.meta, path_table_clock_ns(paths));
    cluster_merge_put(merge, &w.meta);
    path_table_each_seen(paths, put_seen, &w);
    finish_list(&w);
    path_table_each_inner(paths, put_inner, &w);
    finish_list(&w);
    if (w.version > 1) {
        cluster_merge_put_reach(merge, &w.meta);
        put_wait(&w, wait);
    }
    if (w.meta.len > MAX_ALONE) {
        w.version = SNAPSHOT_VERSION;
    }
    while (w.meta.len - w.n_meta_done > MAX_ALONE) {
        finish_part_with(&w, MAX_ALONE);
    }
    if (w.meta.len - w.n_meta_done > MAX_META) {
        finish_part(&w);
    }
    path_table_each_open(paths, put_card, &w);
    finish_part(&w);
    byte_buf_uninit(&w.meta);
    byte_buf_uninit(&w.entries);
    byte_buf_uninit(&w.groups);
    *partsp = w.parts;
    return (uint32_t) w.n_parts;
}

/* --- Read. ----------------------------------------------------------------
 */

struct cluster_snapshot_reader {
    uint64_t epoch, checkpoint;
    uint8_t version; /* Of the parts. */
    struct packet_id_config id_config;
    uint32_t n_parts, n_have;
    struct byte_buf *parts; /* Without what tells which they are.  Owned. */
};

struct cluster_snapshot_reader *
cluster_snapshot_reader_create(uint64_t epoch, uint64_t checkpoint,
                               uint32_t n_parts,
                               const struct packet_id_config *id_config)
{
    struct cluster_snapshot_reader *r = lh_alloc_zero(sizeof *r);

    r->epoch = epoch;
    r->checkpoint = checkpoint;
    r->id_config = *id_config;
    r->n_parts = n_parts < MAX_PARTS ? n_parts : MAX_PARTS;
    r->parts = lh_alloc_zero(r->n_parts * sizeof *r->parts);
    return r;
}

void
cluster_snapshot_reader_destroy(struct cluster_snapshot_reader *r)
{
    if (r) {
        for (uint32_t i = 0; i < r->n_parts; i++) {
            byte_buf_uninit(&r->parts[i]);
        }
        free(r->parts);
        free(r);
    }
}

bool
cluster_snapshot_checkpoint(const uint8_t *data, size_t size,
                            uint64_t *checkpoint)
{
    struct bytes_reader in = bytes_reader(data, size);
    uint8_t version = bytes_get_u8(&in);

    bytes_get_u64(&in); /* The epoch. */
    *checkpoint = bytes_get_u64(&in);
    return !in.failed && version && version <= SNAPSHOT_VERSION;
}

bool
cluster_snapshot_reader_take(struct cluster_snapshot_reader *r,
                             const uint8_t *data, size_t size)
{
    struct bytes_reader in = bytes_reader(data, size);
    uint8_t version = bytes_get_u8(&in);
    uint64_t epoch = bytes_get_u64(&in);
    uint64_t checkpoint = bytes_get_u64(&in);
    uint32_t part = bytes_get_u32(&in);
    size_t left = bytes_left(&in);

    if (!in.failed && version && version <= SNAPSHOT_VERSION &&
        epoch == r->epoch && checkpoint == r->checkpoint &&
        part < r->n_parts && left && !r->parts[part].len) {
        byte_buf_put(&r->parts[part], bytes_get(&in, left), left);
        r->version = version;
        r->n_have++;
    }
    return r->n_have == r->n_parts;
}

/* One part. */
struct part {
    struct bytes_reader meta, groups;
    uint32_t n_groups;
    const uint8_t *batch;
    size_t n_batch;
};

/* Finds what a part has; false: it is none. */
static bool
open_part(const struct byte_buf *bytes, struct part *part)
{
    struct bytes_reader in = bytes_reader(bytes->data, bytes->len);
    uint32_t n_meta = bytes_get_u32(&in);
    uint32_t n_groups = bytes_get_u32(&in);
    uint32_t n_group_bytes = bytes_get_u32(&in);
    const uint8_t *meta = bytes_get(&in, n_meta);
    const uint8_t *groups = bytes_get(&in, n_group_bytes);

    part->meta = bytes_reader(meta, n_meta);
    part->groups = bytes_reader(groups, n_group_bytes);
    part->n_groups = n_groups;
    part->n_batch = bytes_left(&in);
    part->batch = bytes_get(&in, part->n_batch);
    return !in.failed;
}

uint64_t
cluster_snapshot_reader_secret(const struct cluster_snapshot_reader *r)
{
    struct part part;

    if (!r->n_parts || !open_part(&r->parts[0], &part)) {
        return 0;
    }
    return bytes_get_u64(&part.meta);
}

static bool
read_seen(struct bytes_reader *in, struct path_table *paths)
{
    uint32_t n_entries = bytes_get_u32(in);

    while (n_entries-- && !in->failed) {
        uint64_t id = bytes_get_u64(in);
        uint64_t forget_ns = bytes_get_u64(in);
        uint32_t n = bytes_get_u32(in);
        uint32_t *hashes;

        if (in->failed || n > MAX_SEEN || n > bytes_left(in) / 4) {
            return false;
        }
        hashes = lh_alloc(n * sizeof *hashes);
        for (uint32_t i = 0; i < n; i++) {
            hashes[i] = bytes_get_u32(in);
        }
        path_table_resee(paths, id, forget_ns, hashes, n);
        free(hashes);
    }
    return !in->failed;
}

static bool
read_inner(struct bytes_reader *in, struct path_table *paths)
{
    uint32_t n_entries = bytes_get_u32(in);

    while (n_entries-- && !in->failed) {
        uint64_t inner = bytes_get_u64(in);
        uint64_t outer = bytes_get_u64(in);
        uint64_t time_ns = bytes_get_u64(in);

        if (!in->failed) {
            path_table_note_inner(paths, inner, outer, time_ns);
        }
    }
    return !in->failed;
}

/* Histories that wait go on doing so; without 'wait' they are skipped. */
static bool
read_wait(struct bytes_reader *in, struct loss_wait *wait)
{
    uint32_t n = bytes_get_u32(in);
    const uint8_t *entries = bytes_get(in, (size_t) n * 24);
    uint32_t len = bytes_get_u32(in);
    const uint8_t *payload = bytes_get(in, len);
    struct bytes_reader entry = bytes_reader(entries, (size_t) n * 24);
    struct history_decoder *decoder;
    struct history_record record;
    struct history *h;
    bool is_good;

    if (in->failed || history_decoder_create(payload, len, &decoder, NULL)) {
        return false;
    }
    is_good = true;
    while (n-- && is_good) {
        uint64_t dpid = bytes_get_u64(&entry);
        uint64_t to_ns = bytes_get_u64(&entry);
        uint64_t due_ns = bytes_get_u64(&entry);

        is_good = !history_decoder_next(decoder, &record, NULL) &&
                  !history_decoder_read(decoder, record.offset, &h, NULL);
        if (is_good && wait) {
            loss_wait_restore(wait, h, dpid, to_ns, due_ns);
        } else if (is_good) {
            history_destroy(h);
        }
    }
    history_decoder_destroy(decoder);
    return is_good;
}

/* What the first part tells besides postcards. */
static bool
read_meta(struct bytes_reader *in, uint8_t version, struct path_table *paths,
          struct cluster_merge *merge, struct loss_wait *wait)
{
    bytes_get_u64(in); /* The secret. */
    path_table_run(paths, bytes_get_u64(in));
    return !cluster_merge_read(merge, in) && read_seen(in, paths) &&
           read_inner(in, paths) &&
           (version < 2 ||
            (!cluster_merge_read_reach(merge, in) && read_wait(in, wait)));
}

/* Opens the groups of a part again, and adds to '*n' how many postcards. */
static int
read_groups(struct part *part, struct card_batch_reader *batch,
            struct path_table *paths, uint64_t *n, struct lh_error *error)
{
    int retval =
        card_batch_reader_open(batch, part->batch, part->n_batch, error);
    uint64_t due_ns = 0;
    struct postcard p;

    if (retval) {
        return retval;
    }
    for (uint32_t i = 0; i < part->n_groups; i++) {
        uint64_t n_cards = byte_buf_get_uvarint(&part->groups);

        due_ns += (uint64_t) byte_buf_get_svarint(&part->groups);
        if (part->groups.failed) {
            lh_error_set(error, "groups of the snapshot end early");
            return EBADMSG;
        }
        while (n_cards-- && card_batch_reader_next(batch, &p)) {
            path_table_reopen(paths, &p, due_ns);
            ++*n;
        }
    }
    return 0;
}

/* What is told besides postcards, of all parts; false: one of them is none. */
static bool
collect_meta(const struct cluster_snapshot_reader *r, struct byte_buf *meta)
{
    for (uint32_t i = 0; i < r->n_parts; i++) {
        struct part part;

        if (!open_part(&r->parts[i], &part)) {
            return false;
        }
        if (part.meta.len) {
            byte_buf_put(meta, part.meta.data, part.meta.len);
        }
    }
    return true;
}

static bool
restore_meta(const struct cluster_snapshot_reader *r, struct path_table *paths,
             struct cluster_merge *merge, struct loss_wait *wait)
{
    struct byte_buf meta = BYTE_BUF_INIT;
    bool is_good = false;

    if (collect_meta(r, &meta)) {
        struct bytes_reader in = bytes_reader(meta.data, meta.len);

        is_good = read_meta(&in, r->version, paths, merge, wait);
    }
    byte_buf_uninit(&meta);
    return is_good;
}

int
cluster_snapshot_reader_restore(struct cluster_snapshot_reader *r,
                                struct path_table *paths,
                                struct cluster_merge *merge,
                                struct loss_wait *wait, uint64_t *n,
                                struct lh_error *error)
{
    struct card_batch_reader *batch = card_batch_reader_create(&r->id_config);
    int retval = 0;

    *n = 0;
    if (!restore_meta(r, paths, merge, wait)) {
        lh_error_set(error, "what the snapshot tells of doors, agents and "
                            "histories that wait is malformed");
        retval = EBADMSG;
    }
    for (uint32_t i = 0; i < r->n_parts && !retval; i++) {
        struct part part;

        if (!open_part(&r->parts[i], &part)) {
            lh_error_set(error, "a part of the snapshot is malformed");
            retval = EBADMSG;
        } else {
            retval = read_groups(&part, batch, paths, n, error);
        }
    }
    card_batch_reader_destroy(batch);
    return retval;
}
