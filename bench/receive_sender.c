/* SPDX-License-Identifier: Apache-2.0 */
/* receive_sender - a process in a network namespace of its own that sends
 * postcards over a veth at a given rate. */
#include <config.h>

#include "bench/receive_sender.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench_boost.h"
#include "bench/bench_pin.h"
#include "lib/lh_alloc.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define MAX_BURST    32
#define BACKLOG      100000
#define N_SWITCHES   16 /* Addresses that frames are sent from. */
#define FIRST_SWITCH 10
#define RECEIVE_PORT 6081
#define OUR_MAC      "02:00:00:00:00:02"
#define STRANGE_MAC  "02:00:00:00:00:fd"

struct receive_sender {
    pid_t pid;
    int orders, reports; /* Pipes. */
};

/* Postcards of one switch and one length, which the kernel is given at once
 * and takes apart before they reach the veth. */
struct burst {
    size_t n_frames, len, frame_len;
    unsigned int sw;
    uint8_t *data; /* Owned. */
};

struct bursts {
    struct burst *bursts; /* Owned. */
    size_t n, allocated;
    int fds[N_SWITCHES]; /* Owned. */
};

/* In the process that sends, which leaves what was set to its owner. */
static bool is_sender;

static void
die(const char *what)
{
    fprintf(stderr, "bench_receive: %s: %s\n", what, strerror(errno));
    if (is_sender) {
        _exit(EXIT_FAILURE);
    }
    exit(EXIT_FAILURE);
}

static uint64_t
clock_ns(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (uint64_t) ts.tv_sec * 1000000000u + (uint64_t) ts.tv_nsec;
}

static void
run(const char *command)
{
    if (system(command)) {
        die(command);
    }
}

/* --- What is sent -------------------------------------------------------- */

static unsigned int
switch_of(const struct receive_frame *frame)
{
    return frame->data[14 + 15] % N_SWITCHES;
}

static int
compare_frame(const void *a_, const void *b_)
{
    const struct receive_frame *a = a_, *b = b_;
    unsigned int switch_a = switch_of(a), switch_b = switch_of(b);

    return switch_a != switch_b ? (switch_a < switch_b ? -1 : 1)
           : a->len < b->len    ? -1
                                : a->len > b->len;
}

static void
add_burst(struct bursts *bursts, const struct receive_frame *frames, size_t n)
{
    struct burst burst = {
        .n_frames = n,
        .frame_len = frames[0].len - RECEIVE_HEAD_LEN,
        .len = n * (frames[0].len - RECEIVE_HEAD_LEN),
        .sw = switch_of(&frames[0]),
        .data = lh_alloc(n * frames[0].len),
    };

    for (size_t i = 0; i < n; i++) {
        memcpy(burst.data + i * burst.frame_len,
               frames[i].data + RECEIVE_HEAD_LEN, burst.frame_len);
    }
    bursts->bursts = lh_alloc_grow(bursts->bursts, bursts->n,
                                   &bursts->allocated, sizeof burst);
    bursts->bursts[bursts->n++] = burst;
}

/* Sorts 'frames'. */
static void
make_bursts(struct receive_frame *frames, size_t n, struct bursts *bursts)
{
    qsort(frames, n, sizeof *frames, compare_frame);
    for (size_t i = 0, n_frames; i < n; i += n_frames) {
        for (n_frames = 1; n_frames < MAX_BURST && i + n_frames < n &&
                           !compare_frame(&frames[i], &frames[i + n_frames]);
             n_frames++) {
        }
        add_burst(bursts, &frames[i], n_frames);
    }
}

/* --- The process that sends ---------------------------------------------- */

/* From the address of a switch. */
static int
open_socket(unsigned int sw)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(RECEIVE_PORT)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int size = 16 << 20;
    char text[32];

    snprintf(text, sizeof text, "10.99.0.%u", FIRST_SWITCH + sw);
    inet_pton(AF_INET, text, &from.sin_addr);
    inet_pton(AF_INET, RECEIVE_ADDRESS, &to.sin_addr);
    if (fd < 0 || bind(fd, (struct sockaddr *) &from, sizeof from) ||
        connect(fd, (struct sockaddr *) &to, sizeof to) ||
        setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size)) {
        die("socket");
    }
    return fd;
}

static void
send_burst(const struct bursts *bursts, const struct burst *burst)
{
    int fd = bursts->fds[burst->sw];
    int frame_len = (int) burst->frame_len;

    if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &frame_len,
                   sizeof frame_len)) {
        die("UDP_SEGMENT");
    }
    while (send(fd, burst->data, burst->len, 0) < 0) {
        if (errno != ENOBUFS && errno != EINTR) {
            die("send");
        }
    }
}

