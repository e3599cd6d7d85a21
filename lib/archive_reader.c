/* SPDX-License-Identifier: Apache-2.0 */
/* archive_reader - reads an archive, also while a server writes to it. */
#include <config.h>

#include "lib/archive_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/archive_fetch.h"
#include "lib/archive_scan.h"
#include "lib/archive_shards.h"
#include "lib/bytes.h"
#include "lib/lh_alloc.h"

/* Files of a shard that a round not committed may have written into. */
#define N_FRESH 8

struct segment {
    struct archive_segment name;
    uint64_t scanned; /* Up to here its blocks are in the index. */
    bool is_bad;      /* It could not be read, which was told. */
    bool is_listed;   /* Scratch of a refresh. */
    size_t n_entries, allocated_entries;
    struct archive_entry *entries; /* Owned. */
};

struct archive_reader {
    char *dir; /* Owned. */
    struct archive_meta meta;

    size_t n_segments, allocated_segments;
    struct segment *segments; /* Oldest first.  Owned. */

    size_t n_entries;
    struct archive_entry *entries; /* Those of all segments.  Owned. */

    struct archive_damages damages;
    bool is_shard; /* Of a cluster: what is newest may be cut back. */

    int fd; /* Of 'fd_segment', kept from load to load; or -1. */
    struct archive_segment fd_segment;
};

/* The latest time in the blocks before the end of 'segment', so far. */
static uint64_t
last_max_ns(const struct archive_reader *r, const struct segment *segment)
{
    size_t i = (size_t) (segment - r->segments) + 1;

    while (i-- > 0 && r->segments[i].name.shard == segment->name.shard) {
        const struct segment *s = &r->segments[i];

        if (s->n_entries) {
            return s->entries[s->n_entries - 1].block.max_ns;
        }
    }
    return 0;
}

/* --- Index -------------------------------------------------------------- */

static void
add_entry(struct archive_reader *r, struct segment *segment,
          const struct archive_scan_item *item)
{
    archive_damages_bound(&r->damages, r->dir, segment->name.shard,
                          item->block.min_ns);
    segment->entries =
        lh_alloc_grow(segment->entries, segment->n_entries,
                      &segment->allocated_entries, sizeof *segment->entries);
    segment->entries[segment->n_entries++] =
        (struct archive_entry){segment->name, item->offset, item->block};
}

static void
scan_item(struct archive_reader *r, struct segment *segment, bool is_newest,
          const struct archive_scan_item *item)
{
    struct archive_damage damage = {
        .segment = segment->name,
        .offset = item->offset,
        .len = item->len,
        .min_ns = last_max_ns(r, segment),
        .max_ns = UINT64_MAX,
    };

    switch (item->what) {
    case ARCHIVE_SCAN_BLOCK:
        add_entry(r, segment, item);
        segment->scanned = item->offset + item->len;
        break;
    case ARCHIVE_SCAN_NEWER:
        damage.kind = ARCHIVE_DAMAGE_NEWER;
        damage.min_ns = item->block.min_ns;
        damage.max_ns = item->block.max_ns;
        archive_damages_add(&r->damages, r->dir, &damage,
                            "a block of a newer format version");
        segment->scanned = item->offset + item->len;
        break;
    case ARCHIVE_SCAN_DAMAGE:
        damage.kind = ARCHIVE_DAMAGE_BYTES;
        archive_damages_add(&r->damages, r->dir, &damage, "no block");
        segment->scanned = item->offset + item->len;
        break;
    case ARCHIVE_SCAN_TORN:
        if (!is_newest) {
            damage.kind = ARCHIVE_DAMAGE_BYTES;
            archive_damages_add(&r->damages, r->dir, &damage,
                                "a block cut by the end of the file");
        }
        break;
    case ARCHIVE_SCAN_ERROR:
        damage.kind = ARCHIVE_DAMAGE_FILE;
        archive_damages_add(&r->damages, r->dir, &damage,
                            strerror(item->error));
        break;
    case ARCHIVE_SCAN_END:
        break;
    }
}

