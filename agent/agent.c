/* SPDX-License-Identifier: Apache-2.0 */
/* agent - takes postcards from rings and interfaces and ships them. */
#include <config.h>

#include "agent/agent.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "agent/agent_impl.h"
#include "agent/agent_metrics.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "lib/tls.h"

/* From one ring before the next has its turn, and from all before the event
 * loop has. */
#define RING_TURN 8192
#define EDGE_TURN 4096
#define SCAN_MS   500
#define HOUSE_MS  1000
#define MAX_NAME  255
#define NS_PER_MS 1000000u
#define NS_PER_S  1000000000u

static uint64_t
cpu_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t) ts.tv_sec * NS_PER_S + (uint64_t) ts.tv_nsec;
}

/* --- Batches -------------------------------------------------------------
 */

/* Tells the server of what was lost, as far as there is room. */
static void
put_losses(struct agent *agent)
{
    const struct ring_position *positions;
    size_t n = ring_set_positions(agent->rings, &positions);

    if (agent_batch_writer_n(agent->batch)) {
        return; /* Positions are not those of what was put. */
    }
    for (unsigned int i = 1; i < N_AGENT_PLACES; i++) {
        const struct agent_loss_switch *switches;
        struct agent_loss loss;

        if (!losses_pending(agent->losses, i, &loss, &switches)) {
            continue;
        }
        loss.seq = outbox_next_seq(agent->outbox);
        byte_buf_clear(&agent->frame);
        agent_frame_put_loss(&agent->frame, &loss, switches);
        if (outbox_put(agent->outbox, &agent->frame, positions, n, true)) {
            return;
        }
        losses_clear(agent->losses, i);
    }
}

/* Counts the postcards of a batch that found no room. */
static void
lose_batch(struct agent *agent, const struct agent_batch_stats *stats,
           int error)
{
    struct agent_postcard postcard;
    struct agent_loss loss = {.place = outbox_place(agent->outbox),
                              .first_ns = stats->first_ns,
                              .last_ns = stats->last_ns,
                              .count = stats->n};

    if (!agent->is_losing) {
        agent->is_losing = true;
        say_warn("the %s is full (%s): postcards are lost until the server "
                 "takes some",
                 agent_place_name(loss.place), strerror(error));
    }
    losses_add(agent->losses, &loss, NULL);
    if (agent_batch_reader_open(agent->reader, agent->packed.data,
                                agent->packed.len, stats->n, NULL)) {
        return; /* Counted, of whichever switches. */
    }
    while (agent_batch_reader_next(agent->reader, &postcard)) {
        struct agent_loss_switch one = {.dpid = postcard.template->dpid,
                                        .count = 1};
        struct agent_loss part = loss;

        part.count = 0;
        part.n = 1;
        losses_add(agent->losses, &part, &one);
    }
}

static void
publish(struct agent *agent)
{
    uint64_t now_ns = time_spec_now();

    for (size_t i = 0; i < ring_set_n(agent->rings); i++) {
        ring_reader_publish(ring_set_get(agent->rings, i)->reader, now_ns);
    }
}

void
agent_seal(struct agent *agent)
{
    struct agent_batch_stats stats;
    struct agent_batch_frame head;
    const struct ring_position *positions;
    size_t n_positions;
    int retval;

    if (agent_batch_writer_n(agent->batch)) {
        byte_buf_clear(&agent->packed);
        agent_batch_writer_finish(agent->batch, &agent->packed, &stats);
        head = (struct agent_batch_frame){
            .seq = outbox_next_seq(agent->outbox),
            .threshold = threshold_log_least(&agent->thresholds,
                                             stats.first_ns, stats.last_ns),
            .first_ns = stats.first_ns,
            .last_ns = stats.last_ns,
            .n = stats.n,
            .data = agent->packed.data,
            .len = agent->packed.len};
        byte_buf_clear(&agent->frame);
        agent_frame_put_batch(&agent->frame, &head);
        n_positions = ring_set_positions(agent->rings, &positions);
        retval = outbox_put(agent->outbox, &agent->frame, positions,
                            n_positions, false);
        if (retval) {
            lose_batch(agent, &stats, retval);
        } else {
            if (agent->is_losing) {
                agent->is_losing = false;
                say_info("the %s has room again",
                         agent_place_name(outbox_place(agent->outbox)));
            }
            agent->n_postcards += stats.n;
            agent->n_batches++;
            agent->packed_bytes += agent->frame.len;
        }
    }
    put_losses(agent);
    publish(agent);
    server_link_kick(agent->link);
}

