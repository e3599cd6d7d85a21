/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_past_print - answers about the past as text. */
#include <config.h>
#include "apps/ndb_past_print.h"

#include <stdlib.h>
#include <string.h>

#include "lib/dpid.h"
#include "lib/of_port.h"
#include "lib/text_line.h"
#include "lib/time_spec.h"

static struct text_line
begin_line(const struct ndb *ndb)
{
    return (struct text_line){
        .stream = ndb->out, .color = ndb->color, .width = ndb->width};
}

static const char *
text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static long long
number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void
put_time(struct text_line *line, const struct ndb *ndb, const json_t *ns)
{
    char buf[TIME_SPEC_BUFSIZE];

    text_line_put(
        line, TEXT_PLAIN, "%s",
        json_is_integer(ns)
            ? app_format_time(ndb->app, (uint64_t) json_integer_value(ns), buf)
            : "?");
}

static void
put_switch(struct text_line *line, const struct ndb *ndb, const char *text)
{
    const struct topology_switch *sw = NULL;
    uint64_t dpid;

    if (ndb->topology && dpid_from_string(text, &dpid)) {
        sw = topology_find(ndb->topology, dpid);
    }
    text_line_put(line, TEXT_BOLD, "%s", sw && sw->name ? sw->name : text);
}

static void
put_port(struct text_line *line, const json_t *port)
{
    long long no = json_integer_value(port);

    if (!json_is_integer(port)) {
        text_line_put(line, TEXT_BOLD, "a port that is not known");
    } else if (of_port_name((uint32_t) no)) {
        text_line_put(line, TEXT_BOLD, "%s", of_port_name((uint32_t) no));
    } else {
        text_line_put(line, TEXT_BOLD, "port %lld", no);
    }
}

/* "s1 at TIME", and that nothing was seen then. */
static void
print_head(struct ndb *ndb, const json_t *answer)
{
    const json_t *blind = json_object_get(answer, "blind");
    struct text_line line = begin_line(ndb);

    put_switch(&line, ndb, text_of(answer, "dpid"));
    text_line_put(&line, TEXT_PLAIN, " at ");
    put_time(&line, ndb, json_object_get(answer, "at_ns"));
    text_line_end(&line);
    if (json_is_object(blind)) {
        text_line_put(&line, TEXT_YELLOW,
                      "  changes were not seen then: the switch was not "
                      "connected from ");
        put_time(&line, ndb, json_object_get(blind, "since_ns"));
        text_line_put(&line, TEXT_PLAIN, " to ");
        put_time(&line, ndb, json_object_get(blind, "until_ns"));
        text_line_end(&line);
    }
    text_line_uninit(&line);
}

/* --- why ----------------------------------------------------------------- */

static void
print_texts(struct ndb *ndb, const json_t *texts, enum text_style style,
            const char *before)
{
    struct text_line line = begin_line(ndb);
    json_t *text;
    size_t i;

    json_array_foreach(texts, i, text)
    {
        text_line_put(&line, style, "%s%s", before, json_string_value(text));
        text_line_end(&line);
    }
    text_line_uninit(&line);
}

/* Whether postcards of the current history name this rule. */
static bool
was_seen(const struct ndb *ndb, const json_t *step, const char *dpid)
{
    const struct history *h = ndb_history(ndb);
    long long version = number_of(step, "version");
    long long miss = number_of(step, "miss_version");
    uint64_t number;

    if (!h || !dpid_from_string(dpid, &number)) {
        return false;
    }
    for (size_t i = 0; i < h->n_hops; i++) {
        const struct history_hop *hop = &h->hops[i];

        for (size_t j = 0; hop->dpid == number && j < hop->n_versions; j++) {
            if (hop->versions[j] == version || hop->versions[j] == miss) {
                return true;
            }
        }
    }
    return false;
}

