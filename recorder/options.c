/* SPDX-License-Identifier: Apache-2.0 */
/* options - getopt_long() and what each option means. */
#include <config.h>

#include "recorder/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/api_socket.h"
#include "lib/lh_alloc.h"
#include "lib/packet_id.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "recorder/datapath.h"
#include "recorder/serve.h"

#define DEFAULT_KEEP "-7d"
#define MAX_SNAP_LEN 1500
#define MAX_PPS      100000000
#define MAX_SETUP_S  3600

enum {
    OPT_CONTROLLER = 256,
    OPT_LISTEN,
    OPT_PRIVATE_KEY,
    OPT_CERTIFICATE,
    OPT_CA_CERT,
    OPT_SWITCH_PRIVATE_KEY,
    OPT_SWITCH_CERTIFICATE,
    OPT_SWITCH_CA_CERT,
    OPT_CONTROLLER_PRIVATE_KEY,
    OPT_CONTROLLER_CERTIFICATE,
    OPT_CONTROLLER_CA_CERT,
    OPT_POSTCARDS,
    OPT_OVSDB,
    OPT_BRIDGE,
    OPT_ATTACH,
    OPT_SERVE,
    OPT_KEEP_INSTRUMENTED,
    OPT_FORCE,
    OPT_NO_WATCH,
    OPT_SNAP_LEN,
    OPT_SELECT,
    OPT_MAX_POSTCARDS,
    OPT_SETUP_TIME,
    OPT_STATE,
    OPT_KEEP,
    OPT_KEEP_SIZE,
    OPT_RETAIN_FOR,
    OPT_RUNDIR,
    OPT_METRICS,
    OPT_STANDBY,
    OPT_STRIP
};

static const struct option long_options[] = {
    {"controller", required_argument, NULL, OPT_CONTROLLER},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"private-key", required_argument, NULL, OPT_PRIVATE_KEY},
    {"certificate", required_argument, NULL, OPT_CERTIFICATE},
    {"ca-cert", required_argument, NULL, OPT_CA_CERT},
    {"switch-private-key", required_argument, NULL, OPT_SWITCH_PRIVATE_KEY},
    {"switch-certificate", required_argument, NULL, OPT_SWITCH_CERTIFICATE},
    {"switch-ca-cert", required_argument, NULL, OPT_SWITCH_CA_CERT},
    {"controller-private-key", required_argument, NULL,
     OPT_CONTROLLER_PRIVATE_KEY},
    {"controller-certificate", required_argument, NULL,
     OPT_CONTROLLER_CERTIFICATE},
    {"controller-ca-cert", required_argument, NULL, OPT_CONTROLLER_CA_CERT},
    {"postcards", required_argument, NULL, OPT_POSTCARDS},
    {"ovsdb", required_argument, NULL, OPT_OVSDB},
    {"bridge", required_argument, NULL, OPT_BRIDGE},
    {"attach", required_argument, NULL, OPT_ATTACH},
    {"serve", required_argument, NULL, OPT_SERVE},
    {"keep-instrumented", no_argument, NULL, OPT_KEEP_INSTRUMENTED},
    {"force", no_argument, NULL, OPT_FORCE},
    {"no-watch", no_argument, NULL, OPT_NO_WATCH},
    {"snap-len", required_argument, NULL, OPT_SNAP_LEN},
    {"select", required_argument, NULL, OPT_SELECT},
    {"max-postcards", required_argument, NULL, OPT_MAX_POSTCARDS},
    {"setup-time", required_argument, NULL, OPT_SETUP_TIME},
    {"state", required_argument, NULL, OPT_STATE},
    {"keep", required_argument, NULL, OPT_KEEP},
    {"keep-size", required_argument, NULL, OPT_KEEP_SIZE},
    {"retain-for", required_argument, NULL, OPT_RETAIN_FOR},
    {"rundir", required_argument, NULL, OPT_RUNDIR},
    {"metrics", required_argument, NULL, OPT_METRICS},
    {"standby", no_argument, NULL, OPT_STANDBY},
    {"strip", no_argument, NULL, OPT_STRIP},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

