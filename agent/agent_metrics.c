/* SPDX-License-Identifier: Apache-2.0 */
/* agent_metrics - an agent's counters as Prometheus text, and in a few
 * lines. */
#include <config.h>

#include "agent/agent_metrics.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/agent_impl.h"
#include "lib/monotonic.h"
#include "lib/say.h"

struct metric {
    const char *name;
    const char *help;
    uint64_t value;
    bool is_now;
};

static void
put_metrics(struct evbuffer *text, const struct metric *metrics, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct metric *m = &metrics[i];
        char name[96];

        snprintf(name, sizeof name, "lasthop_agent_%s%s", m->name,
                 m->is_now ? "" : "_total");
        metrics_http_head(text, name, m->is_now ? "gauge" : "counter",
                          m->help);
        metrics_http_value(text, name, NULL, m->value);
    }
}

static void
put_losses(const struct agent *agent, struct evbuffer *text)
{
    const char *name = "lasthop_agent_lost_total";

    metrics_http_head(text, name, "counter",
                      "postcards lost, by the place where they were lost");
    for (unsigned int i = 1; i < N_AGENT_PLACES; i++) {
        char label[32];

        snprintf(label, sizeof label, "place=\"%s\"", agent_place_name(i));
        metrics_http_value(text, name, label, losses_total(agent->losses, i));
    }
}

static struct edge_counters
sum_edges(const struct agent *agent)
{
    struct edge_counters sum = {0, 0, 0};

    for (size_t i = 0; i < agent->n_interfaces; i++) {
        if (agent->interfaces[i].edge) {
            const struct edge_counters *c =
                edge_counters(agent->interfaces[i].edge);

            sum.n_packets += c->n_packets;
            sum.n_foreign += c->n_foreign;
            sum.n_unsampled += c->n_unsampled;
        }
    }
    return sum;
}

void
agent_metrics_write(void *agent_, struct evbuffer *text)
{
    const struct agent *agent = agent_;
    struct outbox_counters out = outbox_counters(agent->outbox);
    struct ring_counters ring = ring_set_counters(agent->rings);
    const struct server_link_counters *link =
        server_link_counters(agent->link);
    struct edge_counters edge = sum_edges(agent);
    const struct metric metrics[] = {
        {"rings", "now: rings of switches that are read",
         ring_set_n(agent->rings), true},
        {"rings_refused", "now: rings that cannot be read; the log says why",
         ring_set_n_refused(agent->rings), true},
        {"ring_postcards", "postcards taken from rings", ring.n_postcards,
         false},
        {"ring_malformed", "records of rings that made no sense",
         ring.n_malformed, false},
        {"ring_broken",
         "times that all of a ring made no sense and was "
         "skipped",
         ring.n_broken, false},
        {"ring_blind", "postcards whose template was not known; lost at ring",
         ring.n_blind, false},
        {"ring_unsampled",
         "packets that switches left out, above the "
         "threshold",
         ring_set_switch_counter(agent->rings, RING_N_UNSAMPLED), false},
        {"edge_packets", "packets of interfaces that are captured",
         edge.n_packets, false},
        {"edge_foreign", "packets there that are not this host's",
         edge.n_foreign, false},
        {"edge_unsampled", "packets there above the threshold",
         edge.n_unsampled, false},
        {"postcards", "postcards put into batches", agent->n_postcards, false},
        {"batches", "batches of postcards", agent->n_batches, false},
        {"batch_bytes", "their bytes", agent->packed_bytes, false},
        {"waiting", "now: frames that the server has not taken", out.n_waiting,
         true},
        {"spool_bytes", "now: on disk, or in memory without a spool",
         out.bytes, true},
        {"spool_max_bytes", "now: the bound of that", out.max_bytes, true},
        {"spool_errors", "writes and reads of the spool that failed",
         out.n_errors, false},
        {"frames_taken", "frames that the server has taken", out.n_taken,
         false},
        {"frames_sent", "frames sent, each time counted", link->n_sent, false},
        {"frames_resent", "of these, not the first time", link->n_resent,
         false},
        {"sent_bytes", "sent to the server, before TLS", link->bytes, false},
        {"connected", "now: 1 when the server is there", link->is_up, true},
        {"connections", "connections that the server welcomed",
         link->n_connections, false},
        {"moves", "of these, by another server than the one before",
         link->n_moves, false},
        {"servers_told", "now: servers of the cluster that it was told of",
         link->n_told, true},
        {"connection_failures", "connections that ended or were none",
         link->n_failures, false},
        {"connection_refused", "of these, refused by the server",
         link->n_refused, false},
        {"connection_malformed", "of these, ended for what made no sense",
         link->n_malformed, false},
        {"threshold", "now: packets are kept whose ID >> 32 is not above",
         threshold_log_now(&agent->thresholds), true},
        {"want_threshold", "now: the threshold that --cpu allows", agent->want,
         true},
        {"cpu_permille", "now: of one processor, of late; 0 without --cpu",
         (uint64_t) (agent->budget.used * 1000 + 0.5), true},
    };

    put_metrics(text, metrics, sizeof metrics / sizeof metrics[0]);
    put_losses(agent, text);
}

void
agent_say_status(struct agent *agent)
{
    struct outbox_counters out = outbox_counters(agent->outbox);
    const struct server_link_counters *link =
        server_link_counters(agent->link);
    uint64_t now_ns = monotonic_ns();
    double seconds = (double) (now_ns - agent->status_ns) / 1e9;
    double kept =
        ((double) threshold_log_now(&agent->thresholds) + 1) / 4294967296.0;

    if (seconds <= 0) {
        seconds = 1;
    }
    say_info("%zu rings, %zu interfaces; %.0f postcards/s, %.0f bytes/s; "
             "keeps %.4f%% of all packets",
             ring_set_n(agent->rings), agent->n_interfaces,
             (double) (agent->n_postcards - agent->status_postcards) / seconds,
             (double) (agent->packed_bytes - agent->status_bytes) / seconds,
             kept * 100);
    say_info("lost: %" PRIu64 " at rings, %" PRIu64 " at the spool, %" PRIu64
             " in memory, %" PRIu64 " when capturing",
             losses_total(agent->losses, AGENT_PLACE_RING),
             losses_total(agent->losses, AGENT_PLACE_SPOOL),
             losses_total(agent->losses, AGENT_PLACE_MEMORY),
             losses_total(agent->losses, AGENT_PLACE_CAPTURE));
    say_info("server %s is %s; %" PRIu64 " frames wait, %" PRIu64
             " of %" PRIu64 " KiB in the %s",
             server_link_server(agent->link), link->is_up ? "there" : "away",
             out.n_waiting, out.bytes >> 10, out.max_bytes >> 10,
             agent_place_name(outbox_place(agent->outbox)));
    agent->status_ns = now_ns;
    agent->status_postcards = agent->n_postcards;
    agent->status_bytes = agent->packed_bytes;
}
