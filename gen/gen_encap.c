/* SPDX-License-Identifier: Apache-2.0 */
/* gen_encap - postcards as the frames that a collector captures. */
#include <config.h>
#include "gen/gen_encap.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/bytes.h"
#include "lib/dpid.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/postcard_geneve.h"
#include "lib/postcard_mac.h"

#define COLLECTOR  0xc63364fe /* 198.51.100.254 */
#define NO_ADDRESS 0xc0000200 /* 192.0.2.0, for switches without. */
#define FIRST_PORT 32768      /* Of UDP, as Linux chooses for tunnels. */

struct gen_encap_frames {
    enum gen_encap encap;
    uint16_t vlan;
    const struct gen_net *net;
    struct postcard_geneve_path *paths; /* By switch.  Owned. */
};

static int
refuse(const struct topology_switch *sw, const char *why,
       struct lh_error *error)
{
    char dpid[DPID_BUFSIZE];

    lh_error_set(error, "switch %s: %s",
                 sw->name ? sw->name : dpid_to_string(sw->dpid, dpid), why);
    return EINVAL;
}

static int
check_mac(const struct topology_switch *sw, struct lh_error *error)
{
    if (!sw->index) {
        return refuse(sw, "mac postcards need its \"index\"", error);
    }
    for (size_t i = 0; i < sw->n_ports; i++) {
        if (sw->ports[i].no > POSTCARD_MAC_MAX_PORT) {
            return refuse(sw, "mac postcards hold no port above 4079", error);
        }
    }
    return 0;
}

static void
set_path(const struct topology_switch *sw, struct postcard_geneve_path *path)
{
    struct in_addr address;

    path->ip_dst = COLLECTOR;
    path->ip_src =
        sw->address && inet_pton(AF_INET, sw->address, &address) == 1
            ? ntohl(address.s_addr)
            : NO_ADDRESS;
    bytes_put_be16(path->eth_src, 0x0200);
    bytes_put_be32(path->eth_src + 2, path->ip_src);
    bytes_put_be16(path->eth_dst, 0x0200);
    bytes_put_be32(path->eth_dst + 2, path->ip_dst);
}

int
gen_encap_create(const struct gen_net *net, const struct gen_config *config,
                 struct gen_encap_frames **encapp, struct lh_error *error)
{
    struct gen_encap_frames *encap = lh_alloc_zero(sizeof *encap);
    size_t n = gen_net_n_switches(net);
    int retval = 0;

    encap->encap = config->encap;
    encap->vlan = config->mac_vlan;
    encap->net = net;
    encap->paths = lh_alloc_zero(n * sizeof *encap->paths);
    for (uint32_t i = 0; i < n && !retval; i++) {
        set_path(gen_net_switch(net, i), &encap->paths[i]);
        if (config->encap == GEN_MAC) {
            retval = check_mac(gen_net_switch(net, i), error);
        }
    }
    if (retval) {
        gen_encap_destroy(encap);
        encap = NULL;
    }
    *encapp = encap;
    return retval;
}

void
gen_encap_destroy(struct gen_encap_frames *encap)
{
    if (encap) {
        free(encap->paths);
        free(encap);
    }
}

uint32_t
gen_encap_write(const struct gen_encap_frames *encap, const struct postcard *p,
                uint32_t sw, uint16_t tag, uint8_t *out)
{
    size_t size = p->caplen + (size_t) GEN_ENCAP_OVERHEAD, len;

    if (encap->encap == GEN_MAC) {
        uint16_t code;
        bool has_code = postcard_mac_port_code(p->out_port, &code);

        assert(has_code);
        len = postcard_mac_encode(p, encap->vlan,
                                  gen_net_switch(encap->net, sw)->index, code,
                                  out, size);
    } else {
        struct postcard_geneve_path *path = &encap->paths[sw];

        path->udp_src = (uint16_t) (FIRST_PORT | tag);
        len = postcard_geneve_encode_frame(p, path, out, size);
    }
    assert(len);
    return (uint32_t) len;
}