static void
scan_segment(struct archive_reader *r, struct segment *segment, bool is_newest)
{
    char *path = archive_dir_segment(r->dir, &segment->name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct archive_scan scan;
    struct archive_scan_item item;
    struct stat st;

    if (fd < 0 || fstat(fd, &st)) {
        int error = errno;

        /* Retention may take it between listing and opening. */
        if (error != ENOENT && !segment->is_bad) {
            struct archive_damage damage = {.kind = ARCHIVE_DAMAGE_FILE,
                                            .segment = segment->name,
                                            .min_ns = last_max_ns(r, segment),
                                            .max_ns = UINT64_MAX};

            archive_damages_add(&r->damages, r->dir, &damage, strerror(error));
            segment->is_bad = true;
        }
    } else {
        if ((uint64_t) st.st_size < segment->scanned) {
            /* It was cut back: what was not committed is gone. */
            archive_damages_forget(&r->damages, &segment->name);
            segment->scanned = 0;
            segment->n_entries = 0;
        }
        archive_scan_init(&scan, fd, segment->scanned, (uint64_t) st.st_size);
        while (archive_scan_next(&scan, &item) != ARCHIVE_SCAN_END) {
            scan_item(r, segment, is_newest, &item);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    free(path);
}

static int
compare_names(const struct archive_segment *a, const struct archive_segment *b)
{
    if (a->shard != b->shard) {
        return a->shard < b->shard ? -1 : 1;
    }
    if (a->first != b->first) {
        return a->first < b->first ? -1 : 1;
    }
    return a->last < b->last ? -1 : a->last > b->last;
}

/* The segment of that name, added in its place if it is new. */
static size_t
need_segment(struct archive_reader *r, const struct archive_segment *name,
             bool *is_new)
{
    size_t i = r->n_segments;

    while (i && compare_names(&r->segments[i - 1].name, name) >= 0) {
        i--;
    }
    *is_new = i == r->n_segments || compare_names(&r->segments[i].name, name);
    if (*is_new) {
        r->segments =
            lh_alloc_grow(r->segments, r->n_segments, &r->allocated_segments,
                          sizeof *r->segments);
        memmove(r->segments + i + 1, r->segments + i,
                (r->n_segments - i) * sizeof *r->segments);
        r->segments[i] = (struct segment){.name = *name};
        r->n_segments++;
    }
    r->segments[i].is_listed = true;
    return i;
}

/* Forgets the files that are gone, and what was damaged in them. */
static void
forget_unlisted(struct archive_reader *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_segments; i++) {
        if (r->segments[i].is_listed) {
            r->segments[n++] = r->segments[i];
        } else {
            archive_damages_forget(&r->damages, &r->segments[i].name);
            free(r->segments[i].entries);
        }
    }
    r->n_segments = n;
}

/* Makes r->fd the descriptor of the entry's file. */
static int
open_segment(struct archive_reader *r, const struct archive_entry *entry)
{
    const struct archive_segment *segment = &entry->segment;

    if (r->fd >= 0 && !compare_names(&r->fd_segment, segment)) {
        return 0;
    }
    if (r->fd >= 0) {
        close(r->fd);
    }

    char *path = archive_dir_segment(r->dir, segment);

    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    r->fd_segment = *segment;

    int retval = r->fd < 0 ? errno : 0;

    free(path);
    return retval;
}

/* Sets '*first' to the sequence of the first block that 'entry' holds. */
static void
find_first_sequence(struct archive_reader *r,
                    const struct archive_entry *entry, uint64_t *first)
{
    uint8_t prefix[ARCHIVE_COLUMNS_PREFIX];

    *first = entry->block.sequence;
    if (entry->block.kind == ARCHIVE_COLUMNS && !open_segment(r, entry) &&
        !archive_read_at(r->fd, entry->offset + ARCHIVE_BLOCK_HEADER, prefix,
                         sizeof prefix)) {
        *first = bytes_be64(prefix);
    }
}

/* Tells of blocks that are missing between two that are there. */
static void
find_gap(struct archive_reader *r, const struct archive_entry *a,
         const struct archive_entry *b)
{
    struct archive_damage damage = {
        .kind = ARCHIVE_DAMAGE_MISSING,
        .segment = b->segment,
        .offset = b->offset,
        .min_ns = a->block.max_ns,
        .max_ns = b->block.min_ns,
    };
    uint64_t first;
    char what[100];

    if (b->block.sequence <= a->block.sequence + 1 ||
        a->segment.shard != b->segment.shard) {
        return;
    }
    find_first_sequence(r, b, &first);
    if (first > a->block.sequence + 1 && first <= b->block.sequence &&
        !archive_damages_between(&r->damages, &a->segment, a->offset,
                                 &b->segment, b->offset)) {
        snprintf(what, sizeof what,
                 "before this, %" PRIu64 " blocks are missing",
                 first - a->block.sequence - 1);
        archive_damages_add(&r->damages, r->dir, &damage, what);
    }
}

/* Joins the blocks of all files. */
static void
join(struct archive_reader *r, size_t n_known)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_segments; i++) {
        n += r->segments[i].n_entries;
    }
    r->entries = lh_alloc_array(r->entries, n + 1, sizeof *r->entries);
    r->n_entries = 0;
    for (size_t i = 0; i < r->n_segments; i++) {
        const struct segment *s = &r->segments[i];

        if (s->n_entries) {
            memcpy(r->entries + r->n_entries, s->entries,
                   s->n_entries * sizeof *s->entries);
            r->n_entries += s->n_entries;
        }
    }
    for (size_t i = n_known ? n_known : 1; i < n; i++) {
        find_gap(r, &r->entries[i - 1], &r->entries[i]);
    }
}

