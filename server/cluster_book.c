/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_book - what the agents of all servers of a cluster say. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus.h"
#include "lib/bytes.h"
#include "lib/lh_alloc.h"
#include "lib/random64.h"
#include "lib/say.h"
#include "server/cluster_book_impl.h"

/* Between looks for who is gone. */
#define FORGET_NS UINT64_C(10000000000)

static void
on_message(void *book, const struct bus_message *message)
{
    static struct say_site site;
    struct lh_error error;

    if (cluster_book_take(book, message->data, message->size, &error)) {
        say(&site, SAY_WARN, "cluster: %s", error.text);
    }
}

struct cluster_book *
cluster_book_create(struct bus *bus, const struct agent_book *own)
{
    struct cluster_book *b = lh_alloc_zero(sizeof *b);

    b->bus = bus;
    b->own = own;
    b->nonce = random64_draw();
    b->delays = clock_delays_create();
    b->all_delays = clock_delays_create();
    if (bus) {
        b->sub = bus_subscribe(bus, CLUSTER_BOOK_SUBJECT, on_message, b);
    }
    return b;
}

void
cluster_book_destroy(struct cluster_book *b)
{
    if (b) {
        bus_unsubscribe(b->sub);
        clock_delays_destroy(b->delays);
        clock_delays_destroy(b->all_delays);
        free(b->pending);
        free(b->told);
        free(b->agents);
        free(b->switches);
        free(b->tellers);
        free(b);
    }
}

uint64_t
cluster_book_key(const uint8_t id[AGENT_ID_LEN])
{
    /* 64 of its random bits tell it from all others. */
    uint64_t key =
        bytes_be64(id) + bytes_be64(id + 8) * UINT64_C(0x9e3779b97f4a7c15);

    return key ? key : 1;
}

/* --- Losses -------------------------------------------------------------- */

struct book_loss *
cluster_book_loss_at(struct book_losses *losses, size_t i)
{
    return &losses->all[(losses->first + i) % AGENT_BOOK_LOSSES];
}

void
cluster_book_drop_loss(struct book_losses *losses)
{
    losses->first = (losses->first + 1) % AGENT_BOOK_LOSSES;
    losses->n--;
}

void
cluster_book_add_loss(struct book_losses *losses, const struct book_loss *loss,
                      uint64_t keep_ns)
{
    while (losses->n == AGENT_BOOK_LOSSES ||
           (losses->n && cluster_book_loss_at(losses, 0)->noted_ns + keep_ns <
                             loss->noted_ns)) {
        cluster_book_drop_loss(losses);
    }
    *cluster_book_loss_at(losses, losses->n++) = *loss;
}

/* --- Hearing ------------------------------------------------------------- */

/* The one that was not heard of longest goes where there is no room; NULL:
 * that is this one. */
static struct book_teller *
find_teller(struct cluster_book *b, uint64_t nonce, uint64_t sent_ns)
{
    for (size_t i = 0; i < b->n_tellers; i++) {
        if (b->tellers[i].nonce == nonce) {
            return &b->tellers[i];
        }
    }
    for (size_t i = b->n_tellers; i-- > 0;) {
        if (b->tellers[i].heard_ns + CLUSTER_BOOK_SILENT_NS < sent_ns) {
            b->tellers[i] = b->tellers[--b->n_tellers];
        }
    }
    if (b->n_tellers == CLUSTER_BOOK_MAX_DOORS) {
        return NULL;
    }
    b->tellers = lh_alloc_grow(b->tellers, b->n_tellers, &b->allocated_tellers,
                               sizeof *b->tellers);
    b->tellers[b->n_tellers] = (struct book_teller){.nonce = nonce};
    return &b->tellers[b->n_tellers++];
}

