/* SPDX-License-Identifier: Apache-2.0 */
/* figure - what benchmarks have in common. */
#include <config.h>

#include "bench/figure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t
figure_ns(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (uint64_t) ts.tv_sec * 1000000000u + (uint64_t) ts.tv_nsec;
}

double
figure_s(clockid_t clock)
{
    return (double) figure_ns(clock) / 1e9;
}

static int
compare_doubles(const void *a_, const void *b_)
{
    const double *a = a_, *b = b_;

    return (*a > *b) - (*a < *b);
}

void
figure_sort(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare_doubles);
}

static void
print(const double *values, size_t n, const char *unit, const char *metric,
      const char *bench_format, va_list args)
{
    printf("{\"bench\":\"");
    vprintf(bench_format, args);
    printf("\",\"metric\":\"%s\",\"value\":%.7g,\"unit\":\"%s\",\"runs\":%zu,"
           "\"min\":%.7g,\"max\":%.7g}\n",
           metric, values[n / 2], unit, n, values[0], values[n - 1]);
    fflush(stdout);
}

void
figure_print(double *values, size_t n, const char *unit, const char *metric,
             const char *bench_format, ...)
{
    va_list args;

    figure_sort(values, n);
    va_start(args, bench_format);
    print(values, n, unit, metric, bench_format, args);
    va_end(args);
}

void
figure_print_one(double value, const char *unit, const char *metric,
                 const char *bench_format, ...)
{
    va_list args;

    va_start(args, bench_format);
    print(&value, 1, unit, metric, bench_format, args);
    va_end(args);
}

void
figure_die(const char *what)
{
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
    exit(EXIT_FAILURE);
}

void
figure_die_errno(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what,
            strerror(errno));
    exit(EXIT_FAILURE);
}
