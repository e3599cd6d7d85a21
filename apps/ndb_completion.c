/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_completion - what may stand at the cursor of a command line. */
#include <config.h>
#include "apps/ndb_completion.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ndb_commands.h"
#include "apps/packet_fields.h"
#include "lib/dpid.h"
#include "lib/lh_alloc.h"

/* What is completed, and where. */
struct place {
    struct ndb *ndb;
    struct ndb_completion *c;
    const char *line;
    const char *word;   /* The one before the cursor, in 'line'. */
    const char *braces; /* What is behind an open "{{"; NULL: outside. */
    char before[40];    /* The word before it. */
};

/* --- words --------------------------------------------------------------- */

static void
add(struct place *p, const char *word)
{
    struct ndb_completion *c = p->c;
    size_t i = 0;

    if (!word || strncmp(word, p->word, c->word_len) != 0) {
        return;
    }
    for (size_t j = 0; j < c->n; j++) {
        if (!strcmp(c->words[j], word)) {
            return;
        }
    }
    if (!c->n) {
        c->common = strlen(word);
    } else {
        while (i < c->common && word[i] == c->words[0][i]) {
            i++;
        }
        c->common = i;
    }
    c->words = lh_alloc_grow(c->words, c->n, &c->allocated, sizeof *c->words);
    c->words[c->n++] = lh_strdup(word);
}

static void
add_all(struct place *p, const char *const *words)
{
    for (size_t i = 0; words[i]; i++) {
        add(p, words[i]);
    }
}

static void
add_commands(struct place *p)
{
    for (const struct ndb_command *k = ndb_commands; k->name; k++) {
        add(p, k->name);
    }
}

static void
add_switches(struct place *p)
{
    const struct topology *t = p->ndb->topology;

    for (size_t i = 0; t && i < topology_n_switches(t); i++) {
        add(p, topology_switch_at(t, i)->name);
    }
}

/* Ports of the switch that the same braces name, or of all. */
static void
add_ports(struct place *p)
{
    static const char *const reserved[] = {"DROP",  "CONTROLLER", "FLOOD",
                                           "LOCAL", "not",        NULL};
    const struct topology *t = p->ndb->topology;
    const char *dpid = strstr(p->braces, "--dpid ");
    const struct topology_switch *only = NULL;
    char name[100];

    if (t && dpid && sscanf(dpid, "--dpid %99s", name) == 1) {
        only = topology_find_name(t, name);
    }
    for (size_t i = 0; t && i < topology_n_switches(t); i++) {
        const struct topology_switch *sw = topology_switch_at(t, i);

        for (size_t j = 0; (!only || only == sw) && j < sw->n_ports; j++) {
            add(p, sw->ports[j].name);
        }
    }
    add_all(p, reserved);
}

static void
add_breakpoints(struct place *p)
{
    char number[20];

    for (size_t i = 0; i < p->ndb->breaks.n; i++) {
        snprintf(number, sizeof number, "%u", p->ndb->breaks.breaks[i].number);
        add(p, number);
    }
}

static void
add_fields(struct place *p)
{
    struct packet_field fields[PACKET_FIELDS_MAX];
    const struct history_hop *hop = ndb_hop(p->ndb);
    size_t n = hop ? packet_fields_find(hop->header, hop->caplen, fields) : 0;

    for (size_t i = 0; i < n; i++) {
        add(p, fields[i].name);
    }
    add(p, "out");
}

/* --- places -------------------------------------------------------------- */

/* Inside of braces: a term, or what it takes. */
static void
add_term(struct place *p)
{
    static const char *const terms[] = {"--bpf",     "--dpid",    "--inport",
                                        "--outport", "--version", "--verdict",
                                        NULL};
    static const char *const verdicts[] = {
        "delivered", "dropped",    "lost", "looped",
        "open",      "controller", "not",  NULL};

    if (!strcmp(p->before, "--dpid")) {
        add_switches(p);
        add(p, "not");
    } else if (!strcmp(p->before, "--inport") ||
               !strcmp(p->before, "--outport")) {
        add_ports(p);
    } else if (!strcmp(p->before, "--verdict")) {
        add_all(p, verdicts);
    } else if (strcmp(p->before, "--bpf") != 0 &&
               strcmp(p->before, "--version") != 0) {
        add_all(p, terms);
    }
}

