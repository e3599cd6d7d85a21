/* SPDX-License-Identifier: Apache-2.0 */
/* lasthop-recorder - see lasthop-recorder(8). */
#include <config.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "lib/say.h"
#include "recorder/options.h"
#include "recorder/recorder.h"
#include "recorder/strip.h"

#define EXIT_USAGE 2

/* Each switch takes two descriptors; the usual soft limit ends at 500. */
static void
raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (!getrlimit(RLIMIT_NOFILE, &limit)) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int
main(int argc, char *argv[])
{
    struct recorder_config config;
    struct recorder *recorder;
    struct lh_error error;
    int retval, status = EXIT_USAGE;

    say_set_program("lasthop-recorder");
    /* A peer that goes away and a file that may not grow are errors of one
     * write, not the end. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);

    raise_descriptor_limit();
    retval = options_parse(argc, argv, &config, &error);
    if (!retval && config.is_strip) {
        status = EXIT_FAILURE;
        retval = strip_run(&config, &error);
    } else if (!retval) {
        status = EXIT_FAILURE;
        retval = recorder_create(&config, &recorder, &error);
        if (!retval) {
            recorder_run(recorder);
            recorder_destroy(recorder);
        }
    }
    options_uninit(&config);
    if (retval == ECANCELED) {
        return EXIT_SUCCESS;
    }
    if (retval) {
        say_error("%s", error.text);
        return status;
    }
    return EXIT_SUCCESS;
}
