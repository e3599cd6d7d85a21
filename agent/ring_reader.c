/* SPDX-License-Identifier: Apache-2.0 */
/* ring_reader - takes postcards out of a ring of a patched ovs-vswitchd. */
#include <config.h>

#include "agent/ring_reader.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/template_log.h"
#include "lib/lh_alloc.h"

#define MIN_SIZE (UINT64_C(1) << 12)
#define MAX_SIZE (UINT64_C(1) << 32)

_Static_assert(sizeof(struct ring_record) == 16, "as documented");
_Static_assert(sizeof(struct ring_postcard) == 32, "as documented");
_Static_assert(sizeof(struct ring_template) == 32, "as documented");
_Static_assert(sizeof(struct ring_gap) == 48, "as documented");

struct ring_reader {
    int fd;
    uint8_t *map; /* Owned. */
    const struct ring_header *header;
    struct ring_reader_page *page;
    const uint8_t *records;
    uint64_t size;
    struct ring_name name;

    uint64_t at;   /* Bytes read. */
    uint64_t head; /* As last seen. */
    uint64_t tail; /* As published. */
    uint64_t next_seq;
    bool knows_seq;   /* next_seq is one. */
    uint64_t last_ns; /* Time of the newest record. */
    uint64_t n_alike; /* Postcards before it with that time. */

    const struct hop_template *slots[RING_N_SLOTS]; /* Owned. */
    const struct hop_template **old; /* Replaced, free at publish. */
    size_t n_old, old_allocated;
    struct template_log *log; /* Borrowed. */
    struct ring_counters counters;
};

/* --- Opening -------------------------------------------------------------
 */

/* Whether what is mapped is a ring, and stays as long as it is. */
static int
check_file(int fd, uint64_t *sizep, struct ring_name *name,
           struct lh_error *error)
{
    int needed = F_SEAL_SHRINK | F_SEAL_GROW;
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat st;

    if (fstat(fd, &st)) {
        lh_error_set(error, "cannot look at it: %s", strerror(errno));
        return EINVAL;
    }
    if (seals < 0 || (seals & needed) != needed) {
        /* It is sealed before it is filled. */
        lh_error_set(error, "its size is not sealed");
        return EPERM;
    }
    *sizep = (uint64_t) st.st_size - RING_RECORDS_OFFSET;
    if (st.st_size < (off_t) (RING_RECORDS_OFFSET + MIN_SIZE) ||
        *sizep > MAX_SIZE || (*sizep & (*sizep - 1))) {
        lh_error_set(error, "%lld bytes are not the size of a ring",
                     (long long) st.st_size);
        return EINVAL;
    }
    name->inode = (uint64_t) st.st_ino;
    return 0;
}

static int
check_header(const struct ring_reader *r, struct lh_error *error)
{
    static const char none[8];
    char magic[8];

    memcpy(magic, r->header->magic, sizeof magic);
    atomic_thread_fence(memory_order_acquire);
    if (!memcmp(magic, none, sizeof none)) {
        lh_error_set(error, "it is being made");
        return EAGAIN;
    }
    if (memcmp(magic, RING_MAGIC, sizeof magic) != 0) {
        lh_error_set(error, "it is no ring of lasthop");
        return EINVAL;
    }
    if (r->header->version != RING_VERSION) {
        lh_error_set(error,
                     "it is of version %u, this lasthop-agent knows %d: "
                     "install the same lasthop on both",
                     r->header->version, RING_VERSION);
        return EINVAL;
    }
    if (r->header->records_offset != RING_RECORDS_OFFSET ||
        r->header->size != r->size) {
        lh_error_set(error, "its header contradicts its size");
        return EINVAL;
    }
    return 0;
}

int
ring_reader_open(int fd, struct ring_reader **readerp, struct lh_error *error)
{
    struct ring_reader *r = lh_alloc_zero(sizeof *r);
    int retval;

    *readerp = NULL;
    r->fd = fd;
    retval = check_file(fd, &r->size, &r->name, error);
    if (retval) {
        goto out;
    }
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        retval = errno == EWOULDBLOCK ? EBUSY : errno;
        lh_error_set(error, "%s",
                     retval == EBUSY ? "another process reads it"
                                     : strerror(retval));
        goto out;
    }
    r->map = mmap(NULL, RING_RECORDS_OFFSET + r->size, PROT_READ | PROT_WRITE,
                  MAP_SHARED, fd, 0);
    if (r->map == MAP_FAILED) {
        retval = errno;
        r->map = NULL;
        lh_error_set(error, "cannot map it: %s", strerror(retval));
        goto out;
    }
    r->header = (const struct ring_header *) r->map;
    r->page = (struct ring_reader_page *) (r->map + RING_READER_OFFSET);
    r->records = r->map + RING_RECORDS_OFFSET;
    retval = check_header(r, error);
    if (!retval) {
        r->name.start_ns = r->header->start_ns;
        *readerp = r;
        return 0;
    }

