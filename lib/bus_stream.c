/* SPDX-License-Identifier: Apache-2.0 */
/* bus_stream - implementation: the requests of JetStream's API. */
#include <config.h>
#include "lib/bus_stream.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_answer.h"
#include "lib/lh_alloc.h"

#define NS_PER_S    UINT64_C(1000000000)
#define MAX_HEADERS 8

/* --- Making. ------------------------------------------------------------- */

static json_t *
number(uint64_t value)
{
    return json_integer((json_int_t) value);
}

static json_t *
configuration(const struct bus_stream_config *c)
{
    uint64_t age_ns = c->max_age_s * NS_PER_S;
    uint64_t window_ns = BUS_STREAM_WINDOW_S * NS_PER_S;
    json_t *json = json_pack(
        "{s:s, s:[s], s:s, s:s, s:s, s:i, s:i, s:i}", "name", c->name,
        "subjects", c->subjects, "retention", "limits", "discard",
        c->discards_new ? "new" : "old", "storage",
        c->in_memory ? "memory" : "file", "max_consumers", -1, "max_msgs", -1,
        "num_replicas", (int) (c->replicas ? c->replicas : 1));

    json_object_set_new(json, "max_bytes", number(c->max_bytes));
    json_object_set_new(json, "max_age", number(age_ns));
    /* The window may not be longer than messages live. */
    json_object_set_new(
        json, "duplicate_window",
        number(age_ns && age_ns < window_ns ? age_ns : window_ns));
    json_object_set_new(json, "max_msgs_per_subject",
                        json_integer(c->max_msgs_per_subject
                                         ? (json_int_t) c->max_msgs_per_subject
                                         : -1));
    json_object_set_new(json, "max_msg_size", json_integer(-1));
    if (c->is_bucket) {
        json_object_set_new(json, "allow_rollup_hdrs", json_true());
        json_object_set_new(json, "deny_delete", json_true());
        json_object_set_new(json, "allow_direct", json_true());
    }
    return json;
}

/* Sends 'json' (taken; NULL: nothing) to "$JS.API.VERB.NAME". */
static int
request(struct bus *bus, const char *verb, const char *name, json_t *json,
        uint32_t timeout_ms, bus_then_fn *reply, bus_any_fn *then, void *aux,
        struct lh_error *error)
{
    char *subject = lh_asprintf("$JS.API.%s.%s", verb, name);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    struct bus_letter letter = {
        .subject = subject, .data = text, .size = text ? strlen(text) : 0};
    int retval =
        bus_request_then(bus, &letter, timeout_ms, reply, then, aux, error);

    json_decref(json);
    free(subject);
    free(text);
    return retval;
}

static void
take_done(void *aux, bus_any_fn *then, int error_number, const char *why,
          const struct bus_message *message)
{
    struct lh_error error;
    json_t *answer;

    if (!error_number) {
        error_number = bus_answer_read(message, &answer, &error);
        why = error_number ? error.text : NULL;
        json_decref(answer);
    }
    ((bus_stream_fn *) then)(aux, error_number, why);
}

static int
put_configuration(struct bus *bus, const char *verb,
                  const struct bus_stream_config *config, uint32_t timeout_ms,
                  bus_stream_fn *done, void *aux, struct lh_error *error)
{
    return request(bus, verb, config->name, configuration(config), timeout_ms,
                   take_done, (bus_any_fn *) done, aux, error);
}

int
bus_stream_create(struct bus *bus, const struct bus_stream_config *config,
                  uint32_t timeout_ms, bus_stream_fn *done, void *aux,
                  struct lh_error *error)
{
    return put_configuration(bus, "STREAM.CREATE", config, timeout_ms, done,
                             aux, error);
}

int
bus_stream_update(struct bus *bus, const struct bus_stream_config *config,
                  uint32_t timeout_ms, bus_stream_fn *done, void *aux,
                  struct lh_error *error)
{
    return put_configuration(bus, "STREAM.UPDATE", config, timeout_ms, done,
                             aux, error);
}

/* --- What is there. ------------------------------------------------------ */

static void
take_state(void *aux, bus_any_fn *then, int error_number, const char *why,
           const struct bus_message *message)
{
    struct bus_stream_state state = {.n_messages = 0};
    struct lh_error error;
    json_t *answer = NULL;

    if (!error_number) {
        error_number = bus_answer_read(message, &answer, &error);
        why = error_number ? error.text : NULL;
    }
    if (!error_number) {
        const json_t *s = json_object_get(answer, "state");

        state.n_messages = bus_answer_number(s, "messages");
        state.n_bytes = bus_answer_number(s, "bytes");
        state.first_seq = bus_answer_number(s, "first_seq");
        state.last_seq = bus_answer_number(s, "last_seq");
        state.n_replicas = (uint32_t) bus_answer_number(
            json_object_get(answer, "config"), "num_replicas");
        /* Since 2.10 answers say when they were made. */
        state.is_purge_safe =
            state.n_replicas <= 1 || json_object_get(answer, "ts");
    }
    ((bus_stream_state_fn *) then)(aux, error_number, why,
                                   error_number ? NULL : &state);
    json_decref(answer);
}

