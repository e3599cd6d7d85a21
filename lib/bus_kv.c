/* SPDX-License-Identifier: Apache-2.0 */
/* bus_kv - implementation: writing and reading keys. */
#include <config.h>
#include "lib/bus_kv.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_answer.h"
#include "lib/lh_alloc.h"

int
bus_kv_create(struct bus *bus, const struct bus_kv_config *config,
              uint32_t timeout_ms, bus_stream_fn *done, void *aux,
              struct lh_error *error)
{
    char *name = lh_asprintf("KV_%s", config->bucket);
    char *subjects = lh_asprintf("$KV.%s.>", config->bucket);
    struct bus_stream_config stream = {
        .name = name,
        .subjects = subjects,
        .max_bytes = config->max_bytes,
        .max_age_s = config->ttl_s,
        .replicas = config->replicas,
        .max_msgs_per_subject = 1,
        .discards_new = true,
        .in_memory = config->in_memory,
        .is_bucket = true,
    };
    int retval = bus_stream_create(bus, &stream, timeout_ms, done, aux, error);

    free(name);
    free(subjects);
    return retval;
}

/* --- Writing. ------------------------------------------------------------ */

static int
put(struct bus *bus, const char *bucket, const char *key, const void *data,
    size_t size, bool is_delete, uint64_t last_revision, uint32_t timeout_ms,
    bus_kv_put_fn *done, void *aux, struct lh_error *error)
{
    const struct bus_header operation = {"KV-Operation", "DEL"};
    char *subject = lh_asprintf("$KV.%s.%s", bucket, key);
    struct bus_letter letter = {.subject = subject,
                                .data = data,
                                .size = size,
                                .headers = &operation,
                                .n_headers = is_delete};
    int retval = bus_stream_publish(bus, &letter, NULL, last_revision,
                                    timeout_ms, done, aux, error);

    free(subject);
    return retval;
}

int
bus_kv_put(struct bus *bus, const char *bucket, const char *key,
           const void *data, size_t size, uint64_t last_revision,
           uint32_t timeout_ms, bus_kv_put_fn *done, void *aux,
           struct lh_error *error)
{
    return put(bus, bucket, key, data, size, false, last_revision, timeout_ms,
               done, aux, error);
}

int
bus_kv_delete(struct bus *bus, const char *bucket, const char *key,
              uint64_t last_revision, uint32_t timeout_ms, bus_kv_put_fn *done,
              void *aux, struct lh_error *error)
{
    return put(bus, bucket, key, NULL, 0, true, last_revision, timeout_ms,
               done, aux, error);
}

/* --- Reading. ------------------------------------------------------------ */

/* Calls 'done' with the message that 'answer' holds. */
static void
give_entry(const json_t *answer, bus_kv_get_fn *done, void *aux)
{
    const json_t *message = json_object_get(answer, "message");
    const char *subject =
        json_string_value(json_object_get(message, "subject"));
    const char *key = subject ? strchr(subject, '.') : NULL;
    size_t headers_size;
    struct bus_kv_entry entry;
    uint8_t *headers = bus_answer_bytes(
        json_string_value(json_object_get(message, "hdrs")), &headers_size);
    uint8_t *data = bus_answer_bytes(
        json_string_value(json_object_get(message, "data")), &entry.size);

    key = key ? strchr(key + 1, '.') : NULL;
    entry.key = key ? key + 1 : "";
    entry.data = data;
    entry.revision = bus_answer_number(message, "seq");
    entry.is_deleted =
        headers && (strstr((const char *) headers, "KV-Operation: DEL") ||
                    strstr((const char *) headers, "KV-Operation: PURGE"));
    if (!key || !data || !headers || !entry.revision) {
        done(aux, EPROTO, "an answer that is not JetStream's", NULL);
    } else {
        done(aux, 0, NULL, &entry);
    }
    free(headers);
    free(data);
}

static void
take_get(void *aux, bus_any_fn *then, int error_number, const char *why,
         const struct bus_message *message)
{
    bus_kv_get_fn *done = (bus_kv_get_fn *) then;
    struct lh_error error;
    json_t *answer = NULL;

    if (!error_number) {
        error_number = bus_answer_read(message, &answer, &error);
        why = error_number ? error.text : NULL;
    }
    if (error_number) {
        done(aux, error_number, why, NULL);
    } else {
        give_entry(answer, done, aux);
    }
    json_decref(answer);
}

int
bus_kv_get(struct bus *bus, const char *bucket, const char *key,
           uint32_t timeout_ms, bus_kv_get_fn *done, void *aux,
           struct lh_error *error)
{
    char *subject = lh_asprintf("$JS.API.STREAM.MSG.GET.KV_%s", bucket);
    char *text = lh_asprintf("{\"last_by_subj\":\"$KV.%s.%s\"}", bucket, key);
    struct bus_letter letter = {
        .subject = subject, .data = text, .size = strlen(text)};
    int retval = bus_request_then(bus, &letter, timeout_ms, take_get,
                                  (bus_any_fn *) done, aux, error);

    free(subject);
    free(text);
    return retval;
}
