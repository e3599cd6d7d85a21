/* SPDX-License-Identifier: Apache-2.0 */
/* triggers - live filters of clients, and the events they cause. */
#include <config.h>

#include "server/triggers.h"

#include <stdlib.h>
#include <string.h>

#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "phf/phf_set.h"
#include "server/filter_right.h"
#include "server/told_history.h"
#include "server/trigger_gate.h"

struct trigger {
    uint32_t id; /* That of the filter in the set. */
    struct api_peer *peer;
    json_t *call_id; /* Of the request that added it.  Owned reference. */
    char *name;      /* Owned; NULL: none. */
    char *phf;       /* Its text.  Owned. */
    struct trigger_gate gate;
    uint64_t n_hits;
    uint64_t n_missed;
};

struct triggers {
    struct phf_set *set; /* Owned. */
    struct topology *topology;
    struct topology *told; /* Owned reference; NULL: nothing but that. */
    size_t n, allocated;
    struct trigger **all; /* In the order added.  Owned. */
    uint64_t n_hits;      /* Histories that a trigger matched. */
    uint64_t n_missed;    /* Of these, not told: the client was too slow. */
    uint64_t n_limits;    /* Matchings that gave up. */

    /* Where workers match. */
    size_t n_shares;
    void (*add)(void *aux, size_t worker, uint32_t trigger, struct phf *);
    void (*remove)(void *aux, size_t worker, uint32_t trigger);
    void *aux;
};

/* One history on its way to those who want it. */
struct delivery {
    struct triggers *triggers;
    const struct history *history; /* NULL: that of the set. */
    struct told_history told;
    bool is_made; /* 'told' is, when first needed. */
};

struct triggers *
triggers_create(void)
{
    struct triggers *triggers = lh_alloc_zero(sizeof *triggers);

    triggers->set = phf_set_create();
    return triggers;
}

static void
remove_at(struct triggers *triggers, size_t i)
{
    struct trigger *trigger = triggers->all[i];

    for (size_t j = 0; j < triggers->n_shares; j++) {
        triggers->remove(triggers->aux, j, trigger->id);
    }
    phf_set_remove(triggers->set, trigger->id);
    json_decref(trigger->call_id);
    free(trigger->name);
    free(trigger->phf);
    free(trigger);
    triggers->n--;
    memmove(triggers->all + i, triggers->all + i + 1,
            (triggers->n - i) * sizeof *triggers->all);
}

void
triggers_destroy(struct triggers *triggers)
{
    if (triggers) {
        while (triggers->n) {
            remove_at(triggers, triggers->n - 1);
        }
        phf_set_destroy(triggers->set);
        topology_unref(triggers->topology);
        topology_unref(triggers->told);
        free(triggers->all);
        free(triggers);
    }
}

static size_t
count_of(const struct triggers *triggers, const struct api_peer *peer)
{
    size_t n = 0;

    for (size_t i = 0; i < triggers->n; i++) {
        n += triggers->all[i]->peer == peer;
    }
    return n;
}

/* Gives each worker a filter of its own. */
static void
add_to_shares(struct triggers *triggers, const struct trigger *trigger)
{
    struct lh_error error;

    for (size_t i = 0; i < triggers->n_shares; i++) {
        struct phf *phf;

        /* It was compiled before. */
        if (phf_compile(trigger->phf, triggers->topology, &phf, &error)) {
            abort();
        }
        triggers->add(triggers->aux, i, trigger->id, phf);
    }
}

