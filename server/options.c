/* SPDX-License-Identifier: Apache-2.0 */
/* options - what lasthop-server was asked to do, from its command line. */
#include <config.h>

#include "server/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "lib/crew.h"
#include "lib/lh_alloc.h"
#include "lib/text_number.h"
#include "server/pipeline.h"

#define DEFAULT_MAC_VLAN 4094
#define MAX_SPAN_NS      (UINT64_C(400) * 86400 * 1000000000)

const char options_help[] =
    "usage: lasthop-server [OPTION..]\n"
    "Assembles postcards into packet histories, matches, archives and finds "
    "them.\n"
    "\n"
    "Where postcards come from (at least one but in a cluster; --read goes\n"
    "alone):\n"
    "  --listen geneve:ADDR:PORT  receive geneve postcards on a UDP socket\n"
    "  --agents [ssl:]ADDR:PORT   take postcards from lasthop-agents\n"
    "  --capture INTERFACE        capture postcards on an interface\n"
    "  --read FILE                read a pcap or pcapng file (- is standard\n"
    "                             input), then end with a summary\n"
    "  --encap auto|geneve|mac    what to look for in frames (default auto)\n"
    "  --mac-vlan N               VLAN of mac postcards (default 4094)\n"
    "  --accept ADDR[/LEN]        take postcards from these senders too\n"
    "\n"
    "What is known of the network (default: asked of the recorder):\n"
    "  --recorder SOCKET|none     (default RUNDIR/recorder.sock; with --read\n"
    "                             none)\n"
    "  --topology FILE            JSON, instead of the recorder's\n"
    "  --rules FILE               JSON lines, besides the recorder's\n"
    "\n"
    "What becomes of histories:\n"
    "  --archive DIR              keep them there (made if not there)\n"
    "  --retain SIZE|AGE          remove the oldest past so much (10G) or so\n"
    "                             old (7d); may be given once each\n"
    "  --archive-time-unit us|ns  how exact times are kept (ns: as they are)\n"
    "  --threads N                assemble and archive on so many threads "
    "(1)\n"
    "  --query-threads N          read the archive for queries with so many\n"
    "                             threads, below all others in priority (one\n"
    "                             for each processor)\n"
    "  --flow-log FILE            path of the recorder's log, noted in the\n"
    "                             archive for readers without a server\n"
    "  --round TIME               what is archived is durable after (1s)\n"
    "  --window TIME              how long a packet stays open (1s)\n"
    "  --lossless                 the postcards are all there were: missing\n"
    "                             ones are evidence of loss\n"
    "  --json                     print them as JSON lines to standard "
    "output\n"
    "\n"
    "Many servers share the work (lasthop-server(8), CLUSTER):\n"
    "  --cluster nats://HOST:PORT[,..]  of a nats-server with JetStream;\n"
    "                             tls:// where it speaks TLS\n"
    "  --name NAME                of this server, which no other has\n"
    "  --cluster-shards N         postcards are split in so many shards (64)\n"
    "  --cluster-bytes SIZE       what each stream in NATS may hold (1G)\n"
    "  --cluster-memory SIZE      of postcards that wait while NATS is away "
    "(256M)\n"
    "  --replicas N               histories are kept on so many disks: 1 or 2 "
    "(1)\n"
    "  --bus-replicas N           NATS keeps so many copies of its streams "
    "(1)\n"
    "  --cluster-lease TIME       who is silent so long loses its shards\n"
    "                             (1800ms)\n"
    "  --cluster-key FILE, --cluster-certificate FILE, --cluster-ca FILE\n"
    "                             PEM files: TLS to NATS\n"
    "  --cluster-credentials FILE of NATS (.creds)\n"
    "  --wire-versions MIN-MAX    say that these versions of the bus are "
    "known\n"
    "                             (for trials of upgrades)\n"
    "  --postcards-at ADDR[:PORT] where switches reach this server\n"
    "  --agents-at HOST[:PORT]    where agents do\n"
    "\n"
    "  --id-seed HEX, --id-bytes N  constants of packet IDs, the same in the\n"
    "                             whole cluster (6c617374686f70, 70)\n"
    "  --rundir DIR               of the sockets (default $LASTHOP_RUNDIR or\n"
    "                             /run/lasthop)\n"
    "  --socket-mode MODE         permissions of server.sock (0660)\n"
    "  --socket-group GROUP       its group\n"
    "  --api-listen ADDR:PORT     serve clients over TLS too, which needs\n"
    "  --private-key FILE, --certificate FILE, --ca-cert FILE,\n"
    "  --access FILE              PEM files, and who may do what\n"
    "  --metrics ADDR:PORT        serve /metrics for Prometheus over HTTP\n"
    "  -v, --verbose              say more\n"
    "  -h, --help, -V, --version\n"
    "\n"
    "lasthop-server(8) explains them.\n";

