/* SPDX-License-Identifier: Apache-2.0 */
/* source_agent_frames - what agents say. */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "server/source_agent_impl.h"

#define IDLE_TIMEOUT_S 60
#define ROOM_MS        1
#define SLICE          128 /* Postcards between two looks for room. */
/* No agent has come to such a number. */
#define MAX_SEQ (UINT64_MAX / 4)

/* --- Hello. ---------------------------------------------------------------
 */

/* An agent that comes again while its old connection has not ended yet. */
static void
end_double(struct guest *guest)
{
    struct guest *other, *next;

    for (other = LIST_FIRST(&guest->source->guests); other; other = next) {
        next = LIST_NEXT(other, node);
        if (other != guest && other->is_greeted &&
            !memcmp(other->id, guest->id, AGENT_ID_LEN)) {
            source_agent_end(other);
        }
    }
}

static void
take_hello(struct guest *guest, const struct agent_hello *hello)
{
    const struct timeval timeout = {IDLE_TIMEOUT_S, 0};
    struct source_agent *source = guest->source;
    const struct packet_id_config *ids = &source->config.id_config;
    uint64_t now_ns = time_spec_now();
    struct agent_entry *entry;
    char text[64];

    if (hello->protocol_min > AGENT_PROTOCOL ||
        hello->protocol_max < AGENT_PROTOCOL) {
        source_agent_refuse(
            guest, "this server speaks version 1 of the protocol only");
        return;
    }
    guest->has_others = hello->has_others;
    guest->wants_servers = hello->wants_servers;
    if (source_agent_busy(guest)) {
        source_agent_refuse(guest, source_agent_busy(guest));
        return;
    }
    memcpy(guest->id, hello->id, AGENT_ID_LEN);
    memcpy(guest->name, hello->name, hello->name_len);
    guest->name[hello->name_len] = '\0';
    end_double(guest);
    entry = agent_book_get(source->config.book, guest->id, now_ns);
    memcpy(entry->name, guest->name, sizeof entry->name);
    entry->is_connected = true;
    entry->want = AGENT_THRESHOLD_ALL;
    if (hello->taken_seq > entry->last_seq && hello->taken_seq <= MAX_SEQ) {
        entry->last_seq = hello->taken_seq;
        source->is_book_changed = true;
    }
    guest->acked_seq = entry->last_seq;
    guest->want = AGENT_THRESHOLD_ALL;
    guest->is_greeted = true;
    if (entry->last_seq) {
        catch_up_note(source->config.catch_up, now_ns); /* It was away. */
    }
    accept_address_format(&guest->from, text, sizeof text);
    say_info("agent of host %s at %s", guest->name, text);
    if (hello->id_bytes != ids->n_bytes || hello->id_seed != ids->seed) {
        say_warn("agent of host %s samples by packet IDs of other constants "
                 "(%u bytes) than --id-bytes and --id-seed say here: with a "
                 "CPU budget it keeps other packets than the rest",
                 guest->name, hello->id_bytes);
    }
    agent_frame_put_welcome(
        &source->out, &(struct agent_welcome){.protocol = AGENT_PROTOCOL,
                                              .last_seq = entry->last_seq,
                                              .threshold = source->threshold,
                                              .id_seed = ids->seed,
                                              .id_bytes = ids->n_bytes,
                                              .now_ns = now_ns});
    source_agent_send(guest);
    source_agent_tell_servers(guest);
    bufferevent_set_timeouts(guest->stream, &timeout, &timeout);
}

/* --- Batches. -------------------------------------------------------------
 */

/* Whether what has that number is new; then it counts as taken. */
static bool
take_seq(struct guest *guest, uint64_t seq)
{
    struct source_agent *source = guest->source;
    struct agent_entry *entry =
        agent_book_get(source->config.book, guest->id, time_spec_now());

    uint64_t last_seq = entry->taken_seq > entry->last_seq ? entry->taken_seq
                                                           : entry->last_seq;

    if (seq <= last_seq) {
        source->n.duplicates++;
        entry->duplicates++;
        return false;
    }
    if (last_seq && seq != last_seq + 1) {
        source->n.gaps += seq - last_seq - 1;
    }
    return true;
}

static void
note_taken(struct guest *guest, uint64_t seq)
{
    struct source_agent *source = guest->source;
    struct agent_entry *entry =
        agent_book_get(source->config.book, guest->id, time_spec_now());
    struct unsafe_batch *batch;

    entry->taken_seq = seq;
    if (!source->config.safe) {
        entry->last_seq = seq;
        source->is_book_changed = true;
        return;
    }
    source->unsafe = lh_alloc_grow(source->unsafe, source->n_unsafe,
                                   &source->allocated_unsafe, sizeof *batch);
    batch = &source->unsafe[source->n_unsafe++];
    memcpy(batch->id, guest->id, sizeof batch->id);
    batch->seq = seq;
    batch->token = source->config.taken(source->config.aux);
}