int
archive_reader_refresh(struct archive_reader *r, struct lh_error *error)
{
    struct archive_segment *names;
    bool is_changed = false;
    size_t n_fresh = r->is_shard ? N_FRESH : 2; /* Others do not change. */
    size_t n, n_known = r->n_entries;
    int retval = archive_shards_list(r->dir, &names, &n, error);

    if (retval) {
        return retval;
    }
    for (size_t i = 0; i < r->n_segments; i++) {
        r->segments[i].is_listed = false;
    }
    r->is_shard = r->is_shard || (n && names[n - 1].shard);
    for (size_t i = 0; i < n; i++) {
        bool is_new;
        size_t k = need_segment(r, &names[i], &is_new);

        if (is_new || i + n_fresh >= n ||
            names[i + n_fresh].shard != names[i].shard) {
            bool is_newest =
                i + 1 == n || names[i + 1].shard != names[i].shard;
            size_t n_before = r->segments[k].n_entries;

            is_changed = is_changed || (is_new && k + 1 < r->n_segments);
            scan_segment(r, &r->segments[k], is_newest);
            is_changed = is_changed || names[i].shard ||
                         r->segments[k].n_entries < n_before;
        }
    }
    for (size_t i = 0; i < r->n_segments; i++) {
        is_changed = is_changed || !r->segments[i].is_listed;
    }
    forget_unlisted(r);
    join(r, is_changed ? 0 : n_known);
    free(names);
    return 0;
}

/* --- The rest ----------------------------------------------------------- */

/* Whether the archive is that of a shard alone. */
static bool
is_shard(const char *dir)
{
    char *path = lh_asprintf("%s/commit", dir);
    bool is = !access(path, F_OK);

    free(path);
    return is;
}

int
archive_reader_open(const char *dir, struct archive_reader **rp,
                    struct lh_error *error)
{
    struct archive_meta meta;
    int retval = archive_meta_load(dir, &meta, error);

    *rp = NULL;
    if (retval) {
        return retval;
    }

    struct archive_reader *r = lh_alloc_zero(sizeof *r);

