/* SPDX-License-Identifier: Apache-2.0 */
/* agent_frame - what lasthop-agent and lasthop-server say to each other on a
 * TCP connection. */
#include <config.h>

#include "lib/agent_frame.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static const char magic[4] = {'L', 'H', 'A', '1'};

#define LOSS_ENTRY_LEN 16
#define HELLO_OTHERS   0x01
#define HELLO_SERVERS  0x02
#define SERVER_SELF    0x01

/* --- Reading -------------------------------------------------------------
 */

static bool
is_text(const uint8_t *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

static bool
get_hello(struct bytes_reader *r, struct agent_hello *hello)
{
    const uint8_t *start = bytes_get(r, sizeof magic);
    const uint8_t *id;

    hello->protocol_min = bytes_get_u16(r);
    hello->protocol_max = bytes_get_u16(r);
    id = bytes_get(r, AGENT_ID_LEN);
    hello->start_ns = bytes_get_u64(r);
    hello->id_seed = bytes_get_u64(r);
    hello->id_bytes = bytes_get_u16(r);
    hello->snap = bytes_get_u16(r);
    hello->name_len = bytes_get_u8(r);
    hello->name = bytes_get(r, hello->name_len);
    if (r->failed || memcmp(start, magic, sizeof magic) != 0 ||
        hello->protocol_min > hello->protocol_max ||
        !is_text(hello->name, hello->name_len)) {
        return false;
    }
    memcpy(hello->id, id, AGENT_ID_LEN);
    /* Older agents end here, later ones may say more. */
    hello->taken_seq = 0;
    hello->has_others = hello->wants_servers = false;
    if (bytes_left(r) >= 9) {
        unsigned int flags;

        hello->taken_seq = bytes_get_u64(r);
        flags = bytes_get_u8(r);
        hello->has_others = flags & HELLO_OTHERS;
        hello->wants_servers = flags & HELLO_SERVERS;
    }
    bytes_get(r, bytes_left(r));
    return true;
}

static bool
get_welcome(struct bytes_reader *r, struct agent_welcome *welcome)
{
    welcome->protocol = bytes_get_u16(r);
    welcome->last_seq = bytes_get_u64(r);
    welcome->threshold = bytes_get_u32(r);
    welcome->id_seed = bytes_get_u64(r);
    welcome->id_bytes = bytes_get_u16(r);
    welcome->now_ns = bytes_get_u64(r);
    bytes_get(r, bytes_left(r));
    return !r->failed;
}

static bool
get_refused(struct bytes_reader *r, struct agent_text *refused)
{
    size_t len = bytes_left(r);

    refused->text = bytes_get(r, len);
    refused->len = (uint16_t) len;
    return len <= AGENT_MAX_TEXT && is_text(refused->text, len);
}

static bool
get_batch(struct bytes_reader *r, struct agent_batch_frame *batch)
{
    batch->seq = bytes_get_u64(r);
    batch->threshold = bytes_get_u32(r);
    batch->first_ns = bytes_get_u64(r);
    batch->last_ns = bytes_get_u64(r);
    batch->n = bytes_get_u32(r);
    batch->len = bytes_left(r);
    batch->data = bytes_get(r, batch->len);
    return !r->failed && batch->seq && batch->first_ns <= batch->last_ns;
}

static bool
get_loss(struct bytes_reader *r, struct agent_loss *loss)
{
    unsigned int place;

    loss->seq = bytes_get_u64(r);
    place = bytes_get_u8(r);
    loss->place = (enum agent_place) place;
    loss->first_ns = bytes_get_u64(r);
    loss->last_ns = bytes_get_u64(r);
    loss->count = bytes_get_u64(r);
    loss->n = bytes_get_u16(r);
    loss->switches = bytes_get(r, (size_t) loss->n * LOSS_ENTRY_LEN);
    return !r->failed && loss->seq && place && place < N_AGENT_PLACES &&
           loss->n <= AGENT_LOSS_MAX && loss->first_ns <= loss->last_ns;
}

static struct agent_server
get_server(struct bytes_reader *r)
{
    struct agent_server server;

    server.is_self = bytes_get_u8(r) & SERVER_SELF;
    server.len = bytes_get_u8(r);
    server.text = bytes_get(r, server.len);
    return server;
}

static bool
get_servers(struct bytes_reader *r, struct agent_servers *servers)
{
    struct bytes_reader ahead;
    bool is_good;

    servers->n = bytes_get_u8(r);
    ahead = *r;
    servers->len = bytes_left(&ahead);
    servers->data = bytes_get(&ahead, servers->len);
    is_good = servers->n <= AGENT_SERVERS_MAX;
    for (size_t i = 0; is_good && i < servers->n; i++) {
        struct agent_server server = get_server(r);

        is_good = !r->failed && server.len && is_text(server.text, server.len);
    }
    bytes_get(r, bytes_left(r)); /* Later ones may say more. */
    return is_good && !r->failed;
}

static bool
get_body(struct bytes_reader *r, unsigned int type, struct agent_frame *frame)
{
    switch (type) {
    case AGENT_HELLO:
        return get_hello(r, &frame->hello);
    case AGENT_WELCOME:
        return get_welcome(r, &frame->welcome);
    case AGENT_REFUSED:
        return get_refused(r, &frame->refused);
    case AGENT_BATCH:
        return get_batch(r, &frame->batch);
    case AGENT_LOSS:
        return get_loss(r, &frame->loss);
    case AGENT_ACK:
        frame->ack.seq = bytes_get_u64(r);
        return !r->failed;
    case AGENT_THRESHOLD:
    case AGENT_WANT:
        frame->threshold.threshold = bytes_get_u32(r);
        return !r->failed;
    case AGENT_PING:
    case AGENT_PONG:
        frame->ping.sent_ns = bytes_get_u64(r);
        frame->ping.now_ns = bytes_get_u64(r);
        return !r->failed;
    case AGENT_SERVERS:
        return get_servers(r, &frame->servers);
    default:
        return false;
    }
}

int
agent_frame_read(const uint8_t *data, size_t len, size_t max, size_t *used,
                 struct agent_frame *frame, struct lh_error *error)
{
    struct bytes_reader head = bytes_reader(data, len);
    size_t body_len = bytes_get_u32(&head);
    unsigned int type = bytes_get_u8(&head);

    if (len >= 4 && (!body_len || body_len > max - 4)) {
        lh_error_set(error, "a frame of %zu bytes, from 1 to %zu are allowed",
                     body_len, max - 4);
        return EBADMSG;
    }
    if (head.failed || bytes_left(&head) < body_len - 1) {
        return EAGAIN;
    }

    struct bytes_reader r =
        bytes_reader(data + AGENT_FRAME_HEAD, body_len - 1);

    memset(frame, 0, sizeof *frame);
    if (!type || type >= N_AGENT_FRAME_TYPES) {
        lh_error_set(error, "a frame of unknown type %u", type);
        return EBADMSG;
    }
    frame->type = (enum agent_frame_type) type;
    if (!get_body(&r, type, frame) || bytes_left(&r)) {
        lh_error_set(error, "a malformed frame of type %u", type);
        return EBADMSG;
    }
    *used = 4 + body_len;
    return 0;
}

struct agent_loss_switch
agent_loss_switch(const struct agent_loss *loss, size_t i)
{
    const uint8_t *p = loss->switches + i * LOSS_ENTRY_LEN;

    assert(i < loss->n);
    return (struct agent_loss_switch){.dpid = bytes_be64(p),
                                      .count = bytes_be64(p + 8)};
}

void
agent_servers_get(const struct agent_servers *servers,
                  struct agent_server all[AGENT_SERVERS_MAX])
{
    /* They were looked at when they were read. */
    struct bytes_reader r = bytes_reader(servers->data, servers->len);

    for (size_t i = 0; i < servers->n; i++) {
        all[i] = get_server(&r);
    }
}

const char *
agent_place_name(enum agent_place place)
{
    switch (place) {
    case AGENT_PLACE_RING:
        return "ring";
    case AGENT_PLACE_SPOOL:
        return "spool";
    case AGENT_PLACE_MEMORY:
        return "memory";
    case AGENT_PLACE_CAPTURE:
        return "capture";
    case N_AGENT_PLACES:
        break;
    }
    return "?";
}

/* --- Writing -------------------------------------------------------------
 */

/* Appends the head of a frame whose body has 'len' bytes, and room for it. */
static struct bytes_writer
begin(struct byte_buf *out, enum agent_frame_type type, size_t len)
{
    struct bytes_writer w;

    assert(len < AGENT_FRAME_MAX - AGENT_FRAME_HEAD);
    byte_buf_put_u32(out, (uint32_t) len + 1);
    byte_buf_put_u8(out, (uint8_t) type);
    w = bytes_writer(byte_buf_extend(out, len), len);
    return w;
}

static void
end(const struct bytes_writer *w)
{
    assert(!w->failed && w->len == w->size);
}

void
agent_frame_put_hello(struct byte_buf *out, const struct agent_hello *hello)
{
    struct bytes_writer w = begin(out, AGENT_HELLO, 54u + hello->name_len);

    bytes_put(&w, magic, sizeof magic);
    bytes_put_u16(&w, hello->protocol_min);
    bytes_put_u16(&w, hello->protocol_max);
    bytes_put(&w, hello->id, AGENT_ID_LEN);
    bytes_put_u64(&w, hello->start_ns);
    bytes_put_u64(&w, hello->id_seed);
    bytes_put_u16(&w, hello->id_bytes);
    bytes_put_u16(&w, hello->snap);
    bytes_put_u8(&w, hello->name_len);
    bytes_put(&w, hello->name, hello->name_len);
    bytes_put_u64(&w, hello->taken_seq);
    bytes_put_u8(&w, (uint8_t) ((hello->has_others ? HELLO_OTHERS : 0) |
                                (hello->wants_servers ? HELLO_SERVERS : 0)));
    end(&w);
}

void
agent_frame_put_welcome(struct byte_buf *out,
                        const struct agent_welcome *welcome)
{
    struct bytes_writer w = begin(out, AGENT_WELCOME, 32);

    bytes_put_u16(&w, welcome->protocol);
    bytes_put_u64(&w, welcome->last_seq);
    bytes_put_u32(&w, welcome->threshold);
    bytes_put_u64(&w, welcome->id_seed);
    bytes_put_u16(&w, welcome->id_bytes);
    bytes_put_u64(&w, welcome->now_ns);
    end(&w);
}

void
agent_frame_put_refused(struct byte_buf *out, const char *text)
{
    size_t len = strnlen(text, AGENT_MAX_TEXT);
    struct bytes_writer w = begin(out, AGENT_REFUSED, len);

    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t) text[i];

        bytes_put_u8(&w, c < 0x20 || c > 0x7e ? '?' : c);
    }
    end(&w);
}

