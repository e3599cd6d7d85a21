/* SPDX-License-Identifier: Apache-2.0 */
/* pcap_file - the frames of a plain capture file, quickly.
 *
 * The file is mapped, a window at a time: it is not copied, and threads can
 * share a window. */
#include <config.h>

#include "server/pcap_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/lh_alloc.h"

#define FILE_HEADER_LEN  24
#define FRAME_HEADER_LEN 16
#define MAGIC_MICRO      0xa1b2c3d4u
#define MAGIC_NANO       0xa1b23c4du
#define LINK_ETHERNET    1u
#define MAX_FRAME        262144    /* libpcap's limit for Ethernet. */
#define WINDOW           (8 << 20) /* Larger than any frame. */

struct pcap_file {
    int fd;
    bool is_clone;   /* The other one's 'fd'. */
    bool is_swapped; /* Of the other byte order than this machine. */
    uint32_t tick_ns;
    uint32_t snap;
    uint64_t size;        /* Is read no further. */
    struct file_map *map; /* The window.  Owned reference, or NULL. */
    const uint8_t *buf;   /* Its bytes; NULL: none. */
    uint64_t buf_place;   /* Of buf[0] in the file. */
    size_t ofs, n;        /* Bytes of 'buf' that were handed out; in it. */
};

static inline uint32_t
get_u32(const struct pcap_file *file, const uint8_t *p)
{
    uint32_t value;

    memcpy(&value, p, sizeof value);
    return file->is_swapped ? __builtin_bswap32(value) : value;
}

static inline uint16_t
get_u16(const struct pcap_file *file, const uint8_t *p)
{
    uint16_t value;

    memcpy(&value, p, sizeof value);
    return file->is_swapped ? __builtin_bswap16(value) : value;
}

/* How many bytes the file has now. */
static int
get_size(const struct pcap_file *file, uint64_t *sizep)
{
    struct stat st;

    if (fstat(file->fd, &st)) {
        *sizep = 0;
        return errno;
    }
    *sizep = (uint64_t) st.st_size;
    return 0;
}

/* Moves the window to what was not handed out, as far as the file goes now.
 * Returns 0 or an errno. */
static int
fill(struct pcap_file *file)
{
    uint64_t size;
    int retval = get_size(file, &size);

    file->buf_place += file->ofs;
    file->buf = NULL;
    file->ofs = file->n = 0;
    file_map_unref(file->map);
    file->map = NULL;
    size = size < file->size ? size : file->size;
    if (!retval && size > file->buf_place) {
        size -= file->buf_place;
        size = size < WINDOW ? size : WINDOW;
        retval = file_map_create(file->fd, file->buf_place, (size_t) size,
                                 &file->map);
        if (!retval) {
            file->buf = file_map_data(file->map);
            file->n = (size_t) size;
        }
    }
    return retval;
}

/* Whether the file begins as it must; sets what its header says. */
static bool
read_header(struct pcap_file *file)
{
    const uint8_t *p = file->buf;
    uint32_t magic;

    if (file->n < FILE_HEADER_LEN) {
        return false;
    }
    magic = get_u32(file, p);
    if (magic != MAGIC_MICRO && magic != MAGIC_NANO) {
        file->is_swapped = true;
        magic = get_u32(file, p);
    }
    file->tick_ns = magic == MAGIC_MICRO ? 1000 : 1;
    file->snap = get_u32(file, p + 16);
    if (!file->snap || file->snap > MAX_FRAME) {
        file->snap = MAX_FRAME;
    }
    file->ofs = FILE_HEADER_LEN;
    return (magic == MAGIC_MICRO || magic == MAGIC_NANO) &&
           get_u16(file, p + 4) == 2 && get_u16(file, p + 6) == 4 &&
           get_u32(file, p + 20) == LINK_ETHERNET;
}

int
pcap_file_open(const char *path, struct pcap_file **filep,
               struct lh_error *error)
{
    struct pcap_file *file = NULL;
    struct stat st;
    int retval = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    *filep = NULL;
    if (fd < 0 || fstat(fd, &st)) {
        retval = errno;
        lh_error_set(error, "%s: %s", path, strerror(retval));
        goto error;
    }
    if (!S_ISREG(st.st_mode)) {
        retval = ENOTSUP; /* What was read of a pipe could not be put back. */
        goto error;
    }
    file = lh_alloc_zero(sizeof *file);
    file->fd = fd;
    file->size = INT64_MAX;
    if (fill(file) || !read_header(file)) {
        retval = ENOTSUP; /* What cannot be mapped may be read. */
        goto error;
    }
    *filep = file;
    return 0;

error:
    if (file) {
        pcap_file_close(file);
    } else if (fd >= 0) {
        close(fd);
    }
    return retval;
}

