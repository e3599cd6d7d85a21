/* SPDX-License-Identifier: Apache-2.0 */
/* rates - how many packets come to what end, second by second.
 *
 *     cc rates.c $(pkg-config --cflags --libs lasthop) -o rates
 *     ./rates [SECONDS]
 *
 * Use of liblasthop(3) in a loop of one's own: poll() waits for the client and
 * for whatever else the program has (here: a clock). */
#include <errno.h>
#include <inttypes.h>
#include <lasthop/client.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

static const char *const names[] = {"delivered", "dropped", "lost", "looped"};
#define N_NAMES (sizeof names / sizeof *names)

/* The counters are in an object in the answer; text is enough here to find
 * them, a program with a JSON library would use that. */
static int64_t
counter(const char *answer, const char *name)
{
    char key[64];
    const char *at = answer;
    int len = snprintf(key, sizeof key, "\"%s\":", name);

    for (; *at; at++) {
        int i = 0;

        while (i < len && at[i] == key[i]) {
            i++;
        }
        if (i == len) {
            return strtoll(at + len, NULL, 10);
        }
    }
    return 0;
}

static void
on_answer(struct lasthop_request *stats, void *aux)
{
    static int64_t before[N_NAMES];
    static int n_answers;
    const char *answer = lasthop_request_answer(stats);

    for (size_t i = 0; i < N_NAMES; i++) {
        int64_t now = counter(answer, names[i]);

        if (n_answers) {
            printf("%s%s %" PRId64 "/s", i ? "  " : "", names[i],
                   now - before[i]);
        }
        before[i] = now;
    }
    if (n_answers++) {
        putchar('\n');
        fflush(stdout);
    }
}

int
main(int argc, char *argv[])
{
    struct itimerspec second = {.it_interval.tv_sec = 1,
                                .it_value.tv_nsec = 1};
    struct lasthop_client *client = lasthop_client_create(NULL);
    struct lasthop_request *stats = lasthop_request_create(client, "stats");
    int clock = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    long left = argc > 1 ? atol(argv[1]) : -1;
    int retval = lasthop_client_connect(client);

    timerfd_settime(clock, 0, &second, NULL);
    lasthop_request_on_answer(stats, on_answer, NULL);
    while (!retval && left-- != 0) {
        uint64_t n_seconds = 0;

        while (!retval && !n_seconds) {
            struct pollfd fds[9];
            int timeout_ms;
            size_t n = lasthop_client_pollfds(client, fds, 8, &timeout_ms);

            fds[n] = (struct pollfd){.fd = clock, .events = POLLIN};
            poll(fds, n + 1, timeout_ms);
            retval = lasthop_client_process(client, 0);
            retval = retval == ETIMEDOUT ? 0 : retval;
            if (read(clock, &n_seconds, sizeof n_seconds) < 0) {
                n_seconds = 0;
            }
        }
        if (!retval) {
            lasthop_request_start(stats);
        }
    }
    if (!retval) {
        retval = lasthop_request_wait(stats, -1);
    }
    if (retval) {
        fprintf(stderr, "rates: %s\n", lasthop_client_error(client));
    }
    lasthop_client_destroy(client);
    close(clock);
    return retval != 0;
}
