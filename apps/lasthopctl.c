/* SPDX-License-Identifier: Apache-2.0 */
/* lasthopctl - steers a running recorder, looks after archives:
 * lasthopctl(8). */
#include <config.h>
#include "apps/lasthopctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/api_client.h"
#include "lib/api_socket.h"
#include "lib/lh_alloc.h"
#include "lib/packet_id.h"
#include "lib/text_number.h"

#define POLL_MS 20

static const char usage[] =
    "usage: lasthopctl [OPTION].. COMMAND [ARGUMENT]..\n"
    "\n"
    "  status [--check]       recorder, server and switches at a glance\n"
    "  pause [BRIDGE]..       takes all postcards off, of all switches or of "
    "these\n"
    "  resume [BRIDGE]..      puts them back\n"
    "  select list            the selections, as a file that load takes\n"
    "  select add [--before NAME] 'include|exclude NAME [TERM]..'\n"
    "  select delete NAME..\n"
    "  select load FILE       replaces them all (- is standard input)\n"
    "  attach [--force] BRIDGE\n"
    "                         instruments a bridge that has no controller\n"
    "  detach BRIDGE          takes everything of lasthop off it again\n"
    "  clients                who is connected to the server\n"
    "  triggers [list]        the live filters of all clients\n"
    "  triggers add PHF       prints what matches, as JSON, until ended\n"
    "  triggers pause|resume|delete NUMBER..\n"
    "  topology [json|dot]    switches and links, for Graphviz too\n"
    "  log [server|recorder] [error|warn|info|debug]\n"
    "                         the level of the log, or sets it\n"
    "  archive verify DIR     reads an archive whole and names what is "
    "damaged\n"
    "  archive stat DIR       what is in it\n"
    "  archive repair DIR     writes damaged files anew, of what is sound\n"
    "\n"
    "  -j, --json             print JSON, an object a line\n"
    "      --rundir DIR       directory of recorder.sock and server.sock\n"
    "                         ($LASTHOP_RUNDIR, /run/lasthop by default)\n"
    "  -t, --timeout SECONDS  wait so long for an answer (default 10)\n"
    "      --id-seed HEX      for archive repair, where meta.json is gone "
    "too:\n"
    "      --id-bytes N       lasthop-server's constants of packet IDs\n"
    "  -h, --help             this text\n"
    "  -V, --version          the version\n"
    "\n"
    "BRIDGE is a name or a datapath ID.  Terms of a selection: bridge=, "
    "table=,\n"
    "cookie=VALUE[/MASK], match=, priority=, snap-len=, encap=; "
    "lasthopctl(8)\n"
    "says more.\n"
    "\n"
    "Exit status: 0 done, 1 it could not be done or the archive is damaged, 2 "
    "wrong\n"
    "usage or no archive that can be read, 3 status --check found something "
    "that is\n"
    "not as it should be.\n";

int
ctl_wrong_usage(const char *what, const char *which)
{
    fprintf(stderr, "lasthopctl: %s%s\nlasthopctl --help says more\n", what,
            which);
    return CTL_USAGE;
}

/* --- Asking. --- */

/* Asks whoever listens at 'path'. */
static int
ask(const struct ctl *ctl, const char *path, const char *op, json_t *members,
    json_t **answer, struct lh_error *error)
{
    struct api_client *client;
    int retval = api_client_open(path, &client, error);

    *answer = NULL;
    if (retval) {
        json_decref(members);
        return retval;
    }
    retval =
        api_client_call(client, op, members, ctl->timeout_ms, answer, error);
    api_client_close(client);
    return retval;
}

int
ctl_ask(const struct ctl *ctl, const char *op, json_t *members,
        json_t **answer)
{
    struct lh_error error;
    int retval = ask(ctl, ctl->recorder_path, op, members, answer, &error);

    switch (retval) {
    case 0:
        return CTL_OK;
    case ENOENT:
    case ECONNREFUSED:
        if (strstr(error.text, ctl->recorder_path)) {
            fprintf(stderr,
                    "lasthopctl: no recorder: %s\n"
                    "Is lasthop-recorder running?  If its --rundir is another "
                    "one, give it to lasthopctl too.\n",
                    error.text);
            return CTL_FAILED;
        }
        break;
    case EACCES:
        fprintf(stderr,
                "lasthopctl: %s\nOnly the owner and the group of the socket "
                "may use it.\n",
                error.text);
        return CTL_FAILED;
    case ETIMEDOUT:
        fprintf(stderr,
                "lasthopctl: %s: no answer in %d s; whether \"%s\" was done "
                "is not known\n",
                ctl->recorder_path, ctl->timeout_ms / 1000, op);
        return CTL_FAILED;
    default:
        break;
    }
    fprintf(stderr, "lasthopctl: %s\n", error.text);
    return CTL_FAILED;
}

