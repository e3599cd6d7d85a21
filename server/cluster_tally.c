/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_tally - how many postcards of each switch came to all doors. */
#include <config.h>

#include "server/cluster_tally.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus.h"
#include "lib/bytes.h"
#include "lib/keyed_hash.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/random64.h"
#include "lib/say.h"
#include "server/loss_ledger.h"

#define TALLY_VERSION 1
#define SEND_MS       2000
/* Of a message; what finds no room in it goes with the next one. */
#define MAX_BYTES (256u << 10)
/* Of a door; the postcards of what finds no room count as missing. */
#define MAX_ENTRIES 1000000u
#define MIN_PLACES  256u

/* Postcards of a switch in a slot. */
struct entry {
    uint64_t dpid, slot;
    uint64_t token; /* Of the last. */
    uint32_t n;
    bool is_void; /* Some of the switch were lost. */
};

struct reading {
    uint64_t dpid, asked_ns, time_ns, n_sent;
};

/* The switch's entry that came last, by number since the beginning. */
struct place {
    uint64_t dpid, entry; /* 0: there is none. */
};

/* Another, or this, of which messages come. */
struct teller {
    uint64_t nonce, number;
    uint64_t told_ns;
    uint64_t heard_ns;
};

struct cluster_tally {
    struct bus *bus;
    struct bus_sub *sub; /* Owned. */
    struct loss_ledger *ledger;
    uint64_t nonce, number;
    uint64_t sent_ns;
    struct keyed_hash hash;

    struct entry *entries; /* To be told, the oldest first.  Owned. */
    size_t n_entries, allocated_entries;
    uint64_t n_gone;          /* Entries that were told. */
    struct place *places;     /* By dpid.  Owned. */
    size_t n_places, n_used;  /* A power of two; in use. */
    struct reading *readings; /* The same.  Owned. */
    size_t n_readings, allocated_readings;

    struct teller *tellers; /* Owned. */
    size_t n_tellers, allocated_tellers;
};

static void
on_message(void *tally, const struct bus_message *message)
{
    static struct say_site site;
    struct lh_error error;

    if (cluster_tally_take(tally, message->data, message->size, monotonic_ns(),
                           &error)) {
        say(&site, SAY_WARN, "cluster: %s", error.text);
    }
}

struct cluster_tally *
cluster_tally_create(struct bus *bus)
{
    struct cluster_tally *t = lh_alloc_zero(sizeof *t);

    t->bus = bus;
    t->ledger = loss_ledger_create();
    /* Nobody has told anything. */
    loss_ledger_set_told(t->ledger, 0);
    t->nonce = random64_draw();
    t->hash = keyed_hash_create();
    t->n_places = MIN_PLACES;
    t->places = lh_alloc_zero(t->n_places * sizeof *t->places);
    if (bus) {
        t->sub = bus_subscribe(bus, CLUSTER_TALLY_SUBJECT, on_message, t);
    }
    return t;
}

void
cluster_tally_destroy(struct cluster_tally *t)
{
    if (t) {
        bus_unsubscribe(t->sub);
        loss_ledger_destroy(t->ledger);
        free(t->entries);
        free(t->places);
        free(t->readings);
        free(t->tellers);
        free(t);
    }
}

struct loss_ledger *
cluster_tally_ledger(struct cluster_tally *t)
{
    return t->ledger;
}

/* --- What came here ------------------------------------------------------ */

static struct place *
find_place(struct cluster_tally *t, uint64_t dpid)
{
    uint64_t i = keyed_hash_number(&t->hash, dpid);

    while (t->places[i & (t->n_places - 1)].entry &&
           t->places[i & (t->n_places - 1)].dpid != dpid) {
        i++;
    }
    return &t->places[i & (t->n_places - 1)];
}

static void
grow(struct cluster_tally *t)
{
    struct place *old = t->places;
    size_t n = t->n_places;

    t->n_places *= 2;
    t->places = lh_alloc_zero(t->n_places * sizeof *t->places);
    for (size_t i = 0; i < n; i++) {
        if (old[i].entry) {
            *find_place(t, old[i].dpid) = old[i];
        }
    }
    free(old);
}

/* A new last entry of the switch at 'place'; NULL: no room. */
static struct entry *
add_entry(struct cluster_tally *t, struct place *place, uint64_t dpid,
          uint64_t slot)
{
    if (t->n_entries == MAX_ENTRIES) {
        return NULL;
    }
    t->entries = lh_alloc_grow(t->entries, t->n_entries, &t->allocated_entries,
                               sizeof *t->entries);
    t->entries[t->n_entries] = (struct entry){.dpid = dpid, .slot = slot};
    t->n_used += !place->entry;
    place->dpid = dpid;
    place->entry = t->n_gone + ++t->n_entries;
    if (t->n_used > t->n_places / 2) {
        grow(t);
    }
    return &t->entries[t->n_entries - 1];
}

