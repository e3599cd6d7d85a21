/* SPDX-License-Identifier: Apache-2.0 */
/* relay - one switch, one controller at a time, and instr between them.
 *
 * usage: relay SWITCH-SOCKET LISTEN-SOCKET VERSION ENCAPSULATION PORT DPID
 *
 * For tests of instr against a real switch: connects to the Unix socket of a
 * bridge (BRIDGE.mgmt), brings it up, then accepts controllers (ovs-ofctl is
 * one) on LISTEN-SOCKET.  Prints a line per rule made ("made VERSION ..."),
 * removed, per error, and "ready". */
#include <config.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/lh_alloc.h"
#include "recorder/instr.h"
#include "recorder/of_wire.h"

/* What is remembered of a message sent to the switch. */
struct sent {
    bool is_used, is_own;
    uint64_t tag;
    uint32_t xid, original_xid;
    uint8_t *original; /* Owned. */
    size_t original_len;
};

struct peer {
    int fd;
    uint8_t buf[1 << 20];
    size_t len;
};

#define N_SENT 65536
static struct sent sent[N_SENT];
static uint32_t next_xid = 1;
static uint32_t next_version_number;
static struct peer sw, controller = {.fd = -1};
static struct instr *instr;
static struct instr_link *the_link;
static uint8_t version;

static uint64_t
now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

static uint32_t
next_version(void *aux)
{
    return ++next_version_number;
}

static void
die(const char *what)
{
    perror(what);
    exit(1);
}

static void
write_all(struct peer *peer, const uint8_t *data, size_t len)
{
    while (len && peer->fd >= 0) {
        ssize_t n = write(peer->fd, data, len);

        if (n < 0) {
            if (peer == &sw) {
                die("write to switch");
            }
            close(peer->fd);
            peer->fd = -1;
            return;
        }
        data += n;
        len -= (size_t) n;
    }
}

static void
flush_out(struct instr_out *out)
{
    for (size_t i = 0; i < out->n_made; i++) {
        const struct rule *r = out->made[i];

        rule_describe(r);
        printf("made %u kind=%d change=%llu cmd=%s %stable=%d,priority=%d,%s "
               "actions=%s steps=%zu\n",
               r->version, (int) r->kind, (unsigned long long) r->change,
               r->command, r->is_transit ? "transit " : "", r->table_id,
               r->priority, r->match, r->actions, r->n_steps);
    }
    for (size_t i = 0; i < out->n_removed; i++) {
        printf("removed %u %s\n", out->removed[i].version,
               out->removed[i].reason);
    }
    for (size_t i = 0; i < out->n_lldp; i++) {
        printf("lldp port=%u len=%zu\n", out->lldp[i].in_port,
               out->lldp[i].len);
    }
    for (size_t i = 0; i < out->n_to_switch; i++) {
        struct instr_msg *m = &out->to_switch[i];
        struct sent *s = &sent[next_xid % N_SENT];

        s->is_used = true;
        s->is_own = m->is_own;
        s->tag = m->tag;
        s->xid = next_xid;
        free(s->original);
        s->original = m->original;
        s->original_len = m->original_len;
        m->original = NULL;
        s->original_xid = s->original_len >= 8 ? of_wire_xid(s->original) : 0;
        of_wire_set_xid(m->data, m->len, next_xid++);
        write_all(&sw, m->data, m->len);
    }
    for (size_t i = 0; i < out->n_to_controller; i++) {
        write_all(&controller, out->to_controller[i].data,
                  out->to_controller[i].len);
    }
    if (out->became_ready) {
        printf("ready\n");
    }
    fflush(stdout);
    instr_out_uninit(out);
}

static void
from_switch(uint8_t *msg, size_t len)
{
    struct instr_out out = INSTR_OUT_INIT;
    struct sent *s = &sent[of_wire_xid(msg) % N_SENT];
    uint16_t type, code;
    uint64_t tag = 0;

    if (msg[1] == OF_WIRE_ECHO_REQUEST) {
        msg[1] = OF_WIRE_ECHO_REPLY;
        write_all(&sw, msg, len);
        return;
    }
    if (s->is_used && s->xid == of_wire_xid(msg)) {
        tag = s->tag;
        of_wire_set_xid(msg, len, s->original_xid);
    }
    if (tag && of_wire_error(msg, len, &type, &code)) {
        bool tell = instr_error(the_link, tag, type, code, now_ns(), &out);

        printf("error type=%u code=%u %s\n", type, code,
               s->is_own ? "own"
               : tell    ? "told"
                         : "kept");
        if (!s->is_own && tell) {
            uint8_t buf[20 + UINT16_MAX];
            /* Vendors' errors have a longer head. */
            size_t head = type == 0xffff ? 16 : type == 0xb0c2 ? 20 : 12;

            memcpy(buf, msg, head);
            memcpy(buf + head, s->original, s->original_len);
            of_wire_put16(buf + 2, (uint16_t) (head + s->original_len));
            write_all(&controller, buf, head + s->original_len);
        }
    } else {
        instr_from_switch(the_link, msg, len, tag, now_ns(), &out);
    }
    flush_out(&out);
}

