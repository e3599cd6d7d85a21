/* SPDX-License-Identifier: Apache-2.0 */
/* archive_span - which time an archive reaches back to, and where it ends. */
#include <config.h>
#include "lib/archive_span.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/archive_dir.h"
#include "lib/archive_scan.h"
#include "lib/archive_shards.h"

/* Sets '*time_ns' to the earliest postcard of the first block of histories
 * that has one before 'until_ns', or to the latest of all blocks.  False when
 * the file has no such block, or cannot be read. */
static bool
look_into(const char *path, bool is_newest, uint64_t until_ns,
          uint64_t *time_ns)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct archive_scan_item item;
    struct archive_scan scan;
    bool found = false;
    struct stat st;

    if (fd < 0) {
        return false;
    }
    if (!fstat(fd, &st)) {
        archive_scan_init(&scan, fd, 0, (uint64_t) st.st_size);
        while (!(found && !is_newest) &&
               archive_scan_next(&scan, &item) != ARCHIVE_SCAN_END) {
            if (item.what != ARCHIVE_SCAN_BLOCK ||
                (item.block.kind != ARCHIVE_HISTORIES &&
                 item.block.kind != ARCHIVE_COLUMNS)) {
                continue;
            }
            if (!is_newest && item.block.min_ns >= until_ns) {
                continue;
            }
            if (!is_newest) {
                *time_ns = item.block.min_ns;
            } else if (!found || item.block.max_ns > *time_ns) {
                *time_ns = item.block.max_ns;
            }
            found = true;
        }
    }
    close(fd);
    return found;
}

/* Looks into the files of each shard, which are 'n', from either end until one
 * has histories. */
static bool
look_into_shard(const char *dir, const struct archive_segment *segments,
                size_t n, bool is_newest, uint64_t until_ns, uint64_t *time_ns)
{
    bool found = false;

    for (size_t i = 0; i < n && !found; i++) {
        char *path =
            archive_dir_segment(dir, &segments[is_newest ? n - 1 - i : i]);

        found = look_into(path, is_newest, until_ns, time_ns);
        free(path);
    }
    return found;
}

static int
look(const char *dir, bool is_newest, uint64_t until_ns, uint64_t *time_ns,
     struct lh_error *error)
{
    struct archive_segment *segments;
    bool found = false;
    size_t n;
    int retval = archive_shards_list(dir, &segments, &n, error);

    if (retval) {
        return retval;
    }
    for (size_t i = 0, end; i < n; i = end) {
        uint64_t its_ns = 0;

        for (end = i; end < n && segments[end].shard == segments[i].shard;) {
            end++;
        }
        if (look_into_shard(dir, segments + i, end - i, is_newest, until_ns,
                            &its_ns)) {
            if (!found ||
                (is_newest ? its_ns > *time_ns : its_ns < *time_ns)) {
                *time_ns = its_ns;
            }
            found = true;
        }
    }
    free(segments);
    if (!found) {
        lh_error_set(error, "%s: there are no histories in it", dir);
        return ENOENT;
    }
    return 0;
}

int
archive_span_oldest(const char *dir, uint64_t until_ns, uint64_t *time_ns,
                    struct lh_error *error)
{
    return look(dir, false, until_ns, time_ns, error);
}

int
archive_span_newest(const char *dir, uint64_t *time_ns, struct lh_error *error)
{
    return look(dir, true, UINT64_MAX, time_ns, error);
}