out:
    ring_reader_close(r);
    return retval;
}

static void
free_old(struct ring_reader *r)
{
    for (size_t i = 0; i < r->n_old; i++) {
        free((void *) r->old[i]);
    }
    r->n_old = 0;
}

void
ring_reader_close(struct ring_reader *r)
{
    if (r) {
        free_old(r);
        free(r->old);
        for (size_t i = 0; i < RING_N_SLOTS; i++) {
            free((void *) r->slots[i]);
        }
        if (r->map) {
            munmap(r->map, RING_RECORDS_OFFSET + r->size);
        }
        close(r->fd);
        free(r);
    }
}

/* Makes 'slot' mean a copy of 'template'. */
static void
set_slot(void *reader_, uint16_t slot, const struct hop_template *template)
{
    struct ring_reader *r = reader_;
    const struct hop_template *before = r->slots[slot];

    if (before) {
        r->old =
            lh_alloc_grow(r->old, r->n_old, &r->old_allocated, sizeof *r->old);
        r->old[r->n_old++] = before;
    }
    r->slots[slot] = template ? lh_memdup(template, template->size) : NULL;
}

static void
load_slot(void *reader_, uint16_t slot, const struct hop_template *template)
{
    struct ring_reader *r = reader_;

    set_slot(r, slot, template);
    free_old(r);
}

void
ring_reader_attach(struct ring_reader *r, const struct ring_position *position,
                   struct template_log *log)
{
    uint64_t tail = atomic_load_explicit(&r->page->tail, memory_order_relaxed);
    uint32_t epoch =
        atomic_load_explicit(&r->page->epoch, memory_order_relaxed);

    r->head = atomic_load_explicit(&r->header->head, memory_order_acquire);
    if (position && position->name.inode == r->name.inode &&
        position->name.start_ns == r->name.start_ns &&
        position->tail - tail <= r->head - tail) {
        tail = position->tail;
        r->next_seq = position->next_seq;
        r->knows_seq = true;
    }
    if (r->head - tail > r->size) {
        tail = r->head;
        r->counters.n_broken++;
        r->knows_seq = false;
    }
    r->at = r->tail = tail;
    atomic_store_explicit(&r->page->tail, tail, memory_order_release);
    r->log = log;
    if (log) {
        template_log_load(log, tail, load_slot, r);
    }
    /* 0 is nobody's. */
    epoch = epoch == UINT32_MAX ? 1 : epoch + 1;
    atomic_store_explicit(&r->page->epoch, epoch, memory_order_release);
}

/* --- Reading -------------------------------------------------------------
 */

static void
lose(struct ring_item *item, uint64_t first_ns, uint64_t last_ns,
     uint64_t count)
{
    item->type = RING_ITEM_LOSS;
    item->loss =
        (struct agent_loss){.place = AGENT_PLACE_RING,
                            .first_ns = first_ns,
                            .last_ns = last_ns < first_ns ? first_ns : last_ns,
                            .count = count};
}

/* Gives up what is in the ring: the writer wrote nonsense, or died in the
 * middle of something.  What is lost shows in the next postcard's number. */
static void
skip_all(struct ring_reader *r)
{
    r->counters.n_broken++;
    r->at = r->head;
}

static void
read_template(struct ring_reader *r, const uint8_t *p, uint32_t size,
              uint16_t slot)
{
    uint8_t bytes[RING_MAX_TEMPLATE];
    union hop_template_buf buf;
    struct ring_template t;

    memcpy(&t, p, sizeof t);
    if (t.len > sizeof bytes || t.len > size - sizeof t) {
        r->counters.n_malformed++;
        set_slot(r, slot, NULL);
        return;
    }
    memcpy(bytes, p + sizeof t, t.len);
    if (hop_template_from_ring(bytes, t.len, &buf, NULL)) {
        r->counters.n_malformed++;
        set_slot(r, slot, NULL);
        return;
    }
    if (!hop_template_equal(r->slots[slot], &buf.t)) {
        set_slot(r, slot, &buf.t);
        if (r->log) {
            template_log_put(r->log, r->at, slot, &buf.t);
        }
    }
}

