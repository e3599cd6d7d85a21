/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_leg - this server's answers to queries of others. */
#include <config.h>

#include "server/cluster_leg.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/byte_buf.h"
#include "lib/bytes.h"
#include "lib/history_codec.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "phf/phf.h"
#include "server/cluster_rpc.h"

#define SILENCE_MS 10000 /* Of an asker. */
#define MAX_LEGS   256
#define SEND_MS    5000

struct leg {
    struct cluster_legs *legs;
    char *id, *inbox;                /* Owned. */
    struct queries_running *running; /* NULL: it has ended. */
    struct history_encoder *batch;   /* Owned. */
    uint32_t n_sent, n_taken;        /* Messages with a number; of these. */
    uint64_t n_too_large;
    struct query_totals totals; /* As last told. */
    int64_t heard_ms, told_ms;
};

struct cluster_legs {
    struct cluster_legs_config config;
    char *name;              /* Owned. */
    struct cluster_rpc *rpc; /* Owned. */
    struct event *beat;      /* Owned. */
    size_t n;
    struct leg *all[MAX_LEGS]; /* Owned. */
    struct cluster_legs_counters counters;
};

/* --- Messages ------------------------------------------------------------ */

int
cluster_leg_read(const uint8_t *data, size_t size,
                 struct cluster_leg_head *head, const uint8_t **body,
                 size_t *body_len)
{
    struct bytes_reader in = bytes_reader(data, size);
    uint8_t version = bytes_get_u8(&in);
    uint8_t kind = bytes_get_u8(&in);

    head->name_len = bytes_get_u8(&in);
    head->name = (const char *) bytes_get(&in, head->name_len);
    head->number = bytes_get_u32(&in);
    if (in.failed || version != CLUSTER_LEG_VERSION ||
        kind < CLUSTER_LEG_BATCH_OF || kind > CLUSTER_LEG_END) {
        return EBADMSG;
    }
    head->kind = (enum cluster_leg_kind) kind;
    *body = data + in.ofs;
    *body_len = size - in.ofs;
    return 0;
}

static void
send_bytes(struct leg *leg, enum cluster_leg_kind kind, const void *body,
           size_t len)
{
    size_t name_len = strlen(leg->legs->name);
    struct byte_buf buf = BYTE_BUF_INIT;
    struct bus_letter letter = {.subject = leg->inbox};

    byte_buf_put_u8(&buf, CLUSTER_LEG_VERSION);
    byte_buf_put_u8(&buf, (uint8_t) kind);
    byte_buf_put_u8(&buf, (uint8_t) name_len);
    byte_buf_put(&buf, leg->legs->name, name_len);
    byte_buf_put_u32(&buf, kind == CLUSTER_LEG_PROGRESS ? 0 : ++leg->n_sent);
    byte_buf_put(&buf, body, len);
    letter.data = buf.data;
    letter.size = buf.len;
    /* The asker sees a gap in the numbers where this fails. */
    bus_send(leg->legs->config.bus, &letter, NULL, SEND_MS, NULL);
    byte_buf_uninit(&buf);
    leg->told_ms = monotonic_ms();
}

static void
send_batch(struct leg *leg)
{
    struct byte_buf buf = BYTE_BUF_INIT;

    if (history_encoder_totals(leg->batch)->n_records) {
        history_encoder_finish(leg->batch, &buf);
        history_encoder_reset(leg->batch);
        send_bytes(leg, CLUSTER_LEG_BATCH_OF, buf.data, buf.len);
        byte_buf_uninit(&buf);
    }
}

static void
send_totals(struct leg *leg, enum cluster_leg_kind kind,
            const struct query_totals *t)
{
    json_t *json = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:I}", "n", (json_int_t) t->n,
        "scanned", (json_int_t) t->scanned, "blocks_read",
        (json_int_t) t->n_read, "blocks", (json_int_t) t->n_blocks, "damaged",
        (json_int_t) t->damaged, "lost",
        (json_int_t) (t->lost + leg->n_too_large), "truncated",
        (int) t->is_truncated, "limits", (json_int_t) t->n_limits);
    char *text;

    if (t->damaged) {
        json_object_set_new(json, "damage", json_string(t->damage.text));
    }
    if (t->sampled_since_ns) {
        json_object_set_new(json, "sampled_since",
                            json_integer((json_int_t) t->sampled_since_ns));
        json_object_set_new(json, "sampled_until",
                            json_integer((json_int_t) t->sampled_until_ns));
    }
    text = json_dumps(json, JSON_COMPACT);
    send_bytes(leg, kind, text, strlen(text));
    free(text);
    json_decref(json);
}

/* --- What a query finds -------------------------------------------------- */

static void
give(void *leg_, const struct history *h)
{
    struct leg *leg = leg_;
    const struct history_encoder_totals *t;

    if (history_encoder_add(leg->batch, h)) {
        leg->n_too_large++;
        return;
    }
    t = history_encoder_totals(leg->batch);
    if (t->n_records >= CLUSTER_LEG_BATCH || t->size >= CLUSTER_LEG_BYTES) {
        send_batch(leg);
    }
}

static bool
is_busy(void *leg_)
{
    const struct leg *leg = leg_;

    return leg->n_sent - leg->n_taken >= CLUSTER_LEG_WINDOW;
}

static void
progress(void *leg_, const struct query_totals *totals)
{
    struct leg *leg = leg_;

    leg->totals = *totals;
}

static void
end(void *leg_, const struct query_totals *totals)
{
    struct leg *leg = leg_;

    send_batch(leg);
    send_totals(leg, CLUSTER_LEG_END, totals);
    leg->running = NULL; /* Goes with the next beat. */
}

static const struct queries_sink sink = {give, is_busy, progress, end};

/* --- Askers -------------------------------------------------------------- */

