/* SPDX-License-Identifier: Apache-2.0 */
/* archive_fetch - reads one block of an archive. */
#include <config.h>

#include "lib/archive_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include "lib/archive_scan.h"
#include "lib/lh_alloc.h"
#include "lib/section_list.h"

/* A block in its open file. */
struct source {
    int fd;
    struct archive_entry entry;
};

static int
open_source(const char *dir, const struct archive_entry *entry,
            struct source *source)
{
    char *path = archive_dir_segment(dir, &entry->segment);
    int retval = 0;

    source->entry = *entry;
    source->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (source->fd < 0) {
        retval = errno;
    }
    free(path);
    return retval;
}

/* Reads 'n' bytes of the payload from 'offset' on. */
static int
read_payload(const struct source *source, uint64_t offset, uint8_t *data,
             size_t n)
{
    return archive_read_at(
        source->fd, source->entry.offset + ARCHIVE_BLOCK_HEADER + offset, data,
        n);
}

int
archive_fetch_load(const char *dir, const struct archive_entry *entry,
                   uint8_t **payload, struct lh_error *why)
{
    const struct archive_block *block = &entry->block;
    struct source source;
    uint8_t *stored;
    int retval = open_source(dir, entry, &source);

    *payload = NULL;
    if (retval) {
        return retval;
    }
    stored = malloc(block->stored_len ? block->stored_len : 1);
    if (!stored) {
        lh_error_set(why, "no memory for %u bytes", block->stored_len);
        retval = ENOMEM;
    } else {
        retval = read_payload(&source, 0, stored, block->stored_len);
    }
    if (!retval) {
        retval = archive_block_unpack(block, stored, payload, why);
    }
    free(stored);
    close(source.fd);
    return retval;
}

static int
read_section(void *source_, uint64_t offset, uint8_t *data, size_t n)
{
    const struct source *source = source_;
    const struct archive_block *block = &source->entry.block;

    offset += block->raw_len;
    if (offset > block->stored_len || n > block->stored_len - offset) {
        return ENODATA;
    }
    return read_payload(source, offset, data, n);
}

static void
close_source(void *source_)
{
    struct source *source = source_;

    close(source->fd);
    free(source);
}

int
archive_fetch_columns(const char *dir, const struct archive_entry *entry,
                      struct column_decoder **dp, struct lh_error *why)
{
    uint8_t table[ARCHIVE_COLUMNS_PREFIX + SECTION_LIST_MAX_TABLE];
    const struct archive_block *block = &entry->block;
    struct source *source = lh_alloc(sizeof *source);
    struct column_source columns = {
        .read = read_section, .close = close_source, .aux = source};
    int retval = open_source(dir, entry, source);

    *dp = NULL;
    if (retval) {
        free(source);
        return retval;
    }
    retval = read_payload(source, 0, table, block->raw_len);
    if (!retval && XXH64(table, block->raw_len, 0) != block->payload_hash) {
        lh_error_set(why, "checksum of the table of sections does not match");
        retval = EBADMSG;
    }
    if (retval) {
        close_source(source);
        return retval;
    }
    return column_decoder_create(table + ARCHIVE_COLUMNS_PREFIX,
                                 block->raw_len - ARCHIVE_COLUMNS_PREFIX,
                                 &columns, dp, why);
}
