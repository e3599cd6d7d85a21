/* SPDX-License-Identifier: Apache-2.0 */
/* source_agent - takes postcards from lasthop-agents over TCP, or TLS. */
#include <config.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "server/source_agent_impl.h"

#define HELLO_TIMEOUT_S 10
#define ACK_MS          250
#define MAX_UNSENT      (1 << 16) /* Of ours: it does not read. */

static void on_event(struct bufferevent *, short what, void *guest);

/* --- Guests. --------------------------------------------------------------
 */

void
source_agent_send(struct guest *guest)
{
    struct source_agent *source = guest->source;

    bufferevent_write(guest->stream, source->out.data, source->out.len);
    byte_buf_clear(&source->out);
}

uint32_t
source_agent_want(const struct source_agent *source)
{
    uint32_t want = AGENT_THRESHOLD_ALL;
    const struct guest *guest;

    LIST_FOREACH(guest, &source->guests, node)
    {
        want = guest->is_greeted && guest->want < want ? guest->want : want;
    }
    return want;
}

void
source_agent_set_threshold(struct source_agent *source)
{
    uint32_t want = source_agent_want(source);
    struct guest *guest;

    want = source->others < want ? source->others : want;
    if (want == source->threshold) {
        return;
    }
    source->threshold = want;
    sample_gate_note(source->config.gate, want, time_spec_now());
    LIST_FOREACH(guest, &source->guests, node)
    {
        if (guest->is_greeted && !guest->is_ending) {
            agent_frame_put_threshold(&source->out, AGENT_THRESHOLD, want);
            source_agent_send(guest);
        }
    }
}

void
source_agent_set_others(struct source_agent *source, uint32_t threshold)
{
    source->others = threshold;
    source_agent_set_threshold(source);
}

void
source_agent_tell_servers(struct guest *guest)
{
    struct source_agent *source = guest->source;

    if (source->servers && guest->wants_servers) {
        told_servers_put(source->servers, guest->name, &source->out);
        source_agent_send(guest);
    }
}

void
source_agent_set_servers(struct source_agent *source,
                         const struct agent_server *all, size_t n)
{
    struct guest *guest;

    if (source->servers && told_servers_is(source->servers, all, n)) {
        return;
    }
    told_servers_destroy(source->servers);
    source->servers = told_servers_create(all, n);
    LIST_FOREACH(guest, &source->guests, node)
    {
        if (guest->is_greeted && !guest->is_ending) {
            source_agent_tell_servers(guest);
        }
    }
}

void
source_agent_end(struct guest *guest)
{
    struct source_agent *source = guest->source;
    bool was_greeted = guest->is_greeted;

    if (source->current == guest) {
        source->current = NULL; /* What is left of the batch comes again. */
    }
    if (was_greeted) {
        agent_book_get(source->config.book, guest->id, time_spec_now())
            ->is_connected = false;
    }
    LIST_REMOVE(guest, node);
    source->n_guests--;
    bufferevent_free(guest->stream);
    free(guest);
    if (was_greeted) {
        source_agent_set_threshold(source);
    }
}

static void
discard(struct bufferevent *stream, void *guest)
{
    struct evbuffer *in = bufferevent_get_input(stream);

    evbuffer_drain(in, evbuffer_get_length(in));
}

/* Says why and lets it hang up. */
void
source_agent_refuse(struct guest *guest, const char *why)
{
    const struct timeval timeout = {HELLO_TIMEOUT_S, 0};
    struct source_agent *source = guest->source;

    source->n.refused++;
    agent_frame_put_refused(&source->out, why);
    source_agent_send(guest);
    guest->is_ending = true;
    bufferevent_setcb(guest->stream, discard, NULL, on_event, guest);
    bufferevent_set_timeouts(guest->stream, &timeout, &timeout);
    discard(guest->stream, guest);
}

void
source_agent_refuse_malformed(struct guest *guest, const char *why)
{
    static struct say_site site;
    char text[64];

    guest->source->n.malformed++;
    accept_address_format(&guest->from, text, sizeof text);
    say(&site, SAY_WARN, "agent at %s sent what is not understood: %s", text,
        why);
    source_agent_refuse(guest, why);
}

/* --- Acknowledging. -------------------------------------------------------
 */

static void
save_book(struct source_agent *source)
{
    static struct say_site site;
    struct lh_error error;

    if (source->is_book_changed && source->book_path &&
        agent_book_save(source->config.book, source->book_path, &error)) {
        say(&site, SAY_WARN,
            "what agents have sent is not remembered over a restart: %s",
            error.text);
    }
    source->is_book_changed = false;
}

