/* SPDX-License-Identifier: Apache-2.0 */
/* recorder - what all sessions share, and when it is written and sent. */
#include <config.h>

#include "recorder/recorder.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <event2/event.h>

#include "lib/api_server.h"
#include "lib/flow_log.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/of_port.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "recorder/api.h"
#include "recorder/api_control.h"
#include "recorder/attach.h"
#include "recorder/attach_api.h"
#include "recorder/collectors.h"
#include "recorder/control.h"
#include "recorder/datapath.h"
#include "recorder/discovery.h"
#include "recorder/floors.h"
#include "recorder/inband.h"
#include "recorder/log_watch.h"
#include "recorder/mono_clock.h"
#include "recorder/session.h"
#include "recorder/session_state.h"
#include "recorder/listener.h"
#include "recorder/standby.h"
#include "recorder/status.h"

#define TOPOLOGY_KEY "topology"

#define TELL_AFTER_US 5000 /* The topology, when it has changed. */

struct recorder {
    const struct recorder_config *config;
    struct event_base *base;
    struct flow_log *log;
    char *log_path; /* Absolute.  Owned. */
    struct log_watch *log_watch;
    struct discovery *discovery;
    struct recorder_api *api;
    struct attach *attach;
    bool is_ending;
    struct listener **listeners; /* One per route.  Owned, and they. */
    size_t n_listeners;
    struct event *tell;     /* The new topology. */
    struct event *discover; /* When discovery has something to do. */
    struct event *count;    /* Asks for the counters of postcard ports. */
    struct event *on_term, *on_int;
    struct control *control;
    struct api_control_env control_env;
    struct tls *switch_tls, *controller_tls; /* Owned, or NULL. */
    struct session_env env;
    struct session **sessions; /* Those that have not ended. */
    size_t n_sessions, allocated_sessions;
    struct datapath *datapaths; /* The first.  They free themselves. */
    uint64_t started_ns;
    uint64_t n_accepted, n_refused;
};

/* --- The log and the topology. --- */

static void
keep_topology(struct recorder *r)
{
    json_t *json = topology_to_json(discovery_topology(r->discovery));
    char *text = json_dumps(json, JSON_COMPACT);

    if (text) {
        flow_log_put_text(r->log, TOPOLOGY_KEY, text);
    }
    free(text);
    json_decref(json);
}

static void
on_tell(evutil_socket_t fd, short what, void *r_)
{
    struct recorder *r = r_;

    keep_topology(r);
    recorder_api_topology(r->api, discovery_topology(r->discovery));
}

/* --- Discovery. --- */

static void
wake(void *r_)
{
    struct recorder *r = r_;
    uint64_t next_ns = discovery_next_ns(r->discovery);
    uint64_t now_ns = mono_clock_ns();

    flow_log_hand_over(r->log);
    if (next_ns != UINT64_MAX) {
        uint64_t wait_ns = next_ns > now_ns ? next_ns - now_ns : 0;
        struct timeval timeout = {
            .tv_sec = (time_t) (wait_ns / 1000000000),
            .tv_usec = (suseconds_t) (wait_ns % 1000000000 / 1000) + 1,
        };

        event_add(r->discover, &timeout);
    }
}

static void
on_discover(evutil_socket_t fd, short what, void *r_)
{
    struct recorder *r = r_;

    discovery_run(r->discovery, mono_clock_ns());
    wake(r);
}

static void
send_frame(void *r_, uint64_t dpid, uint16_t port, const uint8_t *frame,
           size_t len)
{
    struct recorder *r = r_;
    struct datapath *dp = datapath_find(&r->env, dpid);

    if (dp) {
        datapath_send_packet(dp, port, frame, len);
    }
}

static void
on_topology(void *r_, const struct topology *topology)
{
    struct recorder *r = r_;
    struct timeval timeout = {.tv_usec = TELL_AFTER_US};

    if (!event_pending(r->tell, EV_TIMEOUT, NULL)) {
        event_add(r->tell, &timeout);
    }
    inband_links(r->env.inband);
}

static void
log_link(struct recorder *r, enum flow_log_event event, uint64_t a_dpid,
         uint16_t a_port, uint64_t b_dpid, uint16_t b_port)
{
    char *text =
        lh_asprintf("to %016llx port %u", (unsigned long long) b_dpid, b_port);

    flow_log_event(r->log, event, a_dpid, a_port, time_spec_now(), text);
    free(text);
}