/* False when it tells nothing. */
static bool
read_gap(struct ring_reader *r, const uint8_t *p, uint32_t size,
         struct ring_item *item)
{
    struct ring_gap gap;
    uint32_t n;

    memcpy(&gap, p, sizeof gap);
    n = gap.n;
    if (!gap.count ||
        n > (size - sizeof gap) / sizeof(struct ring_gap_count)) {
        r->counters.n_malformed++;
        return false;
    }
    if (n > sizeof item->switches / sizeof item->switches[0]) {
        n = sizeof item->switches / sizeof item->switches[0];
    }
    lose(item, gap.first_ns, gap.last_ns, gap.count);
    for (uint32_t i = 0; i < n; i++) {
        struct ring_gap_count c;

        memcpy(&c, p + sizeof gap + i * sizeof c, sizeof c);
        item->switches[i] = (struct agent_loss_switch){c.dpid, c.count};
    }
    item->loss.n = (uint16_t) n;
    r->counters.n_lost += gap.count;
    r->next_seq = gap.r.seq;
    r->knows_seq = true;
    if (gap.last_ns > r->last_ns) {
        r->last_ns = gap.last_ns;
    }
    return true;
}

/* False when the record is to be looked at again: what is missing before it
 * was put into '*item'. */
static bool
check_seq(struct ring_reader *r, const struct ring_postcard *record,
          struct ring_item *item)
{
    uint64_t missing = record->r.seq - r->next_seq;

    if (!r->knows_seq || missing > UINT64_MAX / 2) {
        r->knows_seq = true; /* New, or the writer began anew. */
        missing = 0;
    }
    r->next_seq = record->r.seq;
    if (missing) {
        uint64_t first_ns = r->last_ns ? r->last_ns : record->time_ns;

        lose(item, first_ns, record->time_ns, missing);
        r->counters.n_lost += missing;
        return false;
    }
    r->next_seq++;
    return true;
}

/* As read_gap(); false also when nothing is known of its template. */
static enum ring_item_type
read_postcard(struct ring_reader *r, const uint8_t *p, uint32_t size,
              bool is_dropped, struct ring_item *item)
{
    struct ring_postcard record;
    const struct hop_template *template;

    memcpy(&record, p, sizeof record);
    if (record.caplen > size - sizeof record ||
        record.r.slot >= RING_N_SLOTS) {
        r->counters.n_malformed++;
        return RING_ITEM_NONE;
    }
    if (!check_seq(r, &record, item)) {
        return RING_ITEM_LOSS;
    }
    r->n_alike = record.time_ns == r->last_ns ? r->n_alike + 1 : 0;
    r->last_ns = record.time_ns;
    template = r->slots[record.r.slot];
    if (!template || record.caplen > AGENT_BATCH_MAX_CAPLEN) {
        r->counters.n_blind++;
        r->counters.n_lost++;
        r->at += size;
        lose(item, record.time_ns, record.time_ns, 1);
        return RING_ITEM_LOSS;
    }
    item->type = RING_ITEM_POSTCARD;
    item->postcard = (struct agent_postcard){
        .template = template,
        /* The switch reads its clock once for a batch of packets, whose order
         * the ring knows. */
        .time_ns = record.time_ns + r->n_alike,
        .packet_len = record.packet_len,
        .caplen = record.caplen,
        .reason = is_dropped ? record.reason : 0,
        .kind = is_dropped ? AGENT_POSTCARD_DROPPED : AGENT_POSTCARD_VISIT,
        .header = p + sizeof record};
    r->counters.n_postcards++;
    r->at += size;
    return RING_ITEM_POSTCARD;
}

/* The size of the record at 'p', of which 'room' bytes are in the ring; 0 when
 * it makes no sense. */
static uint32_t
record_size(const struct ring_record *record, uint64_t room)
{
    static const uint8_t least[] = {
        [RING_POSTCARD] = sizeof(struct ring_postcard),
        [RING_TEMPLATE] = sizeof(struct ring_template),
        [RING_GAP] = sizeof(struct ring_gap),
        [RING_SKIP] = 8,
        [RING_DROPPED] = sizeof(struct ring_postcard)};

    if (record->type < RING_POSTCARD || record->type > RING_DROPPED ||
        record->size % 8 || record->size > room ||
        record->size < least[record->type]) {
        return 0;
    }
    return record->size;
}

