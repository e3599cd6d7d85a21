/* SPDX-License-Identifier: Apache-2.0 */
/* lasthopctl - `archive repair`: new files of what is sound.
 *
 * Nothing is deleted: what a file was before stays beside it, as
 * NAME.damaged.  At every moment the archive has either file. */
#include <config.h>
#include "apps/lasthopctl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/archive_survey.h"
#include "lib/archive_block.h"
#include "lib/archive_commit.h"
#include "lib/archive_scan.h"
#include "lib/archive_shards.h"
#include "lib/archive_sums.h"
#include "lib/byte_buf.h"
#include "lib/lh_alloc.h"
#include "lib/time_spec.h"

#define CHUNK ((size_t) 1 << 20)
/* No more notes than this are written for one damage. */
#define MAX_NOTES 65536u

/* Writes 'n' bytes.  Returns 0 or an errno. */
static int
write_all(int fd, const uint8_t *data, size_t n)
{
    while (n) {
        ssize_t done = write(fd, data, n);

        if (done < 0 && errno != EINTR) {
            return errno;
        }
        if (done > 0) {
            data += done;
            n -= (size_t) done;
        }
    }
    return 0;
}

/* Copies the bytes of 'from' between two offsets to the end of 'to'. */
static int
copy_bytes(int from, uint64_t offset, uint64_t end, int to)
{
    uint8_t *chunk = lh_alloc(CHUNK);
    int retval = 0;

    while (offset < end && !retval) {
        size_t n = end - offset < CHUNK ? (size_t) (end - offset) : CHUNK;

        retval = archive_read_at(from, offset, chunk, n);
        if (!retval) {
            retval = write_all(to, chunk, n);
        }
        offset += n;
    }
    free(chunk);
    return retval;
}

/* Writes notes of histories lost in the place of the blocks that 'd' was, so
 * that whoever asks for its times is told. */
static int
write_notes(int fd, const struct survey_damage *d)
{
    uint64_t max_ns = d->max_ns == UINT64_MAX ? d->min_ns : d->max_ns;
    uint64_t last = d->last_seq ? d->last_seq : d->first_seq;
    struct byte_buf packed = {0};
    int retval = 0;

    if (!d->first_seq) {
        return 0;
    }
    for (uint64_t i = d->first_seq;
         i <= last && i - d->first_seq < MAX_NOTES && !retval; i++) {
        struct archive_block block = {
            .kind = ARCHIVE_LOSS,
            .n_records = 1,
            .sequence = i,
            .min_ns = d->min_ns,
            .max_ns = max_ns,
        };
        json_t *json = json_pack(
            "{s:I, s:I, s:s%}", "min_ns", (json_int_t) d->min_ns, "max_ns",
            (json_int_t) max_ns, "reason", d->why, strlen(d->why));

        if (d->n_histories != UINT64_MAX) {
            json_object_set_new(
                json, "histories",
                json_integer(i == last ? (json_int_t) d->n_histories : 0));
        }

        char *text = json_dumps(json, JSON_COMPACT);

        byte_buf_clear(&packed);
        archive_block_pack(&block, (const uint8_t *) text, strlen(text),
                           &packed);
        retval = write_all(fd, packed.data, packed.len);
        free(text);
        json_decref(json);
    }
    byte_buf_uninit(&packed);
    return retval;
}

static bool
is_repairable(const struct survey_damage *d)
{
    return d->kind == ARCHIVE_DAMAGE_BYTES ||
           d->kind == ARCHIVE_DAMAGE_PAYLOAD;
}

static bool
is_in(const struct survey_damage *d, const struct archive_segment *segment)
{
    return d->segment.first == segment->first &&
           d->segment.last == segment->last;
}

/* Writes what is sound of 'from', the file of 'segment', to 'to'. */
static int
write_sound(const struct archive_survey *survey,
            const struct archive_segment *segment, int from, uint64_t size,
            int to)
{
    uint64_t at = 0;
    int retval = 0;

    for (size_t i = 0; i < survey->n_damages && !retval; i++) {
        const struct survey_damage *d = &survey->damages[i];

        if (is_repairable(d) && is_in(d, segment)) {
            retval = copy_bytes(from, at, d->offset, to);
            if (!retval) {
                retval = write_notes(to, d);
            }
            at = d->offset + d->len;
        }
    }
    return retval ? retval : copy_bytes(from, at, size, to);
}

/* Gives 'path' another name as well, NAME.damaged or, where that is taken,
 * NAME.damaged.1 and so on: '*kept', for free(). */
static int
keep_damaged(const char *path, char **kept)
{
    *kept = lh_asprintf("%s.damaged", path);
    for (int i = 1; link(path, *kept); i++) {
        if (errno != EEXIST || i > 1000) {
            return errno;
        }
        free(*kept);
        *kept = lh_asprintf("%s.damaged.%d", path, i);
    }
    return 0;
}

