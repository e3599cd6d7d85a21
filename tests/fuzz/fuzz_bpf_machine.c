/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes bpf_machine: any program and packet that the bytes describe, beside
 * libpcap's bpf_filter(). */
#include <config.h>

#include "tests/fuzz/fuzz.h"
#include "tests/phf/random_bpf.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    random_bpf_check(data, size);
    return 0;
}
