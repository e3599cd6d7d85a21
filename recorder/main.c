/* SPDX-License-Identifier: Apache-2.0 */
/* lasthop-recorder - see lasthop-recorder(8). */
#include <config.h>

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "lib/say.h"
#include "recorder/options.h"
#include "recorder/recorder.h"
#include "recorder/strip.h"

#define EXIT_USAGE 2
#define KEPT_BYTES (1 << 20)

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

/* Memory that is free at the end of a heap goes back to the operating system.
 * Left alone, malloc keeps more of it the more a burst has once used. */
static void
keep_little_memory(void)
{
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    mallopt(M_MMAP_THRESHOLD, KEPT_BYTES);
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
    keep_little_memory();
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