/* There is room. */
static void
take(struct agent *agent, const struct agent_postcard *postcard)
{
    if (!agent_batch_writer_n(agent->batch)) {
        agent->batch_since_ns = monotonic_ns();
    }
    agent_batch_writer_add(agent->batch, postcard);
    assert(agent_batch_writer_n(agent->batch));
}

/* --- Rings ---------------------------------------------------------------
 */

/* Takes a turn at the ring; true when there is more. */
static bool
drain_ring(struct agent *agent, struct ring_reader *reader)
{
    struct ring_item item;

    for (unsigned int n = 0; n < RING_TURN; n++) {
        /* Before the next is read, which is not to be published with it. */
        if (agent_batch_writer_is_full(agent->batch) ||
            ring_reader_must_publish(reader)) {
            agent_seal(agent);
        }
        switch (ring_reader_next(reader, &item)) {
        case RING_ITEM_NONE:
            return false;
        case RING_ITEM_POSTCARD:
            take(agent, &item.postcard);
            break;
        case RING_ITEM_LOSS:
            losses_add(agent->losses, &item.loss, item.switches);
            break;
        }
    }
    return true;
}

/* Ends with a ring that nobody writes any more and that was read. */
static void
end_ring(struct agent *agent, size_t i)
{
    struct ring_reader *reader = ring_set_get(agent->rings, i)->reader;
    struct ring_item item;

    if (ring_reader_last_loss(reader, &item)) {
        losses_add(agent->losses, &item.loss, item.switches);
    }
    agent_seal(agent);
    ring_set_remove(agent->rings, i);
}

static void
drain_rings(struct agent *agent)
{
    bool has_more = false;

    for (size_t i = ring_set_n(agent->rings); i-- > 0;) {
        struct ring_entry *ring = ring_set_get(agent->rings, i);
        bool is_gone = ring->is_gone || ring_reader_is_closed(ring->reader);
        bool more = drain_ring(agent, ring->reader);

        has_more |= more;
        if (is_gone && !more) {
            end_ring(agent, i);
        }
    }
    if (!agent_batch_writer_n(agent->batch)) {
        publish(agent);
    } else if (monotonic_ns() - agent->batch_since_ns >=
               agent->options->flush_ns) {
        agent_seal(agent);
    }
    if (has_more) {
        event_active(agent->poll, EV_TIMEOUT, 0);
    }
}

static void
on_poll(evutil_socket_t fd, short what, void *agent_)
{
    drain_rings(agent_);
}

static void
on_unread(void *agent_, uint64_t first_ns, uint64_t last_ns, uint64_t count)
{
    struct agent *agent = agent_;
    struct agent_loss loss = {.place = AGENT_PLACE_RING,
                              .first_ns = first_ns,
                              .last_ns = last_ns,
                              .count = count};

    losses_add(agent->losses, &loss, NULL);
}

static void
on_scan(evutil_socket_t fd, short what, void *agent_)
{
    struct agent *agent = agent_;

    ring_set_scan(agent->rings, threshold_log_now(&agent->thresholds));
}

/* --- Interfaces ----------------------------------------------------------
 */

static void on_edge(evutil_socket_t, short what, void *interface);

static void
close_interface(struct interface *interface)
{
    if (interface->readable) {
        event_free(interface->readable);
        interface->readable = NULL;
    }
    edge_close(interface->edge);
    interface->edge = NULL;
}

static int
open_interface(struct interface *interface, struct lh_error *error)
{
    const struct options *o = interface->agent->options;
    int retval = edge_open(interface->name, o->snap, &o->id_config,
                           &interface->edge, error);

    if (!retval) {
        interface->readable =
            event_new(interface->agent->base, edge_fd(interface->edge),
                      EV_READ | EV_PERSIST, on_edge, interface);
        event_add(interface->readable, NULL);
        say_info("captures %s, switch %016" PRIx64, interface->name,
                 edge_dpid(interface->edge));
    }
    return retval;
}

static void
count_lost(struct interface *interface)
{
    struct agent *agent = interface->agent;
    uint64_t lost = edge_lost(interface->edge);
    uint64_t now_ns = time_spec_now();
    struct agent_loss loss = {.place = AGENT_PLACE_CAPTURE,
                              .first_ns = interface->looked_ns,
                              .last_ns = now_ns,
                              .count = lost,
                              .n = 1};
    struct agent_loss_switch part = {.dpid = edge_dpid(interface->edge),
                                     .count = lost};

    if (lost) {
        losses_add(agent->losses, &loss, &part);
    }
    interface->looked_ns = now_ns;
}

