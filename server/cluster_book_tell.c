/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_book_tell - what is told of the agents of this server. */
#include <config.h>

#include "lib/bus.h"
#include "lib/lh_alloc.h"
#include "server/cluster_book_impl.h"

#define SEND_MS 2000
/* Of a message. */
#define MAX_LOSSES 1024u
/* Between lists of all switches. */
#define SWITCHES_NS UINT64_C(2000000000)

static void
note_own(struct cluster_book *b, const struct book_loss *loss)
{
    cluster_book_add_loss(&b->told_losses, loss, CLUSTER_BOOK_AGAIN_NS);
    b->n_losses++;
}

static void
send_now(struct cluster_book *b, uint64_t now_ns)
{
    struct byte_buf out = BYTE_BUF_INIT;
    struct bus_letter letter = {.subject = CLUSTER_BOOK_SUBJECT};

    cluster_book_put(b, now_ns, &out);
    letter.data = out.data;
    letter.size = out.len;
    /* What finds no room is not known then. */
    if (b->bus) {
        bus_send(b->bus, &letter, NULL, SEND_MS, NULL);
    }
    byte_buf_uninit(&out);
}

void
cluster_book_lose(struct cluster_book *b, const uint8_t id[AGENT_ID_LEN],
                  const struct agent_loss *told, uint64_t now_ns)
{
    struct book_loss loss = {.key = cluster_book_key(id),
                             .place = told->place,
                             .first_ns = told->first_ns,
                             .last_ns = told->last_ns,
                             .noted_ns = now_ns};
    uint64_t n_named = 0;

    for (size_t i = 0; i < told->n; i++) {
        struct agent_loss_switch sw = agent_loss_switch(told, i);

        loss.dpid = sw.dpid;
        n_named += sw.count;
        note_own(b, &loss);
    }
    if (n_named < told->count) {
        loss.dpid = 0;
        loss.is_any = true;
        note_own(b, &loss);
    }
    /* Before the agent is told that it was taken. */
    send_now(b, now_ns);
}

/* How it is now is told when NATS has all that came. */
static void
remember(struct cluster_book *b, uint64_t token, uint64_t now_ns)
{
    size_t n = b->own ? agent_book_count(b->own) : 0;

    b->token = token;
    b->token_ns = now_ns;
    b->is_waiting = true;
    b->n_pending = 0;
    for (size_t i = 0; i < n; i++) {
        const struct agent_entry *e = agent_book_at(b->own, i);

        if (e->is_connected && e->arrived_ns) {
            b->pending =
                lh_alloc_grow(b->pending, b->n_pending, &b->allocated_pending,
                              sizeof *b->pending);
            b->pending[b->n_pending++] =
                (struct book_agent){.key = cluster_book_key(e->id),
                                    .samples = {{now_ns, e->arrived_ns}}};
        }
    }
}

static void
settle(struct cluster_book *b, uint64_t settled)
{
    if (b->is_waiting && settled >= b->token) {
        struct book_agent *told = b->told;
        size_t allocated = b->allocated_told;

        b->told = b->pending;
        b->allocated_told = b->allocated_pending;
        b->n_told = b->n_pending;
        b->told_ns = b->token_ns;
        b->pending = told;
        b->allocated_pending = allocated;
        b->n_pending = 0;
        b->is_waiting = false;
    }
}

void
cluster_book_look(struct cluster_book *b, uint64_t token, uint64_t settled,
                  uint64_t now_ns)
{
    settle(b, settled);
    if (!b->is_waiting) {
        remember(b, token, now_ns);
        settle(b, settled);
    }
}

static void
put_agents(const struct cluster_book *b, struct byte_buf *out)
{
    byte_buf_put_uvarint(out, b->n_told);
    for (size_t i = 0; i < b->n_told; i++) {
        byte_buf_put_u64(out, b->told[i].key);
        byte_buf_put_u64(out, b->told[i].samples[0].arrived_ns);
    }
}

static void
put_switches(struct cluster_book *b, uint64_t now_ns, struct byte_buf *out)
{
    struct byte_buf list = BYTE_BUF_INIT;
    size_t n_all = b->own ? agent_book_n_switches(b->own) : 0, n = 0;

    if (n_all == b->n_switches_told && now_ns - b->switches_ns < SWITCHES_NS) {
        n_all = 0;
    } else {
        b->n_switches_told = n_all;
        b->switches_ns = now_ns;
    }
    for (size_t i = 0; i < n_all; i++) {
        const struct agent_entry *e;
        uint64_t dpid = agent_book_switch_at(b->own, i, &e);

        if (e && e->is_connected) {
            byte_buf_put_u64(&list, dpid);
            byte_buf_put_u64(&list, cluster_book_key(e->id));
            n++;
        }
    }
    byte_buf_put_uvarint(out, n);
    if (n) {
        byte_buf_put(out, list.data, list.len);
    }
    byte_buf_uninit(&list);
}

/* The last ones; who has not heard of those before knows by the numbers. */
static void
put_losses(struct cluster_book *b, struct byte_buf *out)
{
    struct book_losses *losses = &b->told_losses;
    size_t n = losses->n < MAX_LOSSES ? losses->n : MAX_LOSSES;

    byte_buf_put_u64(out, b->n_losses - n + 1);
    byte_buf_put_uvarint(out, n);
    for (size_t i = losses->n - n; i < losses->n; i++) {
        const struct book_loss *loss = cluster_book_loss_at(losses, i);

        byte_buf_put_u64(out, loss->key);
        byte_buf_put_u64(out, loss->dpid);
        byte_buf_put_u8(
            out, (uint8_t) ((unsigned int) loss->place |
                            (loss->is_any ? CLUSTER_BOOK_FLAG_ANY : 0)));
        byte_buf_put_u64(out, loss->first_ns);
        byte_buf_put_u64(out, loss->last_ns);
    }
}

void
cluster_book_put(struct cluster_book *b, uint64_t now_ns, struct byte_buf *out)
{
    while (b->told_losses.n &&
           cluster_book_loss_at(&b->told_losses, 0)->noted_ns +
                   CLUSTER_BOOK_AGAIN_NS <
               now_ns) {
        cluster_book_drop_loss(&b->told_losses);
    }
    byte_buf_put_u8(out, CLUSTER_BOOK_VERSION);
    byte_buf_put_u64(out, b->nonce);
    byte_buf_put_u64(out, ++b->number);
    byte_buf_put_u64(out, now_ns);
    byte_buf_put_u64(out, b->told_ns);
    put_losses(b, out);
    put_agents(b, out);
    put_switches(b, now_ns, out);
    cluster_book_put_ways(b, now_ns, out);
}

void
cluster_book_run(struct cluster_book *b, uint64_t token, uint64_t settled,
                 uint64_t now_ns)
{
    /* A clock that was put back does not keep it silent. */
    if ((b->own || b->n_agents) && now_ns - b->sent_ns >= CLUSTER_BOOK_NS) {
        b->sent_ns = now_ns;
        cluster_book_look(b, token, settled, now_ns);
        send_now(b, now_ns);
    }
}
