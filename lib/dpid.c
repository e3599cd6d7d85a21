/* SPDX-License-Identifier: Apache-2.0 */
/* dpid - the 64-bit number of a switch (OpenFlow's datapath ID), as text. */
#include <config.h>
#include "lib/dpid.h"

#include <stdio.h>
#include <string.h>

#include "lib/text_number.h"

char *
dpid_to_string(uint64_t dpid, char buf[DPID_BUFSIZE])
{
    snprintf(buf, DPID_BUFSIZE, DPID_FMT, dpid);
    return buf;
}

/* Takes the colons out of 'text' if it is eight pairs of digits, into
 * 'plain'. */
static bool
without_colons(const char *text, char plain[DPID_BUFSIZE])
{
    size_t n = 0;

    if (strlen(text) != 23) {
        return false;
    }
    for (size_t i = 0; i < 23; i++) {
        if (i % 3 != 2) {
            plain[n++] = text[i];
        } else if (text[i] != ':') {
            return false;
        }
    }
    plain[n] = '\0';
    return true;
}

bool
dpid_from_string(const char *text, uint64_t *dpidp)
{
    char plain[DPID_BUFSIZE];

    if (without_colons(text, plain)) {
        return text_number(plain, 16, 0, UINT64_MAX, dpidp);
    }
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        return text_number(text + 2, 16, 0, UINT64_MAX, dpidp);
    }
    return text_number(text, strlen(text) == 16 ? 16 : 10, 0, UINT64_MAX,
                       dpidp);
}
