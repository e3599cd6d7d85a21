/* SPDX-License-Identifier: Apache-2.0 */
/* archive_dir - the files of an archive's directory. */
#include <config.h>

#include "lib/archive_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/archive_block.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"

#define FORMAT_NAME  "lasthop-archive"
#define SEGMENT_NAME "segment-%016" PRIx64 ".lha"
#define MERGED_NAME  "segment-%016" PRIx64 "-%016" PRIx64 ".lha"

void
archive_meta_uninit(struct archive_meta *meta)
{
    free(meta->flow_log);
    meta->flow_log = NULL;
}

/* Reads the members of meta.json. */
static int
parse_meta(const json_t *json, struct archive_meta *meta,
           struct lh_error *error)
{
    struct jmember root = jmember_root(json);
    struct jmember format = jmember_get(&root, "format");
    struct jmember version = jmember_get(&root, "version");
    struct jmember created = jmember_get(&root, "created_ns");
    struct jmember id = jmember_get(&root, "packet_id");
    struct jmember seed = jmember_get(&id, "seed");
    struct jmember bytes = jmember_get(&id, "bytes");
    struct jmember flow_log = jmember_get(&root, "flow_log");
    const char *text;
    uint64_t value;

    if (jmember_object(&root, error) ||
        jmember_string(&format, &text, error)) {
        return EINVAL;
    }
    if (strcmp(text, FORMAT_NAME) != 0) {
        return jmember_error(&format, error, "must be \"%s\"", FORMAT_NAME);
    }
    if (jmember_u64(&version, UINT32_MAX, &value, error)) {
        return EINVAL;
    }
    meta->version = (unsigned int) value;
    if (!value) {
        return jmember_error(&version, error, "must be at least 1");
    }
    if (value > ARCHIVE_VERSION) {
        lh_error_set(error,
                     "a newer lasthop wrote it: format version %u, this "
                     "program reads up to %u",
                     meta->version, ARCHIVE_VERSION);
        return EPROTONOSUPPORT;
    }
    if (jmember_u64(&created, UINT64_MAX, &meta->created_ns, error) ||
        jmember_dpid(&seed, &meta->packet_id.seed, error) ||
        jmember_u64(&bytes, UINT16_MAX, &value, error)) {
        return EINVAL;
    }
    meta->packet_id.n_bytes = (uint16_t) value;
    if (jmember_is_there(&flow_log)) {
        if (jmember_string(&flow_log, &text, error)) {
            return EINVAL;
        }
        meta->flow_log = lh_strdup(text);
    }
    return 0;
}

/* What one does about a meta.json that cannot be read. */
static void
add_remedy(struct lh_error *error)
{
    struct lh_error why = *error;

    lh_error_set(error,
                 "%s; to repair it, move it away and start lasthop-server "
                 "once with this --archive (and the --id-seed and --id-bytes "
                 "that it had): it writes a new one, and all histories stay",
                 why.text);
}

int
archive_meta_load(const char *dir, struct archive_meta *meta,
                  struct lh_error *error)
{
    char *path = lh_asprintf("%s/meta.json", dir);
    struct lh_error reason = {.pos = -1};
    json_error_t why;
    json_t *json = NULL;
    FILE *stream = fopen(path, "re");
    int retval;

    memset(meta, 0, sizeof *meta);
    if (!stream) {
        retval = errno;
        lh_error_set(error, "%s: %s", path, strerror(retval));
        free(path);
        return retval;
    }
    json = json_loadf(stream, JSON_REJECT_DUPLICATES, &why);
    fclose(stream);
    if (!json) {
        lh_error_set(&reason, "%s:%d: %s", path, why.line, why.text);
        retval = EINVAL;
    } else {
        retval = parse_meta(json, meta, &reason);
        if (retval) {
            lh_error_prefix(&reason, "%s", path);
            archive_meta_uninit(meta);
        }
        json_decref(json);
    }
    if (retval == EINVAL) {
        add_remedy(&reason);
    }
    if (retval) {
        lh_error_set(error, "%s", reason.text);
    }
    free(path);
    return retval;
}

int
archive_meta_store(const char *dir, const struct archive_meta *meta,
                   struct lh_error *error)
{
    char *path = lh_asprintf("%s/meta.json", dir);
    char *temporary = lh_asprintf("%s/meta.json.new", dir);
    json_t *json = json_pack(
        "{s:s, s:I, s:I, s:{s:o, s:I}, s:s?}", "format", FORMAT_NAME,
        "version", (json_int_t) meta->version, "created_ns",
        (json_int_t) meta->created_ns, "packet_id", "seed",
        jmember_dpid_new(meta->packet_id.seed), "bytes",
        (json_int_t) meta->packet_id.n_bytes, "flow_log", meta->flow_log);
    int retval = 0;
    FILE *stream = fopen(temporary, "we");