/* To whose MAC address frames go. */
static void
aim(bool to_stranger)
{
    static int aimed = -1;

    if (aimed != to_stranger) {
        run(to_stranger ? "ip neigh replace " RECEIVE_ADDRESS
                          " lladdr " STRANGE_MAC " dev tx0 nud permanent"
                        : "ip neigh replace " RECEIVE_ADDRESS
                          " lladdr " OUR_MAC " dev tx0 nud permanent");
        aimed = to_stranger;
    }
}

static void
carry_out(const struct bursts *bursts, const struct receive_order *order,
          struct receive_report *report)
{
    size_t next = 0;

    aim(order->to_stranger);
    *report = (struct receive_report){.from_ns = clock_ns(CLOCK_MONOTONIC)};

    uint64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

    while (report->n_sent < order->n) {
        uint64_t due_ns =
            report->from_ns +
            (order->rate > 0
                 ? (uint64_t) ((double) report->n_sent / order->rate * 1e9)
                 : 0);

        while (clock_ns(CLOCK_MONOTONIC) < due_ns) {
        }
        send_burst(bursts, &bursts->bursts[next]);
        report->n_sent += bursts->bursts[next].n_frames;
        next = next + 1 < bursts->n ? next + 1 : 0;
    }
    report->to_ns = clock_ns(CLOCK_MONOTONIC);
    report->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
}

static void
serve(int orders, int reports, struct receive_frame *frames, size_t n)
{
    struct receive_report report = {0};
    struct receive_order order;
    struct bursts bursts = {0};

    is_sender = true;
    make_bursts(frames, n, &bursts);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bench_boost();
    if (unshare(CLONE_NEWNET) ||
        write(reports, &report, sizeof report) != sizeof report) {
        die("namespace");
    }
    /* The first order says that the veth is there. */
    if (read(orders, &order, sizeof order) != sizeof order) {
        _exit(EXIT_FAILURE);
    }
    run("ethtool -K tx0 tx-udp-segmentation off && ip link set tx0 up");
    for (unsigned int i = 0; i < N_SWITCHES; i++) {
        char command[64];

        snprintf(command, sizeof command, "ip addr add 10.99.0.%u/24 dev tx0",
                 FIRST_SWITCH + i);
        run(command);
        bursts.fds[i] = open_socket(i);
    }
    bench_pin(bench_pin_last());
    do {
        if (order.n) {
            carry_out(&bursts, &order, &report);
        }
        if (write(reports, &report, sizeof report) != sizeof report) {
            break;
        }
    } while (read(orders, &order, sizeof order) == sizeof order);
    _exit(EXIT_SUCCESS);
}

/* --- The queue between cores --------------------------------------------- */

/* Of the whole machine, so it is put back at the end. */
static int backlog_fd = -1;
static char backlog[16];

static void
restore_backlog(void)
{
    if (pwrite(backlog_fd, backlog, strlen(backlog), 0) < 0) {
        perror("bench_receive: net.core.netdev_max_backlog");
    }
}

/* What is steered to another core waits there in a queue of so many packets
 * for all interfaces (default 1,000): 1 ms, and a core may be away for
 * longer. */
static void
lengthen_backlog(void)
{
    backlog_fd =
        open("/proc/sys/net/core/netdev_max_backlog", O_RDWR | O_CLOEXEC);
    if (backlog_fd >= 0 && read(backlog_fd, backlog, sizeof backlog - 1) > 0 &&
        strtol(backlog, NULL, 10) < BACKLOG) {
        char text[16];
        int len = snprintf(text, sizeof text, "%d\n", BACKLOG);

        atexit(restore_backlog);
        if (pwrite(backlog_fd, text, (size_t) len, 0) != len) {
            die("net.core.netdev_max_backlog");
        }
    }
}

/* --- Its owner ----------------------------------------------------------- */

struct receive_sender *
receive_sender_start(struct receive_frame *frames, size_t n)
{
    struct receive_sender *sender = lh_alloc_zero(sizeof *sender);
    struct receive_order ready = {0};
    struct receive_report report;
    int orders[2], reports[2];
    char command[128];

    lengthen_backlog();
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("sysfs", "/sys", "sysfs", 0, NULL) || pipe(orders) ||
        pipe(reports)) {
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
             "ip link add " RECEIVE_INTERFACE " address " OUR_MAC
             " type veth peer name tx0 netns %d",
             (int) sender->pid);
    run(command);
    run("ip addr add " RECEIVE_ADDRESS "/24 dev " RECEIVE_INTERFACE);
    run("ip link set " RECEIVE_INTERFACE " up && ip link set lo up");
    receive_sender_order(sender, &ready);
    receive_sender_report(sender, &report);
    bench_pin(BENCH_PIN_FIRST);
    bench_boost();
    return sender;
}

void
receive_sender_steer(bool to_caller)
{
    FILE *file = fopen(
        "/sys/class/net/" RECEIVE_INTERFACE "/queues/rx-0/rps_cpus", "w");

    if (!file || fprintf(file, "%d\n", to_caller) < 0 || fclose(file)) {
        die("rps_cpus");
    }
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
