/* SPDX-License-Identifier: Apache-2.0 */
/* section_list - named pieces of bytes, each compressed and checked alone. */
#include <config.h>

#include "lib/section_list.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define ENTRY_LEN 18

void
section_list_add(struct section_list *list, uint8_t id, const void *raw,
                 size_t len, int level, struct compressor *compressor,
                 struct byte_buf *bytes)
{
    struct section *s = &list->sections[list->n];
    size_t start = bytes->len;

    if (!len) {
        return;
    }
    assert(list->n < SECTION_LIST_MAX && len <= SECTION_MAX_RAW);
    list->n++;
    s->id = id;
    s->is_compressed = compressor_put(compressor, level, raw, len, bytes);
    s->raw_len = (uint32_t) len;
    s->stored_len = (uint32_t) (bytes->len - start);
    s->hash = XXH64(bytes->data + start, s->stored_len, 0);
    s->offset = list->len;
    list->len += s->stored_len;
}

size_t
section_list_put_table(const struct section_list *list, struct byte_buf *out)
{
    size_t start = out->len;

    byte_buf_put_u8(out, 0);
    byte_buf_put_u8(out, (uint8_t) list->n);
    for (size_t i = 0; i < list->n; i++) {
        const struct section *s = &list->sections[i];

        byte_buf_put_u8(out, s->id);
        byte_buf_put_u8(out, s->is_compressed);
        byte_buf_put_u32(out, s->raw_len);
        byte_buf_put_u32(out, s->stored_len);
        byte_buf_put_u64(out, s->hash);
    }
    return out->len - start;
}

int
section_list_parse(struct section_list *list, const uint8_t *table, size_t len,
                   struct lh_error *error)
{
    struct bytes_reader r = bytes_reader(table, len);
    size_t n = bytes_get_u16(&r);

    memset(list, 0, sizeof *list);
    if (n > SECTION_LIST_MAX || bytes_left(&r) != n * ENTRY_LEN) {
        lh_error_set(error, "the table of sections is broken");
        return EBADMSG;
    }
    list->n = n;
    for (size_t i = 0; i < n; i++) {
        struct section *s = &list->sections[i];

        s->id = bytes_get_u8(&r);
        s->is_compressed = bytes_get_u8(&r);
        s->raw_len = bytes_get_u32(&r);
        s->stored_len = bytes_get_u32(&r);
        s->hash = bytes_get_u64(&r);
        s->offset = list->len;
        list->len += s->stored_len;
        if (s->is_compressed > 1 || s->raw_len > SECTION_MAX_RAW ||
            s->stored_len > s->raw_len ||
            (!s->is_compressed && s->stored_len != s->raw_len)) {
            lh_error_set(error, "section %u has impossible lengths", s->id);
            return EBADMSG;
        }
    }
    return 0;
}

const struct section *
section_list_find(const struct section_list *list, uint8_t id)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->sections[i].id == id) {
            return &list->sections[i];
        }
    }
    return NULL;
}

int
section_expand(const struct section *s, const uint8_t *stored, uint8_t **rawp,
               struct lh_error *error)
{
    uint8_t *raw = NULL;
    int retval = 0;

    *rawp = NULL;
    if (!s->is_checked && XXH64(stored, s->stored_len, 0) != s->hash) {
        lh_error_set(error, "checksum of section %u does not match", s->id);
        return EBADMSG;
    }
    raw = malloc(s->raw_len ? s->raw_len : 1);
    if (!raw) {
        lh_error_set(error, "no memory for %u bytes", s->raw_len);
        return ENOMEM;
    }
    if (s->is_compressed) {
        retval =
            compress_expand(stored, s->stored_len, raw, s->raw_len, error);
    } else if (s->raw_len) {
        memcpy(raw, stored, s->raw_len);
    }
    if (retval) {
        free(raw);
        return retval;
    }
    *rawp = raw;
    return 0;
}