static void
print_step(struct ndb *ndb, const json_t *step, const char *dpid)
{
    struct text_line line = begin_line(ndb);
    bool seen = was_seen(ndb, step, dpid);
    const char *match = text_of(step, "match");
    const json_t *next = json_object_get(step, "next");
    json_t *edit;
    size_t i;

    text_line_put(&line, TEXT_GREEN, "%s", seen ? "=> " : "   ");
    if (json_object_get(step, "action_set")) {
        text_line_put(&line, TEXT_PLAIN, "action set  %s",
                      text_of(step, "actions"));
    } else if (json_object_get(step, "group")) {
        text_line_put(&line, TEXT_PLAIN, "group %lld  bucket %lld  v%lld  %s",
                      number_of(step, "group"), number_of(step, "bucket"),
                      number_of(step, "version"), text_of(step, "actions"));
    } else if (json_is_null(json_object_get(step, "version"))) {
        text_line_put(&line, TEXT_PLAIN, "table %-3lld ",
                      number_of(step, "table"));
        text_line_put(&line, TEXT_RED, "no rule matches");
    } else {
        text_line_put(&line, TEXT_PLAIN, "table %-3lld priority %-5lld ",
                      number_of(step, "table"), number_of(step, "priority"));
        text_line_put(&line, TEXT_BOLD, "v%-6lld", number_of(step, "version"));
        text_line_put(&line, TEXT_PLAIN, " %s actions=%s",
                      *match ? match : "(all packets)",
                      text_of(step, "actions"));
    }
    text_line_end(&line);
    if (json_is_object(next)) {
        text_line_put(&line, TEXT_DIM,
                      "        without it v%lld, priority %lld, %s actions=%s",
                      number_of(next, "version"), number_of(next, "priority"),
                      *text_of(next, "match") ? text_of(next, "match")
                                              : "(all packets)",
                      text_of(next, "actions"));
        text_line_end(&line);
    }
    json_array_foreach(json_object_get(step, "edits"), i, edit)
    {
        text_line_put(&line, TEXT_BLUE, "        %s %s -> %s",
                      text_of(edit, "field"), text_of(edit, "before"),
                      text_of(edit, "after"));
        text_line_end(&line);
    }
    text_line_uninit(&line);
    print_texts(ndb, json_object_get(step, "did"), TEXT_DIM, "        ");
}

static void
print_path(struct ndb *ndb, const json_t *path, const char *dpid)
{
    const json_t *verdict = json_object_get(path, "verdict");
    const char *name = text_of(verdict, "name");
    struct text_line line = begin_line(ndb);
    json_t *item;
    size_t i;

    print_texts(ndb, json_object_get(path, "assumed"), TEXT_YELLOW, "   if: ");
    json_array_foreach(json_object_get(path, "steps"), i, item)
    {
        print_step(ndb, item, dpid);
    }
    text_line_put(&line, TEXT_PLAIN, "   so it is ");
    text_line_put(&line,
                  !strcmp(name, "dropped")     ? TEXT_RED
                  : !strcmp(name, "forwarded") ? TEXT_GREEN
                                               : TEXT_CYAN,
                  "%s", !strcmp(name, "controller") ? "sent on" : name);
    json_array_foreach(json_object_get(path, "outputs"), i, item)
    {
        text_line_put(&line, TEXT_PLAIN, "%s", i ? ", " : " to ");
        put_port(&line, json_object_get(item, "port"));
    }
    if (*text_of(verdict, "reason")) {
        text_line_put(&line, TEXT_PLAIN, ": %s", text_of(verdict, "reason"));
    }
    text_line_end(&line);
    text_line_uninit(&line);
    print_texts(ndb, json_object_get(path, "uncertain"), TEXT_YELLOW,
                "   not certain: ");
}

static void
print_not(struct ndb *ndb, const json_t * not )
{
    struct text_line line = begin_line(ndb);
    long long version = number_of(not, "version");
    json_t *field;
    size_t i;

    text_line_put(&line, TEXT_BOLD, "v%lld ", version);
    if (!json_is_true(json_object_get(not, "found"))) {
        text_line_put(&line, TEXT_PLAIN, "is no flow rule that stood then");
    } else if (!json_is_true(json_object_get(not, "reached"))) {
        text_line_put(&line, TEXT_PLAIN,
                      "is in a table that the packet did not come to");
    } else if (json_is_true(json_object_get(not, "matched"))) {
        text_line_put(&line, TEXT_PLAIN, "did match");
    } else if (number_of(not, "shadowed_by")) {
        text_line_put(&line, TEXT_PLAIN,
                      "would match, but v%lld of %s priority does first",
                      number_of(not, "shadowed_by"),
                      json_is_true(json_object_get(not, "undefined"))
                          ? "the same"
                          : "a higher");
    } else {
        text_line_put(&line, TEXT_PLAIN, "does not match:");
    }
    text_line_end(&line);
    json_array_foreach(json_object_get(not, "fields"), i, field)
    {
        text_line_put(&line, TEXT_RED, "    %s", text_of(field, "field"));
        text_line_put(&line, TEXT_PLAIN, "  the rule wants %s, the packet ",
                      text_of(field, "rule"));
        if (!strcmp(text_of(field, "packet"), "-")) {
            text_line_put(&line, TEXT_PLAIN, "has none");
        } else {
            text_line_put(&line, TEXT_PLAIN, "has %s",
                          text_of(field, "packet"));
        }
        text_line_end(&line);
    }
    text_line_uninit(&line);
}

