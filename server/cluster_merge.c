/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_merge - postcards of several doors in the order of time. */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "server/cluster_merge_impl.h"
#include "server/cluster_wire.h"

#define MAX_BYTES (64u << 20)

/* --- Life. ----------------------------------------------------------------
 */

struct cluster_merge *
cluster_merge_create(const struct cluster_merge_config *config)
{
    struct cluster_merge *merge = lh_alloc_zero(sizeof *merge);

    merge->config = *config;
    merge->codecs = cluster_codecs_take(config->codecs, &config->id_config);
    merge->reach = cluster_reach_create();
    if (!merge->config.max_bytes) {
        merge->config.max_bytes = MAX_BYTES;
    }
    if (!merge->config.silent_ns) {
        merge->config.silent_ns = CLUSTER_MERGE_SILENT_NS;
    }
    return merge;
}

static void
put_reader(struct cluster_merge *merge, struct merge_door *door)
{
    if (door->reader) {
        cluster_codecs_put_reader(merge->codecs, door->reader);
        door->reader = NULL;
    }
}

static void
drop_first(struct cluster_merge *merge, struct merge_door *door)
{
    struct merge_message *message = door->first;

    put_reader(merge, door);
    door->first = message->next;
    if (!door->first) {
        door->last = NULL;
    }
    merge->n.held--;
    merge->n.held_bytes -= message->size;
    door->next_skip = 0;
    free(message->skips);
    free(message);
}

static void
forget_door(struct cluster_merge *merge, size_t i)
{
    struct merge_door *door = merge->doors[i];

    while (door->first) {
        drop_first(merge, door);
    }
    cluster_merge_forget_ahead(merge, door);
    free(door);
    merge->doors[i] = merge->doors[--merge->n_doors];
}

void
cluster_merge_destroy(struct cluster_merge *merge)
{
    if (!merge) {
        return;
    }
    while (merge->n_doors) {
        forget_door(merge, merge->n_doors - 1);
    }
    cluster_reach_destroy(merge->reach);
    cluster_codecs_unref(merge->codecs);
    free(merge->doors);
    free(merge->heads);
    free(merge->trouble);
    free(merge);
}

/* --- In. -----------------------------------------------------------------
 */

struct merge_door *
cluster_merge_find_door(const struct cluster_merge *merge, uint64_t nonce)
{
    for (size_t i = 0; i < merge->n_doors; i++) {
        if (merge->doors[i]->nonce == nonce) {
            return merge->doors[i];
        }
    }
    return NULL;
}

/* Of those that have nothing here and whose messages need not be read again,
 * the one that was silent the longest goes. */
static void
make_room(struct cluster_merge *merge)
{
    uint64_t floor = cluster_merge_floor(merge, UINT64_MAX);
    size_t oldest = merge->n_doors;

    for (size_t i = 0; i < merge->n_doors; i++) {
        const struct merge_door *door = merge->doors[i];

        if (!door->first && !door->ahead && door->last_seq < floor &&
            (oldest == merge->n_doors ||
             door->stored_ns < merge->doors[oldest]->stored_ns)) {
            oldest = i;
        }
    }
    if (oldest < merge->n_doors) {
        forget_door(merge, oldest);
    }
}

struct merge_door *
cluster_merge_add_door(struct cluster_merge *merge, uint64_t nonce)
{
    struct merge_door *door = lh_alloc_zero(sizeof *door);

    if (merge->n_doors >= CLUSTER_MERGE_MAX_DOORS) {
        make_room(merge);
    }
    merge->doors =
        lh_alloc_grow(merge->doors, merge->n_doors, &merge->allocated_doors,
                      sizeof *merge->doors);
    merge->doors[merge->n_doors++] = door;
    door->nonce = nonce;
    return door;
}

static void
append(struct cluster_merge *merge, struct merge_door *door,
       struct merge_message *message)
{
    if (door->last) {
        door->last->next = message;
    } else {
        door->first = message;
        door->head_ns = message->lower_ns;
        door->n_given = 0;
    }
    door->last = message;
    merge->n.held++;
    merge->n.held_bytes += message->size;
}

/* Whether the door's clock was put back: not in what comes again. */
static bool
is_put_back(const struct merge_door *door,
            const struct cluster_cards_head *head)
{
    return !head->is_file && head->number > door->number &&
           head->watermark_ns + CLUSTER_WATERMARK_STEP_NS < door->watermark_ns;
}