static size_t
place_of(const struct cluster_book *b, uint64_t key)
{
    size_t lo = 0, hi = b->n_agents;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (b->agents[mid].key < key) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static const struct book_agent *
find_agent(const struct cluster_book *b, uint64_t key)
{
    size_t i = place_of(b, key);

    return i < b->n_agents && b->agents[i].key == key ? &b->agents[i] : NULL;
}

/* That of the key, made if there is none; NULL: there is no room. */
static struct book_agent *
get_agent(struct cluster_book *b, uint64_t key)
{
    size_t i = place_of(b, key);

    if (i == b->n_agents || b->agents[i].key != key) {
        if (b->n_agents == AGENT_BOOK_MAX) {
            return NULL;
        }
        b->agents = lh_alloc_grow(b->agents, b->n_agents, &b->allocated_agents,
                                  sizeof *b->agents);
        memmove(b->agents + i + 1, b->agents + i,
                (b->n_agents++ - i) * sizeof *b->agents);
        b->agents[i] = (struct book_agent){.key = key};
    }
    return &b->agents[i];
}

/* Those that nobody has told of for long. */
static void
forget_agents(struct cluster_book *b, uint64_t sent_ns)
{
    size_t n = 0;

    if (sent_ns - b->forgot_ns < FORGET_NS) {
        return;
    }
    b->forgot_ns = sent_ns;

    for (size_t i = 0; i < b->n_agents; i++) {
        if (b->agents[i].heard_ns + AGENT_BOOK_LOSS_NS >= sent_ns) {
            b->agents[n++] = b->agents[i];
        }
    }
    b->n_agents = n;
}

static size_t
place_of_switch(const struct cluster_book *b, uint64_t dpid)
{
    size_t lo = 0, hi = b->n_switches;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (b->switches[mid].dpid < dpid) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static void
take_losses(struct cluster_book *b, struct bytes_reader *in,
            struct book_teller *teller, uint64_t sent_ns)
{
    uint64_t number = bytes_get_u64(in);
    uint64_t n = byte_buf_get_uvarint(in);

    if (!teller->number || number > teller->next_loss) {
        teller->blind_ns = sent_ns;
    }
    for (; n-- && !in->failed; number++) {
        struct book_loss loss = {.key = bytes_get_u64(in),
                                 .noted_ns = sent_ns};
        unsigned int place;

        loss.dpid = bytes_get_u64(in);
        place = bytes_get_u8(in);
        loss.is_any = place & CLUSTER_BOOK_FLAG_ANY;
        loss.place =
            (enum agent_place)(place & ~(unsigned int) CLUSTER_BOOK_FLAG_ANY);
        loss.first_ns = bytes_get_u64(in);
        loss.last_ns = bytes_get_u64(in);
        if (loss.place < AGENT_PLACE_RING || loss.place >= N_AGENT_PLACES) {
            in->failed = true;
        }
        if (!in->failed && number >= teller->next_loss) {
            cluster_book_add_loss(&b->losses, &loss, AGENT_BOOK_LOSS_NS);
        }
    }
    teller->next_loss =
        number > teller->next_loss ? number : teller->next_loss;
}

static void
take_agents(struct cluster_book *b, struct bytes_reader *in,
            const struct book_teller *teller, uint64_t sent_ns,
            uint64_t clock_ns)
{
    uint64_t n = byte_buf_get_uvarint(in);

    forget_agents(b, sent_ns);
    while (n-- && !in->failed) {
        uint64_t key = bytes_get_u64(in);
        uint64_t arrived_ns = bytes_get_u64(in);
        struct book_agent *a = in->failed ? NULL : get_agent(b, key);

        if (!a) {
            continue;
        }
        if (!a->heard_ns || teller->blind_ns > a->heard_ns) {
            a->since_ns = teller->blind_ns;
        }
        a->heard_ns = sent_ns > a->heard_ns ? sent_ns : a->heard_ns;
        if (!a->n || a->samples[(a->n - 1) % CLUSTER_BOOK_SAMPLES].arrived_ns <
                         arrived_ns) {
            a->samples[a->n++ % CLUSTER_BOOK_SAMPLES] =
                (struct book_sample){clock_ns, arrived_ns};
        }
    }
}

static void
take_switches(struct cluster_book *b, struct bytes_reader *in)
{
    uint64_t n = byte_buf_get_uvarint(in);

    while (n-- && !in->failed) {
        uint64_t dpid = bytes_get_u64(in);
        uint64_t key = bytes_get_u64(in);
        size_t i = place_of_switch(b, dpid);

        if (in->failed) {
            return;
        }
        if (i < b->n_switches && b->switches[i].dpid == dpid) {
            b->switches[i].key = key;
        } else if (b->n_switches < AGENT_BOOK_SWITCHES) {
            b->switches =
                lh_alloc_grow(b->switches, b->n_switches,
                              &b->allocated_switches, sizeof *b->switches);
            memmove(b->switches + i + 1, b->switches + i,
                    (b->n_switches++ - i) * sizeof *b->switches);
            b->switches[i] = (struct book_switch){dpid, key};
        }
    }
}

int
cluster_book_take(struct cluster_book *b, const uint8_t *data, size_t size,
                  struct lh_error *error)
{
    struct bytes_reader in = bytes_reader(data, size);
    uint8_t version = bytes_get_u8(&in);
    uint64_t nonce = bytes_get_u64(&in);
    uint64_t number = bytes_get_u64(&in);
    uint64_t sent_ns = bytes_get_u64(&in);
    uint64_t clock_ns = bytes_get_u64(&in);
    struct book_teller *teller;

    if (!in.failed && version != CLUSTER_BOOK_VERSION) {
        lh_error_set(error, "what agents say in version %u is not known",
                     version);
        return ENOTSUP;
    }
    teller = in.failed ? NULL : find_teller(b, nonce, sent_ns);
    if (teller && number > teller->number) {
        take_losses(b, &in, teller, sent_ns);
        take_agents(b, &in, teller, sent_ns, clock_ns);
        take_switches(b, &in);
        cluster_book_take_ways(b, &in, sent_ns);
        teller->number = number;
        teller->heard_ns = sent_ns;
    }
    if (in.failed) {
        lh_error_set(error, "a malformed message of what agents say");
        return EBADMSG;
    }
    return 0;
}

/* --- Asking -------------------------------------------------------------- */

bool
cluster_book_has_agents(const struct cluster_book *b)
{
    return b->n_agents > 0;
}

const struct book_agent *
cluster_book_agent_of(const struct cluster_book *b, uint64_t dpid)
{
    size_t i = place_of_switch(b, dpid);

    return i < b->n_switches && b->switches[i].dpid == dpid
               ? find_agent(b, b->switches[i].key)
               : NULL;
}

/* Up to which stamp all postcards have come, of what was received until
 * 'clock_ns'. */
static uint64_t
arrived_ns(const struct book_agent *a, uint64_t clock_ns)
{
    uint64_t n = a->n < CLUSTER_BOOK_SAMPLES ? a->n : CLUSTER_BOOK_SAMPLES,
             best_ns = 0;

    for (uint64_t i = 0; i < n; i++) {
        const struct book_sample *sample = &a->samples[i];

        if (sample->clock_ns <= clock_ns && sample->arrived_ns > best_ns) {
            best_ns = sample->arrived_ns;
        }
    }
    return best_ns;
}

enum agent_loss_answer
cluster_book_ask(const struct cluster_book *b, uint64_t dpid, uint64_t from_ns,
                 uint64_t to_ns, uint64_t clock_ns, enum agent_place *placep)
{
    const struct book_agent *a = cluster_book_agent_of(b, dpid);

    if (!a) {
        return AGENT_LOSS_UNKNOWN;
    }
    for (size_t i = b->losses.n; i-- > 0;) {
        const struct book_loss *loss =
            &b->losses.all[(b->losses.first + i) % AGENT_BOOK_LOSSES];

        if ((loss->is_any ? loss->key == a->key : loss->dpid == dpid) &&
            loss->first_ns <= to_ns + AGENT_BOOK_SLACK_NS &&
            loss->last_ns + AGENT_BOOK_SLACK_NS >= from_ns) {
            *placep = loss->place;
            return AGENT_LOSS_SOME;
        }
    }
    return from_ns > a->since_ns + AGENT_BOOK_SLACK_NS &&
                   arrived_ns(a, clock_ns) >= to_ns + AGENT_BOOK_SLACK_NS
               ? AGENT_LOSS_NONE
               : AGENT_LOSS_NOT_YET;
}
