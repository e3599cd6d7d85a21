/* SPDX-License-Identifier: Apache-2.0 */
/* agent_talk - a connection to the server as an agent has one, for tests. */
#include <config.h>

#include "tests/server/agent_talk.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/agent_batch.h"
#include "lib/lh_error.h"
#include "lib/time_spec.h"
#include "tests/server/live.h"
#include "tests/server/scene.h"

void
agent_talk_send(struct agent_talk *talk, struct byte_buf *out)
{
    ck_assert_int_eq(send(talk->fd, out->data, out->len, MSG_NOSIGNAL),
                     (ssize_t) out->len);
    byte_buf_uninit(out);
    *out = (struct byte_buf) BYTE_BUF_INIT;
}

/* Waits for the next frame that is not of 'skip'; false when the server hung
 * up. */
bool
agent_talk_next(struct agent_talk *talk, struct agent_frame *frame, int skip)
{
    static uint8_t kept[65536];

    for (;;) {
        struct pollfd p = {.fd = talk->fd, .events = POLLIN};
        struct lh_error error;
        size_t used;
        ssize_t n;

        while (!agent_frame_read(talk->buf, talk->len, AGENT_FRAME_MAX, &used,
                                 frame, &error)) {
            memcpy(kept, talk->buf, used);
            memmove(talk->buf, talk->buf + used, talk->len - used);
            talk->len -= used;
            if ((int) frame->type != skip) {
                agent_frame_read(kept, used, AGENT_FRAME_MAX, &used, frame,
                                 &error);
                return true;
            }
        }
        ck_assert_int_eq(poll(&p, 1, LIVE_DEADLINE_MS), 1);
        n = recv(talk->fd, talk->buf + talk->len, sizeof talk->buf - talk->len,
                 0);
        if (n <= 0) {
            return false;
        }
        talk->len += (size_t) n;
    }
}

uint16_t
agent_talk_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *) &address, len), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *) &address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

void
agent_talk_open(struct agent_talk *talk, uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    talk->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    talk->len = 0;
    talk->age_ns = talk->at_ns = 0;
    talk->goes_back = false;
    talk->taken_seq = 0;
    talk->has_others = talk->wants_servers = false;
    ck_assert_int_eq(connect(talk->fd, (struct sockaddr *) &to, sizeof to), 0);
}

void
agent_talk_hello(struct agent_talk *talk, uint8_t id)
{
    struct byte_buf out = BYTE_BUF_INIT;
    struct agent_hello hello = {.protocol_min = 1,
                                .protocol_max = 1,
                                .id = {id},
                                .start_ns = 1,
                                .id_seed = UINT64_C(0x6c617374686f70),
                                .id_bytes = 70,
                                .snap = 96,
                                .name = (const uint8_t *) "host-a",
                                .name_len = 6,
                                .taken_seq = talk->taken_seq,
                                .has_others = talk->has_others,
                                .wants_servers = talk->wants_servers};

    talk->id = id;
    agent_frame_put_hello(&out, &hello);
    agent_talk_send(talk, &out);
}

/* Connects, says hello, and tells what the server took last. */
uint64_t
agent_talk_greet(struct agent_talk *talk, uint16_t port, uint8_t id)
{
    struct agent_frame frame;

    agent_talk_open(talk, port);
    agent_talk_hello(talk, id);
    ck_assert(agent_talk_next(talk, &frame, -1));
    ck_assert_int_eq(frame.type, AGENT_WELCOME);
    ck_assert_uint_eq(frame.welcome.id_bytes, 70);
    return frame.welcome.last_seq;
}

/* The visits of packets 'first' to 'first' + 'n' - 1 at the switches from
 * 'from' to 'to', as a batch. */
void
agent_talk_batch(struct agent_talk *talk, uint64_t seq, uint32_t first,
                 uint32_t n, uint64_t from, uint64_t to, uint32_t threshold)
{
    struct agent_batch_writer *w = agent_batch_writer_create();
    union hop_template_buf visits[SCENE_SWITCHES + 1];
    struct byte_buf packed = BYTE_BUF_INIT, out = BYTE_BUF_INIT;
    struct agent_batch_frame frame = {.seq = seq, .threshold = threshold};
    struct agent_batch_stats stats;
    uint64_t now_ns =
        (talk->at_ns ? talk->at_ns : time_spec_now()) - talk->age_ns;

    for (uint64_t dpid = from; dpid <= to; dpid++) {
        struct hop_output output = {talk->goes_back ? 1 : 2, 0};
        struct hop_trail trail[2] = {
            {(uint32_t) (10 + dpid), 0, HOP_TRAIL_VERSION, 0},
            {(uint32_t) (90 + dpid), 1, HOP_TRAIL_VERSION, 0}};

        hop_template_make(
            &visits[dpid],
            &(struct hop_template_parts){.dpid = dpid,
                                         .in_port = talk->goes_back ? 2 : 1,
                                         .bridge = "br",
                                         .bridge_len = 2,
                                         .outputs = &output,
                                         .n_outputs = 1,
                                         .trail = trail,
                                         .n_trail = 2});
    }
    for (uint32_t i = first; i < first + n; i++) {
        for (uint64_t dpid = from; dpid <= to; dpid++) {
            struct scene_card card;

            scene_card(&card, i, dpid, false, now_ns + dpid * 1000);
            ck_assert(agent_batch_writer_add(
                w, &(struct agent_postcard){.template = &visits[dpid].t,
                                            .time_ns = card.postcard.time_ns,
                                            .packet_len = card.postcard.caplen,
                                            .caplen = card.postcard.caplen,
                                            .header = card.postcard.header}));
        }
    }
    agent_batch_writer_finish(w, &packed, &stats);
    frame.first_ns = stats.first_ns;
    frame.last_ns = stats.last_ns;
    frame.n = stats.n;
    frame.data = packed.data;
    frame.len = packed.len;
    agent_frame_put_batch(&out, &frame);
    agent_talk_send(talk, &out);
    byte_buf_uninit(&packed);
    agent_batch_writer_destroy(w);
}

void
agent_talk_wait_ack(struct agent_talk *talk, uint64_t seq)
{
    struct agent_frame frame;

    do {
        ck_assert(agent_talk_next(talk, &frame, -1));
    } while (frame.type != AGENT_ACK || frame.ack.seq < seq);
    ck_assert_uint_eq(frame.ack.seq, seq);
}
