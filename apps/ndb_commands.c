/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_commands - the commands of the debugger. */
#include <config.h>
#include "apps/ndb_commands.h"

#include <stdlib.h>
#include <string.h>

#include "apps/ndb_args.h"
#include "apps/ndb_break.h"
#include "apps/ndb_ladder.h"
#include "apps/ndb_packet.h"
#include "apps/ndb_print.h"
#include "apps/ndb_script.h"
#include "lib/lh_alloc.h"
#include "lib/nearest.h"

static enum ndb_status
no_history(const struct ndb *ndb)
{
    fprintf(stderr, "%s: no history: find some, or continue to a breakpoint\n",
            ndb->where);
    return NDB_NOTHING;
}

/* Refuses arguments to a command that has none. */
static bool
has_args(const struct ndb *ndb, const char *args)
{
    struct lh_error error;

    if (!*args) {
        return false;
    }
    lh_error_set(&error, "this command takes no argument (\"%s\")", args);
    ndb_fail(ndb, &error, NULL);
    return true;
}

/* --- looking at a history ------------------------------------------------ */

static enum ndb_status
backtrace(struct ndb *ndb, const char *args)
{
    bool is_full = !strcmp(args, "full");

    if (!is_full && has_args(ndb, args)) {
        return NDB_ERROR;
    }
    if (!ndb_history(ndb)) {
        return no_history(ndb);
    }
    ndb_print_backtrace(ndb, is_full);
    return NDB_OK;
}

static enum ndb_status
go_to_frame(struct ndb *ndb, size_t frame)
{
    ndb->frame = frame;
    ndb_print_frame(ndb);
    return NDB_OK;
}

static enum ndb_status
frame(struct ndb *ndb, const char *args)
{
    const struct history *h = ndb_history(ndb);
    struct lh_error error;
    unsigned long n;
    char *end;

    if (!h || !h->n_hops) {
        return no_history(ndb);
    }
    if (!*args) {
        return go_to_frame(ndb, ndb->frame);
    }
    n = strtoul(args, &end, 10);
    if (*args < '0' || *args > '9' || *end || n >= h->n_hops) {
        lh_error_set(&error, "\"%s\" is no hop of this history: 0 to %zu",
                     args, h->n_hops - 1);
        return ndb_fail(ndb, &error, NULL);
    }
    return go_to_frame(ndb, n);
}

/* How many hops `up` and `down` go: 1 unless it is said. */
static bool
parse_steps(const struct ndb *ndb, const char *args, uint64_t *n)
{
    struct lh_error error;

    *n = 1;
    if (*args &&
        ndb_args_number(args, "how many hops", 1, UINT16_MAX, n, &error)) {
        ndb_fail(ndb, &error, NULL);
        return false;
    }
    return true;
}

static enum ndb_status
up(struct ndb *ndb, const char *args)
{
    const struct history *h = ndb_history(ndb);
    size_t frame = ndb->frame;
    uint64_t n;

    if (!parse_steps(ndb, args, &n)) {
        return NDB_ERROR;
    }
    if (!ndb_hop(ndb)) {
        return no_history(ndb);
    }
    if (h->hops[frame].parent < 0) {
        fprintf(stderr, "%s: this is where the history begins\n", ndb->where);
        return NDB_NOTHING;
    }
    for (; n && h->hops[frame].parent >= 0; n--) {
        frame = (size_t) h->hops[frame].parent;
    }
    return go_to_frame(ndb, frame);
}

static enum ndb_status
down(struct ndb *ndb, const char *args)
{
    const struct history *h = ndb_history(ndb);
    size_t frame = ndb->frame;
    uint64_t n;

    if (!parse_steps(ndb, args, &n)) {
        return NDB_ERROR;
    }
    if (!ndb_hop(ndb)) {
        return no_history(ndb);
    }
    if (history_is_leaf(h, frame)) {
        fprintf(stderr, "%s: this is a last hop\n", ndb->where);
        return NDB_NOTHING;
    }
    for (; n && !history_is_leaf(h, frame); n--) {
        frame++; /* The first child follows. */
    }
    return go_to_frame(ndb, frame);
}

/* --- among what was found ------------------------------------------------ */

static enum ndb_status
go_to_history(struct ndb *ndb, size_t i)
{
    ndb->current = i;
    ndb->frame = 0;
    ndb_refresh_topology(ndb);
    ndb_print_summary(ndb, i);
    return NDB_OK;
}

static enum ndb_status
next(struct ndb *ndb, const char *args)
{
    if (has_args(ndb, args)) {
        return NDB_ERROR;
    }
    if (!ndb->n_found) {
        return no_history(ndb);
    }
    if (ndb->current + 1 >= ndb->n_found) {
        fprintf(stderr, "%s: this is the last one found\n", ndb->where);
        return NDB_NOTHING;
    }
    return go_to_history(ndb, ndb->current + 1);
}

