/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_print - histories, hops, rules and tables as text or JSON. */
#include <config.h>
#include "apps/ndb_print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "apps/app_rules.h"
#include "lib/dpid.h"
#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "lib/text_line.h"
#include "lib/time_spec.h"

/* Names of switches on a line that sums up a history. */
#define MAX_NAMES 8

void
ndb_print_json(struct ndb *ndb, json_t *json)
{
    json_dumpf(json, ndb->out, JSON_COMPACT);
    fputc('\n', ndb->out);
    json_decref(json);
}

static struct text_line
begin_line(const struct ndb *ndb)
{
    return (struct text_line){
        .stream = ndb->out, .color = ndb->color, .width = ndb->width};
}

/* --- names --------------------------------------------------------------- */

static void
put_switch(struct text_line *line, const struct ndb *ndb, uint64_t dpid)
{
    const struct topology_switch *sw =
        ndb->topology ? topology_find(ndb->topology, dpid) : NULL;

    if (sw && sw->name) {
        text_line_put(line, TEXT_BOLD, "%s", sw->name);
    } else {
        text_line_put(line, TEXT_BOLD, DPID_FMT, dpid);
    }
}

enum text_style
ndb_print_verdict_style(enum verdict_name name)
{
    switch (name) {
    case VERDICT_DELIVERED:
        return TEXT_GREEN;
    case VERDICT_LOST:
    case VERDICT_DROPPED:
    case VERDICT_LOOPED:
        return TEXT_RED;
    case VERDICT_CONTROLLER:
        return TEXT_CYAN;
    case VERDICT_NONE:
    case VERDICT_OPEN:
        break;
    }
    return TEXT_YELLOW;
}

/* --- summaries ----------------------------------------------------------- */

/* The way by first children, "s1 > s2 > s3", and how many hops are not on
 * it. */
static void
put_way(struct text_line *line, const struct ndb *ndb, const struct history *h)
{
    size_t i = 0;

    for (; i < h->n_hops && h->hops[i].parent == (int) i - 1; i++) {
        if (i == MAX_NAMES) {
            text_line_put(line, TEXT_PLAIN, " > ...");
        } else if (i < MAX_NAMES) {
            text_line_put(line, TEXT_PLAIN, "%s",
                          !i                          ? ""
                          : h->hops[i].has_gap_before ? " > .. > "
                                                      : " > ");
            put_switch(line, ndb, h->hops[i].dpid);
        }
    }
    if (i < h->n_hops) {
        text_line_put(line, TEXT_PLAIN, " (and %zu more hop%s)", h->n_hops - i,
                      h->n_hops - i == 1 ? "" : "s");
    }
}

void
ndb_print_summary(struct ndb *ndb, size_t i)
{
    const struct history *h = ndb->found[i];
    struct text_line line = begin_line(ndb);
    uint64_t first_ns = history_first_ns(h);
    char text[400] = "no time";

    if (ndb->app->is_json) {
        ndb_print_json(ndb, history_to_json(h, ndb->topology));
        return;
    }
    if (first_ns) {
        app_format_time(ndb->app, first_ns, text);
    }
    text_line_put(&line, TEXT_DIM, "%-3zu ", i + 1);
    text_line_put(&line, TEXT_PLAIN, "%s  ", text);
    text_line_put(&line, ndb_print_verdict_style(h->verdict.name), "%-10s ",
                  h->verdict.name == VERDICT_NONE
                      ? "no verdict"
                      : verdict_name_string(h->verdict.name));
    put_way(&line, ndb, h);
    if (h->n_hops && h->hops[0].caplen &&
        hdr_format(h->hops[0].header, h->hops[0].caplen, text, sizeof text)) {
        char *named = app_names_in_text(ndb->names, text);

        text_line_put(&line, TEXT_BLUE, "  %s", named);
        free(named);
    }
    text_line_end(&line);
    text_line_uninit(&line);
}

/* --- the backtrace ------------------------------------------------------- */

/* Asks for rules, and remembers why there was none. */
struct rule_asking {
    struct ndb *ndb;
    bool has_failed;
    struct lh_error error;
};

static char *
rule_text(void *asking_, uint64_t dpid, uint32_t version)
{
    struct rule_asking *asking = asking_;
    struct lh_error error;
    struct rule *rule;
    char *text;

    /* When one question went wrong the next would too, and each may wait. */
    if (asking->has_failed) {
        return NULL;
    }
    switch (
        app_source_rule(asking->ndb->source, dpid, version, &rule, &error)) {
    case 0:
        break;
    case ENOENT:
        return NULL;
    default:
        asking->has_failed = true;
        asking->error = error;
        return NULL;
    }
    text = app_rules_format(rule);
    rule_unref(rule);
    return text;
}

