/* SPDX-License-Identifier: Apache-2.0 */
/* metrics - the recorder's counters as Prometheus text. */
#include <config.h>

#include "recorder/metrics.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/metrics_http.h"

#define PREFIX "lasthop_recorder_"

struct metric {
    const char *group, *key; /* In `stats`; group NULL: at the top. */
    const char *name;        /* After PREFIX. */
    const char *type, *help;
};

static const struct metric metrics[] = {
    {NULL, "accepted", "connections_accepted_total", "counter",
     "connections of switches and guests"},
    {NULL, "refused", "connections_refused_total", "counter",
     "connections of switches and guests that were turned away"},
    {"flow_log", "notes", "flow_log_notes_total", "counter",
     "changes noted: written, lost or queued"},
    {"flow_log", "written", "flow_log_written_total", "counter",
     "changes that the operating system has"},
    {"flow_log", "lost", "flow_log_lost_total", "counter",
     "changes that could not be kept until they were written"},
    {"flow_log", "queued", "flow_log_queued", "gauge",
     "changes that wait to be written"},
    {"flow_log", "queued_bytes", "flow_log_queued_bytes", "gauge",
     "memory of the changes that wait"},
    {"flow_log", "failures", "flow_log_failures_total", "counter",
     "times that writing failed"},
    {"flow_log", "late", "flow_log_late_total", "counter",
     "times that the disk was more than 2 s behind"},
    {"flow_log", "duplicates", "flow_log_duplicates_total", "counter",
     "changes that were noted already"},
    {"flow_log", "trimmed", "flow_log_trimmed_total", "counter",
     "rows deleted because they were old"},
    {"discovery", "sent", "discovery_sent_total", "counter",
     "frames sent to find links"},
    {"discovery", "heard", "discovery_heard_total", "counter", "frames heard"},
    {"discovery", "malformed", "discovery_malformed_total", "counter",
     "frames heard that could not be read"},
    {"discovery", "forged", "discovery_forged_total", "counter",
     "frames heard that are not the recorder's own"},
    {"discovery", "ambiguous", "discovery_ambiguous_total", "counter",
     "frames heard by several ports of one link"},
    {"past", "asked", "past_asked_total", "counter",
     "questions about the past"},
    {"past", "answered", "past_answered_total", "counter",
     "questions about the past that were answered"},
    {"past", "failed", "past_failed_total", "counter",
     "questions about the past that were refused or failed"},
    {"past", "cancelled", "past_cancelled_total", "counter",
     "questions about the past whose client went away"},
    {"past", "refused", "past_refused_total", "counter",
     "questions about the past that came while too many waited"},
    {"api", "peers", "clients_total", "counter", "clients accepted"},
    {"api", "peers_refused", "clients_refused_total", "counter",
     "clients refused: too many"},
    {"api", "peers_slow", "clients_slow_total", "counter",
     "clients closed because too much waited for them"},
    {"api", "requests", "requests_total", "counter", "requests"},
    {"api", "refusals", "refusals_total", "counter", "error answers"},
    {"api", "events", "events_total", "counter", "events sent"},
    {"api", "subscribers", "subscribers", "gauge",
     "clients that follow changes"},
};

/* Of each switch; the key is in `instr` where 'group' says so. */
static const struct metric switch_metrics[] = {
    {NULL, "from_switch", "switch_messages_total", "counter",
     "messages from the switch"},
    {NULL, "from_controller", "controller_messages_total", "counter",
     "messages from the controller"},
    {NULL, "held", "controller_held_total", "counter",
     "times that the controller was kept waiting"},
    {NULL, "rules_made", "rules_made_total", "counter", "rules made"},
    {NULL, "rules_removed", "rules_removed_total", "counter", "rules removed"},
    {"instr", "rules", "rules", "gauge", "rules now"},
    {"instr", "groups", "groups", "gauge", "groups now"},
    {"instr", "meters", "meters", "gauge", "meters now"},
    {"instr", "injected", "injected_total", "counter",
     "rules and buckets that were given postcards"},
    {"instr", "not_injected", "not_injected_total", "counter",
     "rules and buckets that could not be given postcards"},
    {"instr", "foreign", "foreign_total", "counter",
     "rules, groups and meters that others made or changed"},
    {"instr", "repaired", "repaired_total", "counter",
     "rules of ours that were put back"},
    {"instr", "own_errors", "own_errors_total", "counter",
     "errors of the switch to messages of ours"},
    {"instr", "passed_unknown", "passed_unknown_total", "counter",
     "messages passed on unchanged because they are not known"},
    {"instr", "passed_malformed", "passed_malformed_total", "counter",
     "messages passed on unchanged because they could not be read"},
};

