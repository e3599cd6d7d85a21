/* SPDX-License-Identifier: Apache-2.0 */
/* archive_reader - reads an archive, also while a server writes to it. */
#include <config.h>

#include "lib/archive_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/archive_scan.h"
#include "lib/lh_alloc.h"

struct segment {
    uint64_t number;
    uint64_t scanned; /* Up to here its blocks are in the index. */
    bool is_bad;      /* It could not be read, which was told. */
};

struct archive_reader {
    char *dir; /* Owned. */
    struct archive_meta meta;

    size_t n_segments, allocated_segments;
    struct segment *segments; /* Oldest first.  Owned. */

    size_t n_entries, allocated_entries;
    struct archive_entry *entries; /* Owned. */

    size_t n_damages, allocated_damages;
    struct archive_damage *damages; /* Owned. */

    int fd; /* Of 'fd_segment', kept from load to load; or -1. */
    uint64_t fd_segment;
};

/* --- Damage ------------------------------------------------------------- */

static void
format_time(uint64_t ns, char *buf, size_t size)
{
    time_t seconds = (time_t) (ns / 1000000000u);
    struct tm tm;

    if (ns == UINT64_MAX) {
        snprintf(buf, size, "the end");
    } else if (!ns) {
        snprintf(buf, size, "the beginning");
    } else {
        size_t n = 0;

        if (gmtime_r(&seconds, &tm)) {
            n = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
        }
        snprintf(buf + n, size - n, ".%06" PRIu64 "Z", ns / 1000 % 1000000);
    }
}

static void
add_damage(struct archive_reader *r, const struct archive_damage *damage,
           const char *what)
{
    for (size_t i = 0; i < r->n_damages; i++) {
        const struct archive_damage *d = &r->damages[i];

        if (d->kind == damage->kind && d->segment == damage->segment &&
            d->offset == damage->offset) {
            return;
        }
    }
    r->damages = lh_alloc_grow(r->damages, r->n_damages, &r->allocated_damages,
                               sizeof *r->damages);

    struct archive_damage *d = &r->damages[r->n_damages++];
    char *path = archive_dir_segment(r->dir, damage->segment);
    char from[48], to[48];

    *d = *damage;
    format_time(d->min_ns, from, sizeof from);
    format_time(d->max_ns, to, sizeof to);
    snprintf(d->text, sizeof d->text,
             "%s: byte %" PRIu64 " to %" PRIu64
             ": %s; it held times from %s to %s",
             path, d->offset, d->offset + d->len, what, from, to);
    free(path);
}

static uint64_t
last_max_ns(const struct archive_reader *r)
{
    return r->n_entries ? r->entries[r->n_entries - 1].block.max_ns : 0;
}

/* The times of damage that no later block had bounded end where 'block'
 * begins. */
static void
bound_damage(struct archive_reader *r, const struct archive_block *block)
{
    for (size_t i = r->n_damages; i-- > 0;) {
        struct archive_damage *d = &r->damages[i];

        if (d->max_ns == UINT64_MAX && d->kind == ARCHIVE_DAMAGE_BYTES) {
            struct archive_damage copy = *d;

            copy.max_ns =
                block->min_ns > copy.min_ns ? block->min_ns : copy.min_ns;
            /* Written anew, so that the text says it too. */
            r->n_damages--;
            memmove(d, d + 1, (r->n_damages - i) * sizeof *d);
            add_damage(r, &copy, "no block");
        }
    }
}

/* --- Index -------------------------------------------------------------- */

static void
add_entry(struct archive_reader *r, uint64_t segment,
          const struct archive_scan_item *item)
{
    if (r->n_entries) {
        const struct archive_entry *last = &r->entries[r->n_entries - 1];

        if (item->block.sequence > last->block.sequence + 1) {
            bool is_damaged =
                r->n_damages &&
                r->damages[r->n_damages - 1].kind == ARCHIVE_DAMAGE_BYTES &&
                r->damages[r->n_damages - 1].max_ns == UINT64_MAX;
            struct archive_damage damage = {
                .kind = ARCHIVE_DAMAGE_MISSING,
                .segment = segment,
                .offset = item->offset,
                .min_ns = last->block.max_ns,
                .max_ns = item->block.min_ns,
            };
            char what[100];

            /* Where bytes are damaged, that says it already. */
            if (!is_damaged) {
                snprintf(what, sizeof what,
                         "before this, %" PRIu64 " blocks are missing",
                         item->block.sequence - last->block.sequence - 1);
                add_damage(r, &damage, what);
            }
        }
    }
    bound_damage(r, &item->block);
    r->entries = lh_alloc_grow(r->entries, r->n_entries, &r->allocated_entries,
                               sizeof *r->entries);
    r->entries[r->n_entries++] =
        (struct archive_entry){segment, item->offset, item->block};
}

