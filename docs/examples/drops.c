/* SPDX-License-Identifier: Apache-2.0 */
/* drops - the last packets that were dropped, and where.
 *
 *     cc drops.c $(pkg-config --cflags --libs lasthop) -o drops
 *     ./drops -1h
 *
 * Blocking use of liblasthop(3): asks, waits, prints. */
#include <inttypes.h>
#include <lasthop/client.h>
#include <stdio.h>

static void
show(struct lasthop_request *query, struct lasthop_history *history, void *aux)
{
    const char *reason = lasthop_history_verdict_reason(history);
    uint32_t port, version;
    uint64_t dpid;

    lasthop_history_verdict_at(history, &dpid, &port, &version);
    printf("%" PRIu64 " dropped at switch %016" PRIx64,
           lasthop_history_first_ns(history), dpid);
    if (version != LASTHOP_VERSION_UNKNOWN) {
        printf(" by rule version %" PRIu32, version);
    }
    printf(", after %zu hops: %s\n", lasthop_history_n_hops(history),
           reason ? reason : "no reason is known");
}

int
main(int argc, char *argv[])
{
    struct lasthop_client *client = lasthop_client_create(NULL);
    struct lasthop_request *query = lasthop_request_create(client, "query");
    int64_t scanned;
    int retval;

    lasthop_request_set_text(query, "phf", "{{--verdict dropped}}");
    lasthop_request_set_text(query, "since", argc > 1 ? argv[1] : "-10m");
    lasthop_request_set_text(query, "order", "desc");
    lasthop_request_set_number(query, "limit", 10);
    lasthop_request_on_history(query, show, NULL);

    retval = lasthop_client_connect(client);
    if (!retval) {
        retval = lasthop_request_run(query, -1);
    }
    if (retval) {
        fprintf(stderr, "drops: %s\n", lasthop_client_error(client));
    } else if (lasthop_request_number(query, "scanned", &scanned)) {
        printf("of %" PRId64 " packets looked at\n", scanned);
    }
    lasthop_client_destroy(client);
    return retval != 0;
}
