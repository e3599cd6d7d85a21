/* SPDX-License-Identifier: Apache-2.0 */
/* archive_survey - all of an archive read once. */
#include <config.h>
#include "apps/archive_survey.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/archive_scan.h"
#include "lib/archive_shards.h"
#include "lib/lh_alloc.h"

static void
add_damage(struct archive_survey *survey, const struct survey_damage *damage,
           const char *why)
{
    survey->damages =
        lh_alloc_grow(survey->damages, survey->n_damages, &survey->allocated,
                      sizeof *survey->damages);

    struct survey_damage *d = &survey->damages[survey->n_damages++];

    *d = *damage;
    snprintf(d->why, sizeof d->why, "%s", why);
    /* It may quote what stands in the archive, and goes into JSON. */
    for (char *p = d->why; *p; p++) {
        *p = *p >= ' ' && *p <= '~' ? *p : '?';
    }
}

/* Bytes of which only what stands around them is known. */
static void
add_unknown(struct archive_survey *survey, enum archive_damage_kind kind,
            const struct archive_segment *segment, uint64_t offset,
            uint64_t len, const char *why)
{
    struct survey_damage damage = {
        .kind = kind,
        .segment = *segment,
        .offset = offset,
        .len = len,
        .first_seq = survey->has_block ? survey->last_seq + 1 : 0,
        .min_ns = survey->last_ns,
        .max_ns = UINT64_MAX,
        .n_histories = UINT64_MAX,
        .is_open = true,
    };

    add_damage(survey, &damage, why);
}

/* The block at 'offset' of 'segment', which says of itself what it is, comes
 * after what was open so far.  'first' is the first sequence it holds, or 0
 * when that is not known. */
static void
come_to(struct archive_survey *survey, const struct archive_segment *segment,
        uint64_t offset, const struct archive_block *block, uint64_t first)
{
    bool is_explained = false;

    for (size_t i = survey->n_damages; i-- > 0;) {
        struct survey_damage *d = &survey->damages[i];

        if (!d->is_open) {
            continue;
        }
        d->is_open = false;
        d->max_ns = block->min_ns > d->min_ns ? block->min_ns : d->min_ns;
        is_explained = true;
        if (!first) {
            d->first_seq = 0;
        } else if (!d->first_seq && first > 1) {
            d->first_seq = d->last_seq = first - 1;
        } else if (d->first_seq < first) {
            d->last_seq = first - 1;
        } else {
            d->first_seq = 0;
        }
    }
    if (first && survey->has_block && first > survey->last_seq + 1 &&
        !is_explained) {
        struct survey_damage damage = {
            .kind = ARCHIVE_DAMAGE_MISSING,
            .segment = *segment,
            .offset = offset,
            .first_seq = survey->last_seq + 1,
            .last_seq = first - 1,
            .min_ns = survey->last_ns,
            .max_ns = block->min_ns,
            .n_histories = UINT64_MAX,
        };

        add_damage(survey, &damage, "blocks before this are missing");
    }
    survey->has_block = true;
    survey->last_seq = block->sequence;
    survey->last_ns = block->max_ns;
}

static void
take_block(struct archive_survey *survey, int fd,
           const struct archive_segment *segment,
           const struct archive_scan_item *item)
{
    const struct archive_block *block = &item->block;
    struct archive_check check, *all = &survey->all;
    struct lh_error why = {.pos = -1};

    if (archive_check_block(fd, item->offset, block, &check, &why)) {
        bool is_merged = segment->first != segment->last;
        bool has_histories =
            block->kind == ARCHIVE_HISTORIES || block->kind == ARCHIVE_COLUMNS;
        struct survey_damage damage = {
            .kind = ARCHIVE_DAMAGE_PAYLOAD,
            .segment = *segment,
            .offset = item->offset,
            .len = item->len,
            .first_seq = block->sequence,
            .last_seq = block->sequence,
            .min_ns = block->min_ns,
            .max_ns = block->max_ns,
            .n_histories = has_histories ? block->n_records : 0,
        };

        /* What was merged of several says only in its payload of which. */
        if (is_merged && survey->has_block &&
            survey->last_seq < block->sequence) {
            damage.first_seq = survey->last_seq + 1;
        }
        come_to(survey, segment, item->offset, block,
                is_merged ? 0 : block->sequence);
        add_damage(survey, &damage, why.text);
        return;
    }
    come_to(survey, segment, item->offset, block, check.first_sequence);
    survey->n_blocks++;
    if (check.n_histories) {
        if (!survey->all.n_histories || block->min_ns < survey->min_ns) {
            survey->min_ns = block->min_ns;
        }
        if (block->max_ns > survey->max_ns) {
            survey->max_ns = block->max_ns;
        }
    }
    all->n_histories += check.n_histories;
    all->n_hops += check.n_hops;
    all->n_rows += check.n_rows;
    all->n_flows += check.n_flows;
    all->n_shapes += check.n_shapes;
    all->n_lost += check.n_lost;
    if (check.has_packet_id) {
        all->has_packet_id = true;
        all->packet_id = check.packet_id;
    }
}

