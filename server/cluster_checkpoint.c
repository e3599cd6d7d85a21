/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_checkpoint - implementation. */
#include <config.h>
#include "server/cluster_checkpoint.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/bus_sweep.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "server/cluster_outbox.h"
#include "server/cluster_posts.h"
#include "server/cluster_sent.h"
#include "server/cluster_snapshot.h"
#include "server/shard_commit.h"
#include "server/store_message.h"

#define BUCKET       "lh-commit-1"
#define NOTE_VERSION 1
#define SWEEP_NS     UINT64_C(2000000000)
#define NO_SEQ       UINT64_MAX

/* A marker is told again so late if no other followed it: NATS may lose the
 * end of a stream. */
#define TELL_AGAIN_NS UINT64_C(10000000000)

/* Tags of posts: a part of a snapshot, or this plus the number of a store. */
#define TAG_PART      0
#define TAG_TENTATIVE 1

/* What a stage-2 shard has not been told of. */
struct store {
    uint32_t n_in; /* Messages for it of the checkpoint under way. */
    /* Of those that are committed. */
    struct store_parts parts;
    uint64_t owed;    /* The last checkpoint it has to be told of; 0: none. */
    uint64_t marker;  /* What a marker on its way tells; NO_SEQ: none is. */
    uint64_t last;    /* What the last one told, */
    uint64_t told_ns; /* and when, */
    bool is_last;     /* which is to be told again if no other follows. */
};

/* What the record says. */
struct record {
    uint64_t position, snapshot_seq;
    uint32_t n_parts;
};

struct cluster_checkpoint {
    struct cluster_checkpoint_config config;
    struct shard_commit *commit;   /* Owned. */
    struct cluster_outbox *box;    /* Owned. */
    struct cluster_posts *posts;   /* Of the checkpoint under way.  Owned. */
    struct cluster_posts *markers; /* Owned. */
    struct store *stores;          /* Owned. */
    enum cluster_checkpoint_state state;
    struct cluster_checkpoint_past past;
    uint64_t next;        /* Number of the one under way, or to come. */
    struct record is;     /* Committed. */
    struct record wanted; /* Under way. */
    struct bus_sweep *cards, *snapshots; /* Of LH1 and LHS.  Owned. */
    uint64_t swept_ns;                   /* When they were last told. */
    uint64_t now_ns;                     /* Of the last run. */
    struct cluster_checkpoint_counters n;
};

/* --- What NATS has, but may lose. -----------------------------------------
 */

static void
take_post(void *cp_, uint64_t tag, struct byte_buf *data, const char *value)
{
    struct cluster_checkpoint *cp = cp_;

    if (tag != TAG_PART && cp->config.sent) {
        cluster_sent_keep(cp->config.sent, (uint32_t) (tag - TAG_TENTATIVE),
                          data, NULL, monotonic_ns());
    }
}

static void
take_marker(void *cp_, uint64_t m, struct byte_buf *data, const char *parts)
{
    struct cluster_checkpoint *cp = cp_;

    if (cp->config.sent) {
        cluster_sent_keep(cp->config.sent, (uint32_t) m, data, parts,
                          monotonic_ns());
    }
}

/* --- Markers. -------------------------------------------------------------
 */

/* 'epoch' has committed 'c'. */
static void
send_marker(struct cluster_checkpoint *cp, uint32_t m, uint64_t epoch,
            uint64_t c, bool is_again)
{
    const struct store_message message = {
        .kind = STORE_MARKER,
        .k = cp->config.shard,
        .e = epoch,
        .c = c,
        .e_now = cp->config.epoch,
    };
    struct byte_buf bytes = BYTE_BUF_INIT;
    char subject[32], id[128], parts[STORE_PARTS_SIZE];

    store_parts_put(&cp->stores[m].parts, parts);
    snprintf(subject, sizeof subject, "lh.2.%" PRIu32, m);
    snprintf(id, sizeof id,
             "m.%" PRIu32 ".%" PRIu64 ".%" PRIu64 ".%" PRIu64 ".%" PRIu32 "%s",
             cp->config.shard, cp->config.epoch, epoch, c, m,
             is_again ? ".again" : "");
    store_message_put(&message, &bytes);
    cp->stores[m].marker = cp->stores[m].last = c;
    cp->stores[m].told_ns = cp->now_ns;
    cp->stores[m].is_last = epoch == cp->config.epoch && !is_again;
    cluster_posts_add_with(cp->markers, subject, id, &bytes, m,
                           STORE_PARTS_HEADER, parts);
}

