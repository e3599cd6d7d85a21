/* SPDX-License-Identifier: Apache-2.0 */
/* archive_stock - what stands in a segment file, found before writing on. */
#include <config.h>

#include "lib/archive_stock.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/archive_scan.h"

static void
take_block(struct archive_stock *stock, const struct archive_block *block)
{
    stock->has_block = true;
    stock->last_sequence = block->sequence;
    if (block->kind == ARCHIVE_COLUMNS || block->kind == ARCHIVE_HISTORIES) {
        stock->n_blocks++;
        stock->n_records += block->n_records;
    }
    if (block->kind != ARCHIVE_TOPOLOGY && block->max_ns > stock->max_ns) {
        stock->max_ns = block->max_ns;
    }
}

int
archive_stock_take(const char *path, int fd, struct archive_stock *stock,
                   struct lh_error *error)
{
    struct archive_scan scan;
    struct archive_scan_item item;
    struct stat st;

    memset(stock, 0, sizeof *stock);
    if (fstat(fd, &st)) {
        int retval = errno;

        lh_error_set(error, "%s: %s", path, strerror(retval));
        return retval;
    }
    stock->size = (uint64_t) st.st_size;
    archive_scan_init(&scan, fd, 0, stock->size);
    while (archive_scan_next(&scan, &item) != ARCHIVE_SCAN_END) {
        switch (item.what) {
        case ARCHIVE_SCAN_NEWER:
            stock->has_newer = true;
            take_block(stock, &item.block);
            break;
        case ARCHIVE_SCAN_BLOCK:
            take_block(stock, &item.block);
            archive_sums_id_add(&stock->sums_id, item.offset, &item.block);
            break;
        case ARCHIVE_SCAN_DAMAGE:
            stock->has_damage = true;
            stock->damage_offset = item.offset;
            stock->damage_len = item.len;
            break;
        case ARCHIVE_SCAN_TORN:
            stock->is_torn = true;
            stock->torn_offset = item.offset;
            break;
        case ARCHIVE_SCAN_ERROR:
            lh_error_set(error, "%s: at byte %" PRIu64 ": %s", path,
                         item.offset, strerror(item.error));
            return item.error;
        case ARCHIVE_SCAN_END:
            break;
        }
    }
    return 0;
}
