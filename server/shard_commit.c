/* SPDX-License-Identifier: Apache-2.0 */
/* shard_commit - implementation. */
#include <config.h>
#include "server/shard_commit.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/byte_buf.h"
#include "lib/lh_alloc.h"
#include "lib/say.h"

#define TIMEOUT_MS 1000
#define RETRY_MS   100
/* Of the record: version, epoch, position, epoch of the note, note. */
#define RECORD_VERSION 1

enum state { CLAIMING, IDLE, ADVANCING, FENCED };

/* What a record says. */
struct record {
    uint64_t epoch;      /* Of who has it. */
    uint64_t position;   /* With the note, written by the owner of ... */
    uint64_t note_epoch; /* ... this epoch; 0: by nobody yet. */
    struct byte_buf note;
};

struct shard_commit {
    struct bus *bus;
    char *bucket; /* Owned. */
    uint32_t shard;
    uint64_t epoch;
    shard_commit_fn *done;
    void *aux;
    struct event *retry; /* Owned. */
    enum state state;
    uint64_t revision;    /* Of the record; 0: there is none. */
    bool is_sent;         /* 'wanted' was, and may be the record. */
    struct record is;     /* As committed. */
    struct record wanted; /* To be committed. */
};

static void look(struct shard_commit *);

static void
try_later(struct shard_commit *commit)
{
    const struct timeval wait = {.tv_usec = RETRY_MS * 1000};

    evtimer_add(commit->retry, &wait);
}

/* --- Records. ------------------------------------------------------------ */

static void
set_record(struct record *record, uint64_t epoch, uint64_t position,
           uint64_t note_epoch, const uint8_t *note, size_t n_note)
{
    record->epoch = epoch;
    record->position = position;
    record->note_epoch = note_epoch;
    byte_buf_clear(&record->note);
    if (n_note) {
        byte_buf_put(&record->note, note, n_note);
    }
}

bool
shard_commit_read(const struct bus_kv_entry *entry,
                  struct shard_commit_record *record)
{
    struct bytes_reader r = bytes_reader(entry->data, entry->size);
    uint8_t version = bytes_get_u8(&r);

    memset(record, 0, sizeof *record);
    if (entry->is_deleted) {
        return true; /* Somebody wants it to begin anew. */
    }
    record->epoch = bytes_get_u64(&r);
    record->position = bytes_get_u64(&r);
    record->note_epoch = bytes_get_u64(&r);
    record->n_note = bytes_left(&r);
    record->note = bytes_get(&r, record->n_note);
    return !r.failed && version == RECORD_VERSION &&
           record->n_note <= SHARD_COMMIT_MAX_NOTE;
}

static bool
read_record(const struct bus_kv_entry *entry, struct record *record)
{
    struct shard_commit_record r;

    if (!shard_commit_read(entry, &r)) {
        return false;
    }
    if (!entry->is_deleted) {
        set_record(record, r.epoch, r.position, r.note_epoch, r.note,
                   r.n_note);
    }
    return true;
}

void
shard_commit_key(uint32_t shard, char key[SHARD_COMMIT_KEY_SIZE])
{
    snprintf(key, SHARD_COMMIT_KEY_SIZE, "commit.%" PRIu32, shard);
}

/* --- Outcomes. ----------------------------------------------------------- */

static void
tell(struct shard_commit *commit, enum shard_commit_outcome outcome)
{
    commit->done(commit->aux, outcome, commit->is.position,
                 commit->is.note.data, commit->is.note.len,
                 commit->is.note_epoch);
}

static void
fence(struct shard_commit *commit)
{
    commit->state = FENCED;
    tell(commit, SHARD_COMMIT_FENCED);
}