static void
take_captured(void *agent_, const struct agent_postcard *postcard)
{
    struct agent *agent = agent_;

    if (agent_batch_writer_is_full(agent->batch)) {
        agent_seal(agent);
    }
    take(agent, postcard);
}

static void
on_edge(evutil_socket_t fd, short what, void *interface_)
{
    struct interface *interface = interface_;
    struct agent *agent = interface->agent;

    if (edge_read(interface->edge, EDGE_TURN,
                  threshold_log_now(&agent->thresholds), take_captured,
                  agent)) {
        say_warn("interface %s is gone; it is tried again", interface->name);
        count_lost(interface);
        agent_seal(agent); /* Templates are the edge's. */
        close_interface(interface);
    }
}

/* --- Threshold -----------------------------------------------------------
 */

static void
apply_threshold(struct agent *agent)
{
    uint32_t before = threshold_log_now(&agent->thresholds);
    uint32_t threshold = agent->want < agent->server_threshold
                             ? agent->want
                             : agent->server_threshold;

    if (threshold == before) {
        return;
    }
    threshold_log_set(&agent->thresholds, time_spec_now(), threshold);
    for (size_t i = 0; i < ring_set_n(agent->rings); i++) {
        ring_reader_set_threshold(ring_set_get(agent->rings, i)->reader,
                                  threshold);
    }
    say_debug("keeps %.4f%% of all packets",
              ((double) threshold + 1) / 4294967296.0 * 100);
}

static void
on_threshold(void *agent_, uint32_t threshold)
{
    struct agent *agent = agent_;

    agent->server_threshold = threshold;
    apply_threshold(agent);
}

static void
on_budget(evutil_socket_t fd, short what, void *agent_)
{
    struct agent *agent = agent_;

    agent->want = budget_step(&agent->budget, cpu_ns(), monotonic_ns(),
                              threshold_log_now(&agent->thresholds));
    apply_threshold(agent);
    server_link_want(agent->link, agent->want);
}

/* --- Housekeeping --------------------------------------------------------
 */

static void
on_state(void *agent_, bool is_up, const char *server, const char *text)
{
    const struct agent *agent = agent_;

    if (is_up) {
        say_info("ships to %s", server);
    } else {
        say_warn("server %s: %s; it is tried again, postcards wait in the %s",
                 server, text, agent_place_name(outbox_place(agent->outbox)));
    }
}

static void
on_house(evutil_socket_t fd, short what, void *agent_)
{
    struct agent *agent = agent_;

    for (size_t i = 0; i < agent->n_interfaces; i++) {
        struct interface *interface = &agent->interfaces[i];

        if (interface->edge) {
            count_lost(interface);
        } else {
            open_interface(interface, NULL);
        }
    }
    put_losses(agent);
    server_link_kick(agent->link);
}

static void
add_timer(struct agent *agent, struct event **event, uint64_t period_ns,
          event_callback_fn callback)
{
    struct timeval period = {.tv_sec = (time_t) (period_ns / NS_PER_S),
                             .tv_usec =
                                 (suseconds_t) (period_ns % NS_PER_S / 1000)};

    *event = event_new(agent->base, -1, EV_PERSIST, callback, agent);
    event_add(*event, &period);
}

static void
host_name(const struct options *options, char name[MAX_NAME + 1])
{
    memset(name, 0, MAX_NAME + 1);
    if (options->name) {
        strncpy(name, options->name, MAX_NAME);
    } else if (gethostname(name, MAX_NAME)) {
        strcpy(name, "?");
    }
    for (char *p = name; *p; p++) {
        *p = *p < 0x20 || *p > 0x7e ? '?' : *p;
    }
}

static int
open_link(struct agent *agent, struct lh_error *error)
{
    const struct options *o = agent->options;
    struct tls_files files = {o->private_key, o->certificate, o->ca_cert};
    struct server_link_config config = {
        .servers = o->server,
        .spool = o->spool,
        .outbox = agent->outbox,
        .hello = {.protocol_min = AGENT_PROTOCOL,
                  .protocol_max = AGENT_PROTOCOL,
                  .start_ns = time_spec_now(),
                  .id_seed = o->id_config.seed,
                  .id_bytes = o->id_config.n_bytes,
                  .snap = o->n_interfaces ? o->snap : 0},
        .on_threshold = on_threshold,
        .on_state = on_state,
        .aux = agent};

    if (o->private_key) {
        int retval = tls_create(&files, &agent->tls, error);

        if (retval) {
            return retval;
        }
    }
    host_name(o, agent->name);
    config.tls = agent->tls;
    config.hello.name = (const uint8_t *) agent->name;
    config.hello.name_len = (uint8_t) strlen(agent->name);
    memcpy(config.hello.id, outbox_agent_id(agent->outbox), AGENT_ID_LEN);
    return server_link_create(agent->base, &config, &agent->link, error);
}

