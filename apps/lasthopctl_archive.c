/* SPDX-License-Identifier: Apache-2.0 */
/* lasthopctl - `archive`: reads an archive whole and says what it holds. */
#include <config.h>
#include "apps/lasthopctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/archive_survey.h"
#include "lib/archive_reader.h"
#include "lib/archive_sums.h"
#include "lib/time_spec.h"

/* Exit statuses of `archive`. */
enum { ARCHIVE_SOUND = 0, ARCHIVE_DAMAGED = 1, ARCHIVE_UNREADABLE = 2 };

static char *
format_bound(uint64_t ns, char buf[TIME_SPEC_BUFSIZE])
{
    if (!ns || ns == UINT64_MAX) {
        snprintf(buf, TIME_SPEC_BUFSIZE, ns ? "the end" : "the beginning");
        return buf;
    }
    return time_spec_format(ns, true, 6, buf);
}

static json_t *
number(uint64_t value)
{
    return json_integer((json_int_t) value);
}

/* null stands for what is not known. */
static json_t *
number_or_null(uint64_t value, uint64_t unknown)
{
    return value == unknown ? json_null() : number(value);
}

/* --- verify ------------------------------------------------------------- */

static const char *
kind_name(enum archive_damage_kind kind)
{
    switch (kind) {
    case ARCHIVE_DAMAGE_BYTES:
        return "bytes";
    case ARCHIVE_DAMAGE_PAYLOAD:
        return "block";
    case ARCHIVE_DAMAGE_MISSING:
        return "missing";
    case ARCHIVE_DAMAGE_NEWER:
        return "newer";
    case ARCHIVE_DAMAGE_FILE:
        return "file";
    }
    return "";
}

static void
print_damage(const struct archive_survey *survey,
             const struct survey_damage *d, bool is_json)
{
    char *path = archive_dir_segment(survey->dir, &d->segment);
    char from[TIME_SPEC_BUFSIZE], to[TIME_SPEC_BUFSIZE];

    if (is_json) {
        json_t *json = json_pack(
            "{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s%}", "damage",
            kind_name(d->kind), "file", path, "offset", number(d->offset),
            "length", number(d->len), "first_sequence",
            number_or_null(d->first_seq, 0), "last_sequence",
            number_or_null(d->first_seq ? d->last_seq : 0, 0), "min_ns",
            number(d->min_ns), "max_ns", number_or_null(d->max_ns, UINT64_MAX),
            "histories", number_or_null(d->n_histories, UINT64_MAX), "why",
            d->why, strlen(d->why));

        ctl_print_json(json);
        json_decref(json);
    } else {
        printf("%s: byte %" PRIu64 " to %" PRIu64 ": ", path, d->offset,
               d->offset + d->len);
        if (!d->first_seq) {
            printf("block of unknown sequence");
        } else if (!d->last_seq) {
            printf("block %" PRIu64 " and what followed", d->first_seq);
        } else if (d->first_seq == d->last_seq) {
            printf("block %" PRIu64, d->first_seq);
        } else {
            printf("blocks %" PRIu64 " to %" PRIu64, d->first_seq,
                   d->last_seq);
        }
        printf(", times from %s to %s: %s", format_bound(d->min_ns, from),
               format_bound(d->max_ns, to), d->why);
        if (d->n_histories && d->n_histories != UINT64_MAX) {
            printf("; it held ");
            ctl_print_count((long long) d->n_histories, "history",
                            "histories");
        }
        putchar('\n');
    }
    free(path);
}

/* A file of sums that nobody uses. */
static void
print_useless(const struct archive_survey *survey, const struct survey_sums *s,
              bool is_json)
{
    char *path = archive_sums_path(survey->dir, &s->segment);

    if (is_json) {
        json_t *json = json_pack("{s:s, s:s, s:s%}", "sums",
                                 s->is_damaged ? "damaged" : "other", "file",
                                 path, "why", s->why, strlen(s->why));

        ctl_print_json(json);
        json_decref(json);
    } else {
        printf("%s: %s%s; profiles read the blocks instead; lasthopctl "
               "archive repair removes it\n",
               path, s->is_damaged ? "damaged: " : "", s->why);
    }
    free(path);
}

