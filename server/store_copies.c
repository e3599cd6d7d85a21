/* SPDX-License-Identifier: Apache-2.0 */
/* store_copies - what the owner of one copy of a shard knows of the others. */
#include <config.h>
#include "server/store_copies.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_kv.h"
#include "lib/lh_alloc.h"
#include "server/shard_commit.h"
#include "server/shard_lease.h"
#include "server/store_refill.h"

#define LOOK_MS     1000
#define TIMEOUT_MS  2000
#define MAX_REFILLS 8 /* Of a server. */

/* Another copy. */
struct other {
    struct store_copies *copies;
    uint32_t slot;
    bool is_known; /* Its record was read, */
    bool is_there; /* and there was one: */
    uint64_t position;
    struct store_note note; /* Owned. */
};

struct store_copies {
    struct store_copies_config config;
    char *bucket, *subject; /* Owned. */
    struct event *timer;    /* Owned. */
    uint64_t end;           /* store_copies_set_end(). */
    size_t n, n_asked;
    struct other others[SHARD_LEASE_MAX_COPIES];

    struct store_refill *refill; /* Owned. */
    struct store_span piece;     /* That it fetches. */
    const char *trouble;
    bool is_short, is_lost;
    uint64_t n_refilled, n_pieces;
};

static void
arm(struct store_copies *c)
{
    const struct timeval wait = {.tv_sec = LOOK_MS / 1000};

    evtimer_add(c->timer, &wait);
}

/* --- The records of others ----------------------------------------------- */

static bool
is_known(const struct store_copies *c)
{
    for (size_t i = 0; i < c->n; i++) {
        if (!c->others[i].is_known) {
            return false;
        }
    }
    return true;
}

static void
take_record(struct other *other, const struct shard_commit_record *record)
{
    struct store_note note;
    struct lh_error error;

    if (record->n_note &&
        store_note_read(&note, record->note, record->n_note, &error)) {
        return; /* Of a newer version, perhaps: nothing is known of it. */
    }
    other->is_known = true;
    other->is_there = record->n_note > 0;
    other->position = record->position;
    if (other->is_there) {
        store_note_uninit(&other->note);
        other->note = note;
    }
}

static void
on_get(void *other_, int error_number, const char *why,
       const struct bus_kv_entry *entry)
{
    struct other *other = other_;
    struct store_copies *c = other->copies;
    struct shard_commit_record record;

    if (error_number == ENOENT) {
        other->is_known = true;
    } else if (!error_number && shard_commit_read(entry, &record)) {
        take_record(other, &record);
    }
    if (!--c->n_asked) {
        arm(c);
        if (is_known(c)) {
            c->config.on_look(c->config.aux);
        }
    }
}

static void
on_timer(evutil_socket_t fd, short what, void *c_)
{
    struct store_copies *c = c_;

    for (size_t i = 0; i < c->n; i++) {
        char key[SHARD_COMMIT_KEY_SIZE];

        shard_commit_key(c->others[i].slot, key);
        c->n_asked += !bus_kv_get(c->config.bus, c->bucket, key, TIMEOUT_MS,
                                  on_get, &c->others[i], NULL);
    }
    if (!c->n_asked) {
        arm(c);
    }
}

void
store_copies_set_end(struct store_copies *c, uint64_t end)
{
    c->end = end;
}

/* Whether its record is there, and of the stream as it is. */
static bool
has_told(const struct store_copies *c, const struct other *other)
{
    return other->is_there && other->position <= c->end;
}

bool
store_copies_start(const struct store_copies *c, uint64_t *position,
                   uint64_t *read)
{
    if (!is_known(c)) {
        return false;
    }
    for (size_t i = 0; i < c->n; i++) {
        const struct store_note *note = &c->others[i].note;

        if (!has_told(c, &c->others[i])) {
            continue;
        }
        if (note->forced > *position) {
            *position = note->forced;
        }
        if (note->forced_read > *read && note->forced >= *position) {
            *read = note->forced_read;
        }
    }
    return true;
}

uint64_t
store_copies_floor(const struct store_copies *c, uint64_t position,
                   uint64_t forced, uint64_t *force)
{
    uint64_t floor = position;

    *force = 0;
    if (!is_known(c)) {
        return 0;
    }
    for (size_t i = 0; i < c->n; i++) {
        const struct other *other = &c->others[i];
        uint64_t theirs = has_told(c, other) ? other->position : 0;

        if (theirs >= position) {
            continue;
        }
        if (!c->config.team->is_waited_for(c->config.team->aux, other->slot,
                                           theirs)) {
            *force = position;
            theirs = theirs > forced ? theirs : forced;
        }
        floor = theirs < floor ? theirs : floor;
    }
    return floor;
}

/* --- What is missing ----------------------------------------------------- */

static enum store_disk_state
state_of(void *c_, uint64_t disk)
{
    const struct store_copies *c = c_;
    const char *server;

    return c->config.team->disk_state(c->config.team->aux, disk, &server);
}