const char *
source_agent_busy(const struct guest *guest)
{
    const struct source_agent_config *config = &guest->source->config;

    return guest->has_others && config->busy ? config->busy(config->aux)
                                             : NULL;
}

static void
on_ack(evutil_socket_t fd, short what, void *source_)
{
    struct source_agent *source = source_;
    struct guest *guest, *next;

    source_agent_settle(source);
    save_book(source);
    sample_gate_note(source->config.gate, source->threshold, time_spec_now());
    for (guest = LIST_FIRST(&source->guests); guest; guest = next) {
        const struct agent_entry *entry;

        next = LIST_NEXT(guest, node);
        if (!guest->is_greeted || guest->is_ending) {
            continue;
        }
        if (evbuffer_get_length(bufferevent_get_output(guest->stream)) >
            MAX_UNSENT) {
            source_agent_end(guest);
            continue;
        }
        if (source->current != guest && source_agent_busy(guest)) {
            source_agent_refuse(guest, source_agent_busy(guest));
            continue;
        }
        entry = agent_book_get(source->config.book, guest->id, 0);
        if (entry->last_seq != guest->acked_seq) {
            guest->acked_seq = entry->last_seq;
            agent_frame_put_ack(&source->out, guest->acked_seq);
            source_agent_send(guest);
        }
    }
}

/* Of one that did not get as far as a hello. */
static void
warn_broken(const struct guest *guest)
{
    static struct say_site site;
    char *reason = guest->source->tls ? tls_reason(guest->stream) : NULL;
    char text[64];

    if (reason) {
        accept_address_format(&guest->from, text, sizeof text);
        say(&site, SAY_WARN, "an agent at %s came to nothing: %s", text,
            reason);
    }
    free(reason);
}

static void
on_event(struct bufferevent *stream, short what, void *guest_)
{
    struct guest *guest = guest_;

    if (!(what & BEV_EVENT_CONNECTED)) {
        if (guest->is_greeted) {
            say_info("agent of host %s is gone", guest->name);
        } else {
            warn_broken(guest);
        }
        source_agent_end(guest);
    }
}

static struct accept_address
address_of(const struct sockaddr *from)
{
    struct accept_address address = {{0}};

    if (from->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *) from;

        return accept_address_ip4((const uint8_t *) &in->sin_addr);
    }
    if (from->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *) from;

        memcpy(address.bytes, &in6->sin6_addr, sizeof address.bytes);
    }
    return address;
}

static void
warn_stranger(const struct guest *guest)
{
    static struct say_site site;
    char text[64];

    accept_address_format(&guest->from, text, sizeof text);
    say(&site, SAY_WARN,
        "agent at %s refused: it is no switch of the topology and not in "
        "--accept; --accept %s takes it",
        text, text);
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd,
          struct sockaddr *from, int from_len, void *source_)
{
    const struct timeval timeout = {HELLO_TIMEOUT_S, 0};
    struct source_agent *source = source_;
    struct bufferevent *stream = NULL;
    struct guest *guest;

    if (source->n_guests < SOURCE_AGENT_MAX) {
        stream = source->tls ? tls_bufferevent(source->tls, source->base, fd,
                                               true, BEV_OPT_CLOSE_ON_FREE)
                             : bufferevent_socket_new(source->base, fd,
                                                      BEV_OPT_CLOSE_ON_FREE);
    }
    if (!stream) {
        source->n.refused++;
        close(fd);
        return;
    }
    guest = lh_alloc_zero(sizeof *guest);
    guest->source = source;
    guest->stream = stream;
    guest->from = address_of(from);
    guest->want = AGENT_THRESHOLD_ALL;
    LIST_INSERT_HEAD(&source->guests, guest, node);
    source->n_guests++;
    source->n.connections++;
    bufferevent_setcb(stream, source_agent_on_read, NULL, on_event, guest);
    bufferevent_setwatermark(stream, EV_READ, 0, AGENT_FRAME_MAX + 65536);
    bufferevent_set_timeouts(stream, &timeout, &timeout);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
    if (!source->tls && source->config.accept &&
        !accept_list_has(source->config.accept, &guest->from)) {
        warn_stranger(guest);
        source_agent_refuse(
            guest, "the server takes postcards of switches of its topology "
                   "and of --accept only; this address is neither");
    }
}

/* --- Life. ----------------------------------------------------------------
 */