static enum ndb_status
prev(struct ndb *ndb, const char *args)
{
    if (has_args(ndb, args)) {
        return NDB_ERROR;
    }
    if (!ndb->n_found) {
        return no_history(ndb);
    }
    if (!ndb->current) {
        fprintf(stderr, "%s: this is the first one found\n", ndb->where);
        return NDB_NOTHING;
    }
    return go_to_history(ndb, ndb->current - 1);
}

/* --- help and quit ------------------------------------------------------- */

/* Width of what stands before the explanations. */
#define HELP_COLUMN 30

static void
help_all(struct ndb *ndb)
{
    for (const struct ndb_command *c = ndb_commands; c->name; c++) {
        char usage[80];

        snprintf(usage, sizeof usage, "%s%s%s", c->name, *c->args ? " " : "",
                 c->args);
        if (strlen(usage) > HELP_COLUMN) { /* A line of its own. */
            fprintf(ndb->out, "  %s\n", usage);
            *usage = '\0';
        }
        fprintf(ndb->out, "  %-*s %.*s\n", HELP_COLUMN, usage,
                (int) strcspn(c->help, "\n"), c->help);
    }
    fputs("\nhelp COMMAND says more; the beginning of a name is enough.  "
          "help filters shows\nhow they are written.\n",
          ndb->out);
}

static const char help_filters[] =
    "A filter is a regular expression whose letters are hops.  A hop is\n"
    "\n"
    "  {{TERM..}}     one for which all terms hold\n"
    "  .              any\n"
    "  [^{{TERM..}}]  one for which they do not\n"
    "\n"
    "and *, +, ?, {2,4}, |, ( ), ^ and $ (the ends of the way) and \\1 (the "
    "same\n"
    "switch again) mean what they mean elsewhere.  Terms, each with \"not\" "
    "before\n"
    "its value if it is not to hold:\n"
    "\n"
    "  --bpf EXPR       the packet at that hop, as for tcpdump\n"
    "  --dpid SWITCH    by name or number\n"
    "  --inport PORT    by name or number\n"
    "  --outport PORT   also DROP, CONTROLLER, FLOOD\n"
    "  --version N      the rule that matched\n"
    "  --verdict NAME   delivered, dropped, lost, looped, open, controller\n"
    "\n"
    "For example:\n"
    "  .                                       every packet\n"
    "  {{--verdict dropped}}                   what is dropped anywhere\n"
    "  ^{{--dpid s1 --bpf tcp port 80}}        what comes in at s1\n"
    "  {{--dpid s1}}.*{{--dpid s3}}            by s1 and later by s3\n"
    "  ^[^{{--dpid s2}}]*$                     what does not pass s2\n"
    "  (.).*\\1                                 what loops\n"
    "\n"
    "phf(7) says it all.\n";

static enum ndb_status
help(struct ndb *ndb, const char *args)
{
    const struct ndb_command *c;
    struct lh_error error;

    if (!strcmp(args, "filters") || !strcmp(args, "filter")) {
        fputs(help_filters, ndb->out);
        return NDB_OK;
    }
    if (!*args) {
        help_all(ndb);
        return NDB_OK;
    }
    c = ndb_commands_find(args, strlen(args), &error);
    if (!c) {
        return ndb_fail(ndb, &error, NULL);
    }
    fprintf(ndb->out, "%s%s%s", c->name, *c->args ? " " : "", c->args);
    if (c->alias) {
        fprintf(ndb->out, "    (or %s)", c->alias);
    }
    fprintf(ndb->out, "\n%s\n", c->help);
    if (c->example) {
        fputs("\nFor example:\n", ndb->out);
    }
    for (const char *s = c->example; s && *s; s += *s == '\n') {
        fprintf(ndb->out, "  %.*s\n", (int) strcspn(s, "\n"), s);
        s += strcspn(s, "\n");
    }
    return NDB_OK;
}

static enum ndb_status
quit(struct ndb *ndb, const char *args)
{
    if (has_args(ndb, args)) {
        return NDB_ERROR;
    }
    ndb->wants_quit = true;
    return NDB_OK;
}

/* --- the table ----------------------------------------------------------- */