void
source_agent_settle(struct source_agent *source)
{
    struct unsafe_batch *unsafe = source->unsafe;
    size_t n = source->n_unsafe, i = 0;
    uint64_t safe = n ? source->config.safe(source->config.aux) : 0;

    for (; i < n && unsafe[i].token <= safe; i++) {
        struct agent_entry *entry =
            agent_book_get(source->config.book, unsafe[i].id, time_spec_now());

        /* Others may have taken more meanwhile. */
        if (unsafe[i].seq > entry->last_seq) {
            entry->last_seq = unsafe[i].seq;
            source->is_book_changed = true;
        }
    }
    if (i) {
        memmove(unsafe, unsafe + i, (n - i) * sizeof *unsafe);
        source->n_unsafe -= i;
    }
}

/* Whether some postcards more may be taken. */
static bool
has_room(struct source_agent *source)
{
    return source->n_unsafe < MAX_UNSAFE &&
           source->config.has_room(source->config.aux);
}

/* Works on the current batch until it ends or there is no room; true at its
 * end. */
static bool
work_on(struct source_agent *source)
{
    struct agent_postcard p;
    int n = SLICE;

    while (n < SLICE || has_room(source)) {
        n = n < SLICE ? n : 0;
        if (!agent_batch_reader_next(source->reader, &p)) {
            return true;
        }
        source->n.postcards++;
        ingest_visit(source->config.ingest, p.template, p.header, p.caplen,
                     p.time_ns, p.kind == AGENT_POSTCARD_DROPPED);
        n++;
    }
    source->n.stalls++;
    return false;
}

/* True when the frame has been worked on; false: it waits for room. */
static bool
take_batch(struct guest *guest, const struct agent_batch_frame *batch,
           size_t frame_len)
{
    struct source_agent *source = guest->source;
    uint64_t now_ns = time_spec_now();
    struct agent_entry *entry;
    struct lh_error error;

    if (!take_seq(guest, batch->seq)) {
        return true;
    }
    source->n.batches++;
    source->n.bytes += frame_len;
    if (agent_batch_reader_open(source->reader, batch->data, batch->len,
                                batch->n, &error)) {
        static struct say_site site;

        source->n.bad_batches++;
        say(&site, SAY_WARN, "agent of host %s: batch %llu: %s", guest->name,
            (unsigned long long) batch->seq, error.text);
        note_taken(guest, batch->seq);
        return true;
    }
    entry = agent_book_get(source->config.book, guest->id, now_ns);
    entry->batches++;
    entry->postcards += batch->n;
    entry->bytes += frame_len;
    entry->threshold = batch->threshold;
    if (batch->first_ns > entry->arrived_ns) {
        entry->arrived_ns = batch->first_ns;
    }
    for (size_t i = 0; i < agent_batch_reader_n_templates(source->reader);
         i++) {
        agent_book_note_switch(
            source->config.book,
            agent_batch_reader_template(source->reader, i)->dpid, guest->id);
    }
    agent_batch_reader_set_left_out(source->reader,
                                    UINT32_MAX - batch->threshold);
    sample_gate_note(source->config.gate, batch->threshold, now_ns);
    if (batch->first_ns < now_ns &&
        now_ns - batch->first_ns > CATCH_UP_LAG_NS) {
        catch_up_note(source->config.catch_up, now_ns);
    }
    source->config.before(source->config.aux, now_ns);
    if (source->config.begin) {
        source->config.begin(source->config.aux, guest->id, batch->seq);
    }
    source->current = guest;
    source->current_len = frame_len;
    source->current_seq = batch->seq;
    return work_on(source);
}

static void
take_loss(struct guest *guest, const struct agent_loss *loss)
{
    struct source_agent *source = guest->source;
    uint64_t now_ns = time_spec_now();

    if (take_seq(guest, loss->seq)) {
        source->n.lost[loss->place] += loss->count;
        agent_book_lose(source->config.book,
                        agent_book_get(source->config.book, guest->id, now_ns),
                        loss, now_ns);
        if (source->config.lost) {
            source->config.lost(source->config.aux, guest->id, loss);
        }
        note_taken(guest, loss->seq);
    }
}

