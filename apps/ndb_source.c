/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_source - where ndb's answers come from: a server, or an archive. */
#include <config.h>
#include "apps/ndb_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void
ndb_table_uninit(struct ndb_table *table)
{
    for (size_t i = 0; i < table->n; i++) {
        rule_unref(table->rules[i]);
    }
    free(table->rules);
    memset(table, 0, sizeof *table);
}

void
ndb_source_close(struct ndb_source *source)
{
    if (source) {
        source->class->close(source);
    }
}

int
ndb_source_find(struct ndb_source *source, const struct ndb_find *find,
                struct ndb_found *found, struct lh_error *error)
{
    memset(found, 0, sizeof *found);
    return source->class->find(source, find, found, error);
}

int
ndb_source_rule(struct ndb_source *source, uint64_t dpid, uint32_t version,
                struct rule **rulep, struct lh_error *error)
{
    *rulep = NULL;
    return source->class->rule(source, dpid, version, rulep, error);
}

int
ndb_source_table(struct ndb_source *source, uint64_t dpid,
                 const uint32_t *version, uint64_t at_ns,
                 struct ndb_table *table, struct lh_error *error)
{
    memset(table, 0, sizeof *table);
    return source->class->table(source, dpid, version, at_ns, table, error);
}

int
ndb_source_topology(struct ndb_source *source, uint64_t at_ns,
                    struct topology **topologyp, struct lh_error *error)
{
    *topologyp = NULL;
    return source->class->topology(source, at_ns, topologyp, error);
}

int
ndb_source_stats(struct ndb_source *source, json_t **statsp,
                 struct lh_error *error)
{
    *statsp = NULL;
    return source->class->stats(source, statsp, error);
}

int
ndb_source_ask(struct ndb_source *source, const char *op, json_t *members,
               json_t **answer, struct lh_error *error)
{
    int retval;

    *answer = NULL;
    retval = source->class->ask(source, op, members, answer, error);
    json_decref(members);
    return retval;
}

static int
not_live(struct lh_error *error)
{
    lh_error_set(error, "an archive holds the past only: use find, or a "
                        "server for breakpoints");
    return EOPNOTSUPP;
}

int
ndb_source_break(struct ndb_source *source, const char *phf, uint64_t *id,
                 struct lh_error *error)
{
    return source->class->add_break
               ? source->class->add_break(source, phf, id, error)
               : not_live(error);
}

int
ndb_source_unbreak(struct ndb_source *source, uint64_t id,
                   struct lh_error *error)
{
    return source->class->remove_break
               ? source->class->remove_break(source, id, error)
               : not_live(error);
}

int
ndb_source_wait(struct ndb_source *source, int timeout_ms,
                struct ndb_stop *stop, struct lh_error *error)
{
    memset(stop, 0, sizeof *stop);
    return source->class->wait
               ? source->class->wait(source, timeout_ms, stop, error)
               : not_live(error);
}
