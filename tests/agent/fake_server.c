/* SPDX-License-Identifier: Apache-2.0 */
/* fake_server - the server that an agent ships to, as a test wants it. */
#include <config.h>

#include "tests/agent/fake_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "lib/lh_alloc.h"

static void
send_buf(struct fake_server *s, struct byte_buf *out)
{
    fake_server_send(s, out->data, out->len);
    byte_buf_uninit(out);
}

void
fake_server_send(struct fake_server *s, const void *data, size_t len)
{
    if (s->stream) {
        bufferevent_write(s->stream, data, len);
    }
}

static void
on_hello(struct fake_server *s, const struct agent_hello *hello)
{
    struct byte_buf out = BYTE_BUF_INIT;

    s->n_hellos++;
    memcpy(s->id, hello->id, sizeof s->id);
    s->told_seq = hello->taken_seq;
    s->wants_servers = hello->wants_servers;
    if (s->last_seq < hello->taken_seq) {
        s->last_seq = hello->taken_seq;
    }
    if (s->is_busy && hello->has_others) {
        s->n_refused++;
        agent_frame_put_refused(&out, "busy");
        send_buf(s, &out);
        return;
    }
    if (s->speech) {
        fake_server_send(s, s->speech, s->speech_len);
        return;
    }
    agent_frame_put_welcome(
        &out, &(struct agent_welcome){.protocol = AGENT_PROTOCOL,
                                      .last_seq = s->last_seq,
                                      .threshold = s->threshold,
                                      .id_seed = hello->id_seed,
                                      .id_bytes = hello->id_bytes,
                                      .now_ns = 1});
    send_buf(s, &out);
}

static void
take_batch(struct fake_server *s, const struct agent_batch_frame *batch)
{
    struct agent_postcard p;
    struct lh_error error;

    s->batch_threshold = batch->threshold;
    if (agent_batch_reader_open(s->reader, batch->data, batch->len, batch->n,
                                &error)) {
        fprintf(stderr, "batch: %s\n", error.text);
        abort();
    }
    while (agent_batch_reader_next(s->reader, &p)) {
        s->postcards = lh_alloc_grow(s->postcards, s->n_postcards,
                                     &s->allocated, sizeof *s->postcards);
        s->postcards[s->n_postcards++] =
            p.caplen >= 8 ? bytes_be64(p.header) : UINT64_MAX;
    }
}

static void
take_loss(struct fake_server *s, const struct agent_loss *loss)
{
    s->lost[loss->place] += loss->count;
    for (size_t i = 0; i < loss->n; i++) {
        struct agent_loss_switch part = agent_loss_switch(loss, i);

        if (part.dpid == 0xa0) {
            s->lost_of_a0[loss->place] += part.count;
        }
    }
}

static void
on_frame(struct fake_server *s, const struct agent_frame *f)
{
    struct byte_buf out = BYTE_BUF_INIT;
    uint64_t seq = f->type == AGENT_BATCH ? f->batch.seq : f->loss.seq;

    switch ((int) f->type) {
    case AGENT_HELLO:
        on_hello(s, &f->hello);
        break;
    case AGENT_BATCH:
    case AGENT_LOSS:
        if (seq <= s->last_seq) {
            s->n_repeated++;
        } else {
            s->last_seq = seq;
            if (f->type == AGENT_BATCH) {
                take_batch(s, &f->batch);
            } else {
                take_loss(s, &f->loss);
            }
        }
        if (!s->withholds_acks) {
            agent_frame_put_ack(&out, seq);
            send_buf(s, &out);
        }
        break;
    case AGENT_WANT:
        s->want = f->threshold.threshold;
        s->n_wants++;
        break;
    case AGENT_PING:
        s->n_pings++;
        agent_frame_put_ping(&out, AGENT_PONG, &f->ping);
        send_buf(s, &out);
        break;
    default:
        break;
    }
}

static void
on_readable(struct bufferevent *stream, void *server_)
{
    struct fake_server *s = server_;
    struct evbuffer *in = bufferevent_get_input(stream);

    while (!s->is_silent && s->stream == stream) {
        size_t len = evbuffer_get_length(in), used;
        struct agent_frame frame;
        struct lh_error error;
        int retval = agent_frame_read(evbuffer_pullup(in, -1), len,
                                      AGENT_FRAME_MAX, &used, &frame, &error);

        if (retval == EAGAIN) {
            return;
        }
        if (retval) {
            fprintf(stderr, "frame: %s\n", error.text);
            abort();
        }
        on_frame(s, &frame);
        evbuffer_drain(in, used);
    }
}

static void
hang_up(struct fake_server *s)
{
    if (s->stream) {
        bufferevent_free(s->stream);
        s->stream = NULL;
    }
}

static void
on_event(struct bufferevent *stream, short what, void *server_)
{
    hang_up(server_);
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd,
          struct sockaddr *address, int len, void *server_)
{
    struct fake_server *s = server_;

    hang_up(s);
    s->stream = bufferevent_socket_new(
        s->base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    bufferevent_setcb(s->stream, on_readable, NULL, on_event, s);
    bufferevent_enable(s->stream, EV_READ | EV_WRITE);
}

void
fake_server_start(struct fake_server *s)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(s->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;

    s->listener = evconnlistener_new_bind(
        s->base, on_accept, s, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 8,
        (const struct sockaddr *) &address, sizeof address);
    if (!s->listener || getsockname(evconnlistener_get_fd(s->listener),
                                    (struct sockaddr *) &address, &len)) {
        perror("listen");
        abort();
    }
    s->port = ntohs(address.sin_port);
}

void
fake_server_stop(struct fake_server *s)
{
    hang_up(s);
    if (s->listener) {
        evconnlistener_free(s->listener);
        s->listener = NULL;
    }
}

struct fake_server *
fake_server_create(struct event_base *base)
{
    struct fake_server *s = lh_alloc_zero(sizeof *s);

    s->base = base;
    s->threshold = AGENT_THRESHOLD_ALL;
    s->reader = agent_batch_reader_create();
    fake_server_start(s);
    return s;
}

void
fake_server_destroy(struct fake_server *s)
{
    fake_server_stop(s);
    agent_batch_reader_destroy(s->reader);
    free(s->postcards);
    free(s);
}

void
fake_server_tell(struct fake_server *s, const uint16_t ports[], size_t n)
{
    struct agent_server all[AGENT_SERVERS_MAX];
    char texts[AGENT_SERVERS_MAX][24];
    struct byte_buf out = BYTE_BUF_INIT;

    for (size_t i = 0; i < n; i++) {
        snprintf(texts[i], sizeof texts[i], "127.0.0.1:%u", ports[i]);
        all[i] = (struct agent_server){ports[i] == s->port,
                                       (const uint8_t *) texts[i],
                                       (uint8_t) strlen(texts[i])};
    }
    agent_frame_put_servers(&out, all, n);
    send_buf(s, &out);
}

bool
fake_server_has_each(const struct fake_server *s, uint64_t n)
{
    uint8_t *seen = lh_alloc_zero(n + 1);
    bool is_good = s->n_postcards == n;

    for (size_t i = 0; i < s->n_postcards; i++) {
        if (s->postcards[i] >= n || seen[s->postcards[i]]++) {
            is_good = false;
        }
    }
    free(seen);
    return is_good;
}
