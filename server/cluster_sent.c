/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_sent - implementation. */
#include <config.h>
#include "server/cluster_sent.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/bus_stream.h"
#include "lib/bytes.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/random64.h"
#include "server/shard_lease.h"
#include "server/store_message.h"

#define ASK_VERSION 1
#define ASK_MS      1000
#define PUBLISH_MS  2000

struct message {
    TAILQ_ENTRY(message) of_all;
    TAILQ_ENTRY(message) of_shard;
    uint32_t m, k;
    uint64_t c;
    uint64_t kept_ns, again_ns; /* 0: it was not sent again. */
    uint8_t *data;              /* Owned. */
    size_t size;
    char *parts; /* Header of a marker, or NULL.  Owned. */
};

TAILQ_HEAD(messages, message);

struct cluster_sent {
    struct bus *bus;
    struct bus_sub *sub; /* Owned. */
    size_t max_bytes;
    uint64_t nonce;      /* Of IDs. */
    struct messages all; /* Owned, the oldest first. */
    struct messages *of; /* The same, by k. */
    struct cluster_sent_counters n;
};

static void
on_ask(void *sent, const struct bus_message *message)
{
    struct cluster_sent_wanted wanted;

    if (cluster_sent_read(message->data, message->size, &wanted)) {
        cluster_sent_answer(sent, &wanted, monotonic_ns());
    }
}

struct cluster_sent *
cluster_sent_create(struct bus *bus, size_t max_bytes)
{
    struct cluster_sent *sent = lh_alloc_zero(sizeof *sent);

    sent->bus = bus;
    sent->max_bytes = max_bytes;
    sent->nonce = random64_draw();
    TAILQ_INIT(&sent->all);
    sent->of = lh_alloc_zero(SHARD_LEASE_MAX_SHARDS * sizeof *sent->of);
    for (uint32_t k = 0; k < SHARD_LEASE_MAX_SHARDS; k++) {
        TAILQ_INIT(&sent->of[k]);
    }
    sent->sub = bus_subscribe(bus, CLUSTER_SENT_SUBJECT, on_ask, sent);
    return sent;
}

/* With what the allocator needs for it, about. */
static size_t
cost(const struct message *m)
{
    return sizeof *m + m->size + (m->parts ? strlen(m->parts) : 0) + 48;
}

static void
forget(struct cluster_sent *sent, struct message *m)
{
    TAILQ_REMOVE(&sent->all, m, of_all);
    TAILQ_REMOVE(&sent->of[m->k], m, of_shard);
    sent->n.kept--;
    sent->n.bytes -= cost(m);
    free(m->data);
    free(m->parts);
    free(m);
}

void
cluster_sent_destroy(struct cluster_sent *sent)
{
    if (sent) {
        bus_unsubscribe(sent->sub);
        bus_forget(sent->bus, sent);
        while (!TAILQ_EMPTY(&sent->all)) {
            forget(sent, TAILQ_FIRST(&sent->all));
        }
        free(sent->of);
        free(sent);
    }
}

void
cluster_sent_run(struct cluster_sent *sent, uint64_t now_ns)
{
    struct message *m;

    while ((m = TAILQ_FIRST(&sent->all)) != NULL &&
           (sent->n.bytes > sent->max_bytes ||
            now_ns - m->kept_ns > CLUSTER_SENT_NS)) {
        forget(sent, m);
    }
}

void
cluster_sent_keep(struct cluster_sent *sent, uint32_t m, struct byte_buf *data,
                  const char *parts, uint64_t now_ns)
{
    struct message *message;
    struct store_message head;

    if (store_message_read(data->data, data->len, &head, NULL)) {
        abort();
    }
    message = lh_alloc_zero(sizeof *message);
    message->m = m;
    message->k = head.k;
    message->c = head.c;
    message->kept_ns = now_ns;
    message->data = byte_buf_take(data, &message->size);
    message->data = lh_alloc_array(message->data, message->size, 1);
    message->parts = lh_strdup(parts);
    TAILQ_INSERT_TAIL(&sent->all, message, of_all);
    TAILQ_INSERT_TAIL(&sent->of[head.k], message, of_shard);
    sent->n.kept++;
    sent->n.bytes += cost(message);
    cluster_sent_run(sent, now_ns);
}

/* What NATS did not take is asked for again. */
static void
on_published(void *sent, int error_number, const char *why, uint64_t seq,
             bool was_there)
{
}

static void
send_again(struct cluster_sent *sent, struct message *m, uint64_t now_ns)
{
    char subject[32], id[64];
    const struct bus_header header = {STORE_PARTS_HEADER, m->parts};
    const struct bus_letter letter = {.subject = subject,
                                      .data = m->data,
                                      .size = m->size,
                                      .headers = &header,
                                      .n_headers = m->parts != NULL};

    snprintf(subject, sizeof subject, "lh.2.%" PRIu32, m->m);
    snprintf(id, sizeof id, "a.%016" PRIx64 ".%" PRIu64, sent->nonce,
             sent->n.sent_again);
    if (!bus_stream_publish(sent->bus, &letter, id, BUS_ANY_SEQ, PUBLISH_MS,
                            on_published, sent, NULL)) {
        sent->n.sent_again++;
        m->again_ns = now_ns;
    }
}

void
cluster_sent_answer(struct cluster_sent *sent,
                    const struct cluster_sent_wanted *wanted, uint64_t now_ns)
{
    struct message *m;

    TAILQ_FOREACH(m, &sent->of[wanted->k], of_shard)
    {
        if (m->m == wanted->m && m->c >= wanted->first &&
            m->c <= wanted->last &&
            (!m->again_ns || now_ns - m->again_ns > CLUSTER_SENT_AGAIN_NS)) {
            send_again(sent, m, now_ns);
        }
    }
}

void
cluster_sent_get_counters(const struct cluster_sent *sent,
                          struct cluster_sent_counters *n)
{
    *n = sent->n;
}

/* --- Asking. ------------------------------------------------------------- */

void
cluster_sent_put(const struct cluster_sent_wanted *wanted,
                 struct byte_buf *out)
{
    byte_buf_put_u8(out, ASK_VERSION);
    byte_buf_put_u8(out, 1);
    byte_buf_put_u32(out, wanted->m);
    byte_buf_put_u32(out, wanted->k);
    byte_buf_put_u64(out, wanted->first);
    byte_buf_put_u64(out, wanted->last);
}

bool
cluster_sent_read(const uint8_t *data, size_t size,
                  struct cluster_sent_wanted *wanted)
{
    struct bytes_reader in = bytes_reader(data, size);
    uint8_t version = bytes_get_u8(&in);
    uint8_t kind = bytes_get_u8(&in);

    wanted->m = bytes_get_u32(&in);
    wanted->k = bytes_get_u32(&in);
    wanted->first = bytes_get_u64(&in);
    wanted->last = bytes_get_u64(&in);
    return !in.failed && !bytes_left(&in) && version == ASK_VERSION &&
           kind == 1 && wanted->k < SHARD_LEASE_MAX_SHARDS;
}

void
cluster_sent_ask(struct bus *bus, const struct cluster_sent_wanted *wanted)
{
    struct byte_buf out = BYTE_BUF_INIT;
    struct bus_letter letter = {.subject = CLUSTER_SENT_SUBJECT};

    cluster_sent_put(wanted, &out);
    letter.data = out.data;
    letter.size = out.len;
    bus_send(bus, &letter, NULL, ASK_MS, NULL);
    byte_buf_uninit(&out);
}
