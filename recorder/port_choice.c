/* SPDX-License-Identifier: Apache-2.0 */
/* port_choice - what the Geneve port of a bridge is called, and its key. */
#include <config.h>

#include "recorder/port_choice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "lib/collector_address.h"
#include "lib/lh_alloc.h"
#include "recorder/ovsdb.h"
#include "recorder/ovsdb_table.h"

#define PREFIX   "lhp-"
#define KEY_STEP 4096 /* An index is less. */
#define MAX_KEY  UINT32_C(0xffffff)

struct seen {
    json_t *geneve, *named;           /* Tables.  Owned. */
    const char *ifaces;               /* Of the bridge, a line each. */
    const struct postcard_port *port; /* What is to be made. */
};

/* Whether the bridge has an interface 'name'. */
static bool
is_on_bridge(const struct seen *seen, const char *name)
{
    size_t len = strlen(name);

    for (const char *line = seen->ifaces; *line;) {
        size_t n = strcspn(line, "\n");

        if (n == len && !memcmp(line, name, len)) {
            return true;
        }
        line += n + (line[n] != '\0');
    }
    return false;
}

static const char *
text_at(const json_t *table, size_t row, const char *column)
{
    const char *text =
        ovsdb_table_string(ovsdb_table_cell(table, row, column));

    return text ? text : "";
}

static bool
is_marked(const json_t *table, size_t row)
{
    const char *mark = ovsdb_table_value(
        ovsdb_table_cell(table, row, "external_ids"), OVSDB_MARK);

    return mark && !strcmp(mark, OVSDB_MARK_PORT);
}

static const char *
option_at(const json_t *table, size_t row, const char *key)
{
    const char *value =
        ovsdb_table_value(ovsdb_table_cell(table, row, "options"), key);

    return value ? value : "";
}

/* A key as it stands in OVSDB; 0: none. */
static uint32_t
parse_key(const char *text)
{
    char *end;
    unsigned long key = strtoul(text, &end, 0);

    return *text && !*end && key <= MAX_KEY ? (uint32_t) key : 0;
}

/* The row of 'name' in 'table', or its number of rows. */
static size_t
find_row(const json_t *table, const char *name)
{
    size_t n = ovsdb_table_n_rows(table);

    for (size_t i = 0; i < n; i++) {
        if (!strcmp(text_at(table, i, "name"), name)) {
            return i;
        }
    }
    return n;
}

/* To which of the port's collectors, or their number, row 'i' of 'table'
 * leads. */
static size_t
target_at(const struct seen *seen, const json_t *table, size_t i)
{
    const char *text = option_at(table, i, "dst_port");
    unsigned long udp_port =
        *text ? strtoul(text, NULL, 10) : COLLECTOR_ADDRESS_PORT;

    return udp_port <= UINT16_MAX
               ? postcard_port_target(seen->port,
                                      option_at(table, i, "remote_ip"),
                                      (uint16_t) udp_port)
               : seen->port->n_targets;
}

/* Whether a collector has that address. */
static bool
is_collector(const struct seen *seen, const char *address)
{
    size_t i = 0;

    while (i < seen->port->n_targets &&
           strcmp(seen->port->targets[i].address, address) != 0) {
        i++;
    }
    return i < seen->port->n_targets;
}

/* Whether an interface other than 'name' has a tunnel of that key to a
 * collector. */
static bool
is_key_taken(const struct seen *seen, const char *name, uint32_t key)
{
    for (size_t i = 0; i < ovsdb_table_n_rows(seen->geneve); i++) {
        if (parse_key(option_at(seen->geneve, i, "key")) == key &&
            is_collector(seen, option_at(seen->geneve, i, "remote_ip")) &&
            strcmp(text_at(seen->geneve, i, "name"), name) != 0) {
            return true;
        }
    }
    return false;
}

static bool
is_name_taken(const struct seen *seen, const char *name)
{
    return !is_on_bridge(seen, name) &&
           (find_row(seen->geneve, name) < ovsdb_table_n_rows(seen->geneve) ||
            find_row(seen->named, name) < ovsdb_table_n_rows(seen->named));
}

/* The port that a recorder named and made on the bridge, or NULL. */
static char *
find_own(const struct seen *seen)
{
    for (size_t i = 0; i < ovsdb_table_n_rows(seen->geneve); i++) {
        const char *name = text_at(seen->geneve, i, "name");

        if (is_marked(seen->geneve, i) && is_on_bridge(seen, name) &&
            !strncmp(name, PREFIX, strlen(PREFIX)) &&
            parse_key(name + strlen(PREFIX))) {
            return lh_strdup(name);
        }
    }
    return NULL;
}

/* The first name and key, '*number', from there on that nobody has. */
static char *
find_free(const struct seen *seen, uint32_t *number)
{
    for (uint32_t key = *number; key <= MAX_KEY; key += KEY_STEP) {
        char *name = lh_asprintf(PREFIX "%u", (unsigned) key);

        if (!is_name_taken(seen, name) && !is_key_taken(seen, name, key)) {
            *number = key;
            return name;
        }
        free(name);
    }
    return lh_asprintf(PREFIX "%u", (unsigned) *number);
}

/* The key of the port 'name': as it is, or the first that is free from
 * 'number' on. */
static uint32_t
find_key(const struct seen *seen, const char *name, uint32_t number)
{
    size_t row = find_row(seen->geneve, name);
    uint32_t key = row < ovsdb_table_n_rows(seen->geneve)
                       ? parse_key(option_at(seen->geneve, row, "key"))
                       : 0;

    if (key && !is_key_taken(seen, name, key)) {
        return key;
    }
    for (key = number; key <= MAX_KEY; key += KEY_STEP) {
        if (!is_key_taken(seen, name, key)) {
            return key;
        }
    }
    return number;
}

/* Takes a table off '*output'; NULL where there is none. */
static json_t *
take_table(const char **output)
{
    json_error_t where;
    json_t *table = json_loads(*output, JSON_DISABLE_EOF_CHECK, &where);

    if (table) {
        *output += where.position;
        *output += **output == '\n';
    }
    return table;
}

int
port_choice_make(const char *output, const char *name,
                 const struct postcard_port *port, uint16_t index,
                 struct port_choice *choice)
{
    struct seen seen = {.port = port};
    const json_t *table;
    uint32_t number = index;
    size_t row;

    memset(choice, 0, sizeof *choice);
    seen.geneve = take_table(&output);
    seen.named = take_table(&output);
    seen.ifaces = output;
    if (!seen.geneve || !seen.named) {
        json_decref(seen.geneve);
        json_decref(seen.named);
        return EPROTO;
    }
    choice->name = name ? lh_strdup(name) : find_own(&seen);
    if (!choice->name) {
        choice->name = find_free(&seen, &number);
    }
    choice->key = find_key(&seen, choice->name, number);
    table = seen.geneve;
    row = find_row(table, choice->name);
    if (row == ovsdb_table_n_rows(table)) {
        table = seen.named;
        row = find_row(table, choice->name);
    }
    choice->is_there = row < ovsdb_table_n_rows(table);
    choice->is_ours = choice->is_there && is_marked(table, row);
    choice->target =
        choice->is_there ? target_at(&seen, table, row) : port->n_targets;
    choice->is_geneve = choice->is_there &&
                        !strcmp(text_at(table, row, "type"), "geneve") &&
                        choice->target < port->n_targets;
    json_decref(seen.geneve);
    json_decref(seen.named);
    return 0;
}

void
port_choice_uninit(struct port_choice *choice)
{
    free(choice->name);
    choice->name = NULL;
}