static char *
packet_text(void *asking_, const char *text)
{
    const struct rule_asking *asking = asking_;

    return app_names_in_text(asking->ndb->names, text);
}

static char *
time_text(void *asking_, uint64_t ns)
{
    const struct rule_asking *asking = asking_;
    char buf[TIME_SPEC_BUFSIZE];

    return lh_strdup(app_format_time(asking->ndb->app, ns, buf));
}

static struct history_text_options
text_options(struct ndb *ndb, struct rule_asking *asking)
{
    return (struct history_text_options){
        .topology = ndb->topology,
        .color = ndb->color,
        .utc = ndb->app->is_utc,
        .width = ndb->width,
        .current = (int) ndb->frame,
        .rule_text = rule_text,
        .packet_text = packet_text,
        .time_text = time_text,
        .aux = asking,
    };
}

/* Says once why rules are not shown. */
static void
end_asking(struct ndb *ndb, const struct rule_asking *asking)
{
    if (asking->has_failed) {
        fflush(ndb->out);
        fprintf(stderr, "%s: rules are not known: %s\n", ndb->where,
                asking->error.text);
    }
}

static void
print_backtrace_json(struct ndb *ndb, const struct history *h,
                     struct rule_asking *asking)
{
    json_t *json = history_to_json(h, ndb->topology);
    json_t *rules = json_array();

    for (size_t i = 0; i < h->n_hops; i++) {
        for (size_t j = 0; j < h->hops[i].n_versions; j++) {
            struct rule *rule;

            if (!asking->has_failed &&
                !app_source_rule(ndb->source, h->hops[i].dpid,
                                 h->hops[i].versions[j], &rule,
                                 &asking->error)) {
                json_array_append_new(rules, rule_to_json(rule));
                rule_unref(rule);
            }
        }
    }
    json_object_set_new(json, "rules", rules);
    ndb_print_json(ndb, json);
}

void
ndb_print_backtrace(struct ndb *ndb, bool is_full)
{
    struct rule_asking asking = {.ndb = ndb};
    struct history_text_options options = text_options(ndb, &asking);

    options.full = is_full;
    if (ndb->app->is_json) {
        print_backtrace_json(ndb, ndb_history(ndb), &asking);
    } else {
        history_to_text(ndb_history(ndb), &options, ndb->out);
        end_asking(ndb, &asking);
    }
}

void
ndb_print_frame(struct ndb *ndb)
{
    const struct history *h = ndb_history(ndb);
    struct rule_asking asking = {.ndb = ndb};
    struct history_text_options options = text_options(ndb, &asking);

    if (ndb->app->is_json) {
        json_t *json = history_to_json(h, ndb->topology);

        ndb_print_json(ndb, json_incref(json_array_get(
                                json_object_get(json, "hops"), ndb->frame)));
        json_decref(json);
    } else {
        history_hop_to_text(h, ndb->frame, &options, ndb->out);
        end_asking(ndb, &asking);
    }
}

/* --- rules and tables ---------------------------------------------------- */

static void
put_time(struct text_line *line, const struct ndb *ndb, uint64_t ns)
{
    char buf[TIME_SPEC_BUFSIZE];

    text_line_put(line, TEXT_PLAIN, "%s",
                  ns ? app_format_time(ndb->app, ns, buf) : "(no time)");
}

static const char *
or_all(const char *match)
{
    return match && *match ? match : "(all packets)";
}

void
ndb_print_rule(struct ndb *ndb, const struct rule *rule)
{
    struct text_line line = begin_line(ndb);

    text_line_put(&line, TEXT_BOLD, "v%" PRIu32, rule->version);
    text_line_put(&line, TEXT_PLAIN, " of ");
    put_switch(&line, ndb, rule->dpid);
    text_line_put(&line, TEXT_PLAIN, ": %s", rule_kind_name(rule->kind));
    if (rule->kind == RULE_FLOW || rule->kind == RULE_MISS) {
        text_line_put(&line, TEXT_PLAIN,
                      ", table %u, priority %u, cookie 0x%" PRIx64,
                      rule->table_id, rule->priority, rule->cookie);
        text_line_end(&line);
        text_line_put(&line, TEXT_PLAIN, "    match    %s",
                      or_all(rule->match));
    }
    text_line_end(&line);
    text_line_put(&line, TEXT_PLAIN, "    actions  %s",
                  rule->actions ? rule->actions : "");
    text_line_end(&line);
    if (rule->idle_timeout || rule->hard_timeout) {
        text_line_put(&line, TEXT_PLAIN,
                      "    timeouts idle %u s, hard %u s (0: none)",
                      rule->idle_timeout, rule->hard_timeout);
        text_line_end(&line);
    }
    text_line_put(&line, TEXT_PLAIN, "    made     ");
    put_time(&line, ndb, rule->installed_ns);
    text_line_put(&line, TEXT_PLAIN, " by %s (%s), change %" PRIu64,
                  rule->who ? rule->who : "?",
                  rule->command ? rule->command : "?", rule->change);
    text_line_end(&line);
    if (rule->removed_ns) {
        text_line_put(&line, TEXT_YELLOW, "    removed  ");
        put_time(&line, ndb, rule->removed_ns);
        text_line_put(&line, TEXT_PLAIN, " (%s)",
                      rule->removed_reason ? rule->removed_reason : "?");
        text_line_end(&line);
    }
    text_line_uninit(&line);
}

