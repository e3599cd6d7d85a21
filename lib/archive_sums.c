/* SPDX-License-Identifier: Apache-2.0 */
/* archive_sums - the file of sums beside a file of blocks. */
#include <config.h>

#include "lib/archive_sums.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "lib/archive_scan.h"
#include "lib/bytes.h"
#include "lib/lh_alloc.h"

#define HEADER_LEN   64
#define SUMS_VERSION 1
/* Nobody waits for it. */
#define ZSTD_LEVEL 6
/* A file that says to be longer is damaged. */
#define MAX_LEN (1u << 30)

static const uint8_t magic[4] = {0xba, 0x4c, 0x48, 0x73};

struct header {
    struct archive_segment segment;
    struct archive_sums_id id;
    uint32_t table_len;
};

void
archive_sums_id_add(struct archive_sums_id *id, uint64_t offset,
                    const struct archive_block *block)
{
    uint8_t bytes[32];

    if (block->kind != ARCHIVE_COLUMNS && block->kind != ARCHIVE_HISTORIES) {
        return;
    }
    bytes_put_be64(bytes, id->hash);
    bytes_put_be64(bytes + 8, offset);
    bytes_put_be64(bytes + 16, block->sequence);
    bytes_put_be64(bytes + 24, block->payload_hash);
    id->hash = XXH64(bytes, sizeof bytes, 0);
    id->n_records += block->n_records;
    id->is_sampled = id->is_sampled || block->is_sampled;
}

char *
archive_sums_path(const char *dir, const struct archive_segment *segment)
{
    return archive_dir_beside(dir, segment, ".sums");
}

char *
archive_sums_new_path(const char *dir, const struct archive_segment *segment)
{
    return archive_dir_beside(dir, segment, ".sums.new");
}

/* --- Writing ------------------------------------------------------------ */

static void
put_header(const struct header *header, uint64_t table_hash,
           uint8_t out[HEADER_LEN])
{
    memset(out, 0, HEADER_LEN);
    memcpy(out, magic, sizeof magic);
    out[4] = SUMS_VERSION;
    bytes_put_be64(out + 8, header->segment.first);
    bytes_put_be64(out + 16, header->segment.last);
    bytes_put_be64(out + 24, header->id.hash);
    bytes_put_be64(out + 32, header->id.n_records);
    bytes_put_be32(out + 40, header->table_len);
    bytes_put_be64(out + 48, table_hash);
    bytes_put_be64(out + 56, XXH64(out, 56, 0));
}

static int
write_file(const char *path, const struct byte_buf *bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0660);
    size_t done = 0;
    int retval = fd < 0 ? errno : 0;

    while (!retval && done < bytes->len) {
        ssize_t n = write(fd, bytes->data + done, bytes->len - done);

        if (n > 0) {
            done += (size_t) n;
        } else if (n == 0 || errno != EINTR) {
            retval = n ? errno : EIO;
        }
    }
    if (!retval && fsync(fd)) {
        retval = errno;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (retval) {
        unlink(path);
    }
    return retval;
}

int
archive_sums_write(const char *dir, const struct archive_segment *segment,
                   const atomic_bool *is_cancelled, uint64_t *size,
                   struct lh_error *error)
{
    struct header header = {.segment = *segment};
    struct byte_buf bytes = BYTE_BUF_INIT;
    struct flow_sums *sums;
    bool is_whole;
    int retval = archive_sums_make(dir, segment, is_cancelled, &sums,
                                   &header.id, error);

    *size = 0;
    if (retval) {
        return retval;
    }
    byte_buf_extend(&bytes, HEADER_LEN);
    header.table_len =
        (uint32_t) flow_sums_put(sums, ZSTD_LEVEL, &bytes, &is_whole);
    flow_sums_destroy(sums);
    if (!is_whole || bytes.len > MAX_LEN) {
        retval = EFBIG;
    } else {
        char *path = archive_sums_new_path(dir, segment);

        put_header(&header,
                   XXH64(bytes.data + HEADER_LEN, header.table_len, 0),
                   bytes.data);
        retval = write_file(path, &bytes);
        *size = retval ? 0 : bytes.len;
        free(path);
    }
    if (retval) {
        lh_error_set(error, "%s", strerror(retval));
    }
    byte_buf_uninit(&bytes);
    return retval;
}

/* --- Reading ------------------------------------------------------------ */

/* Opens the file and reads its header; the descriptor is the caller's.
 * Returns as archive_sums_read(). */
