/* SPDX-License-Identifier: Apache-2.0 */
/* gen_options - what lasthop-gen was asked to do, from its command line. */
#include <config.h>
#include "gen/gen_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "gen/gen_walk.h"
#include "lib/text_number.h"
#include "lib/time_spec.h"

const char gen_options_help[] =
    "usage: lasthop-gen [OPTION..] DIR\n"
    "Makes up postcards whose true histories are known; writes into DIR\n"
    "postcards.pcap, topology.json, rules.jsonl and truth.jsonl.\n"
    "\n"
    "  --preset mix|fabric|trouble|faults  a set of these options, before\n"
    "                             the others (mix: what figures are measured\n"
    "                             on)\n"
    "  --seed N                   the same seed makes the same (1)\n"
    "\n"
    "The network:\n"
    "  --topology line:N|ring:N|fat-tree:K|leaf-spine:LxS|FILE.json  "
    "(line:5)\n"
    "  --hosts N                  edge ports of each switch that has some\n"
    "  --hops N                   only ways of so many switches\n"
    "  --hop-delay DELAY          from switch to switch (uniform:5us-50us);\n"
    "                             also TIME, normal:20us,5us, exp:20us\n"
    "  --controller-delay DELAY   until it answers (uniform:300us-900us)\n"
    "  --churn N                  rules that change in a second (0)\n"
    "\n"
    "Packets:\n"
    "  --trace FILE               of a pcap or pcapng file, also .zst\n"
    "  --count N                  so many (the trace once, or 100000)\n"
    "  --rate N                   in a second (the trace's times, or 100000)\n"
    "  --start TIME               of the first, without a trace's times\n"
    "  --flows N                  made up: of so many flows (1000),\n"
    "  --sizes imix|fixed:N|uniform:A-B  frames of these sizes (imix),\n"
    "  --ip6 SHARE                so much IPv6 (10%)\n"
    "  --zero-ids                 with IP IDs of 0,\n"
    "  --fragments SHARE          and UDP and ICMP in fragments (0%)\n"
    "\n"
    "What befalls them, by share of the flows (2% or 0.5%):\n"
    "  --nat, --mixed (edits and several tables), --flood, --loop, --drop,\n"
    "  --punt (to the controller), --packet-out (which answers), --detour,\n"
    "  --link-loss, --tunnel\n"
    "  --identical SHARE          of packets: sent twice, some ms apart\n"
    "\n"
    "Postcards:\n"
    "  --encap geneve|mac         (geneve)\n"
    "  --mac-vlan N               (4094)\n"
    "  --snap N                   bytes of a packet in its postcard (96)\n"
    "  --stamps ns|us             resolution of times (ns)\n"
    "  --lose SHARE               are missing\n"
    "  --duplicate SHARE          come twice\n"
    "  --reorder SHARE:TIME       come later by up to TIME\n"
    "  --skew TIME                each switch's come later by a constant\n"
    "\n"
    "  --stdout                   postcards go to standard output\n"
    "  --no-truth                 no truth.jsonl (quicker by far)\n"
    "  --id-seed HEX, --id-bytes N  constants of packet IDs, in truth.jsonl\n"
    "  -q, --quiet                no summary\n"
    "  -h, --help, -V, --version\n"
    "\n"
    "lasthop-gen(1) explains them.\n";

enum option_code {
    OPT_PRESET = 256,
    OPT_SEED,
    OPT_TOPOLOGY,
    OPT_HOSTS,
    OPT_HOPS,
    OPT_HOP_DELAY,
    OPT_CONTROLLER_DELAY,
    OPT_CHURN,
    OPT_TRACE,
    OPT_COUNT,
    OPT_RATE,
    OPT_START,
    OPT_FLOWS,
    OPT_SIZES,
    OPT_IP6,
    OPT_ZERO_IDS,
    OPT_FRAGMENTS,
    OPT_NAT,
    OPT_MIXED,
    OPT_FLOOD,
    OPT_LOOP,
    OPT_DROP,
    OPT_PUNT,
    OPT_PACKET_OUT,
    OPT_DETOUR,
    OPT_LINK_LOSS,
    OPT_TUNNEL,
    OPT_IDENTICAL,
    OPT_ENCAP,
    OPT_MAC_VLAN,
    OPT_SNAP,
    OPT_STAMPS,
    OPT_LOSE,
    OPT_DUPLICATE,
    OPT_REORDER,
    OPT_SKEW,
    OPT_STDOUT,
    OPT_NO_TRUTH,
    OPT_ID_SEED,
    OPT_ID_BYTES
};

