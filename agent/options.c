/* SPDX-License-Identifier: Apache-2.0 */
/* options - what lasthop-agent was asked to do, from its command line. */
#include <config.h>

#include "agent/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "agent/spool.h"
#include "lib/text_number.h"

const char options_help[] =
    "usage: lasthop-agent --server HOST[:PORT][,or=HOST[:PORT]].. "
    "[OPTION..]\n"
    "Ships the postcards of this host's patched Open vSwitch to "
    "lasthop-server.\n"
    "\n"
    "  --server HOST[:PORT][,or=HOST[:PORT]]..\n"
    "                         where lasthop-server --agents listens (port "
    "6082);\n"
    "                         of several to one of them, and to another "
    "while\n"
    "                         that is away\n"
    "  --private-key FILE, --certificate FILE, --ca-cert FILE\n"
    "                         PEM files: connect with TLS\n"
    "  --spool DIR            keep on disk what the server has not taken\n"
    "  --spool-size SIZE      at most so much (K, M, G; default 1G)\n"
    "  --memory-size SIZE     without a spool: in memory (default 64M)\n"
    "  --cpu SHARE%           use so much of one processor: lower the sample\n"
    "                         threshold when it takes more\n"
    "  --interface IF         capture a plain interface too, as the edge of\n"
    "                         the network (may be given again)\n"
    "  --snap N               bytes of each packet there (default 96)\n"
    "  --no-rings             only the interfaces\n"
    "  --process NAME         whose rings to read (default ovs-vswitchd)\n"
    "  --pidfile FILE         only those of the process whose number is "
    "there\n"
    "  --name NAME            what the server calls this host\n"
    "  --id-seed HEX, --id-bytes N  constants of packet IDs, the same in the\n"
    "                         whole cluster (6c617374686f70, 70)\n"
    "  --flush TIME           a batch waits at most so long (default 100ms)\n"
    "  --poll TIME            rings are looked at so often (default 5ms)\n"
    "  --metrics ADDR:PORT    serve /metrics for Prometheus over HTTP\n"
    "  -v, --verbose          say more\n"
    "  -h, --help, -V, --version\n"
    "\n"
    "SIGUSR1 makes it say how things stand.  lasthop-agent(8) explains.\n";

enum option_code {
    OPT_SERVER = 256,
    OPT_PRIVATE_KEY,
    OPT_CERTIFICATE,
    OPT_CA_CERT,
    OPT_SPOOL,
    OPT_SPOOL_SIZE,
    OPT_MEMORY_SIZE,
    OPT_CPU,
    OPT_INTERFACE,
    OPT_SNAP,
    OPT_NO_RINGS,
    OPT_PROCESS,
    OPT_PIDFILE,
    OPT_NAME,
    OPT_ID_SEED,
    OPT_ID_BYTES,
    OPT_FLUSH,
    OPT_POLL,
    OPT_METRICS
};

