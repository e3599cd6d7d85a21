/* SPDX-License-Identifier: Apache-2.0 */
/* store_intake - implementation. */
#include <config.h>
#include "server/store_intake.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "server/cluster_accept.h"
#include "server/cluster_codecs.h"
#include "server/cluster_holes.h"
#include "server/store_message.h"

/* A history is told so long after its first postcard at most: windows are
 * that long while agents move, and some wait for counters. */
#define LAG_NS UINT64_C(30000000000)

/* What came of a stage-1 shard. */
struct shown {
    uint64_t c;       /* Up to this checkpoint live filters have seen all. */
    uint64_t last_ns; /* Latest last postcard of its histories. */
};

struct store_intake {
    struct store_intake_config config;
    struct cluster_accept *accept;          /* Owned. */
    struct cluster_codecs *codecs;          /* Owned reference. */
    struct history_batch_reader *reader;    /* Of these. */
    struct cluster_accept_counters before;  /* Of accepts that are gone. */
    struct cluster_store_counters counters; /* What is counted here. */

    /* Of each k. */
    size_t n_shown;
    struct shown *shown; /* Owned. */
};

static struct cluster_accept *
create_accept(const struct store_intake *in)
{
    struct cluster_accept *accept = cluster_accept_create();

    if (in->config.skips) {
        cluster_accept_skips(accept);
    }
    return accept;
}

struct store_intake *
store_intake_create(const struct store_intake_config *config)
{
    struct store_intake *in = lh_alloc_zero(sizeof *in);

    in->config = *config;
    in->codecs = cluster_codecs_take(config->codecs, NULL);
    in->reader = cluster_codecs_history_reader(in->codecs);
    in->accept = create_accept(in);
    return in;
}

void
store_intake_destroy(struct store_intake *in)
{
    if (in) {
        cluster_accept_destroy(in->accept);
        cluster_codecs_unref(in->codecs);
        free(in->shown);
        free(in);
    }
}

/* Adds those of the accept at hand; what waits in it is not counted. */
static void
add_counters(const struct store_intake *in, struct cluster_accept_counters *c)
{
    struct cluster_accept_counters more;

    cluster_accept_get_counters(in->accept, &more);
    c->tentative += more.tentative - more.waiting;
    c->accepted += more.accepted;
    c->had += more.had;
    c->unlike += more.unlike;
    c->dropped += more.dropped;
    c->markers += more.markers;
    c->stale_markers += more.stale_markers;
    c->set_back += more.set_back;
    c->missing += more.missing;
}

int
store_intake_restart(struct store_intake *in, const struct byte_buf *accept)
{
    struct bytes_reader r = bytes_reader(accept->data, accept->len);

    add_counters(in, &in->before);
    cluster_accept_destroy(in->accept);
    in->accept = create_accept(in);
    return accept->len ? cluster_accept_read(in->accept, &r) : 0;
}

static struct shown *
need_shown(struct store_intake *in, uint32_t k)
{
    if (k >= in->n_shown) {
        size_t n = (size_t) k + 1;

        in->shown = lh_alloc_array(in->shown, n, sizeof *in->shown);
        memset(in->shown + in->n_shown, 0,
               (n - in->n_shown) * sizeof *in->shown);
        in->n_shown = n;
    }
    return &in->shown[k];
}

static void
note_shown(struct store_intake *in, uint32_t k, uint64_t c)
{
    struct shown *shown = need_shown(in, k);

    shown->c = c > shown->c ? c : shown->c;
}

/* What is decided of 'k' now ends before what was. */
static void
note_set_back(struct store_intake *in, uint32_t k, uint64_t before, uint64_t c)
{
    if (k < in->n_shown && in->shown[k].c > c) {
        in->shown[k].c = c;
    }
    say_error("shard %" PRIu32 ": shard %" PRIu32 " goes on after checkpoint "
              "%" PRIu64 ", not %" PRIu64 ": NATS has lost what it had "
              "acknowledged of its record, and histories of that time may be "
              "stored twice",
              in->config.shard, k, c, before);
}

static void
show(struct store_intake *in, const struct history_batch_item *item)
{
    if (item->trajectory && in->config.on_packet) {
        in->config.on_packet(in->config.aux, item->trajectory, &item->packet);
    } else if (in->config.on_history) {
        in->config.on_history(in->config.aux,
                              history_batch_reader_history(in->reader, item));
    }
}

/* Whether live filters are to see what comes. */
static bool
is_watched(const struct store_intake *in)
{
    const struct store_intake_config *c = &in->config;

    return (c->on_packet || c->on_history) &&
           (!c->is_watched || c->is_watched(c->aux));
}

/* Histories of a checkpoint that was committed. */
static void
take_histories(void *in_, const struct store_message *m)
{
    struct store_intake *in = in_;
    struct shown *shown = need_shown(in, m->k);
    bool is_repeated = m->c <= shown->c;
    bool is_shown = !is_repeated && is_watched(in);
    struct history_batch_item item;
    struct lh_error error;
    int retval;

    history_batch_reader_want_rows(in->reader,
                                   is_shown ? NULL : &in->config.packet_id);
    retval = history_batch_reader_open(in->reader, m->data, m->size, &error);
    while (!retval &&
           !(retval = history_batch_reader_next(in->reader, &item, &error))) {
        in->counters.histories++;
        in->counters.repeated += is_repeated;
        if (item.last_ns > in->counters.latest_ns) {
            in->counters.latest_ns = item.last_ns;
        }
        if (item.last_ns > shown->last_ns) {
            shown->last_ns = item.last_ns;
        }
        if (is_shown) {
            show(in, &item);
        }
        retval = in->config.add(in->config.add_aux, &item, &error);
    }
    if (retval != ENODATA) {
        in->counters.broken++;
        say_error("shard %" PRIu32 ": histories of shard %" PRIu32
                  " cannot be read: %s",
                  in->config.shard, m->k, error.text);
    }
}