static void
on_link(void *r_, bool is_up, uint64_t a_dpid, uint16_t a_port,
        uint64_t b_dpid, uint16_t b_port)
{
    struct recorder *r = r_;
    enum flow_log_event event = is_up ? FLOW_LOG_LINK_UP : FLOW_LOG_LINK_DOWN;

    say_info("link %016llx:%u - %016llx:%u is %s", (unsigned long long) a_dpid,
             a_port, (unsigned long long) b_dpid, b_port,
             is_up ? "up" : "down");
    log_link(r, event, a_dpid, a_port, b_dpid, b_port);
    log_link(r, event, b_dpid, b_port, a_dpid, a_port);
    if (!is_up) {
        inband_link_gone(r->env.inband);
    }
    flow_log_hand_over(r->log);
}

static const struct discovery_callbacks discovery_callbacks = {
    send_frame, on_topology, on_link};

static int
open_discovery(struct recorder *r, struct lh_error *error)
{
    uint8_t key[SIPHASH_KEY_LEN];
    struct topology *known = NULL;
    struct lh_error ignored;
    char *text;

    if (getrandom(key, sizeof key, 0) != sizeof key) {
        lh_error_set(error, "no random numbers: %s", strerror(errno));
        return errno;
    }
    if (!flow_log_get_text(r->log, TOPOLOGY_KEY, &text, &ignored)) {
        json_t *json = json_loads(text, 0, NULL);

        if (!json || topology_from_json(json, &known, &ignored)) {
            say_warn("the topology last known cannot be read: %s",
                     json ? ignored.text : "not JSON");
        }
        json_decref(json);
        free(text);
    }
    r->discovery = discovery_create(key, known, &discovery_callbacks, r);
    topology_unref(known);
    return 0;
}

/* --- Sessions. --- */

static void
add_session(void *r_, struct session *session)
{
    struct recorder *r = r_;

    r->sessions = lh_alloc_grow(r->sessions, r->n_sessions,
                                &r->allocated_sessions, sizeof *r->sessions);
    r->sessions[r->n_sessions++] = session;
}

static void
on_ended(void *r_, struct session *session)
{
    struct recorder *r = r_;

    attach_ended(r->attach, session);
    for (size_t i = 0; i < r->n_sessions; i++) {
        if (r->sessions[i] == session) {
            r->sessions[i] = r->sessions[--r->n_sessions];
            return;
        }
    }
}

/* Tells why no more can come by 'route', or NULL.  Guests leave the switches'
 * room to them. */
static const char *
find_full(const struct recorder *r, const struct recorder_route *route)
{
    size_t n_guests = 0;

    for (size_t i = 0; i < r->n_sessions; i++) {
        n_guests += session_is_guest(r->sessions[i]);
    }
    if (route->bridge.text) {
        return n_guests >= RECORDER_MAX_GUESTS ? "guests" : NULL;
    }
    return r->n_sessions - n_guests >= RECORDER_MAX_SESSIONS ? "switches"
                                                             : NULL;
}

static void
on_accepted(void *r_, const struct recorder_route *route, int fd,
            const struct sockaddr *peer, socklen_t peer_len)
{
    struct recorder *r = r_;
    const char *full = find_full(r, route);
    struct session *session;

    if (full) {
        say_warn("%s: too many %s: one is refused", route->listen.text, full);
        r->n_refused++;
        close(fd);
        return;
    }
    session = route->bridge.text
                  ? session_serve(&r->env, route, fd)
                  : session_create(&r->env, route, fd, peer, peer_len);
    if (!session) {
        r->n_refused++;
        return;
    }
    r->n_accepted++;
    add_session(r, session);
}

static void
on_accept_failed(void *r_)
{
    struct recorder *r = r_;

    r->n_refused++;
}

static const struct listener_callbacks listener_callbacks = {on_accepted,
                                                             on_accept_failed};

static int
open_listeners(struct recorder *r, struct lh_error *error)
{
    const struct recorder_config *config = r->config;
    size_t n = config->n_routes + config->n_served;
    int retval = 0;

    r->listeners = lh_alloc_zero(n * sizeof *r->listeners);
    for (size_t i = 0; i < n && !retval; i++) {
        const struct recorder_route *route =
            i < config->n_routes ? &config->routes[i]
                                 : &config->served[i - config->n_routes];

        retval =
            listener_open(r->base, route, config->is_standby,
                          &listener_callbacks, r, &r->listeners[i], error);
        r->n_listeners += !retval;
    }
    return retval;
}

