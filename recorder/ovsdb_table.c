/* SPDX-License-Identifier: Apache-2.0 */
/* ovsdb_table - what ovs-vsctl --format=json prints of a table. */
#include <config.h>
#include "recorder/ovsdb_table.h"

#include <string.h>

size_t
ovsdb_table_n_rows(const json_t *table)
{
    return json_array_size(json_object_get(table, "data"));
}

/* Column 'name' of row 'row', borrowed, or NULL. */
const json_t *
ovsdb_table_cell(const json_t *table, size_t row, const char *name)
{
    const json_t *headings = json_object_get(table, "headings");
    const json_t *cells = json_array_get(json_object_get(table, "data"), row);

    for (size_t i = 0; i < json_array_size(headings); i++) {
        const char *heading = json_string_value(json_array_get(headings, i));

        if (heading && !strcmp(heading, name)) {
            return json_array_get(cells, i);
        }
    }
    return NULL;
}

/* A string, or that of a set with one; NULL if empty. */
const char *
ovsdb_table_string(const json_t *value)
{
    if (json_is_array(value)) { /* ["set", [..]] */
        value = json_array_get(json_array_get(value, 1), 0);
    }
    return json_string_value(value);
}

/* True when the set (or single string) holds 'text'. */
bool
ovsdb_table_has(const json_t *value, const char *text)
{
    const json_t *set = json_array_get(value, 1);

    if (json_is_string(value)) {
        return !strcmp(json_string_value(value), text);
    }
    for (size_t i = 0; i < json_array_size(set); i++) {
        const char *s = json_string_value(json_array_get(set, i));

        if (s && !strcmp(s, text)) {
            return true;
        }
    }
    return false;
}

bool
ovsdb_table_is_empty(const json_t *value)
{
    return json_is_array(value) && !json_array_size(json_array_get(value, 1));
}

/* Value of 'key' in ["map", [[key, value], ..]], or NULL. */
const char *
ovsdb_table_value(const json_t *value, const char *key)
{
    const json_t *pairs = json_array_get(value, 1);

    for (size_t i = 0; i < json_array_size(pairs); i++) {
        const json_t *pair = json_array_get(pairs, i);
        const char *s = json_string_value(json_array_get(pair, 0));

        if (s && !strcmp(s, key)) {
            return json_string_value(json_array_get(pair, 1));
        }
    }
    return NULL;
}
