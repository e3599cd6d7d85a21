/* SPDX-License-Identifier: Apache-2.0 */
/* bus_pull - implementation: a consumer of NATS that is asked for messages,
 * whose numbers have no gap, or which is made anew.
 *
 * One request for messages is open at a time.  Messages do not say which
 * request they answer, statuses do by their subject; those of a former
 * request mean nothing. */
#include <config.h>
#include "lib/bus_pull.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_answer.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"

#define MAX_BYTES    ((size_t) 1 << 20)
#define MAX_MESSAGES 256
#define TICK_MS      250
#define CREATE_MS    2000 /* For NATS to answer. */
#define EXPIRES_MS   30000
#define BEAT_MS      500
#define SILENCE_MS   1500 /* Without a beat. */
#define INACTIVE_MS  60000
#define NS_PER_MS    INT64_C(1000000)
#define MAX_HEADERS  256 /* Bytes of a message's headers. */

#define STATUS_BEAT    100
#define STATUS_TIMEOUT 408
#define STATUS_ENDED   409

enum state {
    UNMADE,  /* There is no consumer; the next tick makes one. */
    MAKING,  /* NATS has been asked for one. */
    RESTING, /* It is there, and nothing is asked for. */
    ASKING   /* A request for messages is open. */
};

struct bus_pull {
    struct bus *bus;
    char *stream, *subject, *name; /* Owned. */
    size_t max_bytes;
    uint32_t max_messages;
    bool has_no_data;
    void (*on_message)(void *aux, const struct bus_pull_message *);
    void (*on_idle)(void *aux);
    void (*on_trouble)(void *aux, const char *why);
    void *aux;
    struct event *tick; /* Owned. */

    uint64_t next_seq;
    uint32_t window; /* Messages to ask for: fewer once some were lost. */
    enum state state;
    bool is_held, is_troubled;
    bool is_idle;     /* That all is told has been told. */
    bool is_too_long; /* The next message does not fit into 'max_bytes'. */
    bool is_calling, is_closed;

    /* Of the consumer. */
    struct bus_sub *sub; /* Owned. */
    char *inbox;         /* Owned. */
    char *consumer;      /* Owned; NULL: none was made. */
    uint64_t last_cseq;  /* Of what it has delivered. */
    uint64_t n_connects; /* Of the bus, when it was made. */
    int64_t heard_ms;    /* When something came, or should begin to. */

    /* Of the request. */
    uint64_t n_requests;
    uint32_t n_left;
    size_t bytes_told;
    uint32_t n_told;

    struct bus_pull_counters counters;
};

static void begin(struct bus_pull *);

/* --- Telling. ------------------------------------------------------------ */

static void
destroy(struct bus_pull *pull)
{
    event_free(pull->tick);
    free(pull->stream);
    free(pull->subject);
    free(pull->name);
    free(pull->inbox);
    free(pull->consumer);
    free(pull);
}

/* Callbacks are between these two; false: it was closed, and is no more. */
static void
call(struct bus_pull *pull)
{
    assert(!pull->is_calling);
    pull->is_calling = true;
}

static bool
is_called(struct bus_pull *pull)
{
    pull->is_calling = false;
    if (pull->is_closed) {
        destroy(pull);
        return false;
    }
    return true;
}

static bool
tell_trouble(struct bus_pull *pull, const char *why)
{
    if (pull->is_troubled || !pull->on_trouble) {
        return true;
    }
    pull->is_troubled = true;
    call(pull);
    pull->on_trouble(pull->aux, why);
    return is_called(pull);
}

static bool
tell_idle(struct bus_pull *pull)
{
    if (pull->is_idle || !pull->on_idle) {
        return true;
    }
    pull->is_idle = true;
    call(pull);
    pull->on_idle(pull->aux);
    return is_called(pull);
}

/* --- Requests for messages. ---------------------------------------------- */