static void
close_listeners(struct recorder *r)
{
    while (r->n_listeners) {
        listener_close(r->listeners[--r->n_listeners]);
    }
    free(r->listeners);
}

/* --- The API. --- */

static const struct topology *
get_topology(void *r_)
{
    struct recorder *r = r_;

    return discovery_topology(r->discovery);
}

static json_t *
get_stats(void *r_)
{
    struct recorder *r = r_;
    const struct discovery_counters *d = discovery_counters(r->discovery);
    json_t *switches = json_array();

    for (size_t i = 0; i < r->n_sessions; i++) {
        json_array_append_new(switches, session_stats(r->sessions[i]));
    }
    return json_pack(
        "{s:o, s:o, s:s, s:I, s:I, s:I, s:o,"
        " s:{s:I,s:I,s:I,s:I,s:I,s:I,s:I}, s:o}",
        "inband", inband_stats(r->env.inband), "attached",
        attach_stats(r->attach), "version", PACKAGE_VERSION, "started_ns",
        (json_int_t) r->started_ns, "accepted", (json_int_t) r->n_accepted,
        "refused", (json_int_t) r->n_refused, "flow_log",
        log_watch_stats(r->log_watch, r->log_path), "discovery", "sent",
        (json_int_t) d->sent, "heard", (json_int_t) d->heard, "malformed",
        (json_int_t) d->malformed, "forged", (json_int_t) d->forged, "late",
        (json_int_t) d->late, "unknown", (json_int_t) d->unknown, "ambiguous",
        (json_int_t) d->ambiguous, "switches", switches);
}

static json_t *
apply_control(void *r_)
{
    struct recorder *r = r_;

    return status_apply(&r->env);
}

static json_t *
get_status(void *r_)
{
    struct recorder *r = r_;

    return status_get(&r->env, r->started_ns);
}

static void
on_count(evutil_socket_t fd, short what, void *r_)
{
    struct recorder *r = r_;

    struct datapath *next;

    for (struct datapath *dp = r->datapaths; dp; dp = next) {
        next = datapath_next(dp);
        datapath_cap_ask(dp);
    }
    collectors_run(r->env.collectors, monotonic_ms());
    datapath_move_all(&r->env);
}

static const struct recorder_api_callbacks api_callbacks = {get_topology,
                                                            get_stats};

/* --- Begin and end. --- */

static int
open_log(struct recorder *r, struct lh_error *error)
{
    char *path = lh_asprintf("%s/flow.db", r->config->state_dir);
    int retval;

    if (mkdir(r->config->state_dir, 0750) && errno != EEXIST) {
        retval = errno;
        lh_error_set(error, "cannot make the directory %s: %s",
                     r->config->state_dir, strerror(retval));
    } else {
        retval = r->config->is_standby
                     ? standby_open_log(r->base, path, &r->log, error)
                     : flow_log_open(path, &r->log, error);
        r->log_path = realpath(path, NULL);
        if (retval) {
            log_watch_explain(r->config->state_dir, error);
        }
        if (!retval) {
            r->log_watch =
                log_watch_create(r->base, r->log, r->config->keep_ns,
                                 r->config->keep_bytes, r->config->retain_ns);
        }
    }
    free(path);
    return retval;
}

static void
on_detached_all(void *r_)
{
    struct recorder *r = r_;

    event_base_loopbreak(r->base);
}

static void
on_end_signal(evutil_socket_t sig, short what, void *r_)
{
    struct recorder *r = r_;

    say_info("%s: ending", strsignal((int) sig));
    if (r->config->keeps_instrumented || r->is_ending) {
        event_base_loopbreak(r->base);
    } else {
        r->is_ending = true;
        attach_remove_all(r->attach, on_detached_all, r);
    }
}

static void
open_events(struct recorder *r)
{
    r->base = event_base_new();
    r->tell = evtimer_new(r->base, on_tell, r);
    r->discover = evtimer_new(r->base, on_discover, r);
    r->count = event_new(r->base, -1, EV_PERSIST, on_count, r);
    r->on_term = evsignal_new(r->base, SIGTERM, on_end_signal, r);
    r->on_int = evsignal_new(r->base, SIGINT, on_end_signal, r);
    event_add(r->on_term, NULL);
    event_add(r->on_int, NULL);
}

int
recorder_create(const struct recorder_config *config, struct recorder **rp,
                struct lh_error *error)
{
    struct recorder *r = lh_alloc_zero(sizeof *r);
    struct timeval second = {.tv_sec = 1};
    int retval;

