/* SPDX-License-Identifier: Apache-2.0 */
/* store_note - implementation. */
#include <config.h>
#include "server/store_note.h"

#include <errno.h>
#include <string.h>

#define NOTE_VERSION 2 /* 1: without copies. */

void
store_note_uninit(struct store_note *note)
{
    byte_buf_uninit(&note->accept);
    memset(note, 0, sizeof *note);
}

void
store_note_copy(struct store_note *to, const struct store_note *from)
{
    struct byte_buf accept = BYTE_BUF_INIT;

    byte_buf_put(&accept, from->accept.data, from->accept.len);
    store_note_uninit(to);
    *to = *from;
    to->accept = accept;
}

void
store_note_put(const struct store_note *note, struct byte_buf *out)
{
    byte_buf_put_u8(out, note->has_copies ? NOTE_VERSION : 1);
    byte_buf_put_u64(out, note->cluster);
    byte_buf_put_uvarint(out, note->round);
    byte_buf_put_uvarint(out, note->n_ends);
    for (size_t i = 0; i < note->n_ends; i++) {
        byte_buf_put_uvarint(out, note->ends[i].epoch);
        byte_buf_put_uvarint(out, note->ends[i].round);
    }
    if (note->has_copies) {
        byte_buf_put_uvarint(out, note->read);
        byte_buf_put_uvarint(out, note->forced);
        byte_buf_put_uvarint(out, note->forced_read);
        store_spans_put(&note->spans, out);
    }
    byte_buf_put(out, note->accept.data, note->accept.len);
}

int
store_note_read(struct store_note *note, const uint8_t *data, size_t size,
                struct lh_error *error)
{
    struct bytes_reader r = bytes_reader(data, size);
    uint8_t version = bytes_get_u8(&r);
    uint64_t n_ends;
    size_t n;

    memset(note, 0, sizeof *note);
    if (!r.failed && version > NOTE_VERSION) {
        lh_error_set(error,
                     "a newer server wrote the shard's record: version %u, "
                     "this one reads %u",
                     version, NOTE_VERSION);
        return EPROTONOSUPPORT;
    }
    note->cluster = bytes_get_u64(&r);
    note->round = byte_buf_get_uvarint(&r);
    n_ends = byte_buf_get_uvarint(&r);
    for (uint64_t i = 0; i < n_ends && i < STORE_NOTE_ENDS; i++) {
        note->ends[i].epoch = byte_buf_get_uvarint(&r);
        note->ends[i].round = byte_buf_get_uvarint(&r);
    }
    if (version == NOTE_VERSION && n_ends <= STORE_NOTE_ENDS) {
        note->has_copies = true;
        note->read = byte_buf_get_uvarint(&r);
        note->forced = byte_buf_get_uvarint(&r);
        note->forced_read = byte_buf_get_uvarint(&r);
        r.failed = store_spans_read(&note->spans, &r) || r.failed;
    }
    if (r.failed || !version || n_ends > STORE_NOTE_ENDS) {
        memset(note, 0, sizeof *note);
        lh_error_set(error, "the shard's record is damaged");
        return EBADMSG;
    }
    note->n_ends = (size_t) n_ends;
    n = bytes_left(&r);
    byte_buf_put(&note->accept, bytes_get(&r, n), n);
    return 0;
}

void
store_note_end(struct store_note *note, uint64_t epoch)
{
    if (note->n_ends == STORE_NOTE_ENDS) {
        memmove(note->ends, note->ends + 1,
                (STORE_NOTE_ENDS - 1) * sizeof *note->ends);
        note->n_ends--;
    }
    note->ends[note->n_ends++] = (struct store_end){epoch, note->round};
}

bool
store_note_counts(const struct store_note *note, uint64_t note_epoch,
                  const struct archive_commit *commit)
{
    if (!note || note->cluster != commit->cluster) {
        /* Of another bus, or of one that was emptied: what could come again
         * from there did not. */
        return true;
    }
    if (commit->epoch == note_epoch) {
        return commit->round <= note->round;
    }
    for (size_t i = 0; i < note->n_ends; i++) {
        if (note->ends[i].epoch == commit->epoch) {
            return commit->round <= note->ends[i].round;
        }
    }
    /* It never committed, unless that is longer ago than the note knows. */
    return note->n_ends == STORE_NOTE_ENDS &&
           commit->epoch < note->ends[0].epoch;
}
