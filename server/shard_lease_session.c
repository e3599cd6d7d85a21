/* SPDX-License-Identifier: Apache-2.0 */
/* shard_lease - which servers live, and this one's session. */
#include <config.h>
#include "server/shard_lease_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/random64.h"
#include "lib/rendezvous.h"

/* --- The session. -------------------------------------------------------- */

bool
shard_lease_session_is_in_time(const struct shard_lease *lease)
{
    return lease->has_session &&
           monotonic_ms() - lease->renewed_ms < lease->lease_ms * 2 / 3;
}

void
shard_lease_session_lose(struct shard_lease *lease)
{
    if (lease->has_session) {
        lease->has_session = false;
        lease->is_changed = true;
        memcpy(lease->former, lease->session, sizeof lease->former);
        lease->session[0] = '\0';
        for (uint32_t i = 0; i < lease->options.n_shards; i++) {
            shard_lease_lose(&lease->shards[i]);
        }
    }
}

static void
new_session(struct shard_lease *lease)
{
    snprintf(lease->session, sizeof lease->session, "%016" PRIx64,
             random64_draw());
}

static void
on_renewed(void *lease_, int error_number, const char *why, uint64_t revision,
           bool was_there)
{
    struct shard_lease *lease = lease_;

    lease->is_renewing = false;
    if (!*lease->session) {
        return; /* It came too late. */
    }
    lease->n_untold += !error_number || error_number == ESTALE;
    if (!error_number) {
        lease->renewed[revision % SHARD_LEASE_RENEWALS] = revision;
        if (revision == lease->told_revision) {
            lease->n_untold = 0;
        }
        lease->revision = revision;
        lease->renewed_ms = lease->sent_ms;
        if (!lease->has_session) {
            lease->has_session = true;
            lease->is_changed = true;
            lease->counters.sessions++;
        }
    } else if (error_number == ESTALE) {
        /* One that was thought to have failed, or somebody else: the watch
         * tells. */
        lease->counters.stale++;
    }
}

void
shard_lease_session_renew(struct shard_lease *lease)
{
    char key[SHARD_LEASE_MAX_NAME + 16];
    char text[64];

    snprintf(key, sizeof key, "server.%s", lease->options.name);
    snprintf(text, sizeof text, "{\"session\":\"%s\",\"draining\":%s}",
             lease->session, lease->is_draining ? "true" : "false");
    lease->sent_ms = monotonic_ms();
    lease->is_renewing =
        !bus_kv_put(lease->bus, lease->options.bucket, key, text, strlen(text),
                    lease->revision, (uint32_t) lease->lease_ms / 3,
                    on_renewed, lease, NULL);
}

/* --- Others. ------------------------------------------------------------- */

struct peer *
shard_lease_session_find(const struct shard_lease *lease, const char *name)
{
    for (size_t i = 0; i < lease->n_peers; i++) {
        if (!strcmp(lease->peers[i]->name, name)) {
            return lease->peers[i];
        }
    }
    return NULL;
}

static bool
is_self(const struct peer *peer)
{
    return !strcmp(peer->name, peer->lease->options.name);
}

/* Whether shards are to be there. */
static bool
is_eligible(const struct peer *peer)
{
    const struct shard_lease *lease = peer->lease;

    return is_self(peer) ? lease->has_session && !lease->is_draining
                         : !peer->is_dead && !peer->is_draining;
}

/* Its key is gone: nobody waits for its lease.  Who puts the key
 * again needs the revision of its deletion. */
static void
forget(struct peer *peer, uint64_t revision)
{
    struct shard_lease *lease = peer->lease;

    lease->is_changed |= !peer->is_dead;
    peer->is_dead = true;
    peer->is_forgotten = true;
    peer->session[0] = '\0';
    peer->revision = revision;
    if (is_self(peer) && lease->has_session) {
        lease->revision = revision;
        shard_lease_session_lose(lease);
    }
}