/* What the head says of the door, whether or not it comes again. */
static void
note_head(struct cluster_merge *merge, struct merge_door *door,
          const struct cluster_cards_head *head,
          const struct cluster_merge_message *m)
{
    door->is_file = head->is_file;
    door->stored_ns =
        m->stored_ns > door->stored_ns ? m->stored_ns : door->stored_ns;
    door->last_seq = m->seq;
    if (head->watermark_ns == CLUSTER_WATERMARK_END) {
        door->has_ended = true;
    } else if (head->watermark_ns > door->watermark_ns ||
               is_put_back(door, head)) {
        door->watermark_ns = head->watermark_ns;
        if (!head->is_file && head->watermark_ns > merge->live_ns) {
            merge->live_ns = head->watermark_ns;
        }
    }
}

/* Notes what agents have told, and which postcards of the message were there
 * before; they are set in 'message' if that is not NULL. */
static void
note_runs(struct cluster_merge *merge, struct merge_door *door,
          struct cluster_cards_head *head,
          const struct cluster_merge_message *m, struct merge_message *message)
{
    struct cluster_run run;
    uint32_t at = 0;
    size_t allocated = 0;

    while (cluster_wire_next_run(&head->runs, &run)) {
        uint32_t n = run.agent ? cluster_reach_take(merge->reach, m->seq,
                                                    m->stored_ns, &run)
                               : 0;

        door->has_agents |= run.agent != 0;
        if (n && message) {
            message->skips = lh_alloc_grow(message->skips, message->n_skips,
                                           &allocated, sizeof *message->skips);
            message->skips[message->n_skips++] =
                (struct merge_skip){at, at + n};
        }
        at += run.n;
    }
}

static void
set_trouble(struct cluster_merge *merge, uint64_t seq, const char *why)
{
    free(merge->trouble);
    merge->trouble = lh_strdup(why);
    say_error("postcards in message %" PRIu64 " cannot be read: %s", seq, why);
}

/* The time by which the door's next postcard is ordered.  When one of an agent
 * was received is known as not before what the door told before; of what it
 * tells first, as not after that. */
static uint64_t
order_ns(const struct merge_door *door, const struct postcard *p)
{
    uint64_t least_ns = door->last_ns > door->first->lower_ns
                            ? door->last_ns
                            : door->first->lower_ns;
    uint64_t upper_ns = door->first->upper_ns;
    uint64_t time_ns = p->time_ns;

    if (p->visit && least_ns) {
        time_ns = 0;
    } else if (p->visit && upper_ns != UINT64_MAX) {
        time_ns = upper_ns;
    }
    if (time_ns > upper_ns) {
        time_ns = upper_ns;
    }
    return time_ns > least_ns ? time_ns : least_ns;
}

/* What waits was received by a clock that was wrong: it goes first. */
static void
put_back(struct merge_door *door)
{
    for (struct merge_message *m = door->first; m; m = m->next) {
        m->lower_ns = 0;
        if (m->upper_ns > door->watermark_ns) {
            m->upper_ns = door->watermark_ns;
        }
    }
    door->last_ns = 0;
    if (door->first) {
        door->head_ns = door->reader ? order_ns(door, door->head) : 0;
    }
}

void
cluster_merge_take_next(struct cluster_merge *merge, struct merge_door *door,
                        struct cluster_cards_head *head,
                        const struct cluster_merge_message *m,
                        const uint8_t *batch, size_t len)
{
    uint64_t lower_ns = door->watermark_ns;
    struct merge_message *message;

    note_head(merge, door, head, m);
    if (door->watermark_ns < lower_ns) {
        put_back(door);
        lower_ns = 0;
    }
    if (merge->config.on_agents && !head->is_file && head->version > 1) {
        merge->config.on_agents(merge->config.aux, UINT32_MAX - head->left_out,
                                head->is_catching_up, door->watermark_ns);
    }
    if (len) {
        door->cards_ns = door->watermark_ns;
    }
    if (head->number <= door->number) {
        /* The owner before has given it, or it is there twice. */
        note_runs(merge, door, head, m, NULL);
        merge->n.again++;
        return;
    }
    door->number = door->taken = head->number;
    door->order_seq = m->seq;
    message = lh_alloc(sizeof *message + len);
    message->next = NULL;
    message->skips = NULL;
    message->n_skips = 0;
    message->seq = m->seq;
    message->number = head->number;
    message->lower_ns = lower_ns;
    message->upper_ns = head->watermark_ns;
    message->size = len;
    if (len) {
        memcpy(message->data, batch, len);
    }
    note_runs(merge, door, head, m, message);
    append(merge, door, message);
}