/* Reads the record at r->at, of at most 'room' bytes. */
static enum ring_item_type
read_record(struct ring_reader *r, uint64_t room, struct ring_item *item)
{
    const uint8_t *p = r->records + (r->at & (r->size - 1));
    struct ring_record record = {.size = 0};
    enum ring_item_type type = RING_ITEM_NONE;
    uint32_t size;

    memcpy(&record, p, room < sizeof record ? 8 : sizeof record);
    size = record_size(&record, room);
    if (!size) {
        skip_all(r);
        return RING_ITEM_NONE;
    }
    switch (record.type) {
    case RING_POSTCARD:
    case RING_DROPPED:
        type = read_postcard(r, p, size, record.type == RING_DROPPED, item);
        if (type != RING_ITEM_NONE) {
            return type; /* It went on where it is to. */
        }
        break;
    case RING_TEMPLATE:
        if (record.slot < RING_N_SLOTS) {
            read_template(r, p, size, record.slot);
        } else {
            r->counters.n_malformed++;
        }
        break;
    case RING_GAP:
        type = read_gap(r, p, size, item) ? RING_ITEM_LOSS : RING_ITEM_NONE;
        break;
    default:
        break; /* SKIP. */
    }
    r->at += size;
    return type;
}

enum ring_item_type
ring_reader_next(struct ring_reader *r, struct ring_item *item)
{
    for (;;) {
        uint64_t to_end = r->size - (r->at & (r->size - 1));
        enum ring_item_type type;

        if (r->at == r->head) {
            uint64_t head =
                atomic_load_explicit(&r->header->head, memory_order_acquire);

            if (head - r->at > r->size || head % 8) {
                /* Nothing it says can be trusted: from its word on. */
                r->head = head & ~UINT64_C(7);
                if (r->at != r->head) {
                    skip_all(r);
                }
                item->type = RING_ITEM_NONE;
                return RING_ITEM_NONE;
            }
            r->head = head;
            if (r->at == head) {
                item->type = RING_ITEM_NONE;
                return RING_ITEM_NONE;
            }
        }
        if (r->head - r->at < to_end) {
            to_end = r->head - r->at;
        }
        item->type = RING_ITEM_NONE;
        type = read_record(r, to_end, item);
        if (type != RING_ITEM_NONE) {
            return type;
        }
    }
}

bool
ring_reader_last_loss(struct ring_reader *r, struct ring_item *item)
{
    uint64_t next_seq = ring_reader_switch_counter(r, RING_N_POSTCARDS) +
                        ring_reader_switch_counter(r, RING_N_DROPPED);
    uint64_t missing = next_seq - r->next_seq;

    if (!r->knows_seq || !missing || missing > UINT64_MAX / 2) {
        return false;
    }
    lose(item, r->last_ns, r->last_ns, missing);
    r->counters.n_lost += missing;
    r->next_seq = next_seq;
    return true;
}

/* --- The reader's page ---------------------------------------------------
 */

bool
ring_reader_must_publish(const struct ring_reader *r)
{
    return r->at - r->tail > r->size / 4;
}

void
ring_reader_publish(struct ring_reader *r, uint64_t now_ns)
{
    if (r->at != r->tail) {
        r->tail = r->at;
        atomic_store_explicit(&r->page->tail, r->at, memory_order_release);
    }
    atomic_store_explicit(&r->page->beat, now_ns, memory_order_relaxed);
    free_old(r);
    if (r->log && template_log_is_long(r->log)) {
        template_log_rewrite(r->log, r->slots);
    }
}

void
ring_reader_set_threshold(struct ring_reader *r, uint32_t threshold)
{
    atomic_store_explicit(&r->page->threshold, threshold,
                          memory_order_relaxed);
}

struct ring_name
ring_reader_name(const struct ring_reader *r)
{
    return r->name;
}

struct ring_position
ring_reader_position(const struct ring_reader *r)
{
    return (struct ring_position){
        .name = r->name, .tail = r->at, .next_seq = r->next_seq};
}

const struct ring_counters *
ring_reader_counters(const struct ring_reader *r)
{
    return &r->counters;
}

uint64_t
ring_reader_switch_counter(const struct ring_reader *r, enum ring_counter i)
{
    assert(i < RING_N_COUNTERS);
    return atomic_load_explicit(&r->header->counters[i], memory_order_relaxed);
}

uint64_t
ring_reader_fill(const struct ring_reader *r)
{
    return atomic_load_explicit(&r->header->head, memory_order_relaxed) -
           r->tail;
}

uint64_t
ring_reader_size(const struct ring_reader *r)
{
    return r->size;
}

bool
ring_reader_is_closed(const struct ring_reader *r)
{
    return atomic_load_explicit(&r->header->closed, memory_order_acquire);
}
