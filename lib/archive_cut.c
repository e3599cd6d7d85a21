/* SPDX-License-Identifier: Apache-2.0 */
/* archive_cut - takes back what was written to an archive last. */
#include <config.h>

#include "lib/archive_cut.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/archive_dir.h"

/* Makes a file at most 'size' bytes long, durably. */
static int
cut_file(const char *path, uint64_t size, uint64_t *n_cut,
         struct lh_error *error)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat st;
    int retval = 0;

    if (fd < 0 || fstat(fd, &st)) {
        retval = errno;
    } else if ((uint64_t) st.st_size > size) {
        if (ftruncate(fd, (off_t) size) || fsync(fd)) {
            retval = errno;
        } else {
            *n_cut += (uint64_t) st.st_size - size;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    if (retval == ENOENT) {
        return 0; /* Retention was quicker. */
    }
    if (retval) {
        lh_error_set(error, "%s: cannot cut it: %s", path, strerror(retval));
    }
    return retval;
}

/* The newest first: what is left is always the beginning of what was. */
static int
cut_files(const char *dir, const struct archive_segment *segments, size_t n,
          const struct archive_place *place, uint64_t *n_cut,
          struct lh_error *error)
{
    int retval = 0;

    while (n-- && segments[n].last >= place->number && !retval) {
        const struct archive_segment *segment = &segments[n];
        char *path = archive_dir_segment(dir, segment);

        if (segment->first != segment->last) {
            lh_error_set(error,
                         "%s: cannot cut it at file %" PRIu64 ": it was "
                         "merged",
                         path, place->number);
            retval = EINVAL;
        } else {
            retval = cut_file(
                path, segment->first == place->number ? place->offset : 0,
                n_cut, error);
        }
        free(path);
    }
    return retval;
}

int
archive_cut(const char *dir, const struct archive_place *place,
            uint64_t *n_cut, struct lh_error *error)
{
    struct archive_segment *segments;
    int lock_fd, retval = archive_dir_lock(dir, &lock_fd, error);
    size_t n;

    *n_cut = 0;
    if (retval) {
        return retval;
    }
    retval = archive_dir_list(dir, &segments, &n, NULL, NULL, error);
    if (!retval) {
        retval = cut_files(dir, segments, n, place, n_cut, error);
        free(segments);
    }
    close(lock_fd);
    return retval;
}
