/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes of_port_from_string(): a name it accepts and of_port_name() knows
 * must lead back to the same port, and a refusal must change nothing. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "lib/of_port.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint32_t untouched = 0xabcdef;
    uint32_t port = untouched;

    char *text = malloc(size + 1);
    if (text == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';

    if (of_port_from_string(text, &port)) {
        const char *name = of_port_name(port);
        uint32_t again = untouched;
        if (name != NULL &&
            (!of_port_from_string(name, &again) || again != port)) {
            abort();
        }
    } else if (port != untouched) {
        abort();
    }
    free(text);
    return 0;
}
