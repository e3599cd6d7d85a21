/* SPDX-License-Identifier: Apache-2.0 */
/* archive_old - the files of an archive that are written no more. */
#include <config.h>

#include "lib/archive_old.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/archive_sums.h"
#include "lib/lh_alloc.h"

/* Blocks that are worth a merge. */
#define MIN_BLOCKS 8
/* Blocks of so many histories are large enough. */
#define LARGE_BLOCK 32768u

struct covered_file {
    struct archive_segment segment;
    uint64_t size;
    uint64_t since_ns;
};

struct archive_old {
    size_t n, allocated;
    struct archive_old_file *files; /* Oldest first.  Owned. */
    size_t n_covered, allocated_covered;
    struct covered_file *covered; /* Owned. */
    uint64_t n_bytes;             /* Of all of them. */
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
        free(old->covered);
        free(old);
    }
}

void
archive_old_add(struct archive_old *old, const struct archive_old_file *file)
{
    old->files =
        lh_alloc_grow(old->files, old->n, &old->allocated, sizeof *old->files);
    old->files[old->n++] = *file;
    old->n_bytes += file->size + file->sums_size;
}

void
archive_old_add_covered(struct archive_old *old,
                        const struct archive_segment *segment, uint64_t size,
                        uint64_t now_ns)
{
    old->covered =
        lh_alloc_grow(old->covered, old->n_covered, &old->allocated_covered,
                      sizeof *old->covered);
    old->covered[old->n_covered++] =
        (struct covered_file){*segment, size, now_ns};
    old->n_bytes += size;
}

uint64_t
archive_old_bytes(const struct archive_old *old)
{
    return old->n_bytes;
}

/* --- Merging ------------------------------------------------------------ */

/* How large its blocks are: 0 up to 7 histories, 1 up to 63, .. */
static unsigned int
level_of(const struct archive_old_file *file)
{
    uint64_t n = file->n_blocks ? file->n_records / file->n_blocks : 0;
    unsigned int level = 0;

    for (; n >= 8; n /= 8) {
        level++;
    }
    return level;
}

static bool
is_large(const struct archive_old_file *file, uint64_t max_bytes)
{
    return file->is_fixed || file->size >= max_bytes ||
           (file->n_blocks && file->n_records / file->n_blocks >= LARGE_BLOCK);
}

/* Of the oldest 'n' files the oldest run of at most 'level' that is worth a
 * merge. */
static size_t
plan_level(const struct archive_old *old, size_t n, uint64_t max_bytes,
           unsigned int level, size_t *first)
{
    uint64_t n_blocks = 0, size = 0;

    *first = 0;
    for (size_t i = 0; i < n; i++) {
        const struct archive_old_file *file = &old->files[i];

        if (is_large(file, max_bytes) || level_of(file) > level) {
            *first = i + 1;
            n_blocks = 0;
            size = 0;
            continue;
        }
        if (size + file->size > max_bytes) {
            *first = i;
            n_blocks = 0;
            size = 0;
        }
        n_blocks += file->n_blocks;
        size += file->size;

        /* All neighbours that fit go along. */
        bool is_end = i + 1 == n || is_large(&old->files[i + 1], max_bytes) ||
                      level_of(&old->files[i + 1]) > level ||
                      size + old->files[i + 1].size > max_bytes;

        if (is_end && i > *first && n_blocks >= MIN_BLOCKS) {
            return i - *first + 1;
        }
    }
    return 0;
}

size_t
archive_old_plan(const struct archive_old *old, uint64_t max_bytes,
                 uint64_t end, const struct archive_old_file **files)
{
    size_t n_files = old->n;

    while (n_files && old->files[n_files - 1].segment.last >= end) {
        n_files--;
    }
    *files = NULL;
    for (unsigned int level = 0; level <= 5; level++) {
        size_t first, n = plan_level(old, n_files, max_bytes, level, &first);

        if (n) {
            *files = old->files + first;
            return n;
        }
    }
    return 0;
}

/* Sets '*first' to the index of the file with which 'segment' begins; returns
 * how many files it is made of, 0 when they are not all there. */
static size_t
find_run(const struct archive_old *old, const struct archive_segment *segment,
         size_t *first)
{
    size_t i = 0, n = 0;

    while (i < old->n && old->files[i].segment.first < segment->first) {
        i++;
    }
    *first = i;
    if (i == old->n || old->files[i].segment.first != segment->first) {
        return 0;
    }
    while (i + n < old->n && old->files[i + n].segment.last <= segment->last) {
        n++;
    }
    return n && old->files[i + n - 1].segment.last == segment->last ? n : 0;
}

bool
archive_old_has(const struct archive_old *old,
                const struct archive_segment *segment)
{
    size_t first;

    return find_run(old, segment, &first) != 0;
}

void
archive_old_replace(struct archive_old *old,
                    const struct archive_old_file *merged, uint64_t now_ns)
{
    size_t first, n = find_run(old, &merged->segment, &first);
    uint64_t max_ns = 0;

    assert(n);
    for (size_t i = 0; i < n; i++) {
        const struct archive_old_file *file = &old->files[first + i];

        max_ns = file->max_ns > max_ns ? file->max_ns : max_ns;
        old->n_bytes -= file->size + file->sums_size;
        archive_old_add_covered(old, &file->segment,
                                file->size + file->sums_size, now_ns);
    }
    old->files[first] = *merged;
    old->files[first].max_ns = max_ns; /* In it are times of wrong clocks. */
    old->n_bytes += merged->size;
    memmove(old->files + first + 1, old->files + first + n,
            (old->n - first - n) * sizeof *old->files);
    old->n -= n - 1;
}

