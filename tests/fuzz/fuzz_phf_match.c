/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes phf_match(): on any filter and history that the bytes describe it
 * agrees with the naive matcher. */
#include <config.h>

#include "tests/fuzz/fuzz.h"
#include "tests/phf/naive.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    naive_check(data, size);
    return 0;
}
