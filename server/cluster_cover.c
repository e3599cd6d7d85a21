/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_cover - whether those who answered have all that a disk has which
 * did not. */
#include <config.h>

#include "server/cluster_cover.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "lib/bus_kv.h"
#include "lib/lh_alloc.h"
#include "server/cluster_setup.h"
#include "server/shard_commit.h"
#include "server/store_note.h"

#define TIMEOUT_MS 2000

/* What one record says. */
struct record {
    struct cluster_cover *cover;
    bool is_known;
    struct store_spans spans;
};

struct cluster_cover {
    struct bus *bus;
    void (*done)(void *aux);
    void *aux;
    struct event *ready; /* Owned. */
    uint32_t n_shards;
    size_t n, n_asked;
    struct record *records; /* By slot.  Owned. */
};

static void
take(struct record *record, const struct shard_commit_record *read)
{
    struct store_note note = {.round = 0};
    struct lh_error error;

    if (!read->n_note) {
        record->is_known = true;
    } else if (!store_note_read(&note, read->note, read->n_note, &error)) {
        record->is_known = true;
        record->spans = note.spans;
        store_note_uninit(&note);
    }
}

static void
on_get(void *record_, int error_number, const char *why,
       const struct bus_kv_entry *entry)
{
    struct record *record = record_;
    struct cluster_cover *cover = record->cover;
    struct shard_commit_record read;

    if (error_number == ENOENT) {
        record->is_known = true;
    } else if (!error_number && shard_commit_read(entry, &read)) {
        take(record, &read);
    }
    if (!--cover->n_asked) {
        event_active(cover->ready, EV_TIMEOUT, 0);
    }
}

static void
on_ready(evutil_socket_t fd, short what, void *cover_)
{
    struct cluster_cover *cover = cover_;

    cover->done(cover->aux);
}

struct cluster_cover *
cluster_cover_create(struct bus *bus, uint32_t n_shards, uint32_t n_copies,
                     void (*done)(void *aux), void *aux)
{
    struct cluster_cover *cover = lh_alloc_zero(sizeof *cover);

    cover->bus = bus;
    cover->done = done;
    cover->aux = aux;
    cover->n_shards = n_shards;
    cover->n = (size_t) n_shards * n_copies;
    cover->records = lh_alloc_zero((cover->n + 1) * sizeof *cover->records);
    cover->ready = evtimer_new(bus_get_base(bus), on_ready, cover);
    for (size_t i = 0; i < cover->n; i++) {
        char key[SHARD_COMMIT_KEY_SIZE];

        cover->records[i].cover = cover;
        shard_commit_key((uint32_t) i, key);
        cover->n_asked +=
            !bus_kv_get(bus, CLUSTER_BUCKET_COMMIT_2, key, TIMEOUT_MS, on_get,
                        &cover->records[i], NULL);
    }
    if (!cover->n_asked) {
        event_active(cover->ready, EV_TIMEOUT, 0);
    }
    return cover;
}

void
cluster_cover_destroy(struct cluster_cover *cover)
{
    if (cover) {
        for (size_t i = 0; i < cover->n; i++) {
            bus_forget(cover->bus, &cover->records[i]);
        }
        event_free(cover->ready);
        free(cover->records);
        free(cover);
    }
}

static bool
is_known(const struct cluster_cover *cover)
{
    for (size_t i = 0; i < cover->n; i++) {
        if (!cover->records[i].is_known) {
            return false;
        }
    }
    return true;
}

/* What is vouched for of the shard, and messages by which nothing was
 * accepted, as one who read them has noted: of these nobody can lack anything,
 * nor need anybody vouch for them, who may have nothing of the shard besides.
 */
static struct store_vouch
vouch_of(const struct cluster_cover *cover, const struct store_vouch *vouch,
         uint32_t shard)
{
    struct store_vouch all = {.n = 0};

    for (size_t i = 0; i < vouch->n; i++) {
        if (vouch->all[i].shard == shard) {
            store_vouch_add_item(&all, &vouch->all[i]);
        }
    }
    for (size_t i = shard; i < cover->n; i += cover->n_shards) {
        const struct store_spans *spans = &cover->records[i].spans;

        for (size_t j = 0; j < spans->n; j++) {
            const struct store_span *span = &spans->all[j];
            struct store_vouch_item item = {shard, span->from, span->to, 0};

            if (span->min_ns > span->max_ns) {
                store_vouch_add_item(&all, &item);
            }
        }
    }
    return all;
}

uint64_t
cluster_cover_from(const struct cluster_cover *cover,
                   const struct store_vouch *vouch, uint64_t disk,
                   uint64_t since_ns, uint64_t until_ns)
{
    uint64_t from_ns = since_ns;

    if (!is_known(cover)) {
        return until_ns;
    }
    for (uint32_t shard = 0; shard < cover->n_shards; shard++) {
        struct store_vouch all = vouch_of(cover, vouch, shard);

        for (size_t i = shard; i < cover->n; i += cover->n_shards) {
            from_ns = store_vouch_from(&all, shard, &cover->records[i].spans,
                                       disk, from_ns, until_ns);
        }
        store_vouch_uninit(&all);
    }
    return from_ns;
}

bool
cluster_cover_add(const struct cluster_cover *cover, uint64_t disk,
                  struct store_vouch *vouch)
{
    for (size_t i = 0; i < cover->n; i++) {
        store_vouch_add(vouch, (uint32_t) (i % cover->n_shards),
                        &cover->records[i].spans, disk, 0);
    }
    return is_known(cover);
}

uint64_t
cluster_cover_oldest(const struct cluster_cover *cover, uint64_t disk)
{
    uint64_t oldest_ns = UINT64_MAX;

    for (size_t i = 0; i < cover->n; i++) {
        const struct store_spans *spans = &cover->records[i].spans;

        for (size_t j = 0; j < spans->n; j++) {
            if (spans->all[j].disk == disk &&
                spans->all[j].min_ns <= spans->all[j].max_ns &&
                spans->all[j].min_ns < oldest_ns) {
                oldest_ns = spans->all[j].min_ns;
            }
        }
    }
    return oldest_ns;
}
