/* SPDX-License-Identifier: Apache-2.0 */
/* session_run - a session goes on: as part of an instrumented switch, or with
 * everything passing. */
#include <config.h>

#include <stdlib.h>
#include <event2/buffer.h>

#include "lib/lh_alloc.h"
#include "lib/time_spec.h"
#include "recorder/of_wire.h"
#include "recorder/session_state.h"

bool
session_is_same(const struct session *s, const struct session *other)
{
    return !session_is_guest(s) && s->route == other->route &&
           s->aux_id == other->aux_id;
}

void
session_read(struct session *s, struct instr *instr)
{
    s->link = instr_link_create(instr, s->version, s->aux_id != 0, s);
    instr_kept_adopt(&s->kept, s->link);
    s->state = SESSION_READ;
}

/* The next of the whole messages that were added to 'buffer', for free(), or
 * NULL. */
static uint8_t *
remove_message(struct evbuffer *buffer, size_t *len)
{
    uint8_t header[OF_WIRE_HEADER_LEN];
    uint8_t *msg;

    if (evbuffer_copyout(buffer, header, sizeof header) != sizeof header) {
        return NULL;
    }
    *len = of_wire_get16(header + 2);
    msg = lh_alloc(*len);
    evbuffer_remove(buffer, msg, *len);
    return msg;
}

/* What the switch sent while SESSION_WAIT, if that is over. */
static void
release_early(struct session *s)
{
    uint8_t *msg;
    size_t len;

    while (s->state != SESSION_END && s->state != SESSION_WAIT &&
           (msg = remove_message(s->early, &len))) {
        session_take_from_switch(s, msg, len);
        free(msg);
    }
}

/* The first whole message, which stays there; NULL when there is none. */
static const uint8_t *
peek_message(struct evbuffer *buffer)
{
    uint8_t header[OF_WIRE_HEADER_LEN];

    return evbuffer_copyout(buffer, header, sizeof header) == sizeof header
               ? evbuffer_pullup(buffer, of_wire_get16(header + 2))
               : NULL;
}

/* What the controller sent during the set-up, as far as it may go. */
static void
release(struct session *s)
{
    const uint8_t *first;

    while (s->state != SESSION_END && (first = peek_message(s->waiting)) &&
           !session_must_wait(s, first)) {
        size_t len = 0;
        uint8_t *msg = remove_message(s->waiting, &len);

        session_take_from_controller(s, msg, len);
        free(msg);
    }
}

void
session_resume(struct session *s)
{
    release_early(s);
    if (s->state == SESSION_RUN || s->state == SESSION_PASS) {
        release(s);
    }
    if (s->up) {
        of_conn_resume(s->up);
    }
    if (s->down) {
        of_conn_resume(s->down);
    }
    session_linger_on(s);
}

void
session_run(struct session *s)
{
    struct instr_out out = INSTR_OUT_INIT;

    if (s->state == SESSION_END) {
        return;
    }
    s->state = SESSION_RUN;
    if (!s->link) {
        s->link = instr_link_create(datapath_instr(s->dp), s->version,
                                    s->aux_id != 0, s);
        instr_kept_adopt(&s->kept, s->link);
        instr_link_start(s->link, time_spec_now(), &out);
        datapath_apply(s->dp, &out);
    }
    session_resume(s);
}

void
session_pass(struct session *s)
{
    if (s->state != SESSION_END) {
        s->state = SESSION_PASS;
        session_resume(s);
    }
}

void
session_settle(struct session *s)
{
    uint8_t msg[OF_WIRE_HEADER_LEN];

    if (s->state != SESSION_PASS || !instr_knows_version(s->version)) {
        return;
    }
    s->state = SESSION_SETTLE;
    of_wire_put_header(msg, s->version, of_wire_barrier_request(s->version),
                       sizeof msg, 0);
    session_send_own(s, SESSION_SETTLE_TAG, msg, sizeof msg);
}

void
session_settled(struct session *s)
{
    if (s->state == SESSION_SETTLE) {
        s->state = SESSION_WAIT;
        datapath_retry_settled(s->dp);
    }
}