/* A span of time such as "7d"; "0" is none. */
static int
parse_span(const char *text, uint64_t *ns, struct lh_error *error)
{
    uint64_t now_ns = time_spec_now(), then_ns;
    char *relative;
    int retval;

    if (!strcmp(text, "0")) {
        *ns = 0;
        return 0;
    }
    relative = lh_asprintf("-%s", text);
    retval = time_spec_parse(relative, now_ns, &then_ns, error);
    free(relative);
    if (retval) {
        lh_error_set(error, "\"%s\" is no span of time such as 7d or 12h",
                     text);
        return EINVAL;
    }
    *ns = now_ns - then_ns;
    return 0;
}

/* Bytes, such as "500M". */
static int
parse_size(const char *text, uint64_t *n_bytes, struct lh_error *error)
{
    static const char units[] = "KMGT";
    const char *unit;
    char *end;

    errno = 0;
    *n_bytes = strtoull(text, &end, 10);
    unit = *end ? strchr(units, *end) : NULL;
    if (*text < '0' || *text > '9' || errno || (*end && (!unit || end[1])) ||
        (unit && *n_bytes >> 20)) {
        lh_error_set(error, "\"%s\" is no size such as 500M or 20G", text);
        return EINVAL;
    }
    if (unit) {
        *n_bytes <<= 10 * (unit - units + 1);
    }
    return 0;
}

static int
parse_snap_len(const char *text, uint16_t *snap_len, struct lh_error *error)
{
    const unsigned min = PACKET_ID_BYTES + PACKET_ID_OVERHEAD;
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || n < min || n > MAX_SNAP_LEN) {
        lh_error_set(error, "\"%s\" is no number from %u to %d", text, min,
                     MAX_SNAP_LEN);
        return EINVAL;
    }
    *snap_len = (uint16_t) n;
    return 0;
}

static int
parse_number(const char *text, unsigned int max, unsigned int *number,
             struct lh_error *error)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || !n || n > max) {
        lh_error_set(error, "\"%s\" is no number from 1 to %u", text, max);
        return EINVAL;
    }
    *number = (unsigned int) n;
    return 0;
}

static int
parse_ovsdb(const char *text, struct ovsdb_config *ovsdb,
            struct lh_error *error)
{
    if (strncmp(text, "unix:", 5) && strncmp(text, "tcp:", 4)) {
        lh_error_set(error, "%s: must be unix:PATH or tcp:IP:PORT", text);
        return EINVAL;
    }
    ovsdb->db = text;
    return 0;
}

static int
take_controller(const char *text, struct recorder_config *config,
                struct lh_error *error)
{
    config->controllers =
        lh_alloc_array(config->controllers, config->n_controllers + 1,
                       sizeof *config->controllers);
    return endpoint_parse(
        text, false, &config->controllers[config->n_controllers++], error);
}

static int
take_listen(const char *text, struct recorder_config *config,
            struct lh_error *error)
{
    config->routes = lh_alloc_array(config->routes, config->n_routes + 1,
                                    sizeof *config->routes);
    config->routes[config->n_routes] = (struct recorder_route){0};
    return endpoint_parse(text, true,
                          &config->routes[config->n_routes++].listen, error);
}

/* Private key, certificate, CA certificate. */
static const char **
tls_file(struct tls_files *files, int n)
{
    return n == 0   ? &files->private_key
           : n == 1 ? &files->certificate
                    : &files->ca_cert;
}

/* An endpoint ssl: needs all three files, and files need one. */
static int
check_tls(const struct endpoint *ep, const char *option, const char *side,
          const struct tls_files *files, struct lh_error *error)
{
    if (ep->is_tls &&
        !(files->private_key && files->certificate && files->ca_cert)) {
        lh_error_set(error,
                     "%s=%s needs --private-key, --certificate and --ca-cert "
                     "(or --%s-private-key and so on)",
                     option, ep->text, side);
        return EINVAL;
    }
    return 0;
}

static void
take_text(char **text, char *value)
{
    free(*text);
    *text = value;
}