static size_t
count_damaged_sums(const struct archive_survey *survey)
{
    size_t n = 0;

    for (size_t i = 0; i < survey->n_useless; i++) {
        n += survey->useless[i].is_damaged;
    }
    return n;
}

/* What is no damage and still worth a line. */
static void
print_notes(const struct archive_survey *survey)
{
    if (survey->is_torn) {
        char *path = archive_dir_segment(survey->dir, &survey->torn_segment);

        printf("%s: byte %" PRIu64 " to %" PRIu64
               ": the beginning of a block, which a server is writing or left "
               "when it died (the next one cuts it): no damage\n",
               path, survey->torn_offset,
               survey->torn_offset + survey->torn_len);
        free(path);
    }
    if (survey->n_newer) {
        ctl_print_count((long long) survey->n_newer, "block is", "blocks are");
        puts(" of a newer format version and not read");
    }
    if (survey->all.n_lost) {
        ctl_print_count((long long) survey->all.n_lost, "history is",
                        "histories are");
        puts(" noted as lost and not stored");
    }
}

static int
print_summary(const struct ctl *ctl, const struct archive_survey *survey,
              const char *meta_trouble)
{
    const struct archive_check *all = &survey->all;
    size_t n_damaged_sums = count_damaged_sums(survey);
    bool is_sound = !survey->n_damages && !meta_trouble && !n_damaged_sums;

    if (ctl->app->is_json) {
        json_t *json = json_pack(
            "{s:b, s:s?, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
            "s:o}",
            "sound", is_sound, "meta", meta_trouble, "files",
            number(survey->n_files), "blocks", number(survey->n_blocks),
            "histories", number(all->n_histories), "hops", number(all->n_hops),
            "bytes", number(survey->n_bytes), "damages",
            number(survey->n_damages), "newer_blocks", number(survey->n_newer),
            "lost_histories", number(all->n_lost), "torn_bytes",
            number(survey->torn_len), "sums", number(survey->n_sums),
            "damaged_sums", number(n_damaged_sums));

        ctl_print_json(json);
        json_decref(json);
    } else {
        print_notes(survey);
        printf("%s: %s: ", survey->dir, is_sound ? "sound" : "damaged");
        ctl_print_count((long long) survey->n_files, "file, ", "files, ");
        ctl_print_count((long long) survey->n_blocks, "sound block, ",
                        "sound blocks, ");
        ctl_print_count((long long) all->n_histories, "history of ",
                        "histories of ");
        ctl_print_count((long long) all->n_hops, "hop, ", "hops, ");
        if (survey->n_sums) {
            ctl_print_count((long long) survey->n_sums, "file of sums, ",
                            "files of sums, ");
        }
        ctl_print_count((long long) survey->n_bytes, "byte read\n",
                        "bytes read\n");
    }
    return is_sound ? ARCHIVE_SOUND : ARCHIVE_DAMAGED;
}

int
ctl_archive_verify(struct ctl *ctl, int argc, char *argv[])
{
    const char *dir = argv[0];
    struct archive_survey survey;
    struct archive_meta meta;
    struct lh_error error, trouble;
    int meta_error, status;

    meta_error = archive_meta_load(dir, &meta, &trouble);
    if (archive_survey_take(&survey, dir, &error)) {
        app_say(ctl->app, "%s", error.text);
        if (!meta_error) {
            archive_meta_uninit(&meta);
        }
        return ARCHIVE_UNREADABLE;
    }
    if (!meta_error) {
        archive_meta_uninit(&meta);
    }
    if ((meta_error == ENOENT && !survey.n_files && !survey.n_damages) ||
        meta_error == EPROTONOSUPPORT) {
        app_say(ctl->app, "%s: %s", meta_error == ENOENT ? "no archive" : dir,
                trouble.text);
        archive_survey_uninit(&survey);
        return ARCHIVE_UNREADABLE;
    }
    if (meta_error && !ctl->app->is_json) {
        printf("%s\n", trouble.text);
    }
    for (size_t i = 0; i < survey.n_damages; i++) {
        print_damage(&survey, &survey.damages[i], ctl->app->is_json);
    }
    for (size_t i = 0; i < survey.n_useless; i++) {
        print_useless(&survey, &survey.useless[i], ctl->app->is_json);
    }
    status = print_summary(ctl, &survey, meta_error ? trouble.text : NULL);
    archive_survey_uninit(&survey);
    return status;
}

