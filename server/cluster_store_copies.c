/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_store - what is different where a shard has copies. */
#include <config.h>
#include "server/cluster_store_impl.h"

#include "lib/say.h"
#include "lib/trajectory.h"

#define MAX_WAITING 32768 /* Histories that no round has yet. */

static void
forget_times(struct cluster_store *s)
{
    s->min_ns = UINT64_MAX;
    s->max_ns = 0;
}

void
cluster_store_stop_refill(struct cluster_store *s)
{
    if (s->copies) {
        store_copies_stop(s->copies);
        s->has_piece = s->is_piece_due = false;
    }
}

void
cluster_store_forget_copies(struct cluster_store *s)
{
    cluster_store_stop_refill(s);
    forget_times(s);
}

/* --- Beginning ----------------------------------------------------------- */

void
cluster_store_begin_copies(struct cluster_store *s)
{
    uint64_t position = s->position, read = s->note.read;

    if (s->state != CLAIMING || !s->is_claimed || s->is_begun ||
        !store_copies_start(s->copies, &position, &read)) {
        return;
    }
    s->is_begun = true;
    if (!s->note.has_copies) {
        cluster_store_draw(s);
    }
    cluster_store_prepare(s);
    s->wanted_note.has_copies = true;
    s->wanted_note.read = read;
    s->wanted = position;
    s->seen_position = position;
    s->seen_read = read;
    cluster_store_advance(s);
}

void
cluster_store_skip(struct cluster_store *s)
{
    s->is_skipping = false;
    cluster_store_stop(s);
    s->state = CLAIMING;
    cluster_store_prepare(s);
    store_spans_cut(&s->wanted_note.spans, s->config.team->disk, s->skip_from,
                    s->skip_read);
    if (s->skip_read > s->wanted_note.read) {
        s->wanted_note.read = s->skip_read;
    }
    s->wanted =
        s->skip_position > s->position ? s->skip_position : s->position;
    cluster_store_advance(s);
}

/* Messages may have been removed before they were read here. */
static void
look_for_removed(struct cluster_store *s)
{
    uint64_t position = s->seen_position, read = s->seen_read;

    store_copies_set_end(s->copies, cluster_store_end_seq(s));
    store_copies_start(s->copies, &position, &read);
    if (position > s->seen_position && position > s->seen_forced) {
        say_warn("archive of shard %u: another copy did not wait for this "
                 "one; what is missing here is fetched from there",
                 (unsigned int) s->config.shard);
        s->is_skipping = true;
        s->skip_from = s->seen_read;
        s->skip_position = position;
        s->skip_read = read;
        s->seen_forced = position;
    }
    s->seen_position = s->position;
    s->seen_read = s->note.read;
}

/* What this disk and others of this copy have does not come again. */
void
cluster_store_fall_copies(struct cluster_store *s)
{
    struct store_note *note = &s->wanted_note;
    uint64_t end = cluster_store_read_seq(s);
    const struct store_span span = {.disk = s->config.team->disk,
                                    .from = end - 1,
                                    .to = end,
                                    .min_ns = s->min_ns,
                                    .max_ns = s->max_ns};

    store_spans_fall(&note->spans, end);
    store_spans_add(&note->spans, &span);
    forget_times(s);
    note->read = note->read < end ? note->read : end;
    note->forced = note->forced < end ? note->forced : end;
    note->forced_read = note->forced_read < end ? note->forced_read : end;
    s->seen_position = s->seen_read = s->seen_forced = 0;
}

/* --- Rounds -------------------------------------------------------------- */

static uint64_t
first_ns(const struct history_batch_item *item)
{
    uint64_t first_ns = UINT64_MAX;

    if (item->history) {
        return history_first_ns(item->history);
    }
    for (size_t i = 0; i < item->n_hops; i++) {
        uint64_t time_ns = item->packet.times_ns[i];

        first_ns = time_ns && time_ns < first_ns ? time_ns : first_ns;
    }
    return first_ns == UINT64_MAX ? 0 : first_ns;
}

