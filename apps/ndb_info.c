/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_info - `info`: rules, tables, topology, counters, breakpoints. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ndb_break.h"
#include "apps/ndb_commands.h"
#include "apps/ndb_packet.h"
#include "apps/ndb_print.h"
#include "lib/dpid.h"
#include "lib/jmember.h"
#include "lib/nearest.h"
#include "lib/time_spec.h"

static enum ndb_status
no_hop(const struct ndb *ndb)
{
    fprintf(stderr, "%s: no history: find some, or continue to a breakpoint\n",
            ndb->where);
    return NDB_NOTHING;
}

/* --- flow ---------------------------------------------------------------- */

static enum ndb_status
info_flow(struct ndb *ndb, const char *args)
{
    const struct history_hop *hop = ndb_hop(ndb);
    enum ndb_status status = NDB_OK;

    if (!hop) {
        return no_hop(ndb);
    }
    if (!hop->n_versions) {
        fprintf(stderr, "%s: no rule is known at hop %zu\n", ndb->where,
                ndb->frame);
        return NDB_NOTHING;
    }
    for (size_t i = 0; i < hop->n_versions; i++) {
        struct lh_error error;
        struct rule *rule;

        if (app_source_rule(ndb->source, hop->dpid, hop->versions[i], &rule,
                            &error)) {
            lh_error_prefix(&error, "version %u of switch " DPID_FMT,
                            hop->versions[i], hop->dpid);
            status = ndb_fail(ndb, &error, NULL);
        } else if (ndb->app->is_json) {
            ndb_print_json(ndb, rule_to_json(rule));
        } else {
            ndb_print_rule(ndb, rule);
        }
        rule_unref(rule);
    }
    return status;
}

/* --- table --------------------------------------------------------------- */

/* Keeps the rules of table 'id' only. */
static void
keep_table(struct app_table *table, unsigned long id)
{
    size_t n = 0;

    for (size_t i = 0; i < table->n; i++) {
        if (table->rules[i]->table_id == id) {
            table->rules[n++] = table->rules[i];
        } else {
            rule_unref(table->rules[i]);
        }
    }
    table->n = n;
}

static bool
has_version(const struct app_table *table, uint32_t version)
{
    for (size_t i = 0; i < table->n; i++) {
        if (table->rules[i]->version == version) {
            return true;
        }
    }
    return false;
}

/* The tables at the time of 'hop'.  Clocks differ, and a rule may have gone
 * while the postcard was on its way: when the rule that matched is not in
 * them, the tables are taken as they were when that rule was made. */
static int
table_of_hop(struct ndb *ndb, const struct history_hop *hop,
             struct app_table *table, const char **note,
             struct lh_error *error)
{
    struct app_table by_version;
    const uint32_t *version =
        hop->n_versions ? &hop->versions[hop->n_versions - 1] : NULL;
    int retval = 0;

    *note = "at the time of this hop";
    if (hop->time_ns) {
        retval = app_source_table(ndb->source, hop->dpid, NULL, hop->time_ns,
                                  table, error);
    } else if (!version) {
        lh_error_set(error, "neither time nor rule of this hop is known");
        return ENOENT;
    }
    if (retval || !version || has_version(table, *version) ||
        hop->is_packet_out) {
        return retval;
    }
    retval = app_source_table(ndb->source, hop->dpid, version, 0, &by_version,
                              error);
    if (!retval && (!hop->time_ns || has_version(&by_version, *version))) {
        app_table_uninit(table);
        *table = by_version;
        *note = "when the rule that matched was made";
        return 0;
    }
    app_table_uninit(&by_version);
    return hop->time_ns ? 0 : retval;
}

static void
print_table_json(struct ndb *ndb, const struct history_hop *hop,
                 const struct app_table *table, const char *note)
{
    json_t *rules = json_array(), *matched = json_array();

    for (size_t i = 0; i < table->n; i++) {
        json_array_append_new(rules, rule_to_json(table->rules[i]));
    }
    for (size_t i = 0; i < hop->n_versions; i++) {
        json_array_append_new(matched, json_integer(hop->versions[i]));
    }
    ndb_print_json(ndb, json_pack("{s:o, s:I, s:s, s:o, s:o}", "dpid",
                                  jmember_dpid_new(hop->dpid), "at_ns",
                                  (json_int_t) table->at_ns, "as_of", note,
                                  "matched", matched, "rules", rules));
}