void
triggers_handle_add(struct api_call *call, const json_t *request,
                    void *triggers_)
{
    struct triggers *triggers = triggers_;
    struct jmember root = jmember_root(request);
    struct jmember phf_member = jmember_get(&root, "phf");
    struct jmember name_member = jmember_get(&root, "name");
    struct api_peer *peer = api_call_peer(call);
    struct jmember rate_member = jmember_get(&root, "rate");
    struct jmember paused_member = jmember_get(&root, "paused");
    const char *text, *name = NULL;
    bool is_paused = false;
    uint64_t rate = 0;
    struct lh_error error;
    struct phf *phf;

    error.pos = -1;
    if (jmember_string(&phf_member, &text, &error) ||
        (jmember_is_there(&name_member) &&
         jmember_string(&name_member, &name, &error)) ||
        (jmember_is_there(&rate_member) &&
         jmember_u64(&rate_member, UINT32_MAX, &rate, &error)) ||
        (jmember_is_there(&paused_member) &&
         jmember_bool(&paused_member, &is_paused, &error))) {
        api_call_fail_error(call, API_BAD_REQUEST, &error);
        return;
    }
    if (triggers->n >= TRIGGERS_MAX ||
        count_of(triggers, peer) >= TRIGGERS_MAX_PER_PEER) {
        api_call_fail(call, API_LIMIT,
                      "no more than %d triggers, %d of one client",
                      TRIGGERS_MAX, TRIGGERS_MAX_PER_PEER);
        return;
    }
    if (phf_compile(text, triggers->topology, &phf, &error)) {
        api_call_fail_error(call, API_BAD_FILTER, &error);
        return;
    }
    if (!filter_right_check(call, phf)) {
        phf_destroy(phf);
        return;
    }

    struct trigger *trigger = lh_alloc_zero(sizeof *trigger);

    trigger->peer = peer;
    trigger->call_id = json_incref(api_call_id(call));
    trigger->name = lh_strdup(name);
    trigger->phf = lh_strdup(text);
    trigger_gate_init(&trigger->gate, (uint32_t) rate, is_paused);
    trigger->id = phf_set_add(triggers->set, phf, trigger);
    triggers->all = lh_alloc_grow(triggers->all, triggers->n,
                                  &triggers->allocated, sizeof *triggers->all);
    triggers->all[triggers->n++] = trigger;
    add_to_shares(triggers, trigger);
    api_call_answer(call,
                    json_pack("{s:I}", "trigger", (json_int_t) trigger->id));
}

/* The trigger that a request names by its number, or by the id of the request
 * of the same client that added it; NULL after an error answer. */
static struct trigger *
find_named(const struct triggers *triggers, struct api_call *call,
           const json_t *request)
{
    struct jmember root = jmember_root(request);
    struct jmember member = jmember_get(&root, "trigger");
    const json_t *request_id = json_object_get(request, "request");
    struct lh_error error;
    uint64_t id = 0;

    error.pos = -1;
    if (!request_id && jmember_u64(&member, UINT32_MAX, &id, &error)) {
        api_call_fail_error(call, API_BAD_REQUEST, &error);
        return NULL;
    }
    for (size_t i = 0; i < triggers->n; i++) {
        struct trigger *trigger = triggers->all[i];

        if (request_id ? trigger->peer == api_call_peer(call) &&
                             json_equal(trigger->call_id, request_id)
                       : trigger->id == id) {
            if (trigger->peer != api_call_peer(call) &&
                !api_peer_has(api_call_peer(call), API_RIGHT_CONTROL)) {
                api_call_fail(call, API_DENIED,
                              "trigger %u is another client's",
                              (unsigned int) trigger->id);
                return NULL;
            }
            return trigger;
        }
    }
    if (request_id) {
        api_call_fail(call, API_NOT_FOUND,
                      "no trigger of this client was added by that request");
    } else {
        api_call_fail(call, API_NOT_FOUND, "no trigger %u", (unsigned int) id);
    }
    return NULL;
}

void
triggers_handle_delete(struct api_call *call, const json_t *request,
                       void *triggers_)
{
    struct triggers *triggers = triggers_;
    struct trigger *trigger = find_named(triggers, call, request);
    size_t i = 0;

    if (trigger) {
        while (triggers->all[i] != trigger) {
            i++;
        }
        /* Who added it is told where its events end. */
        api_peer_send(trigger->peer, trigger->call_id, "end",
                      json_pack("{s:I}", "trigger", (json_int_t) trigger->id));
        remove_at(triggers, i);
        api_call_answer(call, NULL);
    }
}