static bool
is_told(const struct cluster_checkpoint *cp)
{
    return !cluster_posts_n(cp->markers);
}

static void
on_marker_kept(void *cp_, uint64_t m, uint64_t seq)
{
    struct cluster_checkpoint *cp = cp_;
    struct store *store = &cp->stores[m];

    if (store->owed == store->marker) {
        store->owed = 0;
    }
    store->marker = NO_SEQ;
    if (store->owed) {
        send_marker(cp, (uint32_t) m, cp->config.epoch, store->owed, false);
    }
    if (cp->state == CHECKPOINT_ANNOUNCING && is_told(cp)) {
        cp->state = CHECKPOINT_IDLE;
    }
}

/* Tells all that what the owner before committed counts. */
static void
announce(struct cluster_checkpoint *cp)
{
    cp->state = CHECKPOINT_ANNOUNCING;
    for (uint32_t m = 0; m < cp->config.n_stores; m++) {
        send_marker(cp, m, cp->past.epoch, cp->past.checkpoint, false);
    }
}

/* What a store has got when the checkpoint under way is committed. */
static struct store_parts
wanted_parts(const struct cluster_checkpoint *cp, const struct store *store)
{
    struct store_parts parts = store->parts;

    if (store->n_in) {
        parts.before = parts.c[0];
        parts.c[0] = parts.c[1];
        parts.n[0] = parts.n[1];
        parts.c[1] = cp->next;
        parts.n[1] = store->n_in;
    }
    return parts;
}

/* Tells those that got histories that these count. */
static void
tell(struct cluster_checkpoint *cp, uint64_t c)
{
    for (uint32_t m = 0; m < cp->config.n_stores; m++) {
        struct store *store = &cp->stores[m];

        store->parts = wanted_parts(cp, store);
        if (store->n_in) {
            store->n_in = 0;
            store->owed = c;
            if (store->marker == NO_SEQ) {
                send_marker(cp, m, cp->config.epoch, c, false);
            }
        }
    }
}

static void
tell_again(struct cluster_checkpoint *cp)
{
    for (uint32_t m = 0; m < cp->config.n_stores; m++) {
        const struct store *store = &cp->stores[m];

        if (store->is_last && store->marker == NO_SEQ &&
            cp->now_ns - store->told_ns > TELL_AGAIN_NS) {
            send_marker(cp, m, cp->config.epoch, store->last, true);
        }
    }
}

/* --- The record. ----------------------------------------------------------
 */

static void
put_note(const struct cluster_checkpoint *cp, struct byte_buf *out)
{
    byte_buf_put_u8(out, NOTE_VERSION);
    byte_buf_put_u64(out, cp->next);
    byte_buf_put_u64(out, cp->wanted.snapshot_seq);
    byte_buf_put_u32(out, cp->wanted.n_parts);
    byte_buf_put_uvarint(out, cp->config.n_stores);
    for (uint32_t m = 0; m < cp->config.n_stores; m++) {
        struct store_parts parts = wanted_parts(cp, &cp->stores[m]);

        byte_buf_put_uvarint(out, cp->next - parts.c[1]);
        byte_buf_put_uvarint(out, parts.c[1] - parts.c[0]);
        byte_buf_put_uvarint(out, parts.c[0] - parts.before);
        byte_buf_put_uvarint(out, parts.n[1]);
        byte_buf_put_uvarint(out, parts.n[0]);
    }
}

