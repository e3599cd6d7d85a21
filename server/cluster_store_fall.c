/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_store_fall - a stream that has lost its end: NATS numbers what comes
 * then as what was read, and perhaps archived, before.
 *
 * Numbers say so only as long as the stream has not passed them again, which
 * may be a matter of milliseconds.  So with each connection, and each reader
 * that NATS had to be asked for anew, the subject is read from its beginning:
 * what is known is left out by its contents.  There is little of it, for what
 * is committed is removed. */
#include <config.h>

#include <inttypes.h>

#include "lib/bus_stream.h"
#include "lib/say.h"
#include "server/cluster_store_impl.h"

#define ASK_MS 2000

/* Whether NATS may have become another since it began to read. */
static bool
is_doubtful(const struct cluster_store *s)
{
    struct bus_pull_counters pull;
    struct bus_counters bus;

    bus_pull_get_counters(s->pull, &pull);
    bus_get_counters(s->config.bus, &bus);
    return pull.low || pull.beginnings > pull.gaps + 1 ||
           bus.connects != s->n_connects;
}

bool
cluster_store_has_read(const struct cluster_store *s)
{
    uint64_t next = s->pull ? bus_pull_next_seq(s->pull) : 0;

    return s->pull && bus_is_connected(s->config.bus) && !is_doubtful(s) &&
           next >= s->read_seq && s->position <= next;
}

uint64_t
cluster_store_end_seq(const struct cluster_store *s)
{
    return s->pull && s->position < s->fallen_seq ? bus_pull_next_seq(s->pull)
                                                  : UINT64_MAX;
}

static void
fall(struct cluster_store *s, uint64_t last_seq)
{
    say_error("archive of shard %" PRIu32 ": NATS has lost the end of its "
              "stream %s, which ends with message %" PRIu64 " and had "
              "messages up to %" PRIu64 "; what comes under these numbers "
              "is told apart by its contents and stored once, and what was "
              "lost and not stored is said when it is missed",
              s->config.shard, s->stream, last_seq, s->read_seq - 1);
    s->counters.fallen++;
    s->fallen_seq = s->read_seq;
    s->read_seq = 0;
    s->is_fall_due = s->has_news = true;
    bus_sweep_begin_anew(s->sweep);
    if (s->copies) {
        /* What is fetched was begun at numbers that mean nothing now. */
        store_copies_stop(s->copies);
        s->has_piece = false;
    }
}

static void
on_state(void *s_, int error_number, const char *why,
         const struct bus_stream_state *state)
{
    struct cluster_store *s = s_;

    if (error_number || s->asked_seq != s->read_seq) {
        s->has_asked = false;
    } else if (s->state == READING && s->pull && !is_doubtful(s) &&
               state->last_seq + 1 < s->read_seq) {
        fall(s, state->last_seq);
    }
}

void
cluster_store_look_at_stream(struct cluster_store *s)
{
    if (!bus_is_connected(s->config.bus)) {
        return;
    }
    if (is_doubtful(s)) {
        cluster_store_read_again(s);
    } else if (s->is_idle && !s->has_asked &&
               bus_pull_next_seq(s->pull) < s->read_seq) {
        /* The last message of a subject is never removed. */
        s->asked_seq = s->read_seq;
        s->has_asked = !bus_stream_ask(s->config.bus, s->stream, ASK_MS,
                                       on_state, s, NULL);
    }
}
