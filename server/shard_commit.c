/* SPDX-License-Identifier: Apache-2.0 */
/* shard_commit - implementation. */
#include <config.h>
#include "server/shard_commit.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

#define TIMEOUT_MS 1000
#define RETRY_MS   100

enum state { CLAIMING, IDLE, ADVANCING, FENCED };

struct shard_commit {
    struct bus *bus;
    char *bucket; /* Owned. */
    uint32_t shard;
    uint64_t epoch;
    shard_commit_fn *done;
    void *aux;
    struct event *retry; /* Owned. */
    enum state state;
    uint64_t revision; /* Of the record; 0: there is none. */
    uint64_t position; /* As committed. */
    uint64_t wanted;   /* To be committed. */
};

static void look(struct shard_commit *);

static void
try_later(struct shard_commit *commit)
{
    const struct timeval wait = {.tv_usec = RETRY_MS * 1000};

    evtimer_add(commit->retry, &wait);
}

static void
fence(struct shard_commit *commit)
{
    commit->state = FENCED;
    commit->done(commit->aux, SHARD_COMMIT_FENCED, commit->position);
}

/* The record is at 'wanted', in this epoch. */
static void
succeed(struct shard_commit *commit, uint64_t revision)
{
    enum state state = commit->state;

    commit->revision = revision;
    commit->position = commit->wanted;
    commit->state = IDLE;
    commit->done(commit->aux,
                 state == CLAIMING ? SHARD_COMMIT_CLAIMED : SHARD_COMMIT_DONE,
                 commit->position);
}

static void
on_put(void *commit_, int error_number, const char *why, uint64_t revision,
       bool was_there)
{
    if (!error_number) {
        succeed(commit_, revision);
    } else {
        look(commit_);
    }
}

static void
put(struct shard_commit *commit)
{
    char key[32], text[96];

    snprintf(key, sizeof key, "commit.%" PRIu32, commit->shard);
    snprintf(text, sizeof text,
             "{\"epoch\":%" PRIu64 ",\"position\":%" PRIu64 "}", commit->epoch,
             commit->wanted);
    if (bus_kv_put(commit->bus, commit->bucket, key, text, strlen(text),
                   commit->revision, TIMEOUT_MS, on_put, commit, NULL)) {
        try_later(commit);
    }
}

/* What the record says has been read. */
static void
judge(struct shard_commit *commit, uint64_t revision, uint64_t epoch,
      uint64_t position)
{
    if (epoch > commit->epoch) {
        fence(commit);
    } else if (epoch == commit->epoch && position == commit->wanted &&
               revision != commit->revision) {
        /* The change that was not answered. */
        succeed(commit, revision);
    } else if (commit->state == CLAIMING) {
        commit->revision = revision;
        commit->wanted = position;
        put(commit);
    } else if (epoch == commit->epoch && revision == commit->revision) {
        put(commit);
    } else {
        /* Written in this epoch, and not from here. */
        fence(commit);
    }
}

static void
on_get(void *commit_, int error_number, const char *why,
       const struct bus_kv_entry *entry)
{
    struct shard_commit *commit = commit_;
    json_t *json;

    if (error_number == ENOENT) {
        judge(commit, 0, 0, 0);
        return;
    }
    if (error_number) {
        try_later(commit);
        return;
    }
    json = json_loadb((const char *) entry->data, entry->size, 0, NULL);
    judge(commit, entry->revision,
          (uint64_t) json_integer_value(json_object_get(json, "epoch")),
          (uint64_t) json_integer_value(json_object_get(json, "position")));
    json_decref(json);
}

static void
look(struct shard_commit *commit)
{
    char key[32];

    snprintf(key, sizeof key, "commit.%" PRIu32, commit->shard);
    if (bus_kv_get(commit->bus, commit->bucket, key, TIMEOUT_MS, on_get,
                   commit, NULL)) {
        try_later(commit);
    }
}

static void
on_retry(int fd, short events, void *commit)
{
    look(commit);
}

struct shard_commit *
shard_commit_claim(struct bus *bus, const char *bucket, uint32_t shard,
                   uint64_t epoch, shard_commit_fn *done, void *aux)
{
    struct shard_commit *commit = lh_alloc_zero(sizeof *commit);

    commit->bus = bus;
    commit->bucket = lh_strdup(bucket);
    commit->shard = shard;
    commit->epoch = epoch;
    commit->done = done;
    commit->aux = aux;
    commit->wanted = UINT64_MAX; /* Nobody's position. */
    commit->retry = evtimer_new(bus_get_base(bus), on_retry, commit);
    if (!commit->retry) {
        abort();
    }
    look(commit);
    return commit;
}

void
shard_commit_destroy(struct shard_commit *commit)
{
    if (commit) {
        bus_forget(commit->bus, commit);
        event_free(commit->retry);
        free(commit->bucket);
        free(commit);
    }
}

int
shard_commit_advance(struct shard_commit *commit, uint64_t position)
{
    if (commit->state == FENCED) {
        return EPERM;
    }
    if (commit->state != IDLE) {
        return EBUSY;
    }
    assert(position >= commit->position);
    commit->state = ADVANCING;
    commit->wanted = position;
    put(commit);
    return 0;
}
