/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_triggers - live filters of all servers' clients. */
#include <config.h>

#include "server/cluster_triggers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_kv.h"
#include "lib/byte_buf.h"
#include "lib/history_codec.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "phf/phf_set.h"
#include "server/cluster_events.h"
#include "server/cluster_setup.h"
#include "server/mailbox.h"
#include "server/shard_lease.h"
#include "server/trigger_keys.h"

#define KEY          "trigger."
#define TIMEOUT_MS   4000
#define SILENCE_MS   2000
#define MAX_KNOWN    32768
#define SESSION_SIZE CLUSTER_EVENTS_SESSION_SIZE
/* Seconds until a key that the watch has not told of is written again. */
#define AGAIN_S 5
#define LONG_NS UINT64_C(1000000000)
/* What finds no room is said to miss so much. */
#define REFUSED_NS UINT64_C(3600000000000)

/* A filter of any server. */
struct known {
    char owner[SHARD_LEASE_MAX_NAME + 1];
    char session[SESSION_SIZE];
    uint32_t id;   /* Of the trigger there. */
    uint32_t set;  /* Of the filter in the set. */
    char *text;    /* Owned: it is not in the set, as it names what no known
                    * topology has.  NULL: it is. */
    bool is_stale; /* A watch that began anew has not told of it. */
};

/* A filter of this server's clients. */
struct own {
    uint32_t id;
    char *text;      /* Owned. */
    unsigned int in; /* Seconds until it is written again; 0: it is there. */
    uint64_t added_ns, added_at_ns; /* Monotonic, and by the wall clock; 0:
                                     * others have heard of it. */
};

/* Filters that a history matched. */
struct hits {
    size_t n;
    struct known *known[MAX_KNOWN];
};

struct cluster_triggers {
    struct bus *bus;
    struct triggers *local;
    char *name; /* Owned. */
    void (*on_known)(void *aux);
    void *aux;
    bool was_known;
    uint64_t started_ns; /* Not 0: filters that come were there before. */
    const char *session;
    struct bus_kv_watch *watch;    /* Owned. */
    bool is_watching;              /* It has told all there is. */
    struct trigger_keys *keys;     /* Owned. */
    struct cluster_events *events; /* Owned. */
    struct topology *topology;     /* Owned reference, or NULL. */
    struct phf_set *set;           /* Owned. */
    size_t n, allocated;
    struct known **all; /* Owned. */
    size_t n_own, allocated_own;
    struct own *own; /* Owned. */
    struct hits hits;
    uint64_t n_limits; /* Matchings that gave up. */
    uint32_t ids[CLUSTER_EVENTS_MAX_IDS];
    struct history_encoder *encoder; /* Owned. */
};

/* --- What is known ------------------------------------------------------- */