static bool
is_undecided(const struct store_intake *in, const struct store_message *m)
{
    uint64_t e, c = cluster_accept_known(in->accept, m->k, &e);

    return m->c > c && (m->kind == STORE_MARKER || m->e >= e);
}

/* Whether a newer version packed histories that may have to be read. */
static bool
is_newer(const struct store_intake *in, const struct store_message *m,
         struct lh_error *error)
{
    return m->kind == STORE_TENTATIVE && is_undecided(in, m) &&
           history_batch_is_newer(m->data, m->size, error);
}

static uint64_t
count_unlike(const struct store_intake *in)
{
    struct cluster_accept_counters n;

    cluster_accept_get_counters(in->accept, &n);
    return n.unlike;
}

int
store_intake_take(struct store_intake *in, uint64_t seq, uint64_t stored_ns,
                  const uint8_t *data, size_t size, const char *parts,
                  struct lh_error *error)
{
    struct store_message m;
    uint64_t epoch, before, c, n_unlike = count_unlike(in);
    int retval = store_message_read(data, size, &m, error);

    if (retval == EPROTONOSUPPORT || (!retval && is_newer(in, &m, error))) {
        return EPROTONOSUPPORT;
    }
    in->counters.messages++;
    if (retval) {
        in->counters.broken++;
        say_error("shard %" PRIu32 ": message %" PRIu64 " cannot be read: %s",
                  in->config.shard, seq, error->text);
        return 0;
    }
    before = cluster_accept_known(in->accept, m.k, &epoch);
    m.stored_ns = stored_ns;
    m.has_parts = m.kind == STORE_MARKER && store_parts_read(parts, &m.parts);
    cluster_accept_take(in->accept, seq, &m, take_histories, in);
    if (count_unlike(in) > n_unlike) {
        say_error("shard %" PRIu32 ": message %" PRIu64 " of shard %" PRIu32
                  " has the epoch, checkpoint and part of another one and is "
                  "left out: leases, records and messages in NATS fell back",
                  in->config.shard, seq, m.k);
    }
    c = cluster_accept_known(in->accept, m.k, &epoch);
    if (c < before) {
        note_set_back(in, m.k, before, c);
    }
    note_shown(in, m.k, c);
    return 0;
}

size_t
store_intake_n_held(const struct store_intake *in)
{
    struct cluster_accept_counters n;

    cluster_accept_get_counters(in->accept, &n);
    return n.held;
}

void
store_intake_each_wanted(const struct store_intake *in,
                         void (*want)(void *aux, uint32_t k, uint64_t first,
                                      uint64_t last),
                         void *aux)
{
    cluster_accept_each_wanted(in->accept, want, aux);
}

uint64_t
store_intake_oldest(const struct store_intake *in)
{
    return cluster_accept_floor(in->accept, UINT64_MAX);
}

/* Files are read at any time after that of their packets. */
static void
lose(void *in_, const struct store_message *marker, uint32_t n,
     uint64_t since_ns)
{
    struct store_intake *in = in_;
    uint64_t last_ns = need_shown(in, marker->k)->last_ns;
    struct cluster_hole hole = {.what = HOLE_HISTORIES,
                                .n = n,
                                .since_ns = since_ns,
                                .until_ns = marker->stored_ns};

    if (last_ns && last_ns < hole.since_ns) {
        hole.since_ns = last_ns;
    }
    hole.since_ns = hole.since_ns > LAG_NS ? hole.since_ns - LAG_NS : 0;
    if (!hole.until_ns) {
        hole.until_ns = UINT64_MAX;
    }
    if (in->config.on_hole) {
        in->config.on_hole(in->config.aux, &hole);
    }
}

uint64_t
store_intake_give_up(struct store_intake *in)
{
    struct cluster_accept_counters before, after;

    cluster_accept_get_counters(in->accept, &before);
    cluster_accept_give_up(in->accept, take_histories, lose, in);
    cluster_accept_get_counters(in->accept, &after);
    return after.missing - before.missing;
}

bool
store_intake_needs(const struct store_intake *in, const uint8_t *data,
                   size_t size)
{
    struct lh_error error;
    struct store_message m;
    int retval = store_message_read(data, size, &m, &error);

    return retval == EPROTONOSUPPORT || (!retval && is_undecided(in, &m));
}

uint64_t
store_intake_floor(const struct store_intake *in, uint64_t next_seq,
                   struct byte_buf *accept)
{
    cluster_accept_put(in->accept, accept);
    return cluster_accept_floor(in->accept, next_seq);
}

void
store_intake_collect(const struct store_intake *in,
                     struct cluster_store_counters *c)
{
    struct cluster_accept_counters now;

    cluster_accept_get_counters(in->accept, &now);
    c->accept = in->before;
    add_counters(in, &c->accept);
    c->accept.tentative += now.waiting;
    c->accept.waiting = now.waiting;
    c->accept.waiting_bytes = now.waiting_bytes;
    c->messages = in->counters.messages;
    c->broken = in->counters.broken;
    c->histories = in->counters.histories;
    c->repeated = in->counters.repeated;
    c->latest_ns = in->counters.latest_ns;
}