static const struct option long_options[] = {
    {"server", required_argument, NULL, OPT_SERVER},
    {"private-key", required_argument, NULL, OPT_PRIVATE_KEY},
    {"certificate", required_argument, NULL, OPT_CERTIFICATE},
    {"ca-cert", required_argument, NULL, OPT_CA_CERT},
    {"spool", required_argument, NULL, OPT_SPOOL},
    {"spool-size", required_argument, NULL, OPT_SPOOL_SIZE},
    {"memory-size", required_argument, NULL, OPT_MEMORY_SIZE},
    {"cpu", required_argument, NULL, OPT_CPU},
    {"interface", required_argument, NULL, OPT_INTERFACE},
    {"snap", required_argument, NULL, OPT_SNAP},
    {"no-rings", no_argument, NULL, OPT_NO_RINGS},
    {"process", required_argument, NULL, OPT_PROCESS},
    {"pidfile", required_argument, NULL, OPT_PIDFILE},
    {"name", required_argument, NULL, OPT_NAME},
    {"id-seed", required_argument, NULL, OPT_ID_SEED},
    {"id-bytes", required_argument, NULL, OPT_ID_BYTES},
    {"flush", required_argument, NULL, OPT_FLUSH},
    {"poll", required_argument, NULL, OPT_POLL},
    {"metrics", required_argument, NULL, OPT_METRICS},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit time_units[] = {
    {"ms", UINT64_C(1000000)}, {"s", UINT64_C(1000000000)}, {NULL, 0}};
static const struct unit size_units[] = {{"K", UINT64_C(1) << 10},
                                         {"M", UINT64_C(1) << 20},
                                         {"G", UINT64_C(1) << 30},
                                         {"T", UINT64_C(1) << 40},
                                         {NULL, 0}};

static int
bad(struct lh_error *error, const char *option, const char *text,
    const char *wanted)
{
    lh_error_set(error, "--%s %s: must be %s", option, text, wanted);
    return EINVAL;
}

/* A whole number and one of the units, from 'min' to 'max'. */
static bool
parse_quantity(const char *text, const struct unit *units, uint64_t min,
               uint64_t max, uint64_t *value)
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
            if (errno || n > max / unit->factor || n * unit->factor < min) {
                return false;
            }
            *value = n * unit->factor;
            return true;
        }
    }
    return false;
}

static int
parse_size(const char *option, const char *text, uint64_t *value,
           struct lh_error *error)
{
    return parse_quantity(text, size_units, SPOOL_MIN_SIZE, UINT64_C(1) << 50,
                          value)
               ? 0
               : bad(error, option, text, "from 64K on, as 512M or 4G");
}

static int
parse_time(const char *option, const char *text, uint64_t max, uint64_t *value,
           struct lh_error *error)
{
    return parse_quantity(text, time_units, 1000000, max, value)
               ? 0
               : bad(error, option, text, "a time as 100ms or 1s");
}

static int
parse_cpu(const char *text, double *cpu, struct lh_error *error)
{
    char *end;
    double percent = strtod(text, &end);

    if (strcmp(end, "%") != 0 || !(percent >= 0.5 && percent <= 100)) {
        return bad(error, "cpu", text, "a share from 0.5% to 100%");
    }
    *cpu = percent / 100;
    return 0;
}

static int
parse_interface(struct options *o, const char *text, struct lh_error *error)
{
    if (o->n_interfaces == OPTIONS_MAX_INTERFACES) {
        lh_error_set(error, "--interface: more than %d of them",
                     OPTIONS_MAX_INTERFACES);
        return EINVAL;
    }
    if (!*text || strlen(text) > 15) {
        return bad(error, "interface", text, "the name of an interface");
    }
    o->interfaces[o->n_interfaces++] = text;
    return 0;
}

static int
parse_number(const char *option, const char *text, uint64_t min, uint64_t max,
             uint16_t *value, struct lh_error *error)
{
    uint64_t number;

    if (!text_number(text, 10, min, max, &number)) {
        lh_error_set(error, "--%s %s: must be a number from %llu to %llu",
                     option, text, (unsigned long long) min,
                     (unsigned long long) max);
        return EINVAL;
    }
    *value = (uint16_t) number;
    return 0;
}

