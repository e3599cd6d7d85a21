/* SPDX-License-Identifier: Apache-2.0 */
/* archive_shards - the files of an archive and of those of its shards. */
#include <config.h>

#include "lib/archive_shards.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/archive_sums.h"
#include "lib/lh_alloc.h"

uint32_t
archive_shards_number(uint32_t shard, uint32_t copy)
{
    return shard | copy << ARCHIVE_DIR_COPY_SHIFT;
}

char *
archive_shards_path(const char *dir, uint32_t shard)
{
    char name[ARCHIVE_DIR_SHARD_NAME_SIZE];

    archive_dir_shard_name(shard, name);
    return lh_asprintf("%s/%s", dir, name);
}

static bool
is_shard(const char *name, uint32_t *shard)
{
    char again[ARCHIVE_DIR_SHARD_NAME_SIZE];
    uint32_t number, copy = 0;

    if (sscanf(name, "shard-%5" SCNu32 ".%1" SCNu32, &number, &copy) < 1 ||
        number >= 1u << ARCHIVE_DIR_COPY_SHIFT) {
        return false;
    }
    *shard = archive_shards_number(number, copy);
    archive_dir_shard_name(*shard, again);
    return !strcmp(name, again);
}

static int
compare(const void *a_, const void *b_)
{
    const uint32_t *a = a_, *b = b_;

    return *a < *b ? -1 : *a > *b;
}

int
archive_shards_find(const char *dir, uint32_t **shards, size_t *n,
                    struct lh_error *error)
{
    DIR *stream = opendir(dir);
    const struct dirent *entry;
    size_t allocated = 0;
    uint32_t shard;

    *shards = NULL;
    *n = 0;
    if (!stream) {
        int retval = errno;

        lh_error_set(error, "%s: %s", dir, strerror(retval));
        return retval;
    }
    while ((entry = readdir(stream)) != NULL) {
        if (is_shard(entry->d_name, &shard)) {
            *shards = lh_alloc_grow(*shards, *n, &allocated, sizeof **shards);
            (*shards)[(*n)++] = shard;
        }
    }
    closedir(stream);
    if (*n) {
        qsort(*shards, *n, sizeof **shards, compare);
    }
    return 0;
}

/* Adds those of a shard behind the '*n' in '*segments'. */
static int
add_shard(const char *dir, uint32_t shard, struct archive_segment **segments,
          size_t *n, struct lh_error *error)
{
    char *path = archive_shards_path(dir, shard);
    struct archive_segment *more;
    size_t n_more;
    int retval = archive_dir_list(path, &more, &n_more, NULL, NULL, error);

    free(path);
    if (retval == ENOENT || retval == ENOTDIR) {
        return 0;
    }
    if (!retval && n_more) {
        *segments = lh_alloc_array(*segments, *n + n_more, sizeof **segments);
        for (size_t i = 0; i < n_more; i++) {
            (*segments)[*n] = more[i];
            (*segments)[(*n)++].shard = shard + 1;
        }
    }
    free(more);
    return retval;
}

int
archive_shards_list(const char *dir, struct archive_segment **segments,
                    size_t *n, struct lh_error *error)
{
    uint32_t *shards;
    size_t n_shards;
    int retval = archive_dir_list(dir, segments, n, NULL, NULL, error);

    if (retval) {
        return retval;
    }
    retval = archive_shards_find(dir, &shards, &n_shards, error);
    for (size_t i = 0; i < n_shards && !retval; i++) {
        retval = add_shard(dir, shards[i], segments, n, error);
    }
    free(shards);
    if (retval) {
        free(*segments);
        *segments = NULL;
        *n = 0;
    }
    return retval;
}

int
archive_shards_bytes(const char *dir, uint32_t shard, uint64_t *own,
                     uint64_t *all, struct lh_error *error)
{
    struct archive_segment *segments;
    size_t n;
    int retval = archive_shards_list(dir, &segments, &n, error);

    *own = *all = 0;
    for (size_t i = 0; !retval && i < n; i++) {
        char *path = archive_dir_segment(dir, &segments[i]);
        struct stat st;

        if (!stat(path, &st)) {
            uint64_t size =
                (uint64_t) st.st_size + archive_sums_size(dir, &segments[i]);

            *all += size;
            if (segments[i].shard == shard + 1) {
                *own += size;
            }
        }
        free(path);
    }
    free(segments);
    return retval;
}