static void
ask(struct bus_pull *pull)
{
    char *subject, *text, *reply;
    struct bus_letter letter;

    if (pull->is_held) {
        pull->state = RESTING;
        return;
    }
    pull->n_requests++;
    pull->n_left = pull->is_too_long ? 1 : pull->window;
    pull->n_told = 0;
    pull->bytes_told = 0;
    subject = lh_asprintf("$JS.API.CONSUMER.MSG.NEXT.%s.%s", pull->stream,
                          pull->consumer);
    text =
        lh_asprintf("{\"batch\":%" PRIu32 ",\"expires\":%" PRId64
                    ",\"idle_heartbeat\":%" PRId64 ",\"max_bytes\":%zu}",
                    pull->n_left, EXPIRES_MS * NS_PER_MS, BEAT_MS * NS_PER_MS,
                    pull->is_too_long ? 0 : pull->max_bytes);
    reply = lh_asprintf("%s.%" PRIu64, pull->inbox, pull->n_requests);
    letter = (struct bus_letter){
        .subject = subject, .data = text, .size = strlen(text)};
    /* What is refused is missed when the silence is over. */
    bus_send(pull->bus, &letter, reply, SILENCE_MS, NULL);
    pull->state = ASKING;
    pull->heard_ms = monotonic_ms();
    free(subject);
    free(text);
    free(reply);
}

/* Whether NATS may have ended the request without a word: it does when the
 * bytes that were asked for are used up exactly, and it counts headers. */
static bool
is_maybe_used_up(const struct bus_pull *pull)
{
    return !pull->is_too_long &&
           pull->bytes_told + (size_t) pull->n_told * MAX_HEADERS >=
               pull->max_bytes;
}

/* --- What comes. --------------------------------------------------------- */

static void
take_numbered(struct bus_pull *pull, const struct bus_message *message,
              const struct bus_answer_numbers *numbers)
{
    const struct bus_pull_message out = {.seq = numbers->seq,
                                         .time_ns = numbers->time_ns,
                                         .n_pending = numbers->pending,
                                         .data = message->data,
                                         .size = message->size,
                                         .raw = message};

    pull->last_cseq = numbers->cseq;
    pull->bytes_told +=
        message->size + strlen(message->subject) + strlen(message->reply);
    pull->n_told++;
    pull->n_left -= pull->n_left > 0;
    if (numbers->seq < pull->next_seq) {
        pull->counters.low++;
        if (!tell_trouble(pull, "the stream numbers its messages from lower "
                                "than what was committed: it was made anew "
                                "or is an old copy")) {
            return;
        }
    } else {
        pull->next_seq = numbers->seq + 1;
        pull->counters.messages++;
        pull->counters.bytes += message->size;
        pull->is_idle = pull->is_troubled = false;
        call(pull);
        pull->on_message(pull->aux, &out);
        if (!is_called(pull) || (!numbers->pending && !tell_idle(pull))) {
            return;
        }
    }
    if (pull->state == ASKING && (!pull->n_left || is_maybe_used_up(pull))) {
        if (!pull->is_too_long && pull->window < pull->max_messages) {
            pull->window++;
        }
        pull->is_too_long = false;
        ask(pull);
    }
}

/* Messages did not arrive here, perhaps because there is no room for so many
 * at a time. */
static void
narrow(struct bus_pull *pull)
{
    pull->window = pull->n_told > 1 ? pull->n_told / 2 : 1;
}

static void
take_gap(struct bus_pull *pull)
{
    pull->counters.gaps++;
    narrow(pull);
    begin(pull);
}

static void
take_beat(struct bus_pull *pull, const struct bus_message *message)
{
    const char *last = bus_message_header(message, "Nats-Last-Consumer");

    if (last && strtoull(last, NULL, 10) != pull->last_cseq) {
        take_gap(pull);
    } else if (last) {
        tell_idle(pull);
    }
}

