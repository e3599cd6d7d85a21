/* SPDX-License-Identifier: Apache-2.0 */
/* compress - bytes made smaller, and back: a door to zstd. */
#include <config.h>

#include "lib/compress.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
/* For ZSTD_c_literalCompressionMode. */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "lib/lh_alloc.h"

/* Of levels below 0. */
#define CODES_HASH_LOG  6
#define CODES_MIN_MATCH 4

struct compressor {
    ZSTD_CCtx *context; /* Owned. */
    ZSTD_CCtx *codes;   /* Of levels below 0; NULL: not yet.  Owned. */
};

struct compressor *
compressor_create(void)
{
    struct compressor *c = lh_alloc_zero(sizeof *c);

    c->context = ZSTD_createCCtx();
    if (!c->context) {
        abort();
    }
    return c;
}

void
compressor_destroy(struct compressor *c)
{
    if (c) {
        ZSTD_freeCCtx(c->context);
        ZSTD_freeCCtx(c->codes);
        free(c);
    }
}

static size_t
put_codes(struct compressor *c, int level, uint8_t *to, size_t room,
          const void *raw, size_t len)
{
    if (!c->codes) {
        c->codes = ZSTD_createCCtx();
        if (!c->codes) {
            abort();
        }
        ZSTD_CCtx_setParameter(c->codes, ZSTD_c_hashLog, CODES_HASH_LOG);
        ZSTD_CCtx_setParameter(c->codes, ZSTD_c_minMatch, CODES_MIN_MATCH);
        ZSTD_CCtx_setParameter(c->codes, ZSTD_c_literalCompressionMode,
                               ZSTD_ps_enable);
    }
    ZSTD_CCtx_setParameter(c->codes, ZSTD_c_compressionLevel, level);
    return ZSTD_compress2(c->codes, to, room, raw, len);
}

bool
compressor_put(struct compressor *c, int level, const void *raw, size_t len,
               struct byte_buf *out)
{
    if (level && len) {
        size_t start = out->len;
        size_t room = ZSTD_compressBound(len);
        uint8_t *to = byte_buf_extend(out, room);
        size_t n = level < 0 ? put_codes(c, level, to, room, raw, len)
                             : ZSTD_compressCCtx(c->context, to, room, raw,
                                                 len, level);

        if (!ZSTD_isError(n) && n < len) {
            out->len = start + n;
            return true;
        }
        out->len = start;
    }
    byte_buf_put(out, raw, len);
    return false;
}

/* Each thread has a context of its own: making one asks the processor what it
 * can do, which takes a virtual machine longer than to expand a few
 * kilobytes. */
static pthread_key_t expander_key;
static pthread_once_t expander_once = PTHREAD_ONCE_INIT;

static void
free_expander(void *context)
{
    ZSTD_freeDCtx(context);
}

static void
make_expander_key(void)
{
    if (pthread_key_create(&expander_key, free_expander)) {
        abort();
    }
}

static ZSTD_DCtx *
expander(void)
{
    ZSTD_DCtx *context;

    pthread_once(&expander_once, make_expander_key);
    context = pthread_getspecific(expander_key);
    if (!context) {
        context = ZSTD_createDCtx();
        if (!context || pthread_setspecific(expander_key, context)) {
            abort();
        }
    }
    return context;
}

int
compress_expand(const uint8_t *stored, size_t len, uint8_t *raw,
                size_t raw_len, struct lh_error *error)
{
    size_t n = ZSTD_decompressDCtx(expander(), raw, raw_len, stored, len);

    if (ZSTD_isError(n)) {
        lh_error_set(error, "payload does not decompress: %s",
                     ZSTD_getErrorName(n));
        return EBADMSG;
    }
    if (n != raw_len) {
        lh_error_set(error, "payload does not decompress: wrong length");
        return EBADMSG;
    }
    return 0;
}