static void
remove_at(struct cluster_triggers *t, size_t i)
{
    if (!t->all[i]->text) {
        phf_set_remove(t->set, t->all[i]->set);
    }
    free(t->all[i]->text);
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

static struct own *
find_own(struct cluster_triggers *t, uint32_t id)
{
    for (size_t i = 0; i < t->n_own; i++) {
        if (t->own[i].id == id) {
            return &t->own[i];
        }
    }
    return NULL;
}

/* All servers hear of it now.  When that took long, matches may have been
 * missed. */
static void
note_written(struct cluster_triggers *t, struct own *own)
{
    own->in = 0;
    if (own->added_ns && monotonic_ns() - own->added_ns > LONG_NS) {
        triggers_miss(t->local, own->id, own->added_at_ns, time_spec_now(),
                      "not all servers knew the filter yet");
    }
    own->added_ns = 0;
}

/* Puts the filter into the set, if all that it names is known. */
static void
compile(struct cluster_triggers *t, struct known *known)
{
    struct lh_error error;
    struct phf *phf;

    if (!phf_compile(known->text, t->topology, &phf, &error)) {
        known->set = phf_set_add(t->set, phf, known);
        free(known->text);
        known->text = NULL;
    }
}

static void
add_known(struct cluster_triggers *t, const struct known *known,
          const struct bus_kv_entry *entry)
{
    struct known *copy = lh_memdup(known, sizeof *known);

    copy->text =
        lh_asprintf("%.*s", (int) entry->size, (const char *) entry->data);
    t->all = lh_alloc_grow(t->all, t->n, &t->allocated, sizeof *t->all);
    t->all[t->n++] = copy;
    compile(t, copy);
}

/* There is no room for it, here or at any other server. */
static void
refuse(struct cluster_triggers *t, const struct known *known)
{
    static struct say_site site;

    say(&site, SAY_WARN,
        "cluster: live filters of all servers' clients are more than %d, what "
        "is above that finds nothing: one of server %s",
        MAX_KNOWN, known->owner);
    if (!strcmp(known->owner, t->name)) {
        uint64_t now_ns = time_spec_now();

        triggers_miss(t->local, known->id, now_ns, now_ns + REFUSED_NS,
                      "there are too many live filters in the cluster, and "
                      "this one finds nothing");
    }
}

static void
take_entry(struct cluster_triggers *t, const struct bus_kv_entry *entry)
{
    struct known known;
    size_t i = 0;
    bool is_own;

    if (!read_key(entry->key, &known)) {
        return;
    }
    while (i < t->n && (t->all[i]->id != known.id ||
                        strcmp(t->all[i]->session, known.session) != 0)) {
        i++;
    }
    is_own = !strcmp(known.owner, t->name);
    if (entry->is_deleted) {
        if (i < t->n) {
            remove_at(t, i);
        }
        if (is_own && !t->is_watching) {
            trigger_keys_purge(t->keys, entry->key, entry->revision);
        }
    } else if (is_own && (strcmp(known.session, t->session) != 0 ||
                          !find_own(t, known.id))) {
        /* Of a former process of this name, or of a client that is gone. */
        trigger_keys_delete(t->keys, entry->key);
    } else if (i < t->n) {
        t->all[i]->is_stale = false;
    } else if (t->n < MAX_KNOWN) {
        add_known(t, &known, entry);
    } else {
        refuse(t, &known);
    }
    if (is_own && !entry->is_deleted && find_own(t, known.id)) {
        note_written(t, find_own(t, known.id));
    }
}

/* What the watch, which began anew, has not told of is gone. */
static void
sweep(struct cluster_triggers *t)
{
    for (size_t i = t->n; i-- > 0;) {
        if (t->all[i]->is_stale) {
            remove_at(t, i);
        }
    }
    for (size_t i = 0; i < t->n_own; i++) {
        bool is_known = false;

        for (size_t j = 0; j < t->n && !is_known; j++) {
            is_known = t->all[j]->id == t->own[i].id &&
                       !strcmp(t->all[j]->session, t->session);
        }
        if (!is_known && !t->own[i].in) {
            t->own[i].in = 1;
        }
    }
}

static void
on_watch(void *t_, enum bus_kv_event event, const char *why,
         const struct bus_kv_entry *entry)
{
    struct cluster_triggers *t = t_;

    if (event == BUS_KV_BEGIN) {
        t->is_watching = false;
        for (size_t i = 0; i < t->n; i++) {
            t->all[i]->is_stale = true;
        }
    } else if (event == BUS_KV_ENTRY) {
        take_entry(t, entry);
    } else if (event == BUS_KV_COMPLETE) {
        t->is_watching = true;
        sweep(t);
        if (!t->was_known) {
            t->was_known = true;
            t->on_known(t->aux);
        }
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
write_own(struct cluster_triggers *t, struct own *own)
{
    char *key = key_of(t, own->id);

    own->in = AGAIN_S;
    bus_kv_put(t->bus, CLUSTER_BUCKET_META, key, own->text, strlen(own->text),
               BUS_KV_ANY, TIMEOUT_MS, on_put, t, NULL);
    free(key);
}

static void
add(void *t_, size_t worker, uint32_t id, struct phf *phf)
{
    struct cluster_triggers *t = t_;
    struct own *own;

    t->own =
        lh_alloc_grow(t->own, t->n_own, &t->allocated_own, sizeof *t->own);
    own = &t->own[t->n_own++];
    *own = (struct own){.id = id, .text = lh_strdup(phf_text(phf))};
    own->added_ns = t->started_ns ? 1 : monotonic_ns();
    own->added_at_ns = t->started_ns ? t->started_ns : time_spec_now();
    write_own(t, own);
    phf_destroy(phf);
}

static void
remove_one(void *t_, size_t worker, uint32_t id)
{
    struct cluster_triggers *t = t_;
    struct own *own = find_own(t, id);
    char *key = key_of(t, id);

    if (own) {
        free(own->text);
        *own = t->own[--t->n_own];
    }
    trigger_keys_delete(t->keys, key);
    free(key);
}

bool
cluster_triggers_forget(struct cluster_triggers *t, const char *name)
{
    bool is_any = false;

    for (size_t i = 0; i < t->n; i++) {
        const struct known *known = t->all[i];

        if (!strcmp(known->owner, name)) {
            char *key = lh_asprintf(KEY "%s.%s.%" PRIu32, known->owner,
                                    known->session, known->id);

            trigger_keys_delete(t->keys, key);
            free(key);
            is_any = true;
        }
    }
    return is_any;
}

void
cluster_triggers_tick(struct cluster_triggers *t)
{
    trigger_keys_tick(t->keys);
    for (size_t i = 0; i < t->n_own; i++) {
        struct own *own = &t->own[i];

        if (own->in && !--own->in) {
            write_own(t, own);
        }
    }
    cluster_events_tick(t->events);
}

void
cluster_triggers_connected(struct cluster_triggers *t)
{
    cluster_events_connected(t->events);
}

/* --- Matches ------------------------------------------------------------- */

static void
on_match(void *t_, const uint32_t *ids, size_t n, struct history *h)
{
    struct cluster_triggers *t = t_;
    struct mail *mail = mail_create(MAIL_HIT, n);

    for (size_t i = 0; i < n; i++) {
        mail->hits[i] = (struct mail_hit){.id = ids[i], .is_match = true};
    }
    mail->history = h;
    triggers_deliver(t->local, mail);
    mail_destroy(mail);
}

static void
on_missed(void *t_, uint64_t since_ns, uint64_t until_ns)
{
    struct cluster_triggers *t = t_;

    triggers_miss_all(t->local, since_ns, until_ns,
                      "matches may have been lost on their way from another "
                      "server");
}

/* Tells the owner of known[from] of as many of its hits as a letter has room
 * for, which are moved to the front. */
static size_t
send_to_owner(struct cluster_triggers *t, size_t from,
              const struct byte_buf *payload)
{
    struct hits *hits = &t->hits;
    const struct known *first = hits->known[from];
    size_t to = from;

    for (size_t i = from; i < hits->n && to - from < CLUSTER_EVENTS_MAX_IDS;
         i++) {
        if (!strcmp(hits->known[i]->session, first->session)) {
            struct known *known = hits->known[i];

            hits->known[i] = hits->known[to];
            t->ids[to - from] = known->id;
            hits->known[to++] = known;
        }
    }
    cluster_events_send(t->events, first->owner, first->session, t->ids,
                        to - from, payload);
    return to;
}

static void
on_hit(void *t_, uint32_t id, void *known, enum phf_result result)
{
    struct cluster_triggers *t = t_;

    if (result == PHF_MATCH) {
        t->hits.known[t->hits.n++] = known; /* Each filter once. */
    } else {
        t->n_limits++;
    }
}

static void
tell(struct cluster_triggers *t, const struct history *h)
{
    struct byte_buf payload = BYTE_BUF_INIT;

    if (!history_encoder_add(t->encoder, h)) {
        history_encoder_finish(t->encoder, &payload);
        history_encoder_reset(t->encoder);
    }
    /* A letter without a history, which is too large, is missed. */
    for (size_t i = 0; i < t->hits.n;) {
        i = send_to_owner(t, i, &payload);
    }
    byte_buf_uninit(&payload);
}

bool
cluster_triggers_is_empty(const struct cluster_triggers *t)
{
    return !t->n;
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

void
cluster_triggers_collect(const struct cluster_triggers *t, struct counters *c)
{
    trigger_share_collect_set(t->set, c);
    c->trigger_limits += t->n_limits;
}

/* --- Life ---------------------------------------------------------------- */

struct cluster_triggers *
cluster_triggers_create(const struct cluster_triggers_config *config)
{
    struct cluster_triggers *t = lh_alloc_zero(sizeof *t);
    const struct cluster_events_config events = {
        .bus = config->bus,
        .name = config->name,
        .on_match = on_match,
        .on_missed = on_missed,
        .aux = t,
    };

    t->bus = config->bus;
    t->local = config->local;
    t->name = lh_strdup(config->name);
    t->on_known = config->on_known;
    t->aux = config->aux;
    t->set = phf_set_create();
    t->encoder = history_encoder_create();
    t->keys = trigger_keys_create(t->bus);
    t->events = cluster_events_create(&events);
    t->session = cluster_events_session(t->events);
    t->watch = bus_kv_watch(t->bus, CLUSTER_BUCKET_META, KEY ">", SILENCE_MS,
                            on_watch, t);
    t->started_ns = config->started_ns;
    triggers_share(t->local, 1, add, remove_one, t);
    t->started_ns = 0;
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
    trigger_keys_destroy(t->keys);
    cluster_events_destroy(t->events);
    while (t->n) {
        remove_at(t, t->n - 1);
    }
    for (size_t i = 0; i < t->n_own; i++) {
        free(t->own[i].text);
    }
    phf_set_destroy(t->set);
    history_encoder_destroy(t->encoder);
    topology_unref(t->topology);
    free(t->own);
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
    for (size_t i = 0; i < t->n; i++) {
        if (t->all[i]->text) {
            compile(t, t->all[i]);
        }
    }
}
