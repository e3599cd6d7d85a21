/* SPDX-License-Identifier: Apache-2.0 */
/* spool - frames on disk until the server has taken them. */
#include <config.h>

#include "agent/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "lib/lh_alloc.h"

static const char state_magic[8] = {'L', 'H', 'A', 'S', 'T', 'A', 'T', '1'};

#define STATE_LEN     56 /* Magic, ID, hash of the boot ID, acked, last, sum. */
#define RECORD_HEAD   24 /* Length, positions, seq, XXH64 of all behind. */
#define POSITION_LEN  32
#define MAX_POSITIONS 4096
#define MAX_FILE      (UINT64_C(4) << 20)
/* Frames that tell of losses find room past the bound. */
#define URGENT_ROOM (UINT64_C(256) << 10)
/* After the host's death numbers may have been used that the disk had not. */
#define BOOT_JUMP (UINT64_C(1) << 20)

struct spool_file {
    TAILQ_ENTRY(spool_file) node;
    int fd;
    char *path; /* Owned. */
    uint64_t size;
    uint64_t last_seq;
};

struct spool {
    char *dir; /* Owned. */
    int lock_fd, state_fd;
    uint64_t max_bytes, n_bytes;
    TAILQ_HEAD(files, spool_file) files; /* The oldest first. */
    uint8_t id[AGENT_ID_LEN];
    uint64_t boot; /* Hash of the host's boot ID. */
    uint64_t acked, last_seq;
    struct ring_position *positions; /* Owned. */
    size_t n_positions;
    uint64_t n_errors;
    struct byte_buf record;
};

/* --- State ---------------------------------------------------------------
 */

static uint64_t
boot_hash(void)
{
    char text[64];
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : 0;

    if (fd >= 0) {
        close(fd);
    }
    return n > 0 ? XXH64(text, (size_t) n, 0) : 0;
}

static void
write_state(struct spool *s)
{
    uint8_t state[STATE_LEN];
    struct bytes_writer w = bytes_writer(state, sizeof state);

    bytes_put(&w, state_magic, sizeof state_magic);
    bytes_put(&w, s->id, sizeof s->id);
    bytes_put_u64(&w, s->boot);
    bytes_put_u64(&w, s->acked);
    bytes_put_u64(&w, s->last_seq);
    bytes_put_u64(&w, XXH64(state, w.len, 0));
    if (pwrite(s->state_fd, state, sizeof state, 0) != sizeof state) {
        s->n_errors++;
    }
}

static int
read_state(struct spool *s, struct lh_error *error)
{
    uint8_t state[STATE_LEN + 1];
    ssize_t n = pread(s->state_fd, state, sizeof state, 0);
    uint64_t boot = boot_hash();

    if (n > 0) {
        struct bytes_reader r = bytes_reader(state, (size_t) n);
        const uint8_t *magic = bytes_get(&r, sizeof state_magic);
        const uint8_t *id = bytes_get(&r, sizeof s->id);

        s->boot = bytes_get_u64(&r);
        s->acked = bytes_get_u64(&r);
        s->last_seq = bytes_get_u64(&r);
        if (n != STATE_LEN ||
            bytes_get_u64(&r) != XXH64(state, STATE_LEN - 8, 0) ||
            memcmp(magic, state_magic, sizeof state_magic) != 0 ||
            s->acked > s->last_seq || s->last_seq > UINT64_MAX / 4) {
            lh_error_set(error,
                         "%s/state is damaged; remove the directory to begin "
                         "anew, what is in it is lost then",
                         s->dir);
            return EBADMSG;
        }
        memcpy(s->id, id, sizeof s->id);
    } else if (getrandom(s->id, sizeof s->id, 0) != sizeof s->id) {
        lh_error_set(error, "no random numbers: %s", strerror(errno));
        return EIO;
    }
    if (n > 0 && boot != s->boot) {
        s->last_seq += BOOT_JUMP;
    }
    s->boot = boot;
    return 0;
}

/* --- Files ---------------------------------------------------------------
 */

static void
remove_file(struct spool *s, struct spool_file *file, bool for_ever)
{
    TAILQ_REMOVE(&s->files, file, node);
    if (for_ever) {
        unlink(file->path);
        s->n_bytes -= file->size;
    }
    close(file->fd);
    free(file->path);
    free(file);
}

static int
add_file(struct spool *s, const char *name, int flags,
         struct spool_file **filep)
{
    struct spool_file *file = lh_alloc_zero(sizeof *file);
    struct stat st;

    file->path = lh_asprintf("%s/%s", s->dir, name);
    file->fd = open(file->path, O_RDWR | O_APPEND | O_CLOEXEC | flags, 0600);
    if (file->fd < 0 || fstat(file->fd, &st)) {
        int retval = errno;

        if (file->fd >= 0) {
            close(file->fd);
        }
        free(file->path);
        free(file);
        return retval;
    }
    file->size = (uint64_t) st.st_size;
    TAILQ_INSERT_TAIL(&s->files, file, node);
    *filep = file;
    return 0;
}