static void
on_asked(void *peer_, int error_number, const char *why,
         const struct bus_kv_entry *entry)
{
    struct peer *peer = peer_;

    peer->is_asked = false;
    if (error_number == ENOENT && !peer->is_dead) {
        forget(peer, 0); /* NATS has lost it. */
    }
    if (error_number || peer->is_dead) {
        return;
    }
    if (entry->revision != peer->revision) {
        /* The watch is late. */
        peer->changed_ms = monotonic_ms();
        return;
    }
    peer->is_dead = true;
    peer->lease->counters.deaths++;
    peer->lease->is_changed = true;
}

void
shard_lease_session_look_at(struct shard_lease *lease, struct peer *peer,
                            int64_t now)
{
    char key[SHARD_LEASE_MAX_NAME + 16];
    bool is_this_session =
        is_self(peer) && !strcmp(peer->session, lease->session);

    if (peer->is_dead || peer->is_asked || is_this_session ||
        now - peer->changed_ms <= lease->lease_ms) {
        return;
    }
    snprintf(key, sizeof key, "server.%s", peer->name);
    peer->is_asked =
        !bus_kv_get(lease->bus, lease->options.bucket, key,
                    (uint32_t) lease->lease_ms / 3, on_asked, peer, NULL);
}

static struct peer *
add_peer(struct shard_lease *lease, const char *name)
{
    struct peer *peer = lh_alloc_zero(sizeof *peer);

    peer->lease = lease;
    peer->is_dead = true;
    snprintf(peer->name, sizeof peer->name, "%s", name);
    lease->peers =
        lh_alloc_grow(lease->peers, lease->n_peers, &lease->allocated_peers,
                      sizeof *lease->peers);
    lease->peers[lease->n_peers++] = peer;
    return peer;
}

static void
on_forgotten(void *peer, int error_number, const char *why, uint64_t revision,
             bool was_there)
{
    /* The watch tells. */
}

int
shard_lease_forget(struct shard_lease *lease, const char *name)
{
    struct peer *peer = shard_lease_session_find(lease, name);
    char key[SHARD_LEASE_MAX_NAME + 16];

    if (!peer || peer->is_forgotten) {
        return ENOENT;
    }
    if (!peer->is_dead && !is_self(peer)) {
        return EBUSY;
    }
    if (is_self(peer)) {
        lease->is_leaving = true;
    }
    snprintf(key, sizeof key, "server.%s", name);
    return bus_kv_delete(lease->bus, lease->options.bucket, key,
                         is_self(peer) ? lease->revision : peer->revision,
                         (uint32_t) lease->lease_ms, on_forgotten, peer, NULL);
}

/* Whose name this is, too: one that is not this process, nor was, and goes on
 * renewing its lease. */
static void
look_for_twin(struct shard_lease *lease, const struct peer *self,
              const char *session)
{
    bool is_own =
        !strcmp(session, lease->session) || !strcmp(session, lease->former);

    if (is_own || strcmp(session, self->session) != 0) {
        lease->n_twin = 0;
    } else {
        lease->n_twin++;
    }
}

void
shard_lease_session_take(struct shard_lease *lease,
                         const struct bus_kv_entry *entry, const json_t *json)
{
    const char *name = entry->key + strlen("server.");
    const char *session = json_string_value(json_object_get(json, "session"));
    bool is_draining = json_is_true(json_object_get(json, "draining"));
    struct peer *peer = shard_lease_session_find(lease, name);

    if ((!entry->is_deleted &&
         (!session || strlen(session) >= SHARD_LEASE_SESSION_SIZE)) ||
        strlen(name) > SHARD_LEASE_MAX_NAME ||
        (!peer && lease->n_peers == SHARD_LEASE_MAX_SERVERS)) {
        lease->counters.foreign++;
        return;
    }
    if (!peer) {
        peer = add_peer(lease, name);
    }
    if (entry->is_deleted) {
        forget(peer, entry->revision);
        return;
    }
    if (entry->revision == peer->revision) {
        return; /* Told again, after a gap. */
    }
    if (is_self(peer)) {
        look_for_twin(lease, peer, session);
    }
    lease->is_changed |= peer->is_dead || peer->is_draining != is_draining ||
                         strcmp(peer->session, session);
    peer->is_dead = false;
    peer->is_forgotten = false;
    peer->is_draining = is_draining;
    peer->revision = entry->revision;
    peer->changed_ms = monotonic_ms();
    snprintf(peer->session, sizeof peer->session, "%s", session);
    if (is_self(peer)) {
        lease->told_revision = entry->revision;
        if (lease->renewed[entry->revision % SHARD_LEASE_RENEWALS] ==
            entry->revision) {
            lease->n_untold = 0;
        }
        if (strcmp(session, lease->session) != 0) {
            shard_lease_session_lose(lease);
        } else if (entry->revision > lease->revision) {
            lease->revision = entry->revision;
        }
    }
}