    if (!stream) {
        retval = errno;
        goto out;
    }
    if (json_dumpf(json, stream, JSON_INDENT(2)) || fputc('\n', stream) < 0 ||
        fflush(stream) || fsync(fileno(stream))) {
        retval = errno ? errno : EIO;
    }
    if (fclose(stream) && !retval) {
        retval = errno;
    }
    if (!retval && rename(temporary, path)) {
        retval = errno;
    }
    if (!retval) {
        retval = archive_dir_sync(dir);
    }
    if (retval) {
        unlink(temporary);
    }

out:
    if (retval) {
        lh_error_set(error, "%s: %s", path, strerror(retval));
    }
    json_decref(json);
    free(temporary);
    free(path);
    return retval;
}

int
archive_meta_agree(const char *dir, const struct packet_id_config *packet_id,
                   const char *flow_log, uint64_t now_ns,
                   struct lh_error *error)
{
    struct archive_meta meta;
    struct lh_error why;
    int retval = archive_meta_load(dir, &meta, &why);

    if (retval == ENOENT) {
        meta = (struct archive_meta){
            .version = ARCHIVE_VERSION,
            .created_ns = now_ns,
            .packet_id = *packet_id,
            .flow_log = lh_strdup(flow_log),
        };
        retval = archive_meta_store(dir, &meta, error);
    } else if (retval) {
        lh_error_set(error, "%s", why.text);
    } else if (meta.packet_id.seed != packet_id->seed ||
               meta.packet_id.n_bytes != packet_id->n_bytes) {
        lh_error_set(error,
                     "%s: its packet IDs are made with other constants "
                     "(seed %016" PRIx64 ", %u bytes): use a new directory",
                     dir, meta.packet_id.seed, meta.packet_id.n_bytes);
        retval = EINVAL;
    } else if (meta.version != ARCHIVE_VERSION ||
               (flow_log &&
                (!meta.flow_log || strcmp(meta.flow_log, flow_log) != 0))) {
        if (flow_log) {
            free(meta.flow_log);
            meta.flow_log = lh_strdup(flow_log);
        }
        meta.version = ARCHIVE_VERSION;
        retval = archive_meta_store(dir, &meta, error);
    }
    archive_meta_uninit(&meta);
    return retval;
}

void
archive_dir_shard_name(uint32_t shard, char name[ARCHIVE_DIR_SHARD_NAME_SIZE])
{
    uint32_t copy = shard >> ARCHIVE_DIR_COPY_SHIFT;
    uint32_t number = shard & ((1u << ARCHIVE_DIR_COPY_SHIFT) - 1);

    if (copy) {
        snprintf(name, ARCHIVE_DIR_SHARD_NAME_SIZE,
                 "shard-%02" PRIu32 ".%" PRIu32, number, copy);
    } else {
        snprintf(name, ARCHIVE_DIR_SHARD_NAME_SIZE, "shard-%02" PRIu32,
                 number);
    }
}

char *
archive_dir_segment(const char *dir, const struct archive_segment *segment)
{
    char shard[ARCHIVE_DIR_SHARD_NAME_SIZE + 1] = "";

    if (segment->shard) {
        archive_dir_shard_name(segment->shard - 1, shard);
        strcat(shard, "/");
    }
    return segment->first == segment->last
               ? lh_asprintf("%s/%s" SEGMENT_NAME, dir, shard, segment->first)
               : lh_asprintf("%s/%s" MERGED_NAME, dir, shard, segment->first,
                             segment->last);
}

char *
archive_dir_beside(const char *dir, const struct archive_segment *segment,
                   const char *suffix)
{
    char *path = archive_dir_segment(dir, segment);
    char *result = lh_asprintf("%s%s", path, suffix);

    free(path);
    return result;
}

static bool
is_segment(const char *name, struct archive_segment *segment)
{
    char again[80];

    if (sscanf(name, "segment-%16" SCNx64 "-%16" SCNx64, &segment->first,
               &segment->last) == 2) {
        snprintf(again, sizeof again, MERGED_NAME, segment->first,
                 segment->last);
        return segment->first < segment->last && !strcmp(name, again);
    }
    if (sscanf(name, "segment-%16" SCNx64, &segment->first) == 1) {
        snprintf(again, sizeof again, SEGMENT_NAME, segment->first);
        segment->last = segment->first;
        return !strcmp(name, again);
    }
    return false;
}

/* By first; of those that begin together the longest first. */
static int
compare_segments(const void *a_, const void *b_)
{
    const struct archive_segment *a = a_, *b = b_;

    if (a->first != b->first) {
        return a->first < b->first ? -1 : 1;
    }
    return a->last > b->last ? -1 : a->last < b->last;
}