static void
take_ping(struct guest *guest, const struct agent_ping *ping)
{
    struct source_agent *source = guest->source;
    struct agent_entry *entry =
        agent_book_get(source->config.book, guest->id, time_spec_now());

    /* It pings when it has nothing else to say. */
    if (ping->sent_ns > entry->arrived_ns) {
        entry->arrived_ns = ping->sent_ns;
    }
    agent_frame_put_ping(&source->out, AGENT_PONG,
                         &(struct agent_ping){.sent_ns = ping->sent_ns,
                                              .now_ns = time_spec_now()});
    source_agent_send(guest);
}

/* --- Frames. --------------------------------------------------------------
 */

/* True when it is done with; false: it waits, or the guest is ending. */
static bool
take_frame(struct guest *guest, const struct agent_frame *frame, size_t len)
{
    guest->source->n.frames++;
    if (guest->is_greeted == (frame->type == AGENT_HELLO)) {
        source_agent_refuse_malformed(guest, guest->is_greeted
                                                 ? "a second hello"
                                                 : "it did not say hello");
        return false;
    }
    switch (frame->type) {
    case AGENT_HELLO:
        take_hello(guest, &frame->hello);
        break;
    case AGENT_BATCH:
        return take_batch(guest, &frame->batch, len);
    case AGENT_LOSS:
        take_loss(guest, &frame->loss);
        break;
    case AGENT_WANT:
        guest->want = frame->threshold.threshold;
        agent_book_get(guest->source->config.book, guest->id, time_spec_now())
            ->want = guest->want;
        source_agent_set_threshold(guest->source);
        break;
    case AGENT_PING:
        take_ping(guest, &frame->ping);
        break;
    case AGENT_PONG:
        break;
    case AGENT_WELCOME:
    case AGENT_REFUSED:
    case AGENT_ACK:
    case AGENT_THRESHOLD:
    case AGENT_SERVERS:
    case N_AGENT_FRAME_TYPES:
        source_agent_refuse_malformed(guest, "a frame that only servers send");
        return false;
    }
    return !guest->is_ending;
}

/* Ends the current batch, which was worked on. */
static void
end_current(struct source_agent *source)
{
    struct guest *guest = source->current;

    note_taken(guest, source->current_seq);
    evbuffer_drain(bufferevent_get_input(guest->stream), source->current_len);
    source->current = NULL;
    source->config.after(source->config.aux);
}

static void
wait_for_room(struct source_agent *source)
{
    const struct timeval wait = {0, ROOM_MS * 1000};

    source->config.after(source->config.aux);
    event_add(source->room_timer, &wait);
}

/* Takes the frames that 'guest' has sent. */
static void
read_frames(struct guest *guest)
{
    struct source_agent *source = guest->source;
    struct evbuffer *in = bufferevent_get_input(guest->stream);
    size_t max = guest->is_greeted ? AGENT_FRAME_MAX : AGENT_FRAME_MAX_HELLO;
    struct agent_frame frame;
    struct lh_error error;
    uint8_t head[4];

    while (!source->current && !guest->is_ending &&
           evbuffer_copyout(in, head, sizeof head) == sizeof head) {
        size_t want = (size_t) bytes_be32(head) + sizeof head, used;
        size_t have = evbuffer_get_length(in);
        int retval;

        max = guest->is_greeted ? AGENT_FRAME_MAX : AGENT_FRAME_MAX_HELLO;
        if (want <= max && want > have) {
            return;
        }
        have = want < have ? want : have;
        retval = agent_frame_read(evbuffer_pullup(in, (ev_ssize_t) have), have,
                                  max, &used, &frame, &error);
        if (retval == EAGAIN) {
            return;
        } else if (retval) {
            source_agent_refuse_malformed(guest, error.text);
            return;
        }
        if (!take_frame(guest, &frame, used)) {
            if (source->current) {
                wait_for_room(source);
            }
            return;
        }
        if (source->current) {
            end_current(source);
        } else {
            evbuffer_drain(in, used);
        }
    }
}

void
source_agent_on_read(struct bufferevent *stream, void *guest)
{
    read_frames(guest);
}

void
source_agent_on_room(evutil_socket_t fd, short what, void *source_)
{
    struct source_agent *source = source_;
    struct guest *guest, *next;

    if (source->current) {
        if (!work_on(source)) {
            wait_for_room(source);
            return;
        }
        end_current(source);
    }
    /* What others sent meanwhile lies in their buffers, and no event tells. */
    for (guest = LIST_FIRST(&source->guests); guest && !source->current;
         guest = next) {
        next = LIST_NEXT(guest, node);
        read_frames(guest);
    }
}
