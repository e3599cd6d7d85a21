/* SPDX-License-Identifier: Apache-2.0 */
/* ring_set - all rings of the ovs-vswitchd processes of a host. */
#include <config.h>

#include "agent/ring_set.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/template_log.h"
#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "lib/text_number.h"
#include "lib/time_spec.h"

struct entry {
    struct ring_entry ring;
    struct template_log *log; /* Owned. */
    bool was_seen;            /* In the scan at hand. */
};

struct ring_set {
    struct ring_set_config config;
    struct entry *entries; /* Owned. */
    size_t n, allocated;
    struct ring_position *positions; /* Owned; of ring_set_positions(). */
    struct ring_counters old;        /* Of rings that are no more. */
    uint64_t old_switch[RING_N_COUNTERS];
    uint64_t n_refused;
    uint64_t said_inode; /* Of the last one refused. */
};

struct ring_set *
ring_set_create(const struct ring_set_config *config)
{
    struct ring_set *set = lh_alloc_zero(sizeof *set);

    set->config = *config;
    return set;
}

void
ring_set_destroy(struct ring_set *set)
{
    if (set) {
        for (size_t i = 0; i < set->n; i++) {
            ring_reader_close(set->entries[i].ring.reader);
            template_log_close(set->entries[i].log);
        }
        free(set->entries);
        free(set->positions);
        free(set);
    }
}

/* --- Looking for rings ---------------------------------------------------
 */

static bool
is_process(const struct ring_set *set, const char *pid)
{
    char path[512], name[64];
    ssize_t n = -1;
    int fd;

    snprintf(path, sizeof path, "%s/%s/comm", set->config.proc, pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, name, sizeof name - 1);
        close(fd);
    }
    if (n <= 0) {
        return false;
    }
    name[n] = '\0';
    name[strcspn(name, "\n")] = '\0';
    return !strcmp(name, set->config.process);
}

static const struct ring_position *
find_position(const struct ring_set *set, struct ring_name name)
{
    for (size_t i = 0; i < set->config.n_positions; i++) {
        const struct ring_position *p = &set->config.positions[i];

        if (p->name.inode == name.inode && p->name.start_ns == name.start_ns) {
            return p;
        }
    }
    return NULL;
}

static struct template_log *
open_log(const struct ring_set *set, struct ring_name name)
{
    struct template_log *log;
    struct lh_error error;
    char *path;

    if (!set->config.log_dir) {
        return NULL;
    }
    path = lh_asprintf("%s/%016" PRIx64 "-%016" PRIx64 ".templates",
                       set->config.log_dir, name.inode, name.start_ns);
    if (template_log_open(path, &log, &error)) {
        say_warn("%s", error.text);
    }
    free(path);
    return log;
}

/* Packets that came before anybody could have read them are not missing. */
static void
tell_unread(struct ring_set *set, const struct ring_reader *reader)
{
    uint64_t count = ring_reader_switch_counter(reader, RING_N_UNREAD);
    uint64_t start_ns = ring_reader_name(reader).start_ns;

    if (count && start_ns >= set->config.since_ns) {
        set->config.on_unread(set->config.aux, start_ns, time_spec_now(),
                              count);
    }
}

static void
add_ring(struct ring_set *set, const char *path, unsigned int pid,
         uint64_t inode, uint32_t threshold)
{
    struct ring_reader *reader;
    struct lh_error error;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    int retval;

    if (fd < 0) {
        retval = errno;
        lh_error_set(&error, "%s", strerror(retval));
    } else {
        retval = ring_reader_open(fd, &reader, &error);
    }
    if (retval == EAGAIN || retval == ENOENT) {
        return; /* It is being made, or gone. */
    }
    if (retval) {
        set->n_refused++;
        if (set->said_inode != inode) {
            set->said_inode = inode;
            say_warn("process %u: %s: cannot read this ring: %s", pid, path,
                     error.text);
        }
        return;
    }
    set->entries = lh_alloc_grow(set->entries, set->n, &set->allocated,
                                 sizeof *set->entries);

    struct entry *e = &set->entries[set->n++];
    struct ring_name name = ring_reader_name(reader);

    *e = (struct entry){.ring = {.reader = reader, .pid = pid},
                        .log = open_log(set, name),
                        .was_seen = true};
    ring_reader_set_threshold(reader, threshold);
    ring_reader_attach(reader, find_position(set, name), e->log);
    tell_unread(set, reader);
    say_info("reads ring %" PRIu64 " of process %u, %" PRIu64 " KiB",
             name.inode, pid, ring_reader_size(reader) >> 10);
}

static void
look_at_descriptor(struct ring_set *set, const char *path, unsigned int pid,
                   uint32_t threshold)
{
    static const char wanted[] = "/memfd:" RING_NAME;
    char target[64];
    ssize_t n = readlink(path, target, sizeof target - 1);
    struct stat st;

    if (n < (ssize_t) sizeof wanted - 1 ||
        memcmp(target, wanted, sizeof wanted - 1) != 0) {
        return;
    }
    target[n] = '\0';
    if ((target[sizeof wanted - 1] && target[sizeof wanted - 1] != ' ') ||
        stat(path, &st)) {
        return;
    }
    for (size_t i = 0; i < set->n; i++) {
        struct entry *e = &set->entries[i];

        if (ring_reader_name(e->ring.reader).inode == (uint64_t) st.st_ino) {
            e->was_seen = true;
            return;
        }
    }
    add_ring(set, path, pid, (uint64_t) st.st_ino, threshold);
}

