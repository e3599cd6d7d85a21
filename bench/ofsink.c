/* SPDX-License-Identifier: Apache-2.0 */
/* ofsink - switches of OpenFlow 1.3 that do nothing, to see what the recorder
 * itself costs.
 *
 * usage: ofsink HOST:PORT N
 *
 * Connects N switches to HOST:PORT.  They answer what is asked, take every
 * flow-mod and keep nothing of it but its bytes, which flow statistics give
 * back (in the order they came, whatever the flow-mod's command was).
 * Commands on standard input, each answered with a line of JSON:
 *
 *   connect         connects all N, anew if they were
 *   packet-ins N W  each switch sends N packet-ins, W at a time; the time
 *                   from a packet-in to the flow-mod that answers it
 *   counts          flow-mods and packet-outs that came, bytes, barriers
 *   forget          drops the flow-mods kept
 *   quit */
#include <config.h>

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/of_peer.h"
#include "lib/lh_alloc.h"
#include "recorder/of_msg.h"
#include "recorder/of_wire.h"

#define MAX_SWITCHES      1024
#define MULTIPART_REQUEST 18
#define MULTIPART_REPLY   19
#define ROLE_REQUEST      24
#define FRAME_TYPE        0x88b5
#define FRAME_LEN         64
#define N_PORTS           3
#define FLOW_MOD_LEN      48 /* Up to its match; so is a record's. */
#define REPLY_LEN         60000

enum { MULTIPART_FLOW = 1, MULTIPART_PORT_DESC = 13 };

struct sw {
    struct of_peer peer;
    size_t number;
    uint8_t *kept; /* Flow-mods, one after the other.  Owned. */
    size_t kept_len, kept_size;
    uint32_t n_sent, n_back; /* Packet-ins, of this run. */
    uint64_t *ns;            /* Of each.  Owned. */
};

static struct sw switches[MAX_SWITCHES];
static size_t n_switches;
static uint64_t n_flow_mods, n_packet_outs, n_barriers, n_bytes;

static void
reply(struct sw *sw, const uint8_t *request, uint8_t *msg, uint8_t type,
      size_t len)
{
    of_wire_put_header(msg, OF_WIRE_13, type, (uint16_t) len,
                       of_wire_xid(request));
    of_peer_send(&sw->peer, msg, len);
}

static void
answer_features(struct sw *sw, const uint8_t *request)
{
    uint8_t msg[32] = {0};

    of_wire_put64(msg + 8, 0x1000 + sw->number);
    msg[20] = 254; /* Tables. */
    of_wire_put32(msg + 24, 0x4f);
    reply(sw, request, msg, OF_WIRE_FEATURES_REPLY, sizeof msg);
}

static void
answer_ports(struct sw *sw, const uint8_t *request)
{
    static const char *const names[N_PORTS] = {"p1", "p2", "cards"};
    uint8_t msg[16 + 64 * N_PORTS] = {0};

    of_wire_put16(msg + 8, MULTIPART_PORT_DESC);
    for (size_t i = 0; i < N_PORTS; i++) {
        uint8_t *p = msg + 16 + 64 * i;

        of_wire_put32(p, (uint32_t) i + 1);
        p[8] = 2;
        p[12] = (uint8_t) sw->number;
        p[13] = (uint8_t) (i + 1);
        memcpy(p + 16, names[i], strlen(names[i]));
    }
    reply(sw, request, msg, MULTIPART_REPLY, sizeof msg);
}

/* What the flow-mods said, as records of flow statistics: both have what is
 * of fixed length in 48 bytes, and after it the same. */
static void
answer_flows(struct sw *sw, const uint8_t *request)
{
    static uint8_t msg[1 << 16];
    size_t len = 16;

    memset(msg, 0, 16);
    of_wire_put16(msg + 8, MULTIPART_FLOW);
    for (size_t ofs = 0; ofs < sw->kept_len;) {
        const uint8_t *mod = sw->kept + ofs;
        uint16_t mod_len = of_wire_get16(mod + 2);
        uint8_t *record = msg + len;

        if (len + mod_len > REPLY_LEN) {
            of_wire_put16(msg + 10, 1); /* More to come. */
            reply(sw, request, msg, MULTIPART_REPLY, len);
            len = 16;
            record = msg + len;
        }
        memset(record, 0, FLOW_MOD_LEN);
        of_wire_put16(record, mod_len);
        record[2] = mod[24];              /* Table. */
        memcpy(record + 12, mod + 30, 2); /* Priority. */
        memcpy(record + 14, mod + 26, 4); /* Timeouts. */
        memcpy(record + 18, mod + 44, 2); /* Flags. */
        memcpy(record + 24, mod + 8, 8);  /* Cookie. */
        memcpy(record + FLOW_MOD_LEN, mod + FLOW_MOD_LEN,
               mod_len - (size_t) FLOW_MOD_LEN);
        len += mod_len;
        ofs += mod_len;
    }
    of_wire_put16(msg + 10, 0);
    reply(sw, request, msg, MULTIPART_REPLY, len);
}

