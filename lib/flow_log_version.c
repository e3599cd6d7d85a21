/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_version - the versions of each switch, and their marks.
 *
 * A mark on the disk says up to where versions may have been given.  The
 * owner asks for the next block when half of one is left; the writer makes it
 * durable.  Switches without a mark have a common one, so that a new switch
 * need not wait. */
#include <config.h>

#include "lib/flow_log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"

/* The versions of 'dpid', made if they are not there. */
static struct flow_log_versions *
find_versions(struct flow_log *log, uint64_t dpid)
{
    size_t low = 0, high = log->n_versions;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (log->versions[mid].dpid < dpid) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    if (low == log->n_versions || log->versions[low].dpid != dpid) {
        log->versions =
            lh_alloc_grow(log->versions, log->n_versions,
                          &log->allocated_versions, sizeof *log->versions);
        memmove(&log->versions[low + 1], &log->versions[low],
                (log->n_versions - low) * sizeof *log->versions);
        log->n_versions++;
        log->versions[low] = (struct flow_log_versions){
            .dpid = dpid,
            .next = log->new_base + 1,
            .reserved = log->new_base,
        };
    }
    return &log->versions[low];
}

static uint64_t
next_mark(uint64_t last)
{
    return last < FLOW_LOG_MAX_VERSION - FLOW_LOG_VERSION_BLOCK
               ? last + FLOW_LOG_VERSION_BLOCK
               : FLOW_LOG_MAX_VERSION;
}

/* The mark of 'dpid' that the writer knows, made if 'is_new' may be.  Locked,
 * or before the writer runs. */
static struct flow_log_mark *
find_mark(struct flow_log_shared *shared, uint64_t dpid, bool may_make)
{
    for (size_t i = 0; i < shared->n_marks; i++) {
        if (shared->marks[i].dpid == dpid) {
            return &shared->marks[i];
        }
    }
    if (!may_make) {
        return NULL;
    }
    shared->marks =
        lh_alloc_grow(shared->marks, shared->n_marks, &shared->allocated_marks,
                      sizeof *shared->marks);
    shared->marks[shared->n_marks] = (struct flow_log_mark){.dpid = dpid};
    return &shared->marks[shared->n_marks++];
}

/* --- Begin and end. --- */

bool
flow_log_versions_load(struct flow_log *log, uint64_t base)
{
    struct db_statement *s = db_prepare(
        log->shared->writer->db,
        "SELECT dpid, version_mark, coalesce((SELECT id FROM note"
        " WHERE note.dpid = switch.dpid AND kind < 8 ORDER BY id DESC"
        " LIMIT 1), 0) FROM switch");

    log->new_base = base;
    while (db_step(s)) {
        uint64_t dpid = (uint64_t) db_int(s, 0);
        struct flow_log_versions *v = find_versions(log, dpid);

        v->reserved = (uint64_t) db_int(s, 1);
        v->logged = (uint64_t) db_int(s, 2);
        if (v->reserved < v->logged) {
            v->reserved = v->logged;
        }
        v->next = v->reserved + 1;
    }
    return db_finish(s);
}

bool
flow_log_versions_reserve_all(struct flow_log *log)
{
    struct flow_log_shared *shared = log->shared;
    bool went_well = true;

    shared->new_wanted = next_mark(log->new_base);
    for (size_t i = 0; i < log->n_versions; i++) {
        struct flow_log_versions *v = &log->versions[i];

        v->wanted = next_mark(v->next - 1);
        find_mark(shared, v->dpid, true)->wanted = v->wanted;
        went_well = went_well &&
                    flow_log_db_put_mark(shared->writer, v->dpid, v->wanted);
    }
    return went_well &&
           flow_log_db_put(shared->writer, "new_mark", shared->new_wanted);
}

void
flow_log_versions_reserved_all(struct flow_log *log)
{
    struct flow_log_shared *shared = log->shared;

    shared->new_durable = shared->new_wanted;
    for (size_t i = 0; i < shared->n_marks; i++) {
        shared->marks[i].durable = shared->marks[i].wanted;
    }
}