static int
take_option(int option, char *argument, struct recorder_config *config,
            struct lh_error *error)
{
    switch (option) {
    case OPT_CONTROLLER:
        return take_controller(argument, config, error);
    case OPT_LISTEN:
        return take_listen(argument, config, error);
    case OPT_PRIVATE_KEY:
    case OPT_CERTIFICATE:
    case OPT_CA_CERT:
        *tls_file(&config->switch_tls, option - OPT_PRIVATE_KEY) = argument;
        *tls_file(&config->controller_tls, option - OPT_PRIVATE_KEY) =
            argument;
        return 0;
    case OPT_SWITCH_PRIVATE_KEY:
    case OPT_SWITCH_CERTIFICATE:
    case OPT_SWITCH_CA_CERT:
        *tls_file(&config->switch_tls, option - OPT_SWITCH_PRIVATE_KEY) =
            argument;
        return 0;
    case OPT_CONTROLLER_PRIVATE_KEY:
    case OPT_CONTROLLER_CERTIFICATE:
    case OPT_CONTROLLER_CA_CERT:
        *tls_file(&config->controller_tls,
                  option - OPT_CONTROLLER_PRIVATE_KEY) = argument;
        return 0;
    case OPT_POSTCARDS:
        return postcard_ports_add(&config->postcards, argument, error);
    case OPT_OVSDB:
        return parse_ovsdb(argument, &config->ovsdb, error);
    case OPT_BRIDGE:
        config->bridges = lh_alloc_array(
            config->bridges, config->n_bridges + 1, sizeof *config->bridges);
        config->bridges[config->n_bridges++] = argument;
        return 0;
    case OPT_ATTACH:
        config->attach = lh_alloc_array(config->attach, config->n_attach + 1,
                                        sizeof *config->attach);
        config->attach[config->n_attach++] = argument;
        return 0;
    case OPT_SERVE:
        config->serve = lh_alloc_array(config->serve, config->n_serve + 1,
                                       sizeof *config->serve);
        config->serve[config->n_serve++] = argument;
        return 0;
    case OPT_KEEP_INSTRUMENTED:
        config->keeps_instrumented = true;
        return 0;
    case OPT_FORCE:
        config->ovsdb.force = true;
        return 0;
    case OPT_NO_WATCH:
        config->is_unwatched = true;
        return 0;
    case OPT_SNAP_LEN:
        return parse_snap_len(argument, &config->snap_len, error);
    case OPT_SELECT:
        config->select_file = argument;
        return 0;
    case OPT_MAX_POSTCARDS:
        return parse_number(argument, MAX_PPS, &config->max_postcards, error);
    case OPT_SETUP_TIME:
        return parse_number(argument, MAX_SETUP_S, &config->setup_s, error);
    case OPT_STATE:
        take_text(&config->state_dir, lh_strdup(argument));
        return 0;
    case OPT_KEEP:
        return parse_span(argument, &config->keep_ns, error);
    case OPT_KEEP_SIZE:
        return parse_size(argument, &config->keep_bytes, error);
    case OPT_RETAIN_FOR:
        return parse_span(argument, &config->retain_ns, error);
    case OPT_RUNDIR:
        take_text(&config->socket_path,
                  lh_asprintf("%s/%s", argument, API_SOCKET_RECORDER));
        return 0;
    case OPT_METRICS:
        config->metrics = argument;
        return 0;
    case OPT_STANDBY:
        config->is_standby = true;
        return 0;
    case OPT_STRIP:
        config->is_strip = true;
        return 0;
    case 'v':
        say_set_level(SAY_DEBUG);
        return 0;
    case 'h':
        fputs(options_help, stdout);
        return ECANCELED;
    case 'V':
        puts("lasthop-recorder " PACKAGE_VERSION);
        return ECANCELED;
    default:
        /* getopt_long() has said what is wrong. */
        lh_error_set(error, "see lasthop-recorder --help");
        return EINVAL;
    }
}

/* The name of the option that getopt_long() returned. */
static const char *
option_name(int option)
{
    for (size_t i = 0; long_options[i].name; i++) {
        if (long_options[i].val == option) {
            return long_options[i].name;
        }
    }
    return NULL;
}

/* A controller that is a listener of ours would be ourselves. */
static int
check_loops(const struct recorder_config *config, struct lh_error *error)
{
    for (size_t i = 0; i < config->n_controllers; i++) {
        for (size_t j = 0; j < config->n_routes; j++) {
            const struct endpoint *controller = &config->controllers[i];
            const struct endpoint *listen = &config->routes[j].listen;

            if (endpoint_leads_to(controller, listen)) {
                lh_error_set(error,
                             "--controller=%s is where the recorder itself "
                             "listens (--listen=%s); give the controller's "
                             "own port, and another one to --listen",
                             controller->text, listen->text);
                return EINVAL;
            }
        }
    }
    return 0;
}