    r->dir = lh_strdup(dir);
    r->meta = meta;
    r->is_shard = is_shard(dir);
    r->fd = -1;
    retval = archive_reader_refresh(r, error);
    if (retval) {
        archive_reader_close(r);
        return retval;
    }
    *rp = r;
    return 0;
}

void
archive_reader_close(struct archive_reader *r)
{
    if (r) {
        if (r->fd >= 0) {
            close(r->fd);
        }
        archive_meta_uninit(&r->meta);
        for (size_t i = 0; i < r->n_segments; i++) {
            free(r->segments[i].entries);
        }
        free(r->segments);
        free(r->entries);
        archive_damages_uninit(&r->damages);
        free(r->dir);
        free(r);
    }
}

const char *
archive_reader_dir(const struct archive_reader *r)
{
    return r->dir;
}

const struct archive_meta *
archive_reader_meta(const struct archive_reader *r)
{
    return &r->meta;
}

size_t
archive_reader_n_files(const struct archive_reader *r)
{
    return r->n_segments;
}

const struct archive_segment *
archive_reader_file(const struct archive_reader *r, size_t i)
{
    return &r->segments[i].name;
}

size_t
archive_reader_n_blocks(const struct archive_reader *r)
{
    return r->n_entries;
}

const struct archive_entry *
archive_reader_entry(const struct archive_reader *r, size_t i)
{
    return &r->entries[i];
}

size_t
archive_reader_n_damages(const struct archive_reader *r)
{
    return r->damages.n;
}

const struct archive_damage *
archive_reader_damage(const struct archive_reader *r, size_t i)
{
    return &r->damages.all[i];
}

/* Tells that the block of 'entry' is damaged, also in '*error'. */
static void
tell_damage(struct archive_reader *r, const struct archive_entry *entry,
            const char *why, struct lh_error *error)
{
    const struct archive_block *block = &entry->block;
    struct archive_damage damage = {
        .kind = ARCHIVE_DAMAGE_PAYLOAD,
        .segment = entry->segment,
        .offset = entry->offset,
        .len = (uint64_t) ARCHIVE_BLOCK_HEADER + block->stored_len,
        .min_ns = block->min_ns,
        .max_ns = block->max_ns,
    };

    lh_error_set(error, "%s",
                 archive_damages_add(&r->damages, r->dir, &damage, why)->text);
}

/* Ends a load that gave 'retval' for the reason 'why'. */
static int
end_load(struct archive_reader *r, const struct archive_entry *entry,
         int retval, const struct lh_error *why, struct lh_error *error)
{
    if (retval == ENODATA && r->is_shard) {
        retval = ENOENT; /* It was not committed, and is gone. */
    } else if (retval == ENODATA) {
        retval = EBADMSG;
        tell_damage(r, entry, "the file has become shorter", error);
    } else if (retval == EBADMSG) {
        tell_damage(r, entry, why->text, error);
    } else if (retval) {
        char *path = archive_dir_segment(r->dir, &entry->segment);

        lh_error_set(error, "%s: %s", path,
                     why->text[0] ? why->text : strerror(retval));
        free(path);
    }
    return retval;
}

int
archive_reader_load(struct archive_reader *r,
                    const struct archive_entry *entry, uint8_t **payload,
                    struct lh_error *error)
{
    struct lh_error why = {.pos = -1};
    int retval = archive_fetch_load(r->dir, entry, payload, &why);

    return end_load(r, entry, retval, &why, error);
}

int
archive_reader_columns(struct archive_reader *r,
                       const struct archive_entry *entry,
                       struct column_decoder **dp, struct lh_error *error)
{
    struct lh_error why = {.pos = -1};
    int retval = archive_fetch_columns(r->dir, entry, dp, &why);

    return end_load(r, entry, retval, &why, error);
}

int
archive_reader_broken(struct archive_reader *r,
                      const struct archive_entry *entry, int retval,
                      const struct lh_error *why, struct lh_error *error)
{
    return end_load(r, entry, retval, why, error);
}