static const struct option long_options[] = {
    {"preset", required_argument, NULL, OPT_PRESET},
    {"seed", required_argument, NULL, OPT_SEED},
    {"topology", required_argument, NULL, OPT_TOPOLOGY},
    {"hosts", required_argument, NULL, OPT_HOSTS},
    {"hops", required_argument, NULL, OPT_HOPS},
    {"hop-delay", required_argument, NULL, OPT_HOP_DELAY},
    {"controller-delay", required_argument, NULL, OPT_CONTROLLER_DELAY},
    {"churn", required_argument, NULL, OPT_CHURN},
    {"trace", required_argument, NULL, OPT_TRACE},
    {"count", required_argument, NULL, OPT_COUNT},
    {"rate", required_argument, NULL, OPT_RATE},
    {"start", required_argument, NULL, OPT_START},
    {"flows", required_argument, NULL, OPT_FLOWS},
    {"sizes", required_argument, NULL, OPT_SIZES},
    {"ip6", required_argument, NULL, OPT_IP6},
    {"zero-ids", no_argument, NULL, OPT_ZERO_IDS},
    {"fragments", required_argument, NULL, OPT_FRAGMENTS},
    {"nat", required_argument, NULL, OPT_NAT},
    {"mixed", required_argument, NULL, OPT_MIXED},
    {"flood", required_argument, NULL, OPT_FLOOD},
    {"loop", required_argument, NULL, OPT_LOOP},
    {"drop", required_argument, NULL, OPT_DROP},
    {"punt", required_argument, NULL, OPT_PUNT},
    {"packet-out", required_argument, NULL, OPT_PACKET_OUT},
    {"detour", required_argument, NULL, OPT_DETOUR},
    {"link-loss", required_argument, NULL, OPT_LINK_LOSS},
    {"tunnel", required_argument, NULL, OPT_TUNNEL},
    {"identical", required_argument, NULL, OPT_IDENTICAL},
    {"encap", required_argument, NULL, OPT_ENCAP},
    {"mac-vlan", required_argument, NULL, OPT_MAC_VLAN},
    {"snap", required_argument, NULL, OPT_SNAP},
    {"stamps", required_argument, NULL, OPT_STAMPS},
    {"lose", required_argument, NULL, OPT_LOSE},
    {"duplicate", required_argument, NULL, OPT_DUPLICATE},
    {"reorder", required_argument, NULL, OPT_REORDER},
    {"skew", required_argument, NULL, OPT_SKEW},
    {"stdout", no_argument, NULL, OPT_STDOUT},
    {"no-truth", no_argument, NULL, OPT_NO_TRUTH},
    {"id-seed", required_argument, NULL, OPT_ID_SEED},
    {"id-bytes", required_argument, NULL, OPT_ID_BYTES},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

/* Kinds that one option asks for, in equal parts. */
static const struct group {
    int option;
    enum gen_kind first, last;
} groups[] = {
    {OPT_NAT, GEN_NAT, GEN_NAT},
    {OPT_MIXED, GEN_MIXED, GEN_MIXED},
    {OPT_FLOOD, GEN_TREE, GEN_FLOOD},
    {OPT_LOOP, GEN_LOOP_TTL, GEN_LOOP},
    {OPT_DROP, GEN_DROP, GEN_TO_ABSENT},
    {OPT_PUNT, GEN_PUNT, GEN_PUNT},
    {OPT_PACKET_OUT, GEN_PACKET_OUT, GEN_PACKET_OUT_TABLE},
    {OPT_DETOUR, GEN_TWICE, GEN_TWICE},
    {OPT_LINK_LOSS, GEN_LINK_LOSS, GEN_LINK_LOSS},
    {OPT_TUNNEL, GEN_TUNNEL, GEN_TUNNEL},
};

static const char *
name_of(int code)
{
    for (const struct option *o = long_options; o->name; o++) {
        if (o->val == code) {
            return o->name;
        }
    }
    return "?";
}

static int
bad(struct lh_error *error, int option, const char *text, const char *wanted)
{
    lh_error_set(error, "--%s %s: must be %s", name_of(option), text, wanted);
    return EINVAL;
}

/* Reads "2%" or "0.5%", up to 'end'. */
static bool
parse_share_to(const char *text, const char *end, uint32_t *share)
{
    size_t len = (size_t) (end - text);
    double value;
    char *rest;

    if (len < 2 || end[-1] != '%' || strspn(text, "0123456789.") != len - 1 ||
        *text == '.') {
        return false;
    }
    value = strtod(text, &rest) * (GEN_RANDOM_ALL / 100) + 0.5;
    if (rest != end - 1 || value > GEN_RANDOM_ALL + 1) {
        return false;
    }
    *share = (uint32_t) value;
    return true;
}

static int
parse_share(int option, const char *text, uint32_t *share,
            struct lh_error *error)
{
    return parse_share_to(text, text + strlen(text), share)
               ? 0
               : bad(error, option, text, "a share like 2% or 0.5%");
}

static int
parse_group(struct gen_config *config, int option, const char *text,
            struct lh_error *error)
{
    uint32_t share;
    int retval = parse_share(option, text, &share, error);

    for (size_t i = 0; !retval && i < sizeof groups / sizeof *groups; i++) {
        const struct group *group = &groups[i];
        uint32_t n = group->last - group->first + 1u;

        if (group->option == option) {
            for (uint32_t k = 0; k < n; k++) {
                config->shares[group->first + k] = share / n + (k < share % n);
            }
        }
    }
    return retval;
}

static int
parse_reorder(struct gen_config *config, const char *text,
              struct lh_error *error)
{
    const char *colon = strchr(text, ':');

    if (!colon || !parse_share_to(text, colon, &config->reorder) ||
        gen_delay_parse_time(colon + 1, &config->reorder_ns, NULL)) {
        return bad(error, OPT_REORDER, text,
                   "a share and a time like 5%:500us");
    }
    return 0;
}

static int
parse_delay(int option, const char *text, struct gen_delay *delay,
            struct lh_error *error)
{
    int retval = gen_delay_parse(text, delay, error);

    if (retval) {
        lh_error_prefix(error, "--%s", name_of(option));
    }
    return retval;
}

/* One of two words. */
static int
parse_word(int option, const char *text, const char *no, const char *yes,
           bool *is_yes, struct lh_error *error)
{
    if (strcmp(text, no) != 0 && strcmp(text, yes) != 0) {
        lh_error_set(error, "--%s %s: must be %s or %s", name_of(option), text,
                     no, yes);
        return EINVAL;
    }
    *is_yes = !strcmp(text, yes);
    return 0;
}

static int
parse_number_option(struct gen_config *config, int option, const char *text,
                    struct lh_error *error)
{
    static const struct {
        int option;
        uint64_t min, max;
        const char *wanted;
    } ranges[] = {
        {OPT_SEED, 0, UINT64_MAX, "a whole number"},
        {OPT_HOSTS, 1, 256, "from 1 to 256"},
        {OPT_HOPS, 1, 500, "from 1 to 500"},
        {OPT_CHURN, 0, 1000000, "from 0 to 1000000 rules a second"},
        {OPT_COUNT, 1, UINT64_MAX, "a number of packets"},
        {OPT_RATE, 1, 1000000000, "from 1 to 1000000000 packets a second"},
        {OPT_FLOWS, 1, GEN_TRAFFIC_MAX_FLOWS, "from 1 to 100000000"},
        {OPT_MAC_VLAN, 1, 4094, "from 1 to 4094"},
        {OPT_SNAP, 54, GEN_WALK_MAX_SNAP, "from 54 to 9216 bytes"},
        {OPT_ID_BYTES, PACKET_ID_MIN_BYTES, 1500, "from 40 to 1500"},
    };
    uint64_t value = 0;

    if (option == OPT_ID_SEED) {
        return text_number(text, 16, 0, UINT64_MAX, &config->id_config.seed)
                   ? 0
                   : bad(error, option, text, "up to 16 hex digits");
    }
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        if (ranges[i].option == option &&
            !text_number(text, 10, ranges[i].min, ranges[i].max, &value)) {
            return bad(error, option, text, ranges[i].wanted);
        }
    }
    switch (option) {
    case OPT_SEED:
        config->seed = value;
        break;
    case OPT_HOSTS:
        config->n_hosts = (unsigned int) value;
        break;
    case OPT_HOPS:
        config->n_hops = (uint32_t) value;
        break;
    case OPT_CHURN:
        config->churn = (uint32_t) value;
        break;
    case OPT_COUNT:
        config->n_packets = value;
        break;
    case OPT_RATE:
        config->rate = value;
        break;
    case OPT_FLOWS:
        config->traffic.n_flows = (uint32_t) value;
        break;
    case OPT_MAC_VLAN:
        config->mac_vlan = (uint16_t) value;
        break;
    case OPT_SNAP:
        config->snap = (uint16_t) value;
        break;
    default:
        config->id_config.n_bytes = (uint16_t) value;
        break;
    }
    return 0;
}

