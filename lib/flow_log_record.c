/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_record - what a row of the log has of a rule, as bytes: the column
 * `body`, and the records of snapshots (docs/formats/flow-log.md). */
#include <config.h>

#include "lib/flow_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"

#define BODY_FORMAT 1

/* Flags of a body. */
#define IS_TRANSIT      1
#define IS_INSTRUMENTED 2

/* Flags of a step. */
#define HAS_PORT      0x10 /* Above the type of the step. */
#define HAS_ETHERTYPE 0x20
#define HAS_MASK      0x40

static void
put_text(struct byte_buf *buf, const char *text)
{
    size_t len = text ? strlen(text) : 0;

    byte_buf_put_uvarint(buf, len);
    byte_buf_put(buf, text, len);
}

static void
put_step(struct byte_buf *buf, const struct step *step)
{
    size_t size;
    bool is_whole;

    switch (step->type) {
    case STEP_OUTPUT:
    case STEP_GROUP:
        byte_buf_put_u8(buf, (uint8_t) (step->type | HAS_PORT));
        byte_buf_put_uvarint(buf, step->port);
        break;
    case STEP_SET:
        size = step_field_size(step->field);
        is_whole = step_is_whole(step);
        byte_buf_put_u8(buf,
                        (uint8_t) (step->type | (is_whole ? 0 : HAS_MASK)));
        byte_buf_put_u8(buf, (uint8_t) step->field);
        byte_buf_put(buf, step->value, size);
        if (!is_whole) {
            byte_buf_put(buf, step->mask, size);
        }
        break;
    case STEP_PUSH_VLAN:
    case STEP_PUSH_MPLS:
    case STEP_POP_MPLS:
        byte_buf_put_u8(buf, (uint8_t) (step->type | HAS_ETHERTYPE));
        byte_buf_put_uvarint(buf, step->ethertype);
        break;
    case STEP_UNKNOWN:
        byte_buf_put_u8(buf, (uint8_t) step->type);
        put_text(buf, step->text);
        break;
    case STEP_POP_VLAN:
    case STEP_DEC_TTL:
        byte_buf_put_u8(buf, (uint8_t) step->type);
        break;
    }
}

void
flow_log_record_put_body(struct byte_buf *buf, const struct rule *r,
                         uint64_t change, uint64_t time_ns)
{
    byte_buf_put_u8(buf, BODY_FORMAT);
    byte_buf_put_u8(buf, (uint8_t) r->kind);
    byte_buf_put_u8(buf,
                    (uint8_t) ((r->is_transit ? IS_TRANSIT : 0) |
                               (r->is_instrumented ? IS_INSTRUMENTED : 0)));
    byte_buf_put_u8(buf, r->table_id);
    byte_buf_put_uvarint(buf, r->priority);
    byte_buf_put_u64(buf, r->cookie);
    byte_buf_put_uvarint(buf, r->idle_timeout);
    byte_buf_put_uvarint(buf, r->hard_timeout);
    byte_buf_put_uvarint(buf, r->flags);
    byte_buf_put_uvarint(buf, r->importance);
    byte_buf_put_svarint(buf, (int64_t) (r->change - change));
    byte_buf_put_svarint(buf, (int64_t) (r->installed_ns - time_ns));
    put_text(buf, r->command);
    put_text(buf, r->who);
    byte_buf_put_uvarint(buf, r->n_steps);
    for (size_t i = 0; i < r->n_steps; i++) {
        put_step(buf, &r->steps[i]);
    }
    byte_buf_put(buf, r->raw, r->raw_len);
}

bool
flow_log_record_is_instrumented(const uint8_t *body, size_t len)
{
    return len > 2 && (body[2] & IS_INSTRUMENTED);
}