static void
take_status(struct bus_pull *pull, const struct bus_message *message)
{
    const char *why = bus_message_header(message, "Description");
    const char *dot = strrchr(message->subject, '.');

    if (!dot || strtoull(dot + 1, NULL, 10) != pull->n_requests ||
        pull->state != ASKING) {
        return;
    }
    if (message->status == STATUS_BEAT) {
        take_beat(pull, message);
    } else if (message->status == STATUS_TIMEOUT) {
        ask(pull);
    } else if (message->status == STATUS_ENDED && why &&
               strstr(why, "MaxBytes")) {
        pull->is_too_long = !pull->n_told;
        ask(pull);
    } else {
        /* The consumer is gone, or its leader is another. */
        pull->state = UNMADE;
    }
}

static void
take_message(void *pull_, const struct bus_message *message)
{
    struct bus_pull *pull = pull_;
    struct bus_answer_numbers numbers;

    if (pull->state == UNMADE) {
        return;
    }
    pull->heard_ms = monotonic_ms();
    if (message->status) {
        take_status(pull, message);
    } else if (!message->reply ||
               !bus_answer_numbers(message->reply, &numbers)) {
        pull->counters.strange++;
    } else if (numbers.cseq != pull->last_cseq + 1) {
        take_gap(pull);
    } else {
        take_numbered(pull, message, &numbers);
    }
}

/* --- The consumer. ------------------------------------------------------- */

static void
remove_consumer(struct bus_pull *pull)
{
    if (pull->consumer) {
        char *subject = lh_asprintf("$JS.API.CONSUMER.DELETE.%s.%s",
                                    pull->stream, pull->consumer);
        const struct bus_letter letter = {.subject = subject};

        /* The answer goes to where nobody listens. */
        bus_send(pull->bus, &letter, pull->inbox, CREATE_MS, NULL);
        free(subject);
    }
    free(pull->consumer);
    pull->consumer = NULL;
    bus_unsubscribe(pull->sub);
    pull->sub = NULL;
    free(pull->inbox);
    pull->inbox = NULL;
    bus_forget(pull->bus, pull);
}

static uint64_t
count_connects(const struct bus_pull *pull)
{
    struct bus_counters counters;

    bus_get_counters(pull->bus, &counters);
    return counters.connects;
}

static void
take_made(void *pull_, int error_number, const char *why,
          const struct bus_message *message)
{
    struct bus_pull *pull = pull_;
    struct lh_error error;
    json_t *answer = NULL;
    uint64_t n_pending;

    if (!error_number) {
        error_number = bus_answer_read(message, &answer, &error);
        why = error_number ? error.text : NULL;
    }
    n_pending = bus_answer_number(answer, "num_pending");
    json_decref(answer);
    if (error_number) {
        pull->state = UNMADE;
        tell_trouble(pull, why);
        return;
    }
    pull->counters.beginnings++;
    pull->is_troubled = false;
    pull->n_connects = count_connects(pull);
    ask(pull);
    if (!n_pending) {
        tell_idle(pull);
    }
}

static json_t *
configuration(const struct bus_pull *pull)
{
    json_t *json = json_pack("{s:s, s:{s:s, s:s, s:s, s:s, s:s, s:b, s:i}}",
                             "stream_name", pull->stream, "config", "name",
                             pull->consumer, "filter_subject", pull->subject,
                             "deliver_policy", "by_start_sequence",
                             "ack_policy", "none", "replay_policy", "instant",
                             "mem_storage", true, "num_replicas", 1);
    json_t *config = json_object_get(json, "config");

    json_object_set_new(config, "opt_start_seq",
                        json_integer((json_int_t) pull->next_seq));
    json_object_set_new(config, "headers_only",
                        json_boolean(pull->has_no_data));
    json_object_set_new(config, "inactive_threshold",
                        json_integer(INACTIVE_MS * NS_PER_MS));
    return json;
}

/* A new consumer, from the next message on.  Its name begins with that of the
 * pull and goes on with what nobody else has. */