/* --- stat --------------------------------------------------------------- */

struct totals {
    uint64_t n_files, n_histories, n_old, n_hops, n_bytes, n_sums_bytes;
    uint64_t n_shapes, n_flows, n_rows, n_topologies;
    uint64_t min_ns, max_ns;
};

static void
count_columns(struct archive_reader *reader, const struct archive_entry *entry,
              struct totals *totals)
{
    struct lh_error why = {.pos = -1};
    struct column_decoder *d;
    int retval;

    /* What fails is told as damage of the reader. */
    if (archive_reader_columns(reader, entry, &d, NULL)) {
        return;
    }
    retval = column_decoder_need_shapes(d, NULL, NULL, &why);
    if (retval) {
        archive_reader_broken(reader, entry, retval, &why, NULL);
        column_decoder_destroy(d);
        return;
    }
    totals->n_shapes += column_decoder_n_shapes(d);
    totals->n_flows += column_decoder_n_flows(d);
    for (size_t i = 0; i < column_decoder_n_flows(d); i++) {
        totals->n_rows += column_decoder_flow(d, i)->n_rows;
    }
    column_decoder_destroy(d);
}

/* Counts the sums of the file that begins with the block. */
static void
count_file(struct archive_reader *reader, const struct archive_entry *first,
           struct totals *totals)
{
    uint64_t size =
        archive_sums_size(archive_reader_dir(reader), &first->segment);

    totals->n_files++;
    totals->n_sums_bytes += size;
    totals->n_bytes += size;
}

static void
count_block(struct archive_reader *reader, size_t i, struct totals *totals)
{
    const struct archive_entry *entry = archive_reader_entry(reader, i);
    const struct archive_block *block = &entry->block;
    const struct archive_entry *before =
        i ? archive_reader_entry(reader, i - 1) : NULL;

    if (!before || before->segment.first != entry->segment.first ||
        before->segment.shard != entry->segment.shard) {
        count_file(reader, entry, totals);
    }
    totals->n_bytes += (uint64_t) ARCHIVE_BLOCK_HEADER + block->stored_len;
    totals->n_topologies += block->kind == ARCHIVE_TOPOLOGY;
    if (block->kind != ARCHIVE_HISTORIES && block->kind != ARCHIVE_COLUMNS) {
        return;
    }
    if (!totals->n_histories || block->min_ns < totals->min_ns) {
        totals->min_ns = block->min_ns;
    }
    if (block->max_ns > totals->max_ns) {
        totals->max_ns = block->max_ns;
    }
    totals->n_histories += block->n_records;
    totals->n_hops += block->n_hops;
    if (block->kind == ARCHIVE_COLUMNS) {
        count_columns(reader, entry, totals);
    } else {
        totals->n_old += block->n_records;
    }
}

