/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_options - those of lasthop-server's options that concern a
 * cluster. */
#include <config.h>

#include "server/cluster_options.h"

#include <errno.h>
#include <string.h>

#include "lib/agent_frame.h"
#include "lib/bus_urls.h"
#include "lib/collector_address.h"
#include "lib/host_port.h"
#include "lib/text_number.h"
#include "server/shard_lease.h"

#define MIN_BYTES    (UINT64_C(16) << 20)
#define MAX_LEASE_MS 600000

static const char *const option_names[] = {
    [CLUSTER_OPTION_URLS] = "cluster",
    [CLUSTER_OPTION_NAME] = "name",
    [CLUSTER_OPTION_SHARDS] = "cluster-shards",
    [CLUSTER_OPTION_COPIES] = "replicas",
    [CLUSTER_OPTION_BUS_REPLICAS] = "bus-replicas",
    [CLUSTER_OPTION_BYTES] = "cluster-bytes",
    [CLUSTER_OPTION_MEMORY] = "cluster-memory",
    [CLUSTER_OPTION_LEASE] = "cluster-lease",
    [CLUSTER_OPTION_KEY] = "cluster-key",
    [CLUSTER_OPTION_CERTIFICATE] = "cluster-certificate",
    [CLUSTER_OPTION_CA] = "cluster-ca",
    [CLUSTER_OPTION_CREDENTIALS] = "cluster-credentials",
    [CLUSTER_OPTION_POSTCARDS_AT] = "postcards-at",
    [CLUSTER_OPTION_AGENTS_AT] = "agents-at",
    [CLUSTER_OPTION_WIRE_VERSIONS] = "wire-versions",
};

static int
bad(struct lh_error *error, enum cluster_option option, const char *text,
    const char *wanted)
{
    lh_error_set(error, "--%s %s: must be %s", option_names[option], text,
                 wanted);
    return EINVAL;
}

/* Digits and a unit: a size or a time. */
static bool
take_quantity(const char *text, const char *const units[],
              const uint64_t factors[], uint64_t *value)
{
    size_t n_digits = strspn(text, "0123456789");
    char digits[20];

    if (!n_digits || n_digits >= sizeof digits) {
        return false;
    }
    memcpy(digits, text, n_digits);
    digits[n_digits] = '\0';
    for (size_t i = 0; units[i]; i++) {
        if (!strcmp(text + n_digits, units[i])) {
            if (!text_number(digits, 10, 1, UINT64_MAX / factors[i], value)) {
                return false;
            }
            *value *= factors[i];
            return true;
        }
    }
    return false;
}

static bool
is_name(const char *text)
{
    size_t len = strlen(text);

    return len && len <= SHARD_LEASE_MAX_NAME &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                        "0123456789-_") == len;
}

static int
take_number(struct cluster_options *o, enum cluster_option option,
            const char *text, struct lh_error *error)
{
    static const char *const sizes[] = {"M", "G", "T", NULL};
    static const uint64_t bytes[] = {UINT64_C(1) << 20, UINT64_C(1) << 30,
                                     UINT64_C(1) << 40};
    static const char *const times[] = {"ms", "s", "m", NULL};
    static const uint64_t ms[] = {1, 1000, 60000};
    uint64_t value;

    if (option == CLUSTER_OPTION_SHARDS) {
        if (!text_number(text, 10, 1, SHARD_LEASE_MAX_SHARDS, &value)) {
            return bad(error, option, text, "from 1 to 4096");
        }
        o->n_shards = (uint32_t) value;
    } else if (option == CLUSTER_OPTION_COPIES) {
        if (!text_number(text, 10, 1, CLUSTER_OPTIONS_MAX_COPIES, &value)) {
            return bad(error, option, text,
                       "1 or 2 (copies that NATS keeps: --bus-replicas)");
        }
        o->n_copies = (uint32_t) value;
    } else if (option == CLUSTER_OPTION_BUS_REPLICAS) {
        if (!text_number(text, 10, 1, 5, &value)) {
            return bad(error, option, text, "from 1 to 5");
        }
        o->bus_replicas = (uint32_t) value;
    } else if (option == CLUSTER_OPTION_BYTES) {
        if (!take_quantity(text, sizes, bytes, &o->n_bytes) ||
            o->n_bytes < MIN_BYTES || o->n_bytes > INT64_MAX) {
            return bad(error, option, text, "a size like 512M, 16M or more");
        }
    } else if (option == CLUSTER_OPTION_MEMORY) {
        if (!take_quantity(text, sizes, bytes, &o->n_memory) ||
            o->n_memory > SIZE_MAX / 2) {
            return bad(error, option, text, "a size like 256M");
        }
    } else {
        if (!take_quantity(text, times, ms, &value) || value < 600 ||
            value > MAX_LEASE_MS) {
            return bad(error, option, text, "from 600ms to 10m");
        }
        o->lease_ms = (uint32_t) value;
    }
    return 0;
}