static void
begin(struct bus_pull *pull)
{
    char *unique = bus_new_inbox(pull->bus);
    const char *random = strchr(unique, '.') + 1;
    char *subject, *all, *text;
    struct bus_letter letter;
    json_t *json;

    remove_consumer(pull);
    pull->consumer = lh_asprintf("%s-%.12s-%s", pull->name, random,
                                 strchr(random, '.') + 1);
    pull->inbox = lh_asprintf("%s.pull", unique);
    all = lh_asprintf("%s.*", pull->inbox);
    pull->sub = bus_subscribe(pull->bus, all, take_message, pull);
    pull->last_cseq = 0;
    pull->is_idle = false;
    pull->state = MAKING;
    subject = lh_asprintf("$JS.API.CONSUMER.CREATE.%s.%s.%s", pull->stream,
                          pull->consumer, pull->subject);
    json = configuration(pull);
    text = json_dumps(json, JSON_COMPACT);
    letter = (struct bus_letter){
        .subject = subject, .data = text, .size = strlen(text)};
    if (bus_request(pull->bus, &letter, CREATE_MS, take_made, pull, NULL)) {
        pull->state = UNMADE;
    }
    json_decref(json);
    free(text);
    free(subject);
    free(all);
    free(unique);
}

static void
on_tick(int fd, short events, void *pull_)
{
    struct bus_pull *pull = pull_;
    bool is_silent =
        pull->state == ASKING && monotonic_ms() - pull->heard_ms > SILENCE_MS;

    if (is_silent) {
        pull->counters.silences++;
        if (pull->n_told && bus_is_connected(pull->bus)) {
            narrow(pull);
        }
        if (!tell_trouble(pull, bus_is_connected(pull->bus)
                                    ? "NATS is silent"
                                    : "there is no connection to NATS")) {
            return;
        }
    }
    if (is_silent || pull->state == UNMADE ||
        (pull->state != MAKING && bus_is_connected(pull->bus) &&
         count_connects(pull) != pull->n_connects)) {
        begin(pull);
    }
}

/* --- Open and close. ----------------------------------------------------- */

struct bus_pull *
bus_pull_open(struct bus *bus, const struct bus_pull_options *options)
{
    const struct timeval period = {.tv_usec = TICK_MS * 1000};
    struct bus_pull *pull = lh_alloc_zero(sizeof *pull);

    pull->bus = bus;
    pull->stream = lh_strdup(options->stream);
    pull->subject = lh_strdup(options->subject);
    pull->name = lh_strdup(options->name);
    pull->next_seq = options->start_seq ? options->start_seq : 1;
    pull->max_bytes = options->max_bytes ? options->max_bytes : MAX_BYTES;
    pull->max_messages =
        options->max_messages ? options->max_messages : MAX_MESSAGES;
    pull->window = pull->max_messages;
    pull->has_no_data = options->has_no_data;
    pull->on_message = options->on_message;
    pull->on_idle = options->on_idle;
    pull->on_trouble = options->on_trouble;
    pull->aux = options->aux;
    pull->tick = event_new(bus_get_base(bus), -1, EV_PERSIST, on_tick, pull);
    if (!pull->tick) {
        abort();
    }
    event_add(pull->tick, &period);
    begin(pull);
    return pull;
}

void
bus_pull_close(struct bus_pull *pull)
{
    if (!pull) {
        return;
    }
    remove_consumer(pull);
    event_del(pull->tick);
    pull->is_closed = true;
    if (!pull->is_calling) {
        destroy(pull);
    }
}

void
bus_pull_hold(struct bus_pull *pull, bool holds)
{
    pull->is_held = holds;
    if (!holds && pull->state == RESTING) {
        ask(pull);
    }
}

uint64_t
bus_pull_next_seq(const struct bus_pull *pull)
{
    return pull->next_seq;
}

void
bus_pull_get_counters(const struct bus_pull *pull,
                      struct bus_pull_counters *out)
{
    *out = pull->counters;
}
