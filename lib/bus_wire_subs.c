/* SPDX-License-Identifier: Apache-2.0 */
/* bus_wire_subs - subscriptions, and what comes for them. */
#include <config.h>

#include <nats/nats.h>
#include <stdlib.h>

#include "lib/bus_wire_impl.h"
#include "lib/lh_alloc.h"

static void
on_message(natsConnection *connection, natsSubscription *sub, natsMsg *msg,
           void *wire_sub_)
{
    struct wire_sub *wire_sub = wire_sub_;
    struct bus_wire *wire = wire_sub->wire;
    struct bus_in *in = calloc(1, sizeof *in);
    size_t size = (size_t) natsMsg_GetDataLength(msg);
    int64_t n_dropped = 0;

    natsSubscription_GetDropped(sub, &n_dropped);
    if (in) {
        in->kind = BUS_IN_MESSAGE;
        in->tag = wire_sub->tag;
        in->nats_data = msg;
        bus_message_init(&in->message, msg);
    }
    pthread_mutex_lock(&wire->lock);
    wire->counters.received++;
    wire->counters.received_bytes += size;
    wire->counters.dropped_slow += (uint64_t) n_dropped - wire_sub->n_dropped;
    wire_sub->n_dropped = n_dropped;
    if (in &&
        (wire_sub->is_reply || wire->in_bytes + size <= wire->max_in_bytes)) {
        bus_wire_put_in(wire, in);
        in = NULL;
        msg = NULL;
    } else {
        wire->counters.dropped_in++;
    }
    pthread_mutex_unlock(&wire->lock);
    free(in);
    natsMsg_Destroy(msg);
}

/* Nobody calls it, or wants it, any more.  The lock is held. */
static void
forget(struct wire_sub *wire_sub)
{
    struct wire_sub **p = &wire_sub->wire->subs;

    while (*p != wire_sub) {
        p = &(*p)->next;
    }
    *p = wire_sub->next;
    free(wire_sub->subject);
    free(wire_sub);
}

/* The lock is held. */
static void
end_if_done(struct wire_sub *wire_sub)
{
    if (wire_sub->is_done && !wire_sub->is_wanted) {
        bus_wire_tell(wire_sub->wire, BUS_IN_DONE, wire_sub->tag, NULL);
        forget(wire_sub);
    }
}

static void
on_sub_done(void *wire_sub_)
{
    struct wire_sub *wire_sub = wire_sub_;
    struct bus_wire *wire = wire_sub->wire;

    pthread_mutex_lock(&wire->lock);
    wire_sub->is_done = true;
    wire->n_live--;
    end_if_done(wire_sub);
    pthread_cond_broadcast(&wire->changed);
    pthread_mutex_unlock(&wire->lock);
}

void
bus_wire_open_sub(struct bus_wire *wire, uint64_t tag, const char *subject,
                  bool is_reply)
{
    struct wire_sub *sub = lh_alloc_zero(sizeof *sub);
    natsSubscription *nats_sub = NULL;
    natsStatus status;

    sub->wire = wire;
    sub->tag = tag;
    sub->subject = lh_strdup(subject);
    sub->is_reply = is_reply;
    sub->is_wanted = true;
    pthread_mutex_lock(&wire->lock);
    sub->next = wire->subs;
    wire->subs = sub;
    wire->n_live++;
    pthread_mutex_unlock(&wire->lock);
    status = natsConnection_Subscribe(&nats_sub, wire->connection, subject,
                                      on_message, sub);
    sub->sub = nats_sub;
    if (status != NATS_OK ||
        natsSubscription_SetOnCompleteCB(nats_sub, on_sub_done, sub)) {
        on_sub_done(sub);
    }
}

static void
destroy_sub(struct bus_wire *wire, natsSubscription *nats_sub)
{
    natsSubscription_Unsubscribe(nats_sub);
    natsSubscription_Destroy(bus_retire(&wire->retired, nats_sub));
}

bool
bus_wire_end_sub(struct bus_wire *wire, uint64_t tag)
{
    natsSubscription *nats_sub = NULL;
    struct wire_sub *sub;

    pthread_mutex_lock(&wire->lock);
    sub = wire->subs;
    while (sub && (!sub->is_wanted || (tag && sub->tag != tag))) {
        sub = sub->next;
    }
    if (sub) {
        nats_sub = sub->sub;
        sub->sub = NULL;
        sub->is_wanted = false;
        end_if_done(sub);
    }
    pthread_mutex_unlock(&wire->lock);
    destroy_sub(wire, nats_sub);
    return sub;
}

/* Takes out of the list what is wanted and ended with the connection, by
 * libnats; NULL: there is none. */
static struct wire_sub *
take_ended(struct bus_wire *wire)
{
    struct wire_sub **p = &wire->subs, *sub;

    pthread_mutex_lock(&wire->lock);
    while (*p && (!(*p)->is_done || !(*p)->is_wanted)) {
        p = &(*p)->next;
    }
    sub = *p;
    if (sub) {
        *p = sub->next;
    }
    pthread_mutex_unlock(&wire->lock);
    return sub;
}

void
bus_wire_open_subs_again(struct bus_wire *wire)
{
    struct wire_sub *ended = NULL, *sub;

    while ((sub = take_ended(wire))) {
        sub->next = ended;
        ended = sub;
    }
    while ((sub = ended)) {
        ended = sub->next;
        destroy_sub(wire, sub->sub);
        bus_wire_open_sub(wire, sub->tag, sub->subject, sub->is_reply);
        free(sub->subject);
        free(sub);
    }
}
