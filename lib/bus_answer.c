/* SPDX-License-Identifier: Apache-2.0 */
/* bus_answer - implementation. */
#include <config.h>
#include "lib/bus_answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

/* $JS.ACK.STREAM.CONSUMER.N.SEQ.CSEQ.TIME.PENDING, and with a domain. */
#define ACK_TOKENS  9
#define LONG_TOKENS 11

/* Of nats-server: server/errors.json there. */
static const struct {
    unsigned int code;
    int error_number;
} codes[] = {
    {10014, ENOENT},                  /* Consumer not found. */
    {10037, ENOENT},                  /* No message found. */
    {10043, ENOENT},                  /* Message not found. */
    {10059, ENOENT},                  /* Stream not found. */
    {10013, EEXIST}, {10058, EEXIST}, /* Consumer, stream name in use. */
    {10071, ESTALE},                  /* Wrong last sequence. */
    {10023, ENOSPC}, {10047, ENOSPC}, /* Insufficient resources, storage. */
    {10077, ENOSPC},                  /* Stream store failed: a limit. */
};

uint64_t
bus_answer_number(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));

    return value > 0 ? (uint64_t) value : 0;
}

static int
errno_of(unsigned int code, unsigned int status)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (codes[i].code == code) {
            return codes[i].error_number;
        }
    }
    return status == 404 ? ENOENT : EPROTO;
}

int
bus_answer_read(const struct bus_message *message, json_t **answer,
                struct lh_error *error)
{
    json_t *json =
        json_loadb((const char *) message->data, message->size, 0, NULL);
    const json_t *refusal = json_object_get(json, "error");
    int retval = 0;

    *answer = NULL;
    if (!json_is_object(json)) {
        lh_error_set(error, "NATS: an answer that is not JetStream's");
        retval = EPROTO;
    } else if (refusal) {
        const char *text =
            json_string_value(json_object_get(refusal, "description"));

        retval =
            errno_of((unsigned int) bus_answer_number(refusal, "err_code"),
                     (unsigned int) bus_answer_number(refusal, "code"));
        lh_error_set(error, "NATS: %s", text ? text : "refused");
    }
    if (retval) {
        json_decref(json);
        return retval;
    }
    *answer = json;
    return 0;
}

bool
bus_answer_numbers(const char *subject, struct bus_answer_numbers *numbers)
{
    const char *tokens[LONG_TOKENS];
    size_t n = 0, first;

    for (const char *p = subject; p && n < LONG_TOKENS; n++) {
        tokens[n] = p;
        p = strchr(p, '.');
        p = p ? p + 1 : NULL;
    }
    if (n < ACK_TOKENS || strncmp(subject, "$JS.ACK.", 8) != 0) {
        return false;
    }
    first = n == LONG_TOKENS ? 7 : 5;
    numbers->seq = strtoull(tokens[first], NULL, 10);
    numbers->cseq = strtoull(tokens[first + 1], NULL, 10);
    numbers->time_ns = strtoull(tokens[first + 2], NULL, 10);
    numbers->pending = strtoull(tokens[first + 3], NULL, 10);
    return numbers->seq && numbers->cseq;
}

static int
base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int) (at - digits) : -1;
}

uint8_t *
bus_answer_bytes(const char *text, size_t *size)
{
    size_t len = text ? strlen(text) : 0;
    uint8_t *out = lh_alloc(len / 4 * 3 + 4);
    uint32_t bits = 0;
    unsigned int n_bits = 0;

    *size = 0;
    while (len && text[len - 1] == '=') {
        len--;
    }
    for (size_t i = 0; i < len; i++) {
        int digit = base64_digit(text[i]);

        if (digit < 0) {
            free(out);
            return NULL;
        }
        bits = (bits << 6 | (uint32_t) digit) & 0xffffff;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[(*size)++] = (uint8_t) (bits >> n_bits);
        }
    }
    out[*size] = '\0';
    return out;
}
