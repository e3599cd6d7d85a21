/* SPDX-License-Identifier: Apache-2.0 */
/* edge - a host's interface as an observation point. */
#include <config.h>

#include "agent/edge.h"

#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/lh_alloc.h"
#include "lib/of_port.h"

#define BUFFER_BYTES (8 << 20)
#define MAC_LEN      6
#define PORT_NETWORK 1

struct edge {
    pcap_t *pcap; /* Owned. */
    uint8_t mac[MAC_LEN];
    uint64_t dpid;
    struct packet_id_config id_config;
    union hop_template_buf in, out; /* Into the host, and out of it. */
    uint64_t n_dropped;             /* By the kernel, as last told. */
    struct edge_counters counters;

    /* Of edge_read(). */
    uint32_t threshold;
    void (*visit)(void *aux, const struct agent_postcard *);
    void *aux;
};

static int
read_mac(const char *interface, uint8_t *mac, struct lh_error *error)
{
    struct ifreq request;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int retval = 0;

    memset(&request, 0, sizeof request);
    strncpy(request.ifr_name, interface, sizeof request.ifr_name - 1);
    if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &request)) {
        retval = errno;
        lh_error_set(error, "--interface %s: %s", interface,
                     retval == ENODEV ? "there is no such interface"
                                      : strerror(retval));
    } else if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER) {
        retval = EINVAL;
        lh_error_set(error, "--interface %s: it is no Ethernet interface",
                     interface);
    } else {
        memcpy(mac, request.ifr_hwaddr.sa_data, MAC_LEN);
    }
    if (fd >= 0) {
        close(fd);
    }
    return retval;
}

static void
make_template(union hop_template_buf *buf, uint64_t dpid,
              const char *interface, uint16_t in_port, uint16_t out_port)
{
    struct hop_output output = {.port = out_port};

    hop_template_make(
        buf, &(struct hop_template_parts){.dpid = dpid,
                                          .in_port = in_port,
                                          .bridge = interface,
                                          .bridge_len = strlen(interface),
                                          .outputs = &output,
                                          .n_outputs = 1});
}

int
edge_open(const char *interface, uint16_t snap,
          const struct packet_id_config *id_config, struct edge **edgep,
          struct lh_error *error)
{
    struct edge *edge = lh_alloc_zero(sizeof *edge);
    char text[PCAP_ERRBUF_SIZE];
    int retval = read_mac(interface, edge->mac, error);
    int status;

    *edgep = NULL;
    if (retval) {
        goto out;
    }
    edge->pcap = pcap_create(interface, text);
    if (!edge->pcap) {
        retval = ENODEV;
        lh_error_set(error, "--interface %s: %s", interface, text);
        goto out;
    }
    pcap_set_snaplen(edge->pcap, snap);
    pcap_set_promisc(edge->pcap, 0);
    pcap_set_timeout(edge->pcap, 10);
    pcap_set_buffer_size(edge->pcap, BUFFER_BYTES);
    pcap_set_tstamp_precision(edge->pcap, PCAP_TSTAMP_PRECISION_NANO);
    status = pcap_activate(edge->pcap);
    if (status < 0 || pcap_setnonblock(edge->pcap, 1, text) < 0) {
        retval = status == PCAP_ERROR_PERM_DENIED ? EPERM : EIO;
        lh_error_set(error, "--interface %s: %s", interface,
                     status == PCAP_ERROR_PERM_DENIED
                         ? "capturing needs root or CAP_NET_RAW"
                         : pcap_geterr(edge->pcap));
        goto out;
    }
    if (pcap_datalink(edge->pcap) != DLT_EN10MB) {
        retval = EINVAL;
        lh_error_set(error, "--interface %s: it is no Ethernet interface",
                     interface);
        goto out;
    }
    edge->id_config = *id_config;
    edge->dpid = EDGE_DPID;
    for (unsigned int i = 0; i < MAC_LEN; i++) {
        edge->dpid |= (uint64_t) edge->mac[i] << 8 * (MAC_LEN - 1 - i);
    }
    make_template(&edge->in, edge->dpid, interface, PORT_NETWORK,
                  OF_PORT_LOCAL);
    make_template(&edge->out, edge->dpid, interface, OF_PORT_LOCAL,
                  PORT_NETWORK);
    *edgep = edge;
    return 0;

out:
    edge_close(edge);
    return retval;
}

void
edge_close(struct edge *edge)
{
    if (edge) {
        if (edge->pcap) {
            pcap_close(edge->pcap);
        }
        free(edge);
    }
}

int
edge_fd(const struct edge *edge)
{
    return pcap_get_selectable_fd(edge->pcap);
}

uint64_t
edge_dpid(const struct edge *edge)
{
    return edge->dpid;
}

/* Whether the threshold keeps the packet, as the switches do. */
static bool
is_kept(const struct edge *edge, const uint8_t *data, size_t len)
{
    struct header_split split;
    struct hdr h;
    uint64_t id;

    if (edge->threshold == UINT32_MAX) {
        return true;
    }
    if (!header_split(data, len, &split) ||
        !packet_id_of_split(&edge->id_config, data, len, &split, &id)) {
        hdr_parse(data, len, &h);
        packet_id(&edge->id_config, data, len, &h, &id);
    }
    return id >> 32 <= edge->threshold;
}

static void
on_packet(u_char *edge_, const struct pcap_pkthdr *head, const u_char *data)
{
    struct edge *edge = (struct edge *) (void *) edge_;
    bool is_out;

    if (head->caplen < 2 * MAC_LEN) {
        edge->counters.n_foreign++;
        return;
    }
    is_out = !memcmp(data + MAC_LEN, edge->mac, MAC_LEN);
    if (!is_out && !(data[0] & 1) && memcmp(data, edge->mac, MAC_LEN) != 0) {
        edge->counters.n_foreign++;
        return;
    }
    edge->counters.n_packets++;
    if (!is_kept(edge, data, head->caplen)) {
        edge->counters.n_unsampled++;
        return;
    }

    struct agent_postcard postcard = {
        .template = is_out ? &edge->out.t : &edge->in.t,
        .time_ns = (uint64_t) head->ts.tv_sec * 1000000000u +
                   (uint64_t) head->ts.tv_usec, /* Nanoseconds, as asked. */
        .packet_len = head->len,
        .caplen = (uint16_t) head->caplen,
        .header = data};

    edge->visit(edge->aux, &postcard);
}

int
edge_read(struct edge *edge, size_t max, uint32_t threshold,
          void (*visit)(void *aux, const struct agent_postcard *), void *aux)
{
    edge->threshold = threshold;
    edge->visit = visit;
    edge->aux = aux;
    return pcap_dispatch(edge->pcap, (int) max, on_packet,
                         (u_char *) (void *) edge) < 0
               ? ENODEV
               : 0;
}

uint64_t
edge_lost(struct edge *edge)
{
    struct pcap_stat stat;
    uint64_t lost;

    if (pcap_stats(edge->pcap, &stat)) {
        return 0;
    }
    /* The kernel's count is of 32 bits. */
    lost = (uint32_t) (stat.ps_drop - (uint32_t) edge->n_dropped);
    edge->n_dropped += lost;
    return lost;
}

const struct edge_counters *
edge_counters(const struct edge *edge)
{
    return &edge->counters;
}