static void
print_stat_json(struct archive_reader *reader, const struct totals *t,
                uint64_t n_lost)
{
    const struct archive_meta *meta = archive_reader_meta(reader);
    json_t *json =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "version",
                  number(meta->version), "files", number(t->n_files), "blocks",
                  number(archive_reader_n_blocks(reader)), "histories",
                  number(t->n_histories), "histories_of_version_1",
                  number(t->n_old), "hops", number(t->n_hops), "bytes",
                  number(t->n_bytes), "min_ns", number(t->min_ns));

    json_object_set_new(json, "bytes_of_sums", number(t->n_sums_bytes));
    json_object_set_new(json, "max_ns", number(t->max_ns));
    json_object_set_new(
        json, "bytes_per_postcard",
        t->n_hops ? json_real((double) t->n_bytes / (double) t->n_hops)
                  : json_null());
    json_object_set_new(json, "shapes", number(t->n_shapes));
    json_object_set_new(json, "flows", number(t->n_flows));
    json_object_set_new(json, "packets_of_flows", number(t->n_rows));
    json_object_set_new(json, "topologies", number(t->n_topologies));
    json_object_set_new(json, "lost_histories", number(n_lost));
    json_object_set_new(json, "damages",
                        number(archive_reader_n_damages(reader)));

    ctl_print_json(json);
    json_decref(json);
}

static void
print_stat(struct archive_reader *reader, const struct totals *t,
           uint64_t n_lost)
{
    const struct archive_meta *meta = archive_reader_meta(reader);
    char from[TIME_SPEC_BUFSIZE], to[TIME_SPEC_BUFSIZE],
        span[TIME_SPEC_BUFSIZE];

    printf("format       version %u\n", meta->version);
    printf("packet IDs   --id-seed %016" PRIx64 " --id-bytes %u\n",
           meta->packet_id.seed, meta->packet_id.n_bytes);
    printf("files        %" PRIu64 ", ", t->n_files);
    ctl_print_count((long long) archive_reader_n_blocks(reader), "block, ",
                    "blocks, ");
    ctl_print_count((long long) t->n_bytes, "byte", "bytes");
    if (t->n_sums_bytes) {
        printf(", %" PRIu64 " of these sums for profiles", t->n_sums_bytes);
    }
    printf("\nhistories    %" PRIu64, t->n_histories);
    if (t->n_old) {
        printf(", %" PRIu64 " of these in blocks of version 1", t->n_old);
    }
    printf("\npostcards    %" PRIu64, t->n_hops);
    if (t->n_hops) {
        printf(", %.2f bytes each", (double) t->n_bytes / (double) t->n_hops);
    }
    putchar('\n');
    if (t->n_histories) {
        printf("times        %s to %s (%s)\n",
               time_spec_format(t->min_ns, true, 6, from),
               time_spec_format(t->max_ns, true, 6, to),
               time_spec_format_span(t->max_ns - t->min_ns, span));
    }
    printf("trajectories ");
    ctl_print_count((long long) t->n_flows, "flow of ", "flows of ");
    ctl_print_count((long long) t->n_shapes, "shape, summed over blocks; ",
                    "shapes, summed over blocks; ");
    ctl_print_count((long long) t->n_rows, "packet is theirs\n",
                    "packets are theirs\n");
    printf("topologies   %" PRIu64 "\n", t->n_topologies);
    printf("lost         ");
    ctl_print_count((long long) n_lost, "history noted as not stored\n",
                    "histories noted as not stored\n");
    if (archive_reader_n_damages(reader)) {
        printf("damages      %zu; lasthopctl archive verify says more\n",
               archive_reader_n_damages(reader));
    }
}

int
ctl_archive_stat(struct ctl *ctl, int argc, char *argv[])
{
    const char *dir = argv[0];
    struct archive_reader *reader;
    struct lh_error error;
    struct totals totals = {0};

    if (archive_reader_open(dir, &reader, &error)) {
        app_say(ctl->app, "%s", error.text);
        return ARCHIVE_UNREADABLE;
    }
    for (size_t i = 0; i < archive_reader_n_blocks(reader); i++) {
        count_block(reader, i, &totals);
    }

    uint64_t n_lost = archive_reader_lost(reader, 0, UINT64_MAX);

    if (ctl->app->is_json) {
        print_stat_json(reader, &totals, n_lost);
    } else {
        print_stat(reader, &totals, n_lost);
    }
    archive_reader_close(reader);
    return ARCHIVE_SOUND;
}
