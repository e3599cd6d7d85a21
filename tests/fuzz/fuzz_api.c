/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_api - whatever a client sends, the server answers each line once and
 * goes on. */
#include <config.h>
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "lib/api_server.h"

#define MAX_LINE 512

static struct event_base *base;

static void
echo(struct api_call *call, const json_t *request, void *aux)
{
    assert(json_is_object(request));
    api_call_answer(call, json_pack("{s:O}", "request", request));
}

/* Offers an event before it answers. */
static void
tell(struct api_call *call, const json_t *request, void *aux)
{
    api_peer_offer(api_call_peer(call), api_call_id(call), "told", NULL);
    api_call_fail(call, API_NOT_FOUND, "nothing");
}

/* Reads and drops what the server wrote. */
static void
drain(int fd)
{
    char buf[4096];

    while (recv(fd, buf, sizeof buf, MSG_DONTWAIT) > 0) {
        continue;
    }
}

static void
turn(int fd)
{
    event_base_loop(base, EVLOOP_NONBLOCK);
    drain(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct api_server_config config = {.max_line = MAX_LINE,
                                       .max_events = 4096};
    const struct api_server_counters *counters;
    struct api_server *server;
    int fds[2];

    if (!base) {
        base = event_base_new();
    }
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds)) {
        return 0;
    }
    server = api_server_create(base, &config);
    api_server_add_op(server, "echo", echo, NULL);
    api_server_add_op(server, "tell", tell, NULL);
    api_server_adopt(server, fds[1]);
    while (size) {
        size_t n = size < 1000 ? size : 1000;

        n = (size_t) send(fds[0], data, n, MSG_NOSIGNAL);
        assert(n > 0 && n <= size);
        data += n;
        size -= n;
        turn(fds[0]);
    }
    /* Two turns: one may only finish what waited for us to read. */
    turn(fds[0]);
    turn(fds[0]);
    counters = api_server_counters(server);
    assert(counters->refusals <= counters->requests);
    assert(api_server_n_peers(server) == 1);
    api_server_destroy(server);
    close(fds[0]);
    return 0;
}