int
ctl_demand(const struct ctl *ctl, const char *op, json_t *members,
           json_t **answer)
{
    struct lh_error error;
    int retval = ask(ctl, ctl->server_path, op, members, answer, &error);

    if (retval) {
        fprintf(stderr, "lasthopctl: %s%s\n", error.text,
                retval == ENOENT || retval == ECONNREFUSED
                    ? " (is lasthop-server running?)"
                    : "");
    }
    return retval ? CTL_FAILED : CTL_OK;
}

void
ctl_ask_server(const struct ctl *ctl, const char *op, json_t **answer)
{
    struct lh_error error;

    ask(ctl, ctl->server_path, op, NULL, answer, &error);
}

int
ctl_print_json(const json_t *json)
{
    if (json_dumpf(json, stdout, JSON_COMPACT) || putchar('\n') == EOF ||
        fflush(stdout)) {
        fprintf(stderr, "lasthopctl: standard output: %s\n", strerror(errno));
        return CTL_FAILED;
    }
    return CTL_OK;
}

/* --- What became of the switches. --- */

const char *
ctl_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

long long
ctl_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* How many of 'switches' have `switch` as 'answer'. */
static size_t
count_answers(const json_t *switches, const char *answer)
{
    size_t i, n = 0;
    json_t *item;

    json_array_foreach(switches, i, item)
    {
        n += !strcmp(ctl_text(item, "switch"), answer);
    }
    return n;
}

/* Asks for the status until no switch has still to take what it was told.
 * '*status' is for json_decref(). */
static int
wait_for_switches(const struct ctl *ctl, json_t **status)
{
    int waited_ms = 0;

    for (;;) {
        struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
        int result = ctl_ask(ctl, "status", NULL, status);
        const json_t *switches =
            json_object_get(json_object_get(*status, "status"), "switches");

        if (result || !count_answers(switches, "waiting")) {
            return result;
        }
        if (waited_ms >= ctl->timeout_ms) {
            fprintf(stderr,
                    "lasthopctl: a switch has not answered for %d s; see "
                    "lasthopctl status\n",
                    ctl->timeout_ms / 1000);
            return CTL_FAILED;
        }
        json_decref(*status);
        nanosleep(&pause, NULL);
        waited_ms += POLL_MS;
    }
}

static void
print_change(const json_t *sw)
{
    const char *name = ctl_text(sw, "name"), *why = ctl_text(sw, "why");

    printf("%s: %s%s%s%s, %lld of %lld rules send postcards, %lld "
           "rewritten\n",
           *name ? name : ctl_text(sw, "dpid"), ctl_text(sw, "state"),
           *why ? " (" : "", why, *why ? ")" : "", ctl_number(sw, "carded"),
           ctl_number(sw, "rules"), ctl_number(sw, "rewritten"));
}

/* Asks for a change, waits until it has come to the switches and prints what
 * it came to. */
int
ctl_change(const struct ctl *ctl, const char *op, json_t *members)
{
    json_t *answer, *status_answer = NULL, *item;
    int status = ctl_ask(ctl, op, members, &answer);
    json_t *switches = json_object_get(answer, "switches");
    size_t i, n_refused = 0;

    if (!status && count_answers(switches, "waiting")) {
        status = wait_for_switches(ctl, &status_answer);
        n_refused = count_answers(
            json_object_get(json_object_get(status_answer, "status"),
                            "switches"),
            "refused");
    }
    if (!status && ctl->is_json) {
        status = ctl_print_json(answer);
    } else if (!status) {
        json_array_foreach(switches, i, item)
        {
            print_change(item);
        }
    }
    if (n_refused) {
        fprintf(stderr,
                "lasthopctl: %zu switches refused it; the log of the "
                "recorder says why\n",
                n_refused);
        status = CTL_FAILED;
    }
    json_decref(status_answer);
    json_decref(answer);
    return status;
}

static int
pause_or_resume(const struct ctl *ctl, int argc, char *argv[])
{
    json_t *members = NULL;

    if (argc > 1) {
        json_t *switches = json_array();

        for (int i = 1; i < argc; i++) {
            json_array_append_new(switches, json_string(argv[i]));
        }
        members = json_pack("{s:o}", "switches", switches);
    }
    return ctl_change(ctl, argv[0], members);
}

/* --- Bridges without a controller. --- */

static int
attach_or_detach(const struct ctl *ctl, int argc, char *argv[])
{
    json_t *members, *answer;
    int status;

    if (argc != 2) {
        return ctl_wrong_usage(argv[0], " takes one bridge");
    }
    members = json_pack("{s:s}", "bridge", argv[1]);
    if (ctl->has_force) {
        json_object_set_new(members, "force", json_true());
    }
    status = ctl_ask(ctl, argv[0], members, &answer);
    if (!status && ctl->is_json) {
        status = ctl_print_json(answer);
    } else if (!status) {
        printf("%s: %sed\n", argv[1], argv[0]);
    }
    json_decref(answer);
    return status;
}

static int
status_command(const struct ctl *ctl, int argc, char *argv[])
{
    return argc > 1
               ? ctl_wrong_usage("status takes no argument, not ", argv[1])
               : ctl_status(ctl);
}