static int
parse_one(struct gen_options *options, int option, const char *text,
          struct lh_error *error)
{
    struct gen_config *config = &options->config;
    bool is_yes = false;
    int retval = 0;

    switch (option) {
    case OPT_PRESET: /* Was looked at before the others. */
        return 0;
    case OPT_TOPOLOGY:
        config->topology = text;
        return 0;
    case OPT_TRACE:
        config->trace = text;
        return 0;
    case OPT_HOP_DELAY:
        return parse_delay(option, text, &config->hop_delay, error);
    case OPT_CONTROLLER_DELAY:
        return parse_delay(option, text, &config->punt_delay, error);
    case OPT_START:
        retval =
            time_spec_parse(text, time_spec_now(), &config->start_ns, error);
        break;
    case OPT_SIZES:
        retval = gen_traffic_parse_sizes(text, &config->traffic, error);
        break;
    case OPT_SKEW:
        retval = gen_delay_parse_time(text, &config->skew_ns, error);
        break;
    case OPT_IP6:
        return parse_share(option, text, &config->traffic.ip6_share, error);
    case OPT_FRAGMENTS:
        return parse_share(option, text, &config->traffic.fragments, error);
    case OPT_IDENTICAL:
        return parse_share(option, text, &config->identical, error);
    case OPT_LOSE:
        return parse_share(option, text, &config->loss, error);
    case OPT_DUPLICATE:
        return parse_share(option, text, &config->duplicate, error);
    case OPT_REORDER:
        return parse_reorder(config, text, error);
    case OPT_ZERO_IDS:
        config->traffic.has_zero_ids = true;
        return 0;
    case OPT_ENCAP:
        retval = parse_word(option, text, "geneve", "mac", &is_yes, error);
        config->encap = is_yes ? GEN_MAC : GEN_GENEVE;
        return retval;
    case OPT_STAMPS:
        return parse_word(option, text, "ns", "us", &config->is_micro, error);
    case OPT_STDOUT:
        options->wants_stdout = true;
        return 0;
    case OPT_NO_TRUTH:
        options->has_no_truth = true;
        return 0;
    case 'q':
        options->is_quiet = true;
        return 0;
    case 'h':
        options->wants_help = true;
        return 0;
    case 'V':
        options->wants_version = true;
        return 0;
    default:
        return option >= OPT_NAT && option <= OPT_TUNNEL
                   ? parse_group(config, option, text, error)
                   : parse_number_option(config, option, text, error);
    }
    if (retval) {
        lh_error_prefix(error, "--%s", name_of(option));
    }
    return retval;
}