/* Which listener belongs to which controller. */
static int
pair_up(struct recorder_config *config, struct lh_error *error)
{
    if (!config->n_controllers && config->n_attach && !config->n_routes) {
        return 0;
    }
    if (!config->n_controllers) {
        lh_error_set(error, "--controller is missing; see lasthop-recorder "
                            "--help");
        return EINVAL;
    }
    if (!config->n_routes && config->n_controllers == 1 &&
        take_listen(OPTIONS_LISTEN, config, error)) {
        return EINVAL;
    }
    if (config->n_controllers > 1 &&
        config->n_controllers != config->n_routes) {
        lh_error_set(error,
                     "%zu --controller and %zu --listen: each of several "
                     "controllers needs a --listen of its own, in the same "
                     "order",
                     config->n_controllers, config->n_routes);
        return EINVAL;
    }
    for (size_t i = 0; i < config->n_routes; i++) {
        config->routes[i].controller =
            &config->controllers[config->n_controllers > 1 ? i : 0];
        for (size_t j = 0; j < i; j++) {
            if (!strcmp(config->routes[i].listen.text,
                        config->routes[j].listen.text)) {
                lh_error_set(error,
                             "--listen=%s is given twice; every controller "
                             "needs one of its own",
                             config->routes[i].listen.text);
                return EINVAL;
            }
        }
    }
    return check_loops(config, error);
}

static int
check_all_tls(const struct recorder_config *config, struct lh_error *error)
{
    const struct tls_files *down = &config->switch_tls;
    const struct tls_files *up = &config->controller_tls;
    bool is_used = !(down->private_key || down->certificate || down->ca_cert ||
                     up->private_key || up->certificate || up->ca_cert);

    for (size_t i = 0; i < config->n_routes; i++) {
        const struct recorder_route *route = &config->routes[i];
        int retval =
            check_tls(&route->listen, "--listen", "switch", down, error);

        if (!retval) {
            retval = check_tls(route->controller, "--controller", "controller",
                               up, error);
        }
        if (retval) {
            return retval;
        }
        is_used |= route->listen.is_tls || route->controller->is_tls;
    }
    if (!is_used) {
        lh_error_set(error, "keys or certificates are given, but no --listen "
                            "and no --controller is ssl:");
        return EINVAL;
    }
    return 0;
}

/* Sets what was not given. */
static int
complete(struct recorder_config *config, struct lh_error *error)
{
    int retval = config->is_strip ? 0 : pair_up(config, error);

    if (!retval && !config->is_strip) {
        retval = check_all_tls(config, error);
    }
    if (retval) {
        return retval;
    }
    if (!config->state_dir) {
        config->state_dir = lh_strdup(OPTIONS_STATE);
    }
    if (!config->socket_path) {
        config->socket_path = api_socket_path(API_SOCKET_RECORDER);
    }
    config->ovsdb.postcards = &config->postcards;
    return config->is_strip ? 0 : serve_make(config, error);
}

int
options_parse(int argc, char *argv[], struct recorder_config *config,
              struct lh_error *error)
{
    int option;

    memset(config, 0, sizeof *config);
    config->snap_len = PACKET_ID_SNAP;
    config->setup_s = DATAPATH_SETUP_S;
    parse_span(&DEFAULT_KEEP[1], &config->keep_ns, NULL);
    parse_span(&DEFAULT_KEEP[1], &config->retain_ns, NULL);
    while ((option = getopt_long(argc, argv, "vhV", long_options, NULL)) !=
           -1) {
        int retval = take_option(option, optarg, config, error);

        if (retval) {
            if (retval == EINVAL && option_name(option)) {
                lh_error_prefix(error, "--%s", option_name(option));
            }
            return retval;
        }
    }
    if (optind < argc) {
        lh_error_set(error,
                     "\"%s\" is not an option; see lasthop-recorder "
                     "--help",
                     argv[optind]);
        return EINVAL;
    }
    return complete(config, error);
}

void
options_uninit(struct recorder_config *config)
{
    for (size_t i = 0; i < config->n_routes; i++) {
        endpoint_uninit(&config->routes[i].listen);
    }
    free(config->routes);
    for (size_t i = 0; i < config->n_controllers; i++) {
        endpoint_uninit(&config->controllers[i]);
    }
    free(config->controllers);
    postcard_ports_uninit(&config->postcards);
    free(config->state_dir);
    free(config->socket_path);
    free(config->bridges);
    free(config->attach);
    serve_uninit(config);
}