const struct ndb_command ndb_commands[] = {
    {"find", NULL,
     "PHF [--since TIME] [--until TIME] [--last N|SPAN] [--limit N] "
     "[--oldest]",
     "Find stored histories that match a filter.\n"
     "The newest come first, or with --oldest the oldest, at most N (20).\n"
     "Times: -10m (s, m, h, d before now), RFC 3339, or nanoseconds since "
     "the\n"
     "epoch; --last 10m is --since -10m, and --last 5 is --limit 5.  The "
     "first\n"
     "found becomes current: bt, frame and info look at it; next and prev go "
     "on.",
     "find {{--bpf tcp port 80}}.*{{--outport DROP}}$ --since -10m", true,
     ndb_search_find},
    {"bt", "backtrace", "[full]",
     "Show the current history hop by hop.\n"
     "With the rule that matched at each hop and what changed in the header;\n"
     "full shows the header bytes too.",
     "bt full", true, backtrace},
    {"frame", "f", "[N]", "Go to hop N of the current history and show it.",
     "frame 1", false, frame},
    {"up", NULL, "[N]", "Go to the hop, or N hops, that the packet came from.",
     NULL, false, up},
    {"down", NULL, "[N]", "Go to the hop, or N hops, that the packet went to.",
     NULL, false, down},
    {"next", "n", "", "Go to the next history found.", NULL, false, next},
    {"prev", "p", "", "Go to the history found before.", NULL, false, prev},
    {"info", "i",
     "flow | table .. | packet | changes .. | topology | stats | breakpoints",
     "Show what is known about something.\n"
     "flow         the rules that matched at the current hop\n"
     "table [N]    all flow tables (or table N) of that switch as they were "
     "at\n"
     "             the moment of that hop, with the rules that matched "
     "marked\n"
     "table SWITCH [N] [--at TIME | vN] [--groups]\n"
     "             the tables of that switch at that time\n"
     "packet       the header fields at the current hop; * marks those that\n"
     "             are changed here (->) or were before (was)\n"
     "changes [near [SPAN]]\n"
     "             the hops of the current history and what was changed at\n"
     "             its switches up to SPAN (10s) before and after, on one\n"
     "             timeline\n"
     "changes [SWITCH] [SINCE [UNTIL]] [--limit N] [--follow]\n"
     "             what happened, in order: rules, groups, ports, links;\n"
     "             the last 100 when there is neither time nor history\n"
     "topology     switches, ports and links\n"
     "stats        the server's counters, or what the archive holds\n"
     "breakpoints  breakpoints, what they ask and do, how often they matched",
     "info flow\ninfo table\ninfo table s1 0 --at -5m\ninfo packet\n"
     "info changes near 2s\ninfo changes s1 -1h",
     true, ndb_info},
    {"x", NULL, "[/FMT] [out] [WHERE]",
     "Show bytes of the packet at the current hop.\n"
     "FMT is a count, a format (x, d, u, o, t for binary, c) and a size (b, "
     "h,\n"
     "w, g for 1, 2, 4, 8 bytes), each of which may be left out.  WHERE is "
     "an\n"
     "offset, a layer (eth, vlan, ip, ip6, arp, tcp, udp, ..), \"payload\", "
     "or\n"
     "a field of info packet, and perhaps +N.  \"out\" shows what this rule "
     "sent\n"
     "on.  * marks what is not as it was before.",
     "x\nx/16xb\nx/4xb ip.src\nx/2dh tcp\nx out ip+8", true, ndb_packet_x},
    {"ladder", "l", "",
     "Draw the current history: switches as columns, hops in time.", NULL,
     true, ndb_ladder},
    {"why", "w", "[frame N | SWITCH FLOW | SWITCH PORT HEX] [TIME] [not vN]",
     "Show which rules a packet met, or would have met, table by table.\n"
     "With each rule the one that would have matched without it, then the\n"
     "verdict and its reason, and what was changed at that switch near then.\n"
     "why                 the packet of the current hop, then and there\n"
     "why frame 2         that of hop 2\n"
     "why not v7          and why it did not match rule v7\n"
     "why s1 in_port=1,udp,nw_dst=10.0.0.2,tp_dst=53 -5m\n"
     "                    a packet as ovs-ofctl writes it, five minutes ago\n"
     "why s1 1 0200..     the bytes of a packet that came in at port 1\n"
     "A TIME is as for find, or vN: right after version N was made.  What is\n"
     "not known (the state of connections, select groups) is followed every\n"
     "way.  Rules that postcards of this hop name are marked.\n"
     "With -r DIR, where no recorder answers, only these rules and the "
     "changes\n"
     "are shown.",
     NULL, true, ndb_past_why},
    {"diff", NULL, "N [M] | SWITCH FROM [TO]",
     "Show what differs between two packets, or two moments of a switch.\n"
     "N and M are histories that find listed (M, or the current one): where "
     "their\n"
     "ways part, by which rules, and what was changed there in between.\n"
     "FROM and TO are times as for find, or versions (vN); TO is now unless "
     "given.",
     "diff 1 2\ndiff s1 -10m\ndiff s1 v7 v8", true, ndb_past_diff},
    {"break", "b", "PHF [if PHF]",
     "Set a breakpoint: continue stops at histories that match.\n"
     "With \"if\", only at those that match the second filter too.",
     "break {{--bpf udp port 53 --verdict not delivered}}$\n"
     "break {{--dpid s3}} if {{--version 7}}",
     false, ndb_break_set},
    {"tbreak", "tb", "PHF [if PHF]",
     "Set a breakpoint that goes when it has stopped once.",
     "tbreak {{--verdict dropped}}", false, ndb_break_set_temporary},
    {"condition", "cond", "N [PHF]",
     "Let breakpoint N stop only at histories that match a filter too.\n"
     "Without one it stops at all again.",
     "condition 1 ^{{--dpid s1}}", false, ndb_break_condition},
    {"ignore", NULL, "N COUNT",
     "Let breakpoint N pass over its next COUNT matches.", "ignore 1 10",
     false, ndb_break_ignore},
    {"commands", NULL, "[N]",
     "Set what is done when breakpoint N (the last one set) stops.\n"
     "The lines that follow, up to one with \"end\", are run in order;\n"
     "\"silent\" as the first of them leaves out what continue prints, and\n"
     "\"continue\" goes on waiting.",
     "commands 1\n  silent\n  why\n  continue\nend", false,
     ndb_break_commands},
    {"enable", "en", "[N]..", "Let breakpoints, or all, stop again.",
     "enable 1 2", false, ndb_break_enable},
    {"disable", "dis", "[N]..", "Let breakpoints, or all, not stop for now.",
     "disable 1", false, ndb_break_disable},
    {"delete", "d", "[N]..", "Delete breakpoints, or all.", "delete 1", false,
     ndb_break_remove},
    {"continue", "c", "[N] [--timeout SECONDS]",
     "Wait for the next history at which a breakpoint stops.\n"
     "Ctrl-C ends the waiting.  Matches that came since the last stop are\n"
     "shown first, one at a time.  With N, the breakpoint it stopped at last\n"
     "passes over N - 1 matches.  When the server goes away, continue waits\n"
     "for it and says which time was missed.",
     "continue --timeout 60", false, ndb_continue},
    {"since", NULL, "[TIME | all]",
     "Let find begin at TIME unless it is told otherwise.", "since -1h", false,
     ndb_search_since},
    {"until", NULL, "[TIME | all]",
     "Let find end before TIME unless it is told otherwise.",
     "until 2026-11-22T05:36:44Z", false, ndb_search_until},
    {"source", NULL, "FILE", "Run the commands in a file.", "source case.ndb",
     false, ndb_script_source},
    {"help", "h", "[COMMAND | filters]", "Show the commands, or one of them.",
     "help find", true, help},
    {"quit", "q", "", "Leave ndb.", NULL, false, quit},
    {NULL, NULL, NULL, NULL, NULL, false, NULL},
};

