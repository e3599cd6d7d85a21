/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_past - `why`, `diff`, `info changes` and `info table SWITCH`: what the
 * recorder knows of the past. */
#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/ndb_commands.h"
#include "apps/app_interrupt.h"
#include "apps/ndb_compare.h"
#include "apps/ndb_near.h"
#include "apps/ndb_past_print.h"
#include "apps/ndb_print.h"
#include "lib/dpid.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/time_spec.h"

#define MAX_WORDS 64
/* How often --follow looks for news. */
#define FOLLOW_MS 300
/* Changes that are shown when no time is given. */
#define NEWEST 100
/* Around the moment of why, and how many changes on each side. */
#define WHY_NEAR_NS    UINT64_C(10000000000)
#define WHY_NEAR_LIMIT 5

/* --- words --------------------------------------------------------------- */

struct words {
    char *copy;  /* Owned. */
    size_t n, i; /* The next one is words[i]. */
    char *words[MAX_WORDS];
};

static struct words
split(const char *args)
{
    struct words w = {.copy = lh_strdup(args)};
    char *save = NULL;

    for (char *s = strtok_r(w.copy, " \t", &save); s && w.n < MAX_WORDS;
         s = strtok_r(NULL, " \t", &save)) {
        w.words[w.n++] = s;
    }
    return w;
}

static const char *
peek(const struct words *w)
{
    return w->i < w->n ? w->words[w->i] : "";
}

static bool
take(struct words *w, const char *word)
{
    bool is_it = !strcmp(peek(w), word) && w->i < w->n;

    w->i += is_it;
    return is_it;
}

static enum ndb_status
wrong(const struct ndb *ndb, struct words *w, const char *usage)
{
    struct lh_error error;

    lh_error_set(&error, "%s%s%sit is: %s", w->i < w->n ? "\"" : "", peek(w),
                 w->i < w->n ? "\" is not understood; " : "", usage);
    free(w->copy);
    return ndb_fail(ndb, &error, NULL);
}

/* "7" or "v7". */
static bool
is_version(const char *word, uint32_t *version)
{
    unsigned long long number;
    char *end;

    word += *word == 'v';
    if (!isdigit((unsigned char) *word)) {
        return false;
    }
    number = strtoull(word, &end, 10);
    if (*end || number > UINT32_MAX) {
        return false;
    }
    *version = (uint32_t) number;
    return true;
}

/* The switch that 'word' names. */
static bool
find_switch(struct ndb *ndb, const char *word, uint64_t *dpid)
{
    const struct topology_switch *sw;

    if (!ndb->topology) {
        ndb_refresh_topology(ndb);
    }
    sw = ndb->topology ? topology_find_name(ndb->topology, word) : NULL;
    if (sw) {
        *dpid = sw->dpid;
        return true;
    }
    return dpid_from_string(word, dpid);
}

static enum ndb_status
no_switch(const struct ndb *ndb, struct words *w)
{
    struct lh_error error;
    uint64_t dpid;

    app_names_find_switch(ndb->names, peek(w), &dpid, &error);
    free(w->copy);
    return ndb_fail(ndb, &error, NULL);
}

/* Sets 'name' to the moment that 'word' is: a version ("v7", or "7" where that
 * is allowed) or a time; a time that is wrong is told by whom we ask. */
static void
set_moment(json_t *members, const char *at, const char *version,
           const char *word)
{
    uint32_t number;

    if (is_version(word, &number) && (*word == 'v' || strlen(word) < 10)) {
        json_object_set_new(members, version, json_integer(number));
    } else {
        json_object_set_new(members, at, jmember_text_new(word));
    }
}

static bool
is_moment(const char *word)
{
    uint32_t number;
    uint64_t ns;

    return (*word == 'v' && is_version(word, &number)) ||
           !time_spec_parse(word, time_spec_now(), &ns, NULL);
}

/* --- asking -------------------------------------------------------------- */

/* Asks, and hands the answer to 'print', or prints it as JSON. */
static enum ndb_status
ask(struct ndb *ndb, const char *op, json_t *members,
    void (*print)(struct ndb *, const json_t *))
{
    struct lh_error error;
    json_t *answer;

    if (app_source_ask(ndb->source, op, members, &answer, &error)) {
        return ndb_fail(ndb, &error, NULL);
    }
    if (ndb->app->is_json) {
        ndb_print_json(ndb, answer);
    } else {
        print(ndb, answer);
        json_decref(answer);
    }
    return NDB_OK;
}

/* --- why ----------------------------------------------------------------- */