int
bus_stream_ask(struct bus *bus, const char *name, uint32_t timeout_ms,
               bus_stream_state_fn *done, void *aux, struct lh_error *error)
{
    return request(bus, "STREAM.INFO", name, NULL, timeout_ms, take_state,
                   (bus_any_fn *) done, aux, error);
}

int
bus_stream_purge(struct bus *bus, const char *name, const char *subject,
                 uint64_t seq, uint32_t timeout_ms, bus_stream_fn *done,
                 void *aux, struct lh_error *error)
{
    json_t *json;

    if (seq <= 1) {
        /* Nothing is below that; to nats-server it would mean everything. */
        return request(bus, "STREAM.INFO", name, NULL, timeout_ms, take_done,
                       (bus_any_fn *) done, aux, error);
    }
    json = json_object();
    json_object_set_new(json, "seq", number(seq));
    if (subject) {
        json_object_set_new(json, "filter", json_string(subject));
    }
    return request(bus, "STREAM.PURGE", name, json, timeout_ms, take_done,
                   (bus_any_fn *) done, aux, error);
}

int
bus_stream_remove(struct bus *bus, const char *name, uint64_t seq,
                  uint32_t timeout_ms, bus_stream_fn *done, void *aux,
                  struct lh_error *error)
{
    json_t *json = json_object();

    json_object_set_new(json, "seq", number(seq));
    json_object_set_new(json, "no_erase", json_true());
    return request(bus, "STREAM.MSG.DELETE", name, json, timeout_ms, take_done,
                   (bus_any_fn *) done, aux, error);
}

static void
take_message(void *aux, bus_any_fn *then, int error_number, const char *why,
             const struct bus_message *message)
{
    bus_stream_get_fn *done = (bus_stream_get_fn *) then;
    const json_t *found;
    struct lh_error error;
    json_t *answer = NULL;
    uint8_t *data;
    size_t size;

    if (!error_number) {
        error_number = bus_answer_read(message, &answer, &error);
        why = error_number ? error.text : NULL;
    }
    found = json_object_get(answer, "message");
    data = bus_answer_bytes(json_string_value(json_object_get(found, "data")),
                            &size);
    if (!error_number && (!data || !bus_answer_number(found, "seq"))) {
        error_number = EPROTO;
        why = "an answer that is not JetStream's";
    }
    done(aux, error_number, why, bus_answer_number(found, "seq"), data, size);
    free(data);
    json_decref(answer);
}

int
bus_stream_get_next(struct bus *bus, const char *name, const char *subject,
                    uint64_t seq, uint32_t timeout_ms, bus_stream_get_fn *done,
                    void *aux, struct lh_error *error)
{
    json_t *json = json_object();

    json_object_set_new(json, "seq", number(seq ? seq : 1));
    json_object_set_new(json, "next_by_subj", json_string(subject));
    return request(bus, "STREAM.MSG.GET", name, json, timeout_ms, take_message,
                   (bus_any_fn *) done, aux, error);
}

int
bus_stream_delete(struct bus *bus, const char *name, uint32_t timeout_ms,
                  bus_stream_fn *done, void *aux, struct lh_error *error)
{
    return request(bus, "STREAM.DELETE", name, NULL, timeout_ms, take_done,
                   (bus_any_fn *) done, aux, error);
}

/* --- Publishing. --------------------------------------------------------- */

static void
take_kept(void *aux, bus_any_fn *then, int error_number, const char *why,
          const struct bus_message *message)
{
    struct lh_error error;
    json_t *answer = NULL;
    uint64_t seq = 0;
    bool was_there = false;

    if (!error_number) {
        error_number = bus_answer_read(message, &answer, &error);
        why = error_number ? error.text : NULL;
    }
    if (!error_number) {
        seq = bus_answer_number(answer, "seq");
        was_there = json_is_true(json_object_get(answer, "duplicate"));
        if (!seq) {
            error_number = EPROTO;
            why = "it is not kept: no stream has this subject";
        }
    }
    ((bus_publish_fn *) then)(aux, error_number, why, seq, was_there);
    json_decref(answer);
}

int
bus_stream_publish(struct bus *bus, const struct bus_letter *letter,
                   const char *id, uint64_t last_seq, uint32_t timeout_ms,
                   bus_publish_fn *done, void *aux, struct lh_error *error)
{
    struct bus_header headers[MAX_HEADERS];
    struct bus_letter full = *letter;
    char expected[24];
    size_t n = 0;

    assert(letter->n_headers <= MAX_HEADERS - 2);
    for (; n < letter->n_headers; n++) {
        headers[n] = letter->headers[n];
    }
    if (id) {
        headers[n++] = (struct bus_header){"Nats-Msg-Id", id};
    }
    if (last_seq != BUS_ANY_SEQ) {
        snprintf(expected, sizeof expected, "%" PRIu64, last_seq);
        headers[n++] = (struct bus_header){
            "Nats-Expected-Last-Subject-Sequence", expected};
    }
    full.headers = headers;
    full.n_headers = n;
    return bus_request_then(bus, &full, timeout_ms, take_kept,
                            (bus_any_fn *) done, aux, error);
}