/* One time through the command line; presets are applied the first time, all
 * else the second. */
static int
parse_all(struct gen_options *options, int argc, char *argv[], bool is_first,
          struct lh_error *error)
{
    int option, retval = 0;

    optind = 0;
    opterr = 0;
    while (!retval && (option = getopt_long(argc, argv, ":qhV", long_options,
                                            NULL)) != -1) {
        if (option == '?') {
            lh_error_set(error, "unknown option %s", argv[optind - 1]);
            retval = EINVAL;
        } else if (option == ':') {
            lh_error_set(error, "option %s needs a value", argv[optind - 1]);
            retval = EINVAL;
        } else if (!is_first) {
            retval = parse_one(options, option, optarg, error);
        } else if (option == OPT_PRESET) {
            free(options->trace);
            retval = gen_config_preset(&options->config, optarg,
                                       getenv("LASTHOP_DATA"), &options->trace,
                                       error);
        }
    }
    return retval;
}

int
gen_options_parse(struct gen_options *options, int argc, char *argv[],
                  struct lh_error *error)
{
    uint16_t id_bytes;
    int retval;

    memset(options, 0, sizeof *options);
    gen_config_init(&options->config);
    id_bytes = options->config.id_config.n_bytes;
    retval = parse_all(options, argc, argv, true, error);
    if (!retval) {
        retval = parse_all(options, argc, argv, false, error);
    }
    if (retval || options->wants_help || options->wants_version) {
        return retval;
    }
    if (optind + 1 != argc) {
        lh_error_set(error,
                     optind < argc
                         ? "one directory to write into, not several"
                         : "name a directory to write into (--help shows "
                           "how)");
        return EINVAL;
    }
    options->dir = argv[optind];
    if (options->config.snap < PACKET_ID_SNAP &&
        options->config.id_config.n_bytes == id_bytes) {
        /* As much as such postcards have. */
        options->config.id_config.n_bytes = PACKET_ID_MIN_BYTES;
    }
    return gen_config_check(&options->config, error);
}

void
gen_options_uninit(struct gen_options *options)
{
    free(options->trace);
    options->trace = NULL;
}