/* What 'command' takes. */
static void
add_argument(struct place *p, const char *command)
{
    static const char *const find[] = {"--since", "--until",  "--last",
                                       "--limit", "--oldest", NULL};
    static const char *const times[] = {"-10m", "-1h", "-1d", "all", NULL};
    static const char *const changes[] = {"near", "--follow", "--limit", NULL};
    static const char *const table[] = {"--at", "--groups", NULL};
    static const char *const why[] = {"frame", "not", NULL};

    if (!strcmp(command, "help")) {
        add_commands(p);
        add(p, "filters");
    } else if (!strcmp(command, "info") && !strcmp(p->before, "info")) {
        add_all(p, ndb_info_topics);
    } else if (!strcmp(command, "info")) {
        add_switches(p);
        add_all(p, strstr(p->line, " t") ? table : changes);
    } else if (!strcmp(command, "why") || !strcmp(command, "diff")) {
        add_switches(p);
        add_all(p, *command == 'w' ? why : (const char *const[]){NULL});
    } else if (!strcmp(command, "since") || !strcmp(command, "until")) {
        add_all(p, times);
    } else if (!strcmp(command, "find")) {
        add_all(p, find);
    } else if (!strcmp(command, "continue")) {
        add(p, "--timeout");
    } else if (!strcmp(command, "bt")) {
        add(p, "full");
    } else if (!strcmp(command, "x")) {
        add_fields(p);
    } else if (!strcmp(command, "break") || !strcmp(command, "tbreak")) {
        add(p, "if");
    } else if (strstr("condition ignore commands enable disable delete",
                      command)) {
        add_breakpoints(p);
    }
}

/* Finds the word before the cursor, the one before that, and braces. */
static void
find_place(struct place *p)
{
    const char *end = p->line + strlen(p->line), *begin;

    p->word = end;
    while (p->word > p->line && !strchr(" \t{", p->word[-1])) {
        p->word--;
    }
    p->c->word_len = (size_t) (end - p->word);
    for (const char *s = p->line; s + 1 < p->word; s++) {
        p->braces = !strncmp(s, "{{", 2)   ? s + 2
                    : !strncmp(s, "}}", 2) ? NULL
                                           : p->braces;
    }
    for (end = p->word; end > p->line && strchr(" \t", end[-1]); end--) {
    }
    for (begin = end; begin > p->line && !strchr(" \t{", begin[-1]); begin--) {
    }
    snprintf(p->before, sizeof p->before, "%.*s", (int) (end - begin), begin);
    if (p->braces && !strcmp(p->before, "not")) {
        /* The term that is negated. */
        for (end = begin; end > p->line && strchr(" \t", end[-1]); end--) {
        }
        for (begin = end; begin > p->line && !strchr(" \t{", begin[-1]);
             begin--) {
        }
        snprintf(p->before, sizeof p->before, "%.*s", (int) (end - begin),
                 begin);
    }
}

void
ndb_completion_find(struct ndb *ndb, const char *line,
                    struct ndb_completion *c)
{
    const struct ndb_command *command;
    struct place place = {.ndb = ndb, .c = c};

    memset(c, 0, sizeof *c);
    line += strspn(line, " \t");
    place.line = line;
    find_place(&place);
    command = ndb_commands_find(line, strcspn(line, " \t/"), NULL);
    if (place.word == line) {
        add_commands(&place);
    } else if (place.braces) {
        add_term(&place);
    } else if (command) {
        add_argument(&place, command->name);
    }
}

void
ndb_completion_uninit(struct ndb_completion *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->words[i]);
    }
    free(c->words);
}
