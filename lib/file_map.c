/* SPDX-License-Identifier: Apache-2.0 */
/* file_map - a part of a file in memory, to be read. */
#include <config.h>

#include "lib/file_map.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/lh_alloc.h"

struct file_map {
    uint8_t *base; /* A whole number of pages, 'size' bytes. */
    size_t size;
    size_t ofs; /* Of the first byte that was asked for. */
    size_t place;
    atomic_uint n_refs;
};

/* Where maps are, for the handler: it can take no lock.  A place with 'end' 0
 * is no map yet or any more. */
static struct {
    atomic_bool is_taken;
    atomic_uintptr_t begin, end;
} places[FILE_MAP_MAX];

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sigaction before;
static size_t page_size;

/* Nothing but the system call: it is from a signal handler. */
static bool
map_zeros(void *page)
{
#ifdef SYS_mmap
    return syscall(SYS_mmap, page, page_size, PROT_READ,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != -1;
#else
    return mmap(page, page_size, PROT_READ,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
#endif
}

/* Puts a page of zeros where a page of a map has nothing behind it.  Of any
 * other address the one before us hears, when the access is tried again. */
static void
on_sigbus(int number, siginfo_t *info, void *context)
{
    uintptr_t at = (uintptr_t) info->si_addr;
    int saved = errno;

    for (size_t i = 0; info->si_code > 0 && i < FILE_MAP_MAX; i++) {
        if (at >= atomic_load(&places[i].begin) &&
            at < atomic_load(&places[i].end)) {
            void *page = (void *) (at & ~(uintptr_t) (page_size - 1));

            if (map_zeros(page)) {
                errno = saved;
                return;
            }
        }
    }
    sigaction(SIGBUS, &before, NULL);
    errno = saved;
}

static void
install(void)
{
    struct sigaction action = {.sa_sigaction = on_sigbus,
                               .sa_flags = SA_SIGINFO | SA_RESTART};

    page_size = (size_t) sysconf(_SC_PAGESIZE);
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGBUS, &action, &before)) {
        abort();
    }
}

/* A place for a map; FILE_MAP_MAX: there is none. */
static size_t
take_place(void)
{
    size_t i = 0;

    while (i < FILE_MAP_MAX && atomic_exchange(&places[i].is_taken, true)) {
        i++;
    }
    return i;
}

int
file_map_create(int fd, uint64_t offset, size_t len, struct file_map **mapp)
{
    struct file_map *map;
    size_t place, ofs;
    void *base;

    *mapp = NULL;
    assert(len);
    pthread_once(&once, install);
    ofs = offset & (page_size - 1);
    if (len > SIZE_MAX / 2) {
        return EFBIG;
    }
    place = take_place();
    if (place == FILE_MAP_MAX) {
        return ENFILE;
    }
    base = mmap(NULL, ofs + len, PROT_READ, MAP_SHARED, fd,
                (off_t) (offset - ofs));
    if (base == MAP_FAILED) {
        int retval = errno;

        atomic_store(&places[place].is_taken, false);
        return retval;
    }
    map = lh_alloc_zero(sizeof *map);
    map->base = base;
    map->size = (ofs + len + page_size - 1) & ~(page_size - 1);
    map->ofs = ofs;
    map->place = place;
    atomic_init(&map->n_refs, 1);
    atomic_store(&places[place].begin, (uintptr_t) base);
    atomic_store(&places[place].end, (uintptr_t) base + map->size);
    *mapp = map;
    return 0;
}

struct file_map *
file_map_ref(struct file_map *map)
{
    atomic_fetch_add(&map->n_refs, 1);
    return map;
}

void
file_map_unref(struct file_map *map)
{
    if (map && atomic_fetch_sub(&map->n_refs, 1) == 1) {
        atomic_store(&places[map->place].end, 0);
        munmap(map->base, map->size);
        atomic_store(&places[map->place].is_taken, false);
        free(map);
    }
}

const uint8_t *
file_map_data(const struct file_map *map)
{
    return map->base + map->ofs;
}
