/* SPDX-License-Identifier: Apache-2.0 */
/* bench_pin - keeps a process on one core. */
#include <config.h>
#include "bench/bench_pin.h"

#include <sched.h>
#include <unistd.h>

int
bench_pin_last(void)
{
    return (int) sysconf(_SC_NPROCESSORS_ONLN) - 1;
}

void
bench_pin(int core)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(core, &set);
    sched_setaffinity(0, sizeof set, &set);
}