bool
flow_log_versions_return_all(struct flow_log *log)
{
    struct flow_log *writer = log->shared->writer;

    for (size_t i = 0; i < log->n_versions; i++) {
        if (!flow_log_db_put_mark(writer, log->versions[i].dpid,
                                  log->versions[i].next - 1)) {
            return false;
        }
    }
    return flow_log_db_put(writer, "new_mark", 0);
}

bool
flow_log_unknown_versions(const struct flow_log *log, uint64_t dpid,
                          uint32_t *first, uint32_t *last)
{
    for (size_t i = 0; i < log->n_versions; i++) {
        const struct flow_log_versions *v = &log->versions[i];

        if (v->dpid == dpid && v->reserved > v->logged && log->gap.is_there) {
            *first = (uint32_t) (v->logged + 1);
            *last = (uint32_t) v->reserved;
            return true;
        }
    }
    return false;
}

/* --- Giving versions. --- */

/* Takes over what the disk knows of 'v'.  Locked. */
static void
refresh(struct flow_log_shared *shared, struct flow_log_versions *v)
{
    const struct flow_log_mark *mark = find_mark(shared, v->dpid, false);

    v->mark = mark && mark->durable ? mark->durable : 0;
    if (v->mark < shared->new_durable && v->reserved < shared->new_durable &&
        (!mark || !mark->durable)) {
        v->mark = shared->new_durable;
    }
}

/* Waits a moment for the disk.  Locked. */
static void
await_mark(struct flow_log_shared *shared, struct flow_log_versions *v)
{
    uint64_t until_ns = monotonic_ns() + FLOW_LOG_RESERVE_MS * 1000000ULL;
    struct timespec ts = {
        .tv_sec = (time_t) (until_ns / 1000000000),
        .tv_nsec = (long) (until_ns % 1000000000),
    };

    while (v->next > v->mark &&
           !pthread_cond_timedwait(&shared->done, &shared->mutex, &ts)) {
        refresh(shared, v);
        if (shared->failure) {
            return;
        }
    }
}

/* Asks for one more block when less than half of one is left. */
static void
reserve(struct flow_log *log, struct flow_log_versions *v)
{
    struct flow_log_shared *shared = log->shared;
    uint64_t wanted = next_mark(v->next - 1);

    pthread_mutex_lock(&shared->mutex);
    refresh(shared, v);
    if (v->mark < wanted - FLOW_LOG_VERSION_BLOCK / 2 && v->wanted < wanted) {
        v->wanted = wanted;
        find_mark(shared, v->dpid, true)->wanted = wanted;
        pthread_cond_signal(&shared->work);
    }
    if (v->next > v->mark && !log->cannot_reserve && !shared->failure) {
        await_mark(shared, v);
    }
    log->cannot_reserve = v->next > v->mark;
    pthread_mutex_unlock(&shared->mutex);
}

uint32_t
flow_log_next_version(struct flow_log *log, uint64_t dpid)
{
    struct flow_log_versions *v;

    assert(log->is_owner);
    v = find_versions(log, dpid);
    if (v->next > FLOW_LOG_MAX_VERSION) {
        log->counters.exhausted++;
        return FLOW_LOG_MAX_VERSION;
    }
    if (v->mark < FLOW_LOG_MAX_VERSION &&
        v->next + FLOW_LOG_VERSION_BLOCK / 2 > v->mark &&
        (v->next > v->mark || v->next % 64 == 0 || !v->wanted)) {
        reserve(log, v);
    }
    if (v->next > v->mark) {
        log->counters.unreserved++;
    }
    return (uint32_t) v->next++;
}

void
flow_log_skip_version(struct flow_log *log, uint64_t dpid, uint32_t version)
{
    struct flow_log_versions *v = find_versions(log, dpid);

    if (v->next <= version) {
        v->next = (uint64_t) version + 1;
    }
}