/* Puts the new file in the place of the damaged one, durably. */
static int
replace(const char *dir, const char *path, const char *made, char **kept)
{
    int retval = keep_damaged(path, kept);

    if (!retval && rename(made, path)) {
        retval = errno;
        unlink(*kept);
    }
    return retval ? retval : archive_dir_sync(dir);
}

static int
repair_segment(const struct archive_survey *survey,
               const struct archive_segment *segment)
{
    char *path = archive_dir_segment(survey->dir, segment);
    char *made = lh_asprintf("%s.new", path), *kept = NULL;
    int from = open(path, O_RDONLY | O_CLOEXEC), to = -1, retval = 0;
    struct stat st;

    if (from < 0 || fstat(from, &st)) {
        retval = errno;
        goto out;
    }
    /* One of a repair that was killed goes. */
    to = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (to < 0 || fchown(to, st.st_uid, st.st_gid) ||
        fchmod(to, st.st_mode & 0777)) {
        retval = errno;
        goto out;
    }
    retval = write_sound(survey, segment, from, (uint64_t) st.st_size, to);
    if (!retval && fsync(to)) {
        retval = errno;
    }
    if (!retval) {
        retval = replace(survey->dir, path, made, &kept);
    }
    if (!retval) {
        /* They are of the blocks that were. */
        retval = archive_sums_remove(survey->dir, segment);
    }

out:
    if (retval) {
        fprintf(stderr, "lasthopctl: %s: cannot be repaired: %s\n", path,
                strerror(retval));
        if (to >= 0) {
            unlink(made);
        }
    } else {
        printf("%s: written anew; as it was: %s\n", path, kept ? kept : "");
    }
    if (from >= 0) {
        close(from);
    }
    if (to >= 0) {
        close(to);
    }
    free(kept);
    free(made);
    free(path);
    return retval;
}

/* Repairs every file that needs it; returns how many could not be. */
static size_t
repair_segments(const struct archive_survey *survey, size_t *n_repaired)
{
    const struct archive_segment *done = NULL;
    size_t n_failed = 0;

    for (size_t i = 0; i < survey->n_damages; i++) {
        const struct survey_damage *d = &survey->damages[i];

        if (is_repairable(d) && (!done || !is_in(d, done))) {
            done = &d->segment;
            if (repair_segment(survey, done)) {
                n_failed++;
            } else {
                ++*n_repaired;
            }
        }
    }
    return n_failed;
}

/* Removes sums that are of no use: the next server makes them anew. */
static size_t
remove_useless_sums(const struct archive_survey *survey)
{
    size_t n_failed = 0;

    for (size_t i = 0; i < survey->n_useless; i++) {
        const struct archive_segment *segment = &survey->useless[i].segment;
        char *path = archive_sums_path(survey->dir, segment);
        int retval = archive_sums_remove(survey->dir, segment);

        if (retval) {
            fprintf(stderr, "lasthopctl: %s: %s\n", path, strerror(retval));
            n_failed++;
        } else {
            printf("%s: removed\n", path);
        }
        free(path);
    }
    return n_failed;
}

/* Gives 'NAME' in the directory to whom the directory belongs: the server
 * has to be able to open what root made. */
static void
give_to_owner(const char *dir, const char *name)
{
    char *path = lh_asprintf("%s/%s", dir, name);
    struct stat st;

    if (stat(dir, &st) || chown(path, st.st_uid, st.st_gid)) {
        fprintf(stderr, "lasthopctl: %s: its owner stays: %s\n", path,
                strerror(errno));
    }
    free(path);
}

/* Writes meta.json anew.  Returns 0 or an errno, which was told. */
static int
rebuild_meta(const struct ctl *ctl, const struct archive_survey *survey)
{
    struct archive_meta meta = {
        .version = ARCHIVE_VERSION,
        .created_ns = survey->min_ns ? survey->min_ns : time_spec_now(),
        .packet_id = survey->all.packet_id,
    };
    char *path = lh_asprintf("%s/meta.json", survey->dir), *kept = NULL;
    struct lh_error error;
    int retval = 0;

    if (ctl->has_id_seed) {
        meta.packet_id.seed = ctl->id_seed;
    }
    if (ctl->id_bytes) {
        meta.packet_id.n_bytes = (uint16_t) ctl->id_bytes;
    }
    if (!survey->all.has_packet_id && (!ctl->has_id_seed || !ctl->id_bytes)) {
        fprintf(stderr,
                "lasthopctl: %s: no sound block tells the constants of packet "
                "IDs: give --id-seed and --id-bytes as lasthop-server had "
                "them\n",
                path);
        retval = ENODATA;
    } else if (!access(path, F_OK) && (retval = keep_damaged(path, &kept))) {
        fprintf(stderr, "lasthopctl: %s: %s\n", path, strerror(retval));
    } else if ((retval = archive_meta_store(survey->dir, &meta, &error)) !=
               0) {
        fprintf(stderr, "lasthopctl: %s\n", error.text);
    } else {
        give_to_owner(survey->dir, "meta.json");
        printf("%s: written anew, seed %016" PRIx64 ", %u bytes%s%s\n", path,
               meta.packet_id.seed, meta.packet_id.n_bytes,
               kept ? "; as it was: " : "", kept ? kept : "");
    }
    free(kept);
    free(path);
    return retval;
}