static char *
get_text(struct bytes_reader *reader)
{
    uint64_t len = byte_buf_get_uvarint(reader);
    const uint8_t *text = bytes_get(reader, len);
    char *copy;

    if (!text) {
        return NULL;
    }
    copy = lh_alloc(len + 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

static bool
get_step(struct bytes_reader *reader, struct step *step)
{
    uint8_t head = bytes_get_u8(reader);
    const uint8_t *value;
    uint64_t len;
    size_t size;

    *step = (struct step){.type = head & 0xf};
    if ((head & 0xf) > STEP_UNKNOWN) {
        return false;
    }
    if (step->type == STEP_SET) {
        step->field = bytes_get_u8(reader);
        if (step->field >= N_FIELDS) {
            return false;
        }
        size = step_field_size(step->field);
        value = bytes_get(reader, size);
        if (value) {
            memcpy(step->value, value, size);
        }
        memset(step->mask, 0xff, size);
        value = head & HAS_MASK ? bytes_get(reader, size) : NULL;
        if (value) {
            memcpy(step->mask, value, size);
        }
    } else if (step->type == STEP_UNKNOWN) {
        len = byte_buf_get_uvarint(reader);
        value = bytes_get(reader, len);
        if (value) {
            memcpy(step->text, value,
                   len < sizeof step->text ? len : sizeof step->text - 1);
        }
    } else if (head & HAS_PORT) {
        step->port = (uint32_t) byte_buf_get_uvarint(reader);
    } else if (head & HAS_ETHERTYPE) {
        step->ethertype = (uint16_t) byte_buf_get_uvarint(reader);
    }
    return !reader->failed;
}

static void
set_text(char **member, char *text)
{
    free(*member);
    *member = text ? text : lh_strdup("");
}

static bool
get_body(struct bytes_reader *reader, struct rule *r, uint64_t change,
         uint64_t time_ns)
{
    uint8_t format = bytes_get_u8(reader);
    uint8_t kind = bytes_get_u8(reader);
    uint8_t flags = bytes_get_u8(reader);
    uint64_t n_steps;

    r->kind = kind;
    r->is_transit = flags & IS_TRANSIT;
    r->is_instrumented = flags & IS_INSTRUMENTED;
    r->table_id = bytes_get_u8(reader);
    r->priority = (uint16_t) byte_buf_get_uvarint(reader);
    r->cookie = bytes_get_u64(reader);
    r->idle_timeout = (uint16_t) byte_buf_get_uvarint(reader);
    r->hard_timeout = (uint16_t) byte_buf_get_uvarint(reader);
    r->flags = (uint16_t) byte_buf_get_uvarint(reader);
    r->importance = (uint16_t) byte_buf_get_uvarint(reader);
    r->change = change + (uint64_t) byte_buf_get_svarint(reader);
    r->installed_ns = time_ns + (uint64_t) byte_buf_get_svarint(reader);
    set_text(&r->command, get_text(reader));
    set_text(&r->who, get_text(reader));
    n_steps = byte_buf_get_uvarint(reader);
    if (format != BODY_FORMAT || kind > RULE_PACKET_OUT) {
        return false;
    }
    for (uint64_t i = 0; i < n_steps && !reader->failed; i++) {
        struct step step;

        if (!get_step(reader, &step)) {
            return false;
        }
        rule_add_step(r, &step);
    }
    r->raw_len = bytes_left(reader);
    r->raw = lh_memdup(bytes_get(reader, r->raw_len), r->raw_len);
    return !reader->failed;
}

/* --- Records. --- */

void
flow_log_record_put(struct byte_buf *buf, const struct flow_log_row *row)
{
    put_text(buf, row->text);
    put_text(buf, row->actions);
    byte_buf_put(buf, row->body, row->body_len);
}

int
flow_log_record_get(const uint8_t *data, size_t len, uint64_t dpid,
                    const struct flow_log_item *item, struct rule **rulep,
                    struct lh_error *error)
{
    struct bytes_reader reader = bytes_reader(data, len);
    struct rule *r = rule_create();

    r->dpid = dpid;
    r->version = item->id;
    set_text(&r->match, get_text(&reader));
    set_text(&r->actions, get_text(&reader));
    if (!get_body(&reader, r, item->change, item->time_ns)) {
        lh_error_set(error, "rule %u of switch %016llx is damaged",
                     (unsigned) item->id, (unsigned long long) dpid);
        rule_unref(r);
        *rulep = NULL;
        return EBADMSG;
    }
    *rulep = r;
    return 0;
}

void
flow_log_record_get_object(const uint8_t *data, size_t len,
                           struct flow_log_object *object)
{
    struct bytes_reader reader = bytes_reader(data, len);

    object->text = get_text(&reader);
    object->how = get_text(&reader);
    object->raw_len = bytes_left(&reader);
    object->raw =
        lh_memdup(bytes_get(&reader, object->raw_len), object->raw_len);
}
