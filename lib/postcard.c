/* SPDX-License-Identifier: Apache-2.0 */
/* postcard - the record that one packet met one switch. */
#include <config.h>
#include "lib/postcard.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const char *
postcard_result_name(enum postcard_result result)
{
    static const char *const names[N_POSTCARD_RESULTS] = {
        [POSTCARD_OK] = "ok",
        [POSTCARD_OTHER] = "other",
        [POSTCARD_TRUNCATED] = "truncated",
        [POSTCARD_MALFORMED] = "malformed",
        [POSTCARD_NO_OPTION] = "no_option",
        [POSTCARD_UNKNOWN_FORMAT] = "unknown_format",
        [POSTCARD_UNKNOWN_SWITCH] = "unknown_switch",
    };

    assert(result < N_POSTCARD_RESULTS);
    return names[result];
}

struct postcard *
postcard_clone(const struct postcard *p)
{
    struct postcard *copy = malloc(sizeof *copy + p->caplen);

    if (copy) {
        uint8_t *header = (uint8_t *) (copy + 1);

        *copy = *p;
        if (p->caplen) {
            memcpy(header, p->header, p->caplen);
        }
        copy->header = header;
    }
    return copy;
}
