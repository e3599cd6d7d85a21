/* SPDX-License-Identifier: Apache-2.0 */
/* store_message - implementation. */
#include <config.h>
#include "server/store_message.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "lib/bytes.h"
#include "server/shard_lease.h"

void
store_message_put(const struct store_message *m, struct byte_buf *out)
{
    byte_buf_put_u8(out, STORE_MESSAGE_VERSION);
    byte_buf_put_u8(out, (uint8_t) m->kind);
    byte_buf_put_u32(out, m->k);
    byte_buf_put_u64(out, m->e);
    byte_buf_put_u64(out, m->c);
    if (m->kind == STORE_TENTATIVE) {
        byte_buf_put_u32(out, m->part);
    } else {
        byte_buf_put_u64(out, m->e_now);
    }
}

int
store_message_read(const uint8_t *data, size_t size, struct store_message *m,
                   struct lh_error *error)
{
    struct bytes_reader r = bytes_reader(data, size);
    uint8_t version = bytes_get_u8(&r);
    uint8_t kind = bytes_get_u8(&r);

    *m = (struct store_message){.kind = (enum store_message_kind) kind};
    if (!r.failed && version > STORE_MESSAGE_VERSION) {
        lh_error_set(error, "version %u is newer than this server's %u",
                     version, STORE_MESSAGE_VERSION);
        return EPROTONOSUPPORT;
    }
    m->k = bytes_get_u32(&r);
    m->e = bytes_get_u64(&r);
    m->c = bytes_get_u64(&r);
    if (kind == STORE_TENTATIVE) {
        m->part = bytes_get_u32(&r);
        m->size = bytes_left(&r);
        m->data = bytes_get(&r, m->size);
    } else {
        m->e_now = bytes_get_u64(&r);
    }

    const char *why = NULL;

    if (r.failed) {
        why = "it is too short";
    } else if (!version || (kind != STORE_TENTATIVE && kind != STORE_MARKER)) {
        why = "it is of no known kind";
    } else if (kind == STORE_MARKER && bytes_left(&r)) {
        why = "it is too long";
    } else if (m->k >= SHARD_LEASE_MAX_SHARDS) {
        why = "there is no such shard";
    } else if (kind == STORE_TENTATIVE && (!m->c || !m->e)) {
        why = "a checkpoint or an epoch is 0";
    } else if (kind == STORE_MARKER && m->e > m->e_now) {
        why = "its owner is older than the one before";
    }
    if (why) {
        lh_error_set(error, "%s", why);
        return EBADMSG;
    }
    return 0;
}

void
store_parts_put(const struct store_parts *p, char text[STORE_PARTS_SIZE])
{
    snprintf(text, STORE_PARTS_SIZE,
             "%" PRIu64 " %" PRIu64 " %" PRIu32 " %" PRIu64 " %" PRIu32,
             p->before, p->c[0], p->n[0], p->c[1], p->n[1]);
}

bool
store_parts_read(const char *text, struct store_parts *p)
{
    return text &&
           sscanf(text,
                  "%" SCNu64 " %" SCNu64 " %" SCNu32 " %" SCNu64 " %" SCNu32,
                  &p->before, &p->c[0], &p->n[0], &p->c[1], &p->n[1]) == 5;
}