void
agent_frame_put_batch(struct byte_buf *out,
                      const struct agent_batch_frame *batch)
{
    struct bytes_writer w = begin(out, AGENT_BATCH, 32 + batch->len);

    bytes_put_u64(&w, batch->seq);
    bytes_put_u32(&w, batch->threshold);
    bytes_put_u64(&w, batch->first_ns);
    bytes_put_u64(&w, batch->last_ns);
    bytes_put_u32(&w, batch->n);
    bytes_put(&w, batch->data, batch->len);
    end(&w);
}

void
agent_frame_put_loss(struct byte_buf *out, const struct agent_loss *loss,
                     const struct agent_loss_switch *switches)
{
    struct bytes_writer w =
        begin(out, AGENT_LOSS, 35 + (size_t) loss->n * LOSS_ENTRY_LEN);

    assert(loss->n <= AGENT_LOSS_MAX);
    bytes_put_u64(&w, loss->seq);
    bytes_put_u8(&w, (uint8_t) loss->place);
    bytes_put_u64(&w, loss->first_ns);
    bytes_put_u64(&w, loss->last_ns);
    bytes_put_u64(&w, loss->count);
    bytes_put_u16(&w, loss->n);
    for (size_t i = 0; i < loss->n; i++) {
        bytes_put_u64(&w, switches[i].dpid);
        bytes_put_u64(&w, switches[i].count);
    }
    end(&w);
}