/* What stores have got; an older version did not write it. */
static void
read_parts(struct cluster_checkpoint *cp, struct bytes_reader *in)
{
    uint64_t n = bytes_left(in) ? byte_buf_get_uvarint(in) : 0;

    for (uint32_t m = 0; m < cp->config.n_stores && m < n; m++) {
        struct store_parts parts;

        parts.c[1] = cp->past.checkpoint - byte_buf_get_uvarint(in);
        parts.c[0] = parts.c[1] - byte_buf_get_uvarint(in);
        parts.before = parts.c[0] - byte_buf_get_uvarint(in);
        parts.n[1] = (uint32_t) byte_buf_get_uvarint(in);
        parts.n[0] = (uint32_t) byte_buf_get_uvarint(in);
        if (in->failed) {
            return;
        }
        cp->stores[m].parts = parts;
    }
}

/* False: it is none that this version understands. */
static bool
read_note(struct cluster_checkpoint *cp, const uint8_t *note, size_t n_note)
{
    struct bytes_reader in = bytes_reader(note, n_note);
    struct cluster_checkpoint_past *past = &cp->past;
    uint8_t version = bytes_get_u8(&in);

    past->checkpoint = bytes_get_u64(&in);
    past->snapshot_seq = bytes_get_u64(&in);
    past->n_parts = bytes_get_u32(&in);
    if (in.failed || version != NOTE_VERSION) {
        return false;
    }
    read_parts(cp, &in);
    return true;
}

static void
fence(struct cluster_checkpoint *cp)
{
    cp->state = CHECKPOINT_FENCED;
    cluster_posts_destroy(cp->posts);
    cluster_posts_destroy(cp->markers);
    cp->posts = cp->markers = NULL;
    cp->config.on_fenced(cp->config.aux);
}

static void
take_claim(struct cluster_checkpoint *cp, uint64_t position,
           const uint8_t *note, size_t n_note, uint64_t note_epoch)
{
    cp->past = (struct cluster_checkpoint_past){.position = position,
                                                .epoch = note_epoch};
    if (n_note && !read_note(cp, note, n_note)) {
        fence(cp); /* A newer version's, which must go on. */
        return;
    }
    cp->is =
        (struct record){position, cp->past.snapshot_seq, cp->past.n_parts};
    cp->next = cp->past.checkpoint + 1;
    announce(cp);
    cp->config.on_claimed(cp->config.aux, &cp->past);
}

static void
take_done(struct cluster_checkpoint *cp)
{
    cp->state = CHECKPOINT_IDLE;
    cp->is = cp->wanted;
    cp->n.n++;
    cp->n.histories += cp->n.under_way;
    cp->n.under_way = 0;
    tell(cp, cp->next);
    cp->next++;
    cp->config.on_committed(cp->config.aux);
}

static void
on_commit(void *cp_, enum shard_commit_outcome outcome, uint64_t position,
          const uint8_t *note, size_t n_note, uint64_t note_epoch)
{
    struct cluster_checkpoint *cp = cp_;

    switch (outcome) {
    case SHARD_COMMIT_CLAIMED:
        take_claim(cp, position, note, n_note, note_epoch);
        break;
    case SHARD_COMMIT_DONE:
        take_done(cp);
        break;
    case SHARD_COMMIT_FENCED:
        fence(cp);
        break;
    }
}

/* --- A checkpoint. --------------------------------------------------------
 */

static void
commit(struct cluster_checkpoint *cp)
{
    struct byte_buf note = BYTE_BUF_INIT;
    int retval;

    cp->state = CHECKPOINT_COMMITTING;
    put_note(cp, &note);
    retval = shard_commit_advance(cp->commit, cp->wanted.position, note.data,
                                  note.len);
    assert(!retval);
    byte_buf_uninit(&note);
}

static void
on_post_kept(void *cp_, uint64_t tag, uint64_t seq)
{
    struct cluster_checkpoint *cp = cp_;

    if (tag == TAG_PART && seq < cp->wanted.snapshot_seq) {
        cp->wanted.snapshot_seq = seq;
    }
    if (cp->state == CHECKPOINT_PUBLISHING && !cluster_posts_n(cp->posts)) {
        commit(cp);
    }
}