enum option_code {
    OPT_LISTEN = 256,
    OPT_AGENTS,
    OPT_CAPTURE,
    OPT_READ,
    OPT_ENCAP,
    OPT_MAC_VLAN,
    OPT_ACCEPT,
    OPT_RECORDER,
    OPT_TOPOLOGY,
    OPT_RULES,
    OPT_ARCHIVE,
    OPT_RETAIN,
    OPT_TIME_UNIT,
    OPT_THREADS,
    OPT_QUERY_THREADS,
    OPT_FLOW_LOG,
    OPT_ROUND,
    OPT_WINDOW,
    OPT_LOSSLESS,
    OPT_JSON,
    OPT_ID_SEED,
    OPT_ID_BYTES,
    OPT_RUNDIR,
    OPT_SOCKET_MODE,
    OPT_SOCKET_GROUP,
    OPT_API_LISTEN,
    OPT_PRIVATE_KEY,
    OPT_CERTIFICATE,
    OPT_CA_CERT,
    OPT_ACCESS,
    OPT_METRICS,
    OPT_CLUSTER /* The first of enum cluster_option. */
};

static const struct option long_options[] = {
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"agents", required_argument, NULL, OPT_AGENTS},
    {"capture", required_argument, NULL, OPT_CAPTURE},
    {"read", required_argument, NULL, OPT_READ},
    {"encap", required_argument, NULL, OPT_ENCAP},
    {"mac-vlan", required_argument, NULL, OPT_MAC_VLAN},
    {"accept", required_argument, NULL, OPT_ACCEPT},
    {"recorder", required_argument, NULL, OPT_RECORDER},
    {"topology", required_argument, NULL, OPT_TOPOLOGY},
    {"rules", required_argument, NULL, OPT_RULES},
    {"archive", required_argument, NULL, OPT_ARCHIVE},
    {"retain", required_argument, NULL, OPT_RETAIN},
    {"archive-time-unit", required_argument, NULL, OPT_TIME_UNIT},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"query-threads", required_argument, NULL, OPT_QUERY_THREADS},
    {"flow-log", required_argument, NULL, OPT_FLOW_LOG},
    {"round", required_argument, NULL, OPT_ROUND},
    {"window", required_argument, NULL, OPT_WINDOW},
    {"lossless", no_argument, NULL, OPT_LOSSLESS},
    {"json", no_argument, NULL, OPT_JSON},
    {"id-seed", required_argument, NULL, OPT_ID_SEED},
    {"id-bytes", required_argument, NULL, OPT_ID_BYTES},
    {"rundir", required_argument, NULL, OPT_RUNDIR},
    {"socket-mode", required_argument, NULL, OPT_SOCKET_MODE},
    {"socket-group", required_argument, NULL, OPT_SOCKET_GROUP},
    {"api-listen", required_argument, NULL, OPT_API_LISTEN},
    {"private-key", required_argument, NULL, OPT_PRIVATE_KEY},
    {"certificate", required_argument, NULL, OPT_CERTIFICATE},
    {"ca-cert", required_argument, NULL, OPT_CA_CERT},
    {"access", required_argument, NULL, OPT_ACCESS},
    {"metrics", required_argument, NULL, OPT_METRICS},
    {"cluster", required_argument, NULL, OPT_CLUSTER + CLUSTER_OPTION_URLS},
    {"name", required_argument, NULL, OPT_CLUSTER + CLUSTER_OPTION_NAME},
    {"cluster-shards", required_argument, NULL,
     OPT_CLUSTER + CLUSTER_OPTION_SHARDS},
    {"replicas", required_argument, NULL, OPT_CLUSTER + CLUSTER_OPTION_COPIES},
    {"bus-replicas", required_argument, NULL,
     OPT_CLUSTER + CLUSTER_OPTION_BUS_REPLICAS},
    {"cluster-bytes", required_argument, NULL,
     OPT_CLUSTER + CLUSTER_OPTION_BYTES},
    {"cluster-memory", required_argument, NULL,
     OPT_CLUSTER + CLUSTER_OPTION_MEMORY},
    {"cluster-lease", required_argument, NULL,
     OPT_CLUSTER + CLUSTER_OPTION_LEASE},
    {"cluster-key", required_argument, NULL, OPT_CLUSTER + CLUSTER_OPTION_KEY},
    {"cluster-certificate", required_argument, NULL,
     OPT_CLUSTER + CLUSTER_OPTION_CERTIFICATE},
    {"cluster-ca", required_argument, NULL, OPT_CLUSTER + CLUSTER_OPTION_CA},
    {"cluster-credentials", required_argument, NULL,
     OPT_CLUSTER + CLUSTER_OPTION_CREDENTIALS},
    {"wire-versions", required_argument, NULL,
     OPT_CLUSTER + CLUSTER_OPTION_WIRE_VERSIONS},
    {"postcards-at", required_argument, NULL,
     OPT_CLUSTER + CLUSTER_OPTION_POSTCARDS_AT},
    {"agents-at", required_argument, NULL,
     OPT_CLUSTER + CLUSTER_OPTION_AGENTS_AT},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static void
