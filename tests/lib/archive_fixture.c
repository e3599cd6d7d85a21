/* SPDX-License-Identifier: Apache-2.0 */
/* archive_fixture - what tests of archives share. */
#include <config.h>

#include "tests/lib/archive_fixture.h"

#include <check.h>
#include <dirent.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/history_codec.h"
#include "lib/lh_alloc.h"
#include "tests/lib/random_history.h"

char *
fixture_dir(void)
{
    const char *top = getenv("TMPDIR");
    char *path = lh_asprintf("%s/lasthop-archive-XXXXXX", top ? top : "/tmp");

    ck_assert_ptr_nonnull(mkdtemp(path));
    return path;
}

static int
remove_one(const char *path, const struct stat *st, int type,
           struct FTW *where)
{
    return remove(path);
}

void
fixture_remove(char *dir)
{
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(dir);
}

struct archive_writer *
fixture_writer(const char *dir, struct archive_recovery *recovery)
{
    struct archive_writer_config config = {
        .dir = dir,
        .packet_id = PACKET_ID_CONFIG_INIT,
        .now_ns = FIXTURE_NOW_NS,
    };
    struct archive_writer *w;
    struct lh_error error = {.text = "-"};

    ck_assert_msg(!archive_writer_open(&config, &w, recovery, &error), "%s",
                  error.text);
    return w;
}

struct archive_reader *
fixture_reader(const char *dir)
{
    struct archive_reader *r;
    struct lh_error error = {.text = "-"};

    ck_assert_msg(!archive_reader_open(dir, &r, &error), "%s", error.text);
    return r;
}

static struct history **
read_plain(struct history_decoder *d, struct history **all, size_t *n,
           size_t *allocated)
{
    struct history_record record;

    while (d && !history_decoder_next(d, &record, NULL)) {
        all = lh_alloc_grow(all, *n, allocated, sizeof *all);
        ck_assert_int_eq(
            history_decoder_read(d, record.offset, &all[*n], NULL), 0);
        (*n)++;
    }
    return all;
}

/* What can be read of a block of columns. */
static struct history **
read_columns(struct archive_reader *r, const struct archive_entry *entry,
             struct history **all, size_t *n, size_t *allocated)
{
    struct column_decoder *d;
    struct history_decoder *plain;
    struct lh_error why = {.pos = -1};
    int error = archive_reader_columns(r, entry, &d, NULL);

    if (error) {
        return all;
    }
    if (!error) {
        error = column_decoder_need_times(d, &why);
    }
    if (!error) {
        error = column_decoder_need_rows(d, &why);
    }
    for (size_t i = 0; i < column_decoder_n_flows(d) && !error; i++) {
        for (size_t k = 0; k < column_decoder_flow(d, i)->n_rows; k++) {
            const struct history *h;

            ck_assert_int_eq(column_decoder_history(d, i, k, &h, NULL), 0);
            all = lh_alloc_grow(all, *n, allocated, sizeof *all);
            all[(*n)++] = history_clone(h);
        }
    }
    if (!error) {
        error = column_decoder_plain(d, &plain, &why);
    }
    if (!error) {
        all = read_plain(plain, all, n, allocated);
    } else {
        archive_reader_broken(r, entry, error, &why, NULL);
    }
    column_decoder_destroy(d);
    return all;
}

struct history **
fixture_read_all(struct archive_reader *r, size_t *n)
{
    struct history **all = NULL;
    size_t allocated = 0;

    *n = 0;
    for (size_t i = 0; i < archive_reader_n_blocks(r); i++) {
        const struct archive_entry *entry = archive_reader_entry(r, i);
        const struct archive_block *block = &entry->block;
        struct history_decoder *d;
        uint8_t *payload;

        if (block->kind == ARCHIVE_COLUMNS) {
            all = read_columns(r, entry, all, n, &allocated);
            continue;
        }
        if (block->kind != ARCHIVE_HISTORIES ||
            archive_reader_load(r, entry, &payload, NULL)) {
            continue;
        }
        ck_assert_int_eq(
            history_decoder_create(payload, block->raw_len, &d, NULL), 0);
        all = read_plain(d, all, n, &allocated);
        history_decoder_destroy(d);
        free(payload);
    }
    return all;
}

void
fixture_free_all(struct history **all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        history_destroy(all[i]);
    }
    free(all);
}

size_t
fixture_count(struct archive_reader *r)
{
    size_t n;
    struct history **all = fixture_read_all(r, &n);

    fixture_free_all(all, n);
    return n;
}

void
fixture_add(struct archive_writer *w, uint64_t first_id, size_t n)
{
    for (uint64_t id = first_id; id < first_id + n; id++) {
        struct history *h =
            line_history(id, 3, FIXTURE_NOW_NS + id * 1000000000u, 96);

        archive_writer_add(w, h);
        history_destroy(h);
    }
}

void
fixture_hurry(void)
{
    const struct sched_param param = {.sched_priority = 0};
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *task;

    ck_assert_ptr_nonnull(tasks);
    while ((task = readdir(tasks)) != NULL) {
        if (task->d_name[0] != '.') {
            /* Who may not, waits. */
            sched_setscheduler(atoi(task->d_name), SCHED_OTHER, &param);
        }
    }
    closedir(tasks);
}
