/* SPDX-License-Identifier: Apache-2.0 */
/* figure - what benchmarks have in common: clocks, the line of JSON that a
 * figure is (bench/bench_lines.py holds it against the form), and their end
 * when something is wrong.
 *
 *     uint64_t start = figure_ns(CLOCK_PROCESS_CPUTIME_ID);
 *     ..
 *     values[i] = (double) (figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start) / n;
 *     ..
 *     figure_print(values, N_RUNS, "ns", "parse", "headers of %s", traffic);
 *
 * Threads: any may read clocks; one prints. */
#ifndef BENCH_FIGURE_H
#define BENCH_FIGURE_H 1

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* What the clock shows. */
uint64_t figure_ns(clockid_t);
double figure_s(clockid_t);

/* Sorts 'values', of which there is one or more. */
void figure_sort(double *values, size_t n);
/* Sorts them and prints the figure: their median, of 'n' runs, the least and
 * the most.  'bench_format' and what follows make the benchmark's name. */
void figure_print(double *values, size_t n, const char *unit,
                  const char *metric, const char *bench_format, ...)
    __attribute__((format(printf, 5, 6)));
/* The figure of one run. */
void figure_print_one(double value, const char *unit, const char *metric,
                      const char *bench_format, ...)
    __attribute__((format(printf, 4, 5)));

/* Says what is wrong, and ends the program; the second with what errno says
 * of it. */
void figure_die(const char *what) __attribute__((noreturn));
void figure_die_errno(const char *what) __attribute__((noreturn));

#endif /* bench/figure.h */
