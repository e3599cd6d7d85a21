/* SPDX-License-Identifier: Apache-2.0 */
/* archive_old - the files of an archive that are written no more. */
#include <config.h>

#include "lib/archive_old.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/lh_alloc.h"

struct old_file {
    struct archive_segment segment;
    uint64_t size;
    uint64_t max_ns;
};

struct archive_old {
    size_t n, allocated;
    struct old_file *files; /* Oldest first.  Owned. */
    uint64_t n_bytes;
};

struct archive_old *
archive_old_create(void)
{
    return lh_alloc_zero(sizeof(struct archive_old));
}

void
archive_old_destroy(struct archive_old *old)
{
    if (old) {
        free(old->files);
        free(old);
    }
}

void
archive_old_add(struct archive_old *old, const struct archive_segment *segment,
                uint64_t size, uint64_t max_ns)
{
    old->files =
        lh_alloc_grow(old->files, old->n, &old->allocated, sizeof *old->files);
    old->files[old->n++] = (struct old_file){*segment, size, max_ns};
    old->n_bytes += size;
}

uint64_t
archive_old_bytes(const struct archive_old *old)
{
    return old->n_bytes;
}

int
archive_old_retain(struct archive_old *old, const char *dir, uint64_t more,
                   uint64_t max_bytes, uint64_t max_ns, uint64_t now_ns,
                   uint64_t *n_removed)
{
    while (old->n) {
        const struct old_file *oldest = &old->files[0];
        bool is_over = max_bytes && old->n_bytes + more > max_bytes;
        bool is_aged = max_ns && oldest->max_ns < now_ns &&
                       now_ns - oldest->max_ns > max_ns;

        if (!is_over && !is_aged) {
            break;
        }

        char *path = archive_dir_segment(dir, &oldest->segment);
        int error = unlink(path) && errno != ENOENT ? errno : 0;

        free(path);
        if (error) {
            return error;
        }
        (*n_removed)++;
        old->n_bytes -= oldest->size;
        old->n--;
        memmove(old->files, old->files + 1, old->n * sizeof *old->files);
    }
    return 0;
}