/* Adds the changes of the switch near the moment of the answer, as a member
 * "changes".  They help to understand; that they are not known is no error. */
static void
add_changes(struct ndb *ndb, uint64_t dpid, json_t *answer)
{
    const json_t *at = json_object_get(answer, "at_ns");
    uint64_t at_ns = (uint64_t) json_integer_value(at);
    struct lh_error error;
    json_t *changes;
    bool is_cut;

    if (at_ns > WHY_NEAR_NS &&
        !ndb_near_changes(ndb, dpid, at_ns - WHY_NEAR_NS, at_ns,
                          at_ns + WHY_NEAR_NS, WHY_NEAR_LIMIT, &changes,
                          &is_cut, &error)) {
        json_object_set_new(answer, "changes", changes);
    }
}

static void
print_changes(struct ndb *ndb, const json_t *answer)
{
    if (json_array_size(json_object_get(answer, "changes"))) {
        fputs("changes of this switch near then:\n", ndb->out);
        ndb_near_print(
            ndb, json_object_get(answer, "changes"),
            (uint64_t) json_integer_value(json_object_get(answer, "at_ns")));
    }
}

/* Shows what is known of a hop where nobody can say why: the rules that its
 * postcards name, and what was changed at the switch near then. */
static void
show_known(struct ndb *ndb, const json_t *members, uint64_t dpid)
{
    const json_t *seen = json_object_get(members, "seen"), *version;
    json_t *known = json_object(), *rules = json_array();
    struct lh_error error;
    struct rule *rule;
    size_t i;

    json_array_foreach(seen, i, version)
    {
        if (!app_source_rule(ndb->source, dpid,
                             (uint32_t) json_integer_value(version), &rule,
                             &error)) {
            if (!ndb->app->is_json) {
                ndb_print_rule(ndb, rule);
            }
            json_array_append_new(rules, rule_to_json(rule));
            rule_unref(rule);
        }
    }
    if (json_is_integer(json_object_get(members, "at"))) {
        json_object_set(known, "at_ns", json_object_get(members, "at"));
        add_changes(ndb, dpid, known);
    }
    json_object_set_new(known, "rules", rules);
    if (ndb->app->is_json) {
        ndb_print_json(ndb, known);
        return;
    }
    print_changes(ndb, known);
    json_decref(known);
}

/* Asks why, and shows what was changed at that switch near then. */
static enum ndb_status
ask_why(struct ndb *ndb, json_t *members, uint64_t dpid)
{
    json_t *asked = json_deep_copy(members);
    struct lh_error error;
    json_t *answer;
    int retval = app_source_ask(ndb->source, "why", members, &answer, &error);

    if (retval == EOPNOTSUPP && json_object_get(asked, "seen")) {
        show_known(ndb, asked, dpid);
    }
    json_decref(asked);
    if (retval) {
        return ndb_fail(ndb, &error, NULL);
    }
    add_changes(ndb, dpid, answer);
    if (ndb->app->is_json) {
        ndb_print_json(ndb, answer);
        return NDB_OK;
    }
    ndb_past_print_why(ndb, answer);
    print_changes(ndb, answer);
    json_decref(answer);
    return NDB_OK;
}

static const char why_usage[] =
    "why [frame N] [not vN], why SWITCH FLOW [TIME | vN] [not vN], or "
    "why SWITCH PORT HEX [TIME | vN] [not vN]";

/* The packet of hop 'n' of the current history. */
static json_t *
hop_members(const struct history *h, size_t n, struct lh_error *error)
{
    const struct history_hop *hop = &h->hops[n];
    json_t *members, *seen;

    if (!hop->caplen || hop->is_deduced) {
        lh_error_set(error,
                     "hop %zu has no postcard: its packet is not "
                     "known",
                     n);
        return NULL;
    }
    if (hop->in_port > UINT16_MAX) {
        lh_error_set(error,
                     "the input port of hop %zu is not known: why SWITCH "
                     "PORT HEX asks with another",
                     n);
        return NULL;
    }
    if (hop->is_packet_out) {
        lh_error_set(error,
                     "hop %zu is a packet-out: its actions are the "
                     "controller's, no table was asked",
                     n);
        return NULL;
    }
    members = json_pack("{s:o, s:o, s:i}", "dpid", jmember_dpid_new(hop->dpid),
                        "packet", jmember_hex_new(hop->header, hop->caplen),
                        "in_port", (int) hop->in_port);
    seen = json_array();
    for (size_t i = 0; i < hop->n_versions; i++) {
        json_array_append_new(seen, json_integer(hop->versions[i]));
    }
    json_object_set_new(members, "seen", seen);
    if (hop->time_ns) {
        json_object_set_new(members, "at",
                            json_integer((json_int_t) hop->time_ns));
    } else if (hop->n_versions) {
        json_object_set_new(members, "version",
                            json_integer(hop->versions[hop->n_versions - 1]));
    }
    return members;
}

