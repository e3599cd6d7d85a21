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
    uint32_t shard;
    bool is_known;
    struct store_spans spans;
};

struct cluster_cover {
    struct bus *bus;
    void (*done)(void *aux);
    void *aux;
    struct event *ready; /* Owned. */
    size_t n, n_asked;
    struct record *records; /* Owned. */
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
    cover->n = (size_t) n_shards * n_copies;
    cover->records = lh_alloc_zero((cover->n + 1) * sizeof *cover->records);
    cover->ready = evtimer_new(bus_get_base(bus), on_ready, cover);
    for (size_t i = 0; i < cover->n; i++) {
        char key[SHARD_COMMIT_KEY_SIZE];

        cover->records[i].cover = cover;
        cover->records[i].shard = (uint32_t) (i % n_shards);
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

uint64_t
cluster_cover_from(const struct cluster_cover *cover,
                   const struct store_vouch *vouch, uint64_t disk,
                   uint64_t since_ns, uint64_t until_ns)
{
    uint64_t from_ns = since_ns;

    for (size_t i = 0; i < cover->n; i++) {
        const struct record *record = &cover->records[i];

        if (!record->is_known) {
            return until_ns;
        }
        from_ns = store_vouch_from(vouch, record->shard, &record->spans, disk,
                                   from_ns, until_ns);
    }
    return from_ns;
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