static void
look_at_process(struct ring_set *set, const char *pid, uint32_t threshold)
{
    char path[512], fd_path[800];
    const struct dirent *entry;
    DIR *dir;

    snprintf(path, sizeof path, "%s/%s/fd", set->config.proc, pid);
    dir = opendir(path);
    while (dir && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            snprintf(fd_path, sizeof fd_path, "%s/%s", path, entry->d_name);
            look_at_descriptor(set, fd_path, (unsigned int) atoi(pid),
                               threshold);
        }
    }
    if (dir) {
        closedir(dir);
    }
}

/* The process of the pidfile, which may not be there now. */
static void
look_at_pidfile(struct ring_set *set, uint32_t threshold)
{
    int fd = open(set->config.pidfile, O_RDONLY | O_CLOEXEC);
    char text[32];
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    uint64_t pid;

    if (fd >= 0) {
        close(fd);
    }
    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (text_number(text, 10, 1, INT32_MAX, &pid)) {
        look_at_process(set, text, threshold);
    }
}

static void
look_at_all(struct ring_set *set, uint32_t threshold)
{
    DIR *dir = opendir(set->config.proc);
    const struct dirent *entry;
    uint64_t pid;

    if (!dir) {
        say_warn("%s: %s", set->config.proc, strerror(errno));
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (text_number(entry->d_name, 10, 1, INT32_MAX, &pid) &&
            is_process(set, entry->d_name)) {
            look_at_process(set, entry->d_name, threshold);
        }
    }
    closedir(dir);
}

void
ring_set_scan(struct ring_set *set, uint32_t threshold)
{
    for (size_t i = 0; i < set->n; i++) {
        set->entries[i].was_seen = false;
    }
    set->n_refused = 0;
    if (set->config.pidfile) {
        look_at_pidfile(set, threshold);
    } else {
        look_at_all(set, threshold);
    }
    for (size_t i = 0; i < set->n; i++) {
        struct entry *e = &set->entries[i];

        if (!e->was_seen && !e->ring.is_gone) {
            e->ring.is_gone = true;
            say_info("ring %" PRIu64 " of process %u is written no more",
                     ring_reader_name(e->ring.reader).inode, e->ring.pid);
        }
    }
}

static bool
is_log_of(const struct ring_set *set, const char *file)
{
    for (size_t i = 0; i < set->n; i++) {
        struct ring_name name = ring_reader_name(set->entries[i].ring.reader);
        char own[64];

        snprintf(own, sizeof own, "%016" PRIx64 "-%016" PRIx64 ".templates",
                 name.inode, name.start_ns);
        if (!strcmp(own, file)) {
            return true;
        }
    }
    return false;
}

void
ring_set_clean_logs(struct ring_set *set)
{
    DIR *dir = set->config.log_dir ? opendir(set->config.log_dir) : NULL;
    const struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');

        if (dot && !strcmp(dot, ".templates") &&
            !is_log_of(set, entry->d_name)) {
            unlinkat(dirfd(dir), entry->d_name, 0);
        }
    }
    if (dir) {
        closedir(dir);
    }
}

/* --- Interface -----------------------------------------------------------
 */

size_t
ring_set_n(const struct ring_set *set)
{
    return set->n;
}

struct ring_entry *
ring_set_get(struct ring_set *set, size_t i)
{
    assert(i < set->n);
    return &set->entries[i].ring;
}

static void
add_counters(struct ring_counters *sum, const struct ring_counters *c)
{
    sum->n_postcards += c->n_postcards;
    sum->n_lost += c->n_lost;
    sum->n_broken += c->n_broken;
    sum->n_malformed += c->n_malformed;
    sum->n_blind += c->n_blind;
}

void
ring_set_remove(struct ring_set *set, size_t i)
{
    struct entry *e = &set->entries[i];

    add_counters(&set->old, ring_reader_counters(e->ring.reader));
    for (unsigned int k = 0; k < RING_N_COUNTERS; k++) {
        set->old_switch[k] += ring_reader_switch_counter(e->ring.reader, k);
    }
    ring_reader_close(e->ring.reader);
    template_log_remove(e->log);
    *e = set->entries[--set->n];
}

size_t
ring_set_positions(struct ring_set *set,
                   const struct ring_position **positions)
{
    set->positions =
        lh_alloc_array(set->positions, set->n + 1, sizeof *set->positions);
    for (size_t i = 0; i < set->n; i++) {
        set->positions[i] = ring_reader_position(set->entries[i].ring.reader);
    }
    *positions = set->positions;
    return set->n;
}

struct ring_counters
ring_set_counters(const struct ring_set *set)
{
    struct ring_counters sum = set->old;

    for (size_t i = 0; i < set->n; i++) {
        add_counters(&sum, ring_reader_counters(set->entries[i].ring.reader));
    }
    return sum;
}

uint64_t
ring_set_switch_counter(const struct ring_set *set, enum ring_counter which)
{
    uint64_t sum = set->old_switch[which];

    for (size_t i = 0; i < set->n; i++) {
        sum += ring_reader_switch_counter(set->entries[i].ring.reader, which);
    }
    return sum;
}

uint64_t
ring_set_n_refused(const struct ring_set *set)
{
    return set->n_refused;
}
