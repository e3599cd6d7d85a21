/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_split_doors - what the owner of a shard and doors tell each other:
 * which messages are missing, and which are committed.
 *
 * NATS may lose what it has acknowledged, and a copy of a stream may lack what
 * the others have.  So what is missing is read again, by another reader, which
 * may have another copy, and the door is asked to send it again. */
#include <config.h>

#include <errno.h>
#include <event2/event.h>

#include "lib/monotonic.h"
#include "server/cluster_split_impl.h"
#include "server/door_message.h"

#define ASK_MS 1000
/* Between questions to a door, and readers. */
#define ASK_NS UINT64_C(1000000000)
/* A door that answers sends it sooner. */
#define READ_NS UINT64_C(5000000000)
/* So long it is tried where nobody answers for the door, and otherwise. */
#define GONE_NS    UINT64_C(20000000000)
#define GIVE_UP_NS UINT64_C(60000000000)

static void
give_up(struct cluster_split *s, uint64_t door, uint64_t number,
        uint64_t covered)
{
    cluster_merge_give_up(s->merge, door, number, covered);
    s->is_dirty = true;
    event_active(s->work, 0, 0);
}

/* --- Asking. ------------------------------------------------------------- */

static void
on_answer(void *s_, int error_number, const char *why,
          const struct bus_message *message)
{
    struct cluster_split *s = s_;
    struct cluster_merge_gap *gap;
    struct door_message m;
    const struct door_message asked = s->asked;

    s->asked.door = 0;
    if (s->state != SPLIT_RUNNING) {
        return;
    }
    if (error_number == ECONNREFUSED) {
        for (size_t i = 0; (gap = cluster_merge_get_gap(
                                s->merge, &i, monotonic_ns(), s->is_idle));
             i++) {
            gap->is_gone |= gap->door == asked.door;
        }
    } else if (!error_number &&
               door_message_read(message->data, message->size, &m) &&
               door_message_answers(&asked, &m)) {
        give_up(s, asked.door, m.first, m.last);
    }
}

static void
ask(struct cluster_split *s, struct cluster_merge_gap *gap, uint64_t now_ns)
{
    const struct door_message m = {.kind = DOOR_AGAIN,
                                   .k = s->config.shard,
                                   .door = gap->door,
                                   .first = gap->first,
                                   .last = gap->last};
    char subject[DOOR_SUBJECT_SIZE];
    uint8_t bytes[DOOR_MESSAGE_SIZE];
    const struct bus_letter letter = {
        .subject = subject, .data = bytes, .size = sizeof bytes};

    door_message_door_subject(subject, gap->door);
    door_message_put(&m, bytes);
    if (!bus_request(s->config.bus, &letter, ASK_MS, on_answer, s, NULL)) {
        s->asked = m;
        gap->asked_ns = now_ns;
    }
}

/* --- What is missing. ---------------------------------------------------- */

/* True: it is not waited for any longer. */
static bool
is_hopeless(const struct cluster_merge_gap *gap, uint64_t now_ns)
{
    return now_ns - gap->since_ns > (gap->is_gone ? GONE_NS : GIVE_UP_NS);
}

static void
look_at_gaps(struct cluster_split *s, uint64_t now_ns)
{
    bool can_ask = bus_is_connected(s->config.bus) && !s->slept;
    uint64_t seq = UINT64_MAX;
    struct cluster_merge_gap *gap;

    for (size_t i = 0;
         (gap = cluster_merge_get_gap(s->merge, &i, now_ns, s->is_idle));
         i++) {
        if (!can_ask) {
            gap->since_ns = now_ns;
        } else if (is_hopeless(gap, now_ns)) {
            give_up(s, gap->door, gap->last + 1, 0);
            break;
        } else if (!s->asked.door && now_ns - gap->asked_ns > ASK_NS) {
            ask(s, gap, now_ns);
        }
        if (now_ns - gap->since_ns > (gap->is_gone ? ASK_NS : READ_NS) &&
            gap->seq < seq) {
            seq = gap->seq;
        }
    }
    if (seq == UINT64_MAX) {
        s->read_wait_ns = ASK_NS;
    } else if (can_ask && now_ns - s->read_again_ns > s->read_wait_ns) {
        s->read_again_ns = now_ns;
        s->read_wait_ns *= 2; /* Readers cost NATS much. */
        cluster_split_read_from(s, seq + 1);
    }
}

static void
tell_doors(struct cluster_split *s, uint64_t now_ns)
{
    struct door_message m = {.kind = DOOR_COVERED, .k = s->config.shard};
    char subject[DOOR_SUBJECT_SIZE];

    for (size_t i = 0;
         cluster_merge_get_news(s->merge, &i, now_ns, &m.door, &m.last); i++) {
        door_message_door_subject(subject, m.door);
        door_message_send(s->config.bus, subject, &m);
    }
}

void
cluster_split_look_at_doors(struct cluster_split *s, uint64_t now_ns)
{
    look_at_gaps(s, now_ns);
    if (bus_is_connected(s->config.bus)) {
        tell_doors(s, now_ns);
    }
}

/* --- What doors say. ----------------------------------------------------- */

static void
on_door(void *s_, const struct bus_message *message)
{
    struct cluster_split *s = s_;
    struct door_message m;

    if (s->state == SPLIT_RUNNING &&
        door_message_read(message->data, message->size, &m) &&
        m.kind == DOOR_ASK && m.k == s->config.shard) {
        cluster_merge_expect(s->merge, m.door, m.last);
    }
}

void
cluster_split_hear_doors(struct cluster_split *s)
{
    char subject[DOOR_SUBJECT_SIZE];

    door_message_shard_subject(subject, s->config.shard);
    s->doors = bus_subscribe(s->config.bus, subject, on_door, s);
}