/* Runs the command in 'argv', which getopt left over. */
static int
run(const struct ctl *ctl, int argc, char *argv[])
{
    static const struct {
        const char *name;
        int (*run)(const struct ctl *, int argc, char *argv[]);
    } commands[] = {
        {"status", status_command},   {"pause", pause_or_resume},
        {"clients", ctl_clients},     {"triggers", ctl_triggers},
        {"topology", ctl_topology},   {"log", ctl_log},
        {"resume", pause_or_resume},  {"select", ctl_select},
        {"attach", attach_or_detach}, {"detach", attach_or_detach},
        {"archive", ctl_archive},
    };
    const char *name = argc ? argv[0] : "";

    if (ctl->is_check && strcmp(name, "status")) {
        return ctl_wrong_usage("--check belongs to status", "");
    }
    if (ctl->has_force && strcmp(name, "attach")) {
        return ctl_wrong_usage("--force belongs to attach", "");
    }
    if ((ctl->has_id_seed || ctl->id_bytes) &&
        (strcmp(name, "archive") || argc < 2 || strcmp(argv[1], "repair"))) {
        return ctl_wrong_usage(
            "--id-seed and --id-bytes belong to archive repair", "");
    }
    if (ctl->before &&
        (strcmp(name, "select") || argc < 2 || strcmp(argv[1], "add"))) {
        return ctl_wrong_usage("--before belongs to select add", "");
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (!strcmp(name, commands[i].name)) {
            return commands[i].run(ctl, argc, argv);
        }
    }
    return argc ? ctl_wrong_usage("there is no command ", name)
                : ctl_wrong_usage("a command is missing", "");
}

static bool
take_timeout(struct ctl *ctl, const char *text)
{
    char *end;
    long seconds = strtol(text, &end, 10);

    ctl->timeout_ms = (int) seconds * 1000;
    return *text && !*end && seconds >= 1 && seconds <= 3600;
}

/* Of --id-seed ('s') and --id-bytes. */
static bool
take_constant(struct ctl *ctl, int option, const char *text)
{
    uint64_t n_bytes;

    if (option == 's') {
        ctl->has_id_seed = true;
        return text_number(text, 16, 0, UINT64_MAX, &ctl->id_seed);
    }
    if (!text_number(text, 10, PACKET_ID_MIN_BYTES, 1500, &n_bytes)) {
        return false;
    }
    ctl->id_bytes = (uint16_t) n_bytes;
    return true;
}

static void
take_rundir(struct ctl *ctl, const char *dir)
{
    free(ctl->recorder_path);
    free(ctl->server_path);
    ctl->recorder_path = lh_asprintf("%s/%s", dir, API_SOCKET_RECORDER);
    ctl->server_path = lh_asprintf("%s/%s", dir, API_SOCKET_SERVER);
}

/* True to go on; otherwise '*status' is the exit status. */
static bool
take_options(struct ctl *ctl, int argc, char *argv[], int *status)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"rundir", required_argument, NULL, 'r'},
        {"timeout", required_argument, NULL, 't'},
        {"check", no_argument, NULL, 'c'},
        {"force", no_argument, NULL, 'f'},
        {"before", required_argument, NULL, 'b'},
        {"id-seed", required_argument, NULL, 's'},
        {"id-bytes", required_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    int c;

    *status = CTL_OK;
    while ((c = getopt_long(argc, argv, "jt:hV", options, NULL)) != -1) {
        switch (c) {
        case 'j':
            ctl->is_json = true;
            break;
        case 'r':
            take_rundir(ctl, optarg);
            break;
        case 't':
            if (!take_timeout(ctl, optarg)) {
                *status = ctl_wrong_usage(
                    "--timeout is 1 to 3600 seconds, not ", optarg);
                return false;
            }
            break;
        case 'c':
            ctl->is_check = true;
            break;
        case 'f':
            ctl->has_force = true;
            break;
        case 'b':
            ctl->before = optarg;
            break;
        case 's':
        case 'n':
            if (!take_constant(ctl, c, optarg)) {
                *status = ctl_wrong_usage("--id-seed is up to 16 hex digits, "
                                          "--id-bytes 40 to 1500, not ",
                                          optarg);
                return false;
            }
            break;
        case 'h':
            fputs(usage, stdout);
            return false;
        case 'V':
            puts("lasthopctl (lasthop) " PACKAGE_VERSION);
            return false;
        default: /* getopt_long() has said what is wrong. */
            fputs("lasthopctl --help says more\n", stderr);
            *status = CTL_USAGE;
            return false;
        }
    }
    return true;
}

int
main(int argc, char *argv[])
{
    struct ctl ctl = {.recorder_path = api_socket_path(API_SOCKET_RECORDER),
                      .server_path = api_socket_path(API_SOCKET_SERVER),
                      .timeout_ms = 10000};
    int status;

    if (take_options(&ctl, argc, argv, &status)) {
        status = run(&ctl, argc - optind, argv + optind);
    }
    free(ctl.recorder_path);
    free(ctl.server_path);
    return status;
}
