/* SPDX-License-Identifier: Apache-2.0 */
/* bus_kv_watch - implementation: a consumer of the bucket's stream whose
 * numbers have no gap, or which is made anew. */
#include <config.h>
#include "lib/bus_kv.h"

#include <event2/event.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_answer.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"

#define NS_PER_MS   INT64_C(1000000)
#define MIN_SILENCE 500
#define STATUS_IDLE 100

struct bus_kv_watch {
    struct bus *bus;
    char *bucket, *keys; /* Owned. */
    uint32_t silence_ms;
    bus_kv_watch_fn *tell;
    void *aux;
    struct bus_sub *sub; /* Owned. */
    struct event *timer; /* Owned. */
    int64_t heard_ms;    /* When something came, or it was begun. */
    uint64_t last_cseq;  /* Of what this consumer has delivered. */
    bool is_complete, is_broken;
};

static void begin(struct bus_kv_watch *);

static void
complete(struct bus_kv_watch *watch)
{
    if (!watch->is_complete) {
        watch->is_complete = true;
        watch->tell(watch->aux, BUS_KV_COMPLETE, NULL, NULL);
    }
}

static void
take_message(void *watch_, const struct bus_message *message)
{
    struct bus_kv_watch *watch = watch_;
    size_t prefix_len = strlen("$KV.") + strlen(watch->bucket) + 1;
    const char *operation;
    struct bus_answer_numbers numbers;
    struct bus_kv_entry entry;

    watch->heard_ms = monotonic_ms();
    if (message->status == STATUS_IDLE) {
        const char *last = bus_message_header(message, "Nats-Last-Consumer");

        if (last && strtoull(last, NULL, 10) != watch->last_cseq) {
            begin(watch);
        }
        return;
    }
    if (!message->reply || strlen(message->subject) <= prefix_len ||
        !bus_answer_numbers(message->reply, &numbers)) {
        return;
    }
    if (numbers.cseq != watch->last_cseq + 1) {
        begin(watch);
        return;
    }
    watch->last_cseq = numbers.cseq;
    entry.revision = numbers.seq;
    operation = bus_message_header(message, "KV-Operation");
    entry.key = message->subject + prefix_len;
    entry.data = message->data;
    entry.size = message->size;
    entry.is_deleted = operation && (!strcmp(operation, "DEL") ||
                                     !strcmp(operation, "PURGE"));
    watch->tell(watch->aux, BUS_KV_ENTRY, NULL, &entry);
    if (!numbers.pending) {
        complete(watch);
    }
}

static void
take_created(void *watch_, int error_number, const char *why,
             const struct bus_message *message)
{
    struct bus_kv_watch *watch = watch_;
    struct lh_error error;
    json_t *answer = NULL;

    if (!error_number) {
        error_number = bus_answer_read(message, &answer, &error);
        why = error_number ? error.text : NULL;
    }
    if (!error_number) {
        watch->heard_ms = monotonic_ms();
        watch->is_broken = false;
        if (!bus_answer_number(answer, "num_pending") && !watch->last_cseq) {
            complete(watch);
        }
    } else if (!watch->is_broken) {
        watch->is_broken = true;
        watch->tell(watch->aux, BUS_KV_BROKEN, why, NULL);
    }
    json_decref(answer);
}

static json_t *
consumer(const struct bus_kv_watch *watch, const char *inbox)
{
    char *filter = lh_asprintf("$KV.%s.%s", watch->bucket, watch->keys);
    char *stream = lh_asprintf("KV_%s", watch->bucket);
    json_t *json =
        json_pack("{s:s, s:{s:s, s:s, s:s, s:s, s:s, s:i, s:b, s:i}}",
                  "stream_name", stream, "config", "deliver_subject", inbox,
                  "deliver_policy", "last_per_subject", "filter_subject",
                  filter, "ack_policy", "none", "replay_policy", "instant",
                  "max_deliver", 1, "mem_storage", true, "num_replicas", 1);

    json_object_set_new(json_object_get(json, "config"), "idle_heartbeat",
                        json_integer(watch->silence_ms / 3 * NS_PER_MS));
    free(filter);
    free(stream);
    return json;
}

static void
begin(struct bus_kv_watch *watch)
{
    char *inbox = bus_new_inbox(watch->bus);
    char *subject =
        lh_asprintf("$JS.API.CONSUMER.CREATE.KV_%s", watch->bucket);
    json_t *json = consumer(watch, inbox);
    char *text = json_dumps(json, JSON_COMPACT);
    struct bus_letter letter = {
        .subject = subject, .data = text, .size = strlen(text)};

    bus_unsubscribe(watch->sub);
    bus_forget(watch->bus, watch);
    watch->sub = bus_subscribe(watch->bus, inbox, take_message, watch);
    watch->last_cseq = 0;
    watch->is_complete = false;
    watch->heard_ms = monotonic_ms();
    watch->tell(watch->aux, BUS_KV_BEGIN, NULL, NULL);
    /* What is refused is tried again when the silence is over. */
    bus_request(watch->bus, &letter, watch->silence_ms, take_created, watch,
                NULL);
    json_decref(json);
    free(text);
    free(subject);
    free(inbox);
}

static void
on_timer(int fd, short events, void *watch_)
{
    struct bus_kv_watch *watch = watch_;

    if (monotonic_ms() - watch->heard_ms > (int64_t) watch->silence_ms) {
        if (!watch->is_broken) {
            watch->is_broken = true;
            watch->tell(watch->aux, BUS_KV_BROKEN, "NATS is silent", NULL);
        }
        begin(watch);
    }
}

struct bus_kv_watch *
bus_kv_watch(struct bus *bus, const char *bucket, const char *keys,
             uint32_t silence_ms, bus_kv_watch_fn *tell, void *aux)
{
    struct bus_kv_watch *watch = lh_alloc_zero(sizeof *watch);
    struct timeval period;

    watch->bus = bus;
    watch->bucket = lh_strdup(bucket);
    watch->keys = lh_strdup(keys);
    watch->silence_ms = silence_ms > MIN_SILENCE ? silence_ms : MIN_SILENCE;
    watch->tell = tell;
    watch->aux = aux;
    watch->timer =
        event_new(bus_get_base(bus), -1, EV_PERSIST, on_timer, watch);
    if (!watch->timer) {
        abort();
    }
    period = (struct timeval){.tv_usec = watch->silence_ms / 4 % 1000 * 1000,
                              .tv_sec = watch->silence_ms / 4 / 1000};
    event_add(watch->timer, &period);
    begin(watch);
    return watch;
}

void
bus_kv_watch_again(struct bus_kv_watch *watch)
{
    begin(watch);
}

void
bus_kv_unwatch(struct bus_kv_watch *watch)
{
    if (watch) {
        bus_forget(watch->bus, watch);
        bus_unsubscribe(watch->sub);
        event_free(watch->timer);
        free(watch->bucket);
        free(watch->keys);
        free(watch);
    }
}