/* What a person gave: a flow as text, or port and bytes. */
static json_t *
given_members(struct words *w, uint64_t dpid)
{
    json_t *members = json_pack("{s:o}", "dpid", jmember_dpid_new(dpid));
    const char *first = peek(w);
    uint32_t port;

    if (is_version(first, &port) && *first != 'v' && port <= UINT16_MAX) {
        w->i++;
        json_object_set_new(members, "in_port", json_integer(port));
        json_object_set_new(members, "packet", jmember_text_new(peek(w)));
    } else {
        json_object_set_new(members, "flow", jmember_text_new(first));
    }
    w->i++;
    if (w->i < w->n && is_moment(peek(w))) {
        set_moment(members, "at", "version", w->words[w->i++]);
    }
    return members;
}

/* The hop that "frame N", or nothing, names; false when there is none. */
static bool
which_hop(struct ndb *ndb, struct words *w, size_t *n)
{
    const struct history *h = ndb_history(ndb);
    uint32_t number;

    *n = ndb->frame;
    if (take(w, "frame")) {
        if (!is_version(peek(w), &number) || !h || number >= h->n_hops) {
            return false;
        }
        *n = number;
        w->i++;
    }
    return true;
}

enum ndb_status
ndb_past_why(struct ndb *ndb, const char *args)
{
    struct words w = split(args);
    json_t *members = NULL;
    struct lh_error error;
    uint32_t version;
    uint64_t dpid;
    size_t n;

    if (!w.n || !strcmp(peek(&w), "frame") || !strcmp(peek(&w), "not")) {
        if (!ndb_hop(ndb)) {
            free(w.copy);
            fprintf(stderr,
                    "%s: no history: find some, or give a packet (help "
                    "why)\n",
                    ndb->where);
            return NDB_NOTHING;
        }
        if (!which_hop(ndb, &w, &n)) {
            return wrong(ndb, &w, why_usage);
        }
        dpid = ndb_history(ndb)->hops[n].dpid;
        members = hop_members(ndb_history(ndb), n, &error);
        if (!members) {
            free(w.copy);
            return ndb_fail(ndb, &error, NULL);
        }
        if (!ndb->app->is_json && ndb_history(ndb)->hops[n].is_after) {
            fprintf(stderr,
                    "%s: the header of this hop was captured after edits of "
                    "its rules\n",
                    ndb->where);
        }
    } else if (!find_switch(ndb, peek(&w), &dpid)) {
        return no_switch(ndb, &w);
    } else {
        w.i++;
        if (w.i == w.n) {
            return wrong(ndb, &w, why_usage);
        }
        members = given_members(&w, dpid);
    }
    if (take(&w, "not") && is_version(peek(&w), &version)) {
        w.i++;
        json_object_set_new(members, "version_not", json_integer(version));
    }
    if (w.i < w.n || !members) {
        json_decref(members);
        return wrong(ndb, &w, why_usage);
    }
    free(w.copy);
    return ask_why(ndb, members, dpid);
}

/* --- diff ---------------------------------------------------------------- */

enum ndb_status
ndb_past_diff(struct ndb *ndb, const char *args)
{
    static const char usage[] = "diff N [M] of histories that were found, or "
                                "diff SWITCH FROM [TO], each a time or a "
                                "version (vN)";
    struct words w = split(args);
    json_t *members;
    uint64_t dpid;
    size_t a, b;

    if (ndb_compare_is(ndb, args, &a, &b)) {
        free(w.copy);
        return ndb_compare(ndb, a, b);
    }
    if (w.n < 2 || w.n > 3) {
        w.i = w.n;
        return wrong(ndb, &w, usage);
    }
    if (!find_switch(ndb, peek(&w), &dpid)) {
        return no_switch(ndb, &w);
    }
    members = json_pack("{s:o}", "dpid", jmember_dpid_new(dpid));
    set_moment(members, "from", "from", w.words[1]);
    if (w.n > 2) {
        set_moment(members, "to", "to", w.words[2]);
    }
    free(w.copy);
    return ask(ndb, "diff", members, ndb_past_print_diff);
}

/* --- changes ------------------------------------------------------------- */