static void
from_controller(uint8_t *msg, size_t len)
{
    struct instr_out out = INSTR_OUT_INIT;

    if (msg[1] == OF_WIRE_HELLO) {
        return;
    }
    instr_from_controller(the_link, msg, len, now_ns(), "unix:test", &out);
    flush_out(&out);
}

/* Reads what there is and hands on whole messages; false: the end. */
static bool
run_peer(struct peer *peer, void (*handle)(uint8_t *, size_t))
{
    ssize_t got =
        read(peer->fd, peer->buf + peer->len, sizeof peer->buf - peer->len);
    size_t ofs = 0;
    int n;

    if (got <= 0) {
        return false;
    }
    peer->len += (size_t) got;
    while ((n = of_wire_frame(peer->buf + ofs, peer->len - ofs)) > 0) {
        handle(peer->buf + ofs, (size_t) n);
        ofs += (size_t) n;
    }
    memmove(peer->buf, peer->buf + ofs, peer->len - ofs);
    peer->len -= ofs;
    return n == 0;
}

static void
send_hello(struct peer *peer)
{
    uint8_t hello[8];

    of_wire_put_header(hello, version, OF_WIRE_HELLO, 8, 0);
    write_all(peer, hello, 8);
}

/* Without it a connection to BRIDGE.mgmt is told nothing unasked. */
static void
send_config(struct peer *peer)
{
    uint8_t config[12] = {0};

    of_wire_put_header(config, version, OF_WIRE_SET_CONFIG, 12, 0);
    of_wire_put16(config + 10, 128);
    write_all(peer, config, 12);
}

static int
open_unix(const char *path, bool listens)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path);
    if (listens) {
        unlink(path);
        if (bind(fd, (struct sockaddr *) &sun, sizeof sun) || listen(fd, 5)) {
            die(path);
        }
    } else if (connect(fd, (struct sockaddr *) &sun, sizeof sun)) {
        die(path);
    }
    return fd;
}

int
main(int argc, char *argv[])
{
    struct instr_config config = {.lldp_dst = {1, 0x23, 0x20, 0, 0, 1},
                                  .lldp_type = 0x88cc,
                                  .next_version = next_version,
                                  .switch_index = 5};
    struct instr_out out = INSTR_OUT_INIT;
    int listener;

    if (argc != 7) {
        fprintf(stderr, "usage: relay SWITCH LISTEN VERSION geneve|mac PORT "
                        "DPID\n");
        return 2;
    }
    version = (uint8_t) atoi(argv[3]);
    enum instr_encapsulation encapsulation =
        strcmp(argv[4], "mac") ? INSTR_GENEVE : INSTR_MAC;
    config.ports[encapsulation] = (struct instr_postcard_port){
        .is_wanted = true, .no = (uint32_t) atoi(argv[5]), .vlan = 4000};
    config.dpid = strtoull(argv[6], NULL, 16);
    next_version_number =
        (uint32_t) (getenv("FIRST_VERSION") ? atoi(getenv("FIRST_VERSION"))
                                            : 0);
    signal(SIGPIPE, SIG_IGN); /* Controllers come and go. */
    sw.fd = open_unix(argv[1], false);
    listener = open_unix(argv[2], true);
    send_hello(&sw);
    send_config(&sw);
    instr = instr_create(&config);
    the_link = instr_link_create(instr, version, false, NULL);
    instr_start(the_link, now_ns(), &out);
    flush_out(&out);
    for (;;) {
        struct pollfd fds[3] = {{.fd = sw.fd, .events = POLLIN},
                                {.fd = listener, .events = POLLIN},
                                {.fd = controller.fd, .events = POLLIN}};

        if (!instr_is_ready(instr) || controller.fd >= 0) {
            fds[1].fd = -1;
        }
        if (poll(fds, 3, -1) < 0) {
            die("poll");
        }
        if (fds[0].revents && !run_peer(&sw, from_switch)) {
            printf("switch gone\n");
            return 0;
        }
        if (fds[1].revents) {
            controller.fd = accept(listener, NULL, NULL);
            controller.len = 0;
            instr_link_reset(the_link);
            send_hello(&controller);
        }
        if (fds[2].revents && !run_peer(&controller, from_controller)) {
            close(controller.fd);
            controller.fd = -1;
        }
    }
}