/* The last entry of the switch, if it waits to be told. */
static struct entry *
last_entry(struct cluster_tally *t, const struct place *place)
{
    return place->entry > t->n_gone ? &t->entries[place->entry - t->n_gone - 1]
                                    : NULL;
}

void
cluster_tally_came(struct cluster_tally *t, uint64_t dpid, uint64_t time_ns,
                   uint64_t token)
{
    uint64_t slot = time_ns / LOSS_SLOT_NS;
    struct place *place;
    struct entry *e;

    if (!loss_ledger_is_counting(t->ledger)) {
        return;
    }
    place = find_place(t, dpid);
    e = last_entry(t, place);
    if (!e || e->slot != slot || e->is_void) {
        e = add_entry(t, place, dpid, slot);
    }
    if (e) {
        e->n++;
        e->token = token;
    }
}

void
cluster_tally_lose(struct cluster_tally *t, uint64_t dpid)
{
    struct entry *e;

    if (!loss_ledger_is_counting(t->ledger)) {
        return;
    }
    e = add_entry(t, find_place(t, dpid), dpid, 0);
    if (e) {
        e->is_void = true;
    }
}

void
cluster_tally_count(struct cluster_tally *t, uint64_t dpid, uint64_t asked_ns,
                    uint64_t time_ns, uint64_t n_sent)
{
    if (t->n_readings < MAX_ENTRIES) {
        t->readings =
            lh_alloc_grow(t->readings, t->n_readings, &t->allocated_readings,
                          sizeof *t->readings);
        t->readings[t->n_readings++] =
            (struct reading){dpid, asked_ns, time_ns, n_sent};
    }
}

/* --- Telling ------------------------------------------------------------- */

/* Takes away the first 'n' of a list. */
static size_t
drop(void *list, size_t n_all, size_t n, size_t size)
{
    char *first = list;

    if (n) {
        memmove(first, first + n * size, (n_all - n) * size);
    }
    return n_all - n;
}

static size_t
put_entries(struct cluster_tally *t, uint64_t settled, struct byte_buf *out)
{
    struct byte_buf list = BYTE_BUF_INIT;
    uint64_t slot = 0;
    size_t n = 0;

    while (n < t->n_entries && t->entries[n].token <= settled &&
           list.len < MAX_BYTES) {
        const struct entry *e = &t->entries[n++];

        byte_buf_put_u64(&list, e->dpid);
        byte_buf_put_uvarint(&list, e->is_void ? 0 : e->n);
        if (!e->is_void) {
            byte_buf_put_svarint(&list, (int64_t) (e->slot - slot));
            slot = e->slot;
        }
    }
    byte_buf_put_uvarint(out, n);
    if (list.len) {
        byte_buf_put(out, list.data, list.len);
    }
    byte_buf_uninit(&list);
    t->n_gone += n;
    t->n_entries = drop(t->entries, t->n_entries, n, sizeof *t->entries);
    return n;
}

static void
put_readings(struct cluster_tally *t, struct byte_buf *out)
{
    size_t most = MAX_BYTES / sizeof *t->readings;
    size_t n = t->n_readings < most ? t->n_readings : most;

    byte_buf_put_uvarint(out, n);
    for (size_t i = 0; i < n; i++) {
        byte_buf_put_u64(out, t->readings[i].dpid);
        byte_buf_put_u64(out, t->readings[i].asked_ns);
        byte_buf_put_u64(out, t->readings[i].time_ns);
        byte_buf_put_u64(out, t->readings[i].n_sent);
    }
    t->n_readings = drop(t->readings, t->n_readings, n, sizeof *t->readings);
}

/* Up to when all that came was told.  The oldest entry need not be the
 * earliest: those of agents have these agents' clocks. */
static uint64_t
told_ns(const struct cluster_tally *t, uint64_t now_ns)
{
    uint64_t least_ns = now_ns;

    for (size_t i = 0; i < t->n_entries; i++) {
        uint64_t from_ns = t->entries[i].slot * LOSS_SLOT_NS;

        if (!t->entries[i].is_void && from_ns < least_ns) {
            least_ns = from_ns;
        }
    }
    return least_ns;
}

void
cluster_tally_put(struct cluster_tally *t, uint64_t settled, uint64_t now_ns,
                  struct byte_buf *out)
{
    struct byte_buf lists = BYTE_BUF_INIT;

