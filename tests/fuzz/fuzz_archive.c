/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the walk over a segment file: it ends, every item lies in the file
 * behind the one before, and every payload is unpacked or refused. */
#include <config.h>

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/archive_scan.h"
#include "tests/fuzz/fuzz.h"

static void
unpack(int fd, const struct archive_scan_item *item)
{
    uint8_t *stored = malloc(item->block.stored_len + 1u);
    uint8_t *raw;

    if (archive_read_at(fd, item->offset + ARCHIVE_BLOCK_HEADER, stored,
                        item->block.stored_len)) {
        abort();
    }
    if (!archive_block_unpack(&item->block, stored, &raw, NULL)) {
        free(raw);
    }
    free(stored);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct archive_scan scan;
    struct archive_scan_item item;
    uint64_t at = 0;

    if (fd < 0) {
        fd = memfd_create("segment", MFD_CLOEXEC);
    }
    if (fd < 0 || ftruncate(fd, 0) ||
        pwrite(fd, data, size, 0) != (ssize_t) size) {
        abort();
    }
    archive_scan_init(&scan, fd, 0, size);
    while (archive_scan_next(&scan, &item) != ARCHIVE_SCAN_END) {
        if (item.offset != at || !item.len || item.len > size - at ||
            item.what == ARCHIVE_SCAN_ERROR) {
            abort();
        }
        at += item.len;
        if (item.what == ARCHIVE_SCAN_BLOCK) {
            unpack(fd, &item);
        }
    }
    if (at != size) {
        abort();
    }
    return 0;
}