/* Moves the segments that are part of another one to the end; returns how many
 * are not. */
static size_t
part_covered(struct archive_segment *segments, size_t n)
{
    struct archive_segment *covered =
        lh_alloc_array(NULL, n + 1, sizeof *covered);
    size_t n_kept = 0, n_covered = 0;

    for (size_t i = 0; i < n; i++) {
        if (n_kept && segments[i].last <= segments[n_kept - 1].last) {
            covered[n_covered++] = segments[i];
        } else {
            segments[n_kept++] = segments[i];
        }
    }
    memcpy(segments + n_kept, covered, n_covered * sizeof *covered);
    free(covered);
    return n_kept;
}

int
archive_dir_list(const char *dir, struct archive_segment **segments, size_t *n,
                 struct archive_segment **covered, size_t *n_covered,
                 struct lh_error *error)
{
    size_t allocated = 0, n_all = 0;
    DIR *stream = opendir(dir);

    *segments = NULL;
    *n = 0;
    if (covered) {
        *covered = NULL;
        *n_covered = 0;
    }
    if (!stream) {
        int retval = errno;

        lh_error_set(error, "%s: %s", dir, strerror(retval));
        return retval;
    }
    for (;;) {
        const struct dirent *entry = readdir(stream);
        struct archive_segment segment = {.shard = 0};

        if (!entry) {
            break;
        }
        if (is_segment(entry->d_name, &segment)) {
            *segments =
                lh_alloc_grow(*segments, n_all, &allocated, sizeof **segments);
            (*segments)[n_all++] = segment;
        }
    }
    closedir(stream);
    if (n_all) {
        qsort(*segments, n_all, sizeof **segments, compare_segments);
        *n = part_covered(*segments, n_all);
    }
    if (covered && n_all > *n) {
        *n_covered = n_all - *n;
        *covered = lh_memdup(*segments + *n, *n_covered * sizeof **covered);
    }
    return 0;
}

int
archive_dir_create(const char *dir, struct lh_error *error)
{
    struct stat st;

    if (mkdir(dir, 0770) == 0) {
        return 0;
    }

    int retval = errno;

    if (retval == EEXIST) {
        if (stat(dir, &st) == 0 && S_ISDIR(st.st_mode)) {
            return 0;
        }
        retval = ENOTDIR;
    }
    lh_error_set(error, "%s: %s", dir, strerror(retval));
    return retval;
}

void
archive_dir_clean(const char *dir)
{
    DIR *stream = opendir(dir);
    const struct dirent *entry;

    while (stream && (entry = readdir(stream)) != NULL) {
        size_t len = strlen(entry->d_name);

        if (len > 8 && !strncmp(entry->d_name, "segment-", 8) &&
            (!strcmp(entry->d_name + len - 8, ".lha.new") ||
             !strcmp(entry->d_name + len - 9, ".sums.new"))) {
            unlinkat(dirfd(stream), entry->d_name, 0);
        }
    }
    if (stream) {
        closedir(stream);
    }
}

int
archive_dir_sync(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        return errno;
    }

    int retval = fsync(fd) ? errno : 0;

    close(fd);
    return retval;
}

uint64_t
archive_dir_written_ns(int fd)
{
    struct stat st;

    if (fd < 0 || fstat(fd, &st) || st.st_mtim.tv_sec < 0) {
        return UINT64_MAX;
    }
    return (uint64_t) st.st_mtim.tv_sec * 1000000000u +
           (uint64_t) st.st_mtim.tv_nsec;
}

int
archive_dir_lock(const char *dir, int *fdp, struct lh_error *error)
{
    char *path = lh_asprintf("%s/lock", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0660);
    int retval = 0;

    *fdp = -1;
    if (fd < 0) {
        retval = errno;
        lh_error_set(error, "%s: %s", path, strerror(retval));
    } else if (flock(fd, LOCK_EX | LOCK_NB)) {
        char pid[32] = "";
        ssize_t n = read(fd, pid, sizeof pid - 1);

        retval = errno == EWOULDBLOCK ? EBUSY : errno;
        pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
        lh_error_set(error, "%s: another server (process %s) writes here",
                     path, pid[0] ? pid : "unknown");
        close(fd);
    } else {
        char pid[32];
        int n = snprintf(pid, sizeof pid, "%ld\n", (long) getpid());

        if (ftruncate(fd, 0) || pwrite(fd, pid, (size_t) n, 0) != n) {
            /* The number is for people only. */
            errno = 0;
        }
        *fdp = fd;
    }
    free(path);
    return retval;
}

int
archive_dir_claim(const char *dir, int *fdp, struct lh_error *error)
{
    int retval = archive_dir_create(dir, error);

    *fdp = -1;
    return retval ? retval : archive_dir_lock(dir, fdp, error);
}
