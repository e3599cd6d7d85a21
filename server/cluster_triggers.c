/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_triggers - live filters of all servers' clients. */
#include <config.h>

#include "server/cluster_triggers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/bus_kv.h"
#include "lib/byte_buf.h"
#include "lib/history_codec.h"
#include "lib/lh_alloc.h"
#include "phf/phf_set.h"
#include "server/cluster_setup.h"
#include "server/mailbox.h"
#include "server/shard_lease.h"

#define KEY           "trigger."
#define EVENT_VERSION 1
#define TIMEOUT_MS    4000
#define SILENCE_MS    2000
#define SEND_MS       2000
#define MAX_KNOWN     32768
#define MAX_HITS      8192
#define SESSION_SIZE  17

/* A filter of any server. */
struct known {
    char owner[SHARD_LEASE_MAX_NAME + 1];
    char session[SESSION_SIZE];
    uint32_t id;       /* Of the trigger there. */
    uint32_t set;      /* Of the filter in the set. */
    uint64_t n_missed; /* Matches that could not be told. */
};

/* Filters of one server that a history matched. */
struct hits {
    struct cluster_triggers *triggers;
    size_t n;
    struct known *known[MAX_HITS];
};

struct cluster_triggers {
    struct bus *bus;
    struct triggers *local;
    char *name; /* Owned. */
    char session[SESSION_SIZE];
    struct bus_kv_watch *watch; /* Owned. */
    struct bus_sub *events;     /* Owned. */
    struct topology *topology;  /* Owned reference, or NULL. */
    struct phf_set *set;        /* Owned. */
    size_t n, allocated;
    struct known **all; /* Owned. */
    struct hits hits;
    struct history_encoder *encoder; /* Owned. */
};

/* --- What is known ------------------------------------------------------- */

static void
remove_at(struct cluster_triggers *t, size_t i)
{
    phf_set_remove(t->set, t->all[i]->set);
    free(t->all[i]);
    t->all[i] = t->all[--t->n];
}

/* Splits "trigger.OWNER.SESSION.NUMBER". */
static bool
read_key(const char *key, struct known *known)
{
    char number[12];

    *known = (struct known){.id = 0};
    if (sscanf(key, KEY "%64[A-Za-z0-9_-].%16[0-9a-f].%11[0-9]", known->owner,
               known->session, number) != 3) {
        return false;
    }
    known->id = (uint32_t) strtoul(number, NULL, 10);
    return true;
}

static void
on_deleted(void *t, int error_number, const char *why, uint64_t revision,
           bool was_there)
{
    /* The watch tells. */
}

static void
delete_key(struct cluster_triggers *t, const char *key)
{
    bus_kv_delete(t->bus, CLUSTER_BUCKET_META, key, BUS_KV_ANY, TIMEOUT_MS,
                  on_deleted, t, NULL);
}

static void
take_entry(struct cluster_triggers *t, const struct bus_kv_entry *entry)
{
    struct known known;
    struct lh_error error;
    struct phf *phf;
    char *text;
    size_t i = 0;

    if (!read_key(entry->key, &known)) {
        return;
    }
    while (i < t->n && (t->all[i]->id != known.id ||
                        strcmp(t->all[i]->session, known.session) != 0)) {
        i++;
    }
    if (entry->is_deleted) {
        if (i < t->n) {
            remove_at(t, i);
        }
        return;
    }
    if (!strcmp(known.owner, t->name) &&
        strcmp(known.session, t->session) != 0) {
        delete_key(t, entry->key); /* A former process of this name. */
        return;
    }
    if (i < t->n || t->n == MAX_KNOWN) {
        return;
    }
    text = lh_asprintf("%.*s", (int) entry->size, (const char *) entry->data);
    if (!phf_compile(text, t->topology, &phf, &error)) {
        t->all = lh_alloc_grow(t->all, t->n, &t->allocated, sizeof *t->all);
        t->all[t->n] = lh_memdup(&known, sizeof known);
        t->all[t->n]->set = phf_set_add(t->set, phf, t->all[t->n]);
        t->n++;
    }
    free(text);
}

