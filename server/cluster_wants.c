/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_wants - the threshold that agents of all servers want. */
#include <config.h>

#include "server/cluster_wants.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/bus.h"
#include "lib/bytes.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/random64.h"
#include "lib/say.h"

#define WANT_VERSION 1
#define SEND_MS      1000
#define ALL          UINT32_MAX

struct other {
    uint64_t nonce, number;
    uint32_t want;
    uint64_t heard_ns;
};

struct cluster_wants {
    struct bus *bus;
    struct bus_sub *sub; /* Owned. */
    void (*on_change)(void *aux, uint32_t others);
    void *aux;
    uint64_t nonce, number;
    uint32_t told; /* Of this server; all were told so. */
    uint64_t told_ns;
    uint32_t others;
    size_t n, allocated;
    struct other *all; /* Those that do not want all.  Owned. */
};

static void
on_message(void *wants, const struct bus_message *message)
{
    static struct say_site site;
    struct lh_error error;

    if (cluster_wants_take(wants, message->data, message->size, monotonic_ns(),
                           &error)) {
        say(&site, SAY_WARN, "cluster: %s", error.text);
    }
}

struct cluster_wants *
cluster_wants_create(struct bus *bus,
                     void (*on_change)(void *aux, uint32_t others), void *aux)
{
    struct cluster_wants *w = lh_alloc_zero(sizeof *w);

    w->bus = bus;
    w->on_change = on_change;
    w->aux = aux;
    w->nonce = random64_draw();
    w->told = w->others = ALL;
    if (bus) {
        w->sub = bus_subscribe(bus, CLUSTER_WANTS_SUBJECT, on_message, w);
    }
    return w;
}

void
cluster_wants_destroy(struct cluster_wants *w)
{
    if (w) {
        bus_unsubscribe(w->sub);
        free(w->all);
        free(w);
    }
}

uint32_t
cluster_wants_others(const struct cluster_wants *w)
{
    return w->others;
}

/* Tells if the smallest is another now. */
static void
look(struct cluster_wants *w)
{
    uint32_t others = ALL;

    for (size_t i = 0; i < w->n; i++) {
        others = w->all[i].want < others ? w->all[i].want : others;
    }
    if (others != w->others) {
        w->others = others;
        w->on_change(w->aux, others);
    }
}

void
cluster_wants_put(struct cluster_wants *w, uint32_t smallest, uint64_t now_ns,
                  struct byte_buf *out)
{
    if (smallest == w->told &&
        (smallest == ALL || now_ns - w->told_ns < CLUSTER_WANTS_NS)) {
        return;
    }
    w->told = smallest;
    w->told_ns = now_ns;
    byte_buf_put_u8(out, WANT_VERSION);
    byte_buf_put_u64(out, w->nonce);
    byte_buf_put_u64(out, ++w->number);
    byte_buf_put_u32(out, smallest);
}

void
cluster_wants_run(struct cluster_wants *w, uint32_t smallest, uint64_t now_ns)
{
    struct byte_buf out = BYTE_BUF_INIT;
    struct bus_letter letter = {.subject = CLUSTER_WANTS_SUBJECT};

    cluster_wants_put(w, smallest, now_ns, &out);
    if (out.len && w->bus) {
        letter.data = out.data;
        letter.size = out.len;
        /* What finds no room is told again. */
        bus_send(w->bus, &letter, NULL, SEND_MS, NULL);
    }
    byte_buf_uninit(&out);
    for (size_t i = w->n; i-- > 0;) {
        if (now_ns - w->all[i].heard_ns > CLUSTER_WANTS_SILENT_NS) {
            w->all[i] = w->all[--w->n];
        }
    }
    look(w);
}

/* NULL: there is no room. */
static struct other *
find(struct cluster_wants *w, uint64_t nonce)
{
    for (size_t i = 0; i < w->n; i++) {
        if (w->all[i].nonce == nonce) {
            return &w->all[i];
        }
    }
    if (w->n == CLUSTER_WANTS_MAX) {
        return NULL;
    }
    w->all = lh_alloc_grow(w->all, w->n, &w->allocated, sizeof *w->all);
    w->all[w->n] = (struct other){.nonce = nonce};
    return &w->all[w->n++];
}

int
cluster_wants_take(struct cluster_wants *w, const uint8_t *data, size_t size,
                   uint64_t now_ns, struct lh_error *error)
{
    struct bytes_reader in = bytes_reader(data, size);
    uint8_t version = bytes_get_u8(&in);
    uint64_t nonce = bytes_get_u64(&in);
    uint64_t number = bytes_get_u64(&in);
    uint32_t want = bytes_get_u32(&in);
    struct other *other;

    if (in.failed) {
        lh_error_set(error, "a malformed message of what agents want");
        return EBADMSG;
    }
    if (version != WANT_VERSION) {
        lh_error_set(error, "what agents want in version %u is not known",
                     version);
        return ENOTSUP;
    }
    other = nonce == w->nonce ? NULL : find(w, nonce);
    if (other && number > other->number) {
        other->number = number;
        other->want = want;
        other->heard_ns = now_ns;
        look(w);
    }
    return 0;
}
