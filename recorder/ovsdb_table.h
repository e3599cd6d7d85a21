/* SPDX-License-Identifier: Apache-2.0 */
/* ovsdb_table - what ovs-vsctl --format=json prints of a table.
 *
 * Every function takes NULL for what is not there.
 *
 * Threads: plain data. */
#ifndef RECORDER_OVSDB_TABLE_H
#define RECORDER_OVSDB_TABLE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

size_t ovsdb_table_n_rows(const json_t *table);
/* Column 'name' of row 'row', borrowed, or NULL. */
const json_t *ovsdb_table_cell(const json_t *table, size_t row,
                               const char *name);
/* A string, or that of a set with one; NULL if empty. */
const char *ovsdb_table_string(const json_t *cell);
/* True when the set (or single string) holds 'text'. */
bool ovsdb_table_has(const json_t *cell, const char *text);
/* True for the empty set. */
bool ovsdb_table_is_empty(const json_t *cell);
/* Value of 'key' of a map, or NULL. */
const char *ovsdb_table_value(const json_t *cell, const char *key);

#endif /* recorder/ovsdb_table.h */
