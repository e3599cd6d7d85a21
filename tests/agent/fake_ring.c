/* SPDX-License-Identifier: Apache-2.0 */
/* fake_ring - what a thread of a patched ovs-vswitchd does with its ring. */
#include <config.h>

#include "tests/agent/fake_ring.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/lh_alloc.h"

struct fake_ring *
fake_ring_create(uint64_t size)
{
    struct fake_ring *r = lh_alloc_zero(sizeof *r);
    size_t len = RING_RECORDS_OFFSET + size;
    static uint64_t n_made;

    r->size = size;
    r->fd = memfd_create(RING_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (r->fd < 0 || ftruncate(r->fd, (off_t) len) ||
        fcntl(r->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
        perror("memfd");
        abort();
    }
    r->map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
    if (r->map == MAP_FAILED) {
        perror("mmap");
        abort();
    }
    r->header = (struct ring_header *) r->map;
    r->page = (struct ring_reader_page *) (r->map + RING_READER_OFFSET);
    r->records = r->map + RING_RECORDS_OFFSET;
    memcpy(r->header->magic, RING_MAGIC, 8);
    r->header->version = RING_VERSION;
    r->header->records_offset = RING_RECORDS_OFFSET;
    r->header->size = size;
    r->header->start_ns = 1000 + n_made++;
    r->header->pid = (uint32_t) getpid();
    atomic_store(&r->page->threshold, UINT32_MAX);
    return r;
}

void
fake_ring_destroy(struct fake_ring *r)
{
    munmap(r->map, RING_RECORDS_OFFSET + r->size);
    close(r->fd);
    free(r);
}

int
fake_ring_open(const struct fake_ring *r)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/self/fd/%d", r->fd);
    return open(path, O_RDWR | O_CLOEXEC);
}

static uint8_t *
reserve(struct fake_ring *r, size_t size)
{
    uint64_t tail = atomic_load(&r->page->tail);
    uint64_t to_end = r->size - (r->head & (r->size - 1));
    uint64_t need = size <= to_end ? size : size + to_end;
    uint8_t *p;

    if (r->head - tail > r->size || r->head - tail + need > r->size) {
        return NULL;
    }
    if (size > to_end) {
        struct ring_record skip = {.size = (uint32_t) to_end,
                                   .type = RING_SKIP};

        memcpy(r->records + (r->head & (r->size - 1)), &skip,
               to_end < sizeof skip ? 8 : sizeof skip);
        r->head += to_end;
    }
    p = r->records + (r->head & (r->size - 1));
    r->head += size;
    return p;
}

static void
count(struct fake_ring *r, enum ring_counter i)
{
    atomic_fetch_add(&r->header->counters[i], 1);
}

static bool
tell_gap(struct fake_ring *r)
{
    struct ring_gap_count c = {r->gap_dpid, r->gap.count};
    uint8_t *p;

    if (!r->gap.count) {
        return true;
    }
    p = reserve(r, sizeof r->gap + sizeof c);
    if (!p) {
        return false;
    }
    r->gap.r = (struct ring_record){
        .size = sizeof r->gap + sizeof c, .type = RING_GAP, .seq = r->seq};
    r->gap.n = 1;
    memcpy(p, &r->gap, sizeof r->gap);
    memcpy(p + sizeof r->gap, &c, sizeof c);
    r->gap.count = 0;
    count(r, RING_N_GAPS);
    return true;
}

static bool
tell_template(struct fake_ring *r, const struct hop_template *t)
{
    struct byte_buf bytes = BYTE_BUF_INIT;
    unsigned int slot = t->hash % RING_N_SLOTS;
    struct ring_template record;
    uint8_t *p;

    if (r->hashes[slot] == t->hash) {
        return true;
    }
    hop_template_to_ring(t, &bytes);
    p = reserve(r, sizeof record + bytes.len);
    if (p) {
        record = (struct ring_template){
            .r = {.size = (uint32_t) (sizeof record + bytes.len),
                  .type = RING_TEMPLATE,
                  .slot = (uint16_t) slot,
                  .seq = r->seq},
            .hash = t->hash,
            .len = (uint32_t) bytes.len};
        memcpy(p, &record, sizeof record);
        memcpy(p + sizeof record, bytes.data, bytes.len);
        r->hashes[slot] = t->hash;
        count(r, RING_N_TEMPLATES);
    }
    byte_buf_uninit(&bytes);
    return p != NULL;
}

bool
fake_ring_put(struct fake_ring *r, const struct hop_template *t,
              uint64_t time_ns, const void *header, uint16_t caplen,
              uint32_t packet_len, bool is_dropped)
{
    uint32_t epoch = atomic_load(&r->page->epoch);
    struct ring_postcard record;
    size_t size = (sizeof record + caplen + 7) & ~(size_t) 7;
    uint8_t *p;

    if (!epoch) {
        count(r, RING_N_UNREAD);
        return false;
    }
    if (epoch != r->epoch) {
        r->epoch = epoch;
        memset(r->hashes, 0, sizeof r->hashes);
    }
    if (!tell_gap(r) || !tell_template(r, t) || !(p = reserve(r, size))) {
        if (!r->gap.count++) {
            r->gap.first_ns = time_ns;
        }
        r->gap.last_ns = time_ns;
        r->gap_dpid = t->dpid;
        r->seq++;
        count(r, RING_N_DROPPED);
        return false;
    }
    memset(p + size - 8, 0, 8);
    record = (struct ring_postcard){
        .r = {.size = (uint32_t) size,
              .type = is_dropped ? RING_DROPPED : RING_POSTCARD,
              .slot = (uint16_t) (t->hash % RING_N_SLOTS),
              .seq = r->seq++},
        .time_ns = time_ns,
        .packet_len = packet_len,
        .caplen = caplen,
        .reason = is_dropped};
    memcpy(p, &record, sizeof record);
    memcpy(p + sizeof record, header, caplen);
    count(r, RING_N_POSTCARDS);
    return true;
}

void
fake_ring_idle(struct fake_ring *r)
{
    if (r->gap.count && tell_gap(r)) {
        fake_ring_publish(r);
    }
}

void
fake_ring_publish(struct fake_ring *r)
{
    atomic_store_explicit(&r->header->head, r->head, memory_order_release);
}

void
fake_ring_end(struct fake_ring *r)
{
    fake_ring_idle(r);
    atomic_store(&r->header->closed, 1);
}
