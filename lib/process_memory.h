/* SPDX-License-Identifier: Apache-2.0 */
/* process_memory - how much memory this process has.
 *
 * Threads: any. */
#ifndef LIB_PROCESS_MEMORY_H
#define LIB_PROCESS_MEMORY_H 1

#include <stdint.h>

/* Bytes of it that are resident; 0 where the system does not tell. */
uint64_t process_memory(void);

#endif /* lib/process_memory.h */