static void
pause_or_resume(struct triggers *triggers, struct api_call *call,
                const json_t *request, bool is_paused)
{
    struct trigger *trigger = find_named(triggers, call, request);

    if (trigger) {
        trigger->gate.is_paused = is_paused;
        api_call_answer(call, NULL);
    }
}

void
triggers_handle_pause(struct api_call *call, const json_t *request,
                      void *triggers)
{
    pause_or_resume(triggers, call, request, true);
}

void
triggers_handle_resume(struct api_call *call, const json_t *request,
                       void *triggers)
{
    pause_or_resume(triggers, call, request, false);
}

/* Tells the client how many were kept back. */
static void
tell_limited(struct trigger *trigger)
{
    uint64_t n = trigger_gate_take(&trigger->gate);

    if (n) {
        api_peer_send(trigger->peer, trigger->call_id, "limited",
                      json_pack("{s:I, s:I}", "trigger",
                                (json_int_t) trigger->id, "n",
                                (json_int_t) n));
    }
}

void
triggers_tell(struct triggers *triggers)
{
    for (size_t i = 0; i < triggers->n; i++) {
        tell_limited(triggers->all[i]);
    }
}

void
triggers_handle_list(struct api_call *call, const json_t *request,
                     void *triggers_)
{
    const struct triggers *triggers = triggers_;
    json_t *list = json_array();

    for (size_t i = 0; i < triggers->n; i++) {
        const struct trigger *t = triggers->all[i];

        struct api_peer_info info;

        api_peer_info(t->peer, &info);
        json_array_append_new(
            list,
            json_pack("{s:I, s:s?, s:s, s:I, s:I, s:I, s:I, s:b, s:I, s:s?}",
                      "trigger", (json_int_t) t->id, "name", t->name, "phf",
                      t->phf, "hits", (json_int_t) t->n_hits, "missed",
                      (json_int_t) t->n_missed, "limited",
                      (json_int_t) t->gate.n_limited, "rate",
                      (json_int_t) t->gate.rate, "paused",
                      (int) t->gate.is_paused, "client",
                      (json_int_t) info.number, "program", info.program));
    }
    api_call_answer(call, json_pack("{s:o}", "triggers", list));
}

void
triggers_forget_peer(struct triggers *triggers, struct api_peer *peer)
{
    for (size_t i = triggers->n; i-- > 0;) {
        if (triggers->all[i]->peer == peer) {
            remove_at(triggers, i);
        }
    }
}

void
triggers_set_topology(struct triggers *triggers,
                      const struct topology *topology)
{
    topology_unref(triggers->topology);
    triggers->topology = topology ? topology_ref(topology) : NULL;
}

void
triggers_set_told(struct triggers *triggers, const struct topology *told)
{
    topology_unref(triggers->told);
    triggers->told = told ? topology_ref(told) : NULL;
}

void
triggers_share(struct triggers *triggers, size_t n,
               void (*add)(void *aux, size_t worker, uint32_t trigger,
                           struct phf *),
               void (*remove)(void *aux, size_t worker, uint32_t trigger),
               void *aux)
{
    triggers->n_shares = n;
    triggers->add = add;
    triggers->remove = remove;
    triggers->aux = aux;
    for (size_t i = 0; i < triggers->n; i++) {
        add_to_shares(triggers, triggers->all[i]);
    }
}

