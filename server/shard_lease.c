/* SPDX-License-Identifier: Apache-2.0 */
/* shard_lease - implementation. */
#include <config.h>
#include "server/shard_lease_impl.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/monotonic.h"

#define MIN_LEASE_MS 600
#define TICKS        12 /* In a lease. */
#define BUCKET_BYTES (UINT64_C(64) << 20)
#define MAX_TAKING   256 /* Shards asked for at a time. */
/* So many renewals that the watch has not told, or of one shard refusals that
 * it does not explain, make it doubtful, once in so many leases. */
#define DOUBTS        8
#define DOUBT_LEASES  6
#define TWIN_RENEWALS 3

static void
say(struct shard_lease *lease, enum shard_event event,
    const struct shard *shard, uint64_t epoch)
{
    lease->options.on_event(lease->options.aux, event, shard->number, epoch);
}

/* --- Shards. ------------------------------------------------------------- */

void
shard_lease_lose(struct shard *shard)
{
    if (shard->state == SHARD_HELD) {
        uint64_t epoch = shard->epoch;

        shard->state = SHARD_FREE;
        shard->lease->counters.lost++;
        say(shard->lease, SHARD_LOST, shard, epoch);
    }
}

static bool
is_own(const struct shard *shard)
{
    return *shard->session &&
           !strcmp(shard->owner, shard->lease->options.name) &&
           !strcmp(shard->session, shard->lease->session);
}

/* Nobody owns it who lives. */
static bool
is_ownerless(const struct shard *shard)
{
    const struct peer *peer;

    if (!*shard->owner) {
        return true;
    }
    peer = shard_lease_session_find(shard->lease, shard->owner);
    return !peer || peer->is_dead || strcmp(peer->session, shard->session);
}

static void
hold(struct shard *shard)
{
    shard->state = SHARD_HELD;
    shard->epoch = shard->revision;
    shard->is_unwanted_told = false;
    shard->lease->counters.taken++;
    say(shard->lease, SHARD_TAKEN, shard, shard->epoch);
}

/* Sets its entry, known here before the watch tells it. */
static void
set_entry(struct shard *shard, uint64_t revision, const char *owner,
          const char *session)
{
    shard->revision = revision;
    shard->n_stale = 0;
    snprintf(shard->owner, sizeof shard->owner, "%s", owner);
    snprintf(shard->session, sizeof shard->session, "%s", session);
    shard->lease->is_changed |= shard->lease->options.n_copies > 1;
}

static void
on_taken(void *shard_, int error_number, const char *why, uint64_t revision,
         bool was_there)
{
    struct shard *shard = shard_;
    struct shard_lease *lease = shard->lease;

    lease->n_taking--;
    shard->state = SHARD_FREE;
    if (error_number == ESTALE) {
        lease->counters.stale++;
        shard->n_stale++;
    }
    /* Of what was not answered the watch tells whether it was done. */
    if (!error_number && revision > shard->revision) {
        set_entry(shard, revision, lease->options.name, shard->put_session);
    }
    if (!error_number && is_own(shard) &&
        shard_lease_session_is_in_time(lease)) {
        hold(shard);
    }
}

static void
on_released(void *shard_, int error_number, const char *why, uint64_t revision,
            bool was_there)
{
    struct shard *shard = shard_;

    shard->state = SHARD_FREE;
    if (!error_number && revision > shard->revision) {
        set_entry(shard, revision, "", "");
    }
}

static int
put_owner(struct shard *shard, const char *owner, const char *session,
          bus_kv_put_fn *done)
{
    struct shard_lease *lease = shard->lease;
    char key[32], text[SHARD_LEASE_MAX_NAME + 64];

    snprintf(shard->put_session, sizeof shard->put_session, "%s", session);
    snprintf(key, sizeof key, "shard.%" PRIu32, shard->number);
    snprintf(text, sizeof text, "{\"owner\":\"%s\",\"session\":\"%s\"}", owner,
             session);
    return bus_kv_put(lease->bus, lease->options.bucket, key, text,
                      strlen(text), shard->revision,
                      (uint32_t) lease->lease_ms / 3, done, shard, NULL);
}