static void
take_item(struct archive_survey *survey, int fd,
          const struct archive_segment *segment, uint64_t size, bool is_newest,
          const struct archive_scan_item *item)
{
    switch (item->what) {
    case ARCHIVE_SCAN_BLOCK:
        archive_sums_id_add(&survey->sums_id, item->offset, &item->block);
        take_block(survey, fd, segment, item);
        break;
    case ARCHIVE_SCAN_NEWER:
        come_to(survey, segment, item->offset, &item->block, 0);
        survey->n_newer++;
        break;
    case ARCHIVE_SCAN_DAMAGE:
        add_unknown(survey, ARCHIVE_DAMAGE_BYTES, segment, item->offset,
                    item->len, "no block");
        break;
    case ARCHIVE_SCAN_TORN:
        if (is_newest) {
            survey->is_torn = true;
            survey->torn_segment = *segment;
            survey->torn_offset = item->offset;
            survey->torn_len = item->len;
        } else {
            add_unknown(survey, ARCHIVE_DAMAGE_BYTES, segment, item->offset,
                        item->len, "a block cut by the end of the file");
        }
        break;
    case ARCHIVE_SCAN_ERROR:
        add_unknown(survey, ARCHIVE_DAMAGE_BYTES, segment, item->offset,
                    size - item->offset, strerror(item->error));
        break;
    case ARCHIVE_SCAN_END:
        break;
    }
}

/* Compares the sums of a file, if it has some, with its blocks. */
static void
take_sums(struct archive_survey *survey, const struct archive_segment *segment)
{
    struct lh_error why = {.text = ""};
    uint64_t size = archive_sums_size(survey->dir, segment);
    int retval =
        size ? archive_sums_check(survey->dir, segment, &survey->sums_id, &why)
             : ENOENT;

    if (retval == ENOENT) {
        return;
    }
    survey->n_bytes += size;
    if (!retval) {
        survey->n_sums++;
        return;
    }
    survey->useless =
        lh_alloc_grow(survey->useless, survey->n_useless,
                      &survey->allocated_useless, sizeof *survey->useless);

    struct survey_sums *sums = &survey->useless[survey->n_useless++];

    *sums = (struct survey_sums){
        .segment = *segment,
        .is_damaged = retval != ESTALE && retval != EPROTONOSUPPORT,
    };
    snprintf(sums->why, sizeof sums->why, "%s", why.text);
}

static void
take_file(struct archive_survey *survey, const struct archive_segment *segment,
          bool is_newest)
{
    char *path = archive_dir_segment(survey->dir, segment);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct archive_scan scan;
    struct archive_scan_item item;
    struct stat st;

    if (fd < 0 || fstat(fd, &st)) {
        if (errno == ENOENT) {
            /* Retention took it meanwhile, and maybe later ones. */
            survey->has_block = false;
        } else {
            add_unknown(survey, ARCHIVE_DAMAGE_FILE, segment, 0, 0,
                        strerror(errno));
        }
    } else {
        survey->n_files++;
        survey->sums_id = (struct archive_sums_id){.hash = 0};
        survey->n_bytes += (uint64_t) st.st_size;
        archive_scan_init(&scan, fd, 0, (uint64_t) st.st_size);
        while (archive_scan_next(&scan, &item) != ARCHIVE_SCAN_END) {
            take_item(survey, fd, segment, (uint64_t) st.st_size, is_newest,
                      &item);
        }
        take_sums(survey, segment);
    }
    if (fd >= 0) {
        close(fd);
    }
    free(path);
}

/* What comes does not follow what was. */
static void
begin_shard(struct archive_survey *survey)
{
    for (size_t i = 0; i < survey->n_damages; i++) {
        survey->damages[i].is_open = false;
    }
    survey->has_block = false;
    survey->last_ns = 0;
}

int
archive_survey_take(struct archive_survey *survey, const char *dir,
                    struct lh_error *error)
{
    struct archive_segment *segments;
    size_t n;
    int retval;

    memset(survey, 0, sizeof *survey);
    retval = archive_shards_list(dir, &segments, &n, error);
    if (retval) {
        return retval;
    }
    survey->dir = lh_strdup(dir);
    for (size_t i = 0; i < n; i++) {
        bool is_last = i + 1 == n;

        if (i && segments[i].shard != segments[i - 1].shard) {
            begin_shard(survey);
        }
        take_file(survey, &segments[i],
                  is_last || segments[i + 1].shard != segments[i].shard);
    }
    free(segments);
    return 0;
}

void
archive_survey_uninit(struct archive_survey *survey)
{
    free(survey->damages);
    free(survey->useless);
    free(survey->dir);
    memset(survey, 0, sizeof *survey);
}
