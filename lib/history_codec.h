/* SPDX-License-Identifier: Apache-2.0 */
/* history_codec - histories as compact bytes, many together, and back.
 *
 * The payload of an archive's block of histories: a dictionary of switches,
 * then one record per history, each of which can be skipped, timed and read
 * without the others.  What is read equals what was written in every member:
 * each captured byte, port, version, time, verdict, parent, gap and mark.
 * docs/formats/archive.md is the format.
 *
 * Threads: one thread per encoder or decoder. */
#ifndef LIB_HISTORY_CODEC_H
#define LIB_HISTORY_CODEC_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/history.h"
#include "lib/lh_error.h"

/* What one history may hold; larger ones are refused by both sides. */
#define HISTORY_CODEC_MAX_HOPS  65536u
#define HISTORY_CODEC_MAX_BYTES (16u << 20) /* Of headers together. */

/* What an encoder holds so far. */
struct history_encoder_totals {
    uint32_t n_records;
    uint32_t n_hops;
    uint64_t min_ns; /* Earliest first postcard; 0 while empty. */
    uint64_t max_ns; /* Latest last postcard. */
    size_t size;     /* Bytes history_encoder_finish() would write. */
};

struct history_encoder;

struct history_encoder *history_encoder_create(void);
void history_encoder_destroy(struct history_encoder *);
/* Adds a copy of 'h'.  Returns 0, or EFBIG, with nothing added, when it holds
 * more than the limits above. */
int history_encoder_add(struct history_encoder *, const struct history *h);

/* A history as one record of any payload: what does not depend on the other
 * records is made once. */
struct history_form;

/* The form of 'h', for history_form_destroy(); NULL when it holds more than
 * the limits above. */
struct history_form *history_form_create(const struct history *h);
/* NULL is fine. */
void history_form_destroy(struct history_form *);
/* Asks for its memory, for history_encoder_add_form() a little later. */
void history_form_prefetch(const struct history_form *);
/* Adds the history that the form was made of. */
void history_encoder_add_form(struct history_encoder *,
                              const struct history_form *);
const struct history_encoder_totals *
history_encoder_totals(const struct history_encoder *);
/* Appends the payload of all that was added to 'out'; the encoder keeps it. */
void history_encoder_finish(const struct history_encoder *,
                            struct byte_buf *out);
/* Forgets what was added. */
void history_encoder_reset(struct history_encoder *);

/* One record of a payload, not yet decoded. */
struct history_record {
    size_t offset; /* In the payload, for history_decoder_read(). */
    uint64_t first_ns, last_ns;
};

struct history_decoder;

/* Reads the dictionary of the payload, which is borrowed and must stay.
 * Returns 0, or EBADMSG with the reason. */
int history_decoder_create(const uint8_t *payload, size_t len,
                           struct history_decoder **, struct lh_error *);
void history_decoder_destroy(struct history_decoder *);
/* The next record.  Returns 0, ENODATA after the last one, or EBADMSG. */
int history_decoder_next(struct history_decoder *, struct history_record *,
                         struct lh_error *);
/* Decodes the record at 'offset', as a history_record named it, into '*hp',
 * the caller's.  Returns 0 or EBADMSG. */
int history_decoder_read(const struct history_decoder *, size_t offset,
                         struct history **hp, struct lh_error *);

/* Appends to 'key' bytes by which the record at 'offset' is known again in any
 * payload: where they are equal, the two histories differ in nothing but when
 * they began; and they are, if an encoder wrote both and no hop is without a
 * time that others have.  False, with nothing appended, when the record is
 * broken; true does not say that it is not. */
bool history_decoder_key(const struct history_decoder *, size_t offset,
                         struct byte_buf *key);

/* Memory for one history after the other. */
struct history_view;

struct history_view *history_view_create(void);
void history_view_destroy(struct history_view *);
/* As history_decoder_read(), into the memory of 'view': '*hp' is good until
 * its next use, and members that it owns are not for free(). */
int history_decoder_view(const struct history_decoder *, size_t offset,
                         struct history_view *view, struct history **hp,
                         struct lh_error *);

#endif /* lib/history_codec.h */