void
ndb_past_print_why(struct ndb *ndb, const json_t *answer)
{
    const char *dpid = text_of(answer, "dpid");
    struct text_line line = begin_line(ndb);
    json_t *path;
    size_t i;

    print_head(ndb, answer);
    text_line_put(&line, TEXT_BLUE, "   %s", text_of(answer, "packet"));
    text_line_end(&line);
    print_path(ndb, answer, dpid);
    json_array_foreach(json_object_get(answer, "alternatives"), i, path)
    {
        text_line_put(&line, TEXT_BOLD, "or, way %zu:", i + 2);
        text_line_end(&line);
        print_path(ndb, path, dpid);
    }
    if (json_is_true(json_object_get(answer, "truncated"))) {
        text_line_put(&line, TEXT_YELLOW, "there are more ways");
        text_line_end(&line);
    }
    if (number_of(answer, "unreadable")) {
        text_line_put(&line, TEXT_YELLOW,
                      "%lld rules or groups could not be read",
                      number_of(answer, "unreadable"));
        text_line_end(&line);
    }
    text_line_uninit(&line);
    if (json_is_object(json_object_get(answer, "not"))) {
        print_not(ndb, json_object_get(answer, "not"));
    }
}

/* --- diff ---------------------------------------------------------------- */

static void
put_made(struct text_line *line, struct ndb *ndb, const json_t *rule)
{
    text_line_put(line, TEXT_DIM, "   ");
    put_time(line, ndb, json_object_get(rule, "installed_ns"));
    text_line_put(line, TEXT_DIM, " %s by %s", text_of(rule, "command"),
                  text_of(rule, "who"));
}

static void
print_rule(struct ndb *ndb, const json_t *rule, char sign)
{
    struct text_line line = begin_line(ndb);
    enum text_style style = sign == '+' ? TEXT_GREEN : TEXT_RED;

    text_line_put(&line, style, "%c v%-6lld %s", sign,
                  number_of(rule, "version"), text_of(rule, "text"));
    text_line_end(&line);
    if (sign == '+') {
        put_made(&line, ndb, rule);
    } else {
        text_line_put(&line, TEXT_DIM, "   ");
        put_time(&line, ndb, json_object_get(rule, "removed_ns"));
        text_line_put(&line, TEXT_DIM, " removed (%s)",
                      text_of(rule, "removed_reason"));
    }
    text_line_end(&line);
    text_line_uninit(&line);
}

/* A list of rules, or of groups by their texts. */
static void
print_list(struct ndb *ndb, const json_t *list, char sign)
{
    struct text_line line = begin_line(ndb);
    json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        if (json_object_get(item, "group") || json_object_get(item, "meter")) {
            text_line_put(&line, sign == '+' ? TEXT_GREEN : TEXT_RED,
                          "%c %s  %s", sign,
                          json_object_get(item, "group") ? "group" : "meter",
                          text_of(item, "text"));
            text_line_end(&line);
        } else {
            print_rule(ndb, item, sign);
        }
    }
    text_line_uninit(&line);
}

static size_t
print_lists(struct ndb *ndb, const json_t *lists)
{
    const json_t *removed = json_object_get(lists, "removed");
    const json_t *added = json_object_get(lists, "added");
    const json_t *modified = json_object_get(lists, "modified");
    json_t *item;
    size_t i;

    print_list(ndb, removed, '-');
    print_list(ndb, added, '+');
    json_array_foreach(modified, i, item)
    {
        json_t *pair = json_pack("[O]", json_object_get(item, "before"));

        print_list(ndb, pair, '-');
        json_array_set(pair, 0, json_object_get(item, "after"));
        print_list(ndb, pair, '+');
        json_decref(pair);
    }
    return json_array_size(removed) + json_array_size(added) +
           json_array_size(modified);
}

void
ndb_past_print_diff(struct ndb *ndb, const json_t *answer)
{
    struct text_line line = begin_line(ndb);
    json_t *blind;
    size_t i, n;

    put_switch(&line, ndb, text_of(answer, "dpid"));
    text_line_put(&line, TEXT_PLAIN, " from ");
    put_time(&line, ndb, json_object_get(answer, "from_ns"));
    text_line_put(&line, TEXT_PLAIN, " to ");
    put_time(&line, ndb, json_object_get(answer, "to_ns"));
    text_line_end(&line);
    json_array_foreach(json_object_get(answer, "blind"), i, blind)
    {
        text_line_put(&line, TEXT_YELLOW, "  changes were not seen from ");
        put_time(&line, ndb, json_object_get(blind, "since_ns"));
        text_line_put(&line, TEXT_PLAIN, " to ");
        put_time(&line, ndb, json_object_get(blind, "until_ns"));
        text_line_end(&line);
    }
    n = print_lists(ndb, answer);
    n += print_lists(ndb, json_object_get(answer, "groups"));
    n += print_lists(ndb, json_object_get(answer, "meters"));
    if (!n) {
        text_line_put(&line, TEXT_PLAIN, "  nothing differs");
        text_line_end(&line);
    }
    text_line_uninit(&line);
}