static int
parse_one(struct options *o, int code, const char *text,
          struct lh_error *error)
{
    switch (code) {
    case OPT_SERVER:
        o->server = text;
        return 0;
    case OPT_PRIVATE_KEY:
        o->private_key = text;
        return 0;
    case OPT_CERTIFICATE:
        o->certificate = text;
        return 0;
    case OPT_CA_CERT:
        o->ca_cert = text;
        return 0;
    case OPT_SPOOL:
        o->spool = text;
        return *text ? 0 : bad(error, "spool", "''", "a directory");
    case OPT_SPOOL_SIZE:
        return parse_size("spool-size", text, &o->spool_bytes, error);
    case OPT_MEMORY_SIZE:
        return parse_size("memory-size", text, &o->memory_bytes, error);
    case OPT_CPU:
        return parse_cpu(text, &o->cpu, error);
    case OPT_INTERFACE:
        return parse_interface(o, text, error);
    case OPT_SNAP:
        return parse_number("snap", text, 64, 1024, &o->snap, error);
    case OPT_NO_RINGS:
        o->no_rings = true;
        return 0;
    case OPT_PROCESS:
        o->process = text;
        return 0;
    case OPT_PIDFILE:
        o->pidfile = text;
        return 0;
    case OPT_NAME:
        o->name = text;
        return *text && strlen(text) < 256
                   ? 0
                   : bad(error, "name", text, "at most 255 characters");
    case OPT_ID_SEED:
        return text_number(text, 16, 0, UINT64_MAX, &o->id_config.seed)
                   ? 0
                   : bad(error, "id-seed", text, "hexadecimal digits");
    case OPT_ID_BYTES:
        return parse_number("id-bytes", text, PACKET_ID_MIN_BYTES,
                            PACKET_ID_MAX_BYTES, &o->id_config.n_bytes, error);
    case OPT_FLUSH:
        return parse_time("flush", text, UINT64_C(10000000000), &o->flush_ns,
                          error);
    case OPT_POLL:
        return parse_time("poll", text, UINT64_C(1000000000), &o->poll_ns,
                          error);
    case OPT_METRICS:
        o->metrics = text;
        return 0;
    case 'v':
        o->verbosity++;
        return 0;
    case 'h':
        o->wants_help = true;
        return 0;
    case 'V':
        o->wants_version = true;
        return 0;
    default:
        lh_error_set(error, "bad options");
        return EINVAL;
    }
}

/* What options demand of each other. */
static int
check_all(const struct options *o, struct lh_error *error)
{
    int n_tls = !!o->private_key + !!o->certificate + !!o->ca_cert;

    if (o->wants_help || o->wants_version) {
        return 0;
    }
    if (!o->server) {
        lh_error_set(error, "--server is needed: where lasthop-server "
                            "--agents listens");
        return EINVAL;
    }
    if (n_tls && n_tls < 3) {
        lh_error_set(error, "TLS needs --private-key, --certificate and "
                            "--ca-cert");
        return EINVAL;
    }
    if (o->no_rings && !o->n_interfaces) {
        lh_error_set(error, "--no-rings needs an --interface");
        return EINVAL;
    }
    if (o->snap < o->id_config.n_bytes + PACKET_ID_OVERHEAD) {
        lh_error_set(error,
                     "--snap %u is too short for packet IDs of --id-bytes "
                     "%u: give at least %u",
                     o->snap, o->id_config.n_bytes,
                     o->id_config.n_bytes + PACKET_ID_OVERHEAD);
        return EINVAL;
    }
    return 0;
}

int
options_parse(struct options *o, int argc, char *argv[],
              struct lh_error *error)
{
    int code;

    *o = (struct options){.spool_bytes = UINT64_C(1) << 30,
                          .memory_bytes = UINT64_C(64) << 20,
                          .snap = PACKET_ID_SNAP,
                          .id_config = PACKET_ID_CONFIG_INIT,
                          .process = "ovs-vswitchd",
                          .flush_ns = 100000000,
                          .poll_ns = 5000000};
    opterr = 0;
    optind = 1;
    while ((code = getopt_long(argc, argv, ":vhV", long_options, NULL)) !=
           -1) {
        int retval = 0;

        if (code == ':' || code == '?') {
            lh_error_set(
                error, code == ':' ? "%s needs a value" : "unknown option %s",
                argv[optind - 1]);
            retval = EINVAL;
        } else {
            retval = parse_one(o, code, optarg, error);
        }
        if (retval) {
            return retval;
        }
    }
    if (optind < argc) {
        lh_error_set(error, "unexpected argument %s", argv[optind]);
        return EINVAL;
    }
    return check_all(o, error);
}