append(const char ***list, size_t *n, const char *text)
{
    *list = lh_alloc_array(*list, *n + 1, sizeof **list);
    (*list)[(*n)++] = text;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit time_units[] = {
    {"ms", UINT64_C(1000000)},       {"s", UINT64_C(1000000000)},
    {"m", UINT64_C(60000000000)},    {"h", UINT64_C(3600000000000)},
    {"d", UINT64_C(86400000000000)}, {NULL, 0},
};

static const struct unit size_units[] = {
    {"K", UINT64_C(1) << 10},
    {"M", UINT64_C(1) << 20},
    {"G", UINT64_C(1) << 30},
    {"T", UINT64_C(1) << 40},
    {NULL, 0},
};

/* Reads a whole number and one of the units, from 1 to 'max'. */
static bool
parse_quantity(const char *text, const struct unit *units, uint64_t max,
               uint64_t *value)
{
    char *end;
    unsigned long long n;

    if (*text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    n = strtoull(text, &end, 10);
    for (const struct unit *unit = units; unit->name; unit++) {
        if (!strcmp(end, unit->name)) {
            *value = n * unit->factor;
            return !errno && n && n <= max / unit->factor;
        }
    }
    return false;
}

static int
bad(struct lh_error *error, const char *option, const char *text,
    const char *wanted)
{
    lh_error_set(error, "--%s %s: must be %s", option, text, wanted);
    return EINVAL;
}

static int
parse_encap(struct options *options, const char *text, struct lh_error *error)
{
    static const char *const names[] = {
        [INGEST_AUTO] = "auto",
        [INGEST_GENEVE] = "geneve",
        [INGEST_MAC] = "mac",
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strcmp(text, names[i])) {
            options->encap = (enum ingest_encap) i;
            return 0;
        }
    }
    return bad(error, "encap", text, "auto, geneve or mac");
}

static int
parse_listen(struct options *options, const char *text, struct lh_error *error)
{
    static const char prefix[] = "geneve:";

    if (strncmp(text, prefix, strlen(prefix)) != 0) {
        return bad(error, "listen", text, "geneve:ADDR:PORT");
    }
    append(&options->listen, &options->n_listen, text + strlen(prefix));
    return 0;
}

static int
parse_retain(struct options *options, const char *text, struct lh_error *error)
{
    if (parse_quantity(text, size_units, UINT64_MAX, &options->retain_bytes) ||
        parse_quantity(text, time_units, UINT64_MAX, &options->retain_ns)) {
        return 0;
    }
    return bad(error, "retain", text, "a size like 10G or an age like 7d");
}

static int
parse_time_unit(struct options *options, const char *text,
                struct lh_error *error)
{
    options->is_archive_us = !strcmp(text, "us");
    return options->is_archive_us || !strcmp(text, "ns")
               ? 0
               : bad(error, "archive-time-unit", text, "us or ns");
}

static int
parse_time(const char *option, const char *text, uint64_t *ns,
           struct lh_error *error)
{
    return parse_quantity(text, time_units, MAX_SPAN_NS, ns)
               ? 0
               : bad(error, option, text, "a time like 500ms or 2s");
}

/* Options that stand for a number. */
static int
parse_constant(struct options *options, int option, const char *text,
               struct lh_error *error)
{
    uint64_t value;

    if (option == OPT_MAC_VLAN) {
        if (!text_number(text, 10, 1, 4094, &value)) {
            return bad(error, "mac-vlan", text, "from 1 to 4094");
        }
        options->mac_vlan = (uint16_t) value;
    } else if (option == OPT_THREADS) {
        options->has_threads = true;
        if (!text_number(text, 10, 1, PIPELINE_MAX_THREADS, &value)) {
            return bad(error, "threads", text, "from 1 to 64");
        }
        options->n_threads = (unsigned int) value;
    } else if (option == OPT_QUERY_THREADS) {
        if (!text_number(text, 10, 1, CREW_MAX_THREADS, &value)) {
            return bad(error, "query-threads", text, "from 1 to 64");
        }
        options->n_query_threads = (unsigned int) value;
    } else if (option == OPT_ID_SEED) {
        if (!text_number(text, 16, 0, UINT64_MAX, &value)) {
            return bad(error, "id-seed", text, "up to 16 hex digits");
        }
        options->id_config.seed = value;
    } else {
        if (!text_number(text, 10, PACKET_ID_MIN_BYTES, 1500, &value)) {
            return bad(error, "id-bytes", text, "from 40 to 1500");
        }
        options->id_config.n_bytes = (uint16_t) value;
    }
    return 0;
}

/* Options about who may ask; false when 'option' is none of them. */
static bool
take_access(struct options *options, int option, const char *text)
{
    const char **texts[] = {
        &options->socket_group, &options->api_listen, &options->private_key,
        &options->certificate,  &options->ca_cert,    &options->access,
        &options->metrics,
    };

    if (option < OPT_SOCKET_GROUP || option > OPT_METRICS) {
        return false;
    }
    *texts[option - OPT_SOCKET_GROUP] = text;
    return true;
}

static int
parse_mode(struct options *options, const char *text, struct lh_error *error)
{
    char *end;
    unsigned long mode = strtoul(text, &end, 8);

    if (!*text || *end || mode > 0777 || !(mode & 0600)) {
        return bad(error, "socket-mode", text,
                   "octal, as 0660, with the owner's permission");
    }
    options->socket_mode = (unsigned int) mode;
    return 0;
}

static int
parse_one(struct options *options, int option, const char *text,
          struct lh_error *error)
{
    if (take_access(options, option, text)) {
        return 0;
    }
    if (option >= OPT_CLUSTER) {
        return cluster_options_take(
            &options->cluster, (enum cluster_option)(option - OPT_CLUSTER),
            text, error);
    }
    switch (option) {
    case OPT_SOCKET_MODE:
        return parse_mode(options, text, error);
    case OPT_LISTEN:
        return parse_listen(options, text, error);
    case OPT_AGENTS:
        options->agents = text;
        return 0;
    case OPT_CAPTURE:
        append(&options->capture, &options->n_capture, text);
        return 0;
    case OPT_READ:
        append(&options->read, &options->n_read, text);
        return 0;
    case OPT_ENCAP:
        return parse_encap(options, text, error);
    case OPT_ACCEPT:
        append(&options->accept, &options->n_accept, text);
        return 0;
    case OPT_RECORDER:
        options->no_recorder = !strcmp(text, "none");
        options->recorder = options->no_recorder ? NULL : text;
        return 0;
    case OPT_TOPOLOGY:
        options->topology = text;
        return 0;
    case OPT_RULES:
        options->rules = text;
        return 0;
    case OPT_ARCHIVE:
        options->archive = text;
        return 0;
    case OPT_RETAIN:
        return parse_retain(options, text, error);
    case OPT_TIME_UNIT:
        return parse_time_unit(options, text, error);
    case OPT_FLOW_LOG:
        options->flow_log = text;
        return 0;
    case OPT_ROUND:
        return parse_time("round", text, &options->round_ns, error);
    case OPT_WINDOW:
        return parse_time("window", text, &options->window_ns, error);
    case OPT_LOSSLESS:
        options->is_lossless = true;
        return 0;
    case OPT_JSON:
        options->json = true;
        return 0;
    case OPT_RUNDIR:
        options->rundir = text;
        return 0;
    case 'v':
        options->verbosity++;
        return 0;
    case 'h':
        options->wants_help = true;
        return 0;
    case 'V':
        options->wants_version = true;
        return 0;
    default:
        return parse_constant(options, option, text, error);
    }
}

/* A server of a cluster keeps an archive, or is a door for files only. */
static int
check_cluster(const struct options *options, struct lh_error *error)
{
    int retval = cluster_options_check(&options->cluster, error);

    if (retval || !options->cluster.urls) {
        return retval;
    }
    if (options->has_threads && options->n_threads > 1) {
        lh_error_set(error, "--threads goes without --cluster: start a server "
                            "for each processor, each with a name, an archive "
                            "and a --rundir of its own");
    } else if (!options->n_read && !options->archive) {
        lh_error_set(error, "--cluster needs --archive DIR, for this server's "
                            "part of the histories");
    } else if (options->n_read && options->archive) {
        lh_error_set(error,
                     "--read with --cluster goes without --archive: the "
                     "servers of the cluster archive what is read");
    } else if (options->json) {
        lh_error_set(error, "--json goes without --cluster: ask with ndb or "
                            "netshark");
    } else {
        return 0;
    }
    return EINVAL;
}

/* What fits together. */
static int
check(const struct options *options, struct lh_error *error)
{
    size_t n_live =
        options->n_listen + options->n_capture + (options->agents ? 1 : 0);
    bool has_tls_agents =
        options->agents && !strncmp(options->agents, "ssl:", 4);
    bool has_files =
        options->private_key && options->certificate && options->ca_cert;
    bool has_any_file =
        options->private_key || options->certificate || options->ca_cert;

    if (options->wants_help || options->wants_version) {
        return 0;
    }
    if (!n_live && !options->n_read && !options->cluster.urls) {
        lh_error_set(error, "nothing to do: give --listen, --agents, "
                            "--capture or --read");
        return EINVAL;
    }
    if (n_live && options->n_read) {
        lh_error_set(error, "--read goes without --listen, --agents and "
                            "--capture");
        return EINVAL;
    }
    if (options->api_listen || has_tls_agents ? !has_files : has_any_file) {
        lh_error_set(error, "--private-key, --certificate and --ca-cert go "
                            "together, and with --api-listen or --agents "
                            "ssl:ADDR:PORT");
        return EINVAL;
    }
    if (!options->api_listen != !options->access) {
        lh_error_set(error, "--api-listen and --access go together");
        return EINVAL;
    }
    if (!options->archive &&
        (options->retain_bytes || options->retain_ns || options->flow_log)) {
        lh_error_set(error, "--retain and --flow-log need --archive");
        return EINVAL;
    }
    return check_cluster(options, error);
}

int
options_parse(struct options *options, int argc, char *argv[],
              struct lh_error *error)
{
    struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;
    int option, retval = 0;

    memset(options, 0, sizeof *options);
    options->mac_vlan = DEFAULT_MAC_VLAN;
    options->n_threads = 1;
    options->round_ns = 1000000000;
    options->window_ns = 1000000000;
    options->id_config = id_config;
    optind = 0;
    opterr = 0;
    while (!retval && (option = getopt_long(argc, argv, ":vhV", long_options,
                                            NULL)) != -1) {
        if (option == '?') {
            lh_error_set(error, "unknown option %s", argv[optind - 1]);
            retval = EINVAL;
        } else if (option == ':') {
            lh_error_set(error, "option %s needs a value", argv[optind - 1]);
            retval = EINVAL;
        } else {
            retval = parse_one(options, option, optarg, error);
        }
    }
    if (!retval && optind < argc) {
        lh_error_set(error, "\"%s\" is no option", argv[optind]);
        retval = EINVAL;
    }
    return retval ? retval : check(options, error);
}

void
options_uninit(struct options *options)
{
    free(options->listen);
    free(options->capture);
    free(options->read);
    free(options->accept);
    memset(options, 0, sizeof *options);
}

unsigned int
options_query_threads(const struct options *o)
{
    return !o->archive          ? 0
           : o->n_query_threads ? o->n_query_threads
                                : crew_n_processors();
}
