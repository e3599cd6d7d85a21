/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_of_framing - a stream cut anywhere gives the same messages, all whole
 * and inside it; HELLOs and LLDP frames of any content are read in bounds. */
#include <config.h>

#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "recorder/lldp.h"
#include "recorder/of_framing.h"
#include "recorder/of_hello.h"
#include "recorder/of_wire.h"
#include "recorder/xid_map.h"

/* Counts the messages in 'data' when the reader sees it grow 'step' bytes at a
 * time; '*end' is where the last one ended. */
static size_t
count(const uint8_t *data, size_t size, size_t step, size_t *end)
{
    struct of_framing framing = OF_FRAMING_INIT;
    struct lh_error error;
    size_t n = 0, seen = 0;

    *end = 0;
    while (seen < size) {
        seen = size - seen < step ? size : seen + step;
        for (;;) {
            size_t len = seen - *end, msg_len;
            uint8_t *exact = malloc(len ? len : 1);
            enum of_framing_result result;

            if (!exact) {
                abort();
            }
            memcpy(exact, data + *end, len);
            result = of_framing_next(&framing, exact, len, &msg_len, &error);
            if (result == OF_FRAMING_MESSAGE) {
                if (msg_len > len || msg_len < OF_WIRE_HEADER_LEN) {
                    abort();
                }
                of_hello_versions(exact, msg_len);
                of_wire_is_last_reply(exact, msg_len);
                of_wire_set_xid(exact, msg_len, 1);
            } else if (result == OF_FRAMING_MORE && msg_len <= len) {
                abort();
            }
            free(exact);
            if (result == OF_FRAMING_GARBAGE) {
                return n;
            }
            if (result == OF_FRAMING_MORE) {
                break;
            }
            *end += msg_len;
            n++;
        }
    }
    return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[SIPHASH_KEY_LEN] = {1};
    uint8_t quote[64] = {0};
    struct xid_entry entry = {
        .fresh = 1, .xid = 2, .quote_len = sizeof quote, .quote = quote};
    struct lldp lldp;
    size_t end, end_bytes;
    uint8_t *out;

    if (size > 4096) {
        return 0;
    }
    if (count(data, size, size ? size : 1, &end) !=
            count(data, size, 7, &end_bytes) ||
        end != end_bytes) {
        abort();
    }
    xid_map_restore_error(&entry, data, size, &out);
    free(out);
    lldp_decode(data, size, key, &lldp);
    return 0;
}