/* Prints what comes until the user interrupts. */
static enum ndb_status
follow(struct ndb *ndb, json_t *members)
{
    enum ndb_status status = NDB_OK;
    struct lh_error error;
    json_t *answer;

    while (status == NDB_OK && !app_interrupt_came()) {
        if (app_source_ask(ndb->source, "changes", json_deep_copy(members),
                           &answer, &error)) {
            status = ndb_fail(ndb, &error, NULL);
            break;
        }
        if (!ndb->app->is_json) {
            ndb_past_print_changes(ndb, answer);
        } else {
            size_t i;
            json_t *entry;

            json_array_foreach(json_object_get(answer, "changes"), i, entry)
            {
                ndb_print_json(ndb, json_incref(entry));
            }
        }
        fflush(ndb->out);
        json_object_set(members, "after", json_object_get(answer, "cursor"));
        if (!json_is_true(json_object_get(answer, "truncated"))) {
            usleep(FOLLOW_MS * 1000);
        }
        json_decref(answer);
    }
    json_decref(members);
    return status;
}

/* Makes a time that counts from now one that stays the same. */
static void
pin_since(json_t *members)
{
    const char *text = json_string_value(json_object_get(members, "since"));
    uint64_t now_ns = time_spec_now(), since_ns = now_ns;

    if (!text || !time_spec_parse(text, now_ns, &since_ns, NULL)) {
        json_object_set_new(members, "since",
                            json_integer((json_int_t) since_ns));
    }
}

enum ndb_status
ndb_past_changes(struct ndb *ndb, const char *args)
{
    static const char usage[] =
        "info changes [near [SPAN] | [SWITCH] [SINCE [UNTIL]] [--limit N] "
        "[--follow]]";
    struct words w = split(args);
    json_t *members = json_object();
    bool is_following = false;
    uint32_t limit;
    uint64_t dpid;

    if (w.n <= 2 && (take(&w, "near") || (!w.n && ndb_history(ndb)))) {
        enum ndb_status status;

        json_decref(members);
        status = ndb_near_show(ndb, peek(&w));
        free(w.copy);
        return status;
    }
    if (w.n && *peek(&w) != '-' && !is_moment(peek(&w))) {
        if (!find_switch(ndb, peek(&w), &dpid)) {
            json_decref(members);
            return no_switch(ndb, &w);
        }
        w.i++;
        json_object_set_new(members, "dpid", jmember_dpid_new(dpid));
    }
    if (w.i < w.n && is_moment(peek(&w))) {
        json_object_set_new(members, "since",
                            jmember_text_new(w.words[w.i++]));
    }
    if (w.i < w.n && is_moment(peek(&w))) {
        json_object_set_new(members, "until",
                            jmember_text_new(w.words[w.i++]));
    }
    while (w.i < w.n) {
        if (take(&w, "--follow") || take(&w, "-f")) {
            is_following = true;
        } else if (take(&w, "--limit") && is_version(peek(&w), &limit)) {
            w.i++;
            json_object_set_new(members, "limit", json_integer(limit));
        } else {
            json_decref(members);
            return wrong(ndb, &w, usage);
        }
    }
    free(w.copy);
    if (is_following) {
        json_object_set_new(members, "after", json_string("0"));
        pin_since(members);
        return follow(ndb, members);
    }
    if (!json_object_get(members, "since")) {
        json_object_set_new(members, "order", json_string("desc"));
        if (!json_object_get(members, "limit")) {
            json_object_set_new(members, "limit", json_integer(NEWEST));
        }
    }
    return ask(ndb, "changes", members, ndb_past_print_changes);
}

/* --- table --------------------------------------------------------------- */

enum ndb_status
ndb_past_table(struct ndb *ndb, const char *args)
{
    static const char usage[] =
        "info table SWITCH [N] [--at TIME | vN] [--groups]";
    struct words w = split(args);
    json_t *members;
    uint32_t table;
    uint64_t dpid;

    if (!find_switch(ndb, peek(&w), &dpid)) {
        return no_switch(ndb, &w);
    }
    w.i++;
    members = json_pack("{s:o}", "dpid", jmember_dpid_new(dpid));
    while (w.i < w.n) {
        if (is_version(peek(&w), &table) && *peek(&w) != 'v') {
            json_object_set_new(members, "table", json_integer(table));
            w.i++;
        } else if (take(&w, "--groups")) {
            json_object_set_new(members, "groups", json_true());
        } else if ((take(&w, "--at") || is_moment(peek(&w))) && w.i < w.n) {
            set_moment(members, "at", "version", w.words[w.i++]);
        } else {
            json_decref(members);
            return wrong(ndb, &w, usage);
        }
    }
    free(w.copy);
    return ask(ndb, "table", members, ndb_past_print_table);
}