static void
on_watch(void *t_, enum bus_kv_event event, const char *why,
         const struct bus_kv_entry *entry)
{
    struct cluster_triggers *t = t_;

    if (event == BUS_KV_BEGIN) {
        while (t->n) {
            remove_at(t, t->n - 1);
        }
    } else if (event == BUS_KV_ENTRY) {
        take_entry(t, entry);
    }
}

/* --- Those of this server's clients -------------------------------------- */

static char *
key_of(const struct cluster_triggers *t, uint32_t id)
{
    return lh_asprintf(KEY "%s.%s.%" PRIu32, t->name, t->session, id);
}

static void
on_put(void *t, int error_number, const char *why, uint64_t revision,
       bool was_there)
{
    /* The watch tells. */
}

static void
add(void *t_, size_t worker, uint32_t id, struct phf *phf)
{
    struct cluster_triggers *t = t_;
    char *key = key_of(t, id);

    bus_kv_put(t->bus, CLUSTER_BUCKET_META, key, phf_text(phf),
               strlen(phf_text(phf)), BUS_KV_ANY, TIMEOUT_MS, on_put, t, NULL);
    free(key);
    phf_destroy(phf);
}

static void
remove_one(void *t_, size_t worker, uint32_t id)
{
    struct cluster_triggers *t = t_;
    char *key = key_of(t, id);

    delete_key(t, key);
    free(key);
}

/* --- Matches ------------------------------------------------------------- */

/* Mail of what the numbers in 'in' tell; its history is still to come. */
static struct mail *
mail_of(struct bytes_reader *in)
{
    uint32_t n = bytes_get_u32(in);
    struct mail *mail;

    if (in->failed || n > MAX_HITS || bytes_left(in) < (size_t) n * 13) {
        return NULL;
    }
    mail = mail_create(MAIL_HIT, n);
    for (uint32_t i = 0; i < n; i++) {
        mail->hits[i].id = bytes_get_u32(in);
        mail->hits[i].is_match = bytes_get_u8(in);
        mail->hits[i].n_missed = bytes_get_u64(in);
    }
    return mail;
}

static void
on_event(void *t_, const struct bus_message *message)
{
    struct cluster_triggers *t = t_;
    struct bytes_reader in = bytes_reader(message->data, message->size);
    uint8_t version = bytes_get_u8(&in);
    const uint8_t *session = bytes_get(&in, SESSION_SIZE - 1);
    struct history_decoder *decoder = NULL;
    struct history_record record;
    struct mail *mail;

    if (in.failed || version != EVENT_VERSION ||
        memcmp(session, t->session, SESSION_SIZE - 1) != 0) {
        return; /* For a former process of this name. */
    }
    mail = mail_of(&in);
    if (mail &&
        !history_decoder_create(message->data + in.ofs, message->size - in.ofs,
                                &decoder, NULL) &&
        !history_decoder_next(decoder, &record, NULL) &&
        !history_decoder_read(decoder, record.offset, &mail->history, NULL)) {
        triggers_deliver(t->local, mail);
    }
    history_decoder_destroy(decoder);
    if (mail) {
        mail_destroy(mail);
    }
}

/* Tells the owner of known[from] of all its hits, which are moved to the
 * front. */
static size_t
send_to_owner(struct cluster_triggers *t, size_t from,
              const struct byte_buf *payload)
{
    struct hits *hits = &t->hits;
    const struct known *first = hits->known[from];
    char subject[SHARD_LEASE_MAX_NAME + 16];
    struct byte_buf buf = BYTE_BUF_INIT;
    struct bus_letter letter = {.subject = subject};
    size_t to = from;
    bool is_sent;

    for (size_t i = from; i < hits->n; i++) {
        if (!strcmp(hits->known[i]->session, first->session)) {
            struct known *known = hits->known[i];

            hits->known[i] = hits->known[to];
            hits->known[to++] = known;
        }
    }
    byte_buf_put_u8(&buf, EVENT_VERSION);
    byte_buf_put(&buf, first->session, SESSION_SIZE - 1);
    byte_buf_put_u32(&buf, (uint32_t) (to - from));
    for (size_t i = from; i < to; i++) {
        byte_buf_put_u32(&buf, hits->known[i]->id);
        byte_buf_put_u8(&buf, 1);
        byte_buf_put_u64(&buf, hits->known[i]->n_missed);
    }
    byte_buf_put(&buf, payload->data, payload->len);
    snprintf(subject, sizeof subject, "lh.event.%s", first->owner);
    letter.data = buf.data;
    letter.size = buf.len;
    is_sent = !bus_send(t->bus, &letter, NULL, SEND_MS, NULL);
    for (size_t i = from; i < to; i++) {
        hits->known[i]->n_missed = is_sent ? 0 : hits->known[i]->n_missed + 1;
    }
    byte_buf_uninit(&buf);
    return to;
}