/* The record is what was wanted. */
static void
succeed(struct shard_commit *commit, uint64_t revision)
{
    enum state state = commit->state;
    struct record was = commit->is;

    commit->revision = revision;
    commit->is = commit->wanted;
    commit->wanted = was;
    commit->state = IDLE;
    commit->is_sent = false;
    tell(commit, state == CLAIMING ? SHARD_COMMIT_CLAIMED : SHARD_COMMIT_DONE);
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
    const struct record *wanted = &commit->wanted;
    struct byte_buf bytes = BYTE_BUF_INIT;
    char key[32];

    byte_buf_put_u8(&bytes, RECORD_VERSION);
    byte_buf_put_u64(&bytes, wanted->epoch);
    byte_buf_put_u64(&bytes, wanted->position);
    byte_buf_put_u64(&bytes, wanted->note_epoch);
    if (wanted->note.len) {
        byte_buf_put(&bytes, wanted->note.data, wanted->note.len);
    }
    snprintf(key, sizeof key, "commit.%" PRIu32, commit->shard);
    commit->is_sent = true;
    if (bus_kv_put(commit->bus, commit->bucket, key, bytes.data, bytes.len,
                   commit->revision, TIMEOUT_MS, on_put, commit, NULL)) {
        try_later(commit);
    }
    byte_buf_uninit(&bytes);
}

static void
say_fallen_back(const struct shard_commit *commit, uint64_t revision)
{
    say_error("commit.%" PRIu32 " of %s: NATS has revision %" PRIu64
              " and had acknowledged %" PRIu64 "; it is written again",
              commit->shard, commit->bucket, revision, commit->revision);
}

/* Whether the record says what was to be committed. */
static bool
is_as_wanted(const struct shard_commit *commit, const struct record *record)
{
    const struct record *wanted = &commit->wanted;

    return record->position == wanted->position &&
           record->note_epoch == wanted->note_epoch &&
           record->note.len == wanted->note.len &&
           (!wanted->note.len ||
            !memcmp(record->note.data, wanted->note.data, wanted->note.len));
}

/* What the record says has been read.  With the revision that is known it is
 * what it was; with a later one and this epoch it is the change that was not
 * answered, because nobody else has this epoch.  With an earlier one NATS has
 * lost what it had acknowledged: what it has is written over, unless it is of
 * a later owner. */
static void
judge(struct shard_commit *commit, uint64_t revision,
      const struct record *record)
{
    if (record->epoch > commit->epoch) {
        fence(commit);
    } else if (record->epoch == commit->epoch && commit->is_sent &&
               revision > commit->revision && is_as_wanted(commit, record)) {
        succeed(commit, revision);
    } else if (commit->state == CLAIMING) {
        commit->revision = revision;
        set_record(&commit->wanted, commit->epoch, record->position,
                   record->note_epoch, record->note.data, record->note.len);
        put(commit);
    } else if (revision == commit->revision) {
        put(commit);
    } else if (revision && revision < commit->revision) {
        say_fallen_back(commit, revision);
        commit->revision = revision;
        put(commit);
    } else {
        fence(commit);
    }
}

static void
on_get(void *commit_, int error_number, const char *why,
       const struct bus_kv_entry *entry)
{
    struct shard_commit *commit = commit_;
    struct record record = {.note = BYTE_BUF_INIT};

    if (error_number && error_number != ENOENT) {
        try_later(commit);
    } else if (!error_number && !read_record(entry, &record)) {
        fence(commit);
    } else {
        judge(commit, error_number ? 0 : entry->revision, &record);
    }
    byte_buf_uninit(&record.note);
}

static void
look(struct shard_commit *commit)
{
    char key[SHARD_COMMIT_KEY_SIZE];

    shard_commit_key(commit->shard, key);
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
        byte_buf_uninit(&commit->is.note);
        byte_buf_uninit(&commit->wanted.note);
        free(commit->bucket);
        free(commit);
    }
}

int
shard_commit_advance(struct shard_commit *commit, uint64_t position,
                     const void *note, size_t n_note)
{
    if (commit->state == FENCED) {
        return EPERM;
    }
    if (commit->state != IDLE) {
        return EBUSY;
    }
    if (n_note > SHARD_COMMIT_MAX_NOTE) {
        return EMSGSIZE;
    }
    commit->state = ADVANCING;
    set_record(&commit->wanted, commit->epoch, position, commit->epoch, note,
               n_note);
    put(commit);
    return 0;
}
