/* SPDX-License-Identifier: Apache-2.0 */
/* ofload - a load generator that speaks OpenFlow as a controller does.
 *
 * usage: ofload HOST:PORT [--match TEXT] [--actions TEXT] [--version 1..6]
 *
 * The version is as on the wire: 1 is OpenFlow 1.0, 4 (without it) 1.3.
 *
 * Switches, or the recorder in front of them, connect to HOST:PORT.  Commands
 * come on standard input, one a line, and each is answered with a line of
 * JSON.  A measurement spreads its flow-mods evenly over all connections.
 *
 *   wait N              until N connections are there and have answered a
 *                       barrier; how long each took since it was accepted
 *   template TEXT       what rules do from now on: the actions
 *   add N FIRST EVERY   adds the rules FIRST, FIRST+1, .. with a barrier after
 *                       each EVERY (0: only one at the end), whose answer is
 *                       waited for before the next rule is sent
 *   delete              deletes all rules
 *   punt                adds the rule that sends all else to the controller
 *   trips N GAP_US      N times one rule and a barrier; the time from the
 *                       rule to the answer, GAP_US apart
 *   read                reads all rules by flow statistics
 *   react N W IN OUT    sends N frames into interface IN, W at a time, and
 *                       waits for them at OUT: the packet-in that each makes
 *                       is answered with a rule and a packet-out to port 2
 *   quit
 *
 * The rule with number I matches TEXT of --match, in which the first %d is
 * replaced by I >> 16, the second by I >> 8 & 255 and the third by I & 255. */
#include <config.h>

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/of_peer.h"
#include "bench/of_rules.h"
#include "lib/lh_alloc.h"
#include "recorder/of_flow.h"
#include "recorder/of_msg.h"
#include "recorder/of_packet_out.h"
#include "recorder/of_wire.h"

#define MAX_SWITCHES    1024
#define MULTIPART_REPLY (of_peer_version == OF_WIRE_10 ? 17 : 19)
#define RECORDS_OFS     (of_peer_version == OF_WIRE_10 ? 12u : 16u)
#define FIRST_XID       1000
#define FRAME_TYPE      0x88b5 /* For experiments, by IEEE 802. */
#define FRAME_LEN       64

struct sw {
    struct of_peer peer;
    bool is_ready;
    uint64_t accepted_ns, ready_ns;
    uint32_t next_xid;
    uint32_t barrier;      /* Answered last. */
    uint64_t n_read;       /* Records of flow statistics. */
    uint64_t n_read_bytes; /* Of those messages. */
    bool is_read;
};

static int listener;
static struct sw switches[MAX_SWITCHES];
static size_t n_switches;
static uint64_t n_errors, n_packet_ins;
static struct of_rules rules = {.match = "tcp,nw_src=10.%d.%d.%d,"
                                         "nw_dst=192.168.7.1,tp_dst=80",
                                .actions = "output:1"};
static char *actions; /* Of the last template.  Owned. */

/* A frame's number stands in its source address. */
static uint32_t
frame_number(const uint8_t *frame)
{
    return of_wire_get32(frame + 8);
}

static uint32_t
send_barrier(struct sw *sw)
{
    uint32_t xid = sw->next_xid++;

    of_peer_send_header(&sw->peer, of_wire_barrier_request(of_peer_version),
                        xid);
    return xid;
}

/* --- What comes from switches. --- */

