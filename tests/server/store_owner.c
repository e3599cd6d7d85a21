/* SPDX-License-Identifier: Apache-2.0 */
/* store_owner - stage-2 owners on a nats-server of the test's own. */
#include <config.h>

#include "tests/server/store_owner.h"

#include <check.h>
#include <event2/event.h>
#include <stdio.h>

#include "lib/bus_kv.h"
#include "lib/bus_stream.h"
#include "tests/server/store_fixture.h"

struct nats nats;
struct store_state state;

static void
on_history(void *owner_, const struct history *h)
{
    struct owner *owner = owner_;

    owner->n_shown++;
}

static void
on_event(void *owner_, struct cluster_store *store,
         enum cluster_store_event event)
{
    struct owner *owner = owner_;

    owner->is_open |= event == STORE_OPEN;
    owner->is_drained |= event == STORE_DRAINED;
    owner->is_fenced |= event == STORE_FENCED;
}

void
own(struct owner *owner, uint64_t epoch, const char *dir)
{
    const struct cluster_store_config config = {
        .bus = bus,
        .stream = "LH2",
        .subject = "lh.2",
        .bucket = "c2",
        .shard = STORE_M,
        .slot = STORE_M,
        .epoch = epoch,
        .dir = dir,
        .packet_id = store_id_config,
        .round_ms = 20,
        .on_history = on_history,
        .on_event = on_event,
        .aux = owner,
    };

    *owner = (struct owner){.is_open = false};
    owner->store = cluster_store_create(&config);
}

bool
is_behind(void *owner)
{
    struct cluster_store_counters c;

    cluster_store_get_counters(((struct owner *) owner)->store, &c);
    return c.accept.markers < n_checkpoints || c.accept.waiting;
}

bool
is_uncommitted(void *owner)
{
    struct cluster_store_counters c;

    cluster_store_get_counters(((struct owner *) owner)->store, &c);
    return c.archived < n_sent;
}

void
drain(struct owner *owner)
{
    cluster_store_drain(owner->store);
    nats_loop_until(base, &owner->is_drained);
    cluster_store_destroy(owner->store);
    owner->store = NULL;
}

static void
on_ready(void *is_ready, int error_number, const char *why)
{
    ck_assert_msg(!error_number, "%s", why);
    *(bool *) is_ready = true;
}

void
open_bus(void)
{
    base = event_base_new();
    bus = nats_open(&nats, base);
}

void
close_bus(void)
{
    bus_close(bus);
    event_base_free(base);
}

void
make_streams(void)
{
    const struct bus_stream_config stream = {.name = "LH2",
                                             .subjects = "lh.2.*",
                                             .max_bytes = 64u << 20,
                                             .discards_new = true};
    const struct bus_kv_config bucket = {.bucket = "c2",
                                         .max_bytes = 1u << 20};
    bool is_ready = false;

    ck_assert_int_eq(
        bus_stream_create(bus, &stream, 5000, on_ready, &is_ready, NULL), 0);
    nats_loop_until(base, &is_ready);
    is_ready = false;
    ck_assert_int_eq(
        bus_kv_create(bus, &bucket, 5000, on_ready, &is_ready, NULL), 0);
    nats_loop_until(base, &is_ready);
}

void
store_set_up(void)
{
    nats_start(&nats, NULL);
    for (int i = 0; i < 2; i++) {
        snprintf(dirs[i], sizeof dirs[i], "%s/archive-%d", nats.dir, i);
    }
    n_sent = n_checkpoints = 0;
}

void
store_tear_down(void)
{
    nats_end(&nats);
}

static void
on_state(void *aux, int error_number, const char *why,
         const struct bus_stream_state *is)
{
    ck_assert_msg(!error_number, "%s", why);
    state.is_told = true;
    state.n_messages = is->n_messages;
}

bool
has_messages(void *aux)
{
    if (state.is_told) {
        if (state.n_messages == 1) {
            return false; /* The last one stays. */
        }
        state.is_told = false;
        ck_assert_int_eq(
            bus_stream_ask(bus, "LH2", 5000, on_state, NULL, NULL), 0);
    }
    return true;
}

bool
has_no_trouble(void *owner)
{
    struct lh_error error;

    return !cluster_store_trouble(((struct owner *) owner)->store, &error);
}

void
check_swept(void)
{
    state.is_told = true;
    state.n_messages = 2;
    nats_loop_while(base, has_messages, NULL);
}
