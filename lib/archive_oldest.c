/* SPDX-License-Identifier: Apache-2.0 */
/* archive_oldest - how far back an archive reaches. */
#include <config.h>
#include "lib/archive_oldest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/archive_dir.h"
#include "lib/archive_scan.h"

/* False when the file has no block of histories, or cannot be read. */
static bool
look_into(const char *path, uint64_t *time_ns)
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
        while (!found && archive_scan_next(&scan, &item) != ARCHIVE_SCAN_END) {
            found = item.what == ARCHIVE_SCAN_BLOCK &&
                    (item.block.kind == ARCHIVE_HISTORIES ||
                     item.block.kind == ARCHIVE_COLUMNS);
        }
    }
    close(fd);
    if (found) {
        *time_ns = item.block.min_ns;
    }
    return found;
}

int
archive_oldest(const char *dir, uint64_t *time_ns, struct lh_error *error)
{
    struct archive_segment *segments;
    bool found = false;
    size_t n;
    int retval = archive_dir_list(dir, &segments, &n, NULL, NULL, error);

    if (retval) {
        return retval;
    }
    for (size_t i = 0; i < n && !found; i++) {
        char *path = archive_dir_segment(dir, &segments[i]);

        found = look_into(path, time_ns);
        free(path);
    }
    free(segments);
    if (!found) {
        lh_error_set(error, "%s: there are no histories in it", dir);
        return ENOENT;
    }
    return 0;
}