static void
give_tentative(void *cp_, uint32_t m, uint32_t part, struct byte_buf *bytes)
{
    struct cluster_checkpoint *cp = cp_;
    const struct store_message message = {
        .kind = STORE_TENTATIVE,
        .k = cp->config.shard,
        .e = cp->config.epoch,
        .c = cp->next,
        .part = part,
    };
    struct byte_buf head = BYTE_BUF_INIT;
    char subject[32], id[96];

    store_message_put(&message, &head);
    assert(head.len == STORE_MESSAGE_HEADER);
    memcpy(bytes->data, head.data, head.len);
    byte_buf_uninit(&head);
    snprintf(subject, sizeof subject, "lh.2.%" PRIu32, m);
    snprintf(id, sizeof id,
             "t.%" PRIu32 ".%" PRIu64 ".%" PRIu64 ".%" PRIu32 ".%" PRIu32,
             cp->config.shard, cp->config.epoch, cp->next, m, part);
    cp->stores[m].n_in++;
    cp->n.tentative_bytes += bytes->len;
    cluster_posts_add(cp->posts, subject, id, bytes, TAG_TENTATIVE + m);
}

static void
post_part(struct cluster_checkpoint *cp, uint32_t part, struct byte_buf *bytes)
{
    char subject[32], id[96];

    snprintf(subject, sizeof subject, "lh.s.%" PRIu32, cp->config.shard);
    snprintf(id, sizeof id, "s.%" PRIu32 ".%" PRIu64 ".%" PRIu64 ".%" PRIu32,
             cp->config.shard, cp->config.epoch, cp->next, part);
    cp->n.snapshot_bytes += bytes->len;
    cluster_posts_add(cp->posts, subject, id, bytes, TAG_PART);
}

void
cluster_checkpoint_begin(struct cluster_checkpoint *cp, uint64_t position,
                         struct byte_buf *parts, uint32_t n)
{
    size_t n_all = cluster_outbox_n(cp->box), n_dropped;

    assert(cluster_checkpoint_is_ready(cp));
    cp->state = CHECKPOINT_PUBLISHING;
    cp->wanted = (struct record){position, n ? NO_SEQ : 0, n};
    for (uint32_t part = 0; part < n; part++) {
        post_part(cp, part, &parts[part]);
    }
    n_dropped =
        cluster_outbox_pack(cp->box, STORE_MESSAGE_HEADER, give_tentative, cp);
    cp->n.too_large += n_dropped;
    cp->n.under_way = n_all - n_dropped;
    if (!cluster_posts_n(cp->posts)) {
        commit(cp);
    }
}

/* --- Life. ----------------------------------------------------------------
 */

/* Whether a message on lh.1.<k> is not needed any more. */
static bool
may_card_go(void *cp_, const uint8_t *data, size_t size)
{
    const struct cluster_checkpoint *cp = cp_;

    return !cp->config.may_go || cp->config.may_go(cp->config.aux, data, size);
}

/* The same of one on lh.s.<k>. */
static bool
may_snapshot_go(void *cp_, const uint8_t *data, size_t size)
{
    const struct cluster_checkpoint *cp = cp_;
    uint64_t c;

    return cluster_snapshot_checkpoint(data, size, &c) && c + 1 < cp->next;
}

static struct bus_sweep *
open_sweep(struct cluster_checkpoint *cp, const char *stream,
           const char *prefix,
           bool (*may_go)(void *aux, const uint8_t *data, size_t size))
{
    char subject[32];

    snprintf(subject, sizeof subject, "%s.%" PRIu32, prefix, cp->config.shard);
    return bus_sweep_open(cp->config.bus, stream, subject, may_go, cp);
}