static bool
get_positions(struct spool *s, struct bytes_reader *r, size_t n)
{
    struct ring_position *positions =
        lh_alloc_array(NULL, n + 1, sizeof *positions);

    for (size_t i = 0; i < n; i++) {
        positions[i].name.inode = bytes_get_u64(r);
        positions[i].name.start_ns = bytes_get_u64(r);
        positions[i].tail = bytes_get_u64(r);
        positions[i].next_seq = bytes_get_u64(r);
    }
    free(s->positions);
    s->positions = positions;
    s->n_positions = n;
    return !r->failed;
}

/* Reads the next record of 'file', whose bytes are all in 'r'. */
static bool
get_record(struct spool *s, struct bytes_reader *r, uint64_t *seq,
           struct spool_place *place)
{
    uint32_t len = bytes_get_u32(r);
    uint32_t n_positions = bytes_get_u32(r);
    uint64_t sum;
    const uint8_t *body;

    *seq = bytes_get_u64(r);
    sum = bytes_get_u64(r);
    if (r->failed || n_positions > MAX_POSITIONS || len > AGENT_FRAME_MAX) {
        return false;
    }
    body = bytes_get(r, n_positions * POSITION_LEN + (size_t) len);
    if (!body ||
        XXH64(body, n_positions * POSITION_LEN + (size_t) len, *seq) != sum) {
        return false;
    }

    struct bytes_reader positions =
        bytes_reader(body, n_positions * POSITION_LEN);

    place->offset = r->ofs - len;
    place->len = len;
    return get_positions(s, &positions, n_positions);
}

/* Shows what is in 'file' and cuts off what is damaged behind it. */
static void
scan_file(struct spool *s, struct spool_file *file,
          void (*visit)(void *aux, uint64_t seq, const struct spool_place *),
          void *aux)
{
    uint8_t *data = lh_alloc(file->size);
    ssize_t n = pread(file->fd, data, file->size, 0);
    struct bytes_reader r = bytes_reader(data, n > 0 ? (size_t) n : 0);
    struct spool_place place = {.file = file};
    size_t good = 0;
    uint64_t seq;

    while (bytes_left(&r) && get_record(s, &r, &seq, &place) &&
           seq > file->last_seq) {
        good = r.ofs;
        file->last_seq = seq;
        if (seq > s->last_seq) {
            s->last_seq = seq;
        }
        visit(aux, seq, &place);
    }
    free(data);
    if (good < file->size) {
        s->n_errors++;
        if (!ftruncate(file->fd, (off_t) good)) {
            file->size = good;
        }
    }
    s->n_bytes += file->size;
}

static int
is_spool_file(const struct dirent *entry)
{
    return strlen(entry->d_name) == 22 &&
           strspn(entry->d_name, "0123456789abcdef") == 16 &&
           !strcmp(entry->d_name + 16, ".spool");
}

static int
scan_dir(struct spool *s,
         void (*visit)(void *aux, uint64_t seq, const struct spool_place *),
         void *aux)
{
    struct dirent **entries;
    int n = scandir(s->dir, &entries, is_spool_file, alphasort);
    int retval = n < 0 ? errno : 0;

    for (int i = 0; i < n; i++) {
        struct spool_file *file;

        if (!retval) {
            retval = add_file(s, entries[i]->d_name, 0, &file);
        }
        if (!retval) {
            scan_file(s, file, visit, aux);
        }
        free(entries[i]);
    }
    if (n >= 0) {
        free(entries);
    }
    return retval;
}

/* --- Interface -----------------------------------------------------------
 */

