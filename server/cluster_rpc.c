/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_rpc - questions between servers of a cluster. */
#include <config.h>

#include "server/cluster_rpc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

#define SEND_MS 2000

struct cluster_rpc {
    struct bus *bus;
    struct bus_sub *sub; /* Owned. */
    cluster_rpc_handler *handler;
    void *aux;
};

struct cluster_rpc_call {
    struct bus *bus;
    char *reply; /* Owned; NULL: nobody waits. */
};

/* --- Answering ----------------------------------------------------------- */

static void
on_message(void *rpc_, const struct bus_message *message)
{
    struct cluster_rpc *rpc = rpc_;
    json_t *request =
        json_loadb((const char *) message->data, message->size, 0, NULL);
    const char *op = json_string_value(json_object_get(request, "op"));
    struct cluster_rpc_call *call = lh_alloc_zero(sizeof *call);

    call->bus = rpc->bus;
    call->reply = lh_strdup(message->reply);
    if (op) {
        rpc->handler(rpc->aux, call, op, request);
    } else {
        cluster_rpc_fail(call, EINVAL, "no question");
    }
    json_decref(request);
}

struct cluster_rpc *
cluster_rpc_create(struct bus *bus, const char *subject,
                   cluster_rpc_handler *handler, void *aux)
{
    struct cluster_rpc *rpc = lh_alloc_zero(sizeof *rpc);

    rpc->bus = bus;
    rpc->handler = handler;
    rpc->aux = aux;
    rpc->sub = bus_subscribe(bus, subject, on_message, rpc);
    return rpc;
}

void
cluster_rpc_destroy(struct cluster_rpc *rpc)
{
    if (rpc) {
        bus_unsubscribe(rpc->sub);
        free(rpc);
    }
}

static void
end(struct cluster_rpc_call *call, json_t *answer)
{
    char *text = json_dumps(answer, JSON_COMPACT);
    struct bus_letter letter = {
        .subject = call->reply, .data = text, .size = text ? strlen(text) : 0};

    if (call->reply && letter.size > CLUSTER_RPC_MAX) {
        json_decref(answer);
        free(text);
        cluster_rpc_fail(call, EMSGSIZE,
                         "the answer is too long for the bus: ask the server "
                         "that is connected to the recorder");
        return;
    }
    if (call->reply) {
        bus_send(call->bus, &letter, NULL, SEND_MS, NULL);
    }
    json_decref(answer);
    free(text);
    free(call->reply);
    free(call);
}

void
cluster_rpc_answer(struct cluster_rpc_call *call, json_t *members)
{
    json_t *answer = members ? members : json_object();

    json_object_set_new(answer, "ok", json_true());
    end(call, answer);
}

void
cluster_rpc_fail(struct cluster_rpc_call *call, int error_number,
                 const char *message)
{
    end(call, json_pack("{s:b, s:i, s:s}", "ok", 0, "errno", error_number,
                        "message", message));
}

void
cluster_rpc_answer_bytes(struct cluster_rpc_call *call, const void *data,
                         size_t size)
{
    struct bus_letter letter = {
        .subject = call->reply, .data = data, .size = size};

    if (call->reply) {
        bus_send(call->bus, &letter, NULL, SEND_MS, NULL);
    }
    free(call->reply);
    free(call);
}

/* --- Asking -------------------------------------------------------------- */

/* The JSON of an answer, new; NULL with what is wrong set. */
static json_t *
read_answer(const struct bus_message *message, int *error_number,
            char why[256])
{
    json_t *answer =
        json_loadb((const char *) message->data, message->size, 0, NULL);
    const char *text;

    if (!json_is_object(answer)) {
        *error_number = EPROTO;
        snprintf(why, 256, "an answer that is none");
    } else if (!json_is_true(json_object_get(answer, "ok"))) {
        *error_number =
            (int) json_integer_value(json_object_get(answer, "errno"));
        *error_number = *error_number ? *error_number : EPROTO;
        text = json_string_value(json_object_get(answer, "message"));
        snprintf(why, 256, "%s", text ? text : "no reason is told");
    }
    if (*error_number) {
        json_decref(answer);
        answer = NULL;
    }
    return answer;
}

static void
take_answer(void *aux, bus_any_fn *then, int error_number, const char *why,
            const struct bus_message *message)
{
    cluster_rpc_fn *done = (cluster_rpc_fn *) then;
    json_t *answer = NULL;
    char text[256];

    if (!error_number) {
        answer = read_answer(message, &error_number, text);
        why = error_number ? text : NULL;
    }
    done(aux, error_number, why, answer);
    json_decref(answer);
}

static void
take_bytes(void *aux, bus_any_fn *then, int error_number, const char *why,
           const struct bus_message *message)
{
    cluster_rpc_bytes_fn *done = (cluster_rpc_bytes_fn *) then;
    json_t *answer = NULL;
    char text[256];

    if (!error_number && message->size && message->data[0] != '{') {
        done(aux, 0, NULL, NULL, message->data, message->size);
        return;
    }
    if (!error_number) {
        answer = read_answer(message, &error_number, text);
        why = error_number ? text : NULL;
    }
    done(aux, error_number, why, answer, NULL, 0);
    json_decref(answer);
}

static int
ask(struct bus *bus, const char *subject, const char *op, json_t *members,
    uint32_t timeout_ms, bus_then_fn *take, bus_any_fn *done, void *aux)
{
    json_t *request = members ? members : json_object();
    char *text;
    struct bus_letter letter = {.subject = subject};
    int retval;

    json_object_set_new(request, "op", json_string(op));
    text = json_dumps(request, JSON_COMPACT);
    letter.data = text;
    letter.size = strlen(text);
    retval = bus_request_then(bus, &letter, timeout_ms, take, done, aux, NULL);
    free(text);
    json_decref(request);
    return retval;
}

int
cluster_rpc_ask(struct bus *bus, const char *subject, const char *op,
                json_t *members, uint32_t timeout_ms, cluster_rpc_fn *done,
                void *aux)
{
    return ask(bus, subject, op, members, timeout_ms, take_answer,
               (bus_any_fn *) done, aux);
}

int
cluster_rpc_ask_bytes(struct bus *bus, const char *subject, const char *op,
                      json_t *members, uint32_t timeout_ms,
                      cluster_rpc_bytes_fn *done, void *aux)
{
    return ask(bus, subject, op, members, timeout_ms, take_bytes,
               (bus_any_fn *) done, aux);
}

void
cluster_rpc_send(struct bus *bus, const char *subject, const char *op,
                 json_t *members)
{
    json_t *request = members ? members : json_object();
    char *text;
    struct bus_letter letter = {.subject = subject};

    json_object_set_new(request, "op", json_string(op));
    text = json_dumps(request, JSON_COMPACT);
    letter.data = text;
    letter.size = strlen(text);
    bus_send(bus, &letter, NULL, SEND_MS, NULL);
    free(text);
    json_decref(request);
}