static int
take_address(struct cluster_options *o, const char *text,
             struct lh_error *error)
{
    struct collector_address address;
    struct lh_error why;

    if (collector_address_parse(text, &address, &why) || address.is_any) {
        return bad(error, CLUSTER_OPTION_POSTCARDS_AT, text,
                   "an address that switches can send to, ADDRESS[:PORT]");
    }
    o->postcards_at = text;
    return 0;
}

static int
take_agents_at(struct cluster_options *o, const char *text,
               struct lh_error *error)
{
    struct host_port at;
    bool is_good = host_port_parse(text, AGENT_DEFAULT_PORT, &at) &&
                   strlen(at.text) <= AGENT_SERVER_TEXT &&
                   strcspn(text, ", \t\"\\") == strlen(text);

    host_port_uninit(&at);
    if (!is_good) {
        return bad(error, CLUSTER_OPTION_AGENTS_AT, text,
                   "where agents can connect to, HOST[:PORT]");
    }
    o->agents_at = text;
    return 0;
}

static int
take_versions(struct cluster_options *o, const char *text,
              struct lh_error *error)
{
    const char *dash = strchr(text, '-');
    char first[12] = "";
    uint64_t min, max;

    if (!dash || (size_t) (dash - text) >= sizeof first) {
        return bad(error, CLUSTER_OPTION_WIRE_VERSIONS, text, "MIN-MAX");
    }
    memcpy(first, text, (size_t) (dash - text));
    if (!text_number(first, 10, 1, UINT32_MAX, &min) ||
        !text_number(dash + 1, 10, min, UINT32_MAX, &max)) {
        return bad(error, CLUSTER_OPTION_WIRE_VERSIONS, text,
                   "MIN-MAX, from 1 on");
    }
    o->wire_min = (uint32_t) min;
    o->wire_max = (uint32_t) max;
    return 0;
}

static int
take_urls(struct cluster_options *o, const char *text, struct lh_error *error)
{
    int retval = bus_urls_check(text, error);

    if (retval) {
        lh_error_prefix(error, "--cluster");
    }
    o->urls = text;
    return retval;
}

int
cluster_options_take(struct cluster_options *o, enum cluster_option option,
                     const char *text, struct lh_error *error)
{
    switch (option) {
    case CLUSTER_OPTION_URLS:
        return take_urls(o, text, error);
    case CLUSTER_OPTION_NAME:
        if (!is_name(text)) {
            return bad(error, option, text,
                       "up to 64 letters, digits, '-' and '_'");
        }
        o->name = text;
        return 0;
    case CLUSTER_OPTION_KEY:
        o->private_key = text;
        return 0;
    case CLUSTER_OPTION_CERTIFICATE:
        o->certificate = text;
        return 0;
    case CLUSTER_OPTION_CA:
        o->ca_cert = text;
        return 0;
    case CLUSTER_OPTION_CREDENTIALS:
        o->credentials = text;
        return 0;
    case CLUSTER_OPTION_POSTCARDS_AT:
        return take_address(o, text, error);
    case CLUSTER_OPTION_AGENTS_AT:
        return take_agents_at(o, text, error);
    case CLUSTER_OPTION_WIRE_VERSIONS:
        return take_versions(o, text, error);
    case CLUSTER_OPTION_SHARDS:
    case CLUSTER_OPTION_COPIES:
    case CLUSTER_OPTION_BUS_REPLICAS:
    case CLUSTER_OPTION_BYTES:
    case CLUSTER_OPTION_MEMORY:
    case CLUSTER_OPTION_LEASE:
        break;
    }
    return take_number(o, option, text, error);
}

int
cluster_options_check(const struct cluster_options *o, struct lh_error *error)
{
    bool has_any = o->name || o->private_key || o->certificate || o->ca_cert ||
                   o->credentials || o->n_shards || o->n_copies ||
                   o->bus_replicas || o->lease_ms || o->n_bytes ||
                   o->n_memory || o->postcards_at || o->agents_at ||
                   o->wire_max;

    if (!o->urls) {
        if (has_any) {
            lh_error_set(error,
                         "--name, --replicas, --bus-replicas, "
                         "--postcards-at, --agents-at and --cluster-.. go "
                         "with --cluster nats://HOST:PORT");
        }
        return has_any ? EINVAL : 0;
    }
    if (!o->name) {
        lh_error_set(error, "--cluster needs --name NAME: a name that no "
                            "other server of the cluster has");
        return EINVAL;
    }
    if (!o->private_key != !o->certificate) {
        lh_error_set(error,
                     "--cluster-key and --cluster-certificate go together");
        return EINVAL;
    }
    if (o->private_key && !o->ca_cert) {
        lh_error_set(error, "--cluster-key and --cluster-certificate need "
                            "--cluster-ca: the CA of NATS's certificate");
        return EINVAL;
    }
    return 0;
}