/* Says that there is none, and which is nearest. */
static void
no_command(const char *name, size_t len, struct lh_error *error)
{
    char *text = lh_asprintf("%.*s", (int) len, name);
    struct nearest nearest = nearest_init(text);

    for (const struct ndb_command *c = ndb_commands; c->name; c++) {
        nearest_try(&nearest, c->name);
    }
    if (nearest_name(&nearest)) {
        lh_error_set(error, "no command \"%s\"; is \"%s\" meant?", text,
                     nearest_name(&nearest));
    } else {
        lh_error_set(error, "no command \"%s\"; \"help\" lists them", text);
    }
    free(text);
}

const struct ndb_command *
ndb_commands_find(const char *name, size_t len, struct lh_error *error)
{
    const struct ndb_command *found = NULL;

    for (const struct ndb_command *c = ndb_commands; c->name; c++) {
        if ((strlen(c->name) == len && !memcmp(c->name, name, len)) ||
            (c->alias && strlen(c->alias) == len &&
             !memcmp(c->alias, name, len))) {
            return c;
        }
    }
    for (const struct ndb_command *c = ndb_commands; c->name; c++) {
        if (strncmp(c->name, name, len) != 0) {
            continue;
        }
        if (found) {
            lh_error_set(error, "\"%.*s\" may be %s or %s", (int) len, name,
                         found->name, c->name);
            return NULL;
        }
        found = c;
    }
    if (!found) {
        no_command(name, len, error);
    }
    return found;
}

bool
ndb_commands_repeats(const char *line)
{
    static const char *const names[] = {"next", "prev",     "up",
                                        "down", "continue", NULL};
    const struct ndb_command *c;

    line += strspn(line, " \t");
    c = ndb_commands_find(line, strcspn(line, " \t\r\n"), NULL);
    for (size_t i = 0; c && names[i]; i++) {
        if (!strcmp(c->name, names[i])) {
            return true;
        }
    }
    return false;
}