static void
scan_item(struct archive_reader *r, struct segment *segment, bool is_newest,
          const struct archive_scan_item *item)
{
    struct archive_damage damage = {
        .segment = segment->number,
        .offset = item->offset,
        .len = item->len,
        .min_ns = last_max_ns(r),
        .max_ns = UINT64_MAX,
    };

    switch (item->what) {
    case ARCHIVE_SCAN_BLOCK:
        add_entry(r, segment->number, item);
        segment->scanned = item->offset + item->len;
        break;
    case ARCHIVE_SCAN_NEWER:
        damage.kind = ARCHIVE_DAMAGE_NEWER;
        damage.min_ns = item->block.min_ns;
        damage.max_ns = item->block.max_ns;
        add_damage(r, &damage, "a block of a newer format version");
        segment->scanned = item->offset + item->len;
        break;
    case ARCHIVE_SCAN_DAMAGE:
        damage.kind = ARCHIVE_DAMAGE_BYTES;
        add_damage(r, &damage, "no block");
        segment->scanned = item->offset + item->len;
        break;
    case ARCHIVE_SCAN_TORN:
        if (!is_newest) {
            damage.kind = ARCHIVE_DAMAGE_BYTES;
            add_damage(r, &damage, "a block cut by the end of the file");
        }
        break;
    case ARCHIVE_SCAN_ERROR:
        damage.kind = ARCHIVE_DAMAGE_FILE;
        add_damage(r, &damage, strerror(item->error));
        break;
    case ARCHIVE_SCAN_END:
        break;
    }
}

static void
scan_segment(struct archive_reader *r, struct segment *segment, bool is_newest)
{
    char *path = archive_dir_segment(r->dir, segment->number);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct archive_scan scan;
    struct archive_scan_item item;
    struct stat st;

    if (fd < 0 || fstat(fd, &st)) {
        int error = errno;

        /* Retention may take it between listing and opening. */
        if (error != ENOENT && !segment->is_bad) {
            struct archive_damage damage = {.kind = ARCHIVE_DAMAGE_FILE,
                                            .segment = segment->number,
                                            .min_ns = last_max_ns(r),
                                            .max_ns = UINT64_MAX};

            add_damage(r, &damage, strerror(error));
            segment->is_bad = true;
        }
    } else {
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

static struct segment *
find_segment(struct archive_reader *r, uint64_t number)
{
    for (size_t i = r->n_segments; i-- > 0;) {
        if (r->segments[i].number == number) {
            return &r->segments[i];
        }
    }
    return NULL;
}

/* Forgets the files before 'oldest', which are gone. */
static void
forget_before(struct archive_reader *r, uint64_t oldest)
{
    size_t n = 0;

    while (n < r->n_segments && r->segments[n].number < oldest) {
        n++;
    }
    r->n_segments -= n;
    memmove(r->segments, r->segments + n, r->n_segments * sizeof *r->segments);
    for (n = 0; n < r->n_entries && r->entries[n].segment < oldest; n++) {
    }
    if (n) {
        r->n_entries -= n;
        memmove(r->entries, r->entries + n, r->n_entries * sizeof *r->entries);
    }

    size_t kept = 0;

    for (size_t i = 0; i < r->n_damages; i++) {
        if (r->damages[i].segment >= oldest) {
            r->damages[kept++] = r->damages[i];
        }
    }
    r->n_damages = kept;
}

int
archive_reader_refresh(struct archive_reader *r, struct lh_error *error)
{
    uint64_t *numbers;
    size_t n;
    int retval = archive_dir_list(r->dir, &numbers, &n, error);

    if (retval) {
        return retval;
    }
    if (n && r->n_segments) {
        forget_before(r, numbers[0]);
    }
    for (size_t i = 0; i < n; i++) {
        struct segment *segment = find_segment(r, numbers[i]);

        if (!segment) {
            r->segments =
                lh_alloc_grow(r->segments, r->n_segments,
                              &r->allocated_segments, sizeof *r->segments);
            segment = &r->segments[r->n_segments++];
            *segment = (struct segment){.number = numbers[i]};
        } else if (i + 2 < n) {
            /* Only the newest two can have grown since. */
            continue;
        }
        scan_segment(r, segment, i + 1 == n);
    }
    free(numbers);
    return 0;
}

/* --- The rest ----------------------------------------------------------- */

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
        free(r->segments);
        free(r->entries);
        free(r->damages);
        free(r->dir);
        free(r);
    }
}