/* Repairs what is locked. */
static int
repair_locked(const struct ctl *ctl, const char *dir, int meta_error)
{
    struct archive_survey survey;
    struct lh_error error;
    size_t n_failed, n_repaired = 0, n_left = 0;

    if (archive_survey_take(&survey, dir, &error)) {
        fprintf(stderr, "lasthopctl: %s\n", error.text);
        return CTL_USAGE;
    }
    n_failed = remove_useless_sums(&survey);
    n_failed += repair_segments(&survey, &n_repaired);
    if (meta_error) {
        n_failed += rebuild_meta(ctl, &survey) != 0;
    }
    for (size_t i = 0; i < survey.n_damages; i++) {
        n_left += !is_repairable(&survey.damages[i]);
    }
    if (n_left) {
        printf("%s: %zu %s cannot be repaired from what is there, blocks "
               "that are missing or files that cannot be read; lasthopctl "
               "archive verify names them\n",
               dir, n_left, app_noun(n_left, "place", "places"));
    }
    printf("%s: %zu %s repaired, %zu could not be; ", dir, n_repaired,
           app_noun(n_repaired, "file", "files"), n_failed);
    ctl_print_count((long long) survey.all.n_histories, "sound history\n",
                    "sound histories\n");
    archive_survey_uninit(&survey);
    return n_failed || n_left ? CTL_FAILED : CTL_OK;
}

/* Why an archive of a cluster's server is not to be touched yet; then it was
 * said. */
static bool
is_held_back(const char *dir)
{
    struct archive_commit commit;
    struct lh_error error;
    uint32_t *shards;
    size_t n;
    int retval = archive_shards_find(dir, &shards, &n, &error);

    if (!retval && n) {
        fprintf(stderr,
                "lasthopctl: %s: it has %zu shards, each an archive of its "
                "own: repair the one that is damaged, as %s/shard-%02" PRIu32
                "; nothing was changed\n",
                dir, n, dir, shards[0]);
        free(shards);
        return true;
    }
    retval = archive_commit_load(dir, &commit, &error);
    if (retval && retval != ENOENT && retval != ENOTDIR) {
        fprintf(stderr, "lasthopctl: %s; nothing was changed\n", error.text);
        return true;
    }
    if (!retval && (commit.before.number != commit.after.number ||
                    commit.before.offset != commit.after.offset)) {
        fprintf(stderr,
                "lasthopctl: %s: only the cluster knows whether its last "
                "round counts: start its server, which finds out, stop it, "
                "and repair then; nothing was changed\n",
                dir);
        return true;
    }
    return false;
}

/* What was repaired has other lengths: all of it counts. */
static int
keep_all(const char *dir)
{
    struct archive_commit commit;
    struct archive_segment *segments;
    struct lh_error error;
    size_t n;
    int retval = archive_commit_load(dir, &commit, &error);

    if (retval) {
        return 0; /* No shard. */
    }
    retval = archive_dir_list(dir, &segments, &n, NULL, NULL, &error);
    if (!retval && n && segments[n - 1].last >= commit.after.number) {
        commit.after.number = segments[n - 1].last + 1;
        commit.after.offset = 0;
        commit.before = commit.after;
        retval = archive_commit_store(dir, &commit, &error);
        give_to_owner(dir, "commit");
    }
    free(segments);
    if (retval) {
        fprintf(stderr, "lasthopctl: %s\n", error.text);
    }
    return retval;
}

int
ctl_archive_repair(struct ctl *ctl, int argc, char *argv[])
{
    const char *dir = argv[0];
    struct archive_segment *segments;
    struct archive_meta meta;
    struct lh_error trouble, error;
    size_t n;
    int lock_fd, status, meta_error = archive_meta_load(dir, &meta, &trouble);

    if (!meta_error) {
        archive_meta_uninit(&meta);
    }
    if (archive_dir_list(dir, &segments, &n, NULL, NULL, &error)) {
        fprintf(stderr, "lasthopctl: %s\n", error.text);
        return CTL_USAGE;
    }
    free(segments);
    /* Only one that is not there or cannot be understood is written anew. */
    if (meta_error && meta_error != EINVAL && (meta_error != ENOENT || !n)) {
        fprintf(stderr, "lasthopctl: %s: %s\n",
                meta_error == ENOENT ? "no archive" : dir, trouble.text);
        return CTL_USAGE;
    }
    if (is_held_back(dir)) {
        return CTL_FAILED;
    }
    if (archive_dir_lock(dir, &lock_fd, &error)) {
        fprintf(stderr, "lasthopctl: %s; nothing was changed: stop it first\n",
                error.text);
        return CTL_FAILED;
    }
    give_to_owner(dir, "lock");
    status = repair_locked(ctl, dir, meta_error);
    if (keep_all(dir)) {
        status = CTL_FAILED;
    }
    close(lock_fd);
    return status;
}