/* Of each postcard port of a switch, by the port's own counters. */
static const struct metric port_metrics[] = {
    {NULL, "tx_packets", "postcards_sent_total", "counter",
     "postcards that a switch has sent, by the counters of its postcard port"},
    {NULL, "tx_dropped", "postcards_dropped_total", "counter",
     "postcards that this port has dropped"},
    {NULL, "tx_errors", "postcard_errors_total", "counter",
     "postcards that this port could not send"},
};

#define N_OF(ARRAY) (sizeof(ARRAY) / sizeof *(ARRAY))

/* False when it is not there. */
static bool
get(const json_t *object, const struct metric *m, uint64_t *value)
{
    const json_t *number = json_object_get(
        m->group ? json_object_get(object, m->group) : object, m->key);

    *value = (uint64_t) json_integer_value(number);
    return json_is_integer(number);
}

/* 'text' as it stands between the quotes of a label, for free(). */
static char *
escape(const char *text)
{
    char *escaped = lh_alloc(2 * strlen(text) + 1), *p = escaped;

    for (; *text; text++) {
        if (*text == '\n') {
            *p++ = '\\';
            *p++ = 'n';
            continue;
        }
        if (*text == '"' || *text == '\\') {
            *p++ = '\\';
        }
        *p++ = *text;
    }
    *p = '\0';
    return escaped;
}

/* Which connection of which switch, for free(). */
static char *
labels_of(const json_t *connection, size_t i)
{
    const char *dpid = json_string_value(json_object_get(connection, "dpid"));
    const char *name = json_string_value(json_object_get(connection, "name"));
    char *escaped = escape(name ? name : "");
    char *labels = lh_asprintf("connection=\"%zu\",dpid=\"%s\",switch=\"%s\"",
                               i, dpid ? dpid : "", escaped);

    free(escaped);
    return labels;
}

static void
write_switches(const struct metric *m, const char *name,
               const json_t *switches, struct evbuffer *text)
{
    const json_t *connection;
    uint64_t value;
    size_t i;

    json_array_foreach(switches, i, connection)
    {
        if (get(connection, m, &value)) {
            char *labels = labels_of(connection, i);

            metrics_http_value(text, name, labels, value);
            free(labels);
        }
    }
}

static void
write_ports(const struct metric *m, const char *name, const json_t *switches,
            struct evbuffer *text)
{
    const json_t *connection, *port;
    uint64_t value;
    size_t i, k;

    json_array_foreach(switches, i, connection)
    {
        json_array_foreach(json_object_get(connection, "postcard_ports"), k,
                           port)
        {
            if (get(port, m, &value)) {
                char *which = labels_of(connection, i);
                char *labels = lh_asprintf(
                    "%s,encap=\"%s\"", which,
                    json_string_value(json_object_get(port, "encap")));

                metrics_http_value(text, name, labels, value);
                free(labels);
                free(which);
            }
        }
    }
}

void
metrics_write(const json_t *stats, struct evbuffer *text)
{
    const json_t *switches = json_object_get(stats, "switches");
    char name[96];
    uint64_t value;

    for (size_t i = 0; i < N_OF(metrics); i++) {
        snprintf(name, sizeof name, PREFIX "%s", metrics[i].name);
        metrics_http_head(text, name, metrics[i].type, metrics[i].help);
        if (get(stats, &metrics[i], &value)) {
            metrics_http_value(text, name, NULL, value);
        }
    }
    snprintf(name, sizeof name, PREFIX "connections");
    metrics_http_head(text, name, "gauge", "connections of switches now");
    metrics_http_value(text, name, NULL, json_array_size(switches));
    for (size_t i = 0; i < N_OF(switch_metrics); i++) {
        snprintf(name, sizeof name, PREFIX "%s", switch_metrics[i].name);
        metrics_http_head(text, name, switch_metrics[i].type,
                          switch_metrics[i].help);
        write_switches(&switch_metrics[i], name, switches, text);
    }
    for (size_t i = 0; i < N_OF(port_metrics); i++) {
        snprintf(name, sizeof name, PREFIX "%s", port_metrics[i].name);
        metrics_http_head(text, name, port_metrics[i].type,
                          port_metrics[i].help);
        write_ports(&port_metrics[i], name, switches, text);
    }
}