void
archive_old_fix(struct archive_old *old, uint64_t first)
{
    for (size_t i = 0; i < old->n; i++) {
        if (old->files[i].segment.first == first) {
            old->files[i].is_fixed = true;
        }
    }
}

/* --- Sums --------------------------------------------------------------- */

const struct archive_old_file *
archive_old_plan_sums(const struct archive_old *old, uint64_t min_records,
                      uint64_t end)
{
    for (size_t i = old->n; i-- > 0;) {
        const struct archive_old_file *file = &old->files[i];

        if (file->segment.last < end && !file->sums_size &&
            !file->has_no_sums && !file->is_fixed &&
            file->n_records >= min_records) {
            return file;
        }
    }
    return NULL;
}

bool
archive_old_set_sums(struct archive_old *old,
                     const struct archive_segment *segment, uint64_t size)
{
    for (size_t i = 0; i < old->n; i++) {
        struct archive_old_file *file = &old->files[i];

        if (file->segment.first == segment->first &&
            file->segment.last == segment->last) {
            old->n_bytes += size - file->sums_size;
            file->sums_size = size;
            file->has_no_sums = !size;
            return true;
        }
    }
    return false;
}

/* --- Removing ----------------------------------------------------------- */

/* Removes a file, before it its sums. */
static int
remove_file(const char *dir, const struct archive_segment *segment)
{
    char *path = archive_dir_segment(dir, segment);
    int error = archive_sums_remove(dir, segment);

    if (!error && unlink(path) && errno != ENOENT) {
        error = errno;
    }

    free(path);
    return error;
}

/* Removes what is in another file: all of it, or what is part of 'within', or
 * what has been there for longer than 'keep_ns'. */
static int
remove_covered(struct archive_old *old, const char *dir, bool all,
               const struct archive_segment *within, uint64_t keep_ns,
               uint64_t now_ns)
{
    size_t n = 0;
    int error = 0;

    for (size_t i = 0; i < old->n_covered; i++) {
        const struct covered_file *file = &old->covered[i];
        bool has_to_go =
            all || (within && file->segment.first >= within->first &&
                    file->segment.last <= within->last);

        if (!within && now_ns > file->since_ns &&
            now_ns - file->since_ns > keep_ns) {
            has_to_go = true;
        }
        if (has_to_go && !error) {
            error = remove_file(dir, &file->segment);
        }
        if (has_to_go && !error) {
            old->n_bytes -= file->size;
        } else {
            old->covered[n++] = *file;
        }
    }
    old->n_covered = n;
    return error;
}

/* All that was in it was cut off. */
static bool
is_empty(const struct archive_old_file *file)
{
    return !file->size && !file->n_blocks;
}

/* The oldest that has something; NULL: none has. */
static const struct archive_old_file *
find_oldest(const struct archive_old *old)
{
    size_t i = 0;

    while (i < old->n && is_empty(&old->files[i])) {
        i++;
    }
    return i < old->n ? &old->files[i] : NULL;
}

/* Removes what is empty, but the first one, which shows that nothing was
 * removed before what follows it, and the last one, whose number is not to be
 * given again. */
static int
remove_empty(struct archive_old *old, const char *dir)
{
    size_t n = 0;
    int error = 0;

    for (size_t i = 0; i < old->n; i++) {
        const struct archive_old_file *file = &old->files[i];
        bool has_to_go = i && i + 1 < old->n && is_empty(file);

        if (has_to_go && !error) {
            error = remove_file(dir, &file->segment);
        }
        if (has_to_go && !error) {
            old->n_bytes -= file->sums_size;
        } else {
            old->files[n++] = *file;
        }
    }
    old->n = n;
    return error;
}

int
archive_old_retain(struct archive_old *old, const char *dir, uint64_t more,
                   const struct archive_old_limits *limits, bool must_shrink,
                   uint64_t now_ns, uint64_t *n_removed)
{
    bool is_over = limits->max_bytes && old->n_covered &&
                   old->n_bytes + more > limits->max_bytes;
    int error = remove_covered(old, dir, must_shrink || is_over, NULL,
                               limits->keep_ns, now_ns);

    while (old->n && !error) {
        const struct archive_old_file *oldest = find_oldest(old);
        bool is_aged = limits->max_ns && oldest && oldest->max_ns < now_ns &&
                       now_ns - oldest->max_ns > limits->max_ns;

        is_over = oldest && limits->max_bytes &&
                  old->n_bytes + more > limits->max_bytes;
        if (!is_over && !is_aged) {
            break;
        }
        oldest = &old->files[0]; /* What is empty goes with what follows. */
        /* Before it, what would be read in its place. */
        error = remove_covered(old, dir, false, &oldest->segment, 0, now_ns);
        if (!error) {
            error = remove_file(dir, &oldest->segment);
        }
        if (!error) {
            (*n_removed)++;
            old->n_bytes -= oldest->size + oldest->sums_size;
            old->n--;
            memmove(old->files, old->files + 1, old->n * sizeof *old->files);
        }
    }
    return error || !limits->max_ns ? error : remove_empty(old, dir);
}
