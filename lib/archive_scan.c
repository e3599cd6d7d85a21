/* SPDX-License-Identifier: Apache-2.0 */
/* archive_scan - walks the blocks of one segment file by their headers. */
#include <config.h>

#include "lib/archive_scan.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define CHUNK 65536u

int
archive_read_at(int fd, uint64_t offset, void *data, size_t n)
{
    uint8_t *p = data;

    while (n) {
        ssize_t got = pread(fd, p, n, (off_t) offset);

        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno;
        }
        if (!got) {
            return ENODATA;
        }
        p += got;
        offset += (uint64_t) got;
        n -= (size_t) got;
    }
    return 0;
}

void
archive_scan_init(struct archive_scan *scan, int fd, uint64_t offset,
                  uint64_t size)
{
    scan->fd = fd;
    scan->offset = offset;
    scan->size = size;
}

/* Sets '*found' to the offset of the first sound header at or after 'from',
 * or to the size when there is none, and '*is_zero' to whether all bytes from
 * 'from' to there are 0. */
static int
find_header(const struct archive_scan *scan, uint64_t from, uint64_t *found,
            bool *is_zero)
{
    uint8_t chunk[CHUNK];

    *is_zero = true;
    while (from < scan->size) {
        uint64_t left = scan->size - from;
        size_t n = left < CHUNK ? (size_t) left : CHUNK;
        int error = archive_read_at(scan->fd, from, chunk, n);

        if (error) {
            return error;
        }

        size_t at = archive_block_find(chunk, n);
        size_t end = at < n ? at : n;

        for (size_t i = 0; i < end && *is_zero; i++) {
            *is_zero = chunk[i] == 0;
        }
        if (at < n) {
            uint8_t header[ARCHIVE_BLOCK_HEADER];
            struct archive_block block;

            from += at;
            if (scan->size - from < sizeof header) {
                *is_zero = false;
                break;
            }
            error = archive_read_at(scan->fd, from, header, sizeof header);
            if (error) {
                return error;
            }

            enum archive_block_status status =
                archive_block_parse(header, &block);

            if (status == ARCHIVE_BLOCK_OK || status == ARCHIVE_BLOCK_NEWER) {
                *found = from;
                return 0;
            }
            *is_zero = false;
            from++;
        } else if (left > n) {
            /* A magic number may lie across the edge. */
            from += n - 3;
        } else {
            break;
        }
    }
    *found = scan->size;
    return 0;
}

static enum archive_scan_what
finish(struct archive_scan *scan, struct archive_scan_item *item,
       enum archive_scan_what what, uint64_t len)
{
    item->what = what;
    item->offset = scan->offset;
    item->len = len;
    if (what == ARCHIVE_SCAN_TORN || what == ARCHIVE_SCAN_ERROR) {
        scan->size = scan->offset;
    } else {
        scan->offset += len;
    }
    return what;
}

/* No sound header stands at scan->offset, where a whole one would fit. */
static enum archive_scan_what
scan_damage(struct archive_scan *scan, struct archive_scan_item *item)
{
    uint64_t next;
    bool is_zero;
    int error = find_header(scan, scan->offset, &next, &is_zero);

    if (error) {
        item->error = error;
        return finish(scan, item, ARCHIVE_SCAN_ERROR, 0);
    }
    assert(next > scan->offset);
    return finish(scan, item,
                  is_zero && next == scan->size ? ARCHIVE_SCAN_TORN
                                                : ARCHIVE_SCAN_DAMAGE,
                  next - scan->offset);
}

enum archive_scan_what
archive_scan_next(struct archive_scan *scan, struct archive_scan_item *item)
{
    memset(item, 0, sizeof *item);
    if (scan->offset >= scan->size) {
        return finish(scan, item, ARCHIVE_SCAN_END, 0);
    }

    uint64_t left = scan->size - scan->offset;
    uint8_t header[ARCHIVE_BLOCK_HEADER];

    if (left < sizeof header) {
        return finish(scan, item, ARCHIVE_SCAN_TORN, left);
    }

    int error = archive_read_at(scan->fd, scan->offset, header, sizeof header);

    if (error) {
        item->error = error;
        return finish(scan, item, ARCHIVE_SCAN_ERROR, 0);
    }

    enum archive_block_status status =
        archive_block_parse(header, &item->block);

    if (status != ARCHIVE_BLOCK_OK && status != ARCHIVE_BLOCK_NEWER) {
        return scan_damage(scan, item);
    }

    uint64_t len = (uint64_t) ARCHIVE_BLOCK_HEADER + item->block.stored_len;

    if (len > left) {
        return finish(scan, item, ARCHIVE_SCAN_TORN, left);
    }
    return finish(scan, item,
                  status == ARCHIVE_BLOCK_OK ? ARCHIVE_SCAN_BLOCK
                                             : ARCHIVE_SCAN_NEWER,
                  len);
}