static int
listen_at(struct source_agent *source, const char *where,
          struct lh_error *error)
{
    struct sockaddr_storage address;
    int len = sizeof address, retval;

    if (!strncmp(where, "ssl:", 4)) {
        where += 4;
        retval = tls_create(&source->config.files, &source->tls, error);
        if (retval) {
            return retval;
        }
    } else if (!strncmp(where, "tcp:", 4)) {
        where += 4;
    }
    if (evutil_parse_sockaddr_port(where, (struct sockaddr *) &address,
                                   &len) ||
        !strrchr(where, ':')) {
        lh_error_set(error, "%s: must be ADDR:PORT or [ADDR]:PORT", where);
        return EINVAL;
    }
    source->listener = evconnlistener_new_bind(
        source->base, on_accept, source,
        LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, 64,
        (struct sockaddr *) &address, len);
    if (!source->listener) {
        retval = errno;
        lh_error_set(error, "%s: cannot listen: %s", where, strerror(retval));
        return retval;
    }
    return 0;
}

int
source_agent_open(struct event_base *base,
                  const struct source_agent_config *config,
                  struct source_agent **sourcep, struct lh_error *error)
{
    const struct timeval ack = {0, ACK_MS * 1000};
    struct source_agent *source = lh_alloc_zero(sizeof *source);
    struct lh_error why;
    int retval;

    *sourcep = NULL;
    source->config = *config;
    source->base = base;
    source->book_path = lh_strdup(config->book_path);
    source->threshold = source->others = AGENT_THRESHOLD_ALL;
    source->reader = agent_batch_reader_create();
    LIST_INIT(&source->guests);
    source->ack_timer = event_new(base, -1, EV_PERSIST, on_ack, source);
    source->room_timer = evtimer_new(base, source_agent_on_room, source);
    retval = listen_at(source, config->listen, error);
    if (retval) {
        source_agent_close(source);
        return retval;
    }
    if (source->book_path &&
        agent_book_load(config->book, source->book_path, &why)) {
        say_warn("agents begin anew, what they send again is taken twice: %s",
                 why.text);
    }
    if (agent_book_count(config->book)) {
        /* Those of before come back one after the other. */
        catch_up_note(config->catch_up, time_spec_now());
    }
    event_add(source->ack_timer, &ack);
    *sourcep = source;
    return 0;
}

void
source_agent_close(struct source_agent *source)
{
    if (source) {
        source_agent_settle(source);
        save_book(source);
        while (!LIST_EMPTY(&source->guests)) {
            source_agent_end(LIST_FIRST(&source->guests));
        }
        if (source->listener) {
            evconnlistener_free(source->listener);
        }
        event_free(source->ack_timer);
        event_free(source->room_timer);
        tls_destroy(source->tls);
        agent_batch_reader_destroy(source->reader);
        byte_buf_uninit(&source->out);
        told_servers_destroy(source->servers);
        free(source->unsafe);
        free(source->book_path);
        free(source);
    }
}

uint16_t
source_agent_port(const struct source_agent *source)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;

    if (getsockname(evconnlistener_get_fd(source->listener),
                    (struct sockaddr *) &address, &len)) {
        return 0;
    }
    return ntohs(address.ss_family == AF_INET6
                     ? ((struct sockaddr_in6 *) &address)->sin6_port
                     : ((struct sockaddr_in *) &address)->sin_port);
}

uint32_t
source_agent_threshold(const struct source_agent *source)
{
    return source->threshold;
}

void
source_agent_collect(const struct source_agent *source, struct counters *c)
{
    c->agents = source->n_guests;
    c->agent_connections = source->n.connections;
    c->agents_refused = source->n.refused;
    c->agent_garbage = source->n.malformed;
    c->agent_batches = source->n.batches;
    c->agent_postcards = source->n.postcards;
    c->agent_bytes = source->n.bytes;
    c->agent_duplicates = source->n.duplicates;
    c->agent_bad_batches = source->n.bad_batches;
    c->agent_gaps = source->n.gaps;
    c->agent_stalls = source->n.stalls;
    c->agent_lost_ring = source->n.lost[AGENT_PLACE_RING];
    c->agent_lost_spool = source->n.lost[AGENT_PLACE_SPOOL];
    c->agent_lost_memory = source->n.lost[AGENT_PLACE_MEMORY];
    c->agent_lost_capture = source->n.lost[AGENT_PLACE_CAPTURE];
    c->sample_threshold = source->threshold;
}