struct cluster_checkpoint *
cluster_checkpoint_create(const struct cluster_checkpoint_config *config)
{
    struct cluster_checkpoint *cp = lh_alloc_zero(sizeof *cp);
    struct cluster_posts_config posts = {.bus = config->bus, .aux = cp};

    cp->config = *config;
    cp->box = cluster_outbox_create(config->codecs, config->n_stores);
    cp->stores = lh_alloc_zero(config->n_stores * sizeof *cp->stores);
    for (uint32_t m = 0; m < config->n_stores; m++) {
        cp->stores[m].marker = NO_SEQ;
    }
    posts.on_kept = on_post_kept;
    posts.take = take_post;
    cp->posts = cluster_posts_create(&posts);
    posts.on_kept = on_marker_kept;
    posts.take = take_marker;
    cp->markers = cluster_posts_create(&posts);
    cp->cards = open_sweep(cp, "LH1", "lh.1", may_card_go);
    cp->snapshots = open_sweep(cp, "LHS", "lh.s", may_snapshot_go);
    cp->commit = shard_commit_claim(config->bus, BUCKET, config->shard,
                                    config->epoch, on_commit, cp);
    return cp;
}

void
cluster_checkpoint_destroy(struct cluster_checkpoint *cp)
{
    if (cp) {
        bus_forget(cp->config.bus, cp);
        shard_commit_destroy(cp->commit);
        bus_sweep_close(cp->cards);
        bus_sweep_close(cp->snapshots);
        cluster_posts_destroy(cp->posts);
        cluster_posts_destroy(cp->markers);
        cluster_outbox_destroy(cp->box);
        free(cp->stores);
        free(cp);
    }
}

struct cluster_outbox *
cluster_checkpoint_box(struct cluster_checkpoint *cp)
{
    return cp->box;
}

bool
cluster_checkpoint_is_ready(const struct cluster_checkpoint *cp)
{
    if (cp->state != CHECKPOINT_IDLE) {
        return false;
    }
    /* A marker tells of two, so that it can be said of each what was sent. */
    for (uint32_t m = 0; m < cp->config.n_stores; m++) {
        if (cp->stores[m].owed && cp->stores[m].owed != cp->stores[m].marker) {
            return false;
        }
    }
    return true;
}

bool
cluster_checkpoint_is_done(const struct cluster_checkpoint *cp)
{
    return cp->state == CHECKPOINT_IDLE && is_told(cp);
}

void
cluster_checkpoint_run(struct cluster_checkpoint *cp, uint64_t now_ns)
{
    cp->now_ns = now_ns;
    if (cp->state == CHECKPOINT_FENCED || !cp->n.n ||
        now_ns - cp->swept_ns < SWEEP_NS) {
        return;
    }
    cp->swept_ns = now_ns;
    tell_again(cp);
    if (cp->is.position) {
        /* The last message stays: NATS, when it is killed, may begin to
         * number an empty stream anew. */
        bus_sweep_below(cp->cards, cp->is.position - 1);
    }
    bus_sweep_below(cp->snapshots, cp->is.snapshot_seq);
}

enum cluster_checkpoint_state
cluster_checkpoint_state(const struct cluster_checkpoint *cp)
{
    return cp->state;
}

uint64_t
cluster_checkpoint_next(const struct cluster_checkpoint *cp)
{
    return cp->next;
}

const char *
cluster_checkpoint_trouble(const struct cluster_checkpoint *cp)
{
    const char *why = NULL;

    if (cp->state == CHECKPOINT_FENCED) {
        return "another server has taken it over";
    }
    if (cluster_posts_n(cp->posts)) {
        why = cluster_posts_trouble(cp->posts);
    }
    if (!why && cluster_posts_n(cp->markers)) {
        why = cluster_posts_trouble(cp->markers);
    }
    return why;
}

void
cluster_checkpoint_get_counters(const struct cluster_checkpoint *cp,
                                struct cluster_checkpoint_counters *n)
{
    *n = cp->n;
    n->last = cp->next - 1;
    n->position = cp->is.position;
    if (cp->posts) {
        n->sent_again = cluster_posts_sent_again(cp->posts) +
                        cluster_posts_sent_again(cp->markers);
    }
}
