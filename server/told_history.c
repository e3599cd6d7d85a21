/* SPDX-License-Identifier: Apache-2.0 */
/* told_history - one history on its way to clients. */
#include <config.h>

#include "server/told_history.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/history_codec.h"
#include "lib/history_frame.h"

void
told_history_init(struct told_history *told, const struct history *history,
                  const struct topology *topology)
{
    *told = (struct told_history){
        .history = history,
        .topology = topology,
        .has_clocks = history_frame_wants_clocks(history, topology),
    };
}

void
told_history_uninit(struct told_history *told)
{
    history_destroy(told->bare);
    free(told->text);
    free(told->bare_text);
    for (size_t i = 0; i < HISTORY_FRAME_CLOCKS; i++) {
        byte_buf_uninit(&told->bytes[i]);
        byte_buf_uninit(&told->bare_bytes[i]);
    }
}

/* The history as a client with or without the right to bytes may see it. */
static const struct history *
seen(struct told_history *told, bool may_see)
{
    if (may_see) {
        return told->history;
    }
    if (!told->bare) {
        told->bare = history_clone(told->history);
        history_withhold(told->bare);
    }
    return told->bare;
}

static const char *
text_of(struct told_history *told, bool may_see)
{
    char **text = may_see ? &told->text : &told->bare_text;

    if (!*text) {
        json_t *json = history_to_json(seen(told, may_see), told->topology);

        *text = json_dumps(json, JSON_COMPACT);
        assert(*text);
        json_decref(json);
    }
    return *text;
}

/* NULL when it is too large for bytes. */
static const struct byte_buf *
bytes_of(struct told_history *told, bool may_see, unsigned int version)
{
    struct byte_buf *bytes =
        (may_see ? told->bytes : told->bare_bytes) + version - 1;

    if (!bytes->len && history_frame_write(seen(told, may_see), told->topology,
                                           version, bytes)) {
        return NULL;
    }
    return bytes;
}

bool
told_history_offer(struct told_history *told, struct api_peer *peer,
                   json_t *call_id, uint32_t trigger, const char *name)
{
    bool may_see = api_peer_has(peer, API_RIGHT_BYTES);
    const struct byte_buf *bytes = NULL;
    unsigned int version = api_peer_frame(peer);

    if (trigger && api_peer_is_busy(peer)) {
        api_peer_miss(peer, call_id, 1);
        return false;
    }
    if (!told->has_clocks && version > HISTORY_FRAME_PLAIN) {
        version = HISTORY_FRAME_PLAIN;
    }
    if (version && json_is_integer(call_id)) {
        bytes = bytes_of(told, may_see, version);
    }
    if (bytes) {
        uint8_t head[HISTORY_FRAME_HEAD];

        history_frame_head(version, bytes->len,
                           (uint64_t) json_integer_value(call_id), trigger,
                           head);
        api_peer_send_frame(peer, head, sizeof head, bytes->data, bytes->len);
    } else {
        json_t *members = trigger
                              ? json_pack("{s:I, s:s?}", "trigger",
                                          (json_int_t) trigger, "name", name)
                              : NULL;

        api_peer_send_text(peer, call_id, "history", members,
                           text_of(told, may_see));
    }
    return true;
}