static void
answer_packet_in(struct sw *sw, const uint8_t *msg, size_t len)
{
    struct of_packet_in pi;
    struct of_packet_out po = {.buffer_id = OF_FLOW_NO_BUFFER};
    struct of_flow flow;
    char text[128];
    uint8_t *out;
    size_t out_len;

    if (!of_msg_packet_in(msg, len, &pi) || !pi.frame || pi.len < 14 ||
        of_wire_get16(pi.frame + 12) != FRAME_TYPE) {
        return;
    }
    n_packet_ins++;
    snprintf(text, sizeof text,
             "table=0,priority=200,dl_src=%02x:%02x:%02x:%02x:%02x:%02x,"
             "actions=output:2",
             pi.frame[6], pi.frame[7], pi.frame[8], pi.frame[9], pi.frame[10],
             pi.frame[11]);
    free(of_flow_from_text(&flow, OF_FLOW_ADD, text));
    if (!of_flow_encode(&flow, of_peer_version, 0, &out, &out_len)) {
        of_peer_send(&sw->peer, out, out_len);
        free(out);
    }
    of_flow_uninit(&flow);
    po.in_port = pi.in_port;
    po.frame = pi.frame;
    po.len = pi.len;
    free(of_acts_from_text(&po.acts, "output:2"));
    if (!of_packet_out_encode(&po, of_peer_version, 0, &out, &out_len)) {
        of_peer_send(&sw->peer, out, out_len);
        free(out);
    }
    of_packet_out_uninit(&po);
}

/* Counts the records, which begin with their length. */
static void
take_flow_stats(struct sw *sw, const uint8_t *msg, size_t len)
{
    for (size_t ofs = RECORDS_OFS; ofs + 48 <= len;) {
        uint16_t step = of_wire_get16(msg + ofs);

        if (step < 48) {
            of_peer_die("a record of %u bytes", step);
        }
        sw->n_read++;
        ofs += step;
    }
    sw->n_read_bytes += len;
    sw->is_read = of_wire_is_last_reply(msg, len);
}

static void
take(void *sw_, const uint8_t *msg, size_t len)
{
    struct sw *sw = sw_;

    if (msg[1] == OF_WIRE_HELLO) {
        if (of_peer_version == OF_WIRE_10) {
            /* Flow-mods name their table: NXT_FLOW_MOD_TABLE_ID. */
            static const uint8_t tid[24] = {1, 4,    0,    24, 0, 0, 0,  0, 0,
                                            0, 0x23, 0x20, 0,  0, 0, 15, 1};

            of_peer_send(&sw->peer, tid, sizeof tid);
        }
        of_peer_send_header(&sw->peer, OF_WIRE_FEATURES_REQUEST,
                            sw->next_xid++);
    } else if (msg[1] == OF_WIRE_FEATURES_REPLY) {
        send_barrier(sw);
    } else if (msg[1] == OF_WIRE_ECHO_REQUEST) {
        uint8_t *reply = lh_memdup(msg, len);

        reply[1] = OF_WIRE_ECHO_REPLY;
        of_peer_send(&sw->peer, reply, len);
        free(reply);
    } else if (msg[1] == of_wire_barrier_reply(of_peer_version)) {
        sw->barrier = of_wire_xid(msg);
        if (!sw->is_ready) {
            sw->is_ready = true;
            sw->ready_ns = of_peer_now_ns();
        }
    } else if (msg[1] == MULTIPART_REPLY && len >= RECORDS_OFS &&
               of_wire_get16(msg + 8) == 1) {
        take_flow_stats(sw, msg, len);
    } else if (msg[1] == OF_WIRE_PACKET_IN) {
        answer_packet_in(sw, msg, len);
    } else if (msg[1] == OF_WIRE_ERROR) {
        if (!n_errors++) {
            char *text = of_msg_to_text(msg, len);

            fprintf(stderr, "ofload: %s", text);
            free(text);
        }
    }
}

/* --- The event loop. --- */

static void
drop(size_t i)
{
    of_peer_uninit(&switches[i].peer);
    switches[i] = switches[--n_switches];
}

static void
accept_all(void)
{
    int fd;

    while ((fd = of_peer_accept(listener)) >= 0) {
        struct sw *sw = &switches[n_switches];

        if (n_switches == MAX_SWITCHES) {
            of_peer_die("more than %d switches", MAX_SWITCHES);
        }
        n_switches++;
        memset(sw, 0, sizeof *sw);
        of_peer_init(&sw->peer, fd);
        sw->accepted_ns = of_peer_now_ns();
        sw->next_xid = FIRST_XID;
        of_peer_send_hello(&sw->peer);
    }
}