void
store_copies_stop(struct store_copies *c)
{
    if (c->refill) {
        store_refill_destroy(c->refill);
        c->refill = NULL;
        c->config.team->n_refills--;
    }
}

static void
on_refilled(void *c_, const char *why)
{
    struct store_copies *c = c_;

    c->trouble = why;
    store_copies_stop(c);
    if (!why) {
        c->n_pieces++;
        c->config.on_piece(c->config.aux, &c->piece);
    }
}

static void
add(void *c_, const struct history *h)
{
    struct store_copies *c = c_;

    c->n_refilled++;
    c->config.add(c->config.aux, h);
}

static bool
has_room(void *c_)
{
    const struct store_copies *c = c_;

    return c->config.has_room(c->config.aux);
}

static bool
has_stored(void *c_, uint64_t seq)
{
    const struct store_copies *c = c_;

    return c->config.has_stored(c->config.aux, seq);
}

static void
begin(struct store_copies *c, const struct store_span *piece)
{
    struct store_team *team = c->config.team;
    const char *server = NULL;

    if (team->disk_state(team->aux, piece->disk, &server) !=
            STORE_DISK_THERE ||
        !server) {
        return;
    }
    c->piece = *piece;
    if (piece->min_ns > piece->max_ns) {
        c->config.on_piece(c->config.aux, piece); /* It is empty. */
        return;
    }

    const struct store_refill_config config = {
        .bus = c->config.bus,
        .queries = team->queries,
        .server = server,
        .subject = c->subject,
        .shard = c->config.shard,
        .min_ns = piece->min_ns,
        .max_ns = piece->max_ns,
        .has_stored = has_stored,
        .has_room = has_room,
        .add = add,
        .on_end = on_refilled,
        .aux = c,
    };

    team->n_refills++;
    c->refill = store_refill_create(&config);
}

void
store_copies_refill(struct store_copies *c, const struct store_note *own)
{
    const struct store_spans *lists[SHARD_LEASE_MAX_COPIES];
    struct store_span_question question = {
        .lists = lists,
        .until = own->read,
        .own = c->config.team->disk,
        .n_copies = c->config.team->n_copies,
        .state = state_of,
        .aux = c,
    };
    struct store_span_answer answer;

    lists[question.n_lists++] = &own->spans;
    for (size_t i = 0; i < c->n; i++) {
        if (c->others[i].is_there) {
            lists[question.n_lists++] = &c->others[i].note.spans;
            /* What is on its way there is not missing. */
            if (c->others[i].note.read < question.until &&
                c->config.team->is_waited_for(c->config.team->aux,
                                              c->others[i].slot,
                                              c->others[i].position)) {
                question.until = c->others[i].note.read;
            }
        }
    }
    store_spans_ask(&question, &answer);
    c->is_short = answer.is_short;
    c->is_lost = answer.is_lost;
    if (answer.has_piece && !c->refill &&
        c->config.team->n_refills < MAX_REFILLS) {
        begin(c, &answer.piece);
    }
}

void
store_copies_vouch(const struct store_copies *c, uint64_t since_ns,
                   struct store_vouch *vouch)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->others[i].is_there) {
            store_vouch_add(vouch, c->config.shard, &c->others[i].note.spans,
                            c->config.team->disk, since_ns);
        }
    }
}

void
store_copies_get_status(const struct store_copies *c,
                        struct store_copies_status *status)
{
    *status = (struct store_copies_status){
        .is_known = is_known(c),
        .is_short = c->is_short,
        .is_lost = c->is_lost,
        .is_refilling = c->refill != NULL,
        .refill_ns = c->refill ? store_refill_time_ns(c->refill) : 0,
        .n_refilled = c->n_refilled,
        .n_pieces = c->n_pieces,
        .trouble = c->trouble,
    };
}

/* --- Life ---------------------------------------------------------------- */

struct store_copies *
store_copies_create(const struct store_copies_config *config)
{
    struct store_copies *c = lh_alloc_zero(sizeof *c);

    c->config = *config;
    c->end = UINT64_MAX;
    c->bucket = lh_strdup(config->bucket);
    c->subject = lh_strdup(config->subject);
    for (uint32_t i = 0; i < config->team->n_copies; i++) {
        uint32_t slot = config->shard + i * config->team->n_shards;

        if (slot != config->slot) {
            c->others[c->n++] = (struct other){.copies = c, .slot = slot};
        }
    }
    c->timer = evtimer_new(bus_get_base(config->bus), on_timer, c);
    if (!c->timer) {
        abort();
    }
    on_timer(-1, 0, c);
    return c;
}

void
store_copies_destroy(struct store_copies *c)
{
    if (c) {
        store_copies_stop(c);
        for (size_t i = 0; i < c->n; i++) {
            bus_forget(c->config.bus, &c->others[i]);
            store_note_uninit(&c->others[i].note);
        }
        event_free(c->timer);
        free(c->bucket);
        free(c->subject);
        free(c);
    }
}
