/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the header parser and what reads by it: offsets stay within the
 * capture, the packet ID depends on nothing past what it hashes, and texts fit
 * their buffers. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "lib/hdr.h"
#include "lib/packet_id.h"
#include "tests/fuzz/fuzz.h"

static void
must(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

static void
check_hdr(const uint8_t *data, size_t size, const struct hdr *h)
{
    must(h->payload_ofs <= size);
    must((size_t) h->l3_ofs + h->l3_len <= size);
    must((size_t) h->l4_ofs + h->l4_len <= size);
    must(!h->l4_ofs || (size_t) h->l4_ofs >= (size_t) h->l3_ofs + h->l3_len);
    must(h->is_ip4 + h->is_ip6 + h->is_arp <= 1);

    size_t ofs;
    uint16_t type;
    uint32_t id;

    if (hdr_inner(data, size, h, &ofs, &type, &id) != HDR_TUNNEL_NONE) {
        must(ofs < size);
    }
}

static void
check_packet_id(const uint8_t *data, size_t size, const struct hdr *h)
{
    static const struct packet_id_config config = PACKET_ID_CONFIG_INIT;
    uint8_t bytes[PACKET_ID_BYTES + PACKET_ID_EXTRA];
    uint64_t id, again;
    enum packet_id_result result = packet_id(&config, data, size, h, &id);
    size_t n = packet_id_bytes(&config, data, size, h, bytes);

    must(n <= sizeof bytes);
    must((result == PACKET_ID_SHORT) == (id == 0));
    if (result == PACKET_ID_OK &&
        size > (size_t) h->l3_ofs + PACKET_ID_BYTES) {
        size_t need = (size_t) h->l3_ofs + PACKET_ID_BYTES;
        uint8_t *copy = malloc(need);
        struct hdr shorter;

        memcpy(copy, data, need);
        hdr_parse(copy, need, &shorter);
        must(packet_id(&config, copy, need, &shorter, &again) == PACKET_ID_OK);
        must(again == id);
        free(copy);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[300], cut[40];
    struct hdr h;

    if (size > HDR_MAX_LEN) {
        return 0;
    }
    hdr_parse(data, size, &h);
    check_hdr(data, size, &h);
    check_packet_id(data, size, &h);
    must(hdr_format(data, size, text, sizeof text) == strlen(text));
    must(hdr_format(data, size, cut, sizeof cut) == strlen(cut));
    must(!memcmp(text, cut, strlen(cut)));
    must(hdr_format_diff(data, size, data, size, text, sizeof text) == 0);

    size_t half = size / 2;

    hdr_format_diff(data, half, data + half, size - half, text, sizeof text);
    if (size >= 2) {
        hdr_parse_l3(data + 2, size - 2, (uint16_t) (data[0] << 8 | data[1]),
                     &h);
        check_hdr(data + 2, size - 2, &h);
    }
    return 0;
}