/* --- changes and tables -------------------------------------------------- */

void
ndb_past_print_change(struct ndb *ndb, const json_t *change, const char *when)
{
    const char *what = text_of(change, "what");
    struct text_line line = begin_line(ndb);
    bool is_made = strstr(what, "-made") != NULL;
    bool is_removed = strstr(what, "-removed") != NULL;
    bool is_gone = strstr(what, "-gone") != NULL;
    const char *object = !strncmp(what, "meter", 5) ? "meter" : "group";

    if (when) {
        text_line_put(&line, TEXT_DIM, "%s", when);
    } else {
        put_time(&line, ndb, json_object_get(change, "time_ns"));
    }
    text_line_put(&line, TEXT_PLAIN, "  ");
    put_switch(&line, ndb, text_of(change, "dpid"));
    text_line_put(&line,
                  is_made      ? TEXT_GREEN
                  : is_removed ? TEXT_RED
                               : TEXT_CYAN,
                  "  %-13s", what);
    if (is_made || is_removed) {
        text_line_put(&line, TEXT_BOLD, " v%lld",
                      number_of(change, "version"));
    }
    if (json_object_get(change, "port")) {
        text_line_put(&line, TEXT_PLAIN, " port %lld",
                      number_of(change, "port"));
    }
    if (is_gone) {
        text_line_put(&line, TEXT_PLAIN, " %s_id=%lld", object,
                      number_of(change, object));
    } else {
        text_line_put(&line, TEXT_PLAIN, " %s", text_of(change, "text"));
    }
    if (is_made) {
        text_line_put(&line, TEXT_DIM, "  (%s by %s)",
                      text_of(change, "command"), text_of(change, "who"));
    } else if (is_removed || is_gone) {
        text_line_put(&line, TEXT_DIM, "  (%s)", text_of(change, "reason"));
    } else if (json_object_get(change, "command")) {
        text_line_put(&line, TEXT_DIM, "  (%s)", text_of(change, "command"));
    }
    text_line_end(&line);
    text_line_uninit(&line);
}

void
ndb_past_print_changes(struct ndb *ndb, const json_t *answer)
{
    const json_t *changes = json_object_get(answer, "changes");
    size_t n = json_array_size(changes);
    bool is_desc = !strcmp(text_of(answer, "order"), "desc");
    bool is_cut = json_is_true(json_object_get(answer, "truncated"));

    if (is_cut && is_desc) {
        fputs("(older ones are not shown: --limit N, or a time)\n", ndb->out);
    }
    for (size_t i = 0; i < n; i++) {
        ndb_past_print_change(
            ndb, json_array_get(changes, is_desc ? n - 1 - i : i), NULL);
    }
    if (is_cut && !is_desc) {
        fputs("(later ones are not shown: --limit N, or a later time)\n",
              ndb->out);
    }
}

void
ndb_past_print_table(struct ndb *ndb, const json_t *answer)
{
    static const char *const names[] = {"group", "meter"};
    struct text_line line = begin_line(ndb);
    json_t *item;
    size_t i;

    print_head(ndb, answer);
    json_array_foreach(json_object_get(answer, "rules"), i, item)
    {
        text_line_put(&line, TEXT_BOLD, "  v%-6lld",
                      number_of(item, "version"));
        text_line_put(&line, TEXT_PLAIN, " %s%s", text_of(item, "text"),
                      !strcmp(text_of(item, "kind"), "miss")
                          ? "  (the recorder's, for a table miss)"
                          : "");
        text_line_end(&line);
    }
    for (size_t which = 0; which < 2; which++) {
        json_array_foreach(
            json_object_get(answer, which ? "meters" : "groups"), i, item)
        {
            text_line_put(&line, TEXT_PLAIN, "  %s   %s", names[which],
                          text_of(item, "text"));
            text_line_end(&line);
        }
    }
    if (!json_array_size(json_object_get(answer, "rules"))) {
        text_line_put(&line, TEXT_PLAIN, "  no rules");
        text_line_end(&line);
    }
    text_line_uninit(&line);
}