void
pcap_file_close(struct pcap_file *file)
{
    if (file) {
        file_map_unref(file->map);
        if (!file->is_clone) {
            close(file->fd);
        }
        free(file);
    }
}

struct pcap_file *
pcap_file_clone(const struct pcap_file *file, uint64_t size)
{
    struct pcap_file *clone = lh_alloc(sizeof *clone);

    *clone = *file;
    clone->is_clone = true;
    clone->map = NULL;
    clone->buf = NULL;
    clone->size = size;
    clone->buf_place = FILE_HEADER_LEN;
    clone->ofs = clone->n = 0;
    return clone;
}

/* Makes sure of 'need' bytes; ENODATA when there is nothing at all. */
static int
demand(struct pcap_file *file, size_t need, const char *what,
       struct lh_error *error)
{
    uint64_t place;
    int retval;

    if (__builtin_expect(file->n - file->ofs >= need, 1)) {
        return 0;
    }
    retval = fill(file);
    place = file->buf_place;
    if (retval) {
        lh_error_set(error, "byte %llu: %s",
                     (unsigned long long) (place + file->n), strerror(retval));
    } else if (!file->n) {
        retval = ENODATA;
    } else if (file->n < need) {
        lh_error_set(error,
                     "the file is cut: it ends at byte %llu, inside %s at "
                     "byte %llu",
                     (unsigned long long) (place + file->n), what,
                     (unsigned long long) place);
        retval = EINVAL;
    }
    return retval;
}

/* Whether the file has become shorter than what was handed out of it: the
 * bytes that are gone are zeros. */
static bool
is_cut(const struct pcap_file *file, struct lh_error *error)
{
    uint64_t size;

    if (get_size(file, &size) ||
        size >= file->buf_place + file->ofs + FRAME_HEADER_LEN) {
        return false;
    }
    lh_error_set(error,
                 "the file was cut while it was read: it ends at byte %llu",
                 (unsigned long long) size);
    return true;
}

/* The time in the header at 'p'. */
static inline uint64_t
get_time(const struct pcap_file *file, const uint8_t *p)
{
    return get_u32(file, p) * UINT64_C(1000000000) +
           get_u32(file, p + 4) * (uint64_t) file->tick_ns;
}

int
pcap_file_next(struct pcap_file *file, struct pcap_file_frame *frame,
               struct lh_error *error)
{
    const uint8_t *p;
    uint32_t caplen;
    int retval =
        demand(file, FRAME_HEADER_LEN, "the header of a frame", error);

    if (retval) {
        return retval;
    }
    caplen = get_u32(file, file->buf + file->ofs + 8);
    if (caplen > MAX_FRAME) {
        lh_error_set(error,
                     "byte %llu: no frame is %u bytes long: the file is "
                     "damaged here",
                     (unsigned long long) (file->buf_place + file->ofs),
                     (unsigned int) caplen);
        return EINVAL;
    }
    if (!caplen && is_cut(file, error)) {
        return EINVAL;
    }
    retval = demand(file, FRAME_HEADER_LEN + caplen, "a frame", error);
    if (retval) {
        return retval;
    }
    p = file->buf + file->ofs;
    frame->time_ns = get_time(file, p);
    frame->data = p + FRAME_HEADER_LEN;
    frame->len = caplen < file->snap ? caplen : file->snap;
    file->ofs += FRAME_HEADER_LEN + caplen;
    return 0;
}

uint64_t
pcap_file_time(const struct pcap_file *file, const uint8_t *data)
{
    return get_time(file, data - FRAME_HEADER_LEN);
}

struct file_map *
pcap_file_window(const struct pcap_file *file)
{
    return file->map;
}

uint64_t
pcap_file_place(const struct pcap_file *file)
{
    return file->buf_place + file->ofs;
}

uint64_t
pcap_file_size(const struct pcap_file *file)
{
    uint64_t size;

    get_size(file, &size);
    return size;
}

bool
pcap_file_has_next(const struct pcap_file *file)
{
    size_t n = file->n - file->ofs;

    return n >= FRAME_HEADER_LEN &&
           n - FRAME_HEADER_LEN >= get_u32(file, file->buf + file->ofs + 8);
}