/* Waits for something to happen on the connections or on 'other' (-1: none)
 * and does it; true when 'other' can be read. */
static bool
turn(int other, int timeout_ms)
{
    static struct pollfd fds[MAX_SWITCHES + 2];
    nfds_t n = 0;

    for (size_t i = n_switches; i-- > 0;) {
        if (!of_peer_flush(&switches[i].peer)) {
            drop(i);
        }
    }
    for (size_t i = 0; i < n_switches; i++) {
        fds[n++] =
            (struct pollfd){.fd = switches[i].peer.fd,
                            .events = of_peer_events(&switches[i].peer)};
    }
    fds[n++] = (struct pollfd){.fd = listener, .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = other, .events = POLLIN};
    if (poll(fds, n, timeout_ms) <= 0) {
        return false;
    }
    for (size_t i = n - 2; i-- > 0;) {
        if (fds[i].revents & (POLLIN | POLLERR | POLLHUP) &&
            !of_peer_read(&switches[i].peer, take, &switches[i])) {
            drop(i);
        }
    }
    if (fds[n - 2].revents) {
        accept_all();
    }
    return fds[n - 1].revents != 0;
}

/* Waits until every switch has answered the barriers in 'xids'. */
static void
await_barriers(const uint32_t *xids)
{
    size_t n_then = n_switches;

    for (size_t i = 0; i < n_then;) {
        if (n_switches != n_then) {
            of_peer_die("a connection was lost");
        }
        if (switches[i].barrier >= xids[i]) {
            i++;
        } else {
            turn(-1, 1000);
        }
    }
}

static void
barrier_all(void)
{
    uint32_t xids[MAX_SWITCHES];

    for (size_t i = 0; i < n_switches; i++) {
        xids[i] = send_barrier(&switches[i]);
    }
    await_barriers(xids);
}

/* --- Commands. --- */

static void
print_times(const char *name, uint64_t *ns, size_t n)
{
    printf("\"%s\":{\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}", name,
           (double) of_peer_percentile(ns, n, 0.5) / 1e3,
           (double) of_peer_percentile(ns, n, 0.99) / 1e3,
           (double) of_peer_percentile(ns, n, 1) / 1e3);
}

static void
run_wait(size_t n)
{
    uint64_t ns[MAX_SWITCHES];
    size_t n_ready = 0;

    while (n_ready < n) {
        turn(-1, 1000);
        n_ready = 0;
        for (size_t i = 0; i < n_switches; i++) {
            if (switches[i].is_ready) {
                ns[n_ready++] = switches[i].ready_ns - switches[i].accepted_ns;
            }
        }
    }
    printf("{\"ready\":%zu,", n_ready);
    print_times("setup_us", ns, n_ready);
    puts("}");
}

struct made {
    uint8_t *data;
    size_t len;
};

static void
run_add(uint32_t n, uint32_t first, uint32_t every)
{
    struct made *made = lh_alloc_array(NULL, n, sizeof *made);
    uint64_t start_ns, ns, errors = n_errors;
    size_t bytes = 0;

    for (uint32_t i = 0; i < n; i++) {
        of_rules_make(&rules, first + i, &made[i].data, &made[i].len);
        bytes += made[i].len;
    }
    start_ns = of_peer_now_ns();
    for (uint32_t i = 0; i < n && n_switches; i++) {
        of_peer_send(&switches[i % n_switches].peer, made[i].data,
                     made[i].len);
        if (every && (i + 1) % every == 0) {
            barrier_all();
        } else if (i % 4096 == 4095) {
            turn(-1, 0);
        }
    }
    barrier_all();
    ns = of_peer_now_ns() - start_ns;
    for (uint32_t i = 0; i < n; i++) {
        free(made[i].data);
    }
    free(made);
    printf(
        "{\"seconds\":%.6f,\"per_s\":%.0f,\"bytes\":%.1f,\"errors\":%" PRIu64
        "}\n",
        (double) ns / 1e9, n / ((double) ns / 1e9), n ? (double) bytes / n : 0,
        n_errors - errors);
}