static void
look_at_shard(struct shard_lease *lease, struct shard *shard)
{
    if (shard->state == SHARD_HELD) {
        if (shard->is_wanted) {
            shard->is_unwanted_told = false;
        } else if (!shard->is_unwanted_told) {
            shard->is_unwanted_told = true;
            say(lease, SHARD_UNWANTED, shard, shard->epoch);
        }
    } else if (shard->state == SHARD_FREE && is_own(shard)) {
        hold(shard);
    } else if (shard->state == SHARD_FREE && shard->is_wanted &&
               is_ownerless(shard) && lease->n_taking < MAX_TAKING &&
               !put_owner(shard, lease->options.name, lease->session,
                          on_taken)) {
        shard->state = SHARD_TAKING;
        lease->n_taking++;
    }
}

/* --- What the watch tells. ----------------------------------------------- */

static void
take_shard(struct shard_lease *lease, const struct bus_kv_entry *entry,
           const json_t *json)
{
    const char *owner = json_string_value(json_object_get(json, "owner"));
    const char *session = json_string_value(json_object_get(json, "session"));
    char *end;
    unsigned long n = strtoul(entry->key + strlen("shard."), &end, 10);
    struct shard *shard;

    if (!owner || !session || *end || n >= lease->options.n_shards ||
        strlen(owner) > SHARD_LEASE_MAX_NAME ||
        strlen(session) >= SHARD_LEASE_SESSION_SIZE) {
        lease->counters.foreign++;
        return;
    }
    shard = &lease->shards[n];
    if (entry->revision <= shard->revision) {
        return;
    }
    set_entry(shard, entry->revision, owner, session);
    if (shard->state == SHARD_HELD && !is_own(shard)) {
        shard_lease_lose(shard);
    }
}

static void
on_watch(void *lease_, enum bus_kv_event event, const char *why,
         const struct bus_kv_entry *entry)
{
    struct shard_lease *lease = lease_;
    json_t *json;

    switch (event) {
    case BUS_KV_BEGIN:
        lease->is_current = false;
        lease->counters.gaps++;
        break;
    case BUS_KV_COMPLETE:
        lease->is_current = true;
        lease->is_changed = true;
        for (size_t i = 0; i < lease->n_peers; i++) {
            lease->peers[i]->changed_ms = monotonic_ms();
        }
        break;
    case BUS_KV_BROKEN:
        break;
    case BUS_KV_ENTRY:
        json = json_loadb((const char *) entry->data, entry->size, 0, NULL);
        if (!strncmp(entry->key, "server.", 7)) {
            shard_lease_session_take(lease, entry, json);
        } else if (!strncmp(entry->key, "shard.", 6)) {
            take_shard(lease, entry, json);
        }
        json_decref(json);
        break;
    }
}

/* --- The clock. ---------------------------------------------------------- */

static void
on_bucket(void *lease_, int error_number, const char *why)
{
    struct shard_lease *lease = lease_;

    lease->is_asking_bucket = false;
    if (!error_number || error_number == EEXIST) {
        lease->watch =
            bus_kv_watch(lease->bus, lease->options.bucket, ">",
                         (uint32_t) lease->lease_ms / 2, on_watch, lease);
    }
}

static void
ask_bucket(struct shard_lease *lease)
{
    const struct bus_kv_config config = {.bucket = lease->options.bucket,
                                         .max_bytes = BUCKET_BYTES,
                                         .replicas = lease->options.replicas};

    if (!lease->is_asking_bucket) {
        lease->is_asking_bucket =
            !bus_kv_create(lease->bus, &config, 2000, on_bucket, lease, NULL);
    }
}

/* Whether what is known here is not what NATS answers: the watch may read
 * another copy, and where NATS has lost what it had acknowledged, the newest
 * revision of a shard is below the one that is known. */