int
cluster_merge_take(struct cluster_merge *merge,
                   const struct cluster_merge_message *m, uint64_t now_ns,
                   struct lh_error *error)
{
    struct cluster_cards_head head;
    struct merge_door *door;
    const uint8_t *batch;
    size_t len;
    int retval =
        cluster_wire_get_cards(m->data, m->size, &head, &batch, &len, error);

    merge->n.messages++;
    merge->taken_at_ns = now_ns;
    merge->idle_at_ns = 0;
    merge->stream_ns =
        m->stored_ns > merge->stream_ns ? m->stored_ns : merge->stream_ns;
    if (retval) {
        merge->n.broken += retval == EBADMSG;
        set_trouble(merge, m->seq, error->text);
        return retval;
    }
    door = cluster_merge_find_door(merge, head.door);
    if (!door) {
        door = cluster_merge_add_door(merge, head.door);
    }
    if (head.number > door->taken && head.number <= door->number) {
        cluster_merge_take_back(door);
    }
    if (merge->config.mends && head.number > door->number + 1) {
        cluster_merge_put_ahead(merge, door, head.number, m);
    } else {
        cluster_merge_take_next(merge, door, &head, m, batch, len);
    }
    cluster_merge_take_ahead(merge, door);
    return 0;
}

/* --- Out. ----------------------------------------------------------------
 */

static void
finish_first(struct cluster_merge *merge, struct merge_door *door)
{
    door->given_number = door->first->number;
    drop_first(merge, door);
    door->n_given = 0;
    if (door->first) {
        door->head_ns = door->first->lower_ns;
    }
}

/* Whether the postcard that was read is left out; then it counts as given. */
static bool
is_skipped(struct cluster_merge *merge, struct merge_door *door)
{
    const struct merge_message *m = door->first;

    while (door->next_skip < m->n_skips &&
           m->skips[door->next_skip].to <= door->n_given) {
        door->next_skip++;
    }
    if (door->next_skip == m->n_skips ||
        m->skips[door->next_skip].from > door->n_given) {
        return false;
    }
    door->n_given++;
    merge->n.doubled++;
    return true;
}

/* Looks at the next postcard of the door's first message; without one, at the
 * next message. */
static void
look(struct cluster_merge *merge, struct merge_door *door)
{
    do {
        door->head = card_batch_reader_look(door->reader);
        if (!door->head) {
            finish_first(merge, door);
            return;
        }
    } while (is_skipped(merge, door));
    door->head_ns = order_ns(door, door->head);
    door->last_ns = door->head_ns;
}

/* What the owner before has given of it already. */
static void
skip_given(struct merge_door *door)
{
    if (door->part_number != door->first->number) {
        return;
    }
    while (door->n_given < door->part_given &&
           card_batch_reader_look(door->reader)) {
        door->n_given++;
    }
}

/* Begins with the door's first message. */
static void
open_first(struct cluster_merge *merge, struct merge_door *door)
{
    const struct merge_message *message = door->first;
    struct card_batch_inner inner;
    struct lh_error error;

    if (!message->size) {
        finish_first(merge, door);
        return;
    }
    door->reader = cluster_codecs_get_reader(merge->codecs);
    if (card_batch_reader_open(door->reader, message->data, message->size,
                               &error)) {
        merge->n.broken++;
        set_trouble(merge, message->seq, error.text);
        finish_first(merge, door);
        return;
    }
    while (card_batch_reader_next_inner(door->reader, &inner)) {
        merge->config.on_inner(merge->config.aux, inner.inner, inner.outer,
                               inner.time_ns);
    }
    skip_given(door);
    look(merge, door);
}

static uint64_t
get_head(const struct merge_door *door)
{
    return door->first ? door->head_ns : UINT64_MAX;
}

static void
note_heads(struct cluster_merge *merge)
{
    if (merge->allocated_heads < merge->n_doors) {
        merge->allocated_heads = merge->allocated_doors;
        merge->heads = lh_alloc_array(merge->heads, merge->allocated_heads,
                                      sizeof *merge->heads);
    }
    for (size_t i = 0; i < merge->n_doors; i++) {
        merge->heads[i] = get_head(merge->doors[i]);
    }
}