static void
remove_leg(struct leg *leg)
{
    struct cluster_legs *legs = leg->legs;
    size_t i = 0;

    while (legs->all[i] != leg) {
        i++;
    }
    legs->all[i] = legs->all[--legs->n];
    if (leg->running) {
        queries_stop(leg->running);
    }
    history_encoder_destroy(leg->batch);
    free(leg->id);
    free(leg->inbox);
    free(leg);
}

static void
start(struct cluster_legs *legs, struct cluster_rpc_call *call,
      const json_t *request, const char *id)
{
    struct jmember root = jmember_root(request);
    struct jmember phf = jmember_get(&root, "phf");
    struct jmember inbox = jmember_get(&root, "inbox");
    struct query_config config = {.limit = 0};
    const char *phf_text, *inbox_text;
    struct lh_error error;
    struct leg *leg;
    json_t *has;
    int retval;

    if (legs->n == MAX_LEGS) {
        cluster_rpc_fail(call, EBUSY, "too many queries run there");
        return;
    }
    if (jmember_string(&phf, &phf_text, &error) ||
        jmember_string(&inbox, &inbox_text, &error) ||
        queries_read_members(request, &config, &error) ||
        phf_compile(phf_text, NULL, &config.phf, &error)) {
        cluster_rpc_fail(call, EINVAL, error.text);
        return;
    }
    if (json_is_integer(json_object_get(request, "shard"))) {
        config.has_shard = true;
        config.shard =
            (uint32_t) json_integer_value(json_object_get(request, "shard"));
    }
    leg = lh_alloc_zero(sizeof *leg);
    leg->legs = legs;
    leg->batch = history_encoder_create();
    leg->heard_ms = leg->told_ms = monotonic_ms();
    retval = queries_start(legs->config.queries, &config, &sink, leg,
                           &leg->running, &error);
    if (retval) {
        phf_destroy(config.phf);
    }
    if (retval && retval != ENOENT) {
        history_encoder_destroy(leg->batch);
        free(leg);
        cluster_rpc_fail(call, retval, error.text);
        return;
    }
    leg->id = lh_strdup(id);
    leg->inbox = lh_strdup(inbox_text);
    legs->all[legs->n++] = leg;
    has = retval ? NULL : legs->config.vouch(legs->config.aux, config.reader);
    cluster_rpc_answer(call, has ? json_pack("{s:o}", "has", has) : NULL);
    if (retval) {
        end(leg, &leg->totals); /* No shard was ever stored here. */
    }
}

static void
take_more(struct leg *leg, const json_t *request)
{
    json_int_t n = json_integer_value(json_object_get(request, "n"));
    bool was_busy = is_busy(leg);

    leg->heard_ms = monotonic_ms();
    if (n > leg->n_taken && n <= leg->n_sent) {
        leg->n_taken = (uint32_t) n;
    }
    if (was_busy && !is_busy(leg) && leg->running) {
        queries_wake(leg->running);
    }
}

static void
on_asked(void *legs_, struct cluster_rpc_call *call, const char *op,
         const json_t *request)
{
    struct cluster_legs *legs = legs_;
    const char *id = json_string_value(json_object_get(request, "query"));
    struct leg *leg = NULL;

    for (size_t i = 0; id && i < legs->n; i++) {
        if (!strcmp(legs->all[i]->id, id)) {
            leg = legs->all[i];
        }
    }
    if (!id) {
        cluster_rpc_fail(call, EINVAL, "no query is named");
    } else if (!strcmp(op, "start") && !leg) {
        start(legs, call, request, id);
    } else if (!strcmp(op, "more") && leg) {
        take_more(leg, request);
        cluster_rpc_answer(call, NULL);
    } else if (!strcmp(op, "cancel") && leg) {
        legs->counters.cancelled += leg->running != NULL;
        remove_leg(leg);
        cluster_rpc_answer(call, NULL);
    } else {
        cluster_rpc_fail(call, ENOENT, "there is no such query");
    }
}

static void
on_beat(evutil_socket_t fd, short what, void *legs_)
{
    struct cluster_legs *legs = legs_;
    int64_t now = monotonic_ms();

    for (size_t i = legs->n; i-- > 0;) {
        struct leg *leg = legs->all[i];

        if (!leg->running || now - leg->heard_ms > SILENCE_MS) {
            legs->counters.silent += leg->running != NULL;
            remove_leg(leg);
        } else if (now - leg->told_ms >= CLUSTER_LEG_BEAT_MS) {
            send_totals(leg, CLUSTER_LEG_PROGRESS, &leg->totals);
        }
    }
}

struct cluster_legs *
cluster_legs_create(const struct cluster_legs_config *config)
{
    static const struct timeval beat = {.tv_usec = CLUSTER_LEG_BEAT_MS * 1000};
    struct cluster_legs *legs = lh_alloc_zero(sizeof *legs);
    char *subject = lh_asprintf(CLUSTER_LEG_SUBJECT "%s", config->name);

    legs->config = *config;
    legs->name = lh_strdup(config->name);
    legs->rpc = cluster_rpc_create(config->bus, subject, on_asked, legs);
    legs->beat =
        event_new(bus_get_base(config->bus), -1, EV_PERSIST, on_beat, legs);
    event_add(legs->beat, &beat);
    free(subject);
    return legs;
}

void
cluster_legs_get_counters(const struct cluster_legs *legs,
                          struct cluster_legs_counters *counters)
{
    *counters = legs->counters;
}

void
cluster_legs_destroy(struct cluster_legs *legs)
{
    if (legs) {
        while (legs->n) {
            remove_leg(legs->all[0]);
        }
        cluster_rpc_destroy(legs->rpc);
        event_free(legs->beat);
        free(legs->name);
        free(legs);
    }
}
