/* SPDX-License-Identifier: Apache-2.0 */
/* follow - prints packets as they come, in an event loop of libevent.
 *
 *     cc follow.c $(pkg-config --cflags --libs lasthop libevent) -o follow
 *     ./follow '{{--verdict dropped}}' [COUNT]
 *
 * Goes on when the server is started again, and says what it did not see. */
#include <event2/event.h>
#include <inttypes.h>
#include <lasthop/client.h>
#include <stdio.h>
#include <stdlib.h>

struct follow {
    struct event_base *base;
    long left; /* To print; 0: all. */
    int status;
};

static void
on_history(struct lasthop_request *trigger, struct lasthop_history *history,
           void *follow_)
{
    struct follow *follow = follow_;

    lasthop_history_print(history, stdout, LASTHOP_PRINT_UTC);
    fflush(stdout);
    if (follow->left && !--follow->left) {
        event_base_loopbreak(follow->base);
    }
}

static void
on_missed(struct lasthop_request *trigger, uint64_t n, uint64_t since_ns,
          uint64_t until_ns, void *follow)
{
    if (n) {
        fprintf(stderr, "follow: %" PRIu64 " came too fast\n", n);
    } else {
        const char *why = lasthop_request_missed_why(trigger);

        fprintf(stderr,
                "follow: %s: some from %" PRIu64 " to %" PRIu64
                " may be missing; the server's archive may have them\n",
                why ? why : "no reason is told", since_ns, until_ns);
    }
}

static void
on_end(struct lasthop_request *trigger, int result, void *follow_)
{
    struct follow *follow = follow_;

    fprintf(stderr, "follow: %s\n", lasthop_request_error(trigger));
    follow->status = 1;
    event_base_loopbreak(follow->base);
}

static void
on_state(struct lasthop_client *client, enum lasthop_state state,
         const char *why, void *aux)
{
    if (state == LASTHOP_DOWN) {
        fprintf(stderr, "follow: %s; trying again\n", why);
    } else {
        fprintf(stderr, "follow: connected\n");
    }
}

int
main(int argc, char *argv[])
{
    struct follow follow = {.base = event_base_new()};
    struct lasthop_client *client = lasthop_client_create(NULL);
    struct lasthop_request *trigger;

    if (argc < 2) {
        fprintf(stderr, "usage: follow FILTER [COUNT]\n");
        return 2;
    }
    follow.left = argc > 2 ? atol(argv[2]) : 0;
    lasthop_client_set_name(client, "follow");
    lasthop_client_set_reconnect(client, 2000);
    lasthop_client_on_state(client, on_state, NULL);
    lasthop_client_attach(client, follow.base);

    /* It is set as soon as there is a connection, and again with each. */
    trigger = lasthop_request_create(client, "trigger.add");
    lasthop_request_set_text(trigger, "phf", argv[1]);
    lasthop_request_on_history(trigger, on_history, &follow);
    lasthop_request_on_missed(trigger, on_missed, &follow);
    lasthop_request_on_end(trigger, on_end, &follow);
    lasthop_request_start(trigger);

    lasthop_client_connect(client);
    event_base_dispatch(follow.base);
    lasthop_client_destroy(client);
    event_base_free(follow.base);
    return follow.status;
}
