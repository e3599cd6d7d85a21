/* SPDX-License-Identifier: Apache-2.0 */
/* filter_right - who may use which filter. */
#include <config.h>
#include "server/filter_right.h"

#include <string.h>

#include "lib/lh_error.h"

bool
filter_right_check(struct api_call *call, const struct phf *phf)
{
    const char *bpf = phf_bpf_term(phf), *at;
    struct lh_error error;

    if (!bpf || api_peer_has(api_call_peer(call), API_RIGHT_BYTES)) {
        return true;
    }
    at = strstr(phf_text(phf), "--bpf");
    lh_error_set_at(&error, at ? (int) (at - phf_text(phf)) : -1,
                    "--bpf \"%s\" asks about bytes of packets, which this "
                    "client may not see (it has no right \"bytes\")",
                    bpf);
    api_call_fail_error(call, API_DENIED, &error);
    return false;
}
