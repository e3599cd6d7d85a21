/* SPDX-License-Identifier: Apache-2.0 */
/* template_log - the templates of a ring, on disk. */
#include <config.h>

#include "agent/template_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "agent/ring_layout.h"
#include "lib/lh_alloc.h"

/* An entry: length of what follows but the check, place, slot, template in
 * its form on the wire, XXH32 of all before. */
#define MAX_ENTRY 4096
#define LONG      (8u << 20)

struct template_log {
    char *path; /* Owned. */
    int fd;
    uint64_t size;
    uint64_t n_errors;
    struct byte_buf entry;
};

int
template_log_open(const char *path, struct template_log **logp,
                  struct lh_error *error)
{
    struct template_log *log;
    struct stat st;
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int retval = errno;

    *logp = NULL;
    if (fd >= 0 && fstat(fd, &st)) {
        retval = errno;
        close(fd);
        fd = -1;
    }
    if (fd < 0) {
        lh_error_set(error, "%s: %s", path, strerror(retval));
        return retval;
    }
    log = lh_alloc_zero(sizeof *log);
    log->path = lh_strdup(path);
    log->fd = fd;
    log->size = (uint64_t) st.st_size;
    *logp = log;
    return 0;
}

void
template_log_close(struct template_log *log)
{
    if (log) {
        close(log->fd);
        free(log->path);
        byte_buf_uninit(&log->entry);
        free(log);
    }
}

void
template_log_remove(struct template_log *log)
{
    if (log) {
        unlink(log->path);
        template_log_close(log);
    }
}

/* Reads the next entry.  False at the end, or where the rest makes no
 * sense. */
static bool
read_entry(struct bytes_reader *r, uint64_t *at, uint16_t *slot,
           union hop_template_buf *buf)
{
    size_t start = r->ofs;
    uint32_t len = bytes_get_u32(r);
    const uint8_t *body = bytes_get(r, len);
    uint32_t check = bytes_get_u32(r);

    if (r->failed || len > MAX_ENTRY ||
        XXH32(r->data + start, len + 4u, 0) != check) {
        return false;
    }

    struct bytes_reader entry = bytes_reader(body, len);

    *at = bytes_get_u64(&entry);
    *slot = bytes_get_u16(&entry);
    return !hop_template_get(&entry, buf, NULL) && !bytes_left(&entry) &&
           *slot < RING_N_SLOTS;
}

void
template_log_load(struct template_log *log, uint64_t tail,
                  void (*visit)(void *aux, uint16_t slot,
                                const struct hop_template *),
                  void *aux)
{
    uint8_t *data = malloc(log->size + 1);
    ssize_t n = data ? pread(log->fd, data, log->size, 0) : -1;
    struct bytes_reader r = bytes_reader(data, n > 0 ? (size_t) n : 0);
    union hop_template_buf buf;
    uint64_t at;
    uint16_t slot;
    size_t good = 0;

    while (bytes_left(&r) && read_entry(&r, &at, &slot, &buf)) {
        good = r.ofs;
        if (at < tail) {
            visit(aux, slot, &buf.t);
        }
    }
    free(data);
    if (good < log->size) {
        log->n_errors++;
        if (!ftruncate(log->fd, (off_t) good)) {
            log->size = good;
        }
    }
}

static void
put_entry(struct byte_buf *out, uint64_t at, uint16_t slot,
          const struct hop_template *template)
{
    size_t start = out->len;

    byte_buf_put_u32(out, 0);
    byte_buf_put_u64(out, at);
    bytes_put_be16(byte_buf_extend(out, 2), slot);
    hop_template_put(out, template);
    bytes_put_be32(out->data + start, (uint32_t) (out->len - start - 4));
    byte_buf_put_u32(out, XXH32(out->data + start, out->len - start, 0));
}

static bool
write_all(int fd, const struct byte_buf *buf)
{
    ssize_t n = buf->len ? write(fd, buf->data, buf->len) : 0;

    return n >= 0 && (size_t) n == buf->len;
}

void
template_log_put(struct template_log *log, uint64_t at, uint16_t slot,
                 const struct hop_template *template)
{
    byte_buf_clear(&log->entry);
    put_entry(&log->entry, at, slot, template);
    if (write_all(log->fd, &log->entry)) {
        log->size += log->entry.len;
    } else {
        log->n_errors++;
        /* Half an entry would hide those behind it. */
        if (ftruncate(log->fd, (off_t) log->size)) {
            log->n_errors++;
        }
    }
}

bool
template_log_is_long(const struct template_log *log)
{
    return log->size > LONG;
}

void
template_log_rewrite(struct template_log *log,
                     const struct hop_template *const *slots)
{
    char *path = lh_asprintf("%s.new", log->path);
    int fd =
        open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    struct byte_buf all = BYTE_BUF_INIT;

    for (unsigned int i = 0; i < RING_N_SLOTS; i++) {
        if (slots[i]) {
            put_entry(&all, 0, (uint16_t) i, slots[i]);
        }
    }
    if (fd >= 0 && write_all(fd, &all) && !rename(path, log->path)) {
        close(log->fd);
        log->fd = fd;
        log->size = all.len;
    } else {
        log->n_errors++;
        if (fd >= 0) {
            close(fd);
            unlink(path);
        }
    }
    byte_buf_uninit(&all);
    free(path);
}

uint64_t
template_log_n_errors(const struct template_log *log)
{
    return log->n_errors;
}
