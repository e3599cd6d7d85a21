/* SPDX-License-Identifier: Apache-2.0 */
/* server_list - the servers that an agent was told of, in a file. */
#include <config.h>

#include "agent/server_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

int
server_list_save(const char *dir, const struct agent_servers *servers,
                 struct lh_error *error)
{
    char *path = lh_asprintf("%s/servers", dir);
    char *temporary = lh_asprintf("%s.new", path);
    struct agent_server all[AGENT_SERVERS_MAX];
    struct byte_buf frame = BYTE_BUF_INIT;
    FILE *file = fopen(temporary, "w");
    int retval = 0;

    agent_servers_get(servers, all);
    for (size_t i = 0; i < servers->n; i++) {
        all[i].is_self = false;
    }
    agent_frame_put_servers(&frame, all, servers->n);
    errno = 0;
    if (!file || fwrite(frame.data, frame.len, 1, file) != 1 || fflush(file)) {
        retval = errno ? errno : EIO;
    }
    if (file && fclose(file) && !retval) {
        retval = errno ? errno : EIO;
    }
    if (!retval && rename(temporary, path)) {
        retval = errno;
    }
    if (retval) {
        lh_error_set(error, "%s: %s", path, strerror(retval));
    }
    byte_buf_uninit(&frame);
    free(temporary);
    free(path);
    return retval;
}

int
server_list_load(const char *dir, struct byte_buf *buf,
                 struct agent_servers *servers, struct lh_error *error)
{
    char *path = lh_asprintf("%s/servers", dir);
    FILE *file = fopen(path, "r");
    struct agent_frame frame;
    size_t used;
    int retval = errno;

    free(path);
    if (!file) {
        lh_error_set(error, "%s/servers: %s", dir, strerror(retval));
        return retval;
    }
    byte_buf_extend(buf, AGENT_FRAME_MAX_SERVER);
    buf->len = fread(buf->data, 1, AGENT_FRAME_MAX_SERVER, file);
    fclose(file);
    retval = agent_frame_read(buf->data, buf->len, AGENT_FRAME_MAX_SERVER,
                              &used, &frame, error);
    if (retval || frame.type != AGENT_SERVERS || used != buf->len) {
        lh_error_set(error, "%s/servers is damaged", dir);
        return EBADMSG;
    }
    *servers = frame.servers;
    return 0;
}