/* The number of the door whose next postcard is the earliest, n_doors if there
 * is none, and when that of another is due, UINT64_MAX: never.  Which door's
 * it is can hardly be guessed, so nothing is to depend on that. */
static size_t
find_first(const struct cluster_merge *merge, uint64_t *second_ns)
{
    uint64_t first_ns = UINT64_MAX, other_ns = UINT64_MAX;
    size_t first = merge->n_doors;

    for (size_t i = 0; i < merge->n_doors; i++) {
        uint64_t head_ns = merge->heads[i];
        bool is_first = head_ns < first_ns;
        uint64_t later_ns = is_first ? first_ns : head_ns;

        other_ns = later_ns < other_ns ? later_ns : other_ns;
        first_ns = is_first ? head_ns : first_ns;
        first = is_first ? i : first;
    }
    if (first == merge->n_doors) {
        /* What is as late as can be is that of one who has something. */
        for (first = 0; first < merge->n_doors && !merge->doors[first]->first;
             first++) {
        }
    }
    *second_ns = other_ns;
    return first;
}

static bool
give(struct cluster_merge *merge, struct merge_door *door)
{
    uint64_t time_ns = door->head_ns;
    bool goes_on;

    merge->n.cards++;
    if (time_ns < merge->clock_ns) {
        merge->n.late++;
        time_ns = merge->clock_ns;
    } else {
        merge->clock_ns = time_ns;
    }
    door->n_given++;
    goes_on = merge->config.on_card(merge->config.aux, door->head, time_ns);
    look(merge, door);
    return goes_on;
}

/* Gives from one door until another's is due; 'max' when it is enough. */
static size_t
give_from(struct cluster_merge *merge, struct merge_door *door,
          uint64_t until_ns, size_t max)
{
    size_t n = 0;

    while (door->first && door->head_ns <= until_ns && n < max) {
        if (door->reader) {
            if (!give(merge, door)) {
                return max;
            }
            n++;
        } else {
            open_first(merge, door);
        }
    }
    return n;
}

bool
cluster_merge_run(struct cluster_merge *merge, uint64_t now_ns, bool is_idle,
                  size_t max)
{
    size_t n = 0;

    cluster_merge_reckon(merge, now_ns, is_idle);
    if (merge->config.on_agents &&
        cluster_merge_misses_agents(merge, now_ns)) {
        merge->config.on_agents(merge->config.aux, UINT32_MAX, true,
                                merge->clock_ns);
    }
    note_heads(merge);
    while (n < max) {
        uint64_t second_ns, until_ns = merge->due_ns;
        size_t first = find_first(merge, &second_ns);
        struct merge_door *door =
            first < merge->n_doors ? merge->doors[first] : NULL;
        bool is_hurried = door && door->head_ns > until_ns &&
                          merge->n.held_bytes > merge->config.max_bytes;
        size_t n_now;

        if (!door || (door->head_ns > until_ns && !is_hurried)) {
            cluster_merge_advance(merge);
            return false;
        }
        if (is_hurried) {
            until_ns = door->head_ns;
        }
        if (second_ns < until_ns) {
            until_ns = second_ns;
        }
        n_now = give_from(merge, door, until_ns, max - n);
        merge->heads[first] = get_head(door);
        n += n_now;
        merge->n.hurried += is_hurried ? n_now : 0;
    }
    return true;
}

/* --- What is known. -------------------------------------------------------
 */

uint64_t
cluster_merge_floor(const struct cluster_merge *merge, uint64_t next_seq)
{
    for (size_t i = 0; i < merge->n_doors; i++) {
        const struct merge_door *door = merge->doors[i];

        if (door->first && door->first->seq < next_seq) {
            next_seq = door->first->seq;
        }
        if (door->ahead && door->order_seq + 1 < next_seq) {
            /* What is missing may be anywhere behind. */
            next_seq =
                door->order_seq ? door->order_seq + 1 : door->ahead->seq;
        }
    }
    return next_seq;
}

uint64_t
cluster_merge_clock_ns(const struct cluster_merge *merge)
{
    return merge->clock_ns;
}

const char *
cluster_merge_trouble(const struct cluster_merge *merge)
{
    return merge->trouble;
}