static enum ndb_status
info_table(struct ndb *ndb, const char *args)
{
    const struct history_hop *hop = ndb_hop(ndb);
    unsigned long id = 256;
    struct app_table table = {0, 0, NULL};
    struct lh_error error;
    const char *note;
    char *end;

    if (*args && (args[strspn(args, "0123456789")] || strlen(args) > 3)) {
        return ndb_past_table(ndb, args);
    }
    if (*args) {
        id = strtoul(args, &end, 10);
        if (*args < '0' || *args > '9' || *end || id > 255) {
            lh_error_set(&error, "\"%s\" is no table: 0 to 255", args);
            return ndb_fail(ndb, &error, NULL);
        }
    }
    if (!hop) {
        return no_hop(ndb);
    }
    if (table_of_hop(ndb, hop, &table, &note, &error)) {
        app_table_uninit(&table);
        lh_error_prefix(&error, "table of switch " DPID_FMT, hop->dpid);
        return ndb_fail(ndb, &error, NULL);
    }
    if (*args) {
        keep_table(&table, id);
    }
    if (ndb->app->is_json) {
        print_table_json(ndb, hop, &table, note);
    } else {
        ndb_print_table(ndb, &table, note);
    }
    app_table_uninit(&table);
    return NDB_OK;
}

/* --- the rest ------------------------------------------------------------ */

static enum ndb_status
info_topology(struct ndb *ndb, const char *args)
{
    struct topology *topology;
    struct lh_error error;
    const struct history *h = ndb_history(ndb);
    uint64_t at_ns = h ? history_first_ns(h) : 0;

    if (app_source_topology(ndb->source, at_ns ? at_ns : UINT64_MAX, &topology,
                            &error)) {
        return ndb_fail(ndb, &error, NULL);
    }
    topology_unref(ndb->topology);
    ndb->topology = topology;
    app_names_set_topology(ndb->names, topology);
    if (ndb->app->is_json) {
        ndb_print_json(ndb, topology_to_json(topology));
    } else {
        ndb_print_topology(ndb);
    }
    return NDB_OK;
}

static enum ndb_status
info_stats(struct ndb *ndb, const char *args)
{
    struct lh_error error;
    json_t *stats;

    if (app_source_stats(ndb->source, &stats, &error)) {
        json_decref(stats);
        return ndb_fail(ndb, &error, NULL);
    }
    if (ndb->app->is_json) {
        ndb_print_json(ndb, stats);
    } else {
        ndb_print_values(ndb, stats);
        json_decref(stats);
    }
    return NDB_OK;
}

/* --- topics -------------------------------------------------------------- */

/* In the same order. */
const char *const ndb_info_topics[] = {"flow",   "table",       "topology",
                                       "stats",  "breakpoints", "changes",
                                       "packet", NULL};

static enum ndb_status (*const topic_functions[])(struct ndb *,
                                                  const char *) = {
    info_flow,      info_table,       info_topology,  info_stats,
    ndb_break_info, ndb_past_changes, ndb_packet_info};

enum ndb_status
ndb_info(struct ndb *ndb, const char *args)
{
    size_t len = strcspn(args, " \t");
    const char *rest = args + len + strspn(args + len, " \t");
    struct nearest nearest;
    struct lh_error error;
    int found = -1;
    char topic[40];

    snprintf(topic, sizeof topic, "%.*s", (int) len, args);
    nearest = nearest_init(topic);

    for (int i = 0; len && ndb_info_topics[i]; i++) {
        if (!strncmp(ndb_info_topics[i], args, len)) {
            /* "t" is a table: there is a topology but once. */
            found = found < 0 ? i : found;
        }
    }
    for (int i = 0; found < 0 && len && ndb_info_topics[i]; i++) {
        nearest_try(&nearest, ndb_info_topics[i]);
    }
    if (found < 0 && nearest_name(&nearest)) {
        lh_error_set(&error, "info has no \"%s\"; is \"%s\" meant?", topic,
                     nearest_name(&nearest));
        return ndb_fail(ndb, &error, NULL);
    }
    if (found < 0) {
        lh_error_set(&error, "info what? flow, table, packet, changes, "
                             "topology, stats or breakpoints");
        return ndb_fail(ndb, &error, NULL);
    }
    if (*rest && topic_functions[found] != info_table &&
        topic_functions[found] != ndb_past_changes) {
        lh_error_set(&error, "info %s takes no argument (\"%s\")",
                     ndb_info_topics[found], rest);
        return ndb_fail(ndb, &error, NULL);
    }
    return topic_functions[found](ndb, rest);
}
