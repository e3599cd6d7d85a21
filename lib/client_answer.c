/* SPDX-License-Identifier: Apache-2.0 */
/* client_answer - what programs see of a request, and who calls them. */
#include <config.h>

#include "lib/client_impl.h"

#include <stdlib.h>

#include "lib/client_json.h"

void
lasthop_request_on_answer(struct lasthop_request *r,
                          void (*callback)(struct lasthop_request *, void *),
                          void *aux)
{
    r->on_answer = callback;
    r->on_answer_aux = aux;
}

void
lasthop_request_on_history(struct lasthop_request *r,
                           void (*callback)(struct lasthop_request *,
                                            struct lasthop_history *, void *),
                           void *aux)
{
    r->on_history = callback;
    r->on_history_aux = aux;
}

void
lasthop_request_on_progress(struct lasthop_request *r,
                            void (*callback)(struct lasthop_request *,
                                             uint64_t, uint64_t, void *),
                            void *aux)
{
    r->on_progress = callback;
    r->on_progress_aux = aux;
}

void
lasthop_request_on_missed(struct lasthop_request *r,
                          void (*callback)(struct lasthop_request *, uint64_t,
                                           uint64_t, uint64_t, void *),
                          void *aux)
{
    r->on_missed = callback;
    r->on_missed_aux = aux;
}

const char *
lasthop_request_missed_why(const struct lasthop_request *r)
{
    return r->why;
}

void
lasthop_request_on_event(struct lasthop_request *r,
                         void (*callback)(struct lasthop_request *,
                                          const char *, void *),
                         void *aux)
{
    r->on_event = callback;
    r->on_event_aux = aux;
}

void
lasthop_request_on_end(struct lasthop_request *r,
                       void (*callback)(struct lasthop_request *, int, void *),
                       void *aux)
{
    r->on_end = callback;
    r->on_end_aux = aux;
}

int
lasthop_request_result(const struct lasthop_request *r)
{
    return r->result;
}

const char *
lasthop_request_error(const struct lasthop_request *r)
{
    return r->error;
}

int
lasthop_request_error_pos(const struct lasthop_request *r)
{
    return r->error_pos;
}

/* The text of 'json', made once. */
static const char *
text_of(const json_t *json, char **text)
{
    if (json && !*text) {
        *text = json_dumps(json, JSON_COMPACT);
    }
    return *text;
}

const char *
lasthop_request_answer(const struct lasthop_request *r)
{
    return text_of(r->answer, &((struct lasthop_request *) r)->answer_text);
}

const char *
lasthop_request_end(const struct lasthop_request *r)
{
    return text_of(r->end, &((struct lasthop_request *) r)->end_text);
}

bool
lasthop_request_number(const struct lasthop_request *r, const char *name,
                       int64_t *value)
{
    const json_t *number = json_object_get(r->end, name);

    if (!json_is_integer(number)) {
        number = json_object_get(r->answer, name);
    }
    *value = json_integer_value(number);
    return json_is_integer(number);
}

const json_t *
client_json_answer(const struct lasthop_request *r)
{
    return r->answer;
}

const json_t *
client_json_end(const struct lasthop_request *r)
{
    return r->end;
}

bool
client_json_was_silent(const struct lasthop_client *client)
{
    return client->was_silent;
}

const json_t *
client_json_event(const struct lasthop_request *r)
{
    return r->event;
}