    put_entries(t, settled, &lists);
    put_readings(t, &lists);
    byte_buf_put_u8(out, TALLY_VERSION);
    byte_buf_put_u64(out, t->nonce);
    byte_buf_put_u64(out, ++t->number);
    byte_buf_put_u64(out, told_ns(t, now_ns));
    byte_buf_put(out, lists.data, lists.len);
    byte_buf_uninit(&lists);
}

void
cluster_tally_run(struct cluster_tally *t, uint64_t settled, uint64_t now_ns)
{
    struct byte_buf out = BYTE_BUF_INIT;
    struct bus_letter letter = {.subject = CLUSTER_TALLY_SUBJECT};

    /* A clock that was put back does not keep it silent. */
    if (now_ns - t->sent_ns < CLUSTER_TALLY_NS) {
        return;
    }
    t->sent_ns = now_ns;
    cluster_tally_put(t, settled, now_ns, &out);
    letter.data = out.data;
    letter.size = out.len;
    /* What finds no room counts as missing. */
    bus_send(t->bus, &letter, NULL, SEND_MS, NULL);
    byte_buf_uninit(&out);
}

/* --- Hearing ------------------------------------------------------------- */

static struct teller *
find_teller(struct cluster_tally *t, uint64_t nonce)
{
    for (size_t i = 0; i < t->n_tellers; i++) {
        if (t->tellers[i].nonce == nonce) {
            return &t->tellers[i];
        }
    }
    if (t->n_tellers == CLUSTER_TALLY_MAX_DOORS) {
        return NULL;
    }
    t->tellers = lh_alloc_grow(t->tellers, t->n_tellers, &t->allocated_tellers,
                               sizeof *t->tellers);
    t->tellers[t->n_tellers] = (struct teller){.nonce = nonce};
    return &t->tellers[t->n_tellers++];
}

/* Up to when all doors have told. */
static void
set_told(struct cluster_tally *t, uint64_t now_ns)
{
    uint64_t least_ns = UINT64_MAX;

    for (size_t i = t->n_tellers; i-- > 0;) {
        struct teller *teller = &t->tellers[i];

        if (now_ns - teller->heard_ns > CLUSTER_TALLY_SILENT_NS) {
            *teller = t->tellers[--t->n_tellers];
        } else if (teller->told_ns < least_ns) {
            least_ns = teller->told_ns;
        }
    }
    loss_ledger_set_told(t->ledger, least_ns == UINT64_MAX ? 0 : least_ns);
}

static void
take_entries(struct cluster_tally *t, struct bytes_reader *in)
{
    uint64_t n = byte_buf_get_uvarint(in), slot = 0;

    while (n-- && !in->failed) {
        uint64_t dpid = bytes_get_u64(in);
        uint64_t count = byte_buf_get_uvarint(in);

        if (count) {
            slot += (uint64_t) byte_buf_get_svarint(in);
        }
        if (!in->failed && count <= UINT32_MAX) {
            loss_ledger_add(t->ledger, dpid, slot * LOSS_SLOT_NS,
                            (uint32_t) count);
        }
    }
}

static void
take_readings(struct cluster_tally *t, struct bytes_reader *in)
{
    uint64_t n = byte_buf_get_uvarint(in);

    while (n-- && !in->failed) {
        uint64_t dpid = bytes_get_u64(in);
        uint64_t asked_ns = bytes_get_u64(in);
        uint64_t time_ns = bytes_get_u64(in);
        uint64_t n_sent = bytes_get_u64(in);

        if (!in->failed) {
            loss_ledger_count(t->ledger, dpid, asked_ns, time_ns, n_sent);
        }
    }
}

int
cluster_tally_take(struct cluster_tally *t, const uint8_t *data, size_t size,
                   uint64_t now_ns, struct lh_error *error)
{
    struct bytes_reader in = bytes_reader(data, size);
    uint8_t version = bytes_get_u8(&in);
    uint64_t nonce = bytes_get_u64(&in);
    uint64_t number = bytes_get_u64(&in);
    uint64_t told = bytes_get_u64(&in);
    struct teller *teller;

    if (!in.failed && version != TALLY_VERSION) {
        lh_error_set(error, "counts of postcards in version %u are not known",
                     version);
        return ENOTSUP;
    }
    if (in.failed) {
        lh_error_set(error, "a malformed message of counts of postcards");
        return EBADMSG;
    }
    teller = find_teller(t, nonce);
    if (!teller || number <= teller->number) {
        return 0;
    }
    /* Readings last: they judge what came before. */
    take_entries(t, &in);
    teller->number = number;
    teller->told_ns = told;
    teller->heard_ns = now_ns;
    set_told(t, now_ns);
    take_readings(t, &in);
    if (in.failed) {
        lh_error_set(error, "a malformed message of counts of postcards");
        return EBADMSG;
    }
    return 0;
}