/* A flow-mod to all switches. */
static void
flow_mod_all(enum of_flow_command command, const char *text)
{
    struct of_flow flow;
    uint8_t *msg;
    size_t len;

    free(of_flow_from_text(&flow, command, text));
    if (command == OF_FLOW_DELETE) {
        flow.table_id = OF_FLOW_ALL_TABLES;
    }
    if (of_flow_encode(&flow, of_peer_version, 0, &msg, &len)) {
        of_peer_die("%s: cannot be encoded", text);
    }
    of_flow_uninit(&flow);
    for (size_t i = 0; i < n_switches; i++) {
        of_peer_send(&switches[i].peer, msg, len);
    }
    free(msg);
    barrier_all();
}

static void
run_delete(void)
{
    uint64_t start_ns = of_peer_now_ns();

    flow_mod_all(OF_FLOW_DELETE, "table=255");
    printf("{\"seconds\":%.6f}\n",
           (double) (of_peer_now_ns() - start_ns) / 1e9);
}

static void
run_trips(uint32_t n, unsigned int gap_us)
{
    uint64_t *ns = lh_alloc_array(NULL, n, sizeof *ns);

    for (uint32_t i = 0; i < n && n_switches; i++) {
        struct timespec gap = {.tv_nsec = (long) gap_us * 1000};
        struct sw *sw = &switches[i % n_switches];
        uint32_t xids[MAX_SWITCHES] = {0};
        uint8_t *msg;
        size_t len;

        of_rules_make(&rules, (1u << 23) + i, &msg, &len);
        if (gap_us) {
            nanosleep(&gap, NULL);
        }
        ns[i] = of_peer_now_ns();
        of_peer_send(&sw->peer, msg, len);
        xids[sw - switches] = send_barrier(sw);
        await_barriers(xids);
        ns[i] = of_peer_now_ns() - ns[i];
        free(msg);
    }
    printf("{");
    print_times("us", ns, n);
    puts("}");
    free(ns);
}

static void
run_read(void)
{
    struct of_flow_request request = {.match = of_match_create_all(),
                                      .table_id = OF_FLOW_ALL_TABLES,
                                      .out_port = OF_ACTS_ANY,
                                      .out_group = OF_ACTS_ANY};
    uint64_t start_ns = of_peer_now_ns(), n = 0, n_bytes = 0, ns;
    uint8_t *msg;
    size_t len;

    of_flow_request_encode(&request, of_peer_version,
                           of_peer_version != OF_WIRE_10, 1, &msg, &len);
    of_flow_request_uninit(&request);
    for (size_t i = 0; i < n_switches; i++) {
        switches[i].n_read = switches[i].n_read_bytes = 0;
        switches[i].is_read = false;
        of_wire_put32(msg + 4, switches[i].next_xid++);
        of_peer_send(&switches[i].peer, msg, len);
    }
    free(msg);
    for (size_t i = 0; i < n_switches;) {
        if (switches[i].is_read) {
            n += switches[i].n_read;
            n_bytes += switches[i].n_read_bytes;
            i++;
        } else {
            turn(-1, 1000);
        }
    }
    ns = of_peer_now_ns() - start_ns;
    printf("{\"rules\":%" PRIu64 ",\"bytes\":%" PRIu64
           ",\"seconds\":%.6f,\"per_s\":%.0f}\n",
           n, n_bytes, (double) ns / 1e9, (double) n / ((double) ns / 1e9));
}

static int
open_interface(const char *name)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(FRAME_TYPE));
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = htons(FRAME_TYPE),
                                  .sll_ifindex = (int) if_nametoindex(name)};

    if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof address)) {
        of_peer_die("%s: %s", name, strerror(errno));
    }
    return fd;
}