static bool
is_doubtful(const struct shard_lease *lease)
{
    for (uint32_t i = 0; i < lease->options.n_shards; i++) {
        if (lease->shards[i].n_stale >= DOUBTS) {
            return true;
        }
    }
    return lease->n_untold >= DOUBTS;
}

static void
doubt(struct shard_lease *lease, int64_t now)
{
    struct peer *self = shard_lease_session_find(lease, lease->options.name);

    lease->counters.doubts++;
    lease->n_untold = 0;
    lease->doubted_ms = now;
    for (uint32_t i = 0; i < lease->options.n_shards; i++) {
        lease->shards[i].n_stale = 0;
        if (lease->shards[i].state == SHARD_FREE) {
            lease->shards[i].revision = 0; /* As it will be told. */
        }
    }
    if (self && !lease->has_session) {
        self->revision = 0;
    }
    bus_kv_watch_again(lease->watch);
}

static void
on_tick(int fd, short events, void *lease_)
{
    struct shard_lease *lease = lease_;
    int64_t now = monotonic_ms();
    bool was_asleep = now - lease->ticked_ms > lease->lease_ms / 3;

    lease->ticked_ms = now;
    if (!lease->watch) {
        ask_bucket(lease);
        return;
    }
    if (lease->has_session && !shard_lease_session_is_in_time(lease)) {
        shard_lease_session_lose(lease);
    }
    for (size_t i = 0; was_asleep && i < lease->n_peers; i++) {
        lease->peers[i]->changed_ms = now;
    }
    if (!lease->is_current) {
        return;
    }
    if (is_doubtful(lease) &&
        now - lease->doubted_ms > DOUBT_LEASES * lease->lease_ms) {
        doubt(lease, now);
        return;
    }
    for (size_t i = 0; i < lease->n_peers; i++) {
        shard_lease_session_look_at(lease, lease->peers[i], now);
    }
    if (lease->is_leaving) {
        return;
    }
    if (!lease->is_renewing && !lease->has_session) {
        shard_lease_session_begin(lease);
    } else if (!lease->is_renewing &&
               now - lease->sent_ms >= lease->lease_ms / 3) {
        shard_lease_session_renew(lease);
    }
    if (lease->is_changed) {
        lease->is_changed = false;
        shard_lease_session_find_wanted(lease);
    }
    for (uint32_t i = 0; lease->has_session && i < lease->options.n_shards;
         i++) {
        look_at_shard(lease, &lease->shards[i]);
    }
}

/* --- Outside. ------------------------------------------------------------ */

static int
check(const struct shard_lease_options *options, struct lh_error *error)
{
    size_t len = strlen(options->name);

    if (!len || len > SHARD_LEASE_MAX_NAME ||
        strspn(options->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstu"
                              "vwxyz0123456789-_") != len) {
        lh_error_set(error,
                     "\"%s\" is no name for a server of a cluster: "
                     "up to %d letters, digits, '-' and '_'",
                     options->name, SHARD_LEASE_MAX_NAME);
        return EINVAL;
    }
    if (!options->n_shards || options->n_shards > SHARD_LEASE_MAX_SHARDS ||
        options->n_copies > SHARD_LEASE_MAX_COPIES) {
        lh_error_set(error, "a cluster has 1 to %d shards, not %" PRIu32,
                     SHARD_LEASE_MAX_SHARDS, options->n_shards);
        return EINVAL;
    }
    if (options->lease_ms && options->lease_ms < MIN_LEASE_MS) {
        lh_error_set(error, "a lease is %d ms at least, not %" PRIu32,
                     MIN_LEASE_MS, options->lease_ms);
        return EINVAL;
    }
    return 0;
}

int
shard_lease_create(struct bus *bus, const struct shard_lease_options *options,
                   struct shard_lease **leasep, struct lh_error *error)
{
    struct shard_lease *lease;
    struct timeval period = {.tv_sec = 0};
    int retval = check(options, error);