static void
answer_multipart(struct sw *sw, const uint8_t *request, size_t len)
{
    uint8_t msg[16] = {0};

    if (len < 16) {
        return;
    }
    switch (of_wire_get16(request + 8)) {
    case MULTIPART_PORT_DESC:
        answer_ports(sw, request);
        break;
    case MULTIPART_FLOW:
        answer_flows(sw, request);
        break;
    default: /* There is none of it. */
        memcpy(msg + 8, request + 8, 2);
        reply(sw, request, msg, MULTIPART_REPLY, sizeof msg);
        break;
    }
}

static void
answer_experimenter(struct sw *sw, const uint8_t *request, size_t len)
{
    uint8_t *msg;
    size_t msg_len;

    if (len >= 16 && of_wire_get32(request + 8) == 0x2320 &&
        of_wire_get32(request + 12) == 25) { /* TLV maps. */
        of_msg_tlv_reply(OF_WIRE_13, of_wire_xid(request), NULL, 0, 256, 64,
                         &msg, &msg_len);
        of_peer_send(&sw->peer, msg, msg_len);
        free(msg);
    }
}

/* A flow-mod that answers a packet-in matches its Ethernet source, which is
 * the frame's number. */
static void
take_flow_mod(struct sw *sw, const uint8_t *msg, size_t len)
{
    static const uint8_t eth_src[4] = {0x80, 0x00, 0x08, 0x06};

    n_flow_mods++;
    if (len < FLOW_MOD_LEN + 8) {
        return;
    }
    if (sw->kept_len + len > sw->kept_size) {
        sw->kept_size = (sw->kept_len + len) * 2;
        sw->kept = lh_alloc_array(sw->kept, sw->kept_size, 1);
    }
    if (msg[25] == 0) {
        memcpy(sw->kept + sw->kept_len, msg, len);
        sw->kept_len += len;
    }
    for (size_t ofs = FLOW_MOD_LEN + 4; sw->n_back < sw->n_sent;) {
        size_t step = ofs + 4 <= len ? 4u + msg[ofs + 3] : len;

        if (ofs + step > len || ofs > FLOW_MOD_LEN + 40) {
            break;
        }
        if (!memcmp(msg + ofs, eth_src, sizeof eth_src)) {
            uint32_t i = of_wire_get32(msg + ofs + 6);

            if (i < sw->n_sent) {
                sw->ns[i] = of_peer_now_ns() - sw->ns[i];
                sw->n_back++;
            }
            break;
        }
        ofs += step;
    }
}

static void
take(void *sw_, const uint8_t *msg, size_t len)
{
    struct sw *sw = sw_;

    n_bytes += len;
    switch (msg[1]) {
    case OF_WIRE_FEATURES_REQUEST:
        answer_features(sw, msg);
        break;
    case OF_WIRE_FLOW_MOD:
        take_flow_mod(sw, msg, len);
        break;
    case OF_WIRE_PACKET_OUT:
        n_packet_outs++;
        break;
    case OF_WIRE_EXPERIMENTER:
        answer_experimenter(sw, msg, len);
        break;
    case MULTIPART_REQUEST:
        answer_multipart(sw, msg, len);
        break;
    case OF_WIRE_ECHO_REQUEST:
    case OF_WIRE_GET_CONFIG_REQUEST:
    case ROLE_REQUEST: {
        uint8_t *copy = lh_alloc_zero(len < 12 ? 12 : len);

        memcpy(copy, msg, len);
        reply(sw, msg, copy, (uint8_t) (msg[1] + 1),
              msg[1] == OF_WIRE_GET_CONFIG_REQUEST ? 12 : len);
        free(copy);
        break;
    }
    default:
        if (msg[1] == of_wire_barrier_request(OF_WIRE_13)) {
            n_barriers++;
            of_peer_send_header(&sw->peer, of_wire_barrier_reply(OF_WIRE_13),
                                of_wire_xid(msg));
        }
        break;
    }
}

/* Waits for something to happen; true when there is a command. */
static bool
turn(int timeout_ms)
{
    static struct pollfd fds[MAX_SWITCHES + 1];
    nfds_t n = 0;

    for (size_t i = 0; i < n_switches; i++) {
        struct of_peer *peer = &switches[i].peer;

        if (peer->fd >= 0 && !of_peer_flush(peer)) {
            of_peer_die("switch %zu: the connection ended", i);
        }
        fds[n++] = (struct pollfd){
            .fd = peer->fd,
            .events = peer->fd >= 0 ? of_peer_events(peer) : (short) 0};
    }
    fds[n++] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(fds, n, timeout_ms) <= 0) {
        return false;
    }
    for (size_t i = 0; i < n_switches; i++) {
        if (fds[i].revents & (POLLIN | POLLERR | POLLHUP) &&
            !of_peer_read(&switches[i].peer, take, &switches[i])) {
            of_peer_die("switch %zu: the connection ended", i);
        }
    }
    return fds[n - 1].revents != 0;
}