const struct archive_meta *
archive_reader_meta(const struct archive_reader *r)
{
    return &r->meta;
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
    return r->n_damages;
}

const struct archive_damage *
archive_reader_damage(const struct archive_reader *r, size_t i)
{
    return &r->damages[i];
}

static int
open_segment(struct archive_reader *r, uint64_t number)
{
    if (r->fd >= 0 && r->fd_segment == number) {
        return 0;
    }
    if (r->fd >= 0) {
        close(r->fd);
    }

    char *path = archive_dir_segment(r->dir, number);

    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    r->fd_segment = number;

    int retval = r->fd < 0 ? errno : 0;

    free(path);
    return retval;
}

int
archive_reader_load(struct archive_reader *r,
                    const struct archive_entry *entry, uint8_t **payload,
                    struct lh_error *error)
{
    const struct archive_block *block = &entry->block;
    struct lh_error why = {.pos = -1};
    uint8_t *stored = NULL;
    int retval = open_segment(r, entry->segment);

    *payload = NULL;
    if (retval) {
        lh_error_set(error, "%s: segment %" PRIu64 ": %s", r->dir,
                     entry->segment, strerror(retval));
        return retval;
    }
    stored = malloc(block->stored_len ? block->stored_len : 1);
    if (!stored) {
        lh_error_set(error, "no memory for %u bytes", block->stored_len);
        return ENOMEM;
    }
    retval = archive_read_at(r->fd, entry->offset + ARCHIVE_BLOCK_HEADER,
                             stored, block->stored_len);
    if (retval) {
        lh_error_set(&why, "%s",
                     retval == ENODATA ? "the file has become shorter"
                                       : strerror(retval));
        retval = EBADMSG;
    } else {
        retval = archive_block_unpack(block, stored, payload, &why);
    }
    free(stored);
    if (retval == EBADMSG) {
        struct archive_damage damage = {
            .kind = ARCHIVE_DAMAGE_PAYLOAD,
            .segment = entry->segment,
            .offset = entry->offset,
            .len = (uint64_t) ARCHIVE_BLOCK_HEADER + block->stored_len,
            .min_ns = block->min_ns,
            .max_ns = block->max_ns,
        };

        add_damage(r, &damage, why.text);
        for (size_t j = 0; j < r->n_damages; j++) {
            if (r->damages[j].kind == damage.kind &&
                r->damages[j].segment == damage.segment &&
                r->damages[j].offset == damage.offset) {
                lh_error_set(error, "%s", r->damages[j].text);
            }
        }
    } else if (retval) {
        lh_error_set(error, "%s", why.text);
    }
    return retval;
}

/* Loads block 'i' as JSON, or NULL. */
static json_t *
load_json(struct archive_reader *r, size_t i)
{
    uint8_t *payload;
    json_t *json = NULL;

    if (!archive_reader_load(r, &r->entries[i], &payload, NULL)) {
        json = json_loadb((const char *) payload, r->entries[i].block.raw_len,
                          0, NULL);
        free(payload);
    }
    return json;
}

struct topology *
archive_reader_topology(struct archive_reader *r, uint64_t at_ns)
{
    struct topology *topology = NULL;
    bool is_found = false;

    /* From the newest not after the time backwards, then forwards. */
    for (size_t i = r->n_entries; i-- > 0 && !is_found;) {
        const struct archive_block *block = &r->entries[i].block;

        if (block->kind == ARCHIVE_TOPOLOGY && block->min_ns <= at_ns) {
            json_t *json = load_json(r, i);

            is_found = json && !topology_from_json(json, &topology, NULL);
            json_decref(json);
        }
    }
    for (size_t i = 0; i < r->n_entries && !is_found; i++) {
        if (r->entries[i].block.kind == ARCHIVE_TOPOLOGY) {
            json_t *json = load_json(r, i);

            is_found = json && !topology_from_json(json, &topology, NULL);
            json_decref(json);
        }
    }
    return is_found ? topology : NULL;
}

uint64_t
archive_reader_lost(struct archive_reader *r, uint64_t since_ns,
                    uint64_t until_ns)
{
    uint64_t n = 0;

    for (size_t i = 0; i < r->n_entries; i++) {
        const struct archive_block *block = &r->entries[i].block;

        if (block->kind == ARCHIVE_LOSS && block->max_ns >= since_ns &&
            block->min_ns < until_ns) {
            json_t *json = load_json(r, i);

            n += (uint64_t) json_integer_value(
                json_object_get(json, "histories"));
            json_decref(json);
        }
    }
    return n;
}