static bool
matched(const struct history_hop *hop, uint32_t version)
{
    for (size_t i = 0; i < hop->n_versions; i++) {
        if (hop->versions[i] == version) {
            return true;
        }
    }
    return false;
}

void
ndb_print_table(struct ndb *ndb, const struct app_table *table,
                const char *note)
{
    const struct history_hop *hop = ndb_hop(ndb);
    struct text_line line = begin_line(ndb);

    put_switch(&line, ndb, hop->dpid);
    text_line_put(&line, TEXT_PLAIN, " as it was %s, ", note);
    put_time(&line, ndb, table->at_ns);
    text_line_end(&line);
    for (size_t i = 0; i < table->n; i++) {
        const struct rule *rule = table->rules[i];
        bool is_matched = matched(hop, rule->version);

        text_line_put(
            &line, is_matched ? TEXT_BOLD : TEXT_PLAIN,
            "%s table %-3u priority %-5u v%-6" PRIu32 " %s actions=%s",
            is_matched ? "=>" : "  ", rule->table_id, rule->priority,
            rule->version,
            rule->kind == RULE_MISS ? "(table miss)" : or_all(rule->match),
            rule->actions ? rule->actions : "");
        text_line_end(&line);
    }
    if (!table->n) {
        text_line_put(&line, TEXT_PLAIN, "   no rules");
        text_line_end(&line);
    }
    text_line_uninit(&line);
}

/* --- topology and values ------------------------------------------------- */

static void
print_port(struct ndb *ndb, struct text_line *line,
           const struct topology_port *port)
{
    text_line_put(line, TEXT_PLAIN, "    %-5u %-16s", port->no,
                  port->name ? port->name : "");
    if (port->has_peer) {
        text_line_put(line, TEXT_PLAIN, " -> ");
        put_switch(line, ndb, port->peer_dpid);
        text_line_put(line, TEXT_PLAIN, " port %u", port->peer_port);
    } else {
        text_line_put(line, TEXT_PLAIN, "%s",
                      port->edge ? " edge" : " no link known");
    }
    if (port->down) {
        text_line_put(line, TEXT_RED, " (down)");
    }
    text_line_end(line);
}

void
ndb_print_topology(struct ndb *ndb)
{
    struct text_line line = begin_line(ndb);

    for (size_t i = 0; i < topology_n_switches(ndb->topology); i++) {
        const struct topology_switch *sw =
            topology_switch_at(ndb->topology, i);

        put_switch(&line, ndb, sw->dpid);
        text_line_put(&line, TEXT_PLAIN, "  " DPID_FMT, sw->dpid);
        if (sw->address) {
            text_line_put(&line, TEXT_PLAIN, "  %s", sw->address);
        }
        text_line_end(&line);
        for (size_t j = 0; j < sw->n_ports; j++) {
            print_port(ndb, &line, &sw->ports[j]);
        }
    }
    text_line_uninit(&line);
}

static void
print_value(struct ndb *ndb, const char *name, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

    fprintf(ndb->out, "%-40s %s\n", name,
            json_is_string(value) ? json_string_value(value) : text);
    free(text);
}

/* Depth is bounded by that of the answer, which jansson bounds. */
static void
print_values(struct ndb *ndb, const char *prefix, const json_t *json)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *) json, name, value)
    {
        char *full = lh_asprintf("%s%s%s", prefix, *prefix ? "." : "", name);

        if (json_is_object(value)) {
            print_values(ndb, full, value);
        } else {
            print_value(ndb, full, value);
        }
        free(full);
    }
}

void
ndb_print_values(struct ndb *ndb, const json_t *json)
{
    print_values(ndb, "", json);
}
