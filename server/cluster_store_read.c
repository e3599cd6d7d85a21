/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_store_read - a store reads its subject, up to what only a newer
 * version understands. */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/say.h"
#include "server/cluster_store_impl.h"
#include "server/store_message.h"

/* It is looked so often whether a message at which it stands is gone. */
#define STAND_NS UINT64_C(8000000000)
/* Histories that may wait for a round under way. */
#define MAX_WAITING 32768

uint64_t
cluster_store_read_seq(const struct cluster_store *s)
{
    return s->stands ? s->stand_seq
           : s->pull ? bus_pull_next_seq(s->pull)
                     : s->position;
}

uint64_t
cluster_store_next_seq(const struct cluster_store *s)
{
    uint64_t next = cluster_store_read_seq(s);

    return s->stands || next > s->read_seq ? next : s->read_seq;
}

/* A newer version wrote it, and will have to read it: it stays in NATS, as
 * does what comes behind it. */
static void
stand(struct cluster_store *s, uint64_t seq, const char *why)
{
    bus_pull_close(s->pull);
    s->pull = NULL;
    s->is_held = false;
    s->stands = s->has_news = true;
    s->stood_ns = monotonic_ns();
    if (s->stand_seq == seq) {
        return;
    }
    s->stand_seq = seq;
    snprintf(s->stand_trouble, sizeof s->stand_trouble,
             "message %" PRIu64 " of %s in %s cannot be read: %s; what came "
             "before it is archived, nothing behind it is, and it waits in "
             "NATS: upgrade this server, or drain it so that one that knows "
             "the version goes on",
             seq, s->subject, s->stream, why);
    say_error("archive of shard %" PRIu32 ": %s", s->config.shard,
              s->stand_trouble);
}

/* It reads on behind the message at which it stood. */
static void
go_on(struct cluster_store *s)
{
    if (s->stand_seq) {
        s->stand_seq = 0;
        s->stand_trouble[0] = '\0';
        say_info("archive of shard %" PRIu32 ": reads on", s->config.shard);
    }
}

/* Whether it was decided upon, by somebody who could read it. */
static bool
is_past(const struct cluster_store *s, uint64_t seq)
{
    return seq < s->position && !s->fallen_seq;
}

static void
on_message(void *s_, const struct bus_pull_message *in)
{
    struct cluster_store *s = s_;
    struct lh_error error;

    s->counters.n_pending = in->n_pending;
    s->bus_trouble[0] = '\0';
    s->is_idle = false;
    s->has_news = true;
    if (store_intake_take(s->intake, in->seq, in->time_ns, in->data, in->size,
                          bus_message_header(in->raw, STORE_PARTS_HEADER),
                          &error) &&
        !is_past(s, in->seq)) {
        stand(s, in->seq, error.text);
        return;
    }
    if (in->seq >= s->stand_seq) {
        go_on(s);
    }
    if (s->is_busy && !s->is_held &&
        store_disk_n_added(s->disk) > MAX_WAITING) {
        s->is_held = true;
        bus_pull_hold(s->pull, true);
    }
}

static void
on_idle(void *s_)
{
    struct cluster_store *s = s_;

    s->counters.n_pending = 0;
    s->bus_trouble[0] = '\0';
    s->is_idle = true;
    go_on(s);
}

static void
on_trouble(void *s_, const char *why)
{
    struct cluster_store *s = s_;

    snprintf(s->bus_trouble, sizeof s->bus_trouble, "%s", why);
}

void
cluster_store_read(struct cluster_store *s)
{
    struct bus_counters bus;
    char *name = lh_asprintf("store-%" PRIu32 "-%" PRIu64, s->config.shard,
                             s->config.epoch);
    const struct bus_pull_options options = {
        .stream = s->stream,
        .subject = s->subject,
        .name = name,
        .start_seq = 1,
        .max_bytes = s->config.max_bytes,
        .on_message = on_message,
        .on_idle = on_idle,
        .on_trouble = on_trouble,
        .aux = s,
    };

    bus_pull_close(s->pull);
    bus_get_counters(s->config.bus, &bus);
    s->n_connects = bus.connects;
    s->is_idle = s->has_asked = s->stands = false;
    s->pull = bus_pull_open(s->config.bus, &options);
    free(name);
}

void
cluster_store_read_again(struct cluster_store *s)
{
    s->read_seq = cluster_store_next_seq(s);
    s->is_held = false;
    cluster_store_read(s);
}

void
cluster_store_look(struct cluster_store *s)
{
    if (s->stands && monotonic_ns() - s->stood_ns > STAND_NS) {
        cluster_store_read_again(s);
    }
    if (s->pull) {
        cluster_store_look_at_stream(s);
    }
    if (s->pull) {
        cluster_store_look_for_missing(s);
    }
}