void
cluster_store_note_time(struct cluster_store *s,
                        const struct history_batch_item *item)
{
    uint64_t time_ns = first_ns(item);

    s->min_ns = time_ns < s->min_ns ? time_ns : s->min_ns;
    s->max_ns = time_ns > s->max_ns ? time_ns : s->max_ns;
}

void
cluster_store_note_copies(struct cluster_store *s)
{
    struct store_note *note = &s->wanted_note;
    uint64_t read;

    if (!s->copies) {
        return;
    }
    if (s->is_fall_due) {
        cluster_store_fall_copies(s);
    }
    if (s->force > note->forced) {
        note->forced = s->position;
        note->forced_read = note->read;
    }
    read = cluster_store_read_seq(s);
    if (read > note->read) {
        const struct store_span span = {.disk = s->config.team->disk,
                                        .from = note->read,
                                        .to = read,
                                        .min_ns = s->min_ns,
                                        .max_ns = s->max_ns};

        store_spans_add(&note->spans, &span);
        note->read = read;
        forget_times(s);
    }
    s->is_piece_due = s->has_piece;
    if (s->has_piece) {
        store_spans_add(&note->spans, &s->piece);
    }
}

void
cluster_store_end_copies(struct cluster_store *s)
{
    if (s->is_piece_due) {
        s->has_piece = s->is_piece_due = false;
        if (!s->is_draining && !s->is_skipping) {
            store_copies_refill(s->copies, &s->note);
        }
    }
}

uint64_t
cluster_store_floor(struct cluster_store *s)
{
    uint64_t floor = s->position;

    if (s->copies) {
        store_copies_set_end(s->copies, cluster_store_end_seq(s));
        floor = store_copies_floor(s->copies, s->position, s->note.forced,
                                   &s->force);
        s->has_news |= s->force > s->note.forced && s->state == READING;
    }
    return floor;
}

void
cluster_store_vouch(const struct cluster_store *s, uint64_t since_ns,
                    struct store_vouch *vouch)
{
    if (s->copies) {
        store_vouch_add(vouch, s->config.shard, &s->note.spans,
                        s->config.team->disk, since_ns);
        store_copies_vouch(s->copies, since_ns, vouch);
    }
}

/* --- What the other copies say ------------------------------------------- */

static void
on_look(void *s_)
{
    struct cluster_store *s = s_;

    if (s->state == CLAIMING) {
        cluster_store_begin_copies(s);
    } else if (s->state == READING) {
        look_for_removed(s);
        if (!s->is_draining && !s->is_skipping && !s->has_piece) {
            store_copies_refill(s->copies, &s->note);
        }
    }
}

static bool
has_stored(void *s_, uint64_t seq)
{
    const struct cluster_store *s = s_;

    return s->state == READING && s->note.read > seq;
}

static bool
has_room(void *s_)
{
    const struct cluster_store *s = s_;

    return s->state == READING && store_disk_n_added(s->disk) < MAX_WAITING;
}

static void
add(void *s_, const struct history *h)
{
    struct cluster_store *s = s_;
    const struct history_batch_item item = {.history = h};

    store_disk_add(s->disk, &item, NULL); /* A row may fail; this is none. */
    s->has_news = true;
}

static void
on_piece(void *s_, const struct store_span *piece)
{
    struct cluster_store *s = s_;

    s->piece = *piece;
    s->piece.disk = s->config.team->disk;
    s->has_piece = true;
    s->has_news = true;
}

void
cluster_store_open_copies(struct cluster_store *s)
{
    const struct store_copies_config config = {
        .bus = s->config.bus,
        .bucket = s->config.bucket,
        .subject = s->subject,
        .shard = s->config.shard,
        .slot = s->config.slot,
        .team = s->config.team,
        .on_look = on_look,
        .has_stored = has_stored,
        .has_room = has_room,
        .add = add,
        .on_piece = on_piece,
        .aux = s,
    };

    forget_times(s);
    s->copies = store_copies_create(&config);
}
