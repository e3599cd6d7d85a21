/* SPDX-License-Identifier: Apache-2.0 */
/* archive_damages - what of an archive cannot be read. */
#include <config.h>

#include "lib/archive_damages.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/lh_alloc.h"

void
archive_damages_uninit(struct archive_damages *list)
{
    free(list->all);
    memset(list, 0, sizeof *list);
}

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

static bool
is_same_segment(const struct archive_segment *a,
                const struct archive_segment *b)
{
    return a->first == b->first && a->last == b->last && a->shard == b->shard;
}

const struct archive_damage *
archive_damages_add(struct archive_damages *list, const char *dir,
                    const struct archive_damage *damage, const char *what)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct archive_damage *d = &list->all[i];

        if (d->kind == damage->kind && d->offset == damage->offset &&
            is_same_segment(&d->segment, &damage->segment)) {
            return d;
        }
    }
    list->all =
        lh_alloc_grow(list->all, list->n, &list->allocated, sizeof *list->all);

    struct archive_damage *d = &list->all[list->n++];
    char *path = archive_dir_segment(dir, &damage->segment);
    char from[48], to[48];

    *d = *damage;
    format_time(d->min_ns, from, sizeof from);
    format_time(d->max_ns, to, sizeof to);
    snprintf(d->text, sizeof d->text,
             "%s: byte %" PRIu64 " to %" PRIu64
             ": %s; it held times from %s to %s",
             path, d->offset, d->offset + d->len, what, from, to);
    free(path);
    return d;
}

void
archive_damages_bound(struct archive_damages *list, const char *dir,
                      uint32_t shard, uint64_t min_ns)
{
    for (size_t i = list->n; i-- > 0;) {
        struct archive_damage *d = &list->all[i];

        if (d->max_ns == UINT64_MAX && d->kind == ARCHIVE_DAMAGE_BYTES &&
            d->segment.shard == shard) {
            struct archive_damage copy = *d;

            copy.max_ns = min_ns > copy.min_ns ? min_ns : copy.min_ns;
            /* Written anew, so that the text says it too. */
            list->n--;
            memmove(d, d + 1, (list->n - i) * sizeof *d);
            archive_damages_add(list, dir, &copy, "no block");
        }
    }
}

void
archive_damages_forget(struct archive_damages *list,
                       const struct archive_segment *segment)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++) {
        if (!is_same_segment(&list->all[i].segment, segment)) {
            list->all[n++] = list->all[i];
        }
    }
    list->n = n;
}

bool
archive_damages_between(const struct archive_damages *list,
                        const struct archive_segment *a, uint64_t a_ofs,
                        const struct archive_segment *b, uint64_t b_ofs)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct archive_damage *d = &list->all[i];
        bool is_behind_a = d->segment.first > a->first ||
                           (d->segment.first == a->first && d->offset > a_ofs);
        bool is_before_b = d->segment.first < b->first ||
                           (d->segment.first == b->first && d->offset < b_ofs);

        if (d->kind != ARCHIVE_DAMAGE_MISSING &&
            d->segment.shard == a->shard && is_behind_a && is_before_b) {
            return true;
        }
    }
    return false;
}
