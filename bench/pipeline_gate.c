/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_gate - holds a lasthop-server --read back until live filters stand.
 */
#include <config.h>

#include "bench/pipeline_gate.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench/figure.h"
#include "lib/api_client.h"
#include "lib/lh_alloc.h"

#define TIMEOUT_MS 10000

struct pipeline_gate {
    char *path;                /* Of the server's socket.  Owned. */
    char *socket_path;         /* Of the gate's.  Owned. */
    int listener;              /* Owned. */
    FILE *stream;              /* From and to the server.  Owned. */
    struct api_client *client; /* Owned. */
};

struct pipeline_gate *
pipeline_gate_create(const char *dir)
{
    struct pipeline_gate *gate = lh_alloc_zero(sizeof *gate);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    gate->path = lh_asprintf("%s/server.sock", dir);
    gate->socket_path = lh_asprintf("%s/recorder.sock", dir);
    snprintf(address.sun_path, sizeof address.sun_path, "%s",
             gate->socket_path);
    unlink(gate->socket_path);
    gate->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (gate->listener < 0 ||
        bind(gate->listener, (struct sockaddr *) &address, sizeof address) ||
        listen(gate->listener, 1)) {
        figure_die(strerror(errno));
    }
    return gate;
}

void
pipeline_gate_add(struct pipeline_gate *gate, const char *const *filters,
                  size_t n)
{
    struct lh_error error = {.text = "-"};

    for (int i = 0; api_client_open(gate->path, &gate->client, &error); i++) {
        if (i == TIMEOUT_MS) {
            figure_die(error.text);
        }
        poll(NULL, 0, 1);
    }
    for (size_t i = 0; i < n; i++) {
        if (api_client_call(gate->client, "trigger.add",
                            json_pack("{s:s}", "phf", filters[i]), TIMEOUT_MS,
                            NULL, &error)) {
            figure_die(error.text);
        }
    }
}

/* The id of the server's subscription. */
static json_int_t
wait_subscribe(struct pipeline_gate *gate)
{
    char line[4096];

    while (fgets(line, sizeof line, gate->stream)) {
        json_t *request = json_loads(line, 0, NULL);
        const char *op = json_string_value(json_object_get(request, "op"));
        json_int_t id = json_integer_value(json_object_get(request, "id"));
        bool is_it = op && !strcmp(op, "subscribe");

        json_decref(request);
        if (is_it) {
            return id;
        }
    }
    figure_die("the server does not ask for rules");
    return 0;
}

void
pipeline_gate_open(struct pipeline_gate *gate)
{
    int fd = accept(gate->listener, NULL, NULL);
    json_int_t id;

    gate->stream = fd < 0 ? NULL : fdopen(fd, "r");
    if (!gate->stream) {
        figure_die(strerror(errno));
    }
    id = wait_subscribe(gate);
    if (dprintf(fd,
                "{\"id\":%" JSON_INTEGER_FORMAT ",\"ok\":true}\n"
                "{\"id\":%" JSON_INTEGER_FORMAT ",\"event\":\"synced\"}\n",
                id, id) < 0) {
        figure_die(strerror(errno));
    }
}

void
pipeline_gate_destroy(struct pipeline_gate *gate)
{
    if (gate) {
        api_client_close(gate->client);
        if (gate->stream) {
            fclose(gate->stream);
        }
        close(gate->listener);
        unlink(gate->socket_path);
        free(gate->path);
        free(gate->socket_path);
        free(gate);
    }
}