/* Tells the client of one match. */
static void
deliver(struct delivery *delivery, struct trigger *trigger)
{
    struct triggers *triggers = delivery->triggers;

    triggers->n_hits++;
    trigger->n_hits++;
    if (!trigger_gate_lets(&trigger->gate)) {
        return;
    }

    /* No history is made for events that will be dropped. */
    if (!delivery->is_made && !api_peer_is_busy(trigger->peer)) {
        told_history_init(&delivery->told,
                          delivery->history ? delivery->history
                                            : phf_set_history(triggers->set),
                          triggers->told ? triggers->told
                                         : triggers->topology);
        delivery->is_made = true;
    }
    if (!told_history_offer(&delivery->told, trigger->peer, trigger->call_id,
                            trigger->id, trigger->name)) {
        triggers->n_missed++;
        trigger->n_missed++;
    }
}

static void
on_hit(void *delivery_, uint32_t id, void *trigger, enum phf_result result)
{
    struct delivery *delivery = delivery_;

    if (result == PHF_MATCH) {
        deliver(delivery, trigger);
    } else {
        delivery->triggers->n_limits++;
    }
}

/* The trigger with that number, NULL when it is gone: they are in the order of
 * their numbers. */
static struct trigger *
find(const struct triggers *triggers, uint32_t id)
{
    size_t low = 0, high = triggers->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (triggers->all[middle]->id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < triggers->n && triggers->all[low]->id == id
               ? triggers->all[low]
               : NULL;
}

void
triggers_deliver(struct triggers *triggers, const struct mail *mail)
{
    struct delivery delivery = {.triggers = triggers,
                                .history = mail->history};

    for (size_t i = 0; i < mail->n_hits; i++) {
        const struct mail_hit *hit = &mail->hits[i];
        struct trigger *trigger = find(triggers, hit->id);

        if (!trigger) {
            continue; /* Deleted while this was on its way. */
        }
        if (hit->n_missed) {
            triggers->n_hits += hit->n_missed;
            trigger->n_hits += hit->n_missed;
            triggers->n_missed += hit->n_missed;
            trigger->n_missed += hit->n_missed;
            api_peer_miss(trigger->peer, trigger->call_id, hit->n_missed);
        }
        if (hit->is_match) {
            deliver(&delivery, trigger);
        }
    }
    told_history_uninit(&delivery.told);
}

static void
miss(const struct trigger *t, uint64_t since_ns, uint64_t until_ns,
     const char *why)
{
    api_peer_send(t->peer, t->call_id, "missed",
                  json_pack("{s:i, s:I, s:I, s:s}", "n", 0, "since_ns",
                            (json_int_t) since_ns, "until_ns",
                            (json_int_t) until_ns, "why", why));
}

void
triggers_miss(struct triggers *triggers, uint32_t id, uint64_t since_ns,
              uint64_t until_ns, const char *why)
{
    const struct trigger *trigger = find(triggers, id);

    if (trigger) {
        miss(trigger, since_ns, until_ns, why);
    }
}

void
triggers_miss_all(struct triggers *triggers, uint64_t since_ns,
                  uint64_t until_ns, const char *why)
{
    for (size_t i = 0; i < triggers->n; i++) {
        miss(triggers->all[i], since_ns, until_ns, why);
    }
}

void
triggers_offer(struct triggers *triggers, const struct history *h)
{
    struct delivery delivery = {.triggers = triggers};

    if (triggers->n) {
        phf_set_match(triggers->set, h, triggers->topology, on_hit, &delivery);
        told_history_uninit(&delivery.told);
    }
}

void
triggers_offer_packet(struct triggers *triggers, struct trajectory *t,
                      const struct trajectory_packet *packet)
{
    struct delivery delivery = {.triggers = triggers};

    if (triggers->n) {
        phf_set_match_packet(triggers->set, t, packet, triggers->topology,
                             on_hit, &delivery);
        told_history_uninit(&delivery.told);
    }
}

void
triggers_collect(const struct triggers *triggers, struct counters *c)
{
    c->triggers = triggers->n;
    c->trigger_hits += triggers->n_hits;
    c->trigger_missed += triggers->n_missed;
    c->trigger_limits += triggers->n_limits;
    trigger_share_collect_set(triggers->set, c);
}
