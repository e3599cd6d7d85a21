/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_config - what all servers of a cluster must agree on. */
#include <config.h>

#include "server/cluster_config.h"

#include <errno.h>
#include <inttypes.h>

#include "lib/jmember.h"
#include "server/cluster_options.h"
#include "server/shard_lease.h"

json_t *
cluster_config_to_json(const struct cluster_config *c)
{
    json_t *json = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I}", "n_shards", (json_int_t) c->n_shards,
        "n_stores", (json_int_t) c->n_stores, "n_copies",
        (json_int_t) c->n_copies, "wire", (json_int_t) c->wire, "id_seed",
        (json_int_t) c->id_seed, "id_bytes", (json_int_t) c->id_bytes);

    if (c->lease_ms) {
        json_object_set_new(json, "lease_ms", json_integer(c->lease_ms));
    }
    return json;
}

static int
read_u32(const struct jmember *root, const char *name, uint32_t max,
         uint32_t *value, struct lh_error *error)
{
    struct jmember member = jmember_get(root, name);
    uint64_t wide;
    int retval = jmember_u64(&member, max, &wide, error);

    *value = retval ? 0 : (uint32_t) wide;
    return !retval && !wide ? jmember_error(&member, error, "must not be 0")
                            : retval;
}

/* What is not said is 'otherwise'. */
static int
read_said(const struct jmember *root, const char *name, uint32_t max,
          uint32_t otherwise, uint32_t *n, struct lh_error *error)
{
    struct jmember member = jmember_get(root, name);

    *n = otherwise;
    return jmember_is_there(&member) ? read_u32(root, name, max, n, error) : 0;
}

int
cluster_config_read(struct cluster_config *c, const void *data, size_t size,
                    struct lh_error *error)
{
    json_t *json = json_loadb(data, size, 0, NULL);
    struct jmember root = jmember_root(json);
    const json_t *seed = json_object_get(json, "id_seed");
    int retval = EINVAL;

    if (!json_is_object(json) || !json_is_integer(seed)) {
        lh_error_set(error, "the key \"config\" of the bucket lh-meta is not "
                            "lasthop's");
    } else if (!read_u32(&root, "n_shards", SHARD_LEASE_MAX_SHARDS,
                         &c->n_shards, error) &&
               !read_u32(&root, "n_stores", SHARD_LEASE_MAX_SHARDS,
                         &c->n_stores, error) &&
               !read_said(&root, "n_copies", CLUSTER_OPTIONS_MAX_COPIES, 1,
                          &c->n_copies, error) &&
               !read_said(&root, "lease_ms", UINT32_MAX, 0, &c->lease_ms,
                          error) &&
               !read_u32(&root, "wire", UINT32_MAX, &c->wire, error) &&
               !read_u32(&root, "id_bytes", UINT16_MAX, &c->id_bytes, error)) {
        c->id_seed = (uint64_t) json_integer_value(seed);
        retval = 0;
    } else {
        lh_error_prefix(error, "the key \"config\" of the bucket lh-meta");
    }
    json_decref(json);
    return retval;
}

int
cluster_config_compare(const struct cluster_config *has,
                       const struct cluster_config *own,
                       struct lh_error *error)
{
    if (own->n_shards && own->n_shards != has->n_shards) {
        lh_error_set(error,
                     "this cluster has %" PRIu32 " shards and not %" PRIu32
                     ": start this server without --cluster-shards (a cluster "
                     "with another number needs NATS streams of its own)",
                     has->n_shards, own->n_shards);
    } else if (own->n_copies && own->n_copies != has->n_copies) {
        lh_error_set(error,
                     "this cluster keeps %" PRIu32 " copies of histories and "
                     "not %" PRIu32
                     ": start this server without --replicas (a cluster with "
                     "another number needs NATS streams of its own)",
                     has->n_copies, own->n_copies);
    } else if (own->lease_ms && has->lease_ms &&
               own->lease_ms != has->lease_ms) {
        lh_error_set(error,
                     "leases of this cluster last %" PRIu32
                     " ms and not %" PRIu32
                     ": start this server without --cluster-lease "
                     "(docs/cluster.md says how it is changed)",
                     has->lease_ms, own->lease_ms);
    } else if (own->id_seed != has->id_seed ||
               own->id_bytes != has->id_bytes) {
        lh_error_set(error,
                     "this cluster makes packet IDs with --id-seed %" PRIx64
                     " --id-bytes %" PRIu32 " and not with %" PRIx64
                     " and %" PRIu32 ": start this server with these",
                     has->id_seed, has->id_bytes, own->id_seed, own->id_bytes);
    } else if (has->wire > own->wire_max) {
        lh_error_set(error,
                     "this cluster speaks version %" PRIu32
                     " on the bus, and this server up to %" PRIu32
                     ": install the "
                     "version of lasthop that the others have",
                     has->wire, own->wire_max);
    } else if (has->wire < own->wire_min) {
        lh_error_set(error,
                     "this cluster still speaks version %" PRIu32
                     " on the bus, and this server from %" PRIu32
                     " on: upgrade all "
                     "servers to a version in between first",
                     has->wire, own->wire_min);
    } else {
        return 0;
    }
    return EINVAL;
}