static void
print_times(const char *name, uint64_t *ns, size_t n)
{
    printf("\"%s\":{\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}", name,
           (double) of_peer_percentile(ns, n, 0.5) / 1e3,
           (double) of_peer_percentile(ns, n, 0.99) / 1e3,
           (double) of_peer_percentile(ns, n, 1) / 1e3);
}

static void
run_connect(const char *target)
{
    for (size_t i = 0; i < n_switches; i++) {
        struct sw *sw = &switches[i];

        of_peer_uninit(&sw->peer);
        sw->number = i;
        of_peer_init(&sw->peer, of_peer_connect(target));
        of_peer_send_hello(&sw->peer);
        of_peer_flush(&sw->peer);
    }
    puts("{}");
}

static void
send_packet_in(struct sw *sw)
{
    uint8_t msg[42 + FRAME_LEN] = {0};
    uint8_t *frame = msg + 42;

    of_wire_put_header(msg, OF_WIRE_13, OF_WIRE_PACKET_IN, sizeof msg, 0);
    of_wire_put32(msg + 8, UINT32_MAX);
    of_wire_put16(msg + 12, FRAME_LEN);
    of_wire_put16(msg + 24, 1); /* The match: in_port=1. */
    of_wire_put16(msg + 26, 12);
    of_wire_put32(msg + 28, 0x80000004);
    of_wire_put32(msg + 32, 1);
    frame[0] = 2;
    frame[6] = 6;
    of_wire_put32(frame + 8, sw->n_sent);
    of_wire_put16(frame + 12, FRAME_TYPE);
    sw->ns[sw->n_sent++] = of_peer_now_ns();
    of_peer_send(&sw->peer, msg, sizeof msg);
}

static void
run_packet_ins(uint32_t n, uint32_t window)
{
    uint64_t *all = lh_alloc_array(NULL, n * n_switches, sizeof *all);
    uint64_t start_ns = of_peer_now_ns(), ns;

    for (size_t i = 0; i < n_switches; i++) {
        free(switches[i].ns);
        switches[i].ns = lh_alloc_array(NULL, n, sizeof *all);
        switches[i].n_sent = switches[i].n_back = 0;
    }
    for (size_t i = 0; i < n_switches;) {
        for (size_t j = i; j < n_switches; j++) {
            struct sw *sw = &switches[j];

            while (sw->n_sent < n && sw->n_sent - sw->n_back < window) {
                send_packet_in(sw);
            }
        }
        if (switches[i].n_back < n) {
            turn(1000);
        } else {
            i++;
        }
    }
    ns = of_peer_now_ns() - start_ns;
    for (size_t i = 0; i < n_switches; i++) {
        memcpy(all + i * n, switches[i].ns, n * sizeof *all);
    }
    printf("{\"per_s\":%.0f,",
           (double) (n * n_switches) / ((double) ns / 1e9));
    print_times("us", all, n * n_switches);
    puts("}");
    free(all);
}

static void
run_counts(void)
{
    printf("{\"flow_mods\":%" PRIu64 ",\"packet_outs\":%" PRIu64
           ",\"barriers\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n",
           n_flow_mods, n_packet_outs, n_barriers, n_bytes);
}

static bool
run(const char *line, const char *target)
{
    uint32_t a, b;

    if (!strncmp(line, "connect", 7)) {
        run_connect(target);
    } else if (sscanf(line, "packet-ins %u %u", &a, &b) == 2) {
        run_packet_ins(a, b);
    } else if (!strncmp(line, "counts", 6)) {
        run_counts();
    } else if (!strncmp(line, "forget", 6)) {
        for (size_t i = 0; i < n_switches; i++) {
            switches[i].kept_len = 0;
        }
        puts("{}");
    } else if (!strncmp(line, "quit", 4)) {
        return false;
    } else {
        of_peer_die("no command: %s", line);
    }
    fflush(stdout);
    return true;
}

int
main(int argc, char **argv)
{
    char line[256];

    if (argc != 3 || atoi(argv[2]) < 1 || atoi(argv[2]) > MAX_SWITCHES) {
        of_peer_die("usage: %s HOST:PORT N", argv[0]);
    }
    of_msg_init();
    setvbuf(stdin, NULL, _IONBF, 0);
    n_switches = (size_t) atoi(argv[2]);
    for (size_t i = 0; i < n_switches; i++) {
        switches[i].peer.fd = -1;
    }
    for (;;) {
        if (turn(1000) &&
            (!fgets(line, sizeof line, stdin) || !run(line, argv[1]))) {
            break;
        }
    }
    for (size_t i = 0; i < n_switches; i++) {
        of_peer_uninit(&switches[i].peer);
        free(switches[i].kept);
        free(switches[i].ns);
    }
    return 0;
}
