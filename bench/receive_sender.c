/* SPDX-License-Identifier: Apache-2.0 */
/* receive_sender - a process in a network namespace of its own that sends
 * postcards over a veth at a given rate. */
#include <config.h>

#include "bench/receive_sender.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/bytes.h"
#include "lib/inet_sum.h"
#include "lib/lh_alloc.h"

#define BATCH   32
#define ETH_LEN 14
#define IP_LEN  20

struct receive_sender {
    pid_t pid;
    int orders, reports; /* Pipes. */
};

static const uint8_t their_mac[6] = {2, 0, 0, 0, 0, 2};

static void
die(const char *what)
{
    fprintf(stderr, "bench_receive: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static uint64_t
clock_ns(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (uint64_t) ts.tv_sec * 1000000000u + (uint64_t) ts.tv_nsec;
}

/* --- The process that sends ---------------------------------------------- */

static int
open_socket(void)
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    int yes = 1;

    to.sll_ifindex = (int) if_nametoindex("tx0");
    if (fd < 0 || bind(fd, (struct sockaddr *) &to, sizeof to) ||
        setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof yes)) {
        die("packet socket");
    }
    return fd;
}

/* Sends the 'n' messages, of which the kernel may have taken a part. */
static void
send_all(int fd, struct mmsghdr *messages, unsigned int n)
{
    for (unsigned int i = 0; i < n;) {
        int sent = sendmmsg(fd, messages + i, n - i, 0);

        if (sent < 0 && errno != ENOBUFS && errno != EINTR) {
            die("sendmmsg");
        }
        i += sent > 0 ? (unsigned int) sent : 0;
    }
}

static void
carry_out(int fd, struct receive_frame *frames, size_t n_frames,
          const struct receive_order *order, struct receive_report *report)
{
    struct mmsghdr messages[BATCH];
    struct iovec iovecs[BATCH];
    size_t next = 0;

    for (size_t i = 0; i < n_frames; i++) {
        frames[i].data[5] =
            order->to_stranger ? (uint8_t) ~their_mac[5] : their_mac[5];
    }
    memset(messages, 0, sizeof messages);
    *report = (struct receive_report){.from_ns = clock_ns(CLOCK_MONOTONIC)};

    uint64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

    while (report->n_sent < order->n) {
        for (size_t i = 0; i < BATCH; i++) {
            iovecs[i] = (struct iovec){frames[next].data, frames[next].len};
            messages[i].msg_hdr.msg_iov = &iovecs[i];
            messages[i].msg_hdr.msg_iovlen = 1;
            next = next + 1 < n_frames ? next + 1 : 0;
        }

        uint64_t due_ns =
            report->from_ns +
            (order->rate > 0
                 ? (uint64_t) ((double) report->n_sent / order->rate * 1e9)
                 : 0);

        while (clock_ns(CLOCK_MONOTONIC) < due_ns) {
        }
        send_all(fd, messages, BATCH);
        report->n_sent += BATCH;
    }
    report->to_ns = clock_ns(CLOCK_MONOTONIC);
    report->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
}

/* Keeps this process on the last core, so that the reader has another. */
static void
pin(int core)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(core, &set);
    sched_setaffinity(0, sizeof set, &set);
}

/* Puts this process before the machine's other work, which must not cost
 * frames: a session is a group of its own to the scheduler. */
static void
boost(void)
{
    FILE *file;

    setsid();
    setpriority(PRIO_PROCESS, 0, -19);
    file = fopen("/proc/self/autogroup", "w");
    if (file) {
        fputs("-19", file);
        fclose(file);
    }
}

static void
serve(int orders, int reports, struct receive_frame *frames, size_t n)
{
    struct receive_report report = {0};
    struct receive_order order;
    int fd;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    boost();
    if (unshare(CLONE_NEWNET) ||
        write(reports, &report, sizeof report) != sizeof report) {
        die("namespace");
    }
    /* The first order says that the veth is there. */
    if (read(orders, &order, sizeof order) != sizeof order) {
        exit(EXIT_FAILURE);
    }
    if (system("ip link set tx0 up")) {
        die("tx0");
    }
    fd = open_socket();
    pin((int) sysconf(_SC_NPROCESSORS_ONLN) - 1);
    do {
        if (order.n) {
            carry_out(fd, frames, n, &order, &report);
        }
        if (write(reports, &report, sizeof report) != sizeof report) {
            break;
        }
    } while (read(orders, &order, sizeof order) == sizeof order);
    exit(EXIT_SUCCESS);
}

/* --- Its owner ----------------------------------------------------------- */

/* From a switch's address to ours. */
static void
address(struct receive_frame *frame)
{
    uint8_t *ip = frame->data + ETH_LEN;

    memcpy(frame->data, their_mac, 6);
    bytes_put_be32(ip + 12, 0x0a630000 | 10u | (ip[15] & 127u));
    inet_pton(AF_INET, RECEIVE_ADDRESS, ip + 16);
    bytes_put_be16(ip + 10, 0);
    bytes_put_be16(ip + 10, inet_sum(ip, IP_LEN));
}

static void
run(const char *command)
{
    if (system(command)) {
        die(command);
    }
}

struct receive_sender *
receive_sender_start(struct receive_frame *frames, size_t n)
{
    struct receive_sender *sender = lh_alloc_zero(sizeof *sender);
    struct receive_order ready = {0};
    struct receive_report report;
    int orders[2], reports[2];
    char command[128];

    for (size_t i = 0; i < n; i++) {
        address(&frames[i]);
    }
    if (unshare(CLONE_NEWNET) || pipe(orders) || pipe(reports)) {
        die("namespace (this needs root)");
    }
    sender->pid = fork();
    if (sender->pid < 0) {
        die("fork");
    } else if (!sender->pid) {
        close(orders[1]);
        close(reports[0]);
        serve(orders[0], reports[1], frames, n);
    }
    close(orders[0]);
    close(reports[1]);
    sender->orders = orders[1];
    sender->reports = reports[0];
    receive_sender_report(sender, &report); /* It is in its namespace. */
    snprintf(command, sizeof command,
             "ip link add " RECEIVE_INTERFACE " address 02:00:00:00:00:02 "
             "type veth peer name tx0 netns %d",
             (int) sender->pid);
    run(command);
    run("ip addr add " RECEIVE_ADDRESS "/24 dev " RECEIVE_INTERFACE);
    run("ip link set " RECEIVE_INTERFACE " up && ip link set lo up");
    receive_sender_order(sender, &ready);
    receive_sender_report(sender, &report);
    pin(0);
    boost();
    return sender;
}

void
receive_sender_stop(struct receive_sender *sender)
{
    if (sender) {
        close(sender->orders);
        close(sender->reports);
        waitpid(sender->pid, NULL, 0);
        free(sender);
    }
}

void
receive_sender_order(struct receive_sender *sender,
                     const struct receive_order *order)
{
    if (write(sender->orders, order, sizeof *order) != sizeof *order) {
        die("sender");
    }
}

int
receive_sender_fd(const struct receive_sender *sender)
{
    return sender->reports;
}

void
receive_sender_report(struct receive_sender *sender,
                      struct receive_report *report)
{
    if (read(sender->reports, report, sizeof *report) != sizeof *report) {
        die("sender");
    }
}