    *rp = NULL;
    r->config = config;
    r->started_ns = time_spec_now();
    open_events(r);
    retval = open_log(r, error);
    if (!retval) {
        retval =
            control_create(r->log, config->select_file, &r->control, error);
    }
    if (!retval) {
        retval = open_discovery(r, error);
    }
    if (!retval) {
        retval = recorder_api_create(r->base, config->socket_path, r->log,
                                     &api_callbacks, r, &r->api, error);
    }
    if (!retval && config->metrics) {
        retval = recorder_api_metrics(r->api, r->base, config->metrics, error);
    }
    if (!retval) {
        retval = recorder_tls_open(config, &r->switch_tls, &r->controller_tls,
                                   error);
    }
    if (!retval) {
        retval = open_listeners(r, error);
    }
    if (retval) {
        recorder_destroy(r);
        return retval;
    }
    r->env = (struct session_env){
        .base = r->base,
        .config = config,
        .switch_tls = r->switch_tls,
        .controller_tls = r->controller_tls,
        .log = r->log,
        .discovery = r->discovery,
        .api = r->api,
        .control = r->control,
        .collectors = collectors_create(&config->postcards),
        .wake = wake,
        .datapaths = &r->datapaths,
        .ended = on_ended,
        .aux = r,
    };
    r->env.inband = inband_create(&r->env);
    r->control_env = (struct api_control_env){.control = r->control,
                                              .log = r->log,
                                              .apply = apply_control,
                                              .status = get_status,
                                              .aux = r};
    api_control_add(recorder_api_server(r->api), &r->control_env);
    collectors_add_op(r->env.collectors, recorder_api_server(r->api));
    floors_add_op(log_watch_floors(r->log_watch), recorder_api_server(r->api));
    log_watch_set_found(r->log_watch, datapath_log_again, &r->env);
    r->attach = attach_create(&r->env, add_session, r);
    attach_api_add(recorder_api_server(r->api), r->attach);
    for (size_t i = 0; i < config->n_attach && !retval; i++) {
        retval = attach_add_text(r->attach, config->attach[i],
                                 config->ovsdb.force, error);
    }
    if (retval) {
        recorder_destroy(r);
        return retval;
    }
    flow_log_event(r->log, FLOW_LOG_START, 0, OF_PORT_UNKNOWN, r->started_ns,
                   PACKAGE_VERSION);
    event_add(r->count, &second); /* While it stands by there is nothing. */
    wake(r);
    *rp = r;
    return 0;
}

static void
free_event(struct event *event)
{
    if (event) {
        event_free(event);
    }
}

void
recorder_destroy(struct recorder *r)
{
    if (!r) {
        return;
    }
    close_listeners(r);
    while (r->n_sessions) {
        session_destroy(r->sessions[--r->n_sessions]);
    }
    free(r->sessions);
    r->sessions = NULL;
    if (r->env.base) {
        /* What sessions that ended left to the loop. */
        event_base_loop(r->base, EVLOOP_NONBLOCK);
        event_base_loop(r->base, EVLOOP_NONBLOCK);
        flow_log_event(r->log, FLOW_LOG_STOP, 0, OF_PORT_UNKNOWN,
                       time_spec_now(), NULL);
        if (event_pending(r->tell, EV_TIMEOUT, NULL)) {
            keep_topology(r);
        }
    }
    attach_destroy(r->attach);
    recorder_api_destroy(r->api);
    control_destroy(r->control);
    inband_destroy(r->env.inband);
    collectors_destroy(r->env.collectors);
    discovery_destroy(r->discovery);
    log_watch_destroy(r->log_watch);
    flow_log_close(r->log);
    free(r->log_path);
    free_event(r->tell);
    free_event(r->discover);
    free_event(r->count);
    free_event(r->on_term);
    free_event(r->on_int);
    event_base_free(r->base);
    tls_destroy(r->switch_tls);
    tls_destroy(r->controller_tls);
    free(r);
}

void
recorder_run(struct recorder *r)
{
    for (size_t i = 0; i < r->config->n_routes; i++) {
        const struct recorder_route *route = &r->config->routes[i];

        say_info("listening for switches on %s, controller %s, flow log in %s",
                 route->listen.text, route->controller->text,
                 r->config->state_dir);
    }
    for (size_t i = 0; i < r->config->n_served; i++) {
        const struct recorder_route *route = &r->config->served[i];

        say_info("listening for guests of %s on %s", route->bridge.text,
                 route->listen.text);
    }
    event_base_dispatch(r->base);
}
