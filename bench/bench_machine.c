/* SPDX-License-Identifier: Apache-2.0 */
/* bench_machine - what this machine can do at best, for docs/roofline.md.
 *
 * One core, CPU time: copying memory that no cache holds; a line of such
 * memory by an address that is known only when the last one came (dependent),
 * and by addresses known 16 ahead and prefetched; XXH3 of as many bytes as a
 * packet ID is made of; reading a file that the page cache holds; calling the
 * kernel for nothing.
 *
 * usage: bench_machine [MEGABYTES]   (of each array; default 256) */
#include <config.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bench/figure.h"
#include "lib/lh_alloc.h"
#include "lib/packet_id.h"

#define N_RUNS     7
#define MEGABYTES  256
#define LINE       64
#define AHEAD      16
#define N_TOUCHES  1000000
#define N_HASHES   4000000
#define N_CALLS    1000000
#define CHUNK      65536
#define FILE_BYTES (64 << 20)

struct memory {
    size_t n_lines;
    uint8_t *from, *to; /* Owned. */
    uint32_t *next;     /* A line of a random cycle.  Owned. */
};

/* So that nothing measured is left out by the compiler. */
static volatile uint64_t sink;

static uint64_t
next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* One cycle through all lines (Sattolo). */
static void
make_cycle(struct memory *m)
{
    uint64_t state = 1;

    for (size_t i = 0; i < m->n_lines; i++) {
        m->next[i] = (uint32_t) i;
    }
    for (size_t i = m->n_lines - 1; i > 0; i--) {
        size_t j = next_random(&state) % i;
        uint32_t swap = m->next[i];

        m->next[i] = m->next[j];
        m->next[j] = swap;
    }
    for (size_t i = 0; i < m->n_lines; i++) {
        memcpy(m->from + i * LINE, &m->next[i], sizeof m->next[i]);
    }
}

static double
copy(const struct memory *m)
{
    double start = (double) figure_ns(CLOCK_PROCESS_CPUTIME_ID);

    memcpy(m->to, m->from, m->n_lines * LINE);
    sink += m->to[m->n_lines];
    return (double) (m->n_lines * LINE) /
           ((double) figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start);
}

static double
dependent(const struct memory *m)
{
    double start = (double) figure_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint32_t line = 0;

    for (int i = 0; i < N_TOUCHES; i++) {
        memcpy(&line, m->from + (size_t) line * LINE, sizeof line);
    }
    sink += line;
    return ((double) figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start) / N_TOUCHES;
}

static double
prefetched(const struct memory *m)
{
    double start = (double) figure_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t sum = 0;

    for (size_t i = 0; i + AHEAD < N_TOUCHES; i++) {
        __builtin_prefetch(m->from +
                           (size_t) m->next[(i + AHEAD) % m->n_lines] * LINE);
        sum += m->from[(size_t) m->next[i % m->n_lines] * LINE];
    }
    sink += sum;
    return ((double) figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start) / N_TOUCHES;
}

static double
hash(const struct memory *m)
{
    double start = (double) figure_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t sum = 0;

    for (size_t i = 0; i < N_HASHES; i++) {
        sum += XXH3_64bits_withSeed(m->from + i % 64, PACKET_ID_BYTES - 12, i);
    }
    sink += sum;
    return ((double) figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start) / N_HASHES;
}

static double
read_file(const struct memory *m)
{
    char path[] = "/tmp/bench_machine.XXXXXX";
    int fd = mkstemp(path);
    double start, took;

    if (fd < 0) {
        figure_die_errno(path);
    }
    unlink(path);
    if (write(fd, m->from, FILE_BYTES) != FILE_BYTES) {
        figure_die_errno("write");
    }
    lseek(fd, 0, SEEK_SET);
    start = (double) figure_ns(CLOCK_PROCESS_CPUTIME_ID);
    while (read(fd, m->to, CHUNK) > 0) {
    }
    took = (double) figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
    close(fd);
    return (double) FILE_BYTES / took;
}

static double
call(const struct memory *m)
{
    double start = (double) figure_ns(CLOCK_PROCESS_CPUTIME_ID);

    for (int i = 0; i < N_CALLS; i++) {
        sink += (uint64_t) syscall(SYS_getppid);
    }
    return ((double) figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start) / N_CALLS;
}

static void
measure(const char *metric, const char *unit, const struct memory *m,
        double (*run)(const struct memory *))
{
    double values[N_RUNS];

    run(m);
    for (size_t i = 0; i < N_RUNS; i++) {
        values[i] = run(m);
    }
    figure_print(values, N_RUNS, unit, metric, "machine");
}

int
main(int argc, char *argv[])
{
    size_t megabytes = argc > 1 ? strtoul(argv[1], NULL, 10) : MEGABYTES;
    struct memory m;

    /* Files are read from and to it too. */
    megabytes = megabytes < FILE_BYTES >> 20 ? FILE_BYTES >> 20 : megabytes;
    m.n_lines = (megabytes << 20) / LINE;
    m.from = lh_alloc_zero(m.n_lines * LINE);
    m.to = lh_alloc_zero(m.n_lines * LINE + 1);
    m.next = lh_alloc_array(NULL, m.n_lines, sizeof *m.next);
    make_cycle(&m);
    measure("copy", "GB/s", &m, copy);
    measure("dependent_miss", "ns CPU", &m, dependent);
    measure("prefetched_miss", "ns CPU", &m, prefetched);
    measure("xxh3_of_an_id", "ns CPU", &m, hash);
    measure("file_read", "GB/s", &m, read_file);
    measure("system_call", "ns CPU", &m, call);
    free(m.from);
    free(m.to);
    free(m.next);
    return EXIT_SUCCESS;
}