static int
open_sums(const char *dir, const struct archive_segment *segment, int *fd,
          uint64_t *size, struct header *header, uint64_t *table_hash,
          struct lh_error *error)
{
    char *path = archive_sums_path(dir, segment);
    uint8_t bytes[HEADER_LEN];
    struct stat st;
    int retval = 0;

    *fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    if (*fd < 0 || fstat(*fd, &st)) {
        retval = errno;
        lh_error_set(error, "%s", strerror(retval));
        return retval;
    }
    retval = archive_read_at(*fd, 0, bytes, sizeof bytes);
    if (retval == ENODATA ||
        (!retval && (memcmp(bytes, magic, sizeof magic) != 0 ||
                     XXH64(bytes, 56, 0) != bytes_be64(bytes + 56)))) {
        lh_error_set(error, "its header is broken");
        return EBADMSG;
    }
    if (retval) {
        lh_error_set(error, "%s", strerror(retval));
        return retval;
    }
    if (bytes[4] != SUMS_VERSION) {
        lh_error_set(error, "a newer lasthop wrote it: version %u", bytes[4]);
        return EPROTONOSUPPORT;
    }
    *size = (uint64_t) st.st_size;
    header->segment.first = bytes_be64(bytes + 8);
    header->segment.last = bytes_be64(bytes + 16);
    header->id.hash = bytes_be64(bytes + 24);
    header->id.n_records = bytes_be64(bytes + 32);
    header->table_len = bytes_be32(bytes + 40);
    *table_hash = bytes_be64(bytes + 48);
    return 0;
}

static bool
is_of(const struct header *header, const struct archive_segment *segment,
      const struct archive_sums_id *id)
{
    return header->segment.first == segment->first &&
           header->segment.last == segment->last &&
           header->id.hash == id->hash &&
           header->id.n_records == id->n_records;
}

/* Reads what is behind the header, of 'len' bytes. */
static int
read_rest(int fd, const struct header *header, uint64_t table_hash,
          uint64_t len, enum flow_sums_depth depth,
          struct flow_sums_view *view, struct lh_error *error)
{
    uint8_t *bytes;
    int retval;

    if (len > MAX_LEN || header->table_len > len) {
        lh_error_set(error, "its lengths are impossible");
        return EBADMSG;
    }
    bytes = malloc((size_t) len + 1);
    if (!bytes) {
        lh_error_set(error, "no memory for it");
        return ENOMEM;
    }
    retval = archive_read_at(fd, HEADER_LEN, bytes, (size_t) len);
    if (retval == ENODATA ||
        (!retval && XXH64(bytes, header->table_len, 0) != table_hash)) {
        lh_error_set(error, "its table of sections is broken");
        retval = EBADMSG;
    } else if (retval) {
        lh_error_set(error, "%s", strerror(retval));
    }
    if (!retval) {
        retval = flow_sums_read(bytes, (size_t) len, header->table_len, depth,
                                view, error);
    }
    free(bytes);
    return retval;
}

int
archive_sums_read(const char *dir, const struct archive_segment *segment,
                  const struct archive_sums_id *id, enum flow_sums_depth depth,
                  struct flow_sums_view *view, struct lh_error *error)
{
    struct header header;
    uint64_t size, table_hash;
    int fd, retval = open_sums(dir, segment, &fd, &size, &header, &table_hash,
                               error);

    memset(view, 0, sizeof *view);
    if (!retval && !is_of(&header, segment, id)) {
        lh_error_set(error, "it is of other blocks than those that are there");
        retval = ESTALE;
    }
    if (!retval) {
        retval = read_rest(fd, &header, table_hash, size - HEADER_LEN, depth,
                           view, error);
    }
    if (fd >= 0) {
        close(fd);
    }
    return retval;
}

uint64_t
archive_sums_find(const char *dir, const struct archive_segment *segment,
                  const struct archive_sums_id *id)
{
    struct header header;
    uint64_t size, table_hash;
    int fd, retval = open_sums(dir, segment, &fd, &size, &header, &table_hash,
                               NULL);

    if (fd >= 0) {
        close(fd);
    }
    return !retval && is_of(&header, segment, id) ? size : 0;
}

uint64_t
archive_sums_size(const char *dir, const struct archive_segment *segment)
{
    char *path = archive_sums_path(dir, segment);
    struct stat st;
    uint64_t size = stat(path, &st) ? 0 : (uint64_t) st.st_size;

    free(path);
    return size;
}

int
archive_sums_remove(const char *dir, const struct archive_segment *segment)
{
    char *path = archive_sums_path(dir, segment);
    int retval = unlink(path) && errno != ENOENT ? errno : 0;

    free(path);
    return retval;
}
