/* SPDX-License-Identifier: Apache-2.0 */
/* lasthop-agent - see lasthop-agent(8). */
#include <config.h>

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/options.h"
#include "lib/say.h"

#define EXIT_USAGE 2

static void
on_end(evutil_socket_t signal_number, short what, void *base)
{
    say_info("ending: %s", strsignal((int) signal_number));
    event_base_loopbreak(base);
}

static void
on_status(evutil_socket_t signal_number, short what, void *agent)
{
    agent_say_status(agent);
}

static int
run(const struct options *options, struct event_base *base)
{
    struct event *events[3];
    struct agent *agent;
    struct lh_error error;

    if (agent_open(base, options, &agent, &error)) {
        say_error("%s", error.text);
        return EXIT_USAGE;
    }
    events[0] = evsignal_new(base, SIGTERM, on_end, base);
    events[1] = evsignal_new(base, SIGINT, on_end, base);
    events[2] = evsignal_new(base, SIGUSR1, on_status, agent);
    for (size_t i = 0; i < 3; i++) {
        event_add(events[i], NULL);
    }
    event_base_dispatch(base);
    for (size_t i = 0; i < 3; i++) {
        event_free(events[i]);
    }
    agent_close(agent);
    return EXIT_SUCCESS;
}

int
main(int argc, char *argv[])
{
    struct options options;
    struct event_base *base;
    struct lh_error error;
    int status;

    say_set_program("lasthop-agent");
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    if (options_parse(&options, argc, argv, &error)) {
        say_error("%s (--help lists the options)", error.text);
        return EXIT_USAGE;
    }
    if (options.wants_help) {
        fputs(options_help, stdout);
        return EXIT_SUCCESS;
    }
    if (options.wants_version) {
        printf("lasthop-agent %s\n", PACKAGE_VERSION);
        return EXIT_SUCCESS;
    }
    if (options.verbosity) {
        say_set_level(SAY_DEBUG);
    }
    base = event_base_new();
    if (!base) {
        say_error("cannot make an event loop");
        return EXIT_FAILURE;
    }
    status = run(&options, base);
    event_base_free(base);
    return status;
}