static void
on_hit(void *t_, uint32_t id, void *known, enum phf_result result)
{
    struct cluster_triggers *t = t_;

    if (result == PHF_MATCH && t->hits.n < MAX_HITS) {
        t->hits.known[t->hits.n++] = known;
    }
}

static void
tell(struct cluster_triggers *t, const struct history *h)
{
    struct byte_buf payload = BYTE_BUF_INIT;

    if (history_encoder_add(t->encoder, h)) {
        for (size_t i = 0; i < t->hits.n; i++) {
            t->hits.known[i]->n_missed++;
        }
    } else {
        history_encoder_finish(t->encoder, &payload);
        history_encoder_reset(t->encoder);
        for (size_t i = 0; i < t->hits.n;) {
            i = send_to_owner(t, i, &payload);
        }
        byte_buf_uninit(&payload);
    }
}

void
cluster_triggers_offer(struct cluster_triggers *t, const struct history *h)
{
    t->hits.n = 0;
    if (t->n) {
        phf_set_match(t->set, h, t->topology, on_hit, t);
    }
    if (t->hits.n) {
        tell(t, h);
    }
}

void
cluster_triggers_offer_packet(struct cluster_triggers *t,
                              struct trajectory *trajectory,
                              const struct trajectory_packet *packet)
{
    t->hits.n = 0;
    if (t->n) {
        phf_set_match_packet(t->set, trajectory, packet, t->topology, on_hit,
                             t);
    }
    if (t->hits.n) {
        struct history *h = trajectory_history(trajectory, packet);

        tell(t, h);
        history_destroy(h);
    }
}

/* --- Life ---------------------------------------------------------------- */

struct cluster_triggers *
cluster_triggers_create(struct bus *bus, struct triggers *local,
                        const char *name)
{
    struct cluster_triggers *t = lh_alloc_zero(sizeof *t);
    char *subject = lh_asprintf("lh.event.%s", name);
    uint64_t random;

    if (getrandom(&random, sizeof random, 0) != sizeof random) {
        abort();
    }
    snprintf(t->session, sizeof t->session, "%016" PRIx64, random);
    t->bus = bus;
    t->local = local;
    t->name = lh_strdup(name);
    t->set = phf_set_create();
    t->encoder = history_encoder_create();
    t->events = bus_subscribe(bus, subject, on_event, t);
    t->watch = bus_kv_watch(bus, CLUSTER_BUCKET_META, KEY ">", SILENCE_MS,
                            on_watch, t);
    triggers_share(local, 1, add, remove_one, t);
    free(subject);
    return t;
}

void
cluster_triggers_destroy(struct cluster_triggers *t)
{
    if (!t) {
        return;
    }
    triggers_share(t->local, 0, NULL, NULL, NULL);
    bus_forget(t->bus, t);
    bus_kv_unwatch(t->watch);
    bus_unsubscribe(t->events);
    while (t->n) {
        remove_at(t, t->n - 1);
    }
    phf_set_destroy(t->set);
    history_encoder_destroy(t->encoder);
    topology_unref(t->topology);
    free(t->all);
    free(t->name);
    free(t);
}

void
cluster_triggers_set_topology(struct cluster_triggers *t,
                              const struct topology *topology)
{
    topology_unref(t->topology);
    t->topology = topology ? topology_ref(topology) : NULL;
}
