/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_copies - what of the cluster the owners of copies must know: whose
 * disk is there, and for whom messages wait. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/archive_dir.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/random64.h"
#include "lib/text_number.h"
#include "server/cluster_impl.h"

#define SETTLE_MS 3000   /* Until all is known of who is there. */
#define AWAY_MS   600000 /* A disk that is longer away is not waited for. */
#define KEEP_MS   60000  /* Messages wait so long for a copy nobody owns. */

/* --- The number of this disk --------------------------------------------- */

static int
read_number(const char *path, uint64_t *number)
{
    char text[32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0) {
        return errno;
    }
    n = read(fd, text, sizeof text - 1);
    close(fd);
    text[strcspn(text, "\n")] = '\0';
    return n > 0 && text_number(text, 10, 1, INT64_MAX, number) ? 0 : EBADMSG;
}

static int
write_number(const char *dir, const char *path, uint64_t number)
{
    char *fresh = lh_asprintf("%s.new", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int retval = fd < 0 ? errno : 0;

    if (!retval && (dprintf(fd, "%" PRIu64 "\n", number) < 0 || fsync(fd))) {
        retval = errno;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (!retval && rename(fresh, path)) {
        retval = errno;
    }
    free(fresh);
    return retval ? retval : archive_dir_sync(dir);
}

/* Reads the file `disk` of the archive's directory; draws a number where there
 * is none. */
static int
find_number(const char *dir, uint64_t *number, struct lh_error *error)
{
    char *path = lh_asprintf("%s/disk", dir);
    int retval = archive_dir_create(dir, error);

    if (!retval && (retval = read_number(path, number)) == ENOENT) {
        *number = (random64_draw() & INT64_MAX) | 1;
        retval = write_number(dir, path, *number);
    }
    if (retval) {
        lh_error_set(error, "%s: %s", path,
                     retval == EBADMSG ? "it has no number of a disk: remove "
                                         "it if this disk was replaced"
                                       : strerror(retval));
    }
    free(path);
    return retval;
}

/* --- Who is there -------------------------------------------------------- */

static bool
is_alive(const struct cluster *cluster, const char *name)
{
    struct shard_lease_server server;

    for (size_t i = 0; i < shard_lease_n_known(cluster->lease_2); i++) {
        shard_lease_get_server(cluster->lease_2, i, &server);
        if (!strcmp(server.name, name)) {
            return server.is_alive;
        }
    }
    return false;
}

/* Since when the disk is away, as seen here. */
static int64_t
away_since(struct cluster *cluster, uint64_t disk)
{
    for (size_t i = 0; i < cluster->n_away; i++) {
        if (cluster->away[i].disk == disk) {
            return cluster->away[i].since_ms;
        }
    }
    cluster->away =
        lh_alloc_grow(cluster->away, cluster->n_away, &cluster->allocated_away,
                      sizeof *cluster->away);
    cluster->away[cluster->n_away++] =
        (struct cluster_away){disk, monotonic_ms()};
    return monotonic_ms();
}

static void
forget_away(struct cluster *cluster, uint64_t disk)
{
    for (size_t i = 0; i < cluster->n_away; i++) {
        if (cluster->away[i].disk == disk) {
            cluster->away[i] = cluster->away[--cluster->n_away];
        }
    }
}

static enum store_disk_state
disk_state(void *cluster_, uint64_t disk, const char **server)
{
    struct cluster *cluster = cluster_;
    int64_t now_ms = monotonic_ms();

    *server = NULL;
    if (disk == cluster->team.disk) {
        return STORE_DISK_THERE;
    }
    for (size_t i = 0; i < cluster_members_n(cluster->members); i++) {
        const struct cluster_member *m =
            cluster_members_get(cluster->members, i);

        if (m->disk != disk) {
            continue;
        }
        if (is_alive(cluster, m->name)) {
            forget_away(cluster, disk);
            *server = m->name;
            return STORE_DISK_THERE;
        }
        return now_ms - away_since(cluster, disk) < AWAY_MS ? STORE_DISK_AWAY
                                                            : STORE_DISK_GONE;
    }
    return now_ms - cluster->ready_ms < SETTLE_MS ? STORE_DISK_AWAY
                                                  : STORE_DISK_GONE;
}

static bool
is_waited_for(void *cluster_, uint32_t slot, uint64_t position)
{
    struct cluster *cluster = cluster_;
    const struct cluster_stream *stream =
        &cluster->streams[CLUSTER_N_STREAMS - 1];
    uint64_t limit = cluster->options->n_bytes ? cluster->options->n_bytes
                                               : CLUSTER_OPTIONS_BYTES;
    int64_t now_ms = monotonic_ms();

    if (shard_lease_owner(cluster->lease_2, slot)) {
        cluster->ownerless_ms[slot] = 0;
    } else if (!cluster->ownerless_ms[slot]) {
        cluster->ownerless_ms[slot] = now_ms;
    }
    return !(stream->is_known && stream->state.n_bytes > limit / 2) &&
           (!cluster->ownerless_ms[slot] ||
            now_ms - cluster->ownerless_ms[slot] < KEEP_MS);
}

/* --- Outside ------------------------------------------------------------- */

int
cluster_copies_open(struct cluster *cluster, struct lh_error *error)
{
    if (cluster->config.n_copies < 2) {
        return 0;
    }
    cluster->team = (struct store_team){
        .n_shards = cluster->config.n_stores,
        .n_copies = cluster->config.n_copies,
        .queries = cluster->parts.queries,
        .disk_state = disk_state,
        .is_waited_for = is_waited_for,
        .aux = cluster,
    };
    cluster->ready_ms = monotonic_ms();
    cluster->ownerless_ms = lh_alloc_zero(cluster_shards_n_slots(cluster) *
                                          sizeof *cluster->ownerless_ms);
    return find_number(cluster->parts.options->archive, &cluster->team.disk,
                       error);
}

void
cluster_copies_close(struct cluster *cluster)
{
    free(cluster->ownerless_ms);
    free(cluster->away);
    cluster_cover_destroy(cluster->cover);
    store_vouch_uninit(&cluster->former);
}

/* Whether something of the shard is on fewer disks than it should be, as its
 * owner here sees it. */
static bool
is_short(const struct cluster *cluster, uint32_t slot,
         const struct store_copies_status *status)
{
    uint32_t n = cluster->config.n_stores;

    for (uint32_t c = 0; c < cluster->config.n_copies; c++) {
        if (!shard_lease_owner(cluster->lease_2, slot % n + c * n)) {
            return true;
        }
    }
    return !status->is_known || status->is_short;
}

void
cluster_copies_sum(const struct cluster *cluster,
                   struct cluster_copies_sum *sum)
{
    *sum = (struct cluster_copies_sum){.n_short = 0};
    for (uint32_t i = 0;
         cluster->stores && i < cluster_shards_n_slots(cluster); i++) {
        struct store_copies_status status;

        if (!cluster->stores[i] ||
            !cluster_store_get_copies(cluster->stores[i], &status)) {
            continue;
        }
        if (i < cluster->config.n_stores) {
            sum->n_short += is_short(cluster, i, &status);
            sum->n_lost += status.is_lost;
        }
        sum->n_fetching += status.is_refilling;
        sum->n_fetched += status.n_refilled;
    }
}

json_t *
cluster_copies_to_json(const struct cluster *cluster)
{
    uint32_t n_owned = 0, n_short = 0, n_lost = 0, n_fetching = 0;

    for (uint32_t i = 0; cluster->lease_2 && i < cluster->config.n_stores;
         i++) {
        n_owned += shard_lease_owner(cluster->lease_2, i) != NULL;
    }
    for (size_t i = 0;
         cluster->lease_2 && i < cluster_members_n(cluster->members); i++) {
        const struct cluster_member *m =
            cluster_members_get(cluster->members, i);

        if (is_alive(cluster, m->name)) {
            n_short += m->n_short;
            n_lost += m->n_lost;
            n_fetching += m->n_fetching;
        }
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "wanted",
                     (json_int_t) cluster->config.n_copies, "unknown",
                     (json_int_t) (cluster->config.n_stores - n_owned),
                     "short", (json_int_t) n_short, "lost",
                     (json_int_t) n_lost, "fetching", (json_int_t) n_fetching);
}