    *leasep = NULL;
    if (retval) {
        return retval;
    }
    lease = lh_alloc_zero(sizeof *lease);
    lease->bus = bus;
    lease->options = *options;
    lease->options.name = lh_strdup(options->name);
    lease->options.bucket = lh_strdup(options->bucket);
    lease->options.n_copies = options->n_copies ? options->n_copies : 1;
    lease->lease_ms = options->lease_ms ? options->lease_ms : SHARD_LEASE_MS;
    lease->shards = lh_alloc_zero(options->n_shards * sizeof *lease->shards);
    for (uint32_t i = 0; i < options->n_shards; i++) {
        lease->shards[i].lease = lease;
        lease->shards[i].number = i;
    }
    lease->timer =
        event_new(bus_get_base(bus), -1, EV_PERSIST, on_tick, lease);
    period.tv_usec = lease->lease_ms / TICKS % 1000 * 1000;
    period.tv_sec = lease->lease_ms / TICKS / 1000;
    if (!lease->timer || event_add(lease->timer, &period)) {
        abort();
    }
    lease->ticked_ms = monotonic_ms();
    ask_bucket(lease);
    *leasep = lease;
    return 0;
}

void
shard_lease_destroy(struct shard_lease *lease)
{
    if (!lease) {
        return;
    }
    bus_forget(lease->bus, lease);
    bus_kv_unwatch(lease->watch);
    event_free(lease->timer);
    for (size_t i = 0; i < lease->n_peers; i++) {
        bus_forget(lease->bus, lease->peers[i]);
        free(lease->peers[i]);
    }
    for (uint32_t i = 0; i < lease->options.n_shards; i++) {
        bus_forget(lease->bus, &lease->shards[i]);
    }
    free(lease->peers);
    free(lease->shards);
    free((char *) lease->options.name);
    free((char *) lease->options.bucket);
    free(lease);
}

void
shard_lease_drain(struct shard_lease *lease)
{
    lease->is_draining = true;
    lease->is_changed = true;
    lease->sent_ms -= lease->lease_ms; /* Others hear of it soon. */
}

void
shard_lease_release(struct shard_lease *lease, uint32_t number)
{
    struct shard *shard = &lease->shards[number];

    if (shard->state == SHARD_HELD) {
        lease->counters.released++;
        shard->state = put_owner(shard, "", "", on_released) ? SHARD_FREE
                                                             : SHARD_RELEASING;
    }
}

bool
shard_lease_holds(struct shard_lease *lease, uint32_t number, uint64_t *epoch)
{
    const struct shard *shard = &lease->shards[number];
    bool holds =
        shard->state == SHARD_HELD && shard_lease_session_is_in_time(lease);

    *epoch = holds ? shard->epoch : 0;
    return holds;
}

uint32_t
shard_lease_n_held(struct shard_lease *lease)
{
    uint32_t n = 0;
    uint64_t epoch;

    for (uint32_t i = 0; i < lease->options.n_shards; i++) {
        n += shard_lease_holds(lease, i, &epoch);
    }
    return n;
}

const char *
shard_lease_owner(const struct shard_lease *lease, uint32_t number)
{
    const struct shard *shard = &lease->shards[number];

    return is_ownerless(shard) ? NULL : shard->owner;
}

size_t
shard_lease_n_known(const struct shard_lease *lease)
{
    return lease->n_peers;
}

void
shard_lease_get_server(const struct shard_lease *lease, size_t i,
                       struct shard_lease_server *server)
{
    const struct peer *peer = lease->peers[i];

    *server = (struct shard_lease_server){
        peer->name, !peer->is_dead, peer->is_draining, peer->is_forgotten};
}

bool
shard_lease_has_twin(const struct shard_lease *lease)
{
    return !lease->has_session && lease->n_twin >= TWIN_RENEWALS;
}

uint32_t
shard_lease_n_servers(const struct shard_lease *lease)
{
    uint32_t n = 0;

    for (size_t i = 0; i < lease->n_peers; i++) {
        n += !lease->peers[i]->is_dead;
    }
    return n;
}

void
shard_lease_get_counters(const struct shard_lease *lease,
                         struct shard_lease_counters *out)
{
    *out = lease->counters;
}
