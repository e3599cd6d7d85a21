/* SPDX-License-Identifier: Apache-2.0 */
/* process_memory - how much memory this process has. */
#include <config.h>
#include "lib/process_memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

uint64_t
process_memory(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    uint64_t pages = 0;

    if (file) {
        if (fscanf(file, "%*u %" SCNu64, &pages) != 1) {
            pages = 0;
        }
        fclose(file);
    }
    return pages * (uint64_t) sysconf(_SC_PAGESIZE);
}
