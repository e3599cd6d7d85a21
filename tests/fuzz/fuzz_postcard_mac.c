/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the mac postcard decoder: the packet it gives fits its buffer and is
 * what followed the postcard's tag. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "lib/of_port.h"
#include "lib/postcard_mac.h"
#include "tests/fuzz/fuzz.h"

#define VLAN 2

static void
must(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

static bool
find_switch(void *aux, uint16_t index, uint64_t *dpid)
{
    *dpid = index;
    return index % 2;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct postcard_mac_config config = {
        .vlan = VLAN, .find_switch = find_switch};
    struct postcard p = {.time_ns = 5};
    size_t room = size ? data[0] : 0;
    uint8_t *buf = malloc(room + 1);

    if (postcard_mac_decode(&config, data, size, buf, room, &p) ==
        POSTCARD_OK) {
        uint16_t code;

        must(p.header == buf && p.caplen <= room && p.caplen >= 12);
        must(p.caplen <= size - POSTCARD_MAC_OVERHEAD);
        must(!memcmp(buf + 6, data + 6, 6));
        must(!memcmp(buf + 12, data + 16, (size_t) p.caplen - 12));
        must(p.version_bits == 24 && p.version <= 0xffffff);
        must(postcard_mac_port_code(p.out_port, &code));
        must(code == (uint16_t) (data[3] << 4 | data[4] >> 4));
    } else {
        must(!p.header);
    }
    free(buf);
    return 0;
}