static int
open_file_in(const char *dir, const char *name, int *fdp)
{
    char *path = lh_asprintf("%s/%s", dir, name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int retval = fd < 0 ? errno : 0;

    free(path);
    *fdp = fd;
    return retval;
}

int
spool_open(const char *dir, uint64_t max_bytes,
           void (*visit)(void *aux, uint64_t seq, const struct spool_place *),
           void *aux, struct spool **spoolp, struct lh_error *error)
{
    struct spool *s = lh_alloc_zero(sizeof *s);
    int retval = 0;

    *spoolp = NULL;
    s->dir = lh_strdup(dir);
    s->max_bytes = max_bytes;
    s->lock_fd = s->state_fd = -1;
    TAILQ_INIT(&s->files);
    if (mkdir(dir, 0700) && errno != EEXIST) {
        retval = errno;
        lh_error_set(error, "cannot make directory %s: %s", dir,
                     strerror(retval));
        goto out;
    }
    retval = open_file_in(dir, "lock", &s->lock_fd);
    if (!retval && flock(s->lock_fd, LOCK_EX | LOCK_NB)) {
        retval = errno == EWOULDBLOCK ? EBUSY : errno;
        if (retval == EBUSY) {
            lh_error_set(error, "%s: another lasthop-agent has this spool",
                         dir);
            goto out;
        }
    }
    if (!retval) {
        retval = open_file_in(dir, "state", &s->state_fd);
    }
    if (retval) {
        lh_error_set(error, "%s: %s", dir, strerror(retval));
        goto out;
    }
    retval = read_state(s, error);
    if (retval) {
        goto out;
    }
    retval = scan_dir(s, visit, aux);
    if (retval) {
        lh_error_set(error, "%s: %s", dir, strerror(retval));
        goto out;
    }
    write_state(s);
    *spoolp = s;
    return 0;

out:
    spool_close(s);
    return retval;
}

void
spool_close(struct spool *s)
{
    if (s) {
        while (!TAILQ_EMPTY(&s->files)) {
            remove_file(s, TAILQ_FIRST(&s->files), false);
        }
        if (s->state_fd >= 0) {
            close(s->state_fd);
        }
        if (s->lock_fd >= 0) {
            close(s->lock_fd);
        }
        byte_buf_uninit(&s->record);
        free(s->positions);
        free(s->dir);
        free(s);
    }
}

const uint8_t *
spool_agent_id(const struct spool *s)
{
    return s->id;
}

uint64_t
spool_acked(const struct spool *s)
{
    return s->acked;
}

uint64_t
spool_last_seq(const struct spool *s)
{
    return s->last_seq;
}

size_t
spool_positions(const struct spool *s, const struct ring_position **positions)
{
    *positions = s->positions;
    return s->n_positions;
}

static uint64_t
file_limit(const struct spool *s)
{
    return s->max_bytes / 8 < MAX_FILE ? s->max_bytes / 8 : MAX_FILE;
}

/* Removes the oldest files as long as all in them was taken, but not the
 * newest. */
static void
remove_taken(struct spool *s)
{
    struct spool_file *file;

    while ((file = TAILQ_FIRST(&s->files)) != NULL && TAILQ_NEXT(file, node) &&
           file->last_seq <= s->acked) {
        remove_file(s, file, true);
    }
}

static void
make_record(struct byte_buf *out, uint64_t seq, const struct byte_buf *frame,
            const struct ring_position *positions, size_t n_positions)
{
    byte_buf_clear(out);
    byte_buf_put_u32(out, (uint32_t) frame->len);
    byte_buf_put_u32(out, (uint32_t) n_positions);
    byte_buf_put_u64(out, seq);
    byte_buf_put_u64(out, 0);
    for (size_t i = 0; i < n_positions; i++) {
        byte_buf_put_u64(out, positions[i].name.inode);
        byte_buf_put_u64(out, positions[i].name.start_ns);
        byte_buf_put_u64(out, positions[i].tail);
        byte_buf_put_u64(out, positions[i].next_seq);
    }
    byte_buf_put(out, frame->data, frame->len);
    bytes_put_be64(out->data + 16, XXH64(out->data + RECORD_HEAD,
                                         out->len - RECORD_HEAD, seq));
}

int
spool_put(struct spool *s, uint64_t seq, const struct byte_buf *frame,
          const struct ring_position *positions, size_t n_positions,
          bool is_urgent, struct spool_place *place)
{
    struct spool_file *file = TAILQ_LAST(&s->files, files);
    ssize_t n;

    if (n_positions > MAX_POSITIONS) {
        n_positions = MAX_POSITIONS;
    }
    make_record(&s->record, seq, frame, positions, n_positions);
    if (s->n_bytes + s->record.len >
        s->max_bytes + (is_urgent ? URGENT_ROOM : 0)) {
        return ENOSPC;
    }
    if (!file || file->size >= file_limit(s)) {
        char name[32];
        int retval;

        snprintf(name, sizeof name, "%016" PRIx64 ".spool", seq);
        retval = add_file(s, name, O_CREAT | O_TRUNC, &file);
        if (retval) {
            s->n_errors++;
            return retval;
        }
    }
    n = write(file->fd, s->record.data, s->record.len);
    if (n < 0 || (size_t) n != s->record.len) {
        int retval = n < 0 ? errno : ENOSPC;

        s->n_errors++;
        if (ftruncate(file->fd, (off_t) file->size)) {
            s->n_errors++;
        }
        return retval;
    }
    *place =
        (struct spool_place){.file = file,
                             .offset = file->size + s->record.len - frame->len,
                             .len = (uint32_t) frame->len};
    file->size += s->record.len;
    file->last_seq = seq;
    s->n_bytes += s->record.len;
    s->last_seq = seq;
    remove_taken(s);
    return 0;
}

bool
spool_read(struct spool *s, const struct spool_place *place,
           struct byte_buf *out)
{
    uint8_t *room = byte_buf_extend(out, place->len);
    ssize_t n =
        pread(place->file->fd, room, place->len, (off_t) place->offset);

    if (n != (ssize_t) place->len) {
        out->len -= place->len;
        s->n_errors++;
        return false;
    }
    return true;
}

void
spool_ack(struct spool *s, uint64_t seq)
{
    if (seq > s->acked) {
        s->acked = seq;
        if (seq > s->last_seq) {
            s->last_seq = seq;
        }
        write_state(s);
        remove_taken(s);
    }
}

uint64_t
spool_bytes(const struct spool *s)
{
    return s->n_bytes;
}

uint64_t
spool_max_bytes(const struct spool *s)
{
    return s->max_bytes;
}

uint64_t
spool_n_errors(const struct spool *s)
{
    return s->n_errors;
}