static void
run_react(uint32_t n, uint32_t window, const char *in, const char *out)
{
    static uint32_t series; /* So that no rule of before matches. */
    uint64_t *ns = lh_alloc_array(NULL, n, sizeof *ns), start_ns, end_ns;
    int in_fd = open_interface(in), out_fd = open_interface(out);
    uint32_t n_sent = 0, n_back = 0, n_late = 0;
    uint64_t last_ns = of_peer_now_ns();

    series++;
    start_ns = last_ns;
    while (n_back < n && n_late < 10) {
        uint8_t frame[FRAME_LEN] = {0x02, 0, 0,    0,
                                    0,    2, 0x06, (uint8_t) series};
        ssize_t len;

        while (n_sent < n && n_sent - n_back < window) {
            of_wire_put32(frame + 8, n_sent);
            of_wire_put16(frame + 12, FRAME_TYPE);
            ns[n_sent++] = of_peer_now_ns();
            if (send(in_fd, frame, sizeof frame, 0) < 0) {
                of_peer_die("%s: %s", in, strerror(errno));
            }
        }
        turn(out_fd, 1000);
        while ((len = recv(out_fd, frame, sizeof frame, MSG_DONTWAIT)) >= 14) {
            uint32_t i = frame_number(frame);

            if (frame[6] == 0x06 && frame[7] == (uint8_t) series &&
                i < n_sent && ns[i] > 1000000000) {
                last_ns = of_peer_now_ns();
                ns[i] = last_ns - ns[i];
                n_back++;
            }
        }
        if (of_peer_now_ns() - last_ns > 1000000000) {
            n_late++;
            last_ns = of_peer_now_ns();
        }
    }
    end_ns = of_peer_now_ns();
    close(in_fd);
    close(out_fd);
    printf("{\"frames\":%u,\"seconds\":%.6f,\"per_s\":%.0f,", n_back,
           (double) (end_ns - start_ns) / 1e9,
           n_back / ((double) (end_ns - start_ns) / 1e9));
    print_times("us", ns, n_back);
    puts("}");
    free(ns);
}

static bool
run(char *line)
{
    uint32_t a = 0, b = 0, c = 0;
    char in[IF_NAMESIZE], out[IF_NAMESIZE];

    if (sscanf(line, "wait %u", &a) == 1) {
        run_wait(a);
    } else if (!strncmp(line, "template ", 9)) {
        line[strcspn(line, "\n")] = '\0';
        free(actions);
        actions = lh_strdup(line + 9);
        rules.actions = actions;
        puts("{}");
    } else if (sscanf(line, "add %u %u %u", &a, &b, &c) == 3) {
        run_add(a, b, c);
    } else if (!strncmp(line, "delete", 6)) {
        run_delete();
    } else if (!strncmp(line, "punt", 4)) {
        flow_mod_all(OF_FLOW_ADD,
                     "table=0,priority=0,actions=CONTROLLER:65535");
        puts("{}");
    } else if (sscanf(line, "trips %u %u", &a, &b) == 2) {
        run_trips(a, b);
    } else if (!strncmp(line, "read", 4)) {
        run_read();
    } else if (sscanf(line, "react %u %u %15s %15s", &a, &b, in, out) == 4) {
        run_react(a, b, in, out);
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
    char line[4096];

    if (argc < 2) {
        of_peer_die("usage: %s HOST:PORT [OPTION VALUE]..", argv[0]);
    }
    for (int i = 2; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--match")) {
            rules.match = argv[i + 1];
        } else if (!strcmp(argv[i], "--actions")) {
            rules.actions = argv[i + 1];
        } else if (!strcmp(argv[i], "--version")) {
            of_peer_version = (uint8_t) atoi(argv[i + 1]);
        } else {
            of_peer_die("%s: no such option", argv[i]);
        }
    }
    of_msg_init();
    setvbuf(stdin, NULL, _IONBF, 0);
    listener = of_peer_listen(argv[1]);
    puts("{\"listening\":true}");
    fflush(stdout);
    for (;;) {
        if (turn(STDIN_FILENO, 1000) &&
            (!fgets(line, sizeof line, stdin) || !run(line))) {
            break;
        }
    }
    while (n_switches) {
        drop(0);
    }
    free(actions);
    return 0;
}