static int
open_interfaces(struct agent *agent, struct lh_error *error)
{
    const struct options *o = agent->options;
    int retval = 0;

    agent->interfaces =
        lh_alloc_zero(o->n_interfaces * sizeof *agent->interfaces);
    agent->n_interfaces = o->n_interfaces;
    for (size_t i = 0; i < o->n_interfaces && !retval; i++) {
        agent->interfaces[i] =
            (struct interface){.agent = agent,
                               .name = o->interfaces[i],
                               .looked_ns = time_spec_now()};
        retval = open_interface(&agent->interfaces[i], error);
    }
    return retval;
}

int
agent_open(struct event_base *base, const struct options *options,
           struct agent **agentp, struct lh_error *error)
{
    struct agent *agent = lh_alloc_zero(sizeof *agent);
    struct ring_set_config rings = {.proc = "/proc",
                                    .log_dir = options->spool,
                                    .process = options->process,
                                    .pidfile = options->pidfile,
                                    .since_ns = time_spec_now(),
                                    .on_unread = on_unread,
                                    .aux = agent};
    int retval;

    *agentp = NULL;
    agent->base = base;
    agent->options = options;
    agent->want = agent->server_threshold = AGENT_THRESHOLD_ALL;
    agent->batch = agent_batch_writer_create();
    agent->reader = agent_batch_reader_create();
    agent->losses = losses_create();
    agent->status_ns = monotonic_ns();
    threshold_log_init(&agent->thresholds, AGENT_THRESHOLD_ALL);
    budget_init(&agent->budget, options->cpu);
    retval = outbox_open(options->spool,
                         options->spool ? options->spool_bytes
                                        : options->memory_bytes,
                         &agent->outbox, error);
    if (!retval) {
        rings.n_positions = outbox_positions(agent->outbox, &rings.positions);
        agent->rings = ring_set_create(&rings);
        retval = open_link(agent, error);
    }
    if (!retval) {
        retval = open_interfaces(agent, error);
    }
    if (!retval && options->metrics) {
        retval = metrics_http_open(base, options->metrics, agent_metrics_write,
                                   agent, &agent->metrics, error);
    }
    if (retval) {
        agent_close(agent);
        return retval;
    }
    if (!options->no_rings) {
        add_timer(agent, &agent->scan, (uint64_t) SCAN_MS * NS_PER_MS,
                  on_scan);
        ring_set_scan(agent->rings, AGENT_THRESHOLD_ALL);
        ring_set_clean_logs(agent->rings);
    }
    add_timer(agent, &agent->poll, options->poll_ns, on_poll);
    add_timer(agent, &agent->house, (uint64_t) HOUSE_MS * NS_PER_MS, on_house);
    if (options->cpu > 0) {
        add_timer(agent, &agent->budget_timer,
                  (uint64_t) BUDGET_PERIOD_MS * NS_PER_MS, on_budget);
    }
    *agentp = agent;
    return 0;
}

void
agent_close(struct agent *agent)
{
    if (!agent) {
        return;
    }
    if (agent->poll) {
        drain_rings(agent);
        agent_seal(agent);
    }

    struct event *events[] = {agent->scan, agent->poll, agent->house,
                              agent->budget_timer};

    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (events[i]) {
            event_free(events[i]);
        }
    }
    metrics_http_close(agent->metrics);
    server_link_destroy(agent->link);
    tls_destroy(agent->tls);
    agent_batch_writer_destroy(agent->batch);
    agent_batch_reader_destroy(agent->reader);
    for (size_t i = 0; i < agent->n_interfaces; i++) {
        close_interface(&agent->interfaces[i]);
    }
    free(agent->interfaces);
    ring_set_destroy(agent->rings);
    outbox_close(agent->outbox);
    losses_destroy(agent->losses);
    byte_buf_uninit(&agent->packed);
    byte_buf_uninit(&agent->frame);
    free(agent);
}
