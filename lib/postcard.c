/* SPDX-License-Identifier: Apache-2.0 */
/* postcard - the record that one packet met one switch. */
#include <config.h>
#include "lib/postcard.h"

#include <stdlib.h>
#include <string.h>

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