void
agent_frame_put_ack(struct byte_buf *out, uint64_t seq)
{
    struct bytes_writer w = begin(out, AGENT_ACK, 8);

    bytes_put_u64(&w, seq);
    end(&w);
}

void
agent_frame_put_threshold(struct byte_buf *out, enum agent_frame_type type,
                          uint32_t threshold)
{
    struct bytes_writer w = begin(out, type, 4);

    assert(type == AGENT_THRESHOLD || type == AGENT_WANT);
    bytes_put_u32(&w, threshold);
    end(&w);
}

void
agent_frame_put_ping(struct byte_buf *out, enum agent_frame_type type,
                     const struct agent_ping *ping)
{
    struct bytes_writer w = begin(out, type, 16);

    assert(type == AGENT_PING || type == AGENT_PONG);
    bytes_put_u64(&w, ping->sent_ns);
    bytes_put_u64(&w, ping->now_ns);
    end(&w);
}

void
agent_frame_put_servers(struct byte_buf *out, const struct agent_server *all,
                        size_t n)
{
    struct bytes_writer w;
    size_t len = 1;

    assert(n <= AGENT_SERVERS_MAX);
    for (size_t i = 0; i < n; i++) {
        len += 2u + all[i].len;
    }
    w = begin(out, AGENT_SERVERS, len);
    bytes_put_u8(&w, (uint8_t) n);
    for (size_t i = 0; i < n; i++) {
        bytes_put_u8(&w, all[i].is_self ? SERVER_SELF : 0);
        bytes_put_u8(&w, all[i].len);
        bytes_put(&w, all[i].text, all[i].len);
    }
    end(&w);
}