void
shard_lease_session_begin(struct shard_lease *lease)
{
    const struct peer *self =
        shard_lease_session_find(lease, lease->options.name);

    /* Another process of this name may live. */
    if (self && !self->is_dead && strcmp(self->session, lease->session) &&
        strcmp(self->session, lease->former)) {
        return;
    }
    lease->revision = self ? self->revision : 0;
    if (*lease->session) {
        memcpy(lease->former, lease->session, sizeof lease->former);
    }
    new_session(lease);
    shard_lease_session_renew(lease);
}

/* Which copy each of the 'n' servers has, of those that are to have one: who
 * has one keeps it, others get what is left. */
static void
deal(const struct shard_lease *lease, uint32_t number,
     const char *const names[], const size_t owners[], size_t n,
     size_t copies[])
{
    uint32_t step = lease->options.n_shards / lease->options.n_copies;
    bool is_given[SHARD_LEASE_MAX_COPIES] = {false};
    size_t next = 0;

    for (size_t i = 0; i < n; i++) {
        copies[i] = SIZE_MAX;
        for (size_t c = 0; c < n && copies[i] == SIZE_MAX; c++) {
            const char *owner =
                shard_lease_owner(lease, number + (uint32_t) c * step);

            if (owner && !is_given[c] && !strcmp(owner, names[owners[i]])) {
                copies[i] = c;
                is_given[c] = true;
            }
        }
    }
    for (size_t i = 0; i < n; i++) {
        while (copies[i] == SIZE_MAX && is_given[next]) {
            next++;
        }
        if (copies[i] == SIZE_MAX) {
            copies[i] = next;
            is_given[next] = true;
        }
    }
}

/* Sets 'is_wanted' of all copies of a shard. */
static void
find_wanted(struct shard_lease *lease, uint32_t number,
            const char *const names[], size_t n, size_t self)
{
    uint32_t step = lease->options.n_shards / lease->options.n_copies;
    size_t owners[SHARD_LEASE_MAX_COPIES], copies[SHARD_LEASE_MAX_COPIES];
    size_t n_owners =
        rendezvous_owners(names, n, number, owners, lease->options.n_copies);

    for (uint32_t c = 0; c < lease->options.n_copies; c++) {
        lease->shards[number + c * step].is_wanted = false;
    }
    deal(lease, number, names, owners, n_owners, copies);
    for (size_t i = 0; i < n_owners; i++) {
        if (owners[i] == self) {
            lease->shards[number + copies[i] * step].is_wanted = true;
        }
    }
}

void
shard_lease_session_find_wanted(struct shard_lease *lease)
{
    const char *names[SHARD_LEASE_MAX_SERVERS];
    size_t n = 0, self = SIZE_MAX;

    for (size_t i = 0; i < lease->n_peers; i++) {
        if (is_eligible(lease->peers[i])) {
            if (is_self(lease->peers[i])) {
                self = n;
            }
            names[n++] = lease->peers[i]->name;
        }
    }
    for (uint32_t i = 0; i < lease->options.n_shards / lease->options.n_copies;
         i++) {
        find_wanted(lease, i, names, n, self);
    }
}
